"""Shots: whether, where and how fast a ball crosses the goal line, and where it is bound for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.pitch import BALL_RADIUS, GOAL_DISTANCE, GOAL_HEIGHT, GOAL_WIDTH

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

GRAVITY = 9.81


def crossing(before: FloatArray, after: FloatArray) -> tuple[BoolArray, FloatArray]:
    """Which balls crossed the goal line in a step, and where.

    Parameters
    ----------
    before, after : ndarray, shape (n, 3)
        Centres of the balls [m].

    Returns
    -------
    crossed : ndarray of bool, shape (n,)
    place : ndarray, shape (n, 2)
        Along the line and above it [m], on the way between the two.

    Examples
    --------
    >>> crossed, place = crossing(np.array([[0.0, -9.9, 0.2]]), np.array([[0.1, -10.1, 0.4]]))
    >>> bool(crossed[0]), place[0].round(2).tolist()
    (True, [0.05, 0.3])
    """
    crossed = (before[:, 1] > -GOAL_DISTANCE) & (after[:, 1] <= -GOAL_DISTANCE)
    way = np.where(crossed, after[:, 1] - before[:, 1], -1.0)
    part = (-GOAL_DISTANCE - before[:, 1]) / way
    place = before + part[:, None] * (after - before)
    return crossed, place[:, [0, 2]]


def inside(place: FloatArray) -> BoolArray:
    """Whether balls at places (n, 2) of the goal line pass between the posts, under the bar.

    Examples
    --------
    >>> inside(np.array([[3.5, 0.2], [3.6, 0.2], [0.0, 2.4]])).tolist()
    [True, False, False]
    """
    lateral, height = np.abs(place[:, 0]), place[:, 1]
    within: BoolArray = (lateral <= GOAL_WIDTH / 2 - BALL_RADIUS) & (
        height <= GOAL_HEIGHT - BALL_RADIUS
    )
    return within


def bound_for(position: FloatArray, velocity: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where balls will cross the goal line if nothing but gravity and the floor changes their way.

    Parameters
    ----------
    position, velocity : ndarray, shape (n, 3)
        [m], [m/s]

    Returns
    -------
    place : ndarray, shape (n, 2)
        Along the line and above it [m]; on the floor once the ball has come down.
    towards : ndarray, shape (n,)
        Speed towards the line [m/s]; where it is not positive, the place means nothing.
    """
    towards = -velocity[:, 1]
    time = (position[:, 1] + GOAL_DISTANCE) / np.maximum(towards, 1e-3)
    lateral = position[:, 0] + velocity[:, 0] * time
    height = position[:, 2] + velocity[:, 2] * time - 0.5 * GRAVITY * time**2
    return np.stack([lateral, np.maximum(height, BALL_RADIUS)], axis=-1), towards
