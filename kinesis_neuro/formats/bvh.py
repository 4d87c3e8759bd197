"""BVH files (Biovision): a skeleton of offsets and Euler angles over time, joint positions out.

The file names neither its unit nor what its angles are measured from, so lengths are taken in
`units` and checked by the body's size, and positions, which need no neutral pose, are returned.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.motion_data import (
    Y_UP,
    MotionData,
    chain,
    checked,
    meters,
    place,
    read_text,
)

FloatArray = NDArray[np.float64]

_EXPECTED = "a BVH file: HIERARCHY, then MOTION"
_CHANNELS = tuple(f"{axis}{kind}" for axis in "XYZ" for kind in ("position", "rotation"))


class _Skeleton:
    """Joints in the order of the file, which is the order of their channels."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.parents: list[int] = []
        self.offsets: list[list[float]] = []
        self.channels: list[list[str]] = []


def read_bvh(path: str | Path, *, units: str = "m", up: str = "y") -> MotionData:
    """Read a BVH file.

    Parameters
    ----------
    path : str or Path
    units : {"m", "cm", "mm", "inch", "ft"}
        Unit of the offsets, which the file does not name. A body of another size is refused with
        the unit that would fit.
    up : {"y", "z"}
        The file's vertical axis.

    Returns
    -------
    MotionData
        Positions of the joints, and of end sites as ``<joint>_end``.

    Raises
    ------
    FileFormatError
        The hierarchy or a row cannot be read, or the motion is implausible.

    Examples
    --------
    >>> read_bvh("walk.bvh")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: walk.bvh: no such file. Expected a BVH file: ...
    """
    path = Path(path)
    scale = meters(units)
    lines = [line.split() for line in read_text(path, _EXPECTED).splitlines()]
    motion = next((k for k, words in enumerate(lines) if words[:1] == ["MOTION"]), None)
    if motion is None or not any(words[:1] == ["HIERARCHY"] for words in lines[:motion]):
        raise FileFormatError(path, "no sections HIERARCHY and MOTION", _EXPECTED)
    skeleton = _hierarchy(path, lines[:motion])
    n_frames, interval, rows = _header(path, lines[motion + 1 :])
    width = sum(map(len, skeleton.channels))
    values = _numbers(path, rows, n_frames, width)

    order, column = len(skeleton.names), 0
    local = np.tile(np.eye(3), (n_frames, order, 1, 1))
    root = np.zeros((n_frames, 3))
    for joint, channels in enumerate(skeleton.channels):
        block = values[:, column : column + len(channels)]
        column += len(channels)
        turns = [k for k, c in enumerate(channels) if c.endswith("rotation")]
        moves = [k for k, c in enumerate(channels) if c.endswith("position")]
        if turns:
            axes = "".join(channels[k][0] for k in turns)
            local[:, joint] = Rotation.from_euler(axes, block[:, turns], degrees=True).as_matrix()
        if moves and skeleton.parents[joint] < 0:
            root[:, ["XYZ".index(channels[k][0]) for k in moves]] = block[:, moves]
    parents = tuple(skeleton.parents)
    world = chain(Rotation.from_matrix(local.reshape(-1, 3, 3)), n_frames, parents)
    offsets = np.array(skeleton.offsets)
    position = scale * place(world, offsets, root + offsets[0], parents)
    if up == "y":
        position = position @ Y_UP.T
    return checked(MotionData(path, "bvh", tuple(skeleton.names), 1.0 / interval, position))


def _hierarchy(path: Path, lines: list[list[str]]) -> _Skeleton:
    skeleton = _Skeleton()
    stack: list[int] = []
    opened = -1
    for number, words in enumerate(lines, 1):
        key = words[0] if words else ""
        if key in ("ROOT", "JOINT", "End"):
            if key == "ROOT" and skeleton.names:
                raise FileFormatError(path, f"a second ROOT in line {number}", "one skeleton")
            parent = stack[-1] if stack else -1
            if parent < 0 and key != "ROOT":
                raise FileFormatError(path, f"{key} outside a joint in line {number}", _EXPECTED)
            name = f"{skeleton.names[parent]}_end" if key == "End" else " ".join(words[1:])
            skeleton.names.append(name)
            skeleton.parents.append(parent)
            skeleton.offsets.append([])
            skeleton.channels.append([])
            opened = len(skeleton.names) - 1
        elif key == "{":
            stack.append(opened)
        elif key == "}":
            if not stack:
                raise FileFormatError(path, f"a brace too many in line {number}", _EXPECTED)
            stack.pop()
        elif key == "OFFSET" and stack:
            skeleton.offsets[stack[-1]] = _floats(path, number, words[1:], 3)
        elif key == "CHANNELS" and stack:
            channels = words[2:]
            odd = [c for c in channels if c not in _CHANNELS]
            if odd or not words[1:2] or words[1] != str(len(channels)):
                raise FileFormatError(
                    path,
                    f"CHANNELS {' '.join(words[1:])} in line {number}",
                    f"a count and that many of {', '.join(_CHANNELS)}",
                )
            skeleton.channels[stack[-1]] = channels
        elif key not in ("", "HIERARCHY"):
            raise FileFormatError(path, f"{key!r} in line {number}", _EXPECTED)
    bare = [n for n, offset in zip(skeleton.names, skeleton.offsets, strict=True) if not offset]
    if stack or not skeleton.names or bare:
        found = f"no OFFSET for {bare[0]!r}" if bare else "a hierarchy that does not close"
        raise FileFormatError(path, found, _EXPECTED)
    return skeleton


def _floats(path: Path, number: int, words: list[str], n: int) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) != n:
        raise FileFormatError(path, f"{' '.join(words)!r} in line {number}", f"{n} numbers")
    return values


def _header(path: Path, lines: list[list[str]]) -> tuple[int, float, list[list[str]]]:
    filled = [words for words in lines if words]
    texts = [" ".join(words) for words in filled[:2]]
    try:
        if not (texts[0].startswith("Frames:") and texts[1].startswith("Frame Time:")):
            raise ValueError
        n_frames, interval = int(texts[0].split(":")[1]), float(texts[1].split(":")[1])
    except (ValueError, IndexError) as error:
        raise FileFormatError(
            path, f"{' / '.join(texts)!r} after MOTION", "'Frames: N' and 'Frame Time: SECONDS'"
        ) from error
    if not interval > 0:
        raise FileFormatError(path, f"a frame time of {interval:g} s", "a positive frame time")
    return n_frames, interval, filled[2:]


def _numbers(path: Path, rows: list[list[str]], n_frames: int, width: int) -> FloatArray:
    if len(rows) != n_frames or n_frames < 1:
        raise FileFormatError(path, f"{len(rows)} rows", f"the {n_frames} frames of the header")
    for frame, row in enumerate(rows):
        if len(row) != width:
            raise FileFormatError(
                path,
                f"{len(row)} values in frame {frame}",
                f"{width}, one a channel of the skeleton (which must not change)",
            )
    try:
        return np.array(rows, dtype=float)
    except ValueError as error:
        raise FileFormatError(path, f"a row that is not numbers ({error})", "numbers") from error
