"""Draws of a long simulation, kept one by one, so that a run can be stopped and taken up again."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Draw = dict[str, Any]


def folder() -> Path:
    """Where draws are kept; git ignores it."""
    return Path(os.environ.get("KINESIS_NEURO_BENCHMARK", "runs/benchmarks"))


def drawn(name: str, n: int, function: Callable[[int], Draw], every: int = 20) -> list[Draw]:
    """Results of ``function(seed)`` for seeds 0 .. n - 1; those already kept are read, not made.

    One line of JSON a draw in ``runs/benchmarks/NAME.jsonl``. A line that a stop cut short is made
    again. Delete the file after a change of what is measured.
    """
    path = folder() / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept: dict[int, Draw] = {}
    text = path.read_text() if path.exists() else ""
    for line in text.splitlines():
        try:
            draw = json.loads(line)
        except json.JSONDecodeError:
            continue
        kept[int(draw["seed"])] = draw
    with path.open("a") as file:
        file.write("" if text.endswith("\n") or not text else "\n")
        for seed in range(n):
            if seed in kept:
                continue
            kept[seed] = {"seed": seed, **function(seed)}
            file.write(json.dumps(kept[seed]) + "\n")
            file.flush()
            if seed % every == every - 1:
                print(f"{name}: {seed + 1} of {n}", file=sys.stderr, flush=True)
    return [kept[seed] for seed in range(n)]
