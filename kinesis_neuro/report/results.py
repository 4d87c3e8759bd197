"""What a report rests on: every result, computed from a recording and EMG subjects."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from kinesis_neuro.analysis.alignment import ComparisonWarning
from kinesis_neuro.analysis.channel_cycles import burst_raster, shared_cycles
from kinesis_neuro.analysis.compare import compare_emg
from kinesis_neuro.analysis.comparison import EMGComparison
from kinesis_neuro.analysis.shapes import activity_centers
from kinesis_neuro.analysis.synergy import extract_synergies
from kinesis_neuro.analysis.synergy_match import match_synergies
from kinesis_neuro.emg.cycles import cycle_statistics, segment_cycles
from kinesis_neuro.errors import InvalidInputError, KinesisError

Result = TypeVar("Result")

SYNERGY_RULE = "r_squared_knee"
"""Rule that chooses the number of synergies of the person; the simulation gets as many."""


@dataclass(frozen=True)
class SynergyResults:
    """Synergies of the person and of the simulation, and how they match."""

    human: xr.Dataset
    simulated: xr.Dataset
    match: xr.Dataset


@dataclass(frozen=True)
class Results:
    """All results of a report; a part that could not be had is None, and ``missing`` says why.

    Attributes
    ----------
    recording : Dataset
    subjects : list of Dataset
    comparison : EMGComparison
    centers : Dataset
        Centres of activity.
    rasters : dict of Dataset, or None
        Bursts of the first subject and of the recording, by label.
    synergies : SynergyResults or None
    statistics : Dataset or None
        Mean and SD over cycles of all muscles.
    notes : list of str
        What the comparison warned of.
    missing : dict of str
        Reason by part.
    """

    recording: xr.Dataset
    subjects: list[xr.Dataset]
    comparison: EMGComparison
    centers: xr.Dataset
    rasters: dict[str, xr.Dataset] | None = None
    synergies: SynergyResults | None = None
    statistics: xr.Dataset | None = None
    notes: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def toe_off(self) -> float:
        """Phase of toe-off [cycles]."""
        return float(self.centers["toe_off_phase"])


def compute_results(
    recording: xr.Dataset,
    subjects: Sequence[xr.Dataset],
    signal: str = "activation",
    delay: float = 0.0,
    n_null: int = 1000,
    seed: int = 0,
) -> Results:
    """Compute everything that a report shows.

    Parameters
    ----------
    recording : Dataset
        A recording of a simulation.
    subjects : sequence of Dataset
        EMG subjects with envelopes; the first is the one whose bursts and synergies are shown.
    signal : str
        What of the muscles is compared, see :func:`~kinesis_neuro.analysis.compare.compare_emg`.
    delay : float
        Stated electromechanical delay [s].
    n_null : int
        Surrogates of the comparison and of the matching of synergies.
    seed : int

    Returns
    -------
    Results

    Raises
    ------
    InvalidInputError
        If recording and subjects cannot be compared; parts beyond the comparison are left out with
        their reason.
    """
    if "muscle" not in recording.dims:
        raise InvalidInputError(
            "The first input is no recording of muscles: it lies along "
            f"{', '.join(map(str, recording.sizes)) or 'nothing'}. Give what kn.record or "
            "'kinesis-neuro record' wrote."
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ComparisonWarning)
        comparison = compare_emg(
            recording, list(subjects), signal, n_null=n_null, seed=seed, delay=delay
        )
    for other in caught:
        if not issubclass(other.category, ComparisonWarning):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    missing: dict[str, str] = {}

    def attempt(part: str, compute: Callable[[], Result]) -> Result | None:
        try:
            return compute()
        except KinesisError as error:
            missing[part] = str(error)
            return None

    person = str(subjects[0].attrs.get("subject", "EMG"))
    own = str(comparison.dataset["condition"].values[0])
    within = signal if signal in recording else "activation"

    def rasters() -> dict[str, xr.Dataset]:
        cycles = shared_cycles(subjects[0], {own: recording}, within)
        human = burst_raster(cycles.human).assign_attrs(human=1, signal="EMG envelope")
        simulated = burst_raster(cycles.simulated[own]).assign_attrs(human=0, signal=within)
        return {f"EMG, {person}": human, own: simulated}

    def synergies() -> SynergyResults:
        cycles = shared_cycles(subjects[0], {own: recording}, within)
        human = extract_synergies(cycles.human, rule=SYNERGY_RULE, seed=seed)
        simulated = extract_synergies(cycles.simulated[own], human.sizes["synergy"], seed=seed)
        return SynergyResults(human, simulated, match_synergies(human, simulated, n_null, seed))

    def statistics() -> xr.Dataset:
        return cycle_statistics(segment_cycles(recording[["activation", "ground_force"]]))

    return Results(
        recording,
        list(subjects),
        comparison,
        activity_centers(comparison.dataset),
        attempt("bursts", rasters),
        attempt("synergies", synergies),
        attempt("muscles", statistics),
        [str(one.message) for one in caught if issubclass(one.category, ComparisonWarning)],
        missing,
    )


def center_table(centers: xr.Dataset) -> pd.DataFrame:
    """Centres of activity as a table: people, simulation, and their difference, by muscle.

    Returns
    -------
    DataFrame
        ``center_people`` and ``center_simulated`` [cycles], ``center_error`` [cycles] (positive:
        simulation later), ``center_resultant`` [1].
    """
    own = centers.isel(condition=0)
    return pd.DataFrame(
        {
            "center_people": centers["people_mean"].values,
            "center_simulated": own["simulated"].values,
            "center_error": own["difference"].values,
            "center_resultant": np.where(
                centers.sizes["subject"] > 1, centers["people_resultant"].values, np.nan
            ),
        },
        index=pd.Index(centers["channel"].values.astype(str), name="muscle"),
    )
