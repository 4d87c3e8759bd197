"""Protocols that only a simulation can run: pushes.

Each runs many episodes of one policy together and returns a dataset with one entry an episode.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from kinesis_neuro.body.models import PHYSICS_RATE
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.evaluate import run_episodes
from kinesis_neuro.learn.play import MotionLike, as_policy
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.scores import PROTOCOLS, score

# The body walks freely for this long before it is pushed [s].
SETTLE = 1.0


class Push:
    """A horizontal force on the pelvis for a short time, another direction in each environment.

    Parameters
    ----------
    force : ndarray, shape (n_envs, 3)
        [N], in world axes.
    onset : ndarray of int, shape (n_envs,)
        Physics step of the episode at which it begins.
    duration : int
        Physics steps.
    """

    def __init__(self, force: np.ndarray, onset: np.ndarray, duration: int) -> None:
        self.wrench = np.concatenate([force, np.zeros_like(force)], axis=1)
        self.onset, self.duration = onset, duration
        self.step = 0

    def __call__(self, env: ImitationEnv) -> np.ndarray:
        """Wrench of this physics step, shape (n_envs, 6)."""
        acting = (self.step >= self.onset) & (self.step < self.onset + self.duration)
        self.step += 1
        return np.where(acting[:, None], self.wrench, 0.0)


def push_test(
    policy: Policy | str | Path,
    motion: MotionLike | None = None,
    *,
    force: float = 100.0,
    duration: float = 0.2,
    n_trials: int = 200,
    recovery: float = 5.0,
    seed: int = 0,
    n_threads: int | None = None,
) -> xr.Dataset:
    """Push a walking body from a random side at a random phase.

    Parameters
    ----------
    policy : Policy, str or Path
    motion : motion, str or Path, optional
        The first that the policy was trained on if not given.
    force : float
        Horizontal force on the pelvis [N].
    duration : float
        How long it acts [s].
    n_trials : int
        Starting phases cover the motion evenly; directions are drawn evenly.
    recovery : float
        How long the body is watched after the push [s].
    seed : int
    n_threads : int, optional

    Returns
    -------
    xarray.Dataset
        One entry an ``episode``: ``fell`` (mean distance of the tracked bodies above 0.5 m, the
        ``kinesis`` protocol) [0 or 1], ``direction`` of the push about the vertical [rad], in the
        world, where the body faces -pi/2, and ``start_frame``. ``attrs["fall_rate"]`` is the mean.

    Raises
    ------
    InvalidInputError
        If force, duration or number of trials is not positive.
    """
    if force < 0 or duration <= 0 or n_trials < 1:
        raise InvalidInputError(
            "force must not be negative, duration and n_trials must be positive, got "
            f"{force} N, {duration} s, {n_trials}."
        )
    rng = np.random.default_rng(seed)
    direction = rng.permutation(2 * np.pi * (np.arange(n_trials) + rng.random(n_trials)) / n_trials)
    vectors = force * np.stack([np.cos(direction), np.sin(direction), np.zeros(n_trials)], axis=1)
    onset = np.full(n_trials, round(SETTLE * PHYSICS_RATE))
    push = Push(vectors, onset, round(duration * PHYSICS_RATE))

    def prepare(env: ImitationEnv) -> None:
        env.wrench = push

    played = as_policy(policy)
    traces = run_episodes(
        played,
        motion,
        n_starts=n_trials,
        duration=SETTLE + duration + recovery,
        seed=seed,
        n_threads=n_threads,
        prepare=prepare,
    )
    fell = 1.0 - score(traces, PROTOCOLS["kinesis"])["success"]
    return xr.Dataset(
        {
            "fell": ("episode", fell, {"units": "1"}),
            "direction": ("episode", direction, {"units": "rad"}),
            "start_frame": ("episode", traces.start_frame, {"units": "1"}),
        },
        coords={"episode": np.arange(n_trials)},
        attrs={
            "policy": played.about.name,
            "force": float(force),
            "push_duration": float(duration),
            "recovery": float(recovery),
            "seed": int(seed),
            "fall_rate": float(fell.mean()),
        },
    )
