"""Gaits between standing and walking: one recorded gait, with steps of any length.

Between a standing posture and the recorded cycle, pelvis and feet are placed: steps in proportion
to the level, the sway to the sides in full for all but the shortest, and legs follow by inverse
kinematics. Who turns has the feet on the arc and leans into it; who speeds up leans forwards. This
is a plan for a body to follow, not a recording: no person walked it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.kinematics import contact_points, kinematics, rotate
from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.feedforward import muscle_activations
from kinesis_neuro.motion.floor import pelvis_height
from kinesis_neuro.motion.ik import SegmentTargets, solve_poses
from kinesis_neuro.motion.reference import GroundContact, ReferenceMotion

FloatArray = NDArray[np.float64]

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Levels that are tabulated; between them all is linear."""

SOLVED = (0.0, 0.5, 1.0)
"""Levels whose static optimisation is computed; the others' lies between."""

FULL_SWAY = 0.25
"""Level from which the body sways to the sides as in the recording: it falls from foot to foot,
however short the step."""

STANDING_KNEE = 0.08
"""Knee angle in standing [rad]."""

LOWEST_LIFT = 0.3
"""Share of the feet's lift and pitch in the gait that the shortest steps have."""

GRAVITY = 9.80665

EXTRA_LIFT = 0.01
"""Further lift of the swinging foot of the shortest steps [m]."""

CURVATURE = 1.0
"""Curvature of the curved part of the family, to the left [1/m]; others lie on a line with it."""

ACCELERATION = 0.7
"""Acceleration of the leaning part of the family, forwards [m/s^2]; others lie on a line with it,
braking too."""


@dataclass(frozen=True, eq=False)
class GaitFamily:
    """One gait at several levels: along a line, along a curve to the left, and speeding up.

    Attributes
    ----------
    motions : tuple of ReferenceMotion
        One a level, along the line, then the same along the curve, then leaning; each has as many
        frames as the gait. Positions lie along -y: it is for their user to bend the way.
    activation : tuple of ndarray, shape (n_frames, n_muscles)
        Static optimisation's, of each level at constant speed along the line: the same for all
        parts.
    stride : float
        Way of a cycle at the full level [m].
    """

    motions: tuple[ReferenceMotion, ...]
    activation: tuple[FloatArray, ...]
    stride: float

    @classmethod
    def build(cls, gait: ReferenceMotion, *, solve: bool = True) -> GaitFamily:
        """Make the family of a gait.

        Parameters
        ----------
        gait : ReferenceMotion
            Periodic, walking straight towards -y (as the built-in ``walk`` does).
        solve : bool
            Whether static optimisation is computed, for actuations that need it.

        Raises
        ------
        InvalidInputError
            If the gait ends, or walks elsewhere.
        """
        way = gait.displacement
        if way is None or way[1] >= 0.0 or abs(way[0]) > 0.1 * abs(way[1]):
            raise InvalidInputError(
                f"Motion {gait.name!r} cannot be steered: it must be periodic and walk straight "
                f"towards -y, and its cycle leads {'nowhere' if way is None else way.round(2)}."
            )
        key = gait.hash, gait.body.hash, solve
        if key in _MADE:
            return _MADE[key]
        stand = standing_pose(gait)
        parts = ((0.0, 0.0), (CURVATURE, 0.0), (0.0, ACCELERATION))
        motions = tuple(at_level(gait, stand, level, *part) for part in parts for level in LEVELS)
        activation: tuple[FloatArray, ...] = ()
        if solve:
            still, *moving = (motions[LEVELS.index(level)] for level in SOLVED)
            found = muscle_activations([_three_frames(still), *moving])
            found[0] = np.repeat(found[0][1:2], gait.n_frames, axis=0)
            solved = dict(zip(SOLVED, found, strict=True))
            activation = len(parts) * tuple(_between(solved, level) for level in LEVELS)
        _MADE[key] = cls(motions, activation, float(-way[1]))
        return _MADE[key]


# A family takes seconds to make, and every environment of a gait needs the same.
_MADE: dict[tuple[str, str, bool], GaitFamily] = {}


def _three_frames(standing: ReferenceMotion) -> ReferenceMotion:
    """As many frames of standing as a motion has at least: all are the same."""
    contact = standing.contact
    return replace(
        standing,
        qpos=standing.qpos[:3],
        qvel=standing.qvel[:3],
        contact=contact and GroundContact(contact.force[:3], contact.center_of_pressure[:3]),
    )


def _between(solved: dict[float, FloatArray], level: float) -> FloatArray:
    low = max(known for known in solved if known <= level)
    high = min(known for known in solved if known >= level)
    share = 0.0 if high == low else (level - low) / (high - low)
    return (1.0 - share) * solved[low] + share * solved[high]


