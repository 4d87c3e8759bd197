"""Cloning: labels reach the student on the right sides, and are learnt."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from kinesis_neuro.body.models import load_body
from kinesis_neuro.env.imitation import ImitationEnv, StepResult
from kinesis_neuro.env.mirror import pairing
from kinesis_neuro.errors import FileFormatError, IncompatibleError, InvalidInputError
from kinesis_neuro.learn import distill as module
from kinesis_neuro.learn.checkpoint import load_policy, save_policy
from kinesis_neuro.learn.config import DistillConfig, NetworkConfig
from kinesis_neuro.learn.distill import Cloning, Memory, distill
from kinesis_neuro.learn.policy import untrained_policy
from kinesis_neuro.learn.teachers import Panel
from kinesis_neuro.motion.clips import Entry, write_library
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

load_once = functools.cache(load_motion)


@pytest.fixture
def config(teacher: Path) -> DistillConfig:
    return DistillConfig(
        name="student",
        teacher=str(teacher),
        network=NetworkConfig(actor=(32,), squash=True, initial_mean=-0.9),
        n_envs=6,
        minutes=1.0,
        steps_per_round=2,
        updates_per_round=8,
        memory=1000,
        minibatch=64,
        n_threads=1,
    )


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let a minute pass in so many rounds, on any machine."""

    def set_rounds(n: int) -> None:
        seconds = iter(60.0 * k / n for k in range(10 * n))
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(seconds)))

    return set_rounds


@dataclasses.dataclass
class Seen:
    """What one control step of the cloning consisted of."""

    held: np.ndarray
    mirrored: np.ndarray
    excitation: np.ndarray
    label: np.ndarray


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    """Everything that passes between teacher, memory and body while it is cloned."""
    seen: list[Seen] = []
    excitation, step, add = Panel.excitation, ImitationEnv.step, Memory.add
    now: dict[str, Any] = {}

    def watch_panel(panel: Panel, observation: np.ndarray) -> np.ndarray:
        label = excitation(panel, observation)
        now["held"] = label.copy()
        return label

    def watch_add(memory: Memory, observation: np.ndarray, label: np.ndarray) -> None:
        now["label"] = label.copy()
        add(memory, observation, label)

    def watch_step(env: ImitationEnv, action: np.ndarray) -> StepResult:
        now["mirrored"] = env.mirrored()
        env.auto_reset, reset = False, env.auto_reset
        result = step(env, action)
        # Before any reset, which sets the excitation too.
        seen.append(Seen(excitation=env.mean_excitation.copy(), **now))
        env.auto_reset = reset
        done = np.flatnonzero(result.terminated | result.truncated)
        if done.size:
            result = dataclasses.replace(result, observation=env.reset(done))
        return result

    monkeypatch.setattr(Panel, "excitation", watch_panel)
    monkeypatch.setattr(ImitationEnv, "step", watch_step)
    monkeypatch.setattr(Memory, "add", watch_add)
    return seen


def test_the_student_is_shown_each_label_from_its_own_side(
    config: DistillConfig,
    rounds: Callable[[int], None],
    watched: list[Seen],
    tmp_path: Path,
) -> None:
    rounds(30)
    # The teacher drives all the time: what the memory holds must excite what the teacher would.
    driven = dataclasses.replace(config, teacher_rounds=10**9)
    distill(driven, folder=tmp_path, progress=False)
    assert len(watched) > 40
    mirrored = np.concatenate([s.mirrored for s in watched])
    assert 0.2 < mirrored.mean() < 0.8
    order = pairing(load_body("legs26").muscles)
    for s in watched:
        np.testing.assert_allclose(s.excitation, s.held, atol=1e-6)
        np.testing.assert_array_equal(s.label[~s.mirrored], s.held[~s.mirrored])
        np.testing.assert_array_equal(s.label[s.mirrored], s.held[s.mirrored][:, order])
        assert not np.array_equal(s.held, s.held[:, order])


def test_the_student_takes_over(
    config: DistillConfig, rounds: Callable[[int], None], watched: list[Seen], tmp_path: Path
) -> None:
    rounds(40)
    distill(dataclasses.replace(config, teacher_rounds=20), folder=tmp_path, progress=False)

    def followed(part: list[Seen]) -> float:
        return float(np.mean([np.isclose(s.excitation, s.held, atol=1e-6).all(1) for s in part]))

    assert followed(watched[:4]) > 0.8
    assert followed(watched[-30:]) == 0.0
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["teacher_share"] == pytest.approx(1 / 20, abs=1e-6) or (
        rows[-1]["teacher_share"] == 0.0
    )


