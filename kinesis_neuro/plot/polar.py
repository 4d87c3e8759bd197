"""When in the gait cycle muscles work: centres of activity on a circle, a circle a muscle."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from matplotlib.projections.polar import PolarAxes

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.plot.axes import (
    MARKERS,
    PEOPLE_COLOR,
    phase_circle,
    role_colors,
    stance_patch,
)
from kinesis_neuro.plot.names import muscle_label
from kinesis_neuro.plot.style import WIDTH, figure_style

_COLUMNS = 5
_RIM, _STEP = 0.86, 0.13  # radii: people on the rim, simulations on rings within


def plot_centers(centers: xr.Dataset, columns: int = _COLUMNS) -> Figure:
    """Draw centres of activity of people and simulations, a circle a muscle.

    Parameters
    ----------
    centers : xarray.Dataset
        As :func:`kinesis_neuro.analysis.shapes.activity_centers` gives them.
    columns : int
        Circles a row.

    Returns
    -------
    matplotlib.figure.Figure
        Heel strike is at the top, time runs clockwise. Small circles on the rim are people, the
        arrow is their mean: as long as they agree (1: reaches the rim). Other markers are
        simulations; radii tell them apart and mean nothing.

    Raises
    ------
    InvalidInputError
        If the dataset holds no centres of activity.

    Examples
    --------
    >>> plot_centers(xr.Dataset())
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.InvalidInputError: These are no centres of activity. ...
    """
    if "people_resultant" not in centers:
        raise InvalidInputError(
            "These are no centres of activity. Give what activity_centers makes of a comparison."
        )
    n = centers.sizes["channel"]
    columns = min(columns, n)
    rows = -(-n // columns)
    roles = list(map(str, centers["condition_role"].values))
    colors = role_colors(roles)
    toe_off = float(centers["toe_off_phase"])
    with figure_style():
        size = WIDTH / _COLUMNS
        figure = Figure(
            figsize=(max(size * columns, 3.2), 0.55 + 1.0 * size * rows), layout="constrained"
        )
        axes = figure.subplots(
            rows, columns, squeeze=False, subplot_kw={"projection": "polar"}
        ).ravel()
        for k, axis in enumerate(axes):
            if k >= n:
                axis.set_axis_off()
                continue
            _circle(phase_circle(axis, toe_off), centers.isel(channel=k), roles, colors)
            axis.set_title(muscle_label(str(centers["channel"].values[k])), pad=4)
        handles: list[Artist] = [
            Line2D([], [], color=PEOPLE_COLOR, marker="o", mfc="none", markersize=4,
                   linestyle="none", label="people"),
            Line2D([], [], color=PEOPLE_COLOR, linewidth=1.6, label="mean of people"),
        ]  # fmt: skip
        handles += [
            Line2D([], [], color=color, marker=marker, markersize=4.5, linestyle="none",
                   label=role)
            for (role, color), marker in zip(colors.items(), MARKERS[1:], strict=False)
        ]  # fmt: skip
        if np.isfinite(toe_off):
            handles.append(stance_patch())
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _circle(axis: PolarAxes, one: xr.Dataset, roles: list[str], colors: dict[str, str]) -> None:
    people = 2 * np.pi * one["people"].values
    axis.plot(
        people, np.full(people.shape, _RIM), "o", color=PEOPLE_COLOR, mfc="none", mew=0.8,
        markersize=4,
    )  # fmt: skip
    mean, length = 2 * np.pi * float(one["people_mean"]), _RIM * float(one["people_resultant"])
    if np.isfinite(mean):
        axis.add_patch(
            FancyArrowPatch(
                (mean, 0), (mean, length), arrowstyle="-|>", mutation_scale=6, shrinkA=0,
                shrinkB=0, color=PEOPLE_COLOR, linewidth=1.2,
            )
        )  # fmt: skip
    places = {role: k for k, role in enumerate(dict.fromkeys(roles))}
    for role, angle in zip(roles, 2 * np.pi * one["simulated"].values, strict=True):
        k = places[role]
        axis.plot(
            angle, _RIM - _STEP * (k + 1), MARKERS[1 + k], color=colors[role], markersize=4.5,
            mec="white", mew=0.4,
        )  # fmt: skip
