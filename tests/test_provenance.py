"""Hashes ignore the noise of a platform and notice everything else."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.provenance import hash_arrays, library_versions

TYPED = st.decimals(-1000, 1000, places=7, allow_nan=False).map(float)
RELATIVE_NOISE = 1e-13
KNOWN_HASH = "95bcbba72aa958392bc0be2819072c79c2999c64c3a4a600ed61d80b45eb2119"


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=2), elements=TYPED), st.randoms())
def test_noise_does_not_change_the_hash_of_typed_numbers(values: np.ndarray, random) -> None:
    factors = [1 + RELATIVE_NOISE * random.uniform(-1, 1) for _ in range(values.size)]
    noisy = values * np.reshape(factors, values.shape)
    assert hash_arrays({"a": noisy}) == hash_arrays({"a": values})


@given(
    st.floats(1e-6, 1e12),
    st.sampled_from([-1.0, 1.0]),
    st.floats(2e-5, 1.0),
)
def test_a_change_of_the_sixth_digit_changes_the_hash(size: float, sign: float, by: float) -> None:
    assert hash_arrays({"a": sign * size}) != hash_arrays({"a": sign * size * (1 + by)})


def test_known_hash() -> None:
    # Files carry hashes: changing how they are made needs a new schema version.
    named = {"mass": np.array([11.777, -0.0, 9.999999e-5]), "n": 3, "muscle": ["soleus_r"]}
    assert hash_arrays(named) == KNOWN_HASH


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (0.0, -0.0),
        (0.1 + 0.2, 0.3),
        (6.1e-17, 0.0),
        (np.float32(0.5), 0.5),
        (np.array([1, 2], dtype="i4"), np.array([1, 2], dtype="i8")),
        (np.array([1.0, 2.0], dtype=">f8"), np.array([1.0, 2.0])),
        (np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]), [[1.0, 2.0], [3.0, 4.0]]),
        (999999.99999999, 1e6),
        (float("nan"), -float("nan")),
        ("soleus", np.array("soleus", dtype="U20")),
    ],
)
def test_alike(a: object, b: object) -> None:
    assert hash_arrays({"a": a}) == hash_arrays({"a": b})


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"a": 1.0}, {"b": 1.0}),
        ({"a": 1.0}, {"a": [1.0]}),
        ({"a": 1.0}, {"a": 1}),
        ({"a": 1.0}, {"a": -1.0}),
        ({"a": [1.0, 2.0]}, {"a": [2.0, 1.0]}),
        ({"a": np.zeros((2, 3))}, {"a": np.zeros((3, 2))}),
        ({"a": np.inf}, {"a": -np.inf}),
        ({"a": np.nan}, {"a": 0.0}),
        ({"a": np.nan}, {"a": np.inf}),
        ({"a": 1}, {"a": True}),
        ({"a": "1"}, {"a": 1}),
        ({"a": ["xy", "z"]}, {"a": ["x", "yz"]}),
        ({"a": 2**60}, {"a": 2**60 + 1}),
        ({"a": 1.0}, {"a": 1.0, "b": 1.0}),
    ],
)
def test_different(a: dict, b: dict) -> None:
    assert hash_arrays(a) != hash_arrays(b)


def test_extremes_raise_no_warning() -> None:
    assert len(hash_arrays({"a": [1.7e308, 5e-324, np.inf, -np.inf, np.nan, 0.0]})) == 64


@pytest.mark.parametrize("value", [None, 1j, {"b": 1}, np.array(["a", 1], dtype=object)])
def test_refused(value: object) -> None:
    with pytest.raises(InvalidInputError, match=r"Cannot hash 'a' of type .* Allowed: numbers"):
        hash_arrays({"a": value})


def test_versions_are_text_and_complete() -> None:
    versions = library_versions()
    assert {"python", "mujoco", "numpy", "torch", "xarray"} <= versions.keys()
    assert all(re.match(r"\d+\.\d+", version) for version in versions.values())