def test_a_short_cloning_reduces_the_error(
    config: DistillConfig, teacher: Path, rounds: Callable[[int], None], tmp_path: Path
) -> None:
    rounds(120)
    student = distill(config, folder=tmp_path, progress=False)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["round"] for row in rows] == [20, 40, 60, 80, 100, 120][: len(rows)]
    errors = [row["error"] for row in rows]
    assert len(errors) >= 5
    assert np.mean(errors[-2:]) < 0.8 * errors[0]
    assert all(np.isfinite(value) for row in rows for value in row.values())

    saved, first = load_policy(tmp_path / "checkpoint"), load_policy(teacher)
    seen = np.random.default_rng(0).normal(size=(4, saved.n_observations)).astype(np.float32)
    np.testing.assert_array_equal(saved.act(seen), student.act(seen))
    assert saved.about.task["actuation"] == "excitation"
    assert saved.about.actions == load_body("legs26").muscles
    assert dict(saved.about.observations) == dict(first.about.observations)
    assert saved.about.training["config"]["teacher"] == str(teacher)
    for name in ("mean", "variance", "count"):
        assert torch.equal(getattr(saved.normalizer, name), getattr(first.normalizer, name))


def test_memory_forgets_the_oldest() -> None:
    memory, rows = Memory(5, 2, 1), np.arange(24, dtype=np.float32).reshape(12, 2)
    for start in range(0, 12, 3):
        memory.add(rows[start : start + 3], rows[start : start + 3, :1].astype(float))
        assert memory.filled == min(5, start + 3)
    kept = sorted(memory.observation[:, 0].tolist())
    assert kept == rows[-5:, 0].tolist()
    torch.testing.assert_close(memory.label, memory.observation[:, :1])


def test_one_that_drives_muscles_already_is_no_teacher(
    config: DistillConfig, tmp_path: Path
) -> None:
    save_policy(untrained_policy(0, "legs26"), tmp_path / "muscles")
    itself = dataclasses.replace(config, teacher=str(tmp_path / "muscles"))
    with pytest.raises(InvalidInputError, match="drives muscles alone already"):
        distill(itself, folder=tmp_path / "student", progress=False)
    missing = dataclasses.replace(config, teacher="nobody")
    with pytest.raises(InvalidInputError, match="Unknown policy 'nobody'"):
        distill(missing, folder=tmp_path / "student", progress=False)


def test_a_library_is_cloned_from_the_teachers_of_its_clips(
    short: ReferenceMotion,
    config: DistillConfig,
    teacher: Path,
    second: Path,
    rounds: Callable[[int], None],
    watched: list[Seen],
    tmp_path: Path,
) -> None:
    rounds(12)
    clips = (load_once("walk", "legs26"), short)
    write_library(tmp_path / "lib", [Entry(clip, "walk", "one") for clip in clips])
    several = dataclasses.replace(
        config,
        motions=(str(tmp_path / "lib"),),
        motion_weighting="clip",
        teachers=(str(teacher), str(second)),
        teacher_rounds=10**9,
    )
    student = distill(several, folder=tmp_path / "student", progress=False)
    assert set(student.about.motions) == {"walk", "short"}
    assert student.about.task["actuation"] == "excitation"
    # The teachers drive: what each body is excited by is what its clip's teacher wants.
    for s in watched:
        np.testing.assert_allclose(s.excitation, s.held, atol=1e-6)
    assert len(watched) > 10


def test_an_interrupted_cloning_goes_on(
    config: DistillConfig, rounds: Callable[[int], None], tmp_path: Path
) -> None:
    rounds(80)
    first = distill(dataclasses.replace(config, minutes=0.5), folder=tmp_path, progress=False)
    resumed = Cloning(config, tmp_path)
    assert resumed.rounds == 40
    for name, value in first.state_dict().items():
        assert torch.equal(resumed.student.state_dict()[name], value)
    resumed.env.close()
    distill(config, folder=tmp_path, progress=False)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["round"] for row in rows] == [20, 40, 60, 80]
    assert rows[-1]["error"] < rows[0]["error"]
    with pytest.raises(IncompatibleError, match="another configuration: minibatch differ"):
        Cloning(dataclasses.replace(config, minibatch=32), tmp_path)
    (tmp_path / "checkpoint" / "cloning.json").write_text("{}")
    with pytest.raises(FileFormatError, match="a cloning run's state"):
        Cloning(config, tmp_path)
