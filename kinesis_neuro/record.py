"""record: a policy in its body, as a dataset of everything that its muscles and joints did."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.body.kinematics import split_sensors
from kinesis_neuro.body.models import PHYSICS_RATE, Body
from kinesis_neuro.body.recording import Samples, assemble_recording, feet
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.tasks.goal import Quantity
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.learn.checkpoint import describe
from kinesis_neuro.learn.play import (
    MotionLike,
    as_motions,
    as_policy,
    control_steps,
    policy_env,
)
from kinesis_neuro.learn.policy import Policy, untrained_policy
from kinesis_neuro.provenance import hash_arrays, provenance
from kinesis_neuro.schema import encode_attr

RATES = ("physics", "control")


def policy_hash(policy: Policy) -> str:
    """Hash over weights and description."""
    weights = {k: v.numpy() for k, v in policy.state_dict().items()}
    return hash_arrays(weights | {"description": describe(policy)})


def record(
    policy: Policy | str | Path = "walk",
    motion: MotionLike | None = None,
    duration: float = 10.0,
    seed: int = 0,
    rate: str = "physics",
    *,
    start: float | None = None,
    on_fall: str = "stop",
    condition: MuscleCondition | None = None,
    n_threads: int | None = None,
    prepare: Any = None,
) -> xr.Dataset:
    """Record a deterministic policy.

    Parameters
    ----------
    policy : Policy, str or Path
        A policy, the name of a shipped one, a folder, or ``"untrained"``: the first weights of a
        policy that drives muscles alone.
    motion : motion, str or Path, optional
        What it follows; the first motion that it was trained on if not given.
    duration : float
        [s]; the recording of a task with a goal ends with its episode, if that is earlier.
    seed : int
        Draws the goal, where there is one; the starting frame, where ``start`` is not given; and an
        untrained policy's weights.
    rate : {"physics", "control"}
        Samples at every physics step (150 Hz), or at every control step.
    start : float, optional
        Time of the motion at which to start [s].
    on_fall : {"stop", "restart"}
        What happens when a tracked body is farther from the reference than the task allows: the
        recording ends there; or a new episode starts at another phase, until the duration is
        full (for policies that cannot walk; bin by ``reference_phase`` then).
    condition : MuscleCondition, optional
        Of the muscles (fatigue, weakness, silence, delay, noise); the one that the policy was
        trained with if not given.
    n_threads : int, optional
        Physics threads; they do not change the result.
    prepare : callable, optional
        Called with the environment before the first step.

    Returns
    -------
    xarray.Dataset
        See ``schema.RECORDING``, and ``reference_phase`` (time) and ``episode_index`` (time).
        Under a condition also ``excitation_demand`` and, with fatigue, ``fatigued`` and
        ``resting`` (time, muscle), and ``attrs["condition"]`` (JSON).
        ``attrs["n_falls"]`` counts falls, ``attrs["n_diverged"]`` those of them in which the
        physics diverged.

    Raises
    ------
    InvalidInputError
        If an argument is out of its range, or the motion is too short.

    Examples
    --------
    >>> from kinesis_neuro import MuscleCondition, record
    >>> weak = MuscleCondition(strength=(("soleus_r", 0.5),))
    >>> recording = record("walk", duration=0.1, condition=weak)
    >>> "excitation_demand" in recording
    True
    """
    if rate not in RATES:
        raise InvalidInputError(
            f"Invalid value for 'rate'. Allowed values are {', '.join(RATES)}, but got {rate!r}."
        )
    if on_fall not in ("stop", "restart"):
        raise InvalidInputError(
            f"Invalid value for 'on_fall'. Allowed values are stop, restart, but got {on_fall!r}."
        )
    if not np.isfinite(duration) or duration <= 0:
        raise InvalidInputError(f"duration must be a positive number of seconds, got {duration}.")
    played = untrained_policy(seed) if policy == "untrained" else as_policy(policy)
    reference = as_motions(motion, played)[0]
    changed: dict[str, Any] = {} if condition is None else {"condition": condition}
    env = policy_env(
        played,
        [reference],
        n_envs=1,
        n_threads=n_threads,
        seed=seed,
        duration=max(duration, 1.0),
        **changed,
    )
    n_steps = control_steps(duration, env.config.control_rate)
    asks = bool(env.config.goal.kind)
    # A goal draws where its episodes start, and ends them.
    frame = None if asks and start is None else _first_frame(env, start, n_steps)
    trace = Trace(env)
    observation = env.reset(np.zeros(1, dtype=np.intp), np.zeros(1, dtype=np.intp), frame)
    if prepare is not None:
        prepare(env)
    n_falls = 0
    for _ in range(n_steps):
        action = played.act(observation)
        # The policy may see the body mirrored; the recording keeps the body's own sides.
        applied = env.own_sides(action)
        result = env.step(action)
        trace.control_step(env, applied, result.reward, n_falls)
        observation = result.observation
        if result.terminated[0]:
            n_falls += 1
            if on_fall == "stop":
                break
            observation = env.reset(
                np.zeros(1, dtype=np.intp), np.zeros(1, dtype=np.intp), _random_frame(env)
            )
        elif asks and result.truncated[0]:
            break
    env.close()
    dataset = trace.recording(env, played, seed=seed, duration=duration, n_falls=n_falls)
    if rate == "control":
        dataset = dataset.isel(time=slice(None, None, env.config.decimation))
        dataset.attrs["sampling_rate"] = float(env.config.control_rate)
    return dataset


def _first_frame(env: ImitationEnv, start: float | None, n_steps: int) -> NDArray[np.intp]:
    """Physics frame of the motion at which the recording starts."""
    length = int(env.table.length[0])
    needed = 0 if env.table.periodic[0] else (n_steps + 1) * env.config.decimation
    room = length - needed
    if room < 1:
        raise InvalidInputError(
            f"Motion {env.table.motions[0].name!r} lasts {length / PHYSICS_RATE:.2f} s, too short "
            f"for a recording of {n_steps / env.config.control_rate:.2f} s."
        )
    if start is None:
        return env.rng.integers(0, room, size=1)
    frame = round(start * PHYSICS_RATE)
    if not 0 <= frame < room:
        raise InvalidInputError(
            f"start must lie between 0 and {(room - 1) / PHYSICS_RATE:.3f} s, got {start}."
        )
    return np.array([frame])


def _random_frame(env: ImitationEnv) -> NDArray[np.intp]:
    length = int(env.table.length[0])
    room = length if env.table.periodic[0] else max(1, length - 2 * env.config.decimation)
    return env.rng.integers(0, room, size=1)


class Trace:
    """Collects what belongs to each state of every environment: what drove it, what was sensed.

    Parameters
    ----------
    env : ImitationEnv
        Its hook ``on_physics_step`` is taken; what hung there before is called first.
    """

    def __init__(self, env: ImitationEnv) -> None:
        self._rows: list[tuple[np.ndarray, ...]] = []
        self._held: list[tuple[int, np.ndarray, np.ndarray, int]] = []
        self._muscles: list[dict[str, np.ndarray]] = []
        self._asked: list[dict[str, Quantity]] = []
        self._parts = env.simulation.parts
        self._inner = env.on_physics_step
        env.on_physics_step = self._physics_step

    def _physics_step(self, env: ImitationEnv) -> None:
        # The step has just left the previous state; its sensors are those now in the buffer.
        reference = env.table.at(env.motion, env.frame - 1).position()
        phase = env.table.phase(env.motion, env.frame - 1)
        self._asked.append(env.goal.recorded())
        simulation = env.simulation
        states = simulation.muscle_states()
        self._muscles.append({name: values.copy() for name, values in states.items()})
        self._rows.append(
            (
                simulation.previous.copy(),
                simulation.sensors.copy(),
                env.excitation.copy(),
                reference,
                phase,
            )
        )
        if self._inner is not None:
            self._inner(env)

    def control_step(
        self, env: ImitationEnv, action: np.ndarray, reward: np.ndarray, episode: int
    ) -> None:
        """Values of the control rate, held over the physics steps that they drove."""
        self._held.append((env.config.decimation, action, reward, episode))

    def samples(self, body: Body, which: int = 0) -> Samples:
        """States of one environment with what was sensed in them, time first."""
        columns = zip(*self._rows, strict=True)
        state, sensors, excitation, reference, _ = (
            np.stack([row[which] for row in column]) for column in columns
        )
        qpos, qvel, activation = self._parts(state)
        force, center = feet(body, sensors)
        frames = split_sensors(body, sensors)
        names = self._muscles[0]
        muscles = {name: np.stack([row[name][which] for row in self._muscles]) for name in names}
        return Samples(
            qpos, qvel, excitation, activation, frames, reference, force, center, muscles
        )

    def recording(
        self,
        env: ImitationEnv,
        played: Policy,
        *,
        seed: int,
        duration: float,
        n_falls: int,
        which: int = 0,
    ) -> xr.Dataset:
        """Recording of one environment, at the physics rate, with its provenance."""
        reference = env.table.motions[int(env.motion[which])]
        body = reference.body
        attributes = provenance(
            body=body.name,
            body_hash=body.hash,
            motion=reference.name,
            motion_hash=reference.hash,
            policy=played.about.name,
            policy_hash=policy_hash(played),
            actuation=env.config.actuation,
            seed=seed,
            sampling_rate=PHYSICS_RATE,
            physics_rate=PHYSICS_RATE,
            control_rate=env.config.control_rate,
            configuration={"task": dict(played.about.task), "duration": duration},
        )
        if not env.config.condition.is_none:
            attributes["condition"] = encode_attr(asdict(env.config.condition))
        dataset = assemble_recording(
            body,
            self.samples(body, which),
            attributes | body.scale_attributes | {"n_falls": n_falls, "n_diverged": env.n_diverged},
            action=self._repeated([action[which] for _, action, _, _ in self._held]),
            action_channels=env.action_channels,
            reward=self._repeated([reward[which] for _, _, reward, _ in self._held]),
            model=env.simulation.model,
        )
        extra = {
            "reference_phase": (
                np.array([row[4][which] for row in self._rows]),
                "phase of the reference motion, 0 to 1",
            ),
            "episode_index": (
                self._repeated([episode for *_, episode in self._held]).astype(np.int64),
                "number of the episode, from 0",
            ),
        }
        for name, (values, long_name) in extra.items():
            dataset[name] = ("time", values, {"units": "1", "long_name": long_name})
        for name, first in self._asked[0].items():
            rows = np.stack([asked[name].values[which] for asked in self._asked])
            about = {"units": first.units, "long_name": first.long_name}
            dataset[name] = (("time", *first.dims), rows, about)
        return dataset

    def _repeated(self, values: list) -> np.ndarray:
        """Values of the control rate at the physics rate."""
        return np.repeat(np.array(values), [n for n, *_ in self._held], axis=0)
