"""The imitation environment on a device: physics, actuation, reward and resets, without a copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kinesis_neuro.body.actuation import action_channels
from kinesis_neuro.body.models import PHYSICS_RATE
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.env.blocks import block_names
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.device.drive import ACTUATIONS, DeviceDrive, DeviceMuscles
from kinesis_neuro.env.device.features import check_backend, refuse_missing
from kinesis_neuro.env.device.observation import BLOCKS, DeviceObserver, Seen
from kinesis_neuro.env.device.physics import WarpPhysics
from kinesis_neuro.env.device.table import DeviceTable
from kinesis_neuro.env.observation import Observer
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.tasks.goal import Goal
from kinesis_neuro.errors import IncompatibleError
from kinesis_neuro.motion.reference import ReferenceMotion


@dataclass(frozen=True, eq=False)
class DeviceStep:
    """What one control step of all environments gave, on the device.

    Attributes
    ----------
    observation : Tensor, shape (n_envs, n_observations)
        Of the state after the step; of the new episode where one ended.
    final_observation : Tensor, shape (n_envs, n_observations)
        Of the state after the step, whether the episode ended or not.
    reward, episode_time : Tensor, shape (n_envs,)
        Reward, and time since the episode's start, before any reset [s].
    terminated, truncated, diverged : Tensor of bool, shape (n_envs,)
    distance : Tensor, shape (n_envs, n_tracked)
        Distance of the tracked bodies from their reference [m].
    """

    observation: Tensor
    final_observation: Tensor
    reward: Tensor
    episode_time: Tensor
    terminated: Tensor
    truncated: Tensor
    diverged: Tensor
    distance: Tensor


def host_features(config: ImitationConfig) -> tuple[str, ...]:
    """What of a task is written for the processor alone, in words.

    Examples
    --------
    >>> host_features(ImitationConfig(actuation="least_effort", hard_starts=0.5))
    ("the actuation 'least_effort'", 'hard_starts')
    """
    parts = []
    if config.actuation not in ACTUATIONS:
        parts.append(f"the actuation {config.actuation!r}")
    parts += [f"the observation {n!r}" for n in block_names(config) if n not in BLOCKS]
    parts += [n for n in ("hard_starts", "hard_motions") if getattr(config, n) > 0.0]
    return tuple(parts)


class DeviceImitation:
    """A batch of bodies that imitate reference motions, as a whole on one device.

    The same task as :class:`kinesis_neuro.env.imitation.ImitationEnv`, in single precision; no
    value leaves the device, so that nothing waits for it.

    Parameters
    ----------
    motions : sequence of ReferenceMotion
        All on one body.
    config : ImitationConfig
    n_envs : int
    device : str
        ``cuda``, ``cuda:1`` or ``cpu``.
    seed : int
        Of the generators that draw motions and starting frames.
    table : ReferenceTable, optional
    n_contacts : int, optional
        Room for contacts of each body, see :class:`WarpPhysics`.

    Raises
    ------
    IncompatibleError
        If the task or the body has a feature that cannot be simulated there, which is named.
    MissingDependencyError
        If MuJoCo Warp or CUDA is missing.
    """

    def __init__(
        self,
        motions: Sequence[ReferenceMotion],
        config: ImitationConfig | None = None,
        *,
        n_envs: int = 1,
        device: str = "cuda",
        seed: int = 0,
        table: ReferenceTable | None = None,
        n_contacts: int | None = None,
    ) -> None:
        check_backend("warp", device)
        self.config = config = config or ImitationConfig()
        refuse_missing(config.condition, config.goal.kind)
        if parts := host_features(config):
            raise IncompatibleError(
                f"The device does not have {', '.join(parts)}. Take the backend 'mujoco', or leave "
                "that out."
            )
        table = table or ReferenceTable.build(
            motions, actuation=config.actuation, activated=config.starts_activated
        )
        self.table, self.body = table, table.body
        self.n_envs, self.device = n_envs, torch.device(device)
        self.physics = WarpPhysics(self.body, n_envs, device, n_contacts=n_contacts)
        dtype = torch.float32
        self.reference = DeviceTable.of(table, self.device, dtype)
        muscles = DeviceMuscles(MuscleParameters.from_model(self.body.model), self.device, dtype)
        self.drive = DeviceDrive(config, self.reference, muscles)
        names = block_names(config)
        self._looker = DeviceObserver(self.body, config, self.reference, muscles, names)
        self.action_channels = action_channels(self.body, config.actuation)
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator(self.device)
        self.reseed()
        self.max_steps = round(config.duration * config.control_rate)
        self.motion_weight = self.reference.length / self.reference.length.sum()
        # As many frames must be left as an episode needs.
        self._room = torch.where(self.reference.periodic, 0, config.decimation + 1)
        whole = torch.zeros((3, n_envs), dtype=torch.long, device=self.device)
        self.motion, self.frame, self.steps = whole
        self.observation = self._first_observation()
        self.n_observations = self.observation.shape[1]

    def _first_observation(self) -> Tensor:
        everyone = torch.ones(self.n_envs, dtype=torch.bool, device=self.device)
        self._restart(everyone)
        blocks = self._looker.blocks(self._seen())
        # How left and right change places follows from names and widths, as on the processor.
        widths = {name: values.shape[1] for name, values in blocks.items()}
        self.observer = host = Observer(self.table, self.config, self.action_channels, Goal())
        host.widths = widths
        order, signs = host.image
        self._order = torch.as_tensor(order, device=self.device)
        self._signs = torch.as_tensor(signs, device=self.device)
        self._action_order = torch.as_tensor(host.action_order, device=self.device)
        self._action_signs = torch.as_tensor(host.action_signs, device=self.device).float()
        self._mirrored_rows = torch.as_tensor(host.mirrored_rows, device=self.device)
        return self.observe()

    def reseed(self) -> None:
        """Seed the device's generator from this one, whose state a checkpoint can hold."""
        self.generator.manual_seed(int(self.rng.integers(2**62)))

    # -- episodes -----------------------------------------------------------------------------

    def reset(self) -> Tensor:
        """Start all episodes anew; returns observations (n_envs, n_observations)."""
        self._restart(torch.ones(self.n_envs, dtype=torch.bool, device=self.device))
        self.observation = self.observe()
        return self.observation

    def _restart(self, which: Tensor) -> None:
        """Start episodes of a mask in states of the reference, drawn for all and taken by some."""
        table, generator = self.reference, self.generator
        motion = torch.multinomial(
            self.motion_weight, self.n_envs, replacement=True, generator=generator
        )
        n_starts = (table.length - self._room)[motion]
        share = torch.rand(self.n_envs, generator=generator, device=self.device)
        frame = torch.minimum((share * n_starts).long(), n_starts - 1)
        self.start(which, motion, frame)

    def start(self, which: Tensor, motion: Tensor, frame: Tensor) -> None:
        """Put the bodies of a mask into the reference's states in these frames.

        Parameters
        ----------
        which : Tensor of bool, shape (n_envs,)
        motion, frame : Tensor of int, shape (n_envs,)
        """
        table, physics = self.reference, self.physics
        for mine, new in ((self.motion, motion), (self.frame, frame)):
            mine.copy_(torch.where(which, new, mine))
        self.steps.masked_fill_(which, 0)
        rows, shift = table.rows(motion, frame)
        qpos = torch.cat([table.qpos[rows][:, :3] + shift, table.qpos[rows][:, 3:]], dim=1)
        if table.feedforward is None or not self.config.starts_activated:
            act = torch.full_like(physics.act, 0.05)
        else:
            act = table.feedforward[rows]
        physics.put(which, qpos, table.qvel[rows], act)
        velocity = table.velocity[rows]
        blocks = {
            "muscle_length": table.muscle_length[rows],
            "muscle_velocity": table.muscle_velocity[rows],
            # One physics step back, as sensors always are.
            "body_position": table.position[rows] + shift[:, None] - velocity / PHYSICS_RATE,
            "body_orientation": table.orientation[rows],
            "body_velocity": velocity,
            "contact": torch.zeros_like(physics.sensordata[:, self.body.sensors["contact"]]),
        }
        for name, values in blocks.items():
            where = physics.sensordata[:, self.body.sensors[name]]
            where.copy_(torch.where(which[:, None], values.flatten(1), where))

    # -- stepping -----------------------------------------------------------------------------

    def step(self, action: Tensor) -> DeviceStep:
        """Advance all environments by one control step.

        Parameters
        ----------
        action : Tensor, shape (n_envs, n_actions)
            In [-1, 1]; what lies outside is clipped.
        """
        config, physics, table = self.config, self.physics, self.reference
        action = self._own_sides(action.clamp(-1.0, 1.0))
        plan = self.drive.plan(action, self.motion, self.frame)
        diverged = torch.zeros_like(self.motion, dtype=torch.bool)
        total = torch.zeros_like(physics.ctrl)
        for _ in range(config.decimation):
            sensed = (self._sensor("muscle_length"), self._sensor("muscle_velocity"))
            excitation = self.drive.excite(plan, *sensed, self.motion, self.frame)
            physics.ctrl.copy_(excitation)
            diverged |= physics.step()
            total += excitation
            self.frame += 1
        self.steps += 1
        seen = self._seen()
        distance, reward = self._looker.judge(seen, total / config.decimation, action)
        terminated = diverged | self._looker.failed(distance)
        reward = torch.where(diverged, 0.0, reward)
        distance = torch.where(diverged[:, None], config.termination_distance, distance)
        ended = ~table.periodic[self.motion] & (
            self.frame + config.decimation >= table.length[self.motion]
        )
        truncated = ~terminated & ((self.steps >= self.max_steps) | ended)
        episode_time = self.steps / config.control_rate
        # What a diverged state looks like is of no use to anybody.
        final = torch.where(diverged[:, None], 0.0, self.observe())
        done = terminated | truncated
        self._restart(done)
        self.observation = torch.where(done[:, None], self.observe(), final)
        return DeviceStep(
            self.observation,
            final,
            reward,
            episode_time,
            terminated,
            truncated,
            diverged,
            distance,
        )

    def _own_sides(self, action: Tensor) -> Tensor:
        image = action[:, self._action_order] * self._action_signs
        return torch.where(self._mirrored()[:, None], image, action)

    def _mirrored(self) -> Tensor:
        if not self.config.mirror:
            return torch.zeros_like(self.motion, dtype=torch.bool)
        return self._mirrored_rows[self.reference.rows(self.motion, self.frame)[0]]

    def _sensor(self, name: str) -> Tensor:
        return self.physics.sensordata[:, self.body.sensors[name]]

    def _seen(self) -> Seen:
        p = self.physics
        return Seen(p.qpos, p.qvel, p.act, p.sensordata, self.motion, self.frame)

    def observe(self) -> Tensor:
        """Observations of all environments, (n_envs, n_observations)."""
        plain = torch.cat(list(self._looker.blocks(self._seen()).values()), dim=1)
        image = plain[:, self._order] * self._signs
        return torch.where(self._mirrored()[:, None], image, plain)

    def observation_blocks(self) -> dict[str, NDArray]:
        """Observation as named blocks, each (n_envs, width), not mirrored, as arrays."""
        return {k: v.cpu().numpy() for k, v in self._looker.blocks(self._seen()).items()}

    # -- checkpoints --------------------------------------------------------------------------

    def _state(self) -> dict[str, Tensor]:
        p = self.physics
        mine = {"motion": self.motion, "frame": self.frame, "steps": self.steps, "time": p.time}
        names = ("qpos", "qvel", "act", "sensordata", "warmstart")
        return mine | {name: getattr(p, name) for name in names}

    def state_arrays(self) -> dict[str, NDArray]:
        """Everything that the next step depends on, but the generator, as arrays."""
        return {name: values.cpu().numpy().copy() for name, values in self._state().items()}

    def set_state_arrays(self, arrays: dict[str, NDArray]) -> None:
        """Put back what :meth:`state_arrays` gave."""
        for name, values in self._state().items():
            values.copy_(torch.as_tensor(arrays[name]))

    def check(self) -> None:
        """Raise if contacts had no room on the device; waits for it, so call it seldom.

        Raises
        ------
        CapacityError
        """
        self.physics.check_capacity()

    def close(self) -> None:
        """Nothing needs to be stopped."""
