"""Datasets to and from NetCDF 4, without loss: values, types, attributes and their types."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr

from kinesis_neuro.errors import FileFormatError, InvalidInputError
from kinesis_neuro.formats.atomic import atomic_path
from kinesis_neuro.schema import validate

_ENGINE: Final = "h5netcdf"
_EXPECTED = "a NetCDF 4 file that write_netcdf wrote"
# NetCDF text has no width, numpy's has. The schema lets no attribute begin with an underscore, so
# this one cannot meet another.
_TEXT_WIDTH = "_text_width"
_CHARACTER = np.dtype("U1").itemsize
# What a file may claim beyond what it holds: a hostile one could ask for all of the memory.
_WIDEST_TEXT = 2**16


def write_netcdf(dataset: xr.Dataset, path: str | Path) -> None:
    """Write a dataset to a NetCDF 4 file, compressed, complete or not at all.

    Parameters
    ----------
    dataset : xarray.Dataset
        Any dataset that `schema.validate` accepts as ``any``.
    path : str or Path
        The file. One that is there already is replaced once the new one is complete.

    Raises
    ------
    InvalidInputError
        The dataset breaks the schema; all violations are listed and nothing is written.
    WriteError
        The file cannot be written. A former file is left as it was.

    Examples
    --------
    >>> import tempfile
    >>> dataset = xr.Dataset({"reward": ("episode", [0.5, 0.75], {"units": "1"})})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_netcdf(dataset, Path(folder) / "episodes.nc")
    ...     read_netcdf(Path(folder) / "episodes.nc").identical(dataset)
    True
    """
    validate(dataset, kind="any")
    # What an earlier file looked like (chunks, fill values) says nothing about this one.
    stored = dataset.copy().drop_encoding()
    encoding: dict[str, dict] = {}
    for name, variable in stored.variables.items():
        if variable.dtype.kind == "U":
            variable.attrs[_TEXT_WIDTH] = variable.dtype.itemsize // _CHARACTER
        else:
            # Without a fill value NaN stays a value like any other.
            encoding[str(name)] = {"_FillValue": None}
            if variable.size and variable.ndim:
                encoding[str(name)] |= {"zlib": True, "complevel": 1, "shuffle": True}
    with atomic_path(path) as part:
        stored.to_netcdf(part, engine=_ENGINE, encoding=encoding)


def read_netcdf(path: str | Path) -> xr.Dataset:
    """Read a dataset that `write_netcdf` wrote, whole, into memory.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    xarray.Dataset
        The dataset as it was written, down to the types of values and attributes.

    Raises
    ------
    FileFormatError
        There is no such file, it is damaged, it is no NetCDF 4, or what it holds breaks the schema.

    Examples
    --------
    >>> read_netcdf("walk.nc")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: walk.nc: no such file. Expected a NetCDF 4 file ...
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(path, "no such file", _EXPECTED)
    try:
        # Nothing is decoded by convention: units of "days" or a fill value would change values.
        with xr.open_dataset(
            path, engine=_ENGINE, mask_and_scale=False, decode_times=False, decode_timedelta=False
        ) as stored:
            dataset = _restored(stored)
        validate(dataset, kind="any")
    except InvalidInputError as error:
        raise FileFormatError(path, str(error).rstrip("."), _EXPECTED) from error
    except Exception as error:  # h5py and h5netcdf raise whatever the broken bytes lead them to
        raise FileFormatError(path, f"cannot be read ({error})", _EXPECTED) from error
    return dataset


def _restored(stored: xr.Dataset) -> xr.Dataset:
    """Give text its width and attributes their types again."""
    groups: dict[bool, dict] = {False: {}, True: {}}
    for name, variable in stored.variables.items():
        attrs, values = _as_python(variable.attrs), variable.values
        if _TEXT_WIDTH in attrs:
            width, least = attrs.pop(_TEXT_WIDTH), values.dtype.itemsize // _CHARACTER
            if not isinstance(width, int) or not least <= width <= max(least, _WIDEST_TEXT):
                raise InvalidInputError(
                    f"{name!r} claims to hold text of {width!r} characters. "
                    f"Allowed: {least} to {_WIDEST_TEXT}."
                )
            values = values.astype(f"U{width}")
        groups[name in stored.coords][name] = (variable.dims, values, attrs)
    return xr.Dataset(groups[False], groups[True], _as_python(stored.attrs))


def _as_python(attrs: dict) -> dict:
    """Undo what HDF5 does to single numbers: they come back as numpy scalars."""
    return {
        key: value.item() if isinstance(value, np.integer | np.floating) else value
        for key, value in attrs.items()
    }
