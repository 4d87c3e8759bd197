"""bench: rates of this machine by body, backend and threads, and hours of a given training."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from kinesis_neuro.bench.measuring import Samples, machine, measure, write_json
from kinesis_neuro.body.models import BODY_NAMES
from kinesis_neuro.env.device.features import BACKENDS, check_backend
from kinesis_neuro.env.simulation import default_threads
from kinesis_neuro.errors import InvalidInputError, unknown_name

if TYPE_CHECKING:
    from rich.table import Table

PHYSICS, ENVIRONMENT, TRAINING = "raw limit", "environment", "training"
SHOWN = (PHYSICS, ENVIRONMENT, TRAINING)


@dataclass(frozen=True)
class BenchConfig:
    """What is measured.

    Attributes
    ----------
    bodies : tuple of str
    backends : tuple of str
        ``mujoco``, ``warp``.
    device : str
        Of Warp: ``cuda``, or ``cpu`` to see that it works.
    actuation : str
    n_envs : int
        Environments together; a GPU needs thousands.
    threads : tuple of int
        Of MuJoCo; 1, 2, 4, ... and all processors if none are given.
    seconds : float
        Of each row in each turn [s].
    repetitions : int
        Turns, in each of which everything is measured once.
    steps : int
        Control steps of the training whose hours are told.
    json : str
        File for all samples; none if empty.
    """

    bodies: tuple[str, ...] = ("legs",)
    backends: tuple[str, ...] = ("mujoco",)
    device: str = "cuda"
    actuation: str = "moment"
    n_envs: int = 128
    threads: tuple[int, ...] = ()
    seconds: float = 2.0
    repetitions: int = 3
    steps: int = 4_000_000
    json: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        for body in self.bodies:
            if body not in BODY_NAMES:
                raise unknown_name("body", body, BODY_NAMES)
        for backend in self.backends:
            if backend not in BACKENDS:
                raise unknown_name("backend", backend, BACKENDS)
        for name in ("n_envs", "repetitions", "steps"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.seconds <= 0.0:
            raise InvalidInputError(f"seconds must be positive, got {self.seconds}.")
        if any(n < 1 for n in self.threads):
            raise InvalidInputError(f"threads must be at least 1 each, got {self.threads}.")


@dataclass
class Measured:
    """One body on one backend with so many threads.

    Attributes
    ----------
    body, backend : str
    threads : int
        0 on a device.
    memory : int
        Bytes of each environment.
    samples : Samples
    """

    body: str
    backend: str
    threads: int
    memory: int = 0
    samples: Samples = field(default_factory=Samples)

    def hours(self, steps: int) -> float:
        """What a training of so many control steps takes [h]."""
        return steps / self.samples.rate(TRAINING) / 3600.0


def thread_counts(n_processors: int) -> tuple[int, ...]:
    """1, 2, 4, ... and all processors.

    Examples
    --------
    >>> thread_counts(6)
    (1, 2, 4, 6)
    """
    powers = [1 << k for k in range(n_processors.bit_length()) if 1 << k <= n_processors]
    return tuple(sorted({*powers, n_processors}))


def bench(config: BenchConfig | None = None, progress: bool = True) -> list[Measured]:
    """Measure this machine, in turns.

    Parameters
    ----------
    config : BenchConfig, optional
    progress : bool
        Whether to say which turn it is.

    Returns
    -------
    list of Measured
        One for each body, backend and number of threads.
    """
    config = config or BenchConfig()
    if "warp" in config.backends:
        check_backend("warp", config.device)
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        entries = list(_entries(config, Path(folder)))
        for turn in range(config.repetitions):
            if progress:
                print(f"turn {turn + 1} of {config.repetitions}", flush=True)
            for measured, works, _ in entries:
                for name in SHOWN:
                    measured.samples.add(name, measure(works[name], config.seconds))
        for _, _, close in entries:
            close()
    results = [measured for measured, _, _ in entries]
    if config.json:
        write_json(_as_json(config, about, results), Path(config.json))
    return results


Entry = tuple[Measured, dict[str, Callable[[], int]], Callable[[], None]]


def _entries(config: BenchConfig, folder: Path) -> Iterator[Entry]:
    for body in config.bodies:
        for backend in config.backends:
            if backend == "warp":
                yield _on_device(config, body, folder)
            else:
                for n in config.threads or thread_counts(default_threads()):
                    yield _on_processors(config, body, n, folder)


def _trainer_config(config: BenchConfig, body: str, **further: Any) -> Any:
    # Imported here: it loads torch.
    from kinesis_neuro.learn.config import TrainConfig

    default = TrainConfig()
    task = dataclasses.replace(default.task, actuation=config.actuation)
    return dataclasses.replace(default, body=body, task=task, n_envs=config.n_envs, **further)


def _on_processors(config: BenchConfig, body: str, n_threads: int, folder: Path) -> Entry:
    from kinesis_neuro.bench.rows import Rows, memory
    from kinesis_neuro.learn.trainer import Trainer

    setting = _trainer_config(config, body, n_threads=n_threads)
    rows = Rows(Trainer(setting, folder / f"{body}-{n_threads}"))
    threads = rows.env.simulation.n_threads
    used = memory(rows.env)
    # What a thread works in belongs to its environments.
    shared = threads * used["mjdata_buffer_per_thread"] // config.n_envs
    measured = Measured(body, "mujoco", n_threads, used["per_environment"] + shared)
    return measured, rows.works(), rows.env.close


def _on_device(config: BenchConfig, body: str, folder: Path) -> Entry:
    from kinesis_neuro.bench.device_rows import DeviceRows
    from kinesis_neuro.learn.trainer import Trainer

    setting = _trainer_config(config, body, backend="warp", device=config.device)
    rows = DeviceRows(Trainer(setting, folder / f"{body}-warp"))
    return Measured(body, "warp", 0, rows.memory), rows.works(), rows.trainer.env.close


def _as_json(config: BenchConfig, about: dict[str, Any], results: list[Measured]) -> dict[str, Any]:
    return {
        "machine": about,
        "settings": json.loads(json.dumps(dataclasses.asdict(config))),
        "measured": [
            {
                "body": one.body,
                "backend": one.backend,
                "threads": one.threads,
                "memory_bytes_per_environment": one.memory,
                "control_steps_per_second": {
                    name: [s.rate for s in taken] for name, taken in one.samples.of.items()
                },
            }
            for one in results
        ],
    }


def bench_table(results: list[Measured], steps: int, decimation: int = 5) -> Table:
    """What was measured, as a table for the terminal.

    Parameters
    ----------
    results : list of Measured
    steps : int
        Of the training whose hours stand in the last column. The one before holds memory of
        each environment.
    decimation : int
        Physics steps in a control step.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        title=f"physics and control steps a second; shares of the raw limit; hours for {steps:,} "
        "control steps",
    )
    for name in ("body", "backend"):
        table.add_column(name, no_wrap=True)
    rates = ("threads", "physics", "raw", "env", "train")
    for name in (*rates, "env%", "train%", "KiB", "hours"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in results:
        samples = one.samples
        shares = [median(samples.ratios(name, PHYSICS)) for name in (ENVIRONMENT, TRAINING)]
        table.add_row(
            one.body,
            one.backend,
            str(one.threads or "-"),
            f"{samples.rate(PHYSICS) * decimation:,.0f}",
            *(f"{samples.rate(name):,.0f}" for name in SHOWN),
            *(f"{100 * share:.0f}" for share in shares),
            f"{one.memory / 1024:,.0f}",
            f"{one.hours(steps):.2f}",
        )
    return table


def busy_elsewhere(results: list[Measured]) -> bool:
    """Whether raw physics got less than its threads: then something else ran, too."""
    on_processors = [one for one in results if one.threads]
    return any(one.samples.cores(PHYSICS) < 0.95 * one.threads for one in on_processors)


def print_bench(config: BenchConfig) -> None:
    """Measure this machine and print the table, and whether the machine was left alone."""
    from rich import print as show

    results = bench(config)
    show(bench_table(results, config.steps))
    if busy_elsewhere(results):
        print("Something else kept this machine busy: these numbers are no measurement.")
