"""train: from a configuration to a policy, with checkpoints that survive anything."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kinesis_neuro.body.models import load_body
from kinesis_neuro.env import parts
from kinesis_neuro.env.device.features import check_backend
from kinesis_neuro.env.device.imitation import DeviceImitation
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.simulation import default_threads
from kinesis_neuro.errors import FileFormatError, IncompatibleError, KinesisError
from kinesis_neuro.formats.atomic import atomic_directory, recover_directory
from kinesis_neuro.learn import checkpoint as files
from kinesis_neuro.learn.config import TrainConfig, from_dict, to_dict
from kinesis_neuro.learn.on_device import ActingPolicy, DeviceCollector, environments, own_device
from kinesis_neuro.learn.policy import Policy, mlp
from kinesis_neuro.learn.ppo import PPO
from kinesis_neuro.learn.rollout import Collector, RolloutStatistics
from kinesis_neuro.learn.run_log import RunLog
from kinesis_neuro.learn.start import first_policy, goal_blocks, observed
from kinesis_neuro.learn.symmetry import Symmetry
from kinesis_neuro.learn.team import Team, join_team
from kinesis_neuro.learn.transfer import widened
from kinesis_neuro.motion.collect import collect_motions

# What may differ between the run that wrote a checkpoint and the one that goes on from it.
FREE = (
    *("total_steps", "minutes", "n_threads", "checkpoint_every", "name", "initial_policy"),
    *("workers", "address", "device", "n_contacts"),
)


class Trainer:
    """A training run: environments, policy, learner, and their state on disk.

    Parameters
    ----------
    config : TrainConfig
    folder : Path
        The run's folder; a checkpoint in it is resumed.
    team : Team, optional
        Learners with whom the environments are shared, of whom the first writes; those that
        ``torchrun`` started by default.
    """

    def __init__(self, config: TrainConfig, folder: Path, team: Team | None = None) -> None:
        config = dataclasses.replace(config, device=own_device(config.device))
        check_backend(config.backend, config.device)
        self.config, self.folder, self.team = config, folder, team or join_team()
        if self.team.rank == 0:
            recover_directory(folder / "checkpoint")
        # A run that goes on needs nothing of the policy that it once started from.
        resumed = self.team.leader_says((folder / "checkpoint").exists())
        self._first = "" if resumed else config.initial_policy
        n_threads = config.n_threads or default_threads()
        torch.set_num_threads(n_threads)
        self.body = load_body(config.body)
        chosen = collect_motions(
            config.motions,
            self.body,
            keys=config.keys,
            weights=config.motion_weights,
            weighting=config.motion_weighting,
        )
        self.share = self.team.share(config.n_envs)
        self.env = environments(config, chosen.motions, n_threads, self.share)
        if isinstance(self.env, ImitationEnv):
            self.env.starts.motion_weight = chosen.weight
        else:
            self.env.motion_weight = torch.tensor(chosen.weight, device=config.device)
        self.generator = torch.Generator().manual_seed(config.seed)
        # The checkpoint of a mixture holds its experts.
        self.policy = (
            files.load_policy(folder / "checkpoint")
            if resumed and config.experts
            else first_policy(config, self.env, self.generator, self._first)
        )
        self.critic = mlp(
            self.env.n_observations, config.network.critic, 1, 1.0, generator=self.generator
        )
        self._inherit_critic()
        self.policy.to(config.device)
        self.critic.to(config.device)
        self.acting = ActingPolicy(self.policy, isinstance(self.env, DeviceImitation))
        self.ppo = PPO(
            self.policy, self.critic, config.ppo, config.seed, self._symmetry(), self.team
        )
        self.steps = 0
        self.seconds = 0.0
        self.observation: Any = self.env.reset()  # an array, or a tensor on the device
        if resumed:
            self._resume()
        self.collector = self._collector()

    def _collector(self) -> Collector | DeviceCollector:
        """Where rollouts are made."""
        config = self.config
        if isinstance(self.env, DeviceImitation):
            return DeviceCollector(self.env)
        if not config.workers:
            return Collector(self.env)
        # Ray is an extra.
        from kinesis_neuro.learn.cluster.collector import RayCollector

        workers = self.team.share(config.workers)
        return RayCollector(
            self.env,
            self.policy,
            workers.stop - workers.start,
            address=config.address,
            n_threads=config.n_threads or 1,
            seed=config.seed,
        )

    def _symmetry(self) -> Symmetry | None:
        if self.config.ppo.symmetry_weight == 0.0:
            return None
        observer = self.env.observer
        action = observer.action_order, observer.action_signs
        return Symmetry(observer.image, action, self.config.device)

    def _inherit_critic(self) -> None:
        """Go on with the critic of the initial policy's run, where its folder has one."""
        path = Path(self._first) / files.TRAINER_ARRAYS
        if self._first and path.exists():
            mine = self.policy.about.observations
            earlier = files.load_policy(self._first).about
            critic = _part(files.read_tensors(path), "critic.")
            fitted = widened(critic, observed(earlier), mine, "0.weight", goal_blocks(earlier))
            files.load_tensors(self.critic, fitted, path)

    # -- one iteration ------------------------------------------------------------------------

    def iterate(self) -> dict[str, float]:
        """One rollout and one update; returns what is logged."""
        start = time.perf_counter()
        white = self.ppo.white(self.config.n_envs)[:, self.share]
        fragment = self.collector.collect(self.acting.current(), self.observation, white)
        if isinstance(self.env, ImitationEnv):
            for tally in self.team.together(self.env.starts.tally()):
                self.env.starts.add(tally)
            self.env.starts.settle()
        batch, seen = self.ppo.digest(fragment)
        self.observation = fragment.observation[-1]
        middle = time.perf_counter()
        learnt = self.ppo.update(batch)
        end = time.perf_counter()
        n = self.config.n_envs * self.config.ppo.horizon
        self.steps += n
        self.seconds += end - start
        return self._row(seen, learnt, n / (end - start), (end - middle) / (end - start))

    def _row(
        self, seen: RolloutStatistics, learnt: dict[str, float], rate: float, share: float
    ) -> dict[str, float]:
        row = {
            "iteration": self.ppo.iteration,
            "steps": self.steps,
            "minutes": round(self.seconds / 60, 4),
            "survival": seen.survival,
            "episodes": seen.n_episodes,
            "reward": seen.reward,
            "error_mm": 1e3 * seen.error,
            "diverged": seen.n_diverged,
            "steps_per_second": rate,
            "learner_share": share,
            **learnt,
            **self.collector.report(),
            **{f"goal_{name}": value for name, value in seen.outcome.items()},
        }
        # JSON has no NaN: a batch in which no episode ended has no survival.
        return {k: v for k, v in row.items() if np.isfinite(v)}

    # -- disk ---------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint: whole, or the earlier one stays."""
        state = parts.together(self.team.together(self.env.state_arrays()))
        observation = np.concatenate(
            self.team.together(torch.as_tensor(self.observation).cpu().numpy())
        )
        if self.team.rank > 0:
            return
        arrays = {f"env.{k}": torch.from_numpy(v.copy()) for k, v in state.items()}
        arrays |= {f"critic.{k}": v for k, v in self.critic.state_dict().items()}
        for name, optimizer in self._optimizers().items():
            for index, entry in optimizer.state_dict()["state"].items():
                arrays |= {f"{name}.{index}.{k}": v for k, v in entry.items()}
        arrays["observation"] = torch.from_numpy(observation)
        arrays["generator"] = self.ppo.generator.get_state()
        about = {
            "config": to_dict(self.config),
            "steps": self.steps,
            "seconds": self.seconds,
            "iteration": self.ppo.iteration,
            "learning_rate": self.ppo.learning_rate,
            "rng": files.generator_state(self.env.rng),
        }
        with atomic_directory(self.folder / "checkpoint") as part:
            files.write_policy_files(self.policy, part)
            files.write_tensors(arrays, part / files.TRAINER_ARRAYS)
            (part / files.TRAINER).write_text(json.dumps(about, indent=1) + "\n")

    def _optimizers(self) -> dict[str, torch.optim.Adam]:
        return {"actor_adam": self.ppo.actor_optimizer, "critic_adam": self.ppo.critic_optimizer}

    def _resume(self) -> None:
        path = self.folder / "checkpoint" / files.TRAINER
        try:
            self._restore(self.folder / "checkpoint", files.read_json(path))
        except (KeyError, AttributeError, TypeError, ValueError, IndexError, RuntimeError) as error:
            if isinstance(error, KinesisError):
                raise
            raise FileFormatError(
                path, f"an entry is missing or wrong ({error!r})", "the state of a training run"
            ) from error

    def _restore(self, folder: Path, about: dict[str, Any]) -> None:
        mine = to_dict(self.config)
        # Options that came after the checkpoint have their defaults in it.
        theirs = to_dict(from_dict(TrainConfig, about["config"]))
        differing = [k for k in mine if k not in FREE and mine[k] != theirs[k]]
        if differing:
            raise IncompatibleError(
                f"The checkpoint in {folder} was trained with another configuration: "
                f"{', '.join(differing)} differ. Give the run another name, or the same options."
            )
        policy = files.load_policy(folder)
        files.warn_of_other_body(policy.about, self.body)
        self.policy.load_state_dict(policy.state_dict())
        arrays = files.read_tensors(folder / files.TRAINER_ARRAYS)
        files.load_tensors(self.critic, _part(arrays, "critic."), folder / files.TRAINER_ARRAYS)
        self.ppo.learning_rate = about["learning_rate"]
        for name, optimizer in self._optimizers().items():
            state: dict[int, dict[str, Any]] = {}
            for key, value in _part(arrays, f"{name}.").items():
                index, entry = key.split(".")
                state.setdefault(int(index), {})[entry] = value
            full = optimizer.state_dict()
            full["state"] = state
            optimizer.load_state_dict(full)
        for group in self.ppo.actor_optimizer.param_groups:
            group["lr"] = self.ppo.learning_rate
        environments = {k: v.numpy() for k, v in _part(arrays, "env.").items()}
        self.env.set_state_arrays(parts.part(environments, self.share))
        self.env.rng.bit_generator.state = about["rng"]
        self.observation = arrays["observation"].numpy()[self.share].copy()
        self.ppo.generator.set_state(arrays["generator"])
        self.ppo.iteration = about["iteration"]
        self.steps, self.seconds = about["steps"], about["seconds"]


