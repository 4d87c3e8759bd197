"""Memory: the estimate against what is taken, and the refusal."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig
from kinesis_neuro.learn.memory import (
    MemoryEstimate,
    check_memory,
    estimate_memory,
    free_memory,
)
from kinesis_neuro.learn.trainer import Trainer
from kinesis_neuro.motion.library import load_motion

ROOT = Path(__file__).resolve().parents[2]

# Peaks of resident memory for batches of one size and of another, in one process.
MEASURE = """
import sys
from pathlib import Path
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.learn.config import PPOConfig, TrainConfig
from kinesis_neuro.learn.trainer import Trainer
for n_envs in (64, 2048):
    config = TrainConfig(
        body="legs26", n_envs=n_envs, n_threads=1, ppo=PPOConfig(horizon=4, epochs=1),
        task=ImitationConfig(actuation="excitation"),
    )
    trainer = Trainer(config, Path(sys.argv[1]))
    trainer.iterate()
    trainer.collector.close()
    status = Path("/proc/self/status").read_text().split()
    print(1024 * int(status[status.index("VmHWM:") + 1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
def test_the_estimate_is_near_what_is_taken(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    small, large = map(int, done.stdout.split())
    task = ImitationConfig(actuation="excitation")
    config = TrainConfig(body="legs26", task=task)
    probe = ImitationEnv([load_motion("walk", "legs26")], task, n_threads=1)
    estimate = estimate_memory(probe, config)
    probe.close()
    taken, expected = large - small, (2048 - 64) * estimate.each(4)
    assert 0.5 < taken / expected < 1.2
    assert 0.5 < small / estimate.total(64, 4) < 1.5


def test_more_environments_than_memory_are_refused_before_it_is_taken(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    config = TrainConfig(
        body="legs26",
        task=ImitationConfig(actuation="excitation"),
        network=NetworkConfig(actor=(8,), critic=(8,)),
        ppo=PPOConfig(horizon=4),
        n_envs=1_000_000_000,
        n_threads=1,
    )
    with pytest.raises(InvalidInputError, match=r"1000000000 environments .* GB are free. Take"):
        Trainer(config, tmp_path)
    torch.set_num_threads(threads)


def test_as_many_as_are_said_to_fit_do() -> None:
    estimate = MemoryEstimate(fixed=1e9, environment=15e3, sample=1e4)
    with pytest.raises(InvalidInputError) as caught:
        check_memory(estimate, 100_000, 24, free=16e9)
    fitting = int(str(caught.value).split("at most ")[1].split()[0])
    check_memory(estimate, fitting, 24, free=16e9)
    with pytest.raises(InvalidInputError, match=f"at most {fitting} "):
        check_memory(estimate, fitting + 1, 24, free=16e9)
    with pytest.raises(InvalidInputError, match="at most 0 "):
        check_memory(dataclasses.replace(estimate, fixed=1e12), 1, 24, free=16e9)


def test_learners_on_one_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = free_memory()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert free_memory() == pytest.approx(alone / 4, rel=0.3)
    assert alone > 0
