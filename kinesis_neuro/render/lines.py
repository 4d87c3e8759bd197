"""The same pictures without OpenGL: muscle paths and outlines of bones, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import mujoco
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from kinesis_neuro.render.ghost import GHOST_COLOR
from kinesis_neuro.render.poses import Poses

FloatArray = NDArray[np.float64]

_BONE, _BONE_EDGE, _FLOOR = "#efece3", "#8c8778", "#9aa0a8"
_REST_WIDTH, _ACTIVE_WIDTH = 0.6, 1.8  # points, in a view one inch high a metre
_MIDDLE = 0.02  # m to either side of the pelvis that count as the middle
# The far leg steps back: bones by their opacity, muscles by their width. Their colour is data.
_FAR_ALPHA, _FAR_WIDTH = 0.5, 0.65
_GRID = 0.5  # m between ticks on the floor


@dataclass(frozen=True, eq=False)
class Drawing:
    """Outlines and paths of one pose, in the plane of the picture.

    Attributes
    ----------
    outlines : list of ndarray, shape (n_points, 2)
        Bones [m]: along the heading, and height.
    paths : list of ndarray, shape (n_points, 2)
        Muscles, in the body's order; empty where a muscle has no path.
    outline_layer, path_layer : ndarray of int
        0 for the far side of the body, 1 for the middle, 2 for the near side.
    """

    outlines: list[FloatArray]
    paths: list[FloatArray]
    outline_layer: NDArray[np.intp]
    path_layer: NDArray[np.intp]


class LineRenderer:
    """Draws the poses of a recording as lines.

    Parameters
    ----------
    poses : Poses
    full_scale : float
        Activation that is wholly red.
    reach : float
        Height of the view [m].
    """

    def __init__(self, poses: Poses, full_scale: float, reach: float) -> None:
        model = poses.body.model
        self._poses, self._reach = poses, reach
        self._colors = poses.colors(full_scale)
        self._active = np.clip(np.nan_to_num(poses.activation) / full_scale, 0.0, 1.0)
        self._data = mujoco.MjData(model)
        drawn = (model.geom_type == mujoco.mjtGeom.mjGEOM_MESH) & (model.geom_group < 3)
        self._hulls = {int(g): _hull(model, int(g)) for g in np.flatnonzero(drawn)}
        self._bone_side, self._muscle_side = self._sides()
        # Along the heading, upwards, and towards the camera on the walker's right.
        ahead = np.array([*poses.heading, 0.0])
        self._axes = np.stack([ahead, [0.0, 0.0, 1.0], [ahead[1], -ahead[0], 0.0]], axis=1)

    def _forward(self, qpos: FloatArray) -> None:
        model, data = self._poses.body.model, self._data
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_tendon(model, data)

    def _sides(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Tell for each bone and muscle: left (-1), middle (0) or right (1).

        In the model's own pose: a body that sways must not change which of its parts are in front.
        """
        self._forward(self._poses.body.model.qpos0)
        middle = self._data.qpos[0]
        bones = [self._world(g)[:, 0].mean() - middle for g in self._hulls]
        muscles = [path[:, 0].mean() - middle if len(path) else 0.0 for path in self._paths()]
        # The bodies' right is -x.
        bone_side, muscle_side = (
            -np.sign(x) * (np.abs(x) > _MIDDLE) for x in map(np.array, (bones, muscles))
        )
        return bone_side.astype(np.intp), muscle_side.astype(np.intp)

    def _world(self, geom: int) -> FloatArray:
        """Corners (n, 3) of a bone in the world [m]."""
        turned = self._hulls[geom] @ self._data.geom_xmat[geom].reshape(3, 3).T
        return np.asarray(self._data.geom_xpos[geom] + turned)

    def _paths(self) -> list[FloatArray]:
        """Points (n, 3) that each muscle runs through in the world [m]."""
        data, points = self._data, self._data.wrap_xpos.reshape(-1, 3)
        first, count = (part[self._poses.tendons] for part in (data.ten_wrapadr, data.ten_wrapnum))
        return [points[a : a + n] for a, n in zip(first, count, strict=True)]

    def drawing(self, k: int) -> Drawing:
        """Project the bones and muscles of frame k."""
        self._forward(self._poses.qpos[k])
        origin = np.array([*self._poses.qpos[k, :2], 0.0])
        plane = self._axes[:, :2]
        corners = [(self._world(geom) - origin) @ plane for geom in self._hulls]
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, self._poses.qpos[k, 3:7])
        # Which side is near depends on where the pelvis' right (-x) points.
        near = 1 if -rotation.reshape(3, 3)[:, 0] @ self._axes[:, 2] >= 0 else -1
        return Drawing(
            outlines=[flat[ConvexHull(flat).vertices] for flat in corners],
            paths=[(path - origin) @ plane for path in self._paths()],
            outline_layer=1 + near * self._bone_side,
            path_layer=1 + near * self._muscle_side,
        )

    def draw(self, axis: Axes, k: int) -> None:
        """Draw frame k on axes whose unit becomes the metre, far side first."""
        drawing = self.drawing(k)
        self._draw_ghost(axis, k)
        scale = axis.get_window_extent().height / axis.get_figure(root=True).dpi / self._reach  # type: ignore[union-attr]
        width = scale * (_REST_WIDTH + (_ACTIVE_WIDTH - _REST_WIDTH) * self._active[k])
        self._draw_floor(axis, k, scale)
        for layer in range(3):
            bones = np.flatnonzero(drawing.outline_layer == layer)
            axis.add_collection(
                PolyCollection(
                    [drawing.outlines[b] for b in bones],
                    facecolor=_BONE,
                    edgecolor=_BONE_EDGE,
                    linewidth=0.5 * scale,
                    alpha=_FAR_ALPHA if layer == 0 else 1.0,
                    zorder=2 * layer + 1,
                )
            )
            muscles = np.flatnonzero(drawing.path_layer == layer)
            # The most active ones on top.
            muscles = muscles[np.argsort(self._active[k, muscles], kind="stable")]
            axis.add_collection(
                LineCollection(
                    [drawing.paths[m] for m in muscles],
                    colors=self._colors[k, muscles],
                    linewidths=width[muscles] * (_FAR_WIDTH if layer == 0 else 1.0),
                    capstyle="round",
                    joinstyle="round",
                    zorder=2 * layer + 2,
                )
            )
        box = axis.get_window_extent()
        half = self._reach / 2 * box.width / box.height
        middle = self._poses.looks_at[k, 2]
        axis.set_xlim(-half, half)
        axis.set_ylim(middle - self._reach / 2, middle + self._reach / 2)
        axis.set_axis_off()

    def _draw_ghost(self, axis: Axes, k: int) -> None:
        """Draw the bones of the reference behind the body."""
        if self._poses.ghost is None:
            return
        self._forward(self._poses.ghost[k])
        origin = np.array([*self._poses.qpos[k, :2], 0.0])
        flat = [(self._world(geom) - origin) @ self._axes[:, :2] for geom in self._hulls]
        outlines = [points[ConvexHull(points).vertices] for points in flat]
        axis.add_collection(
            PolyCollection(outlines, facecolor=GHOST_COLOR, edgecolor="none", zorder=0.5)
        )

    def _draw_floor(self, axis: Axes, k: int, scale: float) -> None:
        """Draw the floor with ticks that stay in place while the body walks on."""
        axis.axhline(0.0, color=_FLOOR, linewidth=0.8 * scale, zorder=0)
        walked = float(self._poses.qpos[k, :2] @ self._poses.heading)
        ticks = np.arange(np.ceil((walked - 4) / _GRID), (walked + 4) / _GRID) * _GRID - walked
        ends = [[(tick, 0.0), (tick - 0.04, -0.05)] for tick in ticks]
        axis.add_collection(LineCollection(ends, colors=_FLOOR, linewidths=0.8 * scale, zorder=0))


def line_frames(
    poses: Poses, size: tuple[int, int], *, full_scale: float, reach: float
) -> Generator[NDArray[np.uint8], None, None]:
    """Draw frames with matplotlib, one after the other.

    Parameters
    ----------
    poses : Poses
    size : tuple of int
        Width and height [pixels].
    full_scale : float
        Activation that is wholly red.
    reach : float
        Height of the view [m].

    Yields
    ------
    ndarray of uint8, shape (height, width, 3)
    """
    renderer = LineRenderer(poses, full_scale, reach)
    dpi = 100
    figure = Figure(figsize=(size[0] / dpi, size[1] / dpi), dpi=dpi, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    for k in range(poses.time.size):
        axis.clear()
        renderer.draw(axis, k)
        canvas.draw()  # type: ignore[no-untyped-call]
        picture = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        yield picture[..., :3].copy()


def _hull(model: mujoco.MjModel, geom: int) -> FloatArray:
    """Find the corners (n, 3) of a bone's convex hull, in the geom's frame."""
    mesh = model.geom_dataid[geom]
    first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    vertices = model.mesh_vert[first : first + count].astype(float)
    return vertices[ConvexHull(vertices).vertices]
