"""What must not go in, what must not come out, and what must not be left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.errors import FileFormatError, InvalidInputError, WriteError
from kinesis_neuro.nwb import read_nwb, write_nwb


def broken(make: dict, how: str) -> xr.Dataset:
    dataset = make["simulated"]()
    time = dataset["time"].values.copy()
    if how == "dims":
        dataset["activation"] = dataset["activation"].T
    elif how == "units":
        del dataset["muscle_force"].attrs["units"]
    elif how == "repeated":
        time[5] = time[4]
    elif how == "unsorted":
        time[5] = 0.0
    elif how == "nan":
        time[5] = np.nan
    elif how == "muscles":
        muscles = dataset["muscle"].values.copy()
        muscles[1] = muscles[0]
        return dataset.assign_coords(muscle=muscles)
    elif how == "unknown dim":
        return dataset.rename(body="bone")
    return dataset.assign_coords(time=("time", time, {"units": "s"}))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("dims", "'activation' has dims ('muscle', 'time'). Expected ('time', 'muscle')"),
        ("units", "'muscle_force' has no units"),
        ("repeated", "'time' goes from 0.0266"),
        ("unsorted", "'time' goes from 0.0266"),
        ("nan", "'time' is nan at index 5"),
        ("muscles", "'muscle' holds 'soleus_r' more than once"),
        ("unknown dim", "dim 'bone' is unknown. Allowed: action_channel, body"),
    ],
)
def test_a_dataset_that_breaks_the_schema(how: str, words: str, make: dict, path: Path) -> None:
    with pytest.raises(InvalidInputError) as error:
        write_nwb(broken(make, how), path)
    assert words in str(error.value)
    assert not list(path.parent.iterdir())


def test_something_else_than_a_dataset(path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"Expected an xarray.Dataset, but got DataArray"):
        write_nwb(xr.DataArray([1.0]), path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"weather": "fine"}, r"Unknown keys in metadata: weather. Available: subject, "),
        ({"subject": {"shoe_size": 43}}, r"Unknown keys in metadata\['subject'\]: shoe_size"),
        ({"session_start_time": "yesterday"}, r"Invalid value for 'session_start_time'"),
        ({"institution": 3}, r"pynwb refuses the metadata: .*institution"),
    ],
)
def test_bad_metadata(metadata: dict, words: str, make: dict, path: Path) -> None:
    with pytest.raises(InvalidInputError, match=words):
        write_nwb(make["emg"](), path, metadata=metadata)
    assert not list(path.parent.iterdir())


def test_bad_events(make: dict, path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"Unknown events 'jump'. Available"):
        write_nwb(make["emg"](), path, events={"jump": [1.0]})


def test_another_suffix(make: dict, path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"ends in .nwb, but got 'a.nc'"):
        write_nwb(make["emg"](), path.with_suffix(".nc"))


def test_a_file_that_exists(make: dict, path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(WriteError, match=r"exists already. Pass overwrite=True"):
        write_nwb(make["emg"](), path)
    assert path.read_text() == "mine"
    write_nwb(make["emg"](), path, overwrite=True)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_folder_that_does_not_exist(make: dict, path: Path) -> None:
    with pytest.raises(WriteError, match=r"there is no folder .*nowhere. Make it first"):
        write_nwb(make["emg"](), path.parent / "nowhere" / "a.nwb")


def test_replacing_the_file_that_is_being_read(make: dict, path: Path) -> None:
    dataset = make["emg"]()
    write_nwb(dataset, path)
    with read_nwb(path) as lazy:
        write_nwb(lazy.assign_attrs(note="again"), path, overwrite=True)
        xr.testing.assert_identical(lazy, dataset)
    with read_nwb(path) as again:
        assert again.attrs["note"] == "again"


FULL_DISK = """
import resource, sys, numpy as np, xarray as xr
from kinesis_neuro.errors import WriteError
from kinesis_neuro.nwb import write_nwb
noise = np.random.default_rng(0).random((20_000, 20))
dataset = xr.Dataset(
    {"emg": (("time", "cycle"), noise, {"units": "V"})},
    {"time": ("time", np.arange(20_000) / 1000, {"units": "s"})},
)
# Files must not grow any further: what a full disk does, at a place of our choice.
for limit in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_nwb(dataset, sys.argv[1], overwrite=True)
        print("written")
    except WriteError as error:
        print("WriteError", "could not be written" in str(error))
