"""From recordings and EMG subjects to mean cycles on one grid, with the same channels."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.analysis.waveforms import resample_cyclic, shift_cyclic
from kinesis_neuro.emg.cycles import segment_cycles
from kinesis_neuro.emg.events import gait_events
from kinesis_neuro.emg.filters import Step, filter_cyclic
from kinesis_neuro.emg.hill import equivalent_excitation
from kinesis_neuro.emg.mapping import ChannelMap, map_muscles, muscles_of
from kinesis_neuro.emg.subject import check_channels, subject_cycles
from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]

N_PHASE = 100
SIGNALS = ("activation", "excitation", "equivalent_excitation", "muscle_force")
CYCLE_METHODS = ("auto", "events", "periodic", "reference_phase")
LEGS = ("same", "opposite", "left", "right")

_OTHER = {"right": "left", "left": "right"}


class ComparisonWarning(UserWarning):
    """Something about a comparison that its reader should know."""


@dataclass(frozen=True)
class Waveforms:
    """Mean cycles of one person, or of one simulation.

    Attributes
    ----------
    name : str
    channels, sides : tuple of str
        Without and with what side they were recorded on; one entry a channel.
    values : ndarray, shape (n_channels, N_PHASE)
        Mean cycle on the open grid k / N_PHASE, from the heel strike of each channel's side.
    halves : ndarray, shape (2, n_channels, N_PHASE)
        Means of odd and of even cycles; NaN with one cycle.
    n_cycles : int
    duration : float
        Of a cycle [s]; NaN where it is not known.
    toe_off : float
        Phase of toe-off [cycles]; NaN where it is not known.
    speed : float
        [m/s]; NaN where it is not known.
    """

    name: str
    channels: tuple[str, ...]
    sides: tuple[str, ...]
    values: FloatArray
    halves: FloatArray
    n_cycles: int
    duration: float
    toe_off: float
    speed: float

    def take(self, channels: Sequence[str]) -> Waveforms:
        """Take channels in an order."""
        index = [self.channels.index(c) for c in channels]
        return Waveforms(
            self.name, tuple(channels), tuple(self.sides[i] for i in index), self.values[index],
            self.halves[:, index], self.n_cycles, self.duration, self.toe_off, self.speed,
        )  # fmt: skip


def base_channel(name: str) -> str:
    """Name of a channel without the suffix that tells two sides apart."""
    return re.sub(r"_[rl]$", "", name)


def human_waveforms(subject: xr.Dataset) -> Waveforms:
    """Mean cycles of an EMG subject; channels that cannot be used are left out with a warning.

    Parameters
    ----------
    subject : xarray.Dataset

    Returns
    -------
    Waveforms

    Raises
    ------
    InvalidInputError
        If no channel can be used, or no cycle is found.
    """
    name = str(subject.attrs.get("subject", "subject"))
    problems = check_channels(subject)
    if problems:
        listed = "; ".join(f"{channel} ({why})" for channel, why in problems.items())
        kept = [c for c in map(str, subject["channel"].values) if c not in problems]
        if not kept:
            raise InvalidInputError(f"Subject {name!r} has no channel that can be used: {listed}.")
        warnings.warn(f"Subject {name!r}: left out {listed}.", ComparisonWarning, stacklevel=3)
        subject = subject.sel(channel=kept)
    cycles = subject_cycles(subject)
    values = cycles["envelope"].transpose("cycle", "channel", "phase").values.astype(float)
    duration = subject.attrs.get("cycle_duration", _mean_coord(cycles, "cycle_duration"))
    toe_off = subject.attrs.get("toe_off_phase", _mean_coord(cycles, "toe_off_phase"))
    mean, halves, n = _means(resample_cyclic(values, cycles["phase"].values, N_PHASE))
    return Waveforms(
        name, tuple(map(str, cycles["channel"].values)), tuple(map(str, cycles["side"].values)),
        mean, halves, int(subject.attrs.get("n_cycles", n)), float(duration), float(toe_off),
        float(subject.attrs.get("speed", np.nan)),
    )  # fmt: skip


def simulated_waveforms(
    recording: xr.Dataset,
    name: str,
    channels: Sequence[str],
    sides: Sequence[str],
    signal: str = "activation",
    *,
    leg: str = "same",
    mapping: ChannelMap | None = None,
    body: str | None = None,
    cycles: str = "auto",
    smooth: Step | None = None,
    delay: float = 0.0,
) -> Waveforms:
    """Mean cycles of what the muscles of a simulation do, as the channels of a person would see it.

    Parameters
    ----------
    recording : xarray.Dataset
        A recording; or cycles over (cycle, phase, muscle), as ``segment_cycles`` gives them.
    name : str
    channels, sides : sequence of str
        Channels wanted and the sides they were recorded on.
    signal : str
        One of :data:`SIGNALS`, or another variable over time and muscle.
    leg : {"same", "opposite", "left", "right"}
        Which leg of the simulation is compared; its cycles start at its own heel strikes.
    mapping : mapping, optional
        See :func:`kinesis_neuro.emg.mapping.muscles_of`.
    body : str, optional
        Name of the body; by default the recording's attribute.
    cycles : {"auto", "events", "periodic", "reference_phase"}
        Cut at the heel strikes of the simulated ground force; or take the recording for one period
        of a periodic motion and go around it; or bin samples by the phase of the reference motion,
        which must be one cycle from right heel strike (for simulations that fall and start over;
        right leg only). ``auto`` takes events, but reference_phase for recordings with falls, and
        periodic for static optimisation of a single cycle.
    smooth : Step, optional
        A low-pass, such as the one that made the people's envelopes.
    delay : float
        Stated electromechanical delay [s]: the simulation is moved earlier by it.

    Returns
    -------
    Waveforms
        Channels that the body has no muscle for are left out.

    Raises
    ------
    InvalidInputError
        If an argument is unknown, the signal is missing, or no cycle is found.
    """
    if leg not in LEGS or cycles not in CYCLE_METHODS:
        wrong, allowed = (leg, LEGS) if leg not in LEGS else (cycles, CYCLE_METHODS)
        raise InvalidInputError(
            f"Invalid value {wrong!r}. Allowed values are {', '.join(allowed)}."
        )
    body = body or str(recording.attrs.get("body", "legs"))
    own = [side if leg == "same" else _OTHER[side] if leg == "opposite" else leg for side in sides]
    method = _cycle_method(recording, cycles)
    if signal == "equivalent_excitation" and signal not in recording:
        wanted = {m for c, s in zip(channels, own, strict=True)
                  for m in muscles_of(base_channel(c), body, s, mapping)}  # fmt: skip
        solved = equivalent_excitation(
            recording, sorted(wanted & set(map(str, recording["muscle"].values))),
            periodic=method == "periodic",
        )  # fmt: skip
        kept = [n for n in ("ground_force", "reference_phase") if n in recording]
        recording = xr.merge(
            [solved[[signal]], recording[kept]], combine_attrs="override", join="override",
            compat="override",
        ).assign_attrs(recording.attrs)  # fmt: skip
    if signal not in recording or "muscle" not in recording[signal].dims:
        there = [str(n) for n, v in recording.data_vars.items() if "muscle" in v.dims]
        raise InvalidInputError(
            f"The simulation {name!r} has no {signal!r} over muscle. It has "
            f"{', '.join(there) or 'no variable over muscle'}."
        )
    names = [base_channel(c) for c in channels]
    parts: dict[int, tuple[FloatArray, FloatArray]] = {}
    toe_off = duration = np.nan
    n = 0
    for side in dict.fromkeys(own):  # two legs at most
        index = [i for i, s in enumerate(own) if s == side]
        wanted_names = list(dict.fromkeys(names[i] for i in index))
        values, duration, toe_off = _cycles_of(
            recording, signal, wanted_names, side, body, mapping, method, name
        )
        array = values.transpose("cycle", "channel", "phase").values
        curves = resample_cyclic(array, values["phase"].values, N_PHASE)
        if np.isfinite(duration):
            curves = filter_cyclic(curves, duration, smooth)
            if delay:
                curves = shift_cyclic(curves, -delay / duration)
        elif delay:
            raise InvalidInputError(
                f"A delay of {delay:g} s needs the duration of a cycle, which {name!r} does not "
                "tell."
            )
        mean, halves, n = _means(curves)
        there = list(map(str, values["channel"].values))
        for i in index:
            if names[i] in there:
                k = there.index(names[i])
                parts[i] = (mean[k], halves[:, k])
    order = sorted(parts)
    shape = (len(order), N_PHASE)
    return Waveforms(
        name, tuple(channels[i] for i in order), tuple(own[i] for i in order),
        np.array([parts[i][0] for i in order]).reshape(shape),
        np.array([parts[i][1] for i in order]).reshape(len(order), 2, N_PHASE).swapaxes(0, 1),
        n, duration, toe_off, simulated_speed(recording),
    )  # fmt: skip


def simulated_speed(recording: xr.Dataset) -> float:
    """Mean horizontal speed [m/s], from the root's path within episodes; NaN if it is not known."""
    if isinstance(recording.attrs.get("speed"), float):
        return float(recording.attrs["speed"])
    if "root_velocity" not in recording or "time" not in recording.dims:
        return float("nan")
    horizontal = recording["root_velocity"].sel(space=["x", "y"]).transpose("time", "space").values
    return float(np.hypot(*horizontal.mean(axis=0)))


