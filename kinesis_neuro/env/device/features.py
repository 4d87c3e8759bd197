"""What the physics backends can simulate, and what is missing where they are asked for more."""

from __future__ import annotations

import copy
import importlib
from types import ModuleType
from typing import TYPE_CHECKING

import mujoco
import numpy as np

from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import (
    IncompatibleError,
    InvalidInputError,
    MissingDependencyError,
    unknown_name,
)

if TYPE_CHECKING:
    from kinesis_neuro.env.config import ImitationConfig
    from kinesis_neuro.env.device.simulation import WarpSimulation

BACKENDS = ("mujoco", "warp")
"""MuJoCo on processors, and MuJoCo Warp on a device."""

_INSTALL = "Install the extra: pip install -c constraints.txt -e '.[gpu]'."
_CONDITIONS = ("fatigue", "initial_fatigue", "strength", "deactivated", "delay", "noise")


def check_backend(backend: str, device: str) -> None:
    """Refuse a backend or a device that is not here.

    Parameters
    ----------
    backend : {"mujoco", "warp"}
    device : str
        Torch's name: ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    InvalidInputError
        If there is no such backend or kind of device.
    MissingDependencyError
        If MuJoCo Warp is not installed, or there is no CUDA where it is asked for.
    """
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    if device != "cpu" and device.split(":")[0] != "cuda":
        raise InvalidInputError(f"device must be cpu, cuda or cuda:NUMBER, got {device!r}.")
    if device != "cpu":
        _check_torch(device)
    if backend == "warp":
        _, warp = load_warp()
        if device != "cpu" and not warp.is_cuda_available():
            raise MissingDependencyError(
                f"Device {device!r} was asked for, but Warp finds no CUDA driver. Install the "
                "driver of an NVIDIA GPU, or take device cpu."
            )


def _check_torch(device: str) -> None:
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda
        what = (
            "this torch was built without CUDA: install a CUDA build first, following "
            "https://pytorch.org/get-started/locally"
            if built is None
            else f"torch (CUDA {built}) finds no GPU: install the driver of an NVIDIA GPU"
        )
        raise MissingDependencyError(
            f"Device {device!r} was asked for, but {what}. Or take device cpu."
        )
    number = int(device.split(":")[1]) if ":" in device else 0
    if number >= torch.cuda.device_count():
        raise InvalidInputError(
            f"Device {device!r} was asked for; there are {torch.cuda.device_count()} GPUs, "
            "counted from cuda:0."
        )


def load_warp() -> tuple[ModuleType, ModuleType]:
    """The modules ``mujoco_warp`` and ``warp``, which only their users need.

    Raises
    ------
    MissingDependencyError
        If they are not installed.
    """
    try:
        warp = importlib.import_module("warp")
        warp.config.log_level = warp.LOG_ERROR  # no banner, no line for each kernel
        return importlib.import_module("mujoco_warp"), warp
    except ImportError as error:
        raise MissingDependencyError(
            f"The backend 'warp' needs the packages mujoco-warp and warp-lang. {_INSTALL}"
        ) from error


def missing_features(condition: MuscleCondition, goal: str) -> tuple[str, ...]:
    """What a task asks for and MuJoCo Warp's backend cannot simulate, in words.

    Parameters
    ----------
    condition : MuscleCondition
    goal : str
        Kind of the task's goal; empty for none.

    Examples
    --------
    >>> missing_features(MuscleCondition(fatigue=1.0, noise=0.1), "")
    ("the muscles' fatigue", "the muscles' noise")
    """
    healthy = MuscleCondition()
    given = [k for k in _CONDITIONS if getattr(condition, k) != getattr(healthy, k)]
    asked = [f"the muscles' {name.replace('_', ' ')}" for name in given]
    return (*asked, *([f"the goal {goal!r}"] if goal else []))


def refuse_missing(condition: MuscleCondition, goal: str) -> None:
    """Name what MuJoCo Warp's backend cannot simulate of a task, as an error.

    Raises
    ------
    IncompatibleError
    """
    if missing := missing_features(condition, goal):
        raise IncompatibleError(
            f"The backend 'warp' cannot simulate {', '.join(missing)}. Take the backend 'mujoco', "
            "or leave that out."
        )


def warp_simulation(
    config: ImitationConfig, body: Body, n_envs: int, device: str
) -> WarpSimulation:
    """The simulation of a task by MuJoCo Warp.

    Raises
    ------
    IncompatibleError
        If the task or the body has a feature that it lacks, which is named.
    """
    # Imported here: it loads torch.
    from kinesis_neuro.env.device.simulation import WarpSimulation

    refuse_missing(config.condition, config.goal.kind)
    return WarpSimulation(body, n_envs, device)


def device_model(body: Body) -> mujoco.MjModel:
    """The body's model as MuJoCo Warp takes it.

    Warp never puts a diverged state back to the start, so the flag that forbids it is dropped.

    Raises
    ------
    IncompatibleError
        If the body has a feature that MuJoCo Warp lacks, which is named.
    """
    mjw, _ = load_warp()
    model = copy.copy(body.model)
    model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    try:
        mjw.put_model(model)
    except (NotImplementedError, ValueError) as error:
        raise IncompatibleError(
            f"The backend 'warp' cannot simulate the body {body.name!r}: {error} "
            "Take the backend 'mujoco'."
        ) from error
    return model


def capacity(model: mujoco.MjModel, n_contacts: int | None = None) -> tuple[int, int]:
    """Contacts of one body at most, and rows of its constraints.

    Every geom that may touch another one does so at once, at as many points as MuJoCo makes for
    its shape; every joint stands at its limit.

    Parameters
    ----------
    model : mujoco.MjModel
    n_contacts : int, optional
        Contacts to make rows for, in place of the greatest number.

    Returns
    -------
    n_contacts, n_rows : int
    """
    geom = mujoco.mjtGeom
    points = {geom.mjGEOM_SPHERE: 1, geom.mjGEOM_ELLIPSOID: 1, geom.mjGEOM_CAPSULE: 2}
    meets = (model.geom_contype > 0) | (model.geom_conaffinity > 0)
    moving = np.flatnonzero(meets & (model.geom_type != geom.mjGEOM_PLANE))
    on_floor = sum(points.get(kind, 4) for kind in model.geom_type[moving])
    # Beside the floor, what lies next to each other: pairs by name, and one more for each geom.
    most = on_floor + 4 * model.npair + 2 * moving.size
    n_contacts = most if n_contacts is None else min(n_contacts, most)
    limits = int(model.jnt_limited.sum() + model.tendon_limited.sum())
    equalities = 6 * int((model.eq_type != mujoco.mjtEq.mjEQ_JOINT).sum()) + model.neq
    friction = int((model.dof_frictionloss > 0).sum() + (model.tendon_frictionloss > 0).sum())
    condim = int(model.geom_condim.max())
    per_contact = 1 if condim == 1 else 2 * (condim - 1)  # of a pyramid
    return n_contacts, equalities + limits + friction + per_contact * n_contacts
