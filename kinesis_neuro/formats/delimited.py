"""Tables of numbers in text files (CSV, TSV, semicolons), with a line of column names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinesis_neuro.errors import FileFormatError

FloatArray = NDArray[np.float64]

_EXPECTED = "a table with a line of column names and numbers below"
_SEPARATORS = {"tab": "\t", "semicolon": ";", "comma": ","}


def read_text_lines(path: Path, expected: str = _EXPECTED) -> str:
    """Read a text file, or say why it is none."""
    if not path.is_file():
        raise FileFormatError(path, "a folder" if path.is_dir() else "no such file", expected)
    content = path.read_bytes()
    if not content.strip():
        raise FileFormatError(path, "an empty file", expected)
    if b"\x00" in content:
        raise FileFormatError(path, "binary content", expected)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def read_delimited(path: str | Path) -> tuple[tuple[str, ...], FloatArray]:
    r"""Read a table of numbers.

    The separator is the first of tab, semicolon and comma that the line of names holds. With
    semicolons, a decimal comma is understood. Empty cells, ``NA`` and ``n/a`` are NaN.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    columns : tuple of str
    values : ndarray, shape (n_rows, n_columns)

    Raises
    ------
    FileFormatError
        The file cannot be read, has no names, names twice, or text where numbers belong.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "emg.csv"
    ...     _ = file.write_text("time,soleus\n0,0.5\n0.1,0.7\n")
    ...     columns, values = read_delimited(file)
    >>> columns, values.shape
    (('time', 'soleus'), (2, 2))
    """
    path = Path(path)
    text = read_text_lines(path)
    first = text.lstrip().splitlines()[0]
    separator = next((s for s in _SEPARATORS.values() if s in first), ",")
    columns = tuple(name.strip().strip('"') for name in first.split(separator))
    if all(_is_number(name) for name in columns):
        raise FileFormatError(path, f"numbers in line 1 ({first[:40]!r})", _EXPECTED)
    if len(set(columns)) < len(columns) or "" in columns:
        raise FileFormatError(path, f"columns {', '.join(map(repr, columns))}", "distinct names")
    rows = [line for line in text.lstrip().splitlines()[1:] if line.strip()]
    for number, line in enumerate(rows, 2):
        if line.count(separator) != len(columns) - 1:
            found = f"line {number} has {line.count(separator) + 1} values for {len(columns)} names"
            raise FileFormatError(path, found, "one value for each column")
    cells = pd.DataFrame([line.split(separator) for line in rows], columns=list(columns))
    if cells.empty:
        raise FileFormatError(path, "no rows below the names", _EXPECTED)
    cells = cells.map(lambda cell: _clean(cell, separator))
    values = cells.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    bad = np.argwhere(np.isnan(values) & (cells != "nan").to_numpy())
    if len(bad):
        row, column = bad[0]
        found = f"{cells.iloc[row, column]!r} in line {row + 2}, column {columns[column]!r}"
        raise FileFormatError(path, found, "a number")
    return columns, values


def _clean(cell: str, separator: str) -> str:
    text = cell.strip().strip('"')
    if text.lower() in ("", "na", "n/a", "nan"):
        return "nan"
    return text.replace(",", ".") if separator == ";" else text


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
