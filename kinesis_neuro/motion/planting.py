"""Planting: the feet of a motion on the floor, and standing still where they stand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from kinesis_neuro.body.kinematics import kinematics
from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.feet import detect_stance, floor_drift, grounded, lock_feet
from kinesis_neuro.motion.floor import pelvis_height
from kinesis_neuro.motion.ik import SegmentTargets, solve_poses
from kinesis_neuro.motion.quality import Quality, assess, gate
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.report import RetargetReport, retarget_report
from kinesis_neuro.motion.resampling import poses_between
from kinesis_neuro.motion.retarget_config import RetargetConfig

FloatArray = NDArray[np.float64]

STANCE_PENETRATION = 0.001
SETTLING = 0.06
"""Standard deviation of the smoothing of the change of height that keeps feet on the floor [s]."""
JUDGED = ("femur_r", "tibia_r", "talus_r", "femur_l", "tibia_l", "talus_l")
"""Segments whose distance from their targets is reported."""


def plant_feet(
    motion: ReferenceMotion, config: RetargetConfig | None = None
) -> tuple[ReferenceMotion, Quality]:
    """Set the feet of a motion on the floor and hold them where they stand.

    For motions that came as joint angles (OpenSim's), whose feet sink and slide where the
    person's segments are not the body's.

    Parameters
    ----------
    motion : ReferenceMotion
        Not periodic.
    config : RetargetConfig, optional

    Returns
    -------
    motion : ReferenceMotion
        Without measured forces, whose centres of pressure would not lie under the feet any more.
    quality : Quality

    Raises
    ------
    InvalidInputError
        The result does not pass the gate, or the motion is periodic.
    """
    settings = replace(config or RetargetConfig(), rate=motion.rate)
    if motion.periodic:
        raise InvalidInputError(f"Motion {motion.name!r} is periodic; loop it and cut a part out.")
    report = motion.report
    notes = list(report.notes) if isinstance(report, RetargetReport) else []
    still = np.zeros(motion.n_frames)
    qpos, error = put_on_floor(motion.body, motion.qpos.copy(), settings, still, notes)
    planted = ReferenceMotion.from_poses(
        motion.body,
        qpos,
        motion.rate,
        name=motion.name,
        events=motion.events,
        source=motion.source,
        licence=motion.licence,
    )
    planted = replace(planted, report=retarget_report(planted, notes=notes))
    if settings.on_fault == "report":
        return planted, assess(planted, settings.limits, error)
    return gate(planted, settings.limits, error, settings.on_fault)


def put_on_floor(
    body: Body,
    qpos: FloatArray,
    settings: RetargetConfig,
    error: FloatArray,
    notes: list[str],
) -> tuple[FloatArray, FloatArray]:
    """Set the height of poses, lock standing feet and solve again.

    Parameters
    ----------
    body : Body
    qpos : ndarray, shape (n, nq)
        Changed in place.
    settings : RetargetConfig
        Its `rate` is that of the poses.
    error : ndarray, shape (n_solved,)
        Distance from the targets so far [m], over the same time.
    notes : list of str
        What was done is added.

    Returns
    -------
    qpos : ndarray, shape (n, nq)
    error : ndarray, shape (n,)
        With the way that hips, knees and ankles were moved.
    """
    gap = pelvis_height(body, qpos) - STANCE_PENETRATION - qpos[:, 2]
    drift = floor_drift(gap, settings.rate)
    qpos[:, 2] += drift
    gap -= drift
    smooth = gaussian_filter1d(grounded(gap, qpos[:, 2], settings.rate), SETTLING * settings.rate)
    qpos[:, 2] += smooth
    if not settings.lock_feet:
        return qpos, error
    frames = kinematics(body, qpos)
    stance = detect_stance(body, frames, settings.rate)
    feet, locked = lock_feet(body, frames, stance)
    where = {s: body.segments.index(s) for s in ("pelvis", *JUDGED, *body.contacts)}
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
    # Not every frame is solved for: between two, a body moves along splines.
    n, step = len(qpos), max(1, int(settings.rate // settings.solve_rate))
    some = np.unique(np.r_[np.arange(0, n, step), n - 1])
    targets = SegmentTargets(
        {s: way[some] for s, way in position.items()},
        {s: way[some] for s, way in turns.items()},
        {s: w if isinstance(w, float) else w[some] for s, w in weight.items()},
        rigid,
    )
    solved = solve_poses(body, targets, start=qpos[some], config=settings.ik)
    solved = poses_between(body, solved, some, n)
    moved = kinematics(body, solved).body_position - frames.body_position
    judged = [where[s] for s in JUDGED]
    share = stance.contact.any(axis=1).mean()
    notes.append(f"feet stand in {share:.0%} of the frames and are locked there")
    grid = np.linspace(0, 1, len(solved))
    before = np.interp(grid, np.linspace(0, 1, len(error)), error)
    return solved, before + np.linalg.norm(moved[:, judged], axis=-1).mean(axis=1)
