"""Policies: bits that no batch changes, statistics that equal numpy's, actions within bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from kinesis_neuro.learn.config import NetworkConfig
from kinesis_neuro.learn.policy import Normalizer, Policy, PolicyInfo, mlp


def make_policy(n_observations: int, n_actions: int, **network: Any) -> Policy:
    about = PolicyInfo("test", "legs", {}, {}, {"all": n_observations}, ("a",) * n_actions)
    generator = torch.Generator().manual_seed(0)
    policy = Policy(n_observations, n_actions, NetworkConfig(**network), about, generator)
    # The first weights of the last layer are so small that any two actions are alike.
    torch.nn.init.orthogonal_(policy.actor[-1].weight, gain=1.0, generator=generator)
    policy.normalizer.update(3.0 + 2.0 * torch.randn(1000, n_observations, generator=generator))
    return policy.eval()


def observations(n: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3.0, 2.0, (n, width)).astype(np.float32)


# Widths of the shipped networks and odd ones, to which no vector unit's width is a divisor.
@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize(
    ("width", "n_actions", "hidden"),
    [
        (282, 80, (512, 256, 256)),
        (216, 26, (512, 256, 256)),
        (61, 7, (33,)),
        (5, 1, ()),
    ],
)
def test_a_row_does_not_see_its_batch(
    width: int, n_actions: int, hidden: tuple[int, ...], squash: bool
) -> None:
    policy = make_policy(width, n_actions, actor=hidden, squash=squash)
    seen = observations(203, width)
    together = policy.act(seen)
    assert together.shape == (203, n_actions)
    assert together.dtype == np.float32
    for n in (1, 2, 3, 7, 8, 9, 64, 200):
        np.testing.assert_array_equal(policy.act(seen[:n]), together[:n])
        np.testing.assert_array_equal(policy.act(seen[-n:]), together[-n:])
    order = np.random.default_rng(1).permutation(203)
    np.testing.assert_array_equal(policy.act(seen[order]), together[order])
    alone = np.concatenate([policy.act(row[None]) for row in seen[:30]])
    np.testing.assert_array_equal(alone, together[:30])


def test_a_row_does_not_see_the_threads() -> None:
    policy, seen = make_policy(282, 80), observations(203, 282)
    before, bits = torch.get_num_threads(), []
    try:
        # Three do not share elements out in whole vectors.
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            bits.append(policy.act(seen))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(bits[1], bits[0])
    np.testing.assert_array_equal(bits[2], bits[0])


@pytest.mark.parametrize("squash", [False, True])
def test_acting_is_the_clipped_mean(squash: bool) -> None:
    policy, seen = make_policy(20, 4, actor=(16,), squash=squash), observations(50, 20)
    with torch.no_grad():
        mean = policy.mean(policy.normalizer(torch.from_numpy(seen)))
    acted = policy.act(seen)
    np.testing.assert_allclose(acted, mean.clamp(-1, 1).numpy(), atol=1e-6)
    assert np.ptp(acted) > 0.5


def test_acting_leaves_everything_as_it_is() -> None:
    policy, seen = make_policy(20, 4), observations(50, 20)
    copy, before = seen.copy(), {k: v.clone() for k, v in policy.state_dict().items()}
    policy.act(seen)
    np.testing.assert_array_equal(seen, copy)
    assert all(torch.equal(v, before[k]) for k, v in policy.state_dict().items())


@pytest.mark.parametrize("squash", [False, True])
def test_actions_stay_within_bounds(squash: bool) -> None:
    policy = make_policy(20, 4, actor=(16,), squash=squash)
    with torch.no_grad():
        policy.actor[-1].weight.mul_(100.0)
    acted = policy.act(observations(200, 20))
    assert acted.min() == -1.0
    assert acted.max() == 1.0


@pytest.mark.parametrize("squash", [False, True])
def test_a_new_policy_acts_as_configured(squash: bool) -> None:
    about = PolicyInfo("test", "legs", {}, {}, {"all": 20}, ("a",) * 4)
    config = NetworkConfig(squash=squash, initial_mean=-0.9, initial_log_std=-1.5)
    policy = Policy(20, 4, config, about, torch.Generator().manual_seed(3))
    np.testing.assert_allclose(policy.act(observations(50, 20)), -0.9, atol=0.05)
    torch.testing.assert_close(policy.log_std.detach(), torch.full((4,), -1.5))


def test_the_seed_draws_the_weights() -> None:
    def drawn(seed: int) -> torch.Tensor:
        return mlp(5, (8,), 2, 1.0, torch.Generator().manual_seed(seed))[0].weight

    torch.manual_seed(1)
    first = drawn(0)
    torch.manual_seed(2)
    assert torch.equal(first, drawn(0))
    assert not torch.equal(first, drawn(1))


@pytest.mark.parametrize("sizes", [(1, 1, 5), (100, 3), (7, 1000, 1, 20)])
def test_running_statistics_equal_those_of_everything(sizes: tuple[int, ...]) -> None:
    # A mean far from zero is what naive sums of squares stumble over.
    rng = np.random.default_rng(0)
    batches = [rng.normal([1e4, 0.0, -5.0], [0.1, 1.0, 30.0], (n, 3)) for n in sizes]
    normalizer = Normalizer(3)
    for batch in batches:
        normalizer.update(torch.from_numpy(batch))
    everything = np.concatenate(batches)
    assert normalizer.count.item() == len(everything)
    np.testing.assert_allclose(normalizer.mean.numpy(), everything.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(normalizer.variance.numpy(), everything.var(axis=0), rtol=1e-7)


def test_normalised_observations_are_standard_and_clipped() -> None:
    seen = observations(5000, 3)
    normalizer = Normalizer(3)
    normalizer.update(torch.from_numpy(seen))
    normal = normalizer(torch.from_numpy(seen)).numpy()
    np.testing.assert_allclose(normal.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(normal.std(axis=0), 1.0, atol=1e-5)
    extreme = normalizer(torch.tensor([[1e9, -1e9, 3.0]])).numpy()
    np.testing.assert_allclose(extreme[0, :2], [10.0, -10.0])


def test_a_new_normalizer_and_a_constant_do_no_harm() -> None:
    seen = torch.tensor([[0.5, -2.0]])
    torch.testing.assert_close(Normalizer(2)(seen), seen, rtol=1e-5, atol=1e-5)
    normalizer = Normalizer(2)
    normalizer.update(seen.repeat(10, 1))
    torch.testing.assert_close(normalizer(seen), torch.zeros(1, 2))
