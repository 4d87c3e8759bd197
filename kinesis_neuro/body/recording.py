"""From states of a body to a recording: every variable of the schema, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.kinematics import Kinematics, contact_forces, muscle_moment_arms
from kinesis_neuro.body.metabolics import MODEL_NAME, metabolic_power
from kinesis_neuro.body.models import PHYSICS_RATE, Body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.schema import make_variable

FloatArray = NDArray[np.float64]

FEET = ("right", "left")


def feet(body: Body, sensors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Net ground force [N] and centre of pressure [m] of the right and the left foot, (n, 2, 3).

    The centre of pressure is NaN where a foot carries nothing.
    """
    force, center = contact_forces(body, sensors)
    vertical = np.maximum(force[..., 2:], 0.0)
    nets, centers = [], []
    for side in "rl":
        parts = [i for i, name in enumerate(body.contacts) if name.endswith(f"_{side}")]
        total = vertical[:, parts].sum(axis=1)
        nets.append(force[:, parts].sum(axis=1))
        moved = (vertical * center)[:, parts].sum(axis=1)
        centers.append(np.where(total > 0.0, moved / np.where(total > 0.0, total, 1.0), np.nan))
    return np.stack(nets, axis=1), np.stack(centers, axis=1)


def joint_moments(body: Body, qpos: FloatArray, muscle_force: FloatArray) -> FloatArray:
    """Moment of the muscles along every scalar joint, (n, n_joints) [N m] or [N].

    An independent joint's includes what acts through the coordinates that follow it, such as the
    quadriceps' pull on the patella; a dependent joint's is what acts on it alone.
    """
    arms = muscle_moment_arms(body, qpos)
    full = -np.einsum("kmv,km->kv", arms, muscle_force)
    reduced = np.einsum("kvi,kv->ki", body.coupling.tangent(qpos), full)
    full[:, body.coupling.independent_dof] = reduced
    return full[:, 6:]


@dataclass(frozen=True, eq=False)
class Samples:
    """States of a body over time, and what was sensed in them.

    Attributes
    ----------
    qpos, qvel : ndarray, shape (n, nq), (n, nv)
    excitation, activation : ndarray, shape (n, n_muscles)
    frames : Kinematics
    reference : ndarray, shape (n, n_segments, 3)
        Where the reference has the segments [m].
    ground_force, center_of_pressure : ndarray, shape (n, 2, 3)
        Of the right and the left foot [N], [m].
    muscle_states : mapping of str to ndarray, shape (n, n_muscles)
        What else the muscles were in: compartments of fatigue, the demand on them.
    """

    qpos: FloatArray
    qvel: FloatArray
    excitation: FloatArray
    activation: FloatArray
    frames: Kinematics
    reference: FloatArray
    ground_force: FloatArray
    center_of_pressure: FloatArray
    muscle_states: Mapping[str, FloatArray] = field(default_factory=dict)


def assemble_recording(
    body: Body,
    samples: Samples,
    attributes: Mapping[str, str | int | float],
    *,
    action: FloatArray | None = None,
    action_channels: Sequence[str] = (),
    reward: FloatArray | None = None,
    rate: float = PHYSICS_RATE,
    model: mujoco.MjModel | None = None,
) -> xr.Dataset:
    """Make a recording of samples.

    Parameters
    ----------
    body : Body
    samples : Samples
    attributes : mapping
        Provenance.
    action : ndarray, shape (n, n_channels), optional
    action_channels : sequence of str
    reward : ndarray, shape (n,), optional
    rate : float
        Samples a second [Hz].
    model : mujoco.MjModel, optional
        Whose muscles made the forces, where they are weaker than the body's own.

    Returns
    -------
    xarray.Dataset
        In the schema of a recording; ``action`` and ``reward`` only where given.
    """
    model, frames = body.model if model is None else model, samples.frames
    muscles = MuscleParameters.from_model(model)
    length, velocity = frames.muscle_length, frames.muscle_velocity
    force = muscles.force(samples.activation, length, velocity)
    power = metabolic_power(muscles, samples.excitation, samples.activation, length, velocity)
    root = Rotation.from_quat(samples.qpos[:, 3:7], scalar_first=True)
    tracked = body.tracked_index
    apart = frames.body_position[:, tracked] - samples.reference[:, tracked]
    values: dict[str, NDArray] = {
        "excitation": samples.excitation,
        "activation": samples.activation,
        "muscle_force": force,
        "muscle_length": length,
        "muscle_velocity": velocity,
        "muscle_power": -force * velocity,
        "metabolic_rate": power.sum(axis=1),
        "root_position": samples.qpos[:, :3],
        "root_orientation": samples.qpos[:, 3:7],
        "root_velocity": samples.qvel[:, :3],
        "root_angular_velocity": root.apply(samples.qvel[:, 3:6]),
        "joint_position": samples.qpos[:, 7:],
        "joint_velocity": samples.qvel[:, 6:],
        "joint_moment": joint_moments(body, samples.qpos, force),
        "body_position": frames.body_position,
        "body_orientation": frames.body_orientation,
        "body_velocity": frames.body_velocity,
        "reference_position": samples.reference,
        "ground_force": samples.ground_force,
        "center_of_pressure": samples.center_of_pressure,
        "tracking_error": np.linalg.norm(apart, axis=-1).mean(axis=1),
    }
    coords: dict[str, NDArray] = {
        "time": np.arange(samples.qpos.shape[0]) / rate,
        "muscle": np.array(body.muscles),
        "side": np.array(body.side),
        "group": np.array(body.group),
        "joint": np.array(body.joints),
        "joint_unit": np.where(body.model.jnt_type[1:] == mujoco.mjtJoint.mjJNT_SLIDE, "m", "rad"),
        "body": np.array(body.segments),
        "space": np.array(["x", "y", "z"]),
        "quaternion": np.array(["w", "x", "y", "z"]),
        "contact": np.array(FEET),
    }
    values |= samples.muscle_states
    if reward is not None:
        values["reward"] = reward
    if action is not None:
        values["action"] = action
        coords["action_channel"] = np.array(action_channels)
    return xr.Dataset(
        {name: make_variable(name, array) for name, array in values.items()},
        coords={name: make_variable(name, array) for name, array in coords.items()},
        attrs={**attributes, "metabolic_model": MODEL_NAME},
    )
