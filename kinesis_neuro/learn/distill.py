"""Cloning on-policy (DAgger, Ross et al. 2011): a student that drives muscles alone.

The student acts; the teacher of the motion says at every state what it would have excited; the
student learns that. The student sees body state and reference, and has no feed-forward and no
feedback law.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kinesis_neuro.body.models import load_body
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.simulation import default_threads
from kinesis_neuro.errors import FileFormatError, IncompatibleError
from kinesis_neuro.formats.atomic import atomic_directory, recover_directory
from kinesis_neuro.learn import checkpoint as files
from kinesis_neuro.learn.config import DistillConfig, from_dict, to_dict
from kinesis_neuro.learn.policy import Policy, PolicyInfo
from kinesis_neuro.learn.teachers import Panel, load_teachers, needed_actuation, teacher_task
from kinesis_neuro.motion.collect import collect_motions
from kinesis_neuro.provenance import library_versions

STATE, STATE_ARRAYS = "cloning.json", "cloning.safetensors"
# What may differ between the call that wrote a checkpoint and the one that goes on from it.
FREE = ("name", "minutes", "n_threads")
_ROUNDS_A_ROW, _ROUNDS_A_CHECKPOINT = 20, 200


class Memory:
    """Ring of the last observations and labels."""

    def __init__(self, size: int, n_observations: int, n_actions: int) -> None:
        self.observation = torch.zeros(size, n_observations)
        self.label = torch.zeros(size, n_actions)
        self.size, self.filled, self.at = size, 0, 0

    def add(self, observation: np.ndarray, label: np.ndarray) -> None:
        """Take a batch in."""
        where = (self.at + np.arange(len(observation))) % self.size
        self.observation[where] = torch.from_numpy(observation)
        self.label[where] = torch.from_numpy(label.astype(np.float32))
        self.at = int((self.at + len(observation)) % self.size)
        self.filled = min(self.size, self.filled + len(observation))


class Cloning:
    """A cloning run: teachers, student, and the student's state on disk.

    Parameters
    ----------
    config : DistillConfig
    folder : Path
        The run's folder; a student in it is taught on.

    Notes
    -----
    The memory, hundreds of megabytes, is not kept: a run that goes on fills it anew, by a student
    who is further, and so is not the same to the bit as one that was never interrupted.
    """

    def __init__(self, config: DistillConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        recover_directory(folder / "checkpoint")
        n_threads = config.n_threads or default_threads()
        torch.set_num_threads(n_threads)
        teachers = load_teachers(config.teachers or (config.teacher,))
        teacher, task = teachers[0], teacher_task(teachers[0])
        chosen = collect_motions(
            config.motions,
            load_body(teacher.about.body),
            keys=config.keys,
            weights=config.motion_weights,
            weighting=config.motion_weighting,
        )
        # The student's episodes start with the activations that the teacher's would.
        student_task = dataclasses.replace(
            task, actuation="excitation", initial_activation="reference"
        )
        table = ReferenceTable.build(
            chosen.motions,
            actuation=needed_actuation(teachers),
            activated=student_task.starts_activated,
        )
        self.env = env = ImitationEnv(
            chosen.motions,
            student_task,
            table=table,
            n_envs=config.n_envs,
            n_threads=n_threads,
            seed=config.seed,
        )
        self.panel = Panel(teachers, env)
        env.starts.motion_weight = chosen.weight
        about = PolicyInfo(
            name=config.name,
            body=teacher.about.body,
            body_fingerprint=dict(env.body.fingerprint),
            task=to_dict(student_task),
            observations=dict(teacher.about.observations),
            actions=env.action_channels,
            motions={m.name: m.hash for m in table.motions},
            training={"config": to_dict(config), "versions": library_versions()},
        )
        n_actions = len(env.action_channels)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.student = Policy(env.n_observations, n_actions, config.network, about, self.generator)
        self.student.normalizer.load_state_dict(teacher.normalizer.state_dict())
        self.optimizer = torch.optim.Adam(
            self.student.actor.parameters(), lr=config.learning_rate[0]
        )
        self.memory = Memory(config.memory, env.n_observations, n_actions)
        self.rounds, self.seconds = 0, 0.0
        self.survival: list[float] = []
        self.observation = env.reset()
        if (folder / "checkpoint").exists():
            self._resume()

    # -- one round ----------------------------------------------------------------------------

    @property
    def teacher_share(self) -> float:
        """Of the driving."""
        return max(0.0, 1.0 - self.rounds / self.config.teacher_rounds)

    def round(self) -> float:
        """Drive, ask the teachers, learn; returns the error of excitation [1]."""
        start = time.perf_counter()
        for _ in range(self.config.steps_per_round):
            self._drive()
        error = self._learn()
        self.rounds += 1
        self.seconds += time.perf_counter() - start
        return error

    def _drive(self) -> None:
        env, student = self.env, self.student
        label = self.panel.label(self.observation)
        self.memory.add(self.observation, label)
        with torch.no_grad():
            seen = student.normalizer(torch.from_numpy(self.observation))
            action = student.mean(seen).numpy()
        by_teacher = env.rng.random(self.config.n_envs) < self.teacher_share
        action = np.where(by_teacher[:, None], 2.0 * label - 1.0, action)
        result = env.step(action)
        self.survival.extend(result.episode_time[result.terminated | result.truncated])
        self.observation = result.observation

    def _learn(self) -> float:
        student, memory = self.student, self.memory
        progressed = min(1.0, self.seconds / (60 * self.config.minutes))
        high, low = self.config.learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = low + 0.5 * (high - low) * (1 + np.cos(np.pi * progressed))
        loss = torch.zeros(())
        for _ in range(self.config.updates_per_round):
            part = torch.randint(memory.filled, (self.config.minibatch,), generator=self.generator)
            excitation = 0.5 * (student.mean(student.normalizer(memory.observation[part])) + 1)
            loss = (excitation - memory.label[part]).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return float(loss.detach().sqrt())

    def row(self, error: float) -> dict[str, float]:
        """What is logged of the rounds since the last row."""
        row = {
            "round": self.rounds,
            "minutes": self.seconds / 60,
            "error": error,
            "teacher_share": self.teacher_share,
        }
        if self.survival:
            row["survival"] = float(np.mean(self.survival))
        self.survival = []
        return row

    # -- disk ---------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the student and where its teaching stands: whole, or the earlier state stays."""
        arrays = {
            f"{index}.{name}": value
            for index, entry in self.optimizer.state_dict()["state"].items()
            for name, value in entry.items()
        }
        about = {"config": to_dict(self.config), "rounds": self.rounds, "seconds": self.seconds}
        with atomic_directory(self.folder / "checkpoint") as part:
            files.write_policy_files(self.student, part)
            files.write_tensors(arrays, part / STATE_ARRAYS)
            (part / STATE).write_text(json.dumps(about, indent=1) + "\n")

    def _resume(self) -> None:
        folder = self.folder / "checkpoint"
        about = files.read_json(folder / STATE)
        try:
            theirs = to_dict(from_dict(DistillConfig, about["config"]))
            rounds, seconds = int(about["rounds"]), float(about["seconds"])
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                folder / STATE, f"an entry is missing or wrong ({error!r})", "a cloning run's state"
            ) from error
        mine = to_dict(self.config)
        differing = [k for k in mine if k not in FREE and mine[k] != theirs[k]]
        if differing:
            raise IncompatibleError(
                f"The student in {folder} was taught with another configuration: "
                f"{', '.join(differing)} differ. Give the run another name, or the same options."
            )
        student = files.load_policy(folder)
        files.warn_of_other_body(student.about, self.env.body)
        self.student.load_state_dict(student.state_dict())
        state: dict[int, dict[str, Any]] = {}
        for key, value in files.read_tensors(folder / STATE_ARRAYS).items():
            index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
        full = self.optimizer.state_dict()
        full["state"] = state
        self.optimizer.load_state_dict(full)
        self.rounds, self.seconds = rounds, seconds
        # The same draws again would teach the same states again.
        fresh = np.random.default_rng([self.config.seed, rounds])
        self.env.rng.bit_generator.state = fresh.bit_generator.state
        self.generator.manual_seed(self.config.seed + rounds)
        self.observation = self.env.reset()


