"""Retargeting: a motion of another skeleton on one of the bodies, by inverse kinematics.

Directions of segments become targets on the body's own segments, `ik` finds the poses within joint
limits and couplings, the feet are put on the floor and held where they stand, and a second solution
follows. What comes out passes the gate of `quality`, or an error says why not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfiltfilt
from scipy.spatial.transform import Rotation, RotationSpline

from kinesis_neuro.body.kinematics import kinematics
from kinesis_neuro.body.models import PHYSICS_RATE, Body
from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.motion_data import MotionData
from kinesis_neuro.motion.feet import detect_stance, grounded, lock_feet, scale_that_stands
from kinesis_neuro.motion.floor import FLIGHT, fit_toes, pelvis_height
from kinesis_neuro.motion.ik import IKConfig, SegmentTargets, solve_poses
from kinesis_neuro.motion.quality import Quality, QualityLimits, assess, gate
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.report import retarget_report
from kinesis_neuro.motion.targets import SCALE_RANGE, BodyTargets, Neutral, body_targets

FloatArray = NDArray[np.float64]

STANCE_PENETRATION = 0.001
SETTLING = 0.06
"""Standard deviation of the smoothing of the change of height that keeps feet on the floor [s]."""
_JUDGED = ("femur_r", "tibia_r", "talus_r", "femur_l", "tibia_l", "talus_l")


@dataclass(frozen=True)
class RetargetConfig:
    """How a motion is put on a body.

    Parameters
    ----------
    solve_rate : float
        Frames a second that are solved for [Hz]; splines lie between.
    rate : float
        Frames a second of the result [Hz].
    cutoff : float or None
        Of the low-pass filter (Butterworth of fourth order, forwards and backwards) over the
        poses [Hz]; none for a motion of the body's own skeleton.
    lock_feet : bool
        Whether standing feet are held in place and on the floor.
    ik : IKConfig
    limits : QualityLimits
    on_fault : {"refuse", "repair", "report"}
        What happens to a motion that does not pass the gate; ``report`` returns it all the same,
        to be looked at.
    """

    solve_rate: float = 60.0
    rate: float = PHYSICS_RATE
    cutoff: float | None = 8.0
    lock_feet: bool = True
    ik: IKConfig = field(default_factory=IKConfig)
    limits: QualityLimits = field(default_factory=QualityLimits)
    on_fault: Literal["refuse", "repair", "report"] = "refuse"


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
    aims, rate = _resampled(aims, data.rate, min(data.rate, settings.solve_rate))
    qpos = solve_poses(body, aims.segments, config=settings.ik)
    error = _position_error(body, qpos, aims.segments)
    if aims.own:
        qpos[:, :3] += aims.root
        notes.append("segments of the body itself, neither scaled nor moved")
    else:
        qpos[:, :3] += _way(body, qpos, aims, rate, data.path, notes)
    qpos = _at_rate(body, qpos, rate, settings, None if aims.own else settings.cutoff)
    if not aims.has_toes:
        qpos = fit_toes(body, qpos, cyclic=False)
        notes.append("toes (mtp_angle) set by floor clearance: the file holds none")
    if not aims.own:
        qpos, error = _on_floor(body, qpos, settings, error, notes)
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


def _resampled(aims: BodyTargets, rate: float, new: float) -> tuple[BodyTargets, float]:
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


def _position_error(body: Body, qpos: FloatArray, targets: SegmentTargets) -> FloatArray:
    """Mean distance (n,) of the joints of the legs from their targets [m]."""
    frames = kinematics(body, qpos)
    names = [s for s in _JUDGED if s in targets.position] or list(targets.position)
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


def _at_rate(
    body: Body, qpos: FloatArray, rate: float, settings: RetargetConfig, cutoff: float | None
) -> FloatArray:
    """Poses at the rate of the result, smoothed below the cutoff."""
    old = np.arange(len(qpos)) / rate
    grid = np.arange(int(np.floor(old[-1] * settings.rate + 1e-6)) + 1) / settings.rate
    new = np.empty((grid.size, qpos.shape[1]))
    scalar = [0, 1, 2, *range(7, qpos.shape[1])]
    turns = Rotation.from_quat(qpos[:, 3:7], scalar_first=True)
    new[:, scalar] = CubicSpline(old, qpos[:, scalar])(grid)
    new[:, 3:7] = RotationSpline(old, turns)(np.minimum(grid, old[-1])).as_quat(scalar_first=True)
    if cutoff is not None:
        new = _smoothed(new, settings.rate, cutoff)
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


def _on_floor(
    body: Body,
    qpos: FloatArray,
    settings: RetargetConfig,
    error: FloatArray,
    notes: list[str],
) -> tuple[FloatArray, FloatArray]:
    """Set the height, lock standing feet and solve again."""
    gap = pelvis_height(body, qpos) - STANCE_PENETRATION - qpos[:, 2]
    smooth = gaussian_filter1d(grounded(gap, qpos[:, 2], settings.rate), SETTLING * settings.rate)
    qpos[:, 2] += smooth
    if not settings.lock_feet:
        return qpos, error
    frames = kinematics(body, qpos)
    stance = detect_stance(body, frames, settings.rate)
    feet, locked = lock_feet(body, frames, stance)
    where = {s: body.segments.index(s) for s in ("pelvis", *_JUDGED, *body.contacts)}
    position = {s: frames.body_position[:, k] for s, k in where.items()}
    turns = {s: frames.body_orientation[:, k] for s, k in where.items()}
    weight: dict[str, FloatArray | float] = {s: 0.1 for s in where}
    weight["pelvis"] = 1.0
    for column, segment in enumerate(body.contacts):
        change = feet[:, column] - position[segment]
        if segment.startswith("calcn"):  # the ankle goes with its heel
            talus = segment.replace("calcn", "talus")
            position[talus] = position[talus] + change
        position[segment] = feet[:, column]
        weight[segment] = 2.0 + 3.0 * locked[:, column]
    # A foot keeps its orientation, a leg follows it.
    rigid = {s: 0.3 if s in body.contacts or s == "pelvis" else 0.05 for s in where}
    targets = SegmentTargets(position, turns, weight, rigid)
    solved = solve_poses(body, targets, start=qpos, config=settings.ik)
    moved = kinematics(body, solved).body_position - frames.body_position
    judged = [where[s] for s in _JUDGED]
    share = stance.contact.any(axis=1).mean()
    notes.append(f"feet stand in {share:.0%} of the frames and are locked there")
    grid = np.linspace(0, 1, len(solved))
    before = np.interp(grid, np.linspace(0, 1, len(error)), error)
    return solved, before + np.linalg.norm(moved[:, judged], axis=-1).mean(axis=1)
