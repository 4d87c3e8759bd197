"""Muscle activation over the gait cycle: a panel for each muscle.

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

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.plot.cycle_statistics import choose_muscles, dim_of, phase_label, toe_off_of
from kinesis_neuro.plot.names import muscle_label
from kinesis_neuro.plot.style import (
    COLORS,
    STANCE_COLOR,
    WIDTH,
    axis_label,
    figure_style,
)

_N_COLUMNS = 4
_BAND_ALPHA = 0.25
_PANEL_HEIGHT = 1.15  # inch


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
    dims = {label: dim_of(each, variable) for label, each in several.items()}
    names = choose_muscles(first, dims[next(iter(several))], muscles, side)
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
        figure.supxlabel(phase_label(first, side), fontsize=7)
        units = first[f"{variable}_mean"].attrs.get("units", "")
        figure.supylabel(axis_label(variable, units), fontsize=7)
        handles = _key(several, variable, stance=bool(np.isfinite(toe_off_of(first, side))))
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    return figure


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


def _shade_stance(axis: Axes, statistics: xr.Dataset, side: str) -> None:
    toe_off = toe_off_of(statistics, side)
    if np.isfinite(toe_off):
        axis.axvspan(0, 100 * toe_off, color=STANCE_COLOR, linewidth=0, zorder=0)
