"""A comparison with human EMG as one figure: curves, correlations, specificity."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from kinesis_neuro.analysis.shapes import shape_curves
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.plot.envelopes import draw_envelopes
from kinesis_neuro.plot.names import muscle_label
from kinesis_neuro.plot.style import COLORS, DIVERGING, STANCE_COLOR, WIDTH, figure_style

_SIMULATION, _CEILING = COLORS[0], COLORS[2]
_COLUMNS = 3
_MOST_CURVES = 18


def plot_comparison(comparison: xr.Dataset) -> Figure:
    """Draw a comparison.

    Left: mean cycles, each scaled to its range, of simulations and people (mean and range over
    people), by muscle, with r and, last, the pairwise ceiling. Right: r at zero lag of each muscle
    with its interval, what chance reaches in one of twenty cases, the pairwise ceiling and the
    baselines; below, r of each simulated muscle with each human one.

    Parameters
    ----------
    comparison : xarray.Dataset
        As ``EMGComparison.dataset``.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidInputError
        If the dataset is no comparison.
    """
    if "waveform_simulated" not in comparison:
        raise InvalidInputError("This dataset is no comparison. Give EMGComparison.dataset.")
    n = comparison.sizes["channel"]
    rows = int(np.ceil(min(n, _MOST_CURVES) / _COLUMNS))
    with figure_style():
        figure = plt.figure(figsize=(1.35 * WIDTH, max(1.25 * rows, 4.6)), layout="constrained")
        outer = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.25, 1.0), wspace=0.02)
        left, right = outer[0]
        mine = np.flatnonzero(comparison["role"].values == "simulation")
        curves = shape_curves(comparison.isel(condition=mine))
        draw_envelopes(left, curves.isel(channel=slice(0, _MOST_CURVES)), _COLUMNS)
        inner = right.subfigures(2, 1, squeeze=False, height_ratios=(1.15, 1.0))
        above, below = inner[:, 0]
        _correlations(above, comparison)
        _specificity(below, comparison)
    plt.close(figure)  # pyplot would keep it, and show it a second time in notebooks
    return figure


def _correlations(figure: SubFigure, data: xr.Dataset) -> None:
    ax: Axes = figure.subplots()
    n = data.sizes["channel"]
    row = np.arange(n + 1)[::-1]

    def with_mean(name: str) -> np.ndarray:
        return np.r_[data[name].values, float(data[f"overall_{name}"])]

    r = with_mean("r")
    ax.barh(row, with_mean("null_95"), height=0.75, color=STANCE_COLOR, label="chance, 95 %")
    ax.axvline(0, color="#808080", lw=0.5)
    ax.axhline(0.5, color="#808080", lw=0.5)
    low, high = with_mean("r_low"), with_mean("r_high")
    if np.isfinite(low).any():
        ax.hlines(row, low, high, color=_SIMULATION, lw=1.0)
    ax.plot(r, row, "o", color=_SIMULATION, ms=3.5, label="simulation")
    ceiling = with_mean("ceiling_pairwise")
    if np.isfinite(ceiling).any():
        ax.plot(ceiling, row, "|", color=_CEILING, ms=7, mew=1.5, label="person to person")
    roles = data["role"].values
    others = dict.fromkeys(roles[roles != "simulation"].tolist())
    curves = shape_curves(data)
    for role, color, marker in zip(
        others, (COLORS[1], COLORS[3], COLORS[4], COLORS[5]), "sD^v", strict=False
    ):
        one = curves.sel(role=role)
        both = np.r_[one["role_r"].values, float(one["role_r_mean"])]
        ax.plot(both, row, marker, color=color, ms=2.8, mfc="none", mew=0.8, label=role)
    labels = [*(muscle_label(str(c)) for c in data["channel"].values), "Mean"]
    ax.set(
        yticks=row, yticklabels=labels, xlim=(-1.02, 1.02), ylim=(-0.6, n + 0.6),
        xlabel="Pearson r at zero lag",
    )  # fmt: skip
    figure.legend(loc="outside upper center", ncols=3, fontsize=6)


def _specificity(figure: SubFigure, data: xr.Dataset) -> None:
    ax: Axes = figure.subplots()
    n = data.sizes["channel"]
    image = ax.imshow(data["specificity"].values, cmap=DIVERGING, vmin=-1, vmax=1, aspect="auto")
    labels = [f"{muscle_label(str(c))} {k + 1}" for k, c in enumerate(data["channel"].values)]
    size = 6 if n <= 12 else 3.5
    ax.set_xticks(range(n), [str(k + 1) for k in range(n)], fontsize=size)
    ax.set_yticks(range(n), labels, fontsize=size)
    # The diagonal is what should win; it is outlined, so that it shows without colour.
    for k in range(n) if n <= 40 else ():
        ax.add_patch(Rectangle((k - 0.5, k - 0.5), 1, 1, fill=False, lw=0.8, ec="#202020"))
    p = float(data["overall_specificity_p"])
    ax.set(xlabel="Human muscle", ylabel="Simulated muscle")
    if np.isfinite(p):
        own = float(data["overall_specificity"])
        ax.set_title(f"Own muscle minus others {own:.2f}, p = {p:.2g}")
    figure.colorbar(image, ax=ax, label="r", shrink=0.8)
