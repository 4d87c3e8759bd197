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
from kinesis_neuro.emg.operations import OPERATIONS
from kinesis_neuro.emg.subject import signal_name
from kinesis_neuro.errors import InvalidInputError, unknown_name

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """One step of processing: the name of an operation, and its parameters.

    Operations are those of :data:`kinesis_neuro.emg.operations.OPERATIONS`.

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
