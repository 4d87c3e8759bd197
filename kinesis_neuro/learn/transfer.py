"""Weights of a policy in another one: what both observe, block by block.

A task may observe more than the policy that it starts from. It may observe less only by a goal's
own blocks: those are taken to stay as they were on average.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from kinesis_neuro.errors import IncompatibleError

_PER_OBSERVATION = ("normalizer.mean", "normalizer.variance")


def shared_columns(
    theirs: Mapping[str, int], mine: Mapping[str, int], goal: Collection[str] = ()
) -> tuple[Tensor, Tensor, list[str]]:
    """Columns of the observation blocks that both have, by name.

    Parameters
    ----------
    theirs, mine : mapping of str to int
        Widths of the blocks, in order.
    goal : collection of str
        Those of theirs that belong to a goal, which mine may lack.

    Returns
    -------
    source, target : Tensor of int, shape (n_shared,)
        Columns of the same values in theirs and in mine.
    new : list of str
        Blocks that only mine has.

    Raises
    ------
    IncompatibleError
        If a block of theirs is missing or has another width: what was learnt with it is no use.

    Examples
    --------
    >>> source, target, new = shared_columns({"a": 1, "b": 2}, {"b": 2, "goal": 3, "a": 1})
    >>> source.tolist(), target.tolist(), new
    ([0, 1, 2], [5, 0, 1], ['goal'])
    """
    kept = {k: width for k, width in theirs.items() if k in mine or k not in goal}
    missing = sorted(name for name, width in kept.items() if mine.get(name) != width)
    if missing:
        raise IncompatibleError(
            "The initial policy observes or acts otherwise than this task: the task lacks its "
            f"blocks {', '.join(missing)}, or has others of that name. Use the same task options "
            "(lookahead, observations, observe_muscles)."
        )
    source, target = (
        torch.cat([starts[name] + torch.arange(width) for name, width in kept.items()])
        for starts in (_starts(theirs), _starts(mine))
    )
    new = [name for name in mine if name not in theirs]
    return source, target, new


def widened(
    state: Mapping[str, Tensor],
    theirs: Mapping[str, int],
    mine: Mapping[str, int],
    first: str,
    goal: Collection[str] = (),
) -> dict[str, Tensor]:
    """Weights of a network on other observations, that computes what it did before.

    The new observations have weights of zero, and a mean of zero and a variance of one in the
    normaliser until they are seen. Without a goal's blocks it computes what it did where these
    were at their mean, which is zero once it is normalised.

    Parameters
    ----------
    state : mapping of str to Tensor
        Of the network on the blocks `theirs`.
    theirs, mine : mapping of str to int
    first : str
        Name of the first layer's weights.
    goal : collection of str
        Blocks of theirs that mine may lack.
    """
    source, target, _ = shared_columns(theirs, mine, goal)
    n = sum(mine.values())
    made = dict(state)
    weight = state[first]
    made[first] = weight.new_zeros((weight.shape[0], n))
    made[first][:, target] = weight[:, source]
    for name, neutral in zip(_PER_OBSERVATION, (0.0, 1.0), strict=True):
        if name in state:
            made[name] = state[name].new_full((n,), neutral)
            made[name][target] = state[name][source]
    return made


def _starts(widths: Mapping[str, int]) -> dict[str, int]:
    starts, start = {}, 0
    for name, width in widths.items():
        starts[name], start = start, start + width
    return starts
