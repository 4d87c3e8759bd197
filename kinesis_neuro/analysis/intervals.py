"""Confidence intervals of correlations, at the level of people and of training seeds.

Cycles of one deterministic policy, or pairs that share a person, are no independent draws. So
intervals are made on Fisher's z over people (and seeds), never over cycles or pairs.
A percentile bootstrap
over four people covers 80 % where it says 95 %, so it is not offered; docs/comparison.md has the
measured coverage of those that are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]

_LARGEST_R = 1 - 1e-9


class Interval(NamedTuple):
    """A mean with its limits, and the degrees of freedom that they rest on."""

    mean: FloatArray
    low: FloatArray
    high: FloatArray
    df: FloatArray


def fisher_z(r: FloatArray) -> FloatArray:
    """Fisher's z of correlations; +-1 is kept finite."""
    return np.arctanh(np.clip(r, -_LARGEST_R, _LARGEST_R))


def crossed_interval(r: FloatArray, confidence: float = 0.95) -> Interval:
    """Interval of the mean correlation over seeds and people, who are crossed.

    Two-way random effects on Fisher's z: the variance of the grand mean is (MS_seed + MS_subject -
    MS_residual) / (n_seeds n_subjects), with degrees of freedom after Satterthwaite (1946). With
    one seed or one person the other alone is random, and this is Student's t; what the lone one
    would add is not in the interval.

    Parameters
    ----------
    r : ndarray, shape (n_seeds, n_subjects, ...)
    confidence : float

    Returns
    -------
    Interval
        Of shape (...), turned back into correlations; limits are NaN where there is one seed and
        one person.

    Examples
    --------
    >>> interval = crossed_interval(np.array([[0.3, 0.5, 0.4, 0.45]]))
    >>> bool(interval.low < interval.mean < interval.high), float(interval.df)
    (True, 3.0)
    """
    if not 0 < confidence < 1:
        raise InvalidInputError(f"confidence must lie between 0 and 1, got {confidence}.")
    z = fisher_z(np.asarray(r, dtype=float))
    n_seeds, n_people = z.shape[:2]
    mean = z.mean(axis=(0, 1))
    seeds, people = z.mean(axis=1), z.mean(axis=0)
    ms_seed = n_people * seeds.var(axis=0, ddof=1) if n_seeds > 1 else np.zeros(mean.shape)
    ms_people = n_seeds * people.var(axis=0, ddof=1) if n_people > 1 else np.zeros(mean.shape)
    if n_seeds > 1 and n_people > 1:
        rest = z - seeds[:, None] - people[None] + mean
        df_rest = (n_seeds - 1) * (n_people - 1)
        ms_rest = (rest**2).sum(axis=(0, 1)) / df_rest
        # Chance may make the estimate fall below what either factor alone has.
        estimate = np.maximum(ms_seed + ms_people - ms_rest, np.maximum(ms_seed, ms_people))
        # Satterthwaite on the two terms that dominate; the residual's share is left out, which
        # lowers the degrees of freedom.
        spread = ms_seed**2 / (n_seeds - 1) + ms_people**2 / (n_people - 1)
        df = estimate**2 / np.where(spread > 0, spread, np.nan)
    elif n_seeds > 1 or n_people > 1:
        estimate = ms_seed + ms_people
        df = np.full(mean.shape, float(max(n_seeds, n_people) - 1))
    else:
        nothing = np.full(mean.shape, np.nan)
        return Interval(np.tanh(mean), nothing, nothing, np.zeros(mean.shape))
    half = stats.t.ppf(0.5 + confidence / 2, df) * np.sqrt(estimate / (n_seeds * n_people))
    return Interval(np.tanh(mean), np.tanh(mean - half), np.tanh(mean + half), df)


def bca_interval(
    r: FloatArray, confidence: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> Interval:
    """Bias-corrected and accelerated bootstrap of the mean of Fisher's z over people (Efron 1987).

    For more than about ten people; below that it covers too little, and t is the better choice.

    Parameters
    ----------
    r : ndarray, shape (n_subjects,)
    confidence : float
    n_resamples : int
    seed : int

    Raises
    ------
    InvalidInputError
        With fewer than three people.

    Examples
    --------
    >>> interval = bca_interval(np.array([0.3, 0.5, 0.4, 0.45, 0.2, 0.6]))
    >>> bool(interval.low < interval.mean < interval.high)
    True
    """
    z = fisher_z(np.asarray(r, dtype=float))
    if z.ndim != 1 or z.size < 3:
        raise InvalidInputError(f"A bootstrap needs three people or more, got shape {z.shape}.")
    result = stats.bootstrap(
        (z,), np.mean, confidence_level=confidence, n_resamples=n_resamples, method="BCa",
        rng=np.random.default_rng(seed), vectorized=True,
    )  # fmt: skip
    limits = result.confidence_interval
    mean, low, high = (np.asarray(np.tanh(v)) for v in (z.mean(), limits.low, limits.high))
    return Interval(mean, low, high, np.asarray(np.nan))
