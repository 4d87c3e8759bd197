"""Metabolic power of muscles after Umberger, Gerritsen & Martin (2003), as revised in 2010.

Heat of activation and maintenance, of shortening and lengthening, and mechanical work, for each
kilogram of muscle; the muscle's mass follows from its peak force and optimal length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.muscle import MuscleParameters

FloatArray = NDArray[np.float64]

MODEL_NAME = "Umberger 2010"

SPECIFIC_TENSION = (
    0.6e6  # [Pa], of the model that the peak forces come from (Rajagopal et al. 2016)
)
DENSITY = 1059.7  # [kg/m^3] (Mendez & Keys 1960)
FAST_TWITCH = 0.5  # fraction of fast fibres; Umberger's own tables give it a muscle, 0.5 on average
AEROBIC_SCALE = 1.5
VMAX_FAST = 12.0  # [optimal lengths / s]
VMAX_SLOW = VMAX_FAST / 2.5
LENGTHENING = 0.3  # heat of lengthening over slow fibres' heat of shortening; 4 in 2003
RESTING_RATE = 1.0  # least rate [W/kg]


def muscle_mass(muscles: MuscleParameters) -> FloatArray:
    """Mass of each muscle [kg]: peak force / specific tension x density x optimal length."""
    return muscles.peak_force / SPECIFIC_TENSION * DENSITY * muscles.optimal_length


def metabolic_power(
    muscles: MuscleParameters,
    excitation: FloatArray,
    activation: FloatArray,
    length: FloatArray,
    velocity: FloatArray,
) -> FloatArray:
    """Metabolic power of each muscle.

    Parameters
    ----------
    muscles : MuscleParameters
    excitation, activation : ndarray, shape (..., n_muscles)
        [1]
    length, velocity : ndarray, shape (..., n_muscles)
        Of the musculotendon, whose tendon is rigid here [m], [m/s].

    Returns
    -------
    ndarray, shape (..., n_muscles)
        [W]

    Notes
    -----
    Umberger, Gerritsen & Martin (2003), Comput Methods Biomech Biomed Engin 6(2), eqs. 8-17, with
    the rate bounded below by 1 W/kg; heat of lengthening after Umberger (2010), J R Soc Interface
    7(50). Fibres shorten and lengthen with the musculotendon here, as MuJoCo's tendons are rigid,
    which overstates their speeds and with them the power.
    """
    mass = muscle_mass(muscles)
    drive = np.where(excitation > activation, excitation, 0.5 * (excitation + activation))
    stretch = muscles.normalized_length(length)
    isometric = muscles.force_length(length)
    speed = velocity / muscles.optimal_length  # optimal lengths a second, lengthening positive

    maintenance = 128.0 * FAST_TWITCH + 25.0
    long = 0.4 * maintenance + 0.6 * maintenance * isometric
    heat = np.where(stretch <= 1.0, maintenance, long) * drive**0.6

    slow_coefficient = 4.0 * 25.0 / VMAX_SLOW
    fast_coefficient = 153.0 / VMAX_FAST
    shortening = np.maximum(-speed, 0.0)
    slow = np.minimum(slow_coefficient * shortening, slow_coefficient * VMAX_SLOW)
    shorten_heat = slow * (1.0 - FAST_TWITCH) + fast_coefficient * shortening * FAST_TWITCH
    lengthen_heat = LENGTHENING * slow_coefficient * np.maximum(speed, 0.0)
    moving = shorten_heat * drive**2 + lengthen_heat * drive
    moving = np.where(stretch > 1.0, moving * isometric, moving)

    contractile = -muscles.gain(length, velocity) * activation
    work = -contractile * velocity / mass
    rate = AEROBIC_SCALE * (heat + moving) + work
    return mass * np.maximum(rate, RESTING_RATE)
