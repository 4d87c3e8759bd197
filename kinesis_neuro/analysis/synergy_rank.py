"""How many synergies: six named rules, reported together because they disagree.

``vaf``
    The fewest with global VAF of at least 0.90 (Torres-Oviedo & Ting 2006). It holds for
    independent noise as well: smooth non-negative curves of any origin reach it.
``muscle_vaf``
    The same, and VAF of at least 0.75 in each muscle.
``r_squared_knee``
    The first rank from which the curve of R^2 is straight: a line fitted to the rest of it has a
    mean squared error below 1e-4 (Cheung et al. 2005; Santuz et al. 2017). It depends on
    `max_rank`.
``cross_validation``
    Held-out cycles are predicted by the factorised mean of the other cycles. The fewest synergies
    whose held-out VAF is within one standard error (of the paired difference over folds) of the
    best. Activity that repeats counts as signal, whether muscles share it or not.
``muscle_cross_validation``
    Weights from the other cycles; in held-out cycles, each group of muscles is predicted from the
    activations that the remaining muscles give (bi-cross-validation, Owen & Perry 2009). Only what
    muscles share counts: a synergy of a single muscle cannot be seen.
``parallel_analysis``
    Synergies are added while each explains a larger part of what the ones before it left than it
    would in 5 % of surrogates (p <= 0.05: with 20 of them, more than in all). Those keep the
    synergies found so far, and shift what they leave of each muscle in each cycle independently
    round the cycle (clipped at zero, so that they stay non-negative): the same bursts and the same
    noise, without the coordination. The first synergy always counts. (Horn's analysis compares the
    gains with those of wholly shifted data; among non-negative curves the first synergy takes most
    of the power, and the later ones then fall below the surrogates' although they are real.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from kinesis_neuro.analysis import nmf
from kinesis_neuro.analysis._inputs import FloatArray
from kinesis_neuro.errors import InvalidInputError

RULES = (
    "cross_validation",
    "muscle_cross_validation",
    "parallel_analysis",
    "vaf",
    "muscle_vaf",
    "r_squared_knee",
)

_TOLERANCE, _ITERATIONS = 1e-3, 200
"""Convergence of fits that only rank the ranks."""

_RIDGE = 0.02
"""Penalty on activations that the muscles at hand hardly show; weights have unit length."""


@dataclass(frozen=True)
class RankOptions:
    """Parameters of the rules.

    Attributes
    ----------
    vaf_threshold, muscle_vaf_threshold : float
        What counts as explained [1].
    knee_error : float
        Mean squared error of a line below which the curve of R^2 is straight [1].
    folds : int
        Parts into which cycles are dealt; fewer if there are fewer cycles.
    muscle_folds : int
        Groups of muscles, each predicted from the others.
    surrogates : int
        Shifted copies.
    surrogate_quantile : float
        Of the surrogates' gains, what real ones must exceed: all of them, where there are too few
        to tell.
    restarts : int
        Random starts for each fit within a rule.
    rows : int
        Rows (cycles times samples) that a rule's fits see; every other, third, ... sample, and
        then the first cycles, are taken to stay below.
    """

    vaf_threshold: float = 0.9
    muscle_vaf_threshold: float = 0.75
    knee_error: float = 1e-4
    folds: int = 5
    muscle_folds: int = 4
    surrogates: int = 20
    surrogate_quantile: float = 0.95
    restarts: int = 3
    rows: int = 500

    def __post_init__(self) -> None:
        if min(self.folds, self.muscle_folds, self.surrogates) < 2 or self.restarts < 1:
            raise InvalidInputError(
                "folds, muscle_folds and surrogates must be 2 or more, and restarts 1 or more; got "
                f"{self.folds}, {self.muscle_folds}, {self.surrogates} and {self.restarts}."
            )
        parts = (self.vaf_threshold, self.muscle_vaf_threshold, self.surrogate_quantile)
        if not all(0 < part < 1 for part in parts):
            raise InvalidInputError(
                f"Thresholds and quantiles must lie between 0 and 1, got {parts}."
            )


@dataclass(frozen=True)
class RankReport:
    """What the rules say: curves over rank, the choice of each (0: none), and why there is none."""

    variables: dict[str, xr.Variable]
    chosen: dict[str, int]
    not_evaluated: dict[str, str] = field(default_factory=dict)


def rank_rules(
    values: FloatArray,
    cycles: FloatArray,
    dim: str,
    fits: Mapping[int, nmf.Factors],
    options: RankOptions,
    rng: np.random.Generator,
) -> RankReport:
    """Evaluate all rules.

    Parameters
    ----------
    values : ndarray
        (cycle, sample, muscle) as they were factorised.
    cycles : ndarray
        The same, never averaged.
    dim : str
        Name of the dim of muscles.
    fits : mapping of int to Factors
        The factorisations of ranks 1, 2, ...
    options : RankOptions
        Parameters.
    rng : Generator
        Source of folds, starts and surrogates.

    Returns
    -------
    RankReport
        Curves, choices and reasons.
    """
    rows = values.reshape(-1, values.shape[-1])
    quality = [nmf.explained(rows, f.activation.T @ f.weight) for f in fits.values()]
    vaf, r_squared, muscle_vaf = (
        np.array([q[key] for q in quality]) for key in ("vaf", "r_squared", "muscle_vaf")
    )
    curves: dict[str, FloatArray] = {
        "rank_vaf": vaf,
        "rank_r_squared": r_squared,
        "rank_muscle_vaf": muscle_vaf,
    }
    enough = vaf >= options.vaf_threshold
    every = enough & (muscle_vaf >= options.muscle_vaf_threshold).all(axis=1)
    chosen = {"r_squared_knee": _knee(r_squared, options.knee_error)}
    not_evaluated = {}
    for name, reached in (("vaf", enough), ("muscle_vaf", every)):
        chosen[name] = int(reached.argmax()) + 1 if reached.any() else 0
        if not reached.any():
            not_evaluated[name] = f"the threshold is not reached up to rank {len(vaf)}"

    held_out = {"cross_validation": _held_out_cycles, "muscle_cross_validation": _held_out_muscles}
    for name, function in held_out.items():
        if cycles.shape[0] < 2:
            chosen[name], not_evaluated[name] = 0, "there is one cycle, and none can be held out"
            continue
        scores = function(cycles, len(vaf), options, rng)
        curves[f"rank_{name}"] = scores.mean(axis=1)
        chosen[name] = _within_one_error(scores)
    gain, limit = _parallel(values, len(vaf), options, rng)
    curves |= {"rank_parallel_gain": gain, "rank_parallel_limit": limit}
    # The first one always counts: what non-negative muscles share before all else is their mean
    # level, and shifting leaves that in place.
    passed = np.r_[True, gain[1:] > limit[1:], False]
    chosen["parallel_analysis"] = int(passed.argmin())

    variables = {
        name: xr.Variable(("rank", dim)[: curve.ndim], curve, {"units": "1"})
        for name, curve in curves.items()
    }
    for name in RULES:
        variables[f"chosen_{name}"] = xr.Variable((), chosen[name], {"units": "1"})
    return RankReport(variables, chosen, not_evaluated)


def _knee(r_squared: FloatArray, limit: float) -> int:
    """Find the first rank from which a line describes the rest of the curve."""
    rank = np.arange(len(r_squared), dtype=float)
    for first in range(len(rank) - 2):
        x, y = rank[first:] - rank[first:].mean(), r_squared[first:] - r_squared[first:].mean()
        rest = y - x * (x @ y) / (x @ x)
        if (rest**2).mean() < limit:
            return first + 1
    return max(len(rank) - 1, 1)


def _within_one_error(scores: FloatArray) -> int:
    """Choose the lowest rank that is no worse than the best, up to one standard error.

    ``scores`` is (rank, fold). Folds share their difficulty, so that differences are paired.
    """
    behind = scores[scores.mean(axis=1).argmax()] - scores
    error = behind.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])
    return int((behind.mean(axis=1) <= error + 1e-12).argmax()) + 1


def _thinned(values: FloatArray, rows: int, fewest: int = 25) -> FloatArray:
    """Take fewer samples of each cycle (never below `fewest`), then fewer cycles."""
    stride = max(1, min(-(-values[..., 0].size // rows), values.shape[1] // fewest))
    values = values[:, ::stride]
    return values[: max(2, rows // values.shape[1])]


def _batch_fit(
    x: FloatArray, rank: int, restarts: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Weights (batch, rank, muscle) and VAF (batch,): the best of some starts for each matrix."""
    n = x.shape[0]
    starts = nmf.random_weights(x.reshape(-1, x.shape[-1]), rank, n * restarts, rng)
    found = nmf.alternate(np.repeat(x, restarts, axis=0), starts, _TOLERANCE, _ITERATIONS)
    vaf = found.vaf.reshape(n, restarts)
    best = vaf.argmax(axis=1) + np.arange(n) * restarts
    return found.weight[best], found.vaf[best]