"""


def test_a_full_disk_leaves_the_former_file(make: dict, path: Path) -> None:
    write_nwb(make["emg"](), path)
    before = path.read_bytes()
    limits = ["1000", "100000", "300000", "1500000", "2600000"]
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), *limits],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["WriteError True"] * len(limits), run.stderr
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_interrupted_write_leaves_nothing(
    make: dict, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pynwb import NWBHDF5IO

    def interrupted(self: NWBHDF5IO, *_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(NWBHDF5IO, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_nwb(make["emg"](), path)
    assert not list(path.parent.iterdir())


def test_no_such_file(path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"a.nwb: no such file"):
        read_nwb(path)


@pytest.mark.parametrize("content", [b"", b"time,force\n0,1\n", bytes(4096)])
def test_other_files(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"a.nwb: cannot be read .* Expected an NWB file"):
        read_nwb(path)


def test_other_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["group/values"] = np.arange(3)
    with pytest.raises(FileFormatError, match=r"a.nwb: an HDF5 file, but no NWB"):
        read_nwb(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files(part: float, make: dict, path: Path) -> None:
    content = write_nwb(make["emg"](), path).read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(FileFormatError, match=r"cannot be read .*truncated"):
        read_nwb(path)


def test_damaged_values_raise_when_asked_for(make: dict, path: Path) -> None:
    write_nwb(make["emg"](), path)
    with h5py.File(path) as file:
        place = file["acquisition/emg/data"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 200] ^= 0xFF
    path.write_bytes(content)
    with (
        read_nwb(path) as dataset,
        pytest.raises(FileFormatError, match=r"values of 'emg' cannot be read"),
    ):
        dataset["emg"].load()


def change(path: Path, column: str, variable: str, value: str) -> None:
    with h5py.File(path, "r+") as file:
        table = file["processing/misc/dataset_variables"]
        row = table["variable"].asstr()[...].tolist().index(variable)
        if column == "location":
            row = table["location_index"][row] - 1
        table[column][row] = value


@pytest.mark.parametrize(
    ("column", "variable", "value", "words"),
    [
        ("shape", "emg", "[1000000000, 3]", "'emg' should be float32 of shape"),
        ("shape", "emg", "[-1, 3]", "'emg' has dims .* and shape"),
        ("shape", "emg", "[3]", "'emg' has dims .* and shape"),
        ("dtype", "emg", "float64", "'emg' should be float64"),
        ("dtype", "emg", "object", "Unknown type 'object'. Allowed: bool"),
        ("dtype", "side", "U999999", "Unknown type 'U999999'"),
        ("form", "emg", "pickle", "'emg' has form 'pickle'"),
        ("form", "emg", "empty", "'emg' should have values"),
        ("location", "emg", "acquisition/other", "cannot be read"),
        ("value", "time", "[0.0]", "cannot be read"),
        ("role", "emg", "spy", "role 'spy'"),
        ("dims", "emg", "time frequency", "dim 'frequency' is unknown"),
    ],
)
def test_tables_that_contradict_the_file(
    column: str, variable: str, value: str, words: str, make: dict, path: Path
) -> None:
    write_nwb(make["emg"](), path)
    change(path, column, variable, value)
    with pytest.raises(FileFormatError, match=words):
        read_nwb(path)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [("int64", "[1, ]", "cannot be read"), ("pickle", "x", "Unknown type"), ("int", "x", "cannot")],
)
def test_attributes_that_no_writer_of_ours_wrote(
    kind: str, value: str, words: str, make: dict, path: Path
) -> None:
    write_nwb(make["emg"](), path)
    with h5py.File(path, "r+") as file:
        table = file["processing/misc/dataset_attributes"]
        table["type"][1], table["value"][1] = kind, value
    with pytest.raises(FileFormatError, match=words):
        read_nwb(path)


def test_a_newer_layout(make: dict, path: Path) -> None:
    write_nwb(make["emg"](), path)
    with h5py.File(path, "r+") as file:
        file["processing/misc/dataset_attributes/value"][0] = "99"
    with pytest.raises(FileFormatError, match=r"layout 99, and this version .* reads 1"):
        read_nwb(path)
