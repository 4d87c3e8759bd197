"""Static optimisation: what the muscles would have to do to produce a motion.

Inverse dynamics on prescribed kinematics, then muscle redundancy by least squared activation
(Crowninshield & Brand 1981), with measured ground forces where the motion has them and with
estimated contact where not. All frames are solved at once.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.body.recording import Samples, assemble_recording
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.boxqp import solve_box_qp
from kinesis_neuro.motion.contact import FORCE_UNIT, contact_edges, sum_contacts
from kinesis_neuro.motion.dynamics import (
    InverseDynamics,
    StaticOptimizationConfig,
    generalized_force,
    inverse_dynamics,
)
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.provenance import provenance

FloatArray = NDArray[np.float64]


# Joints of the foot that a force plate says nothing of. The toes' angle is not recorded, and a
# centre of pressure that is off by a centimetre turns the subtalar joint by 7 N m, as much as
# there is: on the two plates of the built-in gait it lies 10 and 30 mm to the side of the heel, so
# that one foot would need three times the moment of the other, and a cramped tibialis posterior.
_NOT_MEASURED = ("mtp_angle", "subtalar_angle")


def static_optimization(
    motion: ReferenceMotion,
    *,
    contact: str = "auto",
    config: StaticOptimizationConfig | None = None,
) -> xr.Dataset:
    """Solve the muscles' activity along a motion.

    Parameters
    ----------
    motion : ReferenceMotion
    contact : {"auto", "measured", "estimated"}
        Ground forces: the recording's own where it has them ("auto"), or estimated together with
        the muscles from friction pyramids under the sole.
    config : StaticOptimizationConfig, optional

    Returns
    -------
    xarray.Dataset
        In the schema of a recording, at prescribed kinematics (``policy`` is
        ``static_optimization``; ``ground_contact`` says which forces). Besides:
        ``net_joint_moment`` (time, joint), the net moment about each joint's own axis;
        ``residual_moment`` (time, joint), ``root_residual_force`` and ``root_residual_moment``
        (time, space), what the solution leaves unexplained.

    Raises
    ------
    InvalidInputError
        If measured contact is asked for and the motion has none.

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> result = static_optimization(load_motion("walk"))
    >>> bool((result.activation >= 0).all() and (result.activation <= 1).all())
    True
    """
    config = config or StaticOptimizationConfig()
    allowed = ("auto", "measured", "estimated")
    if contact not in allowed:
        raise InvalidInputError(
            f"Invalid value for 'contact'. Allowed values are {', '.join(allowed)}, "
            f"but got {contact!r} instead."
        )
    if contact == "measured" and motion.contact is None:
        raise InvalidInputError(
            f"Motion {motion.name!r} has no measured ground forces. Give forces= to load_motion, "
            "or use contact='estimated'."
        )
    measured = contact != "estimated" and motion.contact is not None
    dynamics = inverse_dynamics(motion, config)
    body = motion.body
    muscles = MuscleParameters.from_model(body.model)
    length, velocity = motion.frames.muscle_length, motion.frames.muscle_velocity
    gain, bias = muscles.gain(length, velocity), muscles.bias(length)
    # Moments on the independent coordinates: T' R' (gain a + bias), T' the coupled joints' share.
    arms = np.swapaxes(dynamics.moment_arms, 1, 2)
    per_activation = arms * gain[:, None]
    passive = (arms @ bias[..., None])[..., 0]

    muscle_penalty = np.tile(config.muscle_penalty(muscles), (motion.n_frames, 1))
    row_weight = np.ones(dynamics.wanted.shape[1])
    if measured:
        ground_force, pressure = _measured(motion, config)
        external = _external(motion, dynamics, ground_force, pressure)
        wanted = dynamics.wanted - np.einsum("kvi,kv->ki", dynamics.tangent, external)
        row_weight[:6] = 0.0
        unknown = [body.joints.index(j) for j in body.joints if j.startswith(_NOT_MEASURED)]
        row_weight[np.isin(body.coupling.independent_dof, np.array(unknown) + 6)] = 0.0
        columns = per_activation
        penalty = muscle_penalty
    else:
        edges, point_forces, contact_penalty, which, points = contact_edges(
            motion, dynamics, config
        )
        wanted = dynamics.wanted
        row_weight[:3] = config.root_force_weight
        row_weight[3:6] = config.root_moment_weight
        columns = np.concatenate([per_activation, edges], axis=2)
        penalty = np.concatenate([muscle_penalty, contact_penalty], axis=1)
    upper = np.concatenate(
        [np.ones(body.n_muscles), np.full(columns.shape[2] - body.n_muscles, np.inf)]
    )
    solution = _least_squares(columns, wanted - passive, row_weight, penalty, upper)
    activation = np.clip(solution[:, : body.n_muscles], 0.0, 1.0)
    if not measured:
        force = solution[:, body.n_muscles :] * FORCE_UNIT
        ground_force, pressure = sum_contacts(force, point_forces, which, points)
    left = wanted - passive - (columns @ solution[..., None])[..., 0]
    net = dynamics.full - _external(motion, dynamics, ground_force, pressure)
    return _dataset(motion, activation, ground_force, pressure, left, net, measured)


def _dataset(
    motion: ReferenceMotion,
    activation: FloatArray,
    ground_force: FloatArray,
    pressure: FloatArray,
    residual: FloatArray,
    net: FloatArray,
    measured: bool,
) -> xr.Dataset:
    """The solution in the schema of a recording, with what is static optimisation's own."""
    body = motion.body
    muscles = MuscleParameters.from_model(body.model)
    samples = Samples(
        qpos=motion.qpos,
        qvel=motion.qvel,
        excitation=muscles.excitation_for(activation, motion.rate, motion.periodic),
        activation=activation,
        frames=motion.frames,
        reference=motion.frames.body_position,
        ground_force=ground_force,
        center_of_pressure=np.where(ground_force[..., 2:] > 0.0, pressure, np.nan),
    )
    attributes = provenance(
        body=body.name,
        body_hash=body.hash,
        motion=motion.name,
        motion_hash=motion.hash,
        policy="static_optimization",
        policy_hash="",
        actuation="prescribed kinematics",
        seed=0,
        sampling_rate=motion.rate,
        physics_rate=motion.rate,
        control_rate=motion.rate,
    )
    attributes |= body.scale_attributes
    attributes["ground_contact"] = "measured" if measured else "estimated"
    dataset = assemble_recording(body, samples, attributes, rate=motion.rate)
    residual_moment = np.zeros((motion.n_frames, len(body.joints)))
    residual_moment[:, body.coupling.independent_dof[6:] - 6] = residual[:, 6:]
    dataset["net_joint_moment"] = (
        ("time", "joint"),
        net[:, 6:],
        {
            "units": "N m or N",
            "long_name": "net moment about the joint's own axis by inverse dynamics, without what "
            "acts through coupled coordinates",
        },
    )
    dataset["residual_moment"] = (
        ("time", "joint"),
        residual_moment,
        {"units": "N m or N", "long_name": "moment wanted that the muscles leave"},
    )
    for name, columns, units in (("force", slice(0, 3), "N"), ("moment", slice(3, 6), "N m")):
        dataset[f"root_residual_{name}"] = (
            ("time", "space"),
            residual[:, columns],
            {"units": units, "long_name": f"{name} on the free root that nothing explains"},
        )
    return dataset


