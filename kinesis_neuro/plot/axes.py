"""Axes that several figures share: a gait cycle with stance shaded, a circle of phase, colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from matplotlib.projections.polar import PolarAxes

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.plot.style import COLORS, STANCE_COLOR

PEOPLE_COLOR = "#404040"
"""Of people, in every figure; simulations and baselines take :data:`COLORS` in order."""

MARKERS = "osD^vPX"
"""Markers of people and of all that :data:`COLORS` tells apart: colour is never alone."""

LINE_STYLES: tuple[Any, ...] = (
    *("-", (0, (4, 1.2)), (0, (1, 1)), (0, (4, 1, 1, 1))),
    *((0, (6, 2)), (0, (2, 2)), (0, (6, 1, 1, 1, 1, 1))),
)
"""Line styles of the same."""

CYCLE_LABEL = "Gait cycle (%, from heel strike)"


def role_colors(roles: Iterable[str]) -> dict[str, str]:
    """Give each group that is no person its colour.

    Examples
    --------
    >>> role_colors(["walk", "untrained"])
    {'walk': '#0173b2', 'untrained': '#de8f05'}
    """
    names = list(dict.fromkeys(roles))
    if len(names) > len(COLORS):
        raise InvalidInputError(
            f"At most {len(COLORS)} groups can be told apart in a figure, got {len(names)}: "
            f"{', '.join(names)}. Draw some of them."
        )
    return dict(zip(names, COLORS, strict=False))


def grid_of_panels(
    figure: Figure | SubFigure, n: int, columns: int, share_y: bool = True
) -> list[Axes]:
    """Make panels row by row; a panel with none below it carries the ticks of its column."""
    columns = min(columns, n)
    rows = -(-n // columns)
    axes = figure.subplots(rows, columns, sharex=True, sharey=share_y, squeeze=False)
    panels = list(axes.ravel())
    for axis in panels[n:]:
        axis.set_axis_off()
    for axis in panels[max(0, n - columns) : n]:
        axis.tick_params(labelbottom=True)
    return panels[:n]


def gait_axis(axis: Axes, toe_off: float = np.nan, ticks: Sequence[int] = (0, 50, 100)) -> None:
    """Make the horizontal axis a gait cycle in per cent, stance shaded where toe-off is known."""
    if np.isfinite(toe_off):
        axis.axvspan(0, 100 * toe_off, color=STANCE_COLOR, linewidth=0, zorder=0)
    axis.set_xlim(0, 100)
    axis.set_xticks(list(ticks))


def closed(phase: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw an open cycle to its end, which is its beginning: phase in per cent, values (..., n).

    Examples
    --------
    >>> closed(np.array([0.0, 0.5]), np.array([1.0, 2.0]))
    (array([  0.,  50., 100.]), array([1., 2., 1.]))
    """
    if np.isclose(phase[-1] - phase[0], 1.0):
        return 100 * phase, values
    return 100 * np.r_[phase, phase[0] + 1.0], np.concatenate([values, values[..., :1]], axis=-1)


def stance_patch() -> Patch:
    """Give a legend's entry for the shade."""
    return Patch(color=STANCE_COLOR, linewidth=0, label="stance")


def phase_circle(axis: Axes, toe_off: float = np.nan) -> PolarAxes:
    """Make polar axes a gait cycle: heel strike at the top, clockwise, labels in per cent."""
    circle = cast(PolarAxes, axis)
    circle.set_theta_zero_location("N")
    circle.set_theta_direction(-1)
    circle.set_ylim(0, 1)
    circle.set_yticks([])
    circle.grid(False)
    circle.set_xticks(2 * np.pi * np.arange(4) / 4, ["0 %", "25", "50", "75"])
    circle.tick_params(axis="x", pad=-2, labelsize=5.5)
    circle.spines["polar"].set_linewidth(0.6)
    if np.isfinite(toe_off):
        circle.bar(
            np.pi * toe_off, 1.0, width=2 * np.pi * toe_off, color=STANCE_COLOR, linewidth=0,
            zorder=0,
        )  # fmt: skip
    return circle
