"""Recordings from NetCDF to NWB and back: what ``kinesis-neuro export`` does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xarray as xr

from kinesis_neuro.errors import FileFormatError, InvalidInputError, WriteError
from kinesis_neuro.netcdf import write_netcdf
from kinesis_neuro.nwb.read import open_nwb
from kinesis_neuro.nwb.write import write_nwb

_FORMATS = {".nwb": "NWB", ".nc": "NetCDF"}


def convert(
    source: str | Path,
    target: str | Path,
    *,
    series: str | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
) -> Path:
    """Convert a file of the library to the format that the name of the target asks for.

    To NWB, memory does not grow with the length of the recording; to NetCDF, it holds one variable
    at a time.

    Parameters
    ----------
    source : str or Path
        A file of `write_netcdf` (``.nc``) or of `write_nwb` (``.nwb``), or any other NWB file
        if `series` chooses one of its series.
    target : str or Path
        The file to write, ``.nwb`` or ``.nc``.
    series : str, optional
        As :func:`~kinesis_neuro.nwb.read_nwb` takes it.
    overwrite : bool
        Whether a file that is there already may be replaced.
    progress : bool, optional
        As :func:`~kinesis_neuro.nwb.write_nwb` takes it.

    Returns
    -------
    Path
        The target.

    Raises
    ------
    InvalidInputError
        A name ends in something else, or what the source holds breaks the schema.
    FileFormatError
        The source cannot be read.
    WriteError
        The target exists, or cannot be written.

    Examples
    --------
    >>> convert("walk.nc", "walk.csv")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.InvalidInputError: Cannot convert to 'walk.csv'. Allowed: .nc, .nwb.
    """
    source, target = Path(source), Path(target)
    for path, verb in ((target, "to"), (source, "from")):
        if path.suffix not in _FORMATS:
            allowed = ", ".join(sorted(_FORMATS))
            raise InvalidInputError(f"Cannot convert {verb} {path.name!r}. Allowed: {allowed}.")
    if series is not None and source.suffix != ".nwb":
        raise InvalidInputError(f"series={series!r} chooses from an NWB file, not {source.name!r}.")
    with _opened(source, series) as dataset:
        if target.suffix == ".nwb":
            return write_nwb(dataset, target, overwrite=overwrite, progress=progress)
        if target.exists() and not overwrite:
            raise WriteError(
                f"{target} exists already. Pass overwrite=True or choose another path."
            )
        write_netcdf(dataset, target)
    return target


@contextmanager
def _opened(path: Path, series: str | None) -> Iterator[xr.Dataset]:
    """Open a dataset lazily; what was read once is not kept."""
    if path.suffix == ".nwb":
        with open_nwb(path, series, cache=False) as dataset:
            yield dataset
        return
    expected = "a NetCDF 4 file that write_netcdf wrote"
    if not path.is_file():
        raise FileFormatError(path, "no such file", expected)
    try:
        # Nothing is decoded by convention: a fill value would change values.
        dataset = xr.open_dataset(
            path,
            engine="h5netcdf",
            cache=False,
            mask_and_scale=False,
            decode_times=False,
            decode_timedelta=False,
        )
    except Exception as error:  # h5py and h5netcdf raise whatever the broken bytes lead them to
        raise FileFormatError(path, f"cannot be read ({error})", expected) from error
    with dataset:
        yield dataset
