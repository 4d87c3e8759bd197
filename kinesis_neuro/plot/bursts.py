"""Phase rasters: when a muscle is on, cycle by cycle, with its mean onset and offset."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.plot.axes import (
    CYCLE_LABEL,
    PEOPLE_COLOR,
    gait_axis,
    role_colors,
    stance_patch,
)
from kinesis_neuro.plot.names import muscle_label
from kinesis_neuro.plot.style import WIDTH, figure_style

_LANE = 0.42  # inch, of a muscle
_MARKS = (("onset", ">", PEOPLE_COLOR), ("offset", "<", "white"))
_FILL = 0.74  # part of a lane that its cycles take


def plot_bursts(rasters: Mapping[str, xr.Dataset]) -> Figure:
    """Draw when muscles are on, a column for each entry, a lane a muscle, a row a cycle.

    Parameters
    ----------
    rasters : mapping of str to Dataset
        By label, as :func:`kinesis_neuro.analysis.channel_cycles.burst_raster` gives them, of the
        same muscles or channels. The attribute ``human`` (1) makes an entry dark grey.

    Returns
    -------
    matplotlib.figure.Figure
        Below each lane, the circular mean of onset and offset of the longest burst over cycles, and
        a line of one circular SD to either side (long where the longest burst changes from cycle
        to cycle).

    Raises
    ------
    InvalidInputError
        If there is nothing to draw, or muscles differ.

    Examples
    --------
    >>> plot_bursts({})
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.InvalidInputError: There are no rasters to draw.
    """
    if not rasters:
        raise InvalidInputError("There are no rasters to draw.")
    first = next(iter(rasters.values()))
    dim = "channel" if "channel" in first.dims else "muscle"
    names = list(map(str, first[dim].values)) if dim in first.coords else []
    for label, one in rasters.items():
        if "active" not in one or dim not in one.dims or list(one[dim].values) != names:
            raise InvalidInputError(
                f"The raster {label!r} is none, or of other muscles than the first. Give what "
                "burst_raster makes of cycles of the same channels."
            )
    simulated = [label for label, one in rasters.items() if not one.attrs.get("human", 0)]
    colors = {label: PEOPLE_COLOR for label in rasters} | role_colors(simulated)
    with figure_style():
        figure = Figure(figsize=(WIDTH, 0.9 + _LANE * len(names)), layout="constrained")
        axes = figure.subplots(1, len(rasters), sharey=True, squeeze=False)[0]
        for axis, (label, one) in zip(axes, rasters.items(), strict=True):
            _column(axis, one.transpose(..., dim), dim, colors[label])
            n = one.sizes["cycle"]
            axis.set_title(f"{label}, {n} cycle{'s' if n != 1 else ''}", loc="left")
        axes[0].set_yticks(range(len(names)), [muscle_label(name) for name in names])
        axes[0].set_ylim(len(names) - 0.5, -0.5)
        figure.supxlabel(CYCLE_LABEL, fontsize=7)
        threshold = 100 * float(first.attrs["threshold"])
        handles: list[Artist] = [
            Patch(color="0.45", linewidth=0, label=f"above {threshold:.0f} % of its range"),
            *(
                Line2D([], [], color=PEOPLE_COLOR, marker=marker, markersize=4, mfc=face,
                       linewidth=0.7, label=f"{name} (mean, SD)")
                for name, marker, face in _MARKS
            ),
        ]  # fmt: skip
        if any(np.isfinite(float(one["toe_off_phase"])) for one in rasters.values()):
            handles.append(stance_patch())
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _column(axis: Axes, one: xr.Dataset, dim: str, color: str) -> None:
    gait_axis(axis, float(one["toe_off_phase"]), ticks=(0, 25, 50, 75, 100))
    phase = one["phase"].values
    n_cycles = one.sizes["cycle"]
    height = _FILL / n_cycles
    for lane in range(one.sizes[dim]):
        active = one["active"].isel({dim: lane}).transpose("cycle", "phase").values > 0
        axis.add_patch(
            PathPatch(_bars(active, phase, lane - 0.46, height), facecolor=color, linewidth=0)
        )
        below = lane - 0.5 + _FILL + 0.5 * (1 - _FILL)
        for name, marker, face in _MARKS:
            at, spread = (
                100 * float(one[f"{name}_{what}"].isel({dim: lane}))
                for what in ("mean", "deviation")
            )
            if np.isfinite(at):
                _spread(axis, at, spread, below)
                axis.plot(
                    at, below, marker, color=PEOPLE_COLOR, mfc=face, markersize=3.5, mew=0.7,
                    clip_on=False, zorder=4,
                )  # fmt: skip
        if lane:
            axis.axhline(lane - 0.5, color="0.85", linewidth=0.5)
    axis.tick_params(axis="y", length=0)


def _bars(active: NDArray[np.bool_], phase: NDArray, top: float, height: float) -> Path:
    """Join the runs of samples of all cycles into one path: apart, hairlines would part the rows.

    A run reaches from its first sample to the one after its last.
    """
    edges = np.diff(active.astype(np.int8), axis=1, prepend=0, append=0)
    row, start = np.nonzero(edges > 0)
    stop = np.nonzero(edges < 0)[1]  # in the same order: runs of a row do not overlap
    step = phase[1] - phase[0]
    left, right = (100 * (phase[0] + step * at) for at in (start, stop))
    low, high = top + height * row, top + height * (row + 1)
    corners = np.stack(
        [np.stack(xy, axis=-1) for xy in ((left, low), (right, low), (right, high), (left, high))],
        axis=1,
    )
    vertices = np.concatenate([corners, corners[:, :1]], axis=1).reshape(-1, 2)
    one = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(vertices, np.tile(one, len(row)))


def _spread(axis: Axes, at: float, spread: float, height: float) -> None:
    """Draw a line to both sides of a phase [%], going on at the other end of the cycle."""
    if not np.isfinite(spread):
        return
    reach = min(spread, 50.0)
    for turn in (-100.0, 0.0, 100.0):
        low, high = max(at - reach + turn, 0.0), min(at + reach + turn, 100.0)
        if low < high:
            axis.plot([low, high], [height, height], color=PEOPLE_COLOR, linewidth=0.7, zorder=3)
