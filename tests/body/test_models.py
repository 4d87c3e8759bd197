"""The bodies are the ones they say, stand on our floor, and their hash sees what moves them."""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import myo_sim
import numpy as np
import pytest

from kinesis_neuro.body import models
from kinesis_neuro.body.models import BODY_NAMES, Body, load_body
from kinesis_neuro.errors import InvalidInputError

N_MUSCLES = {"legs26": 26, "legs": 80, "legs_abs": 86, "legs_back": 290, "full": 416}
ARMS = ("humerus", "ulna", "radius", "lunate", "clavicle", "scapula", "proximal_thumb")


@pytest.mark.parametrize("name", BODY_NAMES)
def test_number_of_muscles(name: str) -> None:
    body = load_body(name)
    assert body.n_muscles == body.model.nu == body.model.na == N_MUSCLES[name]
    assert (body.model.actuator_dyntype == mujoco.mjtDyn.mjDYN_MUSCLE).all()


def test_design_fixes_the_layout_of_legs_back() -> None:
    assert load_body("legs_back").model.nq == 53


def test_unknown_name_lists_those_that_exist() -> None:
    with pytest.raises(InvalidInputError) as error:
        load_body("leg")
    expected = "Unknown body 'leg'. Available: full, legs, legs26, legs_abs, legs_back."
    assert str(error.value) == expected


@pytest.mark.parametrize("name", BODY_NAMES)
def test_stands_on_one_plane_at_zero(name: str) -> None:
    model = load_body(name).model
    ground = [g for g in range(model.ngeom) if model.geom_bodyid[g] == 0]
    assert ground == [model.geom("floor").id]  # so there is no pedestal either
    assert model.geom_type[ground[0]] == mujoco.mjtGeom.mjGEOM_PLANE
    np.testing.assert_array_equal(model.geom_pos[ground[0]], 0.0)
    np.testing.assert_array_equal(model.geom_quat[ground[0]], [1, 0, 0, 0])


@pytest.mark.parametrize("name", BODY_NAMES)
def test_divergence_is_not_hidden(name: str) -> None:
    model = load_body(name).model
    assert model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_AUTORESET
    assert model.opt.timestep == pytest.approx(1 / 150)
    np.testing.assert_allclose(model.opt.gravity, [0, 0, -9.81], atol=0.01)


@pytest.mark.parametrize("name", BODY_NAMES)
def test_every_muscle_has_a_twin_of_the_same_group_and_strength(name: str) -> None:
    body = load_body(name)
    assert body.side.count("left") == body.side.count("right")
    assert len(body.side) == len(body.group) == body.n_muscles and all(body.group)
    for i, (muscle, side) in enumerate(zip(body.muscles, body.side, strict=True)):
        if side != "left":
            continue
        base = muscle.removesuffix("_l")
        # The right arm of myo-sim carries no suffix.
        twin = body.muscles.index(base if base in body.muscles else f"{base}_r")
        assert body.side[twin] == "right" and body.group[twin] == body.group[i]
        if body.group[i] not in ("abdominals", "erector_spinae"):  # myo-sim's own differ a little
            np.testing.assert_allclose(
                body.model.actuator_gainprm[i], body.model.actuator_gainprm[twin], rtol=1e-6
            )


def test_arms_are_pruned_whole_and_nothing_else_is() -> None:
    back, full = load_body("legs_back"), load_body("full")
    names = [back.model.body(b).name for b in range(back.model.nbody)]
    assert not [n for n in names if n.startswith(ARMS)]
    assert set(back.muscles) < set(full.muscles)
    arm_groups = {"shoulder", "elbow", "wrist", "fingers", "thumb"}
    kept = {m for m, g in zip(full.muscles, full.group, strict=True) if g not in arm_groups}
    assert set(back.muscles) == kept


@pytest.mark.parametrize("name", ["legs", "legs_back", "full"])
def test_contact_pairs_across_the_legs_are_dropped_and_no_others(name: str) -> None:
    """One of the listed differences from myo-sim's model: against that model itself."""
    body = load_body(name)
    model = body.model
    with models._quiet():
        original = myo_sim.load_spec(models._MYO_SIM_NAMES[name]).compile()

    def pairs(m: mujoco.MjModel) -> set[tuple[str, str]]:
        return {
            (m.geom(a).name, m.geom(b).name)
            for a, b in zip(m.pair_geom1, m.pair_geom2, strict=True)
        }

    def leg(geom: str) -> str:
        segment = original.body(original.geom(geom).bodyid[0]).name
        own = segment.startswith(("femur", "tibia", "talus", "calcn", "toes"))
        return segment[-1] if own else ""

    across = {(a, b) for a, b in pairs(original) if {leg(a), leg(b)} == {"r", "l"}}
    assert across
    if name == "legs_back":  # the arms' pairs went with the arms
        assert pairs(model) <= pairs(original) - across
    else:
        assert pairs(model) == pairs(original) - across


