"""Gymnasium faces of the imitation task: one body, or a batch that is stepped together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from kinesis_neuro.body.models import PHYSICS_RATE, Body
from kinesis_neuro.env import imitation
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.tasks import goal_config
from kinesis_neuro.errors import IncompatibleError, InvalidInputError, unknown_name
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

Array: TypeAlias = NDArray[np.float32]
MotionLike = str | Path | ReferenceMotion

OBSERVATION_LIMIT = 1e3
"""Observations are clipped here: physics with a faster coordinate has diverged anyway."""


class UnknownOptionError(InvalidInputError, TypeError):
    """A keyword that the task does not have.

    Also a TypeError, as of any function that is called with a wrong keyword: libraries try
    keywords such as ``render_mode`` out, and do without where they are refused in this way.
    """


class ImitationEnv(gymnasium.Env[Array, Array]):
    """One body that imitates reference motions.

    ``info`` holds, after a step, ``distance`` (n_tracked,) of the tracked bodies from the reference
    [m], ``diverged``, ``episode_time`` [s], ``goal_success`` and other results of a goal's episode
    so far, and the weighted parts of the reward,
    ``reward_position`` and so on, which add up to it; after a reset, ``motion``, the number of
    the motion, and ``start``, where in it the episode starts [s].

    Parameters
    ----------
    motions : str, Path, ReferenceMotion, or a sequence of these
        What :func:`kinesis_neuro.load_motion` takes, or motions.
    body : str, optional
        Name of the body; that of the motions, or ``legs``, if not given.
    **task
        Fields of :class:`kinesis_neuro.env.config.ImitationConfig`. ``goal`` may be the name of a
        task, such as ``"reach"``; the fields of its configuration then stand beside the others.

    Examples
    --------
    >>> env = gymnasium.make("kinesis_neuro:kinesis_neuro/Imitation-v0", actuation="excitation")
    >>> observation, info = env.reset(seed=0, options={"start": 0.5})
    >>> info
    {'motion': 0, 'start': 0.5}
    >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> info["distance"].shape, info["diverged"]
    ((7,), False)
    >>> env.close()
    """

    metadata = {"render_modes": []}  # noqa: RUF012, Gymnasium's own

    def __init__(
        self,
        motions: MotionLike | Sequence[MotionLike] = "walk",
        body: str | None = None,
        **task: Any,
    ) -> None:
        self.batch = _batch(motions, body, task, n_envs=1, n_threads=1)
        self.observation_space, self.action_space = _spaces(self.batch)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start an episode in a state of the reference.

        Parameters
        ----------
        seed : int, optional
            Everything random is drawn from it.
        options : dict, optional
            ``motion``, a name or number, and ``start``, a time of the motion [s], to start there;
            and what the goal knows (``target``; ``speed`` and ``heading``); drawn where not given.

        Raises
        ------
        InvalidInputError
            If there is no such motion, time or option.
        """
        super().reset(seed=seed)
        self.batch.rng = self.np_random
        observation = self.batch.reset(None, *_start(self.batch, options))
        return _bounded(observation)[0], _first(_reset_info(self.batch))

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Advance by one control step."""
        result = self.batch.step(_checked(action, self.action_space)[None])
        return (
            _bounded(result.observation)[0],
            float(result.reward[0]),
            bool(result.terminated[0]),
            bool(result.truncated[0]),
            _first(_step_info(self.batch, result)),
        )

    def close(self) -> None:
        """Let go of the physics."""
        self.batch.close()


class ImitationVectorEnv(gymnasium.vector.VectorEnv[Array, Array, NDArray[Any]]):
    """A batch of bodies that imitate reference motions, in one simulation.

    An episode that ends is followed by a new one in the same step; ``info`` has then
    ``final_obs`` and ``final_info``, as Gymnasium's own vector environments have in this mode.
    Its other entries are those of :class:`ImitationEnv`, one row an environment.

    Parameters
    ----------
    num_envs : int
    motions, body, **task
        See :class:`ImitationEnv`.
    n_threads : int, optional
        Physics threads, all processors by default; they do not change the result.

    Examples
    --------
    >>> envs = gymnasium.make_vec(
    ...     "kinesis_neuro:kinesis_neuro/Imitation-v0", num_envs=4, body="legs26", lookahead=(1,)
    ... )
    >>> observations, infos = envs.reset(seed=0)
    >>> observations.shape[0], envs.action_space.shape
    (4, (4, 12))
    >>> envs.close()
    """

    metadata = {  # noqa: RUF012, Gymnasium's own
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        motions: MotionLike | Sequence[MotionLike] = "walk",
        body: str | None = None,
        n_threads: int | None = None,
        **task: Any,
    ) -> None:
        if num_envs < 1:
            raise InvalidInputError(f"num_envs must be at least 1, got {num_envs}.")
        self.num_envs = num_envs
        self.batch = _batch(motions, body, task, n_envs=num_envs, n_threads=n_threads)
        self.single_observation_space, self.single_action_space = _spaces(self.batch)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._started = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start an episode in every environment.

        Parameters
        ----------
        seed : int, optional
            Everything random, in all environments, is drawn from it.
        options : dict, optional
            As of :meth:`ImitationEnv.reset`, for all environments.
        """
        super().reset(seed=seed)
        self.batch.rng = self.np_random
        observation = self.batch.reset(None, *_start(self.batch, options))
        self._started = True
        everywhere = np.ones(self.num_envs, dtype=bool)
        return _bounded(observation), _masked(_reset_info(self.batch), everywhere)

    def step(
        self, actions: Array
    ) -> tuple[Array, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Advance all environments by one control step; start new episodes where one ended."""
        if not self._started:
            raise ResetNeeded("Cannot call step() before calling reset().")
        result = self.batch.step(_checked(actions, self.action_space))
        observation, info = _bounded(result.observation), _step_info(self.batch, result)
        done = result.terminated | result.truncated
        infos = _masked(info, ~done)
        if done.any():
            final = np.full(self.num_envs, None, dtype=object)
            for index in np.flatnonzero(done):  # rows into objects, as Gymnasium has it
                final[index] = observation[index]
            infos |= {"final_obs": final, "_final_obs": done.copy()}
            infos |= {"final_info": _masked(info, done), "_final_info": done.copy()}
            observation = _bounded(self.batch.reset(np.flatnonzero(done)))
            infos |= _masked(_reset_info(self.batch), done)
        return observation, result.reward, result.terminated, result.truncated, infos

    def close_extras(self) -> None:
        """Let go of the physics."""
        self.batch.close()


def _batch(
    motions: MotionLike | Sequence[MotionLike],
    body: str | None,
    task: Mapping[str, Any],
    *,
    n_envs: int,
    n_threads: int | None,
) -> imitation.ImitationEnv:
    options = {field.name for field in dataclasses.fields(ImitationConfig)}
    goal = task.get("goal")
    if isinstance(goal, str):
        # Options of the goal stand beside those of imitation.
        kind = goal_config(goal)
        asked = {f.name for f in dataclasses.fields(kind) if f.init} - options
        given_to_goal = {k: v for k, v in task.items() if k in asked}
        task = {k: v for k, v in task.items() if k not in asked} | {"goal": kind(**given_to_goal)}
        options |= asked
    if unknown := sorted(task.keys() - options):
        raise UnknownOptionError(
            f"Unknown options of the imitation task: {', '.join(unknown)}. "
            f"Available: body, motions, {', '.join(sorted(options))}."
        )
    config = ImitationConfig(**task)
    several = [motions] if isinstance(motions, str | Path | ReferenceMotion) else list(motions)
    given = [m for m in several if isinstance(m, ReferenceMotion)]
    plant: str | Body = body or (given[0].body if given else "legs")
    for motion in given:
        if body is not None and motion.body.name != body:
            raise IncompatibleError(
                f"Motion {motion.name!r} is on body {motion.body.name!r}, not on {body!r}. "
                "Leave body out, or load the motion on that body."
            )
    loaded = [m if isinstance(m, ReferenceMotion) else load_motion(m, plant) for m in several]
    # What is new after a step is shown before the next episode starts: the faces reset themselves.
    return imitation.ImitationEnv(
        loaded, config, n_envs=n_envs, n_threads=n_threads, auto_reset=False
    )


def _spaces(batch: imitation.ImitationEnv) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
    """Observation and action of one environment."""
    size, n_actions = batch.n_observations, len(batch.action_channels)
    limit = OBSERVATION_LIMIT
    return (
        gymnasium.spaces.Box(-limit, limit, (size,), dtype=np.float32),
        gymnasium.spaces.Box(-1.0, 1.0, (n_actions,), dtype=np.float32),
    )


def _bounded(observation: Array) -> Array:
    """Observations within their space; where physics diverged, what is no number is zero."""
    limit = OBSERVATION_LIMIT
    return np.clip(np.nan_to_num(observation, posinf=limit, neginf=-limit), -limit, limit)


def _checked(action: Array, space: gymnasium.Space[Any]) -> Array:
    action = np.asarray(action)
    if action.shape != space.shape:
        raise InvalidInputError(f"Actions have shape {space.shape}, got {action.shape}.")
    # MuJoCo would take NaN for an excitation of zero, and go on.
    if not np.isfinite(action).all():
        raise InvalidInputError("Actions must be finite; some are not.")
    return action


def _start(
    batch: imitation.ImitationEnv, options: Mapping[str, Any] | None
) -> tuple[NDArray[np.intp] | None, NDArray[np.intp] | None]:
    """Motion and physics frame that the options ask for; None where they are to be drawn."""
    options = options or {}
    known = ("motion", "start", *batch.goal.options)
    if unknown := sorted(options.keys() - set(known)):
        raise InvalidInputError(
            f"Unknown options of reset: {', '.join(unknown)}. Available: {', '.join(known)}."
        )
    batch.goal.ask(**{k: v for k, v in options.items() if k in batch.goal.options})
    table = batch.table
    names = [motion.name for motion in table.motions]
    wanted = options.get("motion")
    if wanted is not None and wanted not in names and wanted not in range(len(names)):
        raise unknown_name("motion", wanted, [*names, *map(str, range(len(names)))])
    if wanted is None and "start" not in options:
        return None, None
    if wanted is None:
        chosen = batch.rng.choice(len(names), size=batch.n_envs, p=batch.starts.motion_weight)
    else:
        number = names.index(wanted) if wanted in names else int(wanted)
        chosen = np.full(batch.n_envs, number, dtype=np.intp)
    if "start" not in options:
        return chosen, None
    # A motion that ends leaves at least one control step.
    room = table.length - np.where(table.periodic, 0, batch.config.decimation + 1)
    latest = int(room[chosen].min()) - 1
    start = float(options["start"])
    if not 0.0 <= start * PHYSICS_RATE < latest + 0.5:
        raise InvalidInputError(
            f"start must lie between 0 and {latest / PHYSICS_RATE:.3f} s, got {start}."
        )
    return chosen, np.full(batch.n_envs, round(start * PHYSICS_RATE), dtype=np.intp)


def _reset_info(batch: imitation.ImitationEnv) -> dict[str, NDArray[Any]]:
    return {"motion": batch.motion.copy(), "start": batch.frame / PHYSICS_RATE}


def _step_info(
    batch: imitation.ImitationEnv, result: imitation.StepResult
) -> dict[str, NDArray[Any]]:
    """Rows of all environments, before any is reset."""
    # Diverged physics earns nothing.
    parts = {
        f"reward_{name}": np.where(result.diverged, 0.0, part)
        for name, part in batch.reward_parts.items()
    }
    return {
        "distance": result.distance,
        "diverged": result.diverged,
        "episode_time": result.episode_time,
        **parts,
        **{f"goal_{name}": values for name, values in batch.goal.outcome().items()},
    }


def _first(info: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Entries of the only environment; numbers as Python's own, without results yet to come."""
    entries = {k: v[0].copy() if v.ndim > 1 else v[0].item() for k, v in info.items()}
    return {k: v for k, v in entries.items() if not (k.startswith("goal_") and np.isnan(v))}


def _masked(info: Mapping[str, NDArray[Any]], where: NDArray[np.bool_]) -> dict[str, Any]:
    """Entries with Gymnasium's masks ``_name``, zero where they do not hold; empty if nowhere."""
    if not where.any():
        return {}
    masked: dict[str, Any] = {}
    for name, values in info.items():
        masked[name] = values.copy()
        masked[name][~where] = 0
        masked[f"_{name}"] = where.copy()
    return masked
