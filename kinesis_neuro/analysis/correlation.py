"""How alike two curves are, and at what lag: cross-correlation, matrices, partial correlation."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import fft

from kinesis_neuro.analysis._inputs import (
    FloatArray,
    coords_along,
    exact_align,
    grid,
    is_closed,
    keeps_attrs,
    labels_along,
    lag_units,
    open_cycle,
    pick,
)
from kinesis_neuro.errors import InvalidInputError

Data = xr.DataArray | xr.Dataset

DEFAULT_OVERLAP = 0.5
"""Without `max_lag`, a linear correlation keeps lags at which this part of the curves overlaps."""

_FLAT = 1e-10
"""A curve whose standard deviation is this part of its root mean square is constant."""


@keeps_attrs
def cross_correlation(
    a: Data, b: Data, dim: str = "time", cyclic: bool = False, max_lag: float | None = None
) -> xr.Dataset:
    """Correlate two curves at every lag, for all other dims at once.

    At each lag it is Pearson's r over the samples that overlap, each part with its own mean and
    standard deviation, so that r does not fade with the lag (a cyclic correlation always overlaps
    in full). **A positive lag means that b is later than a.** The peak is the highest r; its lag
    is interpolated between samples by a parabola.

    Parameters
    ----------
    a, b : DataArray or Dataset
        Curves along `dim` on one even grid. Shared other dims must have the same labels; dims that
        only one has are broadcast. A Dataset must have one variable along `dim`.
    dim : str
        ``time`` [s] or ``phase`` [cycles], or another evenly spaced dim.
    cyclic : bool
        Whether the curves repeat. Of a closed grid of phase, the first n - 1 points are used.
    max_lag : float, optional
        Longest lag, in the units of `dim`; half the curve by default.

    Returns
    -------
    Dataset
        ``correlation (..., lag)``, ``peak_correlation``, ``peak_lag`` [s or cycles] and
        ``zero_lag_correlation``, all [1] but the lag. Curves that are constant or not finite have
        NaN, and the attribute ``n_undefined`` counts the pairs for which that is so.

    Raises
    ------
    InvalidInputError
        If grids or labels differ, the grid is not even, or `max_lag` is out of range.

    Examples
    --------
    >>> phase = np.arange(100) / 100
    >>> bump = lambda centre: np.exp(np.cos(2 * np.pi * (phase - centre)))
    >>> early, late = (
    ...     xr.DataArray(bump(c), coords={"phase": phase}, dims="phase") for c in (0.3, 0.4567)
    ... )
    >>> found = cross_correlation(early, late, dim="phase", cyclic=True)
    >>> round(float(found.peak_lag), 3), round(float(found.peak_correlation), 3)
    (0.157, 1.0)
    """
    a, b = pick(a, (dim,)), pick(b, (dim,))
    exact_align(a, b)
    step = grid(a, dim)[1]
    if dim in b.coords and not np.isclose(grid(b, dim)[1], step, rtol=1e-6):
        raise InvalidInputError(f"The two inputs have different steps of {dim!r}.")
    if cyclic:
        closed = dim == "phase" or is_closed(a, dim)
        a, b = (open_cycle(x, dim) if closed else x for x in (a, b))
    n = a.sizes[dim]
    n_lags = _lags(n, step, cyclic, max_lag)
    first, second = (x.drop_vars(dim, errors="ignore") for x in (a, b))
    function = _cyclic if cyclic else _linear
    correlation = xr.apply_ufunc(
        function,
        first,
        second,
        input_core_dims=[[dim], [dim]],
        output_core_dims=[["lag"]],
        kwargs={"n_lags": n_lags},
        join="exact",
    )
    lags = np.arange(-n_lags, n_lags + 1) * step
    period = n if cyclic and 2 * n_lags + 1 >= n else None
    peak, where = _peak(correlation.values, period)
    rest = correlation.isel(lag=0, drop=True)
    units = lag_units(dim)
    result = xr.Dataset(
        {
            "correlation": correlation.assign_attrs(units="1"),
            "peak_correlation": rest.copy(data=peak).assign_attrs(units="1"),
            "peak_lag": rest.copy(data=(where - n_lags) * step).assign_attrs(units=units),
            "zero_lag_correlation": correlation.isel(lag=n_lags).assign_attrs(units="1"),
        }
    ).assign_coords(lag=("lag", lags, {"units": units, "long_name": "positive: b is later"}))
    result.attrs = {
        "dim": dim,
        "cyclic": int(cyclic),
        "max_lag": float(n_lags * step),
        "n_undefined": int(np.isnan(peak).sum()),
    }
    return result


@keeps_attrs
def correlation_matrix(
    data: Data,
    over: str = "muscle",
    dim: str = "time",
    cyclic: bool = False,
    max_lag: float | None = 0.0,
) -> xr.Dataset:
    """Correlate all pairs along a dim: muscle with muscle, subject with subject.

    Parameters
    ----------
    data : DataArray or Dataset
        Curves over `over` and `dim`.
    over : str
        What is paired.
    dim, cyclic, max_lag
        As in :func:`cross_correlation`; by default at lag zero only. With `max_lag`, the highest
        r within it and its lag: give its null the same freedom.

    Returns
    -------
    Dataset
        As :func:`cross_correlation` gives it, over (..., `over`, ``other``). A positive lag means
        that the one along ``other`` is later.

    Raises
    ------
    InvalidInputError
        As in :func:`cross_correlation`.

    Examples
    --------
    >>> x = xr.DataArray(
    ...     [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]],
    ...     coords={"muscle": ["a", "b"], "time": [0.0, 0.1, 0.2]},
    ... )
    >>> correlation_matrix(x).zero_lag_correlation.values.round(6)
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    array = pick(data, (over, dim))
    other = _as_other(array, over)
    return cross_correlation(array, other, dim, cyclic, max_lag)


