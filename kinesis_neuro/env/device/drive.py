"""From actions to excitations on a device: the actuations ``excitation`` and ``moment``.

The formulas are those of :mod:`kinesis_neuro.body.actuation`, :mod:`kinesis_neuro.body.muscle` and
:mod:`kinesis_neuro.body.effort`, and the tests hold them to the same numbers. Nothing here waits
for the device: no value decides what Python does next.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from kinesis_neuro.body.effort import REGULARIZATION
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.device.table import DeviceTable

ACTUATIONS = ("excitation", "moment")
"""What is driven on a device."""

_NEWTON_STEPS = 12
_TOLERANCE = 1e-4
_HALVINGS = 8
_DESCENT = 1e-4


class DeviceMuscles:
    """Force for each unit of activation, of all muscles.

    Parameters
    ----------
    muscles : MuscleParameters
    device : torch.device
    dtype : torch.dtype
    """

    def __init__(self, muscles: MuscleParameters, device: torch.device, dtype: torch.dtype) -> None:
        self._p = {
            field.name: torch.as_tensor(getattr(muscles, field.name), dtype=dtype, device=device)
            for field in dataclasses.fields(muscles)
            if field.name != "passive"
        }
        self.peak_force = self._p["peak_force"]

    def normalized_length(self, length: Tensor) -> Tensor:
        """Fibre length in optimal lengths [1] from musculotendon length [m]."""
        return (length - self._p["tendon_slack_length"]) / self._p["optimal_length"]

    def normalized_velocity(self, velocity: Tensor) -> Tensor:
        """Fibre velocity in units of ``vmax`` [1] from musculotendon velocity [m/s]."""
        return velocity / (self._p["optimal_length"] * self._p["vmax"])

    def gain(self, length: Tensor, velocity: Tensor) -> Tensor:
        """Force for each unit of activation [N], negative (mju_muscleGain)."""
        return -self.peak_force * self._force_length(length) * self._force_velocity(velocity)

    def _force_length(self, length: Tensor) -> Tensor:
        x, low, high = self.normalized_length(length), self._p["lmin"], self._p["lmax"]
        rising = x <= 1.0
        half = torch.where(rising, 0.5 * (1.0 - low), 0.5 * (high - 1.0)).clamp(min=1e-15)
        foot = torch.where(rising, x - low, high - x) / half
        peak = (1.0 - x).abs() / half
        curve = torch.where(foot <= 1.0, 0.5 * foot * foot, 1.0 - 0.5 * peak * peak)
        return torch.where((x >= low) & (x <= high), curve, 0.0)

    def _force_velocity(self, velocity: Tensor) -> Tensor:
        v, fvmax = self.normalized_velocity(velocity), self._p["fvmax"]
        y = fvmax - 1.0
        shortening = (v.clamp(-1.0, 0.0) + 1.0).square()
        lengthening = fvmax - (y - torch.minimum(v, y)).square() / y.clamp(min=1e-15)
        return torch.where(v <= 0.0, shortening, lengthening)


def moment_control(action: Tensor, matrix: Tensor, feedforward: Tensor) -> Tensor:
    """Change of excitations that makes the asked moments with least effort, within bounds.

    See :func:`kinesis_neuro.body.effort.moment_control`. Rows that are done stay where they are
    while the others go on, for a fixed number of steps.

    Parameters
    ----------
    action : Tensor, shape (n, n_joints)
        In units of the moment scale.
    matrix : Tensor, shape (n, n_joints, n_muscles)
    feedforward : Tensor, shape (n, n_muscles)
        In [0, 1].

    Returns
    -------
    Tensor, shape (n, n_muscles)
    """
    transposed = matrix.mT
    identity = REGULARIZATION * torch.eye(action.shape[1], dtype=matrix.dtype, device=matrix.device)
    wanted, target = feedforward[..., None], action[..., None]

    def at(places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Change, slope and value at several places (n, n_joints, k) of each row."""
        free = wanted + transposed @ places
        excitation = free.clamp(0.0, 1.0)
        change = excitation - wanted
        slope = matrix @ change + REGULARIZATION * places - target
        value = (excitation * (free - 0.5 * excitation) - wanted * free).sum(dim=1)
        return change, slope, value + (places * (0.5 * REGULARIZATION * places - target)).sum(dim=1)

    place = torch.zeros_like(target)
    change, slope, value = at(place)
    # What rounding alone may add to a value.
    slack = 1e-12 if matrix.dtype == torch.float64 else 1e-6
    shares = 0.5 ** torch.arange(_HALVINGS + 1, dtype=matrix.dtype, device=matrix.device)
    for _ in range(_NEWTON_STEPS):
        on = slope.abs().amax(dim=1, keepdim=True) > _TOLERANCE
        inside = (change > -wanted) & (change < 1.0 - wanted)
        curvature = (matrix * inside.mT) @ transposed + identity
        # Symmetric and positive definite.
        factor, _ = torch.linalg.cholesky_ex(curvature)
        step = torch.cholesky_solve(slope, factor)
        # The step, its half, its quarter, ... at once; the first that brings enough is taken.
        places = place - step * shares
        tried = at(places)
        enough = tried[2] <= value - _DESCENT * (step * slope).sum(dim=1) * shares + slack
        first = torch.where(enough.any(dim=1), enough.int().argmax(dim=1), _HALVINGS)[:, None, None]
        place = torch.where(on, places.take_along_dim(first, 2), place)
        change = torch.where(on, tried[0].take_along_dim(first, 2), change)
        slope = torch.where(on, tried[1].take_along_dim(first, 2), slope)
        value = torch.where(on[:, 0], tried[2].take_along_dim(first[:, 0], 1), value)
    return change[..., 0]


