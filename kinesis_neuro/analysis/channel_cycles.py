"""Gait cycles of a simulation and of a person over the same channels, and when these are on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from kinesis_neuro.analysis.alignment import base_channel
from kinesis_neuro.analysis.bursts import burst_phases, phase_vector
from kinesis_neuro.emg.cycles import segment_cycles
from kinesis_neuro.emg.mapping import ChannelMap, map_muscles
from kinesis_neuro.emg.subject import check_channels, subject_cycles
from kinesis_neuro.errors import InvalidInputError

BURST_THRESHOLD = 0.3
"""A channel is on above this part of its range."""


def person_cycles(subject: xr.Dataset) -> xr.DataArray:
    """Cycles of a person's envelopes, whole and not negative.

    Parameters
    ----------
    subject : xarray.Dataset
        An EMG subject with envelopes.

    Returns
    -------
    DataArray
        Envelope over (cycle, phase, channel) [1]; the attributes list ``left_out`` channels and
        count ``n_negative`` samples that were set to zero (filters overshoot) and
        ``n_cycles_left_out`` (a sample is missing). The coordinate ``toe_off_phase`` is the mean
        over cycles, NaN where it is not known.

    Raises
    ------
    InvalidInputError
        If the subject holds raw EMG, or nothing is left.

    Examples
    --------
    >>> from kinesis_neuro.emg.datasets import load_subject
    >>> person_cycles(load_subject("builtin")).dims
    ('cycle', 'phase', 'channel')
    """
    problems = check_channels(subject)
    kept = [c for c in map(str, subject["channel"].values) if c not in problems]
    if not kept:
        listed = "; ".join(f"{name} ({why})" for name, why in problems.items())
        raise InvalidInputError(f"The subject has no channel that can be used: {listed}.")
    cycles = subject_cycles(subject.sel(channel=kept))
    values = cycles["envelope"].transpose("cycle", "phase", "channel").drop_attrs()
    whole = values.notnull().all(["phase", "channel"])
    if not bool(whole.any()):
        raise InvalidInputError("No cycle of the subject has all of its channels.")
    known = cycles.coords.get("toe_off_phase")
    toe_off = float(subject.attrs.get("toe_off_phase", np.nan if known is None else known.mean()))
    return _finished(
        values.isel(cycle=np.flatnonzero(whole.values)), toe_off,
        left_out="; ".join(f"{name} ({why})" for name, why in problems.items()),
        n_cycles_left_out=int((~whole).sum()),
    )  # fmt: skip


def simulated_cycles(
    recording: xr.Dataset,
    channels: Sequence[str],
    sides: Sequence[str],
    signal: str = "activation",
    mapping: ChannelMap | None = None,
) -> xr.DataArray:
    """Cycles of what the muscles of a recording do, as the channels of a person would see it.

    Parameters
    ----------
    recording : xarray.Dataset
        With ground forces; each channel is cut at the heel strikes of its own side.
    channels, sides : sequence of str
        As the person has them.
    signal : str
        A variable over time and muscle.
    mapping : mapping, optional
        See :func:`kinesis_neuro.emg.mapping.muscles_of`.

    Returns
    -------
    DataArray
        Over (cycle, phase, channel), as :func:`person_cycles` gives them; not smoothed. Channels
        for which the body has no muscle are ``left_out``.

    Raises
    ------
    InvalidInputError
        If the signal is missing, the body has no muscle for any channel, or no cycle is found.
    """
    if signal not in recording or not {"time", "muscle"} <= set(recording[signal].dims):
        there = [str(n) for n, v in recording.data_vars.items() if "muscle" in v.dims]
        raise InvalidInputError(
            f"The recording has no {signal!r} over time and muscle. It has "
            f"{', '.join(there) or 'no variable over muscle'}."
        )
    names = [base_channel(name) for name in channels]
    body = str(recording.attrs.get("body", "legs"))
    mapped = map_muscles(recording[signal], names, list(sides), body, mapping)
    pairs = set(zip(*(map(str, mapped[x].values) for x in ("channel", "side")), strict=True))
    if not pairs:
        raise InvalidInputError(
            f"Body {body!r} has no muscle for any of the channels {', '.join(channels)}."
        )
    wanted = list(zip(names, sides, strict=True))
    found = [c for c, pair in zip(channels, wanted, strict=True) if pair in pairs]
    mapped = mapped.assign_coords(channel=("channel", np.array(found)))
    whole = mapped.rename("signal").assign_attrs(units="1").to_dataset()
    whole["ground_force"] = recording["ground_force"]
    cycles = segment_cycles(whole)
    return _finished(
        cycles["signal"].transpose("cycle", "phase", "channel"),
        float(cycles["toe_off_phase"].mean()),
        left_out="; ".join(f"{c} (no muscle)" for c in channels if c not in found),
        n_cycles_left_out=0,
    )


class SharedCycles(NamedTuple):
    """Cycles of a person and of simulations over the channels that all of them have.

    Attributes
    ----------
    human : DataArray
        As :func:`person_cycles` gives them.
    simulated : dict of DataArray
        As :func:`simulated_cycles`, by name.
    """

    human: xr.DataArray
    simulated: dict[str, xr.DataArray]


def shared_cycles(
    subject: xr.Dataset,
    recordings: Mapping[str, xr.Dataset],
    signal: str = "activation",
    mapping: ChannelMap | None = None,
) -> SharedCycles:
    """Cut a person's envelopes and recordings into cycles over the channels that all have.

    Parameters
    ----------
    subject : xarray.Dataset
        An EMG subject with envelopes.
    recordings : mapping of str to Dataset
        Recordings by name.
    signal, mapping
        As for :func:`simulated_cycles`.

    Returns
    -------
    SharedCycles

    Raises
    ------
    InvalidInputError
        As :func:`person_cycles` and :func:`simulated_cycles`, or if no channel is common to all.
    """
    human = person_cycles(subject)
    channels, sides = (list(map(str, human[name].values)) for name in ("channel", "side"))
    simulated = {
        name: simulated_cycles(one, channels, sides, signal, mapping)
        for name, one in recordings.items()
    }
    common = [c for c in channels if all(c in one["channel"].values for one in simulated.values())]
    if not common:
        raise InvalidInputError(
            f"No channel of {', '.join(channels)} is seen in all of {', '.join(simulated)}."
        )
    return SharedCycles(
        human.sel(channel=common), {k: one.sel(channel=common) for k, one in simulated.items()}
    )


def burst_raster(cycles: xr.DataArray, threshold: float = BURST_THRESHOLD) -> xr.Dataset:
    """When channels are on in each cycle, with the mean phase of onset and offset.

    Parameters
    ----------
    cycles : DataArray
        Non-negative activity over (cycle, phase, channel or muscle).
    threshold : float
        Part of the range of each channel over all cycles.

    Returns
    -------
    xarray.Dataset
        As :func:`~kinesis_neuro.analysis.bursts.burst_phases`, and for ``onset`` and ``offset``
        over cycles: ``..._mean`` [cycles], ``..._deviation`` (circular SD) [cycles], ``..._n``;
        ``toe_off_phase``.

    Examples
    --------
    >>> phase = np.linspace(0, 1, 101)
    >>> wave = 1 + np.cos(2 * np.pi * (phase - [[0.5], [0.52]]))
    >>> cycles = xr.DataArray(wave[..., None], {"phase": phase}, ("cycle", "phase", "channel"))
    >>> round(float(burst_raster(cycles, 0.5).onset_mean[0]), 2)
    0.26
    """
    raster = burst_phases(cycles, threshold)
    for name in ("onset", "offset"):
        vector = phase_vector(raster[name])
        raster[f"{name}_mean"] = vector["mean"]
        raster[f"{name}_deviation"] = vector["standard_deviation"]
        raster[f"{name}_n"] = vector["n"]
    toe_off = float(cycles["toe_off_phase"]) if "toe_off_phase" in cycles.coords else np.nan
    raster["toe_off_phase"] = ((), toe_off, {"units": "1"})
    return raster


def _finished(
    values: xr.DataArray, toe_off: float, left_out: str, n_cycles_left_out: int
) -> xr.DataArray:
    """Set what a filter left below zero to zero, and put the rest on record."""
    dropped = [n for n in values.coords if n not in ("cycle", "phase", "channel", "side")]
    negative = int((values < 0).sum())
    result = values.drop_vars(dropped).clip(min=0).rename("activity")
    result = result.assign_coords(toe_off_phase=((), toe_off, {"units": "1"}))
    result.attrs = {
        "units": "1",
        "left_out": left_out,
        "n_negative": negative,
        "n_cycles_left_out": n_cycles_left_out,
    }
    return result
