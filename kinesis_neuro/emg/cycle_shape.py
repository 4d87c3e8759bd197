"""Cycles by their shape: those unlike the others left out, stance and swing stretched apart."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from kinesis_neuro.attributes import encode_attr
from kinesis_neuro.errors import InvalidInputError

MIN_SHAPE_R = 0.5
"""A cycle whose mean correlation with the median cycle is below this is left out."""


def reject_by_shape(
    cycles: xr.Dataset, variable: str = "envelope", min_r: float = MIN_SHAPE_R
) -> xr.Dataset:
    """Leave out cycles whose shape is unlike the median cycle, with the reason kept.

    Parameters
    ----------
    cycles : xarray.Dataset
        As ``segment_cycles`` gives them.
    variable : str
        Over cycle, phase and channel (or muscle).
    min_r : float
        Smallest mean over channels of r with the median cycle.

    Returns
    -------
    xarray.Dataset
        Fewer cycles; the attribute ``cycle_rejection`` (JSON) has the reason ``shape`` added, and
        the correlations in ``shape_r``.

    Raises
    ------
    InvalidInputError
        If the variable is not over cycles, or none is left.

    Examples
    --------
    >>> from kinesis_neuro.synthetic import gait_emg
    >>> cycles = gait_emg(1, 6).isel(subject=0)[["envelope"]]
    >>> cycles["envelope"][2] = cycles.envelope[2].values[::-1]
    >>> reject_by_shape(cycles).sizes["cycle"]
    5
    """
    if variable not in cycles or not {"cycle", "phase"} <= set(cycles[variable].dims):
        raise InvalidInputError(f"There is no {variable!r} over cycle and phase to look at.")
    values = cycles[variable].transpose("cycle", ..., "phase").values
    n = values.shape[0]
    flat = values.reshape(n, -1, values.shape[-1])
    centered = flat - flat.mean(axis=-1, keepdims=True)
    median = np.median(centered, axis=0)
    power = np.sqrt((centered**2).sum(axis=-1) * (median**2).sum(axis=-1))
    r = (centered * median).sum(axis=-1) / np.where(power > 0, power, np.nan)
    known = np.isfinite(r)
    mean = np.where(known, r, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    kept = mean >= min_r
    if not kept.any():
        raise InvalidInputError(
            f"No cycle has a mean r of {min_r:g} or more with the median one (largest "
            f"{mean.max():.2f}). Are the events right?"
        )
    tally = json.loads(cycles.attrs.get("cycle_rejection", "{}"))
    rejected = tally.get("rejected", {})
    if (~kept).any():
        rejected["shape"] = int((~kept).sum())
    tally |= {"rejected": rejected, "kept": int(kept.sum()), "min_r": min_r}
    tally["shape_r"] = mean.round(4).tolist()
    tally["rejected_shape_cycle"] = cycles["cycle"].values[~kept].tolist()
    result = cycles.isel(cycle=np.flatnonzero(kept))
    return result.assign_attrs(cycle_rejection=encode_attr(tally))


def split_stance_swing(cycles: xr.Dataset, toe_off: float = 0.6) -> xr.Dataset:
    """Stretch stance and swing of each cycle apart, so that toe-off has the same phase in all.

    Parameters
    ----------
    cycles : xarray.Dataset
        As ``segment_cycles`` gives them, with ``toe_off_phase (cycle)`` of the side that all
        variables follow.
    toe_off : float
        Phase at which toe-off is put [cycles].

    Returns
    -------
    xarray.Dataset
        On the same grid of phase; ``toe_off_phase`` is `toe_off` in all cycles, and
        ``original_toe_off_phase`` keeps what it was.

    Raises
    ------
    InvalidInputError
        If toe-offs are not known, or variables follow both sides.

    Examples
    --------
    >>> phase = np.linspace(0, 1, 11)
    >>> ramp = xr.Dataset({"envelope": (("cycle", "phase"), phase[None])},
    ...                   {"phase": phase, "toe_off_phase": ("cycle", [0.7])})
    >>> split_stance_swing(ramp).envelope[0, 6].round(6).item()
    0.7
    """
    if not 0 < toe_off < 1:
        raise InvalidInputError(f"toe_off must lie between 0 and 1, got {toe_off}.")
    if "contralateral_toe_off_phase" in cycles.coords:
        raise InvalidInputError(
            "These cycles follow both sides, whose toe-offs differ. Cut one side at a time: "
            "segment_cycles(..., align='right')."
        )
    own = cycles.coords.get("toe_off_phase")
    if own is None or not ((own.values > 0) & (own.values < 1)).all():
        raise InvalidInputError(
            "The toe-off of each cycle must be known to stretch stance and swing apart. Give "
            "toe_off events, or cycles that have them."
        )
    phase = cycles["phase"].values
    off = own.values[:, None]
    at = np.where(
        phase <= toe_off, phase / toe_off * off, off + (phase - toe_off) / (1 - toe_off) * (1 - off)
    )
    left = np.clip(np.searchsorted(phase, at, side="right") - 1, 0, phase.size - 2)
    weight = (at - phase[left]) / (phase[left + 1] - phase[left])
    row = np.arange(off.shape[0])[:, None]
    result = cycles.copy()
    for name, variable in cycles.data_vars.items():
        if not {"cycle", "phase"} <= set(variable.dims):
            continue
        ordered = variable.transpose("cycle", "phase", ...)
        values = ordered.values
        part = weight.reshape(*weight.shape, *[1] * (values.ndim - 2))
        stretched = values[row, left] * (1 - part) + values[row, left + 1] * part
        result[name] = ordered.copy(data=stretched).transpose(*variable.dims)
    return result.assign_coords(
        original_toe_off_phase=("cycle", own.values, {"units": "1"}),
        toe_off_phase=("cycle", np.full(off.shape[0], toe_off), {"units": "1"}),
    )
