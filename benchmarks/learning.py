"""How long a body takes to learn to walk, from nothing.

    python benchmarks/learning.py --seed 0 --minutes 20 --out runs/learning
    python benchmarks/learning.py --log runs/walk/log.jsonl --out runs/learning-of-walk

The first trains with the library's default configuration until the exploring policy survives 9 s on
average under the strict rule; the second reads the logs of earlier runs. Both print steps and
minutes to 1, 3, 6 and 9 s, and write ``learning.png`` and ``learning.json``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kinesis_neuro.bench.measuring import machine, write_json
from kinesis_neuro.learn.config import TrainConfig, to_dict
from kinesis_neuro.learn.trainer import Trainer
from kinesis_neuro.plot.style import COLORS, WIDTH, figure_style, save_figure

FloatArray = NDArray[np.float64]
Row = dict[str, float]

LEVELS = (1.0, 3.0, 6.0, 9.0)  # mean survival [s]
# Iterations over which survival is averaged: 20 s of the default task, two of its full episodes.
# Over less, short episodes would be counted before the long ones that began with them had ended.
WINDOW = 25
REPORT_EVERY = 25  # iterations


@dataclass(frozen=True)
class Curve:
    """Course of a training run: one entry an iteration.

    ``survival`` [s] and ``error`` [mm] are means of the exploring policy over the last WINDOW
    iterations, survival over all episodes that ended in them.
    """

    name: str
    minutes: FloatArray
    steps: FloatArray
    survival: FloatArray
    error: FloatArray

    @classmethod
    def from_rows(cls, name: str, rows: list[Row]) -> Curve:
        minutes, steps, error, episodes, survival = (
            np.array([row.get(key, 0.0) for row in rows])
            for key in ("minutes", "steps", "error_mm", "episodes", "survival")
        )
        # A row in which no episode ended has no survival, and no weight either.
        ended = trailing_sum(episodes)
        total = trailing_sum(survival * episodes)
        return cls(
            name=name,
            minutes=minutes,
            steps=steps,
            survival=np.where(ended > 0, total / np.maximum(ended, 1), np.nan),
            error=trailing_sum(error) / np.minimum(np.arange(len(rows)) + 1, WINDOW),
        )

    def reached(self, level: float) -> tuple[int, float] | None:
        """Control steps and minutes to a mean survival [s], or None."""
        above = np.flatnonzero(self.survival >= level)
        return (int(self.steps[above[0]]), float(self.minutes[above[0]])) if above.size else None


def trailing_sum(values: FloatArray) -> FloatArray:
    """Sum over the last WINDOW entries, over fewer at the start."""
    total = np.cumsum(values)
    total[WINDOW:] -= total[:-WINDOW].copy()
    return total


def learn(config: TrainConfig, folder: Path, minutes: float) -> tuple[list[Row], float]:
    """Train until the last level is reached or time is over; returns the log and set-up seconds."""
    start = time.perf_counter()
    trainer = Trainer(config, folder)
    setup = time.perf_counter() - start
    rows: list[Row] = []
    with (folder / "log.jsonl").open("w") as log:
        while trainer.seconds < 60 * minutes:
            rows.append(trainer.iterate())
            log.write(json.dumps(rows[-1]) + "\n")
            log.flush()
            recent = Curve.from_rows("", rows[-WINDOW:])
            if trainer.ppo.iteration % REPORT_EVERY == 0:
                print(
                    f"{rows[-1]['minutes']:6.2f} min  {trainer.steps:9,d} steps  "
                    f"survival {recent.survival[-1]:5.2f} s  error {recent.error[-1]:5.1f} mm  "
                    f"{rows[-1]['steps_per_second']:,.0f} steps/s",
                    flush=True,
                )
            if len(rows) >= WINDOW and recent.survival[-1] >= LEVELS[-1]:
                break
    trainer.save()
    trainer.env.close()
    return rows, setup


def read_log(path: Path) -> list[Row]:
    """Rows of a trainer's log; a last line that was cut off is left out."""
    lines = path.read_text().splitlines()
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    if not rows:
        sys.exit(f"{path}: no iteration in it. Expected the log.jsonl of a training run.")
    return rows


def progress(steps: float, minutes: float) -> str:
    return f"{steps / 1e6:.2f} M steps, {minutes:.1f} min"


def table(curves: list[Curve]) -> str:
    """Markdown: control steps and minutes to each level."""
    levels = [f"{level:g} s" for level in LEVELS]
    lines = [
        f"| run | {' | '.join(levels)} | at the end |",
        f"|---|{'---:|' * len(levels)}---:|",
    ]
    for curve in curves:
        cells = []
        for level in LEVELS:
            reached = curve.reached(level)
            cells.append("not reached" if reached is None else progress(*reached))
        end = (
            f"{curve.survival[-1]:.1f} s, {curve.error[-1]:.0f} mm after "
            f"{progress(curve.steps[-1], curve.minutes[-1])}"
        )
        lines.append(f"| {curve.name} | {' | '.join(cells)} | {end} |")
    return "\n".join(lines)


def draw(curves: list[Curve]) -> Figure:
    """Survival and error against minutes."""
    with figure_style():
        figure = Figure(figsize=(WIDTH, 0.38 * WIDTH), layout="constrained")
        survival, error = figure.subplots(1, 2, sharex=True)
        for curve, color in zip(curves, np.resize(COLORS, len(curves)), strict=True):
            survival.plot(curve.minutes, curve.survival, color=color, label=curve.name)
            error.plot(curve.minutes, curve.error, color=color)
        for level in LEVELS:
            survival.axhline(level, color="0.8", linewidth=0.6, zorder=0)
        survival.set(ylabel="Mean survival (s)", yticks=[0.0, *LEVELS], ylim=(0.0, None))
        error.set(ylabel="Mean distance of tracked bodies (mm)", ylim=(0.0, None))
        for axes in (survival, error):
            axes.set_xlabel("Training (min)")
        survival.legend(loc="lower right")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=20.0, help="longest training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/learning"))
    parser.add_argument("--log", type=Path, nargs="+", help="logs to read instead of training")
    arguments = parser.parse_args()

    about: dict[str, Any] = {"machine": machine(), "window": WINDOW}
    if arguments.log:
        out = arguments.out
        out.mkdir(parents=True, exist_ok=True)
        curves = [Curve.from_rows(path.parent.name, read_log(path)) for path in arguments.log]
    else:
        out = arguments.out / f"seed{arguments.seed}"
        if out.exists():
            sys.exit(f"{out} exists. A curve from scratch needs a new folder: give another --out.")
        out.mkdir(parents=True)
        config = dataclasses.replace(
            TrainConfig(), name=out.name, seed=arguments.seed, n_threads=arguments.threads
        )
        rows, setup = learn(config, out, arguments.minutes)
        about |= {"config": to_dict(config), "setup_seconds": setup}
        print(f"Set-up (body, motion, static optimisation) took {setup:.0f} s, not counted below.")
        curves = [Curve.from_rows(f"seed {arguments.seed}", rows)]
    print(table(curves))
    save_figure(draw(curves), out / "learning.png")
    about["runs"] = [
        {
            "name": curve.name,
            "reached": {f"{level:g} s": curve.reached(level) for level in LEVELS},
            "minutes": curve.minutes.tolist(),
            "steps": curve.steps.tolist(),
            "survival": [None if np.isnan(s) else float(s) for s in curve.survival],
            "error_mm": curve.error.tolist(),
        }
        for curve in curves
    ]
    write_json(about, out / "learning.json")
    print(f"Wrote {out / 'learning.png'} and {out / 'learning.json'}")


if __name__ == "__main__":
    main()
