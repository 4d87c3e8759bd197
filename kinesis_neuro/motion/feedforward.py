"""Static optimisation of many motions, computed once: in parallel processes, kept on disk.

A result is kept under a key that covers the motion, its ground forces, the body, the weights and
the code that solves, so that none is taken for another. Nothing is kept of motions that belong to
no library, unless the environment variable ``KINESIS_NEURO_CACHE`` names a folder.
"""

from __future__ import annotations

import functools
import hashlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from kinesis_neuro.errors import InvalidInputError, KinesisError, WriteError
from kinesis_neuro.formats.atomic import atomic_path
from kinesis_neuro.motion import boxqp, contact, dynamics, inverse
from kinesis_neuro.motion.inverse import static_optimization
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.provenance import hash_arrays

FloatArray = NDArray[np.float64]

VARIABLE = "KINESIS_NEURO_CACHE"
FOLDER = "static_optimization"
_SOLVER = (boxqp, contact, dynamics, inverse)


def muscle_activations(
    motions: Sequence[ReferenceMotion],
    *,
    cache: str | Path | None = None,
    n_processes: int | None = None,
) -> list[FloatArray]:
    """Activations that static optimisation finds along each motion.

    Parameters
    ----------
    motions : sequence of ReferenceMotion
    cache : str or Path, optional
        Folder that results are taken from and kept in. If not given, a folder
        ``static_optimization`` in the one that ``KINESIS_NEURO_CACHE`` names; without that
        variable, in the motion's library; for a motion of no library, nothing is kept.
    n_processes : int, optional
        Processes that solve side by side, where several motions are to be solved; one for each
        processor if not given.

    Returns
    -------
    list of ndarray, shape (n_frames, n_muscles)
        [1], bit for bit what :func:`static_optimization` gives.

    Raises
    ------
    KinesisError
        A motion cannot be solved.

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> (activation,) = muscle_activations([load_motion("walk")])
    >>> activation.shape
    (172, 80)
    """
    if n_processes is not None and n_processes < 1:
        raise InvalidInputError(f"n_processes must be at least 1, got {n_processes}.")
    keys = [activation_key(motion) for motion in motions]
    folders = [_folder(motion, cache) for motion in motions]
    found: dict[str, FloatArray] = {}
    for motion, key, folder in zip(motions, keys, folders, strict=True):
        kept = None if folder is None or key in found else _read(folder / f"{key}.npz", motion, key)
        if kept is not None:
            found[key] = kept
    missing = {k: m for k, m in zip(keys, motions, strict=True) if k not in found}
    place = dict(zip(keys, folders, strict=True))

    def take(key: str, activation: FloatArray) -> None:
        """Each as soon as it is there: what a later motion's failure must not take away."""
        found[key] = activation
        folder = place[key]
        if folder is not None:
            _keep(folder / f"{key}.npz", key, activation)

    if len(missing) > 1 and n_processes != 1:
        _solve_in_parallel(missing, n_processes, take)
    else:
        for key, motion in missing.items():
            take(key, static_optimization(motion).activation.values)
    return [found[key] for key in keys]


def activation_key(motion: ReferenceMotion) -> str:
    """Hash of everything that the solution depends on.

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> walk = load_motion("walk")
    >>> activation_key(walk) == activation_key(load_motion("walk"))
    True
    >>> activation_key(walk) == activation_key(walk.resample(100.0))
    False
    """
    forces = motion.contact
    none = np.zeros(0)
    parts = {
        "motion": motion.hash,
        "force": none if forces is None else forces.force,
        # Where an unloaded foot's centre of pressure lies is undefined, and may be NaN.
        "pressure": none if forces is None else np.nan_to_num(forces.center_of_pressure),
        "body": motion.body.hash,
        "solver": _solver_hash(),
    }
    return hash_arrays({k: np.asarray(v) for k, v in parts.items()} | _weights())


def _weights() -> dict[str, NDArray]:
    return {k: np.asarray(v) for k, v in asdict(dynamics.StaticOptimizationConfig()).items()}


@functools.cache
def _solver_hash() -> str:
    digest = hashlib.sha256()
    for module in _SOLVER:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def _folder(motion: ReferenceMotion, cache: str | Path | None) -> Path | None:
    if cache is not None:
        return Path(cache)
    if named := os.environ.get(VARIABLE):
        return Path(named) / FOLDER
    return None if motion.library is None else motion.library / FOLDER