def standing_pose(gait: ReferenceMotion) -> FloatArray:
    """A symmetric pose with flat feet under the centre of mass, shape (nq,).

    Knees are bent by :data:`STANDING_KNEE`, the pelvis is tilted as on average in the gait, and
    legs are as far apart as there; hips and ankles follow from flat feet and balance.
    """
    body = gait.body
    pose = np.zeros(body.model.nq)
    mean = Rotation.from_quat(gait.qpos[:, 3:7], scalar_first=True).as_rotvec().mean(axis=0)
    pose[3:7] = Rotation.from_rotvec([mean[0], 0.0, 0.0]).as_quat(scalar_first=True)
    for name in ("knee_angle", "hip_adduction"):
        columns = [7 + body.joints.index(f"{name}_{side}") for side in "rl"]
        pose[columns] = STANDING_KNEE if name == "knee_angle" else gait.qpos[:, columns].mean()
    data = mujoco.MjData(body.model)
    found = least_squares(lambda x: _imbalance(body, data, _posed(body, pose, x)), [0.1, 0.1])
    pose = _posed(body, pose, found.x)
    pose[2] = pelvis_height(body, pose[None])[0]
    return pose


def _posed(body: Body, pose: FloatArray, angles: FloatArray) -> FloatArray:
    made = pose.copy()
    for name, angle in zip(("hip_flexion", "ankle_angle"), angles, strict=True):
        made[[7 + body.joints.index(f"{name}_{side}") for side in "rl"]] = angle
    completed: FloatArray = body.coupling.complete(made[None])[0]
    return completed


def _imbalance(body: Body, data: mujoco.MjData, pose: FloatArray) -> FloatArray:
    """Difference of heel's and forefoot's height, and of balance and middle of the foot [m]."""
    data.qpos[:] = pose
    mujoco.mj_kinematics(body.model, data)
    mujoco.mj_comPos(body.model, data)
    ends = []
    for segment in ("calcn_r", "toes_r"):
        centers, radii = contact_points(body, segment)
        of_segment = data.body(segment)
        world = rotate(of_segment.xquat[None], centers) + of_segment.xpos
        world[:, 2] -= radii
        ends.append(world[world[:, 2].argmin()])
    heel, toes = ends
    middle = 0.5 * (heel[1] + toes[1])
    return np.array([heel[2] - toes[2], data.subtree_com[0][1] - middle])


def at_level(
    gait: ReferenceMotion,
    stand: FloatArray,
    level: float,
    curvature: float = 0.0,
    acceleration: float = 0.0,
) -> ReferenceMotion:
    """The gait with shorter steps, along a line or a curve, steady or speeding up.

    Pelvis and feet are placed, and the legs follow by inverse kinematics.

    Parameters
    ----------
    gait : ReferenceMotion
    stand : ndarray, shape (nq,)
    level : float
        0 stands, 1 is the gait.
    curvature : float
        Of the way, to the left positive [1/m].
    acceleration : float
        That the body leans forwards for [m/s^2].
    """
    body, n = gait.body, gait.n_frames
    assert gait.displacement is not None
    own = gait.qpos.copy()
    own[:, :3] -= np.arange(n)[:, None] / n * gait.displacement
    own[:, :2] -= own[:, :2].mean(axis=0)
    if level == 0.0:
        own = np.tile(stand, (n, 1))
    if level in (0.0, 1.0) and curvature * level == 0.0 and acceleration == 0.0:
        qpos = own
    else:
        speed = level * float(np.linalg.norm(gait.displacement)) / gait.duration
        lean = np.array([curvature * speed**2, acceleration]) / GRAVITY
        targets = _targets(body, own, stand, level, curvature, lean)
        share = np.where(np.arange(body.model.nq) < 7, 0.0, level)
        start = stand + share * (own - stand)
        start[:, :3] = targets.position["pelvis"]
        start[:, 3:7] = own[:, 3:7]
        qpos = solve_poses(body, targets, start=start)
    made = ReferenceMotion.from_poses(
        body,
        qpos,
        gait.rate,
        name=f"{gait.name}@{level:g}/{curvature:g}/{acceleration:g}",
        displacement=np.zeros(3),
        source=gait.source,
        licence=gait.licence,
    )
    # Forces do not depend on where the body walks, velocities of the feet do.
    forward = level * gait.displacement / n
    moving = replace(made, qpos=made.qpos.copy(), qvel=made.qvel.copy())
    moving.qpos[:, :3] += np.arange(n)[:, None] * forward
    moving.qvel[:, :3] += forward * gait.rate
    moving = replace(moving, displacement=level * gait.displacement)
    sway = min(1.0, level / FULL_SWAY)
    return replace(moving, contact=_contact(gait, moving, level, sway, acceleration))


