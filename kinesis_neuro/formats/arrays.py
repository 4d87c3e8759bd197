"""Arrays out of containers of other ecosystems: NumPy, MATLAB, R. None of them runs code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinesis_neuro.errors import FileFormatError, MissingDependencyError

FloatArray = NDArray[np.float64]


def _require_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise FileFormatError(path, "a folder" if path.is_dir() else "no such file", expected)


def read_npy(path: str | Path, shape: tuple[int | None, ...]) -> FloatArray:
    """Read a numeric ``.npy`` file of a known shape; pickled objects are refused.

    Parameters
    ----------
    path : str or Path
    shape : tuple of int or None
        What is expected; None stands for any length.

    Returns
    -------
    ndarray
        As float64.

    Raises
    ------
    FileFormatError
        The file is no ``.npy``, holds objects, or has another shape.

    Examples
    --------
    >>> read_npy("emg.npy", (100, 10))
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: emg.npy: no such file. Expected a .npy file ...
    """
    path = Path(path)
    expected = f"a .npy file of numbers, shape ({', '.join(str(n or 'any') for n in shape)})"
    _require_file(path, expected)
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:
        raise FileFormatError(path, f"cannot be read ({error})", expected) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        kind = getattr(array, "dtype", type(array).__name__)
        raise FileFormatError(path, f"holds {kind}", expected)
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise FileFormatError(path, f"shape {array.shape}", expected)
    return array.astype(float)


def read_mat(path: str | Path) -> Mapping[str, Any]:
    """Read a MATLAB file (to version 7.2) with structs as nested dicts.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    mapping of str to object
        Arrays, texts, and dicts of the same.

    Raises
    ------
    FileFormatError
        The file cannot be read; files of version 7.3 are named as such.

    Examples
    --------
    >>> read_mat("ExperimentalData.mat")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: ExperimentalData.mat: no such file. Expected a MATLAB ...
    """
    from scipy.io import loadmat

    path = Path(path)
    expected = "a MATLAB file up to version 7.2 (save with -v7)"
    _require_file(path, expected)
    try:
        raw = loadmat(str(path), squeeze_me=True, struct_as_record=False)
    except NotImplementedError as error:
        raise FileFormatError(path, "a file of version 7.3 (HDF5)", expected) from error
    except Exception as error:
        raise FileFormatError(path, f"cannot be read ({error})", expected) from error
    return {name: _plain(value) for name, value in raw.items() if not name.startswith("__")}


def _plain(value: Any) -> Any:
    if hasattr(value, "_fieldnames"):
        return {name: _plain(getattr(value, name)) for name in value._fieldnames}
    return value


def read_rdata(path: str | Path) -> Mapping[str, Any]:
    """Read an R workspace (``.RData``): named lists as dicts, data frames as DataFrames.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    mapping of str to object

    Raises
    ------
    FileFormatError
        The file cannot be read as an R workspace.
    MissingDependencyError
        The package `rdata` is not installed.

    Examples
    --------
    >>> read_rdata("RAW_DATA.RData")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: RAW_DATA.RData: no such file. Expected an R workspace ...
    """
    path = Path(path)
    expected = "an R workspace (.RData)"
    _require_file(path, expected)
    try:
        import rdata
    except ImportError as error:
        raise MissingDependencyError("Reading .RData needs: pip install rdata") from error
    import warnings

    try:
        with warnings.catch_warnings():
            # A class that rdata does not know is read as what it is made of, which is what we want.
            warnings.simplefilter("ignore", UserWarning)
            loaded = rdata.read_rda(str(path))
    except Exception as error:
        raise FileFormatError(path, f"cannot be read ({error})", expected) from error
    if not isinstance(loaded, Mapping):
        raise FileFormatError(path, f"holds {type(loaded).__name__}", expected)
    return {str(name): value for name, value in loaded.items()}


def find_emg_frames(path: str | Path) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Find the recordings in a workspace of the R package musclesyneRgies.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict
        Frames ``cycles`` and ``emg`` by name of the trial.

    Raises
    ------
    FileFormatError
        The workspace has no such objects.
    """
    trials = {}
    for value in read_rdata(path).values():
        if isinstance(value, Mapping):
            for name, trial in value.items():
                if isinstance(trial, Mapping) and {"cycles", "emg"} <= {str(k) for k in trial}:
                    frames = {str(key): frame for key, frame in trial.items()}
                    trials[str(name)] = (frames["cycles"], frames["emg"])
    both = [f for pair in trials.values() for f in pair]
    if not trials or not all(isinstance(frame, pd.DataFrame) for frame in both):
        raise FileFormatError(
            Path(path),
            "no list with data frames 'cycles' and 'emg'",
            "objects of class EMG of the R package musclesyneRgies",
        )
    return trials
