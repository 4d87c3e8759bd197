"""Film strip of a penalty kick: body, ball, goal and keeper, from behind and to the side.

    python analyses/kick_film_strip.py POLICY OUT.png [--seed 0]

Draws with MuJoCo's renderer, which needs OpenGL (``MUJOCO_GL=egl`` without a screen).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import mujoco
import numpy as np
import xarray as xr

from kinesis_neuro.body.models import load_body
from kinesis_neuro.body.pitch import BALL_RADIUS, load_pitch
from kinesis_neuro.plot.style import save_figure
from kinesis_neuro.record import record
from kinesis_neuro.render.poses import ACTIVATION_COLORS
from kinesis_neuro.render.worker import BACKDROP_COLOR, FLOOR_COLOR, GLOW, add_box

SIZE = (420, 300)  # pixels
BEFORE = (-0.9, -0.45, -0.15, 0.0, 0.06, 0.25, 0.55)  # from the kick [s]; then the crossing
AZIMUTH = -62.0  # degrees
BEHIND = 18.0  # m to the backdrop


def moments(recording: xr.Dataset) -> np.ndarray:
    """Samples to show: around the kick, and where the ball comes to the goal line."""
    speed = np.linalg.norm(recording["ball_velocity"].values, axis=1)
    time = recording["time"].values
    struck = int(np.argmax(speed > 0.5)) if (speed > 0.5).any() else time.size // 2
    past = recording["ball_position"].values[:, 1] < recording["goal_position"].values[:, 1]
    last = int(np.argmax(past)) if past.any() else time.size - 1
    shown = np.searchsorted(time, time[struck] + np.array(BEFORE))
    return np.append(np.clip(shown, 0, time.size - 1), last)


def pictures(recording: xr.Dataset, samples: np.ndarray) -> list[np.ndarray]:
    """Images (height, width, 3) of the samples."""
    pitch = load_pitch(load_body(recording.attrs["body"]))
    # Muscles are coloured below; the model is shared.
    model = mujoco.MjModel.__copy__(pitch.model)
    model.geom("floor").rgba[3] = 0.0
    model.vis.global_.offwidth, model.vis.global_.offheight = SIZE
    data = mujoco.MjData(model)
    renderer = mujoco.Renderer(model, SIZE[1], SIZE[0])
    options = mujoco.MjvOption()
    options.sitegroup[:] = 0
    camera = mujoco.MjvCamera()
    camera.azimuth, camera.elevation, camera.distance = AZIMUTH, -9.0, 6.5
    tendons = model.actuator_trnid[:, 0]
    images = []
    for k in samples:
        state = recording.isel(time=int(k))
        body = [state[n].values for n in ("root_position", "root_orientation", "joint_position")]
        data.qpos[:] = np.concatenate([*body, state["ball_position"].values, [1, 0, 0, 0]])
        data.mocap_pos[0] = state["keeper_position"].values
        mujoco.mj_forward(model, data)
        model.tendon_rgba[tendons] = ACTIVATION_COLORS(state["activation"].values)
        middle = 0.6 * state["ball_position"].values + 0.4 * state["root_position"].values
        camera.lookat[:] = [middle[0], middle[1] - 0.8, 0.8]
        renderer.update_scene(data, camera, options)
        furnish(renderer.scene, camera.lookat)
        images.append(renderer.render().copy())
    return images


def furnish(scene: mujoco.MjvScene, point: np.ndarray) -> None:
    """Add a light floor and backdrop."""
    angle = np.deg2rad(AZIMUTH)
    along, across = np.array(
        [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0]]
    )
    turn = np.stack([along, across, [0.0, 0.0, 1.0]], axis=1)
    here = np.array([point[0], point[1], 0.0])
    add_box(scene, [0.01, 60, 30], here + BEHIND * along, turn, BACKDROP_COLOR, emission=1.0)
    below = here - [0.0, 0.0, 0.012]
    add_box(scene, [BEHIND, 60, 0.01], below, turn, FLOOR_COLOR, emission=GLOW)


def main() -> None:
    """Record, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("policy")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    recording = record(given.policy, seed=given.seed)
    samples = moments(recording)
    struck = float(recording["time"][samples[BEFORE.index(0.0)]])
    images = pictures(recording, samples)
    figure, axes = plt.subplots(2, 4, figsize=(7.2, 2.9), layout="compressed")
    for axis, image, k in zip(axes.flat, images, samples, strict=True):
        axis.imshow(image)
        time = float(recording["time"][k]) - struck
        speed = float(np.linalg.norm(recording["ball_velocity"][k]))
        axis.set_title(f"{time:+.2f} s, ball {speed:.1f} m/s", fontsize=7, pad=2)
        axis.set_axis_off()
    save_figure(figure, given.out)
    lowest = float(recording["ball_position"][:, 2].min())
    print(f"Lowest middle of the ball: {lowest:.3f} m, its radius is {BALL_RADIUS} m")


if __name__ == "__main__":
    main()
