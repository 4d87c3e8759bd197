"""Joint centres of the models that recordings were made with, and what they mean for a body.

Two models can agree on every joint angle and still put the knee somewhere else, because their
segments' frames are drawn differently: gait2392's ankle lies straight below the knee, MyoLegs' (as
Rajagopal's) a centimetre behind. Forces of 700 N turn that centimetre into 7 N m at the knee.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import unknown_name

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Skeleton:
    """Right-leg joint centres of a model [m], each in its parent's frame (x ahead, y up, z right).

    Attributes
    ----------
    hip : tuple of float
        In the pelvis.
    knee : tuple of float
        In the femur, at the slight flexion of stance (10 degrees).
    ankle : tuple of float
        In the tibia.
    """

    hip: tuple[float, float, float]
    knee: tuple[float, float, float]
    ankle: tuple[float, float, float]


SKELETONS = MappingProxyType(
    {
        # OpenSim's gait2392 (Delp et al. 1990), unscaled.
        "gait2392": Skeleton((-0.0707, -0.0661, 0.0835), (-0.0031, -0.3966, 0.0), (0, -0.43, 0)),
        # Rajagopal et al. 2016, unscaled.
        "rajagopal2016": Skeleton(
            (-0.056276, -0.07849, 0.07726), (0.001, -0.4044, -0.0013), (-0.01, -0.4, 0)
        ),
    }
)


def skeleton(name: str) -> Skeleton:
    """Look a model's joint centres up by name.

    Examples
    --------
    >>> skeleton("gait2392").ankle
    (0, -0.43, 0)
    """
    if name not in SKELETONS:
        raise unknown_name("skeleton", name, SKELETONS)
    return SKELETONS[name]


def _sagittal_angle(center: FloatArray) -> float:
    """Angle of a segment's line in the sagittal plane, positive where its end lies ahead [rad]."""
    return float(np.arctan2(center[0], -center[1]))


def angle_offsets(source: Skeleton, body: Body, ratio: float = 1.0) -> dict[str, float]:
    """What to add to angles so that thigh and shank lie along the same lines [rad].

    In the sagittal plane the segments' lines keep their directions, and the foot its orientation.
    In the frontal plane the hips may lie farther apart in one model than in the other; the legs
    are turned about them so that the ankles keep their distance. Knee flexion counts positive.

    Parameters
    ----------
    source : Skeleton
    body : Body
    ratio : float
        Body's leg length over the source model's.
    """
    model = body.model
    knee = np.array(model.body("tibia_r").pos)
    ankle = np.array(model.body("talus_r").pos)
    thigh = _sagittal_angle(np.array(source.knee)) - _sagittal_angle(knee)
    shank = _sagittal_angle(np.array(source.ankle)) - _sagittal_angle(ankle)
    # Hip flexion turns the thigh ahead, knee flexion the shank back, dorsiflexion the foot up.
    hip = np.array(model.body("femur_r").pos)
    narrower = ratio * source.hip[2] - hip[2]
    abduction = np.arctan2(narrower, np.linalg.norm(knee) + np.linalg.norm(ankle))
    return {
        "hip_flexion": thigh,
        "hip_adduction": -float(abduction),
        "knee_angle": thigh - shank,
        "ankle_angle": -shank,
    }


def hip_shift(
    source: Skeleton, body: Body, root: Rotation, ratio: float, to_world: FloatArray
) -> FloatArray:
    """How far the body's hips lie from where the subject's scaled ones would be.

    Parameters
    ----------
    source : Skeleton
    body : Body
    root : Rotation
        Orientation of the root in n frames.
    ratio : float
        Body's leg length over the subject's.
    to_world : ndarray, shape (3, 3)
        From OpenSim's axes to the world.

    Returns
    -------
    ndarray, shape (n, 2, 3)
        For the right and the left hip [m].
    """
    sides = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0]])
    scaled = ratio * np.array(source.hip) * sides @ to_world.T
    own = np.stack([body.model.body(f"femur_{side}").pos for side in "rl"])
    # Sideways the feet stand where the subject's do (see angle_offsets), so nothing is shifted.
    own[:, 2] = ratio * source.hip[2] * np.array([1.0, -1.0])
    own = own @ to_world.T
    return np.stack([root.apply(shift) for shift in own - scaled], axis=1)
