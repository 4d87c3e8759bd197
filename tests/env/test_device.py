"""The task in torch gives the processor's numbers; MuJoCo Warp gives MuJoCo's physics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.body.effort import moment_control
from kinesis_neuro.body.models import Body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.env.config import ImitationConfig, RewardWeights
from kinesis_neuro.env.device import features
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.simulation import Simulation
from kinesis_neuro.errors import IncompatibleError, InvalidInputError, MissingDependencyError
from kinesis_neuro.motion.reference import ReferenceMotion

torch = pytest.importorskip("torch")

Make = Callable[..., ImitationEnv]
N = 6


def tensor(array: np.ndarray) -> Any:
    return torch.from_numpy(np.array(array))


def drive_of(env: ImitationEnv) -> tuple[Any, Any, Any]:
    """The device's table, muscles and drive of an environment, in double precision."""
    from kinesis_neuro.env.device.drive import DeviceDrive, DeviceMuscles
    from kinesis_neuro.env.device.table import DeviceTable

    device = torch.device("cpu")
    table = DeviceTable.of(env.table, device, torch.float64)
    muscles = DeviceMuscles(MuscleParameters.from_model(env.body.model), device, torch.float64)
    return table, muscles, DeviceDrive(env.config, table, muscles)


def test_moments_are_shared_as_on_the_processor(table: ReferenceTable) -> None:
    from kinesis_neuro.env.device.drive import moment_control as on_device

    rng = np.random.default_rng(1)
    rows = rng.integers(0, table.length[0], 40)
    # From nothing to far more than the muscles can.
    action = rng.normal(size=(40, 14)) * np.geomspace(1e-6, 3.0, 40)[:, None]
    matrix, feedforward = table.moment_matrix[rows], table.feedforward[rows]
    expected = moment_control(action, matrix.astype(float), feedforward)
    got = on_device(tensor(action), tensor(matrix.astype(float)), tensor(feedforward))
    # Both stop where the slope is below 1e-4; the dual's curvature is at least 0.02.
    np.testing.assert_allclose(got.numpy(), expected, atol=5e-3)
    drive = feedforward + got.numpy()
    assert (drive > -1e-9).all() and (drive < 1 + 1e-9).all()
    single = on_device(*(tensor(a.astype(np.float32)) for a in (action, matrix, feedforward)))
    assert np.isfinite(single.numpy()).all()
    np.testing.assert_allclose(single.numpy(), expected, atol=1e-2)


@pytest.mark.parametrize("actuation", ["excitation", "moment"])
def test_task_in_torch_is_the_task_in_numpy(
    make_env: Make, table_for: Callable[[str], ReferenceTable], actuation: str
) -> None:
    """Excitations, blocks, reward and distance of the same states, to rounding."""
    from kinesis_neuro.env.blocks import block_names
    from kinesis_neuro.env.device.observation import DeviceObserver, Seen

    weights = RewardWeights(restraint=0.1, legs=0.3)
    env = make_env(
        table_for(actuation), N, actuation=actuation, observe_muscles=True, reward=weights
    )
    table, muscles, drive = drive_of(env)
    rng = np.random.default_rng(3)
    for _ in range(4):
        action = rng.uniform(-0.6, 0.6, size=(N, len(env.action_channels)))
        own = env.own_sides(action)
        motion, frame = tensor(env.motion), tensor(env.frame)
        plan = drive.plan(tensor(own), motion, frame)
        sensed = [tensor(env.simulation.sensor(k)) for k in ("muscle_length", "muscle_velocity")]
        mine = env.drive.plan(own, env.simulation, env.motion, env.frame)
        np.testing.assert_allclose(
            drive.excite(plan, *sensed, motion, frame).numpy(),
            env.drive.excite(mine, env.simulation, env.motion, env.frame),
            atol=1e-10 if actuation == "excitation" else 5e-3,
        )
        result = env.step(action)
    simulation = env.simulation
    states = (simulation.qpos, simulation.qvel, simulation.activation, simulation.sensors)
    seen = Seen(*map(tensor, states), tensor(env.motion), tensor(env.frame))
    observer = DeviceObserver(env.body, env.config, table, muscles, block_names(env.config))
    expected = env.observation_blocks()
    got = observer.blocks(seen)
    assert list(got) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(got[name].numpy(), values, atol=1e-10, err_msg=name)
    distance, reward = observer.judge(seen, tensor(env.mean_excitation), tensor(own))
    np.testing.assert_allclose(distance.numpy(), result.distance, atol=1e-12)
    np.testing.assert_allclose(reward.numpy(), result.reward, atol=1e-10)
    np.testing.assert_array_equal(observer.failed(distance).numpy(), result.terminated)


