"""Retargeting: a motion of another skeleton on one of the bodies, by inverse kinematics.

Directions of segments become targets on the body's own segments, `ik` finds the poses within joint
limits and couplings, the feet are put on the floor and held where they stand, and a second solution
follows. What comes out passes the gate of `quality`, or an error says why not.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.kinematics import kinematics
from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.motion_data import MotionData
from kinesis_neuro.motion.feet import scale_that_stands
from kinesis_neuro.motion.floor import FLIGHT, fit_toes, pelvis_height
from kinesis_neuro.motion.ik import SegmentTargets, solve_poses
from kinesis_neuro.motion.planting import JUDGED, STANCE_PENETRATION, put_on_floor
from kinesis_neuro.motion.quality import Quality, assess, gate
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.report import retarget_report
from kinesis_neuro.motion.resampling import poses_at_rate, targets_at_rate
from kinesis_neuro.motion.retarget_config import RetargetConfig
from kinesis_neuro.motion.targets import SCALE_RANGE, BodyTargets, Neutral, body_targets

FloatArray = NDArray[np.float64]


def retarget(
    data: MotionData,
    body: Body,
    config: RetargetConfig | None = None,
    *,
    name: str = "",
    source: str = "",
    licence: str = "",
) -> ReferenceMotion:
    """Put a motion on a body.

    Parameters
    ----------
    data : MotionData
        What one of the readers gave.
    body : Body
    config : RetargetConfig, optional
    name : str
        Name of the motion; that of the file if not given.
    source, licence : str
        Kept with the motion.

    Returns
    -------
    ReferenceMotion
        Its report says what was done and what is left wrong.

    Raises
    ------
    FileFormatError
        A joint that is needed is missing, or the size of the body is implausible.
    InvalidInputError
        The result does not pass the gate.
    """
    return retarget_assessed(data, body, config, name=name, source=source, licence=licence)[0]


def retarget_assessed(
    data: MotionData,
    body: Body,
    config: RetargetConfig | None = None,
    *,
    name: str = "",
    source: str = "",
    licence: str = "",
) -> tuple[ReferenceMotion, Quality]:
    """Put a motion on a body, and say how good it is; see :func:`retarget`."""
    settings = config or RetargetConfig()
    notes = list(data.notes)
    aims = body_targets(body, data)
    aims, rate = targets_at_rate(aims, data.rate, min(data.rate, settings.solve_rate))
    qpos = solve_poses(body, aims.segments, config=settings.ik)
    error = _position_error(body, qpos, aims.segments)
    if aims.own:
        qpos[:, :3] += aims.root
        notes.append("segments of the body itself, neither scaled nor moved")
    else:
        qpos[:, :3] += _way(body, qpos, aims, rate, data.path, notes)
    cutoff = None if aims.own else settings.cutoff
    qpos = poses_at_rate(body, qpos, rate, settings.rate, cutoff)
    if not aims.has_toes:
        qpos = fit_toes(body, qpos, cyclic=False)
        notes.append("toes (mtp_angle) set by floor clearance: the file holds none")
    if not aims.own:
        qpos, error = put_on_floor(body, qpos, settings, error, notes)
    motion = ReferenceMotion.from_poses(
        body, qpos, settings.rate, name=name or Path(data.path).stem, source=source, licence=licence
    )
    frames = np.linspace(0, 1, motion.n_frames)
    error = np.interp(frames, np.linspace(0, 1, len(error)), error)
    notes.append(f"joints {1e3 * error.mean():.1f} mm from their targets on average")
    motion = replace(motion, report=retarget_report(motion, notes=notes))
    if settings.on_fault == "report":
        return motion, assess(motion, settings.limits, error)
    return gate(motion, settings.limits, error, settings.on_fault)


def motion_data(motion: ReferenceMotion, *, orientation: bool = True) -> MotionData:
    """Segments of a motion as a reader would give them: to look at, to write, to retarget again.

    Parameters
    ----------
    motion : ReferenceMotion
    orientation : bool
        Whether the segments' frames are kept, and not their origins alone.

    Returns
    -------
    MotionData
        Of format ``body``, with all segments of the body.

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> motion_data(load_motion("walk")).names[:3]
    ('pelvis', 'torso', 'head')
    """
    neutral = Neutral.of(motion.body)
    frames = motion.frames
    turns = None
    if orientation:
        turns = np.empty_like(frames.body_orientation)
        for k, segment in enumerate(motion.body.segments):
            turn = Rotation.from_quat(frames.body_orientation[:, k], scalar_first=True)
            turns[:, k] = (turn * neutral.rotation[segment].inv()).as_quat(scalar_first=True)
    return MotionData(
        Path(motion.name),
        "body",
        motion.body.segments,
        motion.rate,
        position=frames.body_position,
        orientation=turns,
    )


def _position_error(body: Body, qpos: FloatArray, targets: SegmentTargets) -> FloatArray:
    """Mean distance (n,) of the joints of the legs from their targets [m]."""
    frames = kinematics(body, qpos)
    names = [s for s in JUDGED if s in targets.position] or list(targets.position)
    away = [
        np.linalg.norm(
            frames.body_position[:, body.segments.index(s)] - targets.position[s], axis=1
        )
        for s in names
    ]
    return np.mean(away, axis=0)


def _way(
    body: Body, qpos: FloatArray, aims: BodyTargets, rate: float, path: Path, notes: list[str]
) -> FloatArray:
    """Way of the pelvis (n, 3), scaled to the body and set on the floor."""
    stands = scale_that_stands(body, kinematics(body, qpos), aims.root, rate)
    height = pelvis_height(body, qpos)
    upright = float(np.median(height) / max(np.median(aims.root[:, 2]), 1e-3))
    scale = next(s for s in (stands, aims.scale, upright) if s is not None)
    if not SCALE_RANGE[0] <= scale <= SCALE_RANGE[1]:
        raise FileFormatError(
            path,
            f"legs that are {1 / scale:.2f} times as long as the body's",
            f"{1 / SCALE_RANGE[1]:.2f} to {1 / SCALE_RANGE[0]:.2f} times: are units and the "
            "vertical axis right",
        )
    way = scale * aims.root
    gap = height - way[:, 2]
    # The body is set down where it stands: in flight the floor is farther away than that.
    near = gap > np.quantile(gap, 0.8) - FLIGHT
    offset = float(np.median(gap[near])) - STANCE_PENETRATION
    way[:, 2] += offset
    notes.append(f"translations scaled by {scale:.3f}, height moved by {1e3 * offset:.1f} mm")
    return way
