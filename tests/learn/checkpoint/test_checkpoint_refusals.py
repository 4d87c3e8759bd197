"""Checkpoints that are refused: cut short, of something else, or full of pickles."""

from __future__ import annotations

import dataclasses
import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from kinesis_neuro.errors import (
    FileFormatError,
    IncompatibleError,
    InvalidInputError,
    KinesisError,
)
from kinesis_neuro.learn import checkpoint as files
from kinesis_neuro.learn.checkpoint import load_policy
from kinesis_neuro.learn.config import TrainConfig
from kinesis_neuro.learn.play import policy_env
from kinesis_neuro.learn.trainer import Trainer
from kinesis_neuro.motion.reference import ReferenceMotion


def edit_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    described = json.loads(path.read_text())
    change(described)
    path.write_text(json.dumps(described))


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


def test_a_body_of_another_layout_is_refused(
    load_once: Callable[..., ReferenceMotion], saved: Path, trainer: Callable[..., Trainer]
) -> None:
    edit_json(saved / "checkpoint" / files.DESCRIPTION, lambda d: other_body(d, "layout"))
    policy = load_policy(saved / "checkpoint")
    walk = load_once("walk", "legs26")
    with pytest.raises(IncompatibleError, match="joints and muscles are other than those of"):
        policy_env(policy, [walk], n_envs=1)
    with pytest.raises(IncompatibleError, match="joints and muscles are other than those of"):
        trainer(folder=saved)


def test_another_body_is_refused(
    load_once: Callable[..., ReferenceMotion],
    tiny: TrainConfig,
    saved: Path,
    trainer: Callable[..., Trainer],
) -> None:
    policy = load_policy(saved / "checkpoint")
    with pytest.raises(IncompatibleError, match=r"'legs26', whose joints .* other .* 'legs'"):
        policy_env(policy, [load_once("walk", "legs")], n_envs=1)
    with pytest.raises(IncompatibleError, match="body"):
        trainer(dataclasses.replace(tiny, body="legs"), saved)


def test_another_parameter_of_the_body_is_a_warning_that_names_it(
    load_once: Callable[..., ReferenceMotion], saved: Path
) -> None:
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
