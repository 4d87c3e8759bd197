"""MuJoCo's own renderer, offscreen: which OpenGL there is, and frames from it."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import MissingDependencyError
from kinesis_neuro.render.ghost import GHOST_COLOR
from kinesis_neuro.render.poses import Poses
from kinesis_neuro.render.worker import OVERSAMPLING

_WORKER = Path(__file__).with_name("worker.py")
_OFF = ("disable", "disabled", "off", "false", "0")
_PROBE_TIMEOUT = (
    120.0  # s; a broken driver may hang. Loading MuJoCo takes seconds on a busy machine
)

BONE_COLOR = (0.93, 0.91, 0.86, 1.0)
REST_WIDTH, ACTIVE_WIDTH = 0.0055, 0.0105
"""Radius of a muscle in the picture, at rest and fully active [m]."""


@functools.cache
def available_gl() -> str | None:
    """Find an OpenGL that draws, by trying each in a process of its own.

    The environment variable ``MUJOCO_GL`` is heeded: if it is set, nothing else is tried.

    Returns
    -------
    str or None
        Value of ``MUJOCO_GL`` that works: ``egl``, ``osmesa``, ``glfw``, or the empty string for
        the system's default; None if there is none. Found once a process.
    """
    return next((name for name in _candidates() if _draws(name)), None)


def _candidates() -> list[str]:
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if wanted in _OFF:
        return []
    if wanted:
        return [wanted]
    if not sys.platform.startswith("linux"):
        return [""]
    # glfw opens a window somewhere: only where there is a screen.
    return ["egl", "osmesa", *(["glfw"] if os.environ.get("DISPLAY") else [])]


def _environment(name: str) -> dict[str, str]:
    environment = dict(os.environ)
    environment.pop("PYOPENGL_PLATFORM", None)  # may be that of another MuJoCo in this process
    environment.pop("MUJOCO_GL", None)
    if name:
        environment["MUJOCO_GL"] = name
    return environment


def _command(argument: str) -> list[str]:
    # -P: the worker's folder must not hide other modules of the same names.
    return [sys.executable, "-P", str(_WORKER), argument]


def _draws(name: str) -> bool:
    if not sys.executable:  # an embedded Python, which cannot start another
        return False
    try:
        done = subprocess.run(
            _command("probe"),
            env=_environment(name),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and b"drawn" in done.stderr


def visual_model(poses: Poses, size: tuple[int, int]) -> mujoco.MjModel:
    """Copy the body's model and change how it looks; the body itself stays as it is."""
    model = copy.copy(poses.body.model)
    model.vis.global_.offwidth = OVERSAMPLING * size[0]
    model.vis.global_.offheight = OVERSAMPLING * size[1]
    model.vis.quality.offsamples = 0
    model.vis.quality.shadowsize = 1024
    # Muscles are hundreds of capsules: at this size twelve sides look round.
    model.vis.quality.numslices, model.vis.quality.numstacks = 12, 6
    model.vis.headlight.ambient[:] = 0.45
    model.vis.headlight.diffuse[:] = 0.38
    model.vis.headlight.specular[:] = 0.05
    model.light_type[:] = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    model.light_mode[:] = mujoco.mjtCamLight.mjCAMLIGHT_FIXED
    model.light_bodyid[:] = 0
    model.light_active[:] = np.arange(model.nlight) == 0
    # From above, in front and a little from the side of the camera.
    ahead = poses.heading
    aside = np.array([ahead[1], -ahead[0]])
    model.light_dir[:] = [*(-0.25 * ahead - 0.35 * aside), -1.0]
    model.light_diffuse[:] = 0.25
    model.light_ambient[:] = 0.0
    model.light_specular[:] = 0.1
    bones = model.geom_type == mujoco.mjtGeom.mjGEOM_MESH
    model.geom_matid[:] = -1
    model.geom_rgba[bones] = BONE_COLOR
    # The worker lays a floor of its own.
    model.geom_rgba[model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE] = 0.0
    return model


def gl_frames(
    poses: Poses,
    size: tuple[int, int],
    *,
    gl: str,
    full_scale: float,
    reach: float,
    shadows: bool = True,
) -> Generator[NDArray[np.uint8], None, None]:
    """Draw frames with OpenGL, one after the other.

    Parameters
    ----------
    poses : Poses
    size : tuple of int
        Width and height [pixels].
    gl : str
        OpenGL to use; see :func:`available_gl`.
    full_scale : float
        Activation that is wholly red.
    reach : float
        Height of the view at the body [m].
    shadows : bool
        Whether the body throws a shadow; doubles the time.

    Yields
    ------
    ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    MissingDependencyError
        If the renderer gives up; the message ends with what it said.
    """
    width, height = size
    active = np.clip(np.nan_to_num(poses.activation) / full_scale, 0.0, 1.0)
    with tempfile.TemporaryDirectory(prefix="kinesis_neuro_") as folder:
        job = Path(folder)
        mujoco.mj_saveModel(visual_model(poses, size), str(job / "model.mjb"))
        ghost = poses.qpos[:, :0] if poses.ghost is None else poses.ghost
        np.savez(
            job / "frames.npz",
            ghost=ghost,
            ghost_color=np.array(GHOST_COLOR, dtype=np.float32),
            qpos=poses.qpos,
            colors=poses.colors(full_scale),
            widths=REST_WIDTH + (ACTIVE_WIDTH - REST_WIDTH) * active,
            tendons=poses.tendons,
            looks_at=poses.looks_at,
            azimuth=poses.azimuth,
            reach=reach,
            size=np.array(size),
            shadows=shadows,
        )
        with (job / "said").open("w+b") as said:
            worker = subprocess.Popen(
                _command(str(job)),
                env=_environment(gl),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
            )
            assert worker.stdout is not None
            try:
                for k in range(poses.time.size):
                    data = worker.stdout.read(width * height * 3)
                    if len(data) < width * height * 3:
                        worker.wait()
                        said.seek(0)
                        words = said.read().decode(errors="replace").strip().splitlines()
                        raise MissingDependencyError(
                            f"OpenGL ({gl or 'default'}) gave up at frame {k} of "
                            f"{poses.time.size}: {words[-1] if words else worker.returncode}"
                        )
                    yield np.frombuffer(data, dtype=np.uint8).reshape(height, width, 3)
            finally:
                with contextlib.suppress(OSError):
                    worker.kill()
                worker.wait()
                worker.stdout.close()
