"""compare_emg: simulated muscles against human EMG, with ceiling, null, interval and baselines."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.analysis.alignment import (
    ComparisonWarning,
    Waveforms,
    base_channel,
    human_waveforms,
    simulated_waveforms,
)
from kinesis_neuro.analysis.comparison import EMGComparison
from kinesis_neuro.analysis.kinesis_protocol import human_points, kinesis_cycle
from kinesis_neuro.analysis.measures import compute_measures, unique_names
from kinesis_neuro.attributes import encode_attr
from kinesis_neuro.emg.filters import SIMULATION_FILTER, Step, envelope_filter
from kinesis_neuro.emg.mapping import ChannelMap, muscles_of
from kinesis_neuro.emg.readers import WANG_CHANNELS
from kinesis_neuro.errors import InvalidInputError, unknown_name

FloatArray = NDArray[np.float64]
Recordings = xr.Dataset | Sequence[xr.Dataset]

PROTOCOLS = ("default", "kinesis")
SPEED_TOLERANCE = 0.1
"""Speeds of simulation and people that are farther apart than this are warned of [m/s]."""


def compare_emg(
    sim: Recordings,
    subject: Recordings,
    signal: str = "activation",
    baselines: Mapping[str, Recordings] | None = None,
    protocol: str | None = None,
    n_null: int = 1000,
    seed: int = 0,
    *,
    channels: Sequence[str] | None = None,
    leg: str = "same",
    mapping: ChannelMap | None = None,
    envelope: Step | str | None = "subject",
    delay: float = 0.0,
    max_lag: float = 0.5,
    cycles: str = "auto",
    confidence: float = 0.95,
) -> EMGComparison:
    """Compare what simulated muscles do with what people's EMG shows, over the gait cycle.

    Everything rests on mean cycles of 100 points, from the heel strike of each muscle's own side.
    Correlations are means over all pairs of a simulation and a person. Every number has what chance
    would do beside it, with the same freedom of lag, and what people reach among themselves.

    Parameters
    ----------
    sim : Dataset or sequence of Dataset
        One recording, or several of the same kind (training seeds).
    subject : Dataset or sequence of Dataset
        One or several EMG subjects; envelopes, not raw EMG.
    signal : str
        ``activation``, ``excitation``, ``muscle_force``, or ``equivalent_excitation``: what a
        muscle with an elastic tendon would need to make the same force
        (:func:`kinesis_neuro.emg.hill.equivalent_excitation`).
    baselines : mapping, optional
        ``{name: recording, or recordings, or EMG subjects}``, compared in the same way: static
        optimisation, an untrained policy, other people.
    protocol : {"default", "kinesis"}, optional
        ``kinesis`` does what KINESIS's notebook does, conventions included
        (:mod:`kinesis_neuro.analysis.kinesis_protocol`), with `signal` ``excitation`` if it is left
        at ``activation`` and the recording has one.
    n_null : int
        Surrogates.
    seed : int
        Seed of the surrogates.
    channels : sequence of str, optional
        Channels to compare; by default all that people and body have in common.
    leg : {"same", "opposite", "left", "right"}
        Which leg of the simulation is compared.
    mapping : mapping, optional
        Your own channels, see :func:`kinesis_neuro.emg.mapping.muscles_of`.
    envelope : Step, "subject" or None
        How the simulation is smoothed: by the low-pass that made the people's envelopes (6 Hz,
        second order, zero-phase, where none is on record), by your own, or not at all.
    delay : float
        Electromechanical delay [s], stated and never fitted: the simulation is moved earlier.
    max_lag : float
        Largest lag that the best lag may take [cycles].
    cycles : {"auto", "events", "periodic", "reference_phase"}
        See :func:`kinesis_neuro.analysis.alignment.simulated_waveforms`.
    confidence : float
        Of the intervals.

    Returns
    -------
    EMGComparison

    Raises
    ------
    InvalidInputError
        No common muscles, no cycle, a person twice, or an argument out of range; the message says
        what was found and what to do.

    Examples
    --------
    >>> from kinesis_neuro.emg.datasets import load_subject
    >>> person = load_subject("builtin")
    >>> muscles = {"soleus": "soleus_r", "tibialis_anterior": "tibant_r"}
    >>> mean = person.envelope.sel(channel=list(muscles))
    >>> perfect = xr.Dataset(  # a simulation that does what the person does
    ...     {"activation": (("cycle", "phase", "muscle"), mean.values, {"units": "1"})},
    ...     coords={"phase": mean.phase.values, "muscle": list(muscles.values()),
    ...             "side": ("muscle", ["right", "right"])}, attrs={"body": "legs"})
    >>> result = compare_emg(perfect, person, n_null=99, envelope=None)
    >>> result.table.loc["mean", "r"].round(3)
    np.float64(1.0)
    """
    protocol = protocol or "default"
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    if not 0 < max_lag <= 0.5 or delay < 0:
        raise InvalidInputError(
            f"max_lag must lie in (0, 0.5] cycles and delay must not be negative, got {max_lag} "
            f"and {delay}."
        )
    sims, people = _as_list(sim, "sim"), _as_list(subject, "subject")
    _refuse_same_person(people)
    given = {name: _as_list(value, name) for name, value in (baselines or {}).items()}
    if "simulation" in given:
        raise InvalidInputError("A baseline cannot be called 'simulation'. Choose another name.")
    notes: list[str] = []
    smoothed = "none"
    if protocol == "kinesis":
        if signal == "activation" and all("excitation" in one for one in sims):
            signal = "excitation"
        humans, runs = _kinesis_waveforms(sims, people, given, signal)
    else:
        step = _smoothing(envelope, people, notes)
        smoothed = "none" if step is None else encode_attr(step)
        options: dict[str, Any] = {"leg": leg, "mapping": mapping, "cycles": cycles}
        options |= {"smooth": step, "delay": delay}
        humans, runs = _common_waveforms(sims, people, given, signal, channels, options)
    _warn_of_speed(runs["simulation"], humans, notes)
    settings = {
        "signal": signal, "protocol": protocol, "n_null": int(n_null), "seed": int(seed),
        "leg": leg, "delay": float(delay), "max_lag": float(max_lag),
        "confidence": float(confidence), "normalisation": _normalisation(people),
        "cycles": cycles, "envelope": smoothed,
        "mapping": encode_attr(dict(mapping or {})),
        "notes": encode_attr(notes),
    }  # fmt: skip
    return EMGComparison(compute_measures(humans, runs, settings, _is_mvc(people)))


def _as_list(value: Recordings, what: str) -> list[xr.Dataset]:
    found = [value] if isinstance(value, xr.Dataset) else list(value)
    if not found or not all(isinstance(one, xr.Dataset) for one in found):
        kinds = ", ".join(type(one).__name__ for one in found) or "nothing"
        raise InvalidInputError(f"{what} must be one Dataset or several, got {kinds}.")
    return found


def _refuse_same_person(people: list[xr.Dataset]) -> None:
    names = [str(one.attrs.get("person", i)) for i, one in enumerate(people)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(
            f"The same person is there more than once: {', '.join(twice)}. A mean over people "
            "needs different ones (the built-in subject is wang2023/06); compare speeds with "
            "kinesis_neuro.analysis.speed.compare_speeds."
        )


def _smoothing(envelope: Step | str | None, people: list[xr.Dataset], notes: list[str]) -> Any:
    if envelope is None or isinstance(envelope, Step):
        return envelope
    if envelope != "subject":
        raise unknown_name("envelope", envelope, ["subject", "a Step", "None"])
    found = [envelope_filter(one) for one in people]
    known = [step for step in found if step is not None]
    if len(known) < len(found) or any(step != known[0] for step in known):
        notes.append(
            "the low-pass that made the envelopes is not on record for all people, so the "
            f"simulation passed one of {SIMULATION_FILTER.parameters['frequency']:g} Hz, order "
            f"{SIMULATION_FILTER.parameters['order']}, zero-phase"
        )
        return SIMULATION_FILTER
    return known[0]


def _is_person(dataset: xr.Dataset) -> bool:
    return "channel" in dataset.dims


def _common_waveforms(
    sims: list[xr.Dataset],
    people: list[xr.Dataset],
    baselines: dict[str, list[xr.Dataset]],
    signal: str,
    channels: Sequence[str] | None,
    options: dict[str, Any],
) -> tuple[list[Waveforms], dict[str, list[Waveforms]]]:
    """Bring all to the same channels."""
    humans = [human_waveforms(one) for one in people]
    names = unique_names([human.name for human in humans])
    common = [c for c in humans[0].channels if all(c in h.channels for h in humans)]
    if channels is not None:
        if lost := [c for c in channels if c not in common]:
            raise InvalidInputError(
                f"Not all people have the channels {', '.join(lost)}. In common: "
                f"{', '.join(common) or 'none'}."
            )
        common = list(channels)
    sides = {c: s for h in humans for c, s in zip(h.channels, h.sides, strict=True)}
    for human in humans:
        for c, s in zip(human.channels, human.sides, strict=True):
            if c in common and sides[c] != s:
                raise InvalidInputError(
                    f"Channel {c!r} was recorded on the {s} side of {human.name!r} and on the "
                    f"{sides[c]} side of others. Compare them apart."
                )
    runs: dict[str, list[Waveforms]] = {}
    for role, recordings in ({"simulation": sims} | baselines).items():
        runs[role] = []
        for k, recording in enumerate(recordings):
            label = _label(recording, role, k if len(recordings) > 1 else None)
            if _is_person(recording):
                if role == "simulation":
                    raise InvalidInputError(
                        "sim has 'channel' and no 'muscle': it looks like an EMG subject. Compare "
                        "people with each other through baselines={'other humans': subjects}."
                    )
                runs[role].append(human_waveforms(recording))
            else:
                wanted = [sides[c] for c in common]
                runs[role].append(
                    simulated_waveforms(recording, label, common, wanted, signal, **options)
                )
    everyone = [one for many in runs.values() for one in many]
    kept = [c for c in common if all(c in one.channels for one in everyone)]
    if not kept:
        body = str(sims[0].attrs.get("body", "legs"))
        able = [c for c in humans[0].channels if _has_muscle(c, body, options["mapping"])]
        raise InvalidInputError(
            f"No common muscles. People have {', '.join(sorted(set(common))) or 'none in common'}; "
            f"body {body!r} has muscles for {', '.join(able) or 'none of the first one'}; give "
            "mapping={channel: muscle}, or other subjects."
        )
    flat = [
        f"{c} of {one.name}"
        for one in everyone
        for c, curve in zip(one.channels, one.values, strict=True)
        if c in kept and np.ptp(curve) <= 1e-9
    ]
    if flat:
        warnings.warn(
            f"Flat over the whole cycle, so that no correlation exists: {', '.join(flat)}. "
            "They count as r = 0.", ComparisonWarning, stacklevel=3,
        )  # fmt: skip
    renamed = [_rename(h.take(kept), n) for h, n in zip(humans, names, strict=True)]
    return renamed, {role: [one.take(kept) for one in many] for role, many in runs.items()}


def _has_muscle(channel: str, body: str, mapping: ChannelMap | None) -> bool:
    return bool(muscles_of(base_channel(channel), body, mapping=mapping))


def _label(recording: xr.Dataset, role: str, number: int | None) -> str:
    name = role
    if role == "simulation":
        name = str(recording.attrs.get("policy") or "simulation")
    return name if number is None else f"{name} #{number + 1}"


def _rename(one: Waveforms, name: str) -> Waveforms:
    return Waveforms(name, *[getattr(one, f) for f in one.__dataclass_fields__ if f != "name"])


def _kinesis_waveforms(
    sims: list[xr.Dataset],
    people: list[xr.Dataset],
    baselines: dict[str, list[xr.Dataset]],
    signal: str,
) -> tuple[list[Waveforms], dict[str, list[Waveforms]]]:
    """Cycles by KINESIS's recipe: left leg, short head, single support."""

    def wave(name: str, values: FloatArray, side: str, n: int, speed: float) -> Waveforms:
        halves = np.full((2, *values.shape), np.nan)
        return Waveforms(name, WANG_CHANNELS, (side,) * 9, values, halves, n, np.nan, np.nan, speed)

    curves = human_points(people)
    names = unique_names([str(one.attrs.get("subject", "subject")) for one in people])
    humans = [
        wave(n, c, "right", 1, float(one.attrs.get("speed", np.nan)))
        for n, c, one in zip(names, curves, people, strict=True)
    ]
    runs: dict[str, list[Waveforms]] = {}
    for role, recordings in ({"simulation": sims} | baselines).items():
        runs[role] = []
        for k, one in enumerate(recordings):
            label = _label(one, role, k if len(recordings) > 1 else None)
            if _is_person(one):
                runs[role].append(wave(label, human_points([one])[0], "right", 1, np.nan))
                continue
            mean, n = kinesis_cycle(one, signal=signal)
            runs[role].append(wave(label, mean, "left", n, np.nan))
    return humans, runs


def _warn_of_speed(sims: list[Waveforms], humans: list[Waveforms], notes: list[str]) -> None:
    for one in sims:
        apart = [h for h in humans if abs(h.speed - one.speed) > SPEED_TOLERANCE]
        if apart:
            people = ", ".join(f"{h.name} at {h.speed:.2f} m/s" for h in apart)
            text = f"{one.name} walks at {one.speed:.2f} m/s, but people were measured as {people}"
            notes.append(text)
            warnings.warn(text + ".", ComparisonWarning, stacklevel=3)


def _normalisation(people: list[xr.Dataset]) -> str:
    return "; ".join(dict.fromkeys(str(p.attrs.get("normalisation", "unknown")) for p in people))


def _is_mvc(people: list[xr.Dataset]) -> bool:
    return all(p.attrs.get("normalisation") == "mvc" for p in people)
