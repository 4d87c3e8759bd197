"""Kinematics of whole motions at once: what the sensors read at given states.

``mujoco.rollout`` writes, with each step, the sensors of the state before the step; one step from
every frame of a motion is forward kinematics of the motion, in threads and without a Python loop.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco import rollout
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Kinematics:
    """Frames of the segments and paths of the muscles, for n states.

    Attributes
    ----------
    muscle_length, muscle_velocity : ndarray, shape (n, n_muscles)
        Musculotendon length [m] and its rate [m/s].
    body_position, body_velocity : ndarray, shape (n, n_segments, 3)
        Origin of each segment's frame in the world [m] and its velocity [m/s].
    body_orientation : ndarray, shape (n, n_segments, 4)
        Unit quaternion (w, x, y, z) of each segment's frame in the world.
    """

    muscle_length: FloatArray
    muscle_velocity: FloatArray
    body_position: FloatArray
    body_velocity: FloatArray
    body_orientation: FloatArray


def split_sensors(body: Body, sensors: FloatArray) -> Kinematics:
    """Name the blocks of an array of sensor data (n, n_sensors)."""
    n, m = sensors.shape[0], len(body.segments)
    block = {name: sensors[:, where] for name, where in body.sensors.items()}
    return Kinematics(
        muscle_length=block["muscle_length"],
        muscle_velocity=block["muscle_velocity"],
        body_position=block["body_position"].reshape(n, m, 3),
        body_velocity=block["body_velocity"].reshape(n, m, 3),
        body_orientation=block["body_orientation"].reshape(n, m, 4),
    )


def contact_forces(body: Body, sensors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Force of the ground on each foot segment, and where it acts.

    Parameters
    ----------
    body : Body
    sensors : ndarray, shape (n, n_sensors)

    Returns
    -------
    force : ndarray, shape (n, n_contacts, 3)
        [N], from the contact solver, in world axes.
    center : ndarray, shape (n, n_contacts, 3)
        Force-weighted centre of the contacts [m]; zero without contact.
    """
    block = sensors[:, body.sensors["contact"]].reshape(len(sensors), len(body.contacts), -1)
    # MuJoCo gives the force of the first object of the pair on the second, which is the floor.
    return -block[..., 1:4], block[..., 7:10]


def muscle_moment_arms(body: Body, qpos: FloatArray) -> FloatArray:
    """Moment arms at n poses, shape (n, n_muscles, nv): change of length for each coordinate."""
    model = body.model
    data = mujoco.MjData(model)
    arms = np.empty((qpos.shape[0], model.nu, model.nv))
    for k, pose in enumerate(qpos):
        data.qpos = pose
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_tendon(model, data)
        mujoco.mj_transmission(model, data)
        dense_moment_arms(data, arms[k])
    return arms


def dense_moment_arms(data: mujoco.MjData, out: FloatArray) -> None:
    """Copy MuJoCo's sparse transmission of the current state into (n_muscles, nv)."""
    mujoco.mju_sparse2dense(
        out,
        data.actuator_moment.reshape(-1),
        data.moment_rownnz,
        data.moment_rowadr,
        data.moment_colind.reshape(-1),
    )


def kinematics(body: Body, qpos: FloatArray, qvel: FloatArray | None = None) -> Kinematics:
    """Forward kinematics of n states.

    Parameters
    ----------
    body : Body
    qpos : ndarray, shape (n, nq)
        Poses [m, rad]; see :meth:`Coupling.complete`.
    qvel : ndarray, shape (n, nv), optional
        Velocities [m/s, rad/s]; zero if not given.

    Examples
    --------
    >>> from kinesis_neuro.body.models import load_body
    >>> body = load_body("legs")
    >>> frames = kinematics(body, body.model.qpos0[None])
    >>> frames.body_position.shape
    (1, 13, 3)
    """
    model = body.model
    n = qpos.shape[0]
    state = np.zeros((n, 1 + model.nq + model.nv + model.na))
    state[:, 1 : 1 + model.nq] = qpos
    if qvel is not None:
        state[:, 1 + model.nq : 1 + model.nq + model.nv] = qvel
    n_threads = min(n, len(os.sched_getaffinity(0)))
    data = [mujoco.MjData(model) for _ in range(n_threads)]
    control = np.zeros((n, 1, model.nu))
    _, sensors = rollout.rollout(model, data, state, control)
    return split_sensors(body, sensors[:, 0])