def _read(path: Path, motion: ReferenceMotion, key: str) -> FloatArray | None:
    """What is kept, if it is whole; a file that is not is solved again, and the user told."""
    if not path.is_file():
        return None
    try:
        # Opened here: numpy leaves a file open that it cannot read.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            activation, said, checked = (file[k] for k in ("activation", "key", "hash"))
        if str(said) != key or str(checked) != hash_arrays({"activation": activation}):
            raise ValueError("its hash differs")
        if activation.shape != (motion.n_frames, motion.body.n_muscles):
            raise ValueError(f"it has shape {activation.shape}")
    except Exception as error:  # whatever zip and npy readers say of broken bytes
        warnings.warn(
            f"{path} is not what was kept there ({error}); static optimisation of "
            f"{motion.name!r} is computed again.",
            stacklevel=3,
        )
        return None
    return np.asarray(activation, dtype=np.float64)


def _keep(path: Path, key: str, activation: FloatArray) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_activation(path, key, activation)
    except (OSError, WriteError) as error:
        warnings.warn(
            f"Static optimisation is computed again next time, as it cannot be kept ({error}). "
            f"Set {VARIABLE} to a folder that can be written to.",
            stacklevel=3,
        )


def write_activation(path: Path, key: str, activation: FloatArray) -> None:
    """Write activations with the key that they belong to and the hash of what they are."""
    with atomic_path(path) as part, part.open("wb") as file:
        checked = hash_arrays({"activation": activation})
        np.savez(file, activation=activation, key=np.array(key), hash=np.array(checked))


def _solve_in_parallel(
    missing: dict[str, ReferenceMotion],
    n_processes: int | None,
    take: Callable[[str, FloatArray], None],
) -> None:
    """Solve in processes of their own, which take the next motion as they finish one.

    Programs of their own, not ``multiprocessing``: its processes import the caller's script again,
    which breaks scripts without a guard, and fork badly under threads of PyTorch.
    """
    n = min(n_processes or _processors(), len(missing))
    # The longest first, so that none is left over at the end.
    order: queue.SimpleQueue[str] = queue.SimpleQueue()
    for key in sorted(missing, key=lambda k: -missing[k].n_frames):
        order.put(key)
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory() as name,
        # A notebook's page would keep the bar, and warn where widgets are missing.
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        folder, said = Path(name), list[str]()
        done: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        task = bar.add_task("static optimisation", total=len(missing))

        def drive() -> None:
            worker = _start_worker()
            assert worker.stdin is not None and worker.stdout is not None
            try:
                while not said:
                    try:
                        key = order.get_nowait()
                    except queue.Empty:
                        break
                    _write_job(folder / f"{key}.job.npz", missing[key])
                    worker.stdin.write(f"{folder / key}\n")
                    worker.stdin.flush()
                    answer = worker.stdout.readline().strip()
                    if answer != "done":
                        said.append(f"{missing[key].name!r}: {answer or 'the process ended'}")
                        break
                    done.put(key)
            finally:
                worker.stdin.close()
                worker.wait()
                worker.stdout.close()

        def drive_and_tell() -> None:
            try:
                drive()
            finally:
                done.put(None)

        threads = [threading.Thread(target=drive_and_tell) for _ in range(n)]
        for thread in threads:
            thread.start()
        working = n
        while working:
            solved = done.get()
            if solved is None:
                working -= 1
                continue
            take(solved, np.load(folder / f"{solved}.npy", allow_pickle=False))
            bar.advance(task)
        for thread in threads:
            thread.join()
        if said:
            raise KinesisError(f"Static optimisation of {said[0]}")


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start_worker() -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    # One thread of linear algebra each, as there is a process for each processor.
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-m", "kinesis_neuro.motion.feedforward_worker"],
        env={**os.environ, **one, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _write_job(path: Path, motion: ReferenceMotion) -> None:
    arrays = {"qpos": motion.qpos, "qvel": motion.qvel, "rate": np.array(motion.rate)}
    if motion.displacement is not None:
        arrays["displacement"] = motion.displacement
    if motion.contact is not None:
        arrays |= {"force": motion.contact.force, "pressure": motion.contact.center_of_pressure}
    scale = "" if motion.body.scale is None else motion.body.scale.to_json()
    names = {"body": motion.body.name, "body_hash": motion.body.hash, "scale": scale}
    np.savez(path, **arrays, **{k: np.array(v) for k, v in names.items()})  # type: ignore[arg-type]
