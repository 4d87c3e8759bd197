"""Gymnasium's faces: its own checks pass, and both show what the batched environment does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from kinesis_neuro.body.actuation import ACTUATIONS
from kinesis_neuro.env import gym, imitation
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.gym import ImitationEnv, ImitationVectorEnv
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

ID = "kinesis_neuro:kinesis_neuro/Imitation-v0"
# The smallest task: 26 muscles, no static optimisation.
SMALL: dict[str, Any] = {"body": "legs26", "actuation": "excitation"}
STEP = 1.0 / 30.0

load_once = functools.cache(load_motion)


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To load the motion takes longer than most of what is tested here."""
    monkeypatch.setattr(gym, "load_motion", load_once)


@pytest.fixture
def small() -> Iterator[ImitationEnv]:
    env = ImitationEnv(**SMALL)
    yield env
    env.close()


@pytest.fixture
def vector() -> Iterator[Callable[..., ImitationVectorEnv]]:
    made = []

    def make(num_envs: int, **options: Any) -> ImitationVectorEnv:
        made.append(ImitationVectorEnv(num_envs, **{"n_threads": 1} | SMALL | options))
        return made[-1]

    yield make
    for envs in made:
        envs.close()


def explode(batch: imitation.ImitationEnv, which: int = 0) -> None:
    """Make the physics of one body diverge in its next step."""
    batch.simulation.qvel[which] = 1e6


@pytest.mark.parametrize("actuation", ACTUATIONS)
def test_gymnasium_finds_no_fault(actuation: str) -> None:
    # Its complaints are warnings, and warnings are errors here.
    env = gymnasium.make(ID, body="legs26", actuation=actuation)
    check_env(env.unwrapped)
    env.close()


def test_make_vec_takes_the_batch() -> None:
    envs = gymnasium.make_vec(ID, 3, vectorization_mode="vector_entry_point", **SMALL)
    assert isinstance(envs, ImitationVectorEnv)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observation, _ = envs.reset(seed=0)
    assert observation in envs.observation_space
    assert envs.single_observation_space.shape == observation.shape[1:]
    assert envs.action_space.shape == (3, *envs.single_action_space.shape)
    envs.close()


def test_everything_random_comes_from_the_seed(small: ImitationEnv) -> None:
    first = [small.reset(seed=3), small.reset(), small.reset(seed=4)]
    np.random.default_rng(0).random()
    second = [small.reset(seed=3), small.reset(), small.reset(seed=4)]
    for (a, about_a), (b, about_b) in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
        assert about_a == about_b
    assert len({about["start"] for _, about in first}) == 3


def test_one_body_does_what_the_batched_environment_does(small: ImitationEnv) -> None:
    observation, _ = small.reset(seed=0, options={"start": 0.4})
    batch = imitation.ImitationEnv(
        small.batch.table.motions, small.batch.config, n_envs=1, auto_reset=False
    )
    zero = np.zeros(1, dtype=np.intp)
    expected = batch.reset(zero, zero, np.array([60]))
    np.testing.assert_array_equal(observation, expected[0])
    rng = np.random.default_rng(0)
    for _ in range(4):
        action = rng.uniform(-1.0, 0.0, small.action_space.shape).astype(np.float32)
        observation, reward, terminated, truncated, info = small.step(action)
        result = batch.step(action[None])
        np.testing.assert_array_equal(observation, result.observation[0])
        assert (reward, terminated, truncated) == (result.reward[0], result.terminated[0], False)
        np.testing.assert_array_equal(info["distance"], result.distance[0])
    batch.close()


def test_parts_of_the_reward_add_up(small: ImitationEnv) -> None:
    small.reset(seed=1)
    for _ in range(5):
        _, reward, _, _, info = small.step(small.action_space.sample())
        parts = [value for name, value in info.items() if name.startswith("reward_")]
        assert len(parts) == 4
        assert sum(parts) == pytest.approx(reward, rel=1e-12)


