"""Which joints the reward asks for at the reference's angles, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.anatomy import leg_joints, upper_joints
from kinesis_neuro.body.models import Body
from kinesis_neuro.env.config import RewardWeights


@dataclass(frozen=True, eq=False)
class Posture:
    """A part of the reward: joints at the reference's angles.

    Attributes
    ----------
    name : str
    weight, scale : float
    columns : ndarray of int
        Of the joints in qpos.
    """

    name: str
    weight: float
    scale: float
    columns: NDArray[np.intp]

    @classmethod
    def of(cls, body: Body, weights: RewardWeights) -> tuple[Posture, ...]:
        """Those that have a weight, on a body that has the joints."""
        asked = (
            cls("posture", weights.posture, weights.k_posture, _columns(body, upper_joints)),
            cls("legs", weights.legs, weights.k_legs, _columns(body, leg_joints)),
        )
        return tuple(one for one in asked if one.weight and one.columns.size)


def _columns(body: Body, chosen: Callable[[Sequence[str]], tuple[str, ...]]) -> NDArray[np.intp]:
    return np.array([7 + body.joints.index(name) for name in chosen(body.joints)], dtype=np.intp)
