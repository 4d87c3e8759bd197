"""What the policy sees: named blocks in the root's heading frame, mirrored where asked."""

from __future__ import annotations

import copy
import functools

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.env import terms
from kinesis_neuro.env.blocks import Snapshot, block_names
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.mirror import Mirror
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.selection import Selection
from kinesis_neuro.env.simulation import Simulation
from kinesis_neuro.env.tasks.goal import Goal

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


def tracked_bodies(
    simulation: Simulation, table: ReferenceTable, motion: IntArray, frame: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Position and velocity of the tracked bodies, and of their reference at the same time.

    Sensors belong to the state before the last physics step, so the reference is taken there.

    Returns
    -------
    position, velocity, reference, reference_velocity : ndarray, shape (n, n_tracked, 3)
    """
    n, tracked = simulation.n_envs, simulation.body.tracked_index
    position = simulation.sensor("body_position").reshape(n, -1, 3)[:, tracked]
    velocity = simulation.sensor("body_velocity").reshape(n, -1, 3)[:, tracked]
    reference = table.at(motion, frame - 1)
    return position, velocity, reference.position(tracked), reference.velocity(tracked)


class Observer:
    """Makes observations of states.

    Parameters
    ----------
    table : ReferenceTable
    config : ImitationConfig
    action_channels : tuple of str
    goal : Goal, optional
        Adds its blocks to the observation.
    """

    def __init__(
        self,
        table: ReferenceTable,
        config: ImitationConfig,
        action_channels: tuple[str, ...],
        goal: Goal | None = None,
    ) -> None:
        self.table, self.config, self.goal = table, config, goal or Goal()
        self.body: Body = table.body
        self.muscles = MuscleParameters.from_model(self.body.model)
        self.names = block_names(config)
        joints = [self.body.joints[dof - 6] for dof in self.body.coupling.independent_dof[6:]]
        self._joints = joints
        self._mirror = Mirror(self.body, joints, action_channels, self.goal.images())
        self.action_order, self.action_signs = self._mirror.action
        self.mirrored_rows = _left_ahead(table)
        self.widths: dict[str, int] | None = None

    @functools.cached_property
    def image(self) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Permutation and signs of an observation's mirror image, once one has been made."""
        assert self.widths is not None
        return self._mirror.observation(self.widths)

    def mirrored(self, motion: IntArray, frame: IntArray) -> NDArray[np.bool_]:
        """Environments that are shown to the policy from the other side now."""
        if not self.config.mirror:
            return np.zeros(motion.size, dtype=bool)
        return self.mirrored_rows[self.table.at(motion, frame).rows]

    def unmirrored(self, action: FloatArray, motion: IntArray, frame: IntArray) -> FloatArray:
        """Actions in the body's own sides."""
        image = action[:, self.action_order] * self.action_signs
        return np.where(self.mirrored(motion, frame)[:, None], image, action)

    def for_actions(self, action_channels: tuple[str, ...]) -> Observer:
        """The same observer for a policy with other actions."""
        other = copy.copy(self)
        images = self.goal.images()
        other._mirror = Mirror(self.body, self._joints, action_channels, images)
        other.action_order, other.action_signs = other._mirror.action
        return other

    def observe(
        self, simulation: Simulation | Selection, motion: IntArray, frame: IntArray
    ) -> NDArray[np.float32]:
        """Observations of the bodies that are looked at, shape (n_envs, n_observations)."""
        blocks = self.blocks(simulation, motion, frame)
        if self.widths is None:
            self.widths = {k: v.shape[1] for k, v in blocks.items()}
        observation = np.concatenate(list(blocks.values()), axis=1, dtype=np.float32)
        mirrored = self.mirrored(motion, frame)
        if mirrored.any():
            order, signs = self.image
            observation[mirrored] = observation[np.ix_(mirrored, order)] * signs
        return observation

    def blocks(
        self, simulation: Simulation | Selection, motion: IntArray, frame: IntArray
    ) -> dict[str, FloatArray]:
        """Observation as named blocks, each (n_envs, width), in the root's heading frame."""
        state = Snapshot(simulation, self.table, self.config, self.muscles, motion, frame)
        # By name, so that a description with sorted keys tells their order.
        asked = dict(sorted(self.goal.blocks().items()))
        return state.blocks(self.names) | asked


def _left_ahead(table: ReferenceTable) -> NDArray[np.bool_]:
    """Rows of the reference in which the left foot is ahead of the right one."""
    right, left = (table.body.segments.index(f"talus_{side}") for side in "rl")
    apart = table.position[:, left] - table.position[:, right]
    angle = terms.heading(table.qpos[:, 3:7])
    # The body faces -y of its heading frame.
    return terms.to_local(apart, angle)[:, 1] < 0.0
