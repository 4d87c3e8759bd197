"""HumanML3D and MDM joint positions: ``.npy`` arrays (frames, 22, 3), y up, 20 frames a second.

Guo et al. 2022, "Generating Diverse and Natural 3D Human Motions from Text". The 22 joints are
SMPL's without the hands. MDM writes its samples as (22, 3, frames), which is read as well.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.motion_data import (
    Y_UP,
    MotionData,
    checked,
    meters,
    refuse_changing_bones,
)
from kinesis_neuro.formats.smpl import BODY_JOINTS, BODY_PARENTS

HUMANML3D_RATE = 20.0
"""Frames a second to which the data set is resampled [Hz]."""

_EXPECTED = "a .npy file of joint positions, shape (frames, 22, 3)"


def read_humanml3d(
    path: str | Path, *, rate: float = HUMANML3D_RATE, units: str = "m"
) -> MotionData:
    """Read joint positions of HumanML3D or MDM.

    Parameters
    ----------
    path : str or Path
    rate : float
        Frames a second [Hz]; the file does not hold it.
    units : {"m", "cm", "mm", "inch", "ft"}

    Returns
    -------
    MotionData
        Positions of SMPL's 22 body joints.

    Raises
    ------
    FileFormatError
        Another shape, objects instead of numbers, bones that change their length, or an
        implausible motion.

    Examples
    --------
    >>> read_humanml3d("000001.npy")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: 000001.npy: no such file. Expected a .npy file of ...
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(path, "a folder" if path.is_dir() else "no such file", _EXPECTED)
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:
        raise FileFormatError(path, f"cannot be read ({error})", _EXPECTED) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise FileFormatError(path, "no array of numbers", _EXPECTED)
    n_joints = len(BODY_JOINTS)
    if array.ndim == 3 and array.shape[:2] == (n_joints, 3) and array.shape[1:] != (n_joints, 3):
        array = np.moveaxis(array, -1, 0)
    if array.ndim != 3 or array.shape[1:] != (n_joints, 3):
        raise FileFormatError(path, f"shape {array.shape}", _EXPECTED)
    position = meters(units) * array.astype(float) @ Y_UP.T
    data = checked(MotionData(path, "humanml3d", BODY_JOINTS, float(rate), position))
    refuse_changing_bones(path, BODY_JOINTS, BODY_PARENTS, position)
    return data
