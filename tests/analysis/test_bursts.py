"""Centres, widths and onsets of bursts whose phases are known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.analysis.bursts import (
    burst_phases,
    center_of_activity,
    full_width_half_maximum,
    phase_vector,
)
from kinesis_neuro.errors import InvalidInputError

PHASE = np.linspace(0, 1, 101)


def curves(centres: np.ndarray, kappa: float = 4.0) -> xr.DataArray:
    values = np.exp(kappa * np.cos(2 * np.pi * (PHASE - np.asarray(centres)[:, None])))
    return xr.DataArray(values, {"phase": PHASE}, ("cycle", "phase"), attrs={"units": "1"})


def test_centre_and_width_round_the_circle() -> None:
    centres = np.linspace(0, 0.99, 12)
    data = curves(centres)
    error = (center_of_activity(data) - centres + 0.5) % 1 - 0.5
    assert float(abs(error).max()) < 1 / 360
    # exp(k cos) is half way between its extremes where cos = log(cosh(k)) / k.
    expected = np.arccos(np.log(np.cosh(4.0)) / 4.0) / np.pi
    np.testing.assert_allclose(full_width_half_maximum(data), expected, atol=2e-3)


def test_what_is_even_has_no_centre() -> None:
    even = xr.DataArray(np.full(101, 0.4), {"phase": PHASE}, ("phase",))
    assert np.isnan(center_of_activity(even)) and np.isnan(full_width_half_maximum(even))
    assert np.isnan(center_of_activity(even * 0))


def test_onset_and_offset_to_one_degree_across_heel_strike() -> None:
    centres = np.array([0.02, 0.3, 0.5, 0.97])
    data = curves(centres)
    burst = burst_phases(data, threshold=0.5)
    half = np.arccos(np.log(np.cosh(4.0)) / 4.0) / (2 * np.pi)
    for name, expected in (("onset", centres - half), ("offset", centres + half)):
        error = (burst[name] - expected + 0.5) % 1 - 0.5
        assert float(abs(error).max()) < 1 / 360
    np.testing.assert_allclose(burst.duration, 2 * half, atol=2e-3)
    np.testing.assert_array_equal(burst.n_bursts, 1)
    assert burst.active.dims == ("cycle", "phase") and burst.sizes["phase"] == 100


def test_the_longest_of_two_bursts_and_silent_cycles() -> None:
    values = np.zeros((3, 101))
    values[0, 10:40] = values[0, 60:70] = 1.0
    values[1] = 1.0
    data = xr.DataArray(values, {"phase": PHASE}, ("cycle", "phase"))
    burst = burst_phases(data, threshold=0.5)
    np.testing.assert_array_equal(burst.n_bursts, [2, 1, 0])
    np.testing.assert_allclose(burst.onset, [0.095, np.nan, np.nan])
    np.testing.assert_allclose(burst.offset, [0.395, np.nan, np.nan])
    np.testing.assert_allclose(burst.duration, [0.3, 1.0, 0.0])
    vector = phase_vector(burst.onset)
    assert int(vector.n) == 1 and int(vector.n_missing) == 2
    assert float(vector["mean"]) == pytest.approx(0.095)


def test_bad_input_is_named() -> None:
    with pytest.raises(InvalidInputError, match="not negative"):
        center_of_activity(curves(np.array([0.1])) - 5)
    with pytest.raises(InvalidInputError, match="between 0 and 1"):
        burst_phases(curves(np.array([0.1])), threshold=1.0)
