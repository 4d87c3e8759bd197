"""Arrays of any size on their way into a file: in blocks, chunked, compressed, with a progress bar.

Only one block is in memory at a time, whatever stands behind the variable: numpy, dask, or a file
that xarray opened lazily.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from hdmf.backends.hdf5.h5_utils import H5DataIO
from hdmf.data_utils import GenericDataChunkIterator
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.nwb.layout import folded

COMPRESSION = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
"""Every HDF5 library has gzip; higher levels take longer and gain a few percent on floats."""

CHUNK_BYTES = 2**20
"""Size of a chunk: what reading one sample of one muscle costs, at least."""

CHUNK_COLUMNS = 64
"""Columns of a chunk at most, so that one muscle of hundreds can be read without all others."""

BLOCK_BYTES = 2**24
"""Size of the blocks that are read and written in turns."""

LOAD_UP_TO = 2**18
"""Smaller arrays are not worth the blocks. pynwb holds all of them until it writes."""

SHOW_FROM = 10**8
"""Bytes from which a progress bar is worth its lines, if nobody asked for one."""

Advance = Callable[[int], None]


def stored(
    variable: xr.Variable,
    dims: Sequence[str],
    advance: Advance,
    select: Mapping[str, Any] | None = None,
) -> Any:
    """Wrap a variable, or a part of it, for writing.

    Parameters
    ----------
    variable : xarray.Variable
        Numbers or bools; nothing is loaded yet.
    dims : sequence of str
        Order of the axes in the file. Beyond the fourth they are folded into one.
    advance : callable
        Called with the number of bytes of each block that is done.
    select : mapping, optional
        The part: an index or indices by dim, as `xarray.Variable.isel` takes them. It is cut out
        of each block, so that not even a variable in memory is copied as a whole.

    Returns
    -------
    H5DataIO
        What pynwb takes as data.
    """
    select = dict(select or {})
    lengths = dict(variable.sizes) | {dim: np.size(index) for dim, index in select.items()}
    shape = folded([lengths[dim] for dim in dims])
    chunks = chunk_shape(shape, variable.dtype.itemsize)
    blocks = _Blocks(variable, dims, shape, chunks, advance, select)
    if math.prod(shape) * variable.dtype.itemsize <= LOAD_UP_TO:
        return H5DataIO(data=next(blocks).data, chunks=chunks, **COMPRESSION)
    return H5DataIO(data=blocks, **COMPRESSION)


def chunk_shape(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Choose the shape of a chunk: long along the first axis, narrow along the second.

    Examples
    --------
    >>> chunk_shape((540_000, 290), 4), chunk_shape((100, 9), 8)
    ((4096, 64), (100, 9))
    """
    rest = (min(shape[1], CHUNK_COLUMNS), *shape[2:]) if len(shape) > 1 else ()
    rows = max(1, CHUNK_BYTES // (itemsize * math.prod(rest)))
    return (min(rows, shape[0]), *rest)


class _Blocks(GenericDataChunkIterator):  # type: ignore[misc]  # hdmf has no types
    """Blocks of whole rows of a variable."""

    def __init__(
        self,
        variable: xr.Variable,
        dims: Sequence[str],
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        advance: Advance,
        select: dict[str, Any],
    ) -> None:
        self._variable, self._dims, self._shape = variable, tuple(dims), shape
        self._advance, self._select = advance, select
        row = math.prod(shape[1:]) * variable.dtype.itemsize
        rows = max(1, BLOCK_BYTES // (row * chunks[0])) * chunks[0]
        super().__init__(chunk_shape=chunks, buffer_shape=(min(rows, shape[0]), *shape[1:]))

    def _get_data(self, selection: tuple[slice, ...]) -> np.ndarray:
        # Cut before loading, and load a copy: a lazy variable would keep what it has loaded.
        block = self._variable.isel(self._select | {self._dims[0]: selection[0]})
        try:
            values = np.asarray(block.transpose(*self._dims).values)
        except OSError as error:  # of the file behind a lazy variable, not of the one to write
            raise InvalidInputError(f"Values of the dataset cannot be read: {error}") from error
        self._advance(values.nbytes)
        return values.reshape(-1, *self._shape[1:])

    def _get_maxshape(self) -> tuple[int, ...]:
        return self._shape

    def _get_dtype(self) -> np.dtype:
        return self._variable.dtype


@contextlib.contextmanager
def progress_bar(title: str, total: int, show: bool | None) -> Iterator[Advance]:
    """Show how many bytes are done, on standard error.

    Parameters
    ----------
    title : str
        What is going on.
    total : int
        Bytes in all.
    show : bool or None
        Whether to show the bar; None shows it for large data on a terminal.

    Yields
    ------
    callable
        Takes the number of bytes that were done since the last call.
    """
    console = Console(stderr=True)
    shown = (total >= SHOW_FROM and console.is_terminal) if show is None else show
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not shown) as bar:
        task = bar.add_task(title, total=total)
        yield lambda n_bytes: bar.advance(task, n_bytes)
        bar.update(task, completed=total)
