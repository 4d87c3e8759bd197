"""Markers of optical motion capture: TRC and C3D files, gaps filled, z up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import FileFormatError, InvalidInputError
from kinesis_neuro.formats.c3d import read_c3d
from kinesis_neuro.formats.motion_data import Y_UP, MotionData, checked, meters, read_text

FloatArray = NDArray[np.float64]

MAX_GAP = 0.2
"""Longest time that a marker may be hidden and is bridged by a straight line [s]."""

# Results of Plug-in Gait's model and unnamed points, which files keep among the markers.
_NOT_MARKERS = re.compile(
    r"^\*|^$|(Angles?|Power|Force|Moment|GRF|CentreOfMass|CentreOfMassFloor)V?$"
)

_EXPECTED = "a TRC file: four lines of header, then frame, time and x, y, z of each marker"


def read_trc(path: str | Path, *, units: str | None = None, up: str | None = None) -> MotionData:
    """Read a TRC file of markers.

    Parameters
    ----------
    path : str or Path
    units : {"m", "cm", "mm", "inch", "ft"}, optional
        The header's if not given.
    up : {"y", "z"}, optional
        The laboratory's vertical axis; that along which the markers spread most if not given.

    Returns
    -------
    MotionData
        Positions of the markers. Gaps to :data:`MAX_GAP` are bridged; a marker with a longer one
        is left out, with a note.

    Raises
    ------
    FileFormatError
        The file cannot be read, its table does not fit its header, or it is implausible.

    Examples
    --------
    >>> read_trc("walk.trc")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: walk.trc: no such file. Expected a TRC file: ...
    """
    path = Path(path)
    lines = read_text(path, _EXPECTED).splitlines()
    if len(lines) < 5 or not lines[0].startswith("PathFileType"):
        raise FileFormatError(path, f"{lines[0][:40]!r} at the start", _EXPECTED)
    keys, values = lines[1].split(), lines[2].split()
    header = dict(zip(keys, values, strict=False))
    try:
        rate, n_markers = float(header["DataRate"]), int(header["NumMarkers"])
        n_frames, unit = int(header["NumFrames"]), header["Units"]
    except (KeyError, ValueError) as error:
        raise FileFormatError(path, f"a header without {error}", _EXPECTED) from error
    names = [name.strip() for name in lines[3].split("\t")[2::3]]
    names = [name for name in names if name]
    if len(names) != n_markers:
        raise FileFormatError(path, f"{len(names)} names", f"the {n_markers} markers of the header")
    rows = [line.rstrip("\r\n").split("\t") for line in lines[5:] if line.strip()]
    if len(rows) != n_frames or not rows:
        raise FileFormatError(path, f"{len(rows)} rows", f"the {n_frames} frames of the header")
    table = np.array([_row(path, row, n_markers) for row in rows])
    points = table[:, 2:].reshape(len(rows), n_markers, 3)
    if not np.isfinite(rate) or rate <= 0:
        raise FileFormatError(path, f"a frame rate of {rate:g} Hz", "a positive rate")
    return _markers(path, "trc", names, points, rate, units or unit, up)


def _row(path: Path, words: list[str], n_markers: int) -> list[float]:
    width = 2 + 3 * n_markers
    filled = [word.strip() for word in words[:width]] + [""] * (width - len(words))
    if any(word.strip() for word in words[width:]):
        raise FileFormatError(
            path, f"more than {width} values in frame {words[0]}", f"{n_markers} markers"
        )
    try:
        # A hidden marker is left empty.
        return [float(word) if word else np.nan for word in filled]
    except ValueError as error:
        raise FileFormatError(path, f"frame {words[0]} ({error})", "numbers") from error


def read_c3d_markers(
    path: str | Path, *, units: str | None = None, up: str | None = None
) -> MotionData:
    """Read the markers of a C3D file.

    Parameters
    ----------
    path : str or Path
    units : {"m", "cm", "mm", "inch", "ft"}, optional
        The file's if not given.
    up : {"y", "z"}, optional
        The laboratory's vertical axis; that along which the markers spread most if not given.

    Returns
    -------
    MotionData
        As :func:`read_trc`; names without the subject's prefix (``Bob:LASI`` is ``LASI``).

    Raises
    ------
    FileFormatError
        The file cannot be read, holds no markers, or is implausible.

    Examples
    --------
    >>> read_c3d_markers("walk.c3d")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: walk.c3d: no such file. Expected a C3D file.
    """
    path = Path(path)
    content = read_c3d(path)
    points = {name.split(":")[-1]: xyz for name, xyz in content.points.items()}
    points = {name: xyz for name, xyz in points.items() if not _NOT_MARKERS.search(name)}
    if not points:
        raise FileFormatError(path, "no markers", "a C3D file with points")
    stacked = np.stack(list(points.values()), axis=1)
    unit = units or content.point_units.strip() or "mm"
    return _markers(path, "c3d", list(points), stacked, content.point_rate, unit, up)


def _markers(
    path: Path,
    kind: str,
    names: list[str],
    points: FloatArray,
    rate: float,
    units: str,
    up: str | None,
) -> MotionData:
    if up not in ("y", "z", None):
        raise InvalidInputError(f"up must be one of y, z, got {up!r}.")
    try:
        scale = meters(units)
    except InvalidInputError as error:
        raise FileFormatError(path, f"lengths in {units!r}", "m, cm, mm, inch or ft") from error
    # Some programs write a hidden marker as the origin of the laboratory.
    points = np.where((points == 0).all(axis=-1, keepdims=True), np.nan, points)
    filled, gaps = _bridged(points, rate)
    first, last = _longest_window(np.asarray(np.isfinite(filled).all(axis=2)))
    window = filled[first:last]
    seen = np.asarray(np.isfinite(window).all(axis=(0, 2)))
    if last - first < 3 or not seen.any():
        raise FileFormatError(path, "no frames in which the markers are seen", "finite positions")
    notes = []
    if hidden := [n for n, ok in zip(names, seen, strict=True) if not ok]:
        notes.append(f"left out, hidden for longer than {MAX_GAP} s: {', '.join(hidden)}")
    if gaps:
        notes.append(f"{gaps} hidden samples bridged")
    if last - first < len(points):
        notes.append(f"frames {first} to {last - 1} of {len(points)}, where the markers are seen")
    position = scale * window[:, seen]
    if up is None:
        # Bodies are higher than wide while they stand, walk and run.
        spread = np.median(np.ptp(position, axis=1), axis=0)
        up = "y" if spread[1] > spread[2] else "z"
        notes.append(f"{up} taken for the vertical axis, along which the markers spread most")
    if up == "y":
        position = position @ Y_UP.T
    kept = tuple(n for n, ok in zip(names, seen, strict=True) if ok)
    return checked(MotionData(path, kind, kept, rate, position, notes=tuple(notes)))


def _bridged(points: FloatArray, rate: float) -> tuple[FloatArray, int]:
    """Fill gaps inside a marker's way that last no longer than :data:`MAX_GAP`."""
    filled, count = points.copy(), 0
    frames = np.arange(len(points))
    for marker in np.flatnonzero(np.isnan(points).any(axis=(0, 2))):
        hidden = np.isnan(points[:, marker]).any(axis=1)
        edges = np.flatnonzero(np.diff(np.r_[False, hidden, False].astype(int)))
        starts, stops = edges[::2], edges[1::2]
        inside = (starts > 0) & (stops < len(points)) & ((stops - starts) / rate <= MAX_GAP)
        for start, stop in zip(starts[inside], stops[inside], strict=True):
            for axis in range(3):
                known = points[~hidden, marker, axis]
                filled[start:stop, marker, axis] = np.interp(
                    frames[start:stop], frames[~hidden], known
                )
            count += int(stop - start)
    return filled, count


def _longest_window(visible: NDArray[np.bool_]) -> tuple[int, int]:
    """Longest run of frames with all markers that are seen half as long as the best, or longer."""
    share = visible.mean(axis=0)
    often = (share > 0) & (share >= 0.5 * share.max())
    if not often.any():
        return 0, 0
    good = visible[:, often].all(axis=1)
    edges = np.flatnonzero(np.diff(np.r_[False, good, False].astype(int)))
    if not edges.size:
        return 0, 0
    longest = int(np.argmax(edges[1::2] - edges[::2]))
    return int(edges[2 * longest]), int(edges[2 * longest + 1])


def by_name(data: MotionData) -> Mapping[str, FloatArray]:
    """Positions (n, 3) by name, of data that has any."""
    if data.position is None:
        raise InvalidInputError(f"{data.path}: a motion of format {data.format} has no positions.")
    return {name: data.position[:, k] for k, name in enumerate(data.names)}
