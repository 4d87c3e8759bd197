"""Policies: a Gaussian actor over normalised observations, stored as safetensors and JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinesis_neuro.learn.config import NetworkConfig
from kinesis_neuro.learn.exploration import Categorical, Gaussian, independent, lattice

# Rows of one block of the batch-invariant forward pass.
_BLOCK = 8
# Numbers to a whole multiple of which rows and weights are padded there.
_VECTOR = 16


def _pad(x: Tensor, *sizes: int) -> Tensor:
    """Zeros at the end of each dimension, up to whole vectors (``sizes`` of 1: none)."""
    missing = [-n % size for n, size in zip(x.shape, sizes, strict=True)]
    if not any(missing):
        return x
    return nn.functional.pad(x, [m for n in reversed(missing) for m in (0, n)])


def _linear_in_whole_vectors(layer: nn.Linear, x: Tensor) -> Tensor:
    """A linear layer whose input is padded, and whose output is.

    The remainder of a vector loop is computed by another routine, which rounds otherwise.
    """
    weight, bias = _pad(layer.weight, _VECTOR, _VECTOR), _pad(layer.bias, _VECTOR)
    return nn.functional.linear(x, weight, bias)


def mlp(
    n_in: int,
    hidden: tuple[int, ...],
    n_out: int,
    last_gain: float,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Perceptron with SiLU units; orthogonal weights, the last layer's scaled."""
    layers: list[nn.Module] = []
    for width in hidden:
        linear = nn.Linear(n_in, width)
        nn.init.orthogonal_(linear.weight, gain=2**0.5, generator=generator)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.SiLU()]
        n_in = width
    last = nn.Linear(n_in, n_out)
    nn.init.orthogonal_(last.weight, gain=last_gain, generator=generator)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


Moments = tuple[int, Tensor, Tensor]


def moments(batch: Tensor) -> Moments:
    """Number of rows, and mean and variance of each column, of a batch (n, size)."""
    batch = batch.double()
    return batch.shape[0], batch.mean(dim=0), batch.var(dim=0, unbiased=False)


class Normalizer(nn.Module):
    """Running mean and variance of observations (Chan et al. 1979), frozen outside training."""

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def update(self, batch: Tensor) -> None:
        """Take a batch (n, size) into the statistics."""
        self.merge([moments(batch)])

    def merge(self, parts: Sequence[Moments]) -> None:
        """Take batches into the statistics by their moments, one after the other."""
        for n, mean, variance in parts:
            total = self.count + n
            shift = mean - self.mean
            spread = self.variance * self.count + variance * n
            self.variance.copy_((spread + shift**2 * self.count * n / total) / total)
            self.mean.add_(shift * n / total)
            self.count.copy_(total)

    def forward(self, observation: Tensor) -> Tensor:
        """Normalise and clip to +-10."""
        scale = (self.variance + 1e-6).rsqrt()
        return ((observation - self.mean.float()) * scale.float()).clamp(-10.0, 10.0)