@pytest.mark.parametrize("name", BODY_NAMES)
def test_names_agree_with_the_model(name: str) -> None:
    body = load_body(name)
    qpos, dof = body.joint_addresses(body.joints)
    np.testing.assert_array_equal(qpos, np.arange(7, body.model.nq))
    np.testing.assert_array_equal(dof, np.arange(6, body.model.nv))
    assert [body.segments[i] for i in body.tracked_index] == list(body.tracked_bodies)
    assert 60 < body.mass < 95  # an adult
    assert body.weight == pytest.approx(body.mass * 9.81, rel=1e-3)


# -- hash -----------------------------------------------------------------------------------------


def reload(monkeypatch: pytest.MonkeyPatch, change: Callable[[mujoco.MjSpec], None]) -> Body:
    """Compile ``legs`` anew from a changed description."""
    original = models._bare_spec

    def changed(name: str) -> mujoco.MjSpec:
        spec = original(name)
        change(spec)
        return spec

    monkeypatch.setattr(models, "_bare_spec", changed)
    return load_body.__wrapped__("legs")


def test_hash_is_stable_and_each_bodys_own(monkeypatch: pytest.MonkeyPatch, legs: Body) -> None:
    again = reload(monkeypatch, lambda spec: None)
    assert again is not legs and again.hash == legs.hash
    assert len({load_body(name).hash for name in BODY_NAMES}) == len(BODY_NAMES)


def stronger_soleus(spec: mujoco.MjSpec) -> None:
    muscle = spec.actuator("soleus_l")
    prm = np.array(muscle.gainprm)
    prm[2] *= 1.01
    muscle.gainprm = prm


def slower_soleus(spec: mujoco.MjSpec) -> None:
    muscle = spec.actuator("soleus_l")
    prm = np.array(muscle.dynprm)
    prm[0] *= 1.5
    muscle.dynprm = prm


def heavier_torso(spec: mujoco.MjSpec) -> None:
    spec.body("torso").mass *= 1.01


def icy_floor(spec: mujoco.MjSpec) -> None:
    spec.geom("floor").friction = [0.1, 0.005, 0.0001]


def moon(spec: mujoco.MjSpec) -> None:
    spec.option.gravity = [0, 0, -1.62]


def damped_ankle(spec: mujoco.MjSpec) -> None:
    spec.joint("ankle_angle_r").damping = [5.0, 0, 0]


def moved_insertion(spec: mujoco.MjSpec) -> None:
    site = spec.sites[0]
    site.pos = np.array(site.pos) + np.array([0.001, 0, 0])


def other_knee(spec: mujoco.MjSpec) -> None:
    equality = next(e for e in spec.equalities if e.type == mujoco.mjtEq.mjEQ_JOINT)
    data = np.array(equality.data)
    data[1] += 0.01
    equality.data = data


def renamed_muscle(spec: mujoco.MjSpec) -> None:
    # To a name of the same group, so that only the layout differs.
    spec.actuator("glmed1_r").name = "glmed9_r"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (stronger_soleus, "actuator_gainprm"),
        (slower_soleus, "actuator_dynprm"),
        (heavier_torso, "body_mass"),
        (icy_floor, "geom_friction"),
        (moon, "options"),
        (damped_ankle, "dof_damping"),
        (moved_insertion, "site_pos"),
        (other_knee, "eq_data"),
        (renamed_muscle, "layout"),
    ],
)
def test_hash_sees_what_moves_the_body(
    monkeypatch: pytest.MonkeyPatch,
    legs: Body,
    change: Callable[[mujoco.MjSpec], None],
    field: str,
) -> None:
    changed = reload(monkeypatch, change)
    assert changed.hash != legs.hash
    # The fingerprint says which parameter it was.
    assert changed.fingerprint[field] != legs.fingerprint[field]


def test_hash_does_not_see_sensors_and_colours(monkeypatch: pytest.MonkeyPatch, legs: Body) -> None:
    def decorate(spec: mujoco.MjSpec) -> None:
        spec.add_sensor(
            name="extra",
            type=mujoco.mjtSensor.mjSENS_ACTUATORFRC,
            objtype=mujoco.mjtObj.mjOBJ_ACTUATOR,
            objname="soleus_r",
        )
        spec.geom("floor").rgba = [1, 0, 0, 1]

    changed = reload(monkeypatch, decorate)
    assert changed.model.nsensor == legs.model.nsensor + 1
    assert changed.hash == legs.hash
    # The library's blocks are found behind a foreign sensor, too.
    assert changed.sensors["muscle_length"].start == legs.sensors["muscle_length"].start + 1
