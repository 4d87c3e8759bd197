"""Variants of motions: smoother, and faster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

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


# A Gaussian passes half of the power at this frequency, times its standard deviation.
_HALF_POWER = np.sqrt(np.log(2.0)) / (2.0 * np.pi)


def low_passed(motion: ReferenceMotion, cutoff: float = 6.0) -> ReferenceMotion:
    """Poses without what is faster than people move: marker noise, and what inverse kinematics add.

    Gait laboratories low-pass positions at 6 Hz or so (Winter et al. 1974). Here by a Gaussian,
    which does not overshoot, with half of its power at the cut-off. At the ends poses are continued
    by reflection in the last one, so that speeds there are kept.

    Parameters
    ----------
    motion : ReferenceMotion
    cutoff : float
        [Hz]

    Returns
    -------
    ReferenceMotion
        Measured ground forces are kept as they are.

    Raises
    ------
    InvalidInputError
        If the cut-off is not positive, or the motion is shorter than what is averaged over.

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> walk = load_motion("walk")
    >>> smooth = low_passed(walk, 6.0)
    >>> bool(abs(smooth.qpos - walk.qpos).max() < 0.05)
    True
    """
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise InvalidInputError(f"cutoff must be a positive number of Hz, got {cutoff}.")
    frames = _HALF_POWER * motion.rate / cutoff
    margin = int(np.ceil(4 * frames))
    qpos, n = motion.qpos, motion.n_frames
    if n <= margin:
        raise InvalidInputError(
            f"A cut-off of {cutoff:g} Hz averages over {margin / motion.rate:.2f} s, and "
            f"{motion.name!r} lasts {motion.duration:.2f} s. Use a higher one."
        )
    if motion.displacement is None:
        before = 2 * qpos[:1] - qpos[margin:0:-1]
        after = 2 * qpos[-1:] - qpos[-2 : -margin - 2 : -1]
    else:
        before, after = qpos[-margin:].copy(), qpos[:margin].copy()
        before[:, :3] -= motion.displacement
        after[:, :3] += motion.displacement
    smooth = gaussian_filter1d(np.concatenate([before, qpos, after]), frames, axis=0)
    smooth = smooth[margin : margin + n]
    smooth[:, 3:7] /= np.linalg.norm(smooth[:, 3:7], axis=1, keepdims=True)
    return ReferenceMotion.from_poses(
        motion.body,
        smooth,
        motion.rate,
        name=motion.name,
        displacement=motion.displacement,
        contact=motion.contact,
        events=motion.events,
        source=motion.source,
        licence=motion.licence,
        report=motion.report,
        library=motion.library,
    )
