"""ASF/AMC files (Acclaim): a skeleton and its motion, joint positions out.

A bone's rotation is given in axes of its own: with C the rotation of these axes and M that of the
frame, its local rotation is C M C^-1 (Acclaim's convention; Lander 1998, "Working with Motion
Capture File Formats"). CMU's files give lengths in 1/0.45 inch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.motion_data import Y_UP, MotionData, checked, meters, read_text

FloatArray = NDArray[np.float64]

CMU_RATE = 120.0
"""Frames a second of most of CMU's clips [Hz]; an AMC file does not hold it."""

_EXPECTED_ASF = "an ASF skeleton with :units, :root, :bonedata and :hierarchy"
_EXPECTED_AMC = "an AMC motion: frame numbers, each followed by one line a bone"
_ANGLES = ("rx", "ry", "rz")


@dataclass
class _Bone:
    name: str
    direction: FloatArray = field(default_factory=lambda: np.zeros(3))
    length: float = 0.0
    axis: Rotation = field(default_factory=Rotation.identity)
    dof: tuple[str, ...] = ()
    parent: str = ""


@dataclass
class _Skeleton:
    bones: dict[str, _Bone]
    meters: float
    degrees: bool


def read_amc(
    path: str | Path,
    skeleton: str | Path,
    *,
    rate: float = CMU_RATE,
    units: str | None = None,
) -> MotionData:
    """Read an AMC motion with its ASF skeleton.

    Parameters
    ----------
    path : str or Path
        The ``.amc`` file.
    skeleton : str or Path
        The ``.asf`` file.
    rate : float
        Frames a second [Hz].
    units : {"m", "cm", "mm", "inch", "ft"}, optional
        Unit of the lengths; inches over the skeleton's ``length`` if not given, as at CMU.

    Returns
    -------
    MotionData
        Position of ``root`` and of the far end of each bone, named as the bone.

    Raises
    ------
    FileFormatError
        A file cannot be read, a frame has other bones than the skeleton, or the motion is
        implausible.

    Examples
    --------
    >>> read_amc("11_01.amc", "11.asf")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: 11.asf: no such file. Expected an ASF skeleton ...
    """
    path = Path(path)
    asf = _read_skeleton(Path(skeleton))
    scale = asf.meters if units is None else meters(units)
    moving = {name: bone for name, bone in asf.bones.items() if bone.dof}
    table = _read_frames(path, moving)
    n = len(table["root"])
    names = tuple(asf.bones)
    turn: dict[str, FloatArray] = {}
    position = np.empty((n, len(names), 3))
    for k, (name, bone) in enumerate(asf.bones.items()):
        local = np.tile(np.eye(3), (n, 1, 1))
        if bone.dof:
            order = [d.lower() for d in bone.dof]
            angles = [k for k, d in enumerate(order) if d in _ANGLES]
            axes = "".join(order[k][1] for k in angles)
            frame = Rotation.from_euler(axes, table[name][:, angles], degrees=asf.degrees)
            local = (bone.axis * frame * bone.axis.inv()).as_matrix()
        if not bone.parent:
            turn[name] = local
            order = [d.lower() for d in bone.dof]
            position[:, k] = table[name][:, [order.index(t) for t in ("tx", "ty", "tz")]]
            continue
        turn[name] = turn[bone.parent] @ local
        way = turn[name] @ (bone.length * bone.direction)
        position[:, k] = position[:, names.index(bone.parent)] + way
    return checked(MotionData(path, "amc", names, float(rate), scale * position @ Y_UP.T))


def _sections(text: str) -> dict[str, list[list[str]]]:
    sections: dict[str, list[list[str]]] = {}
    current: list[list[str]] = []
    for line in text.splitlines():
        words = line.split("#")[0].replace("(", " ").replace(")", " ").split()
        if words and words[0].startswith(":"):
            current = sections.setdefault(words[0][1:].lower(), [words[1:]])
        elif words:
            current.append(words)
    return sections


