"""What goes into an NWB file comes out of it, to the last bit and the last type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kinesis_neuro.nwb import read_nwb, write_nwb
from kinesis_neuro.schema import encode_attr, validate

Lossless = Callable[[xr.Dataset, xr.Dataset], None]

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
# What tables must not hold, what JSON cannot, and names that NWB objects have for themselves.
ODD_TEXT = st.sampled_from(['{"a": 1}', '{"b": {"a": [1, {"c": "{x:y}"}]}}', "{'a': 1}", "[1]", ""])
NAMES = st.one_of(
    st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True).map("v_{}".format),
    st.sampled_from("id name description parent data muscles samples muscle_series emg".split()),
    st.sampled_from("cycle_index v_index get muscle_ dataset_variables".split()),
)
NUMBERS = st.sampled_from("i1 i2 i4 i8 u1 u2 u4 u8 f4 f8".split()).map(np.dtype)
NESTED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ATTRS = st.dictionaries(
    st.from_regex(r"x_[a-z][a-z0-9_]{0,5}", fullmatch=True),
    st.one_of(
        TEXT,
        ODD_TEXT,
        NESTED.map(encode_attr),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(),
        NUMBERS.flatmap(lambda dtype: hnp.arrays(dtype, st.integers(2, 4))),
    ),
    max_size=4,
)
SIZES = st.fixed_dictionaries(
    {
        "time": st.integers(0, 7),
        "muscle": st.integers(0, 3),
        "joint": st.integers(1, 3),
        "body": st.integers(1, 2),
        "space": st.integers(1, 3),
        "cycle": st.integers(1, 2),
    }
)
UNITS = ["1", "N", "m", "uV", "s", "rad or m", "days since 2000-01-01"]
STARTS = st.floats(-1e3, 1e6)


def values(draw: st.DrawFn, shape: tuple[int, ...]) -> np.ndarray:
    kind = draw(st.sampled_from(["number", "number", "bool", "text"]))
    if kind == "number":
        return draw(NUMBERS.flatmap(lambda dtype: hnp.arrays(dtype, shape)))
    if kind == "bool":
        return draw(hnp.arrays(bool, shape))
    # numpy drops NULs at the end of a text, so it cannot hold them; wider than the content is fine.
    return draw(hnp.arrays("U16", shape, elements=TEXT))


def times(draw: st.DrawFn, n: int) -> np.ndarray:
    dtype = draw(st.sampled_from(["f4", "f8"]))
    if draw(st.booleans()):
        rate = draw(st.sampled_from([30.0, 100.0, 148.148, 150.0, 2000.0]))
        time = (draw(st.floats(-10, 10)) + np.arange(n) / rate).astype(dtype)
        if (np.diff(time) > 0).all():
            return time
    elements = st.floats(-(2**20), 2**20, width=32)
    return draw(hnp.arrays(dtype, n, elements=elements, unique=True).map(np.sort))


@st.composite
def datasets(draw: st.DrawFn) -> xr.Dataset:
    sizes = draw(SIZES)
    n = sizes["muscle"]

    def labels(dim: str) -> np.ndarray:
        names = st.lists(TEXT, min_size=sizes[dim], max_size=sizes[dim], unique=True)
        return np.array(draw(names), dtype=f"U{draw(st.integers(8, 30))}")

    sides = st.sampled_from(["left", "right", "midline"])
    coords = {
        "time": ("time", times(draw, sizes["time"]), {"units": "s"} | draw(ATTRS)),
        "muscle": ("muscle", labels("muscle"), draw(ATTRS)),
        "side": ("muscle", draw(hnp.arrays("U7", n, elements=sides))),
        "group": ("muscle", draw(hnp.arrays("U12", n, elements=TEXT))),
        "joint": ("joint", labels("joint")),
        "joint_unit": (
            "joint",
            draw(hnp.arrays("U3", sizes["joint"], elements=st.sampled_from(["rad", "m"]))),
        ),
        "body": ("body", labels("body")),
        "space": ("space", np.array(["x", "y", "z"][: sizes["space"]])),
        "trial": ((), draw(st.integers(0, 9)), {"units": "1"}),
    }
    variables = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        dims = draw(st.lists(st.sampled_from(list(sizes)), unique=True, max_size=5))
        array = values(draw, tuple(sizes[dim] for dim in dims))
        attrs = {"units": draw(st.sampled_from(UNITS))} | draw(ATTRS)
        variables[name] = (dims, array, attrs)
    # Another rate than the samples have must do no harm.
    attrs = draw(ATTRS) | draw(st.sampled_from([{}, {"sampling_rate": 150.0}]))
    return xr.Dataset(variables, coords, attrs)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dataset=datasets())
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_any_dataset(dataset: xr.Dataset, path: Path, lossless: Lossless) -> None:
    validate(dataset, kind="any")
    before = dataset.copy(deep=True)
    with read_nwb(write_nwb(dataset, path, overwrite=True, events={})) as found:
        lossless(found, before)
    lossless(dataset, before)


def test_each_kind(dataset: xr.Dataset, path: Path, lossless: Lossless) -> None:
    with read_nwb(write_nwb(dataset, path)) as found:
        lossless(found, dataset)


def test_a_second_time_around(dataset: xr.Dataset, path: Path, lossless: Lossless) -> None:
    with (
        read_nwb(write_nwb(dataset, path)) as once,
        read_nwb(write_nwb(once, path.with_name("b.nwb"))) as twice,
    ):
        lossless(twice, dataset)


@pytest.mark.parametrize("dims", [("muscle", "time"), ("body", "space", "time"), ("joint", "time")])
def test_time_need_not_come_first(dims: tuple, make: dict, path: Path, lossless: Lossless) -> None:
    whole = make["simulated"]()
    name = {"muscle": "activation", "body": "body_position", "joint": "joint_moment"}[dims[0]]
    dataset = whole[[name]].transpose(*dims)
    dataset.attrs = {}
    with read_nwb(write_nwb(dataset, path)) as found:
        lossless(found, dataset)


def test_more_axes_than_nwb_has(path: Path, lossless: Lossless) -> None:
    shape = {"cycle": 3, "episode": 2, "rank": 2, "synergy": 2, "time": 8}
    dataset = xr.Dataset(
        {
            "first": (tuple(shape), np.arange(3 * 2 * 2 * 2 * 8).reshape(3, 2, 2, 2, 8)),
            "words": (tuple(shape)[:4], np.full((3, 2, 2, 2), "ab")),
        },
        {"time": ("time", np.arange(8.0), {"units": "s"})},
    )
    dataset["first"].attrs["units"] = "1"
    wanted = dataset.isel(time=[1, 5], rank=1)
    with read_nwb(write_nwb(dataset, path)) as found:
        lossless(found.isel(time=[1, 5], rank=1), wanted)
        lossless(found, dataset)


def test_parts_are_the_same_as_of_the_dataset(make: dict, path: Path) -> None:
    dataset = make["simulated"]().transpose("muscle", "body", "joint", ...)
    dataset.attrs = {}
    cuts = [
        {"time": slice(-3, None, -2), "muscle": [3, 0], "joint": 2, "body": slice(None, None, -1)},
        {"time": 5, "muscle": slice(1, 3), "joint": [2, 0], "body": [4, 1, 1]},
        {"time": [7, 3, 3], "muscle": -1, "joint": slice(1, 1), "body": 0, "space": [2, 0]},
        {
            "time": xr.DataArray([1, 5], dims="episode"),
            "muscle": xr.DataArray([0, 2], dims="episode"),
        },
    ]
    with read_nwb(write_nwb(dataset, path)) as found:
        for cut in cuts:
            xr.testing.assert_identical(found.isel(cut), dataset.isel(cut))


@given(value=NESTED)
@example(value={"": [{"{a:b}": 1}], "z": {}})
@example(value=[[], [[{}]]])
def test_nested_attributes_come_back_to_the_letter(value: object) -> None:
    from kinesis_neuro.nwb.rows import attribute_rows, attributes

    text = encode_attr(value)
    rows = list(attribute_rows("(dataset)", {"configuration": text, "other": json.dumps(value)}))
    wanted = {"configuration": text, "other": json.dumps(value)}
    assert attributes(rows) == {"(dataset)": wanted}
    # The nwbinspector's own idea of a dictionary in a table.
    assert not any(re.search(r"({.+:.+})", cell) for row in rows for cell in row)


@pytest.mark.parametrize("rate", [30.0, 100.0, 148.148148, 150.0, 1000.0, 1111.1111, 2048.0])
@pytest.mark.parametrize("start", [0.0, 0.25, -1.5, 12345.678])
def test_usual_clocks_need_no_table_of_times(rate: float, start: float) -> None:
    from kinesis_neuro.nwb.clock import clock_of

    clock = clock_of(start + np.arange(1000) / rate, rate)
    assert clock.exact
    assert clock.rate == rate


def test_a_drift_is_regular_and_a_gap_is_not() -> None:
    from kinesis_neuro.nwb.clock import clock_of

    drift = np.cumsum(np.linspace(0.01, 0.0100000001, 5000))
    assert clock_of(drift).rate == pytest.approx(100, abs=0.01)
    assert not clock_of(drift).exact
    assert clock_of(np.r_[0:10, 20:30] / 100.0, 100.0).rate is None
    assert clock_of(np.array([3.0])).rate is None
    assert clock_of(np.array([3.0]), 100.0).rate == 100.0
    assert not clock_of(np.arange(5) * 1e3).plausible
