"""A kick's reference, led to where the ball lies in each environment.

The clip is one course of poses, or a gait; the ball lies a few centimetres beside the place that
it was made for, elsewhere in every environment. The plan is moved by as much, little by little
from the first frame until the supporting foot is down, so that the body starts where it starts
and the foot comes to the ball. After the clip the last pose is held; a gait goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import PHYSICS_RATE, Body
from kinesis_neuro.body.pitch import BALL_RADIUS
from kinesis_neuro.env.reference_table import Placed, ReferenceTable
from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_BY_ROW = ("position", "orientation", "muscle_length", "feedforward", "moment_matrix")
_RATES = ("velocity", "muscle_velocity")
_CYCLES = 3  # of a gait, in the last of which the ball is kicked
_TOE = 0.07  # from the joint of the toes to their tip [m]
_BESIDE = 0.035  # from there to the left: where a walker's foot meets a ball that goes straight [m]


@dataclass(frozen=True, eq=False)
class KickTable(ReferenceTable):
    """Each environment's motion is an entry of its own, at the same rows.

    Attributes
    ----------
    strike : int
        Frame in which the kicking foot is fastest.
    offset : ndarray, shape (n_envs, 2)
        Of the ball from the place that the clip was made for [m]; written to.
    """

    strike: int = 0
    offset: FloatArray = None  # type: ignore[assignment]

    @classmethod
    def of(cls, table: ReferenceTable, n_envs: int, held: float) -> KickTable:
        """Table of the kick for each environment, which goes on for a time after the strike [s].

        A clip that ends holds its last pose. A gait goes on, and is moved so that the swing of the
        right foot in its third cycle comes to the origin.

        Raises
        ------
        InvalidInputError
            If it holds several motions, or one that is no kick towards -y over the origin.
        """
        if len(table.motions) != 1:
            names = ", ".join(motion.name for motion in table.motions)
            raise InvalidInputError(f"A kick follows one motion, got {names}.")
        made = {f.name: getattr(table, f.name) for f in fields(ReferenceTable)}
        n, more = int(table.length[0]), round(held * PHYSICS_RATE)
        gait = bool(table.periodic[0])
        frames = np.arange((_CYCLES * n if gait else n) + more)
        rows = frames % n if gait else np.minimum(frames, n - 1)
        for name in ("qpos", "qvel", *_BY_ROW, *_RATES):
            if made[name] is not None:
                made[name] = made[name][rows]
        if gait:
            way = (frames // n)[:, None] * table.displacement[0]
            made["qpos"][:, :3] += way
            made["position"] += way[:, None]
        else:
            for name in ("qvel", *_RATES):
                made[name][n:] = 0.0
        strike = _strike(made, table, (_CYCLES - 1) * n if gait else 0)
        if gait:
            foot = made["position"][strike, table.body.segments.index("toes_r")]
            to_ball = np.array([foot[0] + _BESIDE, foot[1] - BALL_RADIUS - _TOE, 0.0])
            made["qpos"][:, :3] -= to_ball
            made["position"] -= to_ball
        every = np.zeros(n_envs, dtype=np.intp)
        made |= {
            "motions": table.motions * n_envs,
            "start": every,
            "length": every + frames.size,
            "displacement": np.zeros((n_envs, 3)),
            "periodic": np.zeros(n_envs, dtype=bool),
        }
        _check_strike(made, table, strike)
        return cls(**made, strike=strike, offset=np.zeros((n_envs, 2)))

    def at(self, motion: IntArray, frame: IntArray) -> Placed:
        """The reference in frames of environments' motions, on its way to the ball."""
        rows, shift = self.rows(motion, frame)
        shift = shift.astype(float)
        shift[:, :2] += _led(frame / (self.strike - SUPPORTED))[:, None] * self.offset[motion]
        return Placed(self, rows, shift)


SUPPORTED = 20
"""Frames before the strike at which the supporting foot is down, and the plan no longer moves."""


def _led(part: FloatArray) -> FloatArray:
    """From 0 to 1 without a jump in velocity (a smoothstep)."""
    part = np.clip(part, 0.0, 1.0)
    return part * part * (3.0 - 2.0 * part)


def _foot(made: Mapping[str, FloatArray], body: Body, name: str) -> FloatArray:
    """Course (n, 3) of the middle of the right foot."""
    foot = [body.segments.index(segment) for segment in ("talus_r", "toes_r")]
    middle: FloatArray = made[name][:, foot].mean(axis=1)
    return middle


def _strike(made: Mapping[str, FloatArray], table: ReferenceTable, first: int) -> int:
    """Frame, from a first one on, in which the right foot is fastest along the floor."""
    speed = np.linalg.norm(_foot(made, table.body, "velocity")[:, :2], axis=1)
    # A gait's swings are all alike: the first of those that are left.
    last = first + int(table.length[0])
    return first + int(speed[first:last].argmax())


def _check_strike(made: Mapping[str, FloatArray], table: ReferenceTable, frame: int) -> None:
    """Refuse a motion whose foot is not over the origin then, on its way to -y."""
    where, way = (_foot(made, table.body, name)[frame] for name in ("position", "velocity"))
    if np.linalg.norm(where[:2]) > 0.4 or -way[1] < 0.8 * np.linalg.norm(way[:2]):
        raise InvalidInputError(
            f"Motion {table.motions[0].name!r} is no kick of a ball at the origin towards -y: its "
            f"right foot is fastest at ({where[0]:.2f}, {where[1]:.2f}) m, and moves by "
            f"({way[0]:.1f}, {way[1]:.1f}) m/s. Move and turn the motion."
        )
