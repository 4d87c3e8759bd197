"""How much memory a training run needs, and whether the machine has it, before it is taken.

Counted from what is held: the arrays of an environment, the columns of a batch, and the widths of
the networks through which the whole batch passes once. Only what the libraries take is measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import mujoco
import numpy as np

from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.learn.config import TrainConfig

_LIBRARIES = 600e6
"""Resident memory of a process that has loaded MuJoCo, torch, SciPy and a body [bytes]."""

_RESERVE = 0.9
"""Share of the free memory that a run may plan with."""


@dataclass(frozen=True)
class MemoryEstimate:
    """What a run needs.

    Attributes
    ----------
    fixed : float
        Libraries, networks with their optimiser, and the physics of each thread [bytes].
    environment : float
        Of each environment: its state, and what a step needs on the way [bytes].
    sample : float
        Of each control step of each environment in a batch [bytes].

    Examples
    --------
    >>> MemoryEstimate(fixed=5e8, environment=2e4, sample=1e4).total(n_envs=1000, horizon=24)
    760000000.0
    """

    fixed: float
    environment: float
    sample: float

    def total(self, n_envs: int, horizon: int) -> float:
        """All of it [bytes]."""
        return self.fixed + n_envs * self.each(horizon)

    def each(self, horizon: int) -> float:
        """Of an environment with its part of the batch [bytes]."""
        return self.environment + horizon * self.sample


def estimate_memory(probe: ImitationEnv, config: TrainConfig, n_threads: int = 1) -> MemoryEstimate:
    """Estimate what a run needs from one environment of its kind.

    Parameters
    ----------
    probe : ImitationEnv
        With a single environment.
    config : TrainConfig
    n_threads : int
    """
    n, network = probe.n_observations, config.network
    n_actions = len(probe.action_channels)
    data = mujoco.MjData(probe.simulation.model)
    weights = sum(_weights(n, widths, 256) for widths in (network.actor, network.critic))
    table = sum(array.nbytes for array in _arrays(probe.table))
    matrix = probe.table.moment_matrix
    gathered = 0 if matrix is None else 2 * matrix[0].nbytes
    held = sum(array.nbytes for thing in (probe, probe.simulation) for array in _arrays(thing))
    beside = n_actions * len(config.experts)
    # Single precision: observations twice while they are stacked, prepared ones with two
    # intermediate results, means and draws twice. Double: normaliser's statistics.
    columns = 4 * (2 * n + 3 * (n + beside) + 4 * n_actions) + 8 * 2 * n + 8 * 8
    return MemoryEstimate(
        # Weights, gradients, and two moments of Adam, in single precision.
        fixed=_LIBRARIES + table + 16.0 * weights + n_threads * float(data.nbuffer + data.narena),
        environment=held + gathered + 8.0 * 4 * n,
        # The critic passes over the whole batch, of which two layers exist at a time.
        sample=columns + 4.0 * 2 * max(network.critic, default=0),
    )


def _arrays(thing: object) -> Iterator[np.ndarray]:
    return (value for value in vars(thing).values() if isinstance(value, np.ndarray))


def _weights(n_in: int, widths: tuple[int, ...], n_out: int) -> int:
    sizes = (n_in, *widths, n_out)
    return sum(a * b for a, b in pairwise(sizes))


def free_memory() -> float:
    """Memory that this process may still take [bytes]: of the machine, or of its control group.

    Learners that ``torchrun`` started together on one machine have an equal share each.
    """
    free = float("inf")
    information = Path("/proc/meminfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = 1024.0 * int(line.split()[1])
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        free = min(free, float(limit - int((group / "memory.current").read_text())))
    except (OSError, ValueError):
        pass  # no such group, or no limit in it
    return free / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def check_memory(
    estimate: MemoryEstimate, n_envs: int, horizon: int, free: float | None = None
) -> None:
    """Refuse more environments than fit into memory.

    Parameters
    ----------
    estimate : MemoryEstimate
    n_envs, horizon : int
    free : float, optional
        Memory that may be taken [bytes]; what is free by default.

    Raises
    ------
    InvalidInputError
        With the estimate, and how many environments would fit.

    Examples
    --------
    >>> check_memory(MemoryEstimate(5e8, 2e4, 1e4), n_envs=100_000, horizon=24, free=8e9)
    Traceback (most recent call last):
    ...
    kinesis_neuro.errors.InvalidInputError: 100000 environments with a horizon of 24 steps need \
about 26.5 GB of memory (0.26 MB each and 0.5 GB besides), and 8.0 GB are free. Take at most 25769 \
environments or a shorter horizon, or spread them over machines (workers).
    """
    free = free_memory() if free is None else free
    need, allowed = estimate.total(n_envs, horizon), _RESERVE * free
    if need <= allowed:
        return
    fitting = max(0, int((allowed - estimate.fixed) / estimate.each(horizon)))
    raise InvalidInputError(
        f"{n_envs} environments with a horizon of {horizon} steps need about {need / 1e9:.1f} GB "
        f"of memory ({estimate.each(horizon) / 1e6:.2f} MB each and {estimate.fixed / 1e9:.1f} GB "
        f"besides), and {free / 1e9:.1f} GB are free. Take at most {fitting} environments or a "
        "shorter horizon, or spread them over machines (workers)."
    )