def test_rows_wrap_and_stay_as_on_the_processor(plain_table: ReferenceTable) -> None:
    from kinesis_neuro.env.device.table import DeviceTable

    motion, frame = (a.ravel() for a in np.meshgrid([0, 1], np.arange(-400, 700, 7)))
    rows, shift = plain_table.rows(motion, frame)
    on_device = DeviceTable.of(plain_table, torch.device("cpu"), torch.float64)
    got = on_device.rows(tensor(motion), tensor(frame))
    np.testing.assert_array_equal(got[0].numpy(), rows)
    np.testing.assert_allclose(got[1].numpy(), shift, atol=1e-12)


# -- what is refused ------------------------------------------------------------------------------


def test_backends_and_devices_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInputError, match=r"Unknown backend 'wrap'. Available: mujoco, warp"):
        features.check_backend("wrap", "cpu")
    with pytest.raises(InvalidInputError, match="device must be cpu, cuda"):
        features.check_backend("mujoco", "gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MissingDependencyError, match="install"):
        features.check_backend("mujoco", "cuda")
    monkeypatch.setitem(__import__("sys").modules, "mujoco_warp", None)
    with pytest.raises(MissingDependencyError, match=r"mujoco-warp and warp-lang.*\.\[gpu\]"):
        features.load_warp()


def test_what_warp_cannot_simulate_is_named(walk: ReferenceMotion) -> None:
    pytest.importorskip("mujoco_warp")
    tired = ImitationConfig(actuation="excitation", condition=MuscleCondition(fatigue=1.0))
    with pytest.raises(IncompatibleError, match="cannot simulate the muscles' fatigue"):
        ImitationEnv([walk], tired, backend="warp")


def test_a_body_with_a_feature_that_warp_lacks_is_refused(
    legs: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    mjw = pytest.importorskip("mujoco_warp")

    def refuse(model: object) -> None:
        raise NotImplementedError("Body plugins not supported.")

    monkeypatch.setattr(mjw, "put_model", refuse)
    with pytest.raises(IncompatibleError, match=r"body 'legs': Body plugins not supported"):
        features.device_model(legs)


# -- physics --------------------------------------------------------------------------------------


def twins(body: Body, qpos: np.ndarray, qvel: np.ndarray, act: np.ndarray) -> list[Simulation]:
    """The same states in MuJoCo and in MuJoCo Warp on its processor device."""
    pytest.importorskip("mujoco_warp")
    from kinesis_neuro.env.device.simulation import WarpSimulation

    n = len(qpos)
    pair = [Simulation(body, n, n_threads=1), WarpSimulation(body, n)]
    for simulation in pair:
        simulation.reset(np.arange(n), qpos, qvel, act)
    return pair


def test_kinematics_and_flight_are_mujocos(legs: Body, walk: ReferenceMotion) -> None:
    """Off the ground, muscles at work: sensors to single precision, and five steps closely."""
    rows = np.linspace(0, walk.n_frames - 1, N).astype(int)
    qpos = walk.qpos[rows].copy()
    qpos[:, 2] += 1.0
    pair = twins(legs, qpos, walk.qvel[rows], np.full((N, 80), 0.05))
    drive = np.random.default_rng(2).uniform(0.0, 0.2, size=(N, 80))
    for step in range(5):
        assert not any(simulation.step(drive).any() for simulation in pair)
        mujoco_, warp = pair
        if step == 0:
            for name in ("muscle_length", "body_position", "body_orientation"):
                np.testing.assert_allclose(
                    warp.sensor(name), mujoco_.sensor(name), atol=2e-6, err_msg=name
                )
            for name in ("muscle_velocity", "body_velocity"):
                np.testing.assert_allclose(
                    warp.sensor(name), mujoco_.sensor(name), atol=2e-5, err_msg=name
                )
    # Loose where the coordinate is light: the patella's weigh next to nothing.
    np.testing.assert_allclose(warp.qpos, mujoco_.qpos, atol=5e-4)
    np.testing.assert_allclose(warp.qvel, mujoco_.qvel, atol=0.1)
    np.testing.assert_allclose(warp.activation, mujoco_.activation, atol=1e-6)
    np.testing.assert_allclose(warp.time, mujoco_.time, atol=1e-12)


def test_ground_contact_and_a_push_are_mujocos(legs: Body, walk: ReferenceMotion) -> None:
    rows = np.linspace(0, walk.n_frames - 1, N).astype(int)
    pair = twins(legs, walk.qpos[rows], walk.qvel[rows], np.full((N, 80), 0.05))
    push = np.tile([100.0, 50.0, 20.0, 5.0, 5.0, 5.0], (N, 1))
    for step in range(6):
        for simulation in pair:
            simulation.step(np.full((N, 80), 0.1), push if step == 2 else None)
    mujoco_, warp = pair
    force = [s.sensor("contact").reshape(N, 4, 10)[..., 1:4] for s in pair]
    assert np.abs(force[0]).max() > 300.0  # somebody stands
    np.testing.assert_allclose(force[1], force[0], atol=1.0)
    np.testing.assert_allclose(warp.qpos, mujoco_.qpos, atol=2e-4)


@pytest.mark.usefixtures("in_tmp")
def test_divergence_is_told_and_stays_where_it_is(legs: Body, walk: ReferenceMotion) -> None:
    _, warp = twins(legs, walk.qpos[:N], walk.qvel[:N], np.full((N, 80), 0.05))
    warp.qvel[2, 5] = np.nan
    spoilt = warp.state[2].copy()
    assert warp.step(np.zeros((N, 80))).tolist() == [k == 2 for k in range(N)]
    np.testing.assert_array_equal(warp.state[2], spoilt)
    assert np.isfinite(warp.state[[0, 1, 3, 4, 5]]).all()


def test_contacts_without_room_are_an_error(legs: Body, walk: ReferenceMotion) -> None:
    pytest.importorskip("mujoco_warp")
    from kinesis_neuro.env.device.physics import CapacityError
    from kinesis_neuro.env.device.simulation import WarpSimulation

    rows = np.linspace(0, walk.n_frames - 1, N).astype(int)
    cramped = WarpSimulation(legs, N, n_contacts=1)
    cramped.reset(np.arange(N), walk.qpos[rows], walk.qvel[rows], np.full((N, 80), 0.05))
    with pytest.raises(CapacityError, match=r"room for 1 contacts.*n_contacts more than 1"):
        for _ in range(3):
            cramped.step(np.zeros((N, 80)))


def test_capacity_holds_all_that_a_fallen_body_touches(legs: Body) -> None:
    import mujoco

    data = mujoco.MjData(legs.model)
    n_contacts, n_rows = features.capacity(legs.model)
    rng = np.random.default_rng(0)
    for _ in range(20):
        data.qpos = legs.coupling.complete(legs.model.qpos0)
        turn = rng.normal(size=4)
        data.qpos[3:7] = turn / np.linalg.norm(turn)
        data.qpos[2] = 0.0  # half in the floor
        mujoco.mj_forward(legs.model, data)
        assert 0 < data.ncon <= n_contacts and data.nefc <= n_rows


# -- the whole environment ------------------------------------------------------------------------


def test_device_environment_is_the_processors(make_env: Make, table: ReferenceTable) -> None:
    """The same starts and actions, until falls set them apart: observations, rewards, ends."""
    pytest.importorskip("mujoco_warp")
    from kinesis_neuro.env.device.imitation import DeviceImitation

    host = make_env(table, N, actuation="moment")
    device = DeviceImitation(table.motions, host.config, n_envs=N, device="cpu", table=table)
    motion, frame = np.zeros(N, dtype=int), np.arange(N) * 25
    seen = host.reset(np.arange(N), motion, frame)
    everyone = torch.ones(N, dtype=torch.bool)
    device.start(everyone, tensor(motion), tensor(frame))
    np.testing.assert_allclose(device.observe().numpy(), seen, atol=2e-5)
    rng = np.random.default_rng(8)
    for _ in range(3):
        action = rng.uniform(-0.1, 0.1, size=(N, 14))
        a, b = host.step(action), device.step(tensor(action.astype(np.float32)))
        assert not a.terminated.any() and not b.terminated.any()
        np.testing.assert_allclose(b.distance.numpy(), a.distance, atol=2e-3)
        np.testing.assert_allclose(b.reward.numpy(), a.reward, atol=2e-2)
        np.testing.assert_allclose(b.episode_time.numpy(), a.episode_time, atol=1e-6)
    device.check()
    apart = np.abs(b.observation.numpy() - a.observation)
    assert np.median(apart) < 1e-3


def test_device_environment_starts_anew_by_itself(make_env: Make, table: ReferenceTable) -> None:
    """A batch that falls: ends are told, and who fell stands on the reference again."""
    pytest.importorskip("mujoco_warp")
    from kinesis_neuro.env.device.imitation import DeviceImitation

    device = DeviceImitation(
        table.motions, ImitationConfig(), n_envs=16, device="cpu", table=table, seed=3
    )
    fell = np.zeros(16, dtype=bool)
    lasted = []
    for _ in range(40):
        result = device.step(torch.zeros(16, 14))
        done = (result.terminated | result.truncated).numpy()
        fell |= done
        lasted += result.episode_time.numpy()[done].tolist()
        at = result.observation.numpy()[done], result.final_observation.numpy()[done]
        assert np.isfinite(at[0]).all() and (not done.any() or np.abs(at[0] - at[1]).max() > 0.1)
        rows = device.reference.rows(device.motion, device.frame)[0]
        expected = device.reference.qpos[rows][:, 2].numpy()
        np.testing.assert_allclose(device.physics.qpos[:, 2].numpy()[done], expected[done])
        assert (device.steps.numpy()[done] == 0).all() and (device.steps.numpy()[~done] > 0).all()
    assert fell.mean() > 0.5
    # The processor's untrained walkers last as long, on average.
    host = make_env(table, 64, actuation="moment", auto_reset=True, seed=3)
    times: list[float] = []
    for _ in range(40):
        step = host.step(np.zeros((64, 14)))
        times += step.episode_time[step.terminated].tolist()
    spread = np.std(times) / np.sqrt(len(lasted))
    assert abs(np.mean(lasted) - np.mean(times)) < 4 * spread


def test_what_a_device_lacks_of_a_task_is_named(table: ReferenceTable) -> None:
    pytest.importorskip("mujoco_warp")
    from kinesis_neuro.env.device.imitation import DeviceImitation

    config = ImitationConfig(actuation="least_effort", hard_starts=0.2)
    with pytest.raises(IncompatibleError, match="the actuation 'least_effort', hard_starts"):
        DeviceImitation(table.motions, config, device="cpu", table=table)
