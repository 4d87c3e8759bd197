"""What goes into a NetCDF file comes out of it, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kinesis_neuro.errors import FileFormatError, InvalidInputError, WriteError
from kinesis_neuro.netcdf import read_netcdf, write_netcdf

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True)
NUMBERS = st.sampled_from("i1 i2 i4 i8 u1 u2 u4 u8 f4 f8".split()).map(np.dtype)
ATTRS = st.dictionaries(
    NAMES.map("x_{}".format),
    st.one_of(
        TEXT,
        st.integers(-(2**63), 2**63 - 1),
        st.floats(),
        NUMBERS.flatmap(lambda dtype: hnp.arrays(dtype, st.integers(2, 4))),
    ),
    max_size=12,
)
SIDES = st.sampled_from(["left", "right", "midline"])


def values(draw: st.DrawFn, shape: tuple[int, ...]) -> np.ndarray:
    kind = draw(st.sampled_from(["number", "bool", "text"]))
    if kind == "number":
        return draw(hnp.arrays(draw(NUMBERS), shape))
    if kind == "bool":
        return draw(hnp.arrays(bool, shape))
    # numpy drops NULs at the end of a text, so it cannot hold them; wider than the content is fine.
    return draw(hnp.arrays("U16", shape, elements=TEXT))


@st.composite
def datasets(draw: st.DrawFn) -> xr.Dataset:
    sizes = {"time": draw(st.integers(0, 4)), "muscle": draw(st.integers(1, 3)), "cycle": 2}
    time = draw(
        hnp.arrays("f8", sizes["time"], elements=st.floats(-1e6, 1e6), unique=True).map(np.sort)
    )
    muscles = draw(st.lists(TEXT, min_size=sizes["muscle"], max_size=sizes["muscle"], unique=True))
    width = draw(st.integers(12, 30))
    n = sizes["muscle"]
    coords = {
        "time": ("time", time, {"units": "s"} | draw(ATTRS)),
        "muscle": ("muscle", np.array(muscles, dtype=f"U{width}"), draw(ATTRS)),
        "side": ("muscle", draw(hnp.arrays("U7", n, elements=SIDES))),
        "group": ("muscle", draw(hnp.arrays("U12", n, elements=TEXT))),
        "trial": ((), draw(st.integers(0, 9)), {"units": "1"}),
    }
    names = draw(st.lists(NAMES.map("v_{}".format), min_size=1, max_size=4, unique=True))
    variables = {}
    for name in names:
        dims = draw(st.lists(st.sampled_from(list(sizes)), unique=True, max_size=3))
        units = draw(st.sampled_from(["1", "N", "days since 2000-01-01", "s"]))
        array = values(draw, tuple(sizes[dim] for dim in dims))
        variables[name] = (dims, array, {"units": units} | draw(ATTRS))
    return xr.Dataset(variables, coords, draw(ATTRS))


def assert_lossless(found: xr.Dataset, wanted: xr.Dataset) -> None:
    xr.testing.assert_identical(found, wanted)
    pairs = [(found.attrs, wanted.attrs)]
    for name in wanted.variables:
        assert found[name].dtype == wanted[name].dtype, name
        pairs.append((found[name].attrs, wanted[name].attrs))
    for ours, theirs in pairs:
        for key, value in theirs.items():
            assert type(ours[key]) is type(value), key
            assert np.asarray(ours[key]).dtype == np.asarray(value).dtype, key


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dataset=datasets())
def test_round_trip_is_lossless(dataset: xr.Dataset, tmp_path: Path) -> None:
    before = dataset.copy(deep=True)
    write_netcdf(dataset, tmp_path / "a.nc")
    assert_lossless(read_netcdf(tmp_path / "a.nc"), before)
    assert_lossless(dataset, before)


@pytest.fixture
def dataset() -> xr.Dataset:
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {"activation": (("time", "cycle"), rng.random((300, 40)), {"units": "1"})},
        {"time": ("time", np.arange(300) / 150, {"units": "s"})},
        {"seed": 0, "rate": 150.0, "body": "legs"},
    )


def test_missing_values_stay(dataset: xr.Dataset, tmp_path: Path) -> None:
    dataset["activation"][3, 5] = np.nan
    write_netcdf(dataset, tmp_path / "a.nc")
    assert_lossless(read_netcdf(tmp_path / "a.nc"), dataset)


def test_the_same_dataset_gives_the_same_bytes(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_netcdf(dataset, tmp_path / "a.nc")
    write_netcdf(dataset.copy(deep=True), tmp_path / "b.nc")
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()


def test_plain_xarray_reads_the_file(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_netcdf(dataset, tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as plain:
        xr.testing.assert_equal(plain, dataset)


def test_how_an_earlier_file_was_stored_does_not_matter(
    dataset: xr.Dataset, tmp_path: Path
) -> None:
    dataset["activation"].encoding = {"dtype": "int8", "scale_factor": 0.5, "chunksizes": (7, 7)}
    write_netcdf(dataset, tmp_path / "a.nc")
    assert_lossless(read_netcdf(tmp_path / "a.nc"), dataset)


def test_a_refused_dataset_leaves_the_former_file(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_netcdf(dataset, tmp_path / "a.nc")
    with pytest.raises(InvalidInputError, match=r"'bad' of the dataset is NoneType"):
        write_netcdf(dataset.assign_attrs(bad=None), tmp_path / "a.nc")
    assert_lossless(read_netcdf(tmp_path / "a.nc"), dataset)
    assert [file.name for file in tmp_path.iterdir()] == ["a.nc"]


def test_a_write_that_dies_leaves_the_former_file(
    dataset: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netcdf(dataset, tmp_path / "a.nc")

    def full_disk(self: xr.Dataset, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full_disk)
    with pytest.raises(WriteError, match=r"No space left"):
        write_netcdf(dataset * 2, tmp_path / "a.nc")
    assert_lossless(read_netcdf(tmp_path / "a.nc"), dataset)
    assert [file.name for file in tmp_path.iterdir()] == ["a.nc"]


def test_no_such_folder(dataset: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"no folder"):
        write_netcdf(dataset, tmp_path / "nowhere" / "a.nc")


@pytest.mark.parametrize("content", [b"", b"CDF\x01classic", b"time,force\n0,1\n", bytes(4096)])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"a\.nc: cannot be read .* Expected a NetCDF 4"):
        read_netcdf(tmp_path / "a.nc")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(dataset: xr.Dataset, part: float, tmp_path: Path) -> None:
    write_netcdf(dataset, tmp_path / "a.nc")
    content = (tmp_path / "a.nc").read_bytes()
    (tmp_path / "a.nc").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(FileFormatError, match=r"cannot be read"):
        read_netcdf(tmp_path / "a.nc")


def test_damaged_values_are_refused(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_netcdf(dataset, tmp_path / "a.nc")
    with h5py.File(tmp_path / "a.nc") as file:
        place = file["activation"].id.get_chunk_info(0).byte_offset
    content = bytearray((tmp_path / "a.nc").read_bytes())
    content[place + 200] ^= 0xFF
    (tmp_path / "a.nc").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"cannot be read"):
        read_netcdf(tmp_path / "a.nc")


def test_foreign_hdf5_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file["group/values"] = np.arange(3)
    with pytest.raises(FileFormatError, match=r"no variable"):
        read_netcdf(tmp_path / "a.nc")


def test_foreign_netcdf_is_refused_with_the_reason(tmp_path: Path) -> None:
    foreign = xr.Dataset({"temperature": ("station", [1.0, 2.0])})
    foreign.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(FileFormatError, match=r"dim 'station' is unknown"):
        read_netcdf(tmp_path / "a.nc")


def test_a_file_cannot_ask_for_all_memory(tmp_path: Path) -> None:
    write_netcdf(xr.Dataset({"note": ("episode", np.array(["a", "b"]))}), tmp_path / "a.nc")
    with h5py.File(tmp_path / "a.nc", "r+") as file:
        file["note"].attrs["_text_width"] = 2**50
    with pytest.raises(FileFormatError, match=r"claims to hold text of 1125899906842624"):
        read_netcdf(tmp_path / "a.nc")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"no such file"):
        read_netcdf(tmp_path / "a.nc")
