"""Phase response: how far a perturbation at each phase moves the rhythm, and what muscles do.

A policy that follows a reference is led by its clock: heel strikes come early or late after a
perturbation, and then return to the clock, so that the lasting shift is zero. ``strike_shift``
shows both. A rhythm that is the body's own (a person's) keeps a shift.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from kinesis_neuro.analysis._inputs import choice, exact_align, grid, keeps_attrs, muscle_dim, pick
from kinesis_neuro.analysis.circular import wrap_phase
from kinesis_neuro.emg.events import SIDES, gait_events
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
        ``n_strikes`` that it rests on; and ``strike_shift (episode, strike)`` [cycles], the shift
        of each single heel strike after the onset, from the first on (NaN: there is none). The
        attribute ``n_undefined`` counts the lasting shifts that are NaN.

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
    # Negative: the perturbed heel strike comes before the control's count reaches a whole number.
    count = np.where(after, _cycle_count(table, expected), np.nan)
    order = np.argsort(~after, axis=1, kind="stable")  # those after the onset first, in order
    count = np.take_along_axis(count, order, axis=1)[:, : int(after.sum(axis=1).max(initial=0))]
    each = wrap_phase(xr.DataArray(-count, dims=("episode", "strike")))
    shift = each.where(xr.DataArray(np.arange(count.shape[1]) >= settle, dims="strike"))
    vector = xr.apply_ufunc(np.exp, 2j * np.pi * shift).sum("strike")
    n = shift.notnull().sum("strike")
    mean = xr.DataArray(np.angle(vector) / (2 * np.pi), dims="episode").where(n > 0)
    result = xr.Dataset(
        {
            "onset_phase": ("episode", _cycle_count(starts, expected) % 1.0),
            "phase_shift": mean,
            "n_strikes": n,
            "strike_shift": each,
        }
    )
    for variable in result.data_vars.values():
        variable.attrs["units"] = "1"
    result.attrs = {"settle": int(settle), "n_undefined": int((n == 0).sum())}
    return result


@keeps_attrs
def measure_phase_response(
    control: xr.Dataset,
    perturbed: Sequence[xr.Dataset],
    onset: ArrayLike,
    side: str = "right",
    variable: str = "activation",
    settle: int = 3,
) -> xr.Dataset:
    """Shift of the gait's phase and response of the muscles, from recordings.

    Parameters
    ----------
    control : Dataset
        Unperturbed recording with ground forces and `variable`.
    perturbed : sequence of Dataset
        Recordings from the same start, each perturbed at its own time; those that end early fell.
    onset : array_like
        When each perturbation began, on the clock of the recordings [s].
    side : {"right", "left"}
        Whose heel strikes are the rhythm.
    variable : str
        What muscles do, over time and muscle (or channel).
    settle : int
        Heel strikes after the onset that the lasting shift leaves out.

    Returns
    -------
    Dataset
        What :func:`phase_response` gives; and ``fell (episode)`` (0 or 1: shorter than the
        control), ``muscle_response (episode, time, muscle)``: perturbed less control, over time
        since the onset [s], NaN where a run has ended; ``mean_response (episode, muscle)``, its
        mean over one mean cycle of the control from the onset, and ``peak_response``, the largest
        deviation within it, with its sign (both NaN where the run fell within it).

    Raises
    ------
    InvalidInputError
        If there is no perturbed recording, clocks or muscles differ, heel strikes are too few, or
        an onset lies outside the recording.

    Examples
    --------
    >>> time = np.arange(800) / 100
    >>> def walk(late, active):
    ...     force = np.zeros((800, 2, 3))
    ...     force[:, 0, 2] = 700.0 * ((time - late) % 1.0 < 0.6)
    ...     return xr.Dataset(
    ...         {
    ...             "ground_force": (("time", "contact", "space"), force, {"units": "N"}),
    ...             "activation": (("time", "muscle"), active[:, None], {"units": "1"}),
    ...         },
    ...         {"time": time, "muscle": ["soleus_r"], "contact": ["right", "left"],
    ...          "space": ["x", "y", "z"]},
    ...     )
    >>> after = time >= 2.5
    >>> response = measure_phase_response(
    ...     walk(0.0, 0.0 * time), [walk(0.1 * after, 0.2 * after)], onset=[2.5]
    ... )
    >>> response.onset_phase.values.round(1), response.phase_shift.values.round(1)
    (array([0.5]), array([-0.1]))
    >>> response.mean_response.values.round(2)
    array([[0.2]])
    """
    choice("side", side, SIDES)
    if not len(perturbed):
        raise InvalidInputError("There is no perturbed recording.")
    starts = np.atleast_1d(np.asarray(onset, dtype=float))
    key = f"heel_strike_{side}"
    expected = gait_events(control)[key]
    result = phase_response([gait_events(x)[key] for x in perturbed], expected, starts, settle)
    before = _variable(control, variable)
    dim = muscle_dim(before)
    times, step = grid(before, "time")
    first = np.rint((starts - times[0]) / step).astype(int)
    if not ((first >= 0) & (first < times.size)).all():
        raise InvalidInputError(
            f"Every onset must lie between {times[0]:.3f} and {times[-1]:.3f} s, got "
            f"{', '.join(f'{t:.3f}' for t in starts)}."
        )
    n = times.size - int(first.min())
    runs = [
        perturbation_response(_variable(x, variable), before, onset=float(t)).transpose("time", dim)
        for x, t in zip(perturbed, starts, strict=True)
    ]
    values = np.full((len(runs), n, before.sizes[dim]), np.nan)
    for row, run, k in zip(values, runs, first, strict=True):  # runs differ in length
        kept = run.values[k:]
        row[: len(kept)] = kept
    cycle = values[:, : max(1, round(float(np.diff(expected).mean()) / step))]
    largest = np.take_along_axis(cycle, np.abs(np.nan_to_num(cycle)).argmax(1)[:, None], 1)[:, 0]
    whole = np.isfinite(cycle).all(axis=1)
    units = {"units": str(before.attrs.get("units", "1"))}
    size = np.array([x.sizes["time"] for x in perturbed])
    coords = {str(k): v for k, v in before.coords.items() if "time" not in v.dims}
    coords["time"] = xr.Variable("time", np.arange(n) * step, {"units": "s"})
    measured = xr.Dataset(
        {
            "fell": ("episode", (size < times.size).astype(int), {"units": "1"}),
            "muscle_response": (("episode", "time", dim), values, units),
            "mean_response": (
                ("episode", dim), np.where(whole, cycle.mean(axis=1), np.nan), units
            ),
            "peak_response": (("episode", dim), np.where(whole, largest, np.nan), units),
        },
        coords,
    )  # fmt: skip
    about = {"side": side, "variable": variable, "n_fell": int((size < times.size).sum())}
    return result.merge(measured).assign_attrs(result.attrs | about)


@keeps_attrs
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
    x, y = pick(perturbed, (dim,), attrs=True), pick(control, (dim,))
    exact_align(x, y, exclude=(dim,))
    n = min(x.sizes[dim], y.sizes[dim])
    x, y = x.isel({dim: slice(n)}), y.isel({dim: slice(n)})
    exact_align(x, y)
    times, _ = grid(x, dim)
    difference = (x - y).assign_attrs(x.attrs)
    return difference.assign_coords({dim: (dim, times - onset, {"units": "s"})})


def _variable(recording: xr.Dataset, name: str) -> xr.DataArray:
    array = pick(recording, ("time",), name)
    return array.transpose("time", muscle_dim(array))


def _cycle_count(times: ArrayLike, strikes: np.ndarray) -> np.ndarray:
    """Cycles since the first heel strike; beyond the last, at the mean period."""
    values = np.asarray(times, dtype=float)
    number = np.arange(strikes.size, dtype=float)
    period = (strikes[-1] - strikes[0]) / (strikes.size - 1)
    beyond = number[-1] + (values - strikes[-1]) / period
    before = (values - strikes[0]) / period
    inside = np.interp(values, strikes, number)
    return np.where(values > strikes[-1], beyond, np.where(values < strikes[0], before, inside))
