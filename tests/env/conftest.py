"""Motions, tables and environments that the tests of the task share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kinesis_neuro.body.actuation import BY_JOINT
from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion


@pytest.fixture(scope="session")
def legs() -> Body:
    return load_body("legs")


@pytest.fixture(scope="session")
def walk() -> ReferenceMotion:
    return load_motion("walk")


@pytest.fixture(scope="session")
def clip(walk: ReferenceMotion) -> ReferenceMotion:
    """One second that ends."""
    return walk.loop(2).slice(0.2, 1.2)


@pytest.fixture(scope="session")
def table(walk: ReferenceMotion) -> ReferenceTable:
    """With everything in it: static optimisation and moment matrices."""
    return ReferenceTable.build([walk], actuation="moment")


@pytest.fixture(scope="session")
def table_for(table: ReferenceTable) -> Callable[[str], ReferenceTable]:
    """The same rows with what an actuation needs, and nothing that it does not."""

    def choose(actuation: str) -> ReferenceTable:
        if actuation in BY_JOINT:
            return table
        return replace(
            table,
            moment_matrix=None,
            feedforward=table.feedforward if actuation == "tracking" else None,
        )

    return choose


@pytest.fixture(scope="session")
def plain_table(walk: ReferenceMotion, clip: ReferenceMotion) -> ReferenceTable:
    """Kinematics of two motions, one periodic and one that ends."""
    return ReferenceTable.build([walk, clip], actuation="excitation")


@pytest.fixture
def make_env() -> Iterator[Callable[..., ImitationEnv]]:
    """Make environments on a table; their threads are stopped afterwards."""
    made = []

    def make(
        table: ReferenceTable,
        n_envs: int,
        *,
        n_threads: int = 1,
        auto_reset: bool = False,
        seed: int = 0,
        **config: object,
    ) -> ImitationEnv:
        env = ImitationEnv(
            table.motions,
            ImitationConfig(**config),
            n_envs=n_envs,
            n_threads=n_threads,
            auto_reset=auto_reset,
            seed=seed,
            table=table,
        )
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own: MuJoCo logs every diverged step to a file where it runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def actions() -> Callable[..., np.ndarray]:
    """Actions that depend on the environment's index and the step, and not on the batch."""

    def draw(env: ImitationEnv, step: int, size: float = 0.3) -> np.ndarray:
        n = len(env.action_channels)
        return np.stack(
            [np.random.default_rng([i, step]).uniform(-size, size, n) for i in range(env.n_envs)]
        )

    return draw


@pytest.fixture
def spread() -> Callable[[ImitationEnv], np.ndarray]:
    """Start all environments at frames spread over the first motion; same frame for same index."""

    def start(env: ImitationEnv) -> np.ndarray:
        index = np.arange(env.n_envs)
        frame = (37 * index) % env.table.length[0]
        return env.reset(index, motion=np.zeros(env.n_envs, dtype=np.intp), frame=frame)

    return start
