"""What a training run tells while it goes: a line an iteration, curves, and a progress bar."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class RunLog:
    """Log of a run, in its folder; a context.

    Parameters
    ----------
    folder : Path
        Gets ``log.jsonl`` and ``tensorboard/``.
    iteration, steps : int
        Where the run goes on; what was logged of later ones is dropped.
    total : int
        Steps at which it will end.
    progress : bool
        Whether to show a progress bar.
    """

    def __init__(
        self, folder: Path, *, iteration: int, steps: int, total: int, progress: bool
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "log.jsonl"
        _cut_log(path, iteration)
        self._file = path.open("a")
        self._curves = SummaryWriter(str(folder / "tensorboard"), purge_step=steps)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, disable=not progress)
        self._task = self._bar.add_task("starting", total=total, completed=steps)

    def __enter__(self) -> RunLog:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()
        self._file.close()
        self._curves.close()

    def add(self, row: dict[str, float]) -> None:
        """Take in what an iteration showed."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        steps = int(row["steps"])
        for key, value in row.items():
            self._curves.add_scalar(key, value, steps)
        self._bar.update(self._task, completed=steps, description=_caption(row))


def _caption(row: dict[str, float]) -> str:
    survival = f"{row['survival']:.2f} s" if "survival" in row else "no fall"
    return (
        f"survival {survival}  error {row['error_mm']:.0f} mm  "
        f"{row['steps_per_second']:,.0f} steps/s"
    )


def _cut_log(path: Path, iteration: int) -> None:
    """Drop lines that were written after the checkpoint from which the run goes on."""
    if path.exists():
        kept = [
            line
            for line in path.read_text().splitlines()
            if line.endswith("}") and json.loads(line)["iteration"] <= iteration
        ]
        path.write_text("".join(f"{line}\n" for line in kept))
