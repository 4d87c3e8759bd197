"""Targets and poses at other rates: splines over places and rotations, and a low-pass filter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt
from scipy.spatial.transform import Rotation, RotationSpline

from kinesis_neuro.body.models import Body
from kinesis_neuro.motion.ik import SegmentTargets
from kinesis_neuro.motion.targets import BodyTargets

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


def targets_at_rate(aims: BodyTargets, rate: float, new: float) -> tuple[BodyTargets, float]:
    """Targets at another rate, by splines over positions and orientations."""
    if np.isclose(rate, new):
        return aims, rate
    old = np.arange(len(aims.root)) / rate
    grid = np.arange(int(np.floor(old[-1] * new + 1e-6)) + 1) / new
    segments = aims.segments
    return replace(
        aims,
        root=CubicSpline(old, aims.root)(grid),
        segments=SegmentTargets(
            {k: CubicSpline(old, v)(grid) for k, v in segments.position.items()},
            {k: _turned(old, v, grid) for k, v in segments.orientation.items()},
            segments.position_weight,
            segments.orientation_weight,
        ),
    ), new


def _turned(old: FloatArray, quaternion: FloatArray, grid: FloatArray) -> FloatArray:
    spline = RotationSpline(old, Rotation.from_quat(quaternion, scalar_first=True))
    return np.asarray(spline(np.minimum(grid, old[-1])).as_quat(scalar_first=True))


def poses_at_rate(
    body: Body, qpos: FloatArray, rate: float, new_rate: float, cutoff: float | None
) -> FloatArray:
    """Poses at another rate, smoothed below a cutoff [Hz] if one is given."""
    old = np.arange(len(qpos)) / rate
    grid = np.arange(int(np.floor(old[-1] * new_rate + 1e-6)) + 1) / new_rate
    new = _interpolated(old, qpos, grid)
    if cutoff is not None:
        new = _smoothed(new, new_rate, cutoff)
    return _within_limits(body, new)


def poses_between(body: Body, qpos: FloatArray, frames: IntArray, n_frames: int) -> FloatArray:
    """Poses of all frames from those of some, the first and the last among them."""
    return _within_limits(body, _interpolated(frames, qpos, np.arange(n_frames, dtype=np.float64)))


def _interpolated(old: FloatArray | IntArray, qpos: FloatArray, new: FloatArray) -> FloatArray:
    """Splines over joints and over the root's position and rotation."""
    poses = np.empty((new.size, qpos.shape[1]))
    scalar = [0, 1, 2, *range(7, qpos.shape[1])]
    turns = Rotation.from_quat(qpos[:, 3:7], scalar_first=True)
    poses[:, scalar] = CubicSpline(old, qpos[:, scalar])(new)
    spline = RotationSpline(old, turns)
    poses[:, 3:7] = spline(np.minimum(new, old[-1])).as_quat(scalar_first=True)
    return poses


def _within_limits(body: Body, new: FloatArray) -> FloatArray:
    low, high = body.model.jnt_range[1:].T
    new[:, 7:] = np.clip(new[:, 7:], low, high)
    return body.coupling.complete(new)


def _smoothed(qpos: FloatArray, rate: float, cutoff: float) -> FloatArray:
    sections = butter(2, cutoff, fs=rate, output="sos")
    pad = min(len(qpos) - 1, round(rate / cutoff))
    sign = np.cumprod(np.r_[1, np.where((qpos[1:, 3:7] * qpos[:-1, 3:7]).sum(1) < 0, -1, 1)])
    smooth = qpos.copy()
    smooth[:, 3:7] *= sign[:, None]
    smooth = sosfiltfilt(sections, smooth, axis=0, padlen=pad)
    smooth[:, 3:7] /= np.linalg.norm(smooth[:, 3:7], axis=1, keepdims=True)
    return smooth
