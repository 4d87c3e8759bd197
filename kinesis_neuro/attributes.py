"""Attributes that every file format keeps: what they may be, and JSON for anything nested.

An attribute is text, a whole number, a float, or a one-dimensional numeric array of two or more
values. NetCDF and NWB lose or refuse the rest: a bool turns into a number, a list of one value
into that value, None and dicts do not go in at all.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from kinesis_neuro.errors import InvalidInputError

Attribute = str | int | float | np.ndarray
"""What an attribute may be; anything nested is one JSON string (see `encode_attr`)."""

NUMERIC_DTYPES = tuple(np.dtype(c) for c in "i1 i2 i4 i8 u1 u2 u4 u8 f4 f8".split())
"""The numbers that NetCDF, NWB and numpy hold alike."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""Names of variables and attributes that every format takes."""

# Attributes of these names change how NetCDF readers understand a variable.
_RESERVED = frozenset(
    "add_offset bounds calendar coordinates dtype grid_mapping missing_value scale_factor "
    "CLASS DIMENSION_LABELS DIMENSION_LIST NAME REFERENCE_LIST".split()
)
_INTEGER_RANGE = (-(2**63), 2**63 - 1)
_ALLOWED = "str, int, float, or a one-dimensional numeric array of two or more values"


def encode_attr(value: object) -> str:
    """Turn anything nested into one JSON string with sorted keys, fit for an attribute.

    Parameters
    ----------
    value : object
        Mappings with text keys, lists, tuples, dataclasses, paths, numpy arrays and scalars, and
        what JSON knows, nested at will.

    Returns
    -------
    str
        JSON; equal values give equal strings. `json.loads` reads it back, with lists for tuples
        and arrays.

    Raises
    ------
    InvalidInputError
        Something in it has no place in JSON: NaN, infinity, a key that is no text, another type.

    Examples
    --------
    >>> encode_attr({"rate": 150.0, "bodies": ("pelvis", "tibia_l")})
    '{"bodies": ["pelvis", "tibia_l"], "rate": 150.0}'
    """
    return json.dumps(_plain(value, "value"), sort_keys=True, ensure_ascii=False)


def attribute_violations(attrs: Mapping, owner: str) -> Iterator[str]:
    """Say which attributes no file would keep as they are.

    Parameters
    ----------
    attrs : mapping
        Attributes of a dataset or a variable.
    owner : str
        Whose they are, for the messages.

    Yields
    ------
    str
        One sentence for each attribute that breaks a rule.

    Examples
    --------
    >>> for sentence in attribute_violations({"seed": True}, "the dataset"):
    ...     print(sentence)
    attribute 'seed' of the dataset is bool. Allowed: str, int, float, or a one-dimensional ...
    """
    for name, value in attrs.items():
        place = f"attribute {name!r} of {owner}"
        if not isinstance(name, str) or not NAME.fullmatch(name):
            yield f"{place} has a name that files cannot hold. Allowed: letters, digits, '_'."
        elif name in _RESERVED:
            yield f"{place} has a name that NetCDF uses for itself. Choose another one."
        elif problem := _value_problem(value):
            yield f"{place} {problem}"


def text_problem(text: str) -> str | None:
    """Say why a text does not survive in a file, or return None if it does."""
    if "\0" in text:
        return "holds a NUL character, which ends text in HDF5."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds a lone surrogate, which is no valid Unicode."
    return None


def _value_problem(value: object) -> str | None:
    # Exact types: a bool is an int, and numpy's float64 is a float, but neither comes back as such.
    if type(value) is str:
        return text_problem(value)
    if type(value) is int:
        low, high = _INTEGER_RANGE
        return None if low <= value <= high else f"is {value}. Allowed: 64-bit integers."
    if type(value) is float:
        return None
    if type(value) is np.ndarray:
        if value.ndim == 1 and value.size >= 2 and value.dtype in NUMERIC_DTYPES:
            return None
        return f"is an array of shape {value.shape} and type {value.dtype}. Allowed: {_ALLOWED}."
    return f"is {type(value).__name__}. Allowed: {_ALLOWED}; anything nested through encode_attr."


def _plain(value: object, place: str) -> object:
    """Turn a value into what JSON knows, or say where it cannot be done."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, str | int):  # bool is an int
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise InvalidInputError(f"{place} is {value}, which JSON does not have. Use null or text.")
    if isinstance(value, Path):
        return value.as_posix()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InvalidInputError(f"{place} has the key {key!r}. Allowed: text.")
        return {key: _plain(item, f"{place}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{place}[{i}]") for i, item in enumerate(value)]
    raise InvalidInputError(
        f"{place} is {type(value).__name__}. Allowed: mappings, lists, tuples, dataclasses, text, "
        "numbers, booleans, None, paths and numpy arrays."
    )
