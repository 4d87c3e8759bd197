"""From actions to excitations: bounds, KINESIS's published PD, moments that are really made."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from scipy.optimize import lsq_linear

from kinesis_neuro.body import actuation as act
from kinesis_neuro.body.effort import Sharing, moment_control
from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.body.muscle import MuscleParameters


def test_excitation_covers_the_unit_interval_and_no_more() -> None:
    action = np.array([[-7.0, -1.0, -0.5, 0.0, 0.5, 1.0, 7.0]])
    np.testing.assert_array_equal(act.excitation(action), [[0, 0, 0.25, 0.5, 0.75, 1, 1]])


def draw_muscle_states(model: mujoco.MjModel, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(20)
    low, high = model.actuator_lengthrange.T
    action = rng.uniform(-1.2, 1.2, (n, model.nu))
    length = rng.uniform(0.9 * low, 1.1 * high, (n, model.nu))
    return action, length, rng.normal(scale=0.5, size=(n, model.nu))


@pytest.mark.parametrize("name", ["legs26", "legs"])
def test_length_control_is_kinesiss_algorithm(name: str) -> None:
    """Muscle by muscle, with MuJoCo's functions, as KINESIS's code does it in a loop."""
    model = load_body(name).model
    action, length, velocity = draw_muscle_states(model, 30)
    expected = np.empty_like(action)
    for k, i in np.ndindex(action.shape):
        a = min(1.0, max(-1.0, action[k, i]))
        lengthrange, acc0 = model.actuator_lengthrange[i], model.actuator_acc0[i]
        prmb, prmg = model.actuator_biasprm[i, :9], model.actuator_gainprm[i, :9]
        target = (a + 1) / 2 * lengthrange[1]
        peak = prmg[2]
        kp = 5 * peak
        kd = 0.1 * kp
        force = kp * (target - length[k, i]) - kd * velocity[k, i]
        force = np.clip(force, -peak, 0)
        bias = mujoco.mju_muscleBias(length[k, i], lengthrange, acc0, prmb)
        gain = min(-1, mujoco.mju_muscleGain(length[k, i], velocity[k, i], lengthrange, acc0, prmg))
        expected[k, i] = np.clip((force - bias) / gain, 0, 1)
    muscles = MuscleParameters.from_model(model)
    computed = act.length_control(action, length, velocity, muscles)
    np.testing.assert_allclose(computed, expected, atol=1e-9)
    # The draw met the bounds and what lies between.
    assert (expected == 0).any() and (expected == 1).any()
    assert ((expected > 0.05) & (expected < 0.95)).any()


def test_length_control_produces_the_force_it_asks_for(legs: Body) -> None:
    """Held until activation has settled, a reachable target force is what the muscle pulls with."""
    muscles = MuscleParameters.from_model(legs.model)
    action, length, velocity = draw_muscle_states(legs.model, 30)
    drive = act.length_control(action, length, velocity, muscles)
    target = 0.5 * (np.clip(action, -1, 1) + 1) * muscles.length_range[:, 1]
    asked = muscles.peak_force * (5 * (length - target) + 0.5 * velocity)
    asked = np.clip(asked, 0, muscles.peak_force)
    pulled = muscles.force(drive, length, velocity)
    inside = (drive > 0) & (drive < 1) & (muscles.gain(length, velocity) < -1)
    assert inside.sum() > 50
    np.testing.assert_allclose(pulled[inside], asked[inside], rtol=1e-9, atol=1e-6)


def test_feedback_excites_what_is_longer_or_lengthens(legs: Body) -> None:
    muscles = MuscleParameters.from_model(legs.model)
    gains = act.FeedbackGains()
    length = muscles.tendon_slack_length + muscles.optimal_length
    still = np.zeros_like(length)

    def added(dl: float, dv: float) -> np.ndarray:
        there, moving = length + dl, still + dv
        force = act.feedback_force(there, moving, length, still, muscles, gains)
        return force / np.minimum(-1.0, muscles.gain(there, moving))

    assert (added(0.0, 0.0) == 0).all()
    assert (added(0.005, 0.0) > 0).all() and (added(-0.005, 0.0) < 0).all()
    assert (added(0.0, 0.05) > 0).all() and (added(0.0, -0.05) < 0).all()
    # At optimal length and rest the gain is the peak force, so the numbers are the gains'.
    peak_gain = -muscles.gain(length, still) / muscles.peak_force
    np.testing.assert_allclose(peak_gain, 1.0, atol=1e-9)
    np.testing.assert_allclose(
        added(1e-4, 0.0) * -muscles.gain(length + 1e-4, still),
        10.0 * 1e-4 * muscles.peak_force,
        rtol=1e-9,
    )
    # The asked force never exceeds the peak force, however long the muscle.
    far = added(10.0, 0.0) * -np.minimum(-1.0, muscles.gain(length + 10.0, still))
    np.testing.assert_allclose(far, muscles.peak_force)


@pytest.fixture(scope="module")
def standing(legs: Body) -> mujoco.MjData:
    """Knees and hips bent a little, muscles at a tenth of their strength."""
    data = mujoco.MjData(legs.model)
    qpos = data.qpos.copy()
    for name, angle in (("hip_flexion", 0.3), ("knee_angle", 0.4), ("ankle_angle", 0.1)):
        for side in "rl":
            qpos[7 + legs.joints.index(f"{name}_{side}")] = angle
    data.qpos = legs.coupling.complete(qpos)
    data.act[:] = 0.5
    mujoco.mj_forward(legs.model, data)
    return data


def moment_matrix(legs: Body, data: mujoco.MjData) -> np.ndarray:
    model = legs.model
    dense = np.zeros((model.nu, model.nv))
    mujoco.mju_sparse2dense(
        dense, data.actuator_moment, data.moment_rownnz, data.moment_rowadr, data.moment_colind
    )
    arms = (dense @ legs.coupling.tangent(data.qpos[None])[0])[:, 6:]
    muscles = MuscleParameters.from_model(model)
    gain = muscles.gain(data.actuator_length, data.actuator_velocity)
    return act.moment_matrix(arms[None], gain[None], act.moment_scale(legs))


def test_moment_control_makes_the_moments_in_mujoco(legs: Body, standing: mujoco.MjData) -> None:
    """Activation changed by it changes MuJoCo's generalised forces by a times the scale."""
    channels = act.action_channels(legs, "moment")
    assert len(channels) == 14 and channels[0].startswith("hip_")
    matrix, scale = moment_matrix(legs, standing), act.moment_scale(legs)
    tangent = legs.coupling.tangent(standing.qpos[None])[0]
    before = tangent.T @ standing.qfrc_actuator
    eigenvalues = np.linalg.eigvalsh(matrix[0] @ matrix[0].T)
    data = mujoco.MjData(legs.model)
    for joint in range(14):
        action = np.zeros((1, 14))
        action[0, joint] = 0.1
        change = moment_control(action, matrix, standing.act[None])[0]
        assert np.abs(change).max() < 0.5  # so nothing saturates
        data.qpos, data.act = standing.qpos, standing.act + change
        mujoco.mj_forward(legs.model, data)
        made = (tangent.T @ data.qfrc_actuator - before)[6:] / scale
        # What regularisation withholds: eps / (lambda + eps) at most.
        withheld = 0.02 / (eigenvalues.min() + 0.02)
        assert np.abs(made - action[0]).max() <= 0.1 * withheld + 1e-9, channels[joint]
        assert made[joint] == pytest.approx(0.1, rel=0.25)
        # Muscles act inside the body: nothing pushes the root.
        assert np.abs((tangent.T @ data.qfrc_actuator)[:6]).max() < 1e-9