class Policy(nn.Module):
    """Gaussian policy with state-independent noise, and its critic while it is trained.

    Parameters
    ----------
    n_observations, n_actions : int
    config : NetworkConfig
    about : PolicyInfo
        What the policy belongs to.
    generator : torch.Generator, optional
        Draws the first weights.
    """

    def __init__(
        self,
        n_observations: int,
        n_actions: int,
        config: NetworkConfig,
        about: PolicyInfo,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.about = about
        self.n_observations, self.n_actions = n_observations, n_actions
        self.normalizer = Normalizer(n_observations)
        self.actor = mlp(n_observations, config.actor, n_actions, 0.01, generator)
        start = np.arctanh(config.initial_mean) if config.squash else config.initial_mean
        last = self.actor[-1]
        assert isinstance(last, nn.Linear)
        nn.init.constant_(last.bias, float(start))
        self.log_std = nn.Parameter(torch.full((n_actions,), config.initial_log_std))
        if config.exploration == "lattice":
            latent = torch.full((last.in_features,), config.initial_latent_log_std)
            self.latent_log_std = nn.Parameter(latent)

    def prepare(self, observation: Tensor) -> Tensor:
        """What the policy computes on: first of all normalised observations (..., n)."""
        return self.normalizer(observation)

    def for_critic(self, prepared: Tensor) -> Tensor:
        """The part of what :meth:`prepare` gave that a critic looks at."""
        return prepared

    def mean(self, normalized: Tensor) -> Tensor:
        """Mean action for normalised observations."""
        out = self.actor(normalized)
        return torch.tanh(out) if self.config.squash else out

    def execute(self, prepared: Tensor, choice: Tensor) -> Tensor:
        """Actions (..., n_actions) that a draw of :meth:`noise` stands for: here itself."""
        return choice

    @torch.no_grad()
    def act(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Deterministic actions, each row's bits independent of the rest of the batch.

        Parameters
        ----------
        observation : ndarray of float32, shape (n, n_observations)

        Returns
        -------
        ndarray of float32, shape (n, n_actions)
            Clipped to [-1, 1].
        """
        return self._by_rows(observation).clamp(-1.0, 1.0).numpy()

    def _by_rows(self, observation: NDArray[np.float32]) -> Tensor:
        """Output of the actor, each row's bits independent of the others."""
        n = observation.shape[0]
        padded = np.zeros((-(-n // _BLOCK) * _BLOCK, observation.shape[1]), dtype=np.float32)
        padded[:n] = observation
        x = self.normalizer(torch.from_numpy(padded))
        # Rounding depends on the shape, in products and in activation functions alike: blocks of
        # one size make it the same for every row.
        return torch.cat([self._forward_block(block) for block in x.split(_BLOCK)])[:n]

    def _forward_block(self, x: Tensor) -> Tensor:
        x, n_out = _pad(x, 1, _VECTOR), self.actor[-1].out_features
        for layer in self.actor:
            x = _linear_in_whole_vectors(layer, x) if isinstance(layer, nn.Linear) else layer(x)
        return (torch.tanh(x) if self.config.squash else x)[:, :n_out]

    def noise(self) -> Gaussian | Categorical:
        """The distribution of actions around their mean while it explores."""
        if self.config.exploration == "independent":
            return independent(self.log_std)
        last = self.actor[-1]
        assert isinstance(last, nn.Linear)
        return lattice(self.log_std, self.latent_log_std, last.weight)

    @property
    def n_outputs(self) -> int:
        """Width of the mean around which the noise is: of actions, or of logits of experts."""
        return self.n_actions

    def noise_parameters(self) -> dict[str, nn.Parameter]:
        """What the noise learns, beside the actor's weights, by name."""
        return {name: p for name, p in self.named_parameters() if name.endswith("log_std")}


@dataclass(frozen=True)
class PolicyInfo:
    """What a policy belongs to, as stored beside its weights.

    Attributes
    ----------
    name : str
    body : str
    body_fingerprint : mapping of str to str
        Hashes of the body's layout and parameters.
    task : mapping
        The imitation task's configuration.
    observations : mapping of str to int
        Names and widths of the observation's blocks, in order.
    actions : tuple of str
        Names of the action's channels.
    motions : mapping of str to str
        Names and hashes of the motions that it was trained on.
    training : mapping
        Configuration, steps, command and versions of the training.
    """

    name: str
    body: str
    body_fingerprint: Mapping[str, str]
    task: Mapping[str, Any]
    observations: Mapping[str, int]
    actions: tuple[str, ...]
    motions: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


def untrained_policy(seed: int = 0, body: str = "legs") -> Policy:
    """Policy with its first weights, that drives muscles alone: the floor of any comparison.

    Parameters
    ----------
    seed : int
        Draws the weights.
    body : str
    """
    from kinesis_neuro.env.config import ImitationConfig
    from kinesis_neuro.env.imitation import ImitationEnv
    from kinesis_neuro.motion.library import load_motion

    task = ImitationConfig(actuation="excitation")
    env = ImitationEnv([load_motion("walk", body)], task, n_envs=1)
    blocks = {name: values.shape[1] for name, values in env.observation_blocks().items()}
    env.close()
    about = PolicyInfo(
        name="untrained",
        body=body,
        body_fingerprint=dict(env.body.fingerprint),
        task=dataclasses.asdict(task),
        observations=blocks,
        actions=env.action_channels,
        motions={m.name: m.hash for m in env.table.motions},
    )
    generator = torch.Generator().manual_seed(seed)
    network = NetworkConfig(squash=True)
    return Policy(sum(blocks.values()), len(about.actions), network, about, generator).eval()
