"""What the figures of cycle statistics ask of them: muscles of a side, toe-off, words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from kinesis_neuro.errors import InvalidInputError, unknown_name
from kinesis_neuro.plot.names import MAIN_MUSCLES, base_name

SIDES = ("right", "left", "midline")
OTHER = {"right": "left", "left": "right"}


def dim_of(statistics: xr.Dataset, variable: str) -> str:
    """Find whether statistics are of muscles or channels, and that they are statistics."""
    name = f"{variable}_mean"
    if name not in statistics or "phase" not in statistics[name].dims:
        raise InvalidInputError(
            f"Expected {name!r} over phase and muscle, as cycle_statistics(segment_cycles(...)) "
            f"gives it; the dataset has {', '.join(map(str, statistics.data_vars)) or 'nothing'}."
        )
    for dim in ("muscle", "channel"):
        if set(statistics[name].dims) == {"phase", dim}:
            return dim
    raise InvalidInputError(
        f"{name!r} has dims {', '.join(map(str, statistics[name].dims))}. Expected phase and "
        "muscle, or phase and channel: select or average the others first."
    )


def all_of(statistics: xr.Dataset, dim: str, side: str) -> list[str]:
    """List the muscles of a side."""
    if side not in SIDES:
        raise unknown_name("side", side, SIDES)
    return [str(m) for m in statistics[dim].values[statistics["side"].values == side]]


def choose_muscles(
    statistics: xr.Dataset, dim: str, muscles: Sequence[str] | None, side: str
) -> list[str]:
    """Find the names of the wanted muscles of a side as the dataset has them."""
    own = all_of(statistics, dim, side)
    if not own:
        raise InvalidInputError(f"The dataset has no {dim} on the side {side!r}.")
    by_base = {base_name(name): name for name in own}
    if muscles is None:
        found = [next((by_base[n] for n in names if n in by_base), "") for names in MAIN_MUSCLES]
        return [name for name in found if name] or own
    chosen = []
    for muscle in muscles:
        if muscle not in own and muscle not in by_base:
            raise unknown_name(f"{dim} on the {side} side", muscle, by_base)
        chosen.append(muscle if muscle in own else by_base[muscle])
    return chosen


def toe_off_of(statistics: xr.Dataset, side: str) -> float:
    """Find the phase of toe-off of a side's own foot in that side's cycle; NaN if unknown."""
    reference = statistics.attrs.get("reference_side", side)
    own = OTHER[reference] != side if reference in OTHER else True
    name = "toe_off_phase" if own else "contralateral_toe_off_phase"
    return float(statistics[name]) if name in statistics.coords else np.nan


def phase_label(statistics: xr.Dataset, side: str) -> str:
    """Say what the horizontal axis counts from, and what is shaded or dashed."""
    align = statistics.attrs.get("align", "ipsilateral")
    foot = align if align in OTHER else ("left" if side == "left" else "right")
    return f"Gait cycle (%, from {foot} heel strike)"
