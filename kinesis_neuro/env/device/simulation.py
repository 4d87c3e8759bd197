"""The interface of :class:`kinesis_neuro.env.simulation.Simulation`, with MuJoCo Warp behind it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kinesis_neuro.body.models import Body
from kinesis_neuro.env.device.physics import WarpPhysics
from kinesis_neuro.env.simulation import Simulation

FloatArray = NDArray[np.float64]


class WarpSimulation(Simulation):
    """States of n bodies, stepped by MuJoCo Warp in single precision.

    States and sensors are copied from the device and back in every step, so that whatever knows a
    simulation can use it; training copies nothing, see
    :class:`kinesis_neuro.env.device.imitation.DeviceImitation`.

    Parameters
    ----------
    body : Body
    n_envs : int
    device : str
        ``cpu``, ``cuda`` or ``cuda:1``.
    n_contacts : int, optional
        See :class:`WarpPhysics`.
    """

    def __init__(
        self, body: Body, n_envs: int, device: str = "cpu", *, n_contacts: int | None = None
    ) -> None:
        self._device, self._n_contacts = device, n_contacts
        super().__init__(body, n_envs, 1)

    def _take_threads(self) -> None:
        self.physics = WarpPhysics(
            self.body, self.n_envs, self._device, n_contacts=self._n_contacts
        )

    def lanes(self) -> list[tuple[slice, Simulation]]:
        """None: the device steps all bodies together."""
        return []

    def _roll(self, excitation: FloatArray, wrench: FloatArray | None) -> None:
        physics = self.physics
        physics.qpos.copy_(torch.from_numpy(self.qpos))
        physics.qvel.copy_(torch.from_numpy(self.qvel))
        physics.act.copy_(torch.from_numpy(self.activation))
        physics.warmstart.copy_(torch.from_numpy(self._acceleration))
        physics.ctrl.copy_(torch.from_numpy(excitation))
        if wrench is not None:
            pelvis = self.model.body("pelvis").id
            physics.wrench[:, pelvis] = torch.from_numpy(wrench).to(physics.wrench)
        physics.advance()
        if wrench is not None:
            physics.wrench.zero_()
        physics.check_capacity()
        new = self._next[:, 0]
        new[:, 0] = self.time + self.model.opt.timestep
        parts = {"qpos": physics.qpos, "qvel": physics.qvel, "act": physics.act}
        for name, values in parts.items():
            new[:, self._where[name]] = _host(values)
        self._sensed[:, 0] = _host(physics.sensordata)

    def close(self) -> None:
        """Nothing needs to be stopped."""


def _host(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.cpu().numpy()
    return array
