"""Some of the bodies of a simulation, for those who look at a few of many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.env.simulation import Simulation

FloatArray = NDArray[np.float64]


class Selection:
    """Some of the bodies of a simulation, to be looked at.

    Parameters
    ----------
    simulation : Simulation
    rows : ndarray of int, shape (n,)
    """

    def __init__(self, simulation: Simulation, rows: NDArray[np.intp]) -> None:
        self.simulation, self.rows, self.n_envs = simulation, rows, rows.size
        self.body, self.model = simulation.body, simulation.model

    @property
    def qpos(self) -> FloatArray:
        """Positions, shape (n, nq)."""
        return self.simulation.qpos[self.rows]

    @property
    def qvel(self) -> FloatArray:
        """Velocities, shape (n, nv)."""
        return self.simulation.qvel[self.rows]

    @property
    def activation(self) -> FloatArray:
        """Muscle activations [1], shape (n, n_muscles)."""
        return self.simulation.activation[self.rows]

    @property
    def fatigued(self) -> FloatArray:
        """Fatigued share of muscles that tire [1], shape (n, n_muscles)."""
        return self.simulation.fatigued[self.rows]

    def sensor(self, name: str) -> FloatArray:
        """A block of the sensors, shape (n, width); see :class:`Body`."""
        return self.simulation.sensor(name)[self.rows]