def test_moment_control_takes_the_least_effort(legs: Body, standing: mujoco.MjData) -> None:
    """Away from the bounds it is the minimum-norm solution, and the ridge one with eps."""
    matrix = moment_matrix(legs, standing)
    action = np.random.default_rng(21).uniform(-0.2, 0.2, (1, 14))
    middle = np.full((1, legs.n_muscles), 0.5)
    change = moment_control(action, matrix, middle, regularization=1e-10)[0]
    least = np.linalg.lstsq(matrix[0], action[0], rcond=None)[0]
    np.testing.assert_allclose(matrix[0] @ change, action[0], atol=1e-6)
    np.testing.assert_allclose(change, least, atol=1e-6)
    w, eps = matrix[0], 0.02
    ridge = np.linalg.solve(w.T @ w + eps * np.eye(w.shape[1]), w.T @ action[0])
    change = moment_control(action, matrix, middle, regularization=eps)[0]
    np.testing.assert_allclose(change, ridge, atol=1e-10)


def bounded_least_effort(
    action: np.ndarray, w: np.ndarray, feedforward: np.ndarray, eps: float = 0.02
) -> np.ndarray:
    """min ||w x - a||^2 / eps + ||x||^2 with 0 <= feedforward + x <= 1, by SciPy."""
    system = np.vstack([w / np.sqrt(eps), np.eye(w.shape[1])])
    right = np.concatenate([action / np.sqrt(eps), np.zeros(w.shape[1])])
    bounds = (-feedforward - 1e-12, 1 - feedforward + 1e-12)
    return lsq_linear(system, right, bounds, method="bvls", tol=1e-13).x


