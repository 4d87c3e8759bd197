"""Evaluation: protocols against plain loops, and numbers that nothing but the policy decides."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro import evaluate as _evaluate_function
from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.evaluate import evaluate, run_episodes
from kinesis_neuro.learn import play
from kinesis_neuro.learn.policy import Policy, untrained_policy
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.scores import (
    PROTOCOLS,
    Protocol,
    Traces,
    bootstrap_interval,
    score,
    summarize,
    summary_table,
)

RATE = 30.0


load_once = functools.cache(load_motion)


@pytest.fixture(autouse=True, scope="module")
def loaded_once() -> Iterator[None]:
    """To load the motion takes longer than most of what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "load_motion", load_once)
        yield


@pytest.fixture(scope="module")
def policy() -> Policy:
    return untrained_policy(0, "legs26")


def make_traces(distance: np.ndarray, planned: np.ndarray | None = None) -> Traces:
    n_steps, n, _ = distance.shape
    return Traces(
        distance=distance,
        planned=np.full(n, n_steps) if planned is None else planned,
        motion=["walk"] * n,
        start_frame=np.zeros(n, dtype=np.intp),
        n_diverged=0,
        vertical_force=np.ones(n),
        control_rate=RATE,
    )


def random_traces(seed: int, n_steps: int = 40, n: int = 50, n_tracked: int = 7) -> Traces:
    """Bodies that drift off, some for a moment only; nothing is known after a fall."""
    rng = np.random.default_rng(seed)
    drift = rng.exponential(0.01, n) * np.arange(n_steps)[:, None]
    distance = drift[..., None] * rng.uniform(0.3, 2.0, (n_steps, n, n_tracked))
    distance[rng.random((n_steps, n)) < 0.005] += 0.3
    distance[0, 0] = 0.7  # fails at once
    fallen = np.logical_or.accumulate(distance.mean(axis=2) > 0.5, axis=0)
    after = np.concatenate([np.zeros((1, n), dtype=bool), fallen[:-1]])
    distance[after] = np.nan
    return make_traces(distance)


def scores_by_loops(traces: Traces, protocol: Protocol) -> dict[str, list[float]]:
    scores: dict[str, list[float]] = {
        name: [] for name in ("success", "survival_time", "frame_coverage", "mpjpe", "mpjpe_all")
    }
    for episode in range(traces.distance.shape[1]):
        reached: list[float] = []
        for step in range(traces.planned[episode]):
            at = traces.distance[step, episode]
            apart = max(at) if protocol.rule == "any" else sum(at) / len(at)
            if np.isnan(at).any() or apart > protocol.threshold:
                break
            reached.append(sum(at) / len(at))
        n, planned = len(reached), traces.planned[episode]
        missing = [protocol.threshold] * (planned - n)
        scores["success"].append(float(n == planned))
        scores["survival_time"].append(n / RATE)
        scores["frame_coverage"].append(n / planned)
        scores["mpjpe"].append(sum(reached) / n if n else protocol.threshold)
        scores["mpjpe_all"].append(sum(reached + missing) / planned)
    return scores


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_plain_loops(name: str, seed: int) -> None:
    traces = random_traces(seed)
    assert np.isnan(traces.distance).any()
    expected = scores_by_loops(traces, PROTOCOLS[name])
    found = score(traces, PROTOCOLS[name])
    assert found.keys() == expected.keys()
    for metric, values in expected.items():
        np.testing.assert_allclose(found[metric], values, atol=1e-12, err_msg=metric)
    assert 0.0 < found["success"].mean() < 1.0
    # The first episode failed at once: nothing reached, and the threshold for the rest.
    assert found["survival_time"][0] == 0.0
    assert found["mpjpe"][0] == found["mpjpe_all"][0] == PROTOCOLS[name].threshold


def test_the_protocols_are_those_of_kinesis() -> None:
    strict, kinesis = PROTOCOLS["strict"], PROTOCOLS["kinesis"]
    assert (strict.rule, strict.threshold) == ("any", 0.15)
    assert (kinesis.rule, kinesis.threshold) == ("mean", 0.5)
    # One foot 0.2 m off is a failure of the first only; 0.6 m everywhere of both.
    distance = np.full((3, 2, 7), 0.01)
    distance[1, 0, 3], distance[1, 1] = 0.2, 0.6
    traces = make_traces(distance)
    np.testing.assert_array_equal(score(traces, strict)["success"], [0, 0])
    np.testing.assert_array_equal(score(traces, kinesis)["success"], [1, 0])


