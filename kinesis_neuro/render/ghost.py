"""The ghost: the reference that a recorded body followed, as poses over the recording's time."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.body.models import PHYSICS_RATE
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]

GHOST_COLOR = (0.16, 0.47, 0.75, 0.42)
"""Colour of the reference, red, green, blue and opacity."""

_NEEDED = ("reference_position", "reference_phase")


def reference_poses(recording: xr.Dataset, motion: ReferenceMotion) -> FloatArray:
    """Poses of the reference at each sample of a recording.

    Parameters
    ----------
    recording : xarray.Dataset
        Has ``reference_phase`` and ``reference_position``, as :func:`kinesis_neuro.record` writes.
    motion : ReferenceMotion
        The one that was followed.

    Returns
    -------
    ndarray, shape (n, nq)

    Raises
    ------
    InvalidInputError
        The recording does not say where its reference was.
    IncompatibleError
        The recording is of another motion.
    """
    missing = [name for name in _NEEDED if name not in recording]
    if missing:
        raise InvalidInputError(
            f"A ghost needs {', '.join(_NEEDED)}; this recording lacks {', '.join(missing)}."
        )
    followed = recording.attrs.get("motion_hash")
    # The recording's hash is that of the motion at the rate of physics.
    shown = motion if motion.rate == PHYSICS_RATE else motion.resample(PHYSICS_RATE)
    if followed != shown.hash:
        raise IncompatibleError(
            f"The recording follows {recording.attrs.get('motion', 'another motion')!r}, which is "
            f"not the motion {motion.name!r} that was given."
        )
    phase = recording["reference_phase"].values
    frame = np.clip(np.rint(phase * shown.n_frames).astype(np.intp), 0, shown.n_frames - 1)
    qpos = shown.qpos[frame].copy()
    root = shown.body.tracked_bodies[0]
    # A cycle that is repeated has gone on: the recording knows where its pelvis was.
    place = recording["reference_position"].sel(body=root).transpose("time", "space").values
    mine = shown.frames.body_position[frame, shown.body.segments.index(root)]
    qpos[:, :3] += place - mine
    return qpos
