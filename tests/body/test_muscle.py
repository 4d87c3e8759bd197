"""The muscle curves and the activation dynamics are MuJoCo's, and can be turned around."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from kinesis_neuro.body.models import load_body
from kinesis_neuro.body.muscle import MuscleParameters


def draw_states(muscles: MuscleParameters, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Lengths and velocities far out of range, and on the corners of the curves."""
    rng = np.random.default_rng(1)
    low, high = muscles.length_range.T
    # Half a range beyond both ends, and faster than any muscle can shorten or yield.
    length = rng.uniform(low - 0.5 * (high - low), high + 0.5 * (high - low), (n, low.size))
    fastest = muscles.vmax * muscles.optimal_length
    velocity = rng.normal(scale=fastest, size=(n, low.size))
    corners = np.stack([np.ones_like(low), np.ones_like(low), muscles.lmin, muscles.lmax])
    length[:4] = muscles.tendon_slack_length + corners * muscles.optimal_length
    velocity[0], velocity[1] = 0.0, -fastest
    return length, velocity


@pytest.mark.parametrize("name", ["legs26", "legs", "full"])
def test_active_force_is_mujocos(name: str) -> None:
    model = load_body(name).model
    muscles = MuscleParameters.from_model(model)
    length, velocity = draw_states(muscles, 40)
    expected = np.empty_like(length)
    for k, i in np.ndindex(expected.shape):
        expected[k, i] = mujoco.mju_muscleGain(
            length[k, i],
            velocity[k, i],
            model.actuator_lengthrange[i],
            model.actuator_acc0[i],
            model.actuator_gainprm[i, :9],
        )
    relative = expected / muscles.peak_force
    difference = muscles.gain(length, velocity) / muscles.peak_force - relative
    assert np.abs(difference).max() < 1e-10
    # The draw met all of it: no force, full force, yielding.
    assert (relative == 0).any() and (relative == -1).any() and (relative < -1.2).any()


@pytest.mark.parametrize("name", ["legs26", "legs", "full"])
def test_passive_force_is_mujocos(name: str) -> None:
    model = load_body(name).model
    muscles = MuscleParameters.from_model(model)
    length, _ = draw_states(muscles, 40)
    expected = np.empty_like(length)
    for k, i in np.ndindex(expected.shape):
        expected[k, i] = mujoco.mju_muscleBias(
            length[k, i],
            model.actuator_lengthrange[i],
            model.actuator_acc0[i],
            model.actuator_biasprm[i, :9],
        )
    difference = (muscles.bias(length) - expected) / muscles.peak_force
    assert np.abs(difference).max() < 1e-10
    assert (expected == 0).any() and (expected < -0.5 * muscles.peak_force).any()


def test_force_is_what_mujoco_applies() -> None:
    body = load_body("legs")
    data = mujoco.MjData(body.model)
    rng = np.random.default_rng(2)
    data.qpos[:] = body.coupling.complete(data.qpos)
    data.qvel[:] = rng.normal(size=body.model.nv)
    data.act[:] = rng.uniform(size=body.n_muscles)
    mujoco.mj_forward(body.model, data)
    muscles = MuscleParameters.from_model(body.model)
    force = muscles.force(data.act, data.actuator_length, data.actuator_velocity)
    np.testing.assert_allclose(force, -data.actuator_force, rtol=1e-9, atol=1e-9)
    assert (force >= 0).all() and (force > 10).any()  # tension is positive


def test_negative_peak_force_means_scale_over_acc0() -> None:
    model = mujoco.MjModel.from_xml_string(
        """<mujoco><worldbody><body><joint name="j" type="slide" range="-1 1"/>
        <geom size="0.1" mass="2"/></body></worldbody>
        <actuator><muscle joint="j" force="-1" scale="300" lengthrange="0.2 1.2"/></actuator>
        </mujoco>"""
    )
    muscles = MuscleParameters.from_model(model)
    assert muscles.peak_force == pytest.approx(300 / model.actuator_acc0)
    length = np.array([0.7])
    expected = mujoco.mju_muscleGain(
        0.7,
        0.1,
        model.actuator_lengthrange[0],
        model.actuator_acc0[0],
        model.actuator_gainprm[0, :9],
    )
    assert muscles.gain(length, np.array([0.1])) == pytest.approx(expected, rel=1e-12)


def test_time_constants_are_mujocos() -> None:
    model = load_body("legs").model
    muscles = MuscleParameters.from_model(model)
    rng = np.random.default_rng(3)
    excitation, activation = rng.uniform(size=(2, 50, model.nu))
    rate = (excitation - activation) / muscles.time_constant(excitation, activation)
    for i in range(model.nu):
        prm = model.actuator_dynprm[i, :3]
        for k in range(50):
            expected = mujoco.mju_muscleDynamics(excitation[k, i], activation[k, i], prm)
            assert rate[k, i] == pytest.approx(expected, rel=1e-12)
    assert (muscles.time_activation < muscles.time_deactivation).all()


def test_inverse_activation_dynamics_recovers_the_excitation() -> None:
    model = load_body("legs").model
    muscles = MuscleParameters.from_model(model)
    rate, substeps = 150.0, 20
    time = np.arange(300) / rate
    phase = np.linspace(0, 2 * np.pi, model.nu, endpoint=False)

    def drive(t: float) -> np.ndarray:
        return 0.4 + 0.3 * np.sin(2 * np.pi * t + phase)

    activation = np.empty((time.size, model.nu))
    act = drive(0.0)
    for k in range(time.size):
        activation[k] = act
        for j in range(substeps):
            u = drive(time[k] + j / (rate * substeps))
            act = act + (u - act) / muscles.time_constant(u, act) / (rate * substeps)
    recovered = muscles.excitation_for(activation, rate)
    known = np.array([drive(t) for t in time])
    inside = slice(15, -1)  # after the start has died out; the ends have one-sided slopes
    assert np.abs(recovered - known)[inside].max() < 0.02
    # It undoes something: activation alone lags the excitation by far more.
    assert np.abs(activation - known)[inside].max() > 0.05


def test_inverse_activation_dynamics_stays_in_bounds() -> None:
    muscles = MuscleParameters.from_model(load_body("legs26").model)
    jump = np.repeat([0.0, 1.0, 0.0], 5)[:, None] * np.ones(26)
    excitation = muscles.excitation_for(jump, 150.0)
    assert excitation.min() == 0.0 and excitation.max() == 1.0
    held = np.full((10, 26), 0.3)
    np.testing.assert_allclose(muscles.excitation_for(held, 150.0), held)
