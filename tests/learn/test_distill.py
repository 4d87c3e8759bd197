"""Cloning: labels are what the teacher would have excited, on the right sides, and are learnt."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from kinesis_neuro.body.models import load_body
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv, StepResult
from kinesis_neuro.env.mirror import pairing
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.errors import FileFormatError, IncompatibleError, InvalidInputError
from kinesis_neuro.learn import distill as module
from kinesis_neuro.learn.checkpoint import load_policy, save_policy
from kinesis_neuro.learn.config import DistillConfig, NetworkConfig, TrainConfig
from kinesis_neuro.learn.distill import Cloning, Memory, distill
from kinesis_neuro.learn.policy import Policy, untrained_policy
from kinesis_neuro.learn.teachers import Panel, assign, load_teachers
from kinesis_neuro.learn.trainer import Trainer
from kinesis_neuro.motion import collect
from kinesis_neuro.motion.clips import Entry, write_library
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

load_once = functools.cache(load_motion)


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To load the motion takes longer than most of what is tested here."""
    monkeypatch.setattr(collect, "load_motion", load_once)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Trainers set torch's threads for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Feed-forward, feedback, and actions that are not zero."""
    folder = tmp_path_factory.mktemp("teacher")
    config = TrainConfig(
        name="teacher",
        body="legs26",
        network=NetworkConfig(actor=(16,), critic=(4,)),
        n_envs=1,
        n_threads=1,
    )
    trainer = Trainer(config, folder)
    trainer.env.close()
    torch.nn.init.normal_(
        trainer.policy.actor[-1].bias, std=0.3, generator=torch.Generator().manual_seed(0)
    )
    save_policy(trainer.policy, folder / "policy")
    return folder / "policy"


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


def held(env: ImitationEnv, action: np.ndarray) -> np.ndarray:
    """Mean excitation that actions give over the coming control step."""
    where = env.simulation, env.motion, env.frame
    plan = env.drive.plan(env.own_sides(action), *where)
    return env.drive.held(plan, *where, env.config.decimation)


@pytest.mark.parametrize("actuation", ["moment", "tracking"])
def test_without_feedback_the_label_is_the_mean_feedforward(actuation: str) -> None:
    walk = load_once("walk", "legs26")
    task = ImitationConfig(actuation=actuation, stiffness=0.0, damping=0.0)
    env = ImitationEnv([walk], task, n_envs=9, n_threads=1)
    zero = np.zeros(9, dtype=np.intp)
    frame = np.linspace(0, walk.n_frames - 1, 9).astype(np.intp)  # the last ones wrap around
    env.reset(np.arange(9), zero, frame)
    label = held(env, np.zeros((9, len(env.action_channels))))
    feedforward = env.table.feedforward
    assert feedforward is not None
    for i in range(9):
        rows = [(frame[i] + task.lead + k) % walk.n_frames for k in range(5)]
        np.testing.assert_allclose(label[i], feedforward[rows].mean(axis=0), atol=1e-6)
    env.close()


def test_labels_are_excitations_and_change_nothing() -> None:
    env = ImitationEnv([load_once("walk", "legs26")], n_envs=8, n_threads=1, auto_reset=False)
    env.reset()
    rng = np.random.default_rng(0)
    for _ in range(5):
        action = rng.uniform(-2, 2, (8, len(env.action_channels)))
        before = {k: v.copy() for k, v in env.state_arrays().items()}
        label = held(env, action)
        assert label.min() >= 0.0
        assert label.max() <= 1.0
        for name, value in env.state_arrays().items():
            np.testing.assert_array_equal(value, before[name])
        env.step(action)
    env.close()


def test_the_label_says_what_the_teacher_then_does() -> None:
    """Not to the digit, as the body moves on meanwhile, but better than the feed-forward alone."""
    env = ImitationEnv([load_once("walk", "legs26")], n_envs=20, n_threads=1)
    env.reset()
    feedforward = env.table.feedforward
    assert feedforward is not None
    action = np.zeros((20, len(env.action_channels)))
    seen = []
    for _ in range(6):
        label = held(env, action)
        ahead = [env.table.rows(env.motion, env.frame + env.config.lead + k)[0] for k in range(5)]
        planned = np.mean([feedforward[rows] for rows in ahead], axis=0)
        env.step(action)
        seen.append((label, planned, env.mean_excitation.copy()))
    label, planned, done = (np.concatenate(part) for part in zip(*seen, strict=True))
    assert np.abs(label - done).mean() < 0.8 * np.abs(planned - done).mean()
    assert np.corrcoef(label.ravel(), done.ravel())[0, 1] > 0.9
    env.close()


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


