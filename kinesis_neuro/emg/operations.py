"""What one step of EMG processing does to an array: filters, rectification, baseline, scale."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from kinesis_neuro.errors import InvalidInputError, unknown_name

FloatArray = NDArray[np.float64]

NORMALISATIONS = ("peak", "mean", "mvc", "none")


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
"""Operations by name: ``(values, rate, **parameters) -> values``. To add one, add a line here."""
