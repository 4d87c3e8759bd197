"""Symmetry loss: a policy should do to the mirror image the mirror image of what it does.

Mean squared difference between the action and the mirrored action in the mirrored state (Yu, Turk &
Liu 2018). It works beside the mirror of the task (:mod:`kinesis_neuro.env.mirror`), which shows the
policy one side only: there the loss asks for the same on the side that is not shown.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kinesis_neuro.learn.policy import Normalizer, Policy

Image = tuple[NDArray[np.intp], NDArray[np.floating]]


class Symmetry:
    """The mirror image of normalised observations and of actions.

    Parameters
    ----------
    observation, action : tuple of ndarray
        Permutation and signs of each.
    device : str
        Where the policy computes.
    """

    def __init__(self, observation: Image, action: Image, device: str = "cpu") -> None:
        self._order, self._signs, self._action_order, self._action_signs = (
            torch.from_numpy(np.array(part)).to(device) for part in (*observation, *action)
        )
        n = self._order.numel()
        self._mean, self._std = torch.zeros(n, device=device), torch.ones(n, device=device)

    def take(self, normalizer: Normalizer) -> None:
        """Keep the statistics with which the coming observations are normalised."""
        self._mean = normalizer.mean.float().clone()
        self._std = (normalizer.variance + 1e-6).sqrt().float()

    def image(self, normalized: Tensor) -> Tensor:
        """Normalised observations (..., n_observations) of the mirrored states."""
        seen = normalized * self._std + self._mean
        mirrored = seen[..., self._order] * self._signs.to(seen.dtype)
        return ((mirrored - self._mean) / self._std).clamp(-10.0, 10.0)

    def loss(self, policy: Policy, normalized: Tensor, mean: Tensor) -> Tensor:
        """Mean squared difference from symmetry.

        Parameters
        ----------
        policy : Policy
        normalized : Tensor, shape (n, n_observations)
        mean : Tensor, shape (n, n_actions)
            Mean actions there.
        """
        image = policy.mean(self.image(normalized))
        mirrored = image[..., self._action_order] * self._action_signs.to(image.dtype)
        return (mean - mirrored).square().mean()
