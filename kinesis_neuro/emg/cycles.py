"""Time-normalised gait cycles of muscles and EMG channels, and their mean and spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from kinesis_neuro.emg.events import check_events, gait_events
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.schema import encode_attr, make_variable, validate

FloatArray = NDArray[np.float64]

ALIGNMENTS = ("ipsilateral", "left", "right")
_OTHER = {"right": "left", "left": "right"}

DURATION_TOLERANCE = 0.2
"""A cycle whose duration is farther from the median than this part of it is left out."""


def segment_cycles(
    dataset: xr.Dataset,
    events: Mapping[str, ArrayLike] | None = None,
    n_phase: int = 101,
    align: str = "ipsilateral",
    tolerance: float = DURATION_TOLERANCE,
) -> xr.Dataset:
    """Cut what muscles or channels do into gait cycles, and stretch each to phase 0..1.

    A cycle lasts from one heel strike to the next of the same foot. ``ipsilateral`` cuts each
    muscle at the heel strikes of its own side (midline ones at the right's); a left cycle is
    paired with the right one in which it starts. Values are interpolated linearly between
    samples: smooth them first where they have more detail than `n_phase` points can hold (raw
    EMG). NaN stays NaN.

    Parameters
    ----------
    dataset : xarray.Dataset
        Every variable over time and muscle (or channel) is cut; others are left out.
    events : mapping of str to array_like, optional
        Times [s] of ``heel_strike_right``, ``heel_strike_left`` and, if known, ``toe_off_right``,
        ``toe_off_left``; by default :func:`~kinesis_neuro.emg.events.gait_events` of the dataset.
    n_phase : int
        Points of the closed grid of phase: the first and the last are both heel strike.
    align : {"ipsilateral", "left", "right"}
        Whose heel strikes start the cycles.
    tolerance : float
        Cycles that are longer or shorter than the median by more than this part are left out.

    Returns
    -------
    xarray.Dataset
        The variables over (cycle, phase, muscle or channel), with their units. Coordinates over
        cycle: ``cycle_start`` [s], ``cycle_duration`` [s] and ``toe_off_phase`` [1] (NaN where it
        is unknown) of the side that the attribute ``reference_side`` names, and the same with
        ``contralateral_`` in front where the other side was cut at its own events. The attribute
        ``cycle_rejection`` says as JSON how many cycles were found, kept and left out, and why.

    Raises
    ------
    InvalidInputError
        If there is nothing to cut, no cycle is found or left, or an argument is out of range.

    Examples
    --------
    >>> time = np.linspace(0, 3, 301)
    >>> emg = xr.Dataset(
    ...     {"envelope": (("time", "channel"), time[:, None], {"units": "1"})},
    ...     coords={
    ...         "time": ("time", time, {"units": "s"}),
    ...         "channel": ["soleus"],
    ...         "side": ("channel", ["right"]),
    ...     },
    ... )
    >>> cycles = segment_cycles(emg, {"heel_strike_right": [0.5, 1.5, 2.5]}, n_phase=5)
    >>> dict(cycles.sizes), cycles.envelope[0, :, 0].values.round(2)
    ({'cycle': 2, 'phase': 5, 'channel': 1}, array([0.5 , 0.75, 1.  , 1.25, 1.5 ]))
    """
    if align not in ALIGNMENTS:
        raise InvalidInputError(
            f"Invalid value for 'align'. Allowed values are {', '.join(ALIGNMENTS)}, "
            f"but got {align!r} instead."
        )
    if n_phase < 2:
        raise InvalidInputError(f"n_phase must be 2 or more, got {n_phase}.")
    if not tolerance > 0:
        raise InvalidInputError(f"tolerance must be positive, got {tolerance}.")
    validate(dataset, kind="any")
    dim, variables = _variables_to_cut(dataset)
    follows, reference = _followed_sides(dataset, dim, align)
    times = gait_events(dataset) if events is None else check_events(events)
    time = dataset["time"].values.astype(float)
    both = bool((follows != reference).any())
    kept, tally = _choose_cycles(times, time, reference, both, tolerance)

    phase = np.linspace(0.0, 1.0, n_phase)
    sides = [kept[reference], kept[_OTHER[reference]]] if both else [kept[reference]]
    sampled_at = [side.start[:, None] + phase * side.duration[:, None] for side in sides]
    of_other = follows != reference
    cut = xr.Dataset(
        {name: _cut(dataset[name], dim, sampled_at, of_other) for name in variables},
        coords={"cycle": make_variable("cycle", np.arange(len(sides[0].start)))}
        | {"phase": make_variable("phase", phase)},
        attrs=dict(dataset.attrs),
    )
    along = [name for name in dataset.coords if dataset[name].dims == (dim,)]
    cut = cut.assign_coords({name: dataset[name].variable for name in along})
    for prefix, side in zip(("", "contralateral_"), sides, strict=False):
        cut = cut.assign_coords(side.coordinates(prefix))
    cut.attrs |= {
        "align": align,
        "reference_side": reference,
        "cycle_rejection": encode_attr(tally | {"tolerance": tolerance}),
    }
    return cut


def cycle_statistics(cycles: xr.Dataset) -> xr.Dataset:
    """Mean and standard deviation over gait cycles.

    Parameters
    ----------
    cycles : xarray.Dataset
        Cycles, as :func:`segment_cycles` gives them.

    Returns
    -------
    xarray.Dataset
        ``<name>_mean`` and ``<name>_sd`` (n - 1 in the denominator; NaN for a single cycle) of
        each variable over cycles, with its units and its other dims. Durations and phases of
        toe-off are replaced by their means, leaving out NaN, without a dim; the attribute
        ``n_cycles`` counts.

    Raises
    ------
    InvalidInputError
        If the dataset has no cycles.

    Examples
    --------
    >>> values = [[[0.1], [0.3]], [[0.3], [0.5]]]
    >>> cycles = xr.Dataset({"activation": (("cycle", "phase", "muscle"), values, {"units": "1"})})
    >>> cycle_statistics(cycles).activation_mean.values.ravel()
    array([0.2, 0.4])
    """
    if not cycles.sizes.get("cycle"):
        raise InvalidInputError(
            "cycle_statistics needs a dataset over 'cycle', as segment_cycles gives it; got "
            f"{', '.join(map(str, cycles.sizes)) or 'no dims'}."
        )
    statistics = xr.Dataset(attrs=cycles.attrs | {"n_cycles": int(cycles.sizes["cycle"])})
    for name, variable in cycles.data_vars.items():
        if "cycle" not in variable.dims:
            continue
        many = cycles.sizes["cycle"] > 1
        spread = (
            variable.std("cycle", ddof=1) if many else variable.isel(cycle=0, drop=True) * np.nan
        )
        for suffix, value in (("mean", variable.mean("cycle")), ("sd", spread)):
            statistics[f"{name}_{suffix}"] = value.assign_attrs(variable.attrs)
    for name, coord in cycles.coords.items():
        if coord.dims == ("cycle",) and str(name).endswith(("_duration", "_phase")):
            known = coord.values[np.isfinite(coord.values)]
            mean = float(known.mean()) if known.size else np.nan
            statistics = statistics.assign_coords({name: ((), mean, coord.attrs)})
    return statistics


@dataclass(frozen=True)
class _Cycles:
    """Cycles of one side: start [s], duration [s] and phase of toe-off [1], each (n,)."""

    start: FloatArray
    duration: FloatArray
    toe_off: FloatArray

    @classmethod
    def between(cls, strikes: FloatArray, offs: FloatArray) -> _Cycles:
        """Make cycles of neighbouring heel strikes; toe-off is the last one in the cycle."""
        start, duration = strikes[:-1], np.diff(strikes)
        last = np.searchsorted(offs, strikes[1:]) - 1
        off = np.r_[offs, np.nan][last] if offs.size else np.full(start.size, np.nan)
        return cls(
            start, duration, np.where((last >= 0) & (off > start), (off - start) / duration, np.nan)
        )

    def take(self, index: NDArray) -> _Cycles:
        """Take some of the cycles."""
        return _Cycles(self.start[index], self.duration[index], self.toe_off[index])

    def usual(self, tolerance: float) -> NDArray[np.bool_]:
        """Tell which cycles last about as long as the median."""
        median = np.median(self.duration) if self.duration.size else np.nan
        return np.abs(self.duration - median) <= tolerance * median

    def coordinates(self, prefix: str) -> dict[str, tuple]:
        """Name them as coordinates over cycle."""
        return {
            f"{prefix}cycle_start": ("cycle", self.start, {"units": "s"}),
            f"{prefix}cycle_duration": ("cycle", self.duration, {"units": "s"}),
            f"{prefix}toe_off_phase": ("cycle", self.toe_off, {"units": "1"}),
        }


def _variables_to_cut(dataset: xr.Dataset) -> tuple[str, list[str]]:
    """Find the dim of muscles or channels, and the variables along it and time."""
    for dim in ("muscle", "channel"):
        names = [str(n) for n, v in dataset.data_vars.items() if {"time", dim} <= set(v.dims)]
        if names and dataset.sizes["time"] > 1:
            return dim, names
    there = ", ".join(map(str, dataset.data_vars))
    raise InvalidInputError(
        "There is nothing to cut into cycles. Expected two or more samples of a variable over "
        f"time and muscle, or time and channel; the dataset has {there}."
    )


def _followed_sides(dataset: xr.Dataset, dim: str, align: str) -> tuple[NDArray, str]:
    """Find whose heel strikes cut each muscle, and the side that cycles are counted by."""
    n = dataset.sizes[dim]
    if align != "ipsilateral":
        return np.full(n, align), align
    if "side" not in dataset.coords or dataset["side"].dims != (dim,):
        raise InvalidInputError(
            f"align='ipsilateral' needs the coordinate 'side' along {dim!r}. Give it, or use "
            "align='left' or 'right'."
        )
    follows = np.where(dataset["side"].values == "left", "left", "right")
    return follows, "right" if (follows == "right").any() else "left"


def _choose_cycles(
    times: dict[str, FloatArray], time: FloatArray, reference: str, both: bool, tolerance: float
) -> tuple[dict[str, _Cycles], dict]:
    """Choose and pair the cycles of each side that is needed, and account for all others."""
    found = {}
    for side in (reference, _OTHER[reference]) if both else (reference,):
        strikes, offs = times[f"heel_strike_{side}"], times[f"toe_off_{side}"]
        inside = (strikes >= time[0]) & (strikes <= time[-1])
        found[side] = _Cycles.between(strikes[inside], offs)
        if not found[side].start.size:
            raise InvalidInputError(
                f"No gait cycle was found: {int(inside.sum())} heel strikes of the {side} foot in "
                f"the {time[-1] - time[0]:.2f} s of the dataset, and a cycle takes two. Is the "
                "body walking, are the events on the dataset's clock, or is another align wanted?"
            )
    main = found[reference]
    reasons = np.where(main.usual(tolerance), "", "duration")
    if both:
        other = found[_OTHER[reference]]
        partner = np.searchsorted(other.start, main.start)
        has = partner < other.start.size
        partner = np.minimum(partner, other.start.size - 1)
        has &= other.start[partner] < main.start + main.duration
        reasons = np.where((reasons == "") & ~has, "no contralateral cycle", reasons)
        unusual = ~other.usual(tolerance)[partner]
        reasons = np.where((reasons == "") & unusual, "contralateral duration", reasons)
        kept = {reference: main.take(reasons == "")}
        kept[_OTHER[reference]] = other.take(partner[reasons == ""])
    else:
        kept = {reference: main.take(reasons == "")}
    names, counts = np.unique(reasons[reasons != ""], return_counts=True)
    tally = {
        "found": int(main.start.size),
        "kept": int((reasons == "").sum()),
        "rejected": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "rejected_start": main.start[reasons != ""].round(6).tolist(),
        "rejected_duration": main.duration[reasons != ""].round(6).tolist(),
        "rejected_reason": reasons[reasons != ""].tolist(),
    }
    if not tally["kept"]:
        raise InvalidInputError(
            f"All {tally['found']} gait cycles were rejected: "
            f"{', '.join(f'{count} for {name}' for name, count in tally['rejected'].items())}. "
            "Look at the events, or allow a wider tolerance."
        )
    return kept, tally


def _cut(
    variable: xr.DataArray, dim: str, sampled_at: list[FloatArray], of_other: NDArray[np.bool_]
) -> xr.DataArray:
    """Interpolate at the times (cycle, phase) of the side that each muscle follows."""
    rest = [d for d in variable.dims if d not in ("time", dim)]
    ordered = variable.transpose("time", dim, *rest)
    time, values = ordered["time"].values.astype(float), ordered.values.astype(float)
    n_cycles, n_phase = sampled_at[0].shape
    result = np.empty((n_cycles, n_phase, *values.shape[1:]))
    for at, columns in zip(sampled_at, (~of_other, of_other), strict=False):
        left = np.clip(np.searchsorted(time, at, side="right") - 1, 0, time.size - 2)
        weight = (at - time[left]) / (time[left + 1] - time[left])
        weight = weight.reshape(*at.shape, *[1] * (values.ndim - 1))
        part = values[:, columns]
        result[:, :, columns] = part[left] * (1 - weight) + part[left + 1] * weight
    return xr.DataArray(result, dims=("cycle", "phase", dim, *rest), attrs=variable.attrs)
