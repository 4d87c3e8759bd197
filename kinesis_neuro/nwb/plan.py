"""Which NWB object takes each variable of a dataset."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import xarray as xr

from kinesis_neuro.nwb.clock import Clock, clock_of
from kinesis_neuro.nwb.layout import (
    LINKED,
    UNSPLIT_UNITS,
    WRITTEN_OUT,
    VariableRow,
    dtype_name,
    stored_dims,
    table_name,
)
from kinesis_neuro.nwb.rows import array_text
from kinesis_neuro.schema import DIMS, LABELS

JOINT_PARTS = dict(zip(LABELS["joint_unit"].allowed, ("rotation", "translation"), strict=True))
"""Endings of the series of joints that rotate and of those that slide, by `joint_unit`."""

MUSCLE, BEHAVIOR = "processing/muscle", "processing/behavior"
"""Paths of the modules for what muscles do, and for everything else."""

RAW: Mapping[str, str] = MappingProxyType({"emg": "acquisition"})
"""Variables that were acquired rather than derived, and the group for them."""

# What lies along these is muscle activity, simulated or recorded, whatever else it lies along.
_MUSCLE_DIMS = frozenset({"muscle", "channel", "synergy"})
_MUSCLE_TABLES = frozenset({*_MUSCLE_DIMS, "cycle", "phase", "rank", "lag"})
_OF_MUSCLES = frozenset({"metabolic_rate"})

# Among the children of a group, pynwb takes these for the attributes that every group has.
_ATTRIBUTES_OF_GROUPS = frozenset({"description", "namespace", "neurodata_type", "object_id"})

_COMMON_NAME = re.compile(r"[^\w .-]")


@dataclass(frozen=True)
class Plan:
    """Where everything goes.

    Attributes
    ----------
    clock : Clock or None
        Start and rate; None without a time coordinate.
    rows : list of VariableRow
        One for each variable, in the order of the dataset.
    """

    clock: Clock | None
    rows: list[VariableRow] = field(default_factory=list)


def make_plan(dataset: xr.Dataset) -> Plan:
    """Choose form and place of each variable, without loading any but the coordinates.

    Parameters
    ----------
    dataset : xarray.Dataset
        A valid dataset.

    Returns
    -------
    Plan

    Examples
    --------
    >>> dataset = xr.Dataset(
    ...     {"reward": ("time", [0.5, 0.7], {"units": "1"})},
    ...     {"time": ("time", [0.0, 0.1], {"units": "s"})},
    ... )
    >>> for row in make_plan(dataset).rows:
    ...     print(row.variable, row.form, *row.location)
    reward series processing/behavior/reward
    time clock
    """
    clock = None
    if "time" in dataset.coords and dataset["time"].dims == ("time",):
        clock = clock_of(dataset["time"].values, dataset.attrs.get("sampling_rate"))
    plan, names = Plan(clock), _Names()
    for dim in map(str, dataset.dims):
        names.free(table_module(dim), table_name(dim))
    for dim in LINKED:
        names.free(table_module(dim), link_name(dim))
    for name in [*dataset.data_vars, *dataset.coords]:
        plan.rows.append(_row(dataset, str(name), clock, names))
    return plan


def table_module(dim: str) -> str:
    """Path of the processing module with the table of a dim."""
    return MUSCLE if dim in _MUSCLE_TABLES else BEHAVIOR


def link_name(dim: str) -> str:
    """Name of the table that says which entries of a dim the columns of a series are."""
    return f"{dim}_series"


def joint_columns(dataset: xr.Dataset, unit: str) -> np.ndarray:
    """Positions of the joints with a unit."""
    return np.flatnonzero(dataset["joint_unit"].values == unit)


class _Names:
    """Names that are taken, by group."""

    def __init__(self) -> None:
        self._taken: dict[str, set[str]] = {}

    def free(self, group: str, wanted: str) -> str:
        """Take the wanted name, with underscores behind it if others have it; give its path."""
        taken = self._taken.setdefault(group, set(_ATTRIBUTES_OF_GROUPS))
        name = wanted
        while name in taken:
            name += "_"
        taken.add(name)
        return f"{group}/{name}"

    def column(self, table: str, wanted: str) -> str:
        """Take a name for a column that is no attribute of a table and no index of another."""
        clash = wanted in _attributes_of_tables() or wanted.endswith("_index")
        return self.free(table, f"{wanted}_" if clash else wanted)


@functools.cache
def _attributes_of_tables() -> frozenset[str]:
    from hdmf.common import DynamicTable

    return frozenset(dir(DynamicTable(name="table", description="table")))


def _row(dataset: xr.Dataset, name: str, clock: Clock | None, names: _Names) -> VariableRow:
    variable = dataset.variables[name]
    dims = tuple(map(str, variable.dims))
    role = "coordinate" if name in dataset.coords else "variable"
    about = (name, role, dims, variable.shape, dtype_name(variable.dtype))
    if not variable.size:
        return VariableRow(*about, "empty")
    if set(dims) <= WRITTEN_OUT:
        return VariableRow(*about, "value", array_text(variable.values))
    if name == "time" and dims and clock and clock.exact:
        return VariableRow(*about, "clock", array_text(np.array([clock.start, clock.rate])))
    if name == "time" or not _fits_a_series(variable, clock):
        table = f"{table_module(dims[0])}/{table_name(dims[0])}"
        return VariableRow(*about, "column", "", (names.column(table, name),))
    module = MUSCLE if _MUSCLE_DIMS & set(dims) or name in _OF_MUSCLES else BEHAVIOR
    order = stored_dims(dims, "series")
    if _is_position(dataset, name):
        group = names.free(module, name)
        if len(order) == 2:
            return VariableRow(*about, "series", "", (names.free(group, name),))
        labels = [_as_name(label) for label in dataset[order[1]].values.tolist()]
        places = tuple(names.free(group, label) for label in labels)
        return VariableRow(*about, "stack", "", places)
    if order == ("time", "joint") and len(variable.attrs["units"].split(UNSPLIT_UNITS)) == 2:
        parts = [part for unit, part in JOINT_PARTS.items() if joint_columns(dataset, unit).size]
        places = tuple(names.free(module, f"{name}_{part}") for part in parts)
        return VariableRow(*about, "joints", "", places)
    return VariableRow(*about, "series", "", (names.free(RAW.get(name, module), name),))


def _fits_a_series(variable: xr.Variable, clock: Clock | None) -> bool:
    """Tell whether NWB tools take it for a series in seconds, and for one that lies upright."""
    if "time" not in variable.dims or variable.dtype.kind == "U":
        return False
    return clock is not None and clock.plausible and max(variable.shape) == variable.sizes["time"]


def _is_position(dataset: xr.Dataset, name: str) -> bool:
    """Tell whether it is a place in space: metres, of a point or of each entry of a dim."""
    variable = dataset.variables[name]
    order = stored_dims(tuple(map(str, variable.dims)), "series")
    if variable.attrs["units"] != "m" or variable.dtype.kind != "f" or order[-1] != "space":
        return False
    if variable.sizes["space"] > len("xyz") or len(order) not in (2, 3):
        return False
    return len(order) == 2 or DIMS[order[1]].kind == "label"


def _as_name(label: str) -> str:
    """Turn a label into a name for an object: without slashes, colons and dots alone."""
    return _COMMON_NAME.sub("_", label).strip(" .") or "_"
