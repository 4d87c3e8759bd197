"""Which joints rest on their stops while a policy walks, and for how long: no muscle pays for that.

python benchmarks/joint_stops.py walk walk-seed0 runs/mine/checkpoint
"""

from __future__ import annotations

import sys

import numpy as np

from kinesis_neuro.body.anatomy import leg_joints
from kinesis_neuro.body.models import load_body
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.record import record

NEAR = np.deg2rad(1.0)
"""A joint rests on its stop within this distance of it [rad]."""


def main(policies: list[str], duration: float = 20.0) -> None:
    """Print shares of the stance of each leg, in Markdown."""
    reference = load_motion("walk")
    joints = [name for name in leg_joints(reference.body.joints) if name.endswith("_r")]
    print("| | stance at a stop | knee in the middle of stance |", "|---|---|---|", sep="\n")
    loops = reference.loop(4)
    assert loops.contact is not None
    rows = {"reference": (reference.body, loops.qpos[:, 7:], loops.contact.force[..., 2])}
    for policy in policies:
        recording = record(policy, duration=duration).sel(time=slice(2.0, None))
        force = recording["ground_force"].sel(space="z").transpose("time", "contact").values
        body = load_body(recording.attrs["body"])
        rows[policy] = body, recording["joint_position"].values, force
    for name, (body, angle, force) in rows.items():
        shares: dict[str, list[float]] = {}
        middle = []
        for side, vertical in zip("rl", force.T, strict=True):
            stands = vertical > 0.05 * body.weight
            for joint in joints:
                column = body.joints.index(joint[:-1] + side)
                low, high = body.model.jnt_range[1 + column]
                value = angle[stands, column]
                at = (value < low + NEAR) | (value > high - NEAR)
                shares.setdefault(joint[:-2], []).append(float(at.mean()))
            single = stands & (force.min(axis=1) < 0.05 * body.weight)
            middle.append(np.rad2deg(angle[single, body.joints.index(f"knee_angle_{side}")]).mean())
        said = ", ".join(f"{k} {np.mean(v):.0%}" for k, v in shares.items() if np.mean(v) >= 0.01)
        print(f"| `{name}` | {said or 'none'} | {np.mean(middle):.1f}° |")


if __name__ == "__main__":
    main(sys.argv[1:] or ["walk"])
