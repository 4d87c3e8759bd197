"""Kinematics of whole motions are MuJoCo's, and the sole's points are the sole."""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.kinematics import (
    contact_geoms,
    foot_clearance,
    kinematics,
    rotate,
)
from kinesis_neuro.body.models import Body, load_body

Poses = Callable[[Body, int], np.ndarray]


@pytest.mark.parametrize("name", ["legs26", "legs", "legs_back"])
def test_equals_mj_forward(name: str, random_poses: Poses) -> None:
    body = load_body(name)
    model = body.model
    qpos = random_poses(body, 6)
    qvel = np.random.default_rng(7).normal(size=(6, model.nv))
    frames = kinematics(body, qpos, qvel)
    data = mujoco.MjData(model)
    for k in range(6):
        data.qpos, data.qvel = qpos[k], qvel[k]
        mujoco.mj_forward(model, data)
        np.testing.assert_allclose(frames.muscle_length[k], data.actuator_length, atol=1e-12)
        np.testing.assert_allclose(frames.muscle_velocity[k], data.actuator_velocity, atol=1e-12)
        for i, segment in enumerate(body.segments):
            here = data.body(segment)
            np.testing.assert_allclose(frames.body_position[k, i], here.xpos, atol=1e-12)
            np.testing.assert_allclose(frames.body_orientation[k, i], here.xquat, atol=1e-12)
            jacobian = np.zeros((3, model.nv))
            mujoco.mj_jacBody(model, data, jacobian, None, here.id)
            np.testing.assert_allclose(frames.body_velocity[k, i], jacobian @ qvel[k], atol=1e-10)


def test_velocities_are_the_rates_of_positions(legs: Body, random_poses: Poses) -> None:
    qpos = random_poses(legs, 4)
    free = np.random.default_rng(8).normal(size=(4, legs.model.nv))
    qvel = legs.coupling.complete_velocity(qpos, free)
    h = 1e-6
    ends = []
    for sign in (1, -1):
        moved = qpos.copy()
        for pose, velocity in zip(moved, qvel, strict=True):
            mujoco.mj_integratePos(legs.model, pose, velocity, sign * h)
        ends.append(kinematics(legs, moved))
    frames = kinematics(legs, qpos, qvel)
    for rate, value in (("body_velocity", "body_position"), ("muscle_velocity", "muscle_length")):
        slope = (getattr(ends[0], value) - getattr(ends[1], value)) / (2 * h)
        np.testing.assert_allclose(getattr(frames, rate), slope, atol=1e-6)


def test_rest_without_velocities(legs: Body) -> None:
    frames = kinematics(legs, legs.model.qpos0[None])
    assert not frames.body_velocity.any() and not frames.muscle_velocity.any()


def test_body_stands_as_the_design_says(legs: Body) -> None:
    """It faces -y, its right is -x, z is up."""
    frames = kinematics(legs, legs.coupling.complete(legs.model.qpos0)[None])
    at = dict(zip(legs.segments, frames.body_position[0], strict=True))
    assert at["head"][2] > at["pelvis"][2] > at["tibia_r"][2] > at["calcn_r"][2]
    for side, sign in (("r", -1), ("l", 1)):
        assert at[f"toes_{side}"][1] < at[f"calcn_{side}"][1] - 0.05
        assert sign * at[f"tibia_{side}"][0] > 0.05


def test_rotate_is_scipys() -> None:
    rng = np.random.default_rng(9)
    quaternion = rng.normal(size=(5, 4))
    quaternion /= np.linalg.norm(quaternion, axis=1, keepdims=True)
    vector = rng.normal(size=(5, 3))
    expected = Rotation.from_quat(quaternion, scalar_first=True).apply(vector)
    np.testing.assert_allclose(rotate(quaternion, vector), expected, atol=1e-14)


@pytest.mark.parametrize("name", ["legs26", "legs", "legs_back"])
def test_clearance_is_the_distance_to_the_floor(name: str) -> None:
    """Against MuJoCo's own distance of every geom of a foot, for any attitude of a walking foot."""
    body = load_body(name)
    model = body.model
    rng = np.random.default_rng(10)
    n = 30
    qpos = np.tile(model.qpos0, (n, 1))
    low, high = model.jnt_range[1:].T
    qpos[:, 7:] = np.where(np.isfinite(low), rng.uniform(0.3 * low, 0.3 * high, (n, low.size)), 0)
    lean = rng.uniform(-0.4, 0.4, (n, 3))
    turned = Rotation.from_rotvec(lean) * Rotation.from_quat(model.qpos0[3:7], scalar_first=True)
    qpos[:, 3:7] = turned.as_quat(scalar_first=True)
    qpos[:, 2] = 3.0  # in the air: MuJoCo's depth of penetration is not the depth of the vertices
    qpos = body.coupling.complete(qpos)
    clearance = foot_clearance(body, kinematics(body, qpos))
    data = mujoco.MjData(model)
    floor = model.geom("floor").id
    for k in range(n):
        data.qpos = qpos[k]
        mujoco.mj_forward(model, data)
        for column, segment in enumerate(body.contacts):
            nearest = min(
                mujoco.mj_geomDistance(model, data, floor, geom, 10.0, None)
                for geom in contact_geoms(model, segment)
            )
            assert clearance[k, column] == pytest.approx(nearest, abs=1e-9)


def test_clearance_counts_depth_as_negative(legs: Body) -> None:
    qpos = np.tile(legs.coupling.complete(legs.model.qpos0), (2, 1))
    heights = foot_clearance(legs, kinematics(legs, qpos))
    qpos[1, 2] -= 0.3 + heights[0].min()
    sunk = foot_clearance(legs, kinematics(legs, qpos))
    assert sunk[1].min() == pytest.approx(-0.3, abs=1e-12)
