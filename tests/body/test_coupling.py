"""Poses satisfy the knees' polynomials as MuJoCo's own constraint sees them."""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
import pytest

from kinesis_neuro.body.coupling import Coupling
from kinesis_neuro.body.models import BODY_NAMES, Body, load_body
from kinesis_neuro.errors import InvalidInputError

Poses = Callable[[Body, int], np.ndarray]


def equality_residual(body: Body, qpos: np.ndarray, qvel: np.ndarray) -> tuple[float, float]:
    """Largest violation of the equalities and of their rates, by MuJoCo."""
    data = mujoco.MjData(body.model)
    data.qpos, data.qvel = qpos, qvel
    mujoco.mj_forward(body.model, data)
    rows = data.efc_type == mujoco.mjtConstraint.mjCNSTR_EQUALITY
    assert rows.sum() == body.model.neq
    return float(np.abs(data.efc_pos[rows]).max()), float(np.abs(data.efc_vel[rows]).max())


@pytest.mark.parametrize("name", BODY_NAMES)
def test_completed_poses_leave_no_residual(name: str, random_poses: Poses) -> None:
    body = load_body(name)
    rng = np.random.default_rng(5)
    for qpos in random_poses(body, 5):
        qvel = body.coupling.complete_velocity(qpos, rng.normal(size=body.model.nv))
        position, velocity = equality_residual(body, qpos, qvel)
        assert position < 1e-12 and velocity < 1e-12
        # What stands in the dependent entries beforehand does not matter.
        spoilt = qpos.copy()
        spoilt[body.coupling.dependent_qpos] += rng.normal(size=body.coupling.dependent_qpos.size)
        assert equality_residual(body, spoilt, qvel)[0] > 1e-3
        np.testing.assert_array_equal(body.coupling.complete(spoilt), qpos)


@pytest.mark.parametrize("name", BODY_NAMES)
def test_tangent_is_the_derivative_of_completion(name: str, random_poses: Poses) -> None:
    body = load_body(name)
    model, coupling = body.model, body.coupling
    assert coupling.independent_dof.size + coupling.dependent_dof.size == model.nv
    poses = random_poses(body, 3)
    tangents = coupling.tangent(poses)
    h = 1e-6
    for qpos, tangent in zip(poses, tangents, strict=True):
        for column, dof in enumerate(coupling.independent_dof):
            step = np.zeros(model.nv)
            step[dof] = 1.0
            ahead, behind = qpos.copy(), qpos.copy()
            mujoco.mj_integratePos(model, ahead, step, h)
            mujoco.mj_integratePos(model, behind, step, -h)
            slope = np.empty(model.nv)
            ahead, behind = coupling.complete(ahead), coupling.complete(behind)
            mujoco.mj_differentiatePos(model, slope, 2 * h, behind, ahead)
            np.testing.assert_allclose(tangent[:, column], slope, atol=1e-7)


def test_velocities_follow_the_tangent(legs: Body, random_poses: Poses) -> None:
    qpos = random_poses(legs, 4)
    free = np.random.default_rng(6).normal(size=(4, legs.coupling.independent_dof.size))
    qvel = np.zeros((4, legs.model.nv))
    qvel[:, legs.coupling.independent_dof] = free
    expected = (legs.coupling.tangent(qpos) @ free[..., None])[..., 0]
    np.testing.assert_allclose(legs.coupling.complete_velocity(qpos, qvel), expected, atol=1e-14)


def test_locked_joint_stays_at_its_value() -> None:
    model = mujoco.MjModel.from_xml_string(
        """<mujoco><worldbody><body><freejoint/><geom size="0.1"/>
        <body><joint name="a" axis="1 0 0"/><geom size="0.1"/>
        <body><joint name="b" axis="1 0 0" ref="0.2"/><geom size="0.1"/>
        </body></body></body></worldbody>
        <equality><joint joint1="b" polycoef="0.3 0 0 0 0"/></equality></mujoco>"""
    )
    coupling = Coupling.from_model(model)
    qpos = coupling.complete(np.array([0, 0, 0, 1, 0, 0, 0, 0.7, 9.0]))
    assert qpos[7] == 0.7 and qpos[8] == pytest.approx(model.qpos0[8] + 0.3)
    assert (coupling.tangent(qpos)[7] == 0).all()


def test_chained_equalities_are_refused() -> None:
    joints = "".join(
        f'<body><joint name="{name}" axis="1 0 0"/><geom size="0.1"/></body>' for name in "abc"
    )
    model = mujoco.MjModel.from_xml_string(
        f"""<mujoco><worldbody>{joints}</worldbody><equality>
        <joint joint1="b" joint2="a"/><joint joint1="c" joint2="b"/></equality></mujoco>"""
    )
    with pytest.raises(InvalidInputError, match=r"not supported: b\."):
        Coupling.from_model(model)
