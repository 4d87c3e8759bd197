"""From samples of a simulation to a recording: every variable of the schema, computed once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.kinematics import contact_forces, muscle_moment_arms, split_sensors
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


def assemble_recording(
    body: Body,
    samples: dict[str, NDArray],
    action_channels: Sequence[str],
    attributes: dict[str, str | int | float],
) -> xr.Dataset:
    """Make a recording from samples at the physics rate.

    Parameters
    ----------
    body : Body
    samples : dict of ndarray
        ``state`` (n, 1 + nq + nv + na), ``sensors`` (n, n_sensors) of the same states,
        ``excitation`` (n, n_muscles), ``reference`` (n, n_segments, 3), ``reference_phase`` (n,),
        ``action`` (n, n_channels), ``reward`` (n,), ``episode_index`` (n,).
    action_channels : sequence of str
    attributes : dict
        Provenance.
    """
    model = body.model
    state, sensors = samples["state"], samples["sensors"]
    n = state.shape[0]
    qpos, qvel, activation = np.split(state[:, 1:], [model.nq, model.nq + model.nv], axis=1)
    muscles = MuscleParameters.from_model(model)
    sensed = split_sensors(body, sensors)
    length, velocity = sensed.muscle_length, sensed.muscle_velocity
    force = muscles.force(activation, length, velocity)
    power = metabolic_power(muscles, samples["excitation"], activation, length, velocity)
    ground, center = feet(body, sensors)
    root = Rotation.from_quat(qpos[:, 3:7], scalar_first=True)
    tracked = body.tracked_index
    apart = sensed.body_position[:, tracked] - samples["reference"][:, tracked]
    values: dict[str, NDArray] = {
        "excitation": samples["excitation"],
        "activation": activation,
        "muscle_force": force,
        "muscle_length": length,
        "muscle_velocity": velocity,
        "muscle_power": -force * velocity,
        "metabolic_rate": power.sum(axis=1),
        "root_position": qpos[:, :3],
        "root_orientation": qpos[:, 3:7],
        "root_velocity": qvel[:, :3],
        "root_angular_velocity": root.apply(qvel[:, 3:6]),
        "joint_position": qpos[:, 7:],
        "joint_velocity": qvel[:, 6:],
        "joint_moment": joint_moments(body, qpos, force),
        "body_position": sensed.body_position,
        "body_orientation": sensed.body_orientation,
        "body_velocity": sensed.body_velocity,
        "reference_position": samples["reference"],
        "ground_force": ground,
        "center_of_pressure": center,
        "tracking_error": np.linalg.norm(apart, axis=-1).mean(axis=1),
        "reward": samples["reward"],
        "action": samples["action"],
    }
    units = np.where(model.jnt_type[1:] == 2, "m", "rad")  # mjJNT_SLIDE
    dataset = xr.Dataset(
        {name: make_variable(name, array) for name, array in values.items()},
        coords={
            "time": make_variable("time", np.arange(n) / PHYSICS_RATE),
            "muscle": make_variable("muscle", np.array(body.muscles)),
            "side": make_variable("side", np.array(body.side)),
            "group": make_variable("group", np.array(body.group)),
            "joint": make_variable("joint", np.array(body.joints)),
            "joint_unit": make_variable("joint_unit", units),
            "body": make_variable("body", np.array(body.segments)),
            "space": make_variable("space", np.array(["x", "y", "z"])),
            "quaternion": make_variable("quaternion", np.array(["w", "x", "y", "z"])),
            "contact": make_variable("contact", np.array(FEET)),
            "action_channel": make_variable("action_channel", np.array(action_channels)),
        },
        attrs=attributes | {"metabolic_model": MODEL_NAME},
    )
    dataset["reference_phase"] = (
        "time",
        samples["reference_phase"],
        {"units": "1", "long_name": "phase of the reference motion, 0 to 1"},
    )
    dataset["episode_index"] = (
        "time",
        samples["episode_index"].astype(np.int64),
        {"units": "1", "long_name": "number of the episode, from 0"},
    )
    return dataset