def _read_skeleton(path: Path) -> _Skeleton:
    sections = _sections(read_text(path, _EXPECTED_ASF))
    missing = [s for s in ("units", "root", "bonedata", "hierarchy") if s not in sections]
    if missing:
        raise FileFormatError(path, f"no section :{missing[0]}", _EXPECTED_ASF)
    try:
        units = {words[0]: words[1] for words in sections["units"] if len(words) > 1}
        degrees = units.get("angle", "deg").startswith("deg")
        root = {words[0].lower(): words[1:] for words in sections["root"] if words}
        bones = {"root": _Bone("root", dof=tuple(root["order"]))}
        bones["root"].axis = Rotation.from_euler(
            root["axis"][0].lower(), [float(x) for x in root["orientation"]], degrees=degrees
        )
        for bone in _bones(sections["bonedata"], degrees):
            bones[bone.name] = bone
        for words in sections["hierarchy"]:
            for child in words[1:]:
                bones[child].parent = words[0]
        scale = meters("inch") / float(units.get("length", 1.0))
        if sorted(d.lower() for d in root["order"]) != ["rx", "ry", "rz", "tx", "ty", "tz"]:
            raise ValueError(f"order {' '.join(root['order'])} of the root")
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise FileFormatError(path, f"cannot be read ({error!r})", _EXPECTED_ASF) from error
    ordered: dict[str, _Bone] = {}
    for name, bone in bones.items():
        _add_with_parents(path, bones, name, ordered, depth=0)
        if name != "root" and not bone.parent:
            raise FileFormatError(path, f"bone {name!r} without a parent", _EXPECTED_ASF)
    return _Skeleton(ordered, scale, degrees)


def _add_with_parents(
    path: Path, bones: dict[str, _Bone], name: str, ordered: dict[str, _Bone], depth: int
) -> None:
    """Parents first, whatever the order of the file."""
    if name in ordered:
        return
    if depth > len(bones):
        raise FileFormatError(path, f"bone {name!r} among its own parents", _EXPECTED_ASF)
    parent = bones[name].parent
    if parent:
        if parent not in bones:
            raise FileFormatError(path, f"unknown bone {parent!r}", _EXPECTED_ASF)
        _add_with_parents(path, bones, parent, ordered, depth + 1)
    ordered[name] = bones[name]


def _bones(lines: list[list[str]], degrees: bool) -> list[_Bone]:
    bones: list[_Bone] = []
    for words in lines:
        key = words[0].lower() if words else ""
        if key == "begin":
            bones.append(_Bone(""))
        elif key == "name":
            bones[-1].name = words[1]
        elif key == "direction":
            bones[-1].direction = np.array(words[1:4], dtype=float)
        elif key == "length":
            bones[-1].length = float(words[1])
        elif key == "axis":
            bones[-1].axis = Rotation.from_euler(
                words[4].lower(), [float(x) for x in words[1:4]], degrees=degrees
            )
        elif key == "dof":
            bones[-1].dof = tuple(words[1:])
    return bones


def _read_frames(path: Path, moving: dict[str, _Bone]) -> dict[str, FloatArray]:
    """Values of each bone, (n_frames, n_dof), in the order of its degrees of freedom."""
    rows: list[dict[str, list[float]]] = []
    for number, line in enumerate(read_text(path, _EXPECTED_AMC).splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith(("#", ":")):
            continue
        if re.fullmatch(r"\d+", words[0]) and len(words) == 1:
            rows.append({})
            continue
        if not rows or words[0] not in moving:
            found = f"{words[0]!r} in line {number}"
            raise FileFormatError(path, found, "a bone of the skeleton, in a frame")
        try:
            rows[-1][words[0]] = [float(word) for word in words[1:]]
        except ValueError as error:
            raise FileFormatError(path, f"line {number} ({error})", "numbers") from error
    if not rows:
        raise FileFormatError(path, "0 frames", _EXPECTED_AMC)
    for frame, row in enumerate(rows):
        for name, bone in moving.items():
            if len(row.get(name, ())) != len(bone.dof):
                raise FileFormatError(
                    path,
                    f"{len(row.get(name, ()))} values for {name!r} in frame {frame}",
                    f"{len(bone.dof)}, as the skeleton says (which must not change)",
                )
    table = {name: np.array([row[name] for row in rows]) for name in moving}
    for name, values in table.items():
        if not np.isfinite(values).all():
            frame = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise FileFormatError(path, f"{name!r} not finite in frame {frame}", "numbers")
    return table
