"""Muscle synergies: non-negative factors of muscle activity, with how well they explain it.

Conventions. Activity x (sample, muscle) ~ activation (sample, synergy) @ weights (synergy, muscle),
all non-negative. Weights have unit Euclidean length, activations carry the scale. Muscles are
divided by their own maximum first (``normalize="max"``), and weights are given in that
normalisation; the divisors are kept. Synergies are ordered by the centre of activity of their mean
activation over the cycle, or by the power that they explain where there is no phase.

VAF = 1 - sum (x - x_hat)^2 / sum x^2, **uncentred** (Torres-Oviedo & Ting 2006).
R^2 = 1 - sum (x - x_hat)^2 / sum (x - mean of the muscle)^2, **centred**, and always lower.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from kinesis_neuro.analysis import nmf
from kinesis_neuro.analysis._inputs import (
    FloatArray,
    choice,
    coords_along,
    keeps_attrs,
    muscle_dim,
    open_cycle,
    pick,
)
from kinesis_neuro.analysis.bursts import center_of_activity, full_width_half_maximum
from kinesis_neuro.analysis.synergy_rank import RULES, RankOptions, rank_rules
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.schema import encode_attr

Data = xr.DataArray | xr.Dataset

NORMALIZATIONS = ("max", "sd", "none")
SOLVERS = ("batched", "scikit-learn")
DEFAULT_MAX_RANK = 8
"""Highest rank that the rules try, or the number of muscles less one if that is lower."""

_FINAL = 1e-6
"""Convergence of the factorisation that is returned (see `nmf.TOLERANCE`)."""


@dataclass(frozen=True)
class Activity:
    """Muscle activity as the factorisation sees it, and what it takes to label the result.

    ``values`` is (cycle, sample, muscle); activity over time is one cycle.
    """

    values: FloatArray
    scale: FloatArray
    array: xr.DataArray
    dim: str

    @property
    def rows(self) -> FloatArray:
        """All samples of all cycles, (row, muscle)."""
        return self.values.reshape(-1, self.values.shape[-1])

    @property
    def sample_dims(self) -> tuple[str, ...]:
        """Dims of the samples, in the order of `values`."""
        return tuple(str(d) for d in self.array.dims if d != self.dim)


def prepare_activity(
    data: Data, normalize: str = "max", average: bool = False, variable: str | None = None
) -> Activity:
    """Check muscle activity and bring it to (cycle, sample, muscle).

    Parameters
    ----------
    data : DataArray or Dataset
        Non-negative activity over muscle (or channel) and (cycle, phase), phase, or time.
    normalize : {"max", "sd", "none"}
        What each muscle is divided by.
    average : bool
        Whether cycles are averaged instead of concatenated.
    variable : str, optional
        Which variable, where a Dataset has several.

    Returns
    -------
    Activity
        The checked values.

    Raises
    ------
    InvalidInputError
        If values are negative or not finite, a muscle is constant, or dims do not fit.
    """
    choice("normalize", normalize, NORMALIZATIONS)
    array = pick(data, name=variable)
    dim = muscle_dim(array)
    sample = "phase" if "phase" in array.dims else "time"
    allowed = {dim, sample, "cycle"} if sample == "phase" else {dim, sample}
    if sample not in array.dims or not set(array.dims) <= allowed:
        raise InvalidInputError(
            f"Synergies need activity over {dim} and (cycle, phase), phase or time, but the data "
            f"lie along {', '.join(map(str, array.dims))}. Select one of the others first."
        )
    if sample == "phase":
        array = open_cycle(array)
    order = [d for d in ("cycle", sample, dim) if d in array.dims]
    array = array.transpose(*order)
    _check(array, dim)
    if average and "cycle" in array.dims:
        array = array.mean("cycle", keep_attrs=True)
    values = array.values if "cycle" in array.dims else array.values[None]
    spread = {
        "max": values.max(axis=(0, 1)),
        "sd": values.std(axis=(0, 1)),
        "none": np.ones(values.shape[-1]),
    }[normalize]
    return Activity(values / spread, spread, array, dim)


@keeps_attrs
def extract_synergies(
    dataset: Data,
    n_synergies: int | None = None,
    rule: str = "cross_validation",
    seed: int = 0,
    *,
    variable: str | None = None,
    average: bool = False,
    normalize: str = "max",
    n_restarts: int = 20,
    max_rank: int | None = None,
    solver: str = "batched",
    options: RankOptions | None = None,
) -> xr.Dataset:
    """Extract muscle synergies, and choose how many by a named rule.

    Without `n_synergies`, ranks from 1 to `max_rank` are fitted and **all** rules are reported,
    because they disagree; `rule` says which one is followed. See
    :mod:`~kinesis_neuro.analysis.synergy_rank` for what each rule does.

    Parameters
    ----------
    dataset : DataArray or Dataset
        Non-negative activity over muscle (or channel) and (cycle, phase), phase or time.
    n_synergies : int, optional
        Number of synergies; no rule is evaluated then.
    rule : {"cross_validation", "muscle_cross_validation", "parallel_analysis", "vaf", \
"muscle_vaf", "r_squared_knee"}
        The rule that chooses the number.
    seed : int
        Of restarts, folds and surrogates.
    variable : str, optional
        Which variable, where a Dataset has several over muscles.
    average : bool
        Average cycles instead of concatenating them. Cross-validation still sees single cycles.
    normalize : {"max", "sd", "none"}
        What each muscle is divided by before the factorisation.
    n_restarts : int
        Random starts for each rank.
    max_rank : int, optional
        Highest rank tried; 8, or one less than the number of muscles, by default.
    solver : {"batched", "scikit-learn"}
        All restarts together, or scikit-learn's NMF one after the other (slow).
    options : RankOptions, optional
        Thresholds, folds and surrogates of the rules.

    Returns
    -------
    Dataset
        ``weights (synergy, muscle)`` [1], ``synergy_activation`` over the samples and synergy [1],
        ``mean_activation (phase, synergy)``, ``center_of_activity (synergy)`` [cycles],
        ``activation_width (synergy)`` (full width at half maximum) [cycles], ``muscle_scale``
        (the divisors, in the units of the data), ``vaf``, ``r_squared``, ``muscle_vaf``,
        ``muscle_r_squared`` of the chosen rank; and by rank ``rank_vaf``, ``rank_r_squared``,
        ``rank_muscle_vaf``, the curves of the rules, and ``chosen_<rule>`` (0: it could not be
        evaluated; the attribute ``not_evaluated`` says why).

    Raises
    ------
    InvalidInputError
        If activity is negative or not finite, a muscle is constant, the rank is above the number
        of muscles, or cross-validation has a single cycle.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> activity = rng.random((60, 2)) @ np.array([[1.0, 0.5, 0.0], [0.0, 0.2, 1.0]])
    >>> emg = xr.DataArray(
    ...     activity,
    ...     coords={"time": np.arange(60) / 100, "muscle": ["soleus", "gastrocnemius", "tibialis"]},
    ... )
    >>> synergies = extract_synergies(emg, n_synergies=2)
    >>> synergies.weights.dims, bool(synergies.vaf > 0.999)
    (('synergy', 'muscle'), True)
    """
    choice("rule", rule, RULES)
    choice("solver", solver, SOLVERS)
    if n_restarts < 1:
        raise InvalidInputError(f"n_restarts must be 1 or more, got {n_restarts}.")
    activity = prepare_activity(dataset, normalize, average, variable)
    n_muscles = activity.values.shape[-1]
    options = options or RankOptions()
    rng = np.random.default_rng(seed)
    extra: dict[str, xr.Variable] = {}
    attrs: dict[str, str | int | float] = {}
    if n_synergies is not None:
        _check_rank("n_synergies", n_synergies, n_muscles)
        fits = {n_synergies: _fit(activity.rows, n_synergies, n_restarts, rng, solver)}
        chosen = n_synergies
    else:
        top = max_rank or max(1, min(DEFAULT_MAX_RANK, n_muscles - 1))
        _check_rank("max_rank", top, n_muscles)
        single = prepare_activity(dataset, normalize, False, variable) if average else activity
        if single.values.shape[0] < 2 and rule in ("cross_validation", "muscle_cross_validation"):
            raise InvalidInputError(
                f"rule={rule!r} holds out cycles, and the data have one. Give two or more cycles "
                "(dims cycle, phase), or choose rule='parallel_analysis'."
            )
        fits = {k: _fit(activity.rows, k, n_restarts, rng, solver) for k in range(1, top + 1)}
        report = rank_rules(activity.values, single.values, activity.dim, fits, options, rng)
        extra, chosen = report.variables, report.chosen[rule]
        attrs["not_evaluated"] = encode_attr(report.not_evaluated)
        if chosen == 0:
            raise InvalidInputError(
                f"rule={rule!r} could not be evaluated: {report.not_evaluated[rule]}"
            )
    best = fits[chosen]
    if solver == "batched":  # ranks are compared when fits are close; weights are reported exactly
        found = nmf.alternate(activity.rows, best.weight[None], _FINAL, max_iterations=2000)
        best = nmf.Factors(found.weight[0], found.activation[0], found.vaf[0])
    result = _labelled(activity, best).assign(extra)
    if n_synergies is None:
        result = result.assign_coords(rank=("rank", np.arange(1, len(fits) + 1), {"units": "1"}))
    result.attrs = {
        "n_synergies": int(chosen),
        "rule": "given" if n_synergies is not None else rule,
        "seed": int(seed),
        "normalize": normalize,
        "cycles": "averaged" if average else "concatenated",
        "n_restarts": int(n_restarts),
        "solver": solver,
        "rank_options": encode_attr(options),
        **attrs,
    }
    return result


@keeps_attrs
def reconstruct(synergies: xr.Dataset) -> xr.DataArray:
    """Give the activity that synergies stand for, in the units of the original.

    Parameters
    ----------
    synergies : Dataset
        As :func:`extract_synergies` gives it.

    Returns
    -------
    DataArray
        Activity over the samples and muscles.
    """
    scale, weights = synergies["muscle_scale"], synergies["weights"]
    product = xr.dot(synergies["synergy_activation"], weights, dim="synergy")
    return (product * scale).assign_attrs(units=scale.attrs["units"]).rename("activity")


def _fit(
    x: FloatArray, rank: int, n_restarts: int, rng: np.random.Generator, solver: str
) -> nmf.Factors:
    if solver == "batched":
        return nmf.factorize(x, rank, n_restarts, rng)
    return nmf.scikit_learn_factors(x, rank, n_restarts, int(rng.integers(2**31)))


def _labelled(activity: Activity, factors: nmf.Factors) -> xr.Dataset:
    """Order the synergies and put names on them."""
    dims, dim, array = activity.sample_dims, activity.dim, activity.array
    shape = tuple(array.sizes[d] for d in dims)
    samples = xr.DataArray(
        factors.activation.reshape(-1, *shape),
        dims=("synergy", *dims),
        coords=coords_along(array, dims),
        attrs={"units": "1", "long_name": "activation of the synergy"},
    ).transpose(*dims, "synergy")
    measures = {}
    if "phase" in dims:
        mean = samples.mean("cycle", keep_attrs=True) if "cycle" in dims else samples
        center = center_of_activity(mean)
        order = np.argsort(center.fillna(1.0).values, kind="stable")
        measures = {
            "mean_activation": mean,
            "center_of_activity": center,
            "activation_width": full_width_half_maximum(mean),
        }
    else:
        order = np.argsort(-(factors.activation**2).sum(axis=1), kind="stable")
    weights = (("synergy", dim), factors.weight, {"units": "1", "long_name": "unit length"})
    result = xr.Dataset(
        {"weights": weights, "synergy_activation": samples, **measures},
        coords=coords_along(array, [*dims, dim]),
    ).isel(synergy=order)
    result = result.assign_coords(synergy=("synergy", np.arange(len(order)), {"units": "1"}))
    units = {"units": str(array.attrs.get("units", "1"))}
    result["muscle_scale"] = ((dim,), activity.scale, units)
    for name, value in nmf.explained(activity.rows, factors.activation.T @ factors.weight).items():
        result[name] = ((dim,) if value.ndim else (), value, {"units": "1"})
    return result


def _check(array: xr.DataArray, dim: str) -> None:
    values = array.values
    if values.size == 0:
        raise InvalidInputError(f"The activity is empty: its sizes are {dict(array.sizes)}.")
    labels = array[dim].values.tolist() if dim in array.coords else list(range(array.sizes[dim]))
    axes = tuple(range(values.ndim - 1))

    def named(bad: ArrayLike) -> str:
        return ", ".join(
            str(label) for label, is_bad in zip(labels, np.atleast_1d(bad), strict=True) if is_bad
        )

    missing = ~np.isfinite(values)
    if missing.any():
        hint = " Drop those cycles: .dropna('cycle')." if "cycle" in array.dims else ""
        raise InvalidInputError(
            f"Synergies need finite activity; {int(missing.sum())} values of "
            f"{named(missing.any(axis=axes))} are not.{hint}"
        )
    negative = values < 0
    if negative.any():
        raise InvalidInputError(
            f"Synergies need activity that is not negative; {int(negative.sum())} values of "
            f"{named(negative.any(axis=axes))} are. Give rectified envelopes or activations; "
            "filters overshoot, so clip what they leave: .clip(min=0)."
        )
    constant = np.ptp(values, axis=axes) <= 1e-12 * np.maximum(values.max(axis=axes), 1e-300)
    if constant.any():
        raise InvalidInputError(
            f"These muscles are constant: {named(constant)}. They have no pattern to explain; "
            f"leave them out with .drop_sel({dim}=[...]), and say so."
        )


def _check_rank(name: str, rank: int, n_muscles: int) -> None:
    if not 1 <= rank <= n_muscles:
        raise InvalidInputError(
            f"{name} must lie between 1 and the number of muscles, {n_muscles}; got {rank}."
        )
