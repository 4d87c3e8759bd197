"""The compiled plants obey Newton: they fall at g, inner forces move nothing, left equals right."""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
import pytest

from kinesis_neuro.body.models import BODY_NAMES, Body, load_body

Poses = Callable[[Body, int], np.ndarray]


def center_of_mass(body: Body, qpos: np.ndarray) -> np.ndarray:
    data = mujoco.MjData(body.model)
    data.qpos = qpos
    mujoco.mj_kinematics(body.model, data)
    mujoco.mj_comPos(body.model, data)
    return data.subtree_com[0].copy()


def upright_in_the_air(body: Body) -> np.ndarray:
    qpos = body.coupling.complete(body.model.qpos0)
    qpos[2] += 5.0
    return qpos


@pytest.mark.parametrize("name", BODY_NAMES)
def test_passive_body_falls_at_g(name: str) -> None:
    body = load_body(name)
    model, data = body.model, mujoco.MjData(body.model)
    data.qpos = upright_in_the_air(body)
    start = center_of_mass(body, data.qpos)
    n = 60 if name != "full" else 20
    for _ in range(n):
        mujoco.mj_step(model, data)
    time = n * model.opt.timestep
    way = center_of_mass(body, data.qpos) - start
    # Semi-implicit Euler falls by g dt^2 n (n + 1) / 2.
    expected = 0.5 * model.opt.gravity * time * (time + model.opt.timestep)
    # Passive muscles move the limbs meanwhile; the integrator is of first order.
    np.testing.assert_allclose(way, expected, atol=0.01 * np.abs(expected).max())


@pytest.mark.parametrize("name", BODY_NAMES)
def test_inner_forces_do_not_move_the_center_of_mass(name: str, random_poses: Poses) -> None:
    """From rest, J_com qacc = g exactly, whatever the muscles, limits and couplings do."""
    body = load_body(name)
    model, data = body.model, mujoco.MjData(body.model)
    rng = np.random.default_rng(11)
    for qpos in random_poses(body, 3):
        data.qpos, data.qvel = qpos, 0.0
        data.qpos[2] += 20.0
        data.act = rng.uniform(size=body.n_muscles)
        mujoco.mj_forward(model, data)
        assert np.abs(data.qfrc_actuator).max() > 10.0
        jacobian = np.zeros((3, model.nv))
        mujoco.mj_jacSubtreeCom(model, data, jacobian, 0)
        acceleration = jacobian @ data.qacc
        np.testing.assert_allclose(acceleration, model.opt.gravity, atol=1e-6)


def test_muscles_do_move_the_joints(legs: Body) -> None:
    """The body above is not merely stiff: its gastrocnemius points the foot."""
    model, data = legs.model, mujoco.MjData(legs.model)
    ankle = 7 + legs.joints.index("ankle_angle_r")
    bent = []
    for drive in (0.0, 0.5):
        mujoco.mj_resetData(model, data)
        data.qpos = upright_in_the_air(legs)
        data.ctrl[[legs.muscles.index(m) for m in ("soleus_r", "gasmed_r", "gaslat_r")]] = drive
        for _ in range(30):
            mujoco.mj_step(model, data)
        bent.append(data.qpos[ankle])
    assert bent[1] < bent[0] - 0.2  # plantarflexion is negative


