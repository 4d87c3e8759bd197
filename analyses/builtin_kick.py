"""Compute the built-in kick: poses of one football kick on the body ``legs``.

Reads CMU's motion 11_01 (``cmu_kick_fairmotion``), puts it on the body, keeps the step, the kick
and the landing, turns it so that the foot strikes towards -y where a ball would lie at the origin,
and writes ``kinesis_neuro/motion/gaits/kick.csv`` and ``kick.json``, a table with its source.

    python analyses/builtin_kick.py DATA_FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from kinesis_neuro.body.models import load_body
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

OUT = Path(__file__).resolve().parents[1] / "kinesis_neuro" / "motion" / "gaits"
PART = (1.6, 4.5)  # from standing before the last two steps to standing after the hop [s]


def strike(motion: ReferenceMotion) -> tuple[int, np.ndarray, np.ndarray]:
    """Frame in which the instep is fastest along the floor, its position and its velocity."""
    frames, foot = motion.frames, [motion.body.segments.index(s) for s in ("talus_r", "toes_r")]
    position, velocity = (
        values[:, foot].mean(axis=1) for values in (frames.body_position, frames.body_velocity)
    )
    frame = int(np.linalg.norm(velocity[:, :2], axis=1).argmax())
    return frame, position[frame], velocity[frame]


def main(folder: Path) -> None:
    """Read, put on the body, cut, turn, write."""
    source = folder / "cmu_kick_fairmotion"
    body = load_body("legs")
    motion = load_motion(source / "11_01.amc", body, skeleton=source / "11.asf").slice(*PART)
    _, _, velocity = strike(motion)
    motion = motion.turn(-np.pi / 2 - np.arctan2(velocity[1], velocity[0]))
    frame, position, velocity = strike(motion)
    independent = body.coupling.independent_dof[6:]
    table = {
        "time": np.arange(motion.n_frames) / motion.rate,
        **{
            f"root_{a}": motion.qpos[:, i] - (position[i] if i < 2 else 0.0)
            for i, a in enumerate("xyz")
        },
        **{f"root_q{a}": motion.qpos[:, 3 + i] for i, a in enumerate("wxyz")},
        **{body.joints[d - 6]: motion.qpos[:, d + 1] for d in independent},
    }
    about = {
        "name": "kick",
        "description": "One football kick with the right foot after two steps; the instep is "
        "fastest above the origin, where it moves towards -y.",
        "units": "s, m, unit quaternion (w, x, y, z) of the pelvis, rad",
        "rate": motion.rate,
        "body": body.name,
        "strike_time": round(frame / motion.rate, 6),
        "strike_height": round(float(position[2]), 4),
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
