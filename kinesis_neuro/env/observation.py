"""What the policy sees: named blocks in the root's heading frame, mirrored where asked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.env import terms
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.mirror import Mirror
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.simulation import Simulation

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
    rows, shift = table.rows(motion, frame - 1)
    reference = table.position[rows][:, tracked] + shift[:, None]
    return position, velocity, reference, table.velocity[rows][:, tracked]


class Observer:
    """Makes observations of states.

    Parameters
    ----------
    table : ReferenceTable
    config : ImitationConfig
    action_channels : tuple of str
    """

    def __init__(
        self, table: ReferenceTable, config: ImitationConfig, action_channels: tuple[str, ...]
    ) -> None:
        self.table, self.config = table, config
        self.body: Body = table.body
        self.muscles = MuscleParameters.from_model(self.body.model)
        independent = self.body.coupling.independent_dof[6:]
        self._joint_qpos, self._joint_qvel = independent + 1, independent
        joints = [self.body.joints[dof - 6] for dof in independent]
        self._mirror = Mirror(self.body, joints, action_channels)
        self.action_order, self.action_signs = self._mirror.action
        self._mirrored_rows = _left_ahead(table)
        self._image: tuple[NDArray[np.intp], NDArray[np.float32]] | None = None

    def mirrored(self, motion: IntArray, frame: IntArray) -> NDArray[np.bool_]:
        """Environments that are shown to the policy from the other side now."""
        if not self.config.mirror:
            return np.zeros(motion.size, dtype=bool)
        rows, _ = self.table.rows(motion, frame)
        return self._mirrored_rows[rows]

    def unmirrored(self, action: FloatArray, motion: IntArray, frame: IntArray) -> FloatArray:
        """Actions in the body's own sides."""
        image = action[:, self.action_order] * self.action_signs
        return np.where(self.mirrored(motion, frame)[:, None], image, action)

    def observe(
        self, simulation: Simulation, motion: IntArray, frame: IntArray
    ) -> NDArray[np.float32]:
        """Observations of all environments, shape (n_envs, n_observations)."""
        blocks = self.blocks(simulation, motion, frame)
        if self._image is None:
            self._image = self._mirror.observation({k: v.shape[1] for k, v in blocks.items()})
        observation = np.concatenate(list(blocks.values()), axis=1, dtype=np.float32)
        mirrored = self.mirrored(motion, frame)
        if mirrored.any():
            order, signs = self._image
            observation[mirrored] = observation[np.ix_(mirrored, order)] * signs
        return observation

    def blocks(
        self, simulation: Simulation, motion: IntArray, frame: IntArray
    ) -> dict[str, FloatArray]:
        """Observation as named blocks, each (n_envs, width), in the root's heading frame."""
        table, config, n = self.table, self.config, simulation.n_envs
        tracked = self.body.tracked_index
        qpos, qvel = simulation.qpos, simulation.qvel
        angle = terms.heading(qpos[:, 3:7])
        position, velocity, _, _ = tracked_bodies(simulation, table, motion, frame)
        # Everything that is sensed is one physics step older than qpos: so is the root here.
        root = position[:, :1]
        next_rows, next_shift = table.rows(motion, frame - 1 + config.decimation)
        next_position = table.position[next_rows][:, tracked] + next_shift[:, None]
        next_velocity = table.velocity[next_rows][:, tracked]
        next_root = table.qpos[next_rows]
        turn = terms.heading(next_root[:, 3:7]) - angle
        contact = simulation.sensor("contact").reshape(n, len(self.body.contacts), -1)
        blocks = {
            "root_height": qpos[:, 2:3],
            "root_up": terms.up_vector(qpos[:, 3:7]),
            "root_velocity": terms.to_local(qvel[:, None, :3], angle)[:, 0],
            "root_angular_velocity": qvel[:, 3:6],
            "joint_position": qpos[:, self._joint_qpos],
            "joint_velocity": 0.1 * qvel[:, self._joint_qvel],
            "body_position": terms.to_local(position[:, 1:] - root, angle).reshape(n, -1),
            "body_velocity": terms.to_local(velocity, angle).reshape(n, -1),
            "activation": simulation.activation,
            "contact": np.linalg.norm(contact[..., 1:4], axis=-1) / self.body.weight,
            "reference_heading": np.stack([np.sin(turn), np.cos(turn)], axis=-1),
            "position_difference": 5.0
            * terms.to_local(next_position - position, angle).reshape(n, -1),
            "velocity_difference": terms.to_local(next_velocity - velocity, angle).reshape(n, -1),
            "reference_position": terms.to_local(next_position - root, angle).reshape(n, -1),
        }
        for ahead in config.lookahead:
            rows, _ = table.rows(motion, frame + ahead * config.decimation)
            blocks[f"reference_joint_position_{ahead}"] = table.qpos[rows][:, self._joint_qpos]
            blocks[f"reference_joint_velocity_{ahead}"] = (
                0.1 * table.qvel[rows][:, self._joint_qvel]
            )
        if config.observe_muscles:
            blocks["muscle_length"] = self.muscles.normalized_length(
                simulation.sensor("muscle_length")
            )
            blocks["muscle_velocity"] = self.muscles.normalized_velocity(
                simulation.sensor("muscle_velocity")
            )
        return blocks


def _left_ahead(table: ReferenceTable) -> NDArray[np.bool_]:
    """Rows of the reference in which the left foot is ahead of the right one."""
    right, left = (table.body.segments.index(f"talus_{side}") for side in "rl")
    apart = table.position[:, left] - table.position[:, right]
    angle = terms.heading(table.qpos[:, 3:7])
    # The body faces -y of its heading frame.
    return terms.to_local(apart, angle)[:, 1] < 0.0
