"""Rollouts: what environments did under a policy; fragments of them, made anywhere, put together.

A fragment follows from the policy, the state of the environments and random numbers that are drawn
beforehand, and from nothing else: whoever makes it, it comes out the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.learn.aside import threads_for
from kinesis_neuro.learn.policy import Policy

_ROWS = 32
"""Environments that pass the policy together: rounding depends on the shape, so it is one shape."""

_MANY = 512
"""So many environments are worth threads for the policy."""

Map = Callable[..., Iterable[Any]]


@dataclass(frozen=True, eq=False)
class Fragment:
    """A rollout of some environments, time first, as arrays that may travel.

    Attributes
    ----------
    observation : ndarray of float32, shape (horizon + 1, n_envs, n_observations)
        As the environments gave them; the last is where the next rollout begins.
    beside : ndarray of float32, shape (horizon, n_envs, n)
        What the policy computes on beside its normalised observations: nothing, or what experts
        propose.
    mean : ndarray of float32, shape (horizon, n_envs, n_actions or n_experts)
    choice : ndarray, shape (horizon, n_envs[, n_actions])
        The draw itself: of a hard gate, the number of an expert.
    reward, episode_time, distance : ndarray, shape (horizon, n_envs)
        Reward, time since the episode's start [s], and mean distance of the tracked bodies [m].
    terminated, truncated, diverged : ndarray of bool, shape (horizon, n_envs)
    final : ndarray of float32, shape (n_truncated, n_observations)
        Last observations of the episodes that were truncated, in order of time and environment.
    outcome : dict of str to ndarray, shape (n_ended,)
        What the goal says of the episodes that ended, in the same order.
    """

    observation: NDArray[np.float32]
    beside: NDArray[np.float32]
    mean: NDArray[np.float32]
    choice: NDArray
    reward: NDArray[np.float32]
    episode_time: NDArray[np.float64]
    distance: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    diverged: NDArray[np.bool_]
    final: NDArray[np.float32]
    outcome: dict[str, NDArray[np.float64]]

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Steps with which an episode ended, shape (horizon, n_envs)."""
        return self.terminated | self.truncated


