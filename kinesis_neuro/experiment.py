"""Protocols that only a simulation can run: one walk, perturbed at many phases or from many sides.

Each runs many episodes of one policy together.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from kinesis_neuro.body.models import PHYSICS_RATE
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.evaluate import run_episodes
from kinesis_neuro.learn.play import MotionLike, as_motions, as_policy, control_steps, policy_env
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.perturbation import Perturbation, describe, push_at
from kinesis_neuro.record import Trace
from kinesis_neuro.schema import encode_attr
from kinesis_neuro.scores import PROTOCOLS, score

FloatArray = NDArray[np.float64]

SETTLE = 1.0
"""The body walks freely for this long before it is pushed [s]."""

SETTLE_CYCLES = 2
"""Cycles of the reference before the one in which perturbations begin."""


@dataclass(frozen=True, eq=False)
class PerturbedWalks:
    """Recordings of one walk, unperturbed and perturbed at several phases.

    Attributes
    ----------
    control : Dataset
        The unperturbed recording.
    perturbed : tuple of Dataset
        One for each phase, the same as the control up to the onset, to the bit. One that ends
        early fell.
    onset : ndarray
        When each perturbation began, on the clock of the recordings [s].
    reference_phase : ndarray
        Phase of the reference motion at the onset [cycles].
    """

    control: xr.Dataset
    perturbed: tuple[xr.Dataset, ...]
    onset: FloatArray
    reference_phase: FloatArray


def perturb(
    policy: Policy | str | Path,
    perturbation: Perturbation,
    motion: MotionLike | None = None,
    *,
    phases: int | ArrayLike = 8,
    after: float = 6.0,
    seed: int = 0,
    n_threads: int | None = None,
) -> PerturbedWalks:
    """Let a policy walk, perturb it at each of several phases, and record what happens.

    All runs start in the same state at the first frame of the motion and walk together; in the
    third cycle each is perturbed at its own phase, but for the control. The policy is
    deterministic, so that nothing but the perturbation makes a difference.

    Parameters
    ----------
    policy : Policy, str or Path
    perturbation : Push, SilentMuscle or BeltSpeedChange
        See :mod:`kinesis_neuro.perturbation`.
    motion : motion, str or Path, optional
        Periodic; the first that the policy was trained on if not given.
    phases : int or array_like
        Phases of the reference [cycles, 0 to 1] at which it begins, or how many, evenly spread
        from 0 on. The built-in gaits begin at a right heel strike.
    after : float
        How long runs are recorded after the cycle of the onsets [s].
    seed : int
        Stands in the recordings; nothing is drawn.
    n_threads : int, optional

    Returns
    -------
    PerturbedWalks
        For :func:`kinesis_neuro.analysis.phase_response.measure_phase_response`. A run ends where
        the body falls (mean distance of the tracked bodies above 0.5 m).

    Raises
    ------
    InvalidInputError
        If the motion is not periodic, the body has no such muscle, or a number is out of range.

    Examples
    --------
    >>> from kinesis_neuro.perturbation import Push
    >>> walks = perturb("walk-excitation", Push(force=80.0), phases=[0.25], after=0.2)
    >>> len(walks.perturbed), walks.perturbed[0].attrs["n_falls"]
    (1, 0)
    >>> bool(walks.perturbed[0].time[-1] > walks.onset[0])
    True
    """
    starts = np.arange(phases) / phases if isinstance(phases, int) else np.asarray(phases, float)
    if starts.ndim != 1 or not starts.size or not ((starts >= 0) & (starts < 1)).all():
        raise InvalidInputError(
            f"phases must be how many, or phases from 0 to below 1, got {phases!r}."
        )
    if not (np.isfinite(after) and after >= 0):
        raise InvalidInputError(f"after must not be negative, got {after} s.")
    played = as_policy(policy)
    reference = as_motions(motion, played)[0]
    falling = PROTOCOLS["kinesis"]
    env = policy_env(
        played,
        [reference],
        n_envs=len(starts) + 1,
        n_threads=n_threads,
        seed=seed,
        termination_rule=falling.rule,
        termination_distance=falling.threshold,
    )
    table = env.table
    if not table.periodic[0]:
        raise InvalidInputError(
            f"Motion {reference.name!r} is not periodic and has no phase. Give a cyclic one."
        )
    perturbation.check(env)
    length = int(table.length[0])
    onset = np.r_[-1, np.rint((SETTLE_CYCLES + starts) * length).astype(np.intp)]
    duration = (SETTLE_CYCLES + 1) * length / PHYSICS_RATE + after
    n_steps = control_steps(duration, env.config.control_rate)
    everyone = np.arange(env.n_envs)
    observation = env.reset(everyone, np.zeros_like(everyone), np.zeros_like(everyone))
    trace = Trace(env)
    acting = onset.copy()  # -1 once a body has fallen
    perturbation.attach(env, acting)
    lasted = np.full(env.n_envs, n_steps)
    for k in range(n_steps):
        action = played.act(observation)
        applied = env.own_sides(action)
        result = env.step(action)
        trace.control_step(env, applied, result.reward, 0)
        observation = result.observation
        fallen = np.flatnonzero(result.terminated)
        lasted[fallen] = np.minimum(lasted[fallen], k + 1)
        if fallen.size:  # put back on the reference, so that the physics stays tame
            first = env.frame[fallen] % length
            observation = env.reset(fallen, env.motion[fallen], first)
            acting[fallen] = -1
    env.close()
    recordings, times = [], onset[1:] / PHYSICS_RATE
    for i in range(env.n_envs):
        fell = int(lasted[i] < n_steps)
        whole = trace.recording(env, played, seed=seed, duration=duration, n_falls=fell, which=i)
        recording = whole.isel(time=slice(int(lasted[i]) * env.config.decimation))
        if i:
            about = describe(perturbation) | {"onset": float(times[i - 1])}
            recording.attrs["perturbation"] = encode_attr(about)
        recordings.append(recording)
    return PerturbedWalks(recordings[0], tuple(recordings[1:]), times, starts)


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
    wrench = np.concatenate([vectors, np.zeros_like(vectors)], axis=1)

    def prepare(env: ImitationEnv) -> None:
        push_at(env, wrench, onset, round(duration * PHYSICS_RATE))

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
