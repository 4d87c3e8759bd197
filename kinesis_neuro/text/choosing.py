"""Which part of which clip shows what a clause asks for: pace, side, time, way and angle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.clips import speed_and_turning
from kinesis_neuro.motion.feet import detect_stance
from kinesis_neuro.motion.joining import heading
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.text.sentence import LONGEST_DURATION, Clause
from kinesis_neuro.text.vocabulary import RUN, TURN, WALK

FloatArray = NDArray[np.float64]

DURATION = 3.0
"""Of a clause that says nothing of how long or how far [s]."""
TURN_ANGLE = 90.0
"""Of a turn that says nothing of how far [degrees]."""
TURNING = 0.1
"""A part turns from this rate on, and goes straight below it [rad/s]."""
DEFAULT_STEP = 0.55
"""Time of a step that cannot be measured [s]."""
SLOW, FAST = 15, 85
"""Percentiles of the speeds of a movement's clips that are aimed at when it is slow or fast."""
SPEED_TOLERANCE = 0.35
"""A speed in numbers is met by parts as near to it [m/s]."""
_STRIDE = 0.25  # s between the beginnings of the parts that are looked at
_SPEED_SCALE, _TURNING_SCALE = 0.25, 0.25  # what weighs as much as having to repeat a clip
_REPEATED = 0.5


@dataclass(frozen=True, eq=False)
class Labelled:
    """A clip to choose from.

    Attributes
    ----------
    motion : ReferenceMotion
    movement : str
        Name of the movement that it shows.
    """

    motion: ReferenceMotion
    movement: str


@dataclass(frozen=True, eq=False)
class Option:
    """A part of a clip that shows what is asked for.

    Attributes
    ----------
    motion : ReferenceMotion
        The whole clip.
    first, last : int
        Frames that the part begins and ends with.
    seconds : float
        How long it is to be shown [s], which may be longer than the part.
    speed, turning : float
        Of the part [m/s], [rad/s].
    cost : float
        How far it is from what is asked for.
    """

    motion: ReferenceMotion
    first: int
    last: int
    seconds: float
    speed: float
    turning: float
    cost: float


def options_for(
    clause: Clause, movement: str, clips: Sequence[Labelled], spare: float
) -> list[Option]:
    """Parts of clips that show what a clause asks for, best first, one a clip.

    Parameters
    ----------
    clause : Clause
    movement : str
        That the clause means.
    clips : sequence of Labelled
    spare : float
        Time that a part should last longer than it is shown, for the seams [s].

    Returns
    -------
    list of Option

    Raises
    ------
    InvalidInputError
        No clip of the movement goes to that side or at that speed.
    """
    mine = [clip.motion for clip in clips if clip.movement == movement]
    speeds = np.array([speed_and_turning(motion)[0] for motion in mine])
    aim = _speed_aim(clause, speeds)
    found = []
    for motion in mine:
        seconds = _seconds(clause, movement, motion)
        parts = [_part(motion, first, last) for first, last in _parts(motion, seconds + spare)]
        sided = [p for p in parts if _fits_side(clause, movement, p[3])]
        costs = [_cost(clause, movement, p, aim, seconds + spare, motion.rate) for p in sided]
        if costs:
            k = int(np.argmin(costs))
            first, last, speed, turning = sided[k]
            shown = _seconds(clause, movement, motion, speed, turning)
            found.append(Option(motion, first, last, shown, speed, turning, costs[k]))
    if not found:
        sides = sorted({"left" if speed_and_turning(m)[1] > 0 else "right" for m in mine})
        raise InvalidInputError(
            f"{clause.text!r}: no clip of {movement!r} turns {clause.side}. "
            f"They turn: {', '.join(sides)}."
        )
    if isinstance(clause.speed, float):
        near = [o for o in found if abs(o.speed - clause.speed) <= SPEED_TOLERANCE]
        if not near:
            raise InvalidInputError(
                f"{clause.text!r}: no clip of {movement!r} goes at {clause.speed:g} m/s. Their "
                f"speeds are {speeds.min():.1f} to {speeds.max():.1f} m/s."
            )
        found = near
    return sorted(found, key=lambda option: option.cost)


