"""The baseline: KINESIS's algorithm, one environment and one muscle at a time."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.bench.measuring import Sample, measure
from kinesis_neuro.bench.rows import Rows
from kinesis_neuro.body import actuation as act
from kinesis_neuro.body.models import Body
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.drive import Drive, Plan
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.simulation import Simulation
from kinesis_neuro.motion.library import load_motion

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Loop = Callable[[mujoco.MjModel, FloatArray, FloatArray, FloatArray], FloatArray]

BODY, MOTION = "legs", "walk"
PUBLISHED, TUNED = "Python loop, as published", "Python loop, tuned"
N_COMPARED = 16  # environments on which the loop is held against the batch


def published_loop(
    model: mujoco.MjModel, action: FloatArray, length: FloatArray, velocity: FloatArray
) -> FloatArray:
    """Excitations by KINESIS's algorithm: action -> target length -> force -> excitation.

    Our own implementation, in the form of the published one: two loops over the muscles, which look
    parameters up in the model and clip with NumPy.
    """
    target = 0.5 * (action + 1.0) * model.actuator_lengthrange[:, 1]
    force = np.empty(model.nu)
    for i in range(model.nu):
        peak = model.actuator_biasprm[i, 2]
        stiffness = 5.0 * peak
        damping = 0.1 * stiffness
        wanted = stiffness * (target[i] - length[i]) - damping * velocity[i]
        force[i] = np.clip(wanted, -peak, 0.0)
    excitation = np.empty(model.nu)
    for i in range(model.nu):
        span, acc0 = model.actuator_lengthrange[i], model.actuator_acc0[i]
        bias = mujoco.mju_muscleBias(length[i], span, acc0, model.actuator_biasprm[i, :9])
        gain = mujoco.mju_muscleGain(
            length[i], velocity[i], span, acc0, model.actuator_gainprm[i, :9]
        )
        excitation[i] = np.clip((force[i] - bias) / min(-1.0, gain), 0.0, 1.0)
    return excitation


class TunedLoop:
    """The same numbers from the fastest loop that plain Python has: what good style would save."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.longest = model.actuator_lengthrange[:, 1].copy()
        self.rows = [
            (
                model.actuator_lengthrange[i].copy(),
                float(model.actuator_acc0[i]),
                model.actuator_biasprm[i, :9].copy(),
                model.actuator_gainprm[i, :9].copy(),
                float(model.actuator_biasprm[i, 2]),
            )
            for i in range(model.nu)
        ]

    def __call__(
        self, model: mujoco.MjModel, action: FloatArray, length: FloatArray, velocity: FloatArray
    ) -> FloatArray:
        target = (0.5 * (action + 1.0) * self.longest).tolist()
        excitation = []
        for wanted, now, speed, (span, acc0, passive, active, peak) in zip(
            target, length.tolist(), velocity.tolist(), self.rows, strict=True
        ):
            force = min(max(peak * (5.0 * (wanted - now) - 0.5 * speed), -peak), 0.0)
            gain = min(-1.0, mujoco.mju_muscleGain(now, speed, span, acc0, active))
            bias = mujoco.mju_muscleBias(now, span, acc0, passive)
            excitation.append(min(max((force - bias) / gain, 0.0), 1.0))
        return np.array(excitation)


class SerialSimulation(Simulation):
    """One body, stepped by ``mj_step``."""

    def __init__(self, body: Body) -> None:
        super().__init__(body, 1, 1)
        self.data = mujoco.MjData(body.model)
        self.layout = mujoco.mjtState.mjSTATE_FULLPHYSICS

    def _load(self) -> None:
        mujoco.mj_setState(self.body.model, self.data, self.state[0], self.layout)
        self.data.qacc_warmstart[:] = self.state_arrays()["acceleration"][0]

    def reset(
        self,
        which: NDArray[np.intp],
        qpos: FloatArray,
        qvel: FloatArray,
        activation: FloatArray,
    ) -> None:
        super().reset(which, qpos, qvel, activation)
        self._load()

    def set_state_arrays(self, arrays: dict[str, FloatArray]) -> None:
        super().set_state_arrays(arrays)
        self._load()

    def step(self, excitation: FloatArray, wrench: FloatArray | None = None) -> NDArray[np.bool_]:
        self.data.ctrl[:] = excitation[0]
        self.excitation = excitation
        mujoco.mj_step(self.body.model, self.data)
        mujoco.mj_getState(self.body.model, self.data, self.state[0], self.layout)
        self.sensors[0] = self.data.sensordata
        # As published, nobody looks for divergence here; the task ends such an episode anyway.
        return np.zeros(1, dtype=bool)


