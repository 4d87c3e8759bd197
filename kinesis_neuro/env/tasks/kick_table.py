"""A kick's reference, led to where the ball lies in each environment.

The clip is one course of poses; the ball lies a few centimetres beside the place that the clip was
made for, elsewhere in every environment. The plan is moved by as much, little by little from the
first frame until the supporting foot is down, so that the body starts where it starts and the foot
comes to the ball. After the clip the last pose is held.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import PHYSICS_RATE
from kinesis_neuro.env.reference_table import Placed, ReferenceTable
from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_BY_ROW = ("position", "orientation", "muscle_length", "feedforward", "moment_matrix")
_RATES = ("velocity", "muscle_velocity")


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
        """Table of the kick for each environment, with its last pose held for a time [s].

        Raises
        ------
        InvalidInputError
            If it holds several motions, or one that is no kick towards -y over the origin.
        """
        if len(table.motions) != 1 or table.periodic[0]:
            names = ", ".join(motion.name for motion in table.motions)
            raise InvalidInputError(f"A kick follows one motion that ends, got {names}.")
        n, more = int(table.length[0]), round(held * PHYSICS_RATE)
        made = {f.name: getattr(table, f.name) for f in fields(ReferenceTable)}
        rows = np.minimum(np.arange(n + more), n - 1)
        for name in ("qpos", "qvel", *_BY_ROW, *_RATES):
            if made[name] is not None:
                made[name] = made[name][rows]
        for name in ("qvel", *_RATES):
            made[name][n:] = 0.0
        every = np.zeros(n_envs, dtype=np.intp)
        made |= {
            "motions": table.motions * n_envs,
            "start": every,
            "length": every + n + more,
            "displacement": np.zeros((n_envs, 3)),
            "periodic": np.zeros(n_envs, dtype=bool),
        }
        return cls(**made, strike=_strike(table), offset=np.zeros((n_envs, 2)))

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


def _strike(table: ReferenceTable) -> int:
    """Frame in which the right foot is fastest; it must be over the origin, on its way to -y."""
    foot = [table.body.segments.index(name) for name in ("talus_r", "toes_r")]
    position, velocity = (v[:, foot].mean(axis=1) for v in (table.position, table.velocity))
    frame = int(np.linalg.norm(velocity[:, :2], axis=1).argmax())
    where, way = position[frame], velocity[frame]
    if np.linalg.norm(where[:2]) > 0.3 or -way[1] < 0.8 * np.linalg.norm(way[:2]):
        raise InvalidInputError(
            f"Motion {table.motions[0].name!r} is no kick of a ball at the origin towards -y: its "
            f"right foot is fastest at ({where[0]:.2f}, {where[1]:.2f}) m, and moves by "
            f"({way[0]:.1f}, {way[1]:.1f}) m/s. Move and turn the motion."
        )
    return frame
