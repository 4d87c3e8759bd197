"""Lag maps: r of each muscle at every shift between simulation and people."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from kinesis_neuro.errors import InvalidInputError, unknown_name
from kinesis_neuro.plot.names import muscle_label
from kinesis_neuro.plot.style import DIVERGING, WIDTH, figure_style

_ROW = 0.2  # inch
_MARK = "#1a1a1a"


def plot_lags(comparison: xr.Dataset, conditions: list[str] | None = None) -> Figure:
    """Draw r over lag and muscle, a map for each simulation.

    Parameters
    ----------
    comparison : xarray.Dataset
        As ``EMGComparison.dataset``.
    conditions : list of str, optional
        Which of its conditions; by default all (four fit).

    Returns
    -------
    matplotlib.figure.Figure
        A positive lag says that people are later. Circles mark the best lag of each muscle, the
        dashed line is the best lag that all muscles share, the last row the mean over muscles.

    Raises
    ------
    InvalidInputError
        If the dataset is no comparison, or has no such condition.

    Examples
    --------
    >>> plot_lags(xr.Dataset())
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.InvalidInputError: This dataset is no comparison. ...
    """
    if "lag_curve_condition" not in comparison:
        raise InvalidInputError("This dataset is no comparison. Give EMGComparison.dataset.")
    known = list(map(str, comparison["condition"].values))
    shown = known if conditions is None else list(conditions)
    for name in shown:
        if name not in known:
            raise unknown_name("condition", name, known)
    n = comparison.sizes["channel"]
    with figure_style():
        figure = Figure(figsize=(WIDTH, 1.1 + _ROW * (n + 1)), layout="constrained")
        axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axis, name in zip(axes, shown, strict=True):
            image = _map(axis, comparison.sel(condition=name))
            axis.set_title(name, loc="left")
        labels = [*(muscle_label(str(c)) for c in comparison["channel"].values), "Mean"]
        axes[0].set_yticks(range(n + 1), labels)
        figure.supxlabel("Lag (% of the gait cycle; positive: people are later)", fontsize=7)
        bar = figure.colorbar(image, ax=axes, aspect=30, pad=0.015, fraction=0.03)
        bar.set_label("Pearson r (mean over people)")
        bar.outline.set_visible(False)
    return figure


def _map(axis: Axes, one: xr.Dataset) -> AxesImage:
    curves = one["lag_curve_condition"].transpose("channel", "lag").values
    lag = 100 * one["lag"].values
    n = len(curves)
    # The last lag is the first one again: the map is drawn from -50 to 50 %.
    values = np.vstack([curves, curves.mean(axis=0)])
    values = np.column_stack([values, values[:, 0]])
    step = lag[1] - lag[0]
    image = axis.imshow(
        values, cmap=DIVERGING, vmin=-1, vmax=1, aspect="auto", interpolation="nearest",
        extent=(lag[0] - step / 2, lag[-1] + 1.5 * step, n + 0.5, -0.5),
    )  # fmt: skip
    axis.axhline(n - 0.5, color="white", linewidth=2.5)
    axis.axvline(0, color=_MARK, linewidth=0.6)
    common = 100 * float(one["common_lag_condition"])
    axis.axvline(common, color=_MARK, linewidth=0.9, linestyle=(0, (3, 2)))
    axis.plot(
        100 * one["best_lag_condition"].values, np.arange(n), "o", color=_MARK,
        mfc="white", mew=0.9, markersize=4, clip_on=False,
    )  # fmt: skip
    axis.plot(common, n, "D", color=_MARK, mfc="white", mew=0.9, markersize=4)
    axis.set_xlim(-50, 50)
    axis.set_xticks([-50, -25, 0, 25, 50])
    axis.tick_params(axis="y", length=0)
    axis.spines[:].set_visible(False)
    return image