class DeviceDrive:
    """The actuation of a task: actions in, excitations out.

    Parameters
    ----------
    config : ImitationConfig
        Its actuation is one of :data:`ACTUATIONS`.
    table : DeviceTable
    muscles : DeviceMuscles
    """

    def __init__(self, config: ImitationConfig, table: DeviceTable, muscles: DeviceMuscles) -> None:
        self.config, self.table, self.muscles = config, table, muscles

    def plan(self, action: Tensor, motion: Tensor, frame: Tensor) -> Tensor:
        """What stays the same through a control step: excitation, or change of excitation."""
        if self.config.actuation == "excitation":
            return (0.5 * (action + 1.0)).clamp(0.0, 1.0)
        table = self.table
        assert table.moment_matrix is not None and table.feedforward is not None
        rows, _ = table.rows(motion, frame + self.config.lead)
        return moment_control(action, table.moment_matrix[rows], table.feedforward[rows])

    def excite(
        self, plan: Tensor, length: Tensor, velocity: Tensor, motion: Tensor, frame: Tensor
    ) -> Tensor:
        """Excitations of the physics step in these frames, (n_envs, n_muscles).

        Parameters
        ----------
        plan : Tensor
            See :meth:`plan`.
        length, velocity : Tensor, shape (n_envs, n_muscles)
            Of the muscles, as sensed [m], [m/s].
        motion, frame : Tensor of int, shape (n_envs,)
        """
        config, table = self.config, self.table
        if config.actuation == "excitation":
            return plan
        assert table.feedforward is not None
        target, _ = table.rows(motion, frame + config.lead - 1)
        stretch = config.stiffness * (table.muscle_length[target] - length)
        stretch = stretch + config.damping * (table.muscle_velocity[target] - velocity)
        force = self.muscles.peak_force * stretch.clamp(-1.0, 1.0)
        feedback = force / self.muscles.gain(length, velocity).clamp(max=-1.0)
        rows, _ = table.rows(motion, frame + config.lead)
        return (feedback + table.feedforward[rows] + plan).clamp(0.0, 1.0)
