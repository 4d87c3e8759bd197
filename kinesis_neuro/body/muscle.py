"""The muscle model: Hill curves and activation dynamics, vectorised.

MuJoCo's muscle (documentation, "Muscle actuators"): force = -peak * (FL(l) FV(v) act + FP(l)),
with length and velocity scaled so that the operating range maps to ``range`` in units of optimal
fibre length. Every function broadcasts: the last axis is muscles, any others are free.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PassiveParameters:
    """Parameters of the passive curve, one array entry a muscle; see :class:`MuscleParameters`."""

    optimal_length: FloatArray
    tendon_slack_length: FloatArray
    peak_force: FloatArray
    lmax: FloatArray
    fpmax: FloatArray


def _scaling(
    prm: FloatArray, length_range: FloatArray, acc0: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Optimal length, tendon slack length and peak force as MuJoCo derives them."""
    tiny = 1e-15
    optimal = (length_range[:, 1] - length_range[:, 0]) / np.maximum(tiny, prm[1] - prm[0])
    # A negative force asks for scale / acc0.
    peak = np.where(prm[2] < 0, prm[3] / np.maximum(tiny, acc0), prm[2])
    return optimal, length_range[:, 0] - prm[0] * optimal, peak


@dataclass(frozen=True, eq=False)
class MuscleParameters:
    """Parameters of all muscles of a model, one array entry a muscle.

    Attributes
    ----------
    optimal_length : ndarray, shape (n_muscles,)
        Optimal fibre length ``L0`` of MuJoCo's scaling [m].
    tendon_slack_length : ndarray, shape (n_muscles,)
        Constant tendon length ``LT`` [m].
    peak_force : ndarray, shape (n_muscles,)
        Force at zero velocity, optimal length and full activation [N].
    lmin, lmax, vmax, fvmax : ndarray, shape (n_muscles,)
        Shape of the active curves [1]; vmax in optimal lengths a second.
    passive : PassiveParameters
        Of the passive curve: MuJoCo keeps them apart, and a model may give them other values.
    length_range : ndarray, shape (n_muscles, 2)
        Feasible musculotendon lengths [m].
    time_activation, time_deactivation : ndarray, shape (n_muscles,)
        Time constants of activation dynamics [s].
    """

    optimal_length: FloatArray
    tendon_slack_length: FloatArray
    peak_force: FloatArray
    lmin: FloatArray
    lmax: FloatArray
    vmax: FloatArray
    fvmax: FloatArray
    passive: PassiveParameters
    length_range: FloatArray
    time_activation: FloatArray
    time_deactivation: FloatArray

    @classmethod
    def from_model(cls, model: mujoco.MjModel) -> MuscleParameters:
        """Read the parameters of every actuator (all must be muscles)."""
        prm, length_range = model.actuator_gainprm.T, model.actuator_lengthrange
        optimal, slack, peak = _scaling(prm, length_range, model.actuator_acc0)
        bias = model.actuator_biasprm.T
        return cls(
            optimal_length=optimal,
            tendon_slack_length=slack,
            peak_force=peak,
            lmin=prm[4].copy(),
            lmax=prm[5].copy(),
            vmax=prm[6].copy(),
            fvmax=prm[8].copy(),
            passive=PassiveParameters(
                *_scaling(bias, length_range, model.actuator_acc0), bias[5].copy(), bias[7].copy()
            ),
            length_range=length_range.copy(),
            time_activation=model.actuator_dynprm[:, 0].copy(),
            time_deactivation=model.actuator_dynprm[:, 1].copy(),
        )

    def normalized_length(self, length: FloatArray) -> FloatArray:
        """Fibre length in optimal lengths [1] from musculotendon length [m]."""
        return (length - self.tendon_slack_length) / self.optimal_length

    def normalized_velocity(self, velocity: FloatArray) -> FloatArray:
        """Fibre velocity in units of ``vmax`` [1] from musculotendon velocity [m/s]."""
        return velocity / (self.optimal_length * self.vmax)

    def force_length(self, length: FloatArray) -> FloatArray:
        """Active force-length curve [1]: two half bumps with knots halfway to the optimum."""
        x = self.normalized_length(length)
        below = 0.5 * (self.lmin + 1.0)
        above = 0.5 * (1.0 + self.lmax)
        # Distance from the nearest foot of the bump, and from the optimum, each scaled to its half.
        rising = x <= 1.0
        half = np.where(rising, below - self.lmin, self.lmax - above)
        half = np.maximum(1e-15, half)
        foot = np.where(rising, x - self.lmin, self.lmax - x) / half
        peak = np.abs(1.0 - x) / half
        curve = np.where(foot <= 1.0, 0.5 * foot * foot, 1.0 - 0.5 * peak * peak)
        return np.where((x >= self.lmin) & (x <= self.lmax), curve, 0.0)

    def force_velocity(self, velocity: FloatArray) -> FloatArray:
        """Force-velocity curve [1]: 0 at -vmax, 1 at rest, ``fvmax`` in fast lengthening."""
        v = self.normalized_velocity(velocity)
        y = self.fvmax - 1.0
        shortening = np.square(np.clip(v, -1.0, 0.0) + 1.0)
        lengthening = self.fvmax - np.square(y - np.minimum(v, y)) / np.maximum(1e-15, y)
        return np.where(v <= 0.0, shortening, lengthening)

    def force_passive(self, length: FloatArray) -> FloatArray:
        """Passive force-length curve [1], zero below optimal length."""
        own = self.passive
        x = (length - own.tendon_slack_length) / own.optimal_length
        knee = 0.5 * (1.0 + own.lmax)
        stretch = (x - 1.0) / np.maximum(1e-15, knee - 1.0)
        parabola = 0.5 * np.square(np.maximum(stretch, 0.0))
        return own.fpmax * np.where(stretch <= 1.0, parabola, stretch - 0.5)

    def gain(self, length: FloatArray, velocity: FloatArray) -> FloatArray:
        """Force for each unit of activation [N]; negative, as muscles pull (mju_muscleGain)."""
        return -self.peak_force * self.force_length(length) * self.force_velocity(velocity)

    def bias(self, length: FloatArray) -> FloatArray:
        """Passive force [N]; negative, as muscles pull (mju_muscleBias)."""
        return -self.passive.peak_force * self.force_passive(length)

    def force(self, activation: FloatArray, length: FloatArray, velocity: FloatArray) -> FloatArray:
        """Muscle force [N], tension positive.

        Parameters
        ----------
        activation : ndarray, shape (..., n_muscles)
            Activation [1].
        length, velocity : ndarray, shape (..., n_muscles)
            Of the musculotendon [m], [m/s].
        """
        return -(self.gain(length, velocity) * activation + self.bias(length))

    def time_constant(self, excitation: FloatArray, activation: FloatArray) -> FloatArray:
        """Time constant of activation dynamics [s] (Millard et al. 2013; mju_muscleDynamics)."""
        scale = 0.5 + 1.5 * activation
        return np.where(
            excitation > activation,
            self.time_activation * scale,
            self.time_deactivation / scale,
        )

    def excitation_for(
        self, activation: FloatArray, rate: float, periodic: bool = False
    ) -> FloatArray:
        """Excitation that would produce a course of activation: inverse activation dynamics.

        Parameters
        ----------
        activation : ndarray, shape (n_time, n_muscles)
            A smooth course of activation [1].
        rate : float
            Samples a second [Hz].
        periodic : bool
            Whether the last sample is followed by the first.

        Returns
        -------
        ndarray, shape (n_time, n_muscles)
            Excitation, clipped to [0, 1]; what is clipped cannot be produced by the dynamics.
        """
        if periodic:
            ahead, behind = np.roll(activation, -1, axis=0), np.roll(activation, 1, axis=0)
            slope = (ahead - behind) * rate / 2.0
        else:
            slope = np.gradient(activation, 1.0 / rate, axis=0)
        clipped = np.clip(activation, 0.0, 1.0)
        rising = self.time_constant(np.ones_like(clipped), clipped)
        falling = self.time_constant(np.full_like(clipped, -1.0), clipped)
        return np.clip(clipped + slope * np.where(slope > 0, rising, falling), 0.0, 1.0)
