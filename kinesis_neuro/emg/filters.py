"""From raw EMG to envelopes: steps as data, published pipelines by name, everything on record.

A pipeline is a tuple of :class:`Step`. Filters are Butterworth in second-order sections; the rate
always comes with the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import signal

from kinesis_neuro.attributes import encode_attr
from kinesis_neuro.emg.subject import signal_name
from kinesis_neuro.errors import InvalidInputError, unknown_name

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """One step of processing: the name of an operation in :data:`OPERATIONS`, and its parameters.

    Examples
    --------
    >>> Step("lowpass", {"frequency": 6.0, "order": 2})
    Step(operation='lowpass', parameters={'frequency': 6.0, 'order': 2})
    """

    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


PIPELINES: Mapping[str, tuple[Step, ...]] = MappingProxyType(
    {
        # Winter & Yack 1987: full-wave rectified, 2nd-order low-pass at 3 Hz in one pass, as a
        # linear-envelope detector has it; per cent of the mean over the stride.
        "winter": (
            Step("demean"),
            Step("rectify"),
            Step("lowpass", {"frequency": 3.0, "order": 2, "zero_phase": False}),
            Step("normalize", {"by": "mean"}),
        ),
        # Santuz et al. 2018 (defaults of musclesyneRgies' filtEMG): high-pass 50 Hz and low-pass
        # 20 Hz, both 4th order and zero-phase; minimum subtracted, peak over the trial.
        "santuz2018": (
            Step("demean"),
            Step("highpass", {"frequency": 50.0, "order": 4}),
            Step("rectify"),
            Step("lowpass", {"frequency": 20.0, "order": 4}),
            Step("baseline", {"by": "minimum"}),
            Step("normalize", {"by": "peak"}),
        ),
        # pyCGM2 (Leboeuf et al. 2019), defaults of its EMG module: mains, 20 to 200 Hz, 6 Hz.
        "pycgm2": (
            Step("notch", {"frequency": 50.0, "quality": 30.0}),
            Step("bandpass", {"low": 20.0, "high": 200.0, "order": 2}),
            Step("rectify"),
            Step("lowpass", {"frequency": 6.0, "order": 2}),
            Step("normalize", {"by": "peak"}),
        ),
    }
)
"""Published pipelines."""

SIMULATION_FILTER = Step("lowpass", {"frequency": 6.0, "order": 2})
"""What smooths a simulation where the subject's own envelope filter is not on record."""

NORMALISATIONS = ("peak", "mean", "mvc", "none")


def apply_pipeline(
    subject: xr.Dataset, pipeline: str | Sequence[Step], mvc: Mapping[str, float] | None = None
) -> xr.Dataset:
    """Run a pipeline over raw EMG, or more steps over envelopes in time.

    Parameters
    ----------
    subject : xarray.Dataset
        Has ``emg`` or ``envelope`` over time and channel, and the attribute ``sampling_rate`` [Hz].
    pipeline : str or sequence of Step
        A name of :data:`PIPELINES`, or steps of your own.
    mvc : mapping of str to float, optional
        Envelope of each channel at maximum voluntary contraction, in the units of the signal;
        needed by ``Step("normalize", {"by": "mvc"})``.

    Returns
    -------
    xarray.Dataset
        With ``envelope (time, channel)`` [1] in place of the signal; the steps are appended to the
        attribute ``processing`` with their parameters and the rate, and ``normalisation`` says what
        1 is.

    Raises
    ------
    InvalidInputError
        If the rate is missing or too low for a filter, samples are not finite or too few, or a
        step is unknown.

    Examples
    --------
    >>> from kinesis_neuro.synthetic import raw_gait_emg
    >>> envelopes = apply_pipeline(raw_gait_emg(duration=4.0), "pycgm2")
    >>> envelopes.envelope.max().item(), envelopes.attrs["normalisation"]
    (1.0, 'peak')
    """
    if isinstance(pipeline, str):
        if pipeline not in PIPELINES:
            raise unknown_name("pipeline", pipeline, PIPELINES)
        steps: Sequence[Step] = PIPELINES[pipeline]
    else:
        steps = pipeline
    name = signal_name(subject)
    variable = subject[name]
    if set(variable.dims) != {"time", "channel"}:
        raise InvalidInputError(
            f"Filters run over time, but {name!r} lies along {', '.join(map(str, variable.dims))}."
        )
    rate = subject.attrs.get("sampling_rate")
    if not isinstance(rate, float) or not rate > 0:
        raise InvalidInputError(
            "The signal has no attribute 'sampling_rate' [Hz], and no rate is guessed. Set it: "
            "subject.attrs['sampling_rate'] = 1000.0."
        )
    values = variable.transpose("time", "channel").values.astype(float)
    bad = ~np.isfinite(values).all(axis=0)
    if bad.any():
        names = ", ".join(subject["channel"].values[bad])
        raise InvalidInputError(
            f"Channels with samples that are not finite: {names}. Drop them, or fill the gaps: a "
            "filter spreads one NaN over the whole signal."
        )
    reference = None
    if mvc is not None:
        missing = sorted(set(map(str, subject["channel"].values)) - set(mvc))
        if missing:
            raise InvalidInputError(f"mvc has no value for {', '.join(missing)}.")
        reference = np.array([float(mvc[str(c)]) for c in subject["channel"].values])
    values = run_steps(values, rate, steps, reference)
    result = subject.drop_vars(name)
    result["envelope"] = (("time", "channel"), values, {"units": "1"})
    done = json.loads(subject.attrs.get("processing", "[]"))
    done += [{"step": s.operation, **s.parameters, "rate": rate} for s in steps]
    result.attrs["processing"] = encode_attr(done)
    norms = [s.parameters.get("by", "peak") for s in steps if s.operation == "normalize"]
    if norms:
        result.attrs["normalisation"] = norms[-1]
    return result


