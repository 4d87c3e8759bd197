"""The steered reference: a way without jumps, that is what its velocities say, on standing feet."""

from __future__ import annotations

import numpy as np
import pytest

from kinesis_neuro.body.kinematics import foot_clearance, kinematics
from kinesis_neuro.env.tasks.course import CourseTable, Limits, level_and_pace, wrap
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.gait_family import (
    ACCELERATION,
    GRAVITY,
    LEVELS,
    GaitFamily,
    standing_pose,
)
from kinesis_neuro.motion.reference import ReferenceMotion

SPEED = np.array([1.0, 1.0, 0.5, 0.0])
RATE = np.array([0.0, 0.4, -0.5, 0.0])  # of the commanded heading [rad/s]


@pytest.fixture(scope="module")
def family(walk: ReferenceMotion) -> GaitFamily:
    """Without static optimisation, which kinematics does not need."""
    return GaitFamily.build(walk, solve=False)


@pytest.fixture
def course(walk: ReferenceMotion, family: GaitFamily) -> CourseTable:
    return CourseTable.of_gait(
        walk, family, actuation="excitation", activated=False, n_envs=4, ahead=40
    )


def steered(course: CourseTable, n: int = 400) -> dict[str, np.ndarray]:
    """Moments of four ways that are told to go straight, round, round slowly, and to stand."""
    which = np.arange(4)
    course.begin(which, np.zeros(4), SPEED)
    moments = []
    for k in range(n):
        course.extend(which, SPEED, k / 150 * RATE, Limits())
        at = course.at(which, course.written)
        moments.append((at.qpos(), at.qvel(), at.position(), at.velocity(), at.yaw))
    names = ("qpos", "qvel", "position", "velocity", "yaw")
    return dict(zip(names, map(np.stack, zip(*moments, strict=True)), strict=True))


def test_velocities_are_those_of_the_positions(course: CourseTable) -> None:
    way = steered(course)
    moved = 75.0 * (way["position"][2:] - way["position"][:-2])
    apart = np.sqrt(np.square(moved - way["velocity"][1:-1]).sum(-1).mean())
    assert apart < 0.02  # of 1.4 m/s; neither levels nor curvature are constant
    turned = 75.0 * (way["qpos"][2:, :, 7:] - way["qpos"][:-2, :, 7:])
    assert np.abs(turned - way["qvel"][1:-1, :, 6:]).mean() < 0.02


def test_segments_are_where_the_poses_have_them(course: CourseTable) -> None:
    way = steered(course, 200)
    for k in range(4):
        frames = kinematics(course.body, way["qpos"][:, k])
        assert (
            np.abs(frames.body_position - way["position"][:, k]).max() < 0.03
        )  # toes, half a step into a tight curve


def test_it_goes_as_fast_and_turns_as_far_as_it_is_told(course: CourseTable) -> None:
    way = steered(course, 600)
    root = way["qpos"][:, :, :2]
    path = np.linalg.norm(np.diff(root[::172], axis=0), axis=-1).sum(axis=0)
    assert path[0] == pytest.approx(3 * 172 / 150, rel=0.02)
    assert path[3] == 0.0
    np.testing.assert_allclose(way["yaw"][-1], RATE * 4.0, atol=0.25)
    # Facing -y, left is +x.
    assert root[-1, 1, 0] > 0.5 and root[-1, 2, 0] < -0.2


def test_feet_stand_on_curves_too(course: CourseTable) -> None:
    way = steered(course)
    index = [course.body.segments.index(name) for name in course.body.contacts]
    moved = 75.0 * (way["position"][2:, :, index] - way["position"][:-2, :, index])
    speed = np.linalg.norm(moved[..., :2], axis=-1)
    for k in range(3):
        height = foot_clearance(course.body, kinematics(course.body, way["qpos"][1:-1, k]))
        assert np.median(speed[:, k][height < 0.008]) < 0.1  # feet swing at 3 m/s


def test_nothing_jumps_when_commands_do(course: CourseTable) -> None:
    which = np.arange(4)
    course.begin(which, np.zeros(4), np.full(4, 1.0))
    rng, poses = np.random.default_rng(0), []
    for k in range(450):
        if k % 75 == 0:
            speed, heading = rng.uniform(0.0, 1.2, 4), rng.uniform(-np.pi, np.pi, 4)
        course.extend(which, speed, heading, Limits())
        poses.append(course.at(which, course.written).position())
    step = np.linalg.norm(np.diff(np.stack(poses), axis=0), axis=-1)
    assert step.max() < 6.0 / 150  # no segment goes faster than 6 m/s


