"""Static optimisation: what the muscles would have to do to produce a motion.

Inverse dynamics on prescribed kinematics, then muscle redundancy by least squared activation
(Crowninshield & Brand 1981), with measured ground forces where the motion has them and with
estimated contact where not. All frames are solved at once.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import mujoco
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from kinesis_neuro.body.kinematics import contact_points, dense_moment_arms, muscle_moment_arms, rotate
from kinesis_neuro.body.models import Body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.body.recording import Samples, assemble_recording
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.boxqp import solve_box_qp
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.provenance import provenance

FloatArray = NDArray[np.float64]

FORCE_UNIT = 100.0  # contact forces are solved for in units of 100 N
N_EDGES = 4


@dataclass(frozen=True)
class StaticOptimizationConfig:
    """Weights and thresholds of static optimisation.

    Attributes
    ----------
    activation_weight : float
        Square root of lambda in ``||W (moments)||^2 + lambda ||a||^2``.
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
    dynamics = _inverse_dynamics(motion, config)
    body = motion.body
    muscles = MuscleParameters.from_model(body.model)
    length, velocity = motion.frames.muscle_length, motion.frames.muscle_velocity
    gain, bias = muscles.gain(length, velocity), muscles.bias(length)
    # Moments on the independent coordinates: T' R' (gain a + bias), T' the coupled joints' share.
    arms = np.swapaxes(dynamics.moment_arms, 1, 2)
    per_activation = arms * gain[:, None]
    passive = (arms @ bias[..., None])[..., 0]

    row_weight = np.ones(dynamics.wanted.shape[1])
    if measured:
        ground_force, pressure = _measured(motion, config)
        external = _external(motion, dynamics, ground_force, pressure)
        wanted = dynamics.wanted - np.einsum("kvi,kv->ki", dynamics.tangent, external)
        row_weight[:6] = 0.0
        toes = [body.joints.index(j) for j in body.joints if j.startswith("mtp_angle")]
        row_weight[np.isin(body.coupling.independent_dof, np.array(toes) + 6)] = 0.0
        columns = per_activation
        penalty = np.full((motion.n_frames, body.n_muscles), config.activation_weight)
    else:
        edges, point_forces, contact_penalty, which, points = _contact_edges(
            motion, dynamics, config
        )
        wanted = dynamics.wanted
        row_weight[:3] = config.root_force_weight
        row_weight[3:6] = config.root_moment_weight
        columns = np.concatenate([per_activation, edges], axis=2)
        muscle_penalty = np.full((motion.n_frames, body.n_muscles), config.activation_weight)
        penalty = np.concatenate([muscle_penalty, contact_penalty], axis=1)
    upper = np.concatenate(
        [np.ones(body.n_muscles), np.full(columns.shape[2] - body.n_muscles, np.inf)]
    )
    solution = _least_squares(columns, wanted - passive, row_weight, penalty, upper)
    activation = np.clip(solution[:, : body.n_muscles], 0.0, 1.0)
    if not measured:
        force = solution[:, body.n_muscles :] * FORCE_UNIT
        ground_force, pressure = _sum_contacts(force, point_forces, which, points)
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
class _Dynamics:
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


def _inverse_dynamics(motion: ReferenceMotion, config: StaticOptimizationConfig) -> _Dynamics:
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
    return _Dynamics(
        full=forces,
        wanted=np.einsum("kvi,kv->ki", tangent, forces),
        moment_arms=arms @ tangent,
        tangent=tangent,
        jacobian=jacobian,
    )


def _generalized(
    dynamics: _Dynamics, contact: int, origin: FloatArray, point: FloatArray, force: FloatArray
) -> FloatArray:
    """Generalised forces (n, nv) of forces (n, 3) at world points of a foot segment."""
    wrench = np.concatenate([force, np.cross(point - origin, force)], axis=-1)
    return np.einsum("kcv,kc->kv", dynamics.jacobian[:, contact], wrench)


def _measured(
    motion: ReferenceMotion, config: StaticOptimizationConfig
) -> tuple[FloatArray, FloatArray]:
    """The recording's force and centre of pressure of each foot, zero where it is unloaded."""
    assert motion.contact is not None
    loaded = (motion.contact.force[..., 2] > config.load_threshold)[..., None]
    force = np.where(loaded, motion.contact.force, 0.0)
    return force, np.where(loaded, motion.contact.center_of_pressure, 0.0)


