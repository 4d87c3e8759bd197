"""Blocks of the observation by name: what of body and reference a policy may be shown.

Everything is in the root's heading frame, so that nothing depends on where the body walks to. What
is sensed is one physics step older than positions and activations (see
:mod:`kinesis_neuro.env.simulation`), and so is the root that it is taken relative to.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.env import terms
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.reference_table import Placed, ReferenceTable
from kinesis_neuro.env.selection import Selection
from kinesis_neuro.env.simulation import Simulation
from kinesis_neuro.errors import InvalidInputError, unknown_name

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

DEFAULT = (
    *("root_height", "root_up", "root_velocity", "root_angular_velocity"),
    *("joint_position", "joint_velocity", "body_position", "body_velocity"),
    *("activation", "contact", "reference_heading"),
    *("position_difference", "velocity_difference", "reference_position", "reference_joints"),
)
"""What a policy observes if nothing else is asked for."""

MUSCLES = ("muscle_length", "muscle_velocity")
"""What ``observe_muscles`` adds."""

KINESIS = (
    *("root_height", "root_tilt", "local_body_pos", "local_body_rot", "local_body_vel"),
    *("feet_contacts", "diff_local_body_pos", "diff_local_vel", "local_ref_body_pos"),
)
"""KINESIS's inputs of body and task, by its names; ``kinesis`` stands for all of them."""

ALIASES = {
    "feet_contacts": "contact",
    "diff_local_body_pos": "position_difference",
    "diff_local_vel": "velocity_difference",
    "local_ref_body_pos": "reference_position",
    "muscle_len": "muscle_length",
    "muscle_vel": "muscle_velocity",
}
"""KINESIS's names of what has another one here (the same up to scale)."""

_FURTHER = (*MUSCLES, "muscle_force", "root_tilt", "fatigued")
_LOCAL = ("local_body_pos", "local_body_rot", "local_body_vel")
AVAILABLE = (*DEFAULT, *_FURTHER, *_LOCAL)

# Segments have no sensor of angular velocity here.
_HINTS = {"local_body_ang_vel": "root_angular_velocity and joint_velocity hold the same"}


def block_names(config: ImitationConfig) -> tuple[str, ...]:
    """Names of the blocks that a task's policy observes, in order, without aliases.

    Raises
    ------
    InvalidInputError
        If there is no such block, or one twice.

    Examples
    --------
    >>> block_names(ImitationConfig(observations=("kinesis", "activation")))[-2:]
    ('reference_position', 'activation')
    """
    asked = config.observations or DEFAULT
    names: list[str] = []
    for name in asked:
        names += KINESIS if name == "kinesis" else [name]
    names = [ALIASES.get(name, name) for name in names]
    names += [name for name in MUSCLES if config.observe_muscles and name not in names]
    for name in names:
        if name in _HINTS:
            raise InvalidInputError(f"There is no observation {name!r}: {_HINTS[name]}.")
        if name not in AVAILABLE:
            raise unknown_name("observation", name, [*AVAILABLE, *ALIASES, "kinesis"])
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInputError(f"Observations given twice: {', '.join(twice)}.")
    return tuple(names)


def own_blocks(config: ImitationConfig) -> list[str]:
    """Names of the blocks of imitation itself, in order, as observations have them.

    Examples
    --------
    >>> own_blocks(ImitationConfig(observations=("contact", "reference_joints"), lookahead=(2,)))
    ['contact', 'reference_joint_position_2', 'reference_joint_velocity_2']
    """
    names: list[str] = []
    for name in block_names(config):
        if name == "reference_joints":
            kinds = ("reference_joint_position", "reference_joint_velocity")
            names += [f"{kind}_{ahead}" for ahead in config.lookahead for kind in kinds]
        else:
            names.append(name)
    return names


def in_order(config: ImitationConfig, widths: Mapping[str, int]) -> dict[str, int]:
    """Widths of a task's blocks in the order in which they are observed: a goal's come last.

    Parameters
    ----------
    config : ImitationConfig
    widths : mapping of str to int
        In any order, as a file with sorted keys has them.

    Examples
    --------
    >>> in_order(ImitationConfig(), {"goal": 2, "contact": 4, "activation": 80})
    {'activation': 80, 'contact': 4, 'goal': 2}
    """
    own = {name: widths[name] for name in own_blocks(config) if name in widths}
    return own | {name: widths[name] for name in sorted(widths) if name not in own}


