"""Designs of permutation tests: subjects' mean curves, their t statistics, and what is exchanged.

A design is t over (permutation, curve, point) from sums over subjects; all permutations go through
one matrix product, with missing values as zeros that are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from kinesis_neuro.analysis._inputs import FloatArray, labels_along
from kinesis_neuro.errors import InvalidInputError

FEWEST = 3
"""Fewest subjects of a design; with fewer there is no spread to speak of."""

_FLAT = 1e-12


def subject_means(array: xr.DataArray, unit: str = "subject", dim: str = "phase") -> xr.DataArray:
    """Mean curve of each subject over its cycles, leaving out NaN.

    Parameters
    ----------
    array : DataArray
        Over `unit` (and ``cycle``), or over ``cycle`` with a coordinate `unit` along it.
    unit : str
        Subjects.
    dim : str
        Points of the curve.

    Returns
    -------
    DataArray
        (unit, ..., dim); NaN where a subject has no value.

    Raises
    ------
    InvalidInputError
        If the array has no such unit.

    Examples
    --------
    >>> x = xr.DataArray([[1.0], [3.0], [5.0]], dims=("cycle", "phase"))
    >>> subject_means(x.assign_coords(subject=("cycle", ["a", "a", "b"]))).values.ravel()
    array([2., 5.])
    """
    if unit in array.dims:
        mean = (
            array.mean("cycle", skipna=True) if unit != "cycle" and "cycle" in array.dims else array
        )
    elif unit in array.coords and array[unit].dims == ("cycle",):
        labels, index = np.unique(array[unit].values, return_inverse=True)
        ordered = array.transpose("cycle", ...)
        values = ordered.values
        there = np.isfinite(values)
        member = (index == np.arange(len(labels))[:, None]).astype(float)
        total = np.tensordot(member, np.where(there, values, 0.0), axes=1)
        count = np.tensordot(member, there.astype(float), axes=1)
        kept = {k: v for k, v in ordered.coords.items() if "cycle" not in v.dims}
        mean = xr.DataArray(
            np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0),
            dims=(unit, *ordered.dims[1:]),
            coords={**kept, unit: labels},
        )
    else:
        raise InvalidInputError(
            f"The data have no {unit!r}: neither a dim nor a coordinate along 'cycle'. They lie "
            f"along {', '.join(map(str, array.dims))}."
        )
    if mean.sizes[unit] == 0:
        raise InvalidInputError(f"The group is empty: no {unit!r}.")
    return mean.transpose(unit, ..., dim)


@dataclass(frozen=True)
class Design:
    """Curves of subjects, and how a permutation of them turns into t.

    ``x`` is (subject, curve * point) with zeros where ``there`` is 0. ``vector`` is what a
    permutation rearranges: signs, group membership (0 or 1), or the covariate.
    """

    name: str
    x: FloatArray
    there: FloatArray
    vector: FloatArray
    shape: tuple[int, int]
    other_dims: tuple[str, ...]
    sizes: list[int]
    dropped: list[str]
    equal_variance: bool = True

    @classmethod
    def of(
        cls,
        name: str,
        means: list[xr.DataArray],
        unit: str,
        dim: str,
        regressor: ArrayLike | None = None,
        equal_variance: bool = True,
    ) -> Design:
        """Make a design from subjects' mean curves, and drop those without any value."""
        if name == "paired":
            means = [means[0] - means[1]]
        labels = [
            f"{label} of input {k + 1}" if len(means) > 1 else str(label)
            for k, mean in enumerate(means)
            for label in labels_along(mean, unit)
        ]
        values = np.concatenate([m.values.reshape(m.sizes[unit], -1) for m in means])
        there = np.isfinite(values)
        vector = np.ones(len(values))
        if name == "two_sample":
            vector = np.repeat([1.0, 0.0], [m.sizes[unit] for m in means])
        elif name == "regression":
            vector = np.asarray(regressor, dtype=float)
            if vector.shape != (len(values),) or not np.isfinite(vector).all():
                raise InvalidInputError(
                    f"The regressor must be {len(values)} finite numbers, one a {unit}, but has "
                    f"shape {vector.shape}."
                )
            if np.ptp(vector) == 0:
                raise InvalidInputError("The regressor is constant.")
        kept = there.any(axis=1)
        sizes = (
            [int((kept & (vector == g)).sum()) for g in (1.0, 0.0)]
            if name == "two_sample"
            else [int(kept.sum())]
        )
        if min(sizes) < (2 if name == "two_sample" else FEWEST):
            raise InvalidInputError(
                f"A {name} test needs {FEWEST} or more of {unit!r} (two in each of two groups), "
                f"but got {' and '.join(map(str, sizes))} with any value."
            )
        first = means[0]
        others = tuple(str(d) for d in first.dims if d not in (unit, dim))
        n_points = first.sizes[dim]
        return cls(
            name=name,
            x=np.where(there, values, 0.0)[kept],
            there=there[kept].astype(float),
            vector=vector[kept],
            shape=(values.shape[1] // n_points, n_points),
            other_dims=others,
            sizes=sizes,
            dropped=[label for label, keep in zip(labels, kept, strict=True) if not keep],
            equal_variance=equal_variance,
        )

    @property
    def symmetric(self) -> bool:
        """Whether a permutation flips signs."""
        return self.name in ("one_sample", "paired")

    @property
    def degrees_of_freedom(self) -> int:
        """Of t where no value is missing."""
        return sum(self.sizes) - (1 if self.symmetric else 2)

    @property
    def counts(self) -> NDArray[np.int_]:
        """Subjects with a value, (curve, point)."""
        return self.there.sum(axis=0).astype(int).reshape(self.shape)

    def statistic(self, vectors: FloatArray) -> FloatArray:
        """T (permutation, curve, point) of rearranged vectors (permutation, subject).

        0 where there are too few values, or all are the same.
        """
        x, m = self.x, self.there
        if self.symmetric:
            n, total, square = m.sum(axis=0), vectors @ x, (x**2).sum(axis=0)
            spread = square - total**2 / np.maximum(n, 1)
            error = np.sqrt(np.maximum(spread, 0) / np.maximum(n * (n - 1), 1))
            t = _ratio(total / np.maximum(n, 1), error, spread > _FLAT * square, n >= FEWEST - 1)
        elif self.name == "two_sample":
            n1, s1, q1 = vectors @ m, vectors @ x, vectors @ x**2
            n2, s2, q2 = m.sum(axis=0) - n1, x.sum(axis=0) - s1, (x**2).sum(axis=0) - q1
            one, two = np.maximum(n1, 1), np.maximum(n2, 1)
            own, other = np.maximum(q1 - s1**2 / one, 0), np.maximum(q2 - s2**2 / two, 0)
            spread = own + other
            if self.equal_variance:
                variance = spread / np.maximum(n1 + n2 - 2, 1)
                error = np.sqrt(variance * (1 / one + 1 / two))
                enough = (n1 >= 1) & (n2 >= 1) & (n1 + n2 >= FEWEST)
            else:
                error = np.sqrt(own / np.maximum(one * (n1 - 1), 1)
                                + other / np.maximum(two * (n2 - 1), 1))  # fmt: skip
                enough = (n1 >= 2) & (n2 >= 2)
            t = _ratio(s1 / one - s2 / two, error, spread > _FLAT * (q1 + q2), enough)
        else:
            z = vectors - vectors.mean(axis=1, keepdims=True)
            n = np.maximum(m.sum(axis=0), 1)
            centred = (x - x.sum(axis=0) / n) * m
            zz = z**2 @ m - (z @ m) ** 2 / n
            zx, xx = z @ centred, (centred**2).sum(axis=0)
            rest = xx - zx**2 / np.maximum(zz, _FLAT)
            error = np.sqrt(np.maximum(rest, 0) / np.maximum(n - 2, 1))
            t = _ratio(
                zx / np.sqrt(np.maximum(zz, _FLAT)),
                error,
                (rest > _FLAT * xx) & (zz > _FLAT),
                n >= FEWEST,
            )
        return t.reshape(len(vectors), *self.shape)


@dataclass(frozen=True)
class Permutations:
    """Rearranged vectors (permutation, subject); `exact` if they are all that exist."""

    identity: FloatArray
    vectors: FloatArray
    exact: bool

    def blocks(self, size: int) -> Iterator[FloatArray]:
        """Hand them out in blocks, so that memory stays bounded."""
        for first in range(0, len(self.vectors), size):
            yield self.vectors[first : first + size]


def permuted(design: Design, n: int, rng: np.random.Generator) -> Permutations:
    """Rearrange the vector of a design.

    Parameters
    ----------
    design : Design
        The design.
    n : int
        Permutations to draw; fewer sign flips than that are enumerated.
    rng : Generator
        Source of the draws.

    Returns
    -------
    Permutations
        The rearranged vectors.
    """
    n_subjects = len(design.vector)
    identity = design.vector[None]
    if design.symmetric:
        if n_subjects < 31 and 2**n_subjects <= n:
            number = np.arange(2**n_subjects)[:, None] >> np.arange(n_subjects)
            signs = 1.0 - 2.0 * (number & 1).astype(np.float64)
            return Permutations(identity, signs, exact=True)
        return Permutations(identity, rng.choice([-1.0, 1.0], (n, n_subjects)), exact=False)
    vectors = rng.permuted(np.tile(design.vector, (n, 1)), axis=1)
    return Permutations(identity, vectors, exact=False)


def _ratio(
    mean: FloatArray, error: FloatArray, varies: NDArray[np.bool_], enough: NDArray[np.bool_]
) -> FloatArray:
    defined = varies & enough & (error > 0)
    return np.where(defined, mean / np.where(defined, error, 1.0), 0.0)
