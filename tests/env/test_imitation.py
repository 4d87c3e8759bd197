"""The imitation task: starts on the reference, the same for all headings, batches and threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.actuation import ACTUATIONS
from kinesis_neuro.body.effort import REGULARIZATION
from kinesis_neuro.body.models import Body
from kinesis_neuro.env import terms
from kinesis_neuro.env.config import ImitationConfig, RewardWeights
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.errors import IncompatibleError, InvalidInputError, KinesisError
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

Make = Callable[..., ImitationEnv]
Spread = Callable[[ImitationEnv], np.ndarray]
TableFor = Callable[[str], ReferenceTable]


def actions(env: ImitationEnv, step: int, size: float = 0.3) -> np.ndarray:
    """Actions that depend on the environment's index and the step, and not on the batch."""
    n = len(env.action_channels)
    return np.stack(
        [np.random.default_rng([i, step]).uniform(-size, size, n) for i in range(env.n_envs)]
    )


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
    make_env: Make, spread: Spread, table: ReferenceTable
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


def test_reward_is_kinesiss_sum(make_env: Make, spread: Spread, table: ReferenceTable) -> None:
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


def test_observation_is_what_it_says(make_env: Make, spread: Spread, table: ReferenceTable) -> None:
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
    make_env: Make, spread: Spread, table: ReferenceTable, turned: tuple[float, ReferenceTable]
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
    make_env: Make, spread: Spread, table_for: TableFor, actuation: str
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


def test_same_seed_same_run_with_resets(make_env: Make, table: ReferenceTable) -> None:
    states = []
    for n_threads in (1, 2):
        env = make_env(table, 16, n_threads=n_threads, auto_reset=True, seed=9)
        for step in range(12):
            env.step(actions(env, step, size=1.0))
        states.append(env.simulation.state.tobytes())
        assert env.steps.min() < 12  # some had to start anew
    assert states[0] == states[1]


