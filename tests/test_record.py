"""Recordings: complete, repeatable to the bit, each sample one state, and Newton's laws in them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import xarray as xr
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.learn import play
from kinesis_neuro.learn.policy import Policy, untrained_policy
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.netcdf import read_netcdf, write_netcdf
from kinesis_neuro.nwb import read_nwb, write_nwb
from kinesis_neuro.record import record
from kinesis_neuro.schema import RECORDING, validate

RATE, CONTROL_RATE, DECIMATION = 150.0, 30.0, 5


load_once = functools.cache(load_motion)


@pytest.fixture(autouse=True, scope="module")
def loaded_once() -> Iterator[None]:
    """To load the motion takes longer than most of what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "load_motion", load_once)
        yield


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("legs26")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return untrained_policy(0, "legs26")


def with_task(policy: Policy, **changes: Any) -> Policy:
    """The same policy in a task with other options."""
    about = dataclasses.replace(policy.about, task={**policy.about.task, **changes})
    other = Policy(policy.n_observations, policy.n_actions, policy.config, about)
    other.load_state_dict(policy.state_dict())
    return other.eval()


@pytest.fixture(scope="module")
def restarted(policy: Policy) -> xr.Dataset:
    """Two seconds over several falls."""
    return record(policy, duration=2.0, seed=1, on_fall="restart")


@pytest.fixture(scope="module")
def falling(policy: Policy) -> xr.Dataset:
    """One long fall, that nothing ends before the half of the body is down."""
    loose = with_task(policy, termination_rule="mean", termination_distance=0.5)
    return record(loose, duration=1.0, seed=0)


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


def test_it_is_a_recording(restarted: xr.Dataset, body: Body) -> None:
    validate(restarted)
    # Healthy muscles have no states beyond activation.
    of_conditions = {"excitation_demand", "fatigued", "resting"}
    assert set(RECORDING) - set(restarted.data_vars) == of_conditions
    assert restarted.sizes["time"] == 300
    np.testing.assert_array_equal(restarted.time, np.arange(300) / RATE)
    attrs = restarted.attrs
    assert (attrs["body"], attrs["body_hash"]) == ("legs26", body.hash)
    assert (attrs["motion"], attrs["motion_hash"]) == ("walk", load_once("walk", body).hash)
    assert (attrs["policy"], attrs["actuation"], attrs["seed"]) == ("untrained", "excitation", 1)
    assert (attrs["sampling_rate"], attrs["physics_rate"], attrs["control_rate"]) == (
        RATE,
        RATE,
        CONTROL_RATE,
    )
    # A foot in the air has no centre of pressure; everything else is there always.
    gaps = {name for name, v in restarted.items() if v.dtype.kind == "f" and v.isnull().any()}
    assert gaps == {"center_of_pressure"}
    in_the_air = restarted.ground_force.sel(space="z") <= 0
    assert (restarted.center_of_pressure.isnull().all("space") == in_the_air).all()


def test_the_same_seed_gives_the_same_bits(policy: Policy, restarted: xr.Dataset) -> None:
    again = record(policy, duration=2.0, seed=1, on_fall="restart", n_threads=2)
    xr.testing.assert_identical(again, restarted)
    for name in restarted.variables:
        assert again[name].values.tobytes() == restarted[name].values.tobytes()
    other = record(policy, duration=0.5, seed=2)
    assert other.reference_phase[0] != restarted.reference_phase[0]


def test_an_untrained_policy_is_drawn_from_the_seed() -> None:
    one, again, other = (record("untrained", duration=0.2, seed=s, start=0.3) for s in (0, 0, 1))
    xr.testing.assert_identical(one, again)
    assert one.attrs["policy_hash"] != other.attrs["policy_hash"]
    assert not np.array_equal(one.action[0], other.action[0])
    assert one.attrs["body"] == "legs"


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


def test_values_of_the_control_rate_are_held(restarted: xr.Dataset) -> None:
    for name in ("action", "reward", "excitation", "episode_index"):
        held = restarted[name].values.reshape(60, DECIMATION, -1)
        np.testing.assert_array_equal(held, np.repeat(held[:, :1], DECIMATION, axis=1))
        assert np.ptp(held[:, 0], axis=0).max() > 0


def test_actions_are_those_of_the_muscles_that_they_are_named_after(
    restarted: xr.Dataset, falling: xr.Dataset
) -> None:
    for dataset in (restarted, falling):
        assert dataset.action_channel.values.tolist() == dataset.muscle.values.tolist()
        np.testing.assert_allclose(0.5 * (dataset.action + 1.0), dataset.excitation, atol=1e-7)


