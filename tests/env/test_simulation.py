"""Batched physics is MuJoCo's, the same in any batch, and knows when it has diverged."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

from kinesis_neuro.body.models import Body
from kinesis_neuro.env.simulation import Simulation
from kinesis_neuro.motion.reference import ReferenceMotion


@pytest.fixture
def aloft(legs: Body) -> np.ndarray:
    """A pose far from the floor."""
    qpos = legs.coupling.complete(legs.model.qpos0)
    qpos[2] = 10.0
    return qpos


@pytest.fixture
def simulation(legs: Body, aloft: np.ndarray) -> Iterator[Simulation]:
    made = Simulation(legs, 4, n_threads=1)
    everyone = np.arange(4)
    made.reset(everyone, np.tile(aloft, (4, 1)), np.zeros((4, legs.model.nv)), np.zeros((4, 80)))
    yield made
    made.close()


@pytest.fixture
def walking(walk: ReferenceMotion) -> np.ndarray:
    """Two poses with a foot on the floor."""
    return walk.qpos[[10, 80]]


def momentum(body: Body, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear and angular momentum (about the centre of mass) of one state."""
    model, data = body.model, mujoco.MjData(body.model)
    data.qpos, data.qvel = state[1 : 1 + model.nq], state[1 + model.nq : 1 + model.nq + model.nv]
    mujoco.mj_forward(model, data)
    mujoco.mj_subtreeVel(model, data)
    return body.mass * data.subtree_linvel[0], data.subtree_angmom[0].copy()


def test_steps_are_mujocos_own(legs: Body, walking: np.ndarray) -> None:
    """Against mj_step, warm-started with the same acceleration; on the ground, muscles at work."""
    model = legs.model
    qvel = np.zeros((2, model.nv))
    drive = np.random.default_rng(5).uniform(size=(2, 80))
    data = mujoco.MjData(model)
    for k in range(2):
        mujoco.mj_resetData(model, data)
        data.qpos, data.act = walking[k], 0.05
        simulation = Simulation(legs, 1, n_threads=1)
        simulation.reset(np.arange(1), walking[k : k + 1], qvel[:1], np.full((1, 80), 0.05))
        for _ in range(20):
            before = data.qvel.copy()
            data.ctrl = drive[k]
            mujoco.mj_step(model, data)
            data.qacc_warmstart = (data.qvel - before) / model.opt.timestep
            assert not simulation.step(drive[k : k + 1]).any()
            np.testing.assert_allclose(simulation.qpos[0], data.qpos, atol=1e-12)
            np.testing.assert_allclose(simulation.qvel[0], data.qvel, atol=1e-9)
            np.testing.assert_allclose(simulation.activation[0], data.act, atol=1e-12)
            np.testing.assert_allclose(simulation.sensors[0], data.sensordata, atol=1e-7)
        assert simulation.time[0] == pytest.approx(20 / 150)
        simulation.close()


def test_sensors_belong_to_the_state_before_the_step(simulation: Simulation) -> None:
    simulation.qvel[:, 2] = -3.0
    before = simulation.qpos[:, 2].copy()
    simulation.step(np.zeros((4, 80)))
    pelvis = simulation.body.segments.index("pelvis")
    sensed = simulation.sensor("body_position").reshape(4, -1, 3)[:, pelvis, 2]
    np.testing.assert_allclose(sensed, before, atol=1e-12)
    assert (simulation.qpos[:, 2] < before - 0.01).all()


def test_wrench_accelerates_the_body(simulation: Simulation, legs: Body) -> None:
    """Impulse is momentum: F dt for the mass, and torque dt for its turning."""
    wrench = np.zeros((4, 6))
    wrench[1, :3] = [100.0, -50.0, 30.0]
    wrench[2, 3:] = [10.0, 20.0, -5.0]
    wrench[3] = [0, 0, legs.weight, 0, 0, 0]
    assert not simulation.step(np.zeros((4, 80)), wrench).any()
    states = [momentum(legs, s) for s in simulation.state]
    dt = legs.model.opt.timestep
    # The limbs move within the step: a first-order integrator keeps momentum to some mN s.
    np.testing.assert_allclose(states[0][0], [0, 0, -legs.weight * dt], atol=0.01)
    for k in range(1, 4):
        given = states[k][0] - states[0][0]
        np.testing.assert_allclose(given, wrench[k, :3] * dt, atol=3e-3)
    # A pure torque turns the body about its centre of mass.
    turning = states[2][1] - states[0][1]
    np.testing.assert_allclose(turning, wrench[2, 3:] * dt, atol=2e-3)
    # The pelvis, where the force acts, moves with it.
    given = simulation.qvel[1, :2] - simulation.qvel[0, :2]
    assert given[0] > 100 / legs.mass * dt and given[1] < -50 / legs.mass * dt


def test_wrench_ends_with_the_step(simulation: Simulation, legs: Body) -> None:
    """What was pushed once is not pushed again by a step without a wrench."""
    simulation.step(np.zeros((4, 80)), np.tile([200.0, 0, 0, 0, 0, 0], (4, 1)))
    pushed = momentum(legs, simulation.state[0])[0][0]
    assert pushed == pytest.approx(200 * legs.model.opt.timestep, rel=1e-2)
    simulation.step(np.zeros((4, 80)))
    assert momentum(legs, simulation.state[0])[0][0] == pytest.approx(pushed, abs=0.01 * pushed)


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize(
    ("part", "value"),
    [("qvel", np.nan), ("qvel", 1e6), ("qvel", np.inf), ("qpos", np.nan), ("activation", np.nan)],
)
def test_divergence_is_told_and_stays_where_it_is(
    simulation: Simulation, part: str, value: float
) -> None:
    drive = np.full((4, 80), 0.1)
    simulation.step(drive)
    healthy = simulation.state.copy(), simulation._acceleration.copy()
    getattr(simulation, part)[2, 5] = value
    spoilt = simulation.state[2].copy()
    np.testing.assert_array_equal(simulation.step(drive), [False, False, True, False])
    # The diverged one is back where it was; MuJoCo has not reset it in silence.
    np.testing.assert_array_equal(simulation.state[2], spoilt)
    # The others are, to the bit, where they would be without it.
    stepped = simulation.state.copy()
    simulation.state[:], simulation._acceleration[:] = healthy
    assert not simulation.step(drive).any()
    np.testing.assert_array_equal(simulation.state[[0, 1, 3]], stepped[[0, 1, 3]])


@pytest.mark.usefixtures("in_tmp")
def test_diverged_body_can_be_reset(simulation: Simulation, legs: Body, aloft: np.ndarray) -> None:
    simulation.qvel[1] = np.nan
    assert simulation.step(np.zeros((4, 80)))[1]
    simulation.reset(np.array([1]), aloft[None], np.zeros((1, legs.model.nv)), np.zeros((1, 80)))
    assert not simulation.step(np.zeros((4, 80))).any()
    assert np.isfinite(simulation.state).all() and np.isfinite(simulation.sensors).all()
    fresh = Simulation(legs, 1, n_threads=1)
    fresh.reset(np.arange(1), aloft[None], np.zeros((1, legs.model.nv)), np.zeros((1, 80)))
    fresh.step(np.zeros((1, 80)))
    np.testing.assert_array_equal(simulation.state[1, 1:], fresh.state[0, 1:])
    fresh.close()
