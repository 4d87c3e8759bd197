"""Exploration noise against torch's own distributions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.learn.checkpoint import load_policy
from kinesis_neuro.learn.config import NetworkConfig, TrainConfig
from kinesis_neuro.learn.exploration import Gaussian, independent, lattice
from kinesis_neuro.learn.trainer import train

N_ACTIONS, N_LATENT, N_ROWS = 80, 32, 50


def draw(seed: int) -> Gaussian:
    g = torch.Generator().manual_seed(seed)
    log_std = -1.5 + 0.3 * torch.randn(N_ACTIONS, generator=g, dtype=torch.float64)
    latent = -1.0 + 0.3 * torch.randn(N_LATENT, generator=g, dtype=torch.float64)
    weight = 0.3 * torch.randn(N_ACTIONS, N_LATENT, generator=g, dtype=torch.float64)
    return lattice(log_std, latent, weight)


def means(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(N_ROWS, N_ACTIONS, generator=generator, dtype=torch.float64)


def oracle(noise: Gaussian, mean: torch.Tensor) -> MultivariateNormal:
    factor = torch.diag(noise.factor) if noise.factor.ndim == 1 else noise.factor
    return MultivariateNormal(mean, covariance_matrix=factor @ factor.T)


@pytest.mark.parametrize("kind", ["independent", "lattice"])
def test_density_entropy_and_divergence_are_torchs(kind: str) -> None:
    if kind == "lattice":
        old, new = draw(0), draw(1)
    else:
        old, new = independent(means(5)[0] - 1), independent(means(6)[0] - 1)
    a, b, action = means(2), means(3), means(4)
    torch.testing.assert_close(new.log_prob(b, action), oracle(new, b).log_prob(action))
    torch.testing.assert_close(new.entropy(), oracle(new, b).entropy()[0])
    torch.testing.assert_close(
        new.divergence_from(old, a, b), kl_divergence(oracle(old, a), oracle(new, b))
    )
    torch.testing.assert_close(new.marginal_std(), oracle(new, b).stddev[0])


def test_covariance_is_the_latent_noise_seen_through_the_weights_and_the_actions_own() -> None:
    """Against samples drawn the way the paper says: noise on the latent, then on the action."""
    g = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 2, generator=g)
    latent_std, std = torch.tensor([0.5, 2.0]), torch.tensor([0.1, 0.2, 0.3])
    latent = torch.randn(200_000, 2, generator=g) * latent_std
    action = latent @ weight.T + std * torch.randn(200_000, 3, generator=g)
    noise = lattice(std.log(), latent_std.log(), weight)
    expected = noise.factor @ noise.factor.T
    torch.testing.assert_close(torch.cov(action.T), expected, atol=0.05, rtol=0.02)
    drawn = noise.sample(torch.zeros(200_000, 3), g)
    torch.testing.assert_close(torch.cov(drawn.T), expected, atol=0.05, rtol=0.02)


def test_gradient_of_log_prob_is_the_finite_difference() -> None:
    g = torch.Generator().manual_seed(1)
    log_std = torch.randn(3, generator=g, dtype=torch.float64, requires_grad=True)
    latent = torch.randn(2, generator=g, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 2, generator=g, dtype=torch.float64, requires_grad=True)
    action = torch.randn(4, 3, generator=g, dtype=torch.float64)

    def density(s: torch.Tensor, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return lattice(s, x, w).log_prob(torch.zeros_like(action), action)

    assert torch.autograd.gradcheck(density, (log_std, latent, weight))


def test_a_distribution_is_no_distance_from_itself() -> None:
    noise, mean = draw(0), means(0)
    zero = torch.zeros(N_ROWS, dtype=torch.float64)
    torch.testing.assert_close(noise.divergence_from(noise.detach(), mean, mean), zero)


def test_a_policy_learns_its_lattice(tmp_path: Path) -> None:
    """A few iterations move both kinds of noise, and a checkpoint keeps them."""
    config = TrainConfig(
        name="lattice",
        body="legs26",
        task=ImitationConfig(actuation="excitation"),
        network=NetworkConfig(actor=(16, 8), critic=(8,), exploration="lattice"),
        n_envs=4,
        total_steps=300,
        n_threads=1,
    )
    learnt = train(config, folder=tmp_path, progress=False)
    noise = learnt.noise_parameters()
    assert {name: p.shape for name, p in noise.items()} == {
        "log_std": (26,),
        "latent_log_std": (8,),
    }
    assert (noise["log_std"] != config.network.initial_log_std).any()
    assert (noise["latent_log_std"] != config.network.initial_latent_log_std).any()
    again = load_policy(tmp_path / "checkpoint")
    assert torch.equal(again.noise().factor, learnt.noise().factor)


def test_impossible_noise_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="Unknown exploration 'white'"):
        NetworkConfig(exploration="white")
    with pytest.raises(InvalidInputError, match="actor has none"):
        NetworkConfig(exploration="lattice", actor=())
