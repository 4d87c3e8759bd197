"""evaluate: deterministic episodes of a policy, all at once, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.body.kinematics import contact_forces
from kinesis_neuro.env.imitation import ImitationEnv
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
from kinesis_neuro.scores import PROTOCOLS, Traces, score, summarize

FloatArray = NDArray[np.float64]


# With the knees at 0.15 m from the reference, nothing but falling follows; the traces go on until
# both protocols have failed.
_LOOSEST = PROTOCOLS["kinesis"]


def run_episodes(
    policy: Policy,
    motions: MotionLike | Sequence[MotionLike] | None,
    *,
    n_starts: int,
    duration: float,
    seed: int,
    n_threads: int | None = None,
    prepare: Any = None,
    to_the_end: bool = False,
    condition: MuscleCondition | None = None,
) -> Traces:
    """Run deterministic episodes of each motion, all at once.

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
    to_the_end : bool
        Whether episodes start in the first frame of a motion, and then at even distances, and go
        on to its end, or for `duration`; if not, they start in random frames that cover it evenly.
    condition : MuscleCondition, optional
        Of the muscles; the one that the policy was trained with if not given.
    """
    loaded = as_motions(motions, policy)
    n = n_starts * len(loaded)
    changed: dict[str, Any] = {} if condition is None else {"condition": condition}
    env = policy_env(
        policy,
        loaded,
        n_envs=n,
        n_threads=n_threads,
        seed=seed,
        duration=max(duration, 1.0),
        termination_rule=_LOOSEST.rule,
        termination_distance=_LOOSEST.threshold,
        **changed,
    )
    table = env.table
    n_steps = control_steps(duration, env.config.control_rate)
    which = np.repeat(np.arange(len(loaded)), n_starts)
    frames_needed = (n_steps + 1) * env.config.decimation
    # Where an episode may end with its motion, it lasts half of that, or longer.
    needed = np.minimum(frames_needed, table.length // 2) if to_the_end else frames_needed
    room = np.where(table.periodic, table.length, table.length - needed)[which]
    if (room < 1).any():
        short = loaded[int(which[room < 1][0])]
        raise InvalidInputError(
            f"Motion {short.name!r} lasts {short.duration:.2f} s, too short for episodes of "
            f"{duration} s. Give a shorter duration."
        )
    part = np.tile(np.arange(n_starts), len(loaded))
    offset = 0.0 if to_the_end else env.rng.random(n)
    frame = ((part + offset) / n_starts * room).astype(np.intp)
    left = -(-(table.length[which] - frame) // env.config.decimation) - 1
    planned = np.where(table.periodic[which], n_steps, np.minimum(n_steps, left))
    observation = env.reset(np.arange(n), which, frame)
    if prepare is not None:
        prepare(env)
    distance = np.full((n_steps, n, len(env.body.tracked_bodies)), np.nan)
    alive = np.ones(n, dtype=bool)
    diverged = np.zeros(n, dtype=bool)
    force, counted = np.zeros(n), np.zeros(n)
    load = _GroundLoad(env)
    for k in range(n_steps):
        result = env.step(policy.act(observation))
        observation = result.observation
        diverged |= alive & result.diverged
        sound = alive & ~result.diverged
        distance[k, sound] = result.distance[sound]
        force += np.where(sound, load.mean(), 0.0)
        counted += sound
        alive &= ~result.terminated & (k + 1 < planned)
        if not alive.any():
            break
        if not alive.all():
            # A body that fell, or is through, is put back on the reference, so that its physics
            # stays tame; it is not looked at again.
            fallen = np.flatnonzero(~alive)
            first = env.frame[fallen] % table.length[env.motion[fallen]]
            observation = env.reset(fallen, env.motion[fallen], first)
    env.close()
    return Traces(
        distance=distance,
        planned=planned,
        motion=[loaded[i].name for i in which],
        start_frame=frame,
        n_diverged=int(diverged.sum()),
        vertical_force=force / np.maximum(counted, 1) / env.body.weight,
        control_rate=env.config.control_rate,
    )


class _GroundLoad:
    """Vertical ground force, averaged over every physics step: impacts last no longer than one."""

    def __init__(self, env: ImitationEnv) -> None:
        self._sum, self._n, self._inner = np.zeros(env.n_envs), 0, env.on_physics_step
        env.on_physics_step = self._add

    def _add(self, env: ImitationEnv) -> None:
        if self._inner is not None:
            self._inner(env)
        ground, _ = contact_forces(env.body, env.simulation.sensors)
        self._sum += ground[..., 2].sum(axis=1)
        self._n += 1

    def mean(self) -> FloatArray:
        """Mean since the last call [N], shape (n_envs,)."""
        mean = self._sum / self._n
        self._sum, self._n = np.zeros_like(mean), 0
        return mean


_UNITS = {
    "success": "1",
    "survival_time": "s",
    "frame_coverage": "1",
    "mpjpe": "m",
    "mpjpe_all": "m",
    "start_frame": "1",
    "vertical_force": "1",
}


def evaluate(
    policy: Policy | str | Path,
    motions: MotionLike | Sequence[MotionLike] | None = None,
    protocol: str = "strict",
    *,
    n_starts: int = 100,
    duration: float = 10.0,
    seed: int = 0,
    n_threads: int | None = None,
    condition: MuscleCondition | None = None,
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
    condition : MuscleCondition, optional
        Of the muscles; the one that the policy was trained with if not given.

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
        played,
        motions,
        n_starts=n_starts,
        duration=duration,
        seed=seed,
        n_threads=n_threads,
        condition=condition,
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
            **({} if condition is None else {"condition": encode_attr(asdict(condition))}),
        },
    )