def test_the_reference_is_followed_in_time(restarted: xr.Dataset, body: Body) -> None:
    walk = load_once("walk", body)
    frame = restarted.reference_phase.values * walk.n_frames
    np.testing.assert_allclose(frame, np.round(frame), atol=1e-9)
    same = np.diff(restarted.episode_index) == 0
    ahead = np.diff(np.round(frame))[same] % walk.n_frames
    np.testing.assert_array_equal(ahead, 1)
    inside = walk.frames.body_position[np.round(frame).astype(int)]
    # Cycles are alike, but for the way that was walked.
    way = restarted.reference_position.values - inside
    np.testing.assert_allclose(way - way[:, :1], 0.0, atol=1e-9)
    assert abs(way[..., 2]).max() < 1e-9


def test_error_is_the_mean_distance_of_what_is_tracked(restarted: xr.Dataset, body: Body) -> None:
    tracked = list(body.tracked_bodies)
    apart = (restarted.body_position - restarted.reference_position).sel(body=tracked)
    distance = np.sqrt((apart**2).sum("space"))
    np.testing.assert_allclose(restarted.tracking_error, distance.mean("body"), atol=1e-12)


def test_episodes_start_on_the_reference_and_end_with_a_fall(
    restarted: xr.Dataset, body: Body
) -> None:
    index = restarted.episode_index.values
    first = np.flatnonzero(np.diff(index, prepend=-1))
    assert len(first) > 3
    np.testing.assert_array_equal(np.unique(np.diff(index)), [0, 1])
    assert restarted.attrs["n_falls"] in (index[-1], index[-1] + 1)
    np.testing.assert_allclose(restarted.tracking_error[first], 0.0, atol=1e-9)
    tracked = list(body.tracked_bodies)
    apart = (restarted.body_position - restarted.reference_position).sel(body=tracked)
    largest = np.sqrt((apart**2).sum("space")).max("body").values
    # Control steps end the episode; within them, and before, all is well.
    last = first[1:] - 1
    assert (largest[last] > 0.15).all()
    ends = np.arange(DECIMATION - 1, len(index), DECIMATION)
    assert (largest[np.setdiff1d(ends, [*last, len(index) - 1])] <= 0.15).all()
    # Drawn anew each time: few of them alike, by chance.
    assert len(set(restarted.reference_phase.values[first])) > 0.8 * len(first)


def test_it_stops_with_the_fall(policy: Policy, restarted: xr.Dataset) -> None:
    stopped = record(policy, duration=2.0, seed=1)
    n = stopped.sizes["time"]
    assert stopped.attrs["n_falls"] == 1
    assert stopped.attrs["n_diverged"] == 0
    assert n == int((restarted.episode_index == 0).sum())
    xr.testing.assert_equal(
        stopped.drop_vars("time"), restarted.isel(time=slice(n)).drop_vars("time")
    )
    validate(stopped)


def test_at_the_control_rate_every_fifth_sample_is_kept(
    policy: Policy, restarted: xr.Dataset
) -> None:
    slow = record(policy, duration=2.0, seed=1, rate="control", on_fall="restart")
    validate(slow)
    assert slow.attrs == restarted.attrs | {"sampling_rate": CONTROL_RATE}
    xr.testing.assert_equal(slow, restarted.isel(time=slice(None, None, DECIMATION)))


def test_start_and_motion_can_be_chosen(policy: Policy, body: Body) -> None:
    walk = load_once("walk", body)
    dataset = record(policy, walk.loop(2), duration=0.1, start=1.5)
    assert float(dataset.reference_phase[0]) == pytest.approx(225 / (2 * walk.n_frames))
    clip = walk.loop(2).slice(0.0, 1.0)
    assert record(policy, clip, duration=0.1).attrs["motion_hash"] == clip.hash
    assert record(policy, "walk", duration=0.1).attrs["motion"] == "walk"


