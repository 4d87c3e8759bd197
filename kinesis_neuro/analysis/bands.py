"""Bands around mean curves: bootstrap over subjects, and point-wise mixed models.

A point-wise band covers each point of the true curve with its level, and the whole curve far less
often. A simultaneous band covers the whole curve: the largest deviation along it sets its width.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from kinesis_neuro.analysis._inputs import (
    FloatArray,
    choice,
    coords_along,
    increasing,
    keeps_attrs,
    labels_along,
    pick,
)
from kinesis_neuro.analysis.designs import subject_means
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.schema import encode_attr

Data = xr.DataArray | xr.Dataset

KINDS = ("simultaneous", "pointwise")
FEWEST_SUBJECTS = 4


@keeps_attrs
def bootstrap_band(
    data: Data,
    dim: str = "phase",
    unit: str = "subject",
    level: float = 0.95,
    kind: str = "simultaneous",
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """Band around the mean curve of subjects, by a studentised wild bootstrap of whole subjects.

    In each draw the deviations of whole subjects from the mean keep or change their sign (Liu
    1988), which gives ``|mean*| / standard error*`` at each point or at its largest along the
    curve; the band is the mean plus and minus its quantile times the standard error. (A percentile
    bootstrap over four subjects covers 80 % instead of 95 %; drawing subjects with replacement and
    studentising makes the simultaneous band of ten subjects cover 99.9 %.)

    Parameters
    ----------
    data : DataArray or Dataset
        Curves over `unit` and `dim`, with or without ``cycle``, or cycles with a coordinate `unit`.
        Cycles are averaged within subjects first; a subject with a missing value is dropped.
    dim : str
        Along which the band is simultaneous.
    unit : str
        What is resampled.
    level : float
        Coverage.
    kind : {"simultaneous", "pointwise"}
        What is covered.
    n_bootstrap : int
        Draws.
    seed : int
        Of the draws.

    Returns
    -------
    Dataset
        ``mean``, ``low``, ``high`` in the units of the data and ``standard_error``; attributes
        count subjects used and dropped.

    Raises
    ------
    InvalidInputError
        If there are fewer than four whole subjects, or an argument is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = xr.DataArray(rng.standard_normal((10, 20)), dims=("subject", "phase"))
    >>> band = bootstrap_band(x, n_bootstrap=200)
    >>> bool((band.low < band["mean"]).all())
    True
    """
    choice("kind", kind, KINDS)
    _check_level(level)
    array = pick(data, (dim,))
    _check_order(array, dim)
    means = subject_means(array, unit, dim)
    whole = np.isfinite(means.values).all(axis=tuple(range(1, means.ndim)))
    kept = means.isel({unit: np.flatnonzero(whole)})
    n = kept.sizes[unit]
    if n < FEWEST_SUBJECTS:
        raise InvalidInputError(
            f"A bootstrap over {unit!r} needs {FEWEST_SUBJECTS} or more without missing values, "
            f"but got {n} of {means.sizes[unit]}."
        )
    x = kept.values.reshape(n, -1)
    rng = np.random.default_rng(seed)
    sign = rng.choice([-1.0, 1.0], (n_bootstrap, n))
    centre = x.mean(axis=0)
    moved = x - centre
    total, square = sign @ moved, (moved**2).sum(axis=0)
    left = np.maximum(square - total**2 / n, 0)  # 0 where all deviations have one sign
    error = np.sqrt(square / (n - 1) / n)
    floor = 1e-6 * np.maximum(error, 1e-300)
    t = np.abs(total) / n / np.maximum(np.sqrt(left / (n - 1) / n), floor)
    t = np.where(error > 0, t, 0.0).reshape(n_bootstrap, -1, means.sizes[dim])
    if kind == "simultaneous":
        quantile = np.quantile(t.max(axis=2), level, axis=0)[:, None] * np.ones(t.shape[2])
    else:
        quantile = np.quantile(t, level, axis=0)
    half = (quantile.ravel() * error).reshape(kept.shape[1:])
    like = kept.isel({unit: 0}, drop=True)
    centre = centre.reshape(kept.shape[1:])
    result = xr.Dataset(
        {
            "mean": like.copy(data=centre),
            "low": like.copy(data=centre - half),
            "high": like.copy(data=centre + half),
            "standard_error": like.copy(data=error.reshape(kept.shape[1:])),
        }
    )
    units = {"units": str(array.attrs.get("units", "1"))}
    for variable in result.data_vars.values():
        variable.attrs = dict(units)
    result.attrs = {
        "kind": kind,
        "level": float(level),
        "unit": unit,
        "n_units": int(n),
        "n_dropped": int((~whole).sum()),
        "dropped": encode_attr([str(v) for v in labels_along(means, unit)[~whole]]),
        "n_bootstrap": int(n_bootstrap),
        "seed": int(seed),
    }
    return result


@keeps_attrs
def mixed_model_band(
    data: Data,
    regressor: ArrayLike | None = None,
    dim: str = "phase",
    unit: str = "subject",
    level: float = 0.95,
    n_simulations: int = 5000,
    seed: int = 0,
) -> xr.Dataset:
    """Mixed model at each point of the curve, with simultaneous bands of its coefficients.

    value ~ 1 + regressor, with a random intercept for each subject, by restricted maximum
    likelihood (statsmodels MixedLM): cycles may be unbalanced. The simultaneous band takes the
    correlation of the estimates along the curve from each subject's contribution to them, and the
    quantile of the largest ``|t|`` of a multivariate t with that correlation.

    Parameters
    ----------
    data : DataArray or Dataset
        Cycles over ``cycle`` and `dim` with a coordinate `unit` along cycle, or over `unit`,
        ``cycle`` and `dim`; no further dims. A cycle with a missing value is dropped and counted.
    regressor : array_like, optional
        One number for each cycle (and subject, in the shape of the two dims): a condition as 0 and
        1, speed, ...
    dim : str
        Points.
    unit : str
        Subjects.
    level : float
        Coverage.
    n_simulations : int
        Draws for the quantile.
    seed : int
        Of the draws.

    Returns
    -------
    Dataset
        ``intercept`` (and ``slope``), each with ``_error``, ``_low`` and ``_high`` (simultaneous)
        and ``_p`` (point-wise, t with n_subjects - 1 degrees of freedom); ``subject_variance``,
        ``residual_variance``; attributes count what was used, ``n_unconverged`` points, and
        ``n_undefined`` ones at which values hardly differ (NaN there); ``dropped`` lists the
        cycles that were left out, each as [subject, cycle] (JSON).

    Raises
    ------
    InvalidInputError
        If there are fewer than four subjects, no repeats, or arguments do not fit.
    """
    import statsmodels.api as sm  # takes a second to load

    _check_level(level)
    array = pick(data, (dim, "cycle"))
    _check_order(array, dim)
    y, group, x, dropped = _long(array, regressor, dim, unit)
    labels, index = np.unique(group, return_inverse=True)
    if len(labels) < FEWEST_SUBJECTS or len(group) == len(labels):
        raise InvalidInputError(
            f"A mixed model needs {FEWEST_SUBJECTS} or more of {unit!r} and more cycles than "
            f"that, but got {len(labels)} and {len(group)} cycles."
        )
    member = (index == np.arange(len(labels))[:, None]).astype(float)
    n_points, n_terms = y.shape[1], x.shape[1]
    beta, error = np.empty((n_terms, n_points)), np.empty((n_terms, n_points))
    between, within = np.empty(n_points), np.empty(n_points)
    influence = np.empty((n_terms, len(labels), n_points))
    unconverged = 0
    defined = np.ptp(y, axis=0) > 0  # muscles that are silent there have no model
    for values in (beta, error, between, within, influence):
        values[...] = np.nan
    for k in np.flatnonzero(defined):  # statsmodels fits one response at a time
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # counted below
            fit = _fitted(sm.MixedLM(y[:, k], x, groups=index))
        if fit is None:  # hardly any value differs from the others
            defined[k] = False
            continue
        unconverged += int(not fit.converged)
        beta[:, k], within[k] = fit.fe_params, fit.scale
        between[k] = max(float(np.asarray(fit.cov_re).squeeze()), 0.0)
        error[:, k], influence[:, :, k] = _influence(
            y[:, k] - x @ beta[:, k], x, member, between[k], within[k]
        )
    if not defined.any():
        raise InvalidInputError("The data vary too little for a model at any point.")
    rng = np.random.default_rng(seed)
    freedom = len(labels) - 1
    result = xr.Dataset(coords=coords_along(array, [dim]))
    for j, name in enumerate(("intercept", "slope")[:n_terms]):
        quantile = _largest_t(influence[j][:, defined], freedom, level, n_simulations, rng)
        named = {
            "": beta[j],
            "_error": error[j],
            "_low": beta[j] - quantile * error[j],
            "_high": beta[j] + quantile * error[j],
            "_p": 2 * stats.t.sf(np.abs(beta[j]) / error[j], freedom),
        }
        result = result.assign({name + key: (dim, value) for key, value in named.items()})
        result.attrs[f"{name}_quantile"] = quantile
    result["subject_variance"], result["residual_variance"] = (dim, between), (dim, within)
    units = str(array.attrs.get("units", "1"))
    for key, variable in result.data_vars.items():
        variable.attrs["units"] = (
            "1" if str(key).endswith("_p") or units == "1"
            else f"({units})2" if "variance" in str(key) else units
        )  # fmt: skip
    result.attrs |= {
        "level": float(level),
        "n_units": len(labels),
        "n_cycles": len(group),
        "n_dropped": len(dropped),
        "dropped": encode_attr(dropped),
        "n_unconverged": unconverged,
        "n_undefined": int((~defined).sum()),
        "seed": int(seed),
    }
    return result


def _fitted(model: Any) -> Any:
    """Fit a mixed model, by Powell's method where gradients run into a singular matrix."""
    for method in (["lbfgs", "powell"], ["powell"]):
        with contextlib.suppress(np.linalg.LinAlgError):
            return model.fit(reml=True, method=method)
    return None