def test_episodes_start_where_asked() -> None:
    walk = load_once("walk", "legs26")
    clip = walk.loop(2).slice(0.2, 1.2)
    env = ImitationEnv([walk, clip], actuation="excitation")
    _, info = env.reset(seed=0, options={"motion": 1, "start": 0.5})
    assert info == {"motion": 1, "start": 0.5}
    np.testing.assert_allclose(env.batch.simulation.qpos[0], clip.qpos[75], atol=1e-12)
    assert {env.reset(options={"motion": 1})[1]["motion"] for _ in range(5)} == {1}
    assert {env.reset(options={"start": 0.1})[1]["start"] for _ in range(5)} == {0.1}
    _, info = env.reset(options={"motion": "walk"})
    assert info["motion"] == 0
    # The clip ends: its last start leaves one control step.
    last = (clip.n_frames - 7) / 150.0
    _, info = env.reset(options={"motion": 1, "start": last})
    assert not env.step(np.full(26, -0.9, dtype=np.float32))[2]
    with pytest.raises(InvalidInputError, match=r"start must lie between 0 and 0\.9"):
        env.reset(options={"motion": 1, "start": last + 1 / 150.0})
    env.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": -0.1}, r"start must lie between 0 and 1\.1\d+ s, got -0\.1"),
        ({"start": 5.0}, r"got 5\.0"),
        ({"start": float("nan")}, "got nan"),
        ({"motion": "run"}, "Unknown motion 'run'. Available: 0, walk"),
        ({"motion": 1}, "Unknown motion 1"),
        ({"phase": 0.5}, "Unknown options of reset: phase. Available: motion, start"),
    ],
)
def test_impossible_starts_are_refused(
    small: ImitationEnv, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        small.reset(seed=0, options=options)


def test_time_runs_out() -> None:
    env = ImitationEnv(body="legs26", actuation="tracking", duration=3 * STEP)
    env.reset(seed=0)
    ends = [env.step(np.zeros(26, dtype=np.float32))[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]
    env.close()


def test_diverged_physics_ends_the_episode(small: ImitationEnv, in_tmp: Path) -> None:
    small.reset(seed=0)
    explode(small.batch)
    observation, reward, terminated, truncated, info = small.step(small.action_space.sample())
    assert (reward, terminated, truncated, info["diverged"]) == (0.0, True, False, True)
    assert observation in small.observation_space
    assert np.isfinite(observation).all()
    assert all(v == 0.0 for k, v in info.items() if k.startswith("reward_"))
    assert small.reset(seed=0)[0] in small.observation_space


def test_wrong_actions_are_refused(
    small: ImitationEnv, vector: Callable[..., ImitationVectorEnv]
) -> None:
    small.reset(seed=0)
    with pytest.raises(InvalidInputError, match=r"shape \(26,\), got \(25,\)"):
        small.step(np.zeros(25, dtype=np.float32))
    with pytest.raises(InvalidInputError, match="finite"):
        small.step(np.full(26, np.nan, dtype=np.float32))
    envs = vector(2)
    envs.reset(seed=0)
    with pytest.raises(InvalidInputError, match=r"shape \(2, 26\), got \(26,\)"):
        envs.step(np.zeros(26, dtype=np.float32))


@pytest.mark.parametrize("make", [ImitationEnv, ImitationVectorEnv])
def test_wrong_options_are_refused(make: type) -> None:
    with pytest.raises(InvalidInputError, match=r"task: speed\. Available: body, motions, action_"):
        make(speed=2.0)
    # Libraries try render_mode out, and go on without where it is a TypeError.
    with pytest.raises(TypeError, match="render_mode"):
        make(render_mode="rgb_array")
    with pytest.raises(InvalidInputError, match="Unknown actuation"):
        make(actuation="force")
    with pytest.raises(IncompatibleError, match="'walk' is on body 'legs26', not on 'legs'"):
        make(motions=load_once("walk", "legs26"), body="legs")
    with pytest.raises(InvalidInputError, match="At least one"):
        make(motions=[])


def test_a_vector_needs_environments_and_a_reset(
    vector: Callable[..., ImitationVectorEnv],
) -> None:
    with pytest.raises(InvalidInputError, match="num_envs must be at least 1, got 0"):
        ImitationVectorEnv(0)
    with pytest.raises(ResetNeeded):
        vector(1).step(np.zeros((1, 26), dtype=np.float32))


def run(envs: VectorEnv, n_steps: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    shape = envs.action_space.shape
    seen: list[Any] = [envs.reset(seed=seed)]
    seen += [envs.step(rng.uniform(-1, 1, shape).astype(np.float32)) for _ in range(n_steps)]
    return seen


def assert_same(a: Any, b: Any) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, tuple | list):
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    elif isinstance(a, np.ndarray) and a.dtype == object:
        assert_same(list(a), list(b))
    else:
        np.testing.assert_array_equal(a, b, strict=True)


def test_same_seed_same_bits_whatever_the_threads(
    vector: Callable[..., ImitationVectorEnv],
) -> None:
    # Long enough for several episodes, whose starts are drawn from the seed too.
    one = run(vector(5, n_threads=1), 25)
    assert sum(int(step[2].sum()) for step in one[1:]) > 5
    assert_same(one, run(vector(5, n_threads=2), 25))
    again = vector(5, n_threads=1)
    run(again, 3, seed=7)
    assert_same(one, run(again, 25))


def test_a_batch_is_bodies_side_by_side(vector: Callable[..., ImitationVectorEnv]) -> None:
    envs, alone = vector(3), [ImitationEnv(**SMALL) for _ in range(3)]
    together, _ = envs.reset(seed=0, options={"start": 0.3})
    single = [env.reset(seed=0, options={"start": 0.3})[0] for env in alone]
    np.testing.assert_array_equal(together, np.stack(single))
    rng = np.random.default_rng(2)
    running = np.ones(3, dtype=bool)
    for _ in range(20):
        # Louder actions fall earlier.
        loudness = np.array([[0.2], [0.6], [1.0]])
        actions = (rng.uniform(-1, 1, envs.action_space.shape) * loudness).astype(np.float32)
        observations, rewards, terminated, _, infos = envs.step(actions)
        for i in np.flatnonzero(running):
            observation, reward, ended, _, info = alone[i].step(actions[i])
            assert (reward, ended) == (rewards[i], terminated[i])
            shown = infos["final_obs"][i] if ended else observations[i]
            np.testing.assert_array_equal(shown, observation)
            rows = infos["final_info"] if ended else infos
            for name, value in info.items():
                np.testing.assert_array_equal(rows[name][i], value)
                assert rows[f"_{name}"][i]
            running[i] = not ended
        if not running.any():
            break
    assert not running.any()
    for env in alone:
        env.close()


def until_some_end(envs: VectorEnv) -> dict[str, Any]:
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(100):
        actions = rng.uniform(-1, 1, envs.action_space.shape).astype(np.float32)
        *_, terminated, _, infos = envs.step(actions)
        if terminated.any() and not terminated.all():
            return infos
    raise AssertionError("no step ended some episodes, but not all")


def test_info_has_gymnasiums_form() -> None:
    """The form of SyncVectorEnv: same entries, types, shapes and masks."""
    ours = gymnasium.make_vec(ID, 4, vectorization_mode="vector_entry_point", n_threads=1, **SMALL)
    theirs = gymnasium.make_vec(
        ID, 4, vectorization_mode="sync", vector_kwargs={"autoreset_mode": "SameStep"}, **SMALL
    )
    found, wanted = until_some_end(ours), until_some_end(theirs)

    def form(infos: dict[str, Any]) -> dict[str, Any]:
        return {k: form(v) if isinstance(v, dict) else (v.dtype, v.shape) for k, v in infos.items()}

    assert form(found) == form(wanted)
    done = found["_final_obs"]
    for name, values in found.items():
        if name.startswith("_"):
            expected = done if name in ("_final_obs", "_final_info", "_motion", "_start") else ~done
            np.testing.assert_array_equal(values, expected)
        elif isinstance(values, np.ndarray) and values.dtype != object:
            assert not values[~found[f"_{name}"]].any()
    ours.close()
    theirs.close()


def test_gymnasiums_own_wrapper_counts_our_episodes(
    vector: Callable[..., ImitationVectorEnv],
) -> None:
    envs = RecordEpisodeStatistics(vector(4))
    envs.reset(seed=0)
    lengths = np.zeros(4)
    for _ in range(15):
        *_, terminated, truncated, infos = envs.step(envs.action_space.sample())
        lengths += 1
        done = terminated | truncated
        if done.any():
            np.testing.assert_array_equal(infos["episode"]["l"][done], lengths[done])
            times = infos["final_info"]["episode_time"][done]
            np.testing.assert_allclose(times, lengths[done] * STEP)
            lengths[done] = 0
    assert lengths.min() < 15


def test_one_that_diverges_leaves_the_others_alone(
    vector: Callable[..., ImitationVectorEnv], in_tmp: Path
) -> None:
    def after(broken: bool) -> tuple:
        envs = vector(3)
        envs.reset(seed=5)
        if broken:
            explode(envs.batch, 1)
        return envs.step(np.full((3, 26), -0.9, dtype=np.float32))

    sound, broken = after(False), after(True)
    assert broken[4]["final_info"]["diverged"].tolist() == [False, True, False]
    assert np.isfinite(broken[0]).all()
    for i in (0, 2):
        np.testing.assert_array_equal(broken[0][i], sound[0][i])
        assert (broken[1][i], broken[2][i]) == (sound[1][i], sound[2][i])


def test_a_motion_brings_its_body(clip: ReferenceMotion) -> None:
    env = ImitationEnv(clip, actuation="excitation")
    assert env.batch.body is clip.body
    assert env.batch.config == ImitationConfig(actuation="excitation")
    env.close()
    env.close()
