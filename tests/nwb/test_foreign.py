"""NWB files that others wrote, with EMG stored in ways of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.ecephys import ElectricalSeries
from pynwb.file import Subject

from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.nwb import read_nwb, write_nwb

RAW = np.arange(40, dtype=np.int16).reshape(20, 2)


@pytest.fixture
def foreign(path: Path) -> Path:
    nwb = NWBFile(
        session_description="a rat on a wheel",
        identifier="x",
        session_start_time=datetime(2020, 1, 1, tzinfo=UTC),
        subject=Subject(subject_id="rat-3", species="Rattus norvegicus", sex="M", age="P90D"),
    )
    device = nwb.create_device(name="amplifier", description="amplifier")
    group = nwb.create_electrode_group(
        name="wires", description="fine wires", location="leg", device=device
    )
    for place in ("tibialis anterior left", "soleus left"):
        nwb.add_electrode(location=place, group=group)
    nwb.add_acquisition(
        ElectricalSeries(
            name="EMG",
            description="fine-wire EMG",
            data=RAW,
            electrodes=nwb.create_electrode_table_region([1, 0], "both"),
            starting_time=2.0,
            rate=1000.0,
            conversion=1e-6,
            channel_conversion=[1.0, 2.0],
            offset=0.5,
        )
    )
    nwb.add_acquisition(
        TimeSeries(name="force", data=RAW[:, 0], unit="Newton", timestamps=np.arange(20) ** 1.5)
    )
    nwb.add_acquisition(TimeSeries(name="video", data=np.zeros((9, 2, 2)), unit="1", rate=1.0))
    module = nwb.create_processing_module(name="behavior", description="more")
    module.add(TimeSeries(name="force", data=[1.0], unit="N", rate=1.0))
    module.add(TimeSeries(name="backwards", data=[1.0, 2.0], unit="N", timestamps=[1.0, 0.0]))
    with NWBHDF5IO(path, "w") as file:
        file.write(nwb)
    return path


def test_without_a_choice_the_series_are_listed(foreign: Path) -> None:
    with pytest.raises(FileFormatError) as error:
        read_nwb(foreign)
    text = str(error.value)
    assert "an NWB file of another layout" in text
    assert "acquisition/EMG (ElectricalSeries, 20 x 2 int16 in volts, 1000 Hz)" in text
    assert "acquisition/force (TimeSeries, 20 int16 in Newton)" in text
    assert "read_nwb(path, series=...)" in text


@pytest.mark.parametrize("name", ["acquisition/EMG", "/acquisition/EMG", "EMG"])
def test_a_series_of_electrodes(name: str, foreign: Path) -> None:
    with read_nwb(foreign, series=name) as dataset:
        assert dataset["EMG"].dims == ("time", "channel")
        np.testing.assert_allclose(dataset["EMG"], RAW * 1e-6 * [1, 2] + 0.5)
        np.testing.assert_allclose(dataset["EMG"][3:5, 1], RAW[3:5, 1] * 2e-6 + 0.5)
        assert dataset["EMG"].attrs["units"] == "V"
        assert dataset["EMG"].attrs["long_name"] == "fine-wire EMG"
        np.testing.assert_allclose(dataset["time"], 2.0 + np.arange(20) / 1000)
        assert dataset["channel"].values.tolist() == ["soleus left", "tibialis anterior left"]
        assert dataset["side"].values.tolist() == ["left", "left"]
        assert dataset.attrs["sampling_rate"] == 1000.0
        assert dataset.attrs["subject"] == "rat-3"
        assert dataset.attrs["species"] == "Rattus norvegicus"
        renamed = dataset.rename(EMG="emg").load()
    again = write_nwb(renamed, foreign.with_name("again.nwb"))
    with read_nwb(again) as found:
        xr.testing.assert_identical(found, renamed)


def test_a_series_with_timestamps(foreign: Path) -> None:
    with read_nwb(foreign, series="acquisition/force") as dataset:
        assert dataset["force"].dims == ("time",)
        assert dataset["force"].dtype == np.int16
        assert dataset["force"].attrs["units"] == "N"
        np.testing.assert_array_equal(dataset["time"], np.arange(20) ** 1.5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("EEG", r"There is no series with the path or name 'EEG'. Available: acquisition/EMG"),
        ("force", r"Several series have .* 'force'. Available: acquisition/force, processing"),
        ("video", r"9 x 2 x 2 float64 .* is no signal of one or more channels"),
        ("backwards", r"backwards has 2 samples and 2 timestamps. Expected as many, finite and"),
    ],
)
def test_choices_that_cannot_be(name: str, words: str, foreign: Path) -> None:
    with pytest.raises(FileFormatError, match=words):
        read_nwb(foreign, series=name)


def test_a_series_of_our_own_file(make: dict, path: Path) -> None:
    dataset = make["emg"]()
    write_nwb(dataset, path)
    with read_nwb(path, series="emg") as found:
        np.testing.assert_array_equal(found["emg"], dataset["emg"])
        np.testing.assert_array_equal(found["time"], dataset["time"])


def test_an_nwb_file_without_series(path: Path) -> None:
    nwb = NWBFile(session_description="empty", identifier="x", session_start_time=datetime.now(UTC))
    with NWBHDF5IO(path, "w") as file:
        file.write(nwb)
    with pytest.raises(FileFormatError, match=r"another layout, without any series"):
        read_nwb(path)
