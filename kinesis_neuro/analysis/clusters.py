"""Cluster-based permutation tests of curves, with whole subjects exchanged.

Maris & Oostenveld (2007): a t statistic at each point; neighbouring points beyond a threshold, of
one sign, form a cluster; its mass is the sum of their t; the largest mass of each permutation makes
the null. A cluster with p < 0.05 says that the curves differ **somewhere**, not that they differ at
each of its points or that its edges are where the difference begins. What is exchanged is a
subject's mean curve: cycles of one person are no independent samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from kinesis_neuro.analysis._inputs import (
    FloatArray,
    coords_along,
    exact_align,
    is_closed,
    keeps_attrs,
    labels_along,
    open_cycle,
    pick,
)
from kinesis_neuro.analysis.designs import Design, permuted, subject_means
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.schema import encode_attr

Data = xr.DataArray | xr.Dataset

DESIGNS = ("one_sample", "two_sample", "paired", "regression")
_BLOCK = 4_000_000
"""Values of t that are held at once."""


@dataclass(frozen=True)
class ClusterTest:
    """Result of a cluster-based permutation test.

    Attributes
    ----------
    table : DataFrame
        One row a cluster: where it starts and stops (in the units of the dim; a cluster round the
        circle stops before it starts), its ``mass``, ``p_value`` (among the largest clusters of its
        own curve) and ``p_value_all`` (among the largest of all curves), the point of the largest
        ``|t|``, and labels of further dims.
    dataset : Dataset
        ``t``, ``cluster`` (number of the row of the table, -1: none), ``p_value`` of the cluster at
        each point (1 outside), ``n`` of subjects at each point, and the attributes: design,
        threshold, number of permutations, what was dropped.
    """

    table: pd.DataFrame
    dataset: xr.Dataset

    def summary(self, level: float = 0.05) -> str:
        """Say in a sentence what was found.

        Parameters
        ----------
        level : float
            Level of significance.

        Returns
        -------
        str
            The sentence.
        """
        attrs = self.dataset.attrs
        found = int((self.table["p_value"] < level).sum())
        return (
            f"{attrs['design']} test, {attrs['n_permutations']} permutations of subjects "
            f"({'all there are' if attrs['exact'] else 'drawn'}), |t| > {attrs['threshold']:.3f}: "
            f"{found} of {len(self.table)} clusters with p < {level:g}"
        )


@keeps_attrs
def cluster_permutation_test(
    a: Data,
    b: Data | None = None,
    dim: str = "phase",
    unit: str = "subject",
    n_permutations: int = 1000,
    seed: int = 0,
    *,
    design: str | None = None,
    regressor: ArrayLike | None = None,
    threshold: float | None = None,
    cyclic: bool | None = None,
    equal_variance: bool = True,
) -> ClusterTest:
    """Test where curves differ from zero, from each other, or with a covariate.

    Designs: ``one_sample`` (a against 0) and ``paired`` (a - b of the same subjects) flip signs of
    subjects; ``two_sample`` (Student's t, pooled) deals subjects anew; ``regression`` (t of the
    slope on a covariate) permutes the covariate. Cycles, if there are any, are averaged within
    each subject first, so that subjects count the same however many cycles they have. Missing
    values are left out point by point; a subject without any value is dropped and listed. If there
    are no more than `n_permutations` sign flips, all of them are made.

    Exchange presumes that without an effect all subjects' means vary alike. Where their precision
    goes with what is tested (the noisy means, of few cycles, in the smaller of two groups, or at
    the ends of the covariate), two_sample and regression reject too often, a third of the time and
    more at worst (``benchmarks/analysis.md``). Take as many cycles of everyone then; for two
    samples ``equal_variance=False`` helps, little with five in a group. Sign flips do not mind.

    Parameters
    ----------
    a, b : DataArray or Dataset
        Curves over `unit` and `dim`, with or without ``cycle``; or over ``cycle`` and `dim` with a
        coordinate `unit` along cycle (unbalanced numbers of cycles). NaN is missing. Further dims
        (muscles) are tested each.
    dim : str
        Along which neighbours form clusters.
    unit : str
        What is exchanged.
    n_permutations : int
        Permutations.
    seed : int
        Of the permutations.
    design : {"one_sample", "two_sample", "paired", "regression"}, optional
        By default one_sample without b, two_sample with b, regression with a regressor.
    regressor : array_like, optional
        One number for each subject of `a`, in its order (sorted labels for cycles in long form).
    threshold : float, optional
        ``|t|`` beyond which points form clusters; two-sided p < 0.05 by default.
    cyclic : bool, optional
        Whether clusters run on across the end of the cycle; by default if the grid of phase is
        closed.
    equal_variance : bool
        Student's t of two samples; Welch's if not, which permutation of groups that vary
        unlike leaves valid as they grow (Janssen 1997; Chung & Romano 2013).

    Returns
    -------
    ClusterTest
        Table of clusters and curves.

    Raises
    ------
    InvalidInputError
        If there are too few subjects, labels differ, or arguments do not fit together.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> phase = np.linspace(0, 1, 51)
    >>> bump = np.exp(-(((phase - 0.4) / 0.1) ** 2))
    >>> group = [
    ...     xr.DataArray(rng.standard_normal((12, 51)) * 0.5 + k * bump, {"phase": phase},
    ...                  ("subject", "phase")) for k in (0, 2)
    ... ]
    >>> test = cluster_permutation_test(*group, n_permutations=200)
    >>> bool(test.table.p_value.min() < 0.05)
    True
    """
    name = design or ("regression" if regressor is not None else "two_sample" if b is not None
                      else "one_sample")  # fmt: skip
    _check_arguments(name, b, regressor, n_permutations, threshold)
    arrays = [pick(x, (dim,)) for x in (a, b) if x is not None]
    closed = dim in arrays[0].coords and dim == "phase" and is_closed(arrays[0], dim)
    wraps = closed if cyclic is None else cyclic
    arrays = [open_cycle(x, dim) if closed and wraps else x for x in arrays]
    means = [subject_means(x, unit, dim) for x in arrays]
    if len(means) == 2:
        exact_align(means[0], means[1], exclude=() if name == "paired" else (unit,))
    prepared = Design.of(name, means, unit, dim, regressor, equal_variance)
    flips = permuted(prepared, n_permutations, np.random.default_rng(seed))
    limit = threshold or float(stats.t.ppf(0.975, prepared.degrees_of_freedom))

    observed = prepared.statistic(flips.identity)[0]  # (curve, point)
    runs = _runs(observed, limit, wraps)
    largest = np.concatenate(
        [
            _largest_mass(prepared.statistic(block), limit, wraps)
            for block in flips.blocks(max(1, _BLOCK // max(observed.size, 1)))
        ]
    )  # (permutation, curve)
    mass = np.array([run.mass for run in runs])
    curve = np.array([run.curve for run in runs], dtype=int)
    # The observed arrangement is one of the permutations; all of them include it already.
    extra, total = (0, len(largest)) if flips.exact else (1, len(largest) + 1)
    size = np.abs(mass) * (1 - 1e-9)
    p = (extra + (largest[:, curve] >= size).sum(axis=0)) / total
    p_all = (extra + (largest.max(axis=1)[:, None] >= size).sum(axis=0)) / total
    table, dataset = _reported(prepared, observed, runs, p, p_all, means[0], dim)
    if closed and wraps:  # give the closed grid back that was handed in
        again = dataset.isel({dim: [0]}).assign_coords({dim: [float(dataset[dim][0]) + 1.0]})
        dataset = xr.concat([dataset, again], dim, data_vars="minimal")
    dataset.attrs = {
        "design": name,
        "unit": unit,
        "threshold": limit,
        "equal_variance": int(equal_variance),
        "cyclic": int(wraps),
        "n_permutations": int(total),
        "exact": int(flips.exact),
        "smallest_p": 1.0 / total * (2 if flips.exact and prepared.symmetric else 1),
        "seed": int(seed),
        "n_units": encode_attr(prepared.sizes),
        "dropped": encode_attr(prepared.dropped),
    }
    return ClusterTest(table, dataset)


@dataclass(frozen=True)
class _Run:
    """A cluster: its curve, first point, number of points and signed mass."""

    curve: int
    first: int
    length: int
    mass: float


def _check_arguments(
    name: str,
    b: object,
    regressor: object,
    n_permutations: int,
    threshold: float | None,
) -> None:
    if name not in DESIGNS:
        raise InvalidInputError(
            f"Invalid value for 'design'. Allowed values are {', '.join(DESIGNS)}, but got "
            f"{name!r} instead."
        )
    if (b is not None) != (name in ("two_sample", "paired")):
        raise InvalidInputError(
            f"The design {name!r} takes {'two inputs' if b is None else 'one input'}, but got "
            f"{'one' if b is None else 'two'}."
        )
    if (regressor is not None) != (name == "regression"):
        raise InvalidInputError("A regressor goes with design='regression', and only with it.")
    if n_permutations < 1:
        raise InvalidInputError(f"n_permutations must be 1 or more, got {n_permutations}.")
    if threshold is not None and not threshold > 0:
        raise InvalidInputError(f"threshold must be positive, got {threshold}.")


def _signs(t: FloatArray, limit: float) -> NDArray[np.int8]:
    return ((t > limit).astype(np.int8) - (t < -limit)).astype(np.int8)


def _segments(t: FloatArray, limit: float) -> tuple[NDArray, NDArray, NDArray, FloatArray]:
    """Find all runs of one sign in rows (row, point): row, first point, stop, mass."""
    n_rows, n = t.shape
    sign = np.zeros((n_rows, n + 1), dtype=np.int8)  # a zero ends every row
    sign[:, :n] = _signs(t, limit)
    flat = sign.ravel()
    starts = np.flatnonzero((flat != 0) & (flat != np.r_[0, flat[:-1]]))
    stops = np.flatnonzero((flat != 0) & (flat != np.r_[flat[1:], 0])) + 1
    values = np.zeros((n_rows, n + 1))
    values[:, :n] = np.where(sign[:, :n] != 0, t, 0.0)
    edges = np.stack([starts, stops], axis=1).ravel()
    mass = np.add.reduceat(values.ravel(), edges)[::2] if edges.size else np.zeros(0)
    row = starts // (n + 1)
    return row, starts - row * (n + 1), stops - row * (n + 1), mass


def _largest_mass(t: FloatArray, limit: float, wraps: bool) -> FloatArray:
    """Largest |mass| of each curve, (permutation, curve), of t (permutation, curve, point)."""
    shape, n = t.shape[:-1], t.shape[-1]
    rows = t.reshape(-1, n)
    row, first, stop, mass = _segments(rows, limit)
    largest = np.zeros(len(rows))
    np.maximum.at(largest, row, np.abs(mass))
    if wraps:
        sign = _signs(rows[:, [0, -1]], limit)
        joined = (sign[:, 0] != 0) & (sign[:, 0] == sign[:, 1])
        head, tail = np.zeros(len(rows)), np.zeros(len(rows))
        whole = (first == 0) & (stop == n)
        head[row[(first == 0) & ~whole]] = mass[(first == 0) & ~whole]
        tail[row[(stop == n) & ~whole]] = mass[(stop == n) & ~whole]
        largest = np.where(joined, np.maximum(largest, np.abs(head + tail)), largest)
    return largest.reshape(shape)


def _runs(t: FloatArray, limit: float, wraps: bool) -> list[_Run]:
    """Clusters of the observed curves (curve, point), joined round the circle."""
    n = t.shape[-1]
    found = [_Run(int(r), int(f), int(s - f), float(m))
             for r, f, s, m in zip(*_segments(t, limit), strict=True)]  # fmt: skip
    if not wraps:
        return found
    runs = []
    for run in found:
        ends = [x for x in found if x.curve == run.curve and x.first + x.length == n]
        starts = [x for x in found if x.curve == run.curve and x.first == 0]
        join = bool(ends and starts and ends[0] is not starts[0])
        join = join and ends[0].mass * starts[0].mass > 0
        if join and run is starts[0]:
            continue
        if join and run is ends[0]:
            run = _Run(run.curve, run.first, run.length + starts[0].length,
                       run.mass + starts[0].mass)  # fmt: skip
        runs.append(run)
    return runs


def _reported(
    prepared: Design,
    t: FloatArray,
    runs: list[_Run],
    p: FloatArray,
    p_all: FloatArray,
    like: xr.DataArray,
    dim: str,
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Put clusters into a table, and on the curves."""
    grid = labels_along(like, dim)
    others = prepared.other_dims
    shape = tuple(like.sizes[d] for d in others)
    number, at = np.full(t.shape, -1), np.ones(t.shape)
    records = []
    for k, run in enumerate(runs):
        points = (run.first + np.arange(run.length)) % t.shape[1]
        number[run.curve, points], at[run.curve, points] = k, p[k]
        place = dict(zip(others, np.unravel_index(run.curve, shape), strict=True)) if shape else {}
        records.append(
            {d: labels_along(like, d)[i] for d, i in place.items()}
            | {
                "start": grid[points[0]],
                "stop": grid[points[-1]],
                "peak": grid[points[np.abs(t[run.curve, points]).argmax()]],
                "n_points": run.length,
                "mass": run.mass,
                "p_value": float(p[k]),
                "p_value_all": float(p_all[k]),
            }
        )
    columns = [*others, "start", "stop", "peak", "n_points", "mass", "p_value", "p_value_all"]
    dims = (*others, dim)
    values = {"t": t, "cluster": number, "p_value": at, "n": prepared.counts}
    dataset = xr.Dataset(
        {k: (dims, v.reshape(*shape, -1), {"units": "1"}) for k, v in values.items()},
        coords=coords_along(like, dims),
    )
    return pd.DataFrame(records, columns=columns), dataset
