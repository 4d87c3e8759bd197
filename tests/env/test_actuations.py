"""What actions and outside forces do to the muscles of the imitation task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from kinesis_neuro.body.actuation import ACTUATIONS
from kinesis_neuro.body.effort import REGULARIZATION
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable

Make = Callable[..., ImitationEnv]
Spread = Callable[[ImitationEnv], np.ndarray]
TableFor = Callable[[str], ReferenceTable]
Actions = Callable[..., np.ndarray]


def test_wrench_pushes_the_walker(make_env: Make, spread: Spread, table: ReferenceTable) -> None:
    push = np.zeros((4, 6))
    push[:, 0] = [0.0, 200.0, -200.0, 0.0]
    push[3, 1] = 200.0
    env = make_env(table, 4)
    env.reset(np.arange(4), motion=np.zeros(4, dtype=int), frame=np.full(4, 30))
    env.wrench = lambda e: push
    for _ in range(3):
        env.step(np.zeros((4, 14)))
    moved = env.simulation.qpos[:, :2] - env.simulation.qpos[0, :2]
    # A foot on the ground holds back some of F t^2 / (2 m) = 13 mm.
    free = 200 * 0.1**2 / (2 * env.body.mass)
    assert 0.2 * free < moved[1, 0] < 3 * free and 0.2 * free < -moved[2, 0] < 3 * free
    assert 0.2 * free < moved[3, 1] < 3 * free


def test_actions_beyond_the_bounds_are_clipped(
    actions: Actions, make_env: Make, spread: Spread, table: ReferenceTable
) -> None:
    results = []
    for factor in (1.0, 50.0):
        env = make_env(table, 3)
        spread(env)
        sign = np.where(actions(env, 0) > 0, 1.0, -1.0)
        results.append(env.step(factor * sign).observation)
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("actuation", ["excitation", "length", "tracking"])
def test_full_table_serves_every_actuation(
    actions: Actions, make_env: Make, spread: Spread, table: ReferenceTable, actuation: str
) -> None:
    tables = (table, replace(table, moment_matrix=None))
    env, other = (make_env(t, 2, actuation=actuation) for t in tables)
    for e in (env, other):
        spread(e)
        e.step(actions(e, 0))
    np.testing.assert_array_equal(env.excitation, other.excitation)


@pytest.mark.parametrize("actuation", ACTUATIONS)
def test_excitations_stay_in_bounds(
    actions: Actions, make_env: Make, spread: Spread, table_for: TableFor, actuation: str
) -> None:
    env = make_env(table_for(actuation), 8, actuation=actuation)
    spread(env)
    seen = []
    env.on_physics_step = lambda e: seen.append(e.excitation.copy())
    for step in range(3):
        env.step(actions(env, step, size=1.0))
    drive = np.array(seen)
    assert drive.shape == (15, 8, 80)
    assert drive.min() >= 0.0 and drive.max() <= 1.0 and np.ptp(drive) > 0.3
    np.testing.assert_allclose(env.mean_excitation, drive[-5:].mean(axis=0))


def test_least_effort_without_feedback_makes_the_feedforwards_moments(
    make_env: Make, spread: Spread, table: ReferenceTable
) -> None:
    """At most as much effort as static optimisation, for the same moments; an action adds to it."""
    env = make_env(table, 6, actuation="least_effort", stiffness=0.0, damping=0.0, mirror=False)
    spread(env)
    assert table.moment_matrix is not None and table.feedforward is not None
    rows, _ = table.rows(env.motion, env.frame + env.config.lead)
    matrix, feedforward = table.moment_matrix[rows], table.feedforward[rows]
    wanted = (matrix @ feedforward[..., None])[..., 0]
    action = np.zeros((6, 14))
    action[:, 3] = 0.1  # bend the right knee by 5 N m
    for asked, given in ((wanted, np.zeros((6, 14))), (wanted + action, action)):
        plan = env.drive.plan(given, env.simulation, env.motion, env.frame)
        made = env.drive.excite(plan, env.simulation, env.motion, env.frame)
        moments = (matrix @ made[..., None])[..., 0]
        np.testing.assert_allclose(moments, asked, atol=0.06)  # regularisation keeps a little
        price = np.square(moments - asked).sum(axis=1) / REGULARIZATION
        effort = np.square(made).sum(axis=1) + price
        if not given.any():
            assert (effort <= np.square(feedforward).sum(axis=1) + 1e-6).all()


def test_direct_excitation_is_the_action(
    actions: Actions, make_env: Make, spread: Spread, table_for: TableFor
) -> None:
    env = make_env(table_for("excitation"), 3, actuation="excitation", mirror=False)
    spread(env)
    action = actions(env, 0, size=1.0)
    env.step(action)
    np.testing.assert_allclose(env.mean_excitation, 0.5 * (action + 1), atol=1e-15)


def test_feedback_and_feedforward_run_ahead(
    make_env: Make, spread: Spread, table_for: TableFor
) -> None:
    """Tracking without an action, written out for one muscle at a time."""
    table = table_for("tracking")
    env = make_env(table, 3, actuation="tracking")
    spread(env)
    before = env.frame.copy(), env.simulation.sensors.copy()
    seen = []
    env.on_physics_step = lambda e: seen.append(e.excitation.copy())
    env.step(np.zeros((3, 80)))
    frame, sensors = before
    walk, model = table.motions[0], env.body.model
    for k in range(3):
        ahead = (frame[k] + 4) % walk.n_frames
        target = (frame[k] + 3) % walk.n_frames  # sensors are one step late
        for i in range(0, 80, 7):
            length = sensors[k, env.body.sensors["muscle_length"]][i]
            velocity = sensors[k, env.body.sensors["muscle_velocity"]][i]
            peak = model.actuator_gainprm[i, 2]
            wanted = 10 * (walk.frames.muscle_length[target, i] - length)
            wanted += 0.5 * (walk.frames.muscle_velocity[target, i] - velocity)
            force = peak * min(1.0, max(-1.0, wanted))
            gain = mujoco.mju_muscleGain(
                length,
                velocity,
                model.actuator_lengthrange[i],
                model.actuator_acc0[i],
                model.actuator_gainprm[i, :9],
            )
            drive = table.feedforward[ahead, i] + force / min(-1.0, gain)
            assert seen[0][k, i] == pytest.approx(min(1.0, max(0.0, drive)), abs=1e-9)
