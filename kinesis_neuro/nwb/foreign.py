"""NWB files of other people: what series they hold, and one of them as a dataset."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import CachingFileManager
from xarray.core import indexing

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.nwb.arrays import Key, LazyArray
from kinesis_neuro.nwb.clock import regular_time
from kinesis_neuro.nwb.units import library_unit
from kinesis_neuro.schema import DIMS, LABELS

# Columns of an electrode table that may name a channel, the most telling first.
_NAMING = ("label", "channel_name", "muscle", "location")
_SUBJECT = ("subject_id", "species", "sex", "age")
_SIDE = re.compile(r"(?:^|[^a-z])(left|right|l|r)(?:[^a-z]|$)")


class Series(NamedTuple):
    """A series of an NWB file: where, what, and how large."""

    path: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    unit: str
    rate: float

    def __str__(self) -> str:
        size = " x ".join(map(str, self.shape))
        rate = f", {self.rate:g} Hz" if self.rate else ""
        return f"{self.path} ({self.kind}, {size} {self.dtype} in {self.unit or '?'}{rate})"


def series_in(file: h5py.File) -> list[Series]:
    """List the series of an NWB file: every object with data, and times or a rate.

    Parameters
    ----------
    file : h5py.File

    Returns
    -------
    list of Series
    """
    found: list[Series] = []

    def visit(path: str, node: Any) -> None:
        if not isinstance(node, h5py.Group) or not isinstance(node.get("data"), h5py.Dataset):
            return
        if "timestamps" not in node and "starting_time" not in node:
            return
        data = node["data"]
        rate = node["starting_time"].attrs.get("rate", 0.0) if "starting_time" in node else 0.0
        kind = _text(node.attrs.get("neurodata_type", "series"))
        unit = _text(data.attrs.get("unit", ""))
        found.append(Series(path, kind, data.shape, str(data.dtype), unit, float(rate)))

    file.visititems(visit)
    return found


def foreign_dataset(manager: CachingFileManager, path: Path, series: str) -> xr.Dataset:
    """Make a dataset of one series of an NWB file.

    Parameters
    ----------
    manager : CachingFileManager
        Of the file.
    path : Path
        The file, for messages.
    series : str
        Path of the series in the file, or its name where only one has it.

    Returns
    -------
    xarray.Dataset
        One variable, with the series' own name, over time, or time and channel.

    Raises
    ------
    InvalidInputError
        There is no such series, or it does not fit into a dataset.
    """
    with manager.acquire_context() as file:
        chosen = _choose(series_in(file), series)
        group = file[chosen.path]
        data = group["data"]
        if len(chosen.shape) not in (1, 2) or data.dtype.kind not in "iuf":
            raise InvalidInputError(
                f"{chosen} is no signal of one or more channels. Allowed: numbers over time, or "
                "over time and channel"
            )
        factor = _factors(group, data)
        scaled = bool((factor != 1).any()) or float(data.attrs.get("offset", 0)) != 0
        dtype = np.dtype(np.float64) if scaled else data.dtype.newbyteorder("=")
        read = partial(
            _read,
            place=f"{chosen.path}/data",
            factor=factor,
            offset=float(data.attrs.get("offset", 0)),
            scaled=scaled,
        )
        lazy = LazyArray(manager, path, chosen.path, chosen.shape, dtype, read)
        attrs = {"units": library_unit(chosen.unit), "nwb_series": chosen.path}
        if about := _text(group.attrs.get("description", "")):
            attrs["long_name"] = about
        dims = ("time", "channel")[: len(chosen.shape)]
        name = _variable_name(chosen.path)
        coords = {"time": ("time", _times(group, chosen), {"units": "s"})}
        if "channel" in dims:
            coords |= _channels(group, chosen.shape[1])
        variable = xr.Variable(dims, indexing.LazilyIndexedArray(lazy), attrs)
        about_file = _about(file)
    if chosen.rate:
        about_file["sampling_rate"] = chosen.rate
    return xr.Dataset({name: variable}, coords, about_file)


def _read(
    file: h5py.File, key: Key, *, place: str, factor: NDArray, offset: float, scaled: bool
) -> NDArray:
    values = file[place][key]
    return values * factor[key[1:]] + offset if scaled else values


def _choose(found: list[Series], wanted: str) -> Series:
    path = wanted.strip("/")
    exact = [s for s in found if s.path == path]
    matches = exact or [s for s in found if s.path.split("/")[-1] == path]
    if len(matches) != 1:
        problem = "Several series have" if matches else "There is no series with"
        raise InvalidInputError(
            f"{problem} the path or name {wanted!r}. Available: "
            f"{', '.join(s.path for s in matches or found) or 'none'}"
        )
    return matches[0]


def _factors(group: h5py.Group, data: h5py.Dataset) -> NDArray:
    """Factor to the unit, of the whole series or of each channel."""
    factor = np.asarray(data.attrs.get("conversion", 1.0), dtype=float)
    if data.ndim == 2:
        factor = np.broadcast_to(factor, data.shape[1])
        if "channel_conversion" in group:
            factor = factor * group["channel_conversion"][...]
    return factor


def _times(group: h5py.Group, series: Series) -> NDArray:
    n = series.shape[0]
    if series.rate:
        start = float(group["starting_time"][()])
        return regular_time(start, series.rate, n, np.dtype(np.float64))
    time = group["timestamps"][...].astype(np.float64) if "timestamps" in group else np.empty(0)
    if time.shape != (n,) or not np.isfinite(time).all() or not (np.diff(time) > 0).all():
        raise InvalidInputError(
            f"{series.path} has {n} samples and {time.size} timestamps. Expected as many, finite "
            "and increasing"
        )
    return time


def _channels(group: h5py.Group, n: int) -> dict[str, tuple]:
    """Name the channels by their electrodes, if there are any; sides only if all have one."""
    labels = [f"channel_{i}" for i in range(n)]
    coords: dict[str, tuple] = {}
    for names in _electrode_names(group, n):
        if len(set(names)) == n:
            labels = names
            break
    coords["channel"] = ("channel", np.array(labels))
    found = [_SIDE.search(label.lower()) for label in labels]
    if all(found):
        full = {side[0]: side for side in LABELS["side"].allowed}
        sides = [full[match[1][0]] for match in found if match]
        coords["side"] = ("channel", np.array(sides))
    return coords


def _electrode_names(group: h5py.Group, n: int) -> Iterator[list[str]]:
    electrodes = group.get("electrodes")
    if not isinstance(electrodes, h5py.Dataset) or electrodes.shape != (n,):
        return
    table = group.file[electrodes.attrs["table"]]
    rows = electrodes[...]
    for column in _NAMING:
        values = table.get(column)
        if isinstance(values, h5py.Dataset) and h5py.check_string_dtype(values.dtype):
            yield values.asstr()[...][rows].tolist()


def _about(file: h5py.File) -> dict[str, str | int | float]:
    """Collect what the file says about session and subject."""
    attrs: dict[str, str | int | float] = {}
    for key in ("session_description", "identifier", "session_start_time"):
        if key in file:
            attrs[key] = _text(file[key][()])
    subject = file.get("general/subject")
    for key in _SUBJECT:
        if isinstance(subject, h5py.Group) and key in subject:
            attrs["subject" if key == "subject_id" else key] = _text(subject[key][()])
    return attrs


def _variable_name(path: str) -> str:
    name = re.sub(r"\W", "_", path.split("/")[-1], flags=re.ASCII)
    name = name if name[:1].isalpha() else f"series_{name}"
    return f"{name}_" if name in DIMS else name


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
