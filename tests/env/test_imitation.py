"""The imitation task: starts on the reference, the same for all headings, batches and threads."""

from __future__ import annotations

import math
from collections.abc import Callable

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.actuation import ACTUATIONS
from kinesis_neuro.env import terms
from kinesis_neuro.env.config import ImitationConfig, RewardWeights
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.errors import KinesisError
from kinesis_neuro.motion.reference import ReferenceMotion

Make = Callable[..., ImitationEnv]
Spread = Callable[[ImitationEnv], np.ndarray]
TableFor = Callable[[str], ReferenceTable]
Actions = Callable[..., np.ndarray]


# -- reset ----------------------------------------------------------------------------------------


def test_reset_lies_on_the_reference(make_env: Make, spread: Spread, table: ReferenceTable) -> None:
    env = make_env(table, 40)
    spread(env)
    walk = table.motions[0]
    np.testing.assert_array_equal(env.simulation.qpos, walk.qpos[env.frame])
    np.testing.assert_array_equal(env.simulation.qvel, walk.qvel[env.frame])
    position, velocity, reference, reference_velocity = env.tracked()
    # Sensors are set one step back in a straight line; a walking body curves by under 1 mm.
    distance = terms.distances(position, reference)
    assert distance.max() < 1.5e-3
    assert terms.position_reward(np.square(distance).mean(axis=1)).min() > 0.999
    assert np.linalg.norm(velocity - reference_velocity, axis=-1).max() < 0.5


def test_reset_beyond_the_first_cycle_is_farther_on(make_env: Make, table: ReferenceTable) -> None:
    env = make_env(table, 2)
    walk = table.motions[0]
    n = walk.n_frames
    env.reset(np.arange(2), motion=np.zeros(2, dtype=int), frame=np.array([5, 5 + 3 * n]))
    way = env.simulation.qpos[1, :3] - env.simulation.qpos[0, :3]
    np.testing.assert_allclose(way, 3 * walk.displacement, atol=1e-12)
    position, _, reference, _ = env.tracked()
    assert terms.distances(position, reference).max() < 1.5e-3


def test_a_bent_knee_costs_what_its_angle_says(make_env: Make, table: ReferenceTable) -> None:
    env = make_env(table, 2, actuation="excitation", reward=RewardWeights(legs=0.4))
    env.reset(np.arange(2), motion=np.zeros(2, dtype=int), frame=np.full(2, 20))
    env.simulation.qpos[1, 7 + env.body.joints.index("knee_angle_r")] += 0.2
    env._reward(np.zeros((2, 7)), np.zeros((2, 7, 3)), np.zeros((2, env.body.n_muscles)))
    # One joint of ten: hips (3), knee and ankle of two legs.
    asked = 0.4 * np.exp([0.0, -100.0 * 0.2**2 / 10])
    np.testing.assert_allclose(env.reward_parts["legs"], asked)


def test_first_frame_of_a_motion_that_ends_has_a_reference(
    make_env: Make, plain_table: ReferenceTable
) -> None:
    env = make_env(plain_table, 1, actuation="excitation")
    env.reset(np.arange(1), motion=np.ones(1, dtype=int), frame=np.zeros(1, dtype=int))
    position, _, reference, _ = env.tracked()
    assert terms.distances(position, reference).max() < 0.05


def test_undriven_body_leaves_the_reference_slowly(
    make_env: Make, spread: Spread, table: ReferenceTable
) -> None:
    """Within one control step state and reference stay together: time, sign and frame agree."""
    env = make_env(table, 40)
    spread(env)
    result = env.step(np.zeros((40, 14)))
    # Feet that collide in the reference (see the tests of the gait) are pushed apart.
    assert np.median(result.distance) < 0.005 and result.distance[:, 0].max() < 0.005
    assert not result.terminated.any()
    assert result.reward.min() > 0.5


def test_starts_are_drawn_everywhere_and_by_seed(
    make_env: Make, plain_table: ReferenceTable
) -> None:
    env = make_env(plain_table, 400, actuation="excitation", seed=3)
    walk, clip = plain_table.motions
    first = env.motion == 0
    share = walk.n_frames / (walk.n_frames + clip.n_frames)
    assert first.mean() == pytest.approx(share, abs=0.08)
    assert np.histogram(env.frame[first], bins=4, range=(0, walk.n_frames))[0].min() > 30
    # A motion that ends leaves room for a control step.
    assert env.frame[~first].max() + 2 * env.config.decimation < clip.n_frames + 5
    again = make_env(plain_table, 400, actuation="excitation", seed=3)
    other = make_env(plain_table, 400, actuation="excitation", seed=4)
    np.testing.assert_array_equal(again.frame, env.frame)
    assert (other.frame != env.frame).any()


def test_clip_shorter_than_a_control_step_is_refused(walk: ReferenceMotion) -> None:
    """Six frames: an episode on them has no second control step to take."""
    short = walk.slice(0.0, 4 / 150)
    with pytest.raises(KinesisError):
        ImitationEnv([short], ImitationConfig(actuation="excitation"))