def run_steps(
    values: FloatArray, rate: float, steps: Sequence[Step], mvc: FloatArray | None = None
) -> FloatArray:
    """Run steps over an array.

    Parameters
    ----------
    values : ndarray, shape (n_time, ...)
    rate : float
        [Hz]
    steps : sequence of Step
    mvc : ndarray, optional
        One value a channel.

    Returns
    -------
    ndarray
        Of the same shape.

    Raises
    ------
    InvalidInputError
        See :func:`apply_pipeline`.

    Examples
    --------
    >>> run_steps(np.array([[-1.0], [2.0]]), 1.0, [Step("rectify")]).ravel()
    array([1., 2.])
    """
    for step in steps:
        if step.operation not in OPERATIONS:
            raise unknown_name("step", step.operation, OPERATIONS)
        parameters = dict(step.parameters)
        if step.operation == "normalize":
            parameters["mvc"] = mvc
        try:
            values = OPERATIONS[step.operation](values, rate, **parameters)
        except TypeError as error:
            raise InvalidInputError(f"Step {step.operation!r}: {error}.") from error
    return values


def envelope_filter(subject: xr.Dataset) -> Step | None:
    """Find the low-pass that made a subject's envelopes, or None if it is not on record.

    Examples
    --------
    >>> from kinesis_neuro.synthetic import raw_gait_emg
    >>> envelope_filter(apply_pipeline(raw_gait_emg(duration=4.0), "winter")).parameters
    {'frequency': 3.0, 'order': 2, 'zero_phase': False}
    """
    for step in reversed(json.loads(subject.attrs.get("processing", "[]"))):
        if step.get("step") == "lowpass":
            kept = {k: v for k, v in step.items() if k in ("frequency", "order", "zero_phase")}
            return Step("lowpass", kept)
    return None


def filter_cyclic(values: FloatArray, duration: float, step: Step | None) -> FloatArray:
    """Low-pass one period of a periodic signal, exactly and without edges.

    Parameters
    ----------
    values : ndarray, shape (..., n_phase)
        One period on an open grid: without its first point again at the end.
    duration : float
        Of the period [s].
    step : Step or None
        A ``lowpass``; None changes nothing.

    Returns
    -------
    ndarray
        Of the same shape.

    Raises
    ------
    InvalidInputError
        If the step is no low-pass.

    Examples
    --------
    >>> wave = np.cos(2 * np.pi * np.arange(100) / 100)  # 1 Hz
    >>> smooth = filter_cyclic(wave, 1.0, Step("lowpass", {"frequency": 1.0, "order": 2}))
    >>> round(float(smooth.max()), 3)
    0.5
    """
    if step is None:
        return values
    if step.operation != "lowpass":
        raise InvalidInputError(f"Only a lowpass can smooth a cycle, not {step.operation!r}.")
    n = values.shape[-1]
    frequency = np.fft.rfftfreq(n, duration / n)
    order = int(step.parameters.get("order", 4))
    cutoff = float(step.parameters["frequency"])
    zeros, poles, gain = signal.butter(order, 2 * np.pi * cutoff, analog=True, output="zpk")
    _, response = signal.freqs_zpk(zeros, poles, gain, 2 * np.pi * frequency)
    if step.parameters.get("zero_phase", True):
        response = np.abs(response) ** 2  # forwards and backwards
    return np.fft.irfft(np.fft.rfft(values, axis=-1) * response, n, axis=-1)


