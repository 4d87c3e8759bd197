"""OpenSim storage files (``.sto``, ``.mot``): tables over time of angles, forces or envelopes.

The line of column labels decides what the columns are. OpenSim writes a table back with the
counts of the file that it was made from, so a stated ``nColumns`` may be stale and is not
checked; ``nRows`` is checked, because it is the only sign of a file cut at the end of a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import FileFormatError, InvalidInputError, unknown_name

FloatArray = NDArray[np.float64]

RATE_TOLERANCE = 0.01
"""Largest deviation of one sampling interval from the mean, as a fraction of the mean."""

_KEY_VALUE = re.compile(r"(\w+)\s*=\s*(.*)")
# Headers of SIMM, which OpenSim inherited, have no equals sign. Only these words count as keys:
# the rest of a header is prose.
_SIMM_KEY_VALUE = re.compile(r"(name|datacolumns|datarows|otherdata|range)\s+(.*)", re.IGNORECASE)
_CONTROL_BYTE = re.compile(rb"[\x00-\x08\x0e-\x1f]")
# What numpy.loadtxt takes for a number; float() would also take "1_000".
_NUMBER = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?)", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True, eq=False)
class Storage:
    """The table of one storage file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The name in the header's first line; empty where the file has none.
    columns : tuple of str
        Names of the columns of `data`, without the time.
    time : ndarray, shape (n,)
        Time [s], strictly increasing.
    data : ndarray, shape (n, n_columns)
        The values as they stand in the file. Units are those of the file: nothing is converted.
    in_degrees : bool or None
        Whether rotations are in degrees (True) or radians (False), as the header's ``inDegrees``
        line says. None where there is no such line: the units are unlabelled.
    header : Mapping
        The header's ``key=value`` lines, with the keys in lower case.
    """

    path: Path
    name: str
    columns: tuple[str, ...]
    time: FloatArray
    data: FloatArray
    in_degrees: bool | None
    header: Mapping[str, str]

    @property
    def rate(self) -> float:
        """Sampling rate [Hz], rounded to 1e-6 Hz, since files hold rounded times.

        Raises
        ------
        InvalidInputError
            An interval is off the mean one by more than `RATE_TOLERANCE` (1 %).
        """
        intervals = np.diff(self.time)
        mean = float(self.time[-1] - self.time[0]) / len(intervals)
        worst = int(np.argmax(np.abs(intervals - mean)))
        if abs(intervals[worst] - mean) > RATE_TOLERANCE * mean:
            raise InvalidInputError(
                f"{self.path}: the sampling is irregular. The interval after t = "
                f"{self.time[worst]:.6g} s is {intervals[worst]:.6g} s, the mean one is "
                f"{mean:.6g} s, and {RATE_TOLERANCE:.0%} off is allowed. Resample first: "
                "grid = numpy.arange(s.time[0], s.time[-1], 1 / rate) with the rate that you "
                "want, then numpy.interp(grid, s.time, s.column(name)) for each column."
            )
        return round(1.0 / mean, 6)

    def column(self, name: str) -> FloatArray:
        """Return a copy of one column.

        Parameters
        ----------
        name : str
            One of `columns`.

        Returns
        -------
        ndarray, shape (n,)
            Its values, in the units of the file.

        Raises
        ------
        InvalidInputError
            There is no such column; the message lists those that exist.
        """
        return self.data[:, self._index(name)].copy()

    def select(self, columns: Sequence[str]) -> Storage:
        """Return a table of some columns, in the order given.

        Parameters
        ----------
        columns : sequence of str
            Names out of `columns`, each at most once. A single string is one name.

        Returns
        -------
        Storage
            The same file with fewer columns; `data` is a copy.

        Raises
        ------
        InvalidInputError
            There is no such column, or one is asked for twice.
        """
        names = (columns,) if isinstance(columns, str) else tuple(columns)
        if len(set(names)) < len(names):
            raise InvalidInputError(
                f"{self.path}: columns may be selected once each, but got {names!r}."
            )
        indices = [self._index(name) for name in names]
        return replace(self, columns=names, data=self.data[:, indices])

    def _index(self, name: str) -> int:
        if name not in self.columns:
            raise unknown_name(f"column of {self.path.name}", name, self.columns)
        return self.columns.index(name)


def read_storage(path: str | Path, *, require_units: bool = False) -> Storage:
    r"""Read an OpenSim storage file.

    Parameters
    ----------
    path : str or Path
        A ``.sto`` or ``.mot`` file.
    require_units : bool
        Refuse a file whose header does not say whether angles are in degrees or radians. Ask for
        it where the file holds angles; a file of forces or EMG has no need of the line.

    Returns
    -------
    Storage
        Time [s] and the columns, all finite, in the units of the file.

    Raises
    ------
    FileFormatError
        The file cannot be opened, is not a storage file, is cut short, or holds something else
        than finite numbers at strictly increasing times. The message has the line and column.

    Examples
    --------
    >>> import tempfile
    >>> text = "Coordinates\ninDegrees=yes\nendheader\ntime\tknee\n0\t5\n0.01\t6\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "walk.mot"
    ...     _ = file.write_text(text)
    ...     storage = read_storage(file)
    >>> storage.columns, storage.rate, storage.in_degrees
    (('knee',), 100.0, True)
    >>> storage.column("knee")
    array([5., 6.])
    """
    path = Path(path)
    lines = _read_lines(path)
    end = next((i for i, line in enumerate(lines) if line.strip().lower() == "endheader"), None)
    if end is None:
        raise FileFormatError(path, "no line 'endheader'", "one between the header and the table")
    name, header = _parse_header(path, lines[:end])
    in_degrees = _parse_units(path, header, lines[:end], require_units)

    # Line numbers count from one, as editors do.
    rows = [(i + 1, line) for i, line in enumerate(lines) if i > end and line.strip()]
    if not rows:
        raise FileFormatError(path, "nothing after 'endheader'", "a line of column labels")
    labels = _parse_labels(path, rows[0], rows[1:])
    _check_row_count(path, header, len(rows) - 1)
    table = _parse_rows(path, labels, rows[1:])
    return Storage(
        path=path,
        name=name,
        columns=labels[1:],
        time=table[:, 0].copy(),
        data=np.ascontiguousarray(table[:, 1:]),
        in_degrees=in_degrees,
        header=header,
    )


def _read_lines(path: Path) -> list[str]:
    """Lines of a text file with any of the three line ends."""
    expected = "an OpenSim storage file (.sto or .mot)"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileFormatError(path, "no such file", expected) from None
    except OSError as error:
        found = "a folder" if path.is_dir() else f"a file that cannot be read ({error.strerror})"
        raise FileFormatError(path, found, expected) from error
    if not content.strip():
        raise FileFormatError(path, "an empty file", expected)
    if control := _CONTROL_BYTE.search(content):
        found = f"binary content (byte 0x{control[0][0]:02x} at offset {control.start()})"
        raise FileFormatError(path, found, "plain text, in UTF-8 or Latin-1")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Older laboratory software writes names in the header in Latin-1.
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _parse_header(path: Path, lines: list[str]) -> tuple[str, dict[str, str]]:
    """Name of the table and the keys of its header."""
    name = ""
    header: dict[str, str] = {}
    for i, line in enumerate(lines):
        text = line.strip()
        match = _KEY_VALUE.fullmatch(text) or _SIMM_KEY_VALUE.fullmatch(text)
        if match is None:
            name = text if i == 0 else name
            continue
        key, value = match[1].lower(), match[2]
        if header.setdefault(key, value) != value:
            found = f"line {i + 1} sets {match[1]} to {value!r} after {header[key]!r}"
            raise FileFormatError(path, found, "one value for each key of the header")
    data_type = header.get("datatype", "double")
    if data_type.lower() != "double":
        raise FileFormatError(path, f"DataType={data_type}", "a table of scalars, DataType=double")
    return name or header.get("name", ""), header


def _parse_units(
    path: Path, header: Mapping[str, str], lines: list[str], required: bool
) -> bool | None:
    value = header.get("indegrees")
    if value is None:
        if required:
            # The prose is quoted but not obeyed: nothing in OpenSim reads it.
            prose = [line.strip() for line in lines if line.strip().lower().startswith("angles")]
            note = f" (only the remark {prose[0]!r})" if prose else ""
            raise FileFormatError(
                path,
                f"a header that does not say whether angles are in degrees or radians{note}",
                "a line 'inDegrees=yes' or 'inDegrees=no' before 'endheader'; add the right one",
            )
        return None
    if value.lower() not in ("yes", "no"):
        raise FileFormatError(path, f"inDegrees={value}", "inDegrees=yes or inDegrees=no")
    return value.lower() == "yes"


def _parse_labels(
    path: Path, line: tuple[int, str], rows: list[tuple[int, str]]
) -> tuple[str, ...]:
    """Column labels, with the time first."""
    number, text = line
    labels = tuple(text.split())
    # Labels may hold spaces where tabs separate them; the first row tells which is meant.
    if "\t" in text and rows and len(labels) != len(rows[0][1].split()):
        labels = tuple(label.strip() for label in text.split("\t") if label.strip())
    if labels[0].lower() != "time":
        found = f"line {number} starts with {labels[0]!r}"
        raise FileFormatError(path, found, "column labels of which the first is 'time'")
    if len(labels) < 2:
        raise FileFormatError(path, f"line {number} labels no column but the time", "one or more")
    duplicates = sorted({label for label in labels if labels.count(label) > 1})
    if duplicates:
        found = f"line {number} has the same label twice: {', '.join(duplicates)}"
        raise FileFormatError(path, found, "a name of its own for each column")
    return labels


def _check_row_count(path: Path, header: Mapping[str, str], count: int) -> None:
    for key, written in (("nrows", "nRows="), ("datarows", "datarows ")):
        stated = header.get(key)
        if stated is not None and stated != str(count):
            found = f"{count} rows where the header states {written}{stated}"
            expected = "as many as stated: the file is cut short, or its header needs correction"
            raise FileFormatError(path, found, expected)
    if count < 2:
        raise FileFormatError(path, f"{count} rows of data", "at least 2")


def _parse_rows(path: Path, labels: tuple[str, ...], rows: list[tuple[int, str]]) -> FloatArray:
    """Convert and check the table, shape (n, 1 + n_columns)."""
    try:
        table = np.loadtxt([text for _, text in rows], comments=None, ndmin=2)
        if table.shape[1] != len(labels):
            raise ValueError(f"{table.shape[1]} columns")
    except ValueError as error:
        raise _locate_error(path, labels, rows, error) from None
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        row, column = bad[0]
        found = f"{table[row, column]} in line {rows[row][0]}, column {labels[column]!r}"
        found += f" ({len(bad)} such values in all)"
        raise FileFormatError(path, found, "finite numbers; fill the gaps before")
    late = np.flatnonzero(np.diff(table[:, 0]) <= 0)
    if len(late):
        row = late[0] + 1
        found = f"time {table[row, 0]:.9g} s in line {rows[row][0]} after {table[row - 1, 0]:.9g} s"
        raise FileFormatError(path, found, "strictly increasing time")
    return table


def _locate_error(
    path: Path, labels: tuple[str, ...], rows: list[tuple[int, str]], error: ValueError
) -> FileFormatError:
    """Find, line by line, what the fast parser refused."""
    for i, (number, text) in enumerate(rows):
        tokens = text.split()
        for label, token in zip(labels, tokens, strict=False):
            if not _NUMBER.fullmatch(token):
                found = f"{token!r} in line {number}, column {label!r}"
                return FileFormatError(path, found, "a number")
        if len(tokens) != len(labels):
            found = f"line {number} has {len(tokens)} values for {len(labels)} columns"
            if i == len(rows) - 1:
                found += " and is the last line, so the file is cut short"
            return FileFormatError(path, found, "one value for each column")
    return FileFormatError(path, f"a table that cannot be parsed ({error})", "rows of numbers")
