"""The same configuration trains every body; trunk and arms are asked to keep the posture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kinesis_neuro.body.anatomy import upper_joints
from kinesis_neuro.body.models import BODY_NAMES
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig
from kinesis_neuro.learn.trainer import Trainer


@pytest.mark.parametrize("body", BODY_NAMES)
def test_the_same_configuration_trains_every_body(body: str, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    config = TrainConfig(
        name="tiny",
        body=body,
        task=ImitationConfig(actuation="excitation"),
        network=NetworkConfig(actor=(16,), critic=(16,), squash=True, exploration="lattice"),
        ppo=PPOConfig(horizon=3, minibatch=4, epochs=1),
        n_envs=2,
        n_threads=1,
    )
    trainer = Trainer(config, tmp_path)
    try:
        row = trainer.iterate()
        assert row["diverged"] == 0
        assert all(np.isfinite(value) for value in row.values())
        env = trainer.env
        assert trainer.policy.n_actions == env.body.n_muscles
        # At a start all joints are the reference's: the posture's term is whole, and falls.
        env.reset()
        env.step(np.full((2, env.body.n_muscles), -0.9))
        parts, upper = env.reward_parts, upper_joints(env.body.joints)
        assert ("posture" in parts) == bool(upper)
        if upper:
            assert (parts["posture"] > 0.5 * config.task.reward.posture).all()
            env.simulation.qpos[:, 7 + env.body.joints.index("lat_bending")] += 0.5
            before = parts["posture"]
            env.step(np.full((2, env.body.n_muscles), -0.9))
            assert (env.reward_parts["posture"] < before).all()
        else:
            assert body in ("legs", "legs26")
    finally:
        trainer.env.close()
        torch.set_num_threads(threads)
