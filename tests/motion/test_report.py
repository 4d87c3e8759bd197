"""The retarget report finds planted defects, at the frames where they were planted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kinesis_neuro.body.models import Body
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import GroundContact, ReferenceMotion
from kinesis_neuro.motion.report import LIMIT_TOLERANCE, retarget_report

N = 90
RATE = 150.0
KINDS = ("joint_limits", "penetration", "floating", "skating", "root_jumps")


@pytest.fixture
def standing(legs: Body, standing_pose: np.ndarray) -> Callable[..., ReferenceMotion]:
    """A body that stands still, but for an offset of its root in each frame."""

    def make(offset: np.ndarray | None = None, **rest: object) -> ReferenceMotion:
        qpos = np.tile(standing_pose, (N, 1))
        if offset is not None:
            qpos[:, :3] += offset
        return ReferenceMotion.from_poses(legs, qpos, RATE, **rest)

    return make


def findings(motion: ReferenceMotion, **options: object) -> dict[str, list[int]]:
    """Frames of each kind that was found at all."""
    report = retarget_report(motion, **options)
    frames = {kind: getattr(report, kind).frames.tolist() for kind in KINDS}
    return {kind: where for kind, where in frames.items() if where}


def test_standing_still_is_faultless(standing: Callable[..., ReferenceMotion]) -> None:
    assert findings(standing()) == {}


def smooth_bump(start: int, stop: int, size: float) -> np.ndarray:
    """A displacement that comes and goes without a jump of velocity, beyond half of it inside."""
    frames = np.arange(N)
    ramp = np.interp(frames, [start - 15, start, stop, stop + 15], [0, 1, 1, 0])
    return size * (0.5 - 0.5 * np.cos(np.pi * ramp))


def test_feet_pushed_into_the_floor(standing: Callable[..., ReferenceMotion]) -> None:
    depth = smooth_bump(40, 50, 0.05)
    found = findings(standing(np.outer(depth, [0, 0, -1])))
    # A millimetre deep to start with; more than ten count.
    assert found == {"penetration": np.flatnonzero(depth + 0.001 > 0.010).tolist()}
    worst = retarget_report(standing(np.outer(depth, [0, 0, -1]))).penetration.worst
    assert worst == pytest.approx(0.051, abs=1e-6)


def test_body_lifted_off_the_floor(standing: Callable[..., ReferenceMotion]) -> None:
    height = smooth_bump(40, 50, 0.05)
    motion = standing(np.outer(height, [0, 0, 1]))
    assert findings(motion) == {"floating": np.flatnonzero(height - 0.001 > 0.010).tolist()}
    assert retarget_report(motion).floating.worst == pytest.approx(0.049, abs=1e-6)


def test_flight_that_the_plates_confirm_is_not_floating(
    standing: Callable[..., ReferenceMotion], legs: Body
) -> None:
    height = smooth_bump(40, 50, 0.05)
    force = np.zeros((N, 2, 3))
    force[height < 0.002, :, 2] = 0.5 * legs.weight
    flight = standing(
        np.outer(height, [0, 0, 1]), contact=GroundContact(force, np.zeros((N, 2, 3)))
    )
    assert findings(flight) == {}


def test_skating(standing: Callable[..., ReferenceMotion]) -> None:
    """Gliding at up to 1 m/s with both soles flat."""
    speed = smooth_bump(40, 50, 1.0)
    way = np.outer(np.cumsum(speed) / RATE, [0.6, -0.8, 0])
    motion = standing(way)
    felt = np.gradient(np.linalg.norm(way, axis=1), 1 / RATE)
    found = findings(motion)
    assert found == {"skating": np.flatnonzero(felt > 0.30).tolist()}
    assert retarget_report(motion).skating.worst == pytest.approx(1.0, abs=0.01)


def test_lifted_feet_do_not_skate(standing: Callable[..., ReferenceMotion]) -> None:
    way = np.outer(np.arange(N) / RATE, [0, -1.0, 0])
    way[:, 2] = 0.3
    assert set(findings(standing(way))) == {"floating"}


@pytest.mark.parametrize("direction", [[1, 0, 0], [0, -1, 0]])
def test_root_jump(standing: Callable[..., ReferenceMotion], direction: list[int]) -> None:
    """From frame 49 to frame 50 the body is somewhere else."""
    way = np.outer(np.arange(N) >= 50, direction) * 0.03
    jumps = findings(standing(way))["root_jumps"]
    # Velocities are central differences: the jump shows on both sides of the gap.
    assert set(jumps) <= {48, 49, 50, 51} and {49, 51} <= set(jumps)
    assert retarget_report(standing(way)).root_jumps.worst == pytest.approx(0.03 * RATE / 2)


def test_joint_beyond_its_limit(
    write: Callable[..., Path], stride: tuple[np.ndarray, dict[str, np.ndarray]], legs: Body
) -> None:
    """The file holds it; the motion is clipped; the report tells joint, frames and how far."""
    time, columns = stride
    limit = legs.model.joint("knee_angle_r").range[1]

    def flexion(t: np.ndarray) -> np.ndarray:
        return (limit + 0.3) * np.exp(-np.square((t - 0.5) / 0.15))

    knee = -flexion(time)
    motion = load_motion(write(time, columns | {"knee_angle_r": knee}))
    finding = motion.report.joint_limits
    assert finding.detail == "knee_angle_r"
    assert finding.worst == pytest.approx(0.3, abs=1e-3)
    bent = flexion(np.arange(motion.n_frames) / motion.rate)
    np.testing.assert_array_equal(finding.frames, np.flatnonzero(bent > limit + LIMIT_TOLERANCE))
    values = motion.qpos[:, 7 + legs.joints.index("knee_angle_r")]
    assert values.max() <= limit + 1e-12
    assert f"worst {finding.worst:.4g} rad (knee_angle_r)" in str(motion.report)


def test_two_faults_are_told_apart(standing: Callable[..., ReferenceMotion]) -> None:
    deep, high = smooth_bump(20, 30, 0.04), smooth_bump(60, 70, 0.04)
    found = findings(standing(np.outer(high - deep, [0, 0, 1])))
    assert set(found) == {"penetration", "floating"}
    assert max(found["penetration"]) < 50 < min(found["floating"])


def test_report_prints_shares_and_notes(standing: Callable[..., ReferenceMotion]) -> None:
    motion = standing(np.tile([0, 0, -0.05], (N, 1)))
    text = str(retarget_report(motion, notes=["made up"]))
    assert "Retarget report over 90 frames" in text
    assert "penetration      90 frames (100.0 %), worst 0.051 m" in text
    assert text.endswith("note: made up")


@pytest.mark.data
def test_recording_has_few_faults(recording: ReferenceMotion) -> None:
    report = recording.report
    n = recording.n_frames
    assert report.joint_limits.fraction(n) < 0.01
    assert report.penetration.fraction(n) < 0.2 and report.penetration.worst < 0.03
    assert report.floating.fraction(n) < 0.01
    assert report.root_jumps.frames.size == 0
