"""train: from a configuration to a policy, with checkpoints that survive anything."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from kinesis_neuro.body.models import load_body
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.simulation import default_threads
from kinesis_neuro.errors import FileFormatError, IncompatibleError, KinesisError
from kinesis_neuro.formats.atomic import atomic_directory, recover_directory
from kinesis_neuro.learn import checkpoint as files
from kinesis_neuro.learn.config import TrainConfig, from_dict, to_dict
from kinesis_neuro.learn.policy import Policy, mlp
from kinesis_neuro.learn.ppo import PPO, RolloutStatistics
from kinesis_neuro.learn.start import first_policy, observed
from kinesis_neuro.learn.symmetry import Symmetry
from kinesis_neuro.learn.transfer import widened
from kinesis_neuro.motion.collect import collect_motions

# What may differ between the run that wrote a checkpoint and the one that goes on from it.
FREE = ("total_steps", "minutes", "n_threads", "checkpoint_every", "name", "initial_policy")


class Trainer:
    """A training run: environments, policy, learner, and their state on disk.

    Parameters
    ----------
    config : TrainConfig
    folder : Path
        The run's folder; a checkpoint in it is resumed.
    """

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        recover_directory(folder / "checkpoint")
        # A run that goes on needs nothing of the policy that it once started from.
        resumed = (folder / "checkpoint").exists()
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
        self.env = ImitationEnv(
            chosen.motions, config.task, n_envs=config.n_envs, n_threads=n_threads, seed=config.seed
        )
        self.env.starts.motion_weight = chosen.weight
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
        self.ppo = PPO(self.policy, self.critic, config.ppo, config.seed, self._symmetry())
        self.steps = 0
        self.seconds = 0.0
        self.observation = self.env.reset()
        if resumed:
            self._resume()

    def _symmetry(self) -> Symmetry | None:
        if self.config.ppo.symmetry_weight == 0.0:
            return None
        observer = self.env.observer
        return Symmetry(observer.image, (observer.action_order, observer.action_signs))

    def _inherit_critic(self) -> None:
        """Go on with the critic of the initial policy's run, where its folder has one."""
        path = Path(self._first) / files.TRAINER_ARRAYS
        if self._first and path.exists():
            mine = self.policy.about.observations
            theirs = observed(files.load_policy(self._first).about)
            critic = _part(files.read_tensors(path), "critic.")
            files.load_tensors(self.critic, widened(critic, theirs, mine, "0.weight"), path)

    # -- one iteration ------------------------------------------------------------------------

    def iterate(self) -> dict[str, float]:
        """One rollout and one update; returns what is logged."""
        start = time.perf_counter()
        batch, seen, self.observation = self.ppo.rollout(self.env, self.observation)
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
            **{f"goal_{name}": value for name, value in seen.outcome.items()},
        }
        # JSON has no NaN: a batch in which no episode ended has no survival.
        return {k: v for k, v in row.items() if np.isfinite(v)}

    # -- disk ---------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint: whole, or the earlier one stays."""
        arrays = {
            f"env.{k}": torch.from_numpy(v.copy()) for k, v in self.env.state_arrays().items()
        }
        arrays |= {f"critic.{k}": v for k, v in self.critic.state_dict().items()}
        for name, optimizer in self._optimizers().items():
            for index, entry in optimizer.state_dict()["state"].items():
                arrays |= {f"{name}.{index}.{k}": v for k, v in entry.items()}
        arrays["observation"] = torch.from_numpy(self.observation.copy())
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
        self.env.set_state_arrays({k: v.numpy() for k, v in _part(arrays, "env.").items()})
        self.env.rng.bit_generator.state = about["rng"]
        self.observation = arrays["observation"].numpy().copy()
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
    from torch.utils.tensorboard import SummaryWriter

    config = config or TrainConfig()
    folder = Path(folder or Path("runs") / config.name)
    trainer = Trainer(config, folder)
    folder.mkdir(parents=True, exist_ok=True)
    log_path = folder / "log.jsonl"
    _cut_log(log_path, trainer.ppo.iteration)
    started = trainer.seconds
    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=trainer.steps)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, disable=not progress) as bar, log_path.open("a") as log:
            task = bar.add_task("starting", total=config.total_steps, completed=trainer.steps)
            while trainer.steps < config.total_steps:
                row = trainer.iterate()
                log.write(json.dumps(row) + "\n")
                log.flush()
                for key, value in row.items():
                    writer.add_scalar(key, value, trainer.steps)
                bar.update(task, completed=trainer.steps, description=_caption(row))
                if trainer.ppo.iteration % config.checkpoint_every == 0:
                    trainer.save()
                if config.minutes and trainer.seconds - started > 60 * config.minutes:
                    break
        trainer.save()
    finally:
        writer.close()
        trainer.env.close()
    return trainer.policy.eval()


def _caption(row: dict[str, float]) -> str:
    survival = f"{row['survival']:.2f} s" if "survival" in row else "no fall"
    return (
        f"survival {survival}  error {row['error_mm']:.0f} mm  "
        f"{row['steps_per_second']:,.0f} steps/s"
    )


def _cut_log(path: Path, iteration: int) -> None:
    """Drop lines that were written after the checkpoint from which the run goes on."""
    if path.exists():
        kept = [
            line
            for line in path.read_text().splitlines()
            if line.endswith("}") and json.loads(line)["iteration"] <= iteration
        ]
        path.write_text("".join(f"{line}\n" for line in kept))
