"""What somebody without this library finds in a file, with pynwb alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.behavior import SpatialSeries

from kinesis_neuro.body.models import load_body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.nwb import read_nwb, write_nwb
from kinesis_neuro.schema import encode_attr


@pytest.fixture
def opened(path: Path) -> Iterator:
    files = []

    def write_and_open(dataset: xr.Dataset, **options: object) -> NWBFile:
        files.append(NWBHDF5IO(write_nwb(dataset, path, **options), "r"))
        return files[-1].read()

    yield write_and_open
    for file in files:
        file.close()


def test_plot_one_muscle_with_plain_pynwb(make: dict, opened) -> None:
    """The recipe of docs/nwb.md."""
    dataset = make["simulated"]()
    nwb = opened(dataset)

    muscles = nwb.processing["muscle"]["muscles"].to_dataframe()
    row = list(muscles["muscle"]).index("tibant_r")
    activation = nwb.processing["muscle"]["activation"]
    time = activation.starting_time + np.arange(len(activation.data)) / activation.rate
    figure, axes = plt.subplots()
    (line,) = axes.plot(time, activation.data[:, row])
    axes.set(xlabel="time [s]", ylabel=f"activation [{activation.unit}]", title="tibant_r")

    np.testing.assert_array_equal(line.get_xdata(), dataset["time"])
    np.testing.assert_array_equal(line.get_ydata(), dataset["activation"].sel(muscle="tibant_r"))
    plt.close(figure)


def test_muscle_series(make: dict, opened) -> None:
    module = opened(make["simulated"]()).processing["muscle"]
    units = {
        name: (module[name].unit, module[name].rate)
        for name in module.data_interfaces
        if isinstance(module[name], TimeSeries)
    }
    assert units == {
        "excitation": ("1", 150.0),
        "activation": ("1", 150.0),
        "muscle_force": ("newtons", 150.0),
        "muscle_length": ("meters", 150.0),
        "muscle_velocity": ("meters/second", 150.0),
        "muscle_power": ("watts", 150.0),
        "metabolic_rate": ("watts", 150.0),
        "excitation_demand": ("1", 150.0),  # with a condition of the muscles
        "fatigued": ("1", 150.0),
        "resting": ("1", 150.0),
    }
    force = module["muscle_force"]
    assert type(force) is TimeSeries
    assert force.timestamps is None
    assert force.data.dtype == np.float32
    assert (force.data.compression, force.data.shuffle) == ("gzip", True)
    assert "tension positive" in force.description
    assert "rows of the table 'muscles'" in force.comments


def test_series_refer_to_the_table_of_muscles(make: dict, opened) -> None:
    module = opened(make["simulated"]()).processing["muscle"]
    links = module["muscle_series"]
    names = [links["series"][i].name for i in range(len(links))]
    assert names[:2] == ["excitation", "activation"]
    rows = links["muscles"][1]
    assert list(rows["muscle"]) == list(module["muscles"]["muscle"][:])
    assert list(rows["side"]) == ["right", "right", "left", "left", "midline"]
    assert list(rows["group"])[-1] == "back"


def test_muscles_of_a_known_body_have_its_parameters(recording: xr.Dataset, opened) -> None:
    body = load_body("legs")
    part = recording[["activation"]].isel(muscle=[5, 2, 70])
    table = opened(part).processing["muscle"]["muscles"].to_dataframe()
    parameters = MuscleParameters.from_model(body.model)
    assert list(table["muscle"]) == [body.muscles[i] for i in (5, 2, 70)]
    assert list(table["body"]) == ["legs"] * 3
    np.testing.assert_array_equal(table["peak_force"], parameters.peak_force[[5, 2, 70]])
    np.testing.assert_array_equal(table["optimal_length"], parameters.optimal_length[[5, 2, 70]])


def test_muscles_of_another_body_have_none(make: dict, opened) -> None:
    dataset = make["simulated"]()  # claims to be legs, with another hash
    assert "peak_force" not in opened(dataset).processing["muscle"]["muscles"].colnames


def test_kinematics(make: dict, opened) -> None:
    dataset = make["simulated"]()
    module = opened(dataset).processing["behavior"]
    position = module["body_position"]
    assert set(position.spatial_series) == {"pelvis", "tibia_r", "a_b_c", "_", "toes"}
    tibia = position["tibia_r"]
    assert type(tibia) is SpatialSeries
    assert (tibia.unit, tibia.rate, tibia.data.shape) == ("meters", 150.0, (600, 3))
    assert "z up" in tibia.reference_frame
    np.testing.assert_array_equal(tibia.data, dataset["body_position"].sel(body="tibia_r"))
    assert module["root_position"]["root_position"].unit == "meters"
    assert set(module["center_of_pressure"].spatial_series) == {"right", "left"}
    angles, slides = module["joint_position_rotation"], module["joint_position_translation"]
    assert (angles.unit, slides.unit) == ("radians", "meters")
    np.testing.assert_array_equal(angles.data, dataset["joint_position"][:, :2])
    np.testing.assert_array_equal(slides.data, dataset["joint_position"][:, 2:])
    assert module["joint_moment_rotation"].unit == "newton meters"
    assert module["joint_moment_translation"].unit == "newtons"
    links = module["joint_series"].to_dataframe()
    assert [list(rows["joint"]) for rows in links["joints"]][1] == ["knee_angle_r_translation2"]
    force = module["ground_force"]
    assert (force.unit, force.data.shape) == ("newtons", (600, 2, 3))


def test_events_and_cycles_of_a_simulation(make: dict, opened) -> None:
    nwb = opened(make["simulated"]())
    assert set(nwb.events) == {"heel_strike", "toe_off"}
    strikes = nwb.events["heel_strike"].to_dataframe()
    assert set(strikes["side"]) == {"left", "right"}
    assert strikes["timestamp"].is_monotonic_increasing
    assert "ground force" in nwb.events["heel_strike"].source_description
    cycles = nwb.intervals["gait_cycles"].to_dataframe()
    right = cycles[cycles["side"] == "right"]
    np.testing.assert_allclose(right["duration"], 1.0, atol=0.01)
    np.testing.assert_allclose(right["stop_time"] - right["start_time"], right["duration"])
    np.testing.assert_allclose(right["toe_off_phase"], 0.55, atol=0.05)
    np.testing.assert_array_equal(
        right["start_time"], strikes["timestamp"][strikes["side"] == "right"][:-1]
    )


def test_no_cycle_spans_a_restart(make: dict, opened) -> None:
    dataset = make["simulated"]()
    dataset["episode_index"][300:] = 1
    before = opened(dataset, events=None).intervals["gait_cycles"].to_dataframe()
    assert not ((before["start_time"] < 2.0) & (before["stop_time"] >= 2.0)).any()
    assert (before["start_time"] >= 2.0).any()


def test_events_that_the_dataset_tells(make: dict, opened) -> None:
    nwb = opened(make["emg"]())
    strikes = nwb.events["heel_strike"].to_dataframe()
    assert list(strikes["timestamp"]) == [0.5, 0.9, 1.4, 2.2]
    assert list(strikes["side"]) == ["right", "left", "right", "right"]
    cycles = nwb.intervals["gait_cycles"].to_dataframe()
    assert list(cycles["start_time"]) == [0.5, 1.4]
    np.testing.assert_allclose(cycles["toe_off_phase"], [0.5 / 0.9, 0.5 / 0.8])


@pytest.mark.parametrize("given", ["argument", "json"])
def test_events_from_elsewhere(given: str, make: dict, opened) -> None:
    dataset = make["envelope"]()
    events = {"heel_strike_left": [2.0, 1.0]}
    for name in ("heel_strike_right", "toe_off_right", "heel_strike_left"):
        del dataset.attrs[name]
    if given == "json":
        nwb = opened(dataset.assign_attrs(events=encode_attr(events)))
    else:
        nwb = opened(dataset, events=events)
    assert list(nwb.events["heel_strike"]["timestamp"][:]) == [1.0, 2.0]
    assert set(nwb.events) == {"heel_strike"}


def test_gait_cycles_are_a_table(make: dict, opened) -> None:
    dataset = make["cycles"]()
    nwb = opened(dataset)
    table = nwb.processing["muscle"]["cycles"]
    assert table["activation"].data.shape == dataset["activation"].shape
    assert list(nwb.processing["muscle"]["phase"]["phase"][:]) == dataset["phase"].values.tolist()
    intervals = nwb.intervals["gait_cycles"].to_dataframe()
    mine = intervals[intervals["side"] == dataset.attrs["reference_side"]]
    np.testing.assert_array_equal(mine["start_time"], dataset["cycle_start"])
    assert set(intervals["side"]) == {"left", "right"}


def test_raw_emg(make: dict, opened) -> None:
    dataset = make["emg"]()
    dataset["emg"].attrs["units"] = "uV"
    nwb = opened(dataset)
    emg = nwb.acquisition["emg"]
    assert type(emg) is TimeSeries
    assert (emg.unit, emg.conversion) == ("volts", 1e-6)
    assert (emg.starting_time, emg.rate) == (0.25, 1000.0)
    channels = nwb.processing["muscle"]["channels"].to_dataframe()
    assert channels["channel"][0] == "soleus"
    assert list(channels["placement"]) == ["SENIAM", "SENIAM", "belly"]
    assert nwb.processing["muscle"]["channel_series"]["series"][0].name == "emg"


def test_emg_without_a_unit_says_so(make: dict, opened) -> None:
    dataset = make["emg"]()
    dataset["emg"].attrs["units"] = "arbitrary"
    assert opened(dataset).acquisition["emg"].unit == "a.u."


def test_every_filter_step_is_told(make: dict, opened) -> None:
    nwb = opened(make["envelope"]())
    assert not nwb.acquisition
    told = nwb.processing["muscle"]["envelope"].description
    assert "1. bandpass (high = 450.0, low = 20.0, order = 4); 2. rectify; 3. lowpass" in told
    table = nwb.processing["misc"]["dataset_attributes"].to_dataframe()
    row = table[(table["attribute"] == "processing") & (table["key"] == '[0, "low"]')]
    assert list(row["value"]) == ["20.0"]


def test_irregular_times_are_stored_once(make: dict, opened) -> None:
    dataset = make["irregular"]()
    module = opened(dataset).processing["muscle"]
    first, second = module["envelope"], module["reference"]
    assert first.rate is None
    np.testing.assert_array_equal(first.timestamps, dataset["time"])
    assert second.timestamps == first.timestamps


def test_times_that_a_rate_does_not_give_are_kept(make: dict, opened) -> None:
    dataset = make["control_rate"]()
    module = opened(dataset).processing["behavior"]
    assert module["reward"].rate == 30.0
    np.testing.assert_array_equal(module["samples"]["time"].data, dataset["time"])


def test_a_file_that_pynwb_exported_again(
    make: dict, path: Path, lossless: Callable[[xr.Dataset, xr.Dataset], None]
) -> None:
    dataset = make["simulated"]()
    copy = path.with_name("copy.nwb")
    with (
        NWBHDF5IO(write_nwb(dataset, path), "r") as source,
        NWBHDF5IO(copy, "w") as target,
    ):
        target.export(src_io=source, nwbfile=source.read())
    with read_nwb(copy) as found:
        lossless(found, dataset)


def test_provenance(make: dict, opened) -> None:
    dataset = make["simulated"]()
    nwb = opened(dataset)
    table = nwb.processing["misc"]["dataset_attributes"].to_dataframe()
    mine = table[table["owner"] == "(dataset)"].set_index("attribute")
    assert mine.loc["policy_hash", "value"] == "2c"
    assert mine.loc["seed", ["type", "value"]].tolist() == ["int", "7"]
    versions = mine.loc["versions"]
    cells = zip(versions["key"], versions["value"], strict=True)
    found = {json.loads(key)[0]: json.loads(value) for key, value in cells}
    assert found == json.loads(dataset.attrs["versions"])
    assert {name: version for name, version in nwb.was_generated_by[:]} == found
    leaves = mine.loc["configuration"].set_index("key")["value"]
    assert leaves['["task", "reward", "energy"]'] == "0.1"


def test_a_simulation_says_that_it_is_one(make: dict, opened) -> None:
    nwb = opened(make["simulated"]())
    assert nwb.session_description.startswith("Simulation, no recording of a living subject")
    assert nwb.subject.description.startswith("Simulated, not a living being")
    assert (nwb.subject.species, nwb.subject.sex, nwb.subject.age) == ("Homo sapiens", "U", "P0Y/")
    assert nwb.subject.subject_id == "simulated-legs-walk-seed7"
    assert (datetime.now(UTC) - nwb.session_start_time).total_seconds() < 600


def test_a_person_is_described_as_far_as_known(make: dict, opened) -> None:
    nwb = opened(make["emg"]())
    assert nwb.subject.subject_id == "wang2023-06"
    assert (nwb.subject.sex, nwb.subject.age) == ("F", "P24Y")
    assert "Simulat" not in nwb.subject.description + nwb.session_description
    assert nwb.related_publications[:] == ("https://doi.org/10.1234/abc.567",) or list(
        nwb.related_publications
    ) == ["https://doi.org/10.1234/abc.567"]
    assert "licence: Apache-2.0" in nwb.notes
    assert nwb.session_start_time.year == 1970
    assert "date of the recording is not known" in nwb.experiment_description


def test_what_is_not_known_is_not_made_up(make: dict, opened) -> None:
    dataset = make["emg"]()
    dataset.attrs = {}
    subject = opened(dataset).subject
    assert (subject.subject_id, subject.sex, subject.age) == ("unknown", "U", "P0Y/")
    assert "Age is not known. Sex is not known." in subject.description


def test_metadata_win(make: dict, opened) -> None:
    nwb = opened(
        make["emg"](),
        metadata={
            "session_start_time": datetime(2024, 5, 17, 9, 30),
            "experimenter": ["Bernstein, Nikolai"],
            "subject": {"subject_id": "s-1", "date_of_birth": "2000-01-01"},
        },
    )
    assert nwb.session_start_time == datetime(2024, 5, 17, 9, 30, tzinfo=UTC)
    assert nwb.experimenter == ("Bernstein, Nikolai",)
    assert (nwb.subject.subject_id, nwb.subject.age) == ("s-1", None)
    assert nwb.subject.date_of_birth == datetime(2000, 1, 1, tzinfo=UTC)
