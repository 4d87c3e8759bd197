"""The physics steps of a control step: of all bodies together, or in lanes that go side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.env.simulation import Simulation

if TYPE_CHECKING:
    from kinesis_neuro.env.imitation import ImitationEnv

FloatArray = NDArray[np.float64]


class Stepper:
    """Brings the bodies of an environment through control steps.

    Neighbouring bodies make a lane: their actuation and observation, which are Python, run beside
    the physics of the other lanes. Where somebody looks at every physics step (a hook, a push, a
    goal), all bodies go together. What comes out is the same to the bit.

    Parameters
    ----------
    env : ImitationEnv
    separable : bool
        Whether each body is by itself.
    """

    def __init__(self, env: ImitationEnv, separable: bool) -> None:
        self.env = env
        self._lanes = env.simulation.lanes() if separable else []
        self._threads = ThreadPoolExecutor(len(self._lanes)) if self._lanes else None

    def advance(self, action: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.float32] | None]:
        """Make one control step: which bodies' physics diverged, and observations if made."""
        env = self.env
        env.mean_excitation[:] = 0.0
        watched = env.wrench is not None or env.on_physics_step is not None
        if self._threads is None or watched:
            diverged, observation = self._advance_all(action), None
        else:
            going = [
                self._threads.submit(self._advance_lane, action, lane, rows)
                for rows, lane in self._lanes
            ]
            done = [lane.result() for lane in going]
            diverged = np.concatenate([lane[0] for lane in done])
            observation = np.concatenate([lane[1] for lane in done])
            env.excitation = np.concatenate([lane.excitation for _, lane in self._lanes])
            env.simulation.excitation = env.excitation
        env.mean_excitation /= env.config.decimation
        return diverged, observation

    def _advance_all(self, action: FloatArray) -> NDArray[np.bool_]:
        env, simulation = self.env, self.env.simulation
        plan = env.drive.plan(action, simulation, env.motion, env.frame)
        diverged = np.zeros(env.n_envs, dtype=bool)
        for _ in range(env.config.decimation):
            env.excitation = env.drive.excite(plan, simulation, env.motion, env.frame)
            wrench = None if env.wrench is None else env.wrench(env)
            diverged |= simulation.step(env.excitation, wrench)
            env.excitation = simulation.excitation
            env.frame += 1
            env.mean_excitation += env.excitation
            if env.on_physics_step is not None:
                env.on_physics_step(env)
            env.goal.advance()
        return diverged

    def _advance_lane(
        self, action: FloatArray, lane: Simulation, rows: slice
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        env = self.env
        motion, frame = env.motion[rows], env.frame[rows]  # views of what all share
        plan = env.drive.plan(action[rows], lane, motion, frame)
        diverged = np.zeros(lane.n_envs, dtype=bool)
        for _ in range(env.config.decimation):
            diverged |= lane.step(env.drive.excite(plan, lane, motion, frame))
            frame += 1
            env.mean_excitation[rows] += lane.excitation
        return diverged, env.observer.observe(lane, motion, frame)

    def close(self) -> None:
        """Stop the threads of the lanes."""
        if self._threads is not None:
            self._threads.shutdown()
        for _, lane in self._lanes:
            lane.close()