def _part(arrays: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def train(
    config: TrainConfig | None = None,
    *,
    folder: str | Path | None = None,
    progress: bool = True,
) -> Policy:
    """Train a policy, or go on with a run that was interrupted.

    Parameters
    ----------
    config : TrainConfig, optional
    folder : str or Path, optional
        The run's folder, ``runs/<name>`` by default: ``checkpoint/`` (also a policy folder),
        ``log.jsonl`` (one line an iteration), ``tensorboard/``.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Policy

    Raises
    ------
    IncompatibleError
        If the folder's checkpoint was made with another configuration or body.
    FileFormatError
        If the checkpoint is truncated.
    WriteError
        If a checkpoint cannot be written; the earlier one is intact.
    """
    config = config or TrainConfig()
    folder = Path(folder or Path("runs") / config.name)
    trainer = Trainer(config, folder)
    team, started = trainer.team, trainer.seconds
    try:
        with contextlib.ExitStack() as stack:
            log: RunLog | None = None
            if team.rank == 0:
                log = RunLog(
                    folder,
                    iteration=trainer.ppo.iteration,
                    steps=trainer.steps,
                    total=config.total_steps,
                    progress=progress,
                )
                stack.enter_context(log)
            while trainer.steps < config.total_steps:
                row = trainer.iterate()
                if log is not None:
                    log.add(row)
                if trainer.ppo.iteration % config.checkpoint_every == 0:
                    trainer.save()
                late = config.minutes and trainer.seconds - started > 60 * config.minutes
                if team.leader_says(bool(late)):
                    break
        trainer.save()
    finally:
        trainer.collector.close()
    team.leave()
    return trainer.policy.cpu().eval()