def _butterworth(
    values: FloatArray,
    rate: float,
    kind: str,
    frequency: float | tuple[float, float],
    order: int,
    zero_phase: bool,
) -> FloatArray:
    """Filter over the first axis; zero-phase runs forwards and backwards."""
    highest = float(np.max(frequency))
    if not np.min(frequency) > 0 or np.any(np.diff(np.atleast_1d(frequency)) <= 0):
        raise InvalidInputError(f"{kind}: frequencies must be positive and rise, got {frequency}.")
    if rate <= 2 * highest:
        raise InvalidInputError(
            f"A {kind} at {highest:g} Hz needs more than {2 * highest:g} samples a second, but the "
            f"signal has {rate:g} Hz. Lower the frequency, or use a recording with a higher rate."
        )
    sections = signal.butter(order, frequency, btype=kind, fs=rate, output="sos")
    if not zero_phase:
        start = signal.sosfilt_zi(sections)[(..., *[None] * (values.ndim - 1))] * values[:1]
        return signal.sosfilt(sections, values, axis=0, zi=start)[0]
    needed = 3 * (2 * len(sections) + 1)
    if len(values) <= needed:
        raise InvalidInputError(
            f"A zero-phase {kind} of order {order} needs more than {needed} samples, but the "
            f"signal has {len(values)}."
        )
    return signal.sosfiltfilt(sections, values, axis=0)


def _lowpass(
    values: FloatArray, rate: float, frequency: float, order: int = 4, zero_phase: bool = True
) -> FloatArray:
    return _butterworth(values, rate, "lowpass", frequency, order, zero_phase)


def _highpass(
    values: FloatArray, rate: float, frequency: float, order: int = 4, zero_phase: bool = True
) -> FloatArray:
    return _butterworth(values, rate, "highpass", frequency, order, zero_phase)


def _bandpass(
    values: FloatArray, rate: float, low: float, high: float, order: int = 4,
    zero_phase: bool = True,
) -> FloatArray:  # fmt: skip
    return _butterworth(values, rate, "bandpass", (low, high), order, zero_phase)


def _notch(
    values: FloatArray, rate: float, frequency: float = 50.0, quality: float = 30.0
) -> FloatArray:
    if rate <= 2 * frequency:
        raise InvalidInputError(
            f"A notch at {frequency:g} Hz needs more than {2 * frequency:g} samples a second, but "
            f"the signal has {rate:g} Hz."
        )
    b, a = signal.iirnotch(frequency, quality, fs=rate)
    return signal.sosfiltfilt(signal.tf2sos(b, a), values, axis=0)


def _demean(values: FloatArray, rate: float) -> FloatArray:
    return values - values.mean(axis=0)


def _rectify(values: FloatArray, rate: float) -> FloatArray:
    return np.abs(values)


def _baseline(
    values: FloatArray, rate: float, by: str = "minimum", quantile: float = 0.05
) -> FloatArray:
    """Subtract a resting level; what falls below zero is cut off."""
    if by not in ("minimum", "quantile"):
        raise unknown_name("baseline", by, ("minimum", "quantile"))
    level = values.min(axis=0) if by == "minimum" else np.quantile(values, quantile, axis=0)
    return np.maximum(values - level, 0.0)


def _normalize(
    values: FloatArray, rate: float, by: str = "peak", mvc: FloatArray | None = None
) -> FloatArray:
    if by not in NORMALISATIONS:
        raise unknown_name("normalisation", by, NORMALISATIONS)
    if by == "none":
        return values
    if by == "mvc":
        if mvc is None or not (mvc > 0).all():
            raise InvalidInputError(
                "Normalising by MVC needs a positive value of each channel: "
                "apply_pipeline(..., mvc={'soleus': 0.0004, ...}) in the units of the signal."
            )
        return values / mvc
    level = values.max(axis=0) if by == "peak" else values.mean(axis=0)
    if not (level > 0).all():
        raise InvalidInputError("A channel is flat at zero and cannot be normalised. Drop it.")
    return values / level


OPERATIONS: Mapping[str, Any] = MappingProxyType(
    {
        "bandpass": _bandpass,
        "baseline": _baseline,
        "demean": _demean,
        "highpass": _highpass,
        "lowpass": _lowpass,
        "normalize": _normalize,
        "notch": _notch,
        "rectify": _rectify,
    }
)
"""Operations by name: (values, rate, **parameters) -> values. To add one, add a line here."""