@pytest.mark.parametrize("size", [0.05, 0.3, 1.0])
def test_moment_control_is_scipys_where_muscles_are_silent(
    legs: Body, standing: mujoco.MjData, size: float
) -> None:
    """A walking feed-forward leaves most muscles near zero: the bounds bind."""
    rng = np.random.default_rng(23)
    n = 60
    matrix = np.repeat(moment_matrix(legs, standing), n, axis=0)
    feedforward = np.clip(rng.normal(0.0, 0.1, (n, legs.n_muscles)), 0.0, 1.0)
    action = np.clip(rng.normal(0.0, size, (n, 14)), -1.0, 1.0)
    change = moment_control(action, matrix, feedforward)
    assert (feedforward + change >= 0).all() and (feedforward + change <= 1).all()
    for k in range(n):
        best = bounded_least_effort(action[k], matrix[k], feedforward[k])
        np.testing.assert_allclose(change[k], best, atol=1e-3)


def test_sharing_is_static_optimisation_of_one_moment(legs: Body, standing: mujoco.MjData) -> None:
    """The bounded minimum by SciPy, and what it becomes a little later."""
    rng = np.random.default_rng(24)
    n = 40
    matrix = np.repeat(moment_matrix(legs, standing), n, axis=0)
    asked = rng.normal(0.0, 0.5, (n, 14))
    sharing = Sharing.solve(asked, matrix)
    silent = np.zeros(legs.n_muscles)
    assert (sharing.excitation == 0).mean() > 0.3  # the bounds bind
    step = 1e-4 * rng.normal(size=(n, 14))
    for k in range(n):
        best = bounded_least_effort(asked[k], matrix[k], silent)
        np.testing.assert_allclose(sharing.excitation[k], best, atol=1e-3)
    np.testing.assert_array_equal(sharing.follow(asked), sharing.excitation)
    followed, solved = sharing.follow(asked + step), Sharing.solve(asked + step, matrix).excitation
    assert np.abs(solved - sharing.excitation).max() > 1e-4
    # First order: what is left is of muscles that wake or fall silent on the way.
    assert np.abs(followed - solved).mean() < 0.1 * np.abs(solved - sharing.excitation).mean()
    far = sharing.follow(asked + 10.0)
    assert far.min() >= 0.0 and far.max() <= 1.0


def test_moment_scale_is_the_designs(legs: Body) -> None:
    scale = dict(zip(act.action_channels(legs, "moment"), act.moment_scale(legs), strict=True))
    for side in "rl":
        assert scale[f"hip_flexion_{side}"] == scale[f"hip_adduction_{side}"] == 50.0
        assert scale[f"knee_angle_{side}"] == scale[f"ankle_angle_{side}"] == 50.0
        assert scale[f"hip_rotation_{side}"] == 20.0
        assert scale[f"subtalar_angle_{side}"] == 15.0 and scale[f"mtp_angle_{side}"] == 5.0


def test_other_actuations_have_a_channel_a_muscle(legs: Body) -> None:
    for actuation in ("excitation", "length", "tracking"):
        assert act.action_channels(legs, actuation) == legs.muscles
