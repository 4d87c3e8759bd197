"""How fast the bodies step, learn, and what the per-muscle Python loop of KINESIS would cost.

    python benchmarks/throughput.py [--seconds 3] [--repetitions 5] [--n-envs 128] [--json FILE]

All rows are measured in turns within one run, so that what slows the machine down for a while slows
all of them; a ratio is the median over turns of the ratio within a turn. README.md says what each
row means.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
from mujoco import rollout
from numpy.typing import NDArray

from kinesis_neuro.body import actuation as act
from kinesis_neuro.body.models import PHYSICS_RATE, Body, load_body
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.simulation import Simulation, default_threads
from kinesis_neuro.formats.atomic import atomic_path
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.provenance import library_versions

if TYPE_CHECKING:
    from kinesis_neuro.learn.trainer import Trainer

FloatArray = NDArray[np.float64]

BODY, MOTION = "legs", "walk"
ACTUATIONS = ("moment", "excitation", "length")
RAW, ENVIRONMENT, WITH_POLICY, TRAINING = "raw limit", "environment", "with policy", "training"
PUBLISHED, TUNED = "Python loop, as published", "Python loop, tuned"
TARGETS = {ENVIRONMENT: 0.60, TRAINING: 0.40}  # of the raw limit
LOOP_TARGET = 8.0  # environment over the published loop, at the same number of threads
TAKE = 24  # control steps of a recorded stretch
SEGMENT = 4  # control steps of open loop in one call, uninterrupted by a reset
UNDISTURBED = 0.95  # share of its threads' time that raw physics gets on a quiet machine
N_COMPARED = 16  # environments on which the loop is held against the batch


@dataclass(frozen=True)
class Sample:
    """One measurement: control steps a second, and processors kept busy on average."""

    rate: float
    cores: float


def measure(work: Callable[[], int], seconds: float) -> Sample:
    """Repeat work, which returns how many control steps it did, for at least this long."""
    start, processor = time.perf_counter(), time.process_time()
    done, elapsed = 0, 0.0
    while elapsed < seconds:
        done += work()
        elapsed = time.perf_counter() - start
    return Sample(done / elapsed, (time.process_time() - processor) / elapsed)


# -- the library ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Take:
    """A stretch of the environment's own rollout, from which all rows start.

    ``segments`` are (states, accelerations, excitations) of n_envs uninterrupted pieces each, for
    the open loop; ``reached`` are the states that the environment was in at their ends.
    """

    state: dict[str, NDArray]
    generator: dict[str, Any]
    observation: NDArray[np.float32]
    actions: list[NDArray[np.float32]]
    segments: list[tuple[FloatArray, FloatArray, FloatArray]]
    reached: list[FloatArray]

    def restore(self, env: ImitationEnv) -> None:
        """Put the environment back to the start of the stretch."""
        env.set_state_arrays(self.state)
        env.rng.bit_generator.state = self.generator


def copied(arrays: dict[str, NDArray]) -> dict[str, NDArray]:
    return {name: values.copy() for name, values in arrays.items()}


class Rows:
    """What is measured of one actuation: raw physics, environment, policy, training."""

    def __init__(self, trainer: Trainer) -> None:
        import torch

        self.trainer, self.env = trainer, trainer.env
        # Training goes on between measurements; the policy that plays stays the first one.
        self.policy = copy.deepcopy(trainer.policy)
        self.noise = torch.Generator().manual_seed(trainer.config.seed)
        self.take = self._record()
        self.raw = RawPhysics(self.env, self.take)
        trainer.iterate()  # the first call of anything is slow

    def _act(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Exploring actions, as PPO's rollout draws them."""
        import torch

        with torch.no_grad():
            mean = self.policy.mean(self.policy.normalizer(torch.from_numpy(observation)))
            noise = torch.randn(mean.shape, generator=self.noise)
            return (mean + torch.exp(self.policy.log_std) * noise).numpy()

    def _record(self) -> Take:
        env = self.env
        # A batch that starts at once falls at once; let it spread over all times of an episode.
        observation = env.reset()
        for _ in range(3 * TAKE):
            observation = env.step(self._act(observation)).observation
        start, generator, first = (
            copied(env.state_arrays()),
            env.rng.bit_generator.state,
            observation,
        )
        before, ended, actions = [], [], []
        excitation: list[FloatArray] = []
        env.on_physics_step = lambda e: excitation.append(e.excitation)
        for _ in range(TAKE):
            before.append(copied(env.simulation.state_arrays()))
            actions.append(self._act(observation))
            result = env.step(actions[-1])
            observation = result.observation
            ended.append(result.terminated | result.truncated)
        env.on_physics_step = None
        before.append(copied(env.simulation.state_arrays()))
        segments, reached = self._segments(before, np.array(ended), np.array(excitation))
        return Take(start, generator, first, actions, segments, reached)

    def _segments(
        self, before: list[dict[str, NDArray]], ended: NDArray[np.bool_], excitation: FloatArray
    ) -> tuple[list[tuple[FloatArray, FloatArray, FloatArray]], list[FloatArray]]:
        n, decimation = self.env.n_envs, self.env.config.decimation
        pieces = []
        for first in range(0, TAKE, SEGMENT):
            last = first + SEGMENT
            whole = ~ended[first:last].any(axis=0)
            pieces.append(
                (
                    before[first]["state"][whole],
                    before[first]["acceleration"][whole],
                    excitation[first * decimation : last * decimation, whole].swapaxes(0, 1),
                    before[last]["state"][whole],
                )
            )
        columns = [np.concatenate(column) for column in zip(*pieces, strict=True)]
        # Every call has the environment's own batch: pieces are used again to fill the last one.
        n_calls = -(-len(columns[0]) // n)
        order = np.resize(np.arange(len(columns[0])), (n_calls, n))
        calls = [tuple(np.ascontiguousarray(c[rows]) for c in columns) for rows in order]
        return [call[:3] for call in calls], [call[3] for call in calls]

    def play_raw(self) -> int:
        """Physics alone."""
        return self.raw.run()

    def play_actions(self) -> int:
        """The environment, with the actions known in advance."""
        self.take.restore(self.env)
        for action in self.take.actions:
            self.env.step(action)
        return TAKE * self.env.n_envs

    def play_policy(self) -> int:
        """The environment, with the actions of the exploring policy."""
        self.take.restore(self.env)
        observation = self.take.observation
        for _ in range(TAKE):
            observation = self.env.step(self._act(observation)).observation
        return TAKE * self.env.n_envs

    def learn(self) -> int:
        """One iteration of training: rollout with critic and buffers, and update."""
        steps = self.trainer.steps
        self.trainer.observation = self.take.observation
        self.take.restore(self.env)
        self.trainer.iterate()
        return self.trainer.steps - steps

    def works(self) -> dict[str, Callable[[], int]]:
        return {
            RAW: self.play_raw,
            ENVIRONMENT: self.play_actions,
            WITH_POLICY: self.play_policy,
            TRAINING: self.learn,
        }


class RawPhysics:
    """``mujoco.rollout`` in open loop: the environment's states, excitations, batch, threads."""

    def __init__(self, env: ImitationEnv, take: Take) -> None:
        model, n, n_threads = env.body.model, env.n_envs, env.simulation.n_threads
        self.n_steps = SEGMENT * env.config.decimation
        self.decimation = env.config.decimation
        self.take = take
        self.models = [model] * n
        self.data = [mujoco.MjData(model) for _ in range(n_threads)]
        self.pool = rollout.Rollout(nthread=n_threads if n_threads > 1 else 0)
        self.state = np.zeros((n, self.n_steps, env.simulation.state.shape[1]))
        self.sensors = np.zeros((n, self.n_steps, model.nsensordata))
        self._check()

    def _roll(self, segment: tuple[FloatArray, FloatArray, FloatArray]) -> None:
        state, acceleration, excitation = segment
        self.pool.rollout(
            self.models,
            self.data,
            state,
            excitation,
            control_spec=int(mujoco.mjtState.mjSTATE_CTRL),
            skip_checks=True,
            nstep=self.n_steps,
            initial_warmstart=acceleration,
            state=self.state,
            sensordata=self.sensors,
        )

    def run(self) -> int:
        for segment in self.take.segments:
            self._roll(segment)
        return len(self.take.segments) * len(self.models) * self.n_steps // self.decimation

    def _check(self) -> None:
        """The open loop must pass through the very states of the environment."""
        position = slice(1, 1 + self.models[0].nq)
        for segment, reached in zip(self.take.segments, self.take.reached, strict=True):
            self._roll(segment)
            # Not to the last bit: in one call the solver starts from its own last solution.
            np.testing.assert_allclose(
                self.state[:, -1, position], reached[:, position], rtol=0, atol=1e-3
            )


# -- the baseline -----------------------------------------------------------------------------


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
        mujoco.mj_step(self.body.model, self.data)
        mujoco.mj_getState(self.body.model, self.data, self.state[0], self.layout)
        self.sensors[0] = self.data.sensordata
        # As published, nobody looks for divergence here; the task ends such an episode anyway.
        return np.zeros(1, dtype=bool)


class LoopEnv(ImitationEnv):
    """One environment at a time, a Python loop over its muscles at every physics step.

    Observations, reward, termination and resets are inherited, so the features are identical.
    """

    def __init__(self, loop: str, seed: int = 0) -> None:
        config = ImitationConfig(actuation="length")
        super().__init__([load_motion(MOTION, BODY)], config, n_threads=1, seed=seed)
        self.loop = published_loop if loop == PUBLISHED else TunedLoop(self.body.model)
        self.simulation = SerialSimulation(self.body)
        self.reset()

    def excite(
        self, action: FloatArray, moment_part: FloatArray | None, clip: bool = True
    ) -> FloatArray:
        length = self.simulation.sensor("muscle_length")[0]
        velocity = self.simulation.sensor("muscle_velocity")[0]
        return self.loop(self.body.model, action[0], length, velocity)[None]


def check_loops(rows: Rows) -> None:
    """From the same states the loops must give the batch's excitations, observations, rewards."""
    env, take = rows.env, rows.take
    for loop in (PUBLISHED, TUNED):
        take.restore(env)
        action = np.clip(take.actions[0].astype(np.float64), -1.0, 1.0)
        batch = env.excite(action, None)
        muscles, sensor = env.muscles, env.simulation.sensor
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
            excited = single.excite(action[i : i + 1], None)
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


# -- the run ----------------------------------------------------------------------------------


@dataclass
class Section:
    """All that was measured at one number of threads."""

    threads: int
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)

    def add(self, actuation: str, row: str, sample: Sample) -> None:
        self.samples.setdefault((actuation, row), []).append(sample)

    def rate(self, actuation: str, row: str) -> float:
        return median(s.rate for s in self.samples[actuation, row])

    def ratios(self, actuation: str, row: str, to: str) -> list[float]:
        pairs = zip(self.samples[actuation, row], self.samples[actuation, to], strict=True)
        return [mine.rate / theirs.rate for mine, theirs in pairs]