def test_coming_back_does_not_help() -> None:
    distance = np.full((10, 1, 7), 0.01)
    distance[4] = 0.3
    scores = score(make_traces(distance), PROTOCOLS["strict"])
    assert (scores["success"][0], scores["frame_coverage"][0]) == (0.0, 0.4)
    assert scores["mpjpe_all"][0] == pytest.approx((4 * 0.01 + 6 * 0.15) / 10)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_perfect_episode_is_a_success(name: str) -> None:
    scores = score(make_traces(np.zeros((30, 4, 7))), PROTOCOLS[name])
    for metric, expected in {
        "success": 1.0,
        "survival_time": 1.0,
        "frame_coverage": 1.0,
        "mpjpe": 0.0,
        "mpjpe_all": 0.0,
    }.items():
        np.testing.assert_array_equal(scores[metric], np.full(4, expected))
    exactly = make_traces(np.full((30, 4, 7), PROTOCOLS[name].threshold))
    np.testing.assert_array_equal(score(exactly, PROTOCOLS[name])["success"], 1.0)


def test_intervals_contain_the_mean_and_cover_it() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        values = rng.exponential(1.0, 40)
        low, high = bootstrap_interval(values, np.random.default_rng(1))
        assert low <= values.mean() <= high
        covered.append(low <= 1.0 <= high)
    # The percentile bootstrap of a skewed sample of 40 covers a little less than it says.
    assert 0.85 < np.mean(covered) < 0.99
    same = bootstrap_interval(np.full(10, 0.3), rng)
    np.testing.assert_allclose(same, 0.3)
    narrow = bootstrap_interval(values, np.random.default_rng(1), level=0.5)
    wide = bootstrap_interval(values, np.random.default_rng(1), level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_summary_has_both_protocols() -> None:
    traces = random_traces(0)
    summary = summarize(traces, seed=3)
    assert summary == summarize(traces, seed=3)
    for name, metrics in summary.items():
        for metric, values in score(traces, PROTOCOLS[name]).items():
            entry = metrics[metric]
            assert entry["mean"] == pytest.approx(values.mean())
            assert entry["interval"][0] <= entry["mean"] <= entry["interval"][1]
    assert list(summary) == ["strict", "kinesis"]
    assert summary["kinesis"]["success"]["mean"] > summary["strict"]["success"]["mean"]
    lines = summary_table(summary).splitlines()
    assert len(lines) == 6
    assert lines[0].split() == ["metric", "strict", "kinesis"]
    assert lines[1].startswith(
        f"success [%]         {100 * summary['strict']['success']['mean']:.1f}"
    )


# -- of a policy --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fallen(policy: Policy) -> xr.Dataset:
    return evaluate(policy, n_starts=6, duration=2.0, seed=5, n_threads=1)


def test_an_untrained_policy_falls(fallen: xr.Dataset) -> None:
    assert fallen.sizes == {"episode": 6}
    np.testing.assert_array_equal(fallen.success, 0.0)
    assert (fallen.survival_time < 1.0).all()
    np.testing.assert_allclose(fallen.frame_coverage * 2.0, fallen.survival_time)
    assert (fallen.mpjpe <= 0.15).all()
    assert (fallen.mpjpe_all <= 0.15).all()
    assert set(fallen.motion.values) == {"walk"}
    # It stands on the floor for a part of the time that it takes to fall.
    assert ((fallen.vertical_force > 0.05) & (fallen.vertical_force < 3.0)).all()
    assert all(v.attrs["units"] for v in fallen.data_vars.values())
    summary = json.loads(fallen.attrs["summary"])
    assert summary["strict"]["success"]["mean"] == summary["kinesis"]["success"]["mean"] == 0.0
    assert summary["strict"]["survival_time"]["mean"] == pytest.approx(
        float(fallen.survival_time.mean())
    )
    assert json.loads(fallen.attrs["protocol"])["name"] == "strict"


def test_starts_cover_the_motion_evenly(fallen: xr.Dataset) -> None:
    length = load_once("walk", "legs26").n_frames
    part = np.floor(fallen.start_frame.values / length * 6)
    np.testing.assert_array_equal(np.sort(part), np.arange(6))


def test_the_same_seed_gives_the_same_bits_whatever_the_threads(
    policy: Policy, fallen: xr.Dataset
) -> None:
    again = evaluate(policy, "walk", n_starts=6, duration=2.0, seed=5, n_threads=2)
    xr.testing.assert_identical(again, fallen)
    other = evaluate(policy, n_starts=6, duration=2.0, seed=6, n_threads=1)
    assert (other.start_frame != fallen.start_frame).any()


def test_kinesis_ends_later_than_strict(policy: Policy, fallen: xr.Dataset) -> None:
    loose = evaluate(policy, protocol="kinesis", n_starts=6, duration=2.0, seed=5, n_threads=1)
    assert (loose.survival_time > fallen.survival_time).all()
    np.testing.assert_array_equal(loose.start_frame, fallen.start_frame)
    assert loose.attrs["summary"] == fallen.attrs["summary"]


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[float]], None]:
    """Fix where episodes start, as parts of the motion."""
    # As an attribute of the package, the name is the function's.
    module = sys.modules["kinesis_neuro.evaluate"]
    made = module.policy_env

    def fix(parts: list[float]) -> None:
        def env(*args: Any, **options: Any) -> ImitationEnv:
            env = made(*args, **options)
            inside = np.array(parts) * len(parts) - np.arange(len(parts))
            env.rng = SimpleNamespace(random=lambda n: inside)  # type: ignore[assignment]
            return env

        monkeypatch.setattr(module, "policy_env", env)

    return fix


