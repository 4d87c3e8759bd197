"""The gate: each defect is found where it was put, flight is none, and good parts are cut out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.feet import floor_drift, grounded
from kinesis_neuro.motion.quality import QualityLimits, assess, flight_frames, gate
from kinesis_neuro.motion.reference import ReferenceMotion

RATE, N = 150.0, 200
GRAVITY = 9.80665


@pytest.fixture
def standing(legs: Body, standing_pose: np.ndarray) -> Callable[..., ReferenceMotion]:
    """A body that stands for 1.3 s, after a change of its poses."""

    def make(change: Callable[[np.ndarray], object] = lambda qpos: None) -> ReferenceMotion:
        qpos = np.tile(standing_pose, (N, 1))
        change(qpos)
        return ReferenceMotion.from_poses(legs, qpos, RATE, name="stand")

    return make


def column(body: Body, joint: str) -> int:
    return 7 + body.joints.index(joint)


def shift(axis: int, frames: slice, by: float) -> Callable[[np.ndarray], object]:
    def change(qpos: np.ndarray) -> None:
        qpos[frames, axis] += by

    return change


def slide(qpos: np.ndarray) -> None:
    qpos[:, 1] -= 0.4 * np.arange(N) / RATE


def test_a_body_that_stands_passes(standing: Callable[..., ReferenceMotion]) -> None:
    motion = standing()
    same, quality = gate(motion)
    assert same is motion and quality.passed and not quality.bad_frames().size


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (shift(2, slice(None), -0.02), "penetration in 100.0%"),
        (shift(2, slice(90, 93), -0.05), "a foot 51 mm in the floor"),
        (shift(2, slice(None), 0.05), "floating in 100.0%"),
        (slide, "skating in 100.0%"),
        (shift(0, slice(100, None), 0.05), "root_jumps in 1.0%"),
    ],
)
def test_every_defect_of_the_root_is_a_fault(
    standing: Callable[..., ReferenceMotion], change: Callable, fault: str
) -> None:
    quality = assess(standing(change))
    assert any(found.startswith(fault) for found in quality.faults), quality.faults
    with pytest.raises(InvalidInputError, match=f"'stand' is not fit to be trained on: .*{fault}"):
        gate(standing(change))


def test_joints_beyond_their_limits(standing: Callable[..., ReferenceMotion], legs: Body) -> None:
    hip = column(legs, "hip_flexion_r")
    high = legs.model.jnt_range[1 + hip - 7, 1]

    def bend(qpos: np.ndarray) -> None:
        qpos[:20, hip] = high + 0.05

    quality = assess(standing(bend))
    assert "joint_limits in 10.0% of the frames (at most 2.0%)" in quality.faults
    np.testing.assert_array_equal(quality.report.joint_limits.frames, np.arange(20))
    assert quality.report.joint_limits.detail == "hip_flexion_r"


def test_paths_that_jump(standing: Callable[..., ReferenceMotion], legs: Body) -> None:
    """A step of 0.3 rad in one frame is no velocity; the same over 20 frames is one."""
    knee = column(legs, "knee_angle_r")

    def step(qpos: np.ndarray) -> None:
        qpos[100:, knee] += 0.3

    def ramp(qpos: np.ndarray) -> None:
        qpos[:, knee] += 0.3 * np.clip((np.arange(N) - 100) / 20, 0, 1)

    jumps = assess(standing(step)).tendon_jumps
    # Central differences see the step in two frames, and explain a half of it between them.
    assert set(jumps.frames) <= {99, 100, 101} and jumps.frames.size
    assert "vas" in jumps.detail or "rec" in jumps.detail
    assert not assess(standing(ramp)).tendon_jumps.frames.size


def test_distance_from_the_targets(standing: Callable[..., ReferenceMotion]) -> None:
    far = np.full(N, 0.05)
    assert assess(standing(), position_error=0.5 * far).position_error == pytest.approx(0.025)
    with pytest.raises(InvalidInputError, match="joints 50 mm from their targets"):
        gate(standing(), position_error=far)
    assert gate(standing(), QualityLimits(position_error=0.06), far)[1].passed


# -- flight ---------------------------------------------------------------------------------------


def hop(gravity: float) -> Callable[[np.ndarray], object]:
    """Up and down again within 0.3 s, as gravity makes it, or slower."""
    time = np.arange(45) / RATE

    def change(qpos: np.ndarray) -> None:
        qpos[80:125, 2] += 0.5 * gravity * time * (time[-1] - time)

    return change


def test_flight_is_no_floating(standing: Callable[..., ReferenceMotion]) -> None:
    flying = standing(hop(GRAVITY))
    frames = np.flatnonzero(flight_frames(flying))
    assert frames[0] in range(80, 90) and frames[-1] in range(115, 125)
    np.testing.assert_array_equal(frames, np.arange(frames[0], frames[-1] + 1))
    assert not assess(flying).floating.frames.size
    # A body on strings floats: it is lifted within 0.2 s, held, and let down as gently.
    rise = 0.5 - 0.5 * np.cos(np.pi * np.clip((np.arange(N) - 30) / 30, 0, 1))

    def lift(qpos: np.ndarray) -> None:
        qpos[:, 2] += 0.05 * rise * rise[::-1]

    lifted = standing(lift)
    assert not flight_frames(lifted).any()
    assert assess(lifted).floating.frames.size >= 100


def test_flight_is_not_pulled_to_the_floor() -> None:
    time = np.arange(300) / RATE
    height = 0.9 + np.zeros(300)
    span = slice(100, 145)
    arc = 0.5 * GRAVITY * (time[span] - time[100]) * (time[144] - time[span])
    height[span] += arc
    gap = 0.9 - height
    closed = grounded(gap, height, RATE)
    assert np.abs(closed[105:140]).max() == 0.0
    # The same height held for as long is no flight, and is closed.
    high = 0.9 + 0.1 * ((np.arange(300) >= 100) & (np.arange(300) < 145))
    np.testing.assert_array_equal(grounded(0.9 - high, 0.9 + 0 * high, RATE), 0.9 - high)


def test_a_floor_that_slopes_is_followed() -> None:
    steps = np.where(np.arange(900) % 60 < 25, 0.0, -0.07)
    slope = 0.1 * np.sin(np.arange(900) / 250)
    np.testing.assert_allclose(
        floor_drift(steps + slope, RATE)[100:-100], slope[100:-100], atol=0.012
    )


# -- repair ---------------------------------------------------------------------------------------


def test_the_longest_good_part_is_cut_out(standing: Callable[..., ReferenceMotion]) -> None:
    def spoil(qpos: np.ndarray) -> None:
        qpos[:40, 2] -= 0.05
        qpos[190:, 2] += 0.05

    motion = standing(spoil)
    part, quality = gate(motion, on_fault="repair")
    assert quality.passed
    first = N - 10 - part.n_frames  # frames around the edges jump
    assert 40 <= first <= 43
    np.testing.assert_array_equal(part.qpos, motion.qpos[first : first + part.n_frames])
    assert any("cut out by the gate" in note for note in part.report.notes)


def test_what_cannot_be_repaired_is_refused(standing: Callable[..., ReferenceMotion]) -> None:
    def spoil(qpos: np.ndarray) -> None:
        qpos[::60, 2] -= 0.05

    with pytest.raises(InvalidInputError, match="not fit to be trained on"):
        gate(standing(spoil), on_fault="repair")
