"""Heading and speed control: commands, who is told what, and how bodies are judged by them."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from kinesis_neuro.body.models import load_body
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.tasks import goal_config
from kinesis_neuro.env.tasks.commander import Commander
from kinesis_neuro.env.tasks.goal import GoalConfig
from kinesis_neuro.env.tasks.reach import ReachConfig
from kinesis_neuro.env.tasks.steer import SteerConfig, SteerGoal
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.learn.config import from_dict, to_dict
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

N = 4


@pytest.fixture(scope="module")
def small_walk() -> ReferenceMotion:
    return load_motion("walk", load_body("legs26"))


def made(motion: ReferenceMotion, goal: GoalConfig, seed: int = 0) -> ImitationEnv:
    task = ImitationConfig(actuation="excitation", goal=goal, termination_distance=9.0)
    return ImitationEnv([motion], task, n_envs=N, n_threads=1, seed=seed, auto_reset=False)


@pytest.fixture
def env(small_walk: ReferenceMotion) -> Iterator[ImitationEnv]:
    one = made(small_walk, SteerConfig())
    yield one
    one.close()


@pytest.fixture
def goal(env: ImitationEnv) -> SteerGoal:
    assert isinstance(env.goal, SteerGoal)
    return env.goal


def still(env: ImitationEnv) -> np.ndarray:
    return np.full((env.n_envs, len(env.action_channels)), -0.9)


def test_commands_change_in_flight_and_at_random(env: ImitationEnv, goal: SteerGoal) -> None:
    env.reset()
    told = []
    for _ in range(180):
        env.step(still(env))
        told.append(np.stack([goal.speed, goal.heading]))
    changed = (np.diff(np.stack(told), axis=0) != 0).any(axis=1)
    assert (changed.sum(axis=0) >= 1).all()
    assert (changed.sum(axis=0) <= 180 / (30 * goal.config.interval[0])).all()
    speed = np.stack(told)[:, 0]
    assert ((speed == 0.0) | ((speed >= 0.6) & (speed <= 1.1))).all()


def test_a_command_moves_neither_body_nor_reference_at_once(
    env: ImitationEnv, small_walk: ReferenceMotion
) -> None:
    other = made(small_walk, SteerConfig())
    first, second = Commander(env), Commander(other)
    for commander in (first, second):
        commander.set(0.8, 0.0)
    env.reset(frame=np.zeros(N, dtype=np.intp), motion=np.arange(N))
    other.reset(frame=np.zeros(N, dtype=np.intp), motion=np.arange(N))
    second.set(0.8, 1.5)
    at = env.table.at(env.motion, env.frame).position(), other.table.at(env.motion, env.frame)
    np.testing.assert_array_equal(at[0], at[1].position())
    for k in range(60):
        before = other.simulation.qpos.copy()
        env.step(still(env))
        other.step(still(other))
        assert np.abs(other.simulation.qpos[:, :3] - before[:, :3]).max() < 0.2
        if k == 0:
            np.testing.assert_array_equal(env.simulation.state, other.simulation.state)
    yaws = (one.table.at(one.motion, one.frame).heading() for one in (env, other))
    assert np.abs(np.subtract(*yaws)).min() > 0.3
    other.close()


def test_a_schedule_is_followed(env: ImitationEnv, goal: SteerGoal) -> None:
    Commander(env).follow([(0.0, 0.5, 0.0), (1.0, 0.0, 0.3)])
    env.reset()
    told = []
    for _ in range(40):
        env.step(still(env))
        told.append((goal.speed[0], goal.heading[0]))
    assert told[28] == pytest.approx((0.5, 0.0)) and told[30] == pytest.approx((0.0, 0.3))


@pytest.mark.parametrize(
    ("speed", "heading", "said"),
    [
        (np.nan, 0.0, "Speed must be"),
        (-0.1, 0.0, "Speed must be between 0 and 1.1"),
        (1.2, 0.0, "how fast this policy"),
        ("fast", 0.0, "Speed must be"),
        (0.5, np.nan, "Heading must be a number of radians, got nan"),
        (0.5, np.inf, "Heading must be"),
    ],
)
def test_bad_commands_are_refused(
    env: ImitationEnv, speed: float, heading: float, said: str
) -> None:
    commander = Commander(env)
    commander.set(0.5, 0.1)
    with pytest.raises(InvalidInputError, match=said):
        commander.set(speed, heading)
    with pytest.raises(InvalidInputError, match=said):
        commander.follow([(0.0, speed, heading)])
    assert (commander.speed, commander.heading) == (0.5, pytest.approx(0.1))


@pytest.mark.parametrize("bound", ["acceleration", "turn_rate", "turn_acceleration", "jerk"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_bounds_that_no_way_can_keep_are_refused(bound: str, value: float) -> None:
    with pytest.raises(InvalidInputError, match="Bounds of the reference must be positive"):
        SteerConfig(**{bound: value})


@pytest.mark.parametrize(
    "schedule", [[], [(0.0, 0.5, 0.0), (0.0, 0.6, 0.0)], [(np.nan, 0.5, 0.0)], [(-1.0, 0.5, 0.0)]]
)
def test_bad_schedules_are_refused(
    env: ImitationEnv, schedule: list[tuple[float, float, float]]
) -> None:
    with pytest.raises(InvalidInputError, match="schedule"):
        Commander(env).follow(schedule)


def test_who_cannot_be_steered_says_so(small_walk: ReferenceMotion) -> None:
    for other in (GoalConfig(), ReachConfig()):
        env = made(small_walk, other)
        with pytest.raises(IncompatibleError, match="takes no commands"):
            Commander(env)
        env.close()


def test_speed_and_direction_are_the_bodys_own(env: ImitationEnv, goal: SteerGoal) -> None:
    direction = np.array([0.0, 0.7, -2.0, 3.0])
    time = np.arange(goal.n_kept)[:, None] / env.config.control_rate
    # 0 faces -y, left is +x.
    velocity = 0.6 * np.stack([np.sin(direction), -np.cos(direction)], axis=-1)
    goal.places[:] = velocity[:, None] * time
    speed, found = goal.motion()
    np.testing.assert_allclose(speed, 0.6)
    np.testing.assert_allclose(found, direction)


def test_errors_count_from_two_seconds_after_a_change(env: ImitationEnv, goal: SteerGoal) -> None:
    Commander(env).set(0.6, 0.0)
    env.reset()
    assert np.isnan(goal.outcome()["heading_error"]).all()
    goal.places[:] = 0.0
    goal.places[:, -1] = [0.4 * goal.n_kept / 30, 0.0]  # to the left, 90 degrees off
    for frame, judged in ((295, False), (300, True)):
        env.frame[:] = frame
        goal._judge()
        assert (np.isfinite(goal.outcome()["heading_error"]) == judged).all()
    np.testing.assert_allclose(goal.outcome()["heading_error"], np.pi / 2)
    np.testing.assert_allclose(goal.outcome()["speed_error"], 0.19, atol=0.02)


def test_a_run_goes_on_to_the_bit(env: ImitationEnv, small_walk: ReferenceMotion) -> None:
    env.reset()
    for _ in range(10):
        env.step(still(env))
    kept = {k: v.copy() for k, v in env.state_arrays().items()}
    other = made(small_walk, SteerConfig(), seed=5)
    other.set_state_arrays(kept)
    other.rng.bit_generator.state = env.rng.bit_generator.state
    for _ in range(60):
        one, two = env.step(still(env)), other.step(still(other))
        np.testing.assert_array_equal(one.observation, two.observation)
        np.testing.assert_array_equal(one.reward, two.reward)
    other.close()


def test_the_goal_comes_back_from_json() -> None:
    task = ImitationConfig(goal=ReachConfig(arena=3.0))
    assert from_dict(ImitationConfig, to_dict(task)) == task
    assert from_dict(ImitationConfig, {}) == ImitationConfig()
    with pytest.raises(InvalidInputError, match=r"Unknown goal 'fly'. Available: .*steer"):
        goal_config("fly")
    odd = SteerConfig()
    object.__setattr__(odd, "kind", "reach")
    with pytest.raises(InvalidInputError, match="no goal of the kind 'reach'"):
        ImitationConfig(goal=odd)


@pytest.mark.parametrize("name", ["Steer", "Reach"])
def test_it_is_a_gymnasium_environment(name: str) -> None:
    env = gymnasium.make(
        f"kinesis_neuro:kinesis_neuro/{name}-v0", body="legs26", actuation="excitation"
    )
    check_env(env.unwrapped, skip_render_check=True)
    _, info = env.reset(seed=1)
    *_, info = env.step(env.action_space.sample())
    assert 0.0 <= info["goal_success"] <= 1.0
    parts = [value for key, value in info.items() if key.startswith("reward_")]
    assert len(parts) >= 5
    with pytest.raises(InvalidInputError, match="Unknown options of reset: taget"):
        env.reset(options={"taget": (0.0, -1.0)})
    env.close()


def test_options_of_reset_command() -> None:
    env = gymnasium.make(
        "kinesis_neuro:kinesis_neuro/Steer-v0", body="legs26", actuation="excitation", max_speed=0.9
    )
    env.reset(seed=0, options={"speed": 0.7, "heading": 0.2})
    goal = env.unwrapped.batch.goal  # type: ignore[attr-defined]
    for _ in range(3):
        env.step(env.action_space.sample())
    assert (goal.speed[0], goal.heading[0]) == (0.7, pytest.approx(0.2))
    with pytest.raises(InvalidInputError, match=r"between 0 and 0.9 m/s"):
        env.reset(options={"speed": 1.0})
    env.close()
