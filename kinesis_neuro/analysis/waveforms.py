"""Measures between curves over the gait cycle, on arrays whose last axis is an open grid of phase.

An open grid has n points k / n: the first point is not there again at the end. All functions
broadcast over the axes in front.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]

BURST_THRESHOLD = 0.25
"""Part of the range above the minimum from which a muscle counts as on, around its main peak."""

_TINY = 1e-12


def resample_cyclic(values: ArrayLike, phase: ArrayLike, n: int = 100) -> FloatArray:
    """Interpolate curves over the cycle, linearly and around its end, to an open grid.

    Parameters
    ----------
    values : array_like, shape (..., n_given)
    phase : array_like, shape (n_given,)
        Phases [cycles], increasing, spanning at most one cycle. Where the first point is there
        again at the end (0 and 1), the end is left out.
    n : int
        Points of the new grid.

    Returns
    -------
    ndarray, shape (..., n)

    Raises
    ------
    InvalidInputError
        If lengths disagree or phases do not increase.

    Examples
    --------
    >>> resample_cyclic([0.0, 1.0, 0.0], [0.0, 0.5, 1.0], n=4)
    array([0. , 0.5, 1. , 0.5])
    """
    array, at = np.asarray(values, dtype=float), np.asarray(phase, dtype=float)
    if at.ndim != 1 or array.shape[-1] != at.size or at.size < 2:
        raise InvalidInputError(
            f"Lengths disagree: {array.shape[-1]} values for {at.size} phases. Expected two or "
            "more, one for each."
        )
    if not (np.diff(at) > 0).all() or at[-1] - at[0] > 1 + 1e-9:
        raise InvalidInputError("Phases must increase strictly and span one cycle at most.")
    if at[-1] - at[0] > 1 - 1e-9:
        array, at = array[..., :-1], at[:-1]
    at = at % 1.0
    order = np.argsort(at)
    array, at = array[..., order], at[order]
    grid = np.arange(n) / n
    after = np.searchsorted(at, grid, side="right") % at.size
    before = after - 1
    gap = (at[after] - at[before]) % 1.0
    gap = np.where(gap == 0, 1.0, gap)
    weight = ((grid - at[before]) % 1.0) / gap
    return array[..., before] * (1 - weight) + array[..., after] * weight


def shift_cyclic(values: FloatArray, shift: float) -> FloatArray:
    """Move curves to later phases by a part of the cycle, by interpolation in the frequency domain.

    Examples
    --------
    >>> shift_cyclic(np.array([0.0, 1.0, 0.0, 0.0, 0.0]), 0.2).round(6) + 0.0
    array([0., 0., 1., 0., 0.])
    """
    n = values.shape[-1]
    turn = np.exp(-2j * np.pi * np.arange(n // 2 + 1) * shift)
    return np.fft.irfft(np.fft.rfft(values, axis=-1) * turn, n, axis=-1)


def standardize(values: FloatArray) -> FloatArray:
    """Subtract the mean and scale to unit length; a flat curve turns into NaN."""
    centered = values - values.mean(axis=-1, keepdims=True)
    length = np.sqrt((centered**2).sum(axis=-1, keepdims=True))
    flat = length <= _TINY * np.maximum(1.0, np.abs(values).max(axis=-1, keepdims=True))
    return centered / np.where(flat, np.nan, length)


def pearson(a: FloatArray, b: FloatArray) -> FloatArray:
    """Pearson correlation of curves at zero lag.

    Examples
    --------
    >>> pearson(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])).round(6)
    np.float64(1.0)
    """
    return (standardize(a) * standardize(b)).sum(axis=-1)


def spectrum(values: FloatArray) -> FloatArray:
    """Fourier coefficients of standardised curves."""
    return fft.rfft(standardize(values), axis=-1)


def lag_curve(cross: FloatArray, n: int) -> FloatArray:
    """Correlation at every cyclic lag k / n from a cross-spectrum conj(A) B.

    Entry k is the correlation of a(t) with b(t + k): its maximum at k > 0 says that b is later.
    """
    return fft.irfft(cross, n, axis=-1)


def lags(n: int) -> FloatArray:
    """Lags [cycles] of a lag curve in its order: 0, 1/n, ..., wrapped into [-0.5, 0.5)."""
    return (np.arange(n) / n + 0.5) % 1.0 - 0.5


def nrmse(a: FloatArray, b: FloatArray) -> FloatArray:
    """Root mean square difference after both are scaled to their own range 0..1.

    EMG has no amplitude that a simulation could be held to, so that shapes are compared.
    """
    return np.sqrt(((unit_range(a) - unit_range(b)) ** 2).mean(axis=-1))


def unit_range(x: FloatArray) -> FloatArray:
    """Scale curves to 0..1 along the last axis; a flat curve turns into NaN.

    Examples
    --------
    >>> unit_range(np.array([2.0, 4.0, 3.0]))
    array([0. , 1. , 0.5])
    """
    low, high = x.min(axis=-1, keepdims=True), x.max(axis=-1, keepdims=True)
    return (x - low) / np.where(high - low > _TINY, high - low, np.nan)


def variance_accounted_for(a: FloatArray, b: FloatArray) -> FloatArray:
    """Part of the uncentred power of b that a accounts for with its best gain [1].

    ``1 - |b - g a|^2 / |b|^2`` with ``g = a.b / |a|^2``, the square of the cosine between
    them (the VAF of the synergy literature: Torres-Oviedo, Macpherson & Ting 2006).
    """
    power = (a**2).sum(axis=-1) * (b**2).sum(axis=-1)
    return (a * b).sum(axis=-1) ** 2 / np.where(power > _TINY, power, np.nan)


def multiple_correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Coefficient of multiple correlation of two curves, each scaled to its range (Kadaba 1989).

    Zero where the curves differ more from their mean curve than that from its mean.
    """
    pair = np.stack(np.broadcast_arrays(unit_range(a), unit_range(b)))
    n = pair.shape[-1]
    within = ((pair - pair.mean(axis=0)) ** 2).sum(axis=(0, -1)) / n  # T (W - 1), W = 2
    grand = pair.mean(axis=(0, -1), keepdims=True)
    total = ((pair - grand) ** 2).sum(axis=(0, -1)) / (2 * n - 1)
    return np.sqrt(np.maximum(1 - within / total, 0.0))


