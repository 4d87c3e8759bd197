"""The symmetry loss: zero for a symmetric policy, by hand for another; it makes one symmetric."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig
from kinesis_neuro.learn.policy import Policy, PolicyInfo
from kinesis_neuro.learn.symmetry import Symmetry
from kinesis_neuro.learn.trainer import Trainer

# Left and right of two quantities, and one that changes sign; actions are a pair and a midline.
OBSERVATION = (np.array([1, 0, 3, 2, 4]), np.array([1.0, 1.0, 1.0, 1.0, -1.0], np.float32))
ACTION = (np.array([1, 0, 2]), np.array([1.0, 1.0, -1.0]))


@pytest.fixture
def policy() -> Policy:
    about = PolicyInfo("test", "legs", {}, {}, {"all": 5}, ("a",) * 3)
    generator = torch.Generator().manual_seed(0)
    made = Policy(5, 3, NetworkConfig(actor=(16,)), about, generator)
    torch.nn.init.normal_(made.actor[-1].weight, generator=generator)
    made.normalizer.update(torch.randn(100, 5, generator=generator) * 3.0 + 2.0)
    return made


@pytest.fixture
def symmetry(policy: Policy) -> Symmetry:
    made = Symmetry(OBSERVATION, ACTION)
    made.take(policy.normalizer)
    return made


def raw(n: int = 40) -> np.ndarray:
    return np.random.default_rng(2).normal(2.0, 3.0, (n, 5)).astype(np.float32)


def test_the_image_is_that_of_the_raw_observation(policy: Policy, symmetry: Symmetry) -> None:
    seen = raw()
    mirrored = seen[:, OBSERVATION[0]] * OBSERVATION[1]
    expected = policy.normalizer(torch.from_numpy(mirrored))
    image = symmetry.image(policy.normalizer(torch.from_numpy(seen)))
    torch.testing.assert_close(image, expected, atol=1e-5, rtol=1e-5)
    twice = symmetry.image(image)
    torch.testing.assert_close(twice, policy.normalizer(torch.from_numpy(seen)), atol=1e-4, rtol=0)


def test_the_loss_is_its_definition(policy: Policy, symmetry: Symmetry) -> None:
    seen = raw()
    x = policy.normalizer(torch.from_numpy(seen))
    mirrored = policy.normalizer(torch.from_numpy(seen[:, OBSERVATION[0]] * OBSERVATION[1]))
    mean, image = (policy.mean(part).detach().numpy() for part in (x, mirrored))
    expected = np.square(mean - image[:, ACTION[0]] * ACTION[1]).mean()
    loss = symmetry.loss(policy, x, policy.mean(x))
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert expected > 0.1


def test_a_symmetric_policy_has_none_and_descent_makes_one(
    policy: Policy, symmetry: Symmetry
) -> None:
    x = policy.normalizer(torch.from_numpy(raw()))
    optimizer = torch.optim.Adam(policy.actor.parameters(), lr=1e-2)
    losses = []
    for _ in range(150):
        loss = symmetry.loss(policy, x, policy.mean(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]
    with torch.no_grad():
        policy.actor[-1].weight.zero_()
        policy.actor[-1].bias.copy_(torch.tensor([0.3, 0.3, 0.0]))
        assert float(symmetry.loss(policy, x, policy.mean(x))) < 1e-12


def test_training_with_it_keeps_a_policy_more_symmetric(tmp_path: Path) -> None:
    """On the task, whose mirror tells left and right of everything."""
    config = TrainConfig(
        name="tiny",
        body="legs26",
        task=ImitationConfig(actuation="excitation"),
        network=NetworkConfig(actor=(16,), critic=(8,), initial_mean=-0.9),
        ppo=PPOConfig(
            horizon=8, minibatch=16, learning_rate=3e-3, learning_rate_range=(1e-3, 1e-2)
        ),
        n_envs=4,
        n_threads=1,
    )
    left = []
    for weight in (0.0, 30.0):
        ppo = dataclasses.replace(config.ppo, symmetry_weight=weight)
        run = dataclasses.replace(config, ppo=ppo)
        trainer = Trainer(run, tmp_path / str(weight))
        assert (trainer.ppo.symmetry is None) == (weight == 0.0)
        observer = trainer.env.observer
        judge = Symmetry(observer.image, (observer.action_order, observer.action_signs))
        for _ in range(4):
            trainer.iterate()
        judge.take(trainer.policy.normalizer)
        x = trainer.policy.prepare(torch.from_numpy(trainer.observation))
        with torch.no_grad():
            left.append(float(judge.loss(trainer.policy, x, trainer.policy.mean(x))))
        trainer.env.close()
    assert left[1] < 0.5 * left[0]


def test_a_gate_has_no_mirror_image() -> None:
    with pytest.raises(InvalidInputError, match=r"leave ppo\.symmetry_weight at 0"):
        TrainConfig(experts=("a",), ppo=PPOConfig(symmetry_weight=1.0))
