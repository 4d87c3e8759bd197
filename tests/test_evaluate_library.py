"""Evaluation on a library: each clip from its start to its end, clips as the unit, failures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.cli import main
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.evaluate import run_episodes
from kinesis_neuro.evaluate_library import evaluate_library, failed_clips, skill_table, table_text
from kinesis_neuro.learn.checkpoint import save_policy
from kinesis_neuro.learn.policy import Policy, untrained_policy
from kinesis_neuro.motion.clips import Entry, write_library
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.splits import read_keys, write_keys

DECIMATION = 5
"""Physics steps in a control step."""


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("legs26")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return untrained_policy(0, "legs26")


@pytest.fixture(scope="module")
def clips(body: Body) -> dict[str, ReferenceMotion]:
    """Clips of 12 to 61 frames, without ground forces, so that the solution is quick."""
    walk = load_motion("walk", body)
    return {
        name: ReferenceMotion.from_poses(body, walk.qpos[:n], walk.rate, name=name)
        for name, n in (("short", 12), ("odd", 43), ("even", 46), ("long", 61))
    }


@pytest.fixture(scope="module")
def folder(clips: dict[str, ReferenceMotion], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "lib"
    skills = {"short": "run", "odd": "walk", "even": "walk", "long": "walk"}
    write_library(path, [Entry(m, skills[name], name) for name, m in clips.items()])
    return path


@pytest.fixture(scope="module")
def episodes(policy: Policy, folder: Path) -> pd.DataFrame:
    splits = {"train": ["long", "short", "odd"], "test": ["even"]}
    return evaluate_library(policy, folder, splits, n_starts=2, n_threads=1)


def test_episodes_go_from_the_start_to_the_end(
    policy: Policy, clips: dict[str, ReferenceMotion]
) -> None:
    traces = run_episodes(
        policy, list(clips.values()), n_starts=2, duration=10.0, seed=0, to_the_end=True
    )
    for k, name in enumerate(traces.motion):
        n, start = clips[name].n_frames, traces.start_frame[k]
        # The last step is the last that ends inside of the clip.
        last = start + DECIMATION * traces.planned[k]
        assert last <= n - 1 < last + DECIMATION
    assert (traces.start_frame[::2] == 0).all() and (traces.start_frame[1::2] > 0).all()
    lengths = np.array([clips[name].n_frames for name in traces.motion])
    assert (traces.start_frame <= lengths / 2).all()
    # Nothing is scored beyond the end.
    for k, planned in enumerate(traces.planned):
        assert np.isnan(traces.distance[planned:, k]).all()
        assert np.isfinite(traces.distance[0, k]).all()


def test_a_clip_does_not_see_the_others(
    policy: Policy, folder: Path, episodes: pd.DataFrame
) -> None:
    alone = evaluate_library(policy, folder, {"test": ["even"]}, n_starts=2, n_threads=1)
    together = episodes[episodes["motion"] == "even"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, together)


def test_rows_and_order(episodes: pd.DataFrame) -> None:
    assert len(episodes) == 4 * 2 * 2
    assert list(dict.fromkeys(episodes["motion"])) == ["long", "short", "odd", "even"]
    assert set(episodes["protocol"]) == {"strict", "kinesis"}
    by_clip = episodes.groupby("motion")
    assert by_clip["split"].first().to_dict() == {
        **dict.fromkeys(["long", "short", "odd"], "train"),
        "even": "test",
    }
    reached = episodes["frame_coverage"] * episodes["planned"]
    np.testing.assert_allclose(reached, episodes["survival_time"])
    np.testing.assert_array_equal(episodes["success"] == 1, episodes["frame_coverage"] == 1)


def made_up(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        {
            "split": split,
            "skill": skill,
            "motion": f"{split}{skill}{clip}",
            "protocol": protocol,
            "success": float(rng.random() < 0.7),
            "frame_coverage": rng.random(),
            "mpjpe": 0.05 * rng.random(),
            "mpjpe_all": 0.1 * rng.random(),
        }
        for split in ("train", "test")
        for skill, n in (("walk", 9), ("run", 1))
        for clip in range(n)
        for _ in range(1 + clip % 3)
        for protocol in ("strict", "kinesis")
    ]
    return pd.DataFrame(rows)


def test_the_table_is_over_clips() -> None:
    data = made_up()
    table = skill_table(data, seed=3)
    assert list(table.index.names) == ["split", "skill", "protocol"]
    assert len(table) == 2 * 3 * 2
    for (split, skill, protocol), row in table.iterrows():
        part = data[(data["split"] == split) & (data["protocol"] == protocol)]
        part = part if skill == "all" else part[part["skill"] == skill]
        per_clip = part.groupby("motion")[["success", "mpjpe"]].mean()
        assert row["n_clips"] == len(per_clip)
        assert row["success"] == pytest.approx(per_clip["success"].mean())
        assert row["mpjpe"] == pytest.approx(per_clip["mpjpe"].mean())
        if len(per_clip) == 1:
            assert np.isnan(row["success_low"]) and np.isnan(row["mpjpe_high"])
            continue
        low, high = proportion_confint(per_clip["success"].sum(), len(per_clip), method="wilson")
        assert (row["success_low"], row["success_high"]) == pytest.approx((low, high))
        assert row["mpjpe_low"] < row["mpjpe"] < row["mpjpe_high"]
    pd.testing.assert_frame_equal(skill_table(data, seed=3), table)


def test_failures_are_clips_of_which_an_episode_failed() -> None:
    data = made_up(1)
    strict = data[data["protocol"] == "strict"].groupby("motion", sort=False)["success"].min()
    assert failed_clips(data) == tuple(strict.index[strict < 1])
    assert failed_clips(data.assign(success=1.0)) == ()
    with pytest.raises(InvalidInputError, match="Unknown protocol 'loose'"):
        failed_clips(data, "loose")


def test_text_of_the_table() -> None:
    text = table_text(skill_table(made_up()))
    lines = text.splitlines()
    assert len(lines) == 13
    assert lines[0].split()[:4] == ["split", "skill", "protocol", "clips"]
    assert all("nan" not in line for line in lines)


def test_evaluations_that_are_refused(policy: Policy, folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="Unknown clip 'z'"):
        evaluate_library(policy, folder, {"test": ["z"]})
    with pytest.raises(InvalidInputError, match="belongs to one of them"):
        evaluate_library(policy, folder, {"test": ["even"], "train": ["even"]})
    with pytest.raises(InvalidInputError, match="Splits need clips"):
        evaluate_library(policy, folder, {"test": []})
    with pytest.raises(InvalidInputError, match="must be positive"):
        evaluate_library(policy, folder, n_starts=0)
    with pytest.raises(IncompatibleError, match="Build the library for that body"):
        evaluate_library(untrained_policy(0, "legs"), folder)


def test_the_command_writes_table_and_failures(
    policy: Policy,
    folder: Path,
    episodes: pd.DataFrame,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_policy(policy, tmp_path / "policy")
    write_keys(tmp_path / "train.txt", ["long", "short", "odd"])
    write_keys(tmp_path / "test.txt", ["even"])
    arguments = ["evaluate", str(tmp_path / "policy"), str(folder), "--n-starts", "2"]
    keys = ["--keys", str(tmp_path / "train.txt"), str(tmp_path / "test.txt")]
    main([*arguments, *keys, "--failures", str(tmp_path / "failed.txt")])
    said = capsys.readouterr().out
    assert table_text(skill_table(episodes)) in said
    assert read_keys(tmp_path / "failed.txt") == failed_clips(episodes)
    with pytest.raises(SystemExit, match="give its folder alone"):
        main([*arguments[:3], "walk"])
    with pytest.raises(SystemExit, match="choose among the clips"):
        main(["evaluate", str(tmp_path / "policy"), "walk", *keys])