# -- reward and observation -----------------------------------------------------------------------


def test_restraint_is_a_term_of_its_own(
    actions: Actions, make_env: Make, spread: Spread, table: ReferenceTable
) -> None:
    """Weight times exp(-5 mean a^2) beside KINESIS's sum; without a weight it is not there."""
    rewards = []
    for weight in (0.0, 0.3):
        env = make_env(table, 3, reward=RewardWeights(restraint=weight))
        spread(env)
        rewards.append(env.step(actions(env, 0, size=0.4)).reward)
        assert ("restraint" in env.reward_parts) == (weight > 0)
        np.testing.assert_allclose(sum(env.reward_parts.values()), rewards[-1], rtol=1e-12)
    clipped = np.clip(actions(env, 0, size=0.4), -1, 1)
    expected = 0.3 * np.exp(-5 * np.square(clipped).mean(axis=1))
    np.testing.assert_allclose(rewards[1] - rewards[0], expected, rtol=1e-9)


def test_reward_is_kinesiss_sum(
    actions: Actions, make_env: Make, spread: Spread, table: ReferenceTable
) -> None:
    """Body by body and muscle by muscle, in plain Python."""
    env = make_env(table, 5)
    spread(env)
    excitations = []
    env.on_physics_step = lambda e: excitations.append(e.excitation.copy())
    for step in range(4):
        excitations.clear()
        result = env.step(actions(env, step))
    assert len(excitations) == 5
    walk, body = table.motions[0], env.body
    mean = np.mean(excitations, axis=0)
    for k in range(5):
        cycle, frame = divmod(int(env.frame[k]) - 1, walk.n_frames)
        squared = speed = 0.0
        for name in body.tracked_bodies:
            i = body.segments.index(name)
            sensed = env.simulation.sensor("body_position").reshape(5, -1, 3)[k, i]
            moving = env.simulation.sensor("body_velocity").reshape(5, -1, 3)[k, i]
            target = walk.frames.body_position[frame, i] + cycle * walk.displacement
            squared += math.dist(sensed, target) ** 2 / 7
            speed += math.dist(moving, walk.frames.body_velocity[frame, i]) ** 2 / 7
            tracked = body.tracked_bodies.index(name)
            assert result.distance[k, tracked] == pytest.approx(math.dist(sensed, target))
        root = Rotation.from_quat(env.simulation.qpos[k, 3:7], scalar_first=True)
        x, y, z = root.inv().apply([0.0, 0.0, 1.0])
        tilt = math.atan2(x, z) ** 2 + math.atan2(y, z) ** 2
        effort = sum(mean[k]) + math.sqrt(sum(u * u for u in mean[k]))
        expected = (
            0.6 * math.exp(-200 * squared)
            + 0.2 * math.exp(-5 * speed)
            + 0.1 * math.exp(-3 * tilt)
            + 0.1 * math.exp(-0.05 * effort)
        )
        assert result.reward[k] == pytest.approx(expected, rel=1e-9)


def test_observation_is_what_it_says(
    actions: Actions, make_env: Make, spread: Spread, table: ReferenceTable
) -> None:
    env = make_env(table, 6, mirror=False, observe_muscles=True)
    spread(env)
    for step in range(3):
        env.step(actions(env, step))
    seen = env.observation_blocks()
    body, model, walk = env.body, env.body.model, table.motions[0]
    joints = [body.joints[d - 6] for d in body.coupling.independent_dof[6:]]
    ahead = env.config.lookahead
    for k in range(6):
        qpos, qvel = env.simulation.qpos[k], env.simulation.qvel[k]
        root = Rotation.from_quat(qpos[3:7], scalar_first=True)
        forward = root.apply([0.0, -1.0, 0.0])  # the body faces -y
        heading = math.atan2(forward[0], -forward[1])
        back = Rotation.from_rotvec([0, 0, -heading])
        assert seen["root_height"][k, 0] == qpos[2]
        np.testing.assert_allclose(seen["root_velocity"][k], back.apply(qvel[:3]), atol=0.05)
        np.testing.assert_array_equal(seen["root_angular_velocity"][k], qvel[3:6])
        for i, name in enumerate(joints):
            address = body.joints.index(name)
            assert seen["joint_position"][k, i] == qpos[7 + address]
            assert seen["joint_velocity"][k, i] == pytest.approx(0.1 * qvel[6 + address])
            for steps in ahead:
                row = (env.frame[k] + 5 * steps) % walk.n_frames
                target = seen[f"reference_joint_position_{steps}"][k, i]
                assert target == walk.qpos[row, 7 + address]
        np.testing.assert_array_equal(seen["activation"][k], env.simulation.activation[k])
        # Distances survive any turn: those between bodies, and to the next reference.
        data = mujoco.MjData(model)
        data.qpos = env.simulation.previous[k, 1 : 1 + model.nq]
        mujoco.mj_kinematics(model, data)
        place = np.array([data.body(b).xpos for b in body.tracked_bodies])
        apart = np.linalg.norm(place[1:] - place[0], axis=1)
        local = seen["body_position"][k].reshape(-1, 3)
        np.testing.assert_allclose(np.linalg.norm(local, axis=1), apart, atol=1e-9)
        cycle, row = divmod(int(env.frame[k]) - 1 + 5, walk.n_frames)
        target = walk.frames.body_position[row, body.tracked_index] + cycle * walk.displacement
        gap = seen["position_difference"][k].reshape(-1, 3) / 5.0
        np.testing.assert_allclose(
            np.linalg.norm(gap, axis=1), np.linalg.norm(target - place, axis=1), atol=1e-9
        )
    assert env.n_observations == sum(v.shape[1] for v in seen.values())
    observed = env.observe()
    assert observed.dtype == np.float32 and observed.shape == (6, env.n_observations)