def _cycle_method(recording: xr.Dataset, cycles: str) -> str:
    if "cycle" in recording.dims:
        return "cut"
    if cycles != "auto":
        return cycles
    if recording.attrs.get("n_falls", 0) and "reference_phase" in recording:
        return "reference_phase"
    if recording.attrs.get("policy") == "static_optimization" and "ground_force" in recording:
        strikes = gait_events(recording)
        if min(strikes[f"heel_strike_{side}"].size for side in ("right", "left")) < 2:
            return "periodic"
    return "events"


def _cycles_of(
    recording: xr.Dataset,
    signal: str,
    channels: list[str],
    side: str,
    body: str,
    mapping: ChannelMap | None,
    method: str,
    name: str,
) -> tuple[xr.DataArray, float, float]:
    """Cut one leg's channels: values over (cycle, phase, channel), duration [s], toe-off [1]."""
    mapped = map_muscles(recording[signal], channels, side, body, mapping).rename("signal")
    if not np.isfinite(mapped.values).all():
        raise InvalidInputError(f"The {signal} of {name!r} is not finite in places.")
    if method == "cut":
        cut = recording.assign_coords(side=("muscle", recording["side"].values))
        return (mapped.transpose("cycle", "phase", "channel"),
                _mean_coord(cut, "cycle_duration"), _mean_coord(cut, "toe_off_phase"))  # fmt: skip
    if method == "reference_phase":
        return (*_bin_by_phase(recording, mapped, side, name), np.nan)
    whole = mapped.assign_attrs(units="1").to_dataset()
    whole["ground_force"] = recording["ground_force"]
    if method == "periodic":
        whole = _go_around(whole, recording.attrs.get("sampling_rate"))
    cut = segment_cycles(whole, n_phase=N_PHASE + 1, align=side)
    return cut["signal"], _mean_coord(cut, "cycle_duration"), _mean_coord(cut, "toe_off_phase")