def _check_order(array: xr.DataArray, dim: str) -> None:
    if dim in array.coords and array[dim].dtype.kind in "fiu" and array.sizes[dim] > 1:
        increasing(array, dim)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise InvalidInputError(f"level must lie between 0 and 1, got {level}.")


def _long(
    array: xr.DataArray, regressor: ArrayLike | None, dim: str, unit: str
) -> tuple[FloatArray, NDArray, FloatArray, list[list[str]]]:
    """Bring cycles into rows: values (row, point), subject (row,), design (row, term); dropped."""
    if unit in array.dims:
        rows: tuple[str, ...] = (unit, "cycle")
        ordered = array.transpose(unit, "cycle", ..., dim)
        shape = (ordered.sizes[unit], ordered.sizes["cycle"])
        group = np.repeat(labels_along(ordered, unit), shape[1])
    elif unit in array.coords and array[unit].dims == ("cycle",):
        rows = ("cycle",)
        ordered = array.transpose("cycle", ..., dim)
        shape = (ordered.sizes["cycle"],)  # type: ignore[assignment]
        group = array[unit].values
    else:
        raise InvalidInputError(
            f"The data have no {unit!r}: neither a dim nor a coordinate along 'cycle'."
        )
    if set(array.dims) != {*rows, dim}:
        raise InvalidInputError(
            f"A mixed model takes curves over {', '.join(rows)} and {dim}, but the data lie along "
            f"{', '.join(map(str, array.dims))}. Select one of the others first."
        )
    y = ordered.values.reshape(-1, array.sizes[dim])
    x = np.ones((len(y), 1))
    if regressor is not None:
        values = np.asarray(regressor, dtype=float)
        if values.shape != shape or not np.isfinite(values).all():
            raise InvalidInputError(
                f"The regressor must be finite numbers of shape {shape}, but has {values.shape}."
            )
        x = np.column_stack([x, values.ravel()])
    whole = np.isfinite(y).all(axis=1)
    cycle = np.tile(labels_along(ordered, "cycle"), len(y) // ordered.sizes["cycle"])
    dropped = [[str(group[i]), str(cycle[i])] for i in np.flatnonzero(~whole)]
    if regressor is not None and whole.any() and np.ptp(x[whole, 1]) == 0:
        raise InvalidInputError("The regressor is constant.")
    return y[whole], group[whole], x[whole], dropped


def _influence(
    residual: FloatArray, x: FloatArray, member: FloatArray, between: float, within: float
) -> tuple[FloatArray, FloatArray]:
    """Standard errors (term,) and each subject's contribution (term, subject) to the estimates.

    The covariance of a subject's cycles is within * I + between * 1 1', whose inverse is known.
    """
    within = max(within, 1e-300)
    n = member.sum(axis=1)
    shrink = between / (within + n * between)
    x_sum = member @ x  # (subject, term)
    information = (x.T @ x - x_sum.T @ (x_sum * shrink[:, None])) / within
    score = member @ (x * residual[:, None]) - x_sum * (shrink * (member @ residual))[:, None]
    covariance = np.linalg.inv(information)
    return np.sqrt(np.diag(covariance)), covariance @ (score / within).T


def _largest_t(
    influence: FloatArray, freedom: int, level: float, n: int, rng: np.random.Generator
) -> float:
    """Quantile of the largest |t| along a curve whose estimates correlate as the subjects' do."""
    scale = np.sqrt((influence**2).sum(axis=0))
    unit = influence / np.maximum(scale, 1e-300)
    normal = rng.standard_normal((n, len(influence))) @ unit
    chi = np.sqrt(rng.chisquare(freedom, n) / freedom)
    return float(np.quantile(np.abs(normal).max(axis=1) / chi, level))
