"""Phase locking of two signals, told apart from the locking of both to the gait cycle.

Two unrelated signals that repeat with the gait have a phase-locking value of 0.97. Shuffling the
strides of one of them keeps that and takes away the rest, and so does removing the cycle mean:
what exceeds the shuffled value is coupling from stride to stride.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from kinesis_neuro.analysis._inputs import FloatArray, exact_align, keeps_attrs, open_cycle, pick
from kinesis_neuro.analysis.phase import analytic_phase
from kinesis_neuro.errors import InvalidInputError

Data = xr.DataArray | xr.Dataset

FEWEST_CYCLES = 3


@keeps_attrs
def phase_locking(a: Data, b: Data, n_null: int = 1000, seed: int = 0) -> xr.Dataset:
    """Phase-locking value (Lachaux et al. 1999) against a stride-shuffled null.

    ``PLV = |mean of exp(2 pi i (phase of a - phase of b))|`` over all samples of all cycles, with
    phases from Hilbert's transform of the cycles joined in a row. The null pairs each cycle of a
    with another cycle of b. Both are given for the signals as they are and for what is left after
    the mean cycle is taken off.

    Parameters
    ----------
    a, b : DataArray or Dataset
        Signals over cycle and phase, with the same cycles; other dims are broadcast. Of a closed
        grid, the first n - 1 points are used.
    n_null : int
        Shuffles.
    seed : int
        Of the shuffles.

    Returns
    -------
    Dataset
        ``plv``, ``null_mean``, ``null_high`` (95 %), ``p_value`` (one-sided), ``mean_phase``
        [cycles] (positive: b is later); and the same with ``residual_`` in front, after removing
        the mean cycle. NaN where a signal is constant; ``n_undefined`` counts those.

    Raises
    ------
    InvalidInputError
        If there are fewer than three cycles, values are not finite, or labels differ.

    Examples
    --------
    >>> phase, rng = np.arange(50) / 50, np.random.default_rng(0)
    >>> def strides():
    ...     noise = rng.standard_normal((12, 50))
    ...     values = np.cos(2 * np.pi * phase) + 0.3 * noise
    ...     return xr.DataArray(values, {"phase": phase}, ("cycle", "phase"))
    >>> locking = phase_locking(strides(), strides())
    >>> bool(locking.plv > 0.9), bool(locking.p_value > 0.05)
    (True, True)
    """
    if n_null < 1:
        raise InvalidInputError(f"n_null must be 1 or more, got {n_null}.")
    a, b = (open_cycle(pick(x, ("cycle", "phase"))) for x in (a, b))
    exact_align(a, b)
    n_cycles = a.sizes["cycle"]
    if n_cycles < FEWEST_CYCLES:
        raise InvalidInputError(
            f"Stride-shuffled phase locking needs {FEWEST_CYCLES} or more cycles, got {n_cycles}."
        )
    for name, x in (("a", a), ("b", b)):
        if not np.isfinite(x.values).all():
            raise InvalidInputError(
                f"Signals must be finite; {int((~np.isfinite(x.values)).sum())} values of {name!r} "
                "are not. Drop those cycles from both: .dropna('cycle')."
            )
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(n_cycles), (n_null, 1)), axis=1)
    named = {}
    for prefix in ("", "residual_"):
        first, second = (x - x.mean("cycle") if prefix else x for x in (a, b))
        results = xr.apply_ufunc(
            _locking,
            first,
            second,
            input_core_dims=[["cycle", "phase"]] * 2,
            output_core_dims=[[]] * 5,
            kwargs={"order": order},
            join="exact",
        )
        keys = ("plv", "null_mean", "null_high", "p_value", "mean_phase")
        for key, value in zip(keys, results, strict=True):
            named[prefix + key] = value.assign_attrs(units="1")
    result = xr.Dataset(named)
    result.attrs = {
        "n_cycles": int(n_cycles),
        "n_null": int(n_null),
        "seed": int(seed),
        "n_undefined": int(result["plv"].isnull().sum()),
    }
    return result


def _locking(a: FloatArray, b: FloatArray, order: np.ndarray) -> tuple[FloatArray, ...]:
    """PLV, its null and the mean phase; cycles and phase are the last two axes."""
    vectors = []
    for x in (a, b):
        whole = x.reshape(*x.shape[:-2], -1)
        flat = np.ptp(whole, axis=-1, keepdims=True) <= 1e-10 * (
            np.abs(whole).max(axis=-1, keepdims=True) + 1e-300
        )
        vector = np.exp(2j * np.pi * analytic_phase(whole))
        vectors.append(np.where(flat, np.nan, vector).reshape(x.shape))
    # Every pairing of strides is a sum over this matrix (cycle of a, cycle of b).
    pairs = vectors[0] @ np.conj(np.swapaxes(vectors[1], -1, -2)) / a.shape[-1]
    n = pairs.shape[-1]
    mean = np.einsum("...cc->...", pairs) / n
    shuffled = np.abs(pairs[..., np.arange(n), order].mean(axis=-1))
    plv = np.abs(mean)
    count = (shuffled >= plv[..., None] - 1e-12).sum(axis=-1)
    p = np.where(np.isnan(plv), np.nan, (1 + count) / (1 + len(order)))
    return (
        plv,
        shuffled.mean(axis=-1),
        np.quantile(shuffled, 0.95, axis=-1),
        p,
        np.angle(mean) / (2 * np.pi),
    )
