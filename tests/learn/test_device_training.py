"""Training with the task on a device: it learns from sound batches, and goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import InvalidInputError, MissingDependencyError
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig
from kinesis_neuro.learn.trainer import Trainer, train

SMALL = {
    "n_envs": 8,
    "n_threads": 1,
    "network": NetworkConfig(actor=(16,), critic=(16,)),
    "ppo": PPOConfig(horizon=4, minibatch=16, symmetry_weight=0.1),
    "backend": "warp",
}


def test_a_run_on_a_device_goes_on_as_if_never_interrupted(tmp_path: Path) -> None:
    pytest.importorskip("mujoco_warp")
    whole = train(TrainConfig(total_steps=128, **SMALL), folder=tmp_path / "whole", progress=False)
    train(TrainConfig(total_steps=64, **SMALL), folder=tmp_path / "half", progress=False)
    half = train(TrainConfig(total_steps=128, **SMALL), folder=tmp_path / "half", progress=False)
    for name, weights in whole.state_dict().items():
        torch.testing.assert_close(half.state_dict()[name], weights, msg=name, rtol=0, atol=1e-6)
    rows = [json.loads(r) for r in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert len(rows) == 4 and all(np.isfinite(row["value_loss"]) for row in rows)
    assert 0.0 < rows[0]["reward"] < 1.0 and 0.0 < rows[0]["error_mm"] < 150.0


def test_what_stays_on_the_processor_is_said(tmp_path: Path) -> None:
    pytest.importorskip("mujoco_warp")
    task = ImitationConfig(actuation="tracking")
    with pytest.warns(UserWarning, match="not the actuation 'tracking'"):
        trainer = Trainer(TrainConfig(task=task, **SMALL), tmp_path / "run")
    assert isinstance(trainer.env, ImitationEnv)
    row = trainer.iterate()
    assert row["steps"] == 32 and np.isfinite(row["reward"])
    trainer.collector.close()


def test_a_device_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = TrainConfig(device="cuda")
    with pytest.raises(MissingDependencyError, match="Device 'cuda' was asked for"):
        Trainer(config, tmp_path / "run")
    with pytest.raises(InvalidInputError, match="Unknown backend 'jax'"):
        TrainConfig(backend="jax")
    with pytest.raises(InvalidInputError, match="Workers step MuJoCo on processors"):
        TrainConfig(backend="warp", workers=2)
