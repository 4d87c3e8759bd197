"""Checkpoints: whole after any kill, resumed to the same bits, refused when they do not belong."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.errors import (
    FileFormatError,
    IncompatibleError,
    InvalidInputError,
    KinesisError,
    WriteError,
)
from kinesis_neuro.learn import checkpoint as files
from kinesis_neuro.learn.checkpoint import load_policy, save_policy
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig
from kinesis_neuro.learn.play import policy_env
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.learn.trainer import Trainer, train
from kinesis_neuro.motion import collect
from kinesis_neuro.motion.library import load_motion

ROOT = Path(__file__).resolve().parents[2]

TINY = TrainConfig(
    name="tiny",
    body="legs26",
    task=ImitationConfig(actuation="excitation"),
    network=NetworkConfig(actor=(8,), critic=(8,), squash=True),
    ppo=PPOConfig(horizon=4, minibatch=6, epochs=2),
    n_envs=4,
    n_threads=1,
    checkpoint_every=1,
    seed=3,
)
STEPS_PER_ITERATION = TINY.n_envs * TINY.ppo.horizon

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


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To load the motion takes longer than most of what is tested here."""
    monkeypatch.setattr(collect, "load_motion", load_once)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """Trainers set torch's threads for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def trainer(tmp_path: Path) -> Any:
    made = []

    def make(config: TrainConfig = TINY, folder: Path = tmp_path / "run") -> Trainer:
        folder.mkdir(exist_ok=True)
        made.append(Trainer(config, folder))
        return made[-1]

    yield make
    for one in made:
        one.env.close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run with a checkpoint after two iterations."""
    folder = tmp_path_factory.mktemp("trained")
    one = Trainer(TINY, folder)
    one.iterate()
    one.iterate()
    one.save()
    one.env.close()
    return folder


@pytest.fixture
def saved(trained: Path, tmp_path: Path) -> Path:
    """A copy of that run to do anything with."""
    return shutil.copytree(trained, tmp_path / "run")


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


def edit_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    described = json.loads(path.read_text())
    change(described)
    path.write_text(json.dumps(described))


# -- going on -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actuation", "exploration"),
    [("excitation", "independent"), ("moment", "independent"), ("excitation", "lattice")],
)
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(
    trainer: Callable[..., Trainer], tmp_path: Path, actuation: str, exploration: str
) -> None:
    config = dataclasses.replace(
        TINY,
        task=ImitationConfig(actuation=actuation, duration=0.4),
        network=dataclasses.replace(TINY.network, exploration=exploration),
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
def test_killed_at_any_moment_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """kill -9, often in the middle of writing: an iteration takes no longer than a checkpoint."""
    folder, moments = tmp_path / "killed", random.Random(0)
    described = json.dumps(dataclasses.asdict(TINY))
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
    total = (iterations[-1] + 5) * STEPS_PER_ITERATION
    config = dataclasses.replace(TINY, total_steps=total, checkpoint_every=10_000)
    train(config, folder=folder, progress=False)
    train(config, folder=tmp_path / "straight", progress=False)
    assert_same_run(folder, tmp_path / "straight")


def test_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for n in (3, 5, 5):
        config = dataclasses.replace(TINY, total_steps=n * STEPS_PER_ITERATION)
        policy = train(config, folder=folder, progress=False)
    assert isinstance(policy, Policy)
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["steps"] for row in rows] == [n * STEPS_PER_ITERATION for n in range(1, 6)]
    assert all(np.isfinite(value) for row in rows for value in row.values())