def _external(
    motion: ReferenceMotion, dynamics: _Dynamics, force: FloatArray, pressure: FloatArray
) -> FloatArray:
    """Generalised forces (n, nv) of one force a foot, applied to the heel segments."""
    body = motion.body
    total = np.zeros_like(dynamics.full)
    for foot, side in enumerate("rl"):
        segment = f"calcn_{side}"
        origin = motion.frames.body_position[:, body.segments.index(segment)]
        contact = body.contacts.index(segment)
        total += _generalized(dynamics, contact, origin, pressure[:, foot], force[:, foot])
    return total


def _contact_edges(
    motion: ReferenceMotion, dynamics: _Dynamics, config: StaticOptimizationConfig
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.intp], FloatArray]:
    """Columns of the friction pyramids' edges at the points of the soles.

    Returns
    -------
    columns : ndarray, shape (n, n_independent, n_edges)
        Generalised force of 100 N along each edge.
    directions : ndarray, shape (n_edges, 3)
    penalty : ndarray, shape (n, n_edges)
    foot : ndarray of int, shape (n_edges,)
        0 right, 1 left.
    points : ndarray, shape (n, n_edges, 3)
    """
    body = motion.body
    mu = config.friction
    pyramid = np.array([[mu, 0, 1], [-mu, 0, 1], [0, mu, 1], [0, -mu, 1]])
    columns, directions, penalties, feet, where = [], [], [], [], []
    for contact, segment in enumerate(body.contacts):
        index = body.segments.index(segment)
        origin = motion.frames.body_position[:, index]
        orientation = motion.frames.body_orientation[:, index]
        local, radii = _extremes(*contact_points(body, segment))
        for centre, radius in zip(local, radii, strict=True):
            point = origin + rotate(orientation, centre[None])
            point[:, 2] -= radius
            speed = _point_speed(point, motion)
            height = np.maximum(point[:, 2], 0.0)
            ready = np.exp(-height / config.contact_height - speed / config.contact_speed)
            penalty = config.contact_penalty / np.maximum(ready, 0.01)
            # Out of reach: so dear that no force is put there.
            penalty = np.where(point[:, 2] > config.contact_distance, 1e3, penalty)
            for edge in pyramid:
                force = np.tile(edge * FORCE_UNIT, (motion.n_frames, 1))
                full = _generalized(dynamics, contact, origin, point, force)
                columns.append(np.einsum("kvi,kv->ki", dynamics.tangent, full))
                directions.append(edge)
                penalties.append(penalty)
                feet.append(0 if segment.endswith("_r") else 1)
                where.append(point)
    return (
        np.stack(columns, axis=2),
        np.array(directions),
        np.stack(penalties, axis=1),
        np.array(feet),
        np.stack(where, axis=1),
    )


def _extremes(points: FloatArray, radii: FloatArray, limit: int = 8) -> tuple:
    """At most ``limit`` points of a sole, spread over it (a mesh has hundreds of vertices)."""
    if len(points) <= limit:
        return points, radii
    sole = np.flatnonzero(points[:, 1] <= np.quantile(points[:, 1], 0.4))
    angle = np.arange(limit) * 2 * np.pi / limit
    ahead = points[sole][:, [0, 2]] - points[sole][:, [0, 2]].mean(0)
    chosen = np.unique([sole[(ahead @ [np.cos(a), np.sin(a)]).argmax()] for a in angle])
    return points[chosen], radii[chosen]


def _point_speed(point: FloatArray, motion: ReferenceMotion) -> FloatArray:
    """Speed of a point that moves with a foot [m/s], by central differences."""
    if motion.displacement is None:
        return np.linalg.norm(np.gradient(point, 1.0 / motion.rate, axis=0), axis=1)
    around = np.concatenate([point[-1:] - motion.displacement, point, point[:1] + motion.displacement])
    return np.linalg.norm((around[2:] - around[:-2]) * motion.rate / 2, axis=1)


def _least_squares(
    columns: FloatArray,
    wanted: FloatArray,
    row_weight: FloatArray,
    penalty: FloatArray,
    upper: FloatArray,
    chunk: int = 2000,
) -> FloatArray:
    """min ||W (wanted - columns x)||^2 + ||penalty x||^2 over the box, in chunks of frames."""
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


def _sum_contacts(
    force: FloatArray, directions: FloatArray, foot: NDArray[np.intp], points: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Net force and centre of pressure of the right and the left foot."""
    vectors = force[..., None] * directions
    net = np.stack([vectors[:, foot == f].sum(axis=1) for f in (0, 1)], axis=1)
    share = np.stack(
        [(force[..., None] * points)[:, foot == f].sum(axis=1) for f in (0, 1)], axis=1
    )
    total = net[..., 2:]
    return net, np.where(total > 1.0, share / np.maximum(total, 1.0), 0.0)

