"""The window: MuJoCo's passive viewer behind a small protocol, and whether there is a screen."""

from __future__ import annotations

import copy
import queue
import sys
import warnings
from typing import Protocol

import mujoco
import numpy as np

from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import MissingDependencyError
from kinesis_neuro.render.ghost import GHOST_COLOR
from kinesis_neuro.render.gl import ACTIVE_WIDTH, BONE_COLOR, REST_WIDTH
from kinesis_neuro.render.poses import ACTIVATION_COLORS, FULL_SCALE
from kinesis_neuro.render.worker import add_ghost, place
from kinesis_neuro.view.keys import ViewState, help_columns
from kinesis_neuro.view.shows import Look

_DISTANCE, _ELEVATION = 3.2, -12.0  # m, degrees
_FLOOR = (0.80, 0.81, 0.83, 1.0)


class Window(Protocol):
    """Where a show is seen."""

    def is_open(self) -> bool:
        """Whether nobody has closed it."""

    def pressed(self) -> list[int]:
        """Keys since the last call, by GLFW's code."""

    def draw(self, look: Look, state: ViewState) -> None:
        """Show a moment."""

    def close(self) -> None:
        """Close it."""


def check_screen() -> None:
    """Make sure that a window can be opened here.

    MuJoCo's viewer opens its window in a thread of its own, and waits for ever where it cannot.

    Raises
    ------
    MissingDependencyError
        There is no screen.
    """
    import glfw

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", glfw.GLFWError)
        there = bool(glfw.init())
    if not there:
        raise MissingDependencyError(
            "There is no screen to open the viewer's window on (on Linux DISPLAY or "
            "WAYLAND_DISPLAY must be set). Without one, make a film: kinesis-neuro render SOURCE "
            "film.mp4"
        )


class MuJoCoWindow:
    """MuJoCo's passive viewer.

    Parameters
    ----------
    body : Body

    Raises
    ------
    MissingDependencyError
        There is no screen, or, on macOS, Python was not started as ``mjpython``.
    """

    def __init__(self, body: Body) -> None:
        check_screen()
        import mujoco.viewer

        self._model = viewer_model(body)
        self._data, self._other = mujoco.MjData(self._model), mujoco.MjData(self._model)
        self._tendons = body.model.actuator_trnid[:, 0]
        self._keys: queue.SimpleQueue[int] = queue.SimpleQueue()
        try:
            self._viewer = mujoco.viewer.launch_passive(
                self._model,
                self._data,
                key_callback=self._keys.put,
                show_left_ui=False,
                show_right_ui=False,
            )
        except RuntimeError as error:
            hint = " Start it with mjpython." if sys.platform == "darwin" else ""
            raise MissingDependencyError(f"The viewer cannot be opened: {error}.{hint}") from error
        with self._viewer.lock():
            self._viewer.cam.distance, self._viewer.cam.elevation = _DISTANCE, _ELEVATION
            self._viewer.opt.sitegroup[:] = 0

    def is_open(self) -> bool:
        """Whether nobody has closed it."""
        return bool(self._viewer.is_running())

    def pressed(self) -> list[int]:
        """Keys since the last call."""
        return [self._keys.get() for _ in range(self._keys.qsize())]

    def draw(self, look: Look, state: ViewState) -> None:
        """Show a moment: the body, its muscles' colours, the ghost and the words."""
        with self._viewer.lock():
            color_muscles(self._model, self._tendons, look.activation)
            place(self._model, self._data, look.qpos)
            scene = self._viewer.user_scn
            scene.ngeom = 0
            if state.ghost and look.ghost is not None:
                place(self._model, self._other, look.ghost)
                color = np.array(GHOST_COLOR, dtype=np.float32)
                add_ghost(scene, self._model, self._other, color)
            if state.follow:
                self._viewer.cam.lookat[:] = [*look.qpos[:2], 0.85]
        self._viewer.set_texts(words(look, state))
        self._viewer.sync()

    def close(self) -> None:
        """Close the window."""
        self._viewer.close()


def viewer_model(body: Body) -> mujoco.MjModel:
    """Copy a body's model and change how it looks; the body itself stays as it is."""
    model = copy.copy(body.model)
    bones = model.geom_type == mujoco.mjtGeom.mjGEOM_MESH
    floor = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    model.geom_matid[bones | floor] = -1
    model.geom_rgba[bones], model.geom_rgba[floor] = BONE_COLOR, _FLOOR
    return model


def color_muscles(model: mujoco.MjModel, tendons: np.ndarray, activation: np.ndarray) -> None:
    """Colour and widen the muscles of a model by their activation (n_muscles,)."""
    part = np.clip(np.nan_to_num(activation) / FULL_SCALE, 0.0, 1.0)
    model.tendon_rgba[tendons] = ACTIVATION_COLORS(part)
    model.tendon_width[tendons] = REST_WIDTH + (ACTIVE_WIDTH - REST_WIDTH) * part


def words(look: Look, state: ViewState) -> list[tuple[int, int, str, str]]:
    """What stands on the screen: the keys on the left, the moment on the right."""
    keys, meanings = help_columns()
    now = f"{look.time:.2f} s" + (", paused" if state.paused else "")
    lines = [now, f"{state.pace:g} x", f"red: activation >= {FULL_SCALE:g}"]
    lines += ["blue: reference"] if state.ghost and look.ghost is not None else []
    lines += [look.note] if look.note else []
    font, grid = mujoco.mjtFontScale.mjFONTSCALE_150, mujoco.mjtGridPos
    return [
        (font, grid.mjGRID_TOPLEFT, keys, meanings),
        (font, grid.mjGRID_TOPRIGHT, "\n".join(lines), ""),
    ]
