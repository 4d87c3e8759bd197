"""Put a trained policy among those that the library ships, with its learning curve and scores.

python scripts/ship_policy.py runs/NAME SHIPPED_NAME [--command "what trained it"]
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
from pathlib import Path

from kinesis_neuro.evaluate import evaluate
from kinesis_neuro.formats.atomic import atomic_directory
from kinesis_neuro.learn.checkpoint import load_policy, write_policy_files

POLICIES = Path(__file__).resolve().parents[1] / "data" / "policies"
CURVE = ("steps", "minutes", "survival", "error_mm", "reward", "error", "teacher_share")
N_POINTS = 100


def main() -> None:
    """Load, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--command", default="")
    arguments = parser.parse_args()
    policy = load_policy(arguments.run / "checkpoint")
    training = dict(policy.about.training) | {"command": arguments.command}
    policy.about = dataclasses.replace(policy.about, name=arguments.name, training=training)
    rows = [json.loads(line) for line in (arguments.run / "log.jsonl").read_text().splitlines()]
    scores = json.loads(evaluate(policy, "walk").attrs["summary"])
    with atomic_directory(POLICIES / arguments.name) as folder:
        write_policy_files(policy, folder)
        columns = [c for c in CURVE if c in rows[-1]]
        with (folder / "learning_curve.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for row in rows[:: max(1, len(rows) // N_POINTS)]:
                writer.writerow([f"{row[c]:.6g}" if c in row else "" for c in columns])
        (folder / "scores.json").write_text(json.dumps({"walk": scores}, indent=1) + "\n")
    for file in (POLICIES / arguments.name).iterdir():
        file.chmod(0o644)  # safetensors writes files that only their owner can read
    print(json.dumps(scores["strict"]["success"]), json.dumps(scores["strict"]["mpjpe"]))


if __name__ == "__main__":
    main()