@keeps_attrs
def partial_correlation(
    data: Data, over: str = "muscle", dim: str = "time", shrinkage: float = 0.0
) -> xr.DataArray:
    """Correlate each pair along a dim with what all others explain taken out.

    From the inverse P of the correlation matrix: r = -P_ij / sqrt(P_ii P_jj) (Whittaker 1990).

    Parameters
    ----------
    data : DataArray or Dataset
        Curves over `over` and `dim`.
    over : str
        What is paired.
    dim : str
        Samples.
    shrinkage : float
        Between 0 and 1: the matrix is moved by this part towards the identity before it is
        inverted. Needed when curves depend on one another or samples are few.

    Returns
    -------
    DataArray
        Partial correlation [1] over (..., `over`, ``other``), 1 on the diagonal.

    Raises
    ------
    InvalidInputError
        If the matrix cannot be inverted, a curve is constant or not finite, or `shrinkage` is out
        of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> common = rng.standard_normal(2000)
    >>> muscles = np.stack([common, *(common + rng.standard_normal((2, 2000)))])
    >>> r = partial_correlation(xr.DataArray(muscles, dims=("muscle", "time")))
    >>> bool(abs(r[1, 2]) < 0.05)
    True
    """
    if not 0 <= shrinkage < 1:
        raise InvalidInputError(f"shrinkage must be at least 0 and below 1, got {shrinkage}.")
    array = pick(data, (over, dim))
    rest = [d for d in array.dims if d not in (over, dim)]
    array = array.transpose(*rest, over, dim)
    standard = _standardised(array.values)
    if not np.isfinite(standard).all():
        bad = ~np.isfinite(standard).all(axis=-1).reshape(-1, array.sizes[over]).all(axis=0)
        names = ", ".join(map(str, labels_along(array, over)[bad]))
        raise InvalidInputError(
            f"These curves are constant or not finite: {names}. Leave them out with "
            f".drop_sel({over}=[...])."
        )
    r = (1 - shrinkage) * standard @ np.swapaxes(standard, -1, -2)
    index = np.arange(r.shape[-1])
    r[..., index, index] = 1.0
    if (np.linalg.eigvalsh(r)[..., 0] < _FLAT).any():
        raise InvalidInputError(
            f"The correlations along {over!r} ({array.sizes[over]} curves, {array.sizes[dim]} "
            "samples) cannot be inverted: a curve is a combination of others. Leave one out, or "
            "give shrinkage=0.05."
        )
    precision = np.linalg.inv(r)
    scale = np.sqrt(precision[..., index, index])
    partial = -precision / scale[..., :, None] / scale[..., None, :]
    partial[..., index, index] = 1.0
    coords = coords_along(array, [*rest, over])
    other = _as_other(array, over)
    return xr.DataArray(
        partial,
        dims=(*rest, over, "other"),
        coords=coords | coords_along(other, ["other"]),
        name="partial_correlation",
        attrs={"units": "1", "shrinkage": float(shrinkage)},
    )


