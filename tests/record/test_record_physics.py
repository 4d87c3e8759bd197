"""Each sample of a recording is one state, and Newton's laws hold in it."""

from __future__ import annotations

import itertools

import mujoco
import numpy as np
import pytest
import xarray as xr
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.models import Body

RATE = 150.0


def forward(body: Body, dataset: xr.Dataset, k: int) -> mujoco.MjData:
    """MuJoCo's own view of the state of sample k."""
    at = dataset.isel(time=k)
    data = mujoco.MjData(body.model)
    data.qpos = np.concatenate([at.root_position, at.root_orientation, at.joint_position])
    root = Rotation.from_quat(at.root_orientation.values, scalar_first=True)
    turning = root.apply(at.root_angular_velocity.values, inverse=True)
    data.qvel = np.concatenate([at.root_velocity, turning, at.joint_velocity])
    data.act = at.activation.values
    data.ctrl = at.excitation.values
    mujoco.mj_forward(body.model, data)
    return data


@pytest.mark.parametrize("k", [0, 1, 4, 5, 23, 60, 150, 299])
def test_all_variables_belong_to_one_state(restarted: xr.Dataset, body: Body, k: int) -> None:
    data, at = forward(body, restarted, k), restarted.isel(time=k)
    tight = {"rtol": 1e-9, "atol": 1e-9}
    np.testing.assert_allclose(at.body_position, data.xpos[body.segment_ids], **tight)
    np.testing.assert_allclose(at.body_orientation, data.xquat[body.segment_ids], **tight)
    np.testing.assert_allclose(at.muscle_length, data.actuator_length, **tight)
    np.testing.assert_allclose(at.muscle_velocity, data.actuator_velocity, **tight)
    # Tension is positive here, negative in MuJoCo.
    np.testing.assert_allclose(at.muscle_force, -data.actuator_force, rtol=1e-8, atol=1e-6)
    np.testing.assert_allclose(
        at.muscle_power, data.actuator_force * data.actuator_velocity, rtol=1e-8, atol=1e-6
    )
    velocity, linear = np.zeros(6), []
    for segment in body.segment_ids:
        kind = mujoco.mjtObj.mjOBJ_XBODY
        mujoco.mj_objectVelocity(body.model, data, kind, segment, velocity, 0)
        linear.append(velocity[3:].copy())
    np.testing.assert_allclose(at.body_velocity, linear, **tight)
    np.testing.assert_array_equal(at.joint, body.joints)
    names = {segment: i for i, segment in enumerate(body.segments)}
    np.testing.assert_allclose(at.root_position, at.body_position[names["pelvis"]], **tight)


@pytest.mark.parametrize("k", [0, 7, 60, 299])
def test_moments_are_what_the_muscles_do_to_the_joints(
    restarted: xr.Dataset, body: Body, k: int
) -> None:
    data, at = forward(body, restarted, k), restarted.isel(time=k)
    expected = data.qfrc_actuator.copy()
    # An independent coordinate bears what acts on those that follow it.
    tangent = body.coupling.tangent(data.qpos)
    expected[body.coupling.independent_dof] = tangent.T @ data.qfrc_actuator
    np.testing.assert_allclose(at.joint_moment, expected[6:], rtol=1e-6, atol=1e-6)
    assert np.abs(at.joint_moment).max() > 1.0


def test_ground_force_is_the_contacts_with_the_floor(falling: xr.Dataset, body: Body) -> None:
    floor, wrench = body.model.geom("floor").id, np.zeros(6)
    loaded = 0
    for k in range(0, falling.sizes["time"], 9):
        data, expected = forward(body, falling, k), np.zeros((2, 3))
        for index, contact in enumerate(data.contact):
            if floor not in (contact.geom1, contact.geom2):
                continue
            mujoco.mj_contactForce(body.model, data, index, wrench)
            world = contact.frame.reshape(3, 3).T @ wrench[:3]
            on_foot = world if contact.geom1 == floor else -world
            other = contact.geom2 if contact.geom1 == floor else contact.geom1
            name = body.model.body(body.model.geom_bodyid[other]).name
            expected[["r", "l"].index(name[-1])] += on_foot
        # MuJoCo's solver stops at its tolerance, from wherever it was started.
        found = falling.ground_force[k].values
        np.testing.assert_allclose(found, expected, atol=0.005 * body.weight)
        loaded += int(expected[:, 2].max() > 50.0)
    assert falling.contact.values.tolist() == ["right", "left"]
    assert loaded > 3


def center_of_mass_jacobian(body: Body, qpos: np.ndarray) -> np.ndarray:
    data, jacobian = mujoco.MjData(body.model), np.zeros((3, body.model.nv))
    data.qpos = qpos
    mujoco.mj_kinematics(body.model, data)
    mujoco.mj_comPos(body.model, data)
    mujoco.mj_jacSubtreeCom(body.model, data, jacobian, 0)
    return jacobian


def test_newton(falling: xr.Dataset, body: Body) -> None:
    """Ground force and weight, and nothing else, move the centre of mass: in every sample."""
    model, n = body.model, falling.sizes["time"] - 1
    states = [forward(body, falling, k) for k in range(n + 1)]
    force = falling.ground_force.sum("contact").values[:n] + body.mass * model.opt.gravity
    change = np.empty((n, 3))
    for k, (now, after) in enumerate(itertools.pairwise(states)):
        # Acceleration = J dv/dt + dJ/dt v: the integrator's step, and the turning of the limbs.
        jacobian = center_of_mass_jacobian(body, now.qpos)
        moved, instant = now.qpos.copy(), 1e-6
        mujoco.mj_integratePos(model, moved, now.qvel, instant)
        turning = (center_of_mass_jacobian(body, moved) - jacobian) @ now.qvel / instant
        change[k] = body.mass * (jacobian @ (after.qvel - now.qvel) * RATE + turning)
    np.testing.assert_allclose(change, force, atol=1e-3 * body.weight)
    # It falls, and pushes the floor meanwhile: both forces are needed.
    assert n > 20  # how long it takes differs with the processor
    assert force[:, 2].min() < -0.9 * body.weight
    assert force[:, 2].max() > 0.5 * body.weight


def test_velocities_are_those_of_the_positions(falling: xr.Dataset) -> None:
    """Semi-implicit Euler: the next position follows from the next velocity."""
    step = np.diff(falling.joint_position, axis=0) * RATE
    np.testing.assert_allclose(step, falling.joint_velocity[1:], atol=1e-9)
    step = np.diff(falling.root_position, axis=0) * RATE
    np.testing.assert_allclose(step, falling.root_velocity[1:], atol=1e-9)
    turn = Rotation.from_quat(falling.root_orientation.values, scalar_first=True)
    rate = (turn[1:] * turn[:-1].inv()).as_rotvec() * RATE
    np.testing.assert_allclose(
        rate, falling.root_angular_velocity[1:], atol=0.02 * np.abs(rate).max()
    )


def test_excitation_drives_activation(falling: xr.Dataset, body: Body) -> None:
    """The activation of the next sample follows from the excitation of this one."""
    for k in (0, 10, 40):
        data = forward(body, falling, k)
        after = data.act + data.act_dot / RATE
        np.testing.assert_allclose(falling.activation[k + 1], after, rtol=1e-9, atol=1e-12)
