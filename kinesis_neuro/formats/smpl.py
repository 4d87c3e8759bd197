"""AMASS motions (SMPL-H and SMPL-X ``.npz``) without SMPL's body model: segment rotations alone.

Mahmood et al. 2019, "AMASS". Poses are axis-angle vectors of each joint in its parent, the first
of them the root's in a world with z up. What SMPL's model would add (the lengths of the segments)
is a licensed file; with the user's own copy of it joint positions come as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.motion_data import (
    SMPL_TO_WORLD,
    MotionData,
    chain,
    checked,
    place,
    quaternions,
)

FloatArray = NDArray[np.float64]

BODY_JOINTS = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2"),
    *("left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar"),
    *("right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_wrist", "right_wrist"),
)
"""The 22 joints that SMPL, SMPL-H, SMPL-X and HumanML3D share, in their order."""
BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
"""Parent of each of :data:`BODY_JOINTS`."""

_EXPECTED = "an AMASS .npz file with 'poses' (or 'root_orient' and 'pose_body'), 'trans' and a rate"
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")
_N = 3 * len(BODY_JOINTS)


def read_smpl(path: str | Path, *, model: str | Path | None = None) -> MotionData:
    """Read an AMASS ``.npz`` file.

    Parameters
    ----------
    path : str or Path
    model : str or Path, optional
        The user's own SMPL model file as ``.npz`` (with ``v_template``, ``shapedirs`` and
        ``J_regressor``). With it the joints have positions, of the subject's shape.

    Returns
    -------
    MotionData
        Orientations of the 22 body segments, named by the joint above them, and the way of the
        pelvis: without a model that of the model's origin, 0.2 m off it for all.

    Raises
    ------
    FileFormatError
        A key is missing, shapes disagree, or the motion is implausible.

    Examples
    --------
    >>> read_smpl("walk_poses.npz")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: walk_poses.npz: no such file. Expected an AMASS .npz ...
    """
    path = Path(path)
    content = load_npz(path, _EXPECTED)
    rate = next((content[key] for key in _RATES if key in content), None)
    if rate is None or np.size(rate) != 1:
        raise FileFormatError(path, "no frame rate", f"one of {', '.join(_RATES)}")
    if "poses" in content:
        poses = content["poses"]
    elif {"root_orient", "pose_body"} <= set(content):
        poses = _joined(path, content["root_orient"], content["pose_body"])
    else:
        raise FileFormatError(path, f"keys {', '.join(sorted(content))}", _EXPECTED)
    if "trans" not in content:
        raise FileFormatError(path, "no 'trans', the way of the root", _EXPECTED)
    betas = np.ravel(content["betas"]) if "betas" in content else np.zeros(0)
    offsets = None if model is None else model_offsets(model, betas)
    return from_poses(path, poses, content["trans"], float(np.ravel(rate)[0]), offsets)


def _joined(path: Path, root: FloatArray, body: FloatArray) -> FloatArray:
    if root.ndim != 2 or body.ndim != 2 or len(root) != len(body):
        raise FileFormatError(
            path,
            f"'root_orient' of shape {root.shape} and 'pose_body' of shape {body.shape}",
            "as many frames in both",
        )
    return np.hstack([root, body])


def from_poses(
    path: Path,
    poses: FloatArray,
    trans: FloatArray,
    rate: float,
    offsets: FloatArray | None = None,
) -> MotionData:
    """Make motion data of axis-angle poses in a world with z up.

    Parameters
    ----------
    path : Path
    poses : ndarray, shape (n, 3 * n_joints)
        At least the 22 body joints [rad]; hands and face are left out.
    trans : ndarray, shape (n, 3)
        [m]
    rate : float
        [Hz]
    offsets : ndarray, shape (22, 3), optional
        Of each joint from its parent, SMPL's axes [m]; of the root from the model's origin.
    """
    if poses.ndim != 2 or poses.shape[1] < _N or poses.shape[1] % 3:
        raise FileFormatError(
            path, f"poses of shape {poses.shape}", f"(frames, {_N} or more): 22 body joints"
        )
    if trans.shape != (len(poses), 3):
        raise FileFormatError(
            path, f"'trans' of shape {trans.shape}", f"({len(poses)}, 3), one row a pose"
        )
    for kind, array in (("poses", poses[:, :_N]), ("trans", trans)):
        if not np.isfinite(array).all():
            frame = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
            raise FileFormatError(path, f"{kind} not finite in frame {frame}", "numbers")
    n = len(poses)
    if n == 0:
        raise FileFormatError(path, "0 frames", "at least 3 frames of motion")
    world = chain(Rotation.from_rotvec(poses[:, :_N].reshape(-1, 3)), n, BODY_PARENTS)
    position, root = None, trans.astype(float)
    if offsets is not None:
        # The pelvis joint, about which the root turns, lies off the model's origin.
        root = root + offsets[0]
        position = place(world, offsets, root, BODY_PARENTS)
    return checked(
        MotionData(
            path,
            "smpl",
            BODY_JOINTS,
            rate,
            position=position,
            orientation=quaternions(world @ SMPL_TO_WORLD.T),
            root_position=root,
        )
    )


def model_offsets(path: str | Path, betas: FloatArray) -> FloatArray:
    """Offsets (22, 3) of the joints from their parents for a shape, out of the user's own model.

    Raises
    ------
    FileFormatError
        The file is no SMPL model as ``.npz``.
    """
    path = Path(path)
    expected = "an SMPL model as .npz with v_template, shapedirs and J_regressor"
    model = load_npz(path, expected)
    try:
        template, dirs, regressor = (model[k] for k in ("v_template", "shapedirs", "J_regressor"))
        n_betas = min(betas.size, dirs.shape[2])
        joints = regressor @ (template + dirs[..., :n_betas] @ betas[:n_betas])
    except (KeyError, IndexError, ValueError) as error:
        raise FileFormatError(path, f"cannot be used ({error})", expected) from error
    if joints.ndim != 2 or joints.shape[0] < len(BODY_JOINTS) or joints.shape[1] != 3:
        raise FileFormatError(path, f"joints of shape {joints.shape}", expected)
    parents = np.array(BODY_PARENTS)
    offsets = joints[: len(parents)].copy()
    offsets[1:] -= joints[parents[1:]]
    return offsets


def load_npz(path: Path, expected: str) -> Mapping[str, FloatArray]:
    """Numeric arrays of an ``.npz`` file; texts are left out, pickled objects refused if asked for.

    AMASS keeps the gender as text and some releases hold objects: neither is touched.
    """
    if not path.is_file():
        raise FileFormatError(path, "a folder" if path.is_dir() else "no such file", expected)
    arrays: dict[str, FloatArray] = {}
    try:
        # Opened here: numpy leaves a file open that it cannot read.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as content:
            for key in content.files:
                try:
                    array = content[key]
                except ValueError:  # objects, which only a pickle can hold
                    continue
                if array.dtype.kind in "fiu":
                    arrays[key] = array.astype(float)
    except Exception as error:
        raise FileFormatError(path, f"cannot be read ({error})", expected) from error
    return arrays
