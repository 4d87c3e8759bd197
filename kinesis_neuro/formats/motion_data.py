"""MotionData: what every reader of motion files gives, and the checks that all of them share.

Positions are in metres and z is up. An orientation turns a vector of the segment as it lies in
neutral standing (upright, facing -y, the right side at -x, as the bodies stand) into the world,
so that a segment of any skeleton can be laid on the same segment of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinesis_neuro.errors import FileFormatError, InvalidInputError, unknown_name

FloatArray = NDArray[np.float64]

RATE_RANGE = (5.0, 2000.0)
"""Frame rates that a motion capture system can have [Hz]."""
BODY_EXTENT = (0.6, 2.6)
"""How far the joints of a standing or crouching adult or child, or a leg's, spread [m]."""
HEIGHT_LIMIT = 3.0
"""No pelvis moves at this height above its floor [m]: it tells units where sizes are unknown."""
BONE_TOLERANCE = 0.25
"""Change of a bone's length over a clip that makes it another skeleton (generated ones breathe)."""

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "ft": 0.3048}
"""Metres in a unit of length."""

Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From axes with y up to axes with z up: a quarter turn about x."""
SMPL_TO_WORLD = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""SMPL's neutral axes (x left, y up, z forward) in the neutral body's (facing -y)."""


@dataclass(frozen=True, eq=False)
class MotionData:
    """A motion of named joints or segments on a skeleton that is not a body's.

    Attributes
    ----------
    path : Path
        The file.
    format : str
        ``bvh``, ``amc``, ``smpl``, ``deepmimic``, ``trc``, ``c3d``, ``humanml3d``, ``body``.
    names : tuple of str
        Joints, segments or markers, in the file's own words.
    rate : float
        Frames a second [Hz].
    position : ndarray, shape (n, n_names, 3), or None
        Where each lies [m], z up.
    orientation : ndarray, shape (n, n_names, 4), or None
        Unit quaternion (w, x, y, z) from neutral standing to the world.
    root_position : ndarray, shape (n, 3), or None
        Way of the pelvis [m], for formats whose joints have no position.
    notes : tuple of str
        What the reader had to do or to leave out.
    """

    path: Path
    format: str
    names: tuple[str, ...]
    rate: float
    position: FloatArray | None = None
    orientation: FloatArray | None = None
    root_position: FloatArray | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        for part in (self.position, self.orientation, self.root_position):
            if part is not None:
                return len(part)
        return 0

    @property
    def duration(self) -> float:
        """From the first to the last frame [s]."""
        return (self.n_frames - 1) / self.rate

    def index(self, name: str) -> int:
        """Place of a name.

        Raises
        ------
        InvalidInputError
            There is no such joint; the message lists those that exist.
        """
        if name not in self.names:
            raise unknown_name("joint", name, self.names)
        return self.names.index(name)


def checked(data: MotionData) -> MotionData:
    """Refuse what no motion of a person can be; every reader ends here.

    Raises
    ------
    FileFormatError
        No frames, a rate outside :data:`RATE_RANGE`, values that are not finite, quaternions of
        length zero, arrays of different lengths, doubled names, or a size in other units.
    """
    path = data.path
    if not (np.isfinite(data.rate) and RATE_RANGE[0] <= data.rate <= RATE_RANGE[1]):
        low, high = RATE_RANGE
        raise FileFormatError(
            path, f"a frame rate of {data.rate:g} Hz", f"{low:g} to {high:g} frames a second"
        )
    if data.n_frames < 3:
        raise FileFormatError(path, f"{data.n_frames} frames", "at least 3 frames of motion")
    if len(set(data.names)) != len(data.names):
        twice = sorted({name for name in data.names if data.names.count(name) > 1})
        raise FileFormatError(path, f"{', '.join(twice)} more than once", "one joint a name")
    shapes = {
        "positions": (data.position, (data.n_frames, len(data.names), 3)),
        "orientations": (data.orientation, (data.n_frames, len(data.names), 4)),
        "root positions": (data.root_position, (data.n_frames, 3)),
    }
    for kind, (array, shape) in shapes.items():
        if array is None:
            continue
        if array.shape != shape:
            raise FileFormatError(path, f"{kind} of shape {array.shape}", f"shape {shape}")
        if not np.isfinite(array).all():
            where = np.argwhere(~np.isfinite(array))[0]
            joint = f" of {data.names[where[1]]!r}" if array.ndim == 3 else ""
            raise FileFormatError(
                path, f"{kind}{joint} that are not finite in frame {where[0]}", "numbers"
            )
    if data.orientation is not None:
        norm = np.linalg.norm(data.orientation, axis=-1)
        if np.abs(norm - 1).max() > 1e-3:
            frame, joint_index = np.argwhere(np.abs(norm - 1) > 1e-3)[0]
            raise FileFormatError(
                path,
                f"a quaternion of length {norm[frame, joint_index]:.3g} for "
                f"{data.names[joint_index]!r} in frame {frame}",
                "unit quaternions",
            )
    _refuse_other_units(data)
    return data