def test_contact_is_observed_in_body_weights(
    make_env: Make, spread: Spread, table: ReferenceTable
) -> None:
    env = make_env(table, 30)
    spread(env)
    for _ in range(2):
        env.step(np.zeros((30, 14)))
    contact = env.observation_blocks()["contact"]
    assert contact.shape == (30, 4) and (contact >= 0).all()
    # Walking bodies carry about their weight on average.
    assert 0.5 < contact.sum(axis=1).mean() < 1.6


@pytest.fixture(scope="module")
def turned(walk: ReferenceMotion) -> tuple[float, ReferenceTable]:
    angle = 2.2
    return angle, ReferenceTable.build([walk.turn(angle)], actuation="moment")


def test_heading_does_not_matter(
    actions: Actions,
    make_env: Make,
    spread: Spread,
    table: ReferenceTable,
    turned: tuple[float, ReferenceTable],
) -> None:
    """Motion and body turned together: same observations and rewards, and turned states."""
    angle, turned_table = turned
    np.testing.assert_allclose(turned_table.feedforward, table.feedforward, atol=1e-6)
    env, other = make_env(table, 12), make_env(turned_table, 12)
    np.testing.assert_allclose(spread(other), spread(env), atol=1e-5)
    for step in range(6):
        action = actions(env, step)
        one, two = env.step(action), other.step(action)
        np.testing.assert_allclose(two.reward, one.reward, atol=1e-4)
        np.testing.assert_allclose(two.distance, one.distance, atol=1e-4)
        np.testing.assert_allclose(two.observation, one.observation, atol=2e-2)
    turn = Rotation.from_rotvec([0, 0, angle])
    np.testing.assert_allclose(
        other.simulation.qpos[:, :3], turn.apply(env.simulation.qpos[:, :3]), atol=1e-4
    )


# -- determinism ----------------------------------------------------------------------------------


@pytest.mark.parametrize("actuation", ACTUATIONS)
def test_states_do_not_depend_on_batch_or_threads(
    actions: Actions, make_env: Make, spread: Spread, table_for: TableFor, actuation: str
) -> None:
    """To the bit: what an environment does is its own affair."""
    runs = {}
    for n_envs, n_threads in ((32, 1), (32, 2), (7, 1), (7, 2), (1, 1)):
        env = make_env(table_for(actuation), n_envs, n_threads=n_threads, actuation=actuation)
        observations = [spread(env)]
        rewards = []
        for step in range(8):
            result = env.step(actions(env, step))
            observations.append(result.observation)
            rewards.append(result.reward)
        runs[n_envs, n_threads] = env.simulation.state.copy(), np.array(rewards), observations
    state, reward, observation = runs[32, 1]
    assert np.isfinite(state).all()
    for (n_envs, _), (other_state, other_reward, other_observation) in runs.items():
        assert other_state.tobytes() == state[:n_envs].tobytes()
        assert other_reward.tobytes() == np.ascontiguousarray(reward[:, :n_envs]).tobytes()
        for one, two in zip(observation, other_observation, strict=True):
            assert two.tobytes() == one[:n_envs].tobytes()


def test_same_seed_same_run_with_resets(
    actions: Actions, make_env: Make, table: ReferenceTable
) -> None:
    states = []
    for n_threads in (1, 2):
        env = make_env(table, 16, n_threads=n_threads, auto_reset=True, seed=9)
        for step in range(12):
            env.step(actions(env, step, size=1.0))
        states.append(env.simulation.state.tobytes())
        assert env.steps.min() < 12  # some had to start anew
    assert states[0] == states[1]


def test_saved_state_goes_on_as_if_never_saved(
    actions: Actions, make_env: Make, spread: Spread, table: ReferenceTable
) -> None:
    env = make_env(table, 4)
    spread(env)
    for step in range(3):
        env.step(actions(env, step))
    saved = {name: value.copy() for name, value in env.state_arrays().items()}
    other = make_env(table, 4, seed=77)
    other.set_state_arrays(saved)
    for step in range(3, 6):
        one, two = env.step(actions(env, step)), other.step(actions(env, step))
        assert one.observation.tobytes() == two.observation.tobytes()
    assert env.simulation.state.tobytes() == other.simulation.state.tobytes()
