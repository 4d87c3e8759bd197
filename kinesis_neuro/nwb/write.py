"""write_nwb: a dataset to an NWB file, complete or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from kinesis_neuro.emg.events import check_events
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.formats.atomic import atomic_path
from kinesis_neuro.schema import RECORDING_ATTRIBUTES, validate

# What write_netcdf adds to text, whose width NetCDF does not keep.
_TEXT_WIDTH = "_text_width"


def write_nwb(
    dataset: xr.Dataset,
    path: str | Path,
    *,
    metadata: Mapping[str, Any] | None = None,
    events: Mapping[str, ArrayLike] | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
) -> Path:
    """Write a recording, an EMG subject or gait cycles to an NWB file, complete or not at all.

    Nothing is lost: :func:`~kinesis_neuro.nwb.read_nwb` gives the same dataset back. Where
    everything lies in the file stands in ``docs/nwb.md``. Memory does not grow with the length of
    the recording: variables of dask, or of a file that xarray opened lazily, are written block by
    block.

    Parameters
    ----------
    dataset : xarray.Dataset
        Any dataset that ``schema.validate`` accepts; one with all attributes of a recording is
        checked as such. A NetCDF file of the library that was opened with ``xarray.open_dataset``
        will do as it is.
    path : str or Path
        The file; its name ends in ``.nwb``.
    metadata : mapping, optional
        What the dataset does not say about session and subject, or what shall stand there instead:
        ``session_start_time`` (datetime or ISO text), ``experimenter``, ``institution``, ``lab``,
        ``keywords``, ..., and ``subject``, a mapping with ``subject_id``, ``sex``, ``age``
        (``P24Y``), .... It is not part of the dataset and does not come back with it.
    events : mapping of str to array_like, optional
        Times [s] of ``heel_strike_right``, ``heel_strike_left``, ``toe_off_right`` and
        ``toe_off_left``, for the tables of events and of gait cycles. By default those that the
        dataset's attributes name, or else those that its ground force shows.
    overwrite : bool
        Whether a file that is there already may be replaced.
    progress : bool, optional
        Whether to show a progress bar on standard error; by default for more than 100 MB on a
        terminal.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    InvalidInputError
        The dataset breaks the schema (all violations are listed), metadata or events have unknown
        keys, or the name of the file ends in something else. Nothing is written.
    WriteError
        The file exists, its folder does not, or the system refused. A former file is as it was.

    Examples
    --------
    >>> import tempfile
    >>> from kinesis_neuro.nwb import read_nwb
    >>> dataset = xr.Dataset(
    ...     {"envelope": (("time", "channel"), np.ones((50, 2)), {"units": "1"})},
    ...     {
    ...         "time": ("time", np.arange(50) / 100, {"units": "s"}),
    ...         "channel": np.array(["soleus", "tibialis_anterior"]),
    ...         "side": ("channel", np.array(["right", "right"])),
    ...     },
    ...     {"subject": "wang2023/06", "speed": 1.0},
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with read_nwb(write_nwb(dataset, Path(folder) / "06.nwb")) as found:
    ...         found.identical(dataset)
    True
    """
    path = Path(path)
    if path.suffix != ".nwb":
        raise InvalidInputError(f"The name of an NWB file ends in .nwb, but got {path.name!r}.")
    dataset = _as_the_schema_has_it(dataset)
    validate(dataset, kind="recording" if _is_recording(dataset) else "any")
    events = None if events is None else check_events(events)
    with atomic_path(path, overwrite=overwrite) as part:
        _write(dataset, part, path.name, metadata, events, progress)
    return path


def _write(
    dataset: xr.Dataset,
    part: Path,
    title: str,
    metadata: Mapping[str, Any] | None,
    events: Mapping[str, ArrayLike] | None,
    progress: bool | None,
) -> None:
    # pynwb takes seconds to import; whoever only reads does not need it.
    from pynwb import NWBHDF5IO

    from kinesis_neuro.nwb.build import Builder
    from kinesis_neuro.nwb.gait import add_gait
    from kinesis_neuro.nwb.guard import GuardedFile
    from kinesis_neuro.nwb.plan import make_plan
    from kinesis_neuro.nwb.session import make_file
    from kinesis_neuro.nwb.stream import progress_bar

    nwb = make_file(dataset, metadata)
    total = sum(v.nbytes for v in dataset.variables.values() if v.dtype.kind != "U")
    with GuardedFile(part) as guarded, progress_bar(title, total, progress) as advance:

        def advance_or_stop(n_bytes: int) -> None:
            guarded.check()
            advance(n_bytes)

        Builder(nwb, dataset, make_plan(dataset), advance_or_stop).build()
        add_gait(nwb, dataset, events)
        with h5py.File(guarded, "w") as file, NWBHDF5IO(file=file, mode="w") as nwb_file:
            nwb_file.write(nwb)
        guarded.check()


def _is_recording(dataset: xr.Dataset) -> bool:
    return {"time", "muscle"} <= set(dataset.dims) and RECORDING_ATTRIBUTES.keys() <= set(
        dataset.attrs
    )


def _as_the_schema_has_it(dataset: xr.Dataset) -> xr.Dataset:
    """Undo what NetCDF does to a dataset that xarray opened from a file of write_netcdf."""
    if not isinstance(dataset, xr.Dataset):
        validate(dataset)  # says what is wrong
    marked = any(_TEXT_WIDTH in variable.attrs for variable in dataset.variables.values())
    if not marked and "source" not in dataset.encoding:
        return dataset
    dataset = dataset.copy()  # shallow: attributes are copied, values are not
    dataset.attrs = _as_python(dataset.attrs)
    text = {}
    for name, variable in dataset.variables.items():
        variable.attrs = _as_python(variable.attrs)
        if width := variable.attrs.pop(_TEXT_WIDTH, 0):
            text[name] = (variable.dims, variable.values.astype(f"U{width}"), variable.attrs)
    coords = {name: text.pop(name) for name in list(text) if name in dataset.coords}
    return dataset.assign(text).assign_coords(coords)


def _as_python(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value.item() if isinstance(value, np.integer | np.floating) else value
        for key, value in attrs.items()
    }