def test_saved_state_goes_on_as_if_never_saved(
    make_env: Make, spread: Spread, table: ReferenceTable
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


# -- divergence -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize("value", [np.nan, 1e6])
@pytest.mark.parametrize("part", ["qvel", "qpos"])
def test_divergence_ends_one_episode_and_touches_no_other(
    make_env: Make, table: ReferenceTable, part: str, value: float
) -> None:
    env, healthy = (make_env(table, 8, auto_reset=True) for _ in range(2))
    frame = np.arange(8) * 20
    for e in (env, healthy):
        e.reset(np.arange(8), motion=np.zeros(8, dtype=int), frame=frame)
    getattr(env.simulation, part)[3, 10] = value
    action = actions(env, 0, size=0.1)
    result, expected = env.step(action), healthy.step(action)
    others = np.arange(8) != 3
    assert not expected.diverged.any() and not expected.terminated.any()
    np.testing.assert_array_equal(result.diverged, ~others)
    np.testing.assert_array_equal(result.terminated, ~others)
    assert not result.truncated.any() and env.n_diverged == 1
    assert result.reward[3] == 0.0
    # What the learner goes on with is finite, and of a new episode.
    assert np.isfinite(result.observation).all() and np.isfinite(result.reward).all()
    assert np.isfinite(env.simulation.state).all() and env.steps[3] == 0
    assert np.abs(result.observation[3]).max() < 100
    for name in ("observation", "reward", "distance"):
        np.testing.assert_array_equal(
            getattr(result, name)[others], getattr(expected, name)[others]
        )
    # And the new episode is a sound one.
    after = env.step(action)
    assert not after.diverged.any() and np.isfinite(after.observation).all()
    assert env.n_diverged == 1


@pytest.mark.usefixtures("in_tmp")
def test_last_observation_of_a_diverged_episode_is_finite(
    make_env: Make, table: ReferenceTable
) -> None:
    env = make_env(table, 3, auto_reset=True)
    env.simulation.qvel[1, 10] = np.nan
    result = env.step(np.zeros((3, 14)))
    assert result.final_observation.shape[0] == 1
    assert np.isfinite(result.final_observation).all()
    assert np.isfinite(result.distance).all()


# -- ends of episodes -----------------------------------------------------------------------------


def test_time_limit_truncates(make_env: Make, table: ReferenceTable) -> None:
    env = make_env(table, 6, auto_reset=True, duration=0.2, termination_distance=10.0)
    for step in range(1, 13):
        result = env.step(np.zeros((6, 14)))
        assert not result.terminated.any()
        assert result.truncated.all() if step % 6 == 0 else not result.truncated.any()
        if step % 6 == 0:
            np.testing.assert_allclose(result.episode_time, 0.2)
            assert result.final_observation.shape == (6, env.n_observations)
            assert (env.steps == 0).all()
            # The last observation is the old episode's, the next one the new episode's.
            assert (result.final_observation != result.observation).any(axis=1).all()


def test_end_of_a_motion_truncates(make_env: Make, plain_table: ReferenceTable) -> None:
    """Every step has a reference for what it reaches, and the last possible one is taken."""
    env = make_env(plain_table, 20, actuation="excitation", termination_distance=100.0)
    length = plain_table.motions[1].n_frames
    frame = length - 12 - np.arange(20)
    env.reset(np.arange(20), motion=np.ones(20, dtype=int), frame=frame)
    # After k control steps the frame is start + 5 k; there is a next step while it fits.
    steps_left = (length - 1 - frame) // 5
    for step in range(1, 8):
        result = env.step(np.full((20, 80), -0.9))
        np.testing.assert_array_equal(result.truncated, step >= steps_left)
        going = step <= steps_left
        assert (env.frame[going] < length).all()


def test_periodic_motion_has_no_end(make_env: Make, table: ReferenceTable) -> None:
    env = make_env(table, 2, termination_distance=1e6, duration=100.0)
    n = table.motions[0].n_frames
    env.reset(np.arange(2), motion=np.zeros(2, dtype=int), frame=np.array([n - 8, n - 3]))
    for _ in range(6):
        assert not env.step(np.zeros((2, 14))).truncated.any()
    assert (env.frame > n).all()


def displaced(env: ImitationEnv, spread: Spread, way: np.ndarray) -> None:
    spread(env)
    env.simulation.qpos[:, :3] += way


def test_strict_and_mean_rules(make_env: Make, spread: Spread, table: ReferenceTable) -> None:
    """A body beside its reference by 0, 10, 20, 40 and 60 cm."""
    aside = np.zeros((5, 3))
    aside[:, 0] = [0.0, 0.10, 0.20, 0.40, 0.60]
    for rule, distance, ends in (
        ("any", 0.15, [False, False, True, True, True]),
        ("mean", 0.5, [False, False, False, False, True]),
    ):
        env = make_env(table, 5, termination_rule=rule, termination_distance=distance)
        displaced(env, spread, aside)
        result = env.step(np.zeros((5, 14)))
        np.testing.assert_array_equal(result.terminated, ends)
        np.testing.assert_allclose(result.distance.mean(axis=1), aside[:, 0], atol=0.03)
        assert not result.truncated.any()


def test_one_far_foot_ends_a_strict_episode_only(
    make_env: Make, spread: Spread, table: ReferenceTable, legs: Body
) -> None:
    for rule, ends in (("any", True), ("mean", False)):
        env = make_env(table, 1, termination_rule=rule, termination_distance=0.15)
        spread(env)
        env.simulation.qpos[:, 7 + legs.joints.index("knee_angle_r")] += 0.9
        env.simulation.qpos[:] = legs.coupling.complete(env.simulation.qpos)
        result = env.step(np.zeros((1, 14)))
        assert result.distance.max() > 0.2 > 0.15 > result.distance.mean()
        assert result.terminated[0] == ends


def test_terminated_episodes_are_not_truncated(
    make_env: Make, spread: Spread, table: ReferenceTable
) -> None:
    env = make_env(table, 2, duration=1 / 30)
    displaced(env, spread, np.array([[0.0, 0, 0], [1.0, 0, 0]]))
    result = env.step(np.zeros((2, 14)))
    np.testing.assert_array_equal(result.terminated, [False, True])
    np.testing.assert_array_equal(result.truncated, [True, False])


# -- outside forces, actuation --------------------------------------------------------------------


def test_wrench_pushes_the_walker(make_env: Make, spread: Spread, table: ReferenceTable) -> None:
    push = np.zeros((4, 6))
    push[:, 0] = [0.0, 200.0, -200.0, 0.0]
    push[3, 1] = 200.0
    env = make_env(table, 4)
    env.reset(np.arange(4), motion=np.zeros(4, dtype=int), frame=np.full(4, 30))
    env.wrench = lambda e: push
    for _ in range(3):
        env.step(np.zeros((4, 14)))
    moved = env.simulation.qpos[:, :2] - env.simulation.qpos[0, :2]
    # A foot on the ground holds back some of F t^2 / (2 m) = 13 mm.
    free = 200 * 0.1**2 / (2 * env.body.mass)
    assert 0.2 * free < moved[1, 0] < 3 * free and 0.2 * free < -moved[2, 0] < 3 * free
    assert 0.2 * free < moved[3, 1] < 3 * free


def test_actions_beyond_the_bounds_are_clipped(
    make_env: Make, spread: Spread, table: ReferenceTable
) -> None:
    results = []
    for factor in (1.0, 50.0):
        env = make_env(table, 3)
        spread(env)
        sign = np.where(actions(env, 0) > 0, 1.0, -1.0)
        results.append(env.step(factor * sign).observation)
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("actuation", ["excitation", "length", "tracking"])
def test_full_table_serves_every_actuation(
    make_env: Make, spread: Spread, table: ReferenceTable, actuation: str
) -> None:
    tables = (table, replace(table, moment_matrix=None))
    env, other = (make_env(t, 2, actuation=actuation) for t in tables)
    for e in (env, other):
        spread(e)
        e.step(actions(e, 0))
    np.testing.assert_array_equal(env.excitation, other.excitation)


@pytest.mark.parametrize("actuation", ACTUATIONS)
def test_excitations_stay_in_bounds(
    make_env: Make, spread: Spread, table_for: TableFor, actuation: str
) -> None:
    env = make_env(table_for(actuation), 8, actuation=actuation)
    spread(env)
    seen = []
    env.on_physics_step = lambda e: seen.append(e.excitation.copy())
    for step in range(3):
        env.step(actions(env, step, size=1.0))
    drive = np.array(seen)
    assert drive.shape == (15, 8, 80)
    assert drive.min() >= 0.0 and drive.max() <= 1.0 and np.ptp(drive) > 0.3
    np.testing.assert_allclose(env.mean_excitation, drive[-5:].mean(axis=0))


def test_least_effort_without_feedback_makes_the_feedforwards_moments(
    make_env: Make, spread: Spread, table: ReferenceTable
) -> None:
    """At most as much effort as static optimisation, for the same moments; an action adds to it."""
    env = make_env(table, 6, actuation="least_effort", stiffness=0.0, damping=0.0, mirror=False)
    spread(env)
    assert table.moment_matrix is not None and table.feedforward is not None
    rows, _ = table.rows(env.motion, env.frame + env.config.lead)
    matrix, feedforward = table.moment_matrix[rows], table.feedforward[rows]
    wanted = (matrix @ feedforward[..., None])[..., 0]
    action = np.zeros((6, 14))
    action[:, 3] = 0.1  # bend the right knee by 5 N m
    for asked, given in ((wanted, np.zeros((6, 14))), (wanted + action, action)):
        plan = env.drive.plan(given, env.simulation, env.motion, env.frame)
        made = env.drive.excite(plan, env.simulation, env.motion, env.frame)
        moments = (matrix @ made[..., None])[..., 0]
        np.testing.assert_allclose(moments, asked, atol=0.06)  # regularisation keeps a little
        price = np.square(moments - asked).sum(axis=1) / REGULARIZATION
        effort = np.square(made).sum(axis=1) + price
        if not given.any():
            assert (effort <= np.square(feedforward).sum(axis=1) + 1e-6).all()


def test_direct_excitation_is_the_action(
    make_env: Make, spread: Spread, table_for: TableFor
) -> None:
    env = make_env(table_for("excitation"), 3, actuation="excitation", mirror=False)
    spread(env)
    action = actions(env, 0, size=1.0)
    env.step(action)
    np.testing.assert_allclose(env.mean_excitation, 0.5 * (action + 1), atol=1e-15)


def test_feedback_and_feedforward_run_ahead(
    make_env: Make, spread: Spread, table_for: TableFor
) -> None:
    """Tracking without an action, written out for one muscle at a time."""
    table = table_for("tracking")
    env = make_env(table, 3, actuation="tracking")
    spread(env)
    before = env.frame.copy(), env.simulation.sensors.copy()
    seen = []
    env.on_physics_step = lambda e: seen.append(e.excitation.copy())
    env.step(np.zeros((3, 80)))
    frame, sensors = before
    walk, model = table.motions[0], env.body.model
    for k in range(3):
        ahead = (frame[k] + 4) % walk.n_frames
        target = (frame[k] + 3) % walk.n_frames  # sensors are one step late
        for i in range(0, 80, 7):
            length = sensors[k, env.body.sensors["muscle_length"]][i]
            velocity = sensors[k, env.body.sensors["muscle_velocity"]][i]
            peak = model.actuator_gainprm[i, 2]
            wanted = 10 * (walk.frames.muscle_length[target, i] - length)
            wanted += 0.5 * (walk.frames.muscle_velocity[target, i] - velocity)
            force = peak * min(1.0, max(-1.0, wanted))
            gain = mujoco.mju_muscleGain(
                length,
                velocity,
                model.actuator_lengthrange[i],
                model.actuator_acc0[i],
                model.actuator_gainprm[i, :9],
            )
            drive = table.feedforward[ahead, i] + force / min(-1.0, gain)
            assert seen[0][k, i] == pytest.approx(min(1.0, max(0.0, drive)), abs=1e-9)


# -- tables and configurations --------------------------------------------------------------------


def test_table_gathers_the_motions(plain_table: ReferenceTable) -> None:
    walk, clip = plain_table.motions
    n = walk.n_frames
    motion = np.array([0, 0, 0, 0, 1, 1, 1])
    frame = np.array([0, n - 1, n, -1, 0, clip.n_frames - 1, clip.n_frames + 50])
    rows, shift = plain_table.rows(motion, frame)
    last = n + clip.n_frames - 1
    np.testing.assert_array_equal(rows, [0, n - 1, 0, n - 1, n, last, last])
    cycles = np.array([0, 0, 1, -1, 0, 0, 0])
    np.testing.assert_allclose(shift, cycles[:, None] * walk.displacement)
    np.testing.assert_array_equal(plain_table.qpos[n:], clip.qpos)
    np.testing.assert_array_equal(plain_table.position[:n], walk.frames.body_position)


def test_motions_of_other_rates_are_resampled(walk: ReferenceMotion) -> None:
    table = ReferenceTable.build([walk.resample(60.0)], actuation="excitation")
    assert table.qpos.shape[0] == walk.n_frames
    np.testing.assert_allclose(table.qpos, walk.qpos, atol=0.02)


def test_motions_of_different_bodies_are_refused(walk: ReferenceMotion) -> None:
    other = load_motion("walk", body="legs26")
    with pytest.raises(IncompatibleError, match="'legs26', the task on 'legs'"):
        ReferenceTable.build([walk, other], actuation="excitation")
    with pytest.raises(InvalidInputError, match="At least one reference motion"):
        ReferenceTable.build([], actuation="excitation")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"actuation": "torque"}, "Unknown actuation 'torque'"),
        ({"control_rate": 40.0}, "must divide the physics rate of 150 Hz, got 40"),
        ({"control_rate": 0.0}, "must divide"),
        ({"termination_rule": "all"}, "Unknown termination rule 'all'"),
        ({"duration": 0.01}, "at least one control step"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        ImitationConfig(**options)


@pytest.mark.parametrize("rate", [10.0, 15.0, 30.0, 50.0, 75.0, 150.0])
def test_control_rate_sets_the_steps(
    make_env: Make, plain_table: ReferenceTable, rate: float
) -> None:
    env = make_env(plain_table, 1, actuation="excitation", control_rate=rate)
    assert env.config.decimation == round(150 / rate)
    env.step(np.zeros((1, 80)))
    assert env.simulation.time[0] == pytest.approx(1 / rate)


@pytest.mark.parametrize(
    ("actuation", "initial", "activated"),
    [
        ("moment", "auto", True),
        ("moment", "rest", False),
        ("excitation", "auto", False),
        ("excitation", "reference", True),
    ],
)
def test_episodes_start_from_rest_or_with_static_optimisations_activations(
    make_env: Make, table: ReferenceTable, actuation: str, initial: str, activated: bool
) -> None:
    env = make_env(table, n_envs=3, actuation=actuation, initial_activation=initial)
    frame = np.array([5, 60, 120])
    env.reset(np.arange(3), np.zeros(3, dtype=np.intp), frame)
    assert table.feedforward is not None
    expected = table.feedforward[frame] if activated else np.full((3, 80), 0.05)
    np.testing.assert_array_equal(env.simulation.activation, expected)


def test_the_activations_to_start_from_are_computed_where_they_are_needed(
    walk: ReferenceMotion,
) -> None:
    part = walk.slice(0.0, 0.3)
    assert ReferenceTable.build([part], actuation="excitation").feedforward is None
    config = ImitationConfig(actuation="excitation", initial_activation="reference")
    assert ImitationEnv([part], config).table.feedforward is not None
    with pytest.raises(InvalidInputError, match="Unknown initial activation 'warm'"):
        ImitationConfig(initial_activation="warm")
