"""Workers on Ray: the same numbers as without them, also when some die; and what is refused."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.errors import ClusterError, IncompatibleError, InvalidInputError
from kinesis_neuro.learn.cluster import collector as module
from kinesis_neuro.learn.cluster.collector import RayCollector
from kinesis_neuro.learn.cluster.connection import check_address, connect, find_cluster
from kinesis_neuro.learn.cluster.worker import check_versions, versions
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig
from kinesis_neuro.learn.trainer import Trainer

pytest.importorskip("ray", reason="Ray is not installed: pip install 'kinesis-neuro[cluster]'")

TINY = TrainConfig(
    name="tiny",
    body="legs26",
    task=ImitationConfig(actuation="excitation", duration=0.2, hard_motions=0.5),
    network=NetworkConfig(actor=(8,), critic=(8,), squash=True),
    ppo=PPOConfig(horizon=6, minibatch=6, epochs=2),
    n_envs=5,
    n_threads=1,
    seed=3,
)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Two workers of a cluster on this machine; other than our own warnings are Ray's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray, own = connect("", 2)
        assert own
        yield
        ray.shutdown()


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[Callable[..., Trainer]]:
    made, threads = [], torch.get_num_threads()

    def make(name: str, **options: object) -> Trainer:
        made.append(Trainer(dataclasses.replace(TINY, **options), tmp_path / name))
        return made[-1]

    yield make
    for one in made:
        one.collector.close()
    torch.set_num_threads(threads)


def assert_same(one: Trainer, other: Trainer) -> None:
    pairs = [(one.policy, other.policy), (one.critic, other.critic)]
    for mine, theirs in pairs:
        for name, value in mine.state_dict().items():
            torch.testing.assert_close(theirs.state_dict()[name], value, rtol=0, atol=1e-6)
    state = other.env.state_arrays()
    for name, value in one.env.state_arrays().items():
        torch.testing.assert_close(
            torch.from_numpy(state[name]), torch.from_numpy(value), rtol=0, atol=1e-6
        )


@pytest.mark.slow
def test_workers_learn_what_threads_do_also_when_they_die(
    trainer: Callable[..., Trainer],
) -> None:
    threads, workers = trainer("threads"), trainer("workers", workers=2)
    collector = workers.collector
    assert isinstance(collector, RayCollector)
    rows = []

    def iterate() -> None:
        rows.append((threads.iterate(), workers.iterate()))

    iterate()
    assert_same(threads, workers)
    first = collector.processes
    assert len(set(first)) == 2 and os.getpid() not in first

    # It cannot finish what it is given, and dies over it.
    os.kill(first[0], signal.SIGSTOP)
    threading.Timer(0.5, os.kill, (first[0], signal.SIGKILL)).start()
    iterate()
    assert collector.replaced == 1
    assert_same(threads, workers)

    # This one does not die, it says nothing any more.
    while 0 in collector.processes:
        iterate()
    silent = collector.processes[1]
    collector.patience, collector._slowest = 1.0, 0.1
    os.kill(silent, signal.SIGSTOP)
    iterate()
    collector.patience = 60.0
    assert collector.replaced >= 2
    assert silent not in collector.processes
    os.kill(silent, signal.SIGKILL)
    iterate()
    assert_same(threads, workers)
    for one, other in rows:
        for name in ("reward", "survival", "episodes", "kl", "value_loss"):
            assert one.get(name) == pytest.approx(other.get(name), rel=1e-6, abs=1e-9)
    assert rows[-1][1]["workers_replaced"] == collector.replaced
    assert sum(row[0].get("episodes", 0) for row in rows) > 5


@pytest.mark.slow
def test_workers_of_another_version_are_refused(
    trainer: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    true = versions()
    monkeypatch.setattr(module, "versions", lambda: true | {"mujoco": "0.1"})
    with pytest.raises(IncompatibleError, match=rf"mujoco {true['mujoco']} \(head: 0\.1\)"):
        trainer("other", workers=1)


def test_versions_cover_the_source() -> None:
    mine = versions()
    check_versions(mine, dict(mine), "here")
    for name in ("python", "mujoco", "torch", "kinesis-neuro source"):
        with pytest.raises(IncompatibleError, match=f"worker on there .* {name} other"):
            check_versions(mine, mine | {name: "other"}, "there")
    with pytest.raises(IncompatibleError, match="numpy none"):
        check_versions(mine, {k: v for k, v in mine.items() if k != "numpy"}, "there")


def test_an_address_where_nothing_answers_is_refused_at_once() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(ClusterError, match=f"No cluster answers at {address} .*ray start"):
            check_address(address)
    assert time.monotonic() - start < 8.0
    for wrong in ("head", "head:", ":6379", "ray://head:10001", "head:port"):
        with pytest.raises(InvalidInputError, match=r"Give HOST:PORT .* or auto"):
            check_address(wrong)


def test_what_answers_must_be_a_head() -> None:
    import ray

    check_address(ray.get_runtime_context().gcs_address)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()

        def answer() -> None:
            with bound.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        other = threading.Thread(target=answer)
        other.start()
        with pytest.raises(ClusterError, match="no head of a Ray cluster"):
            check_address(f"127.0.0.1:{bound.getsockname()[1]}")
        other.join()


def test_a_cluster_that_is_gone_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ray's note of where it was outlives it."""
    import ray

    alive = ray.get_runtime_context().gcs_address
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert find_cluster("auto") == "auto"
    note = tmp_path / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    note.write_text(f"{alive}\n")
    assert find_cluster("auto") == alive
    note.write_text("127.0.0.1:1\n")
    with pytest.raises(ClusterError, match=r"No cluster answers at 127\.0\.0\.1:1 "):
        find_cluster("auto")
    monkeypatch.setenv("RAY_ADDRESS", alive)
    assert find_cluster("auto") == alive


def test_more_workers_than_there_is_room_for_are_refused(
    trainer: Callable[..., Trainer],
) -> None:
    with pytest.raises(ClusterError, match=r"3 workers .* need 3 processors.* cluster has 2\."):
        trainer("many", workers=3)
    with pytest.raises(InvalidInputError, match="6 workers cannot share 5 environments"):
        trainer("more", workers=6)
    with pytest.raises(InvalidInputError, match="say how many"):
        dataclasses.replace(TINY, address="auto")
