"""evaluate: named protocols and metrics of imitation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.body.kinematics import contact_forces
from kinesis_neuro.errors import InvalidInputError, unknown_name
from kinesis_neuro.learn.play import (
    MotionLike,
    as_motions,
    as_policy,
    control_steps,
    policy_env,
)
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.provenance import library_versions
from kinesis_neuro.schema import encode_attr

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
# With the knees at 0.15 m from the reference, nothing but falling follows; the traces go on until
# both protocols have failed.
_LOOSEST = PROTOCOLS["kinesis"]


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


def run_episodes(
    policy: Policy,
    motions: MotionLike | Sequence[MotionLike] | None,
    *,
    n_starts: int,
    duration: float,
    seed: int,
    n_threads: int | None = None,
    prepare: Any = None,
) -> Traces:
    """Run deterministic episodes from random frames of each motion, all at once.

    Parameters
    ----------
    policy, motions
        See :func:`evaluate`.
    n_starts : int
        Episodes a motion.
    duration : float
        [s]; in a motion that ends, starts are drawn so that it fits.
    seed : int
    n_threads : int, optional
    prepare : callable, optional
        Called with the environment before the first step (pushes, broken muscles).
    """
    loaded = as_motions(motions, policy)
    n = n_starts * len(loaded)
    env = policy_env(
        policy,
        loaded,
        n_envs=n,
        n_threads=n_threads,
        seed=seed,
        duration=max(duration, 1.0),
        termination_rule=_LOOSEST.rule,
        termination_distance=_LOOSEST.threshold,
    )
    table = env.table
    n_steps = control_steps(duration, env.config.control_rate)
    which = np.repeat(np.arange(len(loaded)), n_starts)
    frames_needed = (n_steps + 1) * env.config.decimation
    room = np.where(table.periodic, table.length, table.length - frames_needed)[which]
    if (room < 1).any():
        short = loaded[int(which[room < 1][0])]
        raise InvalidInputError(
            f"Motion {short.name!r} lasts {short.duration:.2f} s, too short for episodes of "
            f"{duration} s. Give a shorter duration."
        )
    part = np.tile(np.arange(n_starts), len(loaded))
    frame = ((part + env.rng.random(n)) / n_starts * room).astype(np.intp)
    observation = env.reset(np.arange(n), which, frame)
    if prepare is not None:
        prepare(env)
    distance = np.full((n_steps, n, len(env.body.tracked_bodies)), np.nan)
    alive = np.ones(n, dtype=bool)
    diverged = np.zeros(n, dtype=bool)
    force, counted = np.zeros(n), np.zeros(n)
    for k in range(n_steps):
        result = env.step(policy.act(observation))
        observation = result.observation
        diverged |= alive & result.diverged
        sound = alive & ~result.diverged
        distance[k, sound] = result.distance[sound]
        ground, _ = contact_forces(env.body, env.simulation.sensors)
        force += np.where(sound, ground[..., 2].sum(axis=1), 0.0)
        counted += sound
        alive &= ~result.terminated
        if not alive.any():
            break
        if not alive.all():
            # A fallen body is put back on the reference, so that its physics stays tame; it is
            # not looked at again.
            fallen = np.flatnonzero(~alive)
            first = env.frame[fallen] % table.length[env.motion[fallen]]
            observation = env.reset(fallen, env.motion[fallen], first)
    env.close()
    return Traces(
        distance=distance,
        planned=np.full(n, n_steps),
        motion=[loaded[i].name for i in which],
        start_frame=frame,
        n_diverged=int(diverged.sum()),
        vertical_force=force / np.maximum(counted, 1) / env.body.weight,
        control_rate=env.config.control_rate,
    )


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


_UNITS = {
    "success": "1",
    "survival_time": "s",
    "frame_coverage": "1",
    "mpjpe": "m",
    "mpjpe_all": "m",
    "start_frame": "1",
    "vertical_force": "1",
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


def evaluate(
    policy: Policy | str | Path,
    motions: MotionLike | Sequence[MotionLike] | None = None,
    protocol: str = "strict",
    *,
    n_starts: int = 100,
    duration: float = 10.0,
    seed: int = 0,
    n_threads: int | None = None,
) -> xr.Dataset:
    """Measure how well a deterministic policy follows motions.

    No outside force acts on the body.

    Parameters
    ----------
    policy : Policy, str or Path
        A policy, the name of a shipped one, or a folder.
    motions : motion or sequence of motions, optional
        Motions, names or files; the first that the policy was trained on if not given.
    protocol : {"strict", "kinesis"}
        Whose scores stand in the dataset; the summary holds both.
    n_starts : int
        Episodes a motion, from random frames that cover it evenly.
    duration : float
        Of an episode [s].
    seed : int
    n_threads : int, optional

    Returns
    -------
    xarray.Dataset
        One entry an ``episode``: ``success``, ``survival_time`` [s], ``frame_coverage``,
        ``mpjpe`` and ``mpjpe_all`` [m], ``start_frame``, ``vertical_force`` (mean vertical ground
        force in body weights), with the coordinate ``motion``. ``attrs["summary"]`` is JSON: means
        and 95 % bootstrap intervals over episodes, for both protocols.

    Raises
    ------
    InvalidInputError
        If the protocol is unknown or a motion is shorter than an episode.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    if n_starts < 1 or not (np.isfinite(duration) and duration > 0):
        raise InvalidInputError(
            f"n_starts and duration must be positive, got {n_starts} and {duration}."
        )
    played = as_policy(policy)
    traces = run_episodes(
        played, motions, n_starts=n_starts, duration=duration, seed=seed, n_threads=n_threads
    )
    values = score(traces, PROTOCOLS[protocol]) | {
        "start_frame": traces.start_frame,
        "vertical_force": traces.vertical_force,
    }
    return xr.Dataset(
        {k: ("episode", v, {"units": _UNITS[k]}) for k, v in values.items()},
        coords={
            "episode": np.arange(len(traces.motion)),
            "motion": ("episode", np.array(traces.motion, dtype=str)),
        },
        attrs={
            "protocol": encode_attr(asdict(PROTOCOLS[protocol])),
            "policy": played.about.name,
            "body": played.about.body,
            "duration": float(duration),
            "seed": int(seed),
            "n_diverged": int(traces.n_diverged),
            "summary": encode_attr(summarize(traces, seed)),
            "versions": encode_attr(library_versions()),
        },
    )


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