class LoopDrive(Drive):
    """The actuation as a loop over muscles."""

    def __init__(self, *task: Any, loop: Loop) -> None:
        super().__init__(*task)
        self.loop = loop

    def excite(
        self, plan: Plan, simulation: Simulation, motion: IntArray, frame: IntArray
    ) -> FloatArray:
        sensor = simulation.sensor
        length, velocity = sensor("muscle_length")[0], sensor("muscle_velocity")[0]
        return self.loop(self.table.body.model, plan.action[0], length, velocity)[None]


class LoopEnv(ImitationEnv):
    """One environment at a time, a Python loop over its muscles at every physics step.

    Observations, reward, termination and resets are inherited, so the features are identical.
    """

    def __init__(self, loop: str, seed: int = 0) -> None:
        config = ImitationConfig(actuation="length")
        super().__init__([load_motion(MOTION, BODY)], config, n_threads=1, seed=seed)
        self.loop = published_loop if loop == PUBLISHED else TunedLoop(self.body.model)
        self.simulation = SerialSimulation(self.body)
        self.drive = LoopDrive(self.config, self.table, loop=self.loop)
        self.reset()


def check_loops(rows: Rows) -> None:
    """From the same states the loops must give the batch's excitations, observations, rewards."""
    env, take = rows.env, rows.take
    for loop in (PUBLISHED, TUNED):
        take.restore(env)
        action = np.clip(take.actions[0].astype(np.float64), -1.0, 1.0)
        batch = env.drive.excite(Plan(action), env.simulation, env.motion, env.frame)
        muscles, sensor = env.drive.muscles, env.simulation.sensor
        vectorised = act.length_control(
            action, sensor("muscle_length"), sensor("muscle_velocity"), muscles
        )
        np.testing.assert_array_equal(batch, vectorised)
        result = env.step(take.actions[0])
        ended = result.terminated | result.truncated
        single = LoopEnv(loop)
        for i in range(min(N_COMPARED, env.n_envs)):
            arrays = {k: v if k == "n_diverged" else v[i : i + 1] for k, v in take.state.items()}
            single.set_state_arrays(arrays)
            excited = single.drive.excite(
                Plan(action[i : i + 1]), single.simulation, single.motion, single.frame
            )
            np.testing.assert_allclose(excited, batch[i : i + 1], rtol=0, atol=1e-10)
            one = single.step(take.actions[0][i : i + 1])
            np.testing.assert_allclose(one.reward[0], result.reward[i], rtol=0, atol=1e-6)
            np.testing.assert_allclose(
                single.mean_excitation[0], env.mean_excitation[i], rtol=0, atol=1e-6
            )
            if not ended[i]:  # else both have drawn another episode
                seen = result.observation[i]
                np.testing.assert_allclose(one.observation[0], seen, rtol=0, atol=1e-4)
        single.close()


class LoopWorkers:
    """As many processes as threads, each with an environment of its own."""

    def __init__(self, n: int, noise: float) -> None:
        # Not forked: a copy of a process with running threads may hang.
        context = multiprocessing.get_context("spawn")
        self.n, barrier = n, context.Barrier(n)
        self.pool = context.Pool(n, initializer=_start_worker, initargs=(barrier, noise))

    def measure(self, loop: str, seconds: float) -> Sample:
        samples = self.pool.map(_run_worker, [(loop, seconds)] * self.n, chunksize=1)
        return Sample(sum(s.rate for s in samples), sum(s.cores for s in samples))

    def close(self) -> None:
        self.pool.terminate()
        self.pool.join()


@dataclass
class _Worker:
    barrier: Barrier
    envs: dict[str, LoopEnv]
    actions: FloatArray
    at: int = 0

    def step(self, loop: str) -> int:
        self.at = (self.at + 1) % len(self.actions)
        self.envs[loop].step(self.actions[self.at])
        return 1


_worker: _Worker


def _start_worker(barrier: Barrier, noise: float) -> None:
    global _worker
    seed = os.getpid()
    envs = {loop: LoopEnv(loop, seed) for loop in (PUBLISHED, TUNED)}
    shape = (1000, 1, envs[PUBLISHED].body.n_muscles)
    _worker = _Worker(barrier, envs, np.random.default_rng(seed).normal(0.0, noise, shape))


def _run_worker(task: tuple[str, float]) -> Sample:
    loop, seconds = task
    # All start together, which also keeps one worker from taking two of the tasks.
    _worker.barrier.wait()
    return measure(lambda: _worker.step(loop), seconds)
