"""The reference table on a device: gathered by index, as on the processor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinesis_neuro.env.reference_table import ReferenceTable

_ROWS = (
    *("qpos", "qvel", "position", "velocity", "orientation"),
    *("muscle_length", "muscle_velocity", "feedforward", "moment_matrix"),
)


@dataclass(frozen=True, eq=False)
class DeviceTable:
    """Tensors of a :class:`ReferenceTable`, by the same names; see there for shapes and units."""

    start: Tensor
    length: Tensor
    displacement: Tensor
    periodic: Tensor
    qpos: Tensor
    qvel: Tensor
    position: Tensor
    velocity: Tensor
    orientation: Tensor
    muscle_length: Tensor
    muscle_velocity: Tensor
    feedforward: Tensor | None
    moment_matrix: Tensor | None

    @classmethod
    def of(cls, table: ReferenceTable, device: torch.device, dtype: torch.dtype) -> DeviceTable:
        """Copy a table.

        Parameters
        ----------
        table : ReferenceTable
        device : torch.device
        dtype : torch.dtype
            Of everything but indices.
        """

        def sent(name: str) -> Tensor | None:
            values = getattr(table, name)
            return None if values is None else torch.as_tensor(values, dtype=dtype, device=device)

        return cls(
            start=torch.as_tensor(table.start, device=device),
            length=torch.as_tensor(table.length, device=device),
            periodic=torch.as_tensor(table.periodic, device=device),
            **{name: sent(name) for name in ("displacement", *_ROWS)},  # type: ignore[arg-type]
        )

    def rows(self, motion: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of frames of motions, and how far their cycle has moved [m]; (n,), (n, 3)."""
        length, periodic = self.length[motion], self.periodic[motion]
        cycle = torch.div(frame, length, rounding_mode="floor")
        last = length - 1
        inside = torch.where(
            periodic, frame - cycle * length, torch.minimum(frame.clamp(min=0), last)
        )
        shift = torch.where(periodic, cycle, 0)[:, None] * self.displacement[motion]
        return self.start[motion] + inside, shift
