"""What is timed on a device: physics alone, environment, and training."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from kinesis_neuro.env.device.imitation import DeviceImitation
from kinesis_neuro.errors import InvalidInputError

if TYPE_CHECKING:
    from kinesis_neuro.learn.trainer import Trainer

_TAKE = 8  # control steps between two looks at the clock


class DeviceRows:
    """Rows of a trainer whose environments are on a device.

    Parameters
    ----------
    trainer : Trainer

    Raises
    ------
    InvalidInputError
        If the task is of the kind whose reward and observations stay on the processor.
    """

    def __init__(self, trainer: Trainer) -> None:
        env = trainer.env
        if not isinstance(env, DeviceImitation):
            raise InvalidInputError(
                f"The actuation {trainer.config.task.actuation!r} is not on a device as a whole; "
                "measure 'moment' or 'excitation'."
            )
        self.trainer, self.env = trainer, env
        self._generator = torch.Generator(env.device).manual_seed(0)
        for work in self.works().values():
            work()  # kernels are loaded, and launches recorded, by the first call
        self.memory = self._memory()

    def _wait(self) -> None:
        if self.env.device.type == "cuda":
            torch.cuda.synchronize(self.env.device)

    def _memory(self) -> int:
        """Bytes on the device for each environment; 0 where torch and Warp share the processor."""
        if self.env.device.type != "cuda":
            return 0
        free, total = torch.cuda.mem_get_info(self.env.device)
        return int((total - free) // self.env.n_envs)

    def play_physics(self) -> int:
        """Physics alone, with muscles as they are."""
        for _ in range(_TAKE * self.env.config.decimation):
            self.env.physics.step()
        self._wait()
        self.env.reset()
        return _TAKE * self.env.n_envs

    def play_actions(self) -> int:
        """The environment, with small random actions."""
        env = self.env
        shape = (env.n_envs, len(env.action_channels))
        for _ in range(_TAKE):
            env.step(0.2 * torch.randn(shape, generator=self._generator, device=env.device))
        self._wait()
        env.check()
        return _TAKE * env.n_envs

    def learn(self) -> int:
        """One iteration of training."""
        before = self.trainer.steps
        self.trainer.iterate()
        self._wait()
        return self.trainer.steps - before

    def works(self) -> dict[str, Callable[[], int]]:
        """All of these by name; each returns how many control steps it made."""
        return {
            "raw limit": self.play_physics,
            "environment": self.play_actions,
            "training": self.learn,
        }
