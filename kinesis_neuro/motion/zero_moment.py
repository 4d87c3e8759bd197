"""Where the ground's force would have to act for a motion to happen, and where it can.

The zero moment point is the point of the floor about which gravity and inertia have no horizontal
moment (Vukobratovic & Borovac 2004). While feet are the only thing that touches the floor it is
their common centre of pressure, so that it cannot leave the convex hull of what touches: a motion
in which it does is one that no muscles can produce.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.kinematics import sole_points
from kinesis_neuro.motion.dynamics import StaticOptimizationConfig, inverse_dynamics
from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]

CONTACT_HEIGHT = 0.015
"""Points of the soles lower than this can bear load [m]."""


@dataclass(frozen=True, eq=False)
class GroundDemand:
    """What a motion of n frames asks of the ground, and where its feet could give it.

    Attributes
    ----------
    point : ndarray, shape (n, 2)
        Zero moment point on the floor [m]; without meaning where hardly any force is asked for.
    force : ndarray, shape (n, 3)
        Force of the ground that the motion needs [N].
    corners : ndarray, shape (n, n_corners, 2)
        Convex hull of the points of the soles that are on the floor, counter-clockwise, the last
        corner repeated; NaN in frames in which none is.
    center_of_mass : ndarray, shape (n, 3)
        [m]
    weight : float
        Of the body [N].
    """

    point: FloatArray
    force: FloatArray
    corners: FloatArray
    center_of_mass: FloatArray
    weight: float

    @property
    def load(self) -> FloatArray:
        """Vertical force in body weights (n,), 1.5 at most; zero in flight."""
        share = np.clip(self.force[:, 2] / self.weight, 0.0, 1.5)
        return np.where(self.stands, share, 0.0)

    @property
    def stands(self) -> NDArray[np.bool_]:
        """Frames (n,) in which something is on the floor."""
        return np.asarray(np.isfinite(self.corners[:, 0, 0]))

    def outside(self) -> FloatArray:
        """How far the zero moment point lies out of the feet (n,) [m]; NaN in flight."""
        way = nearest_inside(self.point, self.corners) - self.point
        return np.asarray(np.linalg.norm(way, axis=1))

    def mean_outside(self) -> float:
        """Its mean over the frames on the floor, each by its load [m]."""
        on = self.stands
        return float(self.load[on] @ self.outside()[on] / max(self.load.sum(), 1e-9))


def ground_demand(
    motion: ReferenceMotion, config: StaticOptimizationConfig | None = None
) -> GroundDemand:
    """Zero moment point, needed force and support of a motion.

    Parameters
    ----------
    motion : ReferenceMotion
    config : StaticOptimizationConfig, optional
        Its smoothing of the derivatives is used, so that the demand is that of static optimisation.

    Returns
    -------
    GroundDemand

    Examples
    --------
    Someone who stands still has it under the centre of mass:

    >>> from kinesis_neuro.body.models import load_body
    >>> import numpy as np
    >>> body = load_body("legs")
    >>> still = ReferenceMotion.from_poses(body, np.tile(body.model.qpos0, (30, 1)), 150.0)
    >>> demand = ground_demand(still)
    >>> bool(np.allclose(demand.point, demand.center_of_mass[:, :2], atol=1e-3))
    True
    """
    forces = inverse_dynamics(motion, config or StaticOptimizationConfig()).full
    turn = Rotation.from_quat(motion.qpos[:, 3:7], scalar_first=True)
    # MuJoCo gives the root's force in the world and its moment in the root's own frame.
    force, moment = forces[:, :3], turn.apply(forces[:, 3:6])
    x, y, z = motion.qpos[:, :3].T
    vertical = np.where(np.abs(force[:, 2]) < 1.0, 1.0, force[:, 2])
    point = np.stack(
        [
            x - (moment[:, 1] + z * force[:, 0]) / vertical,
            y + (moment[:, 0] - z * force[:, 1]) / vertical,
        ],
        axis=1,
    )
    return GroundDemand(point, force, _support(motion), _center_of_mass(motion), motion.body.weight)


def nearest_inside(points: FloatArray, corners: FloatArray) -> FloatArray:
    """Points of convex polygons that are nearest to given points.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
    corners : ndarray, shape (n, n_corners, 2)
        Counter-clockwise; a corner may be repeated, and all may lie on a line.

    Returns
    -------
    ndarray, shape (n, 2)
        The points themselves where they lie inside.

    Examples
    --------
    >>> square = np.array([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]])
    >>> print(nearest_inside(np.array([[2.0, 0.5]]), square))
    [[1.  0.5]]
    """
    ahead = np.roll(corners, -1, axis=1)
    edge, way = ahead - corners, points[:, None] - corners
    length = (edge**2).sum(axis=-1)
    along = np.clip((way * edge).sum(axis=-1) / np.maximum(length, 1e-12), 0.0, 1.0)
    on_edge = corners + along[..., None] * edge
    distance = ((points[:, None] - on_edge) ** 2).sum(axis=-1)
    best = on_edge[np.arange(len(points)), distance.argmin(axis=1)]
    left = edge[..., 0] * way[..., 1] - edge[..., 1] * way[..., 0] >= 0.0
    area = (corners[..., 0] * ahead[..., 1] - corners[..., 1] * ahead[..., 0]).sum(axis=1)
    inside = left.all(axis=1) & (area > 1e-8)
    return np.where(inside[:, None], points, best)


def _support(motion: ReferenceMotion) -> FloatArray:
    """Corners of the convex hulls of what is on the floor."""
    soles = sole_points(motion.body, motion.frames)
    on_floor = soles[..., 2] < CONTACT_HEIGHT
    hulls = [_hull(p[low]) for p, low in zip(soles[..., :2], on_floor, strict=True)]
    corners = np.full((len(hulls), max(3, *map(len, hulls)), 2), np.nan)
    for row, hull in zip(corners, hulls, strict=True):
        if len(hull):
            row[: len(hull)], row[len(hull) :] = hull, hull[-1]
    return corners


def _hull(points: FloatArray) -> FloatArray:
    """Corners of a convex hull, counter-clockwise; all points where they are too few for one."""
    if len(points) > 2:
        try:
            return np.asarray(points[ConvexHull(points).vertices])
        except QhullError:  # all on a line: its ends are among them
            pass
    return points


def _center_of_mass(motion: ReferenceMotion) -> FloatArray:
    """Of the whole body [m], in every frame."""
    model = motion.body.model
    data, center = mujoco.MjData(model), np.empty((motion.n_frames, 3))
    for k, pose in enumerate(motion.qpos):
        data.qpos = pose
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        center[k] = data.subtree_com[0]
    return center
