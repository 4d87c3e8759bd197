"""Feet on the floor: when a foot stands, how far the pelvis goes meanwhile, and locking it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import binary_closing, binary_opening, gaussian_filter1d, percentile_filter

from kinesis_neuro.body.kinematics import (
    Kinematics,
    foot_clearance,
    sole_points,
)
from kinesis_neuro.body.models import Body

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

STANCE_HEIGHT = 0.025
"""A foot segment stands while its lowest point is not higher above the lowest level [m]."""
STANCE_SPEED = 0.45
"""A foot segment stands while it moves no faster than this [m/s]."""
SWING_HEIGHT = 0.018
"""Least height of a foot in swing [m]; people clear the floor by 10 to 20 mm (Winter 1992)."""
SHORTEST_STANCE = 0.06
"""Shorter touches are noise, and shorter gaps as well [s]."""
LANDING_HEIGHT, LONGEST_LANDING = 0.01, 0.08
"""A foot segment stands from when it is as near to the floor [m], at most so long before [s]: what
it still moves then is the low-pass filter's, as a foot that runs lands in 10 to 20 ms."""
BLEND = 0.12
"""Time in which a locked foot's correction comes and goes [s]."""
ROUNDING = 0.012
"""Standard deviation of the smoothing of the feet's correction [s]."""
SLOWEST = 0.3
"""Speed of a pelvis from which its way can be compared with the feet's [m/s]."""
FLIGHT_HEIGHT, LONGEST_FLIGHT = 0.015, 0.6
"""Least height [m] and longest time [s] of both feet in the air in a run or a jump."""
DRIFT_WINDOW, DRIFT_SMOOTHING = 1.0, 0.25
"""Time in which every gait stands a while, and standard deviation of the floor's smoothing [s]."""
GRAVITY = 9.80665
PENETRATION = 0.001
"""Depth at which bodies rest under their own weight [m]."""


@dataclass(frozen=True, eq=False)
class Stance:
    """When the segments of the feet stand.

    Attributes
    ----------
    contact : ndarray of bool, shape (n, n_contacts)
        In the order of ``body.contacts``: heel and toes of the right, then of the left foot.
    rate : float
        [Hz]
    """

    contact: BoolArray
    rate: float

    def intervals(self, column: int) -> list[tuple[int, int]]:
        """First frames and frames after the last of each touch."""
        return spans(self.contact[:, column])


