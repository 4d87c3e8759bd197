"""What is timed of the library: raw physics, environment, policy and training, from one rollout."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
from mujoco import rollout
from numpy.typing import NDArray

from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import InvalidInputError

if TYPE_CHECKING:
    from kinesis_neuro.learn.trainer import Trainer

FloatArray = NDArray[np.float64]

RAW, ENVIRONMENT, WITH_POLICY, TRAINING = "raw limit", "environment", "with policy", "training"
TAKE = 24  # control steps of a recorded stretch
SEGMENT = 4  # control steps of open loop in one call, uninterrupted by a reset


@dataclass(frozen=True)
class Take:
    """A stretch of the environment's own rollout, from which all rows start.

    Attributes
    ----------
    state, generator, observation
        Of the environment at its beginning.
    actions : list of ndarray, shape (n_envs, n_actions)
    segments : list of (states, accelerations, excitations)
        Of n_envs uninterrupted pieces each, for the open loop.
    reached : list of ndarray
        States that the environment was in at their ends.
    """

    state: dict[str, NDArray]
    generator: Mapping[str, Any]
    observation: NDArray[np.float32]
    actions: list[NDArray[np.float32]]
    segments: list[tuple[FloatArray, FloatArray, FloatArray]]
    reached: list[FloatArray]

    def restore(self, env: ImitationEnv) -> None:
        """Put the environment back to the start of the stretch."""
        env.set_state_arrays(self.state)
        env.rng.bit_generator.state = dict(self.generator)


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


def _copied(arrays: dict[str, NDArray]) -> dict[str, NDArray]:
    return {name: values.copy() for name, values in arrays.items()}


class Rows:
    """What is measured of one actuation: raw physics, environment, policy, training.

    Parameters
    ----------
    trainer : Trainer
    """

    def __init__(self, trainer: Trainer) -> None:
        import torch

        env = trainer.env
        if not isinstance(env, ImitationEnv):
            raise InvalidInputError("Raw physics is MuJoCo's here: give a trainer on processors.")
        self.trainer, self.env = trainer, env
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
            _copied(env.state_arrays()),
            env.rng.bit_generator.state,
            observation,
        )
        before, ended, actions = [], [], []
        excitation: list[FloatArray] = []
        env.on_physics_step = lambda e: excitation.append(e.excitation)
        for _ in range(TAKE):
            before.append(_copied(env.simulation.state_arrays()))
            actions.append(self._act(observation))
            result = env.step(actions[-1])
            observation = result.observation
            ended.append(result.terminated | result.truncated)
        env.on_physics_step = None
        before.append(_copied(env.simulation.state_arrays()))
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
        segments, reached = [], []
        for rows in order:
            state, acceleration, drive, end = (np.ascontiguousarray(c[rows]) for c in columns)
            segments.append((state, acceleration, drive))
            reached.append(end)
        return segments, reached

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
        """All of these by name; each returns how many control steps it made."""
        return {
            RAW: self.play_raw,
            ENVIRONMENT: self.play_actions,
            WITH_POLICY: self.play_policy,
            TRAINING: self.learn,
        }


class RawPhysics:
    """``mujoco.rollout`` in open loop: the environment's states, excitations, batch, threads.

    Parameters
    ----------
    env : ImitationEnv
    take : Take
    """

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
        """Go through all segments; returns how many control steps that is."""
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
