"""Every analysis takes lazy inputs, gives units, and keeps the labels and their attributes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.analysis.bands import bootstrap_band, mixed_model_band
from kinesis_neuro.analysis.bursts import (
    burst_phases,
    center_of_activity,
    full_width_half_maximum,
    phase_vector,
)
from kinesis_neuro.analysis.circular import (
    circular_dispersion,
    circular_mean,
    kuiper_test,
    rayleigh_test,
    watson_williams_test,
    wrap_phase,
)
from kinesis_neuro.analysis.clusters import cluster_permutation_test
from kinesis_neuro.analysis.cocontraction import cocontraction, muscle_group
from kinesis_neuro.analysis.correlation import (
    correlation_matrix,
    cross_correlation,
    partial_correlation,
)
from kinesis_neuro.analysis.locking import phase_locking
from kinesis_neuro.analysis.phase import continuous_relative_phase, gait_phase
from kinesis_neuro.analysis.phase_response import perturbation_response
from kinesis_neuro.analysis.stats import adjust_p, effect_size
from kinesis_neuro.analysis.synergy import extract_synergies, reconstruct
from kinesis_neuro.analysis.synergy_match import cross_reconstruction
from kinesis_neuro.analysis.synergy_rank import RankOptions
from kinesis_neuro.analysis.warping import warping_distance
from kinesis_neuro.synthetic import gait_emg

Result = xr.DataArray | xr.Dataset
QUICK = RankOptions(restarts=1, rows=100, surrogates=3)


def cycles() -> xr.DataArray:
    """Make cycles of four subjects, in millivolts, with attributes on everything."""
    emg = gait_emg(4, 4, 2, n_channels=4, n_phase=41, subject_sd=0.3).envelope
    emg.attrs |= {"units": "mV", "long_name": "envelope"}
    emg["channel"].attrs["long_name"] = "electrode"
    emg["side"].attrs["note"] = "of the body"
    return emg


def one(x: xr.DataArray) -> xr.DataArray:
    return x.isel(subject=0)


def over_time(x: xr.DataArray) -> xr.DataArray:
    clock = xr.DataArray(np.arange(x.sizes["phase"]) / 100, dims="time", attrs={"units": "s"})
    whole = one(x).rename(phase="time").assign_coords(time=clock)
    return whole.assign_attrs(x.attrs)


def onset(x: xr.DataArray) -> xr.DataArray:
    return burst_phases(x).onset


# What is left of the dims of (subject, cycle, phase, channel), and the units of what comes out.
CALLS: dict[str, tuple[Callable[[xr.DataArray], Result], str]] = {
    "cross_correlation": (lambda x: cross_correlation(x, one(x), "phase", True), "1"),
    "correlation_matrix": (
        lambda x: correlation_matrix(x, "channel", "phase", True, max_lag=0.1), "1",
    ),
    "partial_correlation": (lambda x: partial_correlation(x, "channel", "phase"), "1"),
    "warping_distance": (lambda x: warping_distance(x, one(x), "phase"), "mV"),
    "cocontraction": (lambda x: cocontraction(x, one(x)), "1"),
    "unithan": (lambda x: cocontraction(x, one(x), method="unithan"), "mV"),
    "muscle_group": (lambda x: muscle_group(x, ["soleus", "tibialis_anterior"]), "mV"),
    "synergies": (lambda x: extract_synergies(one(x), max_rank=2, n_restarts=2, options=QUICK), ""),
    "reconstruct": (lambda x: reconstruct(extract_synergies(one(x), 2, n_restarts=2)), "mV"),
    "cross_reconstruction": (
        lambda x: cross_reconstruction(
            extract_synergies(one(x), 2, n_restarts=2), x.isel(subject=1), n_null=5
        ), "1",
    ),
    "hilbert": (lambda x: gait_phase(x, "hilbert", dim="phase"), "1"),
    "phase_plane": (lambda x: gait_phase(x, "phase_plane", dim="phase"), "1"),
    "relative_phase": (lambda x: continuous_relative_phase(x, one(x), "phase"), "1"),
    "phase_locking": (lambda x: phase_locking(x, x.isel(channel=0, drop=True), 20), "1"),
    "perturbation_response": (
        lambda x: perturbation_response(over_time(x) + 1.0, over_time(x), onset=0.2), "mV",
    ),
    "center_of_activity": (center_of_activity, "1"),
    "width": (full_width_half_maximum, "1"),
    "bursts": (burst_phases, "1"),
    "phase_vector": (lambda x: phase_vector(onset(x)), "1"),
    "circular_mean": (lambda x: circular_mean(onset(x), "cycle"), "1"),
    "circular_dispersion": (lambda x: circular_dispersion(onset(x), "cycle"), "1"),
    "rayleigh": (lambda x: rayleigh_test(onset(x), "cycle"), "1"),
    "watson_williams": (
        lambda x: watson_williams_test(onset(one(x)), onset(x.isel(subject=1)), dim="cycle"), "1",
    ),
    "kuiper": (lambda x: kuiper_test(onset(one(x)), onset(x.isel(subject=1))), "1"),
    "wrap": (lambda x: wrap_phase(onset(x)), "1"),
    "clusters": (lambda x: cluster_permutation_test(x, n_permutations=20).dataset, "1"),
    "bootstrap_band": (lambda x: bootstrap_band(x, n_bootstrap=50), "mV"),
    "mixed_model_band": (
        lambda x: mixed_model_band(x.isel(channel=0, phase=slice(0, 20, 8)), n_simulations=50), "",
    ),
    "effect_size": (effect_size, "1"),
    "adjust_p": (lambda x: adjust_p(x.isel(cycle=0) / x.max()), "1"),
}  # fmt: skip


def variables(result: Result) -> list[xr.DataArray]:
    return [result] if isinstance(result, xr.DataArray) else list(result.data_vars.values())


@pytest.fixture(scope="module")
def eager() -> dict[str, Result]:
    return {}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore:The MLE may be on the boundary")
def test_units_and_labels(name: str, eager: dict[str, Result]) -> None:
    function, units = CALLS[name]
    data = cycles()
    before = data.copy(deep=True)
    result = eager[name] = function(data)
    xr.testing.assert_identical(data, before)  # inputs stay as they are
    for variable in variables(result):
        assert variable.attrs["units"], variable.name
        if units and not variable.name.endswith(("_lag", "n", "_phase")):
            assert variable.attrs["units"] == units, variable.name
    for dim in set(result.dims) & {"channel", "subject"}:
        xr.testing.assert_identical(result[dim].reset_coords(drop=True), data[dim].reset_coords(
            drop=True
        ))  # fmt: skip
    if "channel" in result.dims:
        assert result["side"].attrs == {"note": "of the body"}
    if "phase" in result.dims:
        assert result["phase"].attrs == data["phase"].attrs


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore:The MLE may be on the boundary")
def test_lazy_input_gives_the_same(name: str, eager: dict[str, Result]) -> None:
    function, _ = CALLS[name]
    lazy = cycles().chunk({"subject": 1, "cycle": 2})
    result = function(lazy)
    xr.testing.assert_identical(result, eager[name] if name in eager else function(cycles()))
    assert lazy.chunks is not None  # what is computed is not kept


@pytest.mark.parametrize("keep", [True, False])
def test_xarrays_own_option_changes_nothing(keep: bool, eager: dict[str, Result]) -> None:
    for name in ("cross_correlation", "cocontraction", "bursts", "effect_size", "hilbert"):
        function, _ = CALLS[name]
        expected = eager[name] if name in eager else function(cycles())
        with xr.set_options(keep_attrs=keep):
            xr.testing.assert_identical(function(cycles()), expected)
