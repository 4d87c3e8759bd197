"""From files of other laboratories to EMG subjects, one function a format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.emg.labels import name_channels
from kinesis_neuro.emg.subject import make_subject
from kinesis_neuro.errors import FileFormatError, InvalidInputError, unknown_name
from kinesis_neuro.formats.arrays import find_emg_frames, read_mat, read_npy
from kinesis_neuro.formats.bids_emg import read_bids_emg
from kinesis_neuro.formats.c3d import C3D, read_c3d
from kinesis_neuro.formats.delimited import read_delimited
from kinesis_neuro.formats.opensim import RATE_TOLERANCE, Storage, read_storage

FloatArray = NDArray[np.float64]
Channels = Mapping[str, str | None]

WANG_CHANNELS = (
    *("soleus", "gastrocnemius_medialis", "gastrocnemius_lateralis", "tibialis_anterior"),
    *("semimembranosus", "biceps_femoris", "vastus_lateralis", "rectus_femoris"),
    "vastus_medialis",
)

_SANTUZ: Channels = {
    **{"ME": "gluteus_medius", "MA": "gluteus_maximus", "FL": "tensor_fasciae_latae"},
    **{"RF": "rectus_femoris", "VM": "vastus_medialis", "VL": "vastus_lateralis"},
    **{"ST": "semitendinosus", "BF": "biceps_femoris", "TA": "tibialis_anterior"},
    **{"PL": "peroneus_longus", "GM": "gastrocnemius_medialis"},
    **{"GL": "gastrocnemius_lateralis", "SO": "soleus"},
}

_VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6}


def read_kinesis_cycles(mean: Path, sd: Path | None = None, **about: Any) -> xr.Dataset:
    """Read a mean cycle of KINESIS's human EMG: ``.npy``, 100 x 10, per cent of the cycle first.

    The cycles are those of the right leg, from heel strike to heel strike.
    """
    table = read_npy(mean, (100, 10))
    percent = table[:, 0]
    if not np.array_equal(percent, np.arange(1, 101)):
        raise FileFormatError(
            mean,
            f"a first column from {percent[0]:g} to {percent[-1]:g}",
            "per cent of the gait cycle, 1 to 100",
        )
    spread = None if sd is None else read_npy(sd, (100, 10))[:, 1:]
    return make_subject(
        table[None, :, 1:], WANG_CHANNELS, ["right"] * 9, phase=percent / 100, sd=spread,
        normalisation="envelopes normalised by the source; to what is not stated", **about,
    )  # fmt: skip


def read_storage_subject(
    path: Path,
    *,
    forces: Path | None = None,
    force_prefixes: tuple[str, str] = ("ground_force_", "l_ground_force_"),
    channels: Channels | None = None,
    side: str | None = None,
    **about: Any,
) -> xr.Dataset:
    """Read envelopes from an OpenSim storage file, and ground forces that were recorded with them.

    `forces` has the prefixes of the right and left plate's columns, y up.
    """
    storage = read_storage(path)
    index, names, sides = name_channels(storage.columns, channels, side, path.name)
    rate = storage.rate
    time = storage.time[0] + np.arange(storage.time.size) / rate
    force = None if forces is None else _feet(read_storage(forces), force_prefixes, time)
    return make_subject(
        storage.data[:, index], names, sides, time=time, rate=rate, ground_force=force,
        normalisation="envelopes normalised by the source; to what is not stated", **about,
    )  # fmt: skip


def _feet(plates: Storage, prefixes: tuple[str, str], time: FloatArray) -> FloatArray:
    """Forces (n, 2, 3) in the library's axes at the times of the EMG; zero outside of the record.

    OpenSim's x (forward), y (up), z (right) are -y, z, -x of the world.
    """
    force = np.zeros((time.size, 2, 3))
    inside = (time >= plates.time[0]) & (time <= plates.time[-1])
    for foot, prefix in enumerate(prefixes):
        x, y, z = (
            np.interp(time[inside], plates.time, plates.column(f"{prefix}v{a}")) for a in "xyz"
        )
        force[inside, foot] = np.stack([-z, -x, y], axis=-1)
    return force


def read_c3d_subject(
    path: Path,
    *,
    channels: Channels | None = None,
    side: str | None = None,
    plates: Mapping[int, str] | None = None,
    **about: Any,
) -> xr.Dataset:
    """Read raw EMG from the analog channels of a C3D file, with its stored events.

    `plates` says which foot stood on which force plate, such as ``{0: "right", 1: "left"}``: a file
    does not.
    """
    file = read_c3d(path)
    volts = [i for i, u in enumerate(file.units) if u in _VOLTS or u == ""]
    if not volts:
        raise FileFormatError(path, f"no analog channel in volts ({', '.join(file.units)})", "EMG")
    index, names, sides = name_channels([file.labels[i] for i in volts], channels, side, path.name)
    columns = [volts[i] for i in index]
    scale = np.array([_VOLTS.get(file.units[i], 1.0) for i in columns])
    known = all(file.units[i] in _VOLTS for i in columns)
    left_out = [label for i, label in enumerate(file.labels) if i in volts and i not in columns]
    time = file.start + np.arange(len(file.analog)) / file.rate
    return make_subject(
        file.analog[:, columns] * scale, names, sides, time=time, rate=file.rate,
        units="V" if known else "arbitrary", events=_c3d_events(file),
        ground_force=_plates_to_feet(file, plates),
        channels_left_out=", ".join(left_out) or "none", **about,
    )  # fmt: skip


def _c3d_events(file: C3D) -> dict[str, FloatArray] | None:
    kinds = {"foot strike": "heel_strike", "foot off": "toe_off"}
    events = {
        f"{kind}_{side}": file.events[f"{side} {words}"]
        for words, kind in kinds.items()
        for side in ("right", "left")
        if f"{side} {words}" in file.events
    }
    return events or None


def _plates_to_feet(file: C3D, plates: Mapping[int, str] | None) -> FloatArray | None:
    if plates is None:
        return None
    n = file.plate_force.shape[1]
    bad = {k: v for k, v in plates.items() if not 0 <= k < n or v not in ("right", "left")}
    if bad:
        raise InvalidInputError(
            f"plates={plates!r}, but {file.path.name} has {n} plates, numbered from 0, and feet "
            "are 'right' and 'left'."
        )
    feet = [[k for k, v in plates.items() if v == side] for side in ("right", "left")]
    return np.stack([file.plate_force[:, list(k)].sum(axis=1) for k in feet], axis=1)


def read_table_subject(
    path: Path,
    *,
    rate: float | None = None,
    units: str = "arbitrary",
    channels: Channels | None = None,
    side: str | None = None,
    events: Mapping[str, Any] | None = None,
    **about: Any,
) -> xr.Dataset:
    """Read EMG from a CSV or TSV file.

    Time comes from a column ``time`` [s] or from `rate`, of which one must be there: no rate is
    guessed. `units` is ``V``, ``mV``, ``uV`` (turned into V), ``arbitrary``, or ``1`` for
    envelopes.
    """
    columns, values = read_delimited(path)
    if units not in (*_VOLTS, "arbitrary", "1"):
        raise unknown_name("units", units, [*_VOLTS, "arbitrary", "1"])
    clock = next((i for i, c in enumerate(columns) if c.lower() in ("time", "time_s", "t")), None)
    start = 0.0
    if clock is not None:
        stated = _regular_rate(path, values[:, clock])
        if rate is not None and abs(rate - stated) > RATE_TOLERANCE * rate:
            raise InvalidInputError(
                f"{path}: rate={rate:g} Hz was given, but its times have {stated:g} Hz. "
                "Drop the argument, or correct the file."
            )
        rate, start = rate or stated, float(values[0, clock])
    if rate is None:
        raise InvalidInputError(
            f"{path} has no column 'time', so its rate is not known. Give rate= in Hz."
        )
    if not rate > 0:
        raise InvalidInputError(f"rate must be positive, got {rate} Hz.")
    index, names, sides = name_channels(columns, channels, side, path.name)
    return make_subject(
        values[:, index] * _VOLTS.get(units, 1.0), names, sides,
        time=start + np.arange(len(values)) / rate, rate=rate,
        units="V" if units in _VOLTS else units, events=events, **about,
    )  # fmt: skip


def _regular_rate(path: Path, time: FloatArray) -> float:
    steps = np.diff(time)
    if not np.isfinite(time).all() or len(time) < 2 or not (steps > 0).all():
        raise FileFormatError(path, "times that do not increase strictly", "a time for each row")
    mean = (time[-1] - time[0]) / len(steps)
    worst = int(np.argmax(np.abs(steps - mean)))
    if abs(steps[worst] - mean) > 0.5 * mean:
        found = f"an interval of {steps[worst]:.6g} s after {time[worst]:.6g} s, mean {mean:.6g} s"
        raise FileFormatError(path, found, "regular sampling")
    return float(round(1 / mean, 6))


def read_rdata_subject(
    path: Path, *, trial: str | None = None, channels: Channels | None = None,
    side: str = "right", **about: Any,
) -> xr.Dataset:  # fmt: skip
    """Read raw EMG and touchdowns from a workspace of the R package musclesyneRgies."""
    trials = find_emg_frames(path)
    name = next(iter(trials)) if trial is None and len(trials) == 1 else trial
    if name is None or name not in trials:
        raise unknown_name("trial", trial, trials)
    cycles, emg = trials[name]
    time = emg.iloc[:, 0].to_numpy(dtype=float)
    rate = _regular_rate(path, time)
    labels = [str(column) for column in emg.columns]
    meant = channels or {k: v for k, v in _SANTUZ.items() if k in labels}
    index, names, sides = name_channels(labels, meant, side, path.name)
    times = cycles.to_numpy(dtype=float)
    events = {f"heel_strike_{side}": times[:, 0]}
    if times.shape[1] > 1:
        events[f"toe_off_{side}"] = times[:, 1]
    return make_subject(
        emg.to_numpy(dtype=float)[:, index], names, sides, units="arbitrary",
        time=time[0] + np.arange(len(time)) / rate, rate=rate, events=events, **about,
    )  # fmt: skip


def read_falisse(path: Path, *, who: str = "subject1", **about: Any) -> xr.Dataset:
    """Read the envelopes of Falisse et al. 2019: 100 points a cycle, right leg, NaN where missing.

    Trials that miss a channel are kept, as NaN, so that trials stay the same for all channels.
    """
    content = read_mat(path)
    expected = "ExperimentalData.EMG.<subject> with 'all' (100, channel, trial) and 'colheaders'"
    try:
        people = content["ExperimentalData"]["EMG"]
        emg = people[who]
        values = np.asarray(emg["all"], dtype=float)
        labels = [str(label) for label in np.asarray(emg["colheaders"]).tolist()]
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(path, f"no such entry ({error})", expected) from error
    if values.ndim != 3 or values.shape[:2] != (100, len(labels)):
        raise FileFormatError(path, f"'all' of shape {values.shape}", expected)
    index, names, sides = name_channels(labels, None, "right", path.name)
    return make_subject(
        values.transpose(2, 0, 1)[:, :, index], names, sides,
        phase=np.linspace(0, 1, 100), **about,
    )  # fmt: skip


def read_bids_subject(
    path: Path, *, channels: Channels | None = None, side: str | None = None, **about: Any
) -> xr.Dataset:
    """Read raw EMG from an EMG-BIDS recording (``*_emg.edf`` or ``.bdf`` with its sidecars).

    Muscles come from the column ``target_muscle`` of ``channels.tsv``, else from channel names;
    events from rows of ``events.tsv`` whose ``trial_type`` says strike or off, and a side.
    """
    file = read_bids_emg(path)
    labels = [muscle or name for name, muscle in zip(file.names, file.muscles, strict=True)]
    if channels is not None:
        labels = list(file.names)
    index, names, sides = name_channels(labels, channels, side, path.name)
    events: dict[str, list[float]] = {}
    if {"onset", "trial_type"} <= set(file.events):
        for onset, words in zip(file.events["onset"], file.events["trial_type"], strict=True):
            if name := _event_name(words):
                events.setdefault(name, []).append(float(onset))
    left_out = [*file.bad, *(n for i, n in enumerate(file.names) if i not in index)]
    return make_subject(
        file.data[:, index], names, sides, units="V" if file.in_volts else "arbitrary",
        time=np.arange(len(file.data)) / file.rate, rate=file.rate, events=events or None,
        channels_left_out=", ".join(left_out) or "none", **about,
    )  # fmt: skip


def _event_name(words: str) -> str | None:
    text = words.lower().replace("_", " ")
    side = next((s for s in ("right", "left") if s in text), None)
    strike = any(word in text for word in ("strike", "contact", "touchdown"))
    off = any(word in text for word in ("toe off", "foot off", "lift"))
    if side is None or strike == off:
        return None
    return f"{'heel_strike' if strike else 'toe_off'}_{side}"