def _measured(
    motion: ReferenceMotion, config: StaticOptimizationConfig
) -> tuple[FloatArray, FloatArray]:
    """The recording's force and centre of pressure of each foot, zero where it is unloaded."""
    assert motion.contact is not None
    loaded = (motion.contact.force[..., 2] > config.load_threshold)[..., None]
    force = np.where(loaded, motion.contact.force, 0.0)
    return force, np.where(loaded, motion.contact.center_of_pressure, 0.0)


def _external(
    motion: ReferenceMotion, dynamics: InverseDynamics, force: FloatArray, pressure: FloatArray
) -> FloatArray:
    """Generalised forces (n, nv) of one force a foot, applied to the heel segments."""
    body = motion.body
    total = np.zeros_like(dynamics.full)
    for foot, side in enumerate("rl"):
        segment = f"calcn_{side}"
        origin = motion.frames.body_position[:, body.segments.index(segment)]
        contact = body.contacts.index(segment)
        total += generalized_force(dynamics, contact, origin, pressure[:, foot], force[:, foot])
    return total


def _least_squares(
    columns: FloatArray,
    wanted: FloatArray,
    row_weight: FloatArray,
    penalty: FloatArray,
    upper: FloatArray,
    chunk: int = 2000,
) -> FloatArray:
    """Min ||W (wanted - columns x)||^2 + ||penalty x||^2 over the box, in chunks of frames."""
    parts = []
    diagonal = np.arange(columns.shape[2])
    for start in range(0, wanted.shape[0], chunk):
        take = slice(start, start + chunk)
        weighted = columns[take] * row_weight[:, None]
        transposed = np.swapaxes(weighted, 1, 2)
        hessian = transposed @ weighted
        hessian[:, diagonal, diagonal] += penalty[take] ** 2
        gradient = -(transposed @ (wanted[take] * row_weight)[..., None])[..., 0]
        parts.append(solve_box_qp(hessian, gradient, upper))
    return np.concatenate(parts)
