"""Equivalent excitation: what a Hill muscle on an elastic tendon would need to make a given force.

MuJoCo's muscles have rigid tendons; people's have not. To compare like with like, the simulated
force along the simulated path is handed to the equilibrium muscle of Millard et al. 2013, solved
backwards: tendon length from force, fibre length and velocity from the path, activation from the
Hill equation, excitation from first-order activation dynamics. Nothing is fitted, and nothing here
knows the EMG. Fibre and tendon lengths are those of the simulated body's own muscles, so that a
fibre works where the simulation has it work.

Force and path pass a low-pass first, as force plates and markers do before inverse dynamics: a
controller that changes its mind thirty times a second makes steps of force that no muscle on a
tendon could make, and the inverse would answer them with full excitation.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from importlib import resources

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from kinesis_neuro.emg.hill_curves import (
    active_curve,
    passive_curve,
    tendon_curve,
    velocity_curve,
)
from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]

TENDON_STRAIN = 0.04
"""Strain of a tendon at peak isometric force [1], and of the Achilles tendon (Arnold et al. 2013,
simulations of people walking and running)."""

ACHILLES_STRAIN = 0.10
ACHILLES = ("soleus", "gasmed", "gaslat")

MAX_SPEED = 10.0
"""Largest shortening speed [optimal fibre lengths / s] (Zajac 1989)."""

DAMPING = 0.0
"""Fibre damping [1]. Millard et al. 2013 use 0.1 to keep forward integration stable; MuJoCo's
muscle has no damper, and one that only the inverse has would ask for excitation wherever a fibre
shortens.
"""

TIME_ACTIVATION, TIME_DEACTIVATION = 0.010, 0.040
"""Time constants of activation [s] (Millard et al. 2013); MuJoCo's defaults as well."""

ELECTROMECHANICAL_DELAY = 0.0
"""From EMG to force beyond what activation dynamics and tendon make [s]; state it, never fit it.
Measured between 10 and 100 ms (Cavanagh & Komi 1979; Begovic et al. 2014)."""

CUTOFF = 6.0
"""Of the low-pass on force and path [Hz], second order, zero phase (Winter 2009)."""

_SMALLEST_GAIN = 0.05  # below it the fibre can hardly pull, and the inverse is noise


@functools.cache
def hill_parameters() -> pd.DataFrame:
    """Architecture of the legs' muscles, by name without side.

    Returns
    -------
    DataFrame
        ``peak_force`` [N], ``optimal_fiber_length`` [m], ``tendon_slack_length`` [m], those of
        myo-sim's legs; ``pennation`` [rad] at optimal length (Rajagopal et al. 2016).

    Examples
    --------
    >>> round(float(hill_parameters().loc["soleus", "optimal_fiber_length"]), 3)
    0.044
    """
    with (resources.files("kinesis_neuro.emg") / "tables" / "hill.csv").open("r") as stream:
        return pd.read_csv(stream, index_col="muscle")


