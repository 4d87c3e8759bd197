"""A run of two iterations, and what makes trainers quick to come by."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig
from kinesis_neuro.learn.trainer import Trainer
from kinesis_neuro.motion import collect
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion


@pytest.fixture(scope="session")
def load_once() -> Callable[..., ReferenceMotion]:
    """To load the motion takes longer than most of what is tested here."""
    return functools.cache(load_motion)


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch, load_once: Callable[..., ReferenceMotion]) -> None:
    monkeypatch.setattr(collect, "load_motion", load_once)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """Trainers set torch's threads for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny() -> TrainConfig:
    return TrainConfig(
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


@pytest.fixture
def trainer(tiny: TrainConfig, tmp_path: Path) -> Any:
    made = []

    def make(config: TrainConfig = tiny, folder: Path = tmp_path / "run") -> Trainer:
        folder.mkdir(exist_ok=True)
        made.append(Trainer(config, folder))
        return made[-1]

    yield make
    for one in made:
        one.env.close()


@pytest.fixture(scope="session")
def trained(tiny: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run with a checkpoint after two iterations."""
    folder = tmp_path_factory.mktemp("trained")
    one = Trainer(tiny, folder)
    one.iterate()
    one.iterate()
    one.save()
    one.env.close()
    return folder


@pytest.fixture
def saved(trained: Path, tmp_path: Path) -> Path:
    """A copy of that run to do anything with."""
    return shutil.copytree(trained, tmp_path / "run")
