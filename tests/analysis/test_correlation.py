"""Lags and correlations are those that were put in, and those of a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from kinesis_neuro.analysis.correlation import (
    correlation_matrix,
    cross_correlation,
    partial_correlation,
)
from kinesis_neuro.analysis.warping import warping_distance
from kinesis_neuro.errors import InvalidInputError

PHASE = np.linspace(0, 1, 101)


def bursts(centre: np.ndarray | float, phase: np.ndarray = PHASE) -> np.ndarray:
    return np.exp(4 * np.cos(2 * np.pi * (phase - np.asarray(centre)[..., None])))


def on_phase(values: np.ndarray, muscles: list[str] | None = None) -> xr.DataArray:
    coords: dict = {"phase": PHASE}
    if muscles:
        coords = {"muscle": muscles} | coords
    return xr.DataArray(values, coords=coords, attrs={"units": "1"})


def on_time(values: np.ndarray, rate: float = 100.0) -> xr.DataArray:
    return xr.DataArray(values, coords={"time": 3.0 + np.arange(values.shape[-1]) / rate})


@pytest.mark.parametrize("lag", np.linspace(-0.49, 0.5, 12))
def test_phase_differences_to_one_degree(lag: float) -> None:
    found = cross_correlation(on_phase(bursts(0.3)), on_phase(bursts(0.3 + lag)), "phase", True)
    error = (float(found.peak_lag) - lag + 0.5) % 1 - 0.5
    assert abs(error) < 1 / 360
    assert float(found.peak_correlation) == pytest.approx(1, abs=1e-3)
    assert found.peak_lag.units == "1"
    assert found.sizes["lag"] == 101  # the closed point is not a lag of its own


@pytest.mark.parametrize("lag", [-0.2137, 0.0, 0.05, 0.333])
def test_a_positive_lag_means_that_b_is_later(lag: float) -> None:
    t = np.arange(300) / 100
    pulse = [np.exp(-(((t - 1.4 - shift) / 0.1) ** 2)) for shift in (0.0, lag)]
    found = cross_correlation(*map(on_time, pulse))
    assert float(found.peak_lag) == pytest.approx(lag, abs=1e-3)
    assert found.peak_lag.units == found.lag.units == "s"


@pytest.mark.parametrize("cyclic", [False, True])
def test_equal_to_pearson_of_what_overlaps(cyclic: bool) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 40)) + 5.0
    result = cross_correlation(on_time(a), on_time(b), cyclic=cyclic)
    n = a.size
    for k, r in zip(np.rint(result.lag.values * 100).astype(int), result.correlation, strict=True):
        if cyclic:
            expected = np.corrcoef(a, np.roll(b, -k))[0, 1]
        else:
            expected = np.corrcoef(a[max(0, -k) : n - max(0, k)], b[max(0, k) : n - max(0, -k)])
            expected = expected[0, 1]
        assert float(r) == pytest.approx(expected, abs=1e-10)


def test_broadcasts_over_other_dims_and_keeps_their_coordinates() -> None:
    centres = np.array([0.1, 0.4, 0.8])
    a = on_phase(bursts(centres), ["ta", "sol", "vl"]).assign_coords(side=("muscle", ["left"] * 3))
    b = a.roll(phase=0).expand_dims(subject=["s1", "s2"])
    result = cross_correlation(a, b, "phase", cyclic=True, max_lag=0.25)
    assert result.correlation.dims == ("muscle", "subject", "lag")
    assert result.side.dims == ("muscle",)
    np.testing.assert_allclose(result.peak_correlation, 1)
    np.testing.assert_allclose(result.peak_lag, 0, atol=1e-9)


def test_constant_and_missing_curves_are_nan_and_counted() -> None:
    values = bursts(np.array([0.1, 0.4, 0.8]))
    values[1], values[2, 5] = 0.3, np.nan
    a = on_phase(values, ["ta", "sol", "vl"])
    for cyclic in (True, False):
        result = cross_correlation(a, a, "phase", cyclic)
        np.testing.assert_array_equal(np.isnan(result.peak_correlation), [False, True, True])
        assert result.n_undefined == 2


def test_matrix_of_pairs() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4, 200))
    data = xr.DataArray(x, coords={"muscle": list("abcd"), "time": np.arange(200) / 50})
    matrix = correlation_matrix(data).zero_lag_correlation
    assert matrix.dims == ("muscle", "other")
    np.testing.assert_allclose(matrix, np.corrcoef(x), atol=1e-12)
    lags = correlation_matrix(data, max_lag=0.5).peak_lag
    np.testing.assert_allclose(lags, -lags.values.T, atol=1e-9)


def test_matrix_of_subjects_for_every_muscle() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((3, 2, 100))
    coords = {"subject": ["a", "b", "c"], "muscle": ["ta", "sol"], "phase": PHASE[:-1]}
    matrix = correlation_matrix(xr.DataArray(x, coords), "subject", "phase", cyclic=True)
    r = matrix.zero_lag_correlation.transpose("muscle", "subject", "other")
    for k in range(2):
        np.testing.assert_allclose(r[k], np.corrcoef(x[:, k]), atol=1e-12)


def test_partial_correlation_is_that_of_residuals() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((5, 300)).cumsum(axis=0)
    partial = partial_correlation(xr.DataArray(x, dims=("muscle", "time")))
    others = np.column_stack([np.ones(300), x[2:].T])
    residual = [v - others @ np.linalg.lstsq(others, v, rcond=None)[0] for v in x[:2]]
    assert float(partial[0, 1]) == pytest.approx(stats.pearsonr(*residual).statistic)
    doubled = xr.DataArray(np.concatenate([x, x[:1]]), dims=("muscle", "time"))
    with pytest.raises(InvalidInputError, match=r"shrinkage=0\.05"):
        partial_correlation(doubled)
    assert np.isfinite(partial_correlation(doubled, shrinkage=0.05)).all()
    with pytest.raises(InvalidInputError, match="constant or not finite: 1"):
        partial_correlation(
            xr.DataArray([[0.0, 1.0, 0.5], [1.0, 1.0, 1.0]], dims=("muscle", "time"))
        )


def plain_warping(a: np.ndarray, b: np.ndarray) -> float:
    total = np.full((a.size + 1, b.size + 1), np.inf)
    total[0, 0] = 0
    for i in range(a.size):
        for j in range(b.size):
            best = min(total[i, j], total[i, j + 1], total[i + 1, j])
            total[i + 1, j + 1] = abs(a[i] - b[j]) + best
    return total[-1, -1] / max(a.size, b.size)


def test_warping_equals_the_plain_recursion() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((3, 20)), rng.standard_normal((3, 14))
    distance = warping_distance(*(xr.DataArray(x, dims=("muscle", "time")) for x in (a, b)))
    np.testing.assert_allclose(distance, [plain_warping(*ab) for ab in zip(a, b, strict=True)])
    x = on_time(a[0])
    assert float(warping_distance(x, x + 0.5, window=0.0)) == pytest.approx(0.5)
    assert warping_distance(x.where(x > 0), x).attrs["n_undefined"] == 1
    with pytest.raises(InvalidInputError, match="admits no path"):
        warping_distance(x, on_time(b[0]), window=0.01)


def test_lazy_files_are_accepted(tmp_path) -> None:
    a = on_phase(bursts(np.array([0.1, 0.4])), ["ta", "sol"]).rename("envelope")
    a.to_dataset().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as lazy:
        result = cross_correlation(lazy, a, "phase", cyclic=True)
    np.testing.assert_allclose(result.peak_correlation, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: cross_correlation(a, a.isel(muscle=[0])), "no dim 'time'"),
        (lambda a: cross_correlation(a, a.isel(muscle=[0]), "phase"), "Only in the first: sol"),
        (lambda a: cross_correlation(a, a[::-1], "phase"), "other labels"),
        (lambda a: cross_correlation(a, a.isel(phase=slice(50)), "phase"), "differ along 'phase'"),
        (lambda a: cross_correlation(a[:, ::-1], a[:, ::-1], "phase"), "sortby"),
        (lambda a: cross_correlation(a.drop_vars("phase"), a, "phase"), "guesses a sampling rate"),
        (lambda a: cross_correlation(a, a, "phase", max_lag=3.0), "max_lag must lie"),
        (lambda a: cross_correlation(a[:, :60], a[:, :60], "phase", True), "exactly one"),
        (lambda a: cross_correlation(a.to_dataset(name="x").assign(y=a), a, "phase"), "2 .x, y."),
        (lambda a: partial_correlation(a, dim="phase", shrinkage=1.0), "below 1"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    a = on_phase(bursts(np.array([0.1, 0.4])), ["ta", "sol"])
    with pytest.raises(InvalidInputError, match=message):
        call(a)
