"""What all benchmarks share: rates of repeated work, ratios of rates, the machine, results."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from kinesis_neuro.env.simulation import default_threads
from kinesis_neuro.formats.atomic import atomic_path
from kinesis_neuro.provenance import library_versions


@dataclass(frozen=True)
class Sample:
    """One measurement.

    Attributes
    ----------
    rate : float
        Control steps a second [1/s].
    cores : float
        Processors that were kept busy on average.
    """

    rate: float
    cores: float


@dataclass
class Samples:
    """Measurements of several kinds of work, taken in turns.

    What slows the machine down for a while slows all of them; so a ratio of rates is taken within
    each turn.

    Attributes
    ----------
    of : dict of str to list of Sample
        One sample a turn, by the work's name.
    """

    of: dict[str, list[Sample]] = field(default_factory=dict)

    def add(self, name: str, sample: Sample) -> None:
        """Take a sample in."""
        self.of.setdefault(name, []).append(sample)

    def rate(self, name: str) -> float:
        """Median rate [1/s]."""
        return median(s.rate for s in self.of[name])

    def cores(self, name: str) -> float:
        """Median number of processors kept busy."""
        return median(s.cores for s in self.of[name])

    def ratios(self, name: str, to: str) -> list[float]:
        """Rate over that of other work, in each turn.

        Examples
        --------
        >>> samples = Samples()
        >>> for name, rate in (("a", 1.0), ("b", 2.0), ("a", 3.0), ("b", 4.0)):
        ...     samples.add(name, Sample(rate, 1.0))
        >>> samples.ratios("a", "b")
        [0.5, 0.75]
        """
        pairs = zip(self.of[name], self.of[to], strict=True)
        return [mine.rate / theirs.rate for mine, theirs in pairs]


def measure(work: Callable[[], int], seconds: float) -> Sample:
    """Repeat work, which returns how many control steps it did, for at least this long [s]."""
    start, processor = time.perf_counter(), time.process_time()
    done, elapsed = 0, 0.0
    while elapsed < seconds:
        done += work()
        elapsed = time.perf_counter() - start
    return Sample(done / elapsed, (time.process_time() - processor) / elapsed)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    name = platform.processor()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text().splitlines()
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = models[0] if models else name
    return {
        "processor": name or platform.machine(),
        "cores": default_threads(),
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
        "versions": library_versions(),
    }


def write_json(value: object, path: Path) -> None:
    """JSON, complete or not at all."""
    with atomic_path(path) as part:
        part.write_text(json.dumps(value, indent=1) + "\n")
