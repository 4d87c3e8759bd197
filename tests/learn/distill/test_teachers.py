"""Labels are what the teacher would have excited, in its own motions."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.learn.checkpoint import load_policy, save_policy
from kinesis_neuro.learn.teachers import Panel, assign, load_teachers
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

load_once = functools.cache(load_motion)


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


def test_labels_are_what_the_teachers_own_environment_gives_in_these_states(
    short: ReferenceMotion, teacher: Path, second: Path
) -> None:
    """In the student's states, which lie off the reference: the feedback is in the label."""
    motions = [load_once("walk", "legs26"), short]
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
    short: ReferenceMotion, teacher: Path, second: Path, tmp_path: Path
) -> None:
    pair = load_teachers([str(teacher), str(second)])
    unknown = dataclasses.replace(short, name="run")
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
