"""Bodies scaled to a person: what is asked for is there, and similar bodies move alike."""

from __future__ import annotations

from pathlib import Path

import h5py
import mujoco
import numpy as np
import pytest

from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.body.scaling import BodyScale, scale_from_lengths, segment_lengths
from kinesis_neuro.emg.hill import equivalent_excitation
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.learn.checkpoint import warn_of_other_body
from kinesis_neuro.learn.policy import PolicyInfo
from kinesis_neuro.motion.inverse import static_optimization
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.nwb import write_nwb

PERSON = {"pelvis": 0.18, "thigh": 0.43, "shank": 0.44, "foot": 0.19}


@pytest.fixture(scope="module")
def person(legs: Body) -> Body:
    return load_body("legs", scale=scale_from_lengths(legs.model, PERSON, mass=68.0))


def posed(body: Body, angles: np.ndarray, factor: float = 1.0) -> mujoco.MjData:
    """Pose with the same angles; the root and the coupled translations follow the body."""
    data = mujoco.MjData(body.model)
    data.qpos[:] = angles
    data.qpos[:3] *= factor
    data.qpos[:] = body.coupling.complete(data.qpos[None])[0]
    mujoco.mj_forward(body.model, data)
    return data


def test_lengths_and_mass_are_as_asked(person: Body) -> None:
    found = segment_lengths(person.model)
    assert found == pytest.approx(PERSON, abs=1e-9)
    assert person.mass == pytest.approx(68.0)


@pytest.mark.parametrize("name", ["legs26", "legs"])
def test_one_is_unscaled(name: str) -> None:
    plain = load_body(name)
    same = load_body(name, scale=BodyScale())
    different = [k for k, v in plain.fingerprint.items() if same.fingerprint[k] != v]
    assert different == []
    assert load_body(name) is plain and plain.scale is None


def test_the_given_body_does_not_change(legs: Body, person: Body) -> None:
    assert person.hash != legs.hash
    assert person.fingerprint["layout"] == legs.fingerprint["layout"]
    assert segment_lengths(legs.model) != pytest.approx(PERSON)


def test_both_sides_stay_alike(legs: Body, person: Body) -> None:
    right = [i for i, side in enumerate(person.side) if side == "right"]
    left = [person.muscles.index(person.muscles[i].removesuffix("_r") + "_l") for i in right]
    for field in ("actuator_lengthrange", "actuator_length0"):
        values = getattr(person.model, field)
        before = getattr(legs.model, field)
        gap = np.abs(before[right] - before[left]).max()
        np.testing.assert_allclose(values[right], values[left], atol=1.2 * gap + 1e-9)
    mass = {s: sum(person.model.body(f"{b}_{s}").mass[0] for b in ("femur", "tibia")) for s in "rl"}
    assert mass["r"] == pytest.approx(mass["l"])


def test_moment_arms_and_lengths_grow_with_a_similar_body(legs: Body) -> None:
    factor = 1.1
    large = load_body("legs", scale=BodyScale.uniform(factor))
    rng = np.random.default_rng(0)
    qpos = legs.model.qpos0.copy()
    low, high = legs.model.jnt_range[1:].T
    qpos[7:] = rng.uniform(low, high)
    qpos = legs.coupling.complete(qpos[None])[0]
    small_data, large_data = posed(legs, qpos), posed(large, qpos, factor)
    np.testing.assert_allclose(large_data.xpos, factor * small_data.xpos, atol=1e-6)
    np.testing.assert_allclose(
        large_data.actuator_length, factor * small_data.actuator_length, atol=1e-6
    )
    arms = np.zeros((2, legs.n_muscles, legs.model.nv))
    for k, (body, data) in enumerate(((legs, small_data), (large, large_data))):
        mujoco.mju_sparse2dense(
            arms[k], data.actuator_moment, data.moment_rownnz, data.moment_rowadr,
            data.moment_colind,
        )  # fmt: skip
        assert body.n_muscles == len(arms[k])
    hinges = legs.model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE
    dofs = legs.model.jnt_dofadr[hinges]
    np.testing.assert_allclose(arms[1][:, dofs], factor * arms[0][:, dofs], atol=1e-6)
    # The muscles work at the same place of their curves, and pull as their area.
    np.testing.assert_allclose(
        large.model.actuator_lengthrange, factor * legs.model.actuator_lengthrange, rtol=1e-6
    )
    peak = large.model.actuator_gainprm[:, 2] / legs.model.actuator_gainprm[:, 2]
    np.testing.assert_allclose(peak, factor**2)
    assert large.mass == pytest.approx(legs.mass * factor**3)


def test_the_whole_skeleton_scales_by_segment() -> None:
    scale = BodyScale(thigh=1.1, shank=0.9, torso=1.05, foot=0.95, mass=80.0)
    assert load_body("legs26", scale=scale).mass == pytest.approx(80.0)


def test_a_policy_of_another_scale_warns(legs: Body, person: Body) -> None:
    about = PolicyInfo("mine", "legs", dict(legs.fingerprint), {}, {}, ())
    with pytest.warns(UserWarning, match="body_mass"):
        warn_of_other_body(about, person)


def test_recordings_carry_the_scale(person: Body, tmp_path: Path) -> None:
    solved = static_optimization(load_motion("walk", person))
    assert solved.attrs["body_hash"] == person.hash
    assert BodyScale.from_json(solved.attrs["body_scale"]) == person.scale
    with pytest.warns(UserWarning, match="scaled to a person"):
        equivalent_excitation(solved)
    # The NWB file's table of muscles holds the scaled body's own forces.
    write_nwb(solved, tmp_path / "scaled.nwb")
    with h5py.File(tmp_path / "scaled.nwb") as file:
        found: list[np.ndarray] = []
        file.visititems(lambda n, x: found.append(x[:]) if n.endswith("/peak_force") else None)
    expected = MuscleParameters.from_model(person.model).peak_force
    np.testing.assert_allclose(found[0], expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda legs: BodyScale(thigh=0.43), "not a length"),
        (lambda legs: BodyScale(mass=-1.0), "positive number of kg"),
        (lambda legs: BodyScale(shank=float("nan")), "factor of shank"),
        (lambda legs: BodyScale.from_json('{"thigs": 1}'), "no scale of a body"),
        (lambda legs: scale_from_lengths(legs.model, {}), "one length or more"),
        (lambda legs: scale_from_lengths(legs.model, {"tail": 1.0}), "Unknown segment 'tail'"),
    ],
)
def test_bad_input(call, words: str, legs: Body) -> None:
    with pytest.raises(InvalidInputError, match=words):
        call(legs)
