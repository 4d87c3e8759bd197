"""Datasets of every kind that goes into an NWB file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import kinesis_neuro as kn
from kinesis_neuro.emg.cycles import cycle_statistics, segment_cycles
from kinesis_neuro.provenance import provenance
from kinesis_neuro.schema import RECORDING, encode_attr, make_variable

RATE = 150.0
LABELS = {
    "muscle": ["soleus_r", "tibant_r", "soleus_l", "tibant_l", "ercspn"],
    "joint": ["hip_flexion_r", "knee_angle_r", "knee_angle_r_translation2"],
    "body": ["pelvis", "tibia_r", "a/b:c", "..", "toes"],
    "contact": ["right", "left"],
    "space": ["x", "y", "z"],
    "quaternion": ["w", "x", "y", "z"],
    "action_channel": ["hip", "knee"],
}
CHANNELS = ["soleus", "tibialis_anterior", "gastrocnemius_medialis"]


def provenance_of(rate: float) -> dict[str, str | int | float]:
    return provenance(
        body="legs",
        body_hash="0a",
        motion="walk36",
        motion_hash="1b",
        policy="walk",
        policy_hash="2c",
        actuation="moment",
        seed=7,
        sampling_rate=rate,
        physics_rate=150.0,
        control_rate=30.0,
        configuration={"duration": 4.0, "task": {"reward": {"energy": 0.1}, "lookahead": [1, 5]}},
    )


def simulated(n: int = 600, dtype: str = "f4") -> xr.Dataset:
    """Make a recording with every variable of the schema, of somebody who walks at 1 Hz."""
    rng = np.random.default_rng(0)
    time = np.arange(n) / RATE
    sizes = {dim: len(names) for dim, names in LABELS.items()} | {"time": n}
    values = {
        name: rng.random([sizes[dim] for dim in spec.dims]).astype(dtype)
        for name, spec in RECORDING.items()
    }
    for foot, shift in enumerate((0.0, 0.5)):
        load = np.sin(2 * np.pi * (time - shift - 0.2))
        values["ground_force"][:, foot, 2] = np.where(load > -0.2, 800 * (load + 0.2), 0)
    coords = {"time": make_variable("time", time)}
    coords |= {dim: make_variable(dim, np.array(names)) for dim, names in LABELS.items()}
    side = np.array(["right", "right", "left", "left", "midline"])
    coords["side"] = make_variable("side", side)
    coords["group"] = make_variable("group", np.array(["calf", "shin", "calf", "shin", "back"]))
    coords["joint_unit"] = make_variable("joint_unit", np.array(["rad", "rad", "m"]))
    variables = {name: make_variable(name, array) for name, array in values.items()}
    dataset = xr.Dataset(variables, coords, provenance_of(RATE))
    dataset["episode_index"] = ("time", np.zeros(n, dtype=np.int64), {"units": "1"})
    return dataset


def emg(n: int = 2000, rate: float = 1000.0) -> xr.Dataset:
    """Make raw EMG of a person, in volts."""
    rng = np.random.default_rng(1)
    return xr.Dataset(
        {
            "emg": (
                ("time", "channel"),
                rng.normal(0, 1e-4, (n, len(CHANNELS))).astype("f4"),
                {"units": "V", "long_name": "surface EMG"},
            )
        },
        {
            "time": ("time", 0.25 + np.arange(n) / rate, {"units": "s"}),
            "channel": ("channel", np.array(CHANNELS)),
            "side": ("channel", np.array(["right"] * 3)),
            "placement": ("channel", np.array(["SENIAM", "SENIAM", "belly"])),
        },
        {
            "subject": "wang2023/06",
            "condition": "treadmill",
            "speed": 1.0,
            "sex": "female",
            "age": 24,
            "source": "a published recording",
            "licence": "Apache-2.0",
            "citation": "Wang et al. 2023, doi: 10.1234/abc.567.",
            "sampling_rate": rate,
            "heel_strike_right": np.array([0.5, 1.4, 2.2]),
            "toe_off_right": np.array([1.0, 1.9]),
            "heel_strike_left": 0.9,
        },
    )


def envelope(n: int = 500, rate: float = 100.0) -> xr.Dataset:
    """Make envelopes with the steps that led to them."""
    raw = emg(n, rate)
    steps = [
        {"step": "bandpass", "low": 20.0, "high": 450.0, "order": 4},
        {"step": "rectify"},
        {"step": "lowpass", "cutoff": 6.0, "order": 4},
    ]
    values = np.abs(raw["emg"].values).astype("f8")
    dataset = raw.drop_vars("emg").assign(
        envelope=(("time", "channel"), values / values.max(0), {"units": "1"})
    )
    return dataset.assign_attrs(processing=encode_attr(steps))


def irregular() -> xr.Dataset:
    """Make envelopes with a gap in time."""
    dataset = envelope().isel(time=np.r_[0:100, 150:400])
    del dataset.attrs["sampling_rate"]
    return dataset.assign(reference=dataset["envelope"].astype("f4"))


def emg_cycles() -> xr.Dataset:
    """Make cycles of envelopes; there are fewer than points of phase."""
    strikes = {"heel_strike_right": np.array([0.5, 1.5, 2.5, 3.5]), "toe_off_right": [1.1, 2.1]}
    dataset = envelope()
    for name in ("heel_strike_right", "toe_off_right", "heel_strike_left"):
        del dataset.attrs[name]
    return segment_cycles(dataset, strikes, n_phase=51)


def short() -> xr.Dataset:
    """Make a recording with fewer samples than muscles, which looks transposed as a series."""
    return simulated(4)


def control_rate() -> xr.Dataset:
    """Make a recording of every fifth sample, whose times no longer are multiples of a period."""
    dataset = simulated(601).isel(time=slice(3, None, 5))
    dataset.attrs["sampling_rate"] = 30.0
    return dataset


def episodes() -> xr.Dataset:
    """Make what an evaluation gives: no time, no muscles, no coordinate along the dim."""
    return xr.Dataset(
        {
            "success": ("episode", np.array([True, False, True]), {"units": "1"}),
            "survival": ("episode", np.array([10.0, np.nan, 9.5]), {"units": "s"}),
        },
        {"motion": ("episode", np.array(["walk", "run", "walk"]))},
        {"protocol": "strict", "summary": encode_attr({"success": 0.67})},
    )


KINDS: dict[str, Callable[[], xr.Dataset]] = {
    "simulated": simulated,
    "short": short,
    "control_rate": control_rate,
    "cycles": lambda: segment_cycles(simulated(), n_phase=21),
    "statistics": lambda: cycle_statistics(segment_cycles(simulated(), n_phase=21)),
    "emg": emg,
    "envelope": envelope,
    "irregular": irregular,
    "emg_cycles": emg_cycles,
    "episodes": episodes,
}


@pytest.fixture(scope="session")
def recording() -> xr.Dataset:
    """Record a real policy, if one that cannot walk, in a real body."""
    return kn.record("untrained", duration=3, on_fall="restart")


@pytest.fixture(params=["recording", *KINDS])
def dataset(request: pytest.FixtureRequest) -> xr.Dataset:
    """Give a dataset of each kind in turn."""
    if request.param == "recording":
        return request.getfixturevalue("recording").copy(deep=True)
    return KINDS[request.param]()


@pytest.fixture
def make() -> dict[str, Callable[[], xr.Dataset]]:
    """Give the functions that make datasets, by kind."""
    return KINDS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a file to write to."""
    return tmp_path / "a.nwb"


def assert_lossless(found: xr.Dataset, wanted: xr.Dataset) -> None:
    """Equality of values, names and attributes, and of all their types."""
    xr.testing.assert_identical(found, wanted)
    assert list(found.data_vars) == list(wanted.data_vars)
    pairs = [(found.attrs, wanted.attrs)]
    for name in wanted.variables:
        assert found[name].dtype == wanted[name].dtype, name
        assert found[name].values.tobytes() == wanted[name].values.tobytes(), name
        pairs.append((found[name].attrs, wanted[name].attrs))
    for ours, theirs in pairs:
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            assert type(ours[key]) is type(value), key
            assert np.asarray(ours[key]).dtype == np.asarray(value).dtype, key


@pytest.fixture
def lossless() -> Callable[[xr.Dataset, xr.Dataset], None]:
    """Give the comparison that asks for more than xarray's."""
    return assert_lossless
