"""The retarget report: what is wrong with a motion on a body, with the frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.kinematics import foot_clearance

if TYPE_CHECKING:
    from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]

LIMIT_TOLERANCE = np.deg2rad(0.5)
PENETRATION_LIMIT = 0.010
FLOAT_LIMIT = 0.010
CONTACT_HEIGHT = 0.010
SKATE_LIMIT = 0.30
ROOT_JUMP_LIMIT = 0.5
"""Change of root velocity from one frame to the next that no walk has [m/s]."""


@dataclass(frozen=True)
class Finding:
    """One kind of defect.

    Attributes
    ----------
    frames : ndarray of int
        Where it occurs.
    worst : float
        Its largest size, in ``units``.
    units : str
    detail : str
        What is concerned, in words.
    """

    frames: NDArray[np.intp]
    worst: float
    units: str
    detail: str = ""

    def fraction(self, n_frames: int) -> float:
        """Share of the frames concerned."""
        return self.frames.size / n_frames


@dataclass(frozen=True)
class RetargetReport:
    """Findings by name, and notes on what the reader did.

    Attributes
    ----------
    n_frames : int
    joint_limits, penetration, floating, skating, root_jumps : Finding
        Joints beyond their limits before clipping [rad]; depth of a foot in the floor [m]; height
        of the lowest foot where one should stand [m]; horizontal speed of a flat foot, of its heel
        or toes, whichever is slower [m/s]; change of root velocity between frames [m/s].
    notes : tuple of str
    """

    n_frames: int
    joint_limits: Finding
    penetration: Finding
    floating: Finding
    skating: Finding
    root_jumps: Finding
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        """One line a finding."""
        lines = [f"Retarget report over {self.n_frames} frames"]
        for name in ("joint_limits", "penetration", "floating", "skating", "root_jumps"):
            finding: Finding = getattr(self, name)
            share = 100 * finding.fraction(self.n_frames)
            lines.append(
                f"  {name:<13}{finding.frames.size:6d} frames ({share:5.1f} %), "
                f"worst {finding.worst:.4g} {finding.units}"
                + (f" ({finding.detail})" if finding.detail else "")
            )
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def _finding(size: FloatArray, limit: float, units: str, detail: str = "") -> Finding:
    worst = float(size.max()) if size.size else 0.0
    return Finding(np.flatnonzero(size > limit), max(worst, 0.0), units, detail)


def retarget_report(
    motion: ReferenceMotion, unclipped: FloatArray | None = None, notes: list[str] | None = None
) -> RetargetReport:
    """Examine a motion on its body.

    Parameters
    ----------
    motion : ReferenceMotion
    unclipped : ndarray, shape (n, n_joints), optional
        Joint positions before they were clipped to the limits; the motion's own if not given.
    notes : list of str, optional
        What the reader has to say.
    """
    body = motion.body
    joints = motion.qpos[:, 7:] if unclipped is None else unclipped
    low, high = body.model.jnt_range[1:].T
    # Dependent joints follow their master; their own ranges say nothing more.
    free = np.setdiff1d(np.arange(len(body.joints)), body.coupling.dependent_qpos - 7)
    excess = np.maximum(low - joints, joints - high)[:, free]
    beyond = [body.joints[free[j]] for j in np.flatnonzero(excess.max(0) > LIMIT_TOLERANCE)]

    clearance = foot_clearance(body, motion.frames)
    lowest = clearance.min(axis=1)
    airborne = np.zeros(motion.n_frames, dtype=bool)
    if motion.contact is not None:
        airborne = motion.contact.force[..., 2].sum(axis=1) < 0.05 * body.weight
    index = [body.segments.index(name) for name in body.contacts]
    speed = np.linalg.norm(motion.frames.body_velocity[:, index, :2], axis=-1)
    # A foot that rolls or pivots has an end that stands; one that lies flat and has none skates.
    flat = (clearance[:, ::2] < CONTACT_HEIGHT) & (clearance[:, 1::2] < CONTACT_HEIGHT)
    slower = np.minimum(speed[:, ::2], speed[:, 1::2])
    skate = np.where(flat, slower, 0.0).max(axis=1)
    jump = np.zeros(motion.n_frames)
    jump[1:] = np.linalg.norm(np.diff(motion.qvel[:, :3], axis=0), axis=1)
    return RetargetReport(
        n_frames=motion.n_frames,
        joint_limits=_finding(excess.max(axis=1), LIMIT_TOLERANCE, "rad", ", ".join(beyond)),
        penetration=_finding(-lowest, PENETRATION_LIMIT, "m"),
        floating=_finding(np.where(airborne, 0.0, lowest), FLOAT_LIMIT, "m"),
        skating=_finding(skate, SKATE_LIMIT, "m/s"),
        root_jumps=_finding(jump, ROOT_JUMP_LIMIT, "m/s"),
        notes=tuple(notes or ()),
    )
