"""Static optimisation obeys Newton, and agrees with what was measured."""

from __future__ import annotations

import mujoco
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from kinesis_neuro.body.kinematics import kinematics
from kinesis_neuro.body.models import Body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.dynamics import StaticOptimizationConfig, moment_arms
from kinesis_neuro.motion.inverse import static_optimization
from kinesis_neuro.motion.library import gait_table
from kinesis_neuro.motion.reference import ReferenceMotion


@pytest.fixture(scope="module")
def measured(walk: ReferenceMotion) -> xr.Dataset:
    return static_optimization(walk, contact="measured")


@pytest.fixture(scope="module")
def estimated(walk: ReferenceMotion) -> xr.Dataset:
    return static_optimization(walk, contact="estimated")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return gait_table("walk")[0]


@pytest.fixture(scope="module")
def still(legs: Body, standing_pose: np.ndarray) -> ReferenceMotion:
    """Standing, for a moment, without measured forces."""
    return ReferenceMotion.from_poses(legs, np.tile(standing_pose, (4, 1)), 150.0)


def at_phase(table: pd.DataFrame, column: str, n: int) -> np.ndarray:
    return np.interp(np.arange(n) / n, table["phase"], table[column])


# -- against the recording ------------------------------------------------------------------------


def test_estimated_vertical_force_is_the_measured_one(
    estimated: xr.Dataset, walk: ReferenceMotion
) -> None:
    force = estimated["ground_force"].sel(space="z").values
    plates = walk.contact.force[..., 2]
    assert np.corrcoef(force.sum(axis=1), plates.sum(axis=1))[0, 1] >= 0.95
    for foot in (0, 1):
        assert np.corrcoef(force[:, foot], plates[:, foot])[0, 1] >= 0.95
    assert force.sum(axis=1).mean() == pytest.approx(walk.body.weight, rel=0.02)


@pytest.mark.parametrize("side", ["r", "l"])
@pytest.mark.parametrize("joint", ["hip_flexion", "knee_angle", "ankle_angle"])
def test_net_moments_are_the_recordings(
    measured: xr.Dataset, table: pd.DataFrame, joint: str, side: str
) -> None:
    """Against the recording's own inverse dynamics, on another model of another mass."""
    moment = measured["net_joint_moment"].sel(joint=f"{joint}_{side}").values
    # gait2392 counts knee flexion negative, MyoLegs positive.
    sign = -1.0 if joint == "knee_angle" else 1.0
    recorded = sign * at_phase(table, f"{joint}_{side}_moment_mean", moment.size)
    assert np.corrcoef(moment, recorded)[0, 1] >= 0.9
    # The body is 1.3 times as heavy as the person.
    slope = np.polyfit(recorded, moment, 1)[0]
    assert 0.9 < slope < 1.6


def test_measured_forces_are_passed_on(measured: xr.Dataset, walk: ReferenceMotion) -> None:
    force = measured["ground_force"].values
    loaded = walk.contact.force[..., 2] > 20.0
    np.testing.assert_array_equal(force[loaded], walk.contact.force[loaded])
    assert not force[~loaded].any()
    assert measured.attrs["ground_contact"] == "measured"
    np.testing.assert_array_equal(measured["contact"], ["right", "left"])


def test_muscles_work_when_they_do_in_any_gait(measured: xr.Dataset) -> None:
    """Calf in push-off, quadriceps in loading, hip abductors in stance, dorsiflexors in swing."""
    activation = measured["activation"]
    n = activation.sizes["time"]

    def share(muscle: str, start: float, stop: float) -> float:
        """Mean activation within a part of the cycle, over that of the whole."""
        values = activation.sel(muscle=muscle).values
        part = values[round(start * n) : round(stop * n)]
        return float(part.mean() / values.mean())

    # The right heel strikes at phase 0, the left at one half.
    assert share("soleus_r", 0.35, 0.58) > 1.5 and share("soleus_r", 0.65, 0.98) < 0.3
    assert share("glmed2_r", 0.05, 0.5) > 1.2 and share("glmed2_r", 0.65, 0.95) < 0.8
    assert share("tibant_r", 0.62, 1.0) > share("tibant_r", 0.3, 0.55)
    soleus = [activation.sel(muscle=f"soleus_{s}").values.argmax() / n for s in "rl"]
    assert (soleus[1] - soleus[0]) % 1 == pytest.approx(0.5, abs=0.06)


# -- against Newton -------------------------------------------------------------------------------


