"""Targets on a body from a motion of another skeleton: the same directions on its own segments.

Angles are what muscles feel, so segments keep their directions in the world and the body its own
lengths; the way through the world is scaled so that the foot that stands does stand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.models import Body
from kinesis_neuro.formats.motion_data import MotionData
from kinesis_neuro.motion.ik import SegmentTargets
from kinesis_neuro.motion.landmarks import find_joints, find_orientations

FloatArray = NDArray[np.float64]

SCALE_RANGE = (0.6, 1.6)
"""Plausible ratios of a body's leg to a person's, child or tall adult."""
_LEG = ("femur", "tibia", "talus", "calcn", "toes")


@dataclass(frozen=True, eq=False)
class Neutral:
    """Frames of a body's segments in its neutral pose.

    Attributes
    ----------
    position : dict of str to ndarray, shape (3,)
        Relative to the pelvis [m].
    rotation : dict of str to Rotation
    """

    position: dict[str, FloatArray]
    rotation: dict[str, Rotation]

    @classmethod
    def of(cls, body: Body) -> Neutral:
        """Read them off the model."""
        data = mujoco.MjData(body.model)
        data.qpos = body.coupling.complete(body.model.qpos0)
        mujoco.mj_kinematics(body.model, data)
        ids = dict(zip(body.segments, body.segment_ids, strict=True))
        origin = data.xpos[ids["pelvis"]].copy()
        return cls(
            {name: data.xpos[k] - origin for name, k in ids.items()},
            {name: Rotation.from_quat(data.xquat[k], scalar_first=True) for name, k in ids.items()},
        )

    def offset(self, parent: str, child: str) -> FloatArray:
        """From one segment's origin to another's, in the neutral pose's world axes [m]."""
        return self.position[child] - self.position[parent]


@dataclass(frozen=True, eq=False)
class BodyTargets:
    """Targets, and the way of the pelvis in the file's own lengths.

    Attributes
    ----------
    segments : SegmentTargets
        With the pelvis at the origin of the world in every frame.
    root : ndarray, shape (n, 3)
        Where the pelvis is in the file [m].
    scale : float or None
        Body's leg over the person's; None where the file does not tell.
    own : bool
        Whether the file is of this very body, so that nothing is to be scaled or moved.
    has_toes : bool
        Whether the targets say how the toes are bent.
    """

    segments: SegmentTargets
    root: FloatArray
    scale: float | None
    own: bool
    has_toes: bool


def body_targets(body: Body, data: MotionData) -> BodyTargets:
    """Lay a motion on a body's segments.

    Parameters
    ----------
    body : Body
    data : MotionData
        With positions, orientations or both. Data of format ``body`` name the body's own segments
        and are taken as they are.

    Raises
    ------
    FileFormatError
        A joint or segment that is needed is missing.
    """
    neutral = Neutral.of(body)
    if data.format == "body":
        return _own(body, data, neutral)
    if data.orientation is not None:
        return _from_orientations(body, data, neutral)
    return _from_positions(body, data, neutral)


def _own(body: Body, data: MotionData, neutral: Neutral) -> BodyTargets:
    names = [name for name in data.names if name in body.segments]
    position, orientation = {}, {}
    for name in names:
        k = data.index(name)
        if data.position is not None:
            position[name] = data.position[:, k]
        if data.orientation is not None:
            turn = Rotation.from_quat(data.orientation[:, k], scalar_first=True)
            orientation[name] = (turn * neutral.rotation[name]).as_quat(scalar_first=True)
    if "pelvis" in position:
        root = position["pelvis"]
    elif data.root_position is not None:
        root = data.root_position
    else:
        root = np.mean(list(position.values()), axis=0)
    if not position:
        position = {"pelvis": root}
    centered = {name: way - root for name, way in position.items()}
    return BodyTargets(SegmentTargets(centered, orientation), root, 1.0, True, bool(orientation))


def _from_orientations(body: Body, data: MotionData, neutral: Neutral) -> BodyTargets:
    turns = {
        name: Rotation.from_quat(q, scalar_first=True)
        for name, q in find_orientations(data).items()
    }
    segments = _chain(body, neutral, turns)
    root = data.root_position
    if root is None:
        assert data.position is not None
        root = data.position[:, 0]
    return BodyTargets(segments, root, None, False, "toes_r" in turns)


def _chain(body: Body, neutral: Neutral, turns: dict[str, Rotation]) -> SegmentTargets:
    """Positions and frames of the body's segments, turned out of its neutral pose."""
    position: dict[str, FloatArray] = {"pelvis": np.zeros((len(turns["pelvis"]), 3))}
    for side in "rl":
        parent, turn = "pelvis", turns["pelvis"]
        for name in (f"{part}_{side}" for part in ("femur", "tibia", "talus", "calcn")):
            position[name] = position[parent] + turn.apply(neutral.offset(parent, name))
            # The talus has no name elsewhere: the foot begins at the ankle.
            turn = turns.get(name, turns[f"calcn_{side}"])
            parent = name
    orientation = {
        name: (turn * neutral.rotation[name]).as_quat(scalar_first=True)
        for name, turn in turns.items()
        # A trunk that is one with the pelvis cannot follow one that is not.
        if name in body.segments and (name != "torso" or _has_trunk(body))
    }
    weights = {"calcn_r": 0.3, "calcn_l": 0.3, "pelvis": 0.3}
    return SegmentTargets(position, orientation, {}, weights)


