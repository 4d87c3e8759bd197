"""How fast the bodies step, learn, and what the per-muscle Python loop of KINESIS would cost.

    python benchmarks/throughput.py [--seconds 3] [--repetitions 5] [--n-envs 128] [--json FILE]

All rows are measured in turns within one run, so that what slows the machine down for a while slows
all of them; a ratio is the median over turns of the ratio within a turn. README.md says what each
row means.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from python_loop import BODY, MOTION, PUBLISHED, TUNED, LoopWorkers, check_loops

from kinesis_neuro.bench.measuring import Sample, Samples, machine, measure, write_json
from kinesis_neuro.bench.rows import ENVIRONMENT, RAW, TRAINING, Rows, memory
from kinesis_neuro.body.models import PHYSICS_RATE, load_body
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.simulation import default_threads

ACTUATIONS = ("moment", "excitation", "length")
TARGETS = {ENVIRONMENT: 0.75, TRAINING: 0.50}  # of the raw limit
LOOP_TARGET = 8.0  # environment over the published loop, at the same number of threads
UNDISTURBED = 0.95  # share of its threads' time that raw physics gets on a quiet machine


@dataclass
class Section:
    """All that was measured at one number of threads, by actuation."""

    threads: int
    samples: dict[str, Samples] = field(default_factory=dict)

    def add(self, actuation: str, row: str, sample: Sample) -> None:
        self.samples.setdefault(actuation, Samples()).add(row, sample)


def build_rows(actuation: str, arguments: argparse.Namespace, threads: int, folder: Path) -> Rows:
    # Imported here: the baseline's processes import this file and have no use for torch.
    from kinesis_neuro.learn.checkpoint import load_policy
    from kinesis_neuro.learn.config import TrainConfig
    from kinesis_neuro.learn.trainer import Trainer

    policy = arguments.policy
    if policy and load_policy(policy).about.task["actuation"] != actuation:
        policy = ""
    default = TrainConfig()
    config = dataclasses.replace(
        default,
        body=BODY,
        motions=(MOTION,),
        task=dataclasses.replace(default.task, actuation=actuation),
        n_envs=arguments.n_envs,
        n_threads=threads,
        initial_policy=policy,
    )
    return Rows(Trainer(config, folder / f"{actuation}-{threads}"))


def run_section(arguments: argparse.Namespace, threads: int, folder: Path) -> tuple[Section, Rows]:
    from kinesis_neuro.learn.config import NetworkConfig

    section = Section(threads)
    rows = {a: build_rows(a, arguments, threads, folder) for a in arguments.actuations}
    workers = None
    if "length" in rows:
        check_loops(rows["length"])
        workers = LoopWorkers(threads, float(np.exp(NetworkConfig().initial_log_std)))
    for turn in range(arguments.repetitions):
        print(f"threads: {threads}, turn {turn + 1} of {arguments.repetitions}", flush=True)
        for actuation, own in rows.items():
            for name, work in own.works().items():
                section.add(actuation, name, measure(work, arguments.seconds))
        if workers is not None:
            for loop in (PUBLISHED, TUNED):
                section.add("length", loop, workers.measure(loop, arguments.seconds))
    if workers is not None:
        workers.close()
    return section, next(iter(rows.values()))


def table(section: Section, decimation: int) -> Iterator[str]:
    """Markdown: medians over turns; ratios as median (least to greatest)."""
    yield (
        "| actuation | row | control steps/s | physics steps/s | of the raw limit | target "
        "| processors busy |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|"
    for actuation, samples in section.samples.items():
        for row in samples.of:
            rate = samples.rate(row)
            target = f">= {TARGETS[row]:.0%}" if row in TARGETS else ""
            ratios = samples.ratios(row, RAW)
            share = f"{median(ratios):.0%} ({min(ratios):.0%} to {max(ratios):.0%})"
            yield (
                f"| `{actuation}` | {row} | {rate:,.0f} | {rate * decimation:,.0f} | {share} | "
                f"{target} | {samples.cores(row):.2f} |"
            )
    for loop in (PUBLISHED, TUNED):
        if "length" in section.samples and loop in section.samples["length"].of:
            ratios = section.samples["length"].ratios(ENVIRONMENT, loop)
            target = f" (target >= {LOOP_TARGET:.0f} x)" if loop == PUBLISHED else ""
            yield ""
            yield (
                f"Environment over {loop} (`length`, threads or processes: {section.threads}): "
                f"{median(ratios):.1f} x ({min(ratios):.1f} to {max(ratios):.1f}){target}"
            )


def disturbed(section: Section) -> bool:
    """Whether raw physics, which never waits, got less than its processors."""
    raw = [s.cores for samples in section.samples.values() for s in samples.of[RAW]]
    return median(raw) < UNDISTURBED * section.threads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each row in each turn")
    parser.add_argument("--repetitions", type=int, default=5, help="turns")
    parser.add_argument("--n-envs", type=int, default=128)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, default_threads()}))
    parser.add_argument("--actuations", nargs="+", default=ACTUATIONS, choices=ACTUATIONS)
    parser.add_argument(
        "--policy", default="", help="name or folder: play it in its actuation, not a new policy"
    )
    parser.add_argument("--json", type=Path, help="file for all samples")
    arguments = parser.parse_args()

    about = machine()
    print(f"{about['processor']}, {about['cores']} cores, load before {about['load_before']:.2f}")
    body, decimation = load_body(BODY), ImitationConfig().decimation
    print(
        f"{body.name}, {PHYSICS_RATE:g} / {PHYSICS_RATE / decimation:g} Hz, "
        f"{arguments.n_envs} environments, {arguments.repetitions} turns of {arguments.seconds} s"
    )
    sections, used = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for threads in arguments.threads:
            section, rows = run_section(arguments, threads, Path(folder))
            sections.append(section)
            used = memory(rows.env)
    for section in sections:
        print(f"\n**Threads: {section.threads}**\n")
        print("\n".join(table(section, decimation)))
        if disturbed(section):
            print("\nSomething else kept this machine busy: these numbers are no measurement.")
    print("\nMemory: " + ", ".join(f"{k} {v / 1024:,.0f} KiB" for k, v in used.items()))
    if arguments.json:
        rows_of_json = [
            {
                "threads": section.threads,
                "actuation": actuation,
                "row": row,
                "control_steps_per_second": [s.rate for s in taken],
                "processors_busy": [s.cores for s in taken],
            }
            for section in sections
            for actuation, samples in section.samples.items()
            for row, taken in samples.of.items()
        ]
        settings = {k: v for k, v in vars(arguments).items() if k != "json"}
        write_json(
            {"machine": about, "settings": settings, "memory_bytes": used, "samples": rows_of_json},
            arguments.json,
        )


if __name__ == "__main__":
    main()