def build_rows(actuation: str, arguments: argparse.Namespace, threads: int, folder: Path) -> Rows:
    # Imported here: the baseline's processes import this file and have no use for torch.
    from kinesis_neuro.learn.checkpoint import load_policy
    from kinesis_neuro.learn.config import TrainConfig
    from kinesis_neuro.learn.trainer import Trainer

    policy = arguments.policy
    if policy and load_policy(policy).about.task["actuation"] != actuation:
        policy = ""
    default = TrainConfig()
    config = dataclasses.replace(
        default,
        body=BODY,
        motions=(MOTION,),
        task=dataclasses.replace(default.task, actuation=actuation),
        n_envs=arguments.n_envs,
        n_threads=threads,
        initial_policy=policy,
    )
    return Rows(Trainer(config, folder / f"{actuation}-{threads}"))


def run_section(arguments: argparse.Namespace, threads: int, folder: Path) -> tuple[Section, Rows]:
    from kinesis_neuro.learn.config import NetworkConfig

    section = Section(threads)
    rows = {a: build_rows(a, arguments, threads, folder) for a in arguments.actuations}
    workers = None
    if "length" in rows:
        check_loops(rows["length"])
        workers = LoopWorkers(threads, float(np.exp(NetworkConfig().initial_log_std)))
    for turn in range(arguments.repetitions):
        print(f"threads: {threads}, turn {turn + 1} of {arguments.repetitions}", flush=True)
        for actuation, own in rows.items():
            for name, work in own.works().items():
                section.add(actuation, name, measure(work, arguments.seconds))
        if workers is not None:
            for loop in (PUBLISHED, TUNED):
                section.add("length", loop, workers.measure(loop, arguments.seconds))
    if workers is not None:
        workers.close()
    return section, next(iter(rows.values()))


