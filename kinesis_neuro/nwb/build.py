"""From a dataset and a plan to the objects of an NWB file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from hdmf.common import DynamicTable, DynamicTableRegion, VectorData, VectorIndex
from pynwb import NWBFile, TimeSeries
from pynwb.behavior import Position, SpatialSeries

from kinesis_neuro.errors import KinesisError
from kinesis_neuro.nwb.layout import (
    ATTRIBUTES,
    FORMS,
    INDEX_MODULE,
    LAYOUT_VERSION,
    LINKED,
    UNSPLIT_UNITS,
    VARIABLES,
    VariableRow,
    folded,
    stored_dims,
    table_name,
)
from kinesis_neuro.nwb.plan import JOINT_PARTS, Plan, joint_columns, link_name, table_module
from kinesis_neuro.nwb.rows import AttributeRow, attribute_rows
from kinesis_neuro.nwb.stream import Advance, stored
from kinesis_neuro.nwb.units import nwb_unit
from kinesis_neuro.schema import DIMS

MODULES = {
    "muscle": "What muscles do: simulated activity, or EMG and what was derived from it.",
    "behavior": "Movement: segments, joints, contact with the ground, and the task.",
    INDEX_MODULE: "How the dataset lies in this file, by variable, and all of its attributes.",
}
_WORLD = "The world: x and y along the ground, z up, origin on the ground; metres."


class Builder:
    """Fills an NWB file with the variables of a dataset.

    Parameters
    ----------
    nwb : pynwb.NWBFile
        Changed in place.
    dataset : xarray.Dataset
        A valid dataset.
    plan : Plan
        Where its variables go.
    advance : callable
        Called with the number of bytes of each block that is written.
    """

    def __init__(self, nwb: NWBFile, dataset: xr.Dataset, plan: Plan, advance: Advance) -> None:
        self._nwb, self._dataset, self._plan, self._advance = nwb, dataset, plan, advance
        self._timestamps: TimeSeries | None = None
        self._linked: dict[str, list[tuple[TimeSeries, list[int]]]] = {dim: [] for dim in LINKED}

    def build(self) -> None:
        """Add everything: series, tables of the dims, tables that lead back."""
        columns: dict[str, list[VariableRow]] = {}
        for row in self._plan.rows:
            if row.form == "column":
                columns.setdefault(row.dims[0], []).append(row)
            elif row.location:
                self._add_series(row)
        for dim in columns:
            self._group(table_module(dim)).add(self._table(dim, columns[dim]))
        for dim in LINKED:
            if self._linked[dim] and dim in columns:
                self._group(table_module(dim)).add(self._link_table(dim))
        index = self._group(f"processing/{INDEX_MODULE}")
        index.add(_variables_table(self._plan.rows))
        index.add(_attributes_table(self._dataset))

    def _group(self, path: str) -> Any:
        """Find the module of a path, or make it."""
        name = path.split("/")[1]
        if name not in self._nwb.processing:
            self._nwb.create_processing_module(name=name, description=MODULES[name])
        return self._nwb.processing[name]

    def _add_series(self, row: VariableRow) -> None:
        variable = self._dataset.variables[row.variable]
        dims = stored_dims(row.dims, row.form)
        if row.form == "joints":
            self._add_joints(row, variable, dims)
        elif row.location[0].count("/") == 3:  # in a group of its own
            parts: list[SpatialSeries] = []
            for i, path in enumerate(row.location):
                if row.form == "stack":
                    order, label = (dims[0], *dims[2:]), str(self._dataset[dims[1]].values[i])
                    part = self._series(row, path, order, label=label, select={dims[1]: i})
                else:
                    part = self._series(row, path, dims)
                parts.append(part)
            group = Position(name=row.location[0].split("/")[2], spatial_series=parts)
            self._group(row.location[0]).add(group)
        else:
            series = self._series(row, row.location[0], dims)
            if row.location[0].startswith("acquisition/"):
                self._nwb.add_acquisition(series)
            else:
                self._group(row.location[0]).add(series)
            if len(dims) > 1 and dims[1] in self._linked:
                self._linked[dims[1]].append((series, list(range(variable.sizes[dims[1]]))))

    def _add_joints(self, row: VariableRow, variable: xr.Variable, dims: tuple[str, ...]) -> None:
        units = dict(zip(JOINT_PARTS, variable.attrs["units"].split(UNSPLIT_UNITS), strict=True))
        places = iter(row.location)
        for kind, unit in units.items():
            columns = joint_columns(self._dataset, kind)
            if columns.size:
                path = next(places)
                label, select = JOINT_PARTS[kind], {"joint": columns}
                series = self._series(row, path, dims, unit=unit, label=label, select=select)
                self._group(path).add(series)
                self._linked["joint"].append((series, columns.tolist()))

    def _series(
        self,
        row: VariableRow,
        path: str,
        dims: tuple[str, ...],
        unit: str | None = None,
        label: str = "",
        select: dict[str, Any] | None = None,
    ) -> TimeSeries:
        """Make a series of a variable, or of the selected part of it."""
        variable = self._dataset.variables[row.variable]
        attrs = variable.attrs
        name, conversion = nwb_unit(unit or attrs["units"])
        clock = self._plan.clock
        if clock is None:
            raise AssertionError("a series has a clock")
        when: dict[str, Any] = {"starting_time": clock.start, "rate": clock.rate}
        if clock.rate is None:
            # The first series holds the times, the others point at it.
            when = {"timestamps": self._timestamps}
            if self._timestamps is None:
                times = self._dataset.variables["time"].astype(np.float64)
                when = {"timestamps": stored(times, ("time",), lambda _: None)}
        title = attrs.get("long_name") or row.variable.replace("_", " ")
        what = f"{title}{f' ({label})' if label else ''}."
        common = {
            "name": path.rsplit("/", 1)[1],
            "data": stored(variable, dims, self._advance, select),
            "description": " ".join([what, *_processing(self._dataset, row.variable)]),
            "comments": _axes(dims),
        } | when
        if path.count("/") == 3:
            series = SpatialSeries(**common, unit=name, reference_frame=_WORLD)
        else:
            series = TimeSeries(**common, unit=name, conversion=conversion)
        if self._timestamps is None:
            self._timestamps = series
        return series

    def _table(self, dim: str, rows: list[VariableRow]) -> DynamicTable:
        columns = []
        for row in rows:
            variable = self._dataset.variables[row.variable]
            if variable.dtype.kind == "U":
                data: Any = variable.values.astype(object).reshape(folded(variable.shape))
            else:
                data = stored(variable, row.dims, self._advance)
            name = row.location[0].rsplit("/", 1)[1]
            columns.append(VectorData(name=name, description=_column(row, variable), data=data))
        if dim == "muscle":
            taken = {column.name for column in columns}
            extra = _muscle_parameters(self._dataset)
            columns += [column for column in extra if column.name not in taken]
        meaning = DIMS[dim].description if dim in DIMS else dim
        return DynamicTable(
            name=table_name(dim),
            description=f"Entries of the dim '{dim}': {meaning}. One row each.",
            columns=columns,
        )

    def _link_table(self, dim: str) -> DynamicTable:
        series, rows = zip(*self._linked[dim], strict=True)
        table = self._group(table_module(dim))[table_name(dim)]
        name = table_name(dim)
        region = DynamicTableRegion(
            name=name,
            description=f"Rows of the table '{name}' that the columns of the series are, in order.",
            data=[i for entries in rows for i in entries],
            table=table,
        )
        ends = np.cumsum([len(entries) for entries in rows])
        return DynamicTable(
            name=link_name(dim),
            description=f"Which rows of the table '{name}' the columns of each series are.",
            columns=[
                VectorData(name="series", description="The series.", data=list(series)),
                region,
                VectorIndex(name=f"{name}_index", data=ends, target=region),
            ],
            colnames=["series", name],
        )


def _axes(dims: tuple[str, ...]) -> str:
    tables = [f"{dim} (rows of the table '{table_name(dim)}')" for dim in dims[1:]]
    return f"Axes: {', '.join([dims[0], *tables])}."


def _column(row: VariableRow, variable: xr.Variable) -> str:
    title = variable.attrs.get("long_name") or row.variable.replace("_", " ")
    units = variable.attrs.get("units")
    cells = f" Each cell: {', '.join(row.dims[1:])}." if len(row.dims) > 1 else ""
    return f"{title}{f' [{units}]' if units else ''}.{cells}"


def _processing(dataset: xr.Dataset, name: str) -> Iterator[str]:
    """Tell in words how a variable was made: the attribute ``processing``, JSON or text."""
    told = dataset[name].attrs.get("processing")
    if told is None and {"channel"} & set(dataset[name].dims) and name != "emg":
        told = dataset.attrs.get("processing")
    if not isinstance(told, str):
        return
    try:
        steps = json.loads(told)
    except ValueError:
        yield f"Processing: {told}"
        return
    if isinstance(steps, list):
        yield f"Processing: {'; '.join(f'{i}. {_step(s)}' for i, s in enumerate(steps, 1))}."


def _step(step: object) -> str:
    if not isinstance(step, dict):
        return str(step)
    named = {str(k): v for k, v in step.items()}
    name = next((named.pop(k) for k in ("step", "name", "method") if k in named), "step")
    values = ", ".join(f"{k} = {v}" for k, v in named.items())
    return f"{name}{f' ({values})' if values else ''}"


def _muscle_parameters(dataset: xr.Dataset) -> Iterable[VectorData]:
    """Body, peak force and optimal length, where the recording's very body is at hand."""
    attrs = dataset.attrs
    if not (attrs.get("body") and attrs.get("body_hash")):
        return []
    try:
        from kinesis_neuro.body.models import load_body
        from kinesis_neuro.body.muscle import MuscleParameters
        from kinesis_neuro.body.scaling import BodyScale

        scale = attrs.get("body_scale")
        body = load_body(attrs["body"], scale=BodyScale.from_json(scale) if scale else None)
    except (KinesisError, ImportError):
        return []
    place = {name: i for i, name in enumerate(body.muscles)}
    muscles = dataset["muscle"].values.tolist()
    if body.hash != attrs["body_hash"] or not set(muscles) <= place.keys():
        return []
    parameters, order = MuscleParameters.from_model(body.model), [place[name] for name in muscles]
    return [
        VectorData(name="body", description="Body model.", data=[body.name] * len(muscles)),
        VectorData(
            name="peak_force",
            description="Force at zero velocity, optimal length and full activation [N].",
            data=parameters.peak_force[order],
        ),
        VectorData(
            name="optimal_length",
            description="Optimal fibre length [m].",
            data=parameters.optimal_length[order],
        ),
    ]


