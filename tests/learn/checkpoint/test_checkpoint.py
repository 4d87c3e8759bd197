"""Checkpoints: whole after any kill, resumed to the same bits, and for one configuration."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.errors import (
    FileFormatError,
    IncompatibleError,
    WriteError,
)
from kinesis_neuro.learn import checkpoint as files
from kinesis_neuro.learn.checkpoint import load_policy, save_policy
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.learn.trainer import Trainer, train
from kinesis_neuro.motion.library import load_motion

ROOT = Path(__file__).resolve().parents[3]
STEPS = 16
"""Steps of an iteration: four environments for four steps."""

# Trains on until it is killed, with a checkpoint after each iteration of a few milliseconds.
ENDLESS = """
import json, sys
from pathlib import Path
from kinesis_neuro.learn.config import TrainConfig, from_dict
from kinesis_neuro.learn.trainer import Trainer
folder = Path(sys.argv[1])
folder.mkdir(exist_ok=True)
trainer = Trainer(from_dict(TrainConfig, json.loads(sys.argv[2])), folder)
while True:
    trainer.iterate()
    trainer.save()
    print(trainer.ppo.iteration, flush=True)
"""


load_once = functools.cache(load_motion)


def checkpoint(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Everything that a checkpoint holds."""
    folder = folder / "checkpoint"
    tensors = {f"policy.{k}": v for k, v in load_file(folder / files.WEIGHTS).items()}
    tensors |= load_file(folder / files.TRAINER_ARRAYS)
    return tensors, json.loads((folder / files.TRAINER).read_text())


def assert_same_run(one: Path, other: Path) -> None:
    (a, about_a), (b, about_b) = checkpoint(one), checkpoint(other)
    assert a.keys() == b.keys()
    different = [k for k in a if not torch.equal(a[k], b[k])]
    assert not different
    for about in (about_a, about_b):
        del about["seconds"]  # of a clock
        del about["config"]
    assert about_a == about_b


# -- going on -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actuation", "exploration"),
    [("excitation", "independent"), ("moment", "independent"), ("excitation", "lattice")],
)
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(
    tiny: TrainConfig,
    trainer: Callable[..., Trainer],
    tmp_path: Path,
    actuation: str,
    exploration: str,
) -> None:
    config = dataclasses.replace(
        tiny,
        task=ImitationConfig(actuation=actuation, duration=0.4),
        network=dataclasses.replace(tiny.network, exploration=exploration),
    )
    straight = trainer(config, tmp_path / "straight")
    ends = [straight.iterate().get("episodes", 0) for _ in range(9)]
    straight.save()
    # Episodes that ended drew new starts: the generator went on from where it was.
    assert min(sum(ends[:4]), sum(ends[4:])) > 0
    for n in (4, 1, 4):
        part = trainer(config, tmp_path / "parts")
        for _ in range(n):
            part.iterate()
        part.save()
    assert_same_run(tmp_path / "straight", tmp_path / "parts")