def _decide(
    policy: Policy, observation: NDArray[np.float32], white: Tensor, side_by_side: Map
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the policy computes on, its means, draws and actions, in blocks of one shape."""
    noise, n = policy.noise(), len(observation)
    padded = np.zeros((-(-n // _ROWS) * _ROWS, observation.shape[1]), dtype=np.float32)
    padded[:n] = observation

    @torch.no_grad()
    def block(seen: Tensor) -> tuple[Tensor, Tensor]:
        x = policy.prepare(seen)
        return x, policy.mean(x)

    blocks = side_by_side(block, torch.from_numpy(padded).split(_ROWS))
    x, mean = (torch.cat(column)[:n] for column in zip(*blocks, strict=True))
    choice = noise.place(mean, white)
    return x, mean, choice, policy.execute(x, choice)


def roll(
    policy: Policy, env: ImitationEnv, observation: NDArray[np.float32], white: Tensor
) -> Fragment:
    """Run the exploring policy in all environments.

    Parameters
    ----------
    policy : Policy
    env : ImitationEnv
    observation : ndarray of float32, shape (n_envs, n_observations)
        Where the environments are now.
    white : Tensor, shape (horizon, n_envs, n)
        Random numbers of the policy's noise.
    """
    with threads_for(_ROWS) as n_threads, ThreadPoolExecutor(n_threads) as aside:
        several = n_threads > 1 and len(observation) >= _MANY
        return _roll(policy, env, observation, white, aside.map if several else map)


@torch.no_grad()
def _roll(
    policy: Policy,
    env: ImitationEnv,
    observation: NDArray[np.float32],
    white: Tensor,
    side_by_side: Map,
) -> Fragment:
    rows, final, outcomes = [], [], []
    for at_once in white:
        x, mean, choice, action = _decide(policy, observation, at_once, side_by_side)
        result = env.step(action.numpy())
        ended = result.terminated | result.truncated
        row = {
            "observation": observation,
            "beside": x[:, policy.n_observations :].numpy(),
            "mean": mean.numpy(),
            "choice": choice.numpy(),
            "reward": result.reward.astype(np.float32),
            "episode_time": result.episode_time,
            "distance": result.distance.mean(axis=-1),
            "terminated": result.terminated,
            "truncated": result.truncated,
            "diverged": result.diverged,
        }
        rows.append(row)
        final.append(result.final_observation[result.truncated[ended]])
        outcomes.append(result.outcome)
        observation = result.observation
    columns: dict[str, Any] = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    columns["observation"] = np.concatenate([columns["observation"], observation[None]])
    outcome = {name: np.concatenate([o[name] for o in outcomes]) for name in outcomes[0]}
    return Fragment(**columns, final=np.concatenate(final), outcome=outcome)


class Collector:
    """Where rollouts are made: here, in the environments of this process.

    Parameters
    ----------
    env : ImitationEnv
    """

    def __init__(self, env: ImitationEnv) -> None:
        self.env = env

    def collect(self, policy: Policy, observation: NDArray[np.float32], white: Tensor) -> Fragment:
        """See :func:`roll`; the environments are then where the rollout ends."""
        return roll(policy, self.env, observation, white)

    def report(self) -> dict[str, float]:
        """What a log should say of the rollouts so far."""
        return {}

    def close(self) -> None:
        """Let go of what was needed."""
        self.env.close()


def join(fragments: Sequence[Fragment]) -> Fragment:
    """One fragment of the environments of several, in order; a copy in any case."""
    names = [f for f in Fragment.__dataclass_fields__ if f not in ("final", "outcome")]
    whole = {
        name: np.concatenate([getattr(one, name) for one in fragments], axis=1) for name in names
    }
    final = np.concatenate([one.final for one in fragments])
    order = _order([one.ended for one in fragments])
    outcome = {
        name: np.concatenate([one.outcome[name] for one in fragments])[order]
        for name in fragments[0].outcome
    }
    final = final[_order([one.truncated for one in fragments])]
    return Fragment(**whole, final=final, outcome=outcome)


def _order(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.intp]:
    """How to sort what follows masks (horizon, n) one by one, to follow them side by side."""
    width, places = 0, []
    for mask in masks:
        time, env = np.nonzero(mask)
        places.append(np.stack([env + width, time]))
        width += mask.shape[1]
    return np.lexsort(np.concatenate(places, axis=1))


@dataclass(frozen=True, eq=False)
class Summary:
    """What is reported of one learner's rollout.

    Attributes
    ----------
    survival : ndarray
        Duration of the episodes that ended [s].
    n_diverged, n : int
        Steps whose physics diverged, and all steps.
    reward, error : float
        Means over its steps.
    outcome : dict of str to ndarray
    """

    survival: NDArray[np.float64]
    n_diverged: int
    n: int
    reward: float
    error: float
    outcome: dict[str, NDArray[np.float64]]

    @classmethod
    def of(cls, fragment: Fragment, reward: Tensor) -> Summary:
        """Of a fragment, and of rewards as they are learnt from."""
        return cls(
            survival=fragment.episode_time[fragment.ended],
            n_diverged=int(fragment.diverged.sum()),
            n=reward.numel(),
            reward=float(reward.mean()),
            error=float(fragment.distance.mean()),
            outcome=fragment.outcome,
        )


@dataclass(frozen=True)
class RolloutStatistics:
    """What the rollout showed: episodes that ended in it, and means over its steps."""

    survival: float
    n_episodes: int
    n_diverged: int
    reward: float
    error: float
    outcome: dict[str, float]


def statistics(parts: Sequence[Summary]) -> RolloutStatistics:
    """Put the summaries of several learners together; means over nothing are NaN."""
    survival = np.concatenate([part.survival for part in parts])
    weight = [part.n for part in parts]
    return RolloutStatistics(
        survival=_mean(survival),
        n_episodes=int(survival.size),
        n_diverged=sum(part.n_diverged for part in parts),
        reward=float(np.average([part.reward for part in parts], weights=weight)),
        error=float(np.average([part.error for part in parts], weights=weight)),
        outcome={
            name: _known_mean(np.concatenate([part.outcome[name] for part in parts]))
            for name in parts[0].outcome
        },
    )


def _known_mean(values: NDArray[np.float64]) -> float:
    """Mean of the results that there are: an episode may end before it has one."""
    return _mean(values[~np.isnan(values)])


def _mean(values: NDArray[np.float64]) -> float:
    """Of those that are known: an episode may end without one of its results."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
