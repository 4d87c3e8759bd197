"""Correlation boxes: people with each other, simulations and baselines with people."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kinesis_neuro.analysis.agreement import PEOPLE, Agreement
from kinesis_neuro.analysis.comparison import OVERALL
from kinesis_neuro.plot.axes import MARKERS, PEOPLE_COLOR, role_colors
from kinesis_neuro.plot.names import muscle_label
from kinesis_neuro.plot.style import STANCE_COLOR, WIDTH, figure_style

_SPREAD = 0.22  # of the points about the middle of their box, in widths of it
_BOX = 0.8  # part of the room that groups of a muscle share


def plot_agreement(agreement: Agreement) -> Figure:
    """Draw r of every pair, with quartiles, by group and muscle.

    Parameters
    ----------
    agreement : Agreement
        As :func:`kinesis_neuro.analysis.agreement.pairwise_agreement` gives it.

    Returns
    -------
    matplotlib.figure.Figure
        Above, the mean over muscles, a point a pair; below, the same of each muscle. The line in a
        box is the median, the box the quartiles, whiskers reach Tukey's limits. The grey bar is
        what the simulation reaches by chance in 19 of 20 cases.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinesis_neuro.analysis.agreement import box_statistics
    >>> pairs = pd.DataFrame({"group": "walk", "first": "walk", "second": ["04", "05"] * 2,
    ...                       "muscle": ["soleus"] * 2 + ["mean"] * 2, "r": [0.2, 0.4] * 2})
    >>> chance = pd.Series([0.3, 0.3], index=["soleus", "mean"])
    >>> len(plot_agreement(Agreement(pairs, box_statistics(pairs), chance)).axes)
    2
    """
    groups = agreement.groups
    colors = role_colors(group for group in groups if group != PEOPLE)
    colors = {group: colors.get(group, PEOPLE_COLOR) for group in groups}
    muscles = [m for m in dict.fromkeys(agreement.pairs["muscle"]) if m != OVERALL]
    with figure_style():
        figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
        left, right = figure.subplots(
            1, 2, width_ratios=(1.0, 4.2 * max(len(muscles), 3) / 9), sharey=True
        )
        _mean_panel(left, agreement, groups, colors)
        _muscle_panel(right, agreement, groups, colors, muscles)
        for axis in (left, right):
            axis.axhline(0, color="0.5", linewidth=0.5, zorder=0)
            axis.set_ylim(-1.02, 1.02)
        handles = [
            Line2D([], [], color=colors[g], marker=m, linestyle="none", markersize=3.5,
                   label=f"{g} (n = {int(agreement.boxes.loc[(OVERALL, g), 'n'])})")
            for g, m in zip(groups, MARKERS, strict=False)
        ]  # fmt: skip
        own = next((g for g in groups if g != PEOPLE), "the simulation")
        chance = Patch(color=STANCE_COLOR, linewidth=0, label=f"chance of {own}, 95 %")
        figure.legend(handles=[*handles, chance], loc="outside upper center", ncols=3)
    return figure


def _mean_panel(axis: Axes, agreement: Agreement, groups: list[str], colors: dict) -> None:
    limit = float(agreement.chance[OVERALL])
    axis.axhspan(-1.02, limit, color=STANCE_COLOR, linewidth=0, zorder=-1)
    for k, (group, marker) in enumerate(zip(groups, MARKERS, strict=False)):
        _box(axis, agreement, OVERALL, group, k, 0.5, colors[group], marker, 3.0)
    axis.set_xticks(range(len(groups)), groups, rotation=40, ha="right", rotation_mode="anchor")
    axis.set_xlim(-0.6, len(groups) - 0.4)
    axis.set_ylabel("Pearson r at zero lag")
    axis.set_title("Mean over muscles", loc="left")


def _muscle_panel(
    axis: Axes, agreement: Agreement, groups: list[str], colors: dict, muscles: list[str]
) -> None:
    room = _BOX / len(groups)
    for i, muscle in enumerate(muscles):
        low, limit = -1.02, float(agreement.chance[muscle])
        axis.bar(i, limit - low, 0.94, low, color=STANCE_COLOR, linewidth=0, zorder=-1)
        for k, (group, marker) in enumerate(zip(groups, MARKERS, strict=False)):
            at = i + (k - (len(groups) - 1) / 2) * room
            _box(axis, agreement, muscle, group, at, 0.7 * room, colors[group], marker, 1.4)
    axis.set_xticks(
        range(len(muscles)), [muscle_label(m) for m in muscles],
        rotation=40, ha="right", rotation_mode="anchor",
    )  # fmt: skip
    axis.tick_params(axis="x", length=0)
    axis.set_xlim(-0.55, len(muscles) - 0.45)
    axis.set_title("Each muscle", loc="left")


def _box(
    axis: Axes, agreement: Agreement, muscle: str, group: str, at: float, width: float,
    color: str, marker: str, size: float,
) -> None:  # fmt: skip
    """Draw a box whose numbers are given, and its pairs beside each other."""
    box = agreement.boxes.loc[(muscle, group)]
    pairs = agreement.pairs
    r = pairs.loc[(pairs["muscle"] == muscle) & (pairs["group"] == group), "r"].to_numpy()
    if len(r) > 2:
        line = {"color": color, "linewidth": 0.8}
        axis.bxp(
            [
                {
                    "med": box["median"], "q1": box["quartile_1"], "q3": box["quartile_3"],
                    "whislo": box["low"], "whishi": box["high"],
                }
            ],
            positions=[at], widths=width, showfliers=False, showcaps=False, manage_ticks=False,
            boxprops=line, whiskerprops=line, medianprops=line | {"linewidth": 1.6},
        )  # fmt: skip
    order = np.argsort(np.argsort(r))
    # Neighbours in r alternate between the two sides, so that they do not lie on each other.
    beside = np.where(order % 2, 1.0, -1.0) * (_SPREAD if len(r) > 1 else 0.0)
    axis.plot(at + beside * width, r, marker, color=color, markersize=size, mew=0, alpha=0.75)