def _refuse_other_units(data: MotionData) -> None:
    """Tell by the size of the body whether lengths are in metres."""
    if data.position is not None:
        spread = np.ptp(data.position, axis=1).max(axis=-1)
        size, (low, high), what = float(np.median(spread)), BODY_EXTENT, "a body"
    elif data.root_position is not None:
        # Where the floor lies is the file's choice, within a person's height.
        size = float(np.median(np.abs(data.root_position[:, 2])))
        (low, high), what = (0.0, HEIGHT_LIMIT), "a pelvis height"
    else:
        return
    if low <= size <= high:
        return
    likely = [u for u, s in UNITS.items() if u != "m" and max(low, 0.4) <= size * s <= high]
    hint = f": read it again with units={likely[0]!r}" if likely else ""
    raise FileFormatError(
        data.path,
        f"{what} of {size:.4g} m",
        f"{low:g} to {high:g} m (lengths are not in metres{hint})",
    )


def refuse_changing_bones(
    path: Path, names: tuple[str, ...], parents: tuple[int, ...], position: FloatArray
) -> None:
    """Refuse positions in which a bone's length changes by more than :data:`BONE_TOLERANCE`."""
    child = np.array([k for k, p in enumerate(parents) if p >= 0])
    parent = np.array(parents)[child]
    length = np.linalg.norm(position[:, child] - position[:, parent], axis=-1)
    low, median, high = np.percentile(length, [1, 50, 99], axis=0)
    change = (high - low) / np.maximum(median, 1e-6)
    worst = int(change.argmax())
    if change[worst] > BONE_TOLERANCE:
        raise FileFormatError(
            path,
            f"a skeleton that changes: {names[parent[worst]]!r} to {names[child[worst]]!r} is "
            f"{low[worst]:.3f} to {high[worst]:.3f} m long",
            "bones of constant length",
        )


def meters(units: str) -> float:
    """Metres in a unit of length.

    Examples
    --------
    >>> meters("cm")
    0.01
    """
    if units.lower() not in UNITS:
        raise unknown_name("unit of length", units, UNITS)
    return UNITS[units.lower()]


def chain(local: Rotation, n_frames: int, parents: tuple[int, ...]) -> FloatArray:
    """Turn rotations relative to the parent into rotations in the world.

    Parameters
    ----------
    local : Rotation
        Of ``n_frames * n_joints``, joints changing fastest; parents come before children.
    n_frames : int
    parents : tuple of int
        -1 for a root.

    Returns
    -------
    ndarray, shape (n_frames, n_joints, 3, 3)
        Rotation matrices.
    """
    matrix = local.as_matrix().reshape(n_frames, len(parents), 3, 3)
    world = np.empty_like(matrix)
    for joint, parent in enumerate(parents):
        if parent >= joint:
            raise InvalidInputError("Parents must come before their children.")
        world[:, joint] = matrix[:, joint] if parent < 0 else world[:, parent] @ matrix[:, joint]
    return world


def place(world: FloatArray, offsets: FloatArray, root: FloatArray, parents: tuple) -> FloatArray:
    """Positions (n, n_joints, 3) of a chain with rotations `world` and bones `offsets` (j, 3)."""
    position = np.empty((*world.shape[:2], 3))
    for joint, parent in enumerate(parents):
        position[:, joint] = (
            root if parent < 0 else position[:, parent] + world[:, parent] @ offsets[joint]
        )
    return position


def quaternions(matrix: FloatArray) -> FloatArray:
    """Unit quaternions (..., 4) in order (w, x, y, z) of rotation matrices (..., 3, 3)."""
    flat = Rotation.from_matrix(matrix.reshape(-1, 3, 3)).as_quat(scalar_first=True)
    return flat.reshape(*matrix.shape[:-2], 4)


def read_text(path: Path, expected: str) -> str:
    """Text of a file, with one error for what is absent, empty or binary."""
    if not path.is_file():
        raise FileFormatError(path, "a folder" if path.is_dir() else "no such file", expected)
    raw = path.read_bytes()
    if not raw.strip():
        raise FileFormatError(path, "an empty file", expected)
    if b"\x00" in raw[:4096]:
        raise FileFormatError(path, "binary data", expected)
    return raw.decode("utf-8-sig", errors="replace")
