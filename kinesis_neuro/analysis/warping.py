"""Dynamic time warping: how far two curves are apart once their timing is taken out."""

from __future__ import annotations

import numpy as np
import xarray as xr

from kinesis_neuro.analysis._inputs import FloatArray, exact_align, grid, keeps_attrs, pick
from kinesis_neuro.errors import InvalidInputError

Data = xr.DataArray | xr.Dataset


@keeps_attrs
def warping_distance(
    a: Data, b: Data, dim: str = "time", window: float | None = None
) -> xr.DataArray:
    """Dynamic-time-warping distance, for all other dims at once.

    The least sum of ``|a_i - b_j|`` along a path from the two first to the two last samples that
    moves on by one sample of either curve or of both (Sakoe & Chiba 1978, unweighted steps),
    divided by the number of samples of the longer curve: an amplitude in the units of the curves.

    Parameters
    ----------
    a, b : DataArray or Dataset
        Curves along `dim`; their lengths may differ.
    dim : str
        What is warped.
    window : float, optional
        Largest ``|time of a - time of b|`` that may be matched, in the units of `dim` (Sakoe-Chiba
        band); any by default.

    Returns
    -------
    DataArray
        Distance, in the units of `a`; NaN where a curve is not finite, which the attribute
        ``n_undefined`` counts.

    Raises
    ------
    InvalidInputError
        If labels of other dims differ, or the window admits no path.

    Examples
    --------
    >>> x = xr.DataArray([0.0, 0.0, 1.0, 0.0, 0.0], coords={"time": np.arange(5) / 10})
    >>> float(warping_distance(x, x.roll(time=1)))
    0.0
    >>> float(warping_distance(x, x.roll(time=1), window=0.0))
    0.4
    """
    a, b = pick(a, (dim,)), pick(b, (dim,))
    exact_align(a, b, exclude=(dim,))
    n, m = a.sizes[dim], b.sizes[dim]
    if window is None:
        reach = np.ones((n, m), dtype=bool)
    else:
        starts = [x - x[0] for x in (grid(a, dim)[0], grid(b, dim)[0])]
        reach = np.abs(starts[0][:, None] - starts[1]) <= window * (1 + 1e-9) + 1e-12
    first = a.rename({dim: "_a"}).drop_vars("_a", errors="ignore")
    second = b.rename({dim: "_b"}).drop_vars("_b", errors="ignore")
    total = xr.apply_ufunc(
        _shortest_path,
        first,
        second,
        input_core_dims=[["_a"], ["_b"]],
        kwargs={"reach": reach},
        join="exact",
    )
    if np.isinf(total.values).any():
        raise InvalidInputError(
            f"window={window} admits no path between curves of {n} and {m} samples. Widen it."
        )
    attrs = {"units": str(a.attrs.get("units", "1")), "dim": dim,
             "n_undefined": int(total.isnull().sum())}  # fmt: skip
    return (total / max(n, m)).assign_attrs(attrs).rename("warping_distance")


def _shortest_path(a: FloatArray, b: FloatArray, reach: np.ndarray) -> FloatArray:
    """Walk over anti-diagonals, each for all pairs of curves at once.

    Cell (i, j) lies on diagonal i + j; the arrays below are indexed by i.
    """
    n, m = a.shape[-1], b.shape[-1]
    shape = np.broadcast_shapes(a.shape[:-1], b.shape[:-1])
    old = np.full((*shape, n + 1), np.inf)  # diagonal d - 2, shifted by one: index 0 is outside
    last = old.copy()  # diagonal d - 1
    old[..., 0] = 0.0  # the corner before the first cell
    for d in range(n + m - 1):
        i = np.arange(max(0, d - m + 1), min(n, d + 1))
        cost = np.where(reach[i, d - i], np.abs(a[..., i] - b[..., d - i]), np.inf)
        best = np.minimum(np.minimum(last[..., i], last[..., i + 1]), old[..., i])
        new = np.full_like(last, np.inf)
        new[..., i + 1] = cost + best
        old, last = last, new
    finite = np.isfinite(a).all(axis=-1) & np.isfinite(b).all(axis=-1)
    return np.where(finite, last[..., n], np.nan)
