"""Ways of the built-in gait for the repertoire: standing, starts, stops, curves, and backwards.

Recordings hold little of what lies between movements: standing still, first and last steps, other
speeds, wide curves. Here the steps of the built-in gait are laid along ways (as for ``steer``), and
for walking backwards such a way is passed in reverse, which needs the same forces of the ground.
No person walked them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinesis_neuro.body.models import PHYSICS_RATE, Body
from kinesis_neuro.env.tasks.course import CourseTable, Limits
from kinesis_neuro.motion.gait_family import GaitFamily
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

AHEAD = 8


@dataclass(frozen=True)
class Way:
    """What is asked of a walker.

    Parameters
    ----------
    skill : str
    seconds : float
        Duration [s].
    commands : tuple of (float, float, float)
        From when on [s], which speed [m/s] and which heading [rad]; the first is the start's.
    reverse : bool
        Whether from its end to its start.
    """

    skill: str
    seconds: float
    commands: tuple[tuple[float, float, float], ...]
    reverse: bool = False


WAYS = {
    "way_slow": Way("walk", 6.5, ((0, 0, 0), (1.2, 0.4, 0), (5, 0, 0))),
    "way_medium": Way("walk", 7.0, ((0, 0, 0), (1.0, 0.7, 0), (5, 0, 0))),
    "way_gait": Way("walk", 7.0, ((0, 0, 0), (0.8, 1.0, 0), (5, 0, 0))),
    "way_fast": Way("walk", 7.0, ((0, 0.6, 0), (0.5, 1.25, 0), (5, 0.8, 0))),
    "way_curve": Way("circle", 7.0, ((0, 0.8, 0), (0.5, 0.8, 2), (3, 0.8, -2), (5, 0.8, 0))),
    "way_slow_curve": Way("circle", 7.0, ((0, 0, 0), (1, 0.55, 2), (4, 0.55, -2))),
    "way_bend": Way("circle", 6.0, ((0, 1.0, 0), (0.5, 1.0, 1.5), (2.5, 1.0, -0.5))),
    "way_back_slow": Way("backward", 6.5, ((0, 0, 0), (1.2, 0.3, 0), (5, 0, 0)), True),
    "way_back": Way("backward", 6.5, ((0, 0, 0), (1.5, 0.5, 0), (4.8, 0, 0)), True),
    "way_back_curve": Way("backward", 6.5, ((0, 0, 0), (1.5, 0.4, 1.0), (4.8, 0, 1.0)), True),
}


def way_motion(body: Body, name: str, turn_rate: float = 0.9) -> ReferenceMotion:
    """Steps of the built-in gait along one of the ways; `turn_rate` is the largest [rad/s]."""
    asked = WAYS[name]
    gait = load_motion("walk", body)
    family = GaitFamily.build(gait, solve=False)
    table = CourseTable.of_gait(
        gait, family, actuation="length", activated=False, n_envs=1, ahead=AHEAD
    )
    only = np.zeros(1, dtype=np.intp)
    limits = Limits(turn_rate=turn_rate)
    times, speeds, headings = np.array(asked.commands, dtype=float).T
    table.begin(only, np.zeros(1), speeds[:1])
    poses = []
    for frame in range(round(asked.seconds * PHYSICS_RATE)):
        now = np.searchsorted(times, frame / PHYSICS_RATE + 1e-9, side="right") - 1
        poses.append(table.at(only, np.full(1, frame)).qpos()[0])
        table.extend(only, speeds[now : now + 1], headings[now : now + 1], limits)
    qpos = np.stack(poses[::-1] if asked.reverse else poses)
    low, high = body.model.jnt_range[1:].T
    qpos[:, 7:] = np.clip(qpos[:, 7:], low, high)  # mixtures may leave them by a degree
    return ReferenceMotion.from_poses(
        body, qpos, PHYSICS_RATE, name=name, source=gait.source, licence=gait.licence
    )
