"""What every analysis asks of its inputs: one variable, known dims, an even grid, one cycle."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.schema import DIMS

FloatArray = NDArray[np.float64]
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

_EVEN = 1e-3
"""Steps of a grid may differ by this part of a step: rounding, not a gap."""


def keeps_attrs(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Let a function keep attributes of coordinates, whatever xarray's option or version."""

    @functools.wraps(function)
    def wrapped(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        with xr.set_options(keep_attrs=True):  # type: ignore[no-untyped-call]
            return function(*args, **kwargs)

    return wrapped


def pick(
    data: xr.DataArray | xr.Dataset,
    needs: Sequence[str] = (),
    name: str | None = None,
    *,
    attrs: bool = False,
) -> xr.DataArray:
    """Take the one variable that has the dims; a DataArray is taken as it is.

    Lazily computed values are computed here. Of its attributes only the units are kept, as what is
    made of it is another quantity; with ``attrs=True`` all are.
    """
    if isinstance(data, xr.Dataset):
        fitting = [str(n) for n, v in data.data_vars.items() if set(needs) <= set(v.dims)]
        if name is not None and name not in data.data_vars:
            raise InvalidInputError(
                f"Unknown variable {name!r}. Available: {', '.join(map(str, data.data_vars))}."
            )
        if name is None and len(fitting) != 1:
            raise InvalidInputError(
                f"Expected one variable over {', '.join(needs) or 'anything'}, but the dataset has "
                f"{len(fitting)} ({', '.join(fitting) or 'none'}). Give the one that you mean: "
                "dataset['name'], or the argument 'variable' where there is one."
            )
        data = data[name or fitting[0]]
    if not isinstance(data, xr.DataArray):
        raise InvalidInputError(
            f"Expected an xarray.DataArray or Dataset, but got {type(data).__name__}."
        )
    require_dims(data, needs)
    data = data.compute()
    if data.dtype.kind not in "fiub":
        raise InvalidInputError(f"Expected numbers, but {data.name or 'it'} holds {data.dtype}.")
    values = data.astype(float, keep_attrs=True)
    if not attrs:
        values.attrs = {k: v for k, v in values.attrs.items() if k == "units"}
    return values


def require_dims(array: xr.DataArray, needs: Iterable[str]) -> None:
    """Raise if a dim is missing or empty."""
    for dim in needs:
        if dim not in array.dims:
            raise InvalidInputError(
                f"The data have no dim {dim!r}. They lie along "
                f"{', '.join(map(str, array.dims)) or 'no dim'}."
            )
        if array.sizes[dim] == 0:
            raise InvalidInputError(f"The data are empty along {dim!r}.")


def increasing(array: xr.DataArray, dim: str) -> FloatArray:
    """Give the coordinate along a dim, which must increase strictly."""
    values = array[dim].values.astype(float)
    if values.size < 2 or not (np.isfinite(values).all() and (np.diff(values) > 0).all()):
        raise InvalidInputError(
            f"The coordinate {dim!r} must hold two or more finite values that increase strictly; "
            f"sort the data with .sortby({dim!r})."
        )
    return values


def grid(array: xr.DataArray, dim: str) -> tuple[FloatArray, float]:
    """Give the coordinate along a dim and its even step."""
    if dim not in array.coords:
        raise InvalidInputError(
            f"The data have no coordinate {dim!r}, and no function guesses a sampling rate. "
            f"Assign it: data.assign_coords({dim}=...)."
        )
    values = increasing(array, dim)
    steps = np.diff(values)
    step = float(values[-1] - values[0]) / steps.size
    if np.abs(steps - step).max() > _EVEN * step:
        raise InvalidInputError(
            f"The coordinate {dim!r} is not even: steps from {steps.min():.6g} to "
            f"{steps.max():.6g}. Interpolate to an even grid first."
        )
    return values, step


def is_closed(array: xr.DataArray, dim: str = "phase") -> bool:
    """Tell whether a grid of phase holds its first point twice, as 0 and as 1."""
    values, step = grid(array, dim)
    return bool(abs(values[-1] - values[0] - 1.0) < step * _EVEN * 10)


def open_cycle(array: xr.DataArray, dim: str = "phase") -> xr.DataArray:
    """Drop the point of a closed grid that is there twice, and check that one cycle is left."""
    values, step = grid(array, dim)
    if is_closed(array, dim):
        return array.isel({dim: slice(None, -1)})
    if dim == "phase" and abs(values.size * step - 1.0) > _EVEN * 10:
        raise InvalidInputError(
            f"The coordinate 'phase' spans {values.size * step:.4g} cycles (from {values[0]:.4g} "
            f"to {values[-1]:.4g}). A cyclic function needs exactly one."
        )
    return array


def exact_align(
    a: xr.DataArray, b: xr.DataArray, exclude: Iterable[str] = ()
) -> tuple[xr.DataArray, xr.DataArray]:
    """Raise where labels of shared dims differ; nothing is left out in silence."""
    for dim in [d for d in a.dims if d in b.dims and d not in set(exclude)]:
        if a.sizes[dim] != b.sizes[dim]:
            detail = f"{a.sizes[dim]} and {b.sizes[dim]}"
        elif dim in a.coords and dim in b.coords and not _same(a[dim].values, b[dim].values):
            detail = "the same number, with other labels"
        else:
            continue
        message = f"The two inputs differ along {dim!r}: {detail}."
        if dim in a.coords and dim in b.coords and a[dim].dtype.kind == "U":
            first, second = set(a[dim].values.tolist()), set(b[dim].values.tolist())
            message += (
                f" Only in the first: {', '.join(sorted(first - second)) or 'none'}. Only in the "
                f"second: {', '.join(sorted(second - first)) or 'none'}."
            )
        raise InvalidInputError(f"{message} Select what both have, in one order, before comparing.")
    return a, b


def stacked(array: xr.DataArray, *last: str) -> FloatArray:
    """Values with the named dims last, in that order."""
    rest = [d for d in array.dims if d not in last]
    return np.ascontiguousarray(array.transpose(*rest, *last).values)


def labels_along(array: xr.DataArray, dim: str) -> NDArray:
    """Give the labels along a dim, or numbers where it has none."""
    return array[dim].values if dim in array.coords else np.arange(array.sizes[dim])


def coords_along(array: xr.DataArray, dims: Iterable[object]) -> dict[str, xr.Variable]:
    """Coordinates that lie within some dims, with their attributes."""
    kept = {str(d) for d in dims}
    return {
        str(name): coord.variable
        for name, coord in array.coords.items()
        if set(map(str, coord.dims)) <= kept
    }


def muscle_dim(array: xr.DataArray) -> str:
    """Find which dim holds the muscles."""
    for dim in ("muscle", "channel"):
        if dim in array.dims:
            return dim
    raise InvalidInputError(
        "The data have neither a dim 'muscle' nor 'channel'. They lie along "
        f"{', '.join(map(str, array.dims)) or 'no dim'}."
    )


def choice(name: str, value: object, allowed: Iterable[str]) -> None:
    """Raise unless a value is one of those allowed."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise InvalidInputError(
            f"Invalid value for {name!r}. Allowed values are {', '.join(allowed)}, "
            f"but got {value!r} instead."
        )


def lag_units(dim: str) -> str:
    """Give the units of a shift along a dim."""
    return DIMS[dim].units if dim in DIMS and DIMS[dim].units else "1"


def _same(first: NDArray, second: NDArray) -> bool:
    if first.dtype.kind == "f" and second.dtype.kind == "f":
        return bool(np.allclose(first, second, rtol=1e-9, atol=1e-9))
    return bool(np.array_equal(first, second))
