"""Arrays in an HDF5 file as xarray knows them: read when asked for, and only what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from xarray.backends import BackendArray, CachingFileManager
from xarray.core import indexing

from kinesis_neuro.errors import FileFormatError

Key = tuple[int | slice, ...]
Reader = Callable[[h5py.File, Key], NDArray]


class LazyArray(BackendArray):
    """An array that a function reads from an open file.

    Parameters
    ----------
    manager : CachingFileManager
        Opens the file, again if need be.
    path : Path
        The file, for messages.
    name : str
        The variable, for messages.
    shape, dtype
        Of the whole array.
    read : callable
        Takes the file and a key of one slice for each axis, with positive steps, and gives the
        values, of the same number of axes.
    """

    def __init__(
        self,
        manager: CachingFileManager,
        path: Path,
        name: str,
        shape: Sequence[int],
        dtype: np.dtype,
        read: Reader,
    ) -> None:
        self._manager, self._path, self._name, self._read = manager, path, name, read
        self.shape = tuple(shape)
        self.dtype = dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Read a part; xarray calls this with its own kinds of keys."""
        basic = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(key, self.shape, basic, self._load)

    def _load(self, key: Key) -> NDArray:
        # One entry of an axis is read as a slice of one, so that readers see every axis.
        slices = tuple(slice(k, k + 1) if isinstance(k, int | np.integer) else k for k in key)
        drop = tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key)
        try:
            with self._manager.acquire_context() as file:
                values = self._read(file, slices)
        except Exception as error:  # h5py raises whatever the broken bytes lead it to
            raise FileFormatError(
                self._path, f"the values of {self._name!r} cannot be read ({error})", "whole data"
            ) from error
        return np.asarray(values, dtype=self.dtype)[drop]