@pytest.fixture
def second(teacher: Path, tmp_path: Path) -> Path:
    """A teacher of another actuation, with actions of its own."""
    policy = load_policy(teacher)
    env = ImitationEnv([load_once("walk", "legs26")], ImitationConfig(actuation="tracking"))
    env.close()
    about = dataclasses.replace(
        policy.about,
        name="second",
        task={**policy.about.task, "actuation": "tracking"},
        actions=env.action_channels,
        motions={"short": "1"},
    )
    other = Policy(policy.n_observations, len(about.actions), policy.config, about)
    torch.nn.init.normal_(other.actor[-1].bias, std=0.3, generator=torch.Generator().manual_seed(1))
    save_policy(other, tmp_path / "second")
    return tmp_path / "second"


def short() -> ReferenceMotion:
    walk = load_once("walk", "legs26")
    return dataclasses.replace(walk.loop(2).slice(0.1, 2.0), name="short")


def test_labels_are_what_the_teachers_own_environment_gives_in_these_states(
    teacher: Path, second: Path
) -> None:
    """In the student's states, which lie off the reference: the feedback is in the label."""
    motions = [load_once("walk", "legs26"), short()]
    teachers = load_teachers([str(teacher), str(second)])
    np.testing.assert_array_equal(assign(teachers, motions), [0, 1])
    table = ReferenceTable.build(motions, actuation="moment")
    tasks = [
        ImitationConfig(actuation=kind, initial_activation="reference")
        for kind in ("moment", "tracking", "excitation")
    ]
    *own, env = (
        ImitationEnv(motions, task, table=table, n_envs=8, n_threads=1, seed=1) for task in tasks
    )
    panel = Panel(teachers, env)
    rng = np.random.default_rng(0)
    observation = env.reset(np.arange(8), np.arange(8) % 2, rng.integers(0, 100, 8))
    for _ in range(3):
        observation = env.step(rng.uniform(-1, 0, (8, 26))).observation
        label = panel.excitation(observation)
        for k, (one, its_env) in enumerate(zip(teachers, own, strict=True)):
            its_env.set_state_arrays({n: v.copy() for n, v in env.state_arrays().items()})
            expected = held(its_env, one.act(observation))
            mine = env.motion % 2 == k
            np.testing.assert_allclose(label[mine], expected[mine], atol=1e-12)
    # The distance from the reference counts: without it the labels would be others.
    feedforward = table.feedforward
    assert feedforward is not None
    assert np.abs(label - feedforward[table.rows(env.motion, env.frame + 4)[0]]).mean() > 0.02
    for made in (*own, env):
        made.close()


def test_motions_without_a_teacher_and_teachers_apart_are_refused(
    teacher: Path, second: Path, tmp_path: Path
) -> None:
    pair = load_teachers([str(teacher), str(second)])
    unknown = dataclasses.replace(short(), name="run")
    with pytest.raises(InvalidInputError, match="was trained on motion 'run'"):
        assign(pair, [unknown])
    assert assign(pair[:1], [unknown]).tolist() == [0]
    with pytest.raises(InvalidInputError, match="at least one teacher"):
        load_teachers([])
    far = load_policy(second)
    far.about = dataclasses.replace(far.about, task={**far.about.task, "lookahead": [2, 7]})
    save_policy(far, tmp_path / "far")
    with pytest.raises(IncompatibleError, match="observe otherwise"):
        load_teachers([str(teacher), str(tmp_path / "far")])


def test_a_library_is_cloned_from_the_teachers_of_its_clips(
    config: DistillConfig,
    teacher: Path,
    second: Path,
    rounds: Callable[[int], None],
    watched: list[Seen],
    tmp_path: Path,
) -> None:
    rounds(12)
    clips = (load_once("walk", "legs26"), short())
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
