"""Where things lie in our NWB files: what the writer and the reader agree on.

A dataset is spread over the types that NWB has for its parts. Two tables in ``processing/misc``
lead back: `VARIABLES` has a row for each variable (dims, shape, type, where it lies, in which
form), `ATTRIBUTES` a row for each attribute. Nothing else is needed to restore the dataset.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from kinesis_neuro.attributes import NUMERIC_DTYPES
from kinesis_neuro.errors import InvalidInputError

LAYOUT_VERSION = 1
"""Raised when a reader of the former layout would misread a file."""

INDEX_MODULE = "misc"
VARIABLES = "dataset_variables"
ATTRIBUTES = "dataset_attributes"

TABLE_OF: Mapping[str, str] = MappingProxyType(
    {
        "time": "samples",
        "phase": "phase",
        "lag": "lags",
        "muscle": "muscles",
        "joint": "joints",
        "body": "bodies",
        "contact": "contacts",
        "channel": "channels",
        "action_channel": "action_channels",
        "subject": "subjects",
        "condition": "conditions",
        "cycle": "cycles",
        "synergy": "synergies",
        "rank": "ranks",
        "episode": "episodes",
        "space": "space",
        "quaternion": "quaternion",
    }
)
"""Name of the table whose rows are the entries of a dim."""

WRITTEN_OUT = frozenset({"space", "quaternion"})
"""Dims of three or four known entries: a table each would only be in the way."""

LINKED = ("muscle", "channel", "joint")
"""Dims for which a table says which rows the columns of each series are."""

UNSPLIT_UNITS = " or "
"""Joints that rotate and joints that slide share a variable, with units such as 'rad or m'."""

FORMS: Mapping[str, str] = MappingProxyType(
    {
        "value": "the values stand in the column 'value', as JSON",
        "empty": "there are no values",
        "clock": "start + arange(n) / rate; the column 'value' holds [start, rate]",
        "series": "data of one series, time first",
        "stack": "data of one series for each entry of the second dim, time first",
        "joints": "data of two series, joints that rotate and joints that slide, time first",
        "column": "a column of the table of the first dim",
    }
)
"""The ways in which a variable can lie in a file."""

_MOST_AXES = 4  # that NWB allows for series and columns
_TEXT = re.compile(r"U(\d{1,5})")
_CHARACTER = np.dtype("U1").itemsize
# What a file may claim beyond what it holds: a hostile one could ask for all of the memory.
_WIDEST_TEXT = 2**16


class VariableRow(NamedTuple):
    """A row of the table of variables.

    ``role`` is ``variable`` or ``coordinate``; ``form`` one of `FORMS`; ``location`` the paths
    of the objects that hold the values, without a slash in front.
    """

    variable: str
    role: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    form: str
    value: str = ""
    location: tuple[str, ...] = ()


def table_name(dim: str) -> str:
    """Name of the table of a dim."""
    return TABLE_OF.get(dim, f"{dim}_table")


def stored_dims(dims: Sequence[str], form: str) -> tuple[str, ...]:
    """Order of the dims in the file: time comes first in a series.

    Examples
    --------
    >>> stored_dims(("channel", "time"), "series"), stored_dims(("channel", "time"), "column")
    (('time', 'channel'), ('channel', 'time'))
    """
    if form not in ("series", "stack", "joints"):
        return tuple(dims)
    return ("time", *(dim for dim in dims if dim != "time"))


def folded(shape: Sequence[int]) -> tuple[int, ...]:
    """Shape with all axes beyond the third in one, as NWB has no more than four.

    Examples
    --------
    >>> folded((5, 4, 3, 2, 2)), folded((5, 4))
    ((5, 4, 3, 4), (5, 4))
    """
    if len(shape) <= _MOST_AXES:
        return tuple(shape)
    return (*shape[: _MOST_AXES - 1], math.prod(shape[_MOST_AXES - 1 :]))


def dtype_name(dtype: np.dtype) -> str:
    """Name a type: ``float64``, ``int8``, ``bool``, ``U12`` for text of up to twelve characters."""
    return f"U{dtype.itemsize // _CHARACTER}" if dtype.kind == "U" else dtype.name


def named_dtype(name: str) -> np.dtype:
    """Find the type of a name, or raise InvalidInputError.

    Examples
    --------
    >>> named_dtype("U12"), named_dtype("float32")
    (dtype('<U12'), dtype('float32'))
    """
    if match := _TEXT.fullmatch(name):
        width = int(match[1])
        if width <= _WIDEST_TEXT:
            return np.dtype(f"U{width}")
    for dtype in (*NUMERIC_DTYPES, np.dtype(bool)):
        if dtype.name == name:
            return dtype
    raise InvalidInputError(
        f"Unknown type {name!r}. Allowed: bool, U1 to U{_WIDEST_TEXT}, "
        f"{', '.join(dtype.name for dtype in NUMERIC_DTYPES)}."
    )
