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

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kinesis_neuro.body.models import load_body
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.simulation import default_threads
from kinesis_neuro.learn.checkpoint import save_policy
from kinesis_neuro.learn.config import DistillConfig, to_dict
from kinesis_neuro.learn.policy import Policy, PolicyInfo
from kinesis_neuro.learn.teachers import Panel, load_teachers, needed_actuation, teacher_task
from kinesis_neuro.motion.collect import collect_motions
from kinesis_neuro.provenance import library_versions


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


def distill(
    config: DistillConfig, *, folder: str | Path | None = None, progress: bool = True
) -> Policy:
    """Clone teachers into one policy of excitations.

    Parameters
    ----------
    config : DistillConfig
    folder : str or Path, optional
        ``runs/<name>`` by default; the student is in its ``checkpoint``.
    progress : bool

    Returns
    -------
    Policy
    """
    folder = Path(folder or Path("runs") / config.name)
    folder.mkdir(parents=True, exist_ok=True)
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
    motions = chosen.motions
    # The student's episodes start with the activations that the teacher's would.
    student_task = dataclasses.replace(task, actuation="excitation", initial_activation="reference")
    table = ReferenceTable.build(
        motions, actuation=needed_actuation(teachers), activated=student_task.starts_activated
    )
    env = ImitationEnv(
        motions,
        student_task,
        table=table,
        n_envs=config.n_envs,
        n_threads=n_threads,
        seed=config.seed,
    )
    panel = Panel(teachers, env)
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
    generator = torch.Generator().manual_seed(config.seed)
    student = Policy(env.n_observations, len(env.action_channels), config.network, about, generator)
    student.normalizer.load_state_dict(teacher.normalizer.state_dict())
    optimizer = torch.optim.Adam(student.actor.parameters(), lr=config.learning_rate[0])
    memory = Memory(config.memory, env.n_observations, len(env.action_channels))

    observation = env.reset()
    survival: list[float] = []
    start, rounds, loss = time.perf_counter(), 0, torch.zeros(())
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar, (folder / "log.jsonl").open("w") as log:
        task_id = bar.add_task("cloning", total=60 * config.minutes)
        while (spent := time.perf_counter() - start) < 60 * config.minutes:
            share = max(0.0, 1.0 - rounds / config.teacher_rounds)
            for _ in range(config.steps_per_round):
                label = panel.label(observation)
                memory.add(observation, label)
                with torch.no_grad():
                    seen = student.normalizer(torch.from_numpy(observation))
                    action = student.mean(seen).numpy()
                by_teacher = env.rng.random(config.n_envs) < share
                action = np.where(by_teacher[:, None], 2.0 * label - 1.0, action)
                result = env.step(action)
                survival.extend(result.episode_time[result.terminated | result.truncated])
                observation = result.observation
            progressed = spent / (60 * config.minutes)
            high, low = config.learning_rate
            rate = low + 0.5 * (high - low) * (1 + np.cos(np.pi * progressed))
            for group in optimizer.param_groups:
                group["lr"] = rate
            for _ in range(config.updates_per_round):
                part = torch.randint(memory.filled, (config.minibatch,), generator=generator)
                excitation = 0.5 * (student.mean(student.normalizer(memory.observation[part])) + 1)
                loss = (excitation - memory.label[part]).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            rounds += 1
            if rounds % 20 == 0:
                row = {
                    "round": rounds,
                    "minutes": spent / 60,
                    "error": float(loss.detach().sqrt()),
                    "survival": float(np.mean(survival)) if survival else config.minutes * 60,
                    "teacher_share": share,
                }
                log.write(json.dumps(row) + "\n")
                log.flush()
                survival = []
                bar.update(task_id, completed=spent, description=_caption(row))
    env.close()
    save_policy(student, folder / "checkpoint")
    return student.eval()


def _caption(row: dict[str, float]) -> str:
    return f"survival {row['survival']:.2f} s  excitation error {row['error']:.4f}"
