"""Target reaching: the way that is told leads there, and who is there is judged by the body."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from kinesis_neuro.body.models import load_body
from kinesis_neuro.env import terms
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.tasks.course import CourseTable
from kinesis_neuro.env.tasks.reach import ARRIVED, LEFT, ReachConfig, ReachGoal, way_to
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.gait_family import GaitFamily
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

N = 3


@pytest.fixture(scope="module")
def small_walk() -> ReferenceMotion:
    return load_motion("walk", load_body("legs26"))


@pytest.fixture
def env(small_walk: ReferenceMotion) -> Iterator[ImitationEnv]:
    goal = ReachConfig(one_target=True)
    task = ImitationConfig(actuation="excitation", goal=goal, termination_distance=9.0)
    one = ImitationEnv([small_walk], task, n_envs=N, n_threads=1, auto_reset=False)
    yield one
    one.close()


@pytest.fixture
def goal(env: ImitationEnv) -> ReachGoal:
    assert isinstance(env.goal, ReachGoal)
    return env.goal


def test_the_way_leads_to_every_target_and_stays(small_walk: ReferenceMotion) -> None:
    config, n = ReachConfig(), 200
    family = GaitFamily.build(small_walk, solve=False)
    course = CourseTable.of_gait(
        small_walk, family, actuation="excitation", activated=False, n_envs=n, ahead=40
    )
    rng, which = np.random.default_rng(0), np.arange(n)
    distance, angle = rng.uniform(0.5, 5.0, n), rng.uniform(-np.pi, np.pi, n)
    target = distance[:, None] * np.stack([np.sin(angle), -np.cos(angle)], axis=-1)
    course.begin(which, np.zeros(n), np.zeros(n))
    arrived, apart = np.zeros(n, dtype=bool), []
    # A body that is not quite where its reference has it.
    off = rng.normal(0.0, 0.05, (n, 2))
    for k in range(20 * 150):
        if k % 5 == 0:
            now = course.state(which, np.maximum(course.written - 30, 0))
            then = course.state(which, course.written)
            apart.append(np.linalg.norm(place(now) + off - target, axis=1))
            stands = (now["speed"] == 0.0) & (then["speed"] == 0.0) & (apart[-1] < ARRIVED)
            arrived = (arrived | stands) & (apart[-1] < LEFT)
            to_target = target - off - place(then)
            speed, heading = way_to(to_target, then["yaw"], then["speed"], arrived, config)
        course.extend(which, speed, heading, config.limits)
    assert (np.stack(apart)[-60:] < config.radius).all()


def place(state: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([state["x"], state["y"]], axis=-1)


def test_success_is_a_second_within_the_radius(env: ImitationEnv, goal: ReachGoal) -> None:
    goal.set_target(np.array([0.0, -2.0]))
    env.reset()
    assert goal.outcome()["success"].tolist() == [0.0] * N
    env.simulation.qpos[:, :2] = [[0.0, -1.75], [0.0, -1.65], [0.0, -1.75]]
    for k in range(31):
        if k == 20:
            env.simulation.qpos[2, 1] = 0.0  # leaves, and comes back
        if k == 21:
            env.simulation.qpos[2, 1] = -1.75
        goal.command()
    found = goal.outcome()
    assert found["success"].tolist() == [1.0, 0.0, 0.0]
    assert found["time_to_target"][0] == pytest.approx(1.0)
    assert np.isnan(found["time_to_target"][1:]).all()
    _, through = goal.ended()
    assert through.tolist() == [True, False, False]


def test_the_target_is_seen_from_the_body(env: ImitationEnv, goal: ReachGoal) -> None:
    goal.set_target(np.array([1.0, -1.0]))
    env.reset()
    block = env.observation_blocks()["target"]
    qpos = env.simulation.qpos
    away = np.zeros((N, 1, 3))
    away[:, 0, :2] = [1.0, -1.0] - qpos[:, :2]
    local = terms.to_local(away, terms.heading(qpos[:, 3:7]))[:, 0, :2]
    distance = np.linalg.norm(local, axis=1)
    np.testing.assert_allclose(block[:, :2], local / distance[:, None])
    np.testing.assert_allclose(block[:, 2], np.exp(-distance))
    assert (block[:, 3] == 0.0).all()


def test_a_new_target_in_flight_moves_nothing(env: ImitationEnv, goal: ReachGoal) -> None:
    goal.set_target(np.array([0.0, -3.0]))
    env.reset()
    still = np.full((N, len(env.action_channels)), -0.9)
    for _ in range(3):
        env.step(still)
    before = env.simulation.state.copy(), env.table.at(env.motion, env.frame).position()
    goal.set_target(np.array([2.0, 1.0]))
    np.testing.assert_array_equal(env.simulation.state, before[0])
    np.testing.assert_array_equal(env.table.at(env.motion, env.frame).position(), before[1])
    assert not goal.arrived.any() and (goal.since == 0.0).all()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ((0.0, -5.5), "5.50 m from the start, out of the arena of 5 m"),
        ((np.nan, 0.0), "two numbers"),
        ((np.inf, 0.0), "two numbers"),
        ((1.0, 2.0, 3.0), "two numbers"),
        ("there", "two numbers"),
    ],
)
def test_bad_targets_are_refused(
    env: ImitationEnv, goal: ReachGoal, target: tuple[float, ...], said: str
) -> None:
    goal.set_target(np.array([0.0, -2.0]))
    with pytest.raises(InvalidInputError, match=said):
        goal.set_target(target)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=said):
        goal.ask(target=target)
    np.testing.assert_array_equal(goal.target, np.tile([0.0, -2.0], (N, 1)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"radius": 0.6}, "radius <= nearest"),
        ({"arena": 0.4}, "nearest <= arena"),
        ({"walking_speed": 2.0}, "walking_speed"),
        ({"min_speed": 0.0}, "min_speed"),
        ({"interval": (0.0, 1.0)}, "rising times"),
    ],
)
def test_bad_configurations_are_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        ReachConfig(**options)  # type: ignore[arg-type]
