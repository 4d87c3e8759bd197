"""A reference that is steered: each environment's own way, written a little ahead of its body.

Rows of a gait family (:mod:`kinesis_neuro.motion.gait_family`) are mixed by level, phase and
curvature, and put where the environment's way has come to. The way is integrated from a commanded
speed and heading with bounded accelerations, so that a change of command never moves a body or its
reference at once; it is written as far ahead as observations and feed-forward look, about 0.2 s.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import PHYSICS_RATE
from kinesis_neuro.env import terms
from kinesis_neuro.env.reference_table import Placed, ReferenceTable, Segments
from kinesis_neuro.motion.gait_family import CURVATURE, LEVELS, GaitFamily
from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

SLOWEST_PACE = 0.9
"""Cadence of the shortest steps, in that of the recording; full steps have all of it."""

FIRST_STEP = 0.0
"""Phase with which who stands sets out: the right foot takes the weight, the left swings."""

FULL_TURN_SPEED = 0.4
"""Speed from which the way turns as fast as it may [m/s]; who stands does not turn."""

LARGEST_CURVATURE = 1.6
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
    """

    acceleration: float = 0.9
    turn_rate: float = 0.6
    turn_acceleration: float = 3.0


_TURN_GAIN = 2.5
_COLUMNS = ("phase", "speed", "yaw", "turn", "x", "y")


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
    way : ndarray, shape (n_envs, n_kept, 6)
        Phase [frames], speed [m/s], heading [rad], turning rate [rad/s] and place [m] of the last
        frames and those ahead; a ring.
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
        zero = np.zeros(which.size)
        self.way[which, 0] = np.stack([phase, speed, zero, zero, zero, zero], axis=-1)
        self.written[which] = 0

    def extend(
        self, which: IntArray, speed: FloatArray, heading: FloatArray, limits: Limits
    ) -> None:
        """Write one more frame of some ways towards commanded speeds and headings, each (n,)."""
        size, dt = self.way.shape[1], 1.0 / PHYSICS_RATE
        last = self.written[which]
        phase, v, yaw, turn, x, y = self.way[which, last % size].T
        _, pace = level_and_pace(v, self.full_speed)
        stands = (v == 0.0) & (speed == 0.0)
        step = forward(yaw) * (v * dt)[:, None]
        change = limits.acceleration * dt
        allowed = limits.turn_rate * np.minimum(1.0, v / FULL_TURN_SPEED)
        wanted = np.clip(_TURN_GAIN * wrap(heading - yaw), -allowed, allowed)
        swing = limits.turn_acceleration * dt
        self.way[which, (last + 1) % size] = np.stack(
            [
                np.where(stands, FIRST_STEP * self.n_frames, np.mod(phase + pace, self.n_frames)),
                v + np.clip(speed - v, -change, change),
                yaw + turn * dt,
                turn + np.clip(wanted - turn, -swing, swing),
                x + step[:, 0],
                y + step[:, 1],
            ],
            axis=-1,
        )
        self.written[which] = last + 1

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
        phase, speed, yaw, turn, x, y = self.way[motion, frame % self.way.shape[1]].T
        level, pace = level_and_pace(speed, self.full_speed)
        place = level * (len(LEVELS) - 1)
        low = np.minimum(place.astype(np.intp), len(LEVELS) - 2)
        early = phase.astype(np.intp) % self.n_frames
        late = (early + 1) % self.n_frames
        up, on = place - low, phase - np.floor(phase)
        bend = np.clip(
            turn / np.maximum(speed, 0.5 * FULL_TURN_SPEED), -LARGEST_CURVATURE, LARGEST_CURVATURE
        )
        n, share = self.n_frames, (bend / CURVATURE)[:, None]
        first, second = low * n, (low + 1) * n
        straight = np.stack([first + early, first + late, second + early, second + late], axis=1)
        weight = np.stack([(1 - up) * (1 - on), (1 - up) * on, up * (1 - on), up * on], axis=1)
        return Steered(
            table=self,
            rows=np.where(up < 0.5, first, second) + np.where(on < 0.5, early, late),
            shift=np.stack([x, y, np.zeros_like(x)], axis=-1),
            corners=np.concatenate([straight, straight + len(LEVELS) * n], axis=1),
            weight=np.concatenate([weight * (1.0 - share), weight * share], axis=1),
            yaw=yaw,
            turn=turn,
            pace=pace,
        )

    def phase(self, motion: IntArray, frame: IntArray) -> FloatArray:
        """Phase of the gait, 0 to 1, shape (n,)."""
        value: FloatArray = self.way[motion, frame % self.way.shape[1], 0] / self.n_frames
        return value


