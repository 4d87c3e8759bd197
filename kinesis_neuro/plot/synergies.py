"""Muscle synergies side by side: weights and activations, matched ones in one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.plot.axes import (
    CYCLE_LABEL,
    LINE_STYLES,
    PEOPLE_COLOR,
    closed,
    gait_axis,
    role_colors,
    stance_patch,
)
from kinesis_neuro.plot.names import muscle_label
from kinesis_neuro.plot.style import WIDTH, figure_style

_ROW = 0.98  # inch
_BARS = 0.84  # part of the room that the bars of a muscle share


@dataclass(frozen=True)
class _Row:
    """What one row shows: which synergy of each, and what is said about the pairs."""

    synergy: dict[str, int]
    words: list[tuple[str, str]]


def plot_synergies(
    reference: xr.Dataset,
    others: Mapping[str, tuple[xr.Dataset, xr.Dataset]],
    label: str = "people",
    toe_off: float = np.nan,
) -> Figure:
    """Draw synergies of people and simulations; a row has those that belong together.

    Parameters
    ----------
    reference : xarray.Dataset
        As :func:`kinesis_neuro.analysis.synergy.extract_synergies` gives them, from cycles.
    others : mapping of str to (Dataset, Dataset)
        By label: synergies over the same muscles, and how
        :func:`kinesis_neuro.analysis.synergy_match.match_synergies` assigns them to `reference`
        (``match_synergies(reference, synergies)``).
    label : str
        Of the reference.
    toe_off : float
        Phase of toe-off [cycles], to shade stance.

    Returns
    -------
    matplotlib.figure.Figure
        Left, weights (unit length); right, mean activations, each scaled to its peak. Cosines of
        the weights stand above the bars, with p against permuted muscles. Synergies that nothing
        matches have rows of their own.

    Raises
    ------
    InvalidInputError
        If muscles differ, or activations over phase are missing.

    Examples
    --------
    >>> plot_synergies(xr.Dataset(), {})
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.InvalidInputError: 'people' has no weights and mean activations. ...
    """
    sets = {label: reference} | {name: one for name, (one, _) in others.items()}
    for name, one in sets.items():
        if "weights" not in one or "mean_activation" not in one:
            raise InvalidInputError(
                f"{name!r} has no weights and mean activations. Give what extract_synergies makes "
                "of cycles over phase."
            )
    dim = next(str(d) for d in reference["weights"].dims if d != "synergy")
    muscles = [str(m) for m in reference[dim].values]
    if any(list(map(str, one[dim].values)) != muscles for one in sets.values()):
        raise InvalidInputError("Synergies over other muscles cannot share a figure.")
    colors = {label: PEOPLE_COLOR} | role_colors(others)
    rows = _rows(label, reference, others, colors)
    with figure_style():
        figure = Figure(figsize=(WIDTH, 1.5 + _ROW * len(rows)), layout="constrained")
        axes = figure.subplots(len(rows), 2, sharex="col", squeeze=False, width_ratios=(1.5, 1))
        top = max(float(one["weights"].max()) for one in sets.values())
        for (left, right), row in zip(axes, rows, strict=True):
            _weights(left, sets, row, dim, colors, top)
            _activations(right, sets, row, colors, toe_off)
        axes[0, 0].set_title("Weights", loc="left")
        axes[0, 1].set_title("Activations, each scaled to its peak", loc="left")
        axes[-1, 0].set_xticks(
            range(len(muscles)), [muscle_label(m) for m in muscles],
            rotation=40, ha="right", rotation_mode="anchor",
        )  # fmt: skip
        axes[-1, 1].set_xlabel(CYCLE_LABEL)
        for left, right in axes:
            left.set_ylabel("Weight (1)")
            right.set_ylabel("Activation (1)")
        handles: list[Artist] = [
            Patch(color=colors[name], linewidth=0,
                  label=f"{name} (VAF {float(one['vaf']):.2f} with {one.sizes['synergy']})")
            for name, one in sets.items()
        ]  # fmt: skip
        if np.isfinite(toe_off):
            handles.append(stance_patch())
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4))
    return figure


def _rows(
    label: str,
    reference: xr.Dataset,
    others: Mapping[str, tuple[xr.Dataset, xr.Dataset]],
    colors: Mapping[str, str],
) -> list[_Row]:
    """One row a synergy of the reference, then those of others that match none."""
    rows = []
    for k in range(reference.sizes["synergy"]):
        synergy, words = {label: k}, []
        for name, (_, match) in others.items():
            partner = int(match["match"][k])
            if partner < 0:
                continue
            synergy[name] = partner
            p = float(match["p_value"][k])
            cosine = float(match["weight_similarity"][k, partner])
            words.append((f"cos = {cosine:.2f}, {_p(p)}", colors[name]))
        rows.append(_Row(synergy, words))
    for name, (one, match) in others.items():
        left = sorted(set(range(one.sizes["synergy"])) - set(match["match"].values.tolist()))
        rows += [_Row({name: k}, [("no match", colors[name])]) for k in left]
    return rows


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.01 else f"p = {p:.2f}"


def _weights(
    axis: Axes, sets: Mapping[str, xr.Dataset], row: _Row, dim: str, colors: dict, top: float
) -> None:
    n = len(sets)
    for k, (name, one) in enumerate(sets.items()):
        if name in row.synergy:
            values = one["weights"].isel(synergy=row.synergy[name]).values
            place = np.arange(len(values)) + (k - (n - 1) / 2) * _BARS / n
            axis.bar(place, values, 0.92 * _BARS / n, color=colors[name], linewidth=0)
    axis.set_ylim(0, 1.25 * top)
    axis.tick_params(axis="x", length=0)
    for column, (word, color) in enumerate(reversed(row.words)):
        axis.annotate(
            word, (1, 1), xytext=(-2 - 80 * column, 1), xycoords="axes fraction",
            textcoords="offset points", ha="right", va="top", fontsize=6, color=color,
        )  # fmt: skip


def _activations(
    axis: Axes, sets: Mapping[str, xr.Dataset], row: _Row, colors: dict, toe_off: float
) -> None:
    gait_axis(axis, toe_off, ticks=(0, 25, 50, 75, 100))
    for style, (name, one) in zip(LINE_STYLES, sets.items(), strict=False):
        if name in row.synergy:
            curve = one["mean_activation"].isel(synergy=row.synergy[name])
            values = curve.values / curve.values.max()
            axis.plot(
                *closed(curve["phase"].values, values), color=colors[name], linestyle=style,
                linewidth=1.1,
            )  # fmt: skip
    axis.set(ylim=(0, 1.05), yticks=(0, 0.5, 1))
