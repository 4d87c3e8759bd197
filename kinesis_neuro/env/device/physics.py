"""MuJoCo Warp's physics: many states of one body on a device, shared with torch without a copy."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from kinesis_neuro.body.models import Body
from kinesis_neuro.env.device.features import capacity, device_model, load_warp
from kinesis_neuro.env.simulation import SPEED_LIMIT
from kinesis_neuro.errors import KinesisError

_CAPACITIES = ("NEFC", "NJMAX_NNZ", "BROADPHASE", "NARROWPHASE", "CCD", "CONTACT_MATCH")


_LENDERS = 16


class CapacityError(KinesisError, RuntimeError):
    """There were more contacts or constraints than there was room for on the device."""


class WarpPhysics:
    """States of n bodies on a device.

    Parameters
    ----------
    body : Body
    n_envs : int
    device : str
        ``cpu``, ``cuda`` or ``cuda:1``.
    n_contacts : int, optional
        Room for contacts of each body, which bodies lend each other; a quarter of what its shapes
        can make if not given, or all of it where bodies are few.

    Attributes
    ----------
    time, qpos, qvel, act, ctrl, sensordata, warmstart : Tensor of float32, (n_envs[, width])
        MuJoCo Warp's own arrays. As in MuJoCo, sensors are those of the state before the step.
    wrench : Tensor, shape (n_envs, n_bodies, 6)
        Force [N] and torque [N m] on each of the model's bodies, in world axes.
    """

    def __init__(
        self, body: Body, n_envs: int, device: str = "cuda", *, n_contacts: int | None = None
    ) -> None:
        self._mjw, self._wp = load_warp()
        self.body, self.n_envs = body, n_envs
        self.device = torch.device(device)
        mujoco_model = device_model(body)
        if n_contacts is None:
            # Nobody touches the floor with everything, and room is lent; few have none to lend.
            most, _ = capacity(mujoco_model)
            n_contacts = most if n_envs < _LENDERS else most // 4
        self.n_contacts, self.n_rows = capacity(mujoco_model, n_contacts)
        self._at = self._wp.get_device(str(self.device))
        with self._wp.ScopedDevice(self._at):
            self.model = self._mjw.put_model(mujoco_model)
            # What overflows is told as an error, not printed from every thread.
            self.model.opt.warn_overflow = 0
            self.data = self._mjw.make_data(
                mujoco_model, nworld=n_envs, nconmax=self.n_contacts, njmax=self.n_rows
            )
        names = ("time", "qpos", "qvel", "act", "ctrl", "sensordata")
        self.time, self.qpos, self.qvel, self.act, self.ctrl, self.sensordata = (
            self._wp.to_torch(getattr(self.data, name)) for name in names
        )
        self.warmstart = self._wp.to_torch(self.data.qacc_warmstart)
        self.wrench = self._wp.to_torch(self.data.xfrc_applied)
        self._overflow = self._wp.to_torch(self.data.overflow)
        self.timestep = float(mujoco_model.opt.timestep)
        self._graph = None

    def advance(self) -> None:
        """Make one physics step of all bodies."""
        with self._wp.ScopedDevice(self._at):
            if not self._at.is_cuda:
                self._mjw.step(self.model, self.data)
                return
            stream = self._wp.stream_from_torch(torch.cuda.current_stream(self.device))
            with self._wp.ScopedStream(stream):
                if self._graph is None:
                    # The first step loads the kernels; from then on all of them are one launch.
                    self._mjw.step(self.model, self.data)
                    with self._wp.ScopedCapture() as capture:
                        self._mjw.step(self.model, self.data)
                    self._graph = capture.graph
                else:
                    self._wp.capture_launch(self._graph)

    def put(self, which: Tensor, qpos: Tensor, qvel: Tensor, act: Tensor) -> None:
        """Put the bodies of a mask (n_envs,) into states (n_envs, width), on the device."""
        row = which[:, None]
        for array, values in ((self.qpos, qpos), (self.qvel, qvel), (self.act, act)):
            array.copy_(torch.where(row, values.to(array.dtype), array))
        self.warmstart.masked_fill_(row, 0.0)
        self.time.masked_fill_(which, 0.0)

    def step(self) -> Tensor:
        """Make one physics step, and put diverged bodies back to where they were before.

        Returns
        -------
        Tensor of bool, shape (n_envs,)
            Bodies whose physics has diverged: non-finite or huge values.
        """
        before = [array.clone() for array in (self.qpos, self.qvel, self.act)]
        self.advance()
        total = self.qpos.sum(dim=1) + self.qvel.sum(dim=1) + self.act.sum(dim=1)
        sound = torch.isfinite(total) & (self.qvel.abs().amax(dim=1) < SPEED_LIMIT)
        row = sound[:, None]
        for array, old in zip((self.qpos, self.qvel, self.act), before, strict=True):
            array.copy_(torch.where(row, array, old))
        self.warmstart.copy_(torch.where(row, self.warmstart, 0.0))
        return ~sound

    def check_capacity(self) -> None:
        """Raise if contacts or constraints had no room in any step so far.

        Raises
        ------
        CapacityError
        """
        flags = self._mjw.OverflowType
        watched = sum(int(flags[name]) for name in _CAPACITIES)
        seen = self._overflow & watched
        if bool(seen.any()):
            at = torch.nonzero(seen)[:, 0]
            all_seen = 0
            for value in seen[at].tolist():
                all_seen |= value
            names = [name for name in _CAPACITIES if all_seen & int(flags[name])]
            raise CapacityError(
                f"Contacts or constraints had no room on the device in {at.numel()} of "
                f"{self.n_envs} environments ({', '.join(names)}): there was room for "
                f"{self.n_contacts} contacts and {self.n_rows} rows of constraints each. Give "
                f"n_contacts more than {self.n_contacts}."
            )


def device_bytes(body: Body, device: str) -> float:
    """Memory that MuJoCo Warp takes for each body on a device [bytes].

    Raises
    ------
    IncompatibleError
        If the body has a feature that MuJoCo Warp lacks, which is named.
    """
    few, more = (_bytes(WarpPhysics(body, n, device).data) for n in (_LENDERS, 2 * _LENDERS))
    return (more - few) / _LENDERS


def _bytes(holder: object) -> int:
    """Of all arrays that a dataclass of MuJoCo Warp holds, in parts of it too."""
    total = 0
    for value in vars(holder).values():
        if dataclasses.is_dataclass(value):
            total += _bytes(value)
        elif hasattr(value, "capacity"):
            total += int(value.capacity)
    return total
