"""Batched physics of bodies whose muscles are in a condition: tired, weak, silent, late, noisy."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.conditions import (
    MuscleCondition,
    advance_compartments,
    available,
    fatigue_rates,
    select_muscles,
    strength,
    weakened,
)
from kinesis_neuro.body.models import Body
from kinesis_neuro.env.simulation import Simulation
from kinesis_neuro.env.streams import Draws

FloatArray = NDArray[np.float64]


class ConditionedSimulation(Simulation):
    """A simulation that is given demands, of which its muscles make what they can.

    In this order: the demand arrives late, noise is added, silent muscles stay silent, and what is
    fatigued cannot be recruited.

    Parameters
    ----------
    body : Body
    n_envs : int
    n_threads : int, optional
    condition : MuscleCondition
    rng : numpy.random.Generator or Draws
        Draws the noise.
    model : mujoco.MjModel, optional
        See :class:`Simulation`.

    Attributes
    ----------
    demand, excitation : ndarray, shape (n_envs, n_muscles)
        What was asked for in the last step, and what the muscles were given.
    fatigued, resting : ndarray, shape (n_envs, n_muscles)
        Compartments of 3CC-r; the third, the active one, is the activation.
    """

    def __init__(
        self,
        body: Body,
        n_envs: int,
        n_threads: int | None = None,
        *,
        condition: MuscleCondition,
        rng: np.random.Generator | Draws,
        model: mujoco.MjModel | None = None,
    ) -> None:
        left = strength(condition, body)
        model = weakened(body, left, model) if (left < 1.0).any() else model
        super().__init__(body, n_envs, n_threads, model=model)
        self.condition, self.rng = condition, rng
        self.rates = fatigue_rates(condition, body)
        self._silent = np.zeros(body.n_muscles, dtype=bool)
        for pattern in condition.deactivated:
            self._silent |= select_muscles(body, pattern)
        shape = (n_envs, body.n_muscles)
        self.demand = np.zeros(shape)
        self.fatigued = np.zeros(shape)
        self.resting = np.ones(shape)
        self._before = {"fatigued": self.fatigued, "resting": self.resting}
        n_late = round(condition.delay / body.model.opt.timestep)
        self._late, self._at = np.zeros((n_late, *shape)), 0

    def lanes(self) -> list[tuple[slice, Simulation]]:
        """None: one generator draws the noise of all bodies, and delays run in step."""
        return []

    def reset(
        self,
        which: NDArray[np.intp],
        qpos: FloatArray,
        qvel: FloatArray,
        activation: FloatArray,
    ) -> None:
        """Put bodies into states; what is on its way to their muscles holds their activation."""
        activation = np.where(self._silent, 0.0, activation)
        if self.condition.tires:
            activation = np.minimum(activation, 1.0 - self.condition.initial_fatigue)
            self.fatigued[which] = self.condition.initial_fatigue
            self.resting[which] = 1.0 - self.condition.initial_fatigue - activation
        self._late[:, which] = activation
        super().reset(which, qpos, qvel, activation)

    def step(self, excitation: FloatArray, wrench: FloatArray | None = None) -> NDArray[np.bool_]:
        """Advance all bodies by one physics step; see :meth:`Simulation.step`.

        Parameters
        ----------
        excitation : ndarray, shape (n_envs, n_muscles)
            The demand, in [0, 1].
        wrench : ndarray, shape (n_envs, 6), optional
        """
        self.demand = excitation
        wanted = self._arriving(excitation)
        if not self.condition.tires:
            return super().step(wanted, wrench)
        active = self.activation.copy()
        diverged = super().step(available(wanted, self.fatigued), wrench)
        self._before = {"fatigued": self.fatigued, "resting": self.resting}
        self.activation[:], self.fatigued, self.resting = advance_compartments(
            active,
            self.activation - active,
            self.fatigued,
            self.resting,
            wanted,
            self.rates,
            self.body.model.opt.timestep,
        )
        return diverged

    def _arriving(self, demand: FloatArray) -> FloatArray:
        """What reaches the muscles of a demand, and of earlier ones."""
        wanted = demand
        if self._late.size:
            wanted = self._late[self._at].copy()
            self._late[self._at] = demand
            self._at = (self._at + 1) % len(self._late)
        if self.condition.noise > 0.0:
            draw = self.rng.standard_normal(demand.shape)
            wanted = np.clip(wanted * (1.0 + self.condition.noise * draw), 0.0, 1.0)
        return np.where(self._silent, 0.0, wanted) if self._silent.any() else wanted

    def muscle_states(self) -> dict[str, FloatArray]:
        """What the muscles were in before the last step, each (n_envs, n_muscles)."""
        states = {"excitation_demand": self.demand}
        return states | self._before if self.condition.tires else states

    def state_arrays(self) -> dict[str, FloatArray]:
        """Everything that the next step depends on."""
        return super().state_arrays() | {
            "fatigued": self.fatigued,
            "resting": self.resting,
            "late": np.roll(self._late, -self._at, axis=0),
        }

    def set_state_arrays(self, arrays: dict[str, FloatArray]) -> None:
        """Put back what :meth:`state_arrays` gave."""
        super().set_state_arrays(arrays)
        self.fatigued, self.resting = arrays["fatigued"].copy(), arrays["resting"].copy()
        self._late, self._at = arrays["late"].copy(), 0
        self._before = {"fatigued": self.fatigued, "resting": self.resting}


def simulation_under(
    condition: MuscleCondition,
    body: Body,
    n_envs: int,
    n_threads: int | None,
    rng: np.random.Generator | Draws,
    model: mujoco.MjModel | None = None,
) -> Simulation:
    """The plain simulation of healthy muscles, or a conditioned one; see :class:`Simulation`."""
    if condition.is_none:
        return Simulation(body, n_envs, n_threads, model=model)
    return ConditionedSimulation(body, n_envs, n_threads, condition=condition, rng=rng, model=model)
