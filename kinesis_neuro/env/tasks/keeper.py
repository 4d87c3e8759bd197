"""The keeper: a box on the goal line that stands, wanders, or goes where the ball goes.

The three behaviours, how often each is drawn and how fast they are, are those of MyoChallenge 2025
(MyoSuite, ``soccer_v0.py``, ``GoalKeeper``); wandering is brown noise in velocity there too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.pitch import BALL_RADIUS, KEEPER_REACH, KEEPER_SIZE
from kinesis_neuro.env.streams import Draws

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

BEHAVIOURS = ("stand", "wander", "block")


class Keepers:
    """The keepers of all environments.

    Parameters
    ----------
    n_envs : int
    chances : tuple of float
        Of each of :data:`BEHAVIOURS`.
    speeds : tuple of float
        Slowest and fastest top speed [m/s].

    Attributes
    ----------
    position, velocity, top_speed : ndarray, shape (n_envs,)
        Along the goal line [m], [m/s].
    behaviour : ndarray of int, shape (n_envs,)
    """

    def __init__(
        self, n_envs: int, chances: tuple[float, ...], speeds: tuple[float, float]
    ) -> None:
        self._chances, self._speeds = chances, speeds
        self.position, self.velocity = np.zeros(n_envs), np.zeros(n_envs)
        self.top_speed = np.ones(n_envs)
        self.behaviour = np.zeros(n_envs, dtype=np.intp)

    def draw(self, which: IntArray, rng: np.random.Generator | Draws) -> None:
        """New keepers anywhere in the goal."""
        n = which.size
        self.position[which] = rng.uniform(-KEEPER_REACH, KEEPER_REACH, n)
        self.velocity[which] = 0.0
        self.top_speed[which] = rng.uniform(*self._speeds, n)
        self.behaviour[which] = rng.choice(len(BEHAVIOURS), n, p=np.array(self._chances))

    def move(self, ball: FloatArray, dt: float, rng: np.random.Generator | Draws) -> None:
        """One step.

        Parameters
        ----------
        ball : ndarray, shape (n_envs,)
            Where the balls are along the goal line [m].
        dt : float
            [s]
        rng : numpy.random.Generator or Draws
        """
        fast = self.top_speed
        push = rng.standard_normal(self.position.size) * fast * np.sqrt(dt)
        away = np.clip(ball, -KEEPER_REACH, KEEPER_REACH) - self.position
        self.velocity = np.clip(
            np.choose(self.behaviour, [0.0 * fast, self.velocity + push, away]), -fast, fast
        )
        self.position = np.clip(self.position + dt * self.velocity, -KEEPER_REACH, KEEPER_REACH)

    def saves(self, lateral: FloatArray, height: FloatArray) -> NDArray[np.bool_]:
        """Whether balls that cross the line at these places [m] meet the keeper."""
        width, _, tall = KEEPER_SIZE
        beside = np.abs(lateral - self.position) <= width / 2 + BALL_RADIUS
        saved: NDArray[np.bool_] = beside & (height <= tall + BALL_RADIUS)
        return saved
