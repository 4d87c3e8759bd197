"""The result of compare_emg: everything that was computed, in one dataset that does not change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.netcdf import read_netcdf, write_netcdf

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Columns of the table, in order, with the variables that they are.
_COLUMNS = (
    *("r", "r_low", "r_high", "p", "p_fdr", "null_mean", "null_95"),
    *("best_lag", "r_best", "p_best", "null_best_mean", "p_best_phase", "null_best_95"),
    *("ceiling_pairwise", "ceiling_mean_of_others", "ceiling_between_cycle"),
    *("r_to_mean", "r_of_ceiling_pairwise", "r_of_ceiling_mean"),
    *("nrmse", "vaf", "cmc", "r_stance", "r_swing", "nrmse_stance", "nrmse_swing"),
    *("onset_error", "offset_error", "peak_error"),
)
OVERALL = "mean"
"""Name of the table's last row: the mean over channels."""


class EMGComparison:
    """What simulated muscles and human EMG have in common, with ceiling, null and interval.

    Made by :func:`kinesis_neuro.compare_emg`, or from a file by :meth:`from_netcdf`. It cannot be
    changed: its properties hand out copies.

    Parameters
    ----------
    dataset : xarray.Dataset
        As :attr:`dataset` describes.
    """

    __slots__ = ("_dataset",)

    _dataset: xr.Dataset

    def __init__(self, dataset: xr.Dataset) -> None:
        for name in ("r_pair", "waveform_simulated", "waveform_human"):
            if name not in dataset:
                raise InvalidInputError(f"This dataset is no comparison: it has no {name!r}.")
        object.__setattr__(self, "_dataset", dataset.copy(deep=True))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an EMGComparison does not change; {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"an EMGComparison does not change; {name!r} cannot be deleted")

    @property
    def dataset(self) -> xr.Dataset:
        """Everything, as a dataset (a copy).

        By channel: the table's columns. ``r_pair (condition, subject, channel)``: zero-lag r of
        each simulation and each person; ``role (condition)`` tells the simulation from baselines.
        ``waveform_simulated (condition, channel, phase)``, ``waveform_human (subject, channel,
        phase)``, ``lag_curve (lag, channel)`` of the simulation and ``lag_curve_condition
        (condition, channel, lag)`` of each condition, with ``best_lag_condition`` and
        ``common_lag_condition`` [cycles]; ``specificity (channel, other)``. Scalars named
        ``overall_...`` are about the mean over channels.
        """
        return self._dataset.copy(deep=True)

    @property
    def table(self) -> pd.DataFrame:
        """One row a muscle and a last row ``mean``; a copy.

        ``r`` with interval, p (cyclic shifts) and p adjusted for false discovery, and what chance
        has (``null_...``). ``best_lag`` [cycles, positive: human later] and ``r_best`` there;
        ``p_best`` is the part of human muscles that the simulated one fits as well at their best
        lags, ``null_best_mean`` its mean r with those; ``p_best_phase`` and ``null_best_95`` are
        of random phases. In the row ``mean`` the lag is common to all muscles, and the null is
        independent shifts of each, with the same freedom. The ceilings; ``r_to_mean`` (simulation
        against the mean of all people, to be held against ``ceiling_mean_of_others``); r as a part
        of each ceiling; ``nrmse``, ``vaf``, ``cmc``;
        stance and swing apart; errors of timing [cycles, positive: simulation later]; for each
        baseline ``r:<name>`` and ``r_best:<name>``.
        """
        data = self._dataset
        channels = list(map(str, data["channel"].values))
        columns: dict[str, list[float]] = {}
        for name in _COLUMNS:
            if name in data:
                overall = f"overall_{name}"
                last = float(data[overall]) if overall in data else float(data[name].mean())
                columns[name] = [*data[name].values.tolist(), last]
        roles = data["role"].values
        for role in dict.fromkeys(roles[roles != "simulation"].tolist()):
            mine = roles == role
            for column, variable in (("r", "r_pair"), ("r_best", "r_best_condition")):
                values = data[variable].isel(condition=np.flatnonzero(mine))
                others = [dim for dim in values.dims if dim != "channel"]
                means = values.mean(others).values
                columns[f"{column}:{role}"] = [*means.tolist(), float(means.mean())]
        return pd.DataFrame(columns, index=pd.Index([*channels, OVERALL], name="muscle"))

    def summary(self) -> str:
        """Say in words what was compared, and what came out."""
        data, attrs = self._dataset, self._dataset.attrs
        n_sim = int((data["role"].values == "simulation").sum())
        n_people, n_channels = data.sizes["subject"], data.sizes["channel"]
        value = {name: float(data[f"overall_{name}"]) for name in (
            "r", "r_low", "r_high", "p", "null_95", "r_best", "best_lag", "null_best_95",
            "ceiling_pairwise", "ceiling_mean_of_others", "r_to_mean",
            "specificity", "specificity_p")}  # fmt: skip
        lines = [
            f"{attrs['signal'].replace('_', ' ').capitalize()} of {n_sim} simulation(s) against "
            f"{n_people} person(s), {n_channels} muscles, protocol {attrs['protocol']!r}.",
            f"Mean r at zero lag is {value['r']:.2f}"
            + (
                f" ({attrs['confidence']:.0%} interval {value['r_low']:.2f} to "
                f"{value['r_high']:.2f})"
                if np.isfinite(value["r_low"])
                else " (no interval: one simulation and one person)"
            )
            + f"; chance reaches {value['null_95']:.2f} in one of twenty cases, p = "
            f"{value['p']:.2g}.",
            f"At the best common lag ({100 * value['best_lag']:+.0f} % of the cycle) it is "
            f"{value['r_best']:.2f}, where chance with the same freedom reaches "
            f"{value['null_best_95']:.2f}.",
        ]
        if np.isfinite(value["ceiling_pairwise"]):
            lines.append(
                f"One person against another has {value['ceiling_pairwise']:.2f} (pairwise "
                f"ceiling). The simulation against the mean of all people has "
                f"{value['r_to_mean']:.2f}; one person against the mean of the others has "
                f"{value['ceiling_mean_of_others']:.2f}."
            )
        elif np.isfinite(float(data["ceiling_between_cycle"].mean())):
            cycle = float(data["ceiling_between_cycle"].mean())
            lines.append(f"Odd against even cycles of the person have {cycle:.2f}.")
        if np.isfinite(value["specificity_p"]):
            lines.append(
                f"A simulated muscle is more like its own human muscle than like the others by "
                f"{value['specificity']:.2f} (p = {value['specificity_p']:.2g})."
            )
        table = self.table
        worst, best = table["r"].iloc[:-1].idxmin(), table["r"].iloc[:-1].idxmax()
        lines.append(
            f"Best muscle: {best} ({table.at[best, 'r']:.2f}); worst: {worst} "
            f"({table.at[worst, 'r']:.2f})."
        )
        lines += [
            f"Baseline {name.removeprefix('r:')}: mean r {table.at[OVERALL, name]:.2f}."
            for name in table
            if str(name).startswith("r:")
        ]
        lines += [f"Note: {note}" for note in json.loads(attrs.get("notes", "[]"))]
        return "\n".join(lines)

    def amplitude_ratio(self) -> pd.Series:
        """Peak of the simulation over peak of the people, by muscle.

        Raises
        ------
        InvalidInputError
            Unless both are scaled to maximum voluntary contraction.
        """
        if "amplitude_ratio" not in self._dataset:
            raise InvalidInputError(
                "Amplitudes can only be compared where both are scaled to maximum voluntary "
                f"contraction; the EMG is scaled to: {self._dataset.attrs['normalisation']}. "
                "Use apply_pipeline with Step('normalize', {'by': 'mvc'}) on raw EMG, and compare "
                "signal='activation'."
            )
        return self._dataset["amplitude_ratio"].to_series().copy()

    def mixed_model(self) -> pd.DataFrame:
        """Mixed model on Fisher's z: muscles fixed, people and seeds random.

        Returns
        -------
        DataFrame
            Mean r and limits of each muscle by the model, and the variances of people and seeds.

        Raises
        ------
        InvalidInputError
            With fewer than two people.
        """
        from kinesis_neuro.analysis.mixed import fit_mixed_model

        mine = np.flatnonzero(self._dataset["role"].values == "simulation")
        return fit_mixed_model(
            self._dataset["r_pair"].isel(condition=mine), self._dataset.attrs["confidence"]
        )

    def plot(self) -> Figure:
        """Draw curves, correlations with ceiling and chance, and the matrix of specificity."""
        from kinesis_neuro.plot.compare import plot_comparison

        return plot_comparison(self._dataset)

    def to_netcdf(self, path: str | Path) -> None:
        """Write everything to a NetCDF file; :meth:`from_netcdf` reads it back."""
        write_netcdf(self._dataset, path)

    @classmethod
    def from_netcdf(cls, path: str | Path) -> EMGComparison:
        """Read a comparison that :meth:`to_netcdf` wrote."""
        return cls(read_netcdf(path))

    def __repr__(self) -> str:
        return f"<EMGComparison>\n{self.summary()}"

    def _repr_html_(self) -> str:
        from html import escape

        shown = self.table[[c for c in self.table if c in _SHORT or str(c).startswith("r:")]]
        words = "<br>".join(escape(line) for line in self.summary().split("\n"))
        return f"<p>{words}</p>{shown.to_html(float_format='{:.2f}'.format)}"

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, EMGComparison) and self._dataset.identical(other._dataset)

    def __hash__(self) -> int:
        return id(self)


_SHORT = ("r", "r_low", "r_high", "p_fdr", "null_95", "best_lag", "r_best", "ceiling_pairwise")
