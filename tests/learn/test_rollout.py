"""Rollouts in parts: whoever makes them, they come out the same as in one piece."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.body.models import load_body
from kinesis_neuro.env import parts
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.streams import Streams
from kinesis_neuro.learn.cluster.worker import Assignment, Piece, Worker, weights_of
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig
from kinesis_neuro.learn.policy import Policy, PolicyInfo, mlp
from kinesis_neuro.learn.ppo import PPO
from kinesis_neuro.learn.rollout import Collector, Fragment, _decide, join
from kinesis_neuro.motion.library import load_motion

N_ENVS = 7


@pytest.fixture(scope="module")
def table() -> ReferenceTable:
    """Half a second that ends: episodes fail, and run out of time."""
    load_body("legs26")
    walk = load_motion("walk", "legs26")
    clips = [walk, walk.slice(0.2, 0.7)]
    return ReferenceTable.build(clips, actuation="excitation")


@pytest.fixture
def make_env(table: ReferenceTable) -> Any:
    made = []

    def make(task: ImitationConfig, n_envs: int = N_ENVS) -> ImitationEnv:
        streams = Streams(4, n_envs)
        env = ImitationEnv(
            table.motions, task, n_envs=n_envs, n_threads=1, table=table, streams=streams
        )
        env.starts.deferred = True
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()


def make_ppo(env: ImitationEnv) -> PPO:
    width, n = len(env.action_channels), env.n_observations
    about = PolicyInfo("test", "legs26", {}, {}, {"all": n}, env.action_channels)
    network = NetworkConfig(actor=(16,), critic=(16,), squash=True)
    generator = torch.Generator().manual_seed(0)
    policy = Policy(n, width, network, about, generator)
    return PPO(policy, mlp(n, (16,), 1, 1.0, generator), PPOConfig(horizon=10), 0)


TASKS = {
    "plain": ImitationConfig(actuation="excitation", duration=0.2),
    "hard": ImitationConfig(
        actuation="excitation", duration=0.2, hard_starts=0.5, hard_motions=0.5
    ),
    # Noise is drawn in every physics step, and what is late is on its way.
    "noisy": ImitationConfig(
        actuation="excitation", duration=0.2, condition=MuscleCondition(noise=0.2, delay=0.02)
    ),
}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
@pytest.mark.parametrize("n_workers", [1, 2, 7])
def test_fragments_are_the_same_whatever_the_number_of_workers(
    make_env: Any, table: ReferenceTable, task: ImitationConfig, n_workers: int
) -> None:
    whole, parted = make_env(task), make_env(task)
    ppo = make_ppo(whole)
    assignment = Assignment(
        task, table.motions, table, whole.starts.motion_weight, ppo.policy, 4, 1
    )
    observations = whole.reset(), parted.reset()
    edges = [N_ENVS * k // n_workers for k in range(n_workers + 1)]
    rows = [slice(a, b) for a, b in pairwise(edges)]
    for _ in range(2):
        white = ppo.white(N_ENVS)
        expected = Collector(whole).collect(ppo.policy, observations[0], white)
        state, made = parted.state_arrays(), []
        for part in rows:
            # A worker that has never been there before, as after a loss.
            piece = Piece(parts.part(state, part), observations[1][part], white[:, part].numpy())
            made.append(Worker(assignment).make(weights_of(ppo.policy), piece))
        found = join([fragment for fragment, _, _ in made])
        for name, value in vars(expected).items():
            if name != "outcome":
                np.testing.assert_allclose(getattr(found, name), value, rtol=0, atol=1e-6)
        parted.set_state_arrays(parts.together([state for _, state, _ in made]))
        for _, _, tally in made:
            parted.starts.add(tally)
        whole.starts.settle(), parted.starts.settle()
        for name, value in whole.state_arrays().items():
            np.testing.assert_allclose(parted.state_arrays()[name], value, atol=1e-6)
        observations = expected.observation[-1], found.observation[-1]
        ppo.update(ppo.digest(found)[0])
    assert expected.truncated.any()
    assert expected.ended.any(axis=0).all()
    if task.hard_motions:
        assert (whole.starts.motion_failure != 0.5).any()


def test_decisions_are_the_same_in_threads_and_in_parts() -> None:
    about = PolicyInfo("test", "legs26", {}, {}, {"all": 5}, ("a", "b", "c"))
    generator = torch.Generator().manual_seed(0)
    policy = Policy(5, 3, NetworkConfig(actor=(16,)), about, generator)
    n = 200
    seen = np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)
    white = policy.noise().white((n, 3), generator)
    with torch.no_grad(), ThreadPoolExecutor(3) as threads:
        whole = _decide(policy, seen, white, map)
        aside = _decide(policy, seen, white, threads.map)
        part = _decide(policy, seen[70:130], white[70:130], map)
        torch.testing.assert_close(whole[1], policy.mean(policy.prepare(torch.from_numpy(seen))))
    for one, two, three in zip(whole, aside, part, strict=True):
        assert torch.equal(one, two)
        torch.testing.assert_close(three, one[70:130], rtol=0, atol=1e-6)


def test_what_ended_is_sorted_by_time_and_environment() -> None:
    """Fragments of parts against parts of a fragment."""
    rng, horizon, n = np.random.default_rng(0), 5, 6
    shape = (horizon, n)
    truncated = rng.random(shape) < 0.3
    terminated = ~truncated & (rng.random(shape) < 0.3)
    ended = terminated | truncated
    number = np.arange(horizon * n, dtype=float).reshape(shape)

    def made(envs: slice) -> Fragment:
        other = np.zeros((horizon, n, 1), dtype=np.float32)[:, envs]
        columns = dict.fromkeys(("observation", "beside", "mean", "choice"), other)
        scalars = dict.fromkeys(("reward", "episode_time", "distance"), number[:, envs])
        own = {"terminated": terminated[:, envs], "truncated": truncated[:, envs]}
        return Fragment(
            **columns,
            **scalars,
            **own,
            diverged=own["terminated"],
            final=number[:, envs][own["truncated"]][:, None].astype(np.float32),
            outcome={"success": number[:, envs][ended[:, envs]]},
        )

    whole, joined = (
        made(slice(None)),
        join([made(slice(0, 1)), made(slice(1, 4)), made(slice(4, 6))]),
    )
    for field in dataclasses.fields(Fragment)[:-1]:
        np.testing.assert_array_equal(getattr(joined, field.name), getattr(whole, field.name))
    np.testing.assert_array_equal(joined.outcome["success"], whole.outcome["success"])


def test_parts_of_a_state_make_the_whole(make_env: Any) -> None:
    env = make_env(TASKS["noisy"])
    env.n_diverged = 3
    state = env.state_arrays()
    again = parts.together([parts.part(state, rows) for rows in (slice(0, 3), slice(3, 7))])
    assert again.keys() == state.keys()
    assert "late" in state
    for name, value in state.items():
        np.testing.assert_array_equal(again[name], value)
