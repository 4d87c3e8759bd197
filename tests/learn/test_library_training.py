"""Training on a motion library: its clips, by keys and weights, and what is solved once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from kinesis_neuro.body.models import load_body
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig
from kinesis_neuro.learn.trainer import Trainer
from kinesis_neuro.motion import feedforward
from kinesis_neuro.motion.clips import Entry, write_library
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.splits import write_keys


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    body = load_body("legs26")
    walk = load_motion("walk", body)
    parts = {"a": walk.qpos[:40], "b": walk.qpos[30:55], "c": walk.qpos[50:80]}
    clips = [ReferenceMotion.from_poses(body, q, walk.rate, name=k) for k, q in parts.items()]
    write_library(tmp_path / "lib", [Entry(clip, "walk", "anna") for clip in clips])
    write_keys(tmp_path / "train.txt", ["a", "c"])
    small = NetworkConfig(actor=(8,), critic=(8,))
    return TrainConfig(
        body="legs26",
        motions=(str(tmp_path / "lib"),),
        keys=str(tmp_path / "train.txt"),
        motion_weighting="clip",
        task=ImitationConfig(actuation="moment"),
        network=small,
        ppo=PPOConfig(horizon=2, epochs=1, minibatch=8),
        n_envs=6,
        n_threads=1,
    )


def test_a_library_is_trained_on(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    threads = torch.get_num_threads()
    try:
        first = Trainer(config, tmp_path / "run")
        assert [m.name for m in first.env.table.motions] == ["a", "c"]
        np.testing.assert_allclose(first.env.starts.motion_weight, 0.5)
        assert set(first.policy.about.motions) == {"a", "c"}
        first.iterate()
        first.save()
        first.env.close()
        kept = list((tmp_path / "lib" / feedforward.FOLDER).glob("*.npz"))
        assert len(kept) == 2

        def refuse(*args: object, **options: object) -> None:
            raise AssertionError("static optimisation was computed again")

        monkeypatch.setattr(feedforward, "static_optimization", refuse)
        monkeypatch.setattr(feedforward, "_solve_in_parallel", refuse)
        resumed = Trainer(config, tmp_path / "run")
        assert resumed.steps == first.steps
        np.testing.assert_array_equal(resumed.env.table.feedforward, first.env.table.feedforward)
        resumed.env.close()
        # Without keys the third clip is to be solved.
        with pytest.raises(AssertionError, match="computed again"):
            Trainer(dataclasses.replace(config, keys=""), tmp_path / "other")
    finally:
        torch.set_num_threads(threads)
