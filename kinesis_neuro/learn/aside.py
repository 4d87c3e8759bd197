"""Torch beside physics: how many threads it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

ROWS_PER_THREAD = 512
"""Rows of a batch that are worth a thread of their own."""


@contextlib.contextmanager
def threads_for(n_rows: int) -> Iterator[int]:
    """As many torch threads as a batch between two steps of the physics is worth.

    A team of threads goes on spinning for a while after each product, on the processors that the
    physics needs by then: a batch of 128 took longer with two threads than with one.

    Parameters
    ----------
    n_rows : int

    Yields
    ------
    int
        How many there are otherwise.

    Examples
    --------
    >>> with threads_for(128):
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, -(-n_rows // ROWS_PER_THREAD)))
    try:
        yield before
    finally:
        torch.set_num_threads(before)
