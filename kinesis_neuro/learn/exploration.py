"""How a policy explores: Gaussian noise around an action, or the draw of one among experts.

The Gaussians, independent for each action or correlated by Lattice, have the same covariance in
every state, so that one factorisation serves a whole batch and log-probabilities stay exact and
fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution of actions around any mean.

    Attributes
    ----------
    factor : Tensor, shape (n_actions,) or (n_actions, n_actions)
        Standard deviations, or the lower Cholesky factor of the covariance.

    Examples
    --------
    >>> import torch
    >>> noise = Gaussian(torch.tensor([0.5, 2.0]))
    >>> mean, action = torch.zeros(1, 2), torch.tensor([[0.5, 2.0]])
    >>> oracle = torch.distributions.Normal(mean, noise.factor).log_prob(action).sum(dim=-1)
    >>> bool(torch.allclose(noise.log_prob(mean, action), oracle))
    True
    """

    factor: Tensor

    @property
    def _diagonal(self) -> Tensor:
        return self.factor if self.factor.ndim == 1 else self.factor.diagonal()

    def _whiten(self, difference: Tensor) -> Tensor:
        if self.factor.ndim == 1:
            return difference / self.factor
        flat = difference.reshape(-1, difference.shape[-1]).T
        white = torch.linalg.solve_triangular(self.factor, flat, upper=False)
        return white.T.reshape(difference.shape)

    def sample(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Actions around ``mean`` (..., n_actions)."""
        return self.place(mean, self.white(mean.shape, generator))

    def white(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Random numbers for :meth:`place`: standard normal."""
        return torch.randn(*shape, generator=generator)

    def place(self, mean: Tensor, white: Tensor) -> Tensor:
        """Actions around ``mean`` (..., n_actions) that standard normal numbers stand for."""
        return mean + (white * self.factor if self.factor.ndim == 1 else white @ self.factor.T)

    def log_prob(self, mean: Tensor, action: Tensor) -> Tensor:
        """Log density of actions (..., n_actions), one value for each vector."""
        white = self._whiten(action - mean)
        constant = torch.log(self._diagonal).sum() + 0.5 * _LOG_2PI * white.shape[-1]
        return -0.5 * white.square().sum(dim=-1) - constant

    def entropy(self, mean: Tensor | None = None) -> Tensor:
        """Differential entropy, in nats; the same around any mean."""
        diagonal = self._diagonal
        return torch.log(diagonal).sum() + 0.5 * (_LOG_2PI + 1.0) * diagonal.shape[0]

    def marginal_std(self) -> Tensor:
        """Standard deviation of each action, shape (n_actions,)."""
        return self.factor if self.factor.ndim == 1 else self.factor.norm(dim=1)

    def spread(self, mean: Tensor) -> Tensor:
        """How widely it explores: the mean standard deviation."""
        return self.marginal_std().mean()

    def divergence_from(self, old: Gaussian, old_mean: Tensor, mean: Tensor) -> Tensor:
        """Kullback-Leibler divergence KL(old || self) for each vector of means, in nats."""
        size = mean.shape[-1]
        if self.factor.ndim == 1:
            ratio = (old.factor / self.factor).square().sum()
        else:
            # ||L1^-1 L0||_F^2 is the trace of S1^-1 S0.
            ratio = self._whiten(old.factor.T).square().sum()
        shift = self._whiten(old_mean - mean).square().sum(dim=-1)
        log_volume = torch.log(self._diagonal).sum() - torch.log(old._diagonal).sum()
        return 0.5 * (ratio + shift - size) + log_volume

    def detach(self) -> Gaussian:
        """The same distribution, apart from the graph and from later steps of the optimiser."""
        return Gaussian(self.factor.detach().clone())


@dataclass(frozen=True)
class Categorical:
    """The draw of one among experts, from their logits; it has no parameters of its own.

    Examples
    --------
    >>> import torch
    >>> logits, chosen = torch.tensor([[0.0, 1.0, -2.0]]), torch.tensor([1])
    >>> oracle = torch.distributions.Categorical(logits=logits).log_prob(chosen)
    >>> bool(torch.allclose(Categorical().log_prob(logits, chosen), oracle))
    True
    """

    def sample(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """Numbers of experts (...), from logits (..., n_experts)."""
        return self.place(logits, self.white(logits.shape, generator))

    def white(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Random numbers for :meth:`place`: exponentially distributed."""
        return torch.empty(*shape).exponential_(generator=generator)

    def place(self, logits: Tensor, white: Tensor) -> Tensor:
        """Numbers of experts (...), from logits and exponential numbers (..., n_experts).

        Of exponential clocks with rates p, number i is the first with probability p_i.
        """
        return (torch.softmax(logits, dim=-1) / white).argmax(dim=-1)

    def log_prob(self, logits: Tensor, chosen: Tensor) -> Tensor:
        """Log probability of experts (...)."""
        return torch.log_softmax(logits, dim=-1).gather(-1, chosen[..., None])[..., 0]

    def entropy(self, logits: Tensor) -> Tensor:
        """Mean entropy over states, in nats."""
        log = torch.log_softmax(logits, dim=-1)
        return -(log.exp() * log).sum(dim=-1).mean()

    def spread(self, logits: Tensor) -> Tensor:
        """How widely it explores: the entropy."""
        return self.entropy(logits)

    def divergence_from(self, old: Categorical, old_logits: Tensor, logits: Tensor) -> Tensor:
        """Kullback-Leibler divergence KL(old || self) for each vector of logits, in nats."""
        log, old_log = torch.log_softmax(logits, dim=-1), torch.log_softmax(old_logits, dim=-1)
        return (old_log.exp() * (old_log - log)).sum(dim=-1)

    def detach(self) -> Categorical:
        """Itself."""
        return self


def independent(log_std: Tensor) -> Gaussian:
    """Noise that is drawn for every action alone.

    Parameters
    ----------
    log_std : Tensor, shape (n_actions,)
    """
    return Gaussian(torch.exp(log_std))


def lattice(log_std: Tensor, latent_log_std: Tensor, weight: Tensor) -> Gaussian:
    """Noise in the last hidden layer and in the actions (Chiappa et al., NeurIPS 2023).

    Muscles that the network has learnt to use together are then tried out together. With W the
    last layer's weights the covariance is W diag(s_x^2) W' + diag(s_a^2); the deviations are
    parameters here, where the published form scales them by the latent state.

    Parameters
    ----------
    log_std : Tensor, shape (n_actions,)
        log s_a, of each action's own noise.
    latent_log_std : Tensor, shape (n_latent,)
        log s_x, of the latent units' noise.
    weight : Tensor, shape (n_actions, n_latent)

    Examples
    --------
    >>> import torch
    >>> noise = lattice(torch.zeros(2), torch.zeros(1), torch.tensor([[1.0], [1.0]]))
    >>> (noise.factor @ noise.factor.T).round(decimals=3).tolist()
    [[2.0, 1.0], [1.0, 2.0]]
    """
    scaled = weight * torch.exp(latent_log_std)
    covariance = scaled @ scaled.T + torch.diag(torch.exp(2.0 * log_std))
    return Gaussian(torch.linalg.cholesky(covariance))
