"""Heel strikes and toe-offs from the motion of the feet, where no force was measured."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import signal

from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]

MIN_CYCLE = 0.5
"""Shortest gait cycle [s]; sprinters have about 0.45 s."""

_FEET = {"right": ("calcn_r", "toes_r"), "left": ("calcn_l", "toes_l")}


def kinematic_events(
    dataset: xr.Dataset, pelvis: str = "pelvis", min_cycle: float = MIN_CYCLE
) -> dict[str, FloatArray]:
    """Find events from positions relative to the pelvis (Zeni, Richards & Higginson 2008).

    The heel strikes where it is farthest in front of the pelvis, and the toe leaves the ground
    where it is farthest behind. Forward is the mean direction of the pelvis; on a treadmill, where
    it stays, it is the direction in which the toes point. The source found it within 17 ms of force
    plates in healthy walking.

    Parameters
    ----------
    dataset : xarray.Dataset
        ``body_position (time, body, space)`` [m] with the pelvis, ``calcn_r``, ``toes_r``,
        ``calcn_l`` and ``toes_l``.
    pelvis : str
        Name of the pelvis.
    min_cycle : float
        Shortest cycle [s].

    Returns
    -------
    dict of str to ndarray
        Times [s], as :func:`kinesis_neuro.emg.events.gait_events` gives them.

    Raises
    ------
    InvalidInputError
        If positions are missing or not finite, or the recording is shorter than a cycle.

    Examples
    --------
    >>> time = np.arange(300) / 100
    >>> swing = 0.3 * np.cos(2 * np.pi * time)
    >>> x = np.stack([0 * swing, swing, swing + 0.15, -swing, -swing + 0.15], axis=1)
    >>> position = np.stack([x + time[:, None], 0 * x, 0 * x], axis=-1)
    >>> walk = xr.Dataset(
    ...     {"body_position": (("time", "body", "space"), position)},
    ...     coords={"time": time, "space": ["x", "y", "z"],
    ...             "body": ["pelvis", "calcn_r", "toes_r", "calcn_l", "toes_l"]})
    >>> kinematic_events(walk)["heel_strike_left"].round(2)
    array([0.5, 1.5, 2.5])
    """
    needed = [pelvis, *(name for pair in _FEET.values() for name in pair)]
    if "body_position" not in dataset:
        raise InvalidInputError("Kinematic events need body_position (time, body, space).")
    bodies = list(map(str, dataset["body"].values))
    if lost := [name for name in needed if name not in bodies]:
        raise InvalidInputError(
            f"Kinematic events need the bodies {', '.join(lost)}. The dataset has "
            f"{', '.join(bodies)}."
        )
    position = dataset["body_position"].transpose("time", "body", "space")
    values = position.sel(space=["x", "y"]).values.astype(float)
    time = dataset["time"].values.astype(float)
    if not np.isfinite(values).all() or not np.isfinite(min_cycle) or min_cycle <= 0:
        raise InvalidInputError("Positions must be finite, and min_cycle positive.")
    if time.size < 3 or time[-1] - time[0] < min_cycle:
        raise InvalidInputError(
            f"The recording lasts {time[-1] - time[0]:.2f} s, less than a cycle ({min_cycle:g} s)."
        )
    place = {name: values[:, bodies.index(name)] for name in needed}
    forward = place[pelvis][-1] - place[pelvis][0]
    if np.hypot(*forward) < 0.3 * (time[-1] - time[0]):  # slower than anyone walks: a treadmill
        forward = sum((place[toes] - place[heel]).mean(axis=0) for heel, toes in _FEET.values())
    forward = forward / np.hypot(*forward)
    distance = round(min_cycle * (time.size - 1) / (time[-1] - time[0]))
    events = {}
    for side, (heel, toes) in _FEET.items():
        front = (place[heel] - place[pelvis]) @ forward
        behind = -(place[toes] - place[pelvis]) @ forward
        events[f"heel_strike_{side}"] = time[_peaks(front, distance)]
        events[f"toe_off_{side}"] = time[_peaks(behind, distance)]
    return events


def _peaks(values: FloatArray, distance: int) -> NDArray[np.intp]:
    """Maxima that stand out by half of the range."""
    return signal.find_peaks(values, distance=distance, prominence=0.5 * np.ptp(values))[0]
