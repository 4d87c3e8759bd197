"""Joint centres from skin markers, by regression, for retargeting without a marker model.

Hips: Harrington et al. 2007 (J Biomech 40:595), from pelvic width and depth. Knee and ankle: half
the joint's width inwards of the lateral marker, along the axis of the hips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.markers import by_name
from kinesis_neuro.formats.motion_data import MotionData

FloatArray = NDArray[np.float64]

KNEE_HALF_WIDTH, ANKLE_HALF_WIDTH = 0.055, 0.04
"""From the centre of the joint to that of a marker on its lateral side, in an adult [m]."""

# Plug-in Gait's names and those of OpenSim's examples.
_MARKERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "asis_r": ("RASI", "R.ASIS", "RASIS", "r.ASIS"),
        "asis_l": ("LASI", "L.ASIS", "LASIS", "l.ASIS"),
        "psis_r": ("RPSI", "R.PSIS", "RPSIS", "r.PSIS", "SACR", "VSAC", "S2"),
        "psis_l": ("LPSI", "L.PSIS", "LPSIS", "l.PSIS", "SACR", "VSAC", "S2"),
        "knee_r": ("RKNE", "R.Knee", "RKNEE"),
        "knee_l": ("LKNE", "L.Knee", "LKNEE"),
        "ankle_r": ("RANK", "R.Ankle", "RANKLE"),
        "ankle_l": ("LANK", "L.Ankle", "LANKLE"),
        "heel_r": ("RHEE", "R.Heel", "RHEEL"),
        "heel_l": ("LHEE", "L.Heel", "LHEEL"),
        "toe_r": ("RTOE", "R.Toe", "RMT2", "R.MT5"),
        "toe_l": ("LTOE", "L.Toe", "LMT2", "L.MT5"),
        "chest": ("C7", "R.Clavicle", "CLAV", "IJ"),
    }
)
_OPTIONAL = ("heel_r", "heel_l", "chest")


def markers_to_joints(data: MotionData) -> MotionData:
    """Estimate joint centres from markers.

    Parameters
    ----------
    data : MotionData
        Markers, as :func:`kinesis_neuro.formats.markers.read_trc` gives them.

    Returns
    -------
    MotionData
        Joints ``right_hip`` and so on, of format ``joints``; ``spine`` is the pelvis' upward axis.

    Raises
    ------
    FileFormatError
        A marker that is needed is not among the names.
    """
    markers = by_name(data)
    found = {}
    for landmark, names in _MARKERS.items():
        name = next((n for n in names if n in markers), None)
        if name is not None:
            found[landmark] = markers[name]
        elif landmark not in _OPTIONAL:
            raise FileFormatError(
                data.path,
                f"no marker {' or '.join(names)} among {', '.join(markers)}",
                "markers of pelvis, knees, ankles and toes (others can be renamed in the data)",
            )
    width_axis = _unit(found["asis_r"] - found["asis_l"])
    front = 0.5 * (found["asis_r"] + found["asis_l"])
    back = 0.5 * (found["psis_r"] + found["psis_l"])
    ahead = front - back
    ahead = _unit(ahead - _dot(ahead, width_axis) * width_axis)
    up = np.cross(width_axis, ahead)
    depth = np.median(np.linalg.norm(front - back, axis=1))
    width = np.median(np.linalg.norm(found["asis_r"] - found["asis_l"], axis=1))
    joints = {}
    for side, sign, word in (("r", 1.0, "right"), ("l", -1.0, "left")):
        hip = (
            front
            - (0.24 * depth + 0.0099) * ahead
            - (0.30 * width + 0.0109) * up
            + sign * (0.33 * width + 0.0073) * width_axis
        )
        joints[f"{word}_hip"] = hip
        thigh = _unit(hip - found[f"knee_{side}"])
        inward = -sign * _unit(width_axis - _dot(width_axis, thigh) * thigh)
        joints[f"{word}_knee"] = found[f"knee_{side}"] + KNEE_HALF_WIDTH * inward
        shank = _unit(found[f"knee_{side}"] - found[f"ankle_{side}"])
        inward = -sign * _unit(width_axis - _dot(width_axis, shank) * shank)
        joints[f"{word}_ankle"] = found[f"ankle_{side}"] + ANKLE_HALF_WIDTH * inward
        joints[f"{word}_toe"] = found[f"toe_{side}"]
    middle = 0.5 * (joints["right_hip"] + joints["left_hip"])
    joints["spine"] = middle + 0.1 * up
    if "chest" in found:
        joints["chest"] = found["chest"]
    return replace(
        data,
        format="joints",
        names=tuple(joints),
        position=np.stack(list(joints.values()), axis=1),
        notes=(*data.notes, "joint centres estimated from markers (Harrington et al. 2007)"),
    )


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.sum(a * b, axis=-1, keepdims=True)


def _unit(vector: FloatArray) -> FloatArray:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)