def test_the_solution_balances_the_equations_of_motion(walk: ReferenceMotion) -> None:
    """M qdd + bias - passive = muscles + ground + what is declared as residual, by MuJoCo."""
    exact = StaticOptimizationConfig(velocity_smoothing=1e-6, acceleration_smoothing=1e-6)
    solved = static_optimization(walk, contact="measured", config=exact)
    body, model = walk.body, walk.body.model
    n = walk.n_frames
    qacc = (np.roll(walk.qvel, -1, axis=0) - np.roll(walk.qvel, 1, axis=0)) * walk.rate / 2
    tangent = body.coupling.tangent(walk.qpos)
    independent = body.coupling.independent_dof
    force, center = solved["ground_force"].values, solved["center_of_pressure"].values
    data = mujoco.MjData(model)
    inertial = np.empty(model.nv)
    largest = 0.0
    for k in range(0, n, 7):
        data.qpos, data.qvel, data.act = walk.qpos[k], walk.qvel[k], solved["activation"].values[k]
        mujoco.mj_forward(model, data)
        np.testing.assert_allclose(
            solved["muscle_force"].values[k], -data.actuator_force, rtol=1e-6, atol=1e-6
        )
        mujoco.mj_mulM(model, data, inertial, qacc[k])
        needed = inertial + data.qfrc_bias - data.qfrc_passive
        given = data.qfrc_actuator.copy()
        for foot, side in enumerate("rl"):
            if force[k, foot].any():
                mujoco.mj_applyFT(
                    model,
                    data,
                    force[k, foot],
                    np.zeros(3),
                    center[k, foot],
                    model.body(f"calcn_{side}").id,
                    given,
                )
        missing = tangent[k].T @ (needed - given)
        declared = np.zeros(model.nv)
        declared[:3] = solved["root_residual_force"].values[k]
        declared[3:6] = solved["root_residual_moment"].values[k]
        declared[6:] = solved["residual_moment"].values[k]
        scale = np.abs(tangent[k].T @ needed).max()
        np.testing.assert_allclose(missing, declared[independent], atol=1e-6 * scale)
        largest = max(largest, scale)
    assert largest > 500.0


def test_net_moment_is_what_muscles_and_residual_make_at_plain_joints(
    measured: xr.Dataset, walk: ReferenceMotion
) -> None:
    """Hip and ankle have no coupled coordinates: the net moment is the muscles' there."""
    for joint in ("hip_flexion_r", "hip_adduction_l", "ankle_angle_r"):
        net, made, left = (
            measured[name].sel(joint=joint).values
            for name in ("net_joint_moment", "joint_moment", "residual_moment")
        )
        np.testing.assert_allclose(net, made + left, atol=0.02 * np.abs(net).max())
    # Muscles can make all that is asked of the sagittal joints.
    for joint in ("hip_flexion_r", "knee_angle_r", "ankle_angle_r"):
        residual = measured["residual_moment"].sel(joint=joint).values
        assert np.abs(residual).max() < 1.0


def test_moment_arms_are_derivatives_of_length(walk: ReferenceMotion) -> None:
    body, model = walk.body, walk.body.model
    frames = [10, 90]
    arms = moment_arms(walk)
    assert arms.shape == (walk.n_frames, 80, body.coupling.independent_dof.size)
    h = 1e-6
    for k in frames:
        for column, dof in enumerate(body.coupling.independent_dof):
            step = np.zeros(model.nv)
            step[dof] = 1.0
            ends = []
            for sign in (1, -1):
                pose = walk.qpos[k].copy()
                mujoco.mj_integratePos(model, pose, step, sign * h)
                pose = body.coupling.complete(pose)
                ends.append(kinematics(body, pose[None]).muscle_length[0])
            slope = (ends[0] - ends[1]) / (2 * h)
            np.testing.assert_allclose(arms[k][:, column], slope, atol=1e-6)


def test_floor_carries_a_standing_body(still: ReferenceMotion, legs: Body) -> None:
    """Weight up, nothing sideways, and the centre of pressure under the centre of mass."""
    solved = static_optimization(still)
    assert solved.attrs["ground_contact"] == "estimated"
    force = solved["ground_force"].values[1]
    total = force.sum(axis=0)
    assert total[2] == pytest.approx(legs.weight, rel=0.03)
    assert np.abs(total[:2]).max() < 0.02 * legs.weight
    assert (force[:, 2] > 0.3 * legs.weight).all()  # on both feet
    data = mujoco.MjData(legs.model)
    data.qpos = still.qpos[1]
    mujoco.mj_forward(legs.model, data)
    center = solved["center_of_pressure"].values[1]
    shared = (force[:, 2:] * center).sum(axis=0) / total[2]
    np.testing.assert_allclose(shared[:2], data.subtree_com[0, :2], atol=0.02)


