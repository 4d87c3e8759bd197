"""Observations, rewards and failures on a device; formulas and blocks are those of the processor's.

See :mod:`kinesis_neuro.env.blocks` and :mod:`kinesis_neuro.env.terms`; the tests hold both to the
same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinesis_neuro.body.models import Body
from kinesis_neuro.env.blocks import DEFAULT, MUSCLES
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.device.drive import DeviceMuscles
from kinesis_neuro.env.device.table import DeviceTable
from kinesis_neuro.env.posture import Posture

BLOCKS = (*DEFAULT, *MUSCLES)
"""What is observed on a device."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a task looks at: states after a physics step, and sensors from before it.

    Attributes
    ----------
    qpos, qvel, act : Tensor, shape (n_envs, width)
    sensors : Tensor, shape (n_envs, n_sensors)
    motion, frame : Tensor of int, shape (n_envs,)
    """

    qpos: Tensor
    qvel: Tensor
    act: Tensor
    sensors: Tensor
    motion: Tensor
    frame: Tensor


def heading(quaternion: Tensor) -> Tensor:
    """Angle of the root about the vertical [rad], (n,), from quaternions (n, 4)."""
    w, x, y, z = quaternion.unbind(-1)
    return torch.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def to_local(vectors: Tensor, angle: Tensor) -> Tensor:
    """Turn world vectors (n, k, 3) by minus the heading (n,); returns (n, 3 k)."""
    c, s = angle.cos()[:, None], angle.sin()[:, None]
    x, y, z = vectors.unbind(-1)
    return torch.stack([c * x + s * y, c * y - s * x, z], dim=-1).flatten(1)


def up_vector(quaternion: Tensor) -> Tensor:
    """The world's vertical in the root's frame, (n, 3)."""
    w, x, y, z = quaternion.unbind(-1)
    return torch.stack(
        [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)], dim=-1
    )


class DeviceObserver:
    """Looks at states: blocks of the observation, reward, distance from the reference.

    Parameters
    ----------
    body : Body
    config : ImitationConfig
    table : DeviceTable
    muscles : DeviceMuscles
    names : tuple of str
        Blocks, of :data:`BLOCKS`.
    """

    def __init__(
        self,
        body: Body,
        config: ImitationConfig,
        table: DeviceTable,
        muscles: DeviceMuscles,
        names: tuple[str, ...],
    ) -> None:
        self.body, self.config, self.table, self.muscles = body, config, table, muscles
        self.names = names
        device = table.start.device
        self._tracked = torch.as_tensor(body.tracked_index, device=device)
        independent = torch.as_tensor(body.coupling.independent_dof[6:], device=device)
        self._joint_qpos, self._joint_qvel = independent + 1, independent
        self._postures = [
            (one, torch.as_tensor(one.columns, dtype=torch.long, device=device))
            for one in Posture.of(body, config.reward)
        ]

    def sensor(self, seen: Seen, name: str) -> Tensor:
        """A block of the sensors, shape (n_envs, width)."""
        return seen.sensors[:, self.body.sensors[name]]

    def _vectors(self, seen: Seen, name: str) -> Tensor:
        return self.sensor(seen, name).unflatten(1, (-1, 3))[:, self._tracked]

    def blocks(self, seen: Seen) -> dict[str, Tensor]:
        """Blocks of the observation by name, each (n_envs, width), not mirrored."""
        table, config = self.table, self.config
        qpos, qvel = seen.qpos, seen.qvel
        angle = heading(qpos[:, 3:7])
        position, velocity = (self._vectors(seen, f"body_{k}") for k in ("position", "velocity"))
        rows, shift = table.rows(seen.motion, seen.frame - 1 + config.decimation)
        ahead = table.position[rows][:, self._tracked] + shift[:, None]
        turn = heading(table.qpos[rows][:, 3:7]) - angle
        force = self.sensor(seen, "contact").unflatten(1, (len(self.body.contacts), -1))[..., 1:4]
        made = {
            "root_height": qpos[:, 2:3],
            "root_up": up_vector(qpos[:, 3:7]),
            "root_velocity": to_local(qvel[:, None, :3], angle),
            "root_angular_velocity": qvel[:, 3:6],
            "joint_position": qpos[:, self._joint_qpos],
            "joint_velocity": 0.1 * qvel[:, self._joint_qvel],
            "body_position": to_local(position[:, 1:] - position[:, :1], angle),
            "body_velocity": to_local(velocity, angle),
            "activation": seen.act,
            "contact": force.norm(dim=-1) / self.body.weight,
            "reference_heading": torch.stack([turn.sin(), turn.cos()], dim=-1),
            "position_difference": 5.0 * to_local(ahead - position, angle),
            "velocity_difference": to_local(
                table.velocity[rows][:, self._tracked] - velocity, angle
            ),
            "reference_position": to_local(ahead - position[:, :1], angle),
            "muscle_length": self.muscles.normalized_length(self.sensor(seen, "muscle_length")),
            "muscle_velocity": self.muscles.normalized_velocity(
                self.sensor(seen, "muscle_velocity")
            ),
        }
        chosen: dict[str, Tensor] = {}
        for name in self.names:
            chosen |= self._joints(seen) if name == "reference_joints" else {name: made[name]}
        return chosen

    def _joints(self, seen: Seen) -> dict[str, Tensor]:
        table, made = self.table, {}
        for ahead in self.config.lookahead:
            rows, _ = table.rows(seen.motion, seen.frame + ahead * self.config.decimation)
            made[f"reference_joint_position_{ahead}"] = table.qpos[rows][:, self._joint_qpos]
            made[f"reference_joint_velocity_{ahead}"] = 0.1 * table.qvel[rows][:, self._joint_qvel]
        return made

    def judge(self, seen: Seen, excitation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Distance of the tracked bodies from their reference [m], and reward.

        Parameters
        ----------
        seen : Seen
        excitation : Tensor, shape (n_envs, n_muscles)
            Mean over the control step.
        action : Tensor, shape (n_envs, n_actions)

        Returns
        -------
        distance : Tensor, shape (n_envs, n_tracked)
        reward : Tensor, shape (n_envs,)
        """
        table, w = self.table, self.config.reward
        # Sensors belong to the state before the last physics step.
        rows, shift = table.rows(seen.motion, seen.frame - 1)
        position, velocity = (self._vectors(seen, f"body_{k}") for k in ("position", "velocity"))
        reference = table.position[rows][:, self._tracked] + shift[:, None]
        distance = (position - reference).norm(dim=-1)
        faster = velocity - table.velocity[rows][:, self._tracked]
        speed = faster.square().sum(dim=-1).mean(dim=1)
        up = up_vector(seen.qpos[:, 3:7])
        tilt = torch.atan2(up[:, :2], up[:, 2:])
        effort = excitation.abs().sum(dim=1) + excitation.square().sum(dim=1).sqrt()
        reward = w.position * torch.exp(-w.k_position * distance.square().mean(dim=1))
        reward = reward + w.velocity * torch.exp(-w.k_velocity * speed)
        reward = reward + w.upright * torch.exp(-w.k_upright * tilt.square().sum(dim=1))
        reward = reward + w.energy * torch.exp(-w.k_energy * effort)
        if w.restraint:
            reward = reward + w.restraint * torch.exp(-5.0 * action.square().mean(dim=1))
        for one, columns in self._postures:
            now, _ = table.rows(seen.motion, seen.frame)
            apart = seen.qpos[:, columns] - table.qpos[now][:, columns]
            reward = reward + one.weight * torch.exp(-one.scale * apart.square().mean(dim=1))
        return distance, reward

    def failed(self, distance: Tensor) -> Tensor:
        """Whether bodies have lost their reference, from distances (n_envs, n_tracked)."""
        if self.config.termination_rule == "any":
            measure = distance.amax(dim=1)
        else:
            measure = distance.mean(dim=1)
        return ~(measure <= self.config.termination_distance)