def equivalent_excitation(
    recording: xr.Dataset,
    muscles: Sequence[str] | None = None,
    *,
    parameters: pd.DataFrame | None = None,
    tendon_strain: float | None = None,
    cutoff: float | None = CUTOFF,
    periodic: bool = False,
) -> xr.Dataset:
    """Compute the excitation that a muscle with an elastic tendon would need.

    Forces are those of the recording in newtons; they are scaled to the muscle's peak force here.
    Where a tendon is slack or the fibre can hardly pull, activation is cut off at 0 or 1, and the
    result says how often.

    Parameters
    ----------
    recording : xarray.Dataset
        ``muscle_force`` [N] and ``muscle_length`` [m] over time and muscle, and the attribute
        ``sampling_rate`` [Hz].
    muscles : sequence of str, optional
        Muscles wanted; by default all that `parameters` has.
    parameters : DataFrame, optional
        As :func:`hill_parameters`; the index may have sides.
    tendon_strain : float, optional
        Strain of all tendons at peak force [1]; by default that of Arnold et al. 2013, 0.10 of the
        Achilles tendon and 0.04 of the others.
    cutoff : float or None
        Of the low-pass on force and path [Hz]; None leaves them as they are.
    periodic : bool
        Whether the first sample follows the last.

    Returns
    -------
    xarray.Dataset
        ``equivalent_excitation``, ``equivalent_activation`` [1], ``fiber_length`` [optimal
        lengths] over time and muscle, and ``clipped`` (muscle) [1], the part of samples at which
        the activation was cut off. The recording's attributes and the constants used.

    Raises
    ------
    InvalidInputError
        If a variable or the rate is missing, or a muscle has no parameters.

    Examples
    --------
    >>> time = np.arange(4) / 150
    >>> still = xr.Dataset(
    ...     {"muscle_force": (("time", "muscle"), np.full((4, 1), 1000.0)),
    ...      "muscle_length": (("time", "muscle"), np.full((4, 1), 0.32))},
    ...     coords={"time": time, "muscle": ["soleus_r"]}, attrs={"sampling_rate": 150.0})
    >>> solved = equivalent_excitation(still)
    >>> 0.1 < float(solved.equivalent_excitation[0, 0]) < 0.4
    True
    """
    for name in ("muscle_force", "muscle_length"):
        if name not in recording or set(recording[name].dims) != {"time", "muscle"}:
            raise InvalidInputError(
                f"Equivalent excitation needs {name} over time and muscle, which this recording "
                "has not."
            )
    rate = recording.attrs.get("sampling_rate")
    if not isinstance(rate, float) or not rate > 0 or recording.sizes["time"] < 3:
        raise InvalidInputError(
            "Equivalent excitation needs three samples or more and the attribute "
            f"'sampling_rate' [Hz]; got {recording.sizes['time']} and {rate!r}."
        )
    if tendon_strain is not None and not 0 < tendon_strain < 0.2:
        raise InvalidInputError(f"tendon_strain must lie between 0 and 0.2, got {tendon_strain}.")
    if parameters is None and "body_scale" in recording.attrs:
        warnings.warn(
            "This body is scaled to a person, but the table of muscle architecture is that of the "
            "unscaled one, so lengths of fibre and tendon do not fit the path. Give parameters=.",
            stacklevel=2,
        )
    table = hill_parameters() if parameters is None else parameters
    there = [str(name) for name in recording["muscle"].values]
    rows = {m: m if m in table.index else _plain(m) for m in there}
    chosen = list(muscles) if muscles is not None else [m for m in there if rows[m] in table.index]
    lost = [m for m in chosen if m not in rows or rows[m] not in table.index]
    if lost or not chosen:
        raise InvalidInputError(
            f"No muscle architecture for {', '.join(lost) or 'any muscle of this recording'}. The "
            "table has the muscles of legs, legs_abs, legs_back and full. Give parameters= (a "
            "DataFrame as hill_parameters() returns)."
        )
    index = [there.index(m) for m in chosen]
    force, length = (
        recording[name].transpose("time", "muscle").values.astype(float)[:, index]
        for name in ("muscle_force", "muscle_length")
    )
    if cutoff is not None:
        if not 0 < cutoff < rate / 2:
            raise InvalidInputError(
                f"cutoff must lie between 0 and half the rate of {rate:g} Hz, got {cutoff}."
            )
        force, length = (_lowpass(x, rate, cutoff, periodic) for x in (force, length))
    peak, optimal, slack, pennation = (
        table.loc[[rows[m] for m in chosen], name].to_numpy(float)
        for name in ("peak_force", "optimal_fiber_length", "tendon_slack_length", "pennation")
    )
    strain = np.full(len(chosen), TENDON_STRAIN if tendon_strain is None else tendon_strain)
    if tendon_strain is None:
        strain[np.isin([_plain(m) for m in chosen], ACHILLES)] = ACHILLES_STRAIN
    scaled, tendon = _tendon(force / peak, slack, strain)
    along = np.maximum(length - tendon, 0.1 * optimal)
    fiber = np.hypot(optimal * np.sin(pennation), along)  # constant height (Millard et al. 2013)
    cosine = along / fiber
    velocity = _derivative(fiber, rate, periodic) / (optimal * MAX_SPEED)
    norm = fiber / optimal
    pull = np.interp(norm, *active_curve(), left=0.0, right=0.0)
    gain = pull * np.interp(velocity, *velocity_curve())
    rest = np.interp(norm, *passive_curve()) + DAMPING * velocity
    raw = (scaled / cosine - rest) / np.maximum(gain, _SMALLEST_GAIN)
    # Where nothing pulls, nothing is asked for: a slack muscle is off, however it moves.
    raw = np.where(scaled > 0, raw, 0.0)
    activation = np.clip(raw, 0.0, 1.0)
    excitation = _inverse_activation(activation, rate, periodic)
    unit = {"units": "1"}
    dims = ("time", "muscle")
    along_muscle = {
        n: ("muscle", c.values[index]) for n, c in recording.coords.items() if c.dims == ("muscle",)
    }
    return xr.Dataset(
        {
            "equivalent_excitation": (dims, excitation, unit),
            "equivalent_activation": (dims, activation, unit),
            "fiber_length": (dims, norm, unit),
            "clipped": ("muscle", np.mean((raw < -1e-3) | (raw > 1), axis=0), unit),
        },
        coords=along_muscle | {"time": recording["time"].variable},
        attrs=recording.attrs
        | {
            "tendon_strain": strain if len(chosen) > 1 else float(strain[0]),
            "equivalent_excitation_model": "Millard 2013, inverse equilibrium",
            "equivalent_excitation_cutoff": 0.0 if cutoff is None else float(cutoff),
        },
    )


def _plain(muscle: str) -> str:
    return muscle.removesuffix("_r").removesuffix("_l")


def _tendon(
    force: FloatArray, slack: FloatArray, strain: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Force within the curve [peak forces] and length of tendons [m], (time, muscle)."""
    within, length = np.empty_like(force), np.empty_like(force)
    for one in np.unique(strain):  # a curve each, two as a rule
        x, y = tendon_curve(float(one))
        take = strain == one
        within[:, take] = np.clip(force[:, take], 0.0, y[-1])
        length[:, take] = slack[take] * np.interp(within[:, take], y, x)
    return within, length


def _lowpass(values: FloatArray, rate: float, cutoff: float, periodic: bool) -> FloatArray:
    sections = butter(2, cutoff, fs=rate, output="sos")
    n = values.shape[0]
    if periodic:
        return sosfiltfilt(sections, np.tile(values, (3, 1)), axis=0)[n : 2 * n]
    return sosfiltfilt(sections, values, axis=0, padlen=min(15, n - 1))


def _derivative(values: FloatArray, rate: float, periodic: bool) -> FloatArray:
    if periodic:
        return (np.roll(values, -1, axis=0) - np.roll(values, 1, axis=0)) * rate / 2
    return np.gradient(values, 1 / rate, axis=0)


def _inverse_activation(activation: FloatArray, rate: float, periodic: bool) -> FloatArray:
    """Excitation from da/dt = (u - a) / tau (Thelen 2003, Millard et al. 2013)."""
    slope = _derivative(activation, rate, periodic)
    scale = 0.5 + 1.5 * activation
    tau = np.where(slope > 0, TIME_ACTIVATION * scale, TIME_DEACTIVATION / scale)
    return np.clip(activation + slope * tau, 0.0, 1.0)
