"""From OpenSim coordinates to a ReferenceMotion on one of the bodies.

OpenSim's world (x forward, y up, z right) becomes this one (the body faces -y, its right is -x,
z is up): (x, y, z) -> (-z, -x, y). The pelvis turns about its own Z (tilt), X (list), Y (rotation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.models import CONTROL_RATE, PHYSICS_RATE, Body
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.floor import fit_toes, pelvis_height, settle
from kinesis_neuro.motion.reference import GroundContact, ReferenceMotion
from kinesis_neuro.motion.report import RetargetReport, retarget_report
from kinesis_neuro.motion.skeleton import Skeleton, angle_offsets, hip_shift
from kinesis_neuro.motion.skeleton import skeleton as find_skeleton

FloatArray = NDArray[np.float64]

OPENSIM_TO_WORLD = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Rotation from OpenSim's axes to this library's world."""

_TRUNK = {
    "lumbar_extension": "flex_extension",
    "lumbar_bending": "lat_bending",
    "lumbar_rotation": "axial_rotation",
}
_PELVIS = ("pelvis_tilt", "pelvis_list", "pelvis_rotation", "pelvis_tx", "pelvis_ty", "pelvis_tz")
_TRANSLATIONS = _PELVIS[3:]
_SIDED = (
    *("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "ankle_angle"),
    *("subtalar_angle", "mtp_angle", "arm_flex", "arm_add", "arm_rot"),
    *("elbow_flex", "pro_sup", "wrist_flex", "wrist_dev"),
)
OPENSIM_COORDINATES = frozenset(
    [
        *_PELVIS,
        *_TRUNK,
        *(f"{name}_{side}" for name in _SIDED for side in "rl"),
        *(f"knee_angle_{side}_beta" for side in "rl"),  # the patella's, which follows the knee
    ]
)
"""Coordinates of gait2392, gait10dof18musc and Rajagopal 2016 that the reader knows."""

# Bodies rest on the floor at a penetration of about one millimetre under their own weight.
STANCE_PENETRATION = 0.001
GRAVITY = 9.80665


@dataclass(frozen=True, eq=False)
class Coordinates:
    """A course of OpenSim coordinates with known units.

    Attributes
    ----------
    time : ndarray, shape (n,)
        [s]
    values : mapping of str to ndarray, shape (n,)
        Angles [rad] and pelvis translations [m], by OpenSim's names.
    cyclic : bool
        Whether the last frame is the first of the next cycle.
    forces : ndarray, shape (n, 2, 3), optional
        Ground force on the right and left foot in OpenSim's axes [N].
    pressure : ndarray, shape (n, 2, 3), optional
        Centre of pressure in the same frame as the pelvis translations [m].
    """

    time: FloatArray
    values: Mapping[str, FloatArray]
    cyclic: bool = False
    forces: FloatArray | None = None
    pressure: FloatArray | None = None


def build_motion(
    coordinates: Coordinates,
    body: Body,
    *,
    name: str,
    speed: float = 0.0,
    leg_length_ratio: float | None = None,
    subject_mass: float | None = None,
    skeleton: str | None = None,
    rate: float = PHYSICS_RATE,
    events: Mapping[str, FloatArray] | None = None,
    source: str = "",
    licence: str = "",
) -> ReferenceMotion:
    """Map OpenSim coordinates on a body.

    Parameters
    ----------
    coordinates : Coordinates
    body : Body
    name : str
        Name of the motion.
    speed : float
        Speed of the treadmill's belt [m/s], added to the pelvis' forward translation.
    leg_length_ratio : float, optional
        Body's leg length over the subject's; if not given, the height of the body's pelvis above
        its feet over the file's ``pelvis_ty``.
    subject_mass : float, optional
        Mass of the subject [kg], to scale ground forces to the body; if not given, the mean
        vertical force is taken for the subject's weight, which holds over whole strides.
    skeleton : {"gait2392", "rajagopal2016"}, optional
        Model that the coordinates were made with. With it thigh and shank lie along the lines they
        have there and centres of pressure are placed relative to the hips, so that differences
        between models do not shift the force past the knee. Without it angles are copied.
    rate : float
        Frames a second of the result [Hz].
    events : mapping, optional
        Times of gait events [s].
    source, licence : str
        Kept with the motion.

    Returns
    -------
    ReferenceMotion
        Its ``report`` holds what the mapping had to do and what is left wrong.
    """
    for label, number in (("rate", rate), ("leg_length_ratio", leg_length_ratio)):
        if number is not None and not (np.isfinite(number) and number > 0):
            raise InvalidInputError(f"{label} must be a positive number, got {number}.")
    table, notes = _check_names(coordinates, body)
    lowest = float(np.min(table["pelvis_ty"]))
    if lowest <= 0 and leg_length_ratio is None:
        raise InvalidInputError(
            f"pelvis_ty, the height of the pelvis, falls to {lowest:.3f} m. Expected metres above "
            "the floor; give leg_length_ratio where the file's heights have another origin."
        )
    time = coordinates.time - coordinates.time[0]
    n_new = (
        max(3, round(time[-1] * rate)) if coordinates.cyclic else int(time[-1] * rate + 1e-6) + 1
    )
    if time[-1] < 1.0 / CONTROL_RATE - 1e-9 or n_new < 3:
        raise InvalidInputError(
            f"Motion {name!r} lasts {time[-1]:.4f} s, which is shorter than one control step."
        )
    # A periodic motion gets a whole number of frames: its time is stretched by under half a frame.
    grid = (
        np.linspace(0, time[-1], n_new + 1)[:-1] if coordinates.cyclic else np.arange(n_new) / rate
    )
    new = {k: _spline(time, v, coordinates.cyclic)(grid) for k, v in table.items()}

    toes_given = any(np.any(new.get(f"mtp_angle_{side}", 0.0)) for side in "rl")
    if not toes_given:
        notes.append("toes (mtp_angle) set by floor clearance: the file holds none")
    source_skeleton = None if skeleton is None else find_skeleton(skeleton)
    ratio = leg_length_ratio or 1.0
    # Without a skeleton the joints do not depend on the ratio, and one pass finds it; with one
    # the second pass moves it by less than a thousandth.
    for _ in range(1 if leg_length_ratio or source_skeleton is None else 2):
        offsets = {} if source_skeleton is None else angle_offsets(source_skeleton, body, ratio)
        qpos, unclipped = _joint_poses(body, new, n_new, offsets)
        if not toes_given:
            qpos = fit_toes(body, qpos, coordinates.cyclic)
        height = pelvis_height(body, qpos)
        ratio = leg_length_ratio or float(np.median(height) / np.median(new["pelvis_ty"]))
    belt = speed * np.arange(n_new) / rate * (time[-1] * rate / n_new if coordinates.cyclic else 1)
    position = np.stack([new["pelvis_tx"] + belt, new["pelvis_ty"], new["pelvis_tz"]], axis=-1)
    qpos[:, :3] = ratio * position @ OPENSIM_TO_WORLD.T
    offset = float(np.median(height - qpos[:, 2])) - STANCE_PENETRATION
    qpos[:, 2] += offset
    qpos[:, 2] += settle(height - STANCE_PENETRATION - qpos[:, 2], coordinates.cyclic)
    notes.append(f"translations scaled by {ratio:.4f}, height moved by {1e3 * offset:.1f} mm")

    way = None
    if coordinates.cyclic:
        way = OPENSIM_TO_WORLD @ (ratio * np.array([speed * time[-1], 0.0, 0.0]))
    contact = None
    if coordinates.forces is not None and coordinates.pressure is not None:
        contact = _place_contact(
            coordinates, time, grid, ratio, qpos, body, subject_mass, source_skeleton
        )
        lifted = contact.force[..., 2].sum(axis=1).mean() / body.weight
        notes.append(f"measured vertical force is {lifted:.3f} of the body's weight on average")
    motion = ReferenceMotion.from_poses(
        body,
        qpos,
        rate,
        name=name,
        displacement=way,
        contact=contact,
        events=dict(events or {}),
        source=source,
        licence=licence,
    )
    report = retarget_report(motion, unclipped, notes)
    return _with_report(motion, report)


def _with_report(motion: ReferenceMotion, report: RetargetReport) -> ReferenceMotion:
    return replace(motion, report=report)


def _joint_poses(
    body: Body, table: dict[str, FloatArray], n: int, offsets: dict[str, float]
) -> tuple[FloatArray, FloatArray]:
    """Poses with root orientation and joints within their limits, and the joints before that."""
    qpos = np.tile(body.model.qpos0, (n, 1))
    qpos[:, 3:7] = _root_orientation(table, n)
    unclipped = _set_joints(body, qpos, table, offsets)
    limits = body.model.jnt_range[1:]
    qpos[:, 7:] = np.clip(unclipped, limits[:, 0], limits[:, 1])
    return body.coupling.complete(qpos), unclipped


def _spline(time: FloatArray, values: FloatArray, cyclic: bool) -> CubicSpline:
    if cyclic:
        values = np.concatenate([values[:-1], values[:1]])
    return CubicSpline(time, values, bc_type="periodic" if cyclic else "not-a-knot")


def _check_names(coordinates: Coordinates, body: Body) -> tuple[dict[str, FloatArray], list[str]]:
    """Refuse unknown names; list what is absent and what this body has no joint for."""
    unknown = sorted(set(coordinates.values) - OPENSIM_COORDINATES)
    if unknown:
        raise InvalidInputError(
            f"Unknown coordinates: {', '.join(unknown)}. Known: "
            f"{', '.join(sorted(OPENSIM_COORDINATES))}."
        )
    if "pelvis_ty" not in coordinates.values:
        raise InvalidInputError(
            "The coordinates need at least 'pelvis_ty', the pelvis' height [m]."
        )
    table = dict(coordinates.values)
    zero = np.zeros_like(coordinates.time)
    notes = []
    missing = [name for name in _PELVIS if name not in table]
    if missing:
        notes.append(f"absent, held at zero: {', '.join(missing)}")
        table.update(dict.fromkeys(missing, zero))
    dropped = [
        name
        for name in sorted(table)
        if name not in _PELVIS and _TRUNK.get(name, name) not in body.joints and np.any(table[name])
    ]
    if dropped:
        notes.append(f"no such joint in {body.name!r}, dropped: {', '.join(dropped)}")
    return table, notes


def _root_orientation(new: Mapping[str, FloatArray], n: int) -> FloatArray:
    """Quaternions (n, 4) of the root from the pelvis' body-fixed Z-X-Y angles."""
    angles = np.stack([new["pelvis_tilt"], new["pelvis_list"], new["pelvis_rotation"]], axis=-1)
    opensim = Rotation.from_euler("ZXY", angles)
    to_world = Rotation.from_matrix(OPENSIM_TO_WORLD)
    return (to_world * opensim * to_world.inv()).as_quat(scalar_first=True)


def _set_joints(
    body: Body, qpos: FloatArray, new: Mapping[str, FloatArray], offsets: Mapping[str, float]
) -> FloatArray:
    """Joint part of the poses, knees in the body's own sign, not yet clipped to the limits."""
    for name, values in new.items():
        joint = _TRUNK.get(name, name)
        if joint not in body.joints or name in _PELVIS:
            continue
        column = body.joints.index(joint)
        if joint.startswith("knee_angle"):
            low, high = body.model.jnt_range[1 + column]
            body_sign = 1.0 if high > -low else -1.0
            # A knee flexes much farther than it hyperextends: the larger excursion is flexion.
            file_sign = 1.0 if values.max() > -values.min() else -1.0
            values = body_sign * (values * file_sign + offsets.get("knee_angle", 0.0))
        else:
            values = values + offsets.get(name[:-2], 0.0)
        qpos[:, 7 + column] = values
    return body.coupling.complete(qpos)[:, 7:]


def _place_contact(
    coordinates: Coordinates,
    time: FloatArray,
    grid: FloatArray,
    ratio: float,
    qpos: FloatArray,
    body: Body,
    subject_mass: float | None,
    source: Skeleton | None,
) -> GroundContact:
    """Scale forces to the body; place centres of pressure relative to the pelvis, on the floor."""
    assert coordinates.forces is not None and coordinates.pressure is not None
    pelvis = np.stack([coordinates.values.get(k, 0 * time) for k in _TRANSLATIONS], axis=-1)
    relative = coordinates.pressure - pelvis[:, None]
    flat = [part.reshape(time.size, 6) for part in (coordinates.forces, relative)]
    force, offset = (
        np.stack([np.interp(grid, time, column) for column in part.T], axis=-1).reshape(-1, 2, 3)
        for part in flat
    )
    offset = ratio * offset @ OPENSIM_TO_WORLD.T
    if source is not None:
        root = Rotation.from_quat(qpos[:, 3:7], scalar_first=True)
        offset += hip_shift(source, body, root, ratio, OPENSIM_TO_WORLD)
    world = qpos[:, None, :3] + offset
    world[..., 2] = 0.0
    # Over whole strides the plates carry the subject's weight, whatever a model file says it is.
    weight = force[..., 1].sum(axis=1).mean() if subject_mass is None else GRAVITY * subject_mass
    scaled = force @ OPENSIM_TO_WORLD.T * (body.weight / weight)
    return GroundContact(scaled, world)
