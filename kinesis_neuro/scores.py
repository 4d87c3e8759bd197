"""Protocols and metrics of imitation: when an episode counts, and how well it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Protocol:
    """When an episode counts as failed.

    Attributes
    ----------
    name : str
    rule : {"any", "mean"}
        Over the tracked bodies.
    threshold : float
        Distance from the reference [m].
    """

    name: str
    rule: str
    threshold: float


PROTOCOLS = {
    # KINESIS trains with the first and evaluates with the second.
    "strict": Protocol("strict", "any", 0.15),
    "kinesis": Protocol("kinesis", "mean", 0.5),
}

N_BOOTSTRAP = 2000


@dataclass(frozen=True, eq=False)
class Traces:
    """Distances from the reference over time, of episodes run together.

    Attributes
    ----------
    distance : ndarray, shape (n_steps, n_episodes, n_tracked)
        [m]; NaN after the end of an episode.
    planned : ndarray of int, shape (n_episodes,)
        Control steps that the episode has if nothing fails.
    motion, start_frame : ndarray
        Where each episode started.
    n_diverged : int
        Episodes whose physics diverged; they count as failed from that step on.
    vertical_force : ndarray, shape (n_episodes,)
        Mean vertical ground force over the steps reached, in body weights.
    control_rate : float
        [Hz]
    """

    distance: FloatArray
    planned: NDArray[np.intp]
    motion: list[str]
    start_frame: NDArray[np.intp]
    n_diverged: int
    vertical_force: FloatArray
    control_rate: float


def score(traces: Traces, protocol: Protocol) -> dict[str, FloatArray]:
    """Metrics of each episode under a protocol.

    Returns
    -------
    dict of ndarray, shape (n_episodes,)
        ``success`` [0 or 1], ``survival_time`` [s], ``frame_coverage`` [1], ``mpjpe`` over the
        frames reached [m], ``mpjpe_all`` with missing frames at the protocol's threshold [m].
    """
    distance = traces.distance
    measure = distance.max(axis=2) if protocol.rule == "any" else distance.mean(axis=2)
    sound = measure <= protocol.threshold  # False where NaN
    reached = np.logical_and.accumulate(sound, axis=0)
    n_reached = reached.sum(axis=0)
    error = np.where(reached, np.nan_to_num(distance.mean(axis=2)), 0.0).sum(axis=0)
    missing = traces.planned - n_reached
    return {
        "success": (n_reached == traces.planned).astype(float),
        "survival_time": n_reached / traces.control_rate,
        "frame_coverage": n_reached / traces.planned,
        # An episode that fails in its first step has no frame to speak of: the threshold stands.
        "mpjpe": np.where(n_reached > 0, error / np.maximum(n_reached, 1), protocol.threshold),
        "mpjpe_all": (error + missing * protocol.threshold) / traces.planned,
    }


def bootstrap_interval(
    values: FloatArray, rng: np.random.Generator, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over episodes."""
    draws = rng.integers(0, values.size, size=(N_BOOTSTRAP, values.size))
    low, high = np.quantile(values[draws].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summarize(traces: Traces, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Mean and 95 % bootstrap interval of each metric, under both protocols."""
    summary: dict[str, dict[str, Any]] = {}
    for name, protocol in PROTOCOLS.items():
        rng = np.random.default_rng(seed)
        scores = score(traces, protocol)
        summary[name] = {
            metric: {"mean": float(v.mean()), "interval": bootstrap_interval(v, rng)}
            for metric, v in scores.items()
        }
    return summary


def summary_table(summary: dict[str, dict[str, Any]]) -> str:
    """The summary of an evaluation as text: one line a metric, one column a protocol.

    Examples
    --------
    >>> one = {"mean": 0.02, "interval": [0.018, 0.022]}
    >>> print(summary_table({"strict": {"mpjpe": one}}))
    metric              strict
    mpjpe [mm]          20.0 (18.0 to 22.0)
    """
    scale = {"success": 100.0, "frame_coverage": 100.0, "mpjpe": 1e3, "mpjpe_all": 1e3}
    units = {"success": "%", "frame_coverage": "%", "mpjpe": "mm", "mpjpe_all": "mm"}
    lines = ["metric".ljust(20) + "".join(name.ljust(28) for name in summary).rstrip()]
    for metric in next(iter(summary.values())):
        factor = scale.get(metric, 1.0)
        cells = []
        for values in summary.values():
            entry = values[metric]
            low, high = (factor * v for v in entry["interval"])
            cells.append(f"{factor * entry['mean']:.1f} ({low:.1f} to {high:.1f})".ljust(28))
        label = f"{metric} [{units.get(metric, 's')}]"
        lines.append((label.ljust(20) + "".join(cells)).rstrip())
    return "\n".join(lines)
