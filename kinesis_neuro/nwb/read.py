"""read_nwb: a dataset from an NWB file, lazily."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import xarray as xr
from xarray.backends import BackendEntrypoint, CachingFileManager

from kinesis_neuro.errors import FileFormatError, InvalidInputError
from kinesis_neuro.nwb.foreign import foreign_dataset, series_in
from kinesis_neuro.nwb.restore import is_ours, restored_dataset
from kinesis_neuro.schema import validate

_EXPECTED = "an NWB file that write_nwb wrote"
_LISTED = 20


def read_nwb(path: str | Path, series: str | None = None) -> xr.Dataset:
    """Read a dataset that `write_nwb` wrote, or one series of any other NWB file.

    Only coordinates and text are loaded. The values of a variable are read when they are first
    asked for, and stay in memory then; of ``dataset["activation"].sel(muscle="soleus_r")`` only
    that part is read. The file stays open until the dataset is closed, by ``dataset.close()`` or
    at the end of a ``with`` block, or is garbage collected; close it after ``dataset.load()`` to
    have everything in memory and nothing open. Replacing the file meanwhile is safe:
    `write_nwb` puts another file in its place, and the open one stays what it was.

    Parameters
    ----------
    path : str or Path
        The file.
    series : str, optional
        Path (``acquisition/EMG``) or name of a series. Then the dataset has that series alone, as
        a variable of its name, in the unit that the file states (numbers are scaled by
        ``conversion`` and ``offset``), over ``time`` or over ``time`` and ``channel``. Channels
        are named by the electrodes where the file has any; ``side`` is there only if every
        channel's name tells it, and the library's other functions ask for it.

    Returns
    -------
    xarray.Dataset
        The dataset as it was written, down to the types of values and attributes; or the series.

    Raises
    ------
    FileFormatError
        There is no such file, it is truncated or damaged, it is no NWB file in HDF5, or another
        one than `write_nwb` writes and no series was chosen; the message lists those that there
        are. Damaged values raise it when they are asked for.

    Examples
    --------
    >>> read_nwb("walk.nwb")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: walk.nwb: no such file. Expected an NWB file ...
    """
    return open_nwb(path, series)


def open_nwb(path: str | Path, series: str | None = None, *, cache: bool = True) -> xr.Dataset:
    """Open a file as `read_nwb` does; without a cache, values are read again each time."""
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(path, "no such file", _EXPECTED)
    try:
        dataset = xr.open_dataset(path, engine=_Backend, cache=cache, series=series)
        if series is None:
            try:
                validate(dataset, kind="any")
            except InvalidInputError:
                dataset.close()
                raise
    except FileFormatError:
        raise
    except InvalidInputError as error:
        raise FileFormatError(path, str(error).rstrip("."), _EXPECTED) from error
    except Exception as error:  # h5py raises whatever the broken bytes lead it to
        raise FileFormatError(path, f"cannot be read ({error})", _EXPECTED) from error
    return dataset


class _Backend(BackendEntrypoint):
    """What xarray needs to open NWB files lazily."""

    description = "NWB files of kinesis-neuro"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "series")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        series: str | None = None,
    ) -> xr.Dataset:
        """Open a file."""
        path = Path(filename_or_obj)
        manager = CachingFileManager(h5py.File, path, mode="r")
        try:
            if series is not None:
                dataset = foreign_dataset(manager, path, series)
            else:
                _refuse_foreign(manager, path)
                dataset = restored_dataset(manager, path)
        except BaseException:
            manager.close()
            raise
        dataset.set_close(manager.close)
        return dataset


def _refuse_foreign(manager: CachingFileManager, path: Path) -> None:
    """Say what a file holds that write_nwb did not write."""
    with manager.acquire_context() as file:
        if is_ours(file):
            return
        if "nwb_version" not in file.attrs:
            raise FileFormatError(path, "an HDF5 file, but no NWB", _EXPECTED)
        found = [str(series) for series in series_in(file)]
    more = f"; and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    raise FileFormatError(
        path,
        f"an NWB file of another layout, with the series: {'; '.join(found[:_LISTED])}{more}"
        if found
        else "an NWB file of another layout, without any series",
        f"{_EXPECTED}, or read_nwb(path, series=...) with one of the paths" if found else _EXPECTED,
    )
