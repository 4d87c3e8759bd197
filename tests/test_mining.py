"""Mining: each expert on what the one before failed, and the same result however often it stops."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from kinesis_neuro import mining as module
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.learn import trainer as trainer_module
from kinesis_neuro.learn.checkpoint import load_policy
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig, to_dict
from kinesis_neuro.learn.mining_config import MiningConfig
from kinesis_neuro.learn.mixture import MixturePolicy
from kinesis_neuro.mining import mine
from kinesis_neuro.motion.clips import Entry, write_library
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.splits import read_keys, write_keys

ROOT = Path(__file__).resolve().parents[1]
CLIPS = ("a", "b", "c")

MINE = """
import json, sys
from kinesis_neuro.learn.config import from_dict
from kinesis_neuro.learn.mining_config import MiningConfig
from kinesis_neuro.mining import mine
mine(from_dict(MiningConfig, json.loads(sys.argv[2])), folder=sys.argv[1], progress=False)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    walk = load_motion("walk", "legs26")
    folder = tmp_path_factory.mktemp("library")
    entries = [
        Entry(
            dataclasses.replace(walk.loop(2).slice(0.2 * k, 1.0 + 0.2 * k), name=name),
            "walk",
            "one",
        )
        for k, name in enumerate((*CLIPS, "held_out"))
    ]
    write_library(folder / "clips", entries)
    write_keys(folder / "train.txt", CLIPS, "for training")
    return folder


@pytest.fixture
def config(library: Path) -> MiningConfig:
    tiny = NetworkConfig(actor=(8,), critic=(8,), squash=True)
    train = TrainConfig(
        name="mined",
        body="legs26",
        motions=(str(library / "clips"),),
        keys=str(library / "train.txt"),
        task=ImitationConfig(actuation="excitation"),
        network=tiny,
        ppo=PPOConfig(horizon=4, minibatch=6, epochs=1),
        n_envs=3,
        n_threads=1,
        total_steps=36,
        checkpoint_every=2,
        seed=2,
    )
    gate = NetworkConfig(actor=(8,), critic=(8,))
    return MiningConfig(
        train, n_experts=3, gate_network=gate, gate_ppo=train.ppo, gate_steps=24, duration=0.4
    )