def test_the_body_can_be_prepared(policy: Policy) -> None:
    def lift(env: Any) -> None:
        env.wrench = lambda env: np.array([[0.0, 0.0, 2.0 * env.body.weight, 0.0, 0.0, 0.0]])

    plain = record(policy, duration=0.1, start=0.2)
    lifted = record(policy, duration=0.1, start=0.2, prepare=lift)
    n = min(plain.sizes["time"], lifted.sizes["time"])
    rise = (lifted.root_position - plain.root_position).sel(space="z")
    assert float(rise[n - 1]) > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": "fast"}, "'rate'. Allowed values are physics, control, but got 'fast'"),
        ({"on_fall": "cry"}, "'on_fall'. Allowed values are stop, restart, but got 'cry'"),
        ({"duration": 0.0}, "positive number of seconds, got 0.0"),
        ({"duration": -1.0}, "positive number of seconds, got -1.0"),
        ({"duration": float("nan")}, "got nan"),
        ({"duration": float("inf")}, "got inf"),
        ({"duration": 0.01}, "control step"),
        ({"start": -0.1}, "start must lie between 0 and 1.1"),
        ({"start": 9.0}, "got 9.0"),
        ({"motion": "run"}, "Unknown motion 'run'"),
        ({"motion": []}, "At least one motion"),
    ],
)
def test_impossible_recordings_are_refused(
    policy: Policy, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        record(policy, **options)
    assert message in str(caught.value)


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"Unknown policy 'wlak'\. Available"):
        record("wlak")


def test_a_motion_must_be_long_enough_and_on_the_body(policy: Policy, body: Body) -> None:
    clip = load_once("walk", body).slice(0.0, 0.5)
    with pytest.raises(
        InvalidInputError, match=r"lasts 0\.51 s, too short for a recording of 1\.00"
    ):
        record(policy, clip, duration=1.0)
    with pytest.raises(IncompatibleError, match="Load it with its own body"):
        record(policy, load_once("walk", "legs"))


@pytest.fixture(scope="module")
def tired(policy: Policy) -> xr.Dataset:
    condition = MuscleCondition(
        fatigue=100.0, initial_fatigue=0.1, strength=(("vasti", 0.5),), delay=0.02, noise=0.1
    )
    return record(policy, duration=0.5, seed=1, on_fall="restart", condition=condition)


def test_fatigue_is_recorded_with_the_state_that_it_belongs_to(tired: xr.Dataset) -> None:
    validate(tired)
    total = tired.activation + tired.fatigued + tired.resting
    np.testing.assert_allclose(total, 1.0, atol=1e-12)
    assert tired.fatigued.min() >= 0.1 - 1e-3
    assert float(tired.fatigued.max()) > 0.12
    # What was asked for is not what arrived: late, noisy, and capped.
    assert not np.array_equal(tired.excitation_demand, tired.excitation)
    assert json.loads(str(tired.attrs["condition"]))["strength"] == [["vasti", 0.5]]


def test_force_of_weak_muscles_is_recorded_as_it_was(tired: xr.Dataset, body: Body) -> None:
    muscles = MuscleParameters.from_model(body.model)
    length, velocity = tired.muscle_length.values, tired.muscle_velocity.values
    gain = -muscles.gain(length, velocity) * tired.activation.values
    left = np.where(tired.group == "vasti", 0.5, 1.0)
    expected = left * gain - muscles.bias(length)
    np.testing.assert_allclose(tired.muscle_force, expected, atol=1e-9)


def test_states_of_muscles_survive_files(tired: xr.Dataset, tmp_path: Path) -> None:
    write_netcdf(tired, tmp_path / "tired.nc")
    xr.testing.assert_identical(read_netcdf(tmp_path / "tired.nc"), tired)
    write_nwb(tired, tmp_path / "tired.nwb")
    xr.testing.assert_identical(read_nwb(tmp_path / "tired.nwb"), tired)


def test_a_neutral_condition_records_the_same(policy: Policy) -> None:
    plain = record(policy, duration=0.2, seed=1)
    neutral = record(policy, duration=0.2, seed=1, condition=MuscleCondition())
    xr.testing.assert_identical(neutral, plain)
    assert "condition" not in plain.attrs
    full = record(policy, duration=0.2, seed=1, condition=MuscleCondition(strength=(("*", 1.0),)))
    for name in plain.data_vars:
        np.testing.assert_array_equal(full[name], plain[name])


def test_a_condition_that_was_trained_with_is_kept(policy: Policy) -> None:
    trained = with_task(policy, condition={"deactivated": ["soleus_r"]})
    recording = record(trained, duration=0.1, seed=1)
    assert float(recording.excitation.sel(muscle="soleus_r").max()) == 0.0
    healthy = record(trained, duration=0.1, seed=1, condition=MuscleCondition())
    assert float(healthy.excitation.sel(muscle="soleus_r").max()) > 0.0