def _speed_aim(clause: Clause, speeds: FloatArray) -> float:
    if isinstance(clause.speed, float):
        return clause.speed
    percentile = {"slow": SLOW, "fast": FAST}.get(str(clause.speed), 50)
    return float(np.percentile(speeds, percentile, method="nearest"))


def _parts(motion: ReferenceMotion, seconds: float) -> list[tuple[int, int]]:
    """First and last frames of parts of a length, or of the whole clip if it is shorter."""
    n, wanted = motion.n_frames, round(seconds * motion.rate)
    if n <= wanted:
        return [(0, n - 1)]
    step = max(1, round(_STRIDE * motion.rate))
    return [(int(first), int(first) + wanted) for first in range(0, n - wanted, step)]


def _part(motion: ReferenceMotion, first: int, last: int) -> tuple[int, int, float, float]:
    """The same frames, with speed [m/s] and turning rate [rad/s]."""
    speed = float(np.linalg.norm(motion.qvel[first : last + 1, :2], axis=1).mean())
    angle = heading(motion.qpos[first : last + 1])
    return first, last, speed, float(angle[-1] - angle[0]) / ((last - first) / motion.rate)


def _fits_side(clause: Clause, movement: str, turning: float) -> bool:
    if clause.side is not None:
        return turning > TURNING if clause.side == "left" else turning < -TURNING
    return abs(turning) > TURNING if movement == TURN else True


def _cost(
    clause: Clause,
    movement: str,
    part: tuple[int, int, float, float],
    aim: float,
    seconds: float,
    rate: float,
) -> float:
    first, last, speed, turning = part
    cost = abs(speed - aim) / _SPEED_SCALE
    if movement in (WALK, RUN) and clause.side is None:
        cost += abs(turning) / _TURNING_SCALE
    elif movement == TURN:
        # The quicker it turns, the more of it is turning.
        cost += 1.0 / max(abs(turning), 0.1)
    if (last - first) / rate < seconds - 1.0 / rate:
        cost += _REPEATED
    return float(cost)


def _seconds(
    clause: Clause,
    movement: str,
    motion: ReferenceMotion,
    speed: float | None = None,
    turning: float | None = None,
) -> float:
    """How long a clip is shown [s]."""
    whole = speed_and_turning(motion)
    pace = max(whole[0] if speed is None else speed, 0.05)
    rate = abs(whole[1] if turning is None else turning)
    if clause.duration is not None:
        seconds = clause.duration
    elif clause.distance is not None:
        seconds = clause.distance / pace
    elif clause.steps is not None:
        seconds = clause.steps * step_time(motion)
    elif clause.angle is not None or movement == TURN:
        angle = np.deg2rad(TURN_ANGLE if clause.angle is None else clause.angle)
        seconds = float(angle) / max(rate, TURNING)
    else:
        seconds = DURATION
    if clause.times is not None:
        seconds *= clause.times
    if seconds > LONGEST_DURATION:
        raise InvalidInputError(
            f"{clause.text!r} would take {seconds:.0f} s; a clause lasts at most "
            f"{LONGEST_DURATION:g} s."
        )
    return seconds


def step_time(motion: ReferenceMotion) -> float:
    """Mean time from the touch of one heel to that of the other [s].

    :data:`DEFAULT_STEP` for a clip of less than two touches.

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> 0.5 < step_time(load_motion("walk").loop(3)) < 0.65
    True
    """
    stance = detect_stance(motion.body, motion.frames, motion.rate)
    heels = [k for k, name in enumerate(motion.body.contacts) if name.startswith("calcn")]
    touches = sorted(start for k in heels for start, _ in stance.intervals(k) if start > 0)
    if len(touches) < 2:
        return DEFAULT_STEP
    seconds = (touches[-1] - touches[0]) / (len(touches) - 1) / motion.rate
    return float(np.clip(seconds, 0.25, 1.5))
