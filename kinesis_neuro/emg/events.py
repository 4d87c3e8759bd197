"""Heel strikes and toe-offs from ground forces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SIDES = ("right", "left")

LOAD_THRESHOLD = 20.0
"""Vertical force above which a foot is on the ground [N]; the usual one for force plates
(Zeni, Richards & Higginson 2008)."""

MIN_DURATION = 0.1
"""Shortest stance and shortest swing [s]; running has about 0.2 s of each."""


def gait_events(
    dataset: xr.Dataset,
    threshold: float = LOAD_THRESHOLD,
    release: float | None = None,
    min_duration: float = MIN_DURATION,
) -> dict[str, FloatArray]:
    """Find heel strikes and toe-offs of both feet.

    A foot is loaded from the moment its vertical force reaches `threshold` until it falls below
    `release`. Gaps of load shorter than `min_duration` are bridged (a foot that bounces at
    landing), then contacts shorter than it are dropped (a foot that scuffs in swing). What the
    recording's first or last sample cuts off is kept: its true duration is unknown. Times are
    interpolated linearly between samples, so that they do not jump by a sample.

    Parameters
    ----------
    dataset : xarray.Dataset
        Has ``ground_force (time, contact, space)`` [N] with ``z`` up. Contacts are the feet
        (``right``, ``left``) or parts of them (``..._r``, ``..._l``), which are summed.
    threshold : float
        Vertical force at which a foot counts as loaded [N].
    release : float, optional
        Force below which a loaded foot counts as unloaded [N]; half the threshold if not given.
    min_duration : float
        Shortest stance and shortest swing [s].

    Returns
    -------
    dict of str to ndarray
        Times [s] of ``heel_strike_right``, ``heel_strike_left``, ``toe_off_right`` and
        ``toe_off_left``, on the clock of the dataset. A foot that is already loaded in the first
        sample has no heel strike there.

    Raises
    ------
    InvalidInputError
        If the dataset has no such force, the force is not finite, a contact has no side, or the
        thresholds are out of order.

    Examples
    --------
    >>> time = np.arange(6) * 0.1
    >>> force = np.zeros((6, 2, 3))
    >>> force[2:5, 0, 2] = 700.0
    >>> walk = xr.Dataset(
    ...     {"ground_force": (("time", "contact", "space"), force, {"units": "N"})},
    ...     coords={"time": time, "contact": ["right", "left"], "space": ["x", "y", "z"]},
    ... )
    >>> events = gait_events(walk)
    >>> events["heel_strike_right"].round(2), events["toe_off_right"].round(2)
    (array([0.1]), array([0.5]))
    """
    release = threshold / 2 if release is None else release
    if not 0 < release <= threshold:
        raise InvalidInputError(
            f"Thresholds must obey 0 < release <= threshold, got release={release:g} N and "
            f"threshold={threshold:g} N."
        )
    if min_duration < 0:
        raise InvalidInputError(f"min_duration must not be negative, got {min_duration:g} s.")
    time, load = _vertical_load(dataset)
    events = {}
    for column, side in enumerate(SIDES):
        loaded = _hysteresis(load[:, column], threshold, release)
        # Bridging comes first: a bounce splits off a short contact that belongs to the stance.
        loaded = _absorb_short(loaded, time, min_duration, value=False)
        loaded = _absorb_short(loaded, time, min_duration, value=True)
        change = np.flatnonzero(loaded[1:] != loaded[:-1])
        strikes, offs = change[loaded[change + 1]], change[~loaded[change + 1]]
        events[f"heel_strike_{side}"] = _crossing(time, load[:, column], strikes, threshold)
        events[f"toe_off_{side}"] = _crossing(time, load[:, column], offs, release)
    return events


def check_events(events: Mapping[str, ArrayLike]) -> dict[str, FloatArray]:
    """Sort event times, and give every name of :func:`gait_events` an array, empty if need be.

    Parameters
    ----------
    events : mapping of str to array_like
        Times [s], in any order.

    Returns
    -------
    dict of str to ndarray
        Times [s], increasing.

    Raises
    ------
    InvalidInputError
        If a name is unknown or a time is not finite.

    Examples
    --------
    >>> check_events({"heel_strike_left": [1.7, 0.6]})["heel_strike_left"]
    array([0.6, 1.7])
    """
    names = [f"{kind}_{side}" for kind in ("heel_strike", "toe_off") for side in SIDES]
    if unknown := sorted(set(events) - set(names)):
        raise InvalidInputError(
            f"Unknown events {', '.join(map(repr, unknown))}. Available: {', '.join(names)}."
        )
    checked = {name: np.sort(np.asarray(events.get(name, []), dtype=float)) for name in names}
    for name, times in checked.items():
        if times.ndim != 1 or not np.isfinite(times).all():
            raise InvalidInputError(f"Times of {name} must be a finite one-dimensional array.")
    return checked


def _vertical_load(dataset: xr.Dataset) -> tuple[FloatArray, FloatArray]:
    """Read times (n,) and the vertical force (n, 2) on the right and the left foot."""
    if "ground_force" not in dataset or set(dataset["ground_force"].dims) != {
        "time",
        "contact",
        "space",
    }:
        raise InvalidInputError(
            "Gait events need ground_force (time, contact, space), which this dataset has not. "
            "Give the events yourself: events={'heel_strike_right': [...], ...} in seconds."
        )
    vertical = dataset["ground_force"].sel(space="z").transpose("time", "contact")
    sides = [_side_of(label) for label in vertical["contact"].values.tolist()]
    values = vertical.values.astype(float)
    if not np.isfinite(values).all():
        sample = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise InvalidInputError(f"ground_force must be finite; sample {sample} is not.")
    belongs = np.array([[side == wanted for wanted in SIDES] for side in sides], dtype=float)
    return dataset["time"].values.astype(float), values @ belongs.reshape(-1, len(SIDES))


def _side_of(contact: str) -> str:
    for side in SIDES:
        if contact == side or contact.endswith((f"_{side[0]}", f"_{side}")):
            return side
    raise InvalidInputError(
        f"Contact {contact!r} has no side. Expected 'right', 'left', or a name that ends with "
        "_r or _l."
    )


def _hysteresis(load: FloatArray, threshold: float, release: float) -> BoolArray:
    """Tell whether a foot is loaded; between the two thresholds the former state holds."""
    decided = (load >= threshold) | (load < release)
    last = np.maximum.accumulate(np.where(decided, np.arange(load.size), -1))
    # Before the first decided sample nothing is known but that there is some load.
    return np.where(last < 0, True, load[last] >= threshold)


def _absorb_short(state: BoolArray, time: FloatArray, shortest: float, value: bool) -> BoolArray:
    """Flip inner runs of a value that are shorter than a duration."""
    first = np.flatnonzero(np.r_[True, state[1:] != state[:-1]])
    stop = np.r_[first[1:], state.size]
    duration = time[np.minimum(stop, state.size - 1)] - time[first]
    inner = (first > 0) & (stop < state.size)
    flip = inner & (state[first] == value) & (duration < shortest)
    return state ^ np.repeat(flip, stop - first)


def _crossing(
    time: FloatArray, load: FloatArray, before: NDArray[np.intp], level: float
) -> FloatArray:
    """Interpolate when the load passes a level between samples `before` and their next ones."""
    # A change of state always passes its level, so that there is a slope to divide by.
    part = (level - load[before]) / (load[before + 1] - load[before])
    return time[before] + part * (time[before + 1] - time[before])
