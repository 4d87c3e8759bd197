"""How well policies walk: on the built-in gait, on the recording, for a minute, and when pushed.

    python benchmarks/evaluation.py walk walk-excitation [--tests gait recording minute push]

Policies are names of shipped ones or folders. ``recording`` needs the folder of recordings that
KINESIS_NEURO_DATA names. No outside force acts on the body in any test but ``push``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinesis_neuro.bench.measuring import machine, write_json
from kinesis_neuro.evaluate import evaluate
from kinesis_neuro.learn.checkpoint import load_policy
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.scores import PROTOCOLS, bootstrap_interval

PUSH_FORCE = 100.0  # [N]
PUSH_DURATION = 0.2  # [s]


@dataclass(frozen=True)
class Following:
    """A test of how well a motion is followed."""

    title: str
    motion: str
    n_starts: int
    duration: float  # [s]
    targets: str


FOLLOWING = {
    "gait": Following(
        "Built-in gait, 10 s from random phases",
        "walk",
        100,
        10.0,
        "`walk`: strict success >= 99 %, MPJPE <= 20 mm; `walk-excitation`: strict success "
        ">= 95 %; mean vertical force within 2 % of body weight",
    ),
    "recording": Following(
        "Recording wang2023/walk36, windows of 10 s",
        "wang2023/walk36",
        100,
        10.0,
        "kinesis success >= 90 %",
    ),
    "minute": Following(
        "One walk of 60 s on the built-in gait", "walk", 1, 60.0, "no fall under kinesis"
    ),
}
PUSH = "push"

# Column heads; metric in the summary of an evaluation, and factor to the column's unit.
_COLUMNS = (
    ("success [%]", "success", 100.0),
    ("survival [s]", "survival_time", 1.0),
    ("frame coverage [%]", "frame_coverage", 100.0),
    ("MPJPE [mm]", "mpjpe", 1e3),
    ("MPJPE, all frames [mm]", "mpjpe_all", 1e3),
)


def cell(mean: float, interval: tuple[float, float], factor: float) -> str:
    """A mean with its interval, where episodes differ at all."""
    low, high = interval
    spread = f" ({factor * low:.1f} to {factor * high:.1f})" if low < high else ""
    return f"{factor * mean:.1f}{spread}"


def follow(policies: dict[str, Policy], test: Following, seed: int) -> tuple[list[str], Any]:
    """Lines of a table with one row a policy and protocol, and the summaries."""
    lines = [
        f"### {test.title}",
        "",
        f"{test.n_starts} start(s). Target: {test.targets}. Means with 95 % bootstrap intervals "
        "over episodes; MPJPE over the frames reached, and over all with missing ones at the "
        "protocol's threshold.",
        "",
        f"| policy | protocol | {' | '.join(head for head, _, _ in _COLUMNS)} | "
        "vertical force [body weights] | diverged |",
        f"|---|---|{'---:|' * len(_COLUMNS)}---:|---:|",
    ]
    summaries = {}
    for name, policy in policies.items():
        result = evaluate(
            policy, test.motion, n_starts=test.n_starts, duration=test.duration, seed=seed
        )
        summary = json.loads(result.attrs["summary"])
        force, diverged = float(result.vertical_force.mean()), int(result.attrs["n_diverged"])
        summaries[name] = summary | {"vertical_force": force, "n_diverged": diverged}
        for protocol in PROTOCOLS:
            metrics = summary[protocol]
            cells = [
                cell(metrics[metric]["mean"], metrics[metric]["interval"], factor)
                for _, metric, factor in _COLUMNS
            ]
            lines.append(
                f"| `{name}` | {protocol} | {' | '.join(cells)} | {force:.3f} | {diverged} |"
            )
    return lines, summaries


def push(policies: dict[str, Policy], n_trials: int, seed: int) -> tuple[list[str], Any]:
    """Lines of a table with the fall rate of each policy, and the rates."""
    # Imported here, so that the other tests run without it.
    from kinesis_neuro.experiment import push_test

    lines = [
        f"### Push of {PUSH_FORCE:g} N for {PUSH_DURATION:g} s at the pelvis",
        "",
        f"{n_trials} pushes from random sides at random phases of the built-in gait.",
        "",
        "| policy | falls [%] |",
        "|---|---:|",
    ]
    rates = {}
    for name, policy in policies.items():
        result = push_test(
            policy,
            "walk",
            force=PUSH_FORCE,
            duration=PUSH_DURATION,
            n_trials=n_trials,
            seed=seed,
        )
        fell = result.fell.values.astype(float)
        interval = bootstrap_interval(fell, np.random.default_rng(seed))
        rates[name] = {"mean": float(fell.mean()), "interval": interval}
        lines.append(f"| `{name}` | {cell(fell.mean(), interval, 100.0)} |")
    return lines, rates


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("policies", nargs="+", help="names of shipped policies, or folders")
    tests = [*FOLLOWING, PUSH]
    parser.add_argument("--tests", nargs="+", choices=tests, default=tests)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pushes", type=int, default=200)
    parser.add_argument("--json", type=Path, help="file for all summaries")
    arguments = parser.parse_args()

    policies = {source: load_policy(source) for source in arguments.policies}
    works: dict[str, Callable[[], tuple[list[str], Any]]] = {
        name: lambda test=test: follow(policies, test, arguments.seed)
        for name, test in FOLLOWING.items()
    }
    works[PUSH] = lambda: push(policies, arguments.pushes, arguments.seed)
    results: dict[str, Any] = {"machine": machine(), "seed": arguments.seed}
    for name in arguments.tests:
        lines, results[name] = works[name]()
        print("\n".join(lines), end="\n\n", flush=True)
    if arguments.json:
        write_json(results, arguments.json)


if __name__ == "__main__":
    main()