def table(section: Section, decimation: int) -> Iterator[str]:
    """Markdown: medians over turns; ratios as median (least to greatest)."""
    yield (
        "| actuation | row | control steps/s | physics steps/s | of the raw limit | target "
        "| processors busy |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|"
    for (actuation, row), samples in section.samples.items():
        rate = section.rate(actuation, row)
        target = f">= {TARGETS[row]:.0%}" if row in TARGETS else ""
        ratios = section.ratios(actuation, row, RAW)
        share = f"{median(ratios):.0%} ({min(ratios):.0%} to {max(ratios):.0%})"
        yield (
            f"| `{actuation}` | {row} | {rate:,.0f} | {rate * decimation:,.0f} | {share} | "
            f"{target} | {median(s.cores for s in samples):.2f} |"
        )
    for loop in (PUBLISHED, TUNED):
        if ("length", loop) in section.samples:
            ratios = section.ratios("length", ENVIRONMENT, loop)
            target = f" (target >= {LOOP_TARGET:.0f} x)" if loop == PUBLISHED else ""
            yield ""
            yield (
                f"Environment over {loop} (`length`, threads or processes: {section.threads}): "
                f"{median(ratios):.1f} x ({min(ratios):.1f} to {max(ratios):.1f}){target}"
            )


def disturbed(section: Section) -> bool:
    """Whether raw physics, which never waits, got less than its processors."""
    raw = [s.cores for (_, row), samples in section.samples.items() if row == RAW for s in samples]
    return median(raw) < UNDISTURBED * section.threads


def memory(env: ImitationEnv) -> dict[str, int]:
    """Bytes: for each environment, for each thread, and shared by all."""
    arrays = [v for holder in (env, env.simulation) for v in vars(holder).values()]
    batched = [a for a in arrays if isinstance(a, np.ndarray) and a.shape[:1] == (env.n_envs,)]
    data = mujoco.MjData(env.body.model)
    tables = [v for v in vars(env.table).values() if isinstance(v, np.ndarray)]
    return {
        "per_environment": sum(a.nbytes for a in batched) // env.n_envs,
        "mjdata_buffer_per_thread": data.nbuffer,
        "mjdata_arena_per_thread": data.narena,
        "shared_mjmodel": env.body.model.nbuffer,
        "shared_reference": sum(t.nbytes for t in tables),
    }


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    name = platform.processor()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text().splitlines()
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = models[0] if models else name
    return {
        "processor": name or platform.machine(),
        "cores": default_threads(),
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
        "versions": library_versions(),
    }


def write_json(value: object, path: Path) -> None:
    """JSON, complete or not at all."""
    with atomic_path(path) as part:
        part.write_text(json.dumps(value, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each row in each turn")
    parser.add_argument("--repetitions", type=int, default=5, help="turns")
    parser.add_argument("--n-envs", type=int, default=128)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, default_threads()}))
    parser.add_argument("--actuations", nargs="+", default=ACTUATIONS, choices=ACTUATIONS)
    parser.add_argument(
        "--policy", default="", help="name or folder: play it in its actuation, not a new policy"
    )
    parser.add_argument("--json", type=Path, help="file for all samples")
    arguments = parser.parse_args()

    about = machine()
    print(f"{about['processor']}, {about['cores']} cores, load before {about['load_before']:.2f}")
    body, decimation = load_body(BODY), ImitationConfig().decimation
    print(
        f"{body.name}, {PHYSICS_RATE:g} / {PHYSICS_RATE / decimation:g} Hz, "
        f"{arguments.n_envs} environments, {arguments.repetitions} turns of {arguments.seconds} s"
    )
    sections, used = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for threads in arguments.threads:
            section, rows = run_section(arguments, threads, Path(folder))
            sections.append(section)
            used = memory(rows.env)
    for section in sections:
        print(f"\n**Threads: {section.threads}**\n")
        print("\n".join(table(section, decimation)))
        if disturbed(section):
            print("\nSomething else kept this machine busy: these numbers are no measurement.")
    print("\nMemory: " + ", ".join(f"{k} {v / 1024:,.0f} KiB" for k, v in used.items()))
    if arguments.json:
        samples = [
            {
                "threads": section.threads,
                "actuation": actuation,
                "row": row,
                "control_steps_per_second": [s.rate for s in taken],
                "processors_busy": [s.cores for s in taken],
            }
            for section in sections
            for (actuation, row), taken in section.samples.items()
        ]
        settings = {k: v for k, v in vars(arguments).items() if k != "json"}
        write_json(
            {"machine": about, "settings": settings, "memory_bytes": used, "samples": samples},
            arguments.json,
        )


if __name__ == "__main__":
    main()
