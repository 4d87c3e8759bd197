"""Cluster-based inference: curves with their band, t over phase, and the clusters with their p."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from kinesis_neuro.analysis.clusters import ClusterTest
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.plot.axes import CYCLE_LABEL, PEOPLE_COLOR, closed, gait_axis
from kinesis_neuro.plot.names import muscle_label
from kinesis_neuro.plot.style import COLORS, WIDTH, figure_style

_COLUMNS = 3
_MINUS, _AT_MOST = "\N{MINUS SIGN}", "\N{LESS-THAN OR EQUAL TO}"
_ROW = 1.75  # inch
_CLUSTER = "#d8c3e0"  # light, so that both curves are seen on it
_FAINT = "#ece5ef"


def plot_clusters(
    test: ClusterTest,
    band: xr.Dataset,
    curves: Mapping[str, xr.DataArray],
    label: str = "people",
    what: str = "Activity (1)",
    level: float = 0.05,
    columns: int = _COLUMNS,
) -> Figure:
    """Draw what a cluster test compares and what it finds, a panel a muscle.

    Parameters
    ----------
    test : ClusterTest
        Over phase and channel (or muscle).
    band : xarray.Dataset
        ``mean``, ``low`` and ``high`` of the tested group over the same, as
        :func:`kinesis_neuro.analysis.bands.bootstrap_band` gives them.
    curves : mapping of str to DataArray
        Curves that the group is compared with, by label, over the same.
    label : str
        Of the group.
    what : str
        What the curves are, with units.
    level : float
        Clusters with ``p_value_all`` of at most this are shaded darker; or of the smallest p that
        the number of subjects allows, where that is larger.
    columns : int
        Panels a row.

    Returns
    -------
    matplotlib.figure.Figure
        Above, curves; below, t with the threshold that forms clusters (dashed). Shaded are the
        clusters, with p against the largest clusters of all muscles.

    Raises
    ------
    InvalidInputError
        If the three do not have the same muscles.
    """
    t = test.dataset["t"]
    dim = next((str(d) for d in t.dims if d != "phase"), None)
    if dim is None or dim not in band["mean"].dims:
        raise InvalidInputError(
            "Expected a test and a band over phase and channel (or muscle); the test lies along "
            f"{', '.join(map(str, t.dims))}, the band along {', '.join(map(str, band.dims))}."
        )
    names = list(map(str, t[dim].values))
    if any(list(map(str, one[dim].values)) != names for one in (band, *curves.values())):
        raise InvalidInputError("The test, the band and the curves have different muscles.")
    colors = dict(zip(curves, COLORS, strict=False))
    columns = min(columns, len(names))
    rows = -(-len(names) // columns)
    limit = 1.6 * float(np.abs(t).max())
    threshold = float(test.dataset.attrs["threshold"])
    # With few subjects no p can be below the level; the lowest that there is, is shaded then.
    level = max(level, float(test.dataset.attrs["smallest_p"]) * (1 + 1e-9))
    with figure_style():
        figure = Figure(figsize=(WIDTH, 0.8 + _ROW * rows), layout="constrained")
        parts = figure.subfigures(rows, columns, squeeze=False).ravel()
        for k, (part, name) in enumerate(zip(parts, names, strict=False)):
            above, below = part.subplots(2, 1, sharex=True, height_ratios=(1.5, 1))
            found = test.table[test.table[dim].astype(str) == name]
            mine = {key: one.sel({dim: name}) for key, one in curves.items()}
            for axis in (above, below):
                gait_axis(axis)
                _shade(axis, found, level)
            _curves(above, band.sel({dim: name}), mine, colors)
            above.set_title(muscle_label(name), loc="left", pad=3)
            _statistic(below, t.sel({dim: name}), threshold, limit)
            _say_p(below, found, limit)
            for axis, words in ((above, what), (below, "t")):
                axis.set_ylabel(words if k % columns == 0 else "")
        figure.supxlabel(CYCLE_LABEL, fontsize=7)
        words = f"{label}, {100 * float(band.attrs['level']):.0f} % band"
        handles: list[Artist] = [
            Line2D([], [], color=PEOPLE_COLOR, label=label),
            Patch(color=PEOPLE_COLOR, alpha=0.2, linewidth=0, label=words),
            *(Line2D([], [], color=colors[key], label=key) for key in curves),
            Patch(color=_FAINT, linewidth=0, label="cluster"),
            Patch(color=_CLUSTER, linewidth=0, label=f"cluster, p {_AT_MOST} {level:.2g}"),
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _shade(axis: Axes, found: pd.DataFrame, level: float) -> None:
    for _, cluster in found.iterrows():
        color = _CLUSTER if cluster["p_value_all"] <= level else _FAINT
        start, stop = 100 * cluster["start"], 100 * cluster["stop"]
        # A cluster that runs on across heel strike stops before it starts.
        spans = [(start, stop)] if start <= stop else [(start, 100.0), (0.0, stop)]
        for low, high in spans:
            axis.axvspan(low, high, color=color, linewidth=0, zorder=0)


def _curves(
    axis: Axes, band: xr.Dataset, curves: Mapping[str, xr.DataArray], colors: Mapping[str, str]
) -> None:
    phase = band["phase"].values
    percent, low = closed(phase, band["low"].values)
    high = closed(phase, band["high"].values)[1]
    axis.fill_between(percent, low, high, color=PEOPLE_COLOR, alpha=0.2, linewidth=0)
    axis.plot(*closed(phase, band["mean"].values), color=PEOPLE_COLOR)
    for key, curve in curves.items():
        axis.plot(*closed(curve["phase"].values, curve.values), color=colors[key], linewidth=1.1)
    axis.yaxis.set_major_locator(MaxNLocator(3))


def _statistic(axis: Axes, t: xr.DataArray, threshold: float, limit: float) -> None:
    axis.axhline(0, color="0.5", linewidth=0.5)
    for side in (-threshold, threshold):
        axis.axhline(side, color="0.35", linewidth=0.6, linestyle=(0, (4, 2)))
    axis.plot(*closed(t["phase"].values, t.values), color="#1a1a1a", linewidth=1.0)
    # Even up to the threshold, and logarithmic beyond, where t has no upper limit.
    axis.set_yscale("symlog", linthresh=threshold, linscale=0.8)
    axis.set_ylim(-limit, limit)
    axis.yaxis.set_major_locator(FixedLocator([-100, -10, 0, 10, 100]))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.0f}".replace("-", _MINUS)))


def _say_p(axis: Axes, found: pd.DataFrame, limit: float) -> None:
    """Write p below or above each cluster that has room for it."""
    for _, cluster in found.iterrows():
        width = (cluster["stop"] - cluster["start"]) % 1.0
        middle = 100 * ((cluster["start"] + width / 2) % 1.0)
        below = cluster["mass"] > 0
        axis.text(
            min(max(middle, 7), 93), (-0.97 if below else 0.97) * limit,
            f"{cluster['p_value_all']:.2f}", ha="center", va="bottom" if below else "top",
            fontsize=5.5,
        )  # fmt: skip