def test_saving_changes_nothing(trainer: Callable[..., Trainer], tmp_path: Path) -> None:
    quiet, noisy = trainer(folder=tmp_path / "quiet"), trainer(folder=tmp_path / "noisy")
    for _ in range(3):
        quiet.iterate()
        noisy.iterate()
        noisy.save()
    quiet.save()
    assert_same_run(tmp_path / "quiet", tmp_path / "noisy")


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_bits(
    tiny: TrainConfig, tmp_path: Path
) -> None:
    """kill -9, often in the middle of writing: an iteration takes no longer than a checkpoint."""
    folder, moments = tmp_path / "killed", random.Random(0)
    described = json.dumps(dataclasses.asdict(tiny))
    iterations = []
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(folder), described],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        saved = [int(process.stdout.readline()) for _ in range(moments.randrange(2, 9))]
        time.sleep(moments.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        files.recover_directory(folder / "checkpoint")
        load_policy(folder / "checkpoint")
        iterations.append(checkpoint(folder)[1]["iteration"])
        assert iterations[-1] >= saved[-1]
        # It went on from the checkpoint before.
        assert saved[0] == (iterations[-2] if len(iterations) > 1 else 0) + 1
    total = (iterations[-1] + 5) * STEPS
    config = dataclasses.replace(tiny, total_steps=total, checkpoint_every=10_000)
    train(config, folder=folder, progress=False)
    train(config, folder=tmp_path / "straight", progress=False)
    assert_same_run(folder, tmp_path / "straight")


def test_training_goes_on_where_it_stopped(tiny: TrainConfig, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for n in (3, 5, 5):
        config = dataclasses.replace(tiny, total_steps=n * STEPS)
        policy = train(config, folder=folder, progress=False)
    assert isinstance(policy, Policy)
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["steps"] for row in rows] == [n * STEPS for n in range(1, 6)]
    assert all(np.isfinite(value) for row in rows for value in row.values())


def test_lines_after_the_checkpoint_are_dropped(tiny: TrainConfig, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(dataclasses.replace(tiny, total_steps=32), folder=folder, progress=False)
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"iteration": 3, "steps": 48}\n{"iteration": 4, "st')
    train(dataclasses.replace(tiny, total_steps=48), folder=folder, progress=False)
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows] == [1, 2, 3]
    assert "reward" in rows[2]


def test_a_checkpoint_is_a_policy(saved: Path, trainer: Callable[..., Trainer]) -> None:
    policy = load_policy(saved / "checkpoint")
    expected = trainer(folder=saved).policy
    for name, value in expected.state_dict().items():
        assert torch.equal(policy.state_dict()[name], value)
    assert policy.about.body == "legs26"
    assert policy.about.actions == expected.about.actions
    assert list(policy.about.motions) == ["walk"]


def test_saving_and_loading_keeps_everything(saved: Path, tmp_path: Path) -> None:
    policy = load_policy(saved / "checkpoint")
    save_policy(policy, tmp_path / "copy")
    again = load_policy(tmp_path / "copy")
    assert files.describe(again) == files.describe(policy)
    seen = np.random.default_rng(0).normal(size=(5, policy.n_observations)).astype(np.float32)
    np.testing.assert_array_equal(again.act(seen), policy.act(seen))
    for name in (files.WEIGHTS, files.DESCRIPTION):
        assert (tmp_path / "copy" / name).read_bytes() == (saved / "checkpoint" / name).read_bytes()


# -- writing ------------------------------------------------------------------------------------


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let the operating system refuse every file of this process beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize("file", [files.WEIGHTS, files.TRAINER_ARRAYS])
def test_a_full_disk_leaves_the_earlier_checkpoint(
    saved: Path, trainer: Callable[..., Trainer], file: str
) -> None:
    before = snapshot(saved)
    size = {name.split("/")[1]: len(content) for name, content in before.items()}
    # In the order in which they are written, each is larger than those before it.
    assert size[files.WEIGHTS] < size[files.DESCRIPTION] < size[files.TRAINER_ARRAYS]
    one = trainer(folder=saved)
    one.iterate()
    with (
        pytest.raises(WriteError, match="What was there before is as it was"),
        full_disk(size[file] - 1),
    ):
        one.save()
    assert snapshot(saved) == before


def test_whatever_stops_a_write_the_earlier_checkpoint_is_whole(
    saved: Path, trainer: Callable[..., Trainer]
) -> None:
    before = snapshot(saved)
    one = trainer(folder=saved)
    one.iterate()
    for size in (1000, 20_000):
        with contextlib.suppress(Exception), full_disk(size):
            one.save()
        assert snapshot(saved) == before
    one.save()
    assert checkpoint(saved)[1]["iteration"] == 3


@pytest.mark.parametrize("file", [files.DESCRIPTION, files.TRAINER])
def test_a_disk_full_of_text_leaves_the_earlier_checkpoint(
    saved: Path, trainer: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    before = snapshot(saved)
    one = trainer(folder=saved)
    one.iterate()
    write = Path.write_text

    def refuse(path: Path, text: str) -> int:
        if path.name == file:
            write(path, text[: len(text) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(WriteError, match=r"No space left on device.*Free some space"):
        one.save()
    assert snapshot(saved) == before


def test_a_policy_goes_nowhere_without_a_folder(saved: Path, tmp_path: Path) -> None:
    policy = load_policy(saved / "checkpoint")
    with pytest.raises(WriteError, match="no folder"):
        save_policy(policy, tmp_path / "missing" / "policy")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 4}, "seed"),
        ({"n_envs": 8}, "n_envs"),
        ({"ppo": PPOConfig(horizon=4, minibatch=6, epochs=3)}, "ppo"),
        ({"task": ImitationConfig(actuation="excitation", lead=2), "seed": 5}, "task, seed"),
    ],
)
def test_another_configuration_is_refused(
    tiny: TrainConfig,
    saved: Path,
    trainer: Callable[..., Trainer],
    changes: dict[str, Any],
    named: str,
) -> None:
    before = snapshot(saved)
    with pytest.raises(IncompatibleError, match=f"another configuration: {named} differ"):
        trainer(dataclasses.replace(tiny, **changes), saved)
    assert snapshot(saved) == before


def test_a_policy_to_start_from_must_fit(
    tiny: TrainConfig, saved: Path, trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    start = str(saved / "checkpoint")
    same = trainer(dataclasses.replace(tiny, initial_policy=start), tmp_path / "same")
    first, learnt = load_policy(start).state_dict(), same.policy.state_dict()
    assert all(torch.equal(v, learnt[k]) for k, v in first.items() if k != "log_std")
    torch.testing.assert_close(learnt["log_std"], torch.full((26,), -1.5))
    task = ImitationConfig(actuation="excitation", lookahead=(1,))
    for other in ({"task": task}, {"task": ImitationConfig()}):
        config = dataclasses.replace(tiny, initial_policy=start, **other)
        with pytest.raises(IncompatibleError, match="observes or acts otherwise"):
            trainer(config, tmp_path / "other")
    network = NetworkConfig(actor=(9,), critic=(8,), squash=True)
    with pytest.raises(FileFormatError, match="size mismatch"):
        trainer(
            dataclasses.replace(tiny, initial_policy=start, network=network), tmp_path / "wider"
        )


def test_a_run_outlives_the_policy_that_it_started_from(
    tiny: TrainConfig, saved: Path, trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    start = tmp_path / "start"
    save_policy(load_policy(saved / "checkpoint"), start)
    config = dataclasses.replace(tiny, initial_policy=str(start))
    trainer(config, tmp_path / "later").save()
    shutil.rmtree(start)
    trainer(config, tmp_path / "later").iterate()