def spans(mask: BoolArray) -> list[tuple[int, int]]:
    """First frames, and frames after the last, of each run of true values.

    Examples
    --------
    >>> spans(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    steps = np.diff(np.r_[0, mask.astype(int), 0])
    starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def contact_ways(body: Body, frames: Kinematics) -> FloatArray:
    """Positions (n, n_contacts, 3) of the segments of the feet [m]."""
    index = [body.segments.index(name) for name in body.contacts]
    return frames.body_position[:, index]


def detect_stance(body: Body, frames: Kinematics, rate: float) -> Stance:
    """Find the frames in which heels and toes stand, by height and speed.

    Parameters
    ----------
    body : Body
    frames : Kinematics
        Of a motion whose floor is at zero.
    rate : float
        [Hz]
    """
    way = contact_ways(body, frames)
    speed = np.linalg.norm(np.gradient(way[..., :2], axis=0), axis=-1) * rate
    clearance = foot_clearance(body, frames)
    raw = (clearance < STANCE_HEIGHT) & (speed < STANCE_SPEED)
    size = max(1, round(SHORTEST_STANCE * rate))
    window = np.ones((size, 1), dtype=bool)
    # Edges of the clip count as going on.
    padded = np.pad(raw, ((size, size), (0, 0)), mode="edge")
    clean = np.asarray(binary_opening(binary_closing(padded, window), window)[size:-size])
    near = clearance < LANDING_HEIGHT
    for _ in range(round(LONGEST_LANDING * rate)):
        clean[:-1] |= clean[1:] & near[:-1]
    return Stance(clean, rate)


def scale_that_stands(
    body: Body, centered: Kinematics, root: FloatArray, rate: float
) -> float | None:
    """Factor on the way of the pelvis with which the standing foot stands still.

    Parameters
    ----------
    body : Body
    centered : Kinematics
        Of the motion with the pelvis at the origin of the world.
    root : ndarray, shape (n, 3)
        Way of the pelvis, in the lengths of the file.
    rate : float
        [Hz]

    Returns
    -------
    float or None
        None where the pelvis hardly moves, so that nothing can be told.
    """
    sole = sole_points(body, centered)
    lowest = sole[..., 2].argmin(axis=1)
    rows = np.arange(len(root))
    ahead_of, behind = np.minimum(rows + 1, rows[-1]), np.maximum(rows - 1, 0)
    span = ((ahead_of - behind) / rate)[:, None]
    # Of the point that touches, as it moves with its segment: a foot rolls without slipping.
    relative = (sole[ahead_of, lowest, :2] - sole[behind, lowest, :2]) / span
    travel = (root[ahead_of, :2] - root[behind, :2]) / span
    # The lowest point stands, unless it is in flight: there it lies higher than in stance.
    height = root[:, 2] + sole[rows, lowest, 2]
    standing = height < np.quantile(height, 0.5) + 0.01
    back, ahead = relative[standing], travel[standing]
    if not standing.any() or np.mean((ahead**2).sum(axis=1)) < SLOWEST**2:
        return None
    scale = 1.0
    for _ in range(20):
        # Frames in which the foot lands or leaves slip, and count little.
        slip = np.linalg.norm(back + scale * ahead, axis=1)
        weight = 1.0 / (1.0 + (slip / max(float(np.median(slip)), 1e-9)) ** 2)[:, None]
        scale = -float((weight * back * ahead).sum()) / float((weight * ahead**2).sum())
    return scale


def floor_drift(gap: FloatArray, rate: float) -> FloatArray:
    """How far the floor of a recording lies from its place, second by second.

    Laboratories slope, drifting cameras sink, and legs of other proportions stand at other heights
    when they run: the level at which feet stand within a second is taken for the floor there.

    Parameters
    ----------
    gap : ndarray, shape (n,)
        How far the body would have to rise for its lowest foot to stand [m]; most in stance.
    rate : float
        [Hz]

    Returns
    -------
    ndarray, shape (n,)
        To be added to the height of the pelvis [m].

    Examples
    --------
    >>> steps = np.where(np.arange(300) % 50 < 20, 0.0, -0.08)  # flight in three fifths of the time
    >>> slope = np.linspace(0.0, 0.1, 300)
    >>> bool(np.abs(floor_drift(steps + slope, 100.0) - slope)[50:-50].max() < 0.015)
    True
    """
    size = 2 * round(0.5 * DRIFT_WINDOW * rate) + 1
    level = percentile_filter(gap, 85, size=size, mode="nearest")
    return np.asarray(gaussian_filter1d(level, DRIFT_SMOOTHING * rate, mode="nearest"))


def grounded(gap: FloatArray, height: FloatArray, rate: float) -> FloatArray:
    """Distance to the floor that is to be closed: none in flight.

    Parameters
    ----------
    gap : ndarray, shape (n,)
        How far the body would have to rise to stand [m]; negative where it is in the air.
    height : ndarray, shape (n,)
        Of the pelvis [m].
    rate : float
        [Hz]

    Returns
    -------
    ndarray, shape (n,)
        The gap, and zero in spans in the air that are short and in which the pelvis falls as
        gravity makes it.
    """
    closed = gap.copy()
    velocity = np.gradient(height) * rate
    for start, stop in spans(gap < -FLIGHT_HEIGHT):
        before, after = max(start - 1, 0), min(stop, len(gap) - 1)
        duration = (after - before) / rate
        if falls(velocity[after] - velocity[before], duration):
            closed[start:stop] = 0.0
    return closed


def falls(change: float, duration: float) -> bool:
    """Whether a change of the pelvis' vertical velocity [m/s] in a time [s] is that of a flight.

    Legs that swing carry the pelvis off the centre of mass, so it holds only roughly.

    Examples
    --------
    >>> falls(-9.81 * 0.15, 0.15), falls(0.0, 0.15), falls(-9.81, 1.0)
    (True, False, False)
    """
    return duration < LONGEST_FLIGHT and -1.8 < change / (GRAVITY * duration) < -0.25


def lock_feet(body: Body, frames: Kinematics, stance: Stance) -> tuple[FloatArray, FloatArray]:
    """Where heels and toes should be instead, so that they stand still, and on the floor.

    Parameters
    ----------
    body : Body
    frames : Kinematics
    stance : Stance

    Returns
    -------
    way : ndarray, shape (n, n_contacts, 3)
        Positions of the segments [m].
    locked : ndarray, shape (n, n_contacts)
        How much each is held, 0 to 1.
    """
    way = contact_ways(body, frames)
    clearance = foot_clearance(body, frames)
    n, n_contacts = clearance.shape
    blend = max(2, round(BLEND * stance.rate))
    change = np.zeros_like(way)
    locked = np.zeros((n, n_contacts))
    for column in range(n_contacts):
        knots: dict[int, FloatArray] = {}
        for start, stop in stance.intervals(column):
            held = np.median(way[start:stop, column, :2], axis=0)
            for frame in range(start, stop):
                flat = held - way[frame, column, :2]
                knots[frame] = np.r_[flat, -clearance[frame, column] - PENETRATION]
        change[:, column] = _eased(knots, n, blend)
        near = _eased({k: np.ones(1) for k in knots}, n, blend)
        locked[:, column] = near[:, 0]
    # A swinging foot may not scuff either: the faster it goes, the surer it is in the air.
    speed = np.linalg.norm(np.gradient(way[..., :2], axis=0), axis=-1) * stance.rate
    swing = np.clip((speed - STANCE_SPEED) / STANCE_SPEED, 0.0, 1.0)
    lift = (1 - locked) * swing * SWING_HEIGHT
    change[..., 2] = np.maximum(change[..., 2], lift - clearance - PENETRATION)
    # Where lifting and standing meet there are corners, at which the pelvis would jump.
    change = gaussian_filter1d(change, ROUNDING * stance.rate, axis=0, mode="nearest")
    return way + change, locked


def _eased(knots: dict[int, FloatArray], n: int, blend: int) -> FloatArray:
    """Through the knots, and smoothly to zero at `blend` frames from the nearest of them."""
    if not knots:
        return np.zeros((n, 3))
    width = next(iter(knots.values())).size
    frames = np.array(sorted(knots))
    ends = np.r_[frames[:1], frames[1:][np.diff(frames) > 1]]
    lasts = np.r_[frames[:-1][np.diff(frames) > 1], frames[-1:]]
    points = dict(knots)
    for first, last in zip(ends, lasts, strict=True):
        for zero in (first - blend, last + blend):
            if np.abs(frames - zero).min() >= blend:
                points[int(zero)] = np.zeros(width)
    points.setdefault(int(frames[0]) - 2 * blend - n, np.zeros(width))
    points.setdefault(int(frames[-1]) + 2 * blend + n, np.zeros(width))
    order = sorted(points)
    values = np.array([points[k] for k in order])
    return np.asarray(PchipInterpolator(order, values)(np.arange(n)))
