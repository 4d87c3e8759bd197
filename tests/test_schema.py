"""The schema refuses what it should, all at once, and says what is allowed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.provenance import provenance
from kinesis_neuro.schema import DIMS, RECORDING, encode_attr, make_variable, validate

RATE = 150.0
SIZES = {"time": 4, "space": 3, "quaternion": 4}
ATTRS = provenance(
    body="legs",
    body_hash="0a",
    motion="walk36",
    motion_hash="1b",
    policy="walk",
    policy_hash="2c",
    actuation="moment",
    seed=0,
    sampling_rate=RATE,
    physics_rate=150.0,
    control_rate=30.0,
)


def coordinate(name: str) -> tuple:
    n = SIZES.get(name, 2)
    values = np.arange(n) / RATE if name == "time" else np.array([f"{name}_{i}" for i in range(n)])
    return make_variable(name, values)


@pytest.fixture
def recording() -> xr.Dataset:
    """Every variable of the table, small."""
    variables = {
        name: make_variable(name, np.zeros([SIZES.get(dim, 2) for dim in spec.dims]))
        for name, spec in RECORDING.items()
    }
    dims = sorted({dim for spec in RECORDING.values() for dim in spec.dims})
    coords = {dim: coordinate(dim) for dim in dims}
    coords |= {
        "side": make_variable("side", ["left", "right"]),
        "group": make_variable("group", ["calf", "calf"]),
        "joint_unit": make_variable("joint_unit", ["rad", "m"]),
    }
    return xr.Dataset(variables, coords, ATTRS)


def refusal(dataset: xr.Dataset, kind: str = "recording") -> str:
    with pytest.raises(InvalidInputError) as error:
        validate(dataset, kind)
    return str(error.value)


def test_a_recording_with_every_variable_is_accepted(recording: xr.Dataset) -> None:
    validate(recording)
    validate(recording, kind="any")


def test_no_variable_has_the_name_of_a_dim() -> None:
    assert not RECORDING.keys() & DIMS.keys()
    assert {dim for spec in RECORDING.values() for dim in spec.dims} <= DIMS.keys()


def test_a_part_of_a_recording_is_a_recording(recording: xr.Dataset) -> None:
    validate(recording[["activation"]].isel(time=slice(1, 3)))


def test_variables_beyond_the_table_are_allowed(recording: xr.Dataset) -> None:
    validate(recording.assign(fatigue=recording["activation"].copy()))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.0, 1.0, np.nan, 2.0], "time' is nan at index 2. Allowed: finite"),
        ([0.0, 1.0, 1.0, 2.0], "time' goes from 1.0 to 1.0 at index 2"),
        ([0.0, 2.0, 1.0, 3.0], "time' goes from 2.0 to 1.0 at index 2"),
        ([0, 1, 2, 3], "time' holds int64. Allowed: floats"),
        (np.array([0, 1, 2, 4]) / RATE, "time' leaves start + arange(n) / rate at index 3"),
    ],
)
def test_bad_time(recording: xr.Dataset, values: list, words: str) -> None:
    bad = recording.assign_coords(time=("time", values, {"units": "s"}))
    assert words in refusal(bad)


def test_stale_rate_after_decimation(recording: xr.Dataset) -> None:
    assert "Set the rate of these samples" in refusal(recording.isel(time=slice(None, None, 2)))


def test_duplicate_muscles(recording: xr.Dataset) -> None:
    bad = recording.assign_coords(muscle=["soleus_r", "soleus_r"])
    assert "'muscle' holds 'soleus_r' more than once" in refusal(bad)


@pytest.mark.parametrize(("dim", "coord"), [("muscle", "side"), ("joint", "joint_unit")])
def test_missing_companions(recording: xr.Dataset, dim: str, coord: str) -> None:
    assert f"dim '{dim}' has no coordinate '{coord}'" in refusal(recording.drop_vars(coord))


def test_missing_labels(recording: xr.Dataset) -> None:
    assert "dim 'muscle' has no coordinate 'muscle'" in refusal(recording.drop_vars("muscle"))


def test_an_index_may_go_without_coordinate() -> None:
    validate(xr.Dataset({"success": ("episode", [True, False], {"units": "1"})}), kind="any")


def test_unknown_side(recording: xr.Dataset) -> None:
    bad = recording.assign_coords(side=("muscle", ["left", "R"]))
    assert "'side' holds 'R'. Allowed: left, right, midline." in refusal(bad)


def test_unknown_dim_names_the_known_ones() -> None:
    text = refusal(xr.Dataset({"r": ("muscles", [0.5], {"units": "1"})}), kind="any")
    assert "dim 'muscles' is unknown" in text
    assert "muscle," in text


def test_a_variable_with_the_name_of_its_own_dim_is_noticed() -> None:
    # xarray makes it a coordinate without a word; its type gives it away.
    text = refusal(xr.Dataset({"muscle": ("muscle", [0.1, 0.2])}), kind="any")
    assert "'muscle' holds float64. Allowed: text" in text


def test_a_variable_with_the_name_of_another_dim(recording: xr.Dataset) -> None:
    text = refusal(recording.assign(phase=recording["reward"]), kind="any")
    assert "'phase' has the name of a dim" in text


def test_wrong_dims_and_units(recording: xr.Dataset) -> None:
    recording["reward"] = recording["tracking_error"]
    recording["muscle_force"] = recording["muscle_force"].T
    text = refusal(recording)
    assert "'reward' has units 'm'. Expected '1'." in text
    assert "'muscle_force' has dims ('muscle', 'time'). Expected ('time', 'muscle')." in text


def test_all_violations_come_in_one_message(recording: xr.Dataset) -> None:
    del recording["activation"].attrs["units"]
    del recording.attrs["policy"]
    recording.attrs["seed"] = 1.0
    text = refusal(recording.assign_coords(muscle=["a", "a"]))
    assert text.startswith("The dataset breaks the schema in 4 places:\n- ")
    for words in ("'activation' has no units", "'policy' of", "'seed' of", "'a' more than once"):
        assert words in text


@pytest.mark.parametrize(
    "value",
    [
        True,
        None,
        {"a": 1},
        [1, 2],
        np.float64(1.0),
        np.int64(1),
        np.array([1.0]),
        np.array([True, False]),
        np.array(["a", "b"]),
        np.zeros((2, 2)),
        2**63,
        "a\0b",
        "\ud800",
    ],
    ids=repr,
)
def test_attributes_that_files_do_not_keep(value: object) -> None:
    text = refusal(xr.Dataset({"r": ((), 1.0, {"units": "1", "note": value})}), kind="any")
    assert "in 1 place:" in text
    assert "attribute 'note' of variable 'r'" in text


@pytest.mark.parametrize("name", ["scale_factor", "_FillValue", "a b", "", 3])
def test_attribute_names_that_files_do_not_keep(name: object) -> None:
    assert "has a name that" in refusal(xr.Dataset({"r": 1.0}, attrs={name: 1}), kind="any")


@pytest.mark.parametrize(
    "values",
    [
        np.array(["a", "b"], dtype=object),
        np.array([1j, 2j]),
        np.array([1.0, 2.0], dtype=">f8"),
        np.array([1.0, 2.0], dtype=np.float16),
        np.array([0, 1], dtype="datetime64[ns]"),
    ],
    ids=lambda values: values.dtype.str,
)
def test_types_that_files_do_not_keep(values: np.ndarray) -> None:
    dataset = xr.Dataset({"r": ("episode", values, {"units": "1"})})
    assert f"'r' holds {values.dtype}" in refusal(dataset, kind="any")


def test_nothing_at_all_is_no_dataset() -> None:
    assert "no variable" in refusal(xr.Dataset(), kind="any")
    with pytest.raises(InvalidInputError, match=r"Expected an xarray.Dataset, but got DataArray"):
        validate(xr.DataArray([1.0]))  # type: ignore[arg-type]


def test_unknown_kind(recording: xr.Dataset) -> None:
    with pytest.raises(InvalidInputError, match=r"Available: any, recording"):
        validate(recording, kind="recordings")


def test_make_variable_refuses_other_shapes_and_names() -> None:
    with pytest.raises(InvalidInputError, match=r"expected 2 axes \(time, muscle\)"):
        make_variable("activation", [0.0, 1.0])
    with pytest.raises(InvalidInputError, match=r"Unknown variable 'activations'. Available"):
        make_variable("activations", [0.0])


@dataclasses.dataclass(frozen=True)
class Config:
    rate: float = 30.0
    layers: tuple[int, ...] = (512, 256)
    out: Path = Path("runs") / "a"


def test_encode_attr_round_trip() -> None:
    value = {"z": Config(), "a": [None, True, np.float32(0.5), np.arange(2), "é"]}
    text = encode_attr(value)
    assert json.loads(text) == {
        "z": {"rate": 30.0, "layers": [512, 256], "out": "runs/a"},
        "a": [None, True, 0.5, [0, 1], "é"],
    }
    assert text == encode_attr(dict(reversed(value.items())))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [1.0, float("nan")]}, r"value\['a'\]\[1\] is nan"),
        ({1: "a"}, r"value has the key 1"),
        ({"a": {1, 2}}, r"value\['a'\] is set"),
    ],
)
def test_encode_attr_says_where(value: object, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        encode_attr(value)
