"""Effect sizes and the control of many comparisons."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import special

from kinesis_neuro.analysis._inputs import (
    FloatArray,
    choice,
    exact_align,
    keeps_attrs,
    labels_along,
    pick,
)
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.schema import encode_attr

Data = xr.DataArray | xr.Dataset

KINDS = ("cohen", "hedges", "paired")
METHODS = ("bh", "by", "holm")


@keeps_attrs
def effect_size(
    a: Data, b: Data | None = None, unit: str = "subject", kind: str = "hedges"
) -> xr.DataArray:
    """Standardised difference of means over subjects.

    ``cohen``: d, by the pooled standard deviation (one sample: by its own). ``hedges``: d times the
    exact small-sample correction (Hedges 1981). ``paired``: d_z, mean over SD of the differences.

    Parameters
    ----------
    a, b : DataArray or Dataset
        Values over `unit` and any other dims; NaN is left out point by point. Without `b`, `a` is
        compared with 0.
    unit : str
        Subjects.
    kind : {"cohen", "hedges", "paired"}
        Which effect size.

    Returns
    -------
    DataArray
        Effect size [1], positive where a is larger; NaN with fewer than two values in a group or no
        spread. The attributes ``n_a`` and ``n_b`` count subjects, and ``n_missing`` the values that
        were left out; ``dropped`` lists subjects without any value (JSON).

    Raises
    ------
    InvalidInputError
        If labels differ or the kind does not fit.

    Examples
    --------
    >>> a = xr.DataArray([1.0, 2.0, 3.0], dims="subject")
    >>> float(effect_size(a, a - 2.0, kind="cohen"))
    2.0
    """
    choice("kind", kind, KINDS)
    first = pick(a, (unit,))
    attrs: dict[str, str | int] = {"units": "1", "kind": kind, "n_a": int(first.sizes[unit])}
    second = None if b is None else pick(b, (unit,))
    groups = [first] if second is None else [first, second]
    attrs["n_missing"] = int(sum(int(x.isnull().sum()) for x in groups))
    attrs["dropped"] = encode_attr([str(label) for x in groups for label in _silent(x, unit)])
    if second is not None:
        attrs["n_b"] = int(second.sizes[unit])
        exact_align(first, second, exclude=() if kind == "paired" else (unit,))
    if kind == "paired":
        if second is None:
            raise InvalidInputError("kind='paired' takes two inputs over the same subjects.")
        first, second = first - second, None
    n1, m1, v1 = _moments(first, unit)
    if second is None:
        mean, variance, freedom = m1, v1, n1 - 1
    else:
        n2, m2, v2 = _moments(second, unit)
        freedom = n1 + n2 - 2
        pooled = ((n1 - 1) * v1 + (n2 - 1) * v2) / freedom.where(freedom > 0)
        mean, variance = m1 - m2, pooled.where((n1 > 1) & (n2 > 1))
    size = mean / np.sqrt(variance.where(variance > 0))
    if kind == "hedges":
        half = freedom.where(freedom > 1) / 2
        size = size * np.exp(special.gammaln(half) - special.gammaln(half - 0.5)) / np.sqrt(half)
    return size.rename("effect_size").assign_attrs(attrs)


@keeps_attrs
def adjust_p(p: ArrayLike | xr.DataArray, method: str = "bh", level: float = 0.05) -> xr.Dataset:
    """Adjust p values for the number of tests.

    ``bh`` controls the false discovery rate of independent or positively dependent tests (Benjamini
    & Hochberg 1995), ``by`` that of any (Benjamini & Yekutieli 2001), ``holm`` the chance of any
    false positive (Holm 1979).

    Parameters
    ----------
    p : DataArray or array_like
        p values of any shape, all of one family; NaN is no test.
    method : {"bh", "by", "holm"}
        What is controlled.
    level : float
        At which ``rejected`` is decided.

    Returns
    -------
    Dataset
        ``p_adjusted``, ``rejected`` (0 or 1), in the shape of `p`; attribute ``n_tests``.

    Raises
    ------
    InvalidInputError
        If p lies outside 0..1.

    Examples
    --------
    >>> adjust_p([0.01, 0.04, 0.03, 0.5]).p_adjusted.values.round(4)
    array([0.04  , 0.0533, 0.0533, 0.5   ])
    """
    choice("method", method, METHODS)
    array = p if isinstance(p, xr.DataArray) else xr.DataArray(np.asarray(p, dtype=float))
    values = array.values.astype(float)
    known = ~np.isnan(values)
    if ((values[known] < 0) | (values[known] > 1)).any():
        raise InvalidInputError("p values must lie between 0 and 1, or be NaN for no test.")
    adjusted = np.full(values.shape, np.nan)
    adjusted[known] = _adjusted(values[known], method)
    result = xr.Dataset(
        {
            "p_adjusted": array.copy(data=adjusted),
            "rejected": array.copy(data=(adjusted <= level).astype(int)),
        }
    )
    for variable in result.data_vars.values():
        variable.attrs = {"units": "1"}
    result.attrs = {"method": method, "level": float(level), "n_tests": int(known.sum())}
    return result


def _silent(x: xr.DataArray, unit: str) -> NDArray:
    """Labels of subjects without any value."""
    return labels_along(x, unit)[x.isnull().all([d for d in x.dims if d != unit]).values]


def _moments(x: xr.DataArray, unit: str) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    n = x.notnull().sum(unit)
    mean = x.sum(unit) / n.where(n > 0)
    squares = ((x - mean) ** 2).sum(unit)
    return n, mean, squares / (n - 1).where(n > 1)


def _adjusted(p: FloatArray, method: str) -> FloatArray:
    m = p.size
    if m == 0:
        return p
    order = np.argsort(p)
    ordered = p[order]
    if method == "holm":
        raised = np.maximum.accumulate(ordered * (m - np.arange(m)))
    else:
        factor = m / np.arange(1, m + 1)
        if method == "by":
            factor = factor * (1 / np.arange(1, m + 1)).sum()
        raised = np.minimum.accumulate((ordered * factor)[::-1])[::-1]
    result = np.empty(m)
    result[order] = np.minimum(raised, 1.0)
    return result