def test_mirrored_input_gives_mirrored_output(legs: Body) -> None:
    model = legs.model

    def twin(names: tuple[str, ...]) -> np.ndarray:
        swap = {"_r": "_l", "_l": "_r"}
        return np.array([names.index(n[:-2] + swap[n[-2:]]) for n in names])

    joints, muscles = twin(legs.joints), twin(legs.muscles)
    rng = np.random.default_rng(12)
    start = upright_in_the_air(legs)
    low, high = model.jnt_range[1:].T
    start[7:] = rng.uniform(0.0, 0.4) * np.clip(rng.normal(size=low.size), 0.5 * low, 0.5 * high)
    for side in "rl":  # legs apart, as contact between them is not what is tested
        start[7 + legs.joints.index(f"hip_adduction_{side}")] = -0.25
    start = legs.coupling.complete(start)
    drive = rng.uniform(0.0, 0.5, model.nu)

    def run(mirror: bool) -> tuple[np.ndarray, np.ndarray]:
        data = mujoco.MjData(model)
        data.qpos = start
        data.qpos[7:] = start[7:][joints] if mirror else start[7:]
        data.ctrl = drive[muscles] if mirror else drive
        for _ in range(25):
            mujoco.mj_step(model, data)
            assert data.ncon == 0
        return data.qpos.copy(), data.actuator_force.copy()

    (qpos, force), (qpos_m, force_m) = run(False), run(True)
    # myo-sim's trunk is 0.2 mm off the midline, so equality is not exact.
    np.testing.assert_allclose(qpos_m[7:], qpos[7:][joints], atol=2e-3)
    np.testing.assert_allclose(force_m, force[muscles], atol=0.01 * np.abs(force).max())
    # Mirrored at x = 0: x, and turns about y and z, change sign.
    np.testing.assert_allclose(qpos_m[:3], qpos[:3] * [-1, 1, 1], atol=2e-3)
    np.testing.assert_allclose(qpos_m[3:7], qpos[3:7] * [1, 1, -1, -1], atol=2e-3)
    # The legs had really moved, each its own way.
    assert np.abs(qpos[7:] - start[7:]).max() > 0.1
    assert np.abs(qpos_m[7:] - qpos[7:]).max() > 0.1


def test_contact_sensors_sum_the_contacts_with_the_floor(legs: Body) -> None:
    """The resultant is the force of the foot *on the floor*: downwards."""
    model, data = legs.model, mujoco.MjData(legs.model)
    data.qpos = legs.coupling.complete(model.qpos0)
    data.qpos[2] = 0.96
    for _ in range(60):
        mujoco.mj_step(model, data)
    mujoco.mj_forward(model, data)
    floor = model.geom("floor").id
    force, moment_arm = np.zeros((4, 3)), np.zeros((4, 3))
    for k, contact in enumerate(data.contact):
        if contact.geom1 != floor:
            continue
        local = np.zeros(6)
        mujoco.mj_contactForce(model, data, k, local)
        # The normal points from the floor into the foot: this force acts on the foot.
        world = contact.frame.reshape(3, 3).T @ local[:3]
        foot = legs.contacts.index(model.body(model.geom_bodyid[contact.geom2]).name)
        force[foot] += world
        moment_arm[foot] += np.linalg.norm(local[:3]) * contact.pos
    sensed = data.sensordata[legs.sensors["contact"]].reshape(4, 10)
    assert force[:, 2].sum() > 0.3 * legs.weight
    np.testing.assert_allclose(sensed[:, 1:4], -force, atol=1e-9)
    loaded = force[:, 2] > 0
    np.testing.assert_array_equal(sensed[:, 0] > 0, loaded)
    center = moment_arm[loaded] / np.linalg.norm(sensed[loaded, 1:4], axis=1)[:, None]
    np.testing.assert_allclose(sensed[loaded, 7:10], center, atol=0.01)


def test_standing_body_is_carried_by_the_floor(legs: Body) -> None:
    """Impulse equals momentum: mean vertical ground force minus weight moves the body."""
    model, data = legs.model, mujoco.MjData(legs.model)
    data.qpos = legs.coupling.complete(model.qpos0)
    data.qpos[2] = 1.0
    data.ctrl[:] = 0.05
    impulse = 0.0
    for _ in range(80):
        mujoco.mj_step(model, data)
        contact = data.sensordata[legs.sensors["contact"]].reshape(4, 10)
        impulse += -contact[:, 3].sum() * model.opt.timestep
    mujoco.mj_subtreeVel(model, data)
    momentum = legs.mass * data.subtree_linvel[0, 2]
    fallen = legs.weight * 80 * model.opt.timestep
    assert impulse > 0.2 * fallen
    assert momentum == pytest.approx(impulse - fallen, abs=0.03 * fallen)
