"""Muscle activation over the gait cycle: a panel for each muscle, or all muscles of a side at once.

Means and standard deviations come from :func:`kinesis_neuro.emg.cycles.cycle_statistics`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

from kinesis_neuro.errors import InvalidInputError, unknown_name
from kinesis_neuro.plot.names import GROUP_ORDER, MAIN_MUSCLES, base_name, muscle_label
from kinesis_neuro.plot.style import (
    COLORS,
    SEQUENTIAL,
    STANCE_COLOR,
    WIDTH,
    axis_label,
    figure_style,
)

_SIDES = ("right", "left", "midline")
_OTHER = {"right": "left", "left": "right"}
_N_COLUMNS = 4
_BAND_ALPHA = 0.25
_PANEL_HEIGHT = 1.15  # inch
_ROW_HEIGHT = 0.115  # inch, of a muscle in the heat map
_MAX_LABELLED_ROWS = 64  # beyond it, names of muscles are smaller than print


def plot_activation(
    statistics: xr.Dataset | Mapping[str, xr.Dataset],
    muscles: Sequence[str] | None = None,
    side: str = "right",
    variable: str = "activation",
    share_y: bool = True,
) -> Figure:
    """Draw the mean over gait cycles with a band of one SD, a panel for each muscle.

    Parameters
    ----------
    statistics : Dataset, or mapping of str to Dataset
        ``<variable>_mean`` and ``<variable>_sd`` over phase and muscle (or channel), from
        :func:`~kinesis_neuro.emg.cycles.cycle_statistics`. A mapping draws one curve for each of
        its entries and labels them with its keys.
    muscles : sequence of str, optional
        Names of muscles, with or without their side; by default the main muscles of a leg, or,
        where the dataset has none of these, all of that side.
    side : {"right", "left", "midline"}
        The side whose muscles are drawn.
    variable : str
        What is drawn.
    share_y : bool
        Whether all panels have the same vertical axis.

    Returns
    -------
    matplotlib.figure.Figure
        Stance is shaded where the first dataset has the phase of toe-off of that side's foot.

    Raises
    ------
    InvalidInputError
        If the dataset holds no such statistics, or no such muscle.

    Examples
    --------
    >>> curve = np.sin(np.linspace(0, np.pi, 101))[:, None] ** 2
    >>> statistics = xr.Dataset(
    ...     {
    ...         "activation_mean": (("phase", "muscle"), curve, {"units": "1"}),
    ...         "activation_sd": (("phase", "muscle"), 0.1 * curve, {"units": "1"}),
    ...     },
    ...     coords={
    ...         "phase": np.linspace(0, 1, 101),
    ...         "muscle": ["soleus_r"],
    ...         "side": ("muscle", ["right"]),
    ...     },
    ... )
    >>> plot_activation(statistics).axes[0].get_title(loc="left")
    'Soleus'
    """
    # A Dataset is a mapping too.
    several = {"": statistics} if isinstance(statistics, xr.Dataset) else dict(statistics)
    if not several:
        raise InvalidInputError("There is nothing to plot: the mapping of datasets is empty.")
    if len(several) > len(COLORS):
        raise InvalidInputError(f"At most {len(COLORS)} curves a panel, got {len(several)}.")
    first = next(iter(several.values()))
    dims = {label: _dim_of(each, variable) for label, each in several.items()}
    names = _choose(first, dims[next(iter(several))], muscles, side)
    with figure_style():
        n_rows = -(-len(names) // _N_COLUMNS)
        n_columns = min(_N_COLUMNS, len(names))
        figure = Figure(
            figsize=(WIDTH * max(n_columns, 2) / _N_COLUMNS, 0.75 + _PANEL_HEIGHT * n_rows),
            layout="constrained",
        )
        axes = figure.subplots(n_rows, n_columns, sharex=True, sharey=share_y, squeeze=False)
        panels = list(axes.ravel())
        for axis, name in zip(panels, names, strict=False):
            _shade_stance(axis, first, side)
            for color, (label, each) in zip(COLORS, several.items(), strict=False):
                _draw_curve(axis, each, dims[label], variable, name, label, color)
            axis.set_title(muscle_label(name), loc="left", pad=3)
            axis.set_xlim(0, 100)
            axis.set_xticks([0, 20, 40, 60, 80, 100])
        for axis in panels[len(names) :]:
            axis.set_visible(False)
        # A panel with none below it carries the ticks of its column.
        for axis in panels[max(0, len(names) - n_columns) : len(names)]:
            axis.tick_params(labelbottom=True)
        nonnegative = not any((each[f"{variable}_mean"] < 0).any() for each in several.values())
        for axis in panels[: len(names)]:
            axis.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            if nonnegative:
                axis.set_ylim(bottom=0)
        figure.supxlabel(_phase_label(first, side), fontsize=7)
        units = first[f"{variable}_mean"].attrs.get("units", "")
        figure.supylabel(axis_label(variable, units), fontsize=7)
        handles = _key(several, variable, stance=bool(np.isfinite(_toe_off(first, side))))
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    return figure


def plot_activation_heatmap(
    statistics: xr.Dataset, side: str = "right", variable: str = "activation"
) -> Figure:
    """Draw the mean over gait cycles of all muscles of a side, by anatomical group.

    Parameters
    ----------
    statistics : Dataset
        ``<variable>_mean`` over phase and muscle, from
        :func:`~kinesis_neuro.emg.cycles.cycle_statistics`, with the coordinates ``side`` and
        ``group``.
    side : {"right", "left", "midline"}
        The side whose muscles are drawn.
    variable : str
        What is drawn.

    Returns
    -------
    matplotlib.figure.Figure
        A row for each muscle; the dashed line is toe-off. Beyond 64 rows only groups are named.

    Raises
    ------
    InvalidInputError
        If the dataset holds no such statistic, no group, or no muscle of that side.

    Examples
    --------
    >>> values = np.linspace(0, 1, 202).reshape(101, 2)
    >>> statistics = xr.Dataset(
    ...     {"activation_mean": (("phase", "muscle"), values, {"units": "1"})},
    ...     coords={
    ...         "phase": np.linspace(0, 1, 101),
    ...         "muscle": ["soleus_l", "psoas_l"],
    ...         "side": ("muscle", ["left", "left"]),
    ...         "group": ("muscle", ["soleus", "hip_flexors"]),
    ...     },
    ... )
    >>> axis = plot_activation_heatmap(statistics, side="left").axes[0]
    >>> [label.get_text() for label in axis.get_yticklabels()]
    ['Psoas', 'Soleus']
    """
    dim = _dim_of(statistics, variable)
    if "group" not in statistics.coords:
        raise InvalidInputError(f"The heat map needs the coordinate 'group' along {dim!r}.")
    names = np.array(_choose(statistics, dim, _all_of(statistics, dim, side), side))
    groups = statistics["group"].sel({dim: names}).values
    rank = [*(g for g in GROUP_ORDER if g in groups), *sorted(set(groups) - set(GROUP_ORDER))]
    order = np.argsort([rank.index(group) for group in groups], kind="stable")
    names, groups = names[order], groups[order]
    mean = statistics[f"{variable}_mean"].sel({dim: names}).transpose(dim, "phase")
    with figure_style():
        height = 0.75 + _ROW_HEIGHT * min(len(names), _MAX_LABELLED_ROWS)
        figure = Figure(figsize=(0.75 * WIDTH, height), layout="constrained")
        axis = figure.subplots()
        mesh = axis.pcolormesh(
            100 * _edges(mean["phase"].values),
            np.arange(len(names) + 1),
            mean.values,
            cmap=SEQUENTIAL,
            vmin=min(0.0, float(np.nanmin(mean))),
            rasterized=True,  # thousands of cells have hairlines between them in vector form
        )
        axis.invert_yaxis()
        axis.set_xlim(0, 100)
        axis.set_xlabel(_phase_label(statistics, side))
        axis.spines[:].set_visible(False)
        labelled = len(names) <= _MAX_LABELLED_ROWS
        axis.set_yticks(
            np.arange(len(names)) + 0.5 if labelled else [],
            [muscle_label(name) for name in names] if labelled else [],
        )
        axis.tick_params(axis="y", length=0, labelsize=5.5)
        _name_groups(axis, groups)
        toe_off = _toe_off(statistics, side)
        if np.isfinite(toe_off):
            axis.axvline(100 * toe_off, color="0.35", linewidth=0.7, linestyle=(0, (4, 2)))
            above = blended_transform_factory(axis.transData, axis.transAxes)
            axis.text(
                *(100 * toe_off, 1.005, "toe-off"),
                transform=above,
                ha="center",
                va="bottom",
                fontsize=5.5,
                color="0.25",
            )
        units = statistics[f"{variable}_mean"].attrs.get("units", "")
        bar = figure.colorbar(mesh, ax=axis, aspect=40, pad=0.02, fraction=0.04)
        bar.set_label(axis_label(variable, units))
        bar.outline.set_visible(False)
    return figure


def _dim_of(statistics: xr.Dataset, variable: str) -> str:
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


def _all_of(statistics: xr.Dataset, dim: str, side: str) -> list[str]:
    """List the muscles of a side."""
    if side not in _SIDES:
        raise unknown_name("side", side, _SIDES)
    return [str(m) for m in statistics[dim].values[statistics["side"].values == side]]


def _choose(
    statistics: xr.Dataset, dim: str, muscles: Sequence[str] | None, side: str
) -> list[str]:
    """Find the names of the wanted muscles of a side as the dataset has them."""
    own = _all_of(statistics, dim, side)
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


def _draw_curve(
    axis: Axes, statistics: xr.Dataset, dim: str, variable: str, name: str, label: str, color: str
) -> None:
    """Draw mean and band of one muscle, if the dataset has it."""
    if name not in statistics[dim].values:
        return
    percent = 100 * statistics["phase"].values
    mean = statistics[f"{variable}_mean"].sel({dim: name}).values
    if f"{variable}_sd" in statistics:
        spread = statistics[f"{variable}_sd"].sel({dim: name}).values
        axis.fill_between(
            percent, mean - spread, mean + spread, color=color, alpha=_BAND_ALPHA, linewidth=0
        )
    axis.plot(percent, mean, color=color, label=label)


def _key(several: Mapping[str, xr.Dataset], variable: str, stance: bool) -> list[Artist]:
    """Say what curve, band and shade are."""
    handles: list[Artist] = []
    for color, (label, each) in zip(COLORS, several.items(), strict=False):
        n_cycles = each.attrs.get("n_cycles")
        words = [label or "mean", *([f"{n_cycles} cycles"] if n_cycles else [])]
        handles.append(Line2D([], [], color=color, label=", ".join(words)))
    if any(f"{variable}_sd" in each for each in several.values()):
        color = COLORS[0] if len(several) == 1 else "0.4"
        handles.append(Patch(color=color, alpha=_BAND_ALPHA, linewidth=0, label="± 1 SD"))
    if stance:
        handles.append(Patch(color=STANCE_COLOR, linewidth=0, label="stance"))
    return handles


def _toe_off(statistics: xr.Dataset, side: str) -> float:
    """Find the phase of toe-off of a side's own foot in that side's cycle; NaN if unknown."""
    reference = statistics.attrs.get("reference_side", side)
    own = _OTHER[reference] != side if reference in _OTHER else True
    name = "toe_off_phase" if own else "contralateral_toe_off_phase"
    return float(statistics[name]) if name in statistics.coords else np.nan


def _shade_stance(axis: Axes, statistics: xr.Dataset, side: str) -> None:
    toe_off = _toe_off(statistics, side)
    if np.isfinite(toe_off):
        axis.axvspan(0, 100 * toe_off, color=STANCE_COLOR, linewidth=0, zorder=0)


def _phase_label(statistics: xr.Dataset, side: str) -> str:
    """Say what the horizontal axis counts from, and what is shaded or dashed."""
    align = statistics.attrs.get("align", "ipsilateral")
    foot = align if align in _OTHER else ("left" if side == "left" else "right")
    return f"Gait cycle (%, from {foot} heel strike)"


def _name_groups(axis: Axes, groups: NDArray[np.str_]) -> None:
    """Rule off the groups and write their names to the right of the rows."""
    first = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    stop = np.r_[first[1:], groups.size]
    beside = blended_transform_factory(axis.transAxes, axis.transData)
    for start, end in zip(first, stop, strict=True):
        if start:
            axis.axhline(float(start), color="white", linewidth=1.2)
        axis.text(
            1.015,
            (start + end) / 2,
            str(groups[start]).replace("_", " "),
            transform=beside,
            va="center",
            fontsize=5.5,
            color="0.25",
        )


def _edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the borders of cells around their centres."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.r_[2 * centres[0] - middle[0], middle, 2 * centres[-1] - middle[-1]]