def _variables_table(rows: list[VariableRow]) -> DynamicTable:
    places = VectorData(
        name="location",
        description="Paths in this file of the objects that hold the values.",
        data=[path for row in rows for path in row.location] or [""],
    )
    ends = np.cumsum([len(row.location) for row in rows])
    cells = {
        "variable": ("Name.", [row.variable for row in rows]),
        "role": ("'variable' or 'coordinate' of the xarray dataset.", [row.role for row in rows]),
        "dims": ("Names of the axes.", [" ".join(row.dims) for row in rows]),
        "shape": ("Length of each axis, as JSON.", [json.dumps(row.shape) for row in rows]),
        "dtype": ("Type: of numpy, or U and the most characters.", [row.dtype for row in rows]),
        "form": (_forms(), [row.form for row in rows]),
        "value": ("Values, where the form says that they stand here.", [r.value for r in rows]),
    }
    return DynamicTable(
        name=VARIABLES,
        description="Every variable of the dataset that this file holds, and where it lies.",
        columns=[
            *(VectorData(name=k, description=about, data=d) for k, (about, d) in cells.items()),
            places,
            VectorIndex(name="location_index", data=ends, target=places),
        ],
        colnames=[*cells, "location"],
    )


def _forms() -> str:
    return f"How it lies there. {'; '.join(f'{k}: {v}' for k, v in FORMS.items())}."


def _attributes_table(dataset: xr.Dataset) -> DynamicTable:
    rows = [AttributeRow("(file)", "layout_version", "", "int", str(LAYOUT_VERSION))]
    rows += attribute_rows("(dataset)", dataset.attrs)
    for name, variable in dataset.variables.items():
        rows += attribute_rows(str(name), variable.attrs)
    about = {
        "owner": "A variable, or (dataset), or (file).",
        "attribute": "Name.",
        "key": "Path to a leaf of an attribute that is JSON, as JSON; else empty.",
        "type": "str, int, float, the type of an array, json for a leaf, escaped for a JSON text.",
        "value": "The value; arrays, leaves and escaped text as JSON.",
    }
    return DynamicTable(
        name=ATTRIBUTES,
        description="Every attribute of the dataset and of its variables: provenance, seeds, "
        "versions, configuration, units.",
        columns=[
            VectorData(name=name, description=text, data=[row[i] for row in rows])
            for i, (name, text) in enumerate(about.items())
        ],
    )
