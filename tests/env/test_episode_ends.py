"""When episodes of the imitation task end, and what a diverged one leaves behind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kinesis_neuro.body.models import Body
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable

Make = Callable[..., ImitationEnv]
Spread = Callable[[ImitationEnv], np.ndarray]
Actions = Callable[..., np.ndarray]


# -- divergence -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize("value", [np.nan, 1e6])
@pytest.mark.parametrize("part", ["qvel", "qpos"])
def test_divergence_ends_one_episode_and_touches_no_other(
    actions: Actions, make_env: Make, table: ReferenceTable, part: str, value: float
) -> None:
    env, healthy = (make_env(table, 8, auto_reset=True) for _ in range(2))
    frame = np.arange(8) * 20
    for e in (env, healthy):
        e.reset(np.arange(8), motion=np.zeros(8, dtype=int), frame=frame)
    getattr(env.simulation, part)[3, 10] = value
    action = actions(env, 0, size=0.1)
    result, expected = env.step(action), healthy.step(action)
    others = np.arange(8) != 3
    assert not expected.diverged.any() and not expected.terminated.any()
    np.testing.assert_array_equal(result.diverged, ~others)
    np.testing.assert_array_equal(result.terminated, ~others)
    assert not result.truncated.any() and env.n_diverged == 1
    assert result.reward[3] == 0.0
    # What the learner goes on with is finite, and of a new episode.
    assert np.isfinite(result.observation).all() and np.isfinite(result.reward).all()
    assert np.isfinite(env.simulation.state).all() and env.steps[3] == 0
    assert np.abs(result.observation[3]).max() < 100
    for name in ("observation", "reward", "distance"):
        np.testing.assert_array_equal(
            getattr(result, name)[others], getattr(expected, name)[others]
        )
    # And the new episode is a sound one.
    after = env.step(action)
    assert not after.diverged.any() and np.isfinite(after.observation).all()
    assert env.n_diverged == 1


@pytest.mark.usefixtures("in_tmp")
def test_last_observation_of_a_diverged_episode_is_finite(
    make_env: Make, table: ReferenceTable
) -> None:
    env = make_env(table, 3, auto_reset=True)
    env.simulation.qvel[1, 10] = np.nan
    result = env.step(np.zeros((3, 14)))
    assert result.final_observation.shape[0] == 1
    assert np.isfinite(result.final_observation).all()
    assert np.isfinite(result.distance).all()


# -- ends of episodes -----------------------------------------------------------------------------


def test_time_limit_truncates(make_env: Make, table: ReferenceTable) -> None:
    env = make_env(table, 6, auto_reset=True, duration=0.2, termination_distance=10.0)
    for step in range(1, 13):
        result = env.step(np.zeros((6, 14)))
        assert not result.terminated.any()
        assert result.truncated.all() if step % 6 == 0 else not result.truncated.any()
        if step % 6 == 0:
            np.testing.assert_allclose(result.episode_time, 0.2)
            assert result.final_observation.shape == (6, env.n_observations)
            assert (env.steps == 0).all()
            # The last observation is the old episode's, the next one the new episode's.
            assert (result.final_observation != result.observation).any(axis=1).all()


def test_end_of_a_motion_truncates(make_env: Make, plain_table: ReferenceTable) -> None:
    """Every step has a reference for what it reaches, and the last possible one is taken."""
    env = make_env(plain_table, 20, actuation="excitation", termination_distance=100.0)
    length = plain_table.motions[1].n_frames
    frame = length - 12 - np.arange(20)
    env.reset(np.arange(20), motion=np.ones(20, dtype=int), frame=frame)
    # After k control steps the frame is start + 5 k; there is a next step while it fits.
    steps_left = (length - 1 - frame) // 5
    for step in range(1, 8):
        result = env.step(np.full((20, 80), -0.9))
        np.testing.assert_array_equal(result.truncated, step >= steps_left)
        going = step <= steps_left
        assert (env.frame[going] < length).all()


def test_periodic_motion_has_no_end(make_env: Make, table: ReferenceTable) -> None:
    env = make_env(table, 2, termination_distance=1e6, duration=100.0)
    n = table.motions[0].n_frames
    env.reset(np.arange(2), motion=np.zeros(2, dtype=int), frame=np.array([n - 8, n - 3]))
    for _ in range(6):
        assert not env.step(np.zeros((2, 14))).truncated.any()
    assert (env.frame > n).all()


def displaced(env: ImitationEnv, spread: Spread, way: np.ndarray) -> None:
    spread(env)
    env.simulation.qpos[:, :3] += way


def test_strict_and_mean_rules(make_env: Make, spread: Spread, table: ReferenceTable) -> None:
    """A body beside its reference by 0, 10, 20, 40 and 60 cm."""
    aside = np.zeros((5, 3))
    aside[:, 0] = [0.0, 0.10, 0.20, 0.40, 0.60]
    for rule, distance, ends in (
        ("any", 0.15, [False, False, True, True, True]),
        ("mean", 0.5, [False, False, False, False, True]),
    ):
        env = make_env(table, 5, termination_rule=rule, termination_distance=distance)
        displaced(env, spread, aside)
        result = env.step(np.zeros((5, 14)))
        np.testing.assert_array_equal(result.terminated, ends)
        np.testing.assert_allclose(result.distance.mean(axis=1), aside[:, 0], atol=0.03)
        assert not result.truncated.any()


def test_one_far_foot_ends_a_strict_episode_only(
    make_env: Make, spread: Spread, table: ReferenceTable, legs: Body
) -> None:
    for rule, ends in (("any", True), ("mean", False)):
        env = make_env(table, 1, termination_rule=rule, termination_distance=0.15)
        spread(env)
        env.simulation.qpos[:, 7 + legs.joints.index("knee_angle_r")] += 0.9
        env.simulation.qpos[:] = legs.coupling.complete(env.simulation.qpos)
        result = env.step(np.zeros((1, 14)))
        assert result.distance.max() > 0.2 > 0.15 > result.distance.mean()
        assert result.terminated[0] == ends


def test_terminated_episodes_are_not_truncated(
    make_env: Make, spread: Spread, table: ReferenceTable
) -> None:
    env = make_env(table, 2, duration=1 / 30)
    displaced(env, spread, np.array([[0.0, 0, 0], [1.0, 0, 0]]))
    result = env.step(np.zeros((2, 14)))
    np.testing.assert_array_equal(result.terminated, [False, True])
    np.testing.assert_array_equal(result.truncated, [True, False])