def test_an_episode_does_not_see_the_others(
    policy: Policy, starts: Callable[[list[float]], None]
) -> None:
    def traces(parts: list[float]) -> Traces:
        starts(parts)
        return run_episodes(policy, None, n_starts=len(parts), duration=1.0, seed=0, n_threads=1)

    parts = [0.05, 0.3, 0.35, 0.5, 0.7, 0.9]
    together = traces(parts)
    for i, part in enumerate(parts):
        alone = traces([part])
        assert alone.start_frame[0] == together.start_frame[i]
        np.testing.assert_array_equal(alone.distance[:, 0], together.distance[:, i])
        assert alone.vertical_force[0] == together.vertical_force[i]


def test_episodes_of_several_motions(policy: Policy) -> None:
    walk = load_once("walk", "legs26")
    clip = walk.loop(2).slice(0.1, 1.2)
    result = evaluate(policy, [walk, clip], n_starts=2, duration=1.0, n_threads=1)
    assert result.sizes == {"episode": 4}
    np.testing.assert_array_equal(result.motion, ["walk"] * 4)
    # The clip ends: its episodes start so that they fit.
    assert (result.start_frame[2:] + 31 * 5 < clip.n_frames).all()


def test_what_diverges_has_not_succeeded(policy: Policy, tmp_path: Path, monkeypatch: Any) -> None:
    """Even in the last step, when nothing follows in which it could be missed."""
    monkeypatch.chdir(tmp_path)  # MuJoCo logs where it runs

    def prepare(env: ImitationEnv) -> None:
        def explode(env: ImitationEnv) -> None:
            if env.steps[0] == 2:
                env.simulation.qvel[0] = 1e6

        env.on_physics_step = explode

    options: dict[str, Any] = {"n_starts": 2, "duration": 0.1, "seed": 0, "n_threads": 1}
    sound = run_episodes(policy, None, **options)
    np.testing.assert_array_equal(score(sound, PROTOCOLS["kinesis"])["success"], 1.0)
    broken = run_episodes(policy, None, prepare=prepare, **options)
    assert broken.n_diverged == 1
    np.testing.assert_array_equal(score(broken, PROTOCOLS["kinesis"])["success"], [0.0, 1.0])
    assert np.isfinite(broken.vertical_force).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "lax"}, "Unknown protocol 'lax'. Available: kinesis, strict."),
        ({"n_starts": 0}, "must be positive, got 0 and 10.0"),
        ({"duration": 0.0}, "must be positive, got 100 and 0.0"),
        ({"duration": float("nan")}, "must be positive"),
        ({"duration": 0.01}, "control step"),
        ({"motions": []}, "At least one motion"),
        ({"motions": "run"}, "Unknown motion 'run'"),
    ],
)
def test_impossible_evaluations_are_refused(
    policy: Policy, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        evaluate(policy, **options)
    assert message in str(caught.value)


def test_a_motion_must_be_as_long_as_an_episode(policy: Policy) -> None:
    clip = load_once("walk", "legs26").slice(0.0, 0.5)
    with pytest.raises(InvalidInputError, match=r"lasts 0\.50 s, too short for episodes of 1\.0 s"):
        evaluate(policy, clip, n_starts=2, duration=1.0)


def test_it_is_the_public_function() -> None:
    assert _evaluate_function is evaluate


def test_a_condition_changes_what_is_evaluated(policy: Policy) -> None:
    healthy, same, silent = (
        evaluate(policy, n_starts=4, duration=0.3, seed=2, condition=condition)
        for condition in (None, MuscleCondition(), MuscleCondition(deactivated=("*",)))
    )
    np.testing.assert_array_equal(same.mpjpe, healthy.mpjpe)
    assert not np.array_equal(silent.mpjpe, healthy.mpjpe)
    assert "condition" not in healthy.attrs
    assert json.loads(silent.attrs["condition"])["deactivated"] == ["*"]