def test_lines_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(dataclasses.replace(TINY, total_steps=32), folder=folder, progress=False)
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"iteration": 3, "steps": 48}\n{"iteration": 4, "st')
    train(dataclasses.replace(TINY, total_steps=48), folder=folder, progress=False)
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


# -- refusing -----------------------------------------------------------------------------------


def refused(folder: Path, kind: type[KinesisError] = FileFormatError) -> str:
    """One error of the library, in one line, without a warning before it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(kind) as caught:
            load_policy(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.01, 0.5, 0.999])
def test_truncated_weights_are_refused(saved: Path, share: float) -> None:
    path = saved / "checkpoint" / files.WEIGHTS
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert files.WEIGHTS in refused(saved / "checkpoint")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_trainer_is_refused(
    saved: Path, trainer: Callable[..., Trainer], share: float
) -> None:
    path = saved / "checkpoint" / files.TRAINER_ARRAYS
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileFormatError, match=files.TRAINER_ARRAYS):
        trainer(folder=saved)


@pytest.mark.parametrize("file", [files.WEIGHTS, files.DESCRIPTION])
def test_a_missing_file_is_named(saved: Path, file: str) -> None:
    (saved / "checkpoint" / file).unlink()
    assert f"{file}: no such file" in refused(saved / "checkpoint")


@pytest.mark.parametrize("file", [files.TRAINER, files.TRAINER_ARRAYS])
def test_a_policy_alone_is_no_run(saved: Path, trainer: Callable[..., Trainer], file: str) -> None:
    (saved / "checkpoint" / file).unlink()
    with pytest.raises(FileFormatError, match=f"{file}: no such file"):
        trainer(folder=saved)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"null", b"\xff\xfe\x00", b"\x80\x04."])
def test_what_is_no_json_object_is_refused(saved: Path, content: bytes) -> None:
    (saved / "checkpoint" / files.DESCRIPTION).write_bytes(content)
    assert files.DESCRIPTION in refused(saved / "checkpoint")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("network"),
        lambda d: d.pop("observations"),
        lambda d: d.update(observations=[1, 2]),
        lambda d: d.update(actions=3),
        lambda d: d.update(surprise=1),
        lambda d: d["network"].update(actor=[9]),
        lambda d: d["network"].update(critic_of_art=1),
        lambda d: d["actions"].pop(),
        lambda d: d["observations"].update(joint_position=3),
    ],
)
def test_a_description_of_something_else_is_refused(
    saved: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    edit_json(saved / "checkpoint" / files.DESCRIPTION, change)
    refused(saved / "checkpoint", KinesisError)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["network"].update(actor="wide"),
        lambda d: d["network"].update(actor=[-8]),
        lambda d: d["network"].update(initial_mean=2.0),
        lambda d: d["observations"].update(joint_position=-300),
        lambda d: d.update(task="walk"),
        lambda d: d.update(body_fingerprint=[]),
        lambda d: d.update(body=3),
    ],
)
def test_a_description_of_nonsense_is_refused(
    saved: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    edit_json(saved / "checkpoint" / files.DESCRIPTION, change)
    refused(saved / "checkpoint", KinesisError)


def test_weights_of_another_network_are_refused(saved: Path) -> None:
    path = saved / "checkpoint" / files.WEIGHTS
    weights = load_file(path)
    save_file({k: v for k, v in weights.items() if k != "log_std"}, path)
    assert "log_std" in refused(saved / "checkpoint")
    save_file(weights | {"log_std": torch.zeros(3)}, path)
    assert "log_std" in refused(saved / "checkpoint")


def test_weights_that_are_no_numbers_are_refused(saved: Path) -> None:
    path = saved / "checkpoint" / files.WEIGHTS
    weights = load_file(path)
    save_file(weights | {"actor.0.weight": weights["actor.0.weight"] * float("nan")}, path)
    assert "actor.0.weight" in refused(saved / "checkpoint")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.clear(),
        lambda d: d.pop("rng"),
        lambda d: d.update(config=[]),
        lambda d: d["rng"].update(bit_generator="Philox"),
    ],
)
def test_a_trainer_of_nonsense_is_refused(
    saved: Path, trainer: Callable[..., Trainer], change: Callable[[dict[str, Any]], Any]
) -> None:
    edit_json(saved / "checkpoint" / files.TRAINER, change)
    with pytest.raises(KinesisError):
        trainer(folder=saved)


def test_trainer_arrays_of_another_run_are_refused(
    saved: Path, trainer: Callable[..., Trainer]
) -> None:
    path = saved / "checkpoint" / files.TRAINER_ARRAYS
    arrays = load_file(path)
    save_file({k: v for k, v in arrays.items() if k != "env.state"}, path)
    with pytest.raises(KinesisError):
        trainer(folder=saved)


def test_an_unknown_policy_is_named(tmp_path: Path) -> None:
    assert "'run'" in refused(Path("run"), InvalidInputError)
    (tmp_path / "empty").mkdir()
    assert "no such file" in refused(tmp_path / "empty")


# -- bodies and configurations ------------------------------------------------------------------


def other_body(described: dict[str, Any], entry: str) -> None:
    described["body_fingerprint"][entry] = "0" * 64


def test_a_body_of_another_layout_is_refused(saved: Path, trainer: Callable[..., Trainer]) -> None:
    edit_json(saved / "checkpoint" / files.DESCRIPTION, lambda d: other_body(d, "layout"))
    policy = load_policy(saved / "checkpoint")
    walk = load_once("walk", "legs26")
    with pytest.raises(IncompatibleError, match="joints and muscles are other than those of"):
        policy_env(policy, [walk], n_envs=1)
    with pytest.raises(IncompatibleError, match="joints and muscles are other than those of"):
        trainer(folder=saved)


def test_another_body_is_refused(saved: Path, trainer: Callable[..., Trainer]) -> None:
    policy = load_policy(saved / "checkpoint")
    with pytest.raises(IncompatibleError, match=r"'legs26', whose joints .* other .* 'legs'"):
        policy_env(policy, [load_once("walk", "legs")], n_envs=1)
    with pytest.raises(IncompatibleError, match="body"):
        trainer(dataclasses.replace(TINY, body="legs"), saved)


def test_another_parameter_of_the_body_is_a_warning_that_names_it(saved: Path) -> None:
    edit_json(saved / "checkpoint" / files.DESCRIPTION, lambda d: other_body(d, "body_mass"))
    policy = load_policy(saved / "checkpoint")
    with pytest.warns(UserWarning, match=r"differs from 'legs26' in: body_mass\."):
        policy_env(policy, [load_once("walk", "legs26")], n_envs=1).close()


def test_going_on_with_another_parameter_warns_too(
    saved: Path, trainer: Callable[..., Trainer]
) -> None:
    edit_json(saved / "checkpoint" / files.DESCRIPTION, lambda d: other_body(d, "body_mass"))
    with pytest.warns(UserWarning, match="body_mass"):
        trainer(folder=saved)


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
    saved: Path, trainer: Callable[..., Trainer], changes: dict[str, Any], named: str
) -> None:
    before = snapshot(saved)
    with pytest.raises(IncompatibleError, match=f"another configuration: {named} differ"):
        trainer(dataclasses.replace(TINY, **changes), saved)
    assert snapshot(saved) == before


def test_a_policy_to_start_from_must_fit(
    saved: Path, trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    start = str(saved / "checkpoint")
    same = trainer(dataclasses.replace(TINY, initial_policy=start), tmp_path / "same")
    first, learnt = load_policy(start).state_dict(), same.policy.state_dict()
    assert all(torch.equal(v, learnt[k]) for k, v in first.items() if k != "log_std")
    torch.testing.assert_close(learnt["log_std"], torch.full((26,), -1.5))
    task = ImitationConfig(actuation="excitation", lookahead=(1,))
    for other in ({"task": task}, {"task": ImitationConfig()}):
        config = dataclasses.replace(TINY, initial_policy=start, **other)
        with pytest.raises(IncompatibleError, match="observes or acts otherwise"):
            trainer(config, tmp_path / "other")
    network = NetworkConfig(actor=(9,), critic=(8,), squash=True)
    with pytest.raises(FileFormatError, match="size mismatch"):
        trainer(
            dataclasses.replace(TINY, initial_policy=start, network=network), tmp_path / "wider"
        )


def test_a_run_outlives_the_policy_that_it_started_from(
    saved: Path, trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    start = tmp_path / "start"
    save_policy(load_policy(saved / "checkpoint"), start)
    config = dataclasses.replace(TINY, initial_policy=str(start))
    trainer(config, tmp_path / "later").save()
    shutil.rmtree(start)
    trainer(config, tmp_path / "later").iterate()


# -- no pickles ---------------------------------------------------------------------------------


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("file", [files.WEIGHTS, files.TRAINER_ARRAYS])
@pytest.mark.parametrize("write", ["pickle", "torch"])
def test_a_pickle_is_refused_unread(
    saved: Path, trainer: Callable[..., Trainer], tmp_path: Path, file: str, write: str
) -> None:
    mark, path = tmp_path / "exploded", saved / "checkpoint" / file
    if write == "pickle":
        path.write_bytes(pickle.dumps(Bomb(mark)))
    else:
        torch.save({"log_std": Bomb(mark)}, path)
    with pytest.raises(FileFormatError, match=file):
        trainer(folder=saved)
    assert not mark.exists()


def test_nothing_that_is_read_passes_through_pickle(
    saved: Path, trainer: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle was read")

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler")):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    load_policy(saved / "checkpoint")
    trainer(folder=saved).iterate()
