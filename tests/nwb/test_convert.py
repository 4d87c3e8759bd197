"""From NetCDF to NWB and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nwbinspector
import pytest
import xarray as xr

from kinesis_neuro import render
from kinesis_neuro.cli import main
from kinesis_neuro.demo import demo
from kinesis_neuro.errors import FileFormatError, InvalidInputError, WriteError
from kinesis_neuro.netcdf import read_netcdf, write_netcdf
from kinesis_neuro.nwb import convert, read_nwb


def test_there_and_back(dataset: xr.Dataset, tmp_path: Path, lossless: Callable) -> None:
    first, second, third = (tmp_path / name for name in ("a.nc", "a.nwb", "b.nc"))
    write_netcdf(dataset, first)
    assert convert(first, second) == second
    with read_nwb(second) as found:
        lossless(found, dataset)
    assert convert(second, third) == third
    lossless(read_netcdf(third), dataset)


def test_targets_are_not_replaced_unasked(make: dict, tmp_path: Path) -> None:
    write_netcdf(make["emg"](), tmp_path / "a.nc")
    convert(tmp_path / "a.nc", tmp_path / "a.nwb")
    for source, target in (("a.nc", "a.nwb"), ("a.nwb", "a.nc")):
        with pytest.raises(WriteError, match=r"exists already. Pass overwrite=True"):
            convert(tmp_path / source, tmp_path / target)
        convert(tmp_path / source, tmp_path / target, overwrite=True)


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("a.nc", "b.csv", r"Cannot convert to 'b.csv'. Allowed: .nc, .nwb"),
        ("a.c3d", "b.nwb", r"Cannot convert from 'a.c3d'. Allowed: .nc, .nwb"),
    ],
)
def test_other_formats(source: str, target: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=words):
        convert(tmp_path / source, tmp_path / target)


def test_bad_sources(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"a.nc: no such file"):
        convert(tmp_path / "a.nc", tmp_path / "a.nwb")
    (tmp_path / "a.nc").write_bytes(b"time,force\n0,1\n")
    with pytest.raises(FileFormatError, match=r"a.nc: cannot be read"):
        convert(tmp_path / "a.nc", tmp_path / "a.nwb")
    with pytest.raises(InvalidInputError, match=r"series='emg' chooses from an NWB file"):
        convert(tmp_path / "a.nc", tmp_path / "a.nwb", series="emg")
    foreign = xr.Dataset({"temperature": ("station", [1.0, 2.0])})
    foreign.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    with pytest.raises(InvalidInputError, match=r"dim 'station' is unknown"):
        convert(tmp_path / "b.nc", tmp_path / "b.nwb")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.nc", "b.nc"]


def test_the_command_there_and_back(
    make: dict, tmp_path: Path, lossless: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = make["simulated"]()
    first, second, third = (str(tmp_path / name) for name in ("a.nc", "a.nwb", "b.nc"))
    write_netcdf(dataset, Path(first))
    main(["export", first, second])
    main(["export", second, third])
    assert capsys.readouterr().out.splitlines() == [f"Wrote {second}", f"Wrote {third}"]
    with read_nwb(second) as found:
        lossless(found, dataset)
    lossless(read_netcdf(third), dataset)
    with pytest.raises(SystemExit, match="exists already"):
        main(["export", first, second])


def test_the_demo_writes_both(
    tmp_path: Path, lossless: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_pictures(recording: xr.Dataset, path: Path) -> Path:
        return path

    monkeypatch.setattr(render, "render_filmstrip", no_pictures)
    files = demo(tmp_path, policy="walk-excitation", duration=3.0, video=False, say=lambda _: None)
    with read_nwb(files["nwb"]) as found:
        lossless(found, read_netcdf(files["recording"]))
    messages = nwbinspector.inspect_nwbfile(nwbfile_path=str(files["nwb"]))
    assert {m.importance.name for m in messages} <= {"BEST_PRACTICE_SUGGESTION"}
