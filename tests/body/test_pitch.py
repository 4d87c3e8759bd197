"""The ball's physics against what any ball must do, and the body's beside it."""

from __future__ import annotations

import copy

import mujoco
import numpy as np
import pytest

from kinesis_neuro.body.models import load_body
from kinesis_neuro.body.pitch import (
    BALL_MASS,
    BALL_RADIUS,
    CONTACT,
    ROLLING,
    add_ball,
    ball_on_floor,
    impact_model,
    load_pitch,
)
from kinesis_neuro.body.scaling import BodyScale
from kinesis_neuro.errors import IncompatibleError

INERTIA = 2.0 / 3.0 * BALL_MASS * BALL_RADIUS**2


@pytest.fixture(scope="module")
def pitch():
    return load_pitch(load_body("legs"))


def energy(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """Kinetic, and of height."""
    return (
        0.5 * BALL_MASS * np.sum(data.qvel[:3] ** 2)
        + 0.5 * INERTIA * np.sum(data.qvel[3:] ** 2)
        + BALL_MASS * 9.81 * data.qpos[2]
    )


def test_the_ball_is_the_laws_ball(pitch):
    ball = pitch.model.body("ball")
    assert ball.mass[0] == pytest.approx(0.43)
    # A hollow sphere: 2/3 m r^2.
    np.testing.assert_allclose(ball.inertia, INERTIA, rtol=1e-9)


@pytest.mark.parametrize("speed", [2.0, 6.0, 12.0, 20.0])
def test_a_dropped_ball_gives_back_a_share_that_does_not_hang_on_its_speed(speed):
    model = impact_model(ball_on_floor())
    model.opt.gravity[:] = 0.0
    shares = []
    # The contact may begin anywhere within a step.
    for part in np.linspace(0.0, 1.0, 9)[:-1]:
        data = mujoco.MjData(model)
        data.qpos[2] = BALL_RADIUS + 0.02 + part * speed * model.opt.timestep
        data.qvel[2] = -speed
        while data.qvel[2] <= 0.0 or data.ncon:
            mujoco.mj_step(model, data)
        shares.append(data.qvel[2] / speed)
    assert 0.5 < min(shares) and max(shares) < 0.75


@pytest.mark.parametrize("make", [ball_on_floor, lambda: impact_model(ball_on_floor())])
def test_a_sliding_ball_comes_to_roll_at_three_fifths_of_its_speed(make):
    # A shell slides, spins up, and rolls at v = 3/5 v0, whatever the friction: its angular momentum
    # about the floor is conserved.
    model = make()
    model.dof_damping[:] = 0.0
    data = mujoco.MjData(model)
    data.qvel[0] = 3.0
    while data.time < 1.0:
        mujoco.mj_step(model, data)
    assert data.qvel[0] == pytest.approx(0.6 * 3.0, rel=0.01)
    assert BALL_RADIUS * data.qvel[4] == pytest.approx(data.qvel[0], rel=0.01)


def test_a_rolling_ball_slows_at_the_stated_rate_and_does_not_slip():
    model = ball_on_floor()
    data = mujoco.MjData(model)
    data.qvel[0], data.qvel[4] = 4.0, 4.0 / BALL_RADIUS
    while data.time < 2.0:
        mujoco.mj_step(model, data)
        assert BALL_RADIUS * data.qvel[4] == pytest.approx(data.qvel[0], rel=0.01)
    assert data.qvel[0] == pytest.approx(4.0 * np.exp(-2.0 * ROLLING), rel=0.02)


def test_a_bouncing_ball_never_gains_energy_and_comes_to_rest():
    model = impact_model(ball_on_floor())
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    data.qpos[2] = 2.0
    data.qvel[:] = rng.normal(0.0, 3.0, 6) * [1, 1, 1, 5, 5, 5]
    # In a contact the spring holds energy: it is counted when the ball is free.
    last = energy(model, data)
    while data.time < 8.0:
        mujoco.mj_step(model, data)
        if not data.ncon:
            now = energy(model, data)
            assert now <= last * (1.0 + 1e-3)
            last = now
    assert data.qpos[2] == pytest.approx(BALL_RADIUS, abs=1e-3)


@pytest.mark.parametrize("aim", [(0.0, 0.0), (0.05, 0.02), (-0.06, 0.08)])
@pytest.mark.parametrize("speed", [4.0, 12.0, 20.0])
def test_a_free_foot_and_a_ball_conserve_momentum_and_gain_no_energy(speed, aim):
    spec = mujoco.MjSpec()
    spec.option.timestep, spec.option.gravity = 1.0 / 600.0, [0.0, 0.0, 0.0]
    add_ball(spec)
    foot = spec.worldbody.add_body(name="foot", pos=[aim[0], 0.5, BALL_RADIUS + aim[1]])
    foot.add_freejoint()
    foot.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.03, 0.1, 0], euler=[0, 90, 0], mass=1.2
    )
    model = spec.compile()
    model.geom_solref[model.geom("ball").id] = CONTACT
    data = mujoco.MjData(model)
    data.qvel[7] = -speed
    mass = model.body_mass[[1, 2]]

    def momentum() -> np.ndarray:
        return mass[0] * data.qvel[:3] + mass[1] * data.qvel[6:9]

    def motion_energy() -> float:
        mujoco.mj_energyVel(model, data)
        return float(data.energy[1])

    mujoco.mj_forward(model, data)
    before, energy_before = momentum(), motion_energy()
    struck = False
    while data.time < 0.55 / speed + 0.05:
        mujoco.mj_step(model, data)
        struck |= data.ncon > 0
    mujoco.mj_forward(model, data)
    assert struck and data.qvel[1] < -0.3 * speed
    np.testing.assert_allclose(momentum(), before, atol=1e-9 * speed)
    assert motion_energy() < energy_before


