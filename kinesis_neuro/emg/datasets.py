"""list_subjects and load_subject: EMG of people, from a registry of datasets or from a file."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from kinesis_neuro.emg import readers
from kinesis_neuro.emg.normative import read_schwartz
from kinesis_neuro.emg.readers import WANG_CHANNELS
from kinesis_neuro.emg.registry import REGISTRY, WANG_CITATION
from kinesis_neuro.emg.remote import find_file, remote_files
from kinesis_neuro.emg.subject import make_subject, signal_name
from kinesis_neuro.errors import FileFormatError, InvalidInputError, unknown_name

SPEED_TOLERANCE = 0.02
"""Speeds farther apart than this are not the same [m/s]."""

_FILE_READERS: Mapping[str, Callable[..., xr.Dataset]] = MappingProxyType(
    {
        ".sto": readers.read_storage_subject,
        ".mot": readers.read_storage_subject,
        ".npy": readers.read_kinesis_cycles,
        ".c3d": readers.read_c3d_subject,
        ".csv": readers.read_table_subject,
        ".tsv": readers.read_table_subject,
        ".txt": readers.read_table_subject,
        ".rdata": readers.read_rdata_subject,
        ".rda": readers.read_rdata_subject,
        ".mat": readers.read_falisse,
        ".edf": readers.read_bids_subject,
        ".bdf": readers.read_bids_subject,
        ".xls": read_schwartz,
    }
)


def list_subjects(available: bool = False) -> pd.DataFrame:
    """List the subjects that have a name.

    Parameters
    ----------
    available : bool
        Only those whose files are on this machine.

    Returns
    -------
    DataFrame
        One row a subject and speed: ``subject``, ``speed`` [m/s] (NaN where it is not stated),
        ``where`` (``built in``, ``local``, ``download``, or ``your copy`` where it has to be got by
        hand), ``licence``, ``title``.

    Examples
    --------
    >>> subjects = list_subjects()
    >>> subjects.iloc[0][["subject", "where"]].tolist()
    ['builtin', 'built in']
    """
    about = _builtin_about()
    rows = [("builtin", about["speed"], "built in", about["licence"], _BUILTIN_TITLE)]
    for name, entry in REGISTRY.items():
        for speed, files in entry.speeds.items():
            where = _where(files)
            rows.append((name, speed, where, str(entry.options.get("licence", "")), entry.title))
    table = pd.DataFrame(rows, columns=["subject", "speed", "where", "licence", "title"])
    if available:
        table = table[table["where"].isin(["built in", "local"])].reset_index(drop=True)
    return table


def _where(files: tuple[str, ...]) -> str:
    try:
        for file in files:
            find_file(file, download=False)
    except InvalidInputError:
        return "download" if set(files) <= set(remote_files()) else "your copy"
    return "local"


def load_subject(
    name_or_path: str | Path, speed: float | None = None, **options: Any
) -> xr.Dataset:
    """Load the EMG of a person in one condition.

    Parameters
    ----------
    name_or_path : str or Path
        ``"builtin"`` (the adult whose gait is built in), a name of :func:`list_subjects`, or a
        file: OpenSim ``.sto``/``.mot``, KINESIS ``.npy``, ``.c3d``, ``.csv``/``.tsv``, ``.RData``
        of musclesyneRgies, Falisse's ``.mat``, EMG-BIDS ``.edf``/``.bdf``, Schwartz's ``.xls``, or
        ``.nc``/``.nwb`` that this library wrote.
    speed : float, optional
        Chooses among the speeds of a named subject; for a file, states the speed [m/s].
    **options
        For files: ``channels`` ({label: channel}, such as ``{"EMG1": "soleus_r"}``), ``side``,
        ``rate`` [Hz] and ``units`` (tables), ``forces`` (OpenSim), ``plates`` (C3D), ``trial``
        (R), and any attribute (``subject``, ``condition``, ``source``, ``licence``, ...).

    Returns
    -------
    xarray.Dataset
        ``emg (time, channel)`` [V, or arbitrary], or ``envelope`` over time, or over cycle and
        phase [1]; channels in the library's vocabulary with ``side``; attributes say who, how
        fast, from where, on what terms, and every processing step.

    Raises
    ------
    InvalidInputError
        If the name is unknown, the speed was not measured, or several were and none is chosen.
    FileFormatError
        If a file cannot be read.

    Examples
    --------
    >>> person = load_subject("builtin")
    >>> person.attrs["person"], person.envelope.sizes["channel"]
    ('wang2023/06', 9)
    """
    if str(name_or_path) == "builtin":
        about = _builtin_about()
        _choose("builtin", {about["speed"]: ()}, speed)
        return _builtin().copy(deep=True)
    name = str(name_or_path)
    if name in REGISTRY:
        entry = REGISTRY[name]
        chosen, files = _choose(name, entry.speeds, speed)
        paths = [find_file(file) for file in files]
        given = {"subject": name, "speed": None if math.isnan(chosen) else chosen}
        return entry.reader(*paths, **(given | dict(entry.options) | options))
    path = Path(name_or_path)
    if not path.suffix and not path.exists():
        raise unknown_name("subject", name, ["builtin", *REGISTRY])
    return _from_file(path, speed, options)


def _choose(
    name: str, speeds: Mapping[float, tuple[str, ...]], speed: float | None
) -> tuple[float, tuple[str, ...]]:
    """Choose among the measured speeds."""
    measured = list(speeds)
    listed = ", ".join("not stated" if math.isnan(s) else f"{s:g}" for s in measured)
    if speed is None:
        if len(measured) > 1:
            raise InvalidInputError(
                f"Subject {name!r} was measured at several speeds: {listed} m/s. "
                f"Choose one: load_subject({name!r}, speed={measured[len(measured) // 2]:g})."
            )
        return measured[0], speeds[measured[0]]
    nearest = min(measured, key=lambda s: math.inf if math.isnan(s) else abs(s - speed))
    if not abs(nearest - speed) <= SPEED_TOLERANCE:
        raise InvalidInputError(
            f"Subject {name!r} was not measured at {speed:g} m/s. Available: {listed} m/s."
        )
    return nearest, speeds[nearest]


def _from_file(path: Path, speed: float | None, options: dict[str, Any]) -> xr.Dataset:
    suffix = path.suffix.lower()
    if suffix in (".nc", ".nwb"):
        return _own_file(path, suffix)
    if suffix not in _FILE_READERS:
        known = ", ".join(sorted([*_FILE_READERS, ".nc", ".nwb"]))
        raise FileFormatError(path, f"the suffix {path.suffix!r}", f"one of {known}")
    given = {"subject": path.stem, "source": path.name, "speed": speed} | options
    return _FILE_READERS[suffix](path, **given)


def _own_file(path: Path, suffix: str) -> xr.Dataset:
    if suffix == ".nc":
        from kinesis_neuro.netcdf import read_netcdf as read
    else:
        from kinesis_neuro.nwb import read_nwb as read
    dataset = read(path)
    signal_name(dataset)
    return dataset


_BUILTIN_TITLE = "treadmill walking, mean cycle of the adult whose gait is built in"


@functools.cache
def _builtin_about() -> dict[str, Any]:
    folder = resources.files("kinesis_neuro.emg") / "tables"
    return json.loads((folder / "builtin.json").read_text())


@functools.cache
def _builtin() -> xr.Dataset:
    about = _builtin_about()
    with (resources.files("kinesis_neuro.emg") / "tables" / "builtin.csv").open("r") as stream:
        table = pd.read_csv(stream)
    mean, sd = (
        np.stack([table[f"{name}_{what}"] for name in WANG_CHANNELS], axis=1)
        for what in ("mean", "sd")
    )
    return make_subject(
        mean[None],
        WANG_CHANNELS,
        ["right"] * len(WANG_CHANNELS),
        phase=table["phase"].to_numpy(),
        sd=sd,
        subject="builtin",
        person="wang2023/06",
        condition="treadmill walking",
        speed=about["speed"],
        source=about["source"],
        licence=about["licence"],
        citation=WANG_CITATION,
        n_cycles=about["n_cycles"],
        cycle_duration=about["cycle_duration"],
        toe_off_phase=about["toe_off_phase"],
        normalisation="envelopes normalised by the source; to what is not stated",
    )
