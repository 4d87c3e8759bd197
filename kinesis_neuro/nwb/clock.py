"""The time coordinate as NWB has it: start and rate, or timestamps where it is not regular."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Time may differ from start + arange(n) / rate by this part of a sample: rounding, not a gap.
_TOLERANCE = 1e-3
# The nwbinspector calls timestamps regular whose steps agree to this many decimals.
_DECIMALS = 9
# Outside of these the nwbinspector suspects another unit: a sample in 100 s, a year.
_LOWEST_RATE = 0.01
_LONGEST = 31_557_600.0


class Clock(NamedTuple):
    """When the samples of a dataset were taken.

    ``start`` [s]; ``rate`` [Hz], or None where time is not regular; ``exact`` whether
    ``start + arange(n) / rate`` is the coordinate to the last bit; ``plausible`` whether NWB
    tools accept such a series as one in seconds.
    """

    start: float
    rate: float | None
    exact: bool
    plausible: bool


def clock_of(time: np.ndarray, sampling_rate: object = None) -> Clock:
    """Find start and rate of a time coordinate.

    Parameters
    ----------
    time : ndarray, shape (n,)
        Finite, strictly increasing floats [s].
    sampling_rate : float, optional
        The rate that the dataset claims [Hz]; used where the samples agree.

    Returns
    -------
    Clock
        Where several rates fit, one that gives the coordinate exactly.

    Examples
    --------
    >>> clock_of(0.5 + np.arange(4) / 150)
    Clock(start=0.5, rate=150.0, exact=True, plausible=True)
    >>> clock_of(np.array([0.0, 0.1, 0.5]))
    Clock(start=0.0, rate=None, exact=False, plausible=True)
    """
    n = time.size
    start = float(time[0]) if n else 0.0
    claimed = [sampling_rate] if isinstance(sampling_rate, float) and sampling_rate > 0 else []
    span = float(time[-1]) - start if n else 0.0
    measured = (n - 1) / span if n > 1 else 0.0
    # Rates are round numbers more often than their estimates are.
    period = round(span / (n - 1), 9) if n > 1 else 0.0
    candidates = [*claimed, round(measured, 6), 1 / period if period else 0.0, measured]
    candidates = [rate for rate in candidates if 0 < rate < np.inf]
    for rate in candidates:
        # Bytes, not values: -0.0 must come back as -0.0.
        if regular_time(start, rate, n, time.dtype).tobytes() == time.tobytes():
            return Clock(start, rate, exact=True, plausible=_plausible(rate, n))
    index = np.arange(n)
    for rate in candidates:
        if n > 1 and np.abs((time - start) * rate - index).max() < _TOLERANCE:
            return Clock(start, rate, exact=False, plausible=_plausible(rate, n))
    # A slow drift adds up over many samples, and yet no two steps differ.
    if n > 2 and np.unique(np.diff(time).round(_DECIMALS)).size == 1:
        return Clock(start, measured, exact=False, plausible=_plausible(measured, n))
    return Clock(start, None, exact=False, plausible=span < _LONGEST)


def regular_time(start: float, rate: float, n: int, dtype: np.dtype) -> np.ndarray:
    """Give the times of n samples [s], in a given type of float."""
    return (start + np.arange(n) / rate).astype(dtype)


def _plausible(rate: float, n: int) -> bool:
    return rate >= _LOWEST_RATE and (n - 1) / rate < _LONGEST
