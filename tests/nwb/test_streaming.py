"""Long recordings: block by block into the file, and out of it only what is asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from kinesis_neuro.netcdf import write_netcdf
from kinesis_neuro.nwb import read_nwb, write_nwb
from kinesis_neuro.nwb.stream import progress_bar

ROOT = Path(__file__).resolve().parents[2]
N, MUSCLES = 20_000, 40  # 3.2 MB, a few blocks once these are made small


class Watched(BackendArray):
    """An array that takes note of what is read of it."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.reads: list[int] = []

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        basic = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(key, self.shape, basic, self._read)

    def _read(self, key: tuple) -> np.ndarray:
        part = self.values[key]
        self.reads.append(part.size)
        return part


def dataset_of(data: object, dims: tuple[str, ...] = ("time", "muscle")) -> xr.Dataset:
    names = np.array([f"m{i}" for i in range(MUSCLES)])
    return xr.Dataset(
        {"activation": xr.Variable(dims, data, {"units": "1"})},
        {
            "time": ("time", np.arange(N) / 150, {"units": "s"}),
            "muscle": names,
            "side": ("muscle", np.array(["left"] * MUSCLES)),
            "group": ("muscle", names),
        },
    )


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kinesis_neuro.nwb.stream.BLOCK_BYTES", 2**19)
    monkeypatch.setattr("kinesis_neuro.nwb.stream.CHUNK_BYTES", 2**16)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).random((N, MUSCLES)).round(2).astype("f4")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dims", [("time", "muscle"), ("muscle", "time")])
def test_a_lazy_variable_is_read_in_blocks(
    dims: tuple, values: np.ndarray, path: Path, lossless: Callable
) -> None:
    turned = values if dims[0] == "time" else values.T
    watched = Watched(turned)
    write_nwb(dataset_of(indexing.LazilyIndexedArray(watched), dims), path)
    assert max(watched.reads) * 4 <= 2**19
    assert sum(watched.reads) == values.size  # each block once
    with read_nwb(path) as found:
        lossless(found, dataset_of(turned, dims))


@pytest.mark.usefixtures("small_blocks")
def test_dask(values: np.ndarray, path: Path, lossless: Callable) -> None:
    dataset = dataset_of(values)
    write_nwb(dataset.chunk({"time": 3000}), path)
    with read_nwb(path) as found:
        lossless(found, dataset)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("plain", [True, False])
def test_netcdf_opened_by_plain_xarray(
    plain: bool, values: np.ndarray, path: Path, lossless: Callable
) -> None:
    dataset = dataset_of(values).assign_attrs(seed=3, rate=150.0, note="a")
    dataset["scale"] = ((), 2.5, {"units": "1", "n": 2})
    write_netcdf(dataset, path.with_suffix(".nc"))
    options = {} if plain else {"mask_and_scale": False, "decode_times": False}
    with xr.open_dataset(path.with_suffix(".nc"), engine="h5netcdf", **options) as lazy:
        write_nwb(lazy, path)
        # The block that was written is not kept, and the dataset is as it was.
        assert not lazy["activation"].variable._in_memory
        assert "_text_width" in lazy["muscle"].attrs
    with read_nwb(path) as found:
        lossless(found, dataset)


@pytest.mark.usefixtures("small_blocks")
def test_reading_loads_nothing_but_coordinates(values: np.ndarray, path: Path) -> None:
    write_nwb(dataset_of(values), path)
    with read_nwb(path) as dataset:
        assert not dataset["activation"].variable._in_memory
        part = dataset["activation"].sel(muscle="m3").isel(time=slice(10, 20))
        np.testing.assert_array_equal(part, values[10:20, 3])
        assert not dataset["activation"].variable._in_memory


def test_the_file_is_open_until_the_dataset_is_closed(values: np.ndarray, path: Path) -> None:
    write_nwb(dataset_of(values), path)
    dataset = read_nwb(path)
    part = dataset["activation"].isel(time=0).load()
    dataset.close()
    with h5py.File(path, "r+"):  # HDF5 would refuse while it is open for reading
        pass
    np.testing.assert_array_equal(part, values[0])


def test_chunks(values: np.ndarray, path: Path) -> None:
    write_nwb(dataset_of(np.tile(values, (2, 1))[:N]), path)
    with h5py.File(path) as file:
        data = file["processing/muscle/activation/data"]
        assert data.chunks == (6553, 40)
        assert (data.compression, data.compression_opts, data.shuffle) == ("gzip", 1, True)


def test_progress(
    values: np.ndarray, path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_nwb(dataset_of(values), path, progress=True)
    shown = capsys.readouterr()
    assert "a.nwb" in shown.err
    assert "3.4/3.4 MB" in shown.err
    assert not shown.out
    write_nwb(dataset_of(values), path, overwrite=True)
    assert not capsys.readouterr().err  # no terminal, and not much to do
    with progress_bar("title", 10**9, None) as advance:
        advance(1)
    assert not capsys.readouterr().err


MEMORY = """
import json, sys, numpy as np, xarray as xr
import pynwb, h5netcdf
from xarray.backends import BackendArray
from xarray.core import indexing
from kinesis_neuro.nwb import read_nwb, write_nwb

class Endless(BackendArray):
    shape, dtype = (70_000, 290), np.dtype("f4")
    def __getitem__(self, key):
        basic = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(key, self.shape, basic, self.read)
    def read(self, key):
        rows, columns = (np.arange(n, dtype="f4")[k] for n, k in zip(self.shape, key))
        return (rows[:, None] // 64) * np.float32(0.01) + columns

names = np.array([f"m{i}" for i in range(290)])
variables = ["activation", "muscle_force", "muscle_length"]
dataset = xr.Dataset(
    {n: (("time", "muscle"), indexing.LazilyIndexedArray(Endless()), {"units": "1"})
     for n in variables},
    {"time": ("time", np.arange(70_000) / 150, {"units": "s"}), "muscle": names,
     "side": ("muscle", np.array(["left"] * 290)), "group": ("muscle", names)},
)
write_nwb(dataset.isel(time=slice(0, 1000)), sys.argv[1])
def peak():  # of this program alone, in MB; getrusage would tell that of the parent, too
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

before = peak()
write_nwb(dataset, sys.argv[1], overwrite=True)
written = peak()
with read_nwb(sys.argv[1]) as found:
    one = found["muscle_force"].sel(muscle="m7").values
    assert one.shape == (70_000,) and one[-1] == np.float32(69_999 // 64 * np.float32(0.01) + 7)
print(json.dumps({"before": before, "written": written, "read": peak(),
                  "data": dataset.nbytes / 2**20}))
"""


def test_memory_does_not_grow_with_the_recording(path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=ROOT,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["data"] > 230  # MB
    assert found["written"] - found["before"] < 80, found
    assert found["read"] - found["written"] < 80, found
    assert found["read"] < 500, found
