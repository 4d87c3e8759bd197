"""What a report or a comparison on the command line is made of: a recording, and people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from kinesis_neuro.emg.datasets import load_subject
from kinesis_neuro.emg.filters import apply_pipeline
from kinesis_neuro.emg.subject import signal_name
from kinesis_neuro.errors import FileFormatError, InvalidInputError


def read_recording(path: Path) -> xr.Dataset:
    """Read a recording from NetCDF or NWB."""
    suffix = path.suffix.lower()
    if suffix == ".nc":
        from kinesis_neuro.netcdf import read_netcdf as read
    elif suffix == ".nwb":
        from kinesis_neuro.nwb import read_nwb as read
    else:
        raise FileFormatError(
            path, f"the suffix {path.suffix!r}", ".nc or .nwb, as 'kinesis-neuro record' writes"
        )
    return read(path)


def read_people(
    given: Sequence[str | Path | xr.Dataset], speed: float | None, pipeline: str | None
) -> list[xr.Dataset]:
    """Load EMG subjects by name or from files, and make envelopes of raw EMG.

    Parameters
    ----------
    given : sequence of str, Path or xarray.Dataset
    speed : float or None
        Chooses among the speeds of named subjects [m/s].
    pipeline : str or None
        See :func:`~kinesis_neuro.emg.filters.apply_pipeline`.

    Raises
    ------
    InvalidInputError
        If a subject holds raw EMG and no pipeline is chosen.
    """
    people = [
        one if isinstance(one, xr.Dataset) else load_subject(one, speed=speed) for one in given
    ]
    return [_with_envelope(one, pipeline) for one in people]


def _with_envelope(subject: xr.Dataset, pipeline: str | None) -> xr.Dataset:
    if signal_name(subject) == "envelope":
        return subject
    if pipeline is None:
        raise InvalidInputError(
            f"Subject {subject.attrs.get('subject', 'without a name')!r} holds raw EMG. Choose how "
            "envelopes are made of it: pipeline (--pipeline) winter, santuz2018 or pycgm2."
        )
    return apply_pipeline(subject, pipeline)
