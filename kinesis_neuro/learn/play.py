"""A trained policy in its task: the environment that it belongs to, without learning."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.learn.checkpoint import load_policy, warn_of_other_body
from kinesis_neuro.learn.config import from_dict
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

MotionLike = str | Path | ReferenceMotion


def as_policy(policy: Policy | str | Path) -> Policy:
    """The policy itself, or the one of that name or folder."""
    return policy if isinstance(policy, Policy) else load_policy(policy)


def as_motions(
    motions: MotionLike | Sequence[MotionLike] | None, policy: Policy
) -> list[ReferenceMotion]:
    """Motions on the policy's body; the first that it was trained on if none are given."""
    body = load_body(policy.about.body)
    if motions is None:
        return [_first_motion(policy, body)]
    if isinstance(motions, str | Path | ReferenceMotion):
        motions = [motions]
    loaded = [m if isinstance(m, ReferenceMotion) else load_motion(m, body) for m in motions]
    if not loaded:
        raise InvalidInputError("At least one motion is needed, got none.")
    return loaded


def _first_motion(policy: Policy, body: Body) -> ReferenceMotion:
    known = list(policy.about.motions) or ["walk"]
    try:
        return load_motion(known[0], body)
    except InvalidInputError as error:
        raise InvalidInputError(
            f"Policy {policy.about.name!r} was trained on motions that are not here "
            f"({known[0]!r}, of {len(known)} in all). Give it one: a name that load_motion knows "
            "(such as walk), a file, or a clip of your own library (FOLDER/CLIP)."
        ) from error


def policy_env(
    policy: Policy,
    motions: Sequence[ReferenceMotion],
    *,
    n_envs: int,
    n_threads: int | None = None,
    seed: int = 0,
    **overrides: Any,
) -> ImitationEnv:
    """The environment of a policy's task.

    Parameters
    ----------
    policy : Policy
    motions : sequence of ReferenceMotion
    n_envs, n_threads, seed
        See :class:`ImitationEnv`.
    **overrides
        Entries of the task's configuration to change (durations, termination).

    Raises
    ------
    IncompatibleError
        If the motions are on a body of another layout, or the observation differs.
    """
    task: ImitationConfig = from_dict(ImitationConfig, dict(policy.about.task))
    task = dataclasses.replace(task, **{"goal": task.goal.played(), **overrides})
    warn_of_other_body(policy.about, motions[0].body)
    env = ImitationEnv(
        motions, task, n_envs=n_envs, n_threads=n_threads, seed=seed, auto_reset=False
    )
    blocks = {name: values.shape[1] for name, values in env.observation_blocks().items()}
    if blocks != dict(policy.about.observations):
        raise IncompatibleError(
            f"Policy {policy.about.name!r} observes {dict(policy.about.observations)}, but its "
            f"task gives {blocks}. It was made with another version of the library."
        )
    return env


def control_steps(duration: float, control_rate: float) -> int:
    """Control steps in a duration.

    Parameters
    ----------
    duration : float
        [s]
    control_rate : float
        [Hz]

    Raises
    ------
    InvalidInputError
        If the duration is not finite, or shorter than half a control step.

    Examples
    --------
    >>> control_steps(10.0, 30.0)
    300
    """
    if not np.isfinite(duration) or round(duration * control_rate) < 1:
        raise InvalidInputError(
            f"duration must be a number of seconds that holds a control step "
            f"({1 / control_rate:.3f} s), got {duration}."
        )
    return round(duration * control_rate)