def episodes(success: dict[str, float]) -> pd.DataFrame:
    rows = [
        {
            "motion": clip,
            "protocol": protocol,
            "success": value,
            "frame_coverage": value,
            "mpjpe": 0.1 - 0.05 * value,
        }
        for clip, value in success.items()
        for protocol in ("strict", "kinesis")
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """An evaluation that says which clips fail: c always, b the first time, a never."""
    asked: list[tuple[str, list[str]]] = []

    def evaluate(policy: Path, *_: Any, **__: Any) -> pd.DataFrame:
        name = Path(policy).parent.name
        asked.append((name, list(_[1]["train"])))
        failing = {"expert_1": "bc", "expert_2": "ac"}.get(name, "c")
        return episodes({clip: float(clip not in failing) for clip in CLIPS})

    monkeypatch.setattr(module, "evaluate_library", evaluate)
    return asked


def state(folder: Path) -> dict[str, Any]:
    """Weights of every policy, and all outcomes."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*/checkpoint/policy.safetensors")):
        name = path.parent.parent.name
        found |= {f"{name}.{k}": v.tolist() for k, v in load_file(path).items()}
        found[name] = json.loads((folder / name / "outcome.json").read_text())
    found["table"] = (folder / "table.csv").read_text()
    return found


def test_each_expert_is_trained_on_what_the_one_before_failed(
    config: MiningConfig, judged: list[tuple[str, list[str]]], tmp_path: Path
) -> None:
    table = mine(config, folder=tmp_path, progress=False)
    keys = [read_keys(tmp_path / f"keys_{k}.txt") for k in (1, 2, 3)]
    # a is failed by the second, but was never its own to learn.
    assert keys == [("a", "b", "c"), ("b", "c"), ("c",)]
    assert table["n_clips"].tolist() == [3, 2, 1, 3]
    assert table["n_failed"].tolist() == [2, 1, 1, 1]
    assert table.index.tolist() == ["expert_1", "expert_2", "expert_3", "mixture"]
    # Over all clips, so that the four can be compared.
    assert table["success"].round(3).tolist() == [0.333, 0.333, 0.667, 0.667]
    assert all(clips == list(CLIPS) for _, clips in judged)
    for k, expected in enumerate(keys, start=1):
        expert = load_policy(tmp_path / f"expert_{k}" / "checkpoint")
        assert set(expert.about.motions) == set(expected)
    mixture = load_policy(tmp_path / "mixture" / "checkpoint")
    assert isinstance(mixture, MixturePolicy)
    assert set(mixture.about.motions) == set(CLIPS)
    for k, member in enumerate(mixture.members, start=1):
        expert = load_policy(tmp_path / f"expert_{k}" / "checkpoint")
        for name, value in expert.state_dict().items():
            assert torch.equal(member.state_dict()[name], value)


@pytest.mark.parametrize("warm", [True, False])
def test_an_expert_starts_from_the_one_before_or_anew(
    config: MiningConfig, judged: list, tmp_path: Path, warm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: dict[str, torch.Tensor] = {}
    init = trainer_module.Trainer.__init__

    def watch(trainer: trainer_module.Trainer, run: TrainConfig, folder: Path) -> None:
        init(trainer, run, folder)
        first[run.name] = trainer.policy.actor[0].weight.detach().clone()

    monkeypatch.setattr(trainer_module.Trainer, "__init__", watch)
    brief = dataclasses.replace(config, n_experts=2, warm_start=warm, gate_steps=0)
    table = mine(brief, folder=tmp_path, progress=False)
    assert table.index.tolist() == ["expert_1", "expert_2"]
    trained = load_policy(tmp_path / "expert_1" / "checkpoint").actor[0].weight
    assert torch.equal(first["expert_2"], trained) == warm
    assert torch.equal(first["expert_2"], first["expert_1"]) != warm


class Stopped(BaseException):
    """As of a kill: nobody catches it."""


def stop_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, count: int) -> None:
    """Stop in the call of this number."""
    original: Callable[..., Any] = getattr(owner, name)
    calls = iter(range(1, 10**6))

    def stopping(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == count:
            raise Stopped
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, stopping)


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """What an uninterrupted run ended in."""
    return {}


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("iterate", 2),  # within the first expert
        ("iterate", 5),  # within the second
        ("iterate", 10),  # within the gate
        ("save", 2),
        ("save", 5),
        ("evaluate_library", 1),  # trained, not yet judged
        ("evaluate_library", 3),
        ("write_keys", 2),  # between two stages
        ("atomic_path", 2),  # judged, not yet written down
        ("atomic_path", 3),
        ("atomic_path", 10),  # all done but the table
    ],
)
def test_it_goes_on_from_anywhere_to_the_same_end(
    place: str,
    count: int,
    config: MiningConfig,
    judged: list,
    whole: dict[str, Any],
    tmp_path: Path,
) -> None:
    if not whole:
        mine(config, folder=tmp_path / "whole", progress=False)
        whole.update(state(tmp_path / "whole"))
    owner = trainer_module.Trainer if place in ("iterate", "save") else module
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, owner, place, count)
        with pytest.raises(Stopped):
            mine(config, folder=tmp_path / "run", progress=False)
    mine(config, folder=tmp_path / "run", progress=False)
    assert state(tmp_path / "run") == whole


def test_a_killed_process_is_gone_on_with(config: MiningConfig, tmp_path: Path) -> None:
    """As a process of its own, killed in its second expert; judged by real episodes."""
    config = dataclasses.replace(config, n_experts=2)
    run, told = tmp_path / "run", json.dumps(to_dict(config))
    process = subprocess.Popen(
        [sys.executable, "-c", MINE, str(run), told], env={"PYTHONPATH": str(ROOT), "PATH": ""}
    )
    deadline = time.monotonic() + 300
    while not (run / "expert_2" / "log.jsonl").exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (run / "table.csv").exists()
    table = mine(config, folder=run, progress=False)
    mine(config, folder=tmp_path / "whole", progress=False)
    assert state(run) == state(tmp_path / "whole")
    # Nobody stands on tiny networks after 36 steps: the second expert had all clips to learn.
    assert table["n_failed"].tolist()[:2] == [3, 3]
    stored = pd.read_csv(run / "expert_1" / "episodes.csv")
    assert sorted(set(stored["motion"])) == list(CLIPS)


def test_what_never_fails_needs_one_expert(
    config: MiningConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        module, "evaluate_library", lambda *_, **__: episodes(dict.fromkeys(CLIPS, 1.0))
    )
    table = mine(config, folder=tmp_path, progress=False)
    assert table.index.tolist() == ["expert_1"]
    assert not (tmp_path / "mixture").exists()


def test_time_is_counted_over_interruptions(
    config: MiningConfig, judged: list, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limited = dataclasses.replace(config.train, minutes=5.0)
    asked = []
    monkeypatch.setattr(module, "train", lambda run, **_: asked.append(run.minutes))
    folder = tmp_path / "expert_1"
    (folder / "checkpoint").mkdir(parents=True)
    for seconds in (60.0, 600.0):
        (folder / "checkpoint" / "trainer.json").write_text(json.dumps({"seconds": seconds}))
        module._stage(config, limited, folder, CLIPS, CLIPS, False)
        (folder / "outcome.json").unlink()
    # A minute is spent; then all of it, and nothing is trained any more.
    assert asked == [4.0]


def test_other_options_in_the_same_folder_are_refused(
    config: MiningConfig, judged: list, tmp_path: Path
) -> None:
    mine(config, folder=tmp_path, progress=False)
    before = (tmp_path / "mining.json").read_text()
    for other, word in (
        (dataclasses.replace(config, gate="soft"), "gate differ"),
        (
            dataclasses.replace(config, train=dataclasses.replace(config.train, seed=9)),
            r"train\.seed differ",
        ),
    ):
        with pytest.raises(IncompatibleError, match=word):
            mine(other, folder=tmp_path, progress=False)
    # Fewer threads are no other configuration.
    same = dataclasses.replace(config, train=dataclasses.replace(config.train, checkpoint_every=7))
    assert mine(same, folder=tmp_path, progress=False).shape[0] == 4
    assert (tmp_path / "mining.json").read_text() == before


def test_what_cannot_be_mined_is_refused(config: MiningConfig, tmp_path: Path) -> None:
    train = dataclasses.replace(config.train, motions=("walk",), keys="")
    with pytest.raises(InvalidInputError, match="needs one motion library, got walk"):
        mine(dataclasses.replace(config, train=train), folder=tmp_path, progress=False)
    with pytest.raises(InvalidInputError, match=r"Unknown protocol 'easy'\. Available: kinesis"):
        mine(dataclasses.replace(config, protocol="easy"), folder=tmp_path, progress=False)
    for options, message in (
        ({"gate": "half"}, "Unknown gate 'half'"),
        ({"n_experts": 0}, "at least 1"),
        ({"train": TrainConfig(experts=("a",))}, r"leave train\.experts empty"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            MiningConfig(**options)
