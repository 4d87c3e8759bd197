"""evaluate_goal: episodes of a policy at its task beyond imitation, and how often it succeeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from statsmodels.stats.proportion import proportion_confint

from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.learn.play import MotionLike, as_motions, as_policy, control_steps, policy_env
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.provenance import library_versions
from kinesis_neuro.schema import encode_attr
from kinesis_neuro.scores import bootstrap_interval

# A body that leaves its reference to reach a goal has not failed.
_ANYWHERE = 1e3


def evaluate_goal(
    policy: Policy | str | Path,
    motion: MotionLike | None = None,
    *,
    n_episodes: int = 100,
    duration: float = 10.0,
    seed: int = 0,
    n_threads: int | None = None,
    condition: MuscleCondition | None = None,
) -> xr.Dataset:
    """Measure how often a deterministic policy reaches its goal.

    Parameters
    ----------
    policy : Policy, str or Path
        A policy of a task with a goal, the name of a shipped one, or a folder.
    motion : motion, str or Path, optional
        What it follows; the first that it was trained on if not given.
    n_episodes : int
        Each with a goal of its own, drawn as the task's configuration says.
    duration : float
        Longest episode [s]; they end when the goal says so.
    seed : int
        Of the draws.
    n_threads : int, optional
    condition : MuscleCondition, optional
        Of the muscles; the one that the policy was trained with if not given.

    Returns
    -------
    xarray.Dataset
        One entry an ``episode``: what the goal says of it (``success`` and the like), and
        ``duration`` [s]. ``attrs["summary"]`` is JSON: means with 95 % intervals over episodes, of
        Wilson (1927) for shares, by bootstrap for others.

    Raises
    ------
    InvalidInputError
        If the policy has no goal, or a number is out of its range.
    """
    played = as_policy(policy)
    if n_episodes < 1:
        raise InvalidInputError(f"n_episodes must be at least 1, got {n_episodes}.")
    changed: dict[str, Any] = {} if condition is None else {"condition": condition}
    env = policy_env(
        played,
        as_motions(motion, played),
        n_envs=n_episodes,
        n_threads=n_threads,
        seed=seed,
        duration=max(duration, 1.0),
        termination_rule="mean",
        termination_distance=_ANYWHERE,
        **changed,
    )
    kind = env.config.goal.kind
    if not kind:
        raise InvalidInputError(
            f"Policy {played.about.name!r} imitates and has no further goal. Use evaluate."
        )
    observation = env.reset()
    found: dict[str, np.ndarray] = {}
    lasted = np.zeros(n_episodes)
    running = np.ones(n_episodes, dtype=bool)
    n_steps = control_steps(duration, env.config.control_rate)
    for step in range(n_steps):
        result = env.step(played.act(observation))
        observation = result.observation
        done = np.flatnonzero(result.terminated | result.truncated)
        now = running[done] if step + 1 < n_steps else running.copy()
        last = env.goal.outcome() if step + 1 == n_steps else result.outcome
        which = done[now] if step + 1 < n_steps else np.flatnonzero(running)
        for name, values in last.items():
            found.setdefault(name, np.zeros(n_episodes))[which] = values[now]
        lasted[which] = (step + 1) / env.config.control_rate
        running[which] = False
        if not running.any():
            break
        # Who is through is put back, so that its physics stays tame, and not looked at again.
        if done.size:
            observation = env.reset(done)
    env.close()
    results = found | {"duration": lasted}
    units = {"duration": "s", **env.goal.units()}
    return xr.Dataset(
        {k: ("episode", v, {"units": units.get(k, "1")}) for k, v in results.items()},
        coords={"episode": np.arange(n_episodes)},
        attrs={
            "goal": kind,
            "policy": played.about.name,
            "body": played.about.body,
            "seed": int(seed),
            "summary": encode_attr(goal_summary(results, seed)),
            "versions": encode_attr(library_versions()),
        },
    )


def goal_summary(values: dict[str, np.ndarray], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Mean of each result over the episodes that have one, with its 95 % interval.

    Examples
    --------
    >>> summary = goal_summary({"success": np.array([1.0, 1.0, 0.0, 1.0])})
    >>> summary["success"]["mean"], [round(v, 2) for v in summary["success"]["interval"]]
    (0.75, [0.3, 0.95])
    """
    rng, summary = np.random.default_rng(seed), {}
    for name, all_of_them in values.items():
        known = all_of_them[np.isfinite(all_of_them)]
        if not known.size:
            continue
        if np.isin(known, (0.0, 1.0)).all():
            low, high = proportion_confint(known.sum(), known.size, method="wilson")
            interval = float(low), float(high)
        else:
            interval = bootstrap_interval(known, rng)
        summary[name] = {"mean": float(known.mean()), "interval": interval, "n": int(known.size)}
    return summary


def has_goal(policy: Policy) -> bool:
    """Whether a policy was trained for more than imitation."""
    return bool(policy.about.task.get("goal", {}).get("kind"))


def goal_table(summary: dict[str, dict[str, Any]]) -> str:
    """A summary as lines of text.

    Examples
    --------
    >>> print(goal_table(goal_summary({"success": np.array([1.0, 0.0, 0.0, 1.0])})))
    success              0.500  [0.150, 0.850]  (n = 4)
    """
    return "\n".join(
        f"{name:18} {row['mean']:7.3f}  [{row['interval'][0]:.3f}, {row['interval'][1]:.3f}]"
        f"  (n = {row['n']})"
        for name, row in summary.items()
    )
