"""Activation of all muscles of a side over the gait cycle, as heat maps by anatomical group."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.plot.cycle_statistics import (
    all_of,
    choose_muscles,
    dim_of,
    phase_label,
    toe_off_of,
)
from kinesis_neuro.plot.names import GROUP_ORDER, muscle_label
from kinesis_neuro.plot.style import SEQUENTIAL, WIDTH, axis_label, figure_style

_ROW_HEIGHT = 0.115  # inch, of a muscle
_MAX_LABELLED_ROWS = 64  # beyond it, names of muscles are smaller than print


def plot_activation_heatmap(
    statistics: xr.Dataset | Mapping[str, xr.Dataset],
    side: str = "right",
    variable: str = "activation",
) -> Figure:
    """Draw the mean over gait cycles of all muscles of a side, by anatomical group.

    Parameters
    ----------
    statistics : Dataset, or mapping of str to Dataset
        ``<variable>_mean`` over phase and muscle, from
        :func:`~kinesis_neuro.emg.cycles.cycle_statistics`, with the coordinates ``side`` and
        ``group``. A mapping draws a map for each of its entries, side by side on one colour scale;
        all must have the same muscles.
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
        If the dataset holds no such statistic, no group, or no muscle of that side; or muscles
        differ.

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
    several = {"": statistics} if isinstance(statistics, xr.Dataset) else dict(statistics)
    if not several:
        raise InvalidInputError("There is nothing to plot: the mapping of datasets is empty.")
    first = next(iter(several.values()))
    dim = dim_of(first, variable)
    if "group" not in first.coords:
        raise InvalidInputError(f"The heat map needs the coordinate 'group' along {dim!r}.")
    names, groups = _in_order(first, dim, side)
    means = [_mean(each, variable, dim, names, label) for label, each in several.items()]
    largest = max(float(np.nanmax(mean)) for mean in means)
    lowest = min(0.0, *(float(np.nanmin(mean)) for mean in means))
    with figure_style():
        height = 0.75 + _ROW_HEIGHT * min(len(names), _MAX_LABELLED_ROWS)
        width = 0.75 * WIDTH if len(means) == 1 else WIDTH
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(1, len(means), sharey=True, squeeze=False)[0]
        for axis, mean, (label, each) in zip(axes, means, several.items(), strict=True):
            mesh = _map(axis, mean, (lowest, largest), groups)
            axis.set_title(label, loc="left", pad=10 if label else None)
            axis.set_xlabel(phase_label(each, side))
            _mark_toe_off(axis, toe_off_of(each, side))
        axes[0].invert_yaxis()
        labelled = len(names) <= _MAX_LABELLED_ROWS
        axes[0].set_yticks(
            np.arange(len(names)) + 0.5 if labelled else [],
            [muscle_label(name) for name in names] if labelled else [],
        )
        axes[0].tick_params(axis="y", labelsize=5.5)
        _name_groups(axes[-1], groups)
        units = first[f"{variable}_mean"].attrs.get("units", "")
        bar = figure.colorbar(mesh, ax=axes, aspect=40, pad=0.02, fraction=0.04)
        bar.set_label(axis_label(variable, units))
        bar.outline.set_visible(False)
    return figure


def _in_order(
    statistics: xr.Dataset, dim: str, side: str
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Sort the muscles of a side by group, from the hip down."""
    names = np.array(choose_muscles(statistics, dim, all_of(statistics, dim, side), side))
    groups = statistics["group"].sel({dim: names}).values
    rank = [*(g for g in GROUP_ORDER if g in groups), *sorted(set(groups) - set(GROUP_ORDER))]
    order = np.argsort([rank.index(group) for group in groups], kind="stable")
    return names[order], groups[order]


def _mean(
    statistics: xr.Dataset, variable: str, dim: str, names: NDArray[np.str_], label: str
) -> xr.DataArray:
    if dim_of(statistics, variable) != dim or not set(names) <= set(statistics[dim].values):
        raise InvalidInputError(f"{label!r} has other muscles than the first. Draw them apart.")
    return statistics[f"{variable}_mean"].sel({dim: names}).transpose(dim, "phase")


def _map(
    axis: Axes, mean: xr.DataArray, limits: tuple[float, float], groups: NDArray[np.str_]
) -> QuadMesh:
    mesh = axis.pcolormesh(
        100 * _edges(mean["phase"].values),
        np.arange(len(mean) + 1),
        mean.values,
        cmap=SEQUENTIAL,
        vmin=limits[0],
        vmax=limits[1],
        rasterized=True,  # thousands of cells have hairlines between them in vector form
    )
    axis.set_xlim(0, 100)
    axis.spines[:].set_visible(False)
    axis.tick_params(axis="y", length=0)
    for start in np.flatnonzero(groups[1:] != groups[:-1]) + 1:
        axis.axhline(float(start), color="white", linewidth=1.2)
    return mesh


def _mark_toe_off(axis: Axes, toe_off: float) -> None:
    if not np.isfinite(toe_off):
        return
    axis.axvline(100 * toe_off, color="0.35", linewidth=0.7, linestyle=(0, (4, 2)))
    above = blended_transform_factory(axis.transData, axis.transAxes)
    axis.text(
        *(100 * toe_off, 1.005, "toe-off"),
        transform=above, ha="center", va="bottom", fontsize=5.5, color="0.25",
    )  # fmt: skip


def _name_groups(axis: Axes, groups: NDArray[np.str_]) -> None:
    """Write the names of the groups to the right of the rows."""
    first = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    stop = np.r_[first[1:], groups.size]
    beside = blended_transform_factory(axis.transAxes, axis.transData)
    for start, end in zip(first, stop, strict=True):
        axis.text(
            *(1.015, (start + end) / 2, str(groups[start]).replace("_", " ")),
            transform=beside, va="center", fontsize=5.5, color="0.25",
        )  # fmt: skip


def _edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the borders of cells around their centres."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.r_[2 * centres[0] - middle[0], middle, 2 * centres[-1] - middle[-1]]
