"""Learners that share a batch: each has some of the environments, all have the same weights.

Gradients are summed over the learners, in the same minibatches that one learner alone would draw,
so that the number of learners changes nothing but the last digits.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.learn.policy import Moments, moments

T = TypeVar("T")


class Team:
    """A learner alone: nothing to add up, nobody to wait for.

    Attributes
    ----------
    rank, size : int
        Number of this learner, and how many there are.

    Examples
    --------
    >>> Team().share(128)
    slice(0, 128, None)
    """

    rank, size = 0, 1

    def share(self, n_envs: int) -> slice:
        """The environments of this learner, of all that the batch has.

        Raises
        ------
        InvalidInputError
            If some learner would have none.
        """
        if n_envs < self.size:
            raise InvalidInputError(
                f"{self.size} learners cannot share {n_envs} environments: each needs at least "
                "one. Raise n_envs, or start fewer learners."
            )
        first, last = (n_envs * rank // self.size for rank in (self.rank, self.rank + 1))
        return slice(first, last)

    def total(self, values: Tensor) -> Tensor:
        """The sum over all learners."""
        return values

    def together(self, value: T) -> list[T]:
        """What each learner has, in their order."""
        return [value]

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their sums over all learners."""

    def moments(self, values: Tensor) -> list[Moments]:
        """Moments (see :func:`kinesis_neuro.learn.policy.moments`) of each learner's values."""
        return self.together(moments(values))

    def leader_says(self, value: bool) -> bool:
        """What the first learner decides for all."""
        return self.together(value)[0]

    def leave(self) -> None:
        """Be no longer part of it."""


class ProcessTeam(Team):
    """Learners in several processes, through torch.distributed.

    Parameters
    ----------
    group : object, optional
        A process group of torch.distributed; all processes by default.
    """

    def __init__(self, group: Any = None) -> None:
        import torch.distributed as dist

        self._dist, self._group = dist, group
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)

    def total(self, values: Tensor) -> Tensor:
        """The sum over all learners."""
        summed = values.detach().clone()
        self._dist.all_reduce(summed, group=self._group)
        return summed

    def together(self, value: T) -> list[T]:
        """What each learner has, in their order."""
        gathered: list[Any] = [None] * self.size
        self._dist.all_gather_object(gathered, value, group=self._group)
        return gathered

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their sums over all learners, all in one message."""
        mine = [p for p in parameters if p.requires_grad]
        flat = torch.cat([_gradient(p).flatten() for p in mine])
        parts = self.total(flat).split([p.numel() for p in mine])
        for parameter, part in zip(mine, parts, strict=True):
            parameter.grad = part.view_as(parameter).clone()

    def leave(self) -> None:
        """Close the connections to the others."""
        self._dist.destroy_process_group(self._group)


def _gradient(parameter: nn.Parameter) -> Tensor:
    """Zero where this learner had no sample that says anything about it."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def join_team() -> Team:
    """The team that this process was started in by ``torchrun``, or none.

    ``torchrun`` tells its processes through the environment who they are and where the first of
    them waits; gloo carries what they say to each other.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Team()
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group("gloo")
    return ProcessTeam()
