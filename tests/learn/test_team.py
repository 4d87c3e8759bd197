"""Learners that share a batch learn what one alone would: in threads, and in processes."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig
from kinesis_neuro.learn.policy import Policy, PolicyInfo, mlp
from kinesis_neuro.learn.ppo import PPO, Batch
from kinesis_neuro.learn.team import ProcessTeam, Team
from kinesis_neuro.learn.trainer import train

ROOT = Path(__file__).resolve().parents[2]
N_OBSERVATIONS, N_ACTIONS = 4, 3


class Thread(Team):
    """A learner in a thread; what it says goes round through a list."""

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, said: list[Any]) -> None:
        self.rank, self.size, self._barrier, self._said = rank, size, barrier, said

    def together(self, value: Any) -> list[Any]:
        self._said[self.rank] = value
        self._barrier.wait(60)
        everything = list(self._said)
        self._barrier.wait(60)
        return everything

    def total(self, values: torch.Tensor) -> torch.Tensor:
        return torch.stack(self.together(values.detach().clone())).sum(dim=0)

    add_gradients = ProcessTeam.add_gradients


def make_ppo(team: Team | None = None, **options: Any) -> PPO:
    about = PolicyInfo("test", "legs", {}, {}, {"all": N_OBSERVATIONS}, ("a",) * N_ACTIONS)
    network = NetworkConfig(actor=(16,), critic=(16,))
    generator = torch.Generator().manual_seed(0)
    policy = Policy(N_OBSERVATIONS, N_ACTIONS, network, about, generator)
    critic = mlp(N_OBSERVATIONS, (16,), 1, 1.0, generator)
    config = PPOConfig(**{"minibatch": 16, "epochs": 3, "entropy_weight": 0.01} | options)
    return PPO(policy, critic, config, 0, team=team)


def make_batch(n_envs: int = 7, horizon: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(horizon, n_envs, *shape, generator=generator)

    valid = draw() < 1.5
    valid[:, 2] = False  # all of one environment
    return Batch(
        observation=draw(N_OBSERVATIONS),
        mean=0.1 * draw(N_ACTIONS),
        action=draw(N_ACTIONS),
        log_prob=draw() - 3.0,
        value=draw(),
        reward=draw(),
        done=(draw() > 0.8) | ~valid,
        valid=valid,
        last_value=draw()[0],
    )


def of(batch: Batch, envs: slice) -> Batch:
    parts = {f.name: getattr(batch, f.name)[:, envs] for f in dataclasses.fields(batch)[:-1]}
    return Batch(**parts, last_value=batch.last_value[envs])


@pytest.mark.parametrize("size", [2, 3, 7])
def test_the_number_of_learners_changes_nothing(size: int) -> None:
    """Also where one learner has nothing sound at all, as one of seven here."""
    batch, alone = make_batch(), make_ppo()
    expected = alone.update(batch)
    barrier, said = threading.Barrier(size), [None] * size

    def learn(rank: int) -> tuple[dict[str, float], PPO]:
        ppo = make_ppo(Thread(rank, size, barrier, said))
        return ppo.update(of(batch, ppo.team.share(7))), ppo

    with ThreadPoolExecutor(size) as threads:
        results = list(threads.map(learn, range(size)))
    for measured, ppo in results:
        assert measured == pytest.approx(expected, rel=1e-5, abs=1e-6)
        for mine, theirs in ((ppo.policy, alone.policy), (ppo.critic, alone.critic)):
            for name, value in theirs.state_dict().items():
                torch.testing.assert_close(mine.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    moved = alone.policy.actor[0].weight - make_ppo().policy.actor[0].weight
    assert float(moved.detach().abs().max()) > 1e-4


def test_statistics_are_those_of_all_observations() -> None:
    values = torch.randn(60, N_OBSERVATIONS, generator=torch.Generator().manual_seed(1))
    barrier, said = threading.Barrier(3), [None] * 3

    def count(rank: int) -> Any:
        team = Thread(rank, 3, barrier, said)
        policy = make_ppo().policy
        policy.normalizer.merge(team.moments(values[team.share(60)]))
        return policy.normalizer

    with ThreadPoolExecutor(3) as threads:
        for one in threads.map(count, range(3)):
            torch.testing.assert_close(one.mean, values.double().mean(dim=0))
            expected = values.double().var(dim=0, unbiased=False)
            torch.testing.assert_close(one.variance, expected)


def test_environments_are_shared_out_whole() -> None:
    teams = [Thread(rank, 5, threading.Barrier(5), []) for rank in range(5)]
    shares = [np.arange(12)[team.share(12)] for team in teams]
    np.testing.assert_array_equal(np.concatenate(shares), np.arange(12))
    assert {len(share) for share in shares} == {2, 3}
    with pytest.raises(InvalidInputError, match="5 learners cannot share 4 environments"):
        teams[0].share(4)


TINY = TrainConfig(
    name="tiny",
    body="legs26",
    task=ImitationConfig(actuation="excitation", duration=0.2, hard_motions=0.5),
    network=NetworkConfig(actor=(8,), critic=(8,), squash=True),
    ppo=PPOConfig(horizon=4, minibatch=6, epochs=2),
    n_envs=5,
    n_threads=1,
    total_steps=60,
)
OPTIONS = (
    "--name tiny --body legs26 --n-envs 5 --n-threads 1 --task.actuation excitation "
    "--task.duration 0.2 --task.hard-motions 0.5 --network.actor 8 --network.critic 8 "
    "--network.squash --ppo.horizon 4 --ppo.minibatch 6 --ppo.epochs 2"
)


@pytest.fixture
def torchrun(tmp_path: Path) -> Callable[[str], None]:
    """The command of the manual, in a folder of its own."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def run(more: str) -> None:
        command = [*launcher, "--nproc-per-node", "2", "-m", "kinesis_neuro.cli", "train"]
        done = subprocess.run(
            [*command, *OPTIONS.split(), *more.split()],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    return run


@pytest.mark.slow
def test_two_processes_learn_what_one_does(torchrun: Callable[[str], None], tmp_path: Path) -> None:
    """Through gloo; and one goes on where two had stopped."""
    torchrun("--total-steps 40")
    threads = torch.get_num_threads()
    train(TINY, folder=tmp_path / "alone", progress=False)
    train(TINY, folder=tmp_path / "runs" / "tiny", progress=False)
    torch.set_num_threads(threads)
    for file in ("policy.safetensors", "trainer.safetensors"):
        one, two = (
            load_file(tmp_path / run / "checkpoint" / file) for run in ("alone", "runs/tiny")
        )
        assert one.keys() == two.keys()
        for name, value in one.items():
            assert two[name].shape == value.shape
            if not value.numel():  # what only some tasks fill
                continue
            # Accelerations are in the thousands, and most of them small beside the largest.
            scale = max(1.0, float(value.double().abs().max()))
            error = float((two[name].double() - value.double()).abs().max())
            assert error <= 1e-5 * scale, name
    assert float(one["env.motion_failure"][0]) != 0.5
