"""Inverse dynamics along a motion: generalised forces, moment arms, Jacobians of the feet."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from kinesis_neuro.body.kinematics import dense_moment_arms, muscle_moment_arms
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.errors import unknown_name
from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]

EFFORTS = ("activation", "volume", "force")


@dataclass(frozen=True)
class StaticOptimizationConfig:
    """Weights and thresholds of static optimisation.

    Attributes
    ----------
    activation_weight : float
        Square root of lambda in ``||W (moments)||^2 + lambda sum_i v_i a_i^2``.
    effort : {"activation", "volume", "force"}
        What muscles share by, ``v_i``: 1 (squared activation); the muscle's volume, that is peak
        force times optimal length, which is nearest to metabolic cost (Happee & Van der Helm
        1995); or squared peak force, that is squared force but for length and velocity.
        Volume and force are relative to their mean over the muscles.
    root_force_weight, root_moment_weight : float
        Weights of the residual on the free root; they count for estimated contact only, as
        measured forces and a generic body leave a residual that muscles cannot remove.
    velocity_smoothing, acceleration_smoothing : float
        Standard deviation of the Gaussian applied to velocities and accelerations [frames].
    contact_distance : float
        Points of the sole within it of the floor may carry force [m].
    contact_height, contact_speed : float
        Scales of the readiness w = exp(-height/contact_height - speed/contact_speed) [m], [m/s].
    contact_penalty : float
        Penalty of 100 N at a point of readiness one; divided by the readiness elsewhere.
    friction : float
        Coefficient of the friction pyramid.
    load_threshold : float
        Measured vertical force under which a foot counts as unloaded [N].
    """

    activation_weight: float = 0.2
    effort: str = "activation"
    root_force_weight: float = 0.05
    root_moment_weight: float = 0.2
    velocity_smoothing: float = 2.0
    acceleration_smoothing: float = 3.0
    contact_distance: float = 0.03
    contact_height: float = 0.01
    contact_speed: float = 0.5
    contact_penalty: float = 0.02
    friction: float = 0.7
    load_threshold: float = 20.0

    def __post_init__(self) -> None:
        """Refuse an unknown criterion."""
        if self.effort not in EFFORTS:
            raise unknown_name("effort", self.effort, EFFORTS)

    def muscle_penalty(self, muscles: MuscleParameters) -> FloatArray:
        """Square root of what a muscle's full activation costs, shape (n_muscles,)."""
        if self.effort == "volume":
            share = muscles.peak_force * muscles.optimal_length
        elif self.effort == "force":
            share = np.square(muscles.peak_force)
        else:
            share = np.ones_like(muscles.peak_force)
        return self.activation_weight * np.sqrt(share / share.mean())


def moment_arms(motion: ReferenceMotion) -> FloatArray:
    """Moment arms of the muscles on the independent coordinates along a motion.

    Returns
    -------
    ndarray, shape (n_frames, n_muscles, n_independent)
        Change of muscle length for each unit of a coordinate [m, m/rad]; the first six are the
        free root's. Dependent coordinates count through the one that they follow.
    """
    return muscle_moment_arms(motion.body, motion.qpos) @ motion.body.coupling.tangent(motion.qpos)


@dataclass(frozen=True, eq=False)
class InverseDynamics:
    """Per frame: forces wanted on the independent coordinates, moment arms, tangent, Jacobians."""

    full: FloatArray  # (n, nv) inverse dynamics without ground forces
    wanted: FloatArray  # (n, n_independent) the same on the independent coordinates
    moment_arms: FloatArray  # (n, n_muscles, n_independent)
    tangent: FloatArray  # (n, nv, n_independent)
    jacobian: FloatArray  # (n, n_contacts, 6, nv) of the origins of the foot segments


def _smooth(values: FloatArray, frames: float, periodic: bool) -> FloatArray:
    mode = "wrap" if periodic else "nearest"
    return gaussian_filter1d(values, frames, axis=0, mode=mode)


def _accelerations(motion: ReferenceMotion, config: StaticOptimizationConfig) -> tuple:
    qvel = _smooth(motion.qvel, config.velocity_smoothing, motion.periodic)
    if motion.periodic:
        qacc = (np.roll(qvel, -1, axis=0) - np.roll(qvel, 1, axis=0)) * motion.rate / 2
    else:
        qacc = np.gradient(qvel, 1.0 / motion.rate, axis=0)
    return qvel, _smooth(qacc, config.acceleration_smoothing, motion.periodic)


def inverse_dynamics(motion: ReferenceMotion, config: StaticOptimizationConfig) -> InverseDynamics:
    """Inverse dynamics of a motion without ground forces, from smoothed derivatives."""
    body = motion.body
    model = copy.copy(body.model)
    # Constraints are accounted for by the tangent map and by the contact forces below.
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    data = mujoco.MjData(model)
    qvel, qacc = _accelerations(motion, config)
    n, nv = motion.n_frames, model.nv
    forces = np.empty((n, nv))
    arms = np.empty((n, model.nu, nv))
    jacobian = np.empty((n, len(body.contacts), 6, nv))
    feet = [model.body(name).id for name in body.contacts]
    for k in range(n):
        data.qpos, data.qvel, data.qacc = motion.qpos[k], qvel[k], qacc[k]
        mujoco.mj_inverse(model, data)
        forces[k] = data.qfrc_inverse
        dense_moment_arms(data, arms[k])
        for c, foot in enumerate(feet):
            mujoco.mj_jacBody(model, data, jacobian[k, c, :3], jacobian[k, c, 3:], foot)
    tangent = body.coupling.tangent(motion.qpos)
    return InverseDynamics(
        full=forces,
        wanted=np.einsum("kvi,kv->ki", tangent, forces),
        moment_arms=arms @ tangent,
        tangent=tangent,
        jacobian=jacobian,
    )


def generalized_force(
    dynamics: InverseDynamics,
    contact: int,
    origin: FloatArray,
    point: FloatArray,
    force: FloatArray,
) -> FloatArray:
    """Generalised forces (n, nv) of forces (n, 3) at world points of a foot segment."""
    wrench = np.concatenate([force, np.cross(point - origin, force)], axis=-1)
    return np.einsum("kcv,kc->kv", dynamics.jacobian[:, contact], wrench)
