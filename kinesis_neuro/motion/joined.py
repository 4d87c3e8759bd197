"""Motions out of joined poses: feet planted anew where they were joined, and the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from kinesis_neuro.body.models import Body
from kinesis_neuro.motion.balance import balanced_or_not
from kinesis_neuro.motion.joining import between
from kinesis_neuro.motion.planting import plant_feet
from kinesis_neuro.motion.quality import gate
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.report import retarget_report
from kinesis_neuro.motion.retarget_config import RetargetConfig
from kinesis_neuro.motion.variants import low_passed

FloatArray = NDArray[np.float64]

PLANTED = 0.4
"""Time on either side of a seam for which the feet are planted anew [s]."""
EASING = 0.08
"""Standard deviation of the way from there to the clips as they are [s]."""


def joined_motion(
    body: Body,
    qpos: FloatArray,
    rate: float,
    seams: Sequence[int],
    *,
    notes: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
) -> ReferenceMotion:
    """Make a motion of joined poses, which begins at the origin.

    The clips stay as they are: only around the seams, where a foot may slide or sink, are the feet
    planted anew, and what comes of that is low-passed. Then the whole is brought into balance.

    Parameters
    ----------
    body : Body
    qpos : ndarray, shape (n, nq)
    rate : float
        [Hz]
    seams : sequence of int
        Frames in the middle of the fades.
    notes : sequence of str
        Kept in the report.
    about : mapping, optional
        ``name``, ``source``, ``licence``.

    Returns
    -------
    ReferenceMotion

    Raises
    ------
    InvalidInputError
        The result does not pass the gate.
    """
    poses = qpos.copy()
    poses[:, :2] -= poses[0, :2]
    low, high = body.model.jnt_range[1:].T
    poses[:, 7:] = np.clip(poses[:, 7:], low, high)
    motion = ReferenceMotion.from_poses(body, poses, rate, **(about or {}))
    if seams:
        planted, _ = plant_feet(motion, RetargetConfig(on_fault="report"))
        near = seam_weight(len(poses), seams, rate)
        # Solving for the feet leaves what is faster than people move.
        mixed = between(motion.qpos, low_passed(planted).qpos, near)
        motion = ReferenceMotion.from_poses(body, mixed, rate, **(about or {}))
        notes = [*notes, f"feet planted anew around {len(seams)} seams"]
    motion = replace(motion, report=retarget_report(motion, notes=list(notes)))
    return balanced_or_not(motion)[0] if seams else gate(motion)[0]


def seam_weight(n_frames: int, seams: Sequence[int], rate: float) -> FloatArray:
    """One around the seams and zero elsewhere, shape (n_frames,), with soft edges.

    Examples
    --------
    >>> weight = seam_weight(600, [300], 150.0)
    >>> bool(weight[300] > 0.99), bool(weight[[0, -1]].max() < 1e-6)
    (True, True)
    """
    away = np.abs(np.arange(n_frames)[:, None] - np.asarray(seams)[None]).min(axis=1)
    inside = (away <= PLANTED * rate).astype(float)
    return np.asarray(gaussian_filter1d(inside, EASING * rate, mode="nearest"))
