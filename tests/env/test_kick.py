"""The penalty kick: where the ball is, who is said to have scored, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest

from kinesis_neuro.body.models import load_body
from kinesis_neuro.body.pitch import (
    BALL_RADIUS,
    GOAL_DISTANCE,
    GOAL_HEIGHT,
    GOAL_WIDTH,
    KEEPER_REACH,
    KEEPER_SIZE,
    load_pitch,
)
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.simulation import Simulation
from kinesis_neuro.env.tasks.keeper import BEHAVIOURS, Keepers
from kinesis_neuro.env.tasks.kick import Kick
from kinesis_neuro.env.tasks.kick_config import KickConfig
from kinesis_neuro.env.tasks.kick_table import KickTable
from kinesis_neuro.env.tasks.shot import bound_for, crossing, inside
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.library import load_motion

N = 6


@pytest.fixture(scope="module")
def env() -> Iterator[ImitationEnv]:
    """Six kickers that drive muscles alone, which needs no static optimisation."""
    made = ImitationEnv(
        [load_motion("kick")],
        ImitationConfig(
            actuation="excitation",
            termination_rule="mean",
            termination_distance=1e3,
            goal=KickConfig(follow_through=3.0, keeper_chances=(1.0, 0.0, 0.0)),
        ),
        n_envs=N,
        n_threads=1,
        seed=3,
        auto_reset=False,
    )
    yield made
    made.close()


@pytest.fixture
def kick(env: ImitationEnv) -> Kick:
    env.reset(np.arange(N), np.arange(N), np.zeros(N, dtype=np.intp))
    assert isinstance(env.goal, Kick)
    return env.goal


def rest(env: ImitationEnv) -> np.ndarray:
    return np.full((env.n_envs, len(env.action_channels)), -1.0)


def test_the_ball_lies_still_on_the_floor_where_it_was_laid(env, kick):
    before = kick.ball.copy()
    np.testing.assert_allclose(before[:, :2], kick.plan.offset)
    np.testing.assert_array_less(np.abs(before[:, :2]), 0.05 + 1e-12)
    for _ in range(6):
        env.step(rest(env))
    np.testing.assert_allclose(kick.ball, before, atol=1e-3)
    assert not kick.kicked.any()


def test_the_plan_starts_where_the_clip_starts_and_comes_to_the_ball(env, kick):
    clip = load_motion("kick")
    motion, foot = np.arange(N), env.body.segments.index("toes_r")
    for frame, share in ((0, 0.0), (kick.plan.strike, 1.0), (kick.plan.strike + 40, 1.0)):
        place = env.table.at(motion, np.full(N, frame)).position(np.array([foot]))[:, 0]
        expected = clip.frames.body_position[frame, foot] + np.pad(
            share * kick.plan.offset, ((0, 0), (0, 1))
        )
        np.testing.assert_allclose(place, expected, atol=1e-9)
    # After the clip its last pose is held.
    last = env.table.at(motion, np.full(N, clip.n_frames + 100))
    np.testing.assert_allclose(last.qpos()[:, 7:], np.tile(clip.qpos[-1, 7:], (N, 1)))
    np.testing.assert_array_equal(last.qvel(), 0.0)


def shoot(env: ImitationEnv, kick: Kick, target: np.ndarray, speed: float = 25.0) -> None:
    """Shoot balls at places (n, 2) of the goal line, from one metre in front of it."""
    simulation = env.simulation
    start = np.column_stack(
        [target[:, 0], np.full(N, 1.0 - GOAL_DISTANCE), np.maximum(target[:, 1], BALL_RADIUS)]
    )
    pose = np.zeros((N, 7))
    pose[:, :3], pose[:, 3] = start, 1.0
    kick.lay(np.arange(N), pose)
    simulation.other_qvel[:, 1] = -speed
    for _ in range(4):
        env.step(rest(env))


def test_what_crosses_between_the_posts_is_on_target_and_the_keeper_saves_what_meets_him(env, kick):
    kick.keepers.position[:] = -2.0
    kick.keepers.velocity[:] = 0.0
    kick._set_keepers()
    target = np.array([[0.0, 0.5], [-2.0, 0.5], [3.4, 1.0], [-4.2, 0.5], [0.0, 2.9], [-2.0, 2.1]])
    shoot(env, kick, target)
    result = kick.outcome()
    assert result["success"].tolist() == [1, 1, 1, 0, 0, 1]
    assert result["goal"].tolist() == [1, 0, 1, 0, 0, 1]
    np.testing.assert_allclose(result["crossing_lateral"], target[:, 0], atol=0.02)
    # The saved ball has come back, those that went in have not.
    assert kick.ball_velocity[1, 1] > 0.0 > kick.ball_velocity[0, 1]


def test_a_ball_comes_off_the_post(env, kick):
    target = np.tile([GOAL_WIDTH / 2 + 0.05, 0.8], (N, 1))
    shoot(env, kick, target)
    assert not kick.on_target.any()
    assert (kick.ball_velocity[:, 1] > 0.0).all()


def test_crossings_are_found_between_steps():
    before = np.array([[0.0, 0.1, 0.5], [0.0, -0.1, 0.5], [0.0, 0.1, 0.5]])
    after = before + np.array([[0.3, -0.3, 0.0], [0.3, -0.3, 0.0], [0.3, 0.3, 0.0]])
    line = np.array([0.0, GOAL_DISTANCE, 0.0])
    crossed, place = crossing(before - line, after - line)
    assert crossed.tolist() == [True, False, False]
    np.testing.assert_allclose(place[0], [0.1, 0.5])


def test_the_goal_ends_where_the_ball_would_touch_post_or_bar():
    edge_x, edge_z = GOAL_WIDTH / 2 - BALL_RADIUS, GOAL_HEIGHT - BALL_RADIUS
    places = np.array([[edge_x, 0.2], [-edge_x - 1e-6, 0.2], [0.0, edge_z], [0.0, edge_z + 1e-6]])
    assert inside(places).tolist() == [True, False, True, False]


def test_a_ball_in_the_air_is_bound_for_where_it_comes_down():
    # Thrown so that it is 1 m high at the line after 0.5 s.
    height = 0.5
    upward = (1.0 - height + 0.5 * 9.81 * 0.25) / 0.5
    position = np.array([[0.2, 5.0 - GOAL_DISTANCE, height]])
    place, towards = bound_for(position, np.array([[1.0, -10.0, upward]]))
    np.testing.assert_allclose(place, [[0.7, 1.0]])
    assert towards[0] == 10.0


def test_keepers_stand_wander_and_block():
    rng = np.random.default_rng(0)
    n = 3000
    keepers = Keepers(n, (0.45, 0.45, 0.1), (1.0, 5.0))
    keepers.draw(np.arange(n), rng)
    counts = np.bincount(keepers.behaviour, minlength=len(BEHAVIOURS)) / n
    np.testing.assert_allclose(counts, (0.45, 0.45, 0.1), atol=0.04)
    assert np.abs(keepers.position).max() <= KEEPER_REACH
    first, ball = keepers.position.copy(), np.full(n, 1.5)
    for _ in range(300):
        keepers.move(ball, 0.01, rng)
        assert (np.abs(keepers.velocity) <= keepers.top_speed + 1e-12).all()
        assert np.abs(keepers.position).max() <= KEEPER_REACH
    stand, wander, block = (keepers.behaviour == k for k in range(3))
    np.testing.assert_array_equal(keepers.position[stand], first[stand])
    assert np.abs(keepers.position[wander] - first[wander]).mean() > 0.5
    # Its speed is its distance, bounded: after 3 s little of it is left to the fast ones.
    left = np.abs(keepers.position - 1.5)[block & (keepers.top_speed > 2.0)]
    assert left.max() < 0.6
    assert (np.abs(keepers.position - 1.5) <= np.abs(first - 1.5))[block].all()


def test_the_keeper_box_saves_what_touches_it():
    keepers = Keepers(4, (1.0, 0.0, 0.0), (1.0, 5.0))
    wide, tall = KEEPER_SIZE[0] / 2 + BALL_RADIUS, KEEPER_SIZE[2] + BALL_RADIUS
    lateral = np.array([wide - 1e-6, wide + 1e-6, 0.0, 0.0])
    height = np.array([0.5, 0.5, tall - 1e-6, tall + 1e-6])
    assert keepers.saves(lateral, height).tolist() == [True, False, True, False]


def test_observed_from_the_other_side_is_observed_in_a_mirror(env, kick):
    images = kick.images()
    blocks = kick.blocks()
    assert set(images) == set(blocks)
    for name, (order, signs) in images.items():
        twice = (blocks[name][:, order] * signs)[:, order] * signs
        np.testing.assert_array_equal(twice, blocks[name])


def test_what_is_put_back_goes_on_as_it_would_have(env, kick):
    for _ in range(3):
        env.step(rest(env))
    saved = {name: values.copy() for name, values in env.state_arrays().items()}
    first = env.step(rest(env))
    place = kick.ball.copy()
    env.step(rest(env))
    env.set_state_arrays(saved)
    again = env.step(rest(env))
    np.testing.assert_array_equal(first.observation, again.observation)
    np.testing.assert_array_equal(place, kick.ball)


def test_fine_steps_of_some_bodies_leave_the_others_as_they_are():
    body = load_body("legs")
    pitch = load_pitch(body)
    rng = np.random.default_rng(0)
    excitation = rng.uniform(0.0, 0.2, (4, body.n_muscles))
    states = []
    for some in (None, np.array([False, True, False, True])):
        simulation = Simulation(body, 4, 1, model=pitch.model)
        if some is not None:
            simulation.refine(pitch.fine, lambda some=some: some)
        which = np.arange(4)
        qpos = np.tile(body.model.key_qpos[0] if body.model.nkey else body.model.qpos0, (4, 1))
        simulation.reset(which, qpos, np.zeros((4, body.model.nv)), 0.05 * np.ones((4, 80)))
        simulation.other_qpos[:] = [3.0, 0.0, BALL_RADIUS, 1.0, 0.0, 0.0, 0.0]
        for _ in range(5):
            assert not simulation.step(excitation).any()
        states.append(simulation.state.copy())
        simulation.close()
    np.testing.assert_array_equal(states[0][[0, 2]], states[1][[0, 2]])
    assert np.abs(states[0][[1, 3]] - states[1][[1, 3]]).max() > 0.0
    np.testing.assert_allclose(states[1][:, 0], 5 / 150)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((np.nan, 0.0, 0.11), "finite"),
        ((0.0, -30.0, 0.11), "off the pitch"),
        ((9.0, 0.0, 0.11), "off the pitch"),
        ((0.0, 0.0, -0.2), "off the pitch"),
    ],
)
def test_a_ball_that_lies_nowhere_is_refused(env, kick, place, said):
    pose = np.array([[*place, 1.0, 0.0, 0.0, 0.0]])
    before = kick.ball.copy()
    with pytest.raises(InvalidInputError, match=said):
        kick.lay(np.zeros(1, dtype=np.intp), pose)
    np.testing.assert_array_equal(kick.ball, before)


def test_a_ball_inside_the_body_is_refused(env, kick):
    foot = env.table.at(np.zeros(1, dtype=np.intp), env.frame[:1]).position()[
        0, env.body.segments.index("calcn_l")
    ]
    pose = np.array([[foot[0], foot[1], BALL_RADIUS, 1.0, 0.0, 0.0, 0.0]])
    with pytest.raises(InvalidInputError, match="inside the body"):
        kick.lay(np.zeros(1, dtype=np.intp), pose)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ball": (np.nan, 0.0)},
        {"ball": (2.0, 0.0)},
        {"scatter": -0.1},
        {"keeper_chances": (0.5, 0.5, 0.5)},
        {"keeper_chances": (1.5, -0.5, 0.0)},
        {"keeper_speeds": (5.0, 1.0)},
        {"other_starts": (1.0, 0.5)},
        {"first_within": 0.0},
        {"follow_through": np.nan},
    ],
)
def test_no_kick_is_made_from_nonsense(wrong):
    with pytest.raises(InvalidInputError):
        KickConfig(**wrong)


def test_a_ball_that_is_asked_for_lies_there_until_nothing_is_asked(env, kick):
    kick.ask(ball=(0.1, -0.05))
    env.reset()
    np.testing.assert_allclose(kick.ball[:, :2], np.tile([0.1, -0.05], (N, 1)))
    for nowhere in ((np.nan, 0.0), (1.0, 0.0), (0.0, 0.0, 0.1)):
        with pytest.raises(InvalidInputError, match="place that the kick was made for"):
            kick.ask(ball=nowhere)
    kick.ask()
    env.reset()
    assert np.ptp(kick.ball[:, 0]) > 0.0


def test_an_episode_cannot_start_when_the_ball_is_gone(env, kick):
    late = np.full(N, kick.plan.strike + 10)
    with pytest.raises(InvalidInputError, match="starts at"):
        env.reset(np.arange(N), np.arange(N), late)


def test_a_gait_comes_to_the_ball_in_its_third_cycle_and_goes_on():
    walk = load_motion("walk")
    table = KickTable.of(ReferenceTable.build([walk], actuation="excitation"), 2, held=3.0)
    one, strike = np.zeros(1, dtype=np.intp), table.strike
    assert 2 * walk.n_frames <= strike < 3 * walk.n_frames
    assert table.length[0] >= strike + 3.0 * 150
    toes = np.array([walk.body.segments.index("toes_r")])
    before, at, after = (
        table.at(one, np.array([frame])).position(toes)[0, 0] for frame in (0, strike, strike + 172)
    )
    # The toes are behind the ball, by less than a foot's length, on their way to -y.
    assert BALL_RADIUS < at[1] < 0.3 and abs(at[0]) < 0.1
    assert table.at(one, np.array([strike])).velocity(toes)[0, 0, 1] < -3.0
    # Cycle after cycle it goes on by the gait's own way.
    np.testing.assert_allclose((after - at)[:2], walk.displacement[:2], atol=1e-9)
    assert before[1] - at[1] > 2.0


def test_what_is_no_kick_is_refused():
    config = ImitationConfig(actuation="excitation", goal=KickConfig())
    with pytest.raises(InvalidInputError, match="no kick of a ball"):
        ImitationEnv([load_motion("walk").loop(2).slice(0.1, 2.0)], config, n_threads=1)
    with pytest.raises(InvalidInputError, match="one motion"):
        ImitationEnv([load_motion("walk"), load_motion("kick")], config, n_threads=1)


def test_it_is_a_gymnasium_environment_that_may_be_asked_for_a_ball():
    env = gymnasium.make(
        "kinesis_neuro:kinesis_neuro/Kick-v0", motions="kick", actuation="excitation"
    )
    env.reset(seed=0, options={"ball": (0.1, -0.05)})
    batch = env.unwrapped.batch
    np.testing.assert_allclose(batch.goal.ball[0, :2], [0.1, -0.05])
    *_, info = env.step(env.action_space.sample())
    assert info["goal_kicked"] == 0.0 and "reward_ball" in info
    with pytest.raises(InvalidInputError, match="place that the kick was made for"):
        env.reset(options={"ball": (0.0, np.nan)})
    env.close()