def test_who_stops_leans_back_and_stands_where_it_was_said(course: CourseTable) -> None:
    which, start = np.arange(4), np.array([0.2, 0.5, 0.8, 1.1])
    course.begin(which, np.zeros(4), start)
    poses, velocities, places = [], [], []
    for _ in range(400):
        course.extend(which, np.zeros(4), np.zeros(4), Limits())
        at = course.at(which, course.written)
        places.append(course.state(which, course.written)["y"])
        poses.append(at.qpos())
        velocities.append(at.qvel())
    end = course.state(which, course.written)
    np.testing.assert_allclose(-end["y"], Limits().stopping_distance(start), atol=2e-3)
    assert (end["speed"] == 0.0).all() and (end["acceleration"] == 0.0).all()
    root = np.stack(poses)[:, :, 1]
    moved = 75.0 * (root[2:] - root[:-2])
    apart = np.abs(moved - np.stack(velocities)[1:-1, :, 1])
    # Where the lean sets in and ends its velocity steps by 0.4 m/s, which differences halve.
    assert apart.max() < 0.2 and np.percentile(apart, 95) < 0.02
    # A body of height h that slows down by a has its pelvis h a/g behind: here 7 cm.
    behind = (root - np.stack(places))[100, 3]
    assert 0.04 < behind < 0.1


def test_leaning_balances_weight_and_inertia(walk: ReferenceMotion, family: GaitFamily) -> None:
    still, _, leant = (family.motions[k * len(LEVELS)] for k in range(3))
    ahead = still.qpos[0, 1] - leant.qpos[0, 1]
    assert ahead / leant.qpos[0, 2] == pytest.approx(ACCELERATION / GRAVITY, rel=0.1)
    under = np.abs(
        still.frames.body_position[0, [walk.body.segments.index("calcn_r")]]
        - leant.frames.body_position[0, [walk.body.segments.index("calcn_r")]]
    )
    assert under.max() < 0.01


def test_the_inner_foot_steps_shorter(family: GaitFamily, walk: ReferenceMotion) -> None:
    n, feet = len(LEVELS), [walk.body.segments.index(f"calcn_{side}") for side in "rl"]
    straight, curved = family.motions[n - 1], family.motions[2 * n - 1]
    for motion, order in ((straight, 1.0), (curved, -1.0)):
        own = motion.frames.body_position[:, feet]
        own = (
            own - np.arange(motion.n_frames)[:, None, None] / motion.n_frames * motion.displacement
        )
        right, left = np.hypot(np.ptp(own[..., 0], axis=0), np.ptp(own[..., 1], axis=0))
        if order > 0:
            asymmetry = left / right
        else:
            assert left / right < 0.9 * asymmetry


def test_standing_is_balanced_and_flat(walk: ReferenceMotion) -> None:
    pose = standing_pose(walk)
    frames = kinematics(walk.body, pose[None])
    assert np.abs(foot_clearance(walk.body, frames)).max() < 0.002
    names = walk.body.joints
    right = [7 + k for k, name in enumerate(names) if name.endswith("_r")]
    left = [7 + names.index(names[k - 7][:-2] + "_l") for k in right]
    np.testing.assert_allclose(pose[right], pose[left], atol=1e-9)


def test_the_full_level_is_the_gait(walk: ReferenceMotion, family: GaitFamily) -> None:
    full = family.motions[len(LEVELS) - 1]
    np.testing.assert_allclose(full.qpos[:, 7:], walk.qpos[:, 7:], atol=1e-9)
    np.testing.assert_allclose(full.displacement, walk.displacement)


def test_speed_is_step_length_times_cadence() -> None:
    speed = np.linspace(0.0, 1.4, 8)
    level, pace = level_and_pace(speed, 1.015)
    np.testing.assert_allclose(level * pace * 1.015, speed, atol=1e-12)
    assert (np.diff(level) >= 0).all() and (np.diff(pace) > 0).all()


def test_only_straight_gaits_can_be_steered(walk: ReferenceMotion) -> None:
    with pytest.raises(InvalidInputError, match="cannot be steered"):
        GaitFamily.build(walk.turn(1.0), solve=False)
    with pytest.raises(InvalidInputError, match="nowhere"):
        GaitFamily.build(walk.loop(2).slice(0.0, 1.0), solve=False)


def test_wrap() -> None:
    angle = np.linspace(-9.0, 9.0, 50)
    np.testing.assert_allclose(np.exp(1j * wrap(angle)), np.exp(1j * angle), atol=1e-12)
    assert np.abs(wrap(angle)).max() <= np.pi