def _has_trunk(body: Body) -> bool:
    return "flex_extension" in body.joints


def _from_positions(body: Body, data: MotionData, neutral: Neutral) -> BodyTargets:
    joints = find_joints(data)
    middle = 0.5 * (joints["hip_r"] + joints["hip_l"])
    pelvis = _pelvis(joints, middle)
    turns = {"pelvis": pelvis}
    person = {"r": 0.0, "l": 0.0}
    for side in "rl":
        hip, knee, ankle = (joints[f"{j}_{side}"] for j in ("hip", "knee", "ankle"))
        person[side] = float(
            np.median(np.linalg.norm(knee - hip, axis=1) + np.linalg.norm(ankle - knee, axis=1))
        )
        # Sideways axis of the leg: the hinge of a bent knee, else the pelvis'.
        sideways = _knee_axis(hip, knee, ankle, pelvis)
        for name, child, line in (
            (f"femur_{side}", f"tibia_{side}", knee - hip),
            (f"tibia_{side}", f"talus_{side}", ankle - knee),
        ):
            turns[name] = _aligned(neutral.offset(name, child), line, sideways)
        turns[f"calcn_{side}"] = (
            _foot(joints[f"toe_{side}"] - ankle, turns[f"tibia_{side}"])
            if f"toe_{side}" in joints
            else turns[f"tibia_{side}"]
        )
    segments = _chain(body, neutral, turns)
    offset = neutral.position["femur_r"] + neutral.position["femur_l"]
    own_leg = sum(
        np.linalg.norm(neutral.offset(a, b))
        for a, b in (("femur_r", "tibia_r"), ("tibia_r", "talus_r"))
    )
    scale = float(own_leg / np.mean(list(person.values())))
    # The pelvis' origin lies off the middle of the hips, by the body's own measure.
    root = middle - pelvis.apply(0.5 * offset) / scale
    # Directions are the data; what a thigh's rotation about itself is, they hardly say.
    loose = {name: 0.02 for name in segments.orientation if name.startswith(("femur", "tibia"))}
    weights = {**segments.orientation_weight, **loose}
    return BodyTargets(replace(segments, orientation_weight=weights), root, scale, False, False)


def _pelvis(joints: dict[str, FloatArray], middle: FloatArray) -> Rotation:
    """Rotation of the pelvis from neutral: left along +x, up along +z."""
    left = _unit(joints["hip_l"] - joints["hip_r"])
    up = joints["spine"] - middle if "spine" in joints else np.tile([0.0, 0.0, 1.0], (len(left), 1))
    up = _unit(up - np.sum(up * left, axis=1, keepdims=True) * left)
    return Rotation.from_matrix(np.stack([left, np.cross(up, left), up], axis=-1))


def _knee_axis(
    hip: FloatArray, knee: FloatArray, ankle: FloatArray, pelvis: Rotation
) -> FloatArray:
    """Leg's own axis to the left, blended from the pelvis' as the knee straightens."""
    left = pelvis.apply([1.0, 0.0, 0.0])
    hinge = np.cross(_unit(ankle - knee), _unit(knee - hip))
    # A flexed knee's hinge points to one side; its length is the sine of flexion.
    sine = np.linalg.norm(hinge, axis=1, keepdims=True)
    hinge = hinge * np.sign(np.sum(hinge * left, axis=1, keepdims=True))
    weight = np.clip((sine - 0.2) / 0.3, 0.0, 1.0)
    return left * (1 - weight) + weight * hinge / np.maximum(sine, 1e-9)


def _aligned(neutral: FloatArray, line: FloatArray, sideways: FloatArray) -> Rotation:
    """Rotation that takes a neutral segment's line to `line` and its left to `sideways`."""

    def frame(along: FloatArray, left: FloatArray) -> FloatArray:
        z = _unit(along)
        x = _unit(left - np.sum(left * z, axis=-1, keepdims=True) * z)
        return np.stack([x, np.cross(z, x), z], axis=-1)

    start = frame(neutral[None], np.array([[1.0, 0.0, 0.0]]))
    return Rotation.from_matrix(frame(line, sideways) @ np.swapaxes(start, -1, -2))


def _foot(line: FloatArray, shank: Rotation) -> Rotation:
    """Rotation of the foot from the line of ankle and toes.

    How steep that line is in a flat foot depends on where a file puts its toes, so it is measured
    where the toes stand still, and taken for flat.
    """
    speed = np.linalg.norm(np.gradient(line, axis=0), axis=1)
    steep = np.arcsin(np.clip(_unit(line)[:, 2], -1, 1))
    flat = float(np.median(steep[speed <= np.quantile(speed, 0.3)]))
    ahead = np.array([0.0, -np.cos(flat), np.sin(flat)])
    return _aligned(ahead, line, shank.apply([1.0, 0.0, 0.0]))


def _unit(vector: FloatArray) -> FloatArray:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12)
