"""Co-contraction: how much muscles that oppose each other work at the same time."""

from __future__ import annotations

import numpy as np
import xarray as xr

from kinesis_neuro.analysis._inputs import (
    choice,
    exact_align,
    is_closed,
    keeps_attrs,
    muscle_dim,
    open_cycle,
    pick,
)
from kinesis_neuro.errors import InvalidInputError, unknown_name

Data = xr.DataArray | xr.Dataset

METHODS = ("falconer_winter", "unithan", "rudolph")
_CITATION = {
    "falconer_winter": "Falconer & Winter (1985) Electromyogr Clin Neurophysiol 25:135-149",
    "unithan": "Unnithan et al. (1996) Electromyogr Clin Neurophysiol 36:487-494",
    "rudolph": "Rudolph, Axe & Snyder-Mackler (2000) Knee Surg Sports Traumatol Arthrosc 8:262-269",
}


@keeps_attrs
def cocontraction(
    a: Data, b: Data, dim: str = "phase", method: str = "falconer_winter"
) -> xr.DataArray:
    """Index of co-contraction of two muscles or groups.

    With lo and hi the lower and the higher of the two activities at each sample:

    - ``falconer_winter``: 2 sum(lo) / sum(a + b), 0 to 1: the common area as a part of all;
      blind to the level of activity.
    - ``unithan``: mean(lo): the common area over a cycle of unit length (the index of Unnithan
      et al. 1996, often cited as Unithan).
    - ``rudolph``: mean(lo / hi (lo + hi)); 0 where both are silent.

    The last two are in the units of the activity: normalise both muscles alike first.

    Parameters
    ----------
    a, b : DataArray or Dataset
        Non-negative activity (envelope or activation) along `dim`.
    dim : str
        ``phase`` or ``time``. Of a closed grid of phase, the first n - 1 points are used.
    method : {"falconer_winter", "unithan", "rudolph"}
        The index.

    Returns
    -------
    DataArray
        The index over the other dims; NaN where a value is not finite (or, for
        ``falconer_winter``, both muscles are silent throughout), which the attribute
        ``n_undefined`` counts.

    Raises
    ------
    InvalidInputError
        If activity is negative, labels differ or the method is unknown.

    Examples
    --------
    >>> phase = np.arange(4) / 4
    >>> quadriceps = xr.DataArray([1.0, 0.5, 0.0, 0.0], coords={"phase": phase})
    >>> hamstrings = xr.DataArray([0.5, 0.5, 0.0, 1.0], coords={"phase": phase})
    >>> [float(cocontraction(quadriceps, hamstrings, method=m).round(4)) for m in METHODS]
    [0.5714, 0.25, 0.4375]
    """
    choice("method", method, METHODS)
    a, b = pick(a, (dim,)), pick(b, (dim,))
    exact_align(a, b)
    for name, x in (("a", a), ("b", b)):
        if bool((x < 0).any()):
            raise InvalidInputError(
                f"Activity must not be negative, but {name!r} falls to {float(x.min()):.4g}. Give "
                "rectified envelopes or activations."
            )
    if dim == "phase" and dim in a.coords and is_closed(a):
        a = open_cycle(a)
        b = b.isel(phase=slice(None, -1))
    low, high = _lower(a, b), a + b - _lower(a, b)
    if method == "falconer_winter":
        total = (a + b).sum(dim, skipna=False)
        index = 2 * low.sum(dim, skipna=False) / total.where(total > 0)
        units = "1"
    elif method == "unithan":
        index, units = low.mean(dim, skipna=False), str(a.attrs.get("units", "1"))
    else:
        ratio = low / high.where(high != 0, 1.0)
        index = (ratio * (low + high)).mean(dim, skipna=False)
        units = str(a.attrs.get("units", "1"))
    attrs = {"units": units, "method": method, "source": _CITATION[method],
             "n_undefined": int(index.isnull().sum())}  # fmt: skip
    return index.rename("cocontraction").assign_attrs(attrs)


@keeps_attrs
def muscle_group(
    data: Data, members: list[str] | tuple[str, ...], how: str = "mean"
) -> xr.DataArray:
    """Add up or average the activity of named muscles, to compare groups.

    Parameters
    ----------
    data : DataArray or Dataset
        Activity over ``muscle`` or ``channel``.
    members : list of str
        Labels of muscles.
    how : {"mean", "sum"}
        Whether large groups count for more.

    Returns
    -------
    DataArray
        Activity of the group; the attribute ``members`` names it.

    Raises
    ------
    InvalidInputError
        If the group is empty, or a muscle is unknown or named twice.

    Examples
    --------
    >>> x = xr.DataArray([[0.2, 0.4]], coords={"time": [0.0], "muscle": ["vasti", "rectus"]})
    >>> muscle_group(x, ["vasti", "rectus"]).values.round(3)
    array([0.3])
    """
    choice("how", how, ("mean", "sum"))
    array = pick(data, attrs=True)
    dim = muscle_dim(array)
    if not len(members):
        raise InvalidInputError("The group is empty: name at least one muscle.")
    if len(set(members)) < len(members):
        raise InvalidInputError(f"A muscle is named twice in the group: {', '.join(members)}.")
    known = array[dim].values.tolist()
    for name in members:
        if name not in known:
            raise unknown_name("muscle", name, map(str, known))
    chosen = array.sel({dim: list(members)})
    group = chosen.mean(dim, skipna=False) if how == "mean" else chosen.sum(dim, skipna=False)
    return group.assign_attrs(array.attrs | {"members": ", ".join(members), "group_how": how})


def _lower(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    return xr.apply_ufunc(np.minimum, a, b, join="exact")
