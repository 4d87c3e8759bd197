"""The gate: what a motion on a body must be like before anything is trained on it.

The retarget report names the frames; this module says which of its findings are flight, how many
a clip may have, adds jumps of the muscles' paths, and cuts the longest good part out of a bad clip.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.feet import falls, spans
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.report import Finding, RetargetReport, retarget_report

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class QualityLimits:
    """Largest shares of a clip's frames that may have a defect.

    Parameters
    ----------
    joint_limits, penetration, floating, skating, root_jumps : float
        Shares of frames, by the findings of :class:`RetargetReport`.
    deepest : float
        Largest depth of a foot in the floor [m].
    tendon_jump : float
        Change of a muscle's path from one frame to the next beyond what its velocity explains [m]:
        a path that flips to another side of a bone.
    position_error : float
        Mean distance of hips, knees and ankles from their targets [m].
    shortest : float
        Shortest part of a clip that is worth keeping [s].
    """

    joint_limits: float = 0.02
    penetration: float = 0.05
    floating: float = 0.15
    skating: float = 0.05
    root_jumps: float = 0.002
    deepest: float = 0.03
    tendon_jump: float = 0.003
    position_error: float = 0.04
    shortest: float = 0.6


@dataclass(frozen=True)
class Quality:
    """What the gate found.

    Attributes
    ----------
    report : RetargetReport
        As it stands with the motion; flight counts as floating there.
    floating : Finding
        Without the frames of flight.
    tendon_jumps : Finding
        Muscle paths that flip [m].
    position_error : float or None
        Mean distance from the targets [m]; None where the motion was not solved for.
    faults : tuple of str
        What is beyond the limits, in words; empty for a motion that passes.
    """

    report: RetargetReport
    floating: Finding
    tendon_jumps: Finding
    position_error: float | None
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether a policy may be trained on the motion."""
        return not self.faults

    def bad_frames(self) -> NDArray[np.intp]:
        """Frames with any defect."""
        report = self.report
        kinds = (report.joint_limits, report.penetration, report.skating, report.root_jumps)
        both = [f.frames for f in (*kinds, self.floating, self.tendon_jumps)]
        return np.unique(np.concatenate(both)).astype(np.intp)


def assess(
    motion: ReferenceMotion,
    limits: QualityLimits | None = None,
    position_error: FloatArray | None = None,
) -> Quality:
    """Examine a motion against the limits.

    Parameters
    ----------
    motion : ReferenceMotion
    limits : QualityLimits, optional
    position_error : ndarray, shape (n,), optional
        Distance from the targets in each frame [m].

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> assess(load_motion("walk")).passed
    True
    """
    allowed = limits or QualityLimits()
    report = motion.report
    if not isinstance(report, RetargetReport) or report.n_frames != motion.n_frames:
        report = retarget_report(motion)
    flight = flight_frames(motion)
    kept = np.setdiff1d(report.floating.frames, np.flatnonzero(flight))
    floating = replace(report.floating, frames=kept)
    jumps = _tendon_jumps(motion, allowed.tendon_jump)
    n = motion.n_frames
    faults = []
    for name in ("joint_limits", "penetration", "floating", "skating", "root_jumps"):
        finding = floating if name == "floating" else getattr(report, name)
        share, limit = finding.fraction(n), getattr(allowed, name)
        if share > limit:
            faults.append(f"{name} in {share:.1%} of the frames (at most {limit:.1%})")
    if report.penetration.worst > allowed.deepest:
        faults.append(
            f"a foot {1e3 * report.penetration.worst:.0f} mm in the floor "
            f"(at most {1e3 * allowed.deepest:.0f})"
        )
    if jumps.frames.size:
        faults.append(f"a muscle path jumps by {1e3 * jumps.worst:.1f} mm ({jumps.detail})")
    mean = None if position_error is None else float(np.mean(position_error))
    if mean is not None and mean > allowed.position_error:
        faults.append(
            f"joints {1e3 * mean:.0f} mm from their targets on average "
            f"(at most {1e3 * allowed.position_error:.0f})"
        )
    return Quality(report, floating, jumps, mean, tuple(faults))


def flight_frames(motion: ReferenceMotion) -> NDArray[np.bool_]:
    """Frames in which no foot touches the floor and the pelvis falls as gravity makes it.

    A run has flight; a badly placed clip floats without falling.
    """
    report = motion.report
    high = np.zeros(motion.n_frames, dtype=bool)
    if isinstance(report, RetargetReport) and report.n_frames == motion.n_frames:
        high[report.floating.frames] = True
    else:
        high[retarget_report(motion).floating.frames] = True
    flight = np.zeros_like(high)
    for start, stop in spans(high):
        before, after = max(start - 1, 0), min(stop, motion.n_frames - 1)
        duration = (after - before) / motion.rate
        flight[start:stop] = falls(motion.qvel[after, 2] - motion.qvel[before, 2], duration)
    return flight


def _tendon_jumps(motion: ReferenceMotion, limit: float) -> Finding:
    """Changes of the muscles' lengths that their velocities do not explain."""
    length, velocity = motion.frames.muscle_length, motion.frames.muscle_velocity
    step = np.diff(length, axis=0) - 0.5 * (velocity[1:] + velocity[:-1]) / motion.rate
    jump = np.zeros_like(length)
    jump[1:] = np.abs(step)
    which = [motion.body.muscles[m] for m in np.flatnonzero(jump.max(axis=0) > limit)]
    worst = jump.max(axis=1)
    return Finding(np.flatnonzero(worst > limit), float(worst.max()), "m", ", ".join(which))


def gate(
    motion: ReferenceMotion,
    limits: QualityLimits | None = None,
    position_error: FloatArray | None = None,
    on_fault: Literal["refuse", "repair"] = "refuse",
) -> tuple[ReferenceMotion, Quality]:
    """Let a motion pass, or its longest good part, or refuse it.

    Parameters
    ----------
    motion : ReferenceMotion
    limits : QualityLimits, optional
    position_error : ndarray, shape (n,), optional
        Distance from the targets in each frame [m].
    on_fault : {"refuse", "repair"}
        Whether the longest part without a defect is cut out of a motion that does not pass.

    Returns
    -------
    motion : ReferenceMotion
    quality : Quality
        Of what is returned.

    Raises
    ------
    InvalidInputError
        The motion does not pass and cannot be, or is not to be, repaired.
    """
    allowed = limits or QualityLimits()
    quality = assess(motion, allowed, position_error)
    if quality.passed:
        return motion, quality
    if on_fault == "repair" and not motion.periodic:
        good = np.ones(motion.n_frames, dtype=bool)
        good[quality.bad_frames()] = False
        if position_error is not None:
            good &= position_error < 2 * allowed.position_error
        if good.any():
            start, after = max(spans(good), key=lambda part: part[1] - part[0])
            stop = after - 1
            if (stop - start) / motion.rate >= allowed.shortest:
                part = motion.slice(start / motion.rate, stop / motion.rate)
                notes = getattr(motion.report, "notes", ())
                cut = f"frames {start} to {stop} of {motion.n_frames}, cut out by the gate"
                part = replace(part, report=retarget_report(part, notes=[*notes, cut]))
                error = None if position_error is None else position_error[start : stop + 1]
                left = assess(part, allowed, error)
                if left.passed:
                    return part, left
    raise InvalidInputError(
        f"Motion {motion.name!r} is not fit to be trained on: {'; '.join(quality.faults)}. "
        "Give other options of the reader, another clip, or limits of your own."
    )