class Snapshot:
    """One state of all environments, from which blocks are made as they are asked for.

    Parameters
    ----------
    simulation : Simulation or Selection
    table : ReferenceTable
    config : ImitationConfig
    muscles : MuscleParameters
    motion, frame : ndarray of int, shape (n_envs,)
    """

    def __init__(
        self,
        simulation: Simulation | Selection,
        table: ReferenceTable,
        config: ImitationConfig,
        muscles: MuscleParameters,
        motion: IntArray,
        frame: IntArray,
    ) -> None:
        self.simulation, self.table, self.config, self.muscles = simulation, table, config, muscles
        self.motion, self.frame = motion, frame
        self.body: Body = table.body
        self.n = simulation.n_envs
        self.angle = terms.heading(simulation.qpos[:, 3:7])
        independent = self.body.coupling.independent_dof[6:]
        self._joint_qpos, self._joint_qvel = independent + 1, independent

    def blocks(self, names: tuple[str, ...]) -> dict[str, FloatArray]:
        """Blocks by name, each (n_envs, width)."""
        made: dict[str, FloatArray] = {}
        for name in names:
            if name == "reference_joints":
                made |= self._reference_joints()
            else:
                block: Callable[[], FloatArray] = getattr(self, f"_{name}")
                made[name] = block()
        return made

    # -- what several blocks share ------------------------------------------------------------

    def _local(self, vectors: FloatArray) -> FloatArray:
        return terms.to_local(vectors, self.angle).reshape(self.n, -1)

    @functools.cached_property
    def _segments(self) -> FloatArray:
        return self.simulation.sensor("body_position").reshape(self.n, -1, 3)

    @functools.cached_property
    def _speeds(self) -> FloatArray:
        return self.simulation.sensor("body_velocity").reshape(self.n, -1, 3)

    @functools.cached_property
    def _tracked(self) -> FloatArray:
        return self._segments[:, self.body.tracked_index]

    @functools.cached_property
    def _next(self) -> Placed:
        """The reference one control step ahead."""
        return self.table.at(self.motion, self.frame - 1 + self.config.decimation)

    @functools.cached_property
    def _next_position(self) -> FloatArray:
        return self._next.position(self.body.tracked_index)

    # -- the body -----------------------------------------------------------------------------

    def _root_height(self) -> FloatArray:
        return self.simulation.qpos[:, 2:3]

    def _root_up(self) -> FloatArray:
        return terms.up_vector(self.simulation.qpos[:, 3:7])

    def _root_tilt(self) -> FloatArray:
        """Cosine and sine of the tilt to the side, and of that to the front."""
        up = self._root_up()
        tilt = np.arctan2(up[:, :2], up[:, 2:])
        return np.stack([np.cos(tilt), np.sin(tilt)], axis=-1).reshape(self.n, 4)

    def _root_velocity(self) -> FloatArray:
        return self._local(self.simulation.qvel[:, None, :3])

    def _root_angular_velocity(self) -> FloatArray:
        return self.simulation.qvel[:, 3:6]

    def _joint_position(self) -> FloatArray:
        return self.simulation.qpos[:, self._joint_qpos]

    def _joint_velocity(self) -> FloatArray:
        return 0.1 * self.simulation.qvel[:, self._joint_qvel]

    def _body_position(self) -> FloatArray:
        return self._local(self._tracked[:, 1:] - self._tracked[:, :1])

    def _body_velocity(self) -> FloatArray:
        return self._local(self._speeds[:, self.body.tracked_index])

    def _local_body_pos(self) -> FloatArray:
        """Of all segments but the root, relative to it."""
        return self._local(np.delete(self._segments, self._root, 1) - self._tracked[:, :1])

    def _local_body_vel(self) -> FloatArray:
        return self._local(self._speeds)

    def _local_body_rot(self) -> FloatArray:
        """First and third axis of every segment."""
        w, x, y, z = np.moveaxis(
            self.simulation.sensor("body_orientation").reshape(self.n, -1, 4), -1, 0
        )
        first = [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)]
        third = [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)]
        axes = np.stack([np.stack(first, axis=-1), np.stack(third, axis=-1)], axis=2)
        return self._local(axes)

    @property
    def _root(self) -> int:
        return self.body.segments.index(self.body.tracked_bodies[0])

    def _contact(self) -> FloatArray:
        force = self.simulation.sensor("contact").reshape(self.n, len(self.body.contacts), -1)
        return np.linalg.norm(force[..., 1:4], axis=-1) / self.body.weight

    # -- the muscles --------------------------------------------------------------------------

    def _activation(self) -> FloatArray:
        return self.simulation.activation

    def _muscle_length(self) -> FloatArray:
        return self.muscles.normalized_length(self.simulation.sensor("muscle_length"))

    def _muscle_velocity(self) -> FloatArray:
        return self.muscles.normalized_velocity(self.simulation.sensor("muscle_velocity"))

    def _muscle_force(self) -> FloatArray:
        """In units of the healthy peak force."""
        sensor = self.simulation.sensor
        length, velocity = sensor("muscle_length"), sensor("muscle_velocity")
        own = MuscleParameters.from_model(self.simulation.model)
        return own.force(self.simulation.activation, length, velocity) / self.muscles.peak_force

    def _fatigued(self) -> FloatArray:
        if not self.config.condition.tires:
            raise InvalidInputError(
                "The observation 'fatigued' needs muscles that tire: give the task a condition "
                "with fatigue."
            )
        return self.simulation.fatigued

    # -- the reference ------------------------------------------------------------------------

    def _reference_heading(self) -> FloatArray:
        turn = self._next.heading() - self.angle
        return np.stack([np.sin(turn), np.cos(turn)], axis=-1)

    def _position_difference(self) -> FloatArray:
        return 5.0 * self._local(self._next_position - self._tracked)

    def _velocity_difference(self) -> FloatArray:
        tracked = self.body.tracked_index
        return self._local(self._next.velocity(tracked) - self._speeds[:, tracked])

    def _reference_position(self) -> FloatArray:
        return self._local(self._next_position - self._tracked[:, :1])

    def _reference_joints(self) -> dict[str, FloatArray]:
        table, made = self.table, {}
        for ahead in self.config.lookahead:
            then = table.at(self.motion, self.frame + ahead * self.config.decimation)
            position, velocity = then.of(table.qpos), then.rate_of(table.qvel)
            made[f"reference_joint_position_{ahead}"] = position[:, self._joint_qpos]
            made[f"reference_joint_velocity_{ahead}"] = 0.1 * velocity[:, self._joint_qvel]
        return made
