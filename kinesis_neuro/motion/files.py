"""Motion files by their suffix: the reader, its options, and retargeting on a body."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import FileFormatError, InvalidInputError
from kinesis_neuro.formats.amc import read_amc
from kinesis_neuro.formats.bvh import read_bvh
from kinesis_neuro.formats.deepmimic import read_deepmimic
from kinesis_neuro.formats.humanml3d import read_humanml3d
from kinesis_neuro.formats.kinesis_pkl import read_kinesis_pkl, select_clip
from kinesis_neuro.formats.markers import read_c3d_markers, read_trc
from kinesis_neuro.formats.motion_data import MotionData
from kinesis_neuro.formats.smpl import read_smpl
from kinesis_neuro.motion.joint_centers import markers_to_joints
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.retarget import retarget
from kinesis_neuro.motion.retarget_config import RetargetConfig


def _read_trc_joints(
    path: str | Path, *, units: str | None = None, up: str | None = None
) -> MotionData:
    return markers_to_joints(read_trc(path, units=units, up=up))


def _read_c3d_joints(
    path: str | Path, *, units: str | None = None, up: str | None = None
) -> MotionData:
    return markers_to_joints(read_c3d_markers(path, units=units, up=up))


def _read_pkl(path: str | Path, *, clip: str | None = None) -> MotionData:
    return select_clip(read_kinesis_pkl(path), clip)


READERS: Mapping[str, Callable[..., MotionData]] = MappingProxyType(
    {
        ".bvh": read_bvh,
        ".amc": read_amc,
        ".npz": read_smpl,
        ".pkl": _read_pkl,
        ".txt": read_deepmimic,
        ".json": read_deepmimic,
        ".npy": read_humanml3d,
        ".trc": _read_trc_joints,
        ".c3d": _read_c3d_joints,
    }
)
"""Readers of motions that are retargeted, by suffix; OpenSim's files are read as coordinates."""


def read_motion_file(path: str | Path, **options: Any) -> MotionData:
    """Read a motion file of any format that is retargeted.

    Parameters
    ----------
    path : str or Path
        The suffix chooses the reader: see :data:`READERS`.
    **options
        Of the reader: ``units``, ``up``, ``skeleton`` (an ASF file), ``rate``, ``clip``,
        ``model``.

    Raises
    ------
    FileFormatError
        No reader for the suffix, or the reader refuses the file.
    InvalidInputError
        The reader has no such option.

    Examples
    --------
    >>> read_motion_file("walk.fbx")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: walk.fbx: found suffix '.fbx'. Expected one of .amc, ...
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = f"one of {', '.join(sorted(READERS))}, .mot or .sto"
        raise FileFormatError(path, f"found suffix {path.suffix!r}", known)
    known_options = [name for name in inspect.signature(reader).parameters if name != "path"]
    unknown = sorted(set(options) - set(known_options))
    if unknown:
        raise InvalidInputError(
            f"Unknown options for a {path.suffix} file: {', '.join(unknown)}. "
            f"Available: {', '.join([*known_options, 'name', 'on_fault', 'config'])}."
        )
    if reader is read_amc and "skeleton" not in options:
        raise InvalidInputError(
            f"{path}: an AMC file needs its skeleton. Give skeleton='FILE.asf'."
        )
    return reader(path, **options)


def motion_from_file(
    path: str | Path,
    body: Body,
    *,
    name: str = "",
    source: str = "",
    licence: str = "",
    on_fault: str | None = None,
    config: RetargetConfig | None = None,
    **options: Any,
) -> ReferenceMotion:
    """Read a motion file and put it on a body.

    Parameters
    ----------
    path : str or Path
    body : Body
    name : str
        That of the file if not given.
    source, licence : str
        Kept with the motion.
    on_fault : {"refuse", "repair", "report"}, optional
        What happens to a motion that does not pass the gate; of `config` if not given.
    config : RetargetConfig, optional
    **options
        Of the reader, see :func:`read_motion_file`.
    """
    settings = config or RetargetConfig()
    if on_fault is not None:
        allowed = ("refuse", "repair", "report")
        if on_fault not in allowed:
            raise InvalidInputError(
                f"on_fault must be one of {', '.join(allowed)}, got {on_fault!r}."
            )
        settings = replace(settings, on_fault=on_fault)  # type: ignore[arg-type]
    data = read_motion_file(path, **options)
    return retarget(data, body, settings, name=name, source=source, licence=licence)