def distill(
    config: DistillConfig, *, folder: str | Path | None = None, progress: bool = True
) -> Policy:
    """Clone teachers into one policy of excitations, or go on with a run that was interrupted.

    Parameters
    ----------
    config : DistillConfig
    folder : str or Path, optional
        ``runs/<name>`` by default; the student is in its ``checkpoint``, the curve in
        ``log.jsonl``.
    progress : bool

    Returns
    -------
    Policy

    Raises
    ------
    IncompatibleError
        If the folder's student was taught with another configuration or body.
    FileFormatError
        If its checkpoint is truncated.
    """
    folder = Path(folder or Path("runs") / config.name)
    run = Cloning(config, folder)
    folder.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    limit = 60 * config.minutes
    log_path = folder / "log.jsonl"
    if run.rounds == 0:
        log_path.unlink(missing_ok=True)
    try:
        with Progress(*columns, disable=not progress) as bar, log_path.open("a") as log:
            task_id = bar.add_task("cloning", total=limit, completed=int(run.seconds))
            while run.seconds < limit:
                error = run.round()
                if run.rounds % _ROUNDS_A_ROW == 0:
                    row = run.row(error)
                    log.write(json.dumps(row) + "\n")
                    log.flush()
                    bar.update(task_id, completed=run.seconds, description=_caption(row))
                if run.rounds % _ROUNDS_A_CHECKPOINT == 0:
                    run.save()
        run.save()
    finally:
        run.env.close()
    return run.student.eval()


def _caption(row: dict[str, float]) -> str:
    survival = f"{row['survival']:.2f} s" if "survival" in row else "no fall"
    return f"survival {survival}  excitation error {row['error']:.4f}"
