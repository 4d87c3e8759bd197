"""Phase response: how far a perturbation at each phase moves the rhythm, and what muscles do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from kinesis_neuro.analysis._inputs import exact_align, grid, pick
from kinesis_neuro.analysis.circular import wrap_phase
from kinesis_neuro.errors import InvalidInputError

Data = xr.DataArray | xr.Dataset


def phase_response(
    strikes: Sequence[ArrayLike], control: ArrayLike, onset: ArrayLike, settle: int = 3
) -> xr.Dataset:
    """Lasting shift of the gait's phase after perturbations at different phases.

    The control's heel strikes run on at their mean period; the shift is how much earlier (in
    cycles) the perturbed run's heel strikes come, once `settle` of them have passed, each against
    the nearest one of the control. (Winfree 1980: the asymptotic phase.)

    Parameters
    ----------
    strikes : sequence of array_like
        Heel strikes [s] of one foot in each perturbed run, all on the control's clock.
    control : array_like
        Heel strikes [s] of the same foot in the unperturbed run from the same start.
    onset : array_like
        When each perturbation began [s].
    settle : int
        Heel strikes after the onset that are left out.

    Returns
    -------
    Dataset
        Over ``episode``: ``onset_phase`` [cycles], ``phase_shift`` [cycles] in [-0.5, 0.5)
        (positive: the rhythm is advanced; NaN where no heel strike is left, as after a fall),
        ``n_strikes`` that it rests on. The attribute ``n_undefined`` counts the NaN.

    Raises
    ------
    InvalidInputError
        If the control has fewer than two heel strikes, lengths differ, or an onset lies before the
        control's first heel strike.

    Examples
    --------
    >>> control = np.arange(12.0)
    >>> early = np.where(control > 3.4, control - 0.1, control)
    >>> response = phase_response([early], control, onset=[3.4])
    >>> response.onset_phase.values.round(3), response.phase_shift.values.round(3)
    (array([0.4]), array([0.1]))
    """
    expected = np.sort(np.asarray(control, dtype=float))
    starts = np.asarray(onset, dtype=float)
    if expected.size < 2 or not (np.diff(expected) > 0).all():
        raise InvalidInputError(
            f"The control needs two or more distinct heel strikes, but has {expected.size}."
        )
    if starts.shape != (len(strikes),):
        raise InvalidInputError(
            f"Expected one onset for each of {len(strikes)} runs, but got shape {starts.shape}."
        )
    if settle < 0 or not (starts >= expected[0]).all():
        raise InvalidInputError(
            "settle must not be negative, and every onset must lie after the control's first heel "
            f"strike at {expected[0]:.3f} s."
        )
    runs = [np.sort(np.asarray(run, dtype=float)) for run in strikes]
    longest = max((run.size for run in runs), default=0)
    table = np.full((len(runs), longest), np.nan)
    for row, run in zip(table, runs, strict=True):  # runs differ in length
        row[: run.size] = run
    after = table > starts[:, None]
    late = after & (np.cumsum(after, axis=1) > settle)
    # Negative: the perturbed heel strike comes before the control's count reaches a whole number.
    count = _cycle_count(table, expected)
    shift = wrap_phase(xr.DataArray(-np.where(late, count, np.nan), dims=("episode", "strike")))
    vector = xr.apply_ufunc(np.exp, 2j * np.pi * shift).sum("strike")
    n = shift.notnull().sum("strike")
    mean = xr.DataArray(np.angle(vector) / (2 * np.pi), dims="episode").where(n > 0)
    result = xr.Dataset(
        {
            "onset_phase": ("episode", _cycle_count(starts, expected) % 1.0),
            "phase_shift": mean,
            "n_strikes": n,
        }
    )
    for variable in result.data_vars.values():
        variable.attrs["units"] = "1"
    result.attrs = {"settle": int(settle), "n_undefined": int((n == 0).sum())}
    return result


def perturbation_response(
    perturbed: Data, control: Data, onset: float, dim: str = "time"
) -> xr.DataArray:
    """Difference that a perturbation made, on a clock that starts with it.

    Parameters
    ----------
    perturbed, control : DataArray or Dataset
        Activity along `dim` of two runs from the same start; one may be shorter (a fall).
    onset : float
        When the perturbation began [s].
    dim : str
        ``time``.

    Returns
    -------
    DataArray
        perturbed - control over time since the onset [s], as long as both last.

    Raises
    ------
    InvalidInputError
        If clocks or labels differ.

    Examples
    --------
    >>> time = np.arange(5) / 10
    >>> control = xr.DataArray(np.zeros(5), coords={"time": time})
    >>> perturbation_response(control + (time > 0.15), control, onset=0.2).values
    array([0., 0., 1., 1., 1.])
    """
    x, y = pick(perturbed, (dim,)), pick(control, (dim,))
    exact_align(x, y, exclude=(dim,))
    n = min(x.sizes[dim], y.sizes[dim])
    x, y = x.isel({dim: slice(n)}), y.isel({dim: slice(n)})
    exact_align(x, y)
    times, _ = grid(x, dim)
    difference = (x - y).assign_attrs(x.attrs)
    return difference.assign_coords({dim: (dim, times - onset, {"units": "s"})})


def _cycle_count(times: ArrayLike, strikes: np.ndarray) -> np.ndarray:
    """Cycles since the first heel strike; beyond the last, at the mean period."""
    values = np.asarray(times, dtype=float)
    number = np.arange(strikes.size, dtype=float)
    period = (strikes[-1] - strikes[0]) / (strikes.size - 1)
    beyond = number[-1] + (values - strikes[-1]) / period
    before = (values - strikes[0]) / period
    inside = np.interp(values, strikes, number)
    return np.where(values > strikes[-1], beyond, np.where(values < strikes[0], before, inside))
