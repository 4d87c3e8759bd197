"""Simulated muscles and people's EMG over the gait cycle, with the band in which people lie."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.plot.axes import (
    CYCLE_LABEL,
    LINE_STYLES,
    PEOPLE_COLOR,
    closed,
    gait_axis,
    grid_of_panels,
    role_colors,
    stance_patch,
)
from kinesis_neuro.plot.names import muscle_label
from kinesis_neuro.plot.style import WIDTH, figure_style

_COLUMNS = 3
_ROW = 1.3  # inch
_BAND = 0.18


def plot_envelopes(curves: xr.Dataset, columns: int = _COLUMNS) -> Figure:
    """Draw mean cycles of simulations over those of people, a panel a muscle.

    Parameters
    ----------
    curves : xarray.Dataset
        As :func:`kinesis_neuro.analysis.shapes.shape_curves` gives them.
    columns : int
        Panels a row.

    Returns
    -------
    matplotlib.figure.Figure
        The band spans all people, the dark line is their mean; each panel has r of each simulation
        (mean over people, zero lag) and, last, that of one person with another.

    Raises
    ------
    InvalidInputError
        If the dataset holds no such curves.

    Examples
    --------
    >>> from kinesis_neuro.plot.envelopes import plot_envelopes
    >>> plot_envelopes(xr.Dataset())
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.InvalidInputError: ... Give what shape_curves makes of a comparison.
    """
    if "people_mean" not in curves or "role_mean" not in curves:
        raise InvalidInputError(
            "These are no curves of a comparison. Give what shape_curves makes of a comparison."
        )
    n = curves.sizes["channel"]
    with figure_style():
        rows = -(-n // columns)
        figure = Figure(figsize=(WIDTH, 0.75 + _ROW * rows), layout="constrained")
        draw_envelopes(figure, curves, columns)
    return figure


def draw_envelopes(figure: Figure | SubFigure, curves: xr.Dataset, columns: int) -> None:
    """Fill a figure, or a part of one."""
    roles = list(map(str, curves["role"].values))
    colors = role_colors(roles)
    toe_off = float(curves["toe_off_phase"])
    phase = curves["phase"].values
    several = curves.sizes["subject"] > 1
    for k, axis in enumerate(grid_of_panels(figure, curves.sizes["channel"], columns)):
        one = curves.isel(channel=k)
        gait_axis(axis, toe_off)
        if several:
            percent, low = closed(phase, one["people_low"].values)
            high = closed(phase, one["people_high"].values)[1]
            axis.fill_between(percent, low, high, color=PEOPLE_COLOR, alpha=_BAND, linewidth=0)
        axis.plot(*closed(phase, one["people_mean"].values), color=PEOPLE_COLOR)
        for condition, role in enumerate(map(str, curves["condition_role"].values)):
            if (curves["condition_role"] == role).sum() > 1:  # each seed, thin
                values = one["simulated"].isel(condition=condition).values
                axis.plot(*closed(phase, values), color=colors[role], linewidth=0.5, alpha=0.5)
        for style, role in zip(LINE_STYLES, roles, strict=False):
            values = one["role_mean"].sel(role=role).values
            axis.plot(*closed(phase, values), color=colors[role], linestyle=style, linewidth=1.1)
        axis.set_title(muscle_label(str(one["channel"].values)), loc="left", pad=3)
        _say_r(axis, one, colors)
        axis.set(ylim=(0, 1.22), yticks=(0, 0.5, 1))
    signal = str(curves.attrs["signal"]).replace("_", " ")
    figure.supxlabel(CYCLE_LABEL, fontsize=7)
    figure.supylabel(
        f"{signal.capitalize()} and EMG (each scaled to its range, 0 to 1)", fontsize=7
    )
    handles: list[Artist] = [Line2D([], [], color=PEOPLE_COLOR, label=_people(curves))]
    if several:
        handles.append(Patch(color=PEOPLE_COLOR, alpha=_BAND, linewidth=0, label="range of people"))
    handles += [
        Line2D([], [], color=colors[role], linestyle=style, linewidth=1.1, label=role)
        for style, role in zip(LINE_STYLES, roles, strict=False)
    ]
    if np.isfinite(toe_off):
        handles.append(stance_patch())
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 6))


def _people(curves: xr.Dataset) -> str:
    n = curves.sizes["subject"]
    return f"EMG, mean of {n} people" if n > 1 else f"EMG, {curves['subject'].values[0]}"


def _say_r(axis: Axes, one: xr.Dataset, colors: dict[str, str]) -> None:
    """Write r of each role and the ceiling into the head room of a panel."""
    r = one["role_r"]
    words = [(f"{float(r.sel(role=role)):.2f}", color) for role, color in colors.items()]
    if np.isfinite(float(one["ceiling"])):
        words.append((f"{float(one['ceiling']):.2f}", PEOPLE_COLOR))
    for place, (word, color) in enumerate(reversed([("$r$", "0.25"), *words])):
        axis.annotate(
            word.replace("-", "\N{MINUS SIGN}"), (1, 1), xytext=(-2 - 21 * place, -1),
            xycoords="axes fraction", textcoords="offset points", ha="right", va="top",
            fontsize=6, color=color,
        )  # fmt: skip
