"""What rollout workers on Ray cost against threads, on one machine.

    python benchmarks/workers.py [--workers 4] [--turns 9] [--iterations 2] [--json FILE]

The same training runs twice, with the threads of this process and with workers on a cluster of its
own; both do the same to the last digit, so that only the time differs. They take turns within one
run, so that what slows the machine down for a while slows both; the ratio is the median over turns
of the ratio within a turn. On a busy machine the workers' ratio is of little use: they are more
processes than threads, and get more of a processor that is shared with others.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from kinesis_neuro.bench.measuring import machine, write_json
from kinesis_neuro.env.simulation import default_threads
from kinesis_neuro.learn.config import TrainConfig
from kinesis_neuro.learn.trainer import Trainer

TARGET = 0.15  # of the speed with threads


def timed(trainer: Trainer, iterations: int) -> tuple[float, float]:
    """Control steps a second, and share of the time that went into learning."""
    start, learning = time.perf_counter(), 0.0
    for _ in range(iterations):
        learning += trainer.iterate()["learner_share"] / iterations
    steps = iterations * trainer.config.n_envs * trainer.config.ppo.horizon
    return steps / (time.perf_counter() - start), learning


def spread(values: list[float]) -> str:
    low, middle, high = quantiles(values, n=4)
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--n-envs", type=int, default=128)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    config = TrainConfig(n_envs=arguments.n_envs)
    on_workers = dataclasses.replace(config, workers=arguments.workers)
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        threads = Trainer(config, Path(folder) / "threads")
        workers = Trainer(on_workers, Path(folder) / "workers")
        turns = []
        for turn in range(arguments.turns + 1):
            pair = timed(threads, arguments.iterations), timed(workers, arguments.iterations)
            if turn:  # the first one warms up
                turns.append(pair)
        same = threads.observation.tobytes() == workers.observation.tobytes()
        replaced = workers.collector.report()["workers_replaced"]
        workers.collector.close()
        threads.collector.close()
    ratio = [on_ray[0] / alone[0] for alone, on_ray in turns]
    result = {
        "machine": about,
        "workers": arguments.workers,
        "threads": default_threads(),
        "n_envs": arguments.n_envs,
        "threads_per_second": [alone[0] for alone, _ in turns],
        "workers_per_second": [on_ray[0] for _, on_ray in turns],
        "learner_share_threads": median(alone[1] for alone, _ in turns),
        "learner_share_workers": median(on_ray[1] for _, on_ray in turns),
        "ratio": median(ratio),
        "same_numbers": same,
    }
    print(f"{about['processor']}, {about['cores']} processors, load {about['load_before']:.1f}")
    print(f"threads ({default_threads()}): {median(result['threads_per_second']):,.0f} steps/s")
    print(f"workers ({arguments.workers}): {median(result['workers_per_second']):,.0f} steps/s")
    print(f"ratio, median (quartiles) of {len(ratio)} turns: {spread(ratio)}")
    cost = 1.0 - median(ratio)
    print(
        f"workers cost {100 * cost:.1f} % (aim: below {100 * TARGET:.0f} %); same numbers: {same}"
    )
    if replaced:
        print(f"{replaced:g} workers were replaced on the way: the ratio says nothing.")
    if arguments.json:
        write_json(result, arguments.json)


if __name__ == "__main__":
    main()