def _go_around(period: xr.Dataset, rate: float | None) -> xr.Dataset:
    """Three periods of a periodic recording, one after the other."""
    if not isinstance(rate, float):
        raise InvalidInputError("A periodic recording needs the attribute 'sampling_rate' [Hz].")
    n = period.sizes["time"]
    three = period.isel(time=np.tile(np.arange(n), 3))
    return three.assign_coords(time=("time", np.arange(3 * n) / rate, {"units": "s"}))


def _bin_by_phase(
    recording: xr.Dataset, mapped: xr.DataArray, side: str, name: str
) -> tuple[xr.DataArray, float]:
    """Mean of the samples in each bin of the reference's phase, as one cycle."""
    if "reference_phase" not in recording:
        raise InvalidInputError(f"The recording {name!r} has no reference_phase to bin by.")
    if side != "right":
        raise InvalidInputError(
            "The phase of the reference starts at the right heel strike, so that it cannot tell "
            "the cycles of the left leg. Use leg='right', or cycles='events'."
        )
    phase = recording["reference_phase"].values
    bins = np.minimum((phase * N_PHASE).astype(int), N_PHASE - 1)
    count = np.bincount(bins, minlength=N_PHASE)
    values = mapped.transpose("time", "channel").values
    sums = np.zeros((N_PHASE, values.shape[1]))
    np.add.at(sums, bins, values)
    if (count == 0).mean() > 0.1:
        raise InvalidInputError(
            f"The recording {name!r} visits {int((count > 0).sum())} of {N_PHASE} phases. Record "
            "longer."
        )
    known = np.flatnonzero(count)
    mean = resample_cyclic((sums[known] / count[known, None]).T, (known + 0.5) / N_PHASE, N_PHASE)
    # How far the phase moves in a sample tells how long the reference's cycle is.
    steps = np.diff(phase)
    usual = np.median(steps[steps > 0]) if (steps > 0).any() else np.nan
    duration = float(np.median(np.diff(recording["time"].values)) / usual)
    coords = {"phase": np.arange(N_PHASE) / N_PHASE, "channel": mapped["channel"].values}
    return xr.DataArray(mean[None], dims=("cycle", "channel", "phase"), coords=coords), duration


def _means(cycles: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """Mean over cycles (cycle, channel, phase), those of odd and even ones, and how many."""
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(cycles).all(axis=-1, keepdims=True))
    kept = np.where(finite, cycles, 0.0)

    def mean(index: slice) -> FloatArray:
        count = finite[index].sum(axis=0)
        return kept[index].sum(axis=0) / np.where(count > 0, count, np.nan)

    return (
        mean(slice(None)),
        np.stack([mean(slice(0, None, 2)), mean(slice(1, None, 2))]),
        len(cycles),
    )


def _mean_coord(cycles: xr.Dataset, name: str) -> float:
    if name not in cycles.coords:
        return float("nan")
    values = np.asarray(cycles[name].values, dtype=float)
    return float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else float("nan")
