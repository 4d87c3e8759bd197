"""Statistics of phases and angles: mean, spread, and tests of uniformity and of equal means.

Phases are in cycles (period 1) unless their units are ``rad``. Values that are NaN are missing
(a muscle that never switched on has no onset): they are left out, and ``n`` says how many stayed.

Sources: Mardia & Jupp (2000), Directional Statistics; Zar (2010), Biostatistical Analysis;
Stephens (1965) for Kuiper's statistic; Watson & Williams (1956).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from kinesis_neuro.analysis._inputs import keeps_attrs
from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]
Data = xr.DataArray | ArrayLike

LEAST_CONCENTRATED = 0.45
"""Mean resultant length below which the Watson-Williams F is not to be trusted (kappa < 1)."""


@keeps_attrs
def circular_mean(
    x: Data, dim: str | Sequence[str] | None = None, weights: Data | None = None
) -> xr.DataArray:
    """Mean direction.

    Parameters
    ----------
    x : DataArray or array_like
        Phases [cycles], or angles where the attribute ``units`` is ``rad``.
    dim : str or sequence of str, optional
        What to average over; everything by default.
    weights : DataArray or array_like, optional
        Non-negative weights that broadcast against `x`.

    Returns
    -------
    DataArray
        Mean in [0, period), with the units of `x`; NaN where the vectors cancel or nothing is left.

    Raises
    ------
    InvalidInputError
        If there is nothing to average, a weight is negative or a dim does not exist.

    Examples
    --------
    >>> float(circular_mean([0.95, 0.15]).round(3))
    0.05
    """
    x, period = _phases(x)
    vector, total = _resultant(x, period, dim, weights)
    defined = abs(vector) > 1e-12 * total
    mean = _wrapped(vector, period).where(defined)
    return mean.assign_attrs(x.attrs)


@keeps_attrs
def circular_dispersion(x: Data, dim: str | Sequence[str] | None = None) -> xr.Dataset:
    """Spread around the mean direction.

    Parameters
    ----------
    x : DataArray or array_like
        Phases [cycles], or angles where the attribute ``units`` is ``rad``.
    dim : str or sequence of str, optional
        What to summarise; everything by default.

    Returns
    -------
    Dataset
        ``resultant_length`` R [1] (1: all equal), ``variance`` 1 - R [1],
        ``standard_deviation`` sqrt(-2 ln R) (Mardia 1972) in the units of `x`, ``mean``, ``n``.

    Raises
    ------
    InvalidInputError
        If there is nothing to summarise or a dim does not exist.

    Examples
    --------
    >>> round(float(circular_dispersion([0.0, 0.25]).resultant_length), 4)
    0.7071
    """
    x, period = _phases(x)
    vector, n = _resultant(x, period, dim)
    length = _length(vector, n)
    with np.errstate(divide="ignore"):
        deviation = np.sqrt(-2 * np.log(length)) * period / (2 * np.pi)
    units = {"units": str(x.attrs.get("units", "1"))}
    return xr.Dataset(
        {
            "resultant_length": length.assign_attrs(units="1"),
            "variance": (1 - length).assign_attrs(units="1"),
            "standard_deviation": deviation.assign_attrs(units),
            "mean": circular_mean(x, dim).assign_attrs(units),
            "n": n.astype(int).assign_attrs(units="1"),
        }
    )


@keeps_attrs
def rayleigh_test(x: Data, dim: str | Sequence[str] | None = None) -> xr.Dataset:
    """Test uniformity against one preferred direction.

    Parameters
    ----------
    x : DataArray or array_like
        Independent phases [cycles], or angles where the attribute ``units`` is ``rad``.
    dim : str or sequence of str, optional
        Over what the sample lies; everything by default.

    Returns
    -------
    Dataset
        ``statistic`` z = n R^2, ``p_value`` (Zar 2010, eq. 27.4; error below 0.001 for n >= 10),
        ``resultant_length``, ``n``.

    Raises
    ------
    InvalidInputError
        If there is nothing to test or a dim does not exist.

    Examples
    --------
    >>> test = rayleigh_test([0.10, 0.12, 0.09, 0.11, 0.13])
    >>> bool(test.p_value < 0.01)
    True
    """
    x, period = _phases(x)
    vector, n = _resultant(x, period, dim)
    length = _length(vector, n)
    total = n * length
    p = np.exp(np.sqrt(1 + 4 * n + 4 * (n**2 - total**2)) - (1 + 2 * n))
    p = p.clip(0.0, 1.0).where(n > 0)
    return _tested(n * length**2, p, n, resultant_length=length)


@keeps_attrs
def watson_williams_test(*groups: Data, dim: str | Sequence[str] | None = None) -> xr.Dataset:
    """Test equal mean directions of two or more independent groups.

    The one-way analysis of variance of directions (Watson & Williams 1956), with the correction
    1 + 3 / (8 kappa) (Stephens 1972). It assumes von Mises samples of one concentration.

    Parameters
    ----------
    *groups : DataArray or array_like
        Phases [cycles] of each group, or angles where ``units`` is ``rad``.
    dim : str or sequence of str, optional
        Over what each sample lies; everything by default.

    Returns
    -------
    Dataset
        ``statistic`` F, ``p_value``, ``resultant_length`` within groups, ``n``, and ``trusted``
        (1 where the resultant length within groups is at least 0.45).

    Raises
    ------
    InvalidInputError
        If there are fewer than two groups or too few values.

    Examples
    --------
    >>> test = watson_williams_test([0.10, 0.12, 0.09, 0.11], [0.20, 0.22, 0.19, 0.21])
    >>> bool(test.p_value < 0.001)
    True
    """
    if len(groups) < 2:
        raise InvalidInputError(f"Expected two or more groups, but got {len(groups)}.")
    parts = [_phases(group) for group in groups]
    if len({period for _, period in parts}) > 1:
        raise InvalidInputError("All groups must have the same units: cycles or rad.")
    sums = [_resultant(x, period, dim) for x, period in parts]
    vectors = xr.concat([v for v, _ in sums], "group", join="exact")
    counts = xr.concat([n for _, n in sums], "group", join="exact")
    if bool((counts < 2).any()):
        raise InvalidInputError("Every group needs two or more phases that are not NaN.")
    n = counts.sum("group")
    within = abs(vectors).sum("group")
    total = abs(vectors.sum("group"))
    length = within / n
    k = len(groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        correction = 1 + 3 / (8 * _concentration(length))
        statistic = correction * (n - k) * (within - total) / ((k - 1) * (n - within))
    statistic = statistic.clip(min=0.0)
    p = xr.apply_ufunc(lambda f, d: stats.f.sf(f, k - 1, d), statistic, n - k)
    return _tested(
        statistic, p, n, resultant_length=length, trusted=(length >= LEAST_CONCENTRATED).astype(int)
    )


@keeps_attrs
def kuiper_test(x: Data, y: Data | None = None) -> xr.Dataset:
    """Test uniformity, or equality of two distributions, against any alternative.

    Kuiper's V = D+ + D- does not depend on where the circle starts. p by the series of Stephens
    (1965); its error is below 0.01 from eight values on.

    Parameters
    ----------
    x, y : DataArray or array_like
        Independent phases [cycles], or angles where ``units`` is ``rad``; flattened. With `y`, the
        two samples are compared; without, `x` is compared with the uniform distribution.

    Returns
    -------
    Dataset
        ``statistic`` V, ``p_value``, ``n`` (of x, or the effective n m / (n + m)).

    Raises
    ------
    InvalidInputError
        If a sample has fewer than two phases.

    Examples
    --------
    >>> even = (np.arange(20) + 0.5) / 20
    >>> bool(kuiper_test(even).p_value > 0.99)
    True
    """
    first = _sample(x)
    if y is None:
        rank = np.arange(first.size)
        high = ((rank + 1) / first.size - first).max()
        low = (first - rank / first.size).max()
        n = float(first.size)
    else:
        second = _sample(y)
        both = np.concatenate([first, second])
        difference = (
            np.searchsorted(first, both, side="right") / first.size
            - np.searchsorted(second, both, side="right") / second.size
        )
        high, low = max(difference.max(), 0.0), max(-difference.min(), 0.0)
        n = first.size * second.size / (first.size + second.size)
    scaled = (high + low) * (np.sqrt(n) + 0.155 + 0.24 / np.sqrt(n))
    if scaled < 0.4:  # the series converges slowly there, and p is 1 to six digits
        p = 1.0
    else:
        j = np.arange(1, 101)
        square = (j * scaled) ** 2
        p = float(np.clip(2 * ((4 * square - 1) * np.exp(-2 * square)).sum(), 0.0, 1.0))
    return _tested(xr.DataArray(high + low), xr.DataArray(p), xr.DataArray(n))


@keeps_attrs
def wrap_phase(x: xr.DataArray, period: float = 1.0) -> xr.DataArray:
    """Wrap differences of phases to [-period / 2, period / 2).

    Examples
    --------
    >>> wrap_phase(xr.DataArray([0.75, -0.75, 0.25])).values
    array([-0.25,  0.25,  0.25])
    """
    half = period / 2
    return ((x + half) % period - half).assign_attrs(x.attrs)


def _phases(x: Data) -> tuple[xr.DataArray, float]:
    """Make a DataArray of floats, and find its period from its units."""
    array = (x if isinstance(x, xr.DataArray) else xr.DataArray(np.asarray(x))).compute()
    if array.size and array.dtype.kind not in "fiu":
        raise InvalidInputError(f"Phases are numbers, but the input holds {array.dtype}.")
    array = array.astype(float, keep_attrs=True)
    if array.size == 0:
        raise InvalidInputError("There is no phase: the input is empty.")
    if np.isinf(array.values).any():
        raise InvalidInputError("Phases must be finite, or NaN where there is none.")
    return array, 2 * np.pi if array.attrs.get("units") == "rad" else 1.0


def _resultant(
    x: xr.DataArray, period: float, dim: str | Sequence[str] | None, weights: Data | None = None
) -> tuple[xr.DataArray, xr.DataArray]:
    """Sum of the unit vectors, and of their weights."""
    dims = list(x.dims) if dim is None else [dim] if isinstance(dim, str) else list(dim)
    if missing := [d for d in dims if d not in x.dims]:
        raise InvalidInputError(
            f"Unknown dim {missing[0]!r}. Available: {', '.join(map(str, x.dims)) or 'none'}."
        )
    there = x.notnull().astype(float)
    if weights is not None:
        factor = weights if isinstance(weights, xr.DataArray) else np.asarray(weights, float)
        there = there * factor
        if not bool((there >= 0).all()):
            raise InvalidInputError("Weights must be finite and not negative.")
    vectors = there * np.exp(2j * np.pi / period * x.fillna(0.0))
    return vectors.sum(dims), there.sum(dims)


def _wrapped(vector: xr.DataArray, period: float) -> xr.DataArray:
    angle = xr.apply_ufunc(np.angle, vector) * period / (2 * np.pi) % period
    return angle.where(angle < period, 0.0)  # -1e-17 % 1.0 is 1.0


def _length(vector: xr.DataArray, n: xr.DataArray) -> xr.DataArray:
    return (abs(vector) / n.where(n > 0)).clip(max=1.0)


def _concentration(length: xr.DataArray) -> xr.DataArray:
    """Estimate kappa of a von Mises sample from its mean resultant length (Fisher 1993, 4.40)."""
    r = length.clip(max=1 - 1e-12)
    low = 2 * r + r**3 + 5 * r**5 / 6
    middle = -0.4 + 1.39 * r + 0.43 / (1 - r)
    high = 1 / (r**3 - 4 * r**2 + 3 * r)
    return high.where(r >= 0.85, middle.where(r >= 0.53, low))


def _sample(x: Data) -> FloatArray:
    array, period = _phases(x)
    values = array.values.ravel() / period
    values = np.sort(values[~np.isnan(values)] % 1.0)
    if values.size < 2:
        raise InvalidInputError(f"Expected two or more phases, but got {values.size}.")
    return values


def _tested(
    statistic: xr.DataArray, p: xr.DataArray, n: xr.DataArray, **more: xr.DataArray
) -> xr.Dataset:
    named = {"statistic": statistic, "p_value": p, "n": n, **more}
    return xr.Dataset(
        {k: v.drop_attrs(deep=False).assign_attrs(units="1") for k, v in named.items()}
    )
