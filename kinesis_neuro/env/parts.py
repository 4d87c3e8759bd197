"""The state of environments in parts, for those who step some of them, and put together again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

# What belongs to the batch and to no environment, and what is counted over the batch.
_SHARED = ("failure", "motion_failure")
_COUNTED = ("n_diverged",)
# Environments are the first axis of arrays, but for these.
_AXIS = {"late": 1}


def part(arrays: Mapping[str, NDArray], rows: slice) -> dict[str, NDArray]:
    """State of some environments, of what :meth:`ImitationEnv.state_arrays` gave.

    Counts go with the first environment, so that those of all parts add up.

    Examples
    --------
    >>> whole = {"steps": np.arange(5), "late": np.zeros((2, 5, 3)), "n_diverged": np.array([7])}
    >>> {k: v.shape for k, v in part(whole, slice(1, 3)).items()}
    {'steps': (2,), 'late': (2, 2, 3), 'n_diverged': (1,)}
    """
    taken = {}
    for name, values in arrays.items():
        if name in _SHARED:
            taken[name] = values
        elif name in _COUNTED:
            taken[name] = values if rows.start == 0 else np.zeros_like(values)
        else:
            where = (slice(None),) * _AXIS.get(name, 0) + (rows,)
            taken[name] = values[where]
    return taken


def together(parts: Sequence[Mapping[str, NDArray]]) -> dict[str, NDArray]:
    """State of the environments of several parts, in their order."""
    whole = {}
    for name, first in parts[0].items():
        values = [one[name] for one in parts]
        if name in _SHARED:
            whole[name] = first
        elif name in _COUNTED:
            whole[name] = np.sum(values, axis=0)
        else:
            whole[name] = np.concatenate(values, axis=_AXIS.get(name, 0))
    return whole
