"""What can be watched: a policy that is simulated as one looks, and a recording played back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.body.models import CONTROL_RATE, PHYSICS_RATE, Body
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.learn.play import policy_env
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.motion.joining import heading
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.perturbation import Push, physics_step
from kinesis_neuro.render.poses import read_poses
from kinesis_neuro.scores import PROTOCOLS

FloatArray = NDArray[np.float64]

PUSH_FORCE, PUSH_DURATION = 120.0, 0.2
"""Of a push on the pelvis [N], [s]."""
_FOREVER = 3600.0  # s


@dataclass(frozen=True, eq=False)
class Look:
    """One moment, as it is drawn.

    Attributes
    ----------
    time : float
        Since the start [s].
    qpos, ghost : ndarray, shape (nq,)
        Pose of the body and of the reference; the ghost may be None.
    activation : ndarray, shape (n_muscles,)
    note : str
        What the viewer should know, such as a fall.
    """

    time: float
    qpos: FloatArray
    ghost: FloatArray | None
    activation: FloatArray
    note: str = ""


class Show(Protocol):
    """Something to watch."""

    body: Body
    step_time: float

    def restart(self) -> None:
        """Go back to the start."""

    def advance(self) -> None:
        """Go on by `step_time` [s]."""

    def push(self, side: str) -> None:
        """Push the body to a side."""

    def look(self) -> Look:
        """The moment now."""


class PolicyShow:
    """A policy in its body, simulated step by step.

    It goes on after a fall, until it is started again; it starts again by itself where the motion
    ends and where the physics diverges.

    Parameters
    ----------
    policy : Policy
    motion : ReferenceMotion
    seed : int
        Draws the frame at which a periodic motion starts; others start at their first.
    """

    def __init__(self, policy: Policy, motion: ReferenceMotion, seed: int = 0) -> None:
        loose = PROTOCOLS["kinesis"]
        self._policy = policy
        self._env = policy_env(
            policy,
            [motion],
            n_envs=1,
            seed=seed,
            duration=_FOREVER,
            termination_rule=loose.rule,
            termination_distance=loose.threshold,
        )
        self.body = motion.body
        self.step_time = 1.0 / self._env.config.control_rate
        self._fell: float | None = None
        self.restart()

    def restart(self) -> None:
        """Go back to a start of the motion."""
        env = self._env
        zero = np.zeros(1, dtype=np.intp)
        room = int(env.table.length[0]) if env.table.periodic[0] else 1
        env.wrench = None
        self._fell = None
        self._observation = env.reset(zero, zero, env.rng.integers(0, room, size=1))

    def advance(self) -> None:
        """Make one control step."""
        result = self._env.step(self._policy.act(self._observation))
        self._observation = result.observation
        if result.diverged[0] or result.truncated[0]:
            self.restart()
        elif result.terminated[0] and self._fell is None:
            self._fell = self._time

    def push(self, side: str) -> None:
        """Push the pelvis, to the side as the body sees it."""
        if side not in ("left", "right"):
            raise InvalidInputError(f"A push goes to the left or to the right, got {side!r}.")
        quarter = np.pi / 2 if side == "left" else -np.pi / 2
        facing = float(heading(self._env.simulation.qpos[:1])[0])
        push = Push(PUSH_FORCE, facing + quarter, PUSH_DURATION)
        push.attach(self._env, physics_step(self._env).copy())

    @property
    def _time(self) -> float:
        return float(physics_step(self._env)[0]) / PHYSICS_RATE

    def look(self) -> Look:
        """The moment now."""
        env = self._env
        rows, shift = env.table.rows(env.motion, env.frame)
        ghost = env.table.qpos[rows[0]].copy()
        ghost[:3] += shift[0]
        fell = "" if self._fell is None else f"fell after {self._fell:.1f} s"
        simulation = env.simulation
        return Look(
            self._time, simulation.qpos[0].copy(), ghost, simulation.activation[0].copy(), fell
        )

    def close(self) -> None:
        """Stop the physics threads."""
        self._env.close()


class RecordingShow:
    """A recording, played back; it cannot be pushed any more, and starts again at its end.

    Parameters
    ----------
    recording : xarray.Dataset
    reference : ReferenceMotion, optional
        The motion that it followed, for the ghost.
    """

    def __init__(self, recording: xr.Dataset, reference: ReferenceMotion | None = None) -> None:
        self._poses = read_poses(recording, reference=reference)
        self.body = self._poses.body
        self.step_time = 1.0 / CONTROL_RATE
        self._start = float(self._poses.time[0])
        self._now = 0.0

    def restart(self) -> None:
        """Go back to the first sample."""
        self._now = 0.0

    def advance(self) -> None:
        """Go on by `step_time`."""
        self._now += self.step_time
        if self._start + self._now > float(self._poses.time[-1]):
            self.restart()

    def push(self, side: str) -> None:
        """Nothing: what is recorded has happened."""

    def look(self) -> Look:
        """The sample nearest to the moment now."""
        shown = self._poses.at(np.array([self._start + self._now]))
        return Look(
            self._now,
            shown.qpos[0],
            None if shown.ghost is None else shown.ghost[0],
            np.nan_to_num(shown.activation[0]),
            "recording",
        )