def _as_other(array: xr.DataArray, over: str) -> xr.DataArray:
    """Rename a dim to ``other``, with its labels as text and without its other coordinates."""
    along = [c for c in array.coords if over in array[c].dims and c != over]
    renamed = array.drop_vars(along).rename({over: "other"})
    if "other" in renamed.coords:
        renamed = renamed.assign_coords(other=renamed["other"].values.astype(str))
    return renamed


def _lags(n: int, step: float, cyclic: bool, max_lag: float | None) -> int:
    """Count the steps to either side."""
    most = n // 2 if cyclic else n - 3
    if max_lag is None:
        return n // 2 if cyclic else min(int(n * (1 - DEFAULT_OVERLAP)), max(most, 0))
    count = round(max_lag / step) if np.isfinite(max_lag) else -1
    if not 0 <= count <= max(most, 0):
        raise InvalidInputError(
            f"max_lag must lie between 0 and {max(most, 0) * step:.6g} for {n} samples, got "
            f"{max_lag}."
        )
    return count


def _standardised(x: FloatArray) -> FloatArray:
    """Zero mean and unit norm along the last axis; NaN for constant curves."""
    centred = x - x.mean(axis=-1, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=-1, keepdims=True))
    size = np.sqrt((x**2).sum(axis=-1, keepdims=True))
    return centred / np.where(norm > _FLAT * size, norm, np.nan)


def _cyclic(a: FloatArray, b: FloatArray, n_lags: int) -> FloatArray:
    a, b = np.broadcast_arrays(_standardised(a), _standardised(b))
    n = a.shape[-1]
    product = np.conj(fft.rfft(a)) * fft.rfft(b)
    r = fft.irfft(product, n)
    return np.clip(r[..., np.arange(-n_lags, n_lags + 1) % n], -1.0, 1.0)


def _linear(a: FloatArray, b: FloatArray, n_lags: int) -> FloatArray:
    # Scaling first keeps the sums below free of cancellation, and tells constant curves.
    a, b = np.broadcast_arrays(_standardised(a), _standardised(b))
    n = a.shape[-1]
    lag = np.arange(-n_lags, n_lags + 1)
    size = fft.next_fast_len(n + n_lags)
    product = fft.irfft(np.conj(fft.rfft(a, size)) * fft.rfft(b, size), size)[..., lag % size]
    overlap = n - np.abs(lag)
    # At lag l, a[: n - l] meets b[l:]; for negative lags the other way round.
    a_sum, a_square = _part(a, -lag)
    b_sum, b_square = _part(b, lag)
    covariance = product - a_sum * b_sum / overlap
    variance = np.maximum(a_square - a_sum**2 / overlap, 0) * np.maximum(
        b_square - b_sum**2 / overlap, 0
    )
    least = _FLAT**2
    r = covariance / np.sqrt(np.where(variance > least**2, variance, np.nan))
    return np.clip(r, -1.0, 1.0)


def _part(x: FloatArray, lag: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Sum x and its squares over what is left without the first (or last) samples."""
    n = x.shape[-1]
    results = []
    for values in (x, x**2):
        total = np.concatenate([np.zeros((*x.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
        results.append(total[..., np.where(lag > 0, n, n + lag)] - total[..., np.maximum(lag, 0)])
    return results[0], results[1]


def _peak(r: FloatArray, period: int | None) -> tuple[FloatArray, FloatArray]:
    """Highest value along the last axis and its index, both refined by a parabola."""
    n = r.shape[-1]
    undefined = np.isnan(r).all(axis=-1)
    k = np.argmax(np.where(np.isnan(r), -np.inf, r), axis=-1)[..., None]
    # Of an even period, both ends of the axis are the lag of half a cycle.
    before, after = ((k - 1) % period, (k + 1) % period) if period else (k - 1, k + 1)
    inner = (before >= 0) & (after < n)
    y = [np.take_along_axis(r, np.clip(i, 0, n - 1), axis=-1)[..., 0] for i in (before, k, after)]
    curvature = y[0] - 2 * y[1] + y[2]
    refine = inner[..., 0] & (curvature < 0)
    shift = np.where(refine, (y[0] - y[2]) / np.where(refine, 2 * curvature, 1.0), 0.0)
    shift = np.clip(np.nan_to_num(shift), -0.5, 0.5)
    peak = np.where(refine, y[1] - (y[0] - y[2]) * shift / 4, y[1])
    where = np.where(undefined, np.nan, k[..., 0] + shift)
    return np.minimum(np.where(undefined, np.nan, peak), 1.0), where
