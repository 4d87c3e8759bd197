"""Teachers for cloning."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import pytest
import torch

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.learn.checkpoint import load_policy, save_policy
from kinesis_neuro.learn.config import NetworkConfig, TrainConfig
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.learn.trainer import Trainer
from kinesis_neuro.motion import collect
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

load_once = functools.cache(load_motion)


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To load the motion takes longer than most of what is tested here."""
    monkeypatch.setattr(collect, "load_motion", load_once)


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


@pytest.fixture(scope="module")
def short() -> ReferenceMotion:
    """A part of the walk, under a name of its own."""
    walk = load_once("walk", "legs26")
    return dataclasses.replace(walk.loop(2).slice(0.1, 2.0), name="short")
