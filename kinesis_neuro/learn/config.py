"""Configuration of training: frozen dataclasses, stored with every checkpoint."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.env.config import ImitationConfig, RewardWeights
from kinesis_neuro.env.device.features import BACKENDS
from kinesis_neuro.env.tasks import goal_config
from kinesis_neuro.errors import InvalidInputError, unknown_name

EXPLORATIONS = ("independent", "lattice")
GATES = ("hard", "soft")


@dataclass(frozen=True)
class NetworkConfig:
    """Multilayer perceptrons with SiLU units.

    Attributes
    ----------
    actor, critic : tuple of int
        Widths of the hidden layers.
    squash : bool
        Whether the mean action passes tanh; a policy of excitations needs it.
    initial_log_std : float
        Of the exploration noise, in units of action.
    initial_mean : float
        Mean action of a new policy: -0.9 is an excitation of 0.05.
    exploration : {"independent", "lattice"}
        See :mod:`kinesis_neuro.learn.exploration`.
    initial_latent_log_std : float
        Of Lattice's noise in the last hidden layer.
    """

    actor: tuple[int, ...] = (512, 256, 256)
    critic: tuple[int, ...] = (512, 256, 256)
    squash: bool = False
    initial_log_std: float = -1.5
    initial_mean: float = 0.0
    exploration: str = "independent"
    initial_latent_log_std: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no network can be made from."""
        if not -1.0 < self.initial_mean < 1.0:
            raise InvalidInputError(
                f"initial_mean must lie between -1 and 1, both excluded, got {self.initial_mean}."
            )
        if self.exploration not in EXPLORATIONS:
            raise unknown_name("exploration", self.exploration, EXPLORATIONS)
        if self.exploration == "lattice" and not self.actor:
            raise InvalidInputError("Lattice explores in the last hidden layer; actor has none.")
        for name in ("actor", "critic"):
            widths = getattr(self, name)
            if not all(isinstance(width, int) and width > 0 for width in widths):
                raise InvalidInputError(f"{name} must be positive whole numbers, got {widths}.")


