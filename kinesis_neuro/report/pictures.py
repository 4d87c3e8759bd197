"""Figures of a report, drawn from its results and put into the page as SVG."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

import xarray as xr
from matplotlib.figure import Figure

from kinesis_neuro.analysis.agreement import pairwise_agreement
from kinesis_neuro.errors import KinesisError
from kinesis_neuro.plot.agreement import plot_agreement
from kinesis_neuro.plot.bursts import plot_bursts
from kinesis_neuro.plot.compare import plot_comparison
from kinesis_neuro.plot.heatmap import plot_activation_heatmap
from kinesis_neuro.plot.lags import plot_lags
from kinesis_neuro.plot.polar import plot_centers
from kinesis_neuro.plot.style import figure_svg
from kinesis_neuro.plot.synergies import plot_synergies
from kinesis_neuro.report.results import Results

_PIXELS_PER_INCH = 130  # more than the 96 of print: letters of 7 points are read on a screen


@dataclass(frozen=True)
class Picture:
    """A figure in the page, or the reason why it is not there."""

    title: str
    caption: str
    source: str = ""
    width: int = 0
    reason: str = ""


def pictures(results: Results) -> list[Picture]:
    """All figures, each with its caption; one that cannot be drawn leaves its reason."""
    data = results.comparison.dataset
    person = str(results.subjects[0].attrs.get("subject", "the person"))

    def synergies() -> Figure:
        found = results.synergies
        assert found is not None
        own = str(data["condition"].values[0])
        return plot_synergies(
            found.human, {own: (found.simulated, found.match)}, f"EMG, {person}", results.toe_off
        )

    def snapshots() -> Figure:
        from kinesis_neuro.render import filmstrip_figure

        return filmstrip_figure(results.recording)

    wanted: list[tuple[str, str, str, Callable[[], Figure]]] = [
        (
            "comparison", "Curves, correlations, specificity",
            "Left, mean cycles, each scaled to its range. Right, r at zero lag with its interval, "
            "above what chance reaches in 19 of 20 cases (grey); below, r of each simulated muscle "
            "with each human one, whose diagonal should win.",
            lambda: plot_comparison(data),
        ),
        (
            "lags", "Lags",
            "r at every lag. Circles: best lag of each muscle; dashed: the best that all share. A "
            "positive lag says that people are later.",
            lambda: plot_lags(data),
        ),
        (
            "centers", "Centres of activity",
            "Clockwise from heel strike. Circles on the rim are people, the arrow their mean (as "
            "long as they agree); radii of simulations mean nothing.",
            lambda: plot_centers(results.centers),
        ),
        (
            "bursts", "Bursts",
            "When each muscle is on, a row a cycle; below, circular mean and SD of onset and "
            "offset of the longest burst.",
            lambda: plot_bursts(results.rasters or {}),
        ),
        (
            "synergies", "Synergies",
            "Weights (unit length) and activations of synergies that were assigned to each other, "
            "with the cosine of their weights and p against permuted muscles.",
            synergies,
        ),
        (
            "muscles", "All muscles",
            "Mean activation over gait cycles of all muscles of the right leg.",
            lambda: plot_activation_heatmap(_present(results.statistics)),
        ),
        ("body", "The body", "One gait cycle; colours are activation.", snapshots),
    ]  # fmt: skip
    if data.sizes["subject"] > 2:
        boxes = (
            "boxes", "Who agrees with whom",
            "r of every pair, with quartiles. Pairs share people: they describe, and do not infer.",
            lambda: plot_agreement(pairwise_agreement(data)),
        )  # fmt: skip
        wanted.insert(1, boxes)
    made = []
    for part, title, caption, draw in wanted:
        if part in results.missing:
            made.append(Picture(title, caption, reason=results.missing[part]))
            continue
        try:
            figure = draw()
        except KinesisError as error:
            made.append(Picture(title, caption, reason=str(error)))
            continue
        source = base64.b64encode(figure_svg(figure)).decode()
        width = round(figure.get_figwidth() * _PIXELS_PER_INCH)
        made.append(Picture(title, caption, source, width))
    return made


def _present(statistics: xr.Dataset | None) -> xr.Dataset:
    assert statistics is not None  # its reason is in Results.missing otherwise
    return statistics
