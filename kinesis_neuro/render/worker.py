"""Draw frames with OpenGL, in a process of its own: ``python worker.py JOB``.

Creating a context on a machine whose driver is broken can abort the process, and MuJoCo chooses its
OpenGL when it is first imported. Here neither matters to who asked for the picture. A job is a
folder with ``model.mjb`` and ``frames.npz``; raw RGB frames go to the standard output. Nothing of
the library is imported, so that the start is quick.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

import mujoco
import numpy as np

OVERSAMPLING = 2
FIELD_OF_VIEW = 25.0  # degrees; narrow, so that near and far leg are about the same size
ELEVATION = -7.0  # degrees
GRID = 0.5  # m between lines
GRID_REACH = 2.5  # m
LINE = 0.01  # m, width of a line
LINE_COLOR = (0.74, 0.76, 0.80, 1.0)
FLOOR_COLOR = (0.90, 0.905, 0.915, 1.0)
# Lit from within, as a floor that only reflects comes out dark at this angle.
GLOW = 0.42
BACKDROP_COLOR = (0.985, 0.985, 0.985, 1.0)
BACKDROP_DISTANCE = 10.0  # m behind the body

PROBE_XML = "<mujoco><worldbody><geom size='1' rgba='1 1 1 1'/></worldbody></mujoco>"


def probe() -> None:
    """Draw a white ball and check that it is there."""
    model = mujoco.MjModel.from_xml_string(PROBE_XML)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, 32, 32)
    renderer.update_scene(data)
    if renderer.render().max() == 0:
        raise SystemExit("the picture is black")
    print("drawn")


def draw(job: Path, output: BinaryIO) -> None:
    """Draw all frames of a job."""
    model = mujoco.MjModel.from_binary_path(str(job / "model.mjb"))
    with np.load(job / "frames.npz", allow_pickle=False) as file:
        frames = {name: file[name] for name in file.files}
    # Drawn twice as large and averaged: smoother than multisampling, and in software faster.
    width, height = (OVERSAMPLING * frames["size"]).tolist()
    data = mujoco.MjData(model)
    renderer = mujoco.Renderer(model, height, width)
    flags = renderer.scene.flags
    flags[mujoco.mjtRndFlag.mjRND_SHADOW] = bool(frames["shadows"])
    flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
    options = mujoco.MjvOption()
    options.sitegroup[:] = 0
    options.flags[mujoco.mjtVisFlag.mjVIS_SKIN] = False
    camera = mujoco.MjvCamera()
    camera.azimuth, camera.elevation = float(frames["azimuth"]), ELEVATION
    # The view is `reach` metres high at the body.
    model.vis.global_.fovy = FIELD_OF_VIEW
    camera.distance = float(frames["reach"]) / 2 / np.tan(np.deg2rad(FIELD_OF_VIEW / 2))
    image = np.empty((height, width, 3), dtype=np.uint8)
    tendons = frames["tendons"]
    other = mujoco.MjData(model)
    columns = ("qpos", "colors", "widths", "looks_at", "ghost")
    for qpos, colors, widths, point, ghost in zip(*(frames[c] for c in columns), strict=True):
        place(model, data, qpos)
        model.tendon_rgba[tendons] = colors
        model.tendon_width[tendons] = widths
        camera.lookat[:] = point
        renderer.update_scene(data, camera, options)
        furnish(renderer.scene, point, float(frames["azimuth"]))
        if ghost.size:
            place(model, other, ghost)
            add_ghost(renderer.scene, model, other, frames["ghost_color"])
        renderer.render(out=image)
        output.write(shrink(image).tobytes())
    output.flush()


def place(model: mujoco.MjModel, data: mujoco.MjData, qpos: np.ndarray) -> None:
    """Put a body in a pose, with all that is drawn of it."""
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)
    mujoco.mj_tendon(model, data)


def add_ghost(
    scene: mujoco.MjvScene, model: mujoco.MjModel, data: mujoco.MjData, color: np.ndarray
) -> None:
    """Add the bones of another pose, of one colour that lets the body be seen through it."""
    options = mujoco.MjvOption()
    options.sitegroup[:] = 0
    for flag in (mujoco.mjtVisFlag.mjVIS_TENDON, mujoco.mjtVisFlag.mjVIS_SKIN):
        options.flags[flag] = False
    first = scene.ngeom
    moving = mujoco.mjtCatBit.mjCAT_DYNAMIC
    mujoco.mjv_addGeoms(model, data, options, mujoco.MjvPerturb(), moving, scene)
    for geom in scene.geoms[first : scene.ngeom]:
        geom.matid = -1
        geom.rgba[:] = color
        geom.transparent = 1
        geom.category = mujoco.mjtCatBit.mjCAT_DECOR  # throws no shadow


def shrink(image: np.ndarray) -> np.ndarray:
    """Average squares of pixels."""
    n = OVERSAMPLING
    # Slices, not a sum over blocks: four times as fast.
    parts = [image[i::n, j::n] for i in range(n) for j in range(n)]
    total = np.zeros(parts[0].shape, dtype=np.uint16)
    for part in parts:
        total += part
    return (total // n**2).astype(np.uint8)


def furnish(scene: mujoco.MjvScene, point: np.ndarray, azimuth: float) -> None:
    """Add a grid on the floor, fixed in the world, and a light backdrop."""
    along = np.array([np.cos(np.deg2rad(azimuth)), np.sin(np.deg2rad(azimuth)), 0.0])
    across = np.array([-along[1], along[0], 0.0])
    turn = np.stack([along, across, [0.0, 0.0, 1.0]], axis=1)
    behind = np.array([point[0], point[1], 0.0]) + BACKDROP_DISTANCE * along
    add_box(scene, [0.01, 50.0, 30.0], behind, turn, BACKDROP_COLOR, emission=1.0)
    floor = behind - BACKDROP_DISTANCE * along - [0.0, 0.0, 0.01]
    reach = [BACKDROP_DISTANCE, 50.0, 0.01]
    add_box(scene, reach, floor, turn, FLOOR_COLOR, emission=GLOW)
    centre = np.round(point[:2] / GRID) * GRID
    for offset in np.arange(-GRID_REACH, GRID_REACH + GRID / 2, GRID):
        for axis in (0, 1):
            position = np.array([*centre, 0.0])
            position[axis] += offset
            size = np.full(3, GRID_REACH)
            size[axis], size[2] = LINE / 2, 0.0005
            add_box(scene, size, position, np.eye(3), LINE_COLOR, emission=0.5 * GLOW)


def add_box(
    scene: mujoco.MjvScene,
    size: object,
    position: np.ndarray,
    rotation: np.ndarray,
    color: tuple[float, ...],
    emission: float = 0.0,
) -> None:
    """Add a box to what is drawn, and to nothing else: the model stays as it is."""
    geom = scene.geoms[scene.ngeom]
    mujoco.mjv_initGeom(
        geom,
        mujoco.mjtGeom.mjGEOM_BOX,
        np.asarray(size, dtype=float),
        position,
        rotation.ravel(),
        np.asarray(color, dtype=np.float32),
    )
    geom.category = mujoco.mjtCatBit.mjCAT_DECOR
    geom.emission = emission
    geom.specular = 0.0
    scene.ngeom += 1


if __name__ == "__main__":
    # What libraries print must not get between the frames.
    frames_out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if sys.argv[1] == "probe":
        probe()
    else:
        draw(Path(sys.argv[1]), frames_out)
    frames_out.close()
