"""Feet and floor: pelvis height from foot clearance, toes that do not sink."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.kinematics import Kinematics, contact_points, foot_clearance, kinematics
from kinesis_neuro.body.models import PHYSICS_RATE, Body

FloatArray = NDArray[np.float64]


def pelvis_height(body: Body, qpos: FloatArray) -> FloatArray:
    """Height of the root that puts the lowest foot point of each frame on the floor [m]."""
    at_zero = qpos.copy()
    at_zero[:, :3] = 0.0
    return -foot_clearance(body, kinematics(body, at_zero)).min(axis=1)


# A lowest foot point farther than this from the floor is in flight, not badly placed [m].
FLIGHT = 0.03
# Standard deviation of the correction's smoothing [s]: a quicker one would accelerate the body as
# no force does (at 40 ms the estimated vertical force has r = 0.68 with the measured one).
SETTLING_TIME = 0.12


def settle(gap: FloatArray, cyclic: bool) -> FloatArray:
    """Smooth change of height that keeps the standing foot on the floor.

    Segments of another length than the subject's make feet sink and float by a centimetre in the
    course of a step; a body cannot follow that. Heights are the least certain of what inverse
    kinematics gives, so they carry the correction.

    Parameters
    ----------
    gap : ndarray, shape (n,)
        How far the root would have to rise to put the lowest foot point on the floor [m].
    cyclic : bool
        Whether the smoothing wraps around.

    Returns
    -------
    ndarray, shape (n,)
        Change of height [m]; none in flight.
    """
    wanted = np.where(np.abs(gap) < FLIGHT, gap, 0.0)
    mode = "wrap" if cyclic else "nearest"
    return gaussian_filter1d(wanted, SETTLING_TIME * PHYSICS_RATE, mode=mode)


def fit_toes(body: Body, qpos: FloatArray, cyclic: bool, n_angles: int = 25) -> FloatArray:
    """Choose ``mtp_angle`` so that the toes do not sink below the lowest point of the foot.

    Without it the toes reach up to 48 mm into the floor at push-off. The angle of smallest size
    that clears is taken, then smoothed over 20 ms.

    Parameters
    ----------
    qpos : ndarray, shape (n, nq)
    cyclic : bool
        Whether the smoothing wraps around.
    n_angles : int
        Angles tried within the joint's range.
    """
    fitted = qpos.copy()
    at_zero = qpos.copy()
    at_zero[:, :3] = 0.0
    frames = kinematics(body, at_zero)
    clearance = foot_clearance(body, frames)
    for side in ("r", "l"):
        column = 7 + body.joints.index(f"mtp_angle_{side}")
        joint = body.model.joint(f"mtp_angle_{side}")
        low, high = joint.range
        angles = np.linspace(low, high, n_angles)
        sole = [i for i, c in enumerate(body.contacts) if c != f"toes_{side}"]
        floor = clearance[:, sole].min(axis=1)
        sunk = np.maximum(floor - _toe_heights(body, frames, side, angles), 0.0)
        # Least sinking first; among angles that clear, the least bending.
        cost = sunk * 1e3 + np.abs(angles)[:, None]
        best = angles[cost.argmin(axis=0)]
        mode = "wrap" if cyclic else "nearest"
        fitted[:, column] = gaussian_filter1d(best, 0.02 * PHYSICS_RATE, mode=mode)
    return fitted


def _toe_heights(body: Body, frames: Kinematics, side: str, angles: FloatArray) -> FloatArray:
    """Lowest point of the toes for each angle of their joint, shape (n_angles, n)."""
    model = body.model
    toes, joint = model.body(f"toes_{side}"), model.joint(f"mtp_angle_{side}")
    heel = body.segments.index(f"calcn_{side}")
    calcn = Rotation.from_quat(frames.body_orientation[:, heel], scalar_first=True)
    points, radii = contact_points(body, f"toes_{side}")
    mount = Rotation.from_quat(toes.quat, scalar_first=True)
    bent = mount * Rotation.from_rotvec(angles[:, None] * joint.axis)
    # Points of the sole in the heel's frame for every angle, then their height in the world.
    local = toes.pos + np.stack([rotation.apply(points) for rotation in bent])
    up = calcn.as_matrix()[:, 2]
    height = np.einsum("apk,nk->anp", local, up) - radii
    return frames.body_position[:, heel, 2] + height.min(axis=-1)