@dataclass(frozen=True)
class PPOConfig:
    """Proximal policy optimisation (Schulman et al. 2017) with an adaptive learning rate.

    Attributes
    ----------
    horizon : int
        Control steps of each environment in a batch.
    epochs : int
    minibatch : int
    gamma, lam : float
        Discount, and decay of generalised advantage estimation (Schulman et al. 2016).
    clip : float
        Limit of the probability ratio.
    learning_rate : float
        At the start.
    learning_rate_range : tuple of float
    target_kl : tuple of float
        Below the first the learning rate grows by half, above the second it shrinks by a third.
    critic_learning_rate : float
    max_gradient_norm : float
    entropy_weight : float
    symmetry_weight : float
        Of the loss in :mod:`kinesis_neuro.learn.symmetry`, in units of action squared; KINESIS has
        none.
    critic_warmup : int
        Iterations in which only the critic learns (for an actor that starts from a clone).
    """

    horizon: int = 24
    epochs: int = 4
    minibatch: int = 1024
    gamma: float = 0.97
    lam: float = 0.95
    clip: float = 0.2
    learning_rate: float = 5e-4
    learning_rate_range: tuple[float, float] = (1e-4, 1e-3)
    target_kl: tuple[float, float] = (0.03, 0.06)
    critic_learning_rate: float = 1e-3
    max_gradient_norm: float = 1.0
    entropy_weight: float = 0.0
    symmetry_weight: float = 0.0
    critic_warmup: int = 0


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training run is made from.

    Attributes
    ----------
    name : str
        The run's folder is ``runs/<name>``.
    body : str
    motions : tuple of str
        Names that :func:`kinesis_neuro.load_motion` knows, files, or folders of motion libraries.
    keys : str
        Key file of the clips that are taken of the libraries; all if empty.
    motion_weights : tuple of float
        Weight of each entry of `motions` in the draw of episodes.
    motion_weighting : {"duration", "clip", "skill"}
        How motions share the draw, see :func:`kinesis_neuro.motion.collect.collect_motions`.
    task : ImitationConfig
    network : NetworkConfig
    ppo : PPOConfig
    n_envs : int
    total_steps : int
        Control steps of all environments together.
    seed : int
    n_threads : int
        Physics threads; 0 takes all processors.
    checkpoint_every : int
        Iterations between checkpoints.
    initial_policy : str
        Policy to start from; empty for a new one.
    experts : tuple of str
        Names or folders of policies that stay as they are: what is trained is a gate over them
        (see :mod:`kinesis_neuro.learn.mixture`), and ``network`` is the gate's.
    gate : {"hard", "soft"}
        Whether it picks one of the experts, or averages them.
    minutes : float
        Stop after this time [min] even if steps are left; 0 for no limit.
    workers : int
        Rollout workers on Ray, of `n_threads` threads each (one if 0); 0 for none: all
        environments are then stepped in this process.
    address : str
        Of their cluster: HOST:PORT; auto for the one that this machine is part of; empty for one
        of their own on this machine.
    backend : {"mujoco", "warp"}
        Whose physics: MuJoCo's on processors, or MuJoCo Warp's on `device`.
    device : str
        Where the learner computes: ``cpu``, ``cuda`` or ``cuda:1``.
    n_contacts : int
        Room for contacts of each body in MuJoCo Warp; 0 for what the body's shapes suggest.
    """

    name: str = "walk"
    body: str = "legs"
    motions: tuple[str, ...] = ("walk",)
    keys: str = ""
    motion_weights: tuple[float, ...] = ()
    motion_weighting: str = "duration"
    task: ImitationConfig = field(default_factory=ImitationConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    n_envs: int = 128
    total_steps: int = 4_000_000
    seed: int = 0
    n_threads: int = 0
    checkpoint_every: int = 50
    initial_policy: str = ""
    experts: tuple[str, ...] = ()
    gate: str = "hard"
    minutes: float = 0.0
    workers: int = 0
    address: str = ""
    backend: str = "mujoco"
    device: str = "cpu"
    n_contacts: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if self.motion_weights and len(self.motion_weights) != len(self.motions):
            raise InvalidInputError(
                f"motion_weights has {len(self.motion_weights)} entries for "
                f"{len(self.motions)} motions; give one each, or none."
            )
        if self.address and not self.workers:
            raise InvalidInputError(
                f"address={self.address!r} is of a cluster for workers; say how many (workers)."
            )
        if self.backend not in BACKENDS:
            raise unknown_name("backend", self.backend, BACKENDS)
        if self.workers and self.backend == "warp":
            raise InvalidInputError(
                "Workers step MuJoCo on processors: take the backend 'mujoco', or no workers."
            )
        if self.gate not in GATES:
            raise unknown_name("gate", self.gate, GATES)
        if self.experts and self.ppo.symmetry_weight > 0.0:
            raise InvalidInputError(
                "A gate chooses among experts and has no mirror image: leave ppo.symmetry_weight "
                "at 0, or train the experts with it."
            )
        if self.experts and self.initial_policy:
            raise InvalidInputError(
                "A gate over experts starts anew: give experts or initial_policy, not both."
            )
        if self.workers < 0:
            raise InvalidInputError(f"workers must be at least 0, got {self.workers}.")
        for name in ("n_envs", "total_steps", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} must be at least 1, got {getattr(self, name)}.")


def _student_network() -> NetworkConfig:
    return NetworkConfig(
        actor=(512, 512, 256), squash=True, initial_mean=-0.9, initial_log_std=-2.3
    )


@dataclass(frozen=True)
class DistillConfig:
    """A cloning run.

    Attributes
    ----------
    name : str
        The run's folder is ``runs/<name>``.
    teacher : str
        Name or folder of the teacher.
    teachers : tuple of str
        Several, in its place: each motion is taught by the last of them that was trained on it.
    motions, keys, motion_weights, motion_weighting
        As for training.
    network : NetworkConfig
    n_envs : int
    minutes : float
        How long [min].
    steps_per_round : int
        Control steps of all environments between bouts of learning.
    updates_per_round, minibatch : int
    memory : int
        Samples kept; the oldest are forgotten.
    learning_rate : tuple of float
        At the start and at the end; it falls along a cosine.
    teacher_rounds : int
        Rounds over which the teacher's share of the driving falls from one to zero.
    seed : int
    n_threads : int
    """

    name: str = "walk-excitation-clone"
    teacher: str = "walk"
    teachers: tuple[str, ...] = ()
    motions: tuple[str, ...] = ("walk",)
    keys: str = ""
    motion_weights: tuple[float, ...] = ()
    motion_weighting: str = "duration"
    network: NetworkConfig = field(default_factory=_student_network)
    n_envs: int = 128
    minutes: float = 6.0
    steps_per_round: int = 8
    updates_per_round: int = 6
    memory: int = 300_000
    learning_rate: tuple[float, float] = (1e-3, 5e-5)
    minibatch: int = 1024
    teacher_rounds: int = 40
    seed: int = 0
    n_threads: int = 0


_NESTED = {
    "task": ImitationConfig,
    "network": NetworkConfig,
    "ppo": PPOConfig,
    "reward": RewardWeights,
    "condition": MuscleCondition,
    "train": TrainConfig,
    "gate_network": NetworkConfig,
    "gate_ppo": PPOConfig,
}


def to_dict(config: Any) -> dict[str, Any]:
    """Nested dict of a configuration, fit for JSON."""
    return dataclasses.asdict(config)


def from_dict(cls: type, values: dict[str, Any]) -> Any:
    """Configuration from a nested dict; unknown entries are refused.

    Examples
    --------
    >>> from_dict(PPOConfig, {"epochs": 2}).epochs
    2
    """
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InvalidInputError(
            f"Unknown entries in {cls.__name__}: {', '.join(unknown)}. "
            f"Available: {', '.join(sorted(known))}."
        )
    made = {}
    for name, value in values.items():
        if name == "goal":
            rest = {k: v for k, v in value.items() if k != "kind"}
            value = from_dict(goal_config(value.get("kind", "")), rest)
        elif name in _NESTED:
            value = from_dict(_NESTED[name], value)
        made[name] = _as_tuples(value)
    return cls(**made)


def _as_tuples(value: Any) -> Any:
    """Lists, of which JSON knows no other kind, as tuples, and those within them."""
    return tuple(map(_as_tuples, value)) if isinstance(value, list | tuple) else value
