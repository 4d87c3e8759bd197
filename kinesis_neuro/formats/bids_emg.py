"""EMG-BIDS (part of BIDS since 1.11): EDF or BDF signals with their JSON and TSV sidecars."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinesis_neuro.errors import FileFormatError, MissingDependencyError
from kinesis_neuro.formats.delimited import read_text_lines

FloatArray = NDArray[np.float64]

_EXPECTED = "an EMG-BIDS recording (*_emg.edf or *_emg.bdf)"
# How much a volt is in the units that EDF headers write.
_VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6, "nV": 1e-9}


@dataclass(frozen=True, eq=False)
class BidsEmg:
    """A recording of EMG-BIDS.

    Attributes
    ----------
    path : Path
    rate : float
        [Hz]
    names : tuple of str
        EMG channels that ``channels.tsv`` calls good.
    bad : tuple of str
        EMG channels that it calls bad.
    muscles : tuple of str
        ``target_muscle`` of each, empty where it is not stated.
    data : ndarray, shape (n_samples, n_channels)
        [V], or as in the file where its units are none of voltage.
    in_volts : bool
    metadata : mapping
        ``_emg.json``.
    events : DataFrame
        ``_events.tsv`` with ``onset`` [s]; empty if there is none.
    electrodes, coordsystem : DataFrame, mapping
        ``_electrodes.tsv`` and ``_coordsystem.json``; empty if there are none.
    """

    path: Path
    rate: float
    names: tuple[str, ...]
    bad: tuple[str, ...]
    muscles: tuple[str, ...]
    data: FloatArray
    in_volts: bool
    metadata: Mapping[str, Any]
    events: pd.DataFrame
    electrodes: pd.DataFrame
    coordsystem: Mapping[str, Any]


def read_bids_emg(path: str | Path) -> BidsEmg:
    """Read a recording with its sidecars.

    Sidecars are looked for beside the recording and, by BIDS' inheritance, in the folders above
    it, where their names may leave entities out.

    Parameters
    ----------
    path : str or Path
        The ``*_emg.edf`` or ``*_emg.bdf`` file.

    Returns
    -------
    BidsEmg

    Raises
    ------
    FileFormatError
        A file is missing or broken, the JSON and the signal disagree about the rate, or
        ``channels.tsv`` names channels that the signal has not.
    MissingDependencyError
        The package `edfio` is not installed.

    Examples
    --------
    >>> read_bids_emg("sub-01_task-walk_emg.edf")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: sub-01_task-walk_emg.edf: no such file. Expected ...
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(path, "no such file", _EXPECTED)
    if not path.stem.endswith("_emg") or path.suffix.lower() not in (".edf", ".bdf"):
        raise FileFormatError(path, f"the name {path.name!r}", _EXPECTED)
    signals = _read_signals(path)
    metadata = _read_json(_sidecar(path, "emg", ".json", required=True))
    channels = _read_tsv(_sidecar(path, "channels", ".tsv", required=True))
    for column in ("name", "type", "units"):
        if column not in channels:
            found = f"columns {', '.join(map(repr, channels))} in channels.tsv"
            raise FileFormatError(path, found, f"a column {column!r}")
    emg = channels[channels["type"].str.upper() == "EMG"]
    unknown = sorted(set(emg["name"]) - set(signals))
    if emg.empty or unknown:
        found = f"EMG channels {', '.join(unknown) or 'none'} in channels.tsv"
        raise FileFormatError(path, found, f"some of those in the signal: {', '.join(signals)}")
    status = emg["status"] if "status" in emg else pd.Series("good", index=emg.index)
    good = emg[status.str.lower() != "bad"]
    if good.empty:
        raise FileFormatError(path, "only bad EMG channels", "a good one")
    rates = {signals[name][1] for name in good["name"]}
    stated = metadata.get("SamplingFrequency")
    if len(rates) > 1 or (stated is not None and abs(float(stated) - min(rates)) > 1e-6 * stated):
        found = f"rates of {', '.join(f'{r:g}' for r in sorted(rates))} Hz in the signal"
        expected = "one rate" if stated is None else f"SamplingFrequency of the JSON, {stated} Hz"
        raise FileFormatError(path, found, expected)
    units = [signals[name][2].strip() for name in good["name"]]
    in_volts = all(unit in _VOLTS for unit in units)
    scale = np.array([_VOLTS[unit] if in_volts else 1.0 for unit in units])
    muscles = good["target_muscle"] if "target_muscle" in good else [""] * len(good)
    coordsystem = _sidecar(path, "coordsystem", ".json")
    return BidsEmg(
        path=path,
        rate=float(rates.pop()),
        names=tuple(good["name"]),
        bad=tuple(emg.loc[status.str.lower() == "bad", "name"]),
        muscles=tuple("" if m == "n/a" else str(m) for m in muscles),
        data=np.stack([signals[name][0] for name in good["name"]], axis=1) * scale,
        in_volts=in_volts,
        metadata=metadata,
        events=_read_tsv(_sidecar(path, "events", ".tsv")),
        electrodes=_read_tsv(_sidecar(path, "electrodes", ".tsv")),
        coordsystem=_read_json(coordsystem) if coordsystem else {},
    )


def _read_signals(path: Path) -> dict[str, tuple[FloatArray, float, str]]:
    """Values, rate and units of each signal."""
    try:
        import edfio
    except ImportError as error:
        raise MissingDependencyError("Reading EDF and BDF needs: pip install edfio") from error
    read = edfio.read_edf if path.suffix.lower() == ".edf" else edfio.read_bdf
    try:
        file = read(path)
        return {
            s.label: (
                np.asarray(s.data, dtype=float),
                float(s.sampling_frequency),
                s.physical_dimension,
            )
            for s in file.signals
        }
    except Exception as error:
        raise FileFormatError(path, f"cannot be read ({error})", _EXPECTED) from error


def _sidecar(path: Path, suffix: str, extension: str, required: bool = False) -> Path | None:
    """Find a sidecar: the nearest folder whose file's entities are all the recording's."""
    entities = set(path.stem.split("_")[:-1])
    for folder in (path.parent, *path.parents[1:5]):
        fitting = [
            file
            for file in sorted(folder.glob(f"*{suffix}{extension}"))
            if file.stem.split("_")[-1] == suffix and set(file.stem.split("_")[:-1]) <= entities
        ]
        if fitting:
            return max(fitting, key=lambda file: len(file.stem.split("_")))
        if (folder / "dataset_description.json").exists():
            break
    if required:
        name = f"{path.stem.removesuffix('_emg')}_{suffix}{extension}"
        raise FileFormatError(path, f"no {name} beside it or above", "the sidecars of EMG-BIDS")
    return None


def _read_json(path: Path | None) -> dict[str, Any]:
    assert path is not None
    try:
        value = json.loads(read_text_lines(path, "a JSON object"))
    except json.JSONDecodeError as error:
        raise FileFormatError(path, f"no JSON ({error})", "a JSON object") from error
    if not isinstance(value, dict):
        raise FileFormatError(path, f"JSON of type {type(value).__name__}", "a JSON object")
    return value


def _read_tsv(path: Path | None) -> pd.DataFrame:
    if path is None:
        return pd.DataFrame()
    lines = [line.split("\t") for line in read_text_lines(path).splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        if len(line) != len(lines[0]):
            found = f"line {number} has {len(line)} cells for {len(lines[0])} columns"
            raise FileFormatError(path, found, "tab-separated columns")
    return pd.DataFrame(lines[1:], columns=[name.strip() for name in lines[0]], dtype=str)
