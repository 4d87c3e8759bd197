"""Mirror symmetry: the same task seen from the other side.

Left and right are alike, so a policy need only learn one of them: whenever the reference's left
foot is ahead, observation and action are mirrored. What was learnt on one side is known on the
other, which halves what there is to learn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]

# Midline joints whose positive direction points to one side.
_ODD_JOINTS = re.compile(r".*(lat_bending|axial_rotation|_LB|_AR)$")
# Signs of the components of world or root-frame vectors; x is lateral.
_OF_MUSCLES = ("activation", "muscle_length", "muscle_velocity", "muscle_force", "fatigued")
_VECTOR = np.array([-1.0, 1.0, 1.0])
_AXIAL = np.array([1.0, -1.0, -1.0])


def _other(name: str) -> str:
    """Name of the part on the other side."""
    for mine, theirs in (("_r", "_l"), ("_l", "_r")):
        if name.endswith(mine):
            return name[:-2] + theirs
    return name


def pairing(names: Sequence[str]) -> NDArray[np.intp]:
    """For each name the position of its counterpart on the other side (its own on the midline).

    Right arms of the full body carry no suffix; their left counterparts do.

    Examples
    --------
    >>> pairing(["hip_r", "hip_l", "pelvis"])
    array([1, 0, 2])
    """
    index = {name: i for i, name in enumerate(names)}
    pairs = []
    for name in names:
        candidates = (_other(name), f"{name}_l", name.removesuffix("_l"))
        found = next((c for c in candidates if c in index and c != name), name)
        pairs.append(index[found])
    paired = np.array(pairs, dtype=np.intp)
    if not np.array_equal(paired[paired], np.arange(paired.size)):
        raise InvalidInputError("Names of the two sides do not pair up; no mirror image exists.")
    return paired


class Mirror:
    """Permutation and signs that mirror observations and actions of a body.

    Parameters
    ----------
    body : Body
    joints : sequence of str
        Independent joints, in the order of the observation.
    action_channels : sequence of str
    further : mapping of str to (permutation, signs), optional
        Of blocks that the body does not explain.
    """

    def __init__(
        self,
        body: Body,
        joints: Sequence[str],
        action_channels: Sequence[str],
        further: Mapping[str, tuple[NDArray[np.intp], FloatArray]] = MappingProxyType({}),
    ) -> None:
        self.further = further
        self.joints = (pairing(joints), _joint_signs(joints))
        self.muscles = (pairing(body.muscles), np.ones(body.n_muscles))
        self.tracked = _vectors(pairing(body.tracked_bodies))
        others = [name for name in body.tracked_bodies if name != body.tracked_bodies[0]]
        self.without_root = _vectors(pairing(others))
        self.segments = _vectors(pairing(body.segments))
        self.segments_without_root = _vectors(
            pairing([name for name in body.segments if name != body.tracked_bodies[0]])
        )
        self.axes = _axes(pairing(body.segments))
        self.contacts = (pairing(body.contacts), np.ones(len(body.contacts)))
        self.action = (pairing(action_channels), _joint_signs(action_channels))
        self.vector = (np.arange(3), _VECTOR)
        self.axial = (np.arange(3), _AXIAL)

    def observation(self, widths: dict[str, int]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Permutation and signs of a whole observation with blocks of these widths."""
        order, signs, start = [], [], 0
        for name, width in widths.items():
            permutation, sign = self._block(name, width)
            order.append(start + permutation)
            signs.append(sign)
            start += width
        return np.concatenate(order), np.concatenate(signs).astype(np.float32)

    def _block(self, name: str, width: int) -> tuple[NDArray[np.intp], FloatArray]:
        if name in self.further:
            return self.further[name]
        if name in ("root_up", "root_velocity"):
            return self.vector
        if name == "root_angular_velocity":
            return self.axial
        if "joint_" in name:
            return self.joints
        if name in _OF_MUSCLES:
            return self.muscles
        if name == "root_tilt":
            return np.arange(4), np.array([1.0, -1.0, 1.0, 1.0])
        if name.startswith("local_body_"):
            return {
                "local_body_pos": self.segments_without_root,
                "local_body_vel": self.segments,
                "local_body_rot": self.axes,
            }[name]
        if name == "contact":
            return self.contacts
        if name == "root_height":
            return np.arange(1), np.ones(1)
        if name == "reference_heading":
            return np.arange(2), np.array([-1.0, 1.0])
        for vectors in (self.tracked, self.without_root):
            if vectors[0].size == width:
                return vectors
        raise InvalidInputError(f"No mirror image is known for the observation block {name!r}.")


def _joint_signs(names: Sequence[str]) -> FloatArray:
    return np.array([-1.0 if _ODD_JOINTS.match(name) else 1.0 for name in names])


def _vectors(pairs: NDArray[np.intp]) -> tuple[NDArray[np.intp], FloatArray]:
    """Permutation and signs for a flattened list of vectors."""
    return (3 * pairs[:, None] + np.arange(3)).ravel(), np.tile(_VECTOR, pairs.size)


def _axes(pairs: NDArray[np.intp]) -> tuple[NDArray[np.intp], FloatArray]:
    """The same for the first and third axis of each segment, of which the third is lateral."""
    order = (6 * pairs[:, None] + np.arange(6)).ravel()
    return order, np.tile(np.concatenate([_VECTOR, -_VECTOR]), pairs.size)