class Bursts(NamedTuple):
    """Phases [cycles] of the main burst: its onset, peak and offset."""

    onset: FloatArray
    peak: FloatArray
    offset: FloatArray


def main_burst(values: FloatArray, threshold: float = BURST_THRESHOLD) -> Bursts:
    """Find the main burst: around the largest value, as long as the curve stays above a threshold.

    Parameters
    ----------
    values : ndarray, shape (..., n)
    threshold : float
        Part of the range above the minimum (a relative threshold; Hodges & Bui 1996 discuss it).

    Returns
    -------
    Bursts
        Phases in [0, 1), interpolated between samples; NaN for flat curves.

    Examples
    --------
    >>> burst = main_burst(np.array([0.0, 0.0, 1.0, 4.0, 1.0, 0.0, 0.0, 0.0]))
    >>> float(burst.onset), float(burst.peak), float(burst.offset)
    (0.25, 0.375, 0.5)
    """
    n = values.shape[-1]
    scaled = unit_range(values)
    flat = np.isnan(scaled[..., 0])
    top = np.argmax(np.nan_to_num(scaled), axis=-1)
    turned = np.take_along_axis(scaled, (top[..., None] + np.arange(n)) % n, axis=-1)
    edges = []
    for course in (turned, turned[..., (-np.arange(n)) % n]):  # forwards, backwards
        below = course <= threshold
        first = np.argmax(below, axis=-1)
        high = np.take_along_axis(course, (first - 1)[..., None] % n, axis=-1)[..., 0]
        low = np.take_along_axis(course, first[..., None], axis=-1)[..., 0]
        edges.append(first - 1 + (high - threshold) / np.where(high > low, high - low, 1.0))
    forward, backward = (np.where(flat, np.nan, edge) for edge in edges)
    peak = np.where(flat, np.nan, top / n)
    return Bursts(((top - backward) / n) % 1.0, peak, ((top + forward) / n) % 1.0)


def phase_difference(a: FloatArray, b: FloatArray) -> FloatArray:
    """Difference a - b of phases [cycles], wrapped into [-0.5, 0.5): positive where a is later."""
    return (a - b + 0.5) % 1.0 - 0.5