def test_the_body_takes_the_momentum_that_a_ball_loses_to_its_foot(pitch):
    # In the air, where nothing else pushes; in small steps, as the momentum of moving limbs is
    # kept only as well as the steps are short.
    model = copy.copy(pitch.fine)
    model.opt.gravity[:] = 0.0
    model.opt.timestep = 1e-4
    data = mujoco.MjData(model)
    data.qpos[2] += 5.0
    mujoco.mj_forward(model, data)
    first = pitch.ball_qvel.start
    beside = data.body("calcn_r").xpos + np.array([0.02, -0.5, 0.03])
    data.qpos[pitch.ball_qpos] = [*beside, 1.0, 0.0, 0.0, 0.0]
    data.qvel[first + 1] = 15.0
    own = (model.body_mass > 0) & (np.arange(model.nbody) != model.body("ball").id)

    def momentum() -> np.ndarray:
        mujoco.mj_comVel(model, data)
        total = BALL_MASS * data.qvel[first : first + 3]
        for body in np.flatnonzero(own):
            velocity = np.zeros(6)
            mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_BODY, body, velocity, 0)
            total = total + model.body_mass[body] * velocity[3:]
        return total

    mujoco.mj_forward(model, data)
    before, touched = momentum(), False
    while data.time < 0.06:
        mujoco.mj_step(model, data)
        touched |= bool((data.contact.geom == model.geom("ball").id).any())
    mujoco.mj_forward(model, data)
    assert touched and data.qvel[first + 1] < 10.0
    np.testing.assert_allclose(momentum(), before, atol=0.03)


def test_the_body_moves_beside_a_ball_as_without_one(pitch):
    body = pitch.body
    alone, beside = mujoco.MjData(body.model), mujoco.MjData(pitch.model)
    nq, nv = body.model.nq, body.model.nv
    rng = np.random.default_rng(1)
    control = rng.uniform(0.0, 0.4, body.model.nu)
    beside.qpos[pitch.ball_qpos.start] = 5.0  # out of reach
    for _ in range(40):
        for data, model in ((alone, body.model), (beside, pitch.model)):
            data.ctrl[:] = control
            mujoco.mj_step(model, data)
    np.testing.assert_allclose(beside.qpos[:nq], alone.qpos, atol=1e-6)
    np.testing.assert_allclose(beside.qvel[:nv], alone.qvel, atol=1e-4)
    np.testing.assert_allclose(
        beside.sensordata[: body.model.nsensordata], alone.sensordata, rtol=1e-4, atol=1e-3
    )


def test_a_body_of_a_person_is_refused():
    scaled = load_body("legs", BodyScale(thigh=1.05))
    with pytest.raises(IncompatibleError, match="scaled to a person"):
        load_pitch(scaled)