def _fold_of(n_cycles: int, options: RankOptions, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(np.arange(n_cycles) % min(options.folds, n_cycles))


def _held_out_cycles(
    cycles: FloatArray, max_rank: int, options: RankOptions, rng: np.random.Generator
) -> FloatArray:
    """VAF (rank, fold) of held-out cycles by the factorised mean of the others."""
    fold = _fold_of(len(cycles), options, rng)
    own = fold == np.arange(fold.max() + 1)[:, None]  # (fold, cycle)
    count, total = own.sum(axis=1)[:, None, None], np.tensordot(own, cycles, axes=1)
    mean = (cycles.sum(axis=0) - total) / (len(cycles) - count)
    power = np.array([(cycles[held] ** 2).sum() for held in own])
    scores = np.empty((max_rank, len(own)))
    for rank in range(1, max_rank + 1):
        weight, _ = _batch_fit(mean, rank, options.restarts, rng)
        estimate = np.swapaxes(nmf.project(mean, weight, 1e-3), -1, -2) @ weight
        # Sum over held-out cycles of |x - estimate|^2, from sums alone.
        error = power - 2 * (estimate * total).sum(axis=(1, 2))
        error += (count * estimate**2).sum(axis=(1, 2))
        scores[rank - 1] = 1 - error / power
    return scores


def _held_out_muscles(
    cycles: FloatArray, max_rank: int, options: RankOptions, rng: np.random.Generator
) -> FloatArray:
    """VAF (rank, fold) of groups of muscles in held-out cycles by the remaining muscles."""
    cycles = _thinned(cycles, options.rows)
    n_cycles, _, n_muscles = cycles.shape
    fold = _fold_of(n_cycles, options, rng)
    own = fold == np.arange(fold.max() + 1)[:, None]
    groups = min(options.muscle_folds, n_muscles)
    group = rng.permutation(np.arange(n_muscles) % groups)
    # Rows of zeros instead of the cycles held out (or kept) leave every sum as it is.
    kept = np.where(own[:, :, None, None], 0.0, cycles).reshape(len(own), -1, n_muscles)
    held = np.where(own[:, :, None, None], cycles, 0.0).reshape(len(own), -1, n_muscles)
    seen = (group != np.arange(groups)[:, None])[:, None, None, :]  # (group, 1, 1, muscle)
    scores = np.empty((max_rank, len(own)))
    for rank in range(1, max_rank + 1):
        weight, _ = _batch_fit(kept, rank, options.restarts, rng)
        activation = nmf.project(held * seen, weight * seen, 1e-3, ridge=_RIDGE)
        estimate = np.swapaxes(activation, -1, -2) @ weight
        error = (np.where(seen, 0.0, held - estimate) ** 2).sum(axis=(0, 2, 3))
        scores[rank - 1] = 1 - error / (held**2).sum(axis=(1, 2))
    return scores


def _parallel(
    values: FloatArray, max_rank: int, options: RankOptions, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Part of what is left that each synergy explains, and the surrogates' quantile of it."""
    values = _thinned(values, options.rows)
    n_cycles, n, n_muscles = values.shape
    rows = values.reshape(1, -1, n_muscles)
    gain, limit = np.empty(max_rank), np.empty(max_rank)
    weight, kept, left = np.zeros((0, n_muscles)), np.zeros_like(values), 1.0
    for rank in range(1, max_rank + 1):
        found, vaf = _batch_fit(rows, rank, options.restarts, rng)
        gain[rank - 1] = 1 - (1 - vaf[0]) / max(left, 1e-12)
        shift = rng.integers(0, n, (options.surrogates, n_cycles, 1, n_muscles))
        index = (np.arange(n)[:, None] + shift) % n
        moved = np.take_along_axis((values - kept)[None], index, axis=2)
        surrogate = np.maximum(kept + moved, 0).reshape(options.surrogates, -1, n_muscles)
        before = _warm_left(surrogate, weight, 0, options, rng)
        after = _warm_left(surrogate, weight, 1, options, rng)
        chance = 1 - after / np.maximum(before, 1e-12)
        limit[rank - 1] = np.sort(chance)[-allowed_place(options)]
        weight, left = found[0], 1 - vaf[0]
        kept = (nmf.project(rows[0], weight, 1e-3).T @ weight).reshape(values.shape)
    return gain, limit


def allowed_place(options: RankOptions) -> int:
    """Give the place from above of the surrogate that must be exceeded for p <= 1 - quantile.

    With p = (1 + as many as reach the real gain) / (1 + all): of 20 surrogates at 0.95, the first.
    An interpolated quantile of so few would be exceeded by chance twice as often as it says.
    """
    tail = (1 - options.surrogate_quantile) * (options.surrogates + 1)
    return max(1, int(tail + 1e-9))


def _warm_left(
    x: FloatArray, weight: FloatArray, extra: int, options: RankOptions, rng: np.random.Generator
) -> FloatArray:
    """Unexplained part (batch,) of fits that start from known weights and random further ones."""
    if len(weight) + extra == 0:
        return np.ones(len(x))
    starts = options.restarts if extra else 1
    known = np.broadcast_to(weight, (len(x) * starts, *weight.shape))
    new = nmf.random_weights(x.reshape(-1, x.shape[-1]), max(extra, 1), len(known), rng)
    start = np.concatenate([known, new[:, :extra]], axis=1)
    found = nmf.alternate(np.repeat(x, starts, axis=0), start, _TOLERANCE, _ITERATIONS)
    return 1 - found.vaf.reshape(len(x), starts).max(axis=1)
