"""Moments of steered ways: rows of a gait family mixed, turned and moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.env import terms
from kinesis_neuro.env.reference_table import Placed, Segments

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Steered(Placed):
    """Moments of ways: rows of the family mixed, turned and moved.

    Attributes
    ----------
    row_heading : ndarray, shape (n_rows,)
        Heading of the root in each row of the table [rad].
    corners : ndarray of int, shape (n, 12)
        Rows that are mixed: two levels and two phases, along the line, along the curve, leaning.
    weight, change : ndarray, shape (n, 12)
        Of these rows, and how fast levels, curvature and acceleration change it [1/s].
    yaw, turn, pace : ndarray, shape (n,)
        Heading [rad], turning rate [rad/s], cadence in that of the gait.
    """

    row_heading: FloatArray
    corners: IntArray
    weight: FloatArray
    change: FloatArray
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
        poses = self.table.qpos[self.corners]
        qvel = self.rate_of(self.table.qvel)
        bent = np.einsum("nk,nkq->nq", self.change, poses)
        qvel[:, :3] += bent[:, :3]
        qvel[:, 6:] += bent[:, 7:]
        qvel[:, 3:6] += _rotation_rate(np.einsum("nk,nkq->nq", self.weight, poses), bent)
        qvel[:, :3] = self._turned(qvel[:, None, :3])[:, 0]
        # Along the root's own axes; it stands nearly upright.
        qvel[:, 5] += self.turn
        return qvel

    def heading(self) -> FloatArray:
        """Angle of the root about the vertical [rad], shape (n,)."""
        return self.yaw + self.of(self.row_heading)

    def position(self, segments: Segments = slice(None)) -> FloatArray:
        """Of segments [m], shape (n, n_segments, 3)."""
        return self._turned(self._own(self.table.position, segments)) + self.shift[:, None]

    def velocity(self, segments: Segments = slice(None)) -> FloatArray:
        """Of segments [m/s], shape (n, n_segments, 3)."""
        places = self.table.position[self.corners][:, :, segments]
        place, bent = (np.einsum("nk,nk...->n...", w, places) for w in (self.weight, self.change))
        own = self._own(self.table.velocity, segments) * self.pace[:, None, None] + bent
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


def _rotation_rate(qpos: FloatArray, rate: FloatArray) -> FloatArray:
    """Angular velocity of a root along its own axes, of poses and their rates of change."""
    (w, v), (dw, dv) = ((q[:, 3:4], q[:, 4:7]) for q in (qpos, rate))
    turned: FloatArray = 2.0 * (w * dv - dw * v - np.cross(v, dv))
    return turned / np.square(qpos[:, 3:7]).sum(axis=1, keepdims=True)


def _yawed(yaw: FloatArray, quaternion: FloatArray) -> FloatArray:
    """Rotations (..., 4), normalised, turned about the vertical afterwards."""
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    c, s = np.cos(0.5 * yaw), np.sin(0.5 * yaw)
    turned = np.stack([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w], axis=-1)
    return turned / np.linalg.norm(turned, axis=-1, keepdims=True)
