"""Variants of motions, for training on more than was recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.reference import ReferenceMotion


def faster(motion: ReferenceMotion, factor: float) -> ReferenceMotion:
    """The same poses, passed through in less time.

    Steps stay as long and become more frequent, where people who walk faster do both; for some
    tens of per cent it is a motion that a body can follow. Measured ground forces belong to the
    tempo at which they were measured, and are left out.

    Parameters
    ----------
    motion : ReferenceMotion
    factor : float
        Of the speed; below 1 the motion becomes slower.

    Returns
    -------
    ReferenceMotion
        At the same rate.

    Raises
    ------
    InvalidInputError
        If the factor is not between 0.5 and 2.

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> walk = load_motion("walk")
    >>> quick = faster(walk, 1.25)
    >>> float(round(walk.duration / quick.duration, 2))
    1.25
    >>> bool((quick.displacement == walk.displacement).all())
    True
    """
    if not (np.isfinite(factor) and 0.5 <= factor <= 2.0):
        raise InvalidInputError(f"factor must lie between 0.5 and 2, got {factor}.")
    quick = replace(
        motion,
        rate=motion.rate * factor,
        qvel=motion.qvel * factor,
        contact=None,
        events={name: times / factor for name, times in motion.events.items()},
    )
    return quick.resample(motion.rate)
