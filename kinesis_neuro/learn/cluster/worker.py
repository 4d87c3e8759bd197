"""A rollout worker: makes fragments from what it is sent, and keeps nothing that could be lost.

State, weights and random numbers come with every fragment that is asked for. So any worker can make
any fragment, and one that was lost is made again by another, with the same numbers in it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.streams import Streams
from kinesis_neuro.errors import IncompatibleError
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.learn.rollout import Fragment, roll
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.provenance import library_versions, source_hash

# What shapes a fragment. Other libraries may differ.
_SHAPING = ("python", "kinesis-neuro", "mujoco", "myo-sim", "numpy", "torch")

Weights = dict[str, NDArray]
State = dict[str, NDArray]
Tally = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Assignment:
    """What a worker is told once.

    Attributes
    ----------
    task : ImitationConfig
    motions : sequence of ReferenceMotion
    table : ReferenceTable or None
        None if the goal makes one for each batch.
    motion_weight : ndarray, shape (n_motions,)
    policy : Policy
        Its shape, and weights that do not change.
    seed, n_threads : int
    """

    task: ImitationConfig
    motions: Sequence[ReferenceMotion]
    table: ReferenceTable | None
    motion_weight: NDArray[np.float64]
    policy: Policy
    seed: int
    n_threads: int


@dataclass(frozen=True, eq=False)
class Piece:
    """What a fragment is made from, beside the weights.

    Attributes
    ----------
    state : dict of str to ndarray
        Of its environments.
    observation : ndarray of float32, shape (n_envs, n_observations)
    white : ndarray of float32, shape (horizon, n_envs, n)
    """

    state: State
    observation: NDArray[np.float32]
    white: NDArray[np.float32]


def versions() -> dict[str, str]:
    """Versions of what shapes a fragment, and a hash of this library's own source."""
    installed = library_versions()
    shaping = {name: installed[name] for name in _SHAPING if name in installed}
    return shaping | {"kinesis-neuro source": source_hash()}


def check_versions(head: Mapping[str, str], worker: Mapping[str, str], where: str) -> None:
    """Refuse a worker that would make other fragments than the head.

    Raises
    ------
    IncompatibleError
        If a version differs; both are named.

    Examples
    --------
    >>> check_versions({"mujoco": "3.4"}, {"mujoco": "3.3"}, "node-2")
    Traceback (most recent call last):
    ...
    kinesis_neuro.errors.IncompatibleError: The worker on node-2 has other versions than the head: \
mujoco 3.3 (head: 3.4). Install the same there, and start its part of the cluster again.
    """
    names = sorted(head.keys() | worker.keys())
    missing = "none"
    different = [
        f"{name} {worker.get(name, missing)} (head: {head.get(name, missing)})"
        for name in names
        if head.get(name) != worker.get(name)
    ]
    if different:
        raise IncompatibleError(
            f"The worker on {where} has other versions than the head: {', '.join(different)}. "
            "Install the same there, and start its part of the cluster again."
        )


def weights_of(policy: Policy) -> Weights:
    """What of a policy changes while it learns, as arrays: actor, noise, normaliser."""
    return {
        name: value.detach().cpu().numpy()
        for name, value in policy.state_dict().items()
        if not name.startswith("experts.")
    }


class Worker:
    """Makes fragments.

    Parameters
    ----------
    assignment : Assignment
    """

    def __init__(self, assignment: Assignment) -> None:
        self.assignment, self.policy = assignment, assignment.policy
        torch.set_num_threads(assignment.n_threads)
        self._envs: dict[int, ImitationEnv] = {}

    def about(self) -> tuple[dict[str, str], str, int]:
        """Versions, name of the machine, and number of the process."""
        return versions(), platform.node(), os.getpid()

    def make(self, weights: Weights, piece: Piece) -> tuple[Fragment, State, Tally]:
        """Make a fragment; also returns where its environments are then, and what ended."""
        # What Ray hands over must not be written to.
        state = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
        self.policy.load_state_dict(state, strict=False)
        env = self._env(len(piece.observation))
        env.set_state_arrays(piece.state)
        white = torch.from_numpy(np.array(piece.white))
        fragment = roll(self.policy, env, np.array(piece.observation), white)
        return fragment, env.state_arrays(), env.starts.tally()

    def _env(self, n_envs: int) -> ImitationEnv:
        """Environments of this number; their state is overwritten each time."""
        if n_envs not in self._envs:
            told = self.assignment
            env = ImitationEnv(
                told.motions,
                told.task,
                n_envs=n_envs,
                n_threads=told.n_threads,
                table=told.table,
                streams=Streams(told.seed, n_envs),
            )
            env.starts.motion_weight, env.starts.deferred = told.motion_weight, True
            self._envs[n_envs] = env
        return self._envs[n_envs]
