"""KINESIS's and PHC's motion files: joblib pickles of SMPL clips by name.

Luo et al. 2023 (PHC) introduced the layout: for each clip ``pose_aa`` (n, 72), axis-angle of the 24
SMPL joints in a world with z up, ``root_trans_offset`` (n, 3), the pelvis [m], and ``fps``. Read
with `safe_pickle`: no code in such a file is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kinesis_neuro.errors import FileFormatError, unknown_name
from kinesis_neuro.formats.motion_data import MotionData
from kinesis_neuro.formats.safe_pickle import read_pickle
from kinesis_neuro.formats.smpl import from_poses

_KEYS = ("pose_aa", "root_trans_offset", "fps")
_EXPECTED = f"clips by name, each a dict with {', '.join(_KEYS)}"


def read_kinesis_pkl(path: str | Path) -> dict[str, MotionData]:
    """Read all clips of a motion file of KINESIS or PHC.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of str to MotionData
        Orientations of the 22 body segments and the way of the pelvis, by name of the clip.

    Raises
    ------
    FileFormatError
        The file asks for code, has another layout, or a clip is implausible.

    Examples
    --------
    >>> read_kinesis_pkl("motions.pkl")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: motions.pkl: no such file. Expected a joblib pickle ...
    """
    path = Path(path)
    content = read_pickle(path)
    if isinstance(content, Mapping) and set(_KEYS) <= set(content):
        content = {path.stem: content}
    if not isinstance(content, Mapping) or not content:
        raise FileFormatError(path, f"holds {type(content).__name__}", _EXPECTED)
    return {str(name): _clip(path, str(name), clip) for name, clip in content.items()}


def select_clip(clips: Mapping[str, MotionData], clip: str | None) -> MotionData:
    """One clip out of a file: the only one, or the one that is named.

    Raises
    ------
    InvalidInputError
        There is no such clip, or none was named and there are several.
    """
    if clip is None and len(clips) == 1:
        return next(iter(clips.values()))
    if clip is None or clip not in clips:
        raise unknown_name("clip", clip, clips)
    return clips[clip]


def _clip(path: Path, name: str, clip: Any) -> MotionData:
    missing = [k for k in _KEYS if not isinstance(clip, Mapping) or k not in clip]
    if missing:
        raise FileFormatError(path, f"no {', '.join(missing)} in clip {name!r}", _EXPECTED)
    try:
        poses, trans = (np.asarray(clip[k], dtype=float) for k in _KEYS[:2])
        rate = float(clip["fps"])
    except (TypeError, ValueError) as error:
        raise FileFormatError(path, f"clip {name!r}: {error}", "arrays of numbers") from error
    if poses.ndim == 3:
        poses = poses.reshape(len(poses), -1)
    return from_poses(path, poses, trans, rate)
