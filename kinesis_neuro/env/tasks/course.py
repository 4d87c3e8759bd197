"""A reference that is steered: each environment's own way, written a little ahead of its body.

Rows of a gait family (:mod:`kinesis_neuro.motion.gait_family`) are mixed by level, phase,
curvature and acceleration, and put where the environment's way has come to. The way is integrated
from a commanded speed and heading with bounded accelerations, which do not jump either, so that a
change of command never moves a body or its reference at once; it is written as far ahead as
observations and feed-forward look, about 0.2 s.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import PHYSICS_RATE
from kinesis_neuro.env import terms
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.tasks.steered import Steered
from kinesis_neuro.motion.gait_family import ACCELERATION, CURVATURE, LEVELS, GaitFamily
from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

SLOWEST_PACE = 0.9
"""Cadence of the shortest steps, in that of the recording; full steps have all of it."""

FIRST_STEP = 0.0
"""Phase with which who stands sets out: the right foot takes the weight, the left swings."""

FULL_TURN_SPEED = 0.6
"""Speed from which the way turns as fast as it may [m/s]; who stands does not turn."""

LARGEST_CURVATURE = 1.2
"""Curvature for which legs are still bent to the way [1/m]."""


@dataclass(frozen=True)
class Limits:
    """How fast a way changes.

    Attributes
    ----------
    acceleration : float
        [m/s^2]
    turn_rate : float
        [rad/s]
    turn_acceleration : float
        [rad/s^2]
    jerk : float
        Rate of change of the acceleration [m/s^3].
    """

    acceleration: float = 0.7
    turn_rate: float = 0.6
    turn_acceleration: float = 3.0
    jerk: float = 4.0

    def stopping_distance(self, speed: FloatArray) -> FloatArray:
        """How far a way at these speeds leads when it is told to stand [m].

        Examples
        --------
        >>> Limits().stopping_distance(np.array([0.0, 0.9])).round(3).tolist()
        [0.0, 0.657]
        """
        constant = 0.5 * speed**2 / self.acceleration
        begun: FloatArray = 0.5 * speed * self.acceleration / self.jerk
        return constant + begun


_TURN_GAIN = 2.5
_MIXED = ("level", "curvature", "acceleration")
_COLUMNS = (
    *("phase", "speed", "yaw", "turn", "x", "y", "acceleration"),
    *(f"{share}_rate" for share in _MIXED),
)


def wrap(angle: FloatArray) -> FloatArray:
    """Angles between -pi and pi.

    Examples
    --------
    >>> float(wrap(np.array([3.5])).round(4)[0])
    -2.7832
    """
    wrapped: FloatArray = np.mod(angle + np.pi, 2.0 * np.pi) - np.pi
    return wrapped


def forward(yaw: FloatArray) -> FloatArray:
    """Unit vectors (n, 2) in which bodies of these headings face; 0 faces -y, as gaits do."""
    return np.stack([np.sin(yaw), -np.cos(yaw)], axis=-1)


def level_and_pace(speed: FloatArray, full_speed: float) -> tuple[FloatArray, FloatArray]:
    """Step length and cadence, in those of the gait, that make a speed [m/s].

    Examples
    --------
    >>> level, pace = level_and_pace(np.array([0.0, 0.5, 1.0, 1.2]), 1.0)
    >>> level.round(3).tolist(), pace.round(3).tolist(), (level * pace).round(3).tolist()
    ([0.0, 0.526, 1.0, 1.0], [0.9, 0.95, 1.0, 1.2], [0.0, 0.5, 1.0, 1.2])
    """
    relative = speed / full_speed
    pace = SLOWEST_PACE + (1.0 - SLOWEST_PACE) * relative
    level = np.minimum(1.0, relative / pace)
    return level, np.where(level < 1.0, pace, relative)


@dataclass(frozen=True, eq=False)
class CourseTable(ReferenceTable):
    """A table in which every environment's way is a motion of its own.

    Attributes
    ----------
    full_speed : float
        Of the gait [m/s].
    n_frames : int
        Of the gait.
    ahead : int
        Frames that are written ahead of the body.
    way : ndarray, shape (n_envs, n_kept, 10)
        Phase [frames], speed [m/s], heading [rad], turning rate [rad/s], place [m] and acceleration
        [m/s^2] of the last frames and those ahead, and how fast what is mixed changes [1/s]; a
        ring.
    written : ndarray of int, shape (n_envs,)
        Last frame that is written.
    row_heading : ndarray, shape (n_rows,)
        Heading of the root in its row [rad].
    """

    full_speed: float
    n_frames: int
    ahead: int
    way: FloatArray
    written: IntArray
    row_heading: FloatArray

    @classmethod
    def of_gait(
        cls,
        gait: ReferenceMotion,
        family: GaitFamily,
        *,
        actuation: str,
        activated: bool,
        n_envs: int,
        ahead: int,
    ) -> CourseTable:
        """Tabulate a family for n environments."""
        table = ReferenceTable.build(
            family.motions,
            actuation=actuation,
            activated=activated,
            activations=family.activation or None,
        )
        n = gait.n_frames
        # Rows stay where they are; the way moves them.
        share = np.tile(np.arange(n) / n, len(table.motions))[:, None]
        progress = share * np.repeat(table.displacement, n, axis=0)
        values = {f.name: getattr(table, f.name) for f in fields(ReferenceTable)}
        values["qpos"] = table.qpos.copy()
        values["qpos"][:, :3] -= progress
        values["position"] = table.position - progress[:, None]
        # A rotation has two quaternions; mixtures need the nearer one.
        nearer = np.sign(np.einsum("nsq,sq->ns", table.orientation, table.orientation[0]))
        values["orientation"] = table.orientation * np.where(nearer < 0, -1.0, 1.0)[..., None]
        values |= {
            "motions": (gait,) * n_envs,
            "start": np.zeros(n_envs, dtype=np.intp),
            "length": np.full(n_envs, n, dtype=np.intp),
            "displacement": np.zeros((n_envs, 3)),
            "periodic": np.ones(n_envs, dtype=bool),
        }
        return cls(
            **values,
            full_speed=family.stride / gait.duration,
            n_frames=n,
            ahead=ahead,
            way=np.zeros((n_envs, ahead + 8, len(_COLUMNS))),
            written=np.zeros(n_envs, dtype=np.intp),
            row_heading=terms.heading(values["qpos"][:, 3:7]),
        )

    # -- writing ------------------------------------------------------------------------------

    def begin(self, which: IntArray, phase: FloatArray, speed: FloatArray) -> None:
        """Start ways at the origin, heading 0, with a phase [frames] and a speed [m/s]."""
        self.way[which, 0] = 0.0
        self.way[which, 0, :2] = np.stack([phase, speed], axis=-1)
        self.written[which] = 0

    def extend(
        self, which: IntArray, speed: FloatArray, heading: FloatArray, limits: Limits
    ) -> None:
        """Write one more frame of some ways towards commanded speeds and headings, each (n,)."""
        size, dt = self.way.shape[1], 1.0 / PHYSICS_RATE
        last = self.written[which]
        row = self.way[which, last % size]
        phase, v, yaw, turn, x, y, a = row.T[:7]
        _, pace = level_and_pace(v, self.full_speed)
        stands = (v == 0.0) & (speed == 0.0)
        step = forward(yaw) * (v * dt)[:, None]
        # So fast that with a bounded change it is at rest just where the speed is right.
        apart = speed - v
        fit = np.minimum(limits.acceleration, np.sqrt(2.0 * limits.jerk * np.abs(apart)))
        jolt = limits.jerk * dt
        gain = a + np.clip(np.sign(apart) * fit - a, -jolt, jolt)
        there = np.abs(apart) <= np.abs(gain) * dt
        allowed = limits.turn_rate * np.minimum(1.0, v / FULL_TURN_SPEED)
        wanted = np.clip(_TURN_GAIN * wrap(heading - yaw), -allowed, allowed)
        swing = limits.turn_acceleration * dt
        new = np.stack(
            [
                np.where(stands, FIRST_STEP * self.n_frames, np.mod(phase + pace, self.n_frames)),
                np.where(there, speed, np.maximum(v + gain * dt, 0.0)),
                yaw + turn * dt,
                turn + np.clip(wanted - turn, -swing, swing),
                x + step[:, 0],
                y + step[:, 1],
                gain,
            ],
            axis=-1,
        )
        rates = (self._shares(new) - self._shares(row)) / dt
        self.way[which, (last + 1) % size] = np.concatenate([new, rates], axis=1)
        self.written[which] = last + 1

    def _shares(self, way: FloatArray) -> FloatArray:
        """Level, curvature and acceleration that are mixed, the latter two in the family's."""
        _, speed, _, turn, _, _, gain = way.T[:7]
        level, _ = level_and_pace(speed, self.full_speed)
        bend = turn / np.maximum(speed, 0.5 * FULL_TURN_SPEED)
        bend = np.clip(bend, -LARGEST_CURVATURE, LARGEST_CURVATURE)
        return np.stack([level, bend / CURVATURE, gain / ACCELERATION], axis=1)

    def state(self, which: IntArray, frame: IntArray) -> dict[str, FloatArray]:
        """Phase, speed, yaw, turn, x and y of ways in frames that are kept."""
        rows = self.way[which, frame % self.way.shape[1]]
        return dict(zip(_COLUMNS, rows.T, strict=True))

    # -- reading ------------------------------------------------------------------------------

    def rows(self, motion: IntArray, frame: IntArray) -> tuple[IntArray, FloatArray]:
        """Nearest rows along the line, and the place of the way."""
        placed = self.at(motion, frame)
        return placed.rows, placed.shift

    def at(self, motion: IntArray, frame: IntArray) -> Steered:
        """The reference of environments (`motion`) in frames of theirs."""
        row = self.way[motion, frame % self.way.shape[1]]
        phase, speed, yaw, turn, x, y = row.T[:6]
        _, pace = level_and_pace(speed, self.full_speed)
        level, bend, gain = self._shares(row).T
        level_rate, bend_rate, gain_rate = row.T[7:]
        place = level * (len(LEVELS) - 1)
        low = np.minimum(place.astype(np.intp), len(LEVELS) - 2)
        early = phase.astype(np.intp) % self.n_frames
        late = (early + 1) % self.n_frames
        up, on = place - low, phase - np.floor(phase)
        n = self.n_frames
        first, second = low * n, (low + 1) * n
        part = np.stack([first + early, first + late, second + early, second + late], axis=1)
        weight = np.stack([(1 - up) * (1 - on), (1 - up) * on, up * (1 - on), up * on], axis=1)
        climb = (len(LEVELS) - 1) * level_rate
        rising = climb[:, None] * np.stack([on - 1, -on, 1 - on, on], axis=1)
        shares = np.stack([1.0 - bend - gain, bend, gain], axis=1)[..., None]
        rates = np.stack([-bend_rate - gain_rate, bend_rate, gain_rate], axis=1)[..., None]
        parts = len(LEVELS) * n * np.arange(3)[:, None]
        size = motion.size, 3 * weight.shape[1]
        return Steered(
            table=self,
            rows=np.where(up < 0.5, first, second) + np.where(on < 0.5, early, late),
            shift=np.stack([x, y, np.zeros_like(x)], axis=-1),
            row_heading=self.row_heading,
            corners=(part[:, None] + parts).reshape(size),
            weight=(weight[:, None] * shares).reshape(size),
            change=(rising[:, None] * shares + weight[:, None] * rates).reshape(size),
            yaw=yaw,
            turn=turn,
            pace=pace,
        )

    def phase(self, motion: IntArray, frame: IntArray) -> FloatArray:
        """Phase of the gait, 0 to 1, shape (n,)."""
        value: FloatArray = self.way[motion, frame % self.way.shape[1], 0] / self.n_frames
        return value
