"""Observations, rewards and terminations of the imitation task: small pure functions on batches.

The first axis is environments. Positions are in metres, in the world unless named local; local
means turned by the heading, so that nothing depends on where the body walks to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def heading(quaternion: FloatArray) -> FloatArray:
    """Angle of the root about the vertical [rad], (n,), from quaternions (n, 4)."""
    w, x, y, z = quaternion.T
    return np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def to_local(vectors: FloatArray, angle: FloatArray) -> FloatArray:
    """Turn world vectors (n, ..., 3) by minus the heading (n,)."""
    shape = (-1, *[1] * (vectors.ndim - 2))
    c, s = np.cos(angle).reshape(shape), np.sin(angle).reshape(shape)
    out = np.empty_like(vectors)
    out[..., 0] = c * vectors[..., 0] + s * vectors[..., 1]
    out[..., 1] = c * vectors[..., 1] - s * vectors[..., 0]
    out[..., 2] = vectors[..., 2]
    return out


def up_vector(quaternion: FloatArray) -> FloatArray:
    """The world's vertical in the root's frame, (n, 3)."""
    w, x, y, z = quaternion.T
    return np.stack(
        [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)], axis=-1
    )


def position_reward(squared_error: FloatArray, scale: float = 200.0) -> FloatArray:
    """KINESIS: exp(-200 mean squared distance of the tracked bodies [m^2])."""
    return np.exp(-scale * squared_error)


def velocity_reward(squared_error: FloatArray, scale: float = 5.0) -> FloatArray:
    """KINESIS: exp(-5 mean squared velocity difference of the tracked bodies [m^2/s^2])."""
    return np.exp(-scale * squared_error)


def upright_reward(quaternion: FloatArray, scale: float = 3.0) -> FloatArray:
    """KINESIS: exp(-3 (pitch^2 + roll^2)) of the root."""
    up = up_vector(quaternion)
    tilt = np.arctan2(up[:, :2], up[:, 2:])
    return np.exp(-scale * np.square(tilt).sum(axis=1))


def energy_reward(excitation: FloatArray, scale: float = 0.05) -> FloatArray:
    """KINESIS: ``exp(-0.05 (|u|_1 + |u|_2))`` of the muscles' excitation."""
    return np.exp(
        -scale * (np.abs(excitation).sum(axis=1) + np.sqrt(np.square(excitation).sum(axis=1)))
    )


def restraint_reward(action: FloatArray, scale: float = 5.0) -> FloatArray:
    """exp(-5 mean squared action): 0.95 for actions of 0.1, 0.3 for actions of 0.5."""
    return np.exp(-scale * np.square(action).mean(axis=1))


def posture_reward(difference: FloatArray, scale: float = 5.0) -> FloatArray:
    """exp(-scale mean squared difference [rad^2]) of joints (n, n_joints) from the reference."""
    return np.exp(-scale * np.square(difference).mean(axis=1))


def distances(position: FloatArray, reference: FloatArray) -> FloatArray:
    """Distance of each tracked body from its reference [m], (n, n_tracked)."""
    return np.linalg.norm(position - reference, axis=-1)


def failed(distance: FloatArray, rule: str, threshold: float) -> NDArray[np.bool_]:
    """Whether a body has lost its reference.

    Parameters
    ----------
    distance : ndarray, shape (n, n_tracked)
    rule : {"any", "mean"}
        ``any`` tracked body farther than the threshold (``strict``), or their ``mean``
        (``kinesis``).
    threshold : float
        [m]
    """
    measure = distance.max(axis=1) if rule == "any" else distance.mean(axis=1)
    return ~(measure <= threshold)
