"""The EMG subject: one person's signals or envelopes in one condition, as a dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from kinesis_neuro.attributes import encode_attr
from kinesis_neuro.emg.cycles import segment_cycles
from kinesis_neuro.emg.events import check_events
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.schema import make_variable, validate

FloatArray = NDArray[np.float64]

SUBJECT_ATTRIBUTES = ("subject", "person", "condition", "speed", "source", "licence", "citation")
"""Attributes of every subject: a name, who it is (one person may be there under several names), the
condition, speed [m/s] (NaN where it is not stated), where it comes from, on what terms, what to
cite."""

UNKNOWN_SPEED = float("nan")
CLIPPED_PART = 0.01
"""A channel of which this part of samples sits at its largest or smallest value is clipped."""


def make_subject(
    values: ArrayLike,
    channels: Sequence[str],
    sides: Sequence[str],
    *,
    subject: str,
    units: str = "1",
    time: ArrayLike | None = None,
    rate: float | None = None,
    phase: ArrayLike | None = None,
    sd: ArrayLike | None = None,
    person: str | None = None,
    condition: str = "walking",
    speed: float | None = None,
    source: str = "not stated",
    licence: str = "not stated",
    citation: str = "not stated",
    processing: Sequence[Mapping[str, Any]] = (),
    events: Mapping[str, ArrayLike] | None = None,
    ground_force: ArrayLike | None = None,
    **attributes: str | int | float,
) -> xr.Dataset:
    """Make an EMG subject.

    Parameters
    ----------
    values : array_like
        Raw EMG or envelopes: (time, channel) with `time`, or (cycle, phase, channel) with `phase`.
    channels, sides : sequence of str
        One entry a channel; sides are ``right``, ``left`` or ``midline``.
    subject : str
        Name of the subject.
    units : str
        ``V`` or ``arbitrary`` make raw EMG (variable ``emg``), ``1`` makes an ``envelope``.
    time, rate : array_like and float, optional
        Times [s] and samples a second [Hz].
    phase : array_like, optional
        Phases [cycles]; 0 and 1 are the same point, and a grid may hold one or both.
    sd : array_like, optional
        SD over cycles, (phase, channel), where `values` is one mean cycle.
    person : str, optional
        Who it is, where the same person has several names; by default the name.
    condition, source, licence, citation : str
    speed : float, optional
        [m/s]
    processing : sequence of mapping
        What was done to the signals, one mapping a step.
    events : mapping, optional
        Times [s], see :func:`~kinesis_neuro.emg.events.check_events`.
    ground_force : array_like, optional
        On the right and left foot, (time, 2, 3), z up [N].
    **attributes
        More attributes.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    InvalidInputError
        If lengths disagree, or the dataset would break the schema.

    Examples
    --------
    >>> person = make_subject([[[0.1], [0.5]]], ["soleus"], ["right"], subject="me",
    ...                       phase=[0.0, 0.5], speed=1.2)
    >>> person.envelope.dims, person.attrs["speed"]
    (('cycle', 'phase', 'channel'), 1.2)
    """
    array = np.array(values, dtype=float)  # a copy: subjects share nothing
    if (time is None) == (phase is None):
        raise InvalidInputError("Give either time or phase for the samples of a subject.")
    grid = np.asarray(time if time is not None else phase, dtype=float)
    dims = ("time", "channel") if time is not None else ("cycle", "phase", "channel")
    wanted = (grid.size, len(channels))
    if array.ndim != len(dims) or array.shape[-2:] != wanted or len(sides) != len(channels):
        raise InvalidInputError(
            f"Lengths disagree: values have shape {array.shape} for {grid.size} samples, "
            f"{len(channels)} channels and {len(sides)} sides. Expected ({', '.join(dims)})."
        )
    name = "envelope" if units == "1" else "emg"
    coords: dict[str, Any] = {
        dims[-2]: make_variable(dims[-2], grid),
        "channel": ("channel", np.array(list(channels), dtype=str)),
        "side": ("channel", np.array(list(sides), dtype=str)),
    }
    if time is None:
        coords["cycle"] = make_variable("cycle", np.arange(array.shape[0]))
    dataset = xr.Dataset({name: (dims, array, {"units": units})}, coords=coords)
    if sd is not None:
        dataset[f"{name}_sd"] = (dims[-2:], np.asarray(sd, dtype=float), {"units": units})
    if ground_force is not None:
        dataset = dataset.assign_coords(
            contact=make_variable("contact", ["right", "left"]),
            space=make_variable("space", ["x", "y", "z"]),
        )
        dataset["ground_force"] = make_variable("ground_force", ground_force)
    dataset.attrs = {
        "subject": subject,
        "person": person or subject,
        "condition": condition,
        "speed": UNKNOWN_SPEED if speed is None else float(speed),
        "source": source,
        "licence": licence,
        "citation": citation,
        "processing": encode_attr(list(processing)),
        **attributes,
    }
    if rate is not None:
        dataset.attrs["sampling_rate"] = float(rate)
    if events is not None:
        dataset.attrs["events"] = encode_attr(check_events(events))
    validate(dataset, kind="any")
    return dataset


def subject_events(subject: xr.Dataset) -> dict[str, FloatArray] | None:
    """Stored events of a subject [s], or None where it has none.

    Examples
    --------
    >>> person = make_subject([[0.0], [1.0]], ["soleus"], ["right"], subject="me", time=[0, 1],
    ...                       rate=1.0, units="V", events={"heel_strike_right": [0.2, 0.9]})
    >>> subject_events(person)["heel_strike_right"]
    array([0.2, 0.9])
    """
    if "events" not in subject.attrs:
        return None
    return check_events(json.loads(subject.attrs["events"]))


def signal_name(subject: xr.Dataset) -> str:
    """Name of a subject's signal: ``envelope``, or ``emg`` where it is raw."""
    for name in ("envelope", "emg"):
        if name in subject.data_vars:
            return name
    raise InvalidInputError(
        "An EMG subject has the variable 'envelope' or 'emg' over channel; this dataset has "
        f"{', '.join(map(str, subject.data_vars)) or 'no variable'}."
    )


