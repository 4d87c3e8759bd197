"""When in the cycle a muscle works: centre of activity, width, onset and offset."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.analysis._inputs import (
    FloatArray,
    grid,
    is_closed,
    keeps_attrs,
    open_cycle,
    pick,
)
from kinesis_neuro.analysis.circular import circular_dispersion, circular_mean, rayleigh_test
from kinesis_neuro.errors import InvalidInputError

Data = xr.DataArray | xr.Dataset


@keeps_attrs
def center_of_activity(data: Data, dim: str = "phase") -> xr.DataArray:
    """Centre of activity: the direction of the activity-weighted mean phase vector.

    Parameters
    ----------
    data : DataArray or Dataset
        Non-negative activity over a cycle (Cappellini et al. 2006; Martino et al. 2014). Of a
        closed grid, the first n - 1 points are used.
    dim : str
        Phase.

    Returns
    -------
    DataArray
        Phase [cycles] in [0, 1) over the other dims; NaN where activity is even or silent.

    Raises
    ------
    InvalidInputError
        If activity is negative or not finite, or the phase does not span one cycle.

    Examples
    --------
    >>> phase = np.linspace(0, 1, 101)
    >>> x = xr.DataArray(1 + np.cos(2 * np.pi * (phase - 0.98)), coords={"phase": phase})
    >>> round(float(center_of_activity(x)), 3)
    0.98
    """
    array = _activity(data, dim)
    phase = array[dim].drop_attrs(deep=False).astype(float)
    center = circular_mean(phase.drop_vars(dim), dim, weights=array.drop_vars(dim))
    return center.rename("center_of_activity").assign_attrs(units="1")


@keeps_attrs
def full_width_half_maximum(data: Data, dim: str = "phase") -> xr.DataArray:
    """Part of the cycle in which activity exceeds half its maximum, above its minimum.

    Counted over the whole circle, so that a burst that crosses heel strike is not cut, and
    interpolated between samples. The minimum is subtracted first (Martino et al. 2014).

    Parameters
    ----------
    data : DataArray or Dataset
        Non-negative activity over a cycle. Of a closed grid, the first n - 1 points are used.
    dim : str
        Phase.

    Returns
    -------
    DataArray
        Width [cycles] over the other dims; NaN where activity is constant.

    Raises
    ------
    InvalidInputError
        If activity is negative or not finite, or the phase does not span one cycle.

    Examples
    --------
    >>> phase = np.linspace(0, 1, 101)
    >>> x = xr.DataArray(1 + np.cos(2 * np.pi * phase), coords={"phase": phase})
    >>> round(float(full_width_half_maximum(x)), 3)
    0.5
    """
    array = _activity(data, dim)
    low, high = array.min(dim), array.max(dim)
    excess = (array - (low + high) / 2).transpose(..., dim)
    y = excess.values
    after = np.roll(y, -1, axis=-1)
    # Of each step between samples, the part for which a straight line is above zero.
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.clip(np.maximum(y, after) / np.abs(after - y), 0, 1)
    above = np.where(after == y, (y > 0).astype(float), above)
    width = excess.isel({dim: 0}, drop=True).copy(data=above.mean(axis=-1))
    varies = (high - low) > 1e-12 * abs(high)
    return width.where(varies).rename("full_width_half_maximum").assign_attrs(units="1")


@keeps_attrs
def burst_phases(data: Data, threshold: float = 0.3, dim: str = "phase") -> xr.Dataset:
    """Onset and offset of the longest burst of each cycle, and the raster of all activity.

    A muscle is on where it exceeds a part of its range over all cycles together, so that a weak
    cycle is not stretched. The longest run on the circle is the burst.

    Parameters
    ----------
    data : DataArray or Dataset
        Non-negative activity over a cycle, or many. Of a closed grid, the first n - 1 points are
        used.
    threshold : float
        Part of the range between minimum and maximum, 0 to 1.
    dim : str
        Phase.

    Returns
    -------
    Dataset
        ``active (..., phase)`` (0 or 1), ``onset`` and ``offset`` [cycles] in [0, 1), interpolated
        (NaN where a cycle is off or on throughout), ``duration`` [cycles] of the burst, and
        ``n_bursts``.

    Raises
    ------
    InvalidInputError
        If activity is negative or not finite, or an argument is out of range.

    Examples
    --------
    >>> phase = np.linspace(0, 1, 101)
    >>> x = xr.DataArray(1 + np.cos(2 * np.pi * phase), coords={"phase": phase})
    >>> burst = burst_phases(x, threshold=0.5)
    >>> round(float(burst.onset), 3), round(float(burst.offset), 3)
    (0.75, 0.25)
    """
    if not 0 < threshold < 1:
        raise InvalidInputError(f"threshold must lie between 0 and 1, got {threshold}.")
    array = _activity(data, dim)
    span = [d for d in ("cycle", dim) if d in array.dims]
    low, high = array.min(span), array.max(span)
    excess = (array - (low + threshold * (high - low))).transpose(*array.dims)
    excess = excess.transpose(..., dim)
    phase, step = grid(array, dim)
    on = excess.values > 0
    start, length, count = _longest_run(on)
    rest = excess.isel({dim: 0}, drop=True)
    defined = (length > 0) & (length < on.shape[-1])
    first = _crossing(excess.values, start - 1)
    last = _crossing(excess.values, start + length - 1)
    onset = np.where(defined, (phase[0] + first * step) % 1.0, np.nan)
    offset = np.where(defined, (phase[0] + last * step) % 1.0, np.nan)
    duration = np.where(defined, (last - first) * step, length * step)
    units = {"units": "1"}
    result = xr.Dataset(
        {
            "active": excess.copy(data=on.astype(np.int8)).assign_attrs(units),
            "onset": rest.copy(data=onset).assign_attrs(units),
            "offset": rest.copy(data=offset).assign_attrs(units),
            "duration": rest.copy(data=duration).assign_attrs(units),
            "n_bursts": rest.copy(data=count).assign_attrs(units),
        }
    )
    result.attrs["threshold"] = float(threshold)
    return result


@keeps_attrs
def phase_vector(phases: Data, dim: str = "cycle") -> xr.Dataset:
    """Mean phase vector over cycles (or muscles), with its spread and Rayleigh's test.

    Parameters
    ----------
    phases : DataArray or Dataset
        Phases [cycles], such as onsets; NaN is left out and counted.
    dim : str
        What is averaged.

    Returns
    -------
    Dataset
        ``mean`` [cycles], ``resultant_length``, ``variance`` [1], ``standard_deviation`` [cycles],
        ``p_value`` of uniformity, ``n`` and ``n_missing``.

    Examples
    --------
    >>> onsets = xr.DataArray([0.98, 0.02, np.nan], dims="cycle", attrs={"units": "1"})
    >>> vector = phase_vector(onsets)
    >>> int(vector.n), int(vector.n_missing)
    (2, 1)
    """
    array = pick(phases, (dim,))
    result = circular_dispersion(array, dim)
    result["p_value"] = rayleigh_test(array, dim).p_value
    result["n_missing"] = (array.sizes[dim] - result["n"]).assign_attrs(units="1")
    return result


def _activity(data: Data, dim: str) -> xr.DataArray:
    array = pick(data, (dim,))
    array = open_cycle(array, dim) if dim == "phase" or is_closed(array, dim) else array
    if not bool((array >= 0).all()):
        raise InvalidInputError(
            "Activity must be finite and not negative. Give rectified envelopes or activations, "
            "and drop cycles with missing samples."
        )
    return array


def _longest_run(on: NDArray[np.bool_]) -> tuple[NDArray, NDArray, NDArray]:
    """Start and length of the longest run of True on a circle, and how many runs there are."""
    n = on.shape[-1]
    twice = np.concatenate([on, on], axis=-1)
    index = np.arange(2 * n)
    last_off = np.maximum.accumulate(np.where(twice, -1, index), axis=-1)
    run = np.where(twice, index - last_off, 0)  # length of the run that ends here
    run = np.where(on.all(axis=-1, keepdims=True), 0, run)
    end = run.argmax(axis=-1)
    length = np.take_along_axis(run, end[..., None], axis=-1)[..., 0]
    count = (on & ~np.roll(on, 1, axis=-1)).sum(axis=-1)
    always = on.all(axis=-1)
    return end - length + 1, np.where(always, n, length), np.where(always, 1, count)


def _crossing(y: FloatArray, before: NDArray) -> FloatArray:
    """Interpolate where y passes zero between a sample (counted round the circle) and the next."""
    n = y.shape[-1]
    a = np.take_along_axis(y, (before % n)[..., None], axis=-1)[..., 0]
    b = np.take_along_axis(y, ((before + 1) % n)[..., None], axis=-1)[..., 0]
    part = np.where(a == b, 0.0, -a / np.where(a == b, 1.0, b - a))
    return before + np.clip(part, 0.0, 1.0)
