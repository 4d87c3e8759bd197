"""Training on a device: environments there or here, rollouts that stay there, a policy for both."""

from __future__ import annotations

import copy
import dataclasses
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kinesis_neuro.env.device.features import refuse_missing
from kinesis_neuro.env.device.imitation import DeviceImitation, host_features
from kinesis_neuro.env.device.physics import device_bytes
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.streams import Streams
from kinesis_neuro.learn.config import TrainConfig
from kinesis_neuro.learn.memory import check_memory, estimate_memory, free_memory
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.learn.rollout import Fragment
from kinesis_neuro.motion.reference import ReferenceMotion


def environments(
    config: TrainConfig, motions: Sequence[ReferenceMotion], n_threads: int, share: slice
) -> ImitationEnv | DeviceImitation:
    """The environments of a run, or this learner's share of them.

    With the backend ``warp`` the whole task is on the device where it can be; otherwise, with a
    warning, its physics alone.

    Parameters
    ----------
    config : TrainConfig
    motions : sequence of ReferenceMotion
    n_threads : int
        Of MuJoCo.
    share : slice
        Of the environments.

    Raises
    ------
    InvalidInputError
        If they do not fit into memory.
    """
    n_envs, horizon = share.stop - share.start, config.ppo.horizon
    probe = ImitationEnv(motions, config.task, n_threads=1)
    probe.close()
    need = estimate_memory(probe, config, n_threads)
    # A goal may make a table for each batch.
    table = None if config.task.goal.kind else probe.table
    if config.backend == "warp":
        refuse_missing(config.task.condition, config.task.goal.kind)
        parts = host_features(config.task)
        if not parts:
            room = device_bytes(probe.body, config.device)
            need = dataclasses.replace(need, environment=room)
            check_memory(need, n_envs, horizon, free_on(config.device))
            # Learners that share a batch draw other starts each.
            seed = int(np.random.SeedSequence((config.seed, share.start)).generate_state(1)[0])
            return DeviceImitation(
                motions,
                config.task,
                n_envs=n_envs,
                device=config.device,
                seed=seed,
                table=table,
                n_contacts=config.n_contacts or None,
            )
        warnings.warn(
            f"The device has physics, but not {', '.join(parts)}: states are copied to the "
            "processor and back in every step.",
            stacklevel=2,
        )
    check_memory(need, n_envs, horizon)
    env = ImitationEnv(
        motions,
        config.task,
        n_envs=n_envs,
        n_threads=n_threads,
        seed=config.seed,
        table=table,
        streams=Streams(config.seed, n_envs, share.start),
        backend=config.backend,
        device=config.device,
    )
    # A rollout is drawn with what was known before it, wherever its episodes end.
    env.starts.deferred = True
    return env


def own_device(device: str) -> str:
    """The GPU of this learner, of several that ``torchrun`` started on one machine.

    Examples
    --------
    >>> own_device("cuda:1"), own_device("cpu")
    ('cuda:1', 'cpu')
    """
    number = os.environ.get("LOCAL_RANK")
    return f"cuda:{number}" if device == "cuda" and number is not None else device


def free_on(device: str) -> float:
    """Memory that is free on a device [bytes]."""
    if torch.device(device).type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return free_memory()


class ActingPolicy:
    """The learner's policy where the environments are: itself, or a copy on the processor.

    Parameters
    ----------
    learner : Policy
    there : bool
        Whether the environments are on the learner's device.
    """

    def __init__(self, learner: Policy, there: bool) -> None:
        self._learner = learner
        here = learner.normalizer.mean.device.type == "cpu"
        self._copy = learner if there or here else copy.deepcopy(learner).cpu()

    def current(self) -> Policy:
        """With the weights that the learner has now."""
        if self._copy is not self._learner:
            self._copy.load_state_dict(self._learner.state_dict())
        return self._copy


class DeviceCollector:
    """Makes rollouts in environments on a device; what is large stays there.

    Parameters
    ----------
    env : DeviceImitation
    """

    def __init__(self, env: DeviceImitation) -> None:
        self.env = env

    @torch.no_grad()
    def collect(
        self, policy: Policy, observation: NDArray[np.float32] | Tensor, white: Tensor
    ) -> Fragment:
        """Run the exploring policy; see :func:`kinesis_neuro.learn.rollout.roll`.

        Of the fragment, what the policy saw and drew are tensors on the device; the rest are
        arrays.
        """
        env, noise = self.env, policy.noise()
        env.reseed()
        seen = torch.as_tensor(observation, device=env.device)
        rows = []
        for at_once in white.to(env.device):
            x = policy.prepare(seen)
            mean = policy.mean(x)
            choice = noise.place(mean, at_once)
            result = env.step(policy.execute(x, choice))
            rows.append(
                {
                    "observation": seen,
                    "beside": x[:, policy.n_observations :],
                    "mean": mean,
                    "choice": choice,
                    "reward": result.reward,
                    "episode_time": result.episode_time,
                    "distance": result.distance.mean(dim=-1),
                    "terminated": result.terminated,
                    "truncated": result.truncated,
                    "diverged": result.diverged,
                    "final": result.final_observation,
                }
            )
            seen = result.observation
        env.check()
        columns: dict[str, Any] = {name: torch.stack([r[name] for r in rows]) for name in rows[0]}
        columns["observation"] = torch.cat([columns["observation"], seen[None]])
        columns["final"] = columns["final"][columns["truncated"]]
        small = ("reward", "episode_time", "distance", "terminated", "truncated", "diverged")
        columns |= {name: columns[name].cpu().numpy() for name in small}
        return Fragment(**columns, outcome={})

    def report(self) -> dict[str, float]:
        """Nothing beyond what every log says."""
        return {}

    def close(self) -> None:
        """Let go of the environments."""
        self.env.close()
