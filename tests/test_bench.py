"""The machine's bench measures what it says, and tells hours from the rates that it measured."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from kinesis_neuro.bench.machine_bench import (
    SHOWN,
    BenchConfig,
    Measured,
    bench,
    bench_table,
    busy_elsewhere,
)
from kinesis_neuro.bench.measuring import Sample
from kinesis_neuro.errors import InvalidInputError


def made_up(rates: dict[str, list[float]], cores: float = 1.0) -> Measured:
    measured = Measured("legs", "mujoco", 1, memory=20480)
    for name, values in rates.items():
        for rate in values:
            measured.samples.add(name, Sample(rate, cores))
    return measured


def shown(table: object, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


def test_table_and_hours_follow_from_the_samples() -> None:
    # The machine slows down threefold in the last turn; shares within a turn do not.
    one = made_up(
        {
            "raw limit": [2000.0, 2200.0, 700.0],
            "environment": [1600.0, 1760.0, 560.0],
            "training": [1000.0, 1100.0, 350.0],
        }
    )
    assert one.hours(3_600_000) == pytest.approx(1.0)
    text = shown(bench_table([one], 3_600_000), 80)
    row = next(line for line in text.splitlines() if "mujoco" in line)
    assert row.split() == [
        *("legs", "mujoco", "1", "10,000", "2,000", "1,600", "1,000", "80", "50", "20", "1.00")
    ]
    assert not busy_elsewhere([one])
    assert busy_elsewhere([made_up({"raw limit": [100.0]}, cores=0.6)])


def test_bench_measures_this_machine(tmp_path: Path) -> None:
    config = BenchConfig(
        actuation="excitation",
        n_envs=4,
        threads=(1,),
        seconds=0.01,
        repetitions=1,
        json=str(tmp_path / "bench.json"),
    )
    (one,) = bench(config, progress=False)
    rates = {name: one.samples.rate(name) for name in SHOWN}
    assert all(0.0 < rate < 1e7 for rate in rates.values())
    assert 0 < one.memory < 2e6
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert kept["measured"][0]["control_steps_per_second"]["training"] == [rates["training"]]
    assert kept["machine"]["cores"] >= 1


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"Unknown body 'leg'. Available: full, legs"):
        BenchConfig(bodies=("leg",))
    with pytest.raises(InvalidInputError, match="Unknown backend 'jax'"):
        BenchConfig(backends=("jax",))
    with pytest.raises(InvalidInputError, match="n_envs must be at least 1"):
        BenchConfig(n_envs=0)
    with pytest.raises(InvalidInputError, match="seconds must be positive"):
        BenchConfig(seconds=0.0)
    with pytest.raises(InvalidInputError, match="threads must be at least 1"):
        BenchConfig(threads=(0,))