@dataclass(frozen=True, eq=False)
class Steered(Placed):
    """Moments of ways: rows of the family mixed, turned and moved.

    Attributes
    ----------
    corners : ndarray of int, shape (n, 8)
        Rows that are mixed: two levels and two phases, along the line and the curve.
    weight : ndarray, shape (n, 8)
    yaw, turn, pace : ndarray, shape (n,)
        Heading [rad], turning rate [rad/s], cadence in that of the gait.
    """

    corners: IntArray
    weight: FloatArray
    yaw: FloatArray
    turn: FloatArray
    pace: FloatArray

    def of(self, values: FloatArray) -> FloatArray:
        """Mixture of an array's rows."""
        mixed: FloatArray = np.einsum("nk,nk...->n...", self.weight, values[self.corners])
        return mixed

    def rate_of(self, values: FloatArray) -> FloatArray:
        """The same for an array of velocities, which go with the cadence."""
        mixed = self.of(values)
        return mixed * self.pace.reshape(-1, *[1] * (mixed.ndim - 1))

    def _turned(self, vectors: FloatArray) -> FloatArray:
        return terms.to_local(vectors, -self.yaw)

    def qpos(self) -> FloatArray:
        """Poses, shape (n, nq)."""
        qpos = self.of(self.table.qpos)
        qpos[:, :3] = self._turned(qpos[:, None, :3])[:, 0] + self.shift
        qpos[:, 3:7] = _yawed(self.yaw, qpos[:, 3:7])
        return self.table.body.coupling.complete(qpos)

    def qvel(self) -> FloatArray:
        """Velocities of the poses, shape (n, nv)."""
        qvel = self.rate_of(self.table.qvel)
        qvel[:, :3] = self._turned(qvel[:, None, :3])[:, 0]
        # Along the root's own axes; it stands nearly upright.
        qvel[:, 5] += self.turn
        return qvel

    def heading(self) -> FloatArray:
        """Angle of the root about the vertical [rad], shape (n,)."""
        table = self.table
        assert isinstance(table, CourseTable)
        return self.yaw + self.of(table.row_heading)

    def position(self, segments: Segments = slice(None)) -> FloatArray:
        """Of segments [m], shape (n, n_segments, 3)."""
        return self._turned(self._own(self.table.position, segments)) + self.shift[:, None]

    def velocity(self, segments: Segments = slice(None)) -> FloatArray:
        """Of segments [m/s], shape (n, n_segments, 3)."""
        own = self._own(self.table.velocity, segments) * self.pace[:, None, None]
        place = self._own(self.table.position, segments)
        own[..., 0] -= self.turn[:, None] * place[..., 1]
        own[..., 1] += self.turn[:, None] * place[..., 0]
        return self._turned(own)

    def _own(self, values: FloatArray, segments: Segments) -> FloatArray:
        picked = values[self.corners][:, :, segments]
        mixed: FloatArray = np.einsum("nk,nk...->n...", self.weight, picked)
        return mixed

    def orientation(self) -> FloatArray:
        """Of all segments, shape (n, n_segments, 4)."""
        mixed = self.of(self.table.orientation)
        return _yawed(np.repeat(self.yaw[:, None], mixed.shape[1], axis=1), mixed)


def _yawed(yaw: FloatArray, quaternion: FloatArray) -> FloatArray:
    """Rotations (..., 4), normalised, turned about the vertical afterwards."""
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    c, s = np.cos(0.5 * yaw), np.sin(0.5 * yaw)
    turned = np.stack([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w], axis=-1)
    return turned / np.linalg.norm(turned, axis=-1, keepdims=True)
