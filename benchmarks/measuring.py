"""What all benchmarks share: rates of repeated work, the machine, and files of results."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinesis_neuro.env.simulation import default_threads
from kinesis_neuro.formats.atomic import atomic_path
from kinesis_neuro.provenance import library_versions


@dataclass(frozen=True)
class Sample:
    """One measurement: control steps a second, and processors kept busy on average."""

    rate: float
    cores: float


def measure(work: Callable[[], int], seconds: float) -> Sample:
    """Repeat work, which returns how many control steps it did, for at least this long."""
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
