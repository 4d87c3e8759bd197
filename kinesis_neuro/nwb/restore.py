"""The dataset in a file that write_nwb wrote, with arrays that are read when asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import CachingFileManager
from xarray.core import indexing

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.nwb.arrays import Key, LazyArray
from kinesis_neuro.nwb.clock import regular_time
from kinesis_neuro.nwb.layout import (
    ATTRIBUTES,
    FORMS,
    INDEX_MODULE,
    LAYOUT_VERSION,
    VARIABLES,
    VariableRow,
    folded,
    named_dtype,
    stored_dims,
)
from kinesis_neuro.nwb.rows import AttributeRow, attributes, text_array
from kinesis_neuro.schema import LABELS


def restored_dataset(manager: CachingFileManager, path: Path) -> xr.Dataset:
    """Put the dataset of a file together; only coordinates and text are loaded.

    Parameters
    ----------
    manager : CachingFileManager
        Of a file in our layout.
    path : Path
        The file, for messages.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    InvalidInputError
        The tables contradict each other or the file.
    """
    with manager.acquire_context() as file:
        rows = _variable_rows(file)
        attrs = attributes(_attribute_rows(file))
        version = attrs.get("(file)", {}).get("layout_version")
        if version != LAYOUT_VERSION:
            raise InvalidInputError(
                f"The file has layout {version!r}, and this version of the library reads "
                f"{LAYOUT_VERSION}. Install a newer one."
            )
        parts = {row.variable: _joint_columns(file, rows) for row in rows if row.form == "joints"}
        groups: dict[str, dict[str, xr.Variable]] = {"variable": {}, "coordinate": {}}
        for row in rows:
            data = _data(row, file, manager, path, parts.get(row.variable, []))
            groups[row.role][row.variable] = xr.Variable(
                row.dims, data, attrs.get(row.variable, {})
            )
    return xr.Dataset(groups["variable"], groups["coordinate"], attrs.get("(dataset)", {}))


def is_ours(file: h5py.File) -> bool:
    """Tell whether a file has the tables that lead back to a dataset."""
    return all(f"processing/{INDEX_MODULE}/{t}" in file for t in (VARIABLES, ATTRIBUTES))


def _cells(table: h5py.Group, *names: str) -> list[list[str]]:
    return [table[name].asstr()[...].tolist() for name in names]


def _variable_rows(file: h5py.File) -> list[VariableRow]:
    table = file[f"processing/{INDEX_MODULE}/{VARIABLES}"]
    cells = _cells(table, "variable", "role", "dims", "shape", "dtype", "form", "value")
    ends = table["location_index"][...].tolist()
    places = table["location"].asstr()[...].tolist()
    rows = []
    for (name, role, dims, shape, dtype, form, value), start, end in zip(
        zip(*cells, strict=True), [0, *ends][:-1], ends, strict=True
    ):
        lengths = tuple(json.loads(shape))
        row = VariableRow(
            name, role, tuple(dims.split()), lengths, dtype, form, value, tuple(places[start:end])
        )
        if form not in FORMS or role not in ("variable", "coordinate"):
            raise InvalidInputError(f"Variable {name!r} has form {form!r} and role {role!r}.")
        if len(row.dims) != len(lengths) or not all(type(n) is int and n >= 0 for n in lengths):
            raise InvalidInputError(f"Variable {name!r} has dims {row.dims} and shape {lengths}.")
        rows.append(row)
    return rows


def _attribute_rows(file: h5py.File) -> Iterable[AttributeRow]:
    table = file[f"processing/{INDEX_MODULE}/{ATTRIBUTES}"]
    return map(AttributeRow._make, zip(*_cells(table, *AttributeRow._fields), strict=True))


def _joint_columns(file: h5py.File, rows: list[VariableRow]) -> list[NDArray]:
    """Positions of the joints that rotate and of those that slide, where there are any."""
    where = next((r.location for r in rows if r.variable == "joint_unit" and r.location), None)
    if where is None:
        raise InvalidInputError("The file does not say which joints rotate and which slide.")
    units = file[where[0]].asstr()[...]
    columns = [np.flatnonzero(units == unit) for unit in LABELS["joint_unit"].allowed]
    return [column for column in columns if column.size]


def _data(
    row: VariableRow, file: h5py.File, manager: CachingFileManager, path: Path, parts: list[NDArray]
) -> Any:
    dtype = named_dtype(row.dtype)
    if row.form == "empty":
        if math.prod(row.shape):
            raise InvalidInputError(f"Variable {row.variable!r} should have values.")
        return np.empty(row.shape, dtype)
    if row.form == "value":
        return text_array(row.value, dtype, row.shape)
    if row.form == "clock":
        start, rate = text_array(row.value, np.dtype(np.float64), (2,)).tolist()
        return regular_time(start, rate, row.shape[0], dtype)
    if dtype.kind == "U":
        return file[row.location[0]].asstr()[...].astype(dtype).reshape(row.shape)
    places = [p if row.form == "column" else f"{p}/data" for p in row.location]
    order = stored_dims(row.dims, row.form)
    stored = [row.shape[row.dims.index(dim)] for dim in order]
    expected = {
        "stack": [(stored[0], *stored[2:])] * (stored[1] if len(stored) > 1 else 0),
        "joints": [(stored[0], part.size) for part in parts],
    }.get(row.form, [folded(stored)])
    found = [file[place].shape for place in places]
    if found != expected or any(file[place].dtype != dtype for place in places):
        raise InvalidInputError(
            f"Variable {row.variable!r} should be {row.dtype} of shape {row.shape}, but in the "
            f"file lies {', '.join(f'{file[p].dtype} of shape {file[p].shape}' for p in places)}."
        )
    turn = tuple(order.index(dim) for dim in row.dims)
    read = partial(_read, form=row.form, places=places, stored=stored, turn=turn, parts=parts)
    lazy = LazyArray(manager, path, row.variable, row.shape, dtype, read)
    return indexing.LazilyIndexedArray(lazy)


def _read(
    file: h5py.File,
    key: Key,
    *,
    form: str,
    places: list[str],
    stored: list[int],
    turn: tuple[int, ...],
    parts: list[NDArray],
) -> NDArray:
    """Read a part of a variable: gather in the order of the file, then turn to that of the dims."""
    inner: list[Any] = [None] * len(key)
    for axis, k in zip(turn, key, strict=True):
        inner[axis] = k
    if form == "stack":
        wanted = range(stored[1])[inner[1]]
        values = np.stack([file[places[i]][inner[0], *inner[2:]] for i in wanted], axis=1)
    elif form == "joints":
        rows = [file[place][inner[0]] for place in places]
        whole = np.empty((len(rows[0]), stored[1]), rows[0].dtype)
        for columns, row in zip(parts, rows, strict=True):
            whole[:, columns] = row
        values = whole[:, inner[1]]
    elif len(folded(stored)) < len(stored):
        rows = file[places[0]][inner[0]]
        values = rows.reshape(len(rows), *stored[1:])[:, *inner[1:]]
    else:
        values = file[places[0]][tuple(inner)]
    return values.transpose(turn)
