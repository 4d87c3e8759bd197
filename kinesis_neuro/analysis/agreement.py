"""Who agrees with whom: r of every pair of a comparison, by group, with what a box plot shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from kinesis_neuro.analysis.comparison import OVERALL
from kinesis_neuro.analysis.shapes import require_comparison, role_labels
from kinesis_neuro.analysis.waveforms import pearson

PEOPLE = "person to person"
"""Group of the pairs of two different people."""

_WHISKER = 1.5
"""Whiskers end at the last value within this many interquartile ranges of the box (Tukey 1977)."""


@dataclass(frozen=True)
class Agreement:
    """Correlations of all pairs, and their quartiles.

    Attributes
    ----------
    pairs : DataFrame
        One row a pair and muscle: ``group`` (:data:`PEOPLE`, the name of the simulation, or of a
        baseline), ``first``, ``second``, ``muscle`` (a channel, or ``mean`` over all), and ``r`` at
        zero lag.
    boxes : DataFrame
        One row a muscle and group: ``n`` pairs, ``low``, ``quartile_1``, ``median``,
        ``quartile_3``, ``high`` (ends of Tukey's whiskers). Pairs share people, so that the box
        describes them and is no interval.
    chance : Series
        What the simulation reaches by chance in one of twenty cases, by muscle.
    """

    pairs: pd.DataFrame
    boxes: pd.DataFrame
    chance: pd.Series

    @property
    def groups(self) -> list[str]:
        """Groups in order: people, simulation, baselines."""
        return list(dict.fromkeys(self.pairs["group"]))


def pairwise_agreement(comparison: xr.Dataset) -> Agreement:
    """Correlate all pairs of a comparison: people with each other, and each simulation with each.

    Parameters
    ----------
    comparison : xarray.Dataset
        As ``EMGComparison.dataset``.

    Returns
    -------
    Agreement

    Raises
    ------
    InvalidInputError
        If the dataset is no comparison.

    Examples
    --------
    >>> from kinesis_neuro.analysis.compare import compare_emg
    >>> from kinesis_neuro.emg.datasets import load_subject
    >>> person = load_subject("builtin")
    >>> other = person.assign_attrs(subject="twin", person="twin")
    >>> muscles = {"soleus": "soleus_r", "tibialis_anterior": "tibant_r"}
    >>> sim = xr.Dataset(
    ...     {"activation": (("cycle", "phase", "muscle"),
    ...                     person.envelope.sel(channel=list(muscles)).values, {"units": "1"})},
    ...     coords={"phase": person.phase.values, "muscle": list(muscles.values()),
    ...             "side": ("muscle", ["right", "right"])}, attrs={"body": "legs"})
    >>> result = compare_emg(sim, [person, other], n_null=20, envelope=None)
    >>> agreement = pairwise_agreement(result.dataset)
    >>> agreement.boxes.xs("mean")["median"].round(3).tolist()
    [1.0, 1.0]
    """
    require_comparison(comparison)
    people = list(map(str, comparison["subject"].values))
    muscles = [*map(str, comparison["channel"].values), OVERALL]
    human = comparison["waveform_human"].transpose("subject", "channel", "phase").values
    first, second = np.triu_indices(len(people), 1)
    parts = [_rows(PEOPLE, np.array(people)[first], np.array(people)[second], muscles,
                   np.nan_to_num(pearson(human[first], human[second])))]  # fmt: skip
    r = comparison["r_pair"].transpose("condition", "subject", "channel").values
    conditions = comparison["condition"].values.astype(str)
    labels = np.array(role_labels(comparison))
    for name in dict.fromkeys(labels.tolist()):
        mine = np.flatnonzero(labels == name)
        a = np.repeat(conditions[mine], len(people))
        b = np.tile(np.array(people), len(mine))
        parts.append(_rows(name, a, b, muscles, r[mine].reshape(-1, r.shape[-1])))
    pairs = pd.concat([part for part in parts if len(part)], ignore_index=True)
    chance = [*comparison["null_95"].values.tolist(), float(comparison["overall_null_95"])]
    return Agreement(pairs, box_statistics(pairs), pd.Series(chance, index=muscles, name="chance"))


def box_statistics(pairs: pd.DataFrame) -> pd.DataFrame:
    """Quartiles and ends of Tukey's whiskers of r, by muscle and group.

    Parameters
    ----------
    pairs : DataFrame
        With columns ``muscle``, ``group`` and ``r``.

    Returns
    -------
    DataFrame
        As :attr:`Agreement.boxes`, in the order of the rows.

    Examples
    --------
    >>> pairs = pd.DataFrame({"muscle": "soleus", "group": "walk", "r": [0.0, 0.5, 0.6, 0.7, 0.8]})
    >>> box_statistics(pairs).loc[("soleus", "walk"), ["low", "median", "high"]].tolist()
    [0.5, 0.6, 0.8]
    """

    def summarise(r: pd.Series) -> pd.Series:
        q1, median, q3 = np.quantile(r, [0.25, 0.5, 0.75])
        inside = r[(r >= q1 - _WHISKER * (q3 - q1)) & (r <= q3 + _WHISKER * (q3 - q1))]
        return pd.Series(
            {"n": len(r), "low": inside.min(), "quartile_1": q1, "median": median,
             "quartile_3": q3, "high": inside.max()}
        )  # fmt: skip

    return pairs.groupby(["muscle", "group"], sort=False)["r"].apply(summarise).unstack()


def _rows(
    group: str, first: np.ndarray, second: np.ndarray, muscles: list[str], r: np.ndarray
) -> pd.DataFrame:
    """One row a pair and muscle; the last muscle is the mean of r (pair, channel)."""
    values = np.column_stack([r, r.mean(axis=1)]) if len(r) else np.zeros((0, len(muscles)))
    n = len(muscles)
    return pd.DataFrame(
        {
            "group": group,
            "first": np.repeat(first, n),
            "second": np.repeat(second, n),
            "muscle": np.tile(np.array(muscles), len(first)),
            "r": values.ravel(),
        }
    )
