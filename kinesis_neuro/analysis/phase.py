"""Phase of a signal or of the gait: from events, from Hilbert's transform, from the phase plane.

Phase is in cycles. From events it is 0 at heel strike; from a signal it is 0 at the signal's peak
(of a cosine, all methods agree), and it grows with time.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy import signal

from kinesis_neuro.analysis._inputs import (
    FloatArray,
    choice,
    exact_align,
    grid,
    is_closed,
    keeps_attrs,
    open_cycle,
    pick,
)
from kinesis_neuro.analysis.circular import wrap_phase
from kinesis_neuro.emg.events import SIDES, check_events, gait_events
from kinesis_neuro.errors import InvalidInputError

Data = xr.DataArray | xr.Dataset

METHODS = ("events", "hilbert", "phase_plane")


@keeps_attrs
def gait_phase(
    dataset: Data,
    method: str = "events",
    *,
    events: Mapping[str, ArrayLike] | None = None,
    side: str = "right",
    variable: str | None = None,
    dim: str = "time",
    unwrap: bool = False,
) -> xr.DataArray:
    """Phase at each moment.

    ``events``
        Grows evenly from 0 at a heel strike to 1 at the next one of the same foot; NaN before the
        first and after the last.
    ``hilbert``
        Angle of the analytic signal, after the mean is taken off. For signals with one oscillation
        a cycle; filter others first. The ends of the record are distorted.
    ``phase_plane``
        Angle of (position, velocity), each scaled to -1..1 by its own extremes (Lamb & Stockl
        2014).

    Parameters
    ----------
    dataset : DataArray or Dataset
        For ``events``: a recording over time with ground forces, or any data over time with
        `events`. Otherwise the signal, along `dim`.
    method : {"events", "hilbert", "phase_plane"}
        Where the phase comes from.
    events : mapping of str to array_like, optional
        Times [s] of ``heel_strike_right``, ...; those of the ground forces by default.
    side : {"right", "left"}
        Whose heel strikes count.
    variable : str, optional
        Which variable is the signal, where a Dataset has several.
    dim : str
        ``time``, or ``phase`` for a signal over one cycle (taken as periodic).
    unwrap : bool
        Count cycles on instead of starting again at 0.

    Returns
    -------
    DataArray
        Phase [cycles], in [0, 1) unless unwrapped, over the dims of the signal (``time`` for
        events).

    Raises
    ------
    InvalidInputError
        If there are fewer than two heel strikes, a signal is constant or not finite, or an argument
        is unknown.

    Examples
    --------
    >>> time = np.arange(5) / 4
    >>> x = xr.DataArray(np.cos(2 * np.pi * time), coords={"time": time})
    >>> gait_phase(x, events={"heel_strike_right": [0.0, 1.0]}).values
    array([0.  , 0.25, 0.5 , 0.75,  nan])
    """
    choice("method", method, METHODS)
    if method == "events":
        phase = _from_events(dataset, events, side)
    else:
        array = pick(dataset, (dim,), variable)
        # Of a cycle that is closed, the second copy of the first point would bend the spectrum.
        if dim == "phase" or is_closed(array, dim):
            array = open_cycle(array, dim)
        step = grid(array, dim)[1]
        _check_signal(array, dim)
        function = _hilbert if method == "hilbert" else _phase_plane
        phase = xr.apply_ufunc(
            function,
            array,
            input_core_dims=[[dim]],
            output_core_dims=[[dim]],
            kwargs={"step": step, "cyclic": dim == "phase"},
        )
    if not unwrap:
        phase = phase % 1.0
        phase = phase.where(phase != 1.0, 0.0)  # what rounding leaves of -1e-17
    phase.attrs = {"units": "1", "long_name": "phase", "method": method}
    return phase.rename("gait_phase")


@keeps_attrs
def continuous_relative_phase(
    a: Data, b: Data, dim: str = "time", method: str = "hilbert"
) -> xr.DataArray:
    """Relative phase of two signals at each moment: of two joints, say.

    Parameters
    ----------
    a, b : DataArray or Dataset
        Signals along `dim`, with the same labels.
    dim : str
        ``time`` or ``phase``.
    method : {"hilbert", "phase_plane"}
        How the phase of each is found (Lamb & Stockl 2014 advise the first).

    Returns
    -------
    DataArray
        phase(a) - phase(b) [cycles] in [-0.5, 0.5): positive where b is later than a.

    Raises
    ------
    InvalidInputError
        If grids or labels differ, or a signal is constant or not finite.

    Examples
    --------
    >>> phase = np.arange(100) / 100
    >>> hip, knee = (
    ...     xr.DataArray(np.cos(2 * np.pi * (phase - lag)), coords={"phase": phase})
    ...     for lag in (0.0, 0.1)
    ... )
    >>> continuous_relative_phase(hip, knee, dim="phase").values[:3].round(6)
    array([0.1, 0.1, 0.1])
    """
    choice("method", method, METHODS[1:])
    a, b = pick(a, (dim,)), pick(b, (dim,))
    exact_align(a, b)
    first, second = (gait_phase(x, method, dim=dim, unwrap=True) for x in (a, b))
    relative = wrap_phase(first - second)
    attrs = {"units": "1", "long_name": "relative phase, positive: b is later", "method": method}
    return relative.rename("relative_phase").assign_attrs(attrs)


def analytic_phase(x: FloatArray) -> FloatArray:
    """Wrapped phase [cycles] along the last axis, of the signal less its mean."""
    return np.angle(signal.hilbert(x - x.mean(axis=-1, keepdims=True))) / (2 * np.pi)


def _from_events(dataset: Data, events: Mapping[str, ArrayLike] | None, side: str) -> xr.DataArray:
    choice("side", side, SIDES)
    if "time" not in dataset.coords:
        raise InvalidInputError("Phase from events needs data with the coordinate 'time'.")
    if events is None:
        if not isinstance(dataset, xr.Dataset):
            raise InvalidInputError(
                "Give the events, or a recording with ground forces: events={'heel_strike_right': "
                "[...]} in seconds."
            )
        events = gait_events(dataset)
    strikes = check_events(events)[f"heel_strike_{side}"]
    if strikes.size < 2 or not (np.diff(strikes) > 0).all():
        raise InvalidInputError(
            f"Phase needs two or more distinct heel strikes of the {side} foot, but got "
            f"{strikes.size}."
        )
    time = dataset["time"].values.astype(float)
    phase = np.interp(time, strikes, np.arange(float(strikes.size)), left=np.nan, right=np.nan)
    phase[time >= strikes[-1]] = np.nan
    return xr.DataArray(phase, dims="time", coords={"time": dataset["time"]})


def _check_signal(array: xr.DataArray, dim: str) -> None:
    values = array.transpose(..., dim).values
    if not np.isfinite(values).all():
        raise InvalidInputError(
            f"A signal must be finite to have a phase; {int((~np.isfinite(values)).sum())} values "
            "are not. Interpolate or drop them first."
        )
    flat = np.ptp(values, axis=-1) <= 1e-12 * np.abs(values).max(axis=-1)
    if flat.any():
        raise InvalidInputError(
            f"{int(flat.sum())} of {flat.size} signals are constant along {dim!r} and have no "
            "phase. Leave them out."
        )


def _hilbert(x: FloatArray, step: float, cyclic: bool) -> FloatArray:
    return np.unwrap(analytic_phase(x), period=1.0, axis=-1)


def _phase_plane(x: FloatArray, step: float, cyclic: bool) -> FloatArray:
    if cyclic:
        velocity = (np.roll(x, -1, axis=-1) - np.roll(x, 1, axis=-1)) / (2 * step)
    else:
        velocity = np.gradient(x, step, axis=-1)
    low, high = x.min(axis=-1, keepdims=True), x.max(axis=-1, keepdims=True)
    position = (2 * x - low - high) / (high - low)
    fastest = np.abs(velocity).max(axis=-1, keepdims=True)
    angle = np.arctan2(-velocity / fastest, position) / (2 * np.pi)
    return np.unwrap(angle, period=1.0, axis=-1)
