"""Heel strikes, toe-offs and gait cycles as NWB events and intervals, for people who browse a file.

They are views of what the dataset says otherwise; reading a dataset back does not need them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from hdmf.common import VectorData
from numpy.typing import ArrayLike, NDArray
from pynwb import NWBFile
from pynwb.epoch import TimeIntervals
from pynwb.event import EventsTable, TimestampVectorData

from kinesis_neuro.emg.events import SIDES, check_events, gait_events
from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]

_KINDS = {"heel_strike": "first contact of a foot", "toe_off": "last contact of a foot"}
_GIVEN = "Given with the dataset."
_FOUND = "Threshold on the vertical ground force (kinesis_neuro.emg.events.gait_events)."


class Cycle(NamedTuple):
    """A gait cycle: start and stop [s], side, and phase of toe-off, NaN where it is not known."""

    start: float
    stop: float
    side: str
    toe_off: float


def add_gait(nwb: NWBFile, dataset: xr.Dataset, events: Mapping[str, ArrayLike] | None) -> None:
    """Add a table for each type of event, and the gait cycles, as far as they are known.

    Parameters
    ----------
    nwb : pynwb.NWBFile
        Changed in place.
    dataset : xarray.Dataset
        Its events are those of the attributes ``heel_strike_right`` and so on (seconds), or of a
        JSON attribute ``events``, or those that its ground force shows. Cycles of a dataset over
        ``cycle`` are those of its coordinates ``cycle_start`` and ``cycle_duration``.
    events : mapping, optional
        Times [s] that win over those, as :func:`~kinesis_neuro.emg.events.check_events` takes them.

    Raises
    ------
    InvalidInputError
        Events have unknown names or times that are not finite.
    """
    found, source = find_events(dataset, events)
    for kind, meaning in _KINDS.items():
        times = [(time, side) for side in SIDES for time in found.get(f"{kind}_{side}", [])]
        if times:
            nwb.add_events_table(_events_table(kind, meaning, source, sorted(times)))
    restarts = [dataset["time"].values[part.start] for part in _episodes(dataset)[1:]]
    if cycles := stored_cycles(dataset) or cycles_between(found, restarts):
        nwb.add_time_intervals(_intervals(sorted(cycles)))


def find_events(
    dataset: xr.Dataset, events: Mapping[str, ArrayLike] | None = None
) -> tuple[dict[str, FloatArray], str]:
    """Find events and where they come from; empty where there is nothing to find them in.

    Examples
    --------
    >>> walk = xr.Dataset(attrs={"heel_strike_right": np.array([0.2, 1.3])})
    >>> find_events(walk)[0]["heel_strike_right"]
    array([0.2, 1.3])
    """
    if events is not None:
        return check_events(events), _GIVEN
    names = [f"{kind}_{side}" for kind in _KINDS for side in SIDES]
    attrs = {name: np.atleast_1d(dataset.attrs[name]) for name in names if name in dataset.attrs}
    if attrs:
        return check_events(attrs), _GIVEN
    if "events" in dataset.attrs:
        try:
            return check_events(json.loads(dataset.attrs["events"])), _GIVEN
        except (ValueError, TypeError):
            return {}, ""  # something else by the same name; it is kept among the attributes
    if "ground_force" not in dataset or not dataset.sizes.get("time"):
        return {}, ""
    force = dataset[["ground_force"]].isel(time=slice(None)).load()
    parts = [_detected(force.isel(time=episode)) for episode in _episodes(dataset)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}, _FOUND


def cycles_between(
    events: Mapping[str, FloatArray], restarts: ArrayLike | None = None
) -> list[Cycle]:
    """Make a cycle of each heel strike and the next one of the same foot.

    Parameters
    ----------
    events : mapping of str to ndarray
        Times [s], increasing, by the names of :func:`~kinesis_neuro.emg.events.gait_events`.
    restarts : array_like, optional
        Times [s] at which a new episode begins; no cycle spans one.

    Examples
    --------
    >>> cycles_between({"heel_strike_left": np.array([1.0, 2.0]), "toe_off_left": np.array([1.6])})
    [Cycle(start=1.0, stop=2.0, side='left', toe_off=0.6)]
    """
    cycles = []
    begins = np.asarray([] if restarts is None else restarts)
    for side in SIDES:
        strikes = np.asarray(events.get(f"heel_strike_{side}", []), dtype=float)
        offs = np.asarray(events.get(f"toe_off_{side}", []), dtype=float)
        episode = np.searchsorted(begins, strikes, side="right")
        for i in np.flatnonzero(np.diff(episode) == 0):
            start, stop = float(strikes[i]), float(strikes[i + 1])
            inside = offs[(offs > start) & (offs < stop)]
            phase = (float(inside[-1]) - start) / (stop - start) if inside.size else np.nan
            cycles.append(Cycle(start, stop, side, round(phase, 9)))
    return cycles


def stored_cycles(dataset: xr.Dataset) -> list[Cycle]:
    """Make the cycles that the coordinates of a dataset over ``cycle`` tell of."""
    reference = dataset.attrs.get("reference_side")
    if reference not in SIDES:
        return []
    other = SIDES[1 - SIDES.index(reference)]
    cycles = []
    for prefix, side in (("", reference), ("contralateral_", other)):
        start, duration, toe_off = (
            dataset.coords.get(f"{prefix}{name}")
            for name in ("cycle_start", "cycle_duration", "toe_off_phase")
        )
        if start is None or duration is None or start.dims != ("cycle",):
            continue
        off = np.full(start.size, np.nan) if toe_off is None else toe_off.values
        for begin, lasts, phase in zip(start.values, duration.values, off, strict=True):
            if np.isfinite(begin) and lasts > 0:
                cycles.append(Cycle(float(begin), float(begin + lasts), side, float(phase)))
    return cycles


def _detected(force: xr.Dataset) -> dict[str, FloatArray]:
    try:
        return gait_events(force)
    except InvalidInputError:  # no feet, or no numbers: then there is nothing to browse
        return check_events({})


def _episodes(dataset: xr.Dataset) -> list[slice]:
    """Find the runs of samples between two restarts of a simulation."""
    n = dataset.sizes.get("time", 0)
    index = dataset.get("episode_index")
    if index is None or index.dims != ("time",) or n == 0:
        return [slice(0, n)]
    first = np.flatnonzero(np.r_[True, np.diff(index.values) != 0])
    return [slice(a, b) for a, b in zip(first.tolist(), [*first[1:].tolist(), n], strict=True)]


def _events_table(
    kind: str, meaning: str, source: str, times: list[tuple[float, str]]
) -> EventsTable:
    return EventsTable(
        name=kind,
        description=f"{kind}: {meaning} with the ground.",
        source_description=source,
        columns=[
            TimestampVectorData(
                name="timestamp",
                description="Time of the event on the clock of the series.",
                data=np.array([time for time, _ in times]),
            ),
            VectorData(name="side", description="Foot.", data=[side for _, side in times]),
        ],
    )


def _intervals(cycles: list[Cycle]) -> TimeIntervals:
    start, stop, side, toe_off = zip(*cycles, strict=True)
    columns = {
        "start_time": ("Heel strike.", np.array(start)),
        "stop_time": ("Next heel strike of the same foot.", np.array(stop)),
        "side": ("Foot.", list(side)),
        "duration": ("stop_time - start_time, in seconds.", np.subtract(stop, start)),
        "toe_off_phase": ("Toe-off as a part of the cycle; NaN if not known.", np.array(toe_off)),
    }
    if np.isnan(toe_off).all():
        del columns["toe_off_phase"]
    return TimeIntervals(
        name="gait_cycles",
        description="Gait cycles, from each heel strike to the next of the same foot.",
        columns=[
            VectorData(name=name, description=description, data=data)
            for name, (description, data) in columns.items()
        ],
    )