def check_channels(subject: xr.Dataset) -> dict[str, str]:
    """Find channels that cannot be used, and why.

    Parameters
    ----------
    subject : xarray.Dataset

    Returns
    -------
    dict of str to str
        Reason by channel: not recorded (all NaN), flat, not finite in places (signals over time),
        or clipped (raw EMG that stays at its limits).

    Examples
    --------
    >>> person = make_subject([[[0.1, 0.3], [0.5, 0.3]]], ["soleus", "gracilis"], ["right"] * 2,
    ...                       subject="me", phase=[0.0, 0.5])
    >>> check_channels(person)
    {'gracilis': 'flat: always 0.3'}
    """
    name = signal_name(subject)
    variable = subject[name]
    values = variable.transpose(..., "channel").values.reshape(-1, variable.sizes["channel"])
    problems = {}
    finite = np.isfinite(values)
    over_time = "time" in variable.dims
    for i, channel in enumerate(map(str, subject["channel"].values)):
        known = values[finite[:, i], i]
        if not known.size:
            problems[channel] = "not recorded: all NaN"
        elif np.ptp(known) == 0:
            problems[channel] = f"flat: always {known[0]:g}"
        elif over_time and known.size < len(values):
            problems[channel] = f"not finite in {len(values) - known.size} of {len(values)} samples"
        elif name == "emg" and over_time:
            part = max(np.mean(known == known.max()), np.mean(known == known.min()))
            if part > CLIPPED_PART:
                problems[channel] = f"clipped: {part:.1%} of samples at the limit"
    return problems


def subject_cycles(subject: xr.Dataset, n_phase: int = 101) -> xr.Dataset:
    """Gait cycles of a subject: as they are, or cut at stored events or those of ground forces.

    Parameters
    ----------
    subject : xarray.Dataset
        Envelopes over time, or over cycle and phase.
    n_phase : int
        Points of the closed grid of phase, where cycles are cut.

    Returns
    -------
    xarray.Dataset
        ``envelope (cycle, phase, channel)``.

    Raises
    ------
    InvalidInputError
        If the signals are raw EMG, or no cycle is found.
    """
    if "envelope" not in subject.data_vars:
        signal_name(subject)
        raise InvalidInputError(
            "This subject holds raw EMG, which has no shape over the gait cycle. Make envelopes "
            "first: kinesis_neuro.emg.filters.apply_pipeline(subject, 'winter')."
        )
    if "cycle" in subject["envelope"].dims:
        return subject
    wanted = subject[["envelope"]]
    if "ground_force" in subject:
        wanted["ground_force"] = subject["ground_force"]
    return segment_cycles(wanted, subject_events(subject), n_phase)
