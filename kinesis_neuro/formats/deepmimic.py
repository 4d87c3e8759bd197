"""DeepMimic's JSON motions: root way and segment rotations of its 3-D humanoid.

Peng et al. 2018, "DeepMimic". A frame is 44 numbers: duration [s], root position (y up) and
quaternion, then chest, neck, and for each side hip, knee, ankle, shoulder, elbow; joints with three
degrees of freedom are quaternions (w, x, y, z), knees and elbows angles about z. The humanoid
stands upright and faces +x at zero.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.motion_data import MotionData, chain, checked, quaternions, read_text

FloatArray = NDArray[np.float64]

_EXPECTED = 'a DeepMimic motion: {"Loop": ..., "Frames": [[44 numbers], ...]}'
_WIDTH = 44
_SHORTEST = 0.5
# (name, parent, is a hinge), in the order of the numbers.
_JOINTS = (
    ("root", -1, False),
    ("chest", 0, False),
    ("neck", 1, False),
    ("right_hip", 0, False),
    ("right_knee", 3, True),
    ("right_ankle", 4, False),
    ("right_shoulder", 1, False),
    ("right_elbow", 6, True),
    ("left_hip", 0, False),
    ("left_knee", 8, True),
    ("left_ankle", 9, False),
    ("left_shoulder", 1, False),
    ("left_elbow", 11, True),
)
# x ahead, y up, z right, as in OpenSim, to the world that the bodies stand in.
_TO_WORLD = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def read_deepmimic(path: str | Path) -> MotionData:
    """Read a motion of DeepMimic.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    MotionData
        Orientations of the segments, named by the joint above them, and the way of the root. The
        clip is taken once, whatever its ``Loop`` says.

    Raises
    ------
    FileFormatError
        The file is no such JSON, or the motion is implausible.

    Examples
    --------
    >>> read_deepmimic("walk.txt")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: walk.txt: no such file. Expected a DeepMimic motion: ...
    """
    path = Path(path)
    try:
        content = json.loads(read_text(path, _EXPECTED))
    except (json.JSONDecodeError, RecursionError) as error:
        raise FileFormatError(path, f"no JSON ({error})", _EXPECTED) from error
    frames = content.get("Frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames:
        raise FileFormatError(path, "no frames", _EXPECTED)
    for k, frame in enumerate(frames):
        if not isinstance(frame, list) or len(frame) != _WIDTH:
            size = len(frame) if isinstance(frame, list) else type(frame).__name__
            raise FileFormatError(path, f"{size} values in frame {k}", f"{_WIDTH} numbers a frame")
    try:
        table = np.array(frames, dtype=float)
    except (TypeError, ValueError) as error:
        raise FileFormatError(path, f"values that are no numbers ({error})", _EXPECTED) from error
    # The last frame's duration leads nowhere, and files set it to anything.
    interval = float(np.median(table[:-1, 0])) if len(table) > 1 else 0.0
    if not (np.isfinite(table).all() and interval > 0):
        bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
        found = f"frame {bad[0]} not finite" if bad.size else f"a frame time of {interval:g} s"
        raise FileFormatError(path, found, "numbers and a positive frame time")
    if np.abs(table[:-1, 0] - interval).max() > 0.02 * interval:
        raise FileFormatError(path, "frames of different durations", "one frame rate")
    n = len(table)
    world = chain(_local(path, table), n, tuple(parent for _, parent, _ in _JOINTS))
    return checked(
        MotionData(
            path,
            "deepmimic",
            tuple(name for name, _, _ in _JOINTS),
            1.0 / interval,
            orientation=quaternions(_TO_WORLD @ world @ _TO_WORLD.T),
            root_position=table[:, 1:4] @ _TO_WORLD.T,
        )
    )


def _local(path: Path, table: FloatArray) -> Rotation:
    """Rotation of each joint in its parent, (n_frames * n_joints,)."""
    local = np.empty((len(table), len(_JOINTS), 4))
    column = 4
    for joint, (name, _, hinge) in enumerate(_JOINTS):
        if hinge:
            half = 0.5 * table[:, column]
            local[:, joint] = np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], axis=-1)
            column += 1
            continue
        local[:, joint] = table[:, column : column + 4]
        column += 4
        # Published files hold quaternions blended without normalising, down to a length of 0.58.
        norm = np.linalg.norm(local[:, joint], axis=-1)
        if norm.min() < _SHORTEST or norm.max() > 2 - _SHORTEST:
            frame = int(np.abs(norm - 1).argmax())
            raise FileFormatError(
                path,
                f"a quaternion of length {norm[frame]:.3g} for {name!r} in frame {frame}",
                "unit quaternions (w, x, y, z)",
            )
    return Rotation.from_quat(local.reshape(-1, 4), scalar_first=True)
