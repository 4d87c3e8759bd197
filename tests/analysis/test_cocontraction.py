"""The three indices on curves for which they can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.analysis.cocontraction import METHODS, cocontraction, muscle_group
from kinesis_neuro.errors import InvalidInputError

PHASE = np.linspace(0, 1, 101)


def level(value: float) -> xr.DataArray:
    return xr.DataArray(np.full(101, value), coords={"phase": PHASE}, attrs={"units": "1"})


@pytest.mark.parametrize(
    ("method", "expected"),
    [("falconer_winter", 2 / 3), ("unithan", 0.2), ("rudolph", 0.5 * 0.6)],
)
def test_two_constant_levels(method: str, expected: float) -> None:
    index = cocontraction(level(0.2), level(0.4), method=method)
    assert float(index) == pytest.approx(expected)
    assert float(cocontraction(level(0.4), level(0.2), method=method)) == pytest.approx(expected)
    assert index.units == "1" and index.method == method


def test_the_closed_point_counts_once() -> None:
    a = level(0.0)
    a[0] = a[-1] = 1.0
    assert float(cocontraction(a, level(1.0), method="unithan")) == pytest.approx(0.01)


@pytest.mark.parametrize("method", METHODS)
def test_all_muscles_at_once_and_silence(method: str) -> None:
    a = xr.concat([level(0.3), level(0.0)], "muscle").assign_coords(muscle=["vl", "ta"])
    index = cocontraction(a, level(0.0), method=method)
    expected = [0.0, np.nan] if method == "falconer_winter" else [0.0, 0.0]
    np.testing.assert_array_equal(index, expected)
    assert index.dims == ("muscle",)
    assert index.attrs["n_undefined"] == np.isnan(expected).sum()


def test_groups() -> None:
    a = xr.concat([level(0.2), level(0.4), level(0.9)], "muscle")
    a = a.assign_coords(muscle=["vl", "vm", "bf"])
    np.testing.assert_allclose(muscle_group(a, ["vl", "vm"]), 0.3)
    np.testing.assert_allclose(muscle_group(a, ["vl", "vm"], how="sum"), 0.6)
    for members, message in (([], "empty"), (["vl", "vl"], "twice"), (["gm"], "Available: bf")):
        with pytest.raises(InvalidInputError, match=message):
            muscle_group(a, members)


def test_bad_input_is_named() -> None:
    with pytest.raises(InvalidInputError, match="must not be negative"):
        cocontraction(level(-0.1), level(0.1))
    with pytest.raises(InvalidInputError, match="Allowed values are falconer_winter"):
        cocontraction(level(0.1), level(0.1), method="winter")
