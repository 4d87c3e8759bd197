"""Put a trained policy among those that the library ships, with how it was made and its scores.

python scripts/ship_policy.py runs/NAME SHIPPED_NAME [--recording wang2023/walk36]
python scripts/ship_policy.py runs/NAME SHIPPED_NAME --n-episodes 200 --duration 20
python scripts/ship_policy.py runs/NAME SHIPPED_NAME --library LIB --keys train.txt test.txt

A policy is mostly trained in stages, each run starting from the last one's checkpoint. Their
configurations name each other, so that the whole chain is found here: the commands that trained
it, and the learning curve of every stage.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

import pandas as pd

from kinesis_neuro.evaluate import evaluate
from kinesis_neuro.evaluate_goal import evaluate_goal
from kinesis_neuro.evaluate_library import evaluate_library, skill_table, table_text
from kinesis_neuro.formats.atomic import atomic_directory
from kinesis_neuro.learn.checkpoint import load_policy, write_policy_files
from kinesis_neuro.learn.config import DistillConfig, TrainConfig, to_dict
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.learn.recipes import RECIPES
from kinesis_neuro.motion.splits import read_keys

POLICIES = Path(__file__).resolve().parents[1] / "data" / "policies"
CURVE = ("steps", "minutes", "survival", "error_mm", "reward", "error", "teacher_share")
N_POINTS = 100  # of a stage


def stages(run: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Runs that led to this one, the first one first, with their configurations."""
    config = json.loads((run / "checkpoint" / "policy.json").read_text())["training"]["config"]
    one = config.get("initial_policy") or config.get("teacher")
    sources = config.get("experts") or config.get("teachers") or ([one] if one else [])
    earlier: dict[Path, dict[str, Any]] = {}
    for source in sources:
        # Experts descend from each other: each is named once.
        earlier |= {k: v for k, v in stages(Path(source).parent) if k not in earlier}
    return [*earlier.items(), (run, config)]


def command(config: dict[str, Any]) -> str:
    """The command line of a stage: what differs from the defaults."""
    kind = config.get("task", {}).get("goal", {}).get("kind", "")
    name, default = (
        ("distill", DistillConfig())
        if "teacher" in config
        else (f"train {kind}", RECIPES[kind]())
        if kind
        else ("train", TrainConfig())
    )
    words = ["kinesis-neuro", name]
    for key, value in _differences(config, json.loads(json.dumps(to_dict(default)))):
        option = "--" + key.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else _negated(option))
        else:
            words += [option, *_words(value)]
    return " ".join(words)


def _words(value: Any) -> list[str]:
    """A value as words of a command line; lists within lists one after the other."""
    if isinstance(value, list):
        return [word for part in value for word in _words(part)]
    return [shlex.quote(str(value))]


def _differences(config: dict[str, Any], default: dict[str, Any], prefix: str = "") -> list:
    found = []
    for key, value in config.items():
        if isinstance(value, dict):
            found += _differences(value, default[key], f"{prefix}{key}.")
        elif value != default[key]:
            found.append((prefix + key, value))
    return found


def _negated(option: str) -> str:
    head, dot, tail = option.rpartition(".")
    return f"{head}.no-{tail}" if dot else f"--no-{option[2:]}"


def write_curve(path: Path, chain: list[tuple[Path, dict[str, Any]]]) -> None:
    """The stages' logs, thinned, one under the other."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["stage", *CURVE])
        for run, _ in chain:
            rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
            for row in rows[:: max(1, len(rows) // N_POINTS)]:
                cells = [f"{row[c]:.6g}" if c in row else "" for c in CURVE]
                writer.writerow([run.name, *cells])


def library_scores(policy: Policy, library: str, keys: list[Path]) -> pd.DataFrame:
    """Scores by split, skill and protocol, each clip followed from its start to its end."""
    splits = {path.stem: read_keys(path) for path in keys}
    return skill_table(evaluate_library(policy, library, splits))


def main() -> None:
    """Load, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--recording", default="", help="second motion to score on")
    parser.add_argument("--n-episodes", type=int, default=100, help="of a task with a goal")
    parser.add_argument("--duration", type=float, default=10.0, help="of these [s]")
    parser.add_argument("--library", default="", help="motion library to score on")
    parser.add_argument("--keys", type=Path, nargs="+", default=[], help="its splits")
    arguments = parser.parse_args()
    policy, chain = load_policy(arguments.run / "checkpoint"), stages(arguments.run)
    training = dict(policy.about.training) | {"commands": [command(c) for _, c in chain]}
    policy.about = dataclasses.replace(policy.about, name=arguments.name, training=training)
    motions = [arguments.recording] if arguments.recording else []
    if "walk" in policy.about.motions or not arguments.library:
        motions.insert(0, "walk")
    goal = policy.about.task.get("goal", {}).get("kind", "")
    if goal:
        asked = {"n_episodes": arguments.n_episodes, "duration": arguments.duration}
        scores = {goal: json.loads(evaluate_goal(policy, **asked).attrs["summary"])}
    else:
        scores = {m: json.loads(evaluate(policy, m).attrs["summary"]) for m in motions}
    with atomic_directory(POLICIES / arguments.name) as folder:
        write_policy_files(policy, folder)
        write_curve(folder / "learning_curve.csv", chain)
        (folder / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")
        if arguments.library:
            table = library_scores(policy, arguments.library, arguments.keys)
            table.round(4).to_csv(folder / "scores_by_skill.csv")
            print(table_text(table))
    for file in (POLICIES / arguments.name).iterdir():
        file.chmod(0o644)  # safetensors writes files that only their owner can read
    print("\n".join(training["commands"]))
    for motion, by_protocol in scores.items():
        if goal:
            print("\n".join(f"{k}: {v['mean']:.3g}" for k, v in by_protocol.items()))
            continue
        for protocol, score in by_protocol.items():
            success, error = score["success"]["mean"], 1e3 * score["mpjpe"]["mean"]
            print(f"{motion}, {protocol}: success {success:.0%}, MPJPE {error:.1f} mm")


if __name__ == "__main__":
    main()
