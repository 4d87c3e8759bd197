"""How fast NWB files are written and read, and how much memory an hour of 290 muscles takes.

    python benchmarks/nwb.py [--minutes 60] [--repetitions 5] [--json FILE]

`benchmarks/nwb.md` says what each row means. Two writers are compared in turns within one run, so
that what slows the machine down for a while slows both; the ratio is the median over turns. The
hour is written and read by a process of its own, whose peak memory the operating system tells.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import h5netcdf
import h5py
import numpy as np
import xarray as xr

from kinesis_neuro.nwb import read_nwb, write_nwb
from kinesis_neuro.nwb.stream import COMPRESSION, chunk_shape
from kinesis_neuro.schema import RECORDING

RATE = 150.0
MUSCLES = 290
VARIABLES = ("excitation", "activation", "muscle_force", "muscle_length", "muscle_velocity")
SCALE = {"muscle_force": 500.0, "muscle_length": 0.3, "muscle_velocity": 0.5}
MINUTES_TO_COMPARE = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of the long one; 0 for none")
    parser.add_argument("--repetitions", type=int, default=5, help="turns of the comparison")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    parser.add_argument("--hour", type=Path, help=argparse.SUPPRESS)  # the process of its own
    arguments = parser.parse_args()
    if arguments.hour:
        print(json.dumps(hour(arguments.hour)))
        return
    results: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results["five variables, 290 muscles"] = compare(folder, arguments.repetitions)
        for seconds in (10, 60):
            row = whole_recording(folder, arguments.repetitions, seconds)
            results[f"all variables, 80 muscles, {seconds} s"] = row
        if n := round(arguments.minutes * 60 * RATE):
            results["long recording"] = {"minutes": arguments.minutes, "samples": n}
            write_source(folder / "long.nc", n)
            command = [sys.executable, __file__, "--hour", str(folder / "long.nc")]
            run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            results["long recording"] |= json.loads(run.stdout)
    results["load at the end"] = os.getloadavg()
    text = json.dumps(results, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


def machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load at the start": os.getloadavg(),
    }


def block(variable: int, start: int, stop: int) -> np.ndarray:
    """Samples start to stop of a variable: bursts with all bits of noise that physics has."""
    rng = np.random.default_rng([variable, start])
    time = np.arange(start, stop, dtype=np.float32)[:, None] / np.float32(RATE)
    phase = np.linspace(0, 40, MUSCLES, dtype=np.float32) + variable
    burst = np.maximum(np.sin(7 * time + phase), 0) ** 2
    noise = rng.standard_normal(burst.shape, dtype=np.float32)
    return SCALE.get(VARIABLES[variable], 1.0) * (burst + np.float32(0.01) * noise)


def coordinates(n: int, muscles: int) -> dict[str, tuple]:
    names = np.array([f"muscle_{i:03d}" for i in range(muscles)])
    return {
        "time": ("time", np.arange(n) / RATE, {"units": "s"}),
        "muscle": ("muscle", names),
        "side": ("muscle", np.array(["left", "right"])[np.arange(muscles) % 2]),
        "group": ("muscle", np.array(["group"] * muscles)),
    }


def in_memory(n: int) -> xr.Dataset:
    variables = {
        name: (("time", "muscle"), block(i, 0, n).astype("f4"), {"units": RECORDING[name].units})
        for i, name in enumerate(VARIABLES)
    }
    return xr.Dataset(variables, coordinates(n, MUSCLES))


def write_h5py(dataset: xr.Dataset, path: Path) -> None:
    """Write the same arrays with the same chunks and compression, and nothing else."""
    with h5py.File(path, "w") as file:
        for name, variable in dataset.variables.items():
            if variable.dtype.kind == "U":
                file[name] = variable.values.astype(object)
            else:
                chunks = chunk_shape(variable.shape, variable.dtype.itemsize)
                file.create_dataset(name, data=variable.values, chunks=chunks, **COMPRESSION)


def in_turns(repetitions: int, nwb: Callable[[], Any], plain: Callable[[], Any]) -> dict[str, Any]:
    nwb()  # imports, and files that are replaced rather than made
    plain()
    times = [(timed(nwb), timed(plain)) for _ in range(repetitions)]
    return {
        "write_nwb [s]": median(a for a, _ in times),
        "h5py [s]": median(b for _, b in times),
        "ratio": median(a / b for a, b in times),
        "ratios": [round(a / b, 3) for a, b in times],
    }


def timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(folder: Path, repetitions: int) -> dict[str, Any]:
    """Five variables of 290 muscles from memory."""
    dataset = in_memory(round(MINUTES_TO_COMPARE * 60 * RATE))
    result = in_turns(
        repetitions,
        lambda: write_nwb(dataset, folder / "a.nwb", overwrite=True),
        lambda: write_h5py(dataset, folder / "a.h5"),
    )
    sizes = {f"{p.name} [MB]": p.stat().st_size / 1e6 for p in (folder / "a.nwb", folder / "a.h5")}
    megabytes = dataset.nbytes / 1e6
    speed = {"write_nwb [MB/s]": megabytes / result["write_nwb [s]"]}
    return {"minutes": MINUTES_TO_COMPARE, "data [MB]": megabytes} | result | speed | sizes


def whole_recording(folder: Path, repetitions: int, seconds: int) -> dict[str, Any]:
    """A recording with all variables of the schema: what the many objects themselves cost."""
    n = round(seconds * RATE)
    labels = {"muscle": 80, "joint": 28, "body": 13, "contact": 2, "action_channel": 14}
    coords = coordinates(n, labels["muscle"])
    sizes = labels | {"time": n, "space": 3, "quaternion": 4}
    for dim in ("joint", "body", "contact", "action_channel", "space", "quaternion"):
        coords[dim] = (dim, np.array([f"{dim}_{i}" for i in range(sizes[dim])]))
    coords["joint_unit"] = ("joint", np.array(["rad", "m"])[np.arange(28) % 2])
    rng = np.random.default_rng(0)
    variables = {
        name: (spec.dims, rng.random([sizes[dim] for dim in spec.dims]), {"units": spec.units})
        for name, spec in RECORDING.items()
    }
    dataset = xr.Dataset(variables, coords)
    result = in_turns(
        repetitions,
        lambda: write_nwb(dataset, folder / "b.nwb", overwrite=True, events={}),
        lambda: write_h5py(dataset, folder / "b.h5"),
    )
    difference = result["write_nwb [s]"] - result["h5py [s]"]
    return {"data [MB]": dataset.nbytes / 1e6} | result | {"difference [s]": difference}


def write_source(path: Path, n: int) -> None:
    """Write the long recording as NetCDF, as write_netcdf would, in blocks."""
    step = 15_000
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"time": n, "muscle": MUSCLES}
        for name, (dims, values, *attrs) in coordinates(n, MUSCLES).items():
            text = values.dtype.kind == "U"
            dtype = h5py.string_dtype() if text else values.dtype
            variable = file.create_variable(name, (dims,), dtype)
            variable[...] = values.astype(object) if text else values
            variable.attrs.update(attrs[0] if attrs else {})
            if text:
                variable.attrs["_text_width"] = values.dtype.itemsize // 4
        for i, name in enumerate(VARIABLES):
            options = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
            variable = file.create_variable(name, ("time", "muscle"), "f4", **options)
            variable.attrs.update({"units": RECORDING[name].units, "coordinates": "side group"})
            for start in range(0, n, step):
                variable[start : start + step] = block(i, start, min(start + step, n))


def hour(source: Path) -> dict[str, Any]:
    """Write a long NetCDF file as NWB, and read one muscle of it."""
    target = source.with_suffix(".nwb")
    before = peak_memory()
    with xr.open_dataset(source, engine="h5netcdf") as dataset:
        megabytes = dataset.nbytes / 1e6
        seconds = timed(lambda: write_nwb(dataset, target, progress=True))
    written = peak_memory()
    with read_nwb(target) as found, xr.open_dataset(source, engine="h5netcdf") as dataset:
        opened = timed(lambda: read_nwb(target).close())
        one = {"muscle": 123}
        read = timed(lambda: found["activation"].isel(one).values)
        part = {"time": slice(1000, 1150)}
        window = timed(lambda: found["muscle_force"].isel(part).values)
        same = found["activation"].isel(one).equals(dataset["activation"].isel(one))
        same &= found["muscle_force"].isel(part).equals(dataset["muscle_force"].isel(part))
    return {
        "data [MB]": megabytes,
        "file [MB]": target.stat().st_size / 1e6,
        "write [s]": seconds,
        "write [MB/s]": megabytes / seconds,
        "peak memory before [MiB]": before,
        "peak memory after writing [MiB]": written,
        "peak memory after reading [MiB]": peak_memory(),
        "open [s]": opened,
        "read one muscle [s]": read,
        "read one second of all muscles [s]": window,
        "read values equal": bool(same),
    }


def peak_memory() -> float:
    """Peak of the resident memory of this process [MiB]."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