def _targets(
    body: Body,
    own: FloatArray,
    stand: FloatArray,
    level: float,
    curvature: float,
    lean: FloatArray,
) -> SegmentTargets:
    """Where pelvis and feet go: steps in proportion to the level, sway and lift less than that.

    Leans are angles to the left and forwards [rad], as in someone whose weight and inertia balance.
    """
    sway, lift = min(1.0, level / FULL_SWAY), LOWEST_LIFT + (1.0 - LOWEST_LIFT) * level
    there, here = kinematics(body, own), kinematics(body, stand[None])
    share = np.array([sway, level, lift])
    where = {s: body.segments.index(s) for s in ("pelvis", *body.contacts)}
    position, orientation = {}, {}
    for segment, k in where.items():
        still, moved = here.body_position[:, k], there.body_position[:, k]
        place = still + share * (moved - still)
        upright, turned = (
            Rotation.from_quat(q[:, k], scalar_first=True)
            for q in (here.body_orientation, there.body_orientation)
        )
        # Feet pitch with their lift; the pelvis tilts and turns with the step, and rolls with sway.
        shares = np.array([level, sway, level]) if segment == "pelvis" else np.full(3, lift)
        change = (turned * upright.inv()).as_rotvec() * shares
        rotation = Rotation.from_rotvec(change) * upright
        if segment != "pelvis" and curvature:
            # The body faces -y: its left, where the arc has its centre, is +x. A foot keeps its
            # distance from the way, so the inner one takes the shorter steps.
            turned_by = -curvature * place[:, 1]
            rotation = Rotation.from_euler("z", turned_by[:, None]) * rotation
            radius = 1.0 / curvature - place[:, 0]
            place[:, 0] = 1.0 / curvature - radius * np.cos(turned_by)
            place[:, 1] = -radius * np.sin(turned_by)
        position[segment] = place
        orientation[segment] = rotation.as_quat(scalar_first=True)
    clear = np.maximum(there.body_position[:, [where[s] for s in body.contacts], 2], 0.0)
    for k, segment in enumerate(body.contacts):
        swing = np.clip((clear[:, k] - clear[:, k].min() - 0.02) / 0.04, 0.0, 1.0)
        position[segment][:, 2] += (1.0 - level) * EXTRA_LIFT * swing
    mean = own[:, 2].mean()
    height = stand[2] + level * (mean - stand[2]) + level * (own[:, 2] - mean)
    position["pelvis"][:, 2] = height
    left, ahead = lean
    position["pelvis"] += np.array([left, -ahead, -0.5 * (left**2 + ahead**2)]) * height[:, None]
    upright = Rotation.from_quat(orientation["pelvis"], scalar_first=True)
    leant = Rotation.from_rotvec([ahead, left, 0.0]) * upright
    orientation["pelvis"] = leant.as_quat(scalar_first=True)
    weight = {s: 1.0 if s == "pelvis" else 3.0 for s in where}
    turn_weight = {s: 0.5 if s == "pelvis" or s.startswith("calcn") else 0.05 for s in where}
    return SegmentTargets(position, orientation, weight, turn_weight)


def _contact(
    gait: ReferenceMotion,
    moving: ReferenceMotion,
    level: float,
    sway: float,
    acceleration: float,
) -> GroundContact | None:
    """The recording's forces under the feet of another level.

    The weight goes from foot to foot as it does in the recording, less so below full sway; shear
    along the way and the way of the pressure along the foot shrink with the level. What speeds the
    body up is shear in proportion to the weight on each foot.
    """
    if gait.contact is None:
        return None
    body = gait.body
    feet = [body.segments.index(f"calcn_{side}") for side in "rl"]
    under = gait.contact.center_of_pressure - gait.frames.body_position[:, feet]
    loaded = gait.contact.force[..., 2] > 0.05 * body.weight
    middle = np.array([under[loaded[:, k], k].mean(axis=0) for k in range(2)])
    under = np.where(loaded[..., None], under, middle)
    force = gait.contact.force.copy()
    force[..., 1] *= level
    standing = np.array([0.0, 0.0, 0.5 * body.weight])
    force = sway * force + (1.0 - sway) * standing
    force[..., 1] -= acceleration / GRAVITY * force[..., 2]
    pressure = moving.frames.body_position[:, feet] + middle + level * (under - middle)
    pressure[..., 2] = 0.0
    return GroundContact(force, pressure)
