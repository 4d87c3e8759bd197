"""From actions to excitations: the actuations, as pure functions over batches.

Actions lie in [-1, 1], excitations in [0, 1]. ``excitation`` and ``length`` are KINESIS's own;
``tracking`` and ``moment`` add feedback around a reference to its static-optimisation solution;
``least_effort`` shares all that is asked for (of the reference, the feedback and the action) anew.
All arrays have shape (n_envs, n_muscles) unless stated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body
from kinesis_neuro.body.muscle import MuscleParameters

FloatArray = NDArray[np.float64]

ACTUATIONS = ("excitation", "length", "tracking", "moment", "least_effort")

BY_JOINT = ("moment", "least_effort")
"""Actuations whose actions are joint moments."""

FEEDFORWARD = ("tracking", "moment", "least_effort")
"""Actuations that rest on static optimisation of the reference."""

# Moments that one unit of action asks for [N m], by the joint's name.
_MOMENT_SCALE = (
    ("hip_rotation", 20.0),
    ("hip_", 50.0),
    ("knee_angle", 50.0),
    ("ankle_angle", 50.0),
    ("subtalar", 15.0),
    ("mtp", 5.0),
    # A third of what adults can (shoulder, elbow), and what moves a hand (wrist, fingers).
    ("elv_angle", 20.0),
    ("shoulder_", 20.0),
    ("elbow_", 20.0),
    ("pro_sup", 5.0),
    ("deviation", 5.0),
    ("flexion_", 5.0),
    *((finger, 0.5) for finger in ("cmc", "mp_", "ip_", "mcp", "pm", "md")),
)
_TRUNK_MOMENT = 50.0


@dataclass(frozen=True)
class FeedbackGains:
    """Gains of the force feedback around the reference's muscle lengths.

    Attributes
    ----------
    stiffness : float
        Force for each metre of lengthening, in peak forces [1/m].
    damping : float
        Force for each metre a second, in peak forces [s/m].
    """

    stiffness: float = 10.0
    damping: float = 0.5


KINESIS_GAINS = FeedbackGains(stiffness=5.0, damping=0.5)
"""KINESIS's PD on muscle length: kp = 5 Fpeak, kd = 0.1 kp."""


def excitation(action: FloatArray) -> FloatArray:
    """Direct drive, u = (a + 1) / 2.

    Examples
    --------
    >>> excitation(np.array([-1.0, 0.0, 1.0]))
    array([0. , 0.5, 1. ])
    """
    return np.clip(0.5 * (action + 1.0), 0.0, 1.0)


def length_control(
    action: FloatArray,
    length: FloatArray,
    velocity: FloatArray,
    muscles: MuscleParameters,
    gains: FeedbackGains = KINESIS_GAINS,
) -> FloatArray:
    """KINESIS's length PD: the action is a target length within the muscle's range.

    Force asked for is pulled out of the Hill model: u = (F - bias) / gain, both at the current
    length and velocity.
    """
    target = 0.5 * (np.clip(action, -1.0, 1.0) + 1.0) * muscles.length_range[:, 1]
    peak = muscles.peak_force
    wanted = peak * (gains.stiffness * (target - length) - gains.damping * velocity)
    force = np.clip(wanted, -peak, 0.0)
    gain = np.minimum(-1.0, muscles.gain(length, velocity))
    return np.clip((force - muscles.bias(length)) / gain, 0.0, 1.0)


def feedback_force(
    length: FloatArray,
    velocity: FloatArray,
    reference_length: FloatArray,
    reference_velocity: FloatArray,
    muscles: MuscleParameters,
    gains: FeedbackGains,
) -> FloatArray:
    """Force [N] that the distance from the reference asks for, in MuJoCo's sign (pull negative).

    A muscle longer than the reference, or lengthening faster, has to pull more.
    """
    stretch = gains.stiffness * (reference_length - length)
    stretch += gains.damping * (reference_velocity - velocity)
    return muscles.peak_force * np.clip(stretch, -1.0, 1.0)


def moment_scale(body: Body) -> FloatArray:
    """Moment that a unit of action asks for at each independent joint [N m], (n_joints,)."""
    scale = []
    for dof in body.coupling.independent_dof[6:]:
        name = body.joints[dof - 6]
        scale.append(next((s for key, s in _MOMENT_SCALE if name.startswith(key)), _TRUNK_MOMENT))
    return np.array(scale)


def moment_matrix(moment_arms: FloatArray, gain: FloatArray, scale: FloatArray) -> FloatArray:
    """Joint moments that a unit of excitation makes, in units of action.

    Parameters
    ----------
    moment_arms : ndarray, shape (n_frames, n_muscles, n_joints)
        On the independent joints [m]: change of muscle length for each unit of the joint.
    gain : ndarray, shape (n_frames, n_muscles)
        Force for each unit of activation [N], negative.
    scale : ndarray, shape (n_joints,)
        Moment for a unit of action [N m].

    Returns
    -------
    ndarray, shape (n_frames, n_joints, n_muscles)
    """
    return np.swapaxes(moment_arms * gain[..., None], 1, 2) / scale[:, None]


def action_channels(body: Body, actuation: str) -> tuple[str, ...]:
    """Names of the entries of an action: muscles, or the independent joints."""
    if actuation in BY_JOINT:
        return tuple(body.joints[dof - 6] for dof in body.coupling.independent_dof[6:])
    return body.muscles
