"""Estimated contact: friction pyramids at points of the sole, for static optimisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.kinematics import contact_points, rotate
from kinesis_neuro.motion.dynamics import (
    InverseDynamics,
    StaticOptimizationConfig,
    generalized_force,
)
from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]

FORCE_UNIT = 100.0
"""Contact forces are solved for in this unit [N]."""


def contact_edges(
    motion: ReferenceMotion, dynamics: InverseDynamics, config: StaticOptimizationConfig
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.intp], FloatArray]:
    """Columns of the friction pyramids' edges at the points of the soles.

    Returns
    -------
    columns : ndarray, shape (n, n_independent, n_edges)
        Generalised force of 100 N along each edge.
    directions : ndarray, shape (n, n_edges, 3)
    penalty : ndarray, shape (n, n_edges)
    foot : ndarray of int, shape (n_edges,)
        0 right, 1 left.
    points : ndarray, shape (n, n_edges, 3)
    """
    body = motion.body
    mu = config.friction
    # The pyramids turn with the pelvis: which way the body walks must not matter.
    pyramid = _turned(
        np.array([[mu, 0, 1], [-mu, 0, 1], [0, mu, 1], [0, -mu, 1.0]]), _heading(motion)
    )
    columns, directions, penalties, feet, where = [], [], [], [], []
    for contact, segment in enumerate(body.contacts):
        index = body.segments.index(segment)
        origin = motion.frames.body_position[:, index]
        orientation = motion.frames.body_orientation[:, index]
        local, radii = _extremes(*contact_points(body, segment))
        for centre, radius in zip(local, radii, strict=True):
            point = origin + rotate(orientation, centre[None])
            point[:, 2] -= radius
            speed = _point_speed(point, motion)
            height = np.maximum(point[:, 2], 0.0)
            ready = np.exp(-height / config.contact_height - speed / config.contact_speed)
            penalty = config.contact_penalty / np.maximum(ready, 0.01)
            # Out of reach: so dear that no force is put there.
            penalty = np.where(point[:, 2] > config.contact_distance, 1e3, penalty)
            for edge in pyramid:
                full = generalized_force(dynamics, contact, origin, point, FORCE_UNIT * edge)
                columns.append(np.einsum("kvi,kv->ki", dynamics.tangent, full))
                directions.append(edge)
                penalties.append(penalty)
                feet.append(0 if segment.endswith("_r") else 1)
                where.append(point)
    return (
        np.stack(columns, axis=2),
        np.stack(directions, axis=1),
        np.stack(penalties, axis=1),
        np.array(feet),
        np.stack(where, axis=1),
    )


def _heading(motion: ReferenceMotion) -> FloatArray:
    """Yaw of the pelvis (n,) [rad]."""
    w, x, y, z = motion.qpos[:, 3:7].T
    return np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def _turned(vectors: FloatArray, angle: FloatArray) -> FloatArray:
    """Vectors (m, 3) turned about the vertical by each angle (n,): (m, n, 3)."""
    cos, sin, (x, y, z) = np.cos(angle), np.sin(angle), vectors.T[..., None]
    return np.stack([x * cos - y * sin, x * sin + y * cos, z + 0 * cos], axis=-1)


def _extremes(points: FloatArray, radii: FloatArray, limit: int = 8) -> tuple:
    """At most ``limit`` points of a sole, spread over it (a mesh has hundreds of vertices)."""
    if len(points) <= limit:
        return points, radii
    sole = np.flatnonzero(points[:, 1] <= np.quantile(points[:, 1], 0.4))
    angle = np.arange(limit) * 2 * np.pi / limit
    ahead = points[sole][:, [0, 2]] - points[sole][:, [0, 2]].mean(0)
    chosen = np.unique([sole[(ahead @ [np.cos(a), np.sin(a)]).argmax()] for a in angle])
    return points[chosen], radii[chosen]


def _point_speed(point: FloatArray, motion: ReferenceMotion) -> FloatArray:
    """Speed of a point that moves with a foot [m/s], by central differences."""
    if motion.displacement is None:
        return np.linalg.norm(np.gradient(point, 1.0 / motion.rate, axis=0), axis=1)
    around = np.concatenate(
        [point[-1:] - motion.displacement, point, point[:1] + motion.displacement]
    )
    return np.linalg.norm((around[2:] - around[:-2]) * motion.rate / 2, axis=1)


def sum_contacts(
    force: FloatArray, directions: FloatArray, foot: NDArray[np.intp], points: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Net force and centre of pressure of the right and the left foot."""
    vectors = force[..., None] * directions
    net = np.stack([vectors[:, foot == f].sum(axis=1) for f in (0, 1)], axis=1)
    share = np.stack(
        [(force[..., None] * points)[:, foot == f].sum(axis=1) for f in (0, 1)], axis=1
    )
    total = net[..., 2:]
    return net, np.where(total > 1.0, share / np.maximum(total, 1.0), 0.0)
