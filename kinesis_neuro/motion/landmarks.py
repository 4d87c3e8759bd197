"""Which joint of a file is which joint of a body, by the names that programs give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.motion_data import MotionData

FloatArray = NDArray[np.float64]

_SIDES = MappingProxyType({"r": ("right", "r"), "l": ("left", "l")})

# Names without side, lower case, without separators; the first that a file has is taken.
_JOINT_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "hip": ("hip", "upleg", "upperleg", "thigh", "hipjoint", "femur"),
        "knee": ("knee", "leg", "lowerleg", "shin", "shank", "calf", "tibia"),
        "ankle": ("ankle", "foot", "talus"),
        "toe": ("toebase", "toe", "foot", "toes", "ball"),
    }
)
# Acclaim names a bone, and the reader gives its far end.
_BONE_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"hip": ("hipjoint",), "knee": ("femur",), "ankle": ("tibia",), "toe": ("foot",)}
)
_TRUNK_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "spine": ("spine1", "spine", "lowerback", "abdomen", "chest", "torso", "thorax"),
        "chest": ("spine3", "thorax", "spine2", "chest", "neck"),
    }
)
SEGMENT_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pelvis": ("pelvis", "root", "hips"),
        "torso": ("torso", "spine3", "chest"),
        **{
            f"{segment}_{side}": (f"{segment}_{side}", f"{word}_{joint}")
            for side, word in (("r", "right"), ("l", "left"))
            for segment, joint in (
                *(("femur", "hip"), ("tibia", "knee"), ("calcn", "ankle"), ("toes", "foot")),
            )
        },
    }
)
"""Names of a body's segment in formats that give orientations (SMPL, DeepMimic, a body's own)."""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.split(":")[-1].lower())


def find_joints(data: MotionData) -> dict[str, FloatArray]:
    """Positions (n, 3) of ``hip_r``, ``knee_r``, ``ankle_r``, ``toe_r``, their left, ``spine``.

    Raises
    ------
    FileFormatError
        A hip, knee or ankle is missing; the message lists the names that there are.

    Examples
    --------
    >>> from pathlib import Path
    >>> names = ("Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg", "RightFoot")
    >>> data = MotionData(Path("a.bvh"), "bvh", names, 60.0, np.zeros((3, 7, 3)))
    >>> sorted(find_joints(data))
    ['ankle_l', 'ankle_r', 'hip_l', 'hip_r', 'knee_l', 'knee_r']
    """
    assert data.position is not None
    place = {_plain(name): k for k, name in reversed(list(enumerate(data.names)))}
    table = _BONE_NAMES if data.format == "amc" else _JOINT_NAMES
    found: dict[str, FloatArray] = {}
    used: set[int] = set()
    for joint, words in table.items():
        for side, sides in _SIDES.items():
            spelled = [s + w for w in words for s in sides] + [w + s for w in words for s in sides]
            index = next((place[n] for n in spelled if n in place and place[n] not in used), None)
            if index is not None:
                found[f"{joint}_{side}"] = data.position[:, index]
                used.add(index)
    for joint, words in _TRUNK_NAMES.items():
        index = next((place[n] for n in words if n in place), None)
        if index is not None:
            found[joint] = data.position[:, index]
    missing = [
        f"{j}_{s}" for j in ("hip", "knee", "ankle") for s in "rl" if f"{j}_{s}" not in found
    ]
    if missing:
        raise FileFormatError(
            data.path,
            f"no joint that is known as {', '.join(missing)} among {', '.join(data.names)}",
            "hips, knees and ankles of both sides",
        )
    return found


def find_orientations(data: MotionData) -> dict[str, FloatArray]:
    """Orientations (n, 4) from neutral standing to the world, by segment of a body.

    Raises
    ------
    FileFormatError
        The pelvis, a thigh, a shank or a foot is missing.
    """
    assert data.orientation is not None
    found = {}
    for segment, names in SEGMENT_NAMES.items():
        name = next((n for n in names if n in data.names), None)
        if name is not None:
            found[segment] = data.orientation[:, data.index(name)]
    needed = ["pelvis", *(f"{s}_{x}" for s in ("femur", "tibia", "calcn") for x in "rl")]
    missing = [segment for segment in needed if segment not in found]
    if missing:
        raise FileFormatError(
            data.path,
            f"no segment that is known as {', '.join(missing)} among {', '.join(data.names)}",
            "pelvis, thighs, shanks and feet",
        )
    return found