def test_body_in_the_air_has_no_floor(still: ReferenceMotion, legs: Body) -> None:
    aloft = still.qpos.copy()
    aloft[:, 2] += 0.5
    solved = static_optimization(ReferenceMotion.from_poses(legs, aloft, 150.0))
    assert np.abs(solved["ground_force"].values).max() < 1.0
    # Hanging on nothing: the root's residual is the weight.
    assert solved["root_residual_force"].values[1, 2] == pytest.approx(legs.weight, rel=0.01)


def test_estimated_forces_push_within_the_friction_pyramid(
    estimated: xr.Dataset, walk: ReferenceMotion
) -> None:
    force = estimated["ground_force"].values
    assert force[..., 2].min() >= 0.0
    # The pyramid, which turns with the pelvis, lies in the cone.
    sideways = np.linalg.norm(force[..., :2], axis=-1)
    assert (sideways <= 0.7 * force[..., 2] + 1e-6).all()
    # A foot that the plates do not feel carries little.
    swing = walk.contact.force[..., 2] < 5.0
    carried = force[..., 2][swing] / walk.body.weight
    assert np.median(carried) < 0.08 and carried.max() < 0.35


def test_activations_are_bounded_and_no_more_than_needed(
    measured: xr.Dataset, estimated: xr.Dataset
) -> None:
    for solved in (measured, estimated):
        activation = solved["activation"].values
        assert activation.min() >= 0.0 and activation.max() <= 1.0
    # Measured contact asks for far less than estimated contact does.
    assert measured["activation"].mean() < 0.12


def test_dearer_activation_is_used_less(walk: ReferenceMotion) -> None:
    part = walk.slice(0.2, 0.3)
    effort = [
        float(
            np.square(
                static_optimization(
                    part, config=StaticOptimizationConfig(activation_weight=weight)
                )["activation"]
            ).mean()
        )
        for weight in (0.2, 20.0, 100.0)
    ]
    assert effort[0] > 1.05 * effort[1] > 1.05 * effort[2]


@pytest.mark.parametrize("effort", ["volume", "force"])
def test_muscles_share_by_what_counts_as_effort(
    walk: ReferenceMotion, measured: xr.Dataset, effort: str
) -> None:
    """Each criterion's own sum is smallest by it, at the same net moments."""
    solved = static_optimization(walk, config=StaticOptimizationConfig(effort=effort))
    muscles = MuscleParameters.from_model(walk.body.model)
    cost = StaticOptimizationConfig(effort=effort).muscle_penalty(muscles) ** 2

    def spent(dataset: xr.Dataset, price: np.ndarray) -> float:
        return float((dataset.activation.values**2 @ price).mean())

    assert spent(solved, cost) < 0.95 * spent(measured, cost)
    assert spent(measured, np.ones_like(cost)) < 0.95 * spent(solved, np.ones_like(cost))
    knee = {"joint": "knee_angle_r"}
    left = solved.residual_moment.sel(knee) - measured.residual_moment.sel(knee)
    assert abs(left).max() < 3.0


def test_an_unknown_effort_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="Unknown effort 'fatigue'"):
        StaticOptimizationConfig(effort="fatigue")


def test_heading_does_not_matter(measured: xr.Dataset, walk: ReferenceMotion) -> None:
    turned = static_optimization(walk.turn(0.9), contact="measured")
    np.testing.assert_allclose(
        turned["activation"].values, measured["activation"].values, atol=1e-5
    )
    np.testing.assert_allclose(
        turned["net_joint_moment"].values, measured["net_joint_moment"].values, atol=1e-6
    )


def test_heading_does_not_matter_for_estimated_contact(walk: ReferenceMotion) -> None:
    part = walk.slice(0.3, 0.5)
    solved, turned = (
        static_optimization(motion, contact="estimated")["activation"].values
        for motion in (part, part.turn(np.pi / 4))
    )
    np.testing.assert_allclose(turned, solved, atol=0.01)


def test_contact_that_is_not_there_is_refused(still: ReferenceMotion) -> None:
    with pytest.raises(InvalidInputError, match="no measured ground forces"):
        static_optimization(still, contact="measured")
    with pytest.raises(InvalidInputError, match="Allowed values are auto, measured, estimated"):
        static_optimization(still, contact="guessed")
