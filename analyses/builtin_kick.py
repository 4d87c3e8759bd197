"""Compute the built-in kick: poses of one football kick on the body ``legs``.

Reads CMU's motion 11_01 (``cmu_kick_fairmotion``), puts it on the body, keeps the steps, the kick
and the landing, and writes ``kinesis_neuro/motion/gaits/kick.csv`` and ``kick.json``, a table with
its source. The recording holds no ball. So the foot is led along the clip through a ball in many
places near where the instep is fastest, and the clip is moved and turned so that the ball lies at
the origin where a foot that misses by a few centimetres still sends it towards -y.

    python analyses/builtin_kick.py DATA_FOLDER
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pandas as pd

from kinesis_neuro.body.models import load_body
from kinesis_neuro.body.pitch import (
    BALL_RADIUS,
    GOAL_DISTANCE,
    GOAL_WIDTH,
    N_FINE,
    load_pitch,
)
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

OUT = Path(__file__).resolve().parents[1] / "kinesis_neuro" / "motion" / "gaits"
PART = (1.6, 4.5)  # from standing before the last two steps to standing after the hop [s]
SPACING, REACH = 0.02, 0.05  # of the places tried; how far a foot may miss [m]
SLOWEST = 6.0  # kick that counts [m/s]


def strike(motion: ReferenceMotion) -> tuple[int, np.ndarray, np.ndarray]:
    """Frame in which the instep is fastest along the floor, its position and its velocity."""
    frames, foot = motion.frames, [motion.body.segments.index(s) for s in ("talus_r", "toes_r")]
    position, velocity = (
        values[:, foot].mean(axis=1) for values in (frames.body_position, frames.body_velocity)
    )
    frame = int(np.linalg.norm(velocity[:, :2], axis=1).argmax())
    return frame, position[frame], velocity[frame]


def kicked(motion: ReferenceMotion, place: np.ndarray, around: range) -> np.ndarray:
    """Velocity of a ball at a place after the foot has been led through it."""
    pitch = load_pitch(motion.body)
    data = mujoco.MjData(pitch.fine)
    data.mocap_pos[:] = [0.0, -1e3, 0.0]
    data.qpos[pitch.ball_qpos] = [*place, BALL_RADIUS, 1.0, 0.0, 0.0, 0.0]
    nq, nv = motion.body.model.nq, motion.body.model.nv
    for frame in around:
        for w in np.arange(N_FINE) / N_FINE:
            data.qpos[:nq] = (1 - w) * motion.qpos[frame] + w * motion.qpos[frame + 1]
            data.qvel[:nv] = (1 - w) * motion.qvel[frame] + w * motion.qvel[frame + 1]
            mujoco.mj_step(pitch.fine, data)
    return data.qvel[pitch.ball_qvel][:3].copy()


def ball_place(motion: ReferenceMotion, frame: int, middle: np.ndarray) -> tuple[np.ndarray, float]:
    """Place of the ball, and the direction that it is to take, from which feet may miss most."""
    steps = np.arange(-0.16, 0.1601, SPACING)
    x, y = (axis.ravel() for axis in np.meshgrid(middle[0] + steps, middle[1] + steps))
    around = range(frame - 25, frame + 25)
    velocity = np.array(
        [kicked(motion, np.array(place), around) for place in zip(x, y, strict=True)]
    )
    speed = np.linalg.norm(velocity[:, :2], axis=1)
    direction = np.arctan2(velocity[:, 1], velocity[:, 0])
    half = np.arctan((GOAL_WIDTH / 2 - BALL_RADIUS) / GOAL_DISTANCE)
    best: tuple[float, float, int, float] = (0.0, 0.0, 0, 0.0)
    for k in range(x.size):
        near = np.hypot(x - x[k], y - y[k]) <= REACH
        whole = abs(x[k] - middle[0]) <= 0.11 and abs(y[k] - middle[1]) <= 0.11
        for angle in np.deg2rad(np.arange(-120, -50)) if whole else ():
            away = np.abs(np.angle(np.exp(1j * (direction[near] - angle))))
            good = (away < half) & (speed[near] > SLOWEST)
            best = max(best, (float(good.mean()), -float(away.mean()), k, float(angle)))
    share, _, k, angle = best
    print(f"{share:.0%} of the places within {100 * REACH:.0f} cm send the ball into the goal")
    return np.array([x[k], y[k]]), angle


def moved(motion: ReferenceMotion, place: np.ndarray, angle: float) -> ReferenceMotion:
    """The motion with a place at the origin, and a direction as -y."""
    qpos = motion.qpos.copy()
    qpos[:, :2] -= place
    return replace(motion, qpos=qpos).turn(-np.pi / 2 - angle)


def main(folder: Path) -> None:
    """Read, put on the body, cut, move, write."""
    source = folder / "cmu_kick_fairmotion"
    body = load_body("legs")
    motion = load_motion(source / "11_01.amc", body, skeleton=source / "11.asf").slice(*PART)
    frame, middle, _ = strike(motion)
    motion = moved(motion, *ball_place(motion, frame, middle[:2]))
    frame, position, velocity = strike(motion)
    independent = body.coupling.independent_dof[6:]
    table = {
        "time": np.arange(motion.n_frames) / motion.rate,
        **{f"root_{a}": motion.qpos[:, i] for i, a in enumerate("xyz")},
        **{f"root_q{a}": motion.qpos[:, 3 + i] for i, a in enumerate("wxyz")},
        **{body.joints[d - 6]: motion.qpos[:, d + 1] for d in independent},
    }
    about = {
        "name": "kick",
        "description": "One football kick with the right foot after two steps. A ball at the "
        "origin is sent towards -y.",
        "units": "s, m, unit quaternion (w, x, y, z) of the pelvis, rad",
        "rate": motion.rate,
        "body": body.name,
        "strike_time": round(frame / motion.rate, 6),
        "strike_position": [round(float(v), 4) for v in position],
        "strike_velocity": [round(float(v), 3) for v in velocity],
        "source": "CMU Graphics Lab Motion Capture Database, subject 11, motion 01 "
        "(mocap.cs.cmu.edu), as in fairmotion's test data at e400e564",
        "licence": "free for all uses (CMU); BSD-3-Clause (fairmotion)",
        "script": "analyses/builtin_kick.py",
    }
    pd.DataFrame(table).to_csv(OUT / "kick.csv", index=False, float_format="%.5f")
    (OUT / "kick.json").write_text(json.dumps(about, indent=2) + "\n")
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