def rotate(quaternion: FloatArray, vector: FloatArray) -> FloatArray:
    """Rotate vectors (..., 3) by unit quaternions (..., 4) in order (w, x, y, z)."""
    w, u = quaternion[..., :1], quaternion[..., 1:]
    t = 2.0 * np.cross(u, vector)
    return vector + w * t + np.cross(u, t)


def _support_points(model: mujoco.MjModel, geom: int) -> tuple[FloatArray, FloatArray]:
    """Points and radii (in the body's frame) whose lowest sphere is the geom's lowest point."""
    kind = model.geom_type[geom]
    size, offset = model.geom_size[geom], model.geom_pos[geom]
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
    axes = rotation.reshape(3, 3).T
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        ends = offset + np.array([[1.0], [-1.0]]) * size[1] * axes[2]
        return ends, np.full(2, size[0])
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = model.geom_dataid[geom]
        first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        vertices = model.mesh_vert[first : first + count].astype(float)
        return offset + vertices @ axes, np.zeros(count)
    raise ValueError(f"No support points for geom type {kind}.")


def contact_geoms(model: mujoco.MjModel, segment: str) -> list[int]:
    """Ids of the geoms of a segment that can touch the floor."""
    body_id = model.body(segment).id
    return [
        g
        for g in range(model.ngeom)
        if model.geom_bodyid[g] == body_id and (model.geom_contype[g] or model.geom_conaffinity[g])
    ]


def contact_points(body: Body, segment: str) -> tuple[FloatArray, FloatArray]:
    """Sole of a foot segment as spheres.

    Returns
    -------
    points : ndarray, shape (n_points, 3)
        Centres in the segment's frame [m]: capsule ends, or the vertices of a mesh.
    radii : ndarray, shape (n_points,)
        Radii [m].
    """
    model = body.model
    parts = [
        _support_points(model, g)
        for g in contact_geoms(model, segment)
        # The heel's ellipsoid lies inside the hull of the sole's capsules.
        if model.geom_type[g] != mujoco.mjtGeom.mjGEOM_ELLIPSOID
    ]
    return np.concatenate([p for p, _ in parts]), np.concatenate([r for _, r in parts])


def sole_points(body: Body, frames: Kinematics) -> FloatArray:
    """Lowest points of the spheres that make up both soles [m].

    Returns
    -------
    ndarray, shape (n, n_points, 3)
    """
    points = []
    for segment in body.contacts:
        index = body.segments.index(segment)
        centers, radii = contact_points(body, segment)
        world = rotate(frames.body_orientation[:, index, None], centers[None])
        world = world + frames.body_position[:, index, None]
        world[..., 2] -= radii
        points.append(world)
    return np.concatenate(points, axis=1)


def foot_clearance(body: Body, frames: Kinematics) -> FloatArray:
    """Height of the lowest point of each foot segment above the floor [m].

    Returns
    -------
    ndarray, shape (n, n_contacts)
        Negative where the segment reaches into the floor; order of ``body.contacts``.
    """
    clearance = np.empty((frames.body_position.shape[0], len(body.contacts)))
    for column, segment in enumerate(body.contacts):
        index = body.segments.index(segment)
        points, radii = contact_points(body, segment)
        world = rotate(frames.body_orientation[:, index, None], points[None])
        height = frames.body_position[:, index, None, 2] + world[..., 2] - radii
        clearance[:, column] = height.min(axis=1)
    return clearance
