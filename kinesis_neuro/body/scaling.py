"""A body scaled to a person: segment lengths and mass, and all that follows from them."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import InvalidInputError, unknown_name
from kinesis_neuro.formats.opensim_model import read_model_size

FloatArray = NDArray[np.float64]

# A segment begins at the body of this name and holds all that hangs on it, to the next one.
_BEGINS = {
    "Full Body": "pelvis", "lumbar5": "torso",
    "femur_r": "thigh", "tibia_r": "shank", "talus_r": "foot",
    "femur_l": "thigh", "tibia_l": "shank", "talus_l": "foot",
}  # fmt: skip

# A segment's length is the distance between the origins of these bodies in the reference pose.
_ENDS = {
    "pelvis": ("femur_l", "femur_r"),
    "thigh": ("femur_r", "tibia_r"),
    "shank": ("tibia_r", "talus_r"),
    "foot": ("calcn_r", "toes_r"),
}

_ALLOWED = (0.5, 2.0)
_FORCE_EXPONENT = 2 / 3


@dataclasses.dataclass(frozen=True)
class BodyScale:
    """Factors of a body's segments, the same left and right, and its mass.

    Each segment is scaled alike in all directions, so that wrapping spheres and cylinders stay
    what they are.

    Attributes
    ----------
    pelvis, thigh, shank, foot : float
        Length over that of the unscaled body [1].
    torso : float
        Of all above the pelvis, arms and head included [1].
    mass : float or None
        Of the whole body [kg]; None keeps the density of every segment.

    Raises
    ------
    InvalidInputError
        If a factor is not between 0.5 and 2, or the mass is not positive.

    Examples
    --------
    >>> BodyScale(thigh=1.05, mass=70.0).to_json()
    '{"foot": 1.0, "mass": 70.0, "pelvis": 1.0, "shank": 1.0, "thigh": 1.05, "torso": 1.0}'
    """

    pelvis: float = 1.0
    thigh: float = 1.0
    shank: float = 1.0
    foot: float = 1.0
    torso: float = 1.0
    mass: float | None = None

    def __post_init__(self) -> None:
        low, high = _ALLOWED
        for name, factor in self.factors().items():
            if not low <= factor <= high:
                raise InvalidInputError(
                    f"The factor of {name} must lie between {low:g} and {high:g}, got {factor}. "
                    "It is a length over that of the unscaled body, not a length."
                )
        if self.mass is not None and not 0 < self.mass < np.inf:
            raise InvalidInputError(f"mass must be a positive number of kg, got {self.mass}.")

    @classmethod
    def uniform(cls, factor: float, mass: float | None = None) -> BodyScale:
        """Scale all segments alike."""
        return cls(factor, factor, factor, factor, factor, mass)

    def factors(self) -> dict[str, float]:
        """Factors by segment."""
        named = dataclasses.asdict(self)
        return {name: float(value) for name, value in named.items() if name != "mass"}

    def to_json(self) -> str:
        """Write as an attribute of a recording."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> BodyScale:
        """Read a recording's attribute ``body_scale``.

        Raises
        ------
        InvalidInputError
            If the text is no such attribute.

        Examples
        --------
        >>> BodyScale.from_json(BodyScale(foot=0.9).to_json()).foot
        0.9
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise InvalidInputError(f"{text!r} is no scale of a body: {error}.") from error


def segment_lengths(model: mujoco.MjModel) -> dict[str, float]:
    """Measure segments in the model's reference pose.

    Parameters
    ----------
    model : mujoco.MjModel

    Returns
    -------
    dict of str to float
        [m]: ``pelvis`` from hip to hip, ``thigh`` from hip to knee, ``shank`` from knee to ankle,
        ``foot`` from heel to toe joint; of the right leg.
    """
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    place = {name: data.body(name).xpos.copy() for pair in _ENDS.values() for name in pair}
    return {s: float(np.linalg.norm(place[a] - place[b])) for s, (a, b) in _ENDS.items()}


def scale_from_lengths(
    model: mujoco.MjModel, lengths: Mapping[str, float], mass: float | None = None
) -> BodyScale:
    """Find the factors that give a body a person's segment lengths.

    Parameters
    ----------
    model : mujoco.MjModel
        Of the unscaled body.
    lengths : mapping of str to float
        [m] of ``pelvis``, ``thigh``, ``shank``, ``foot``, see :func:`segment_lengths`. What is not
        given, and the torso, takes the mean of the factors that are.
    mass : float, optional
        [kg]

    Returns
    -------
    BodyScale

    Raises
    ------
    InvalidInputError
        If no length is given, a segment is unknown, or a factor is out of range.
    """
    own = segment_lengths(model)
    for name in lengths:
        if name not in own:
            raise unknown_name("segment", name, own)
    if not lengths:
        raise InvalidInputError(f"Give one length or more, of: {', '.join(own)}.")
    given = {name: float(length) / own[name] for name, length in lengths.items()}
    rest = float(np.mean(list(given.values())))
    every = dict.fromkeys((*own, "torso"), rest) | given
    return BodyScale(**every, mass=mass)


def scale_from_opensim(model: mujoco.MjModel, path: str | Path) -> BodyScale:
    """Find the factors that give a body the segment lengths and mass of an OpenSim model.

    Parameters
    ----------
    model : mujoco.MjModel
        Of the unscaled body.
    path : str or Path
        A model that was scaled to the person (``.osim``).

    Returns
    -------
    BodyScale

    Raises
    ------
    FileFormatError
        If the file is no OpenSim model of a person's legs.
    """
    size = read_model_size(path)
    return scale_from_lengths(model, size.lengths, size.mass)


def scale_model(model: mujoco.MjModel, scale: BodyScale) -> mujoco.MjModel:
    """Scale a compiled model; the one that is given does not change.

    Positions of bodies, joints, sites, wrapping and contact geometry and meshes take their
    segment's factor, masses its cube (then all are brought to the given total), inertias the mass
    times the square. Translations of the knee, and their couplings, take the factor of the
    segment that they move in. A muscle's range of lengths takes the ratio of its lengths in the
    reference pose, as optimal fibre and tendon do in OpenSim's scaling; its peak force takes
    (mass ratio)^(2/3), the area of similar bodies.

    Parameters
    ----------
    model : mujoco.MjModel
    scale : BodyScale

    Returns
    -------
    mujoco.MjModel

    Raises
    ------
    InvalidInputError
        If segments of different factors share a mesh.
    """
    scaled = copy.deepcopy(model)
    body = _body_factors(model, scale)
    parent = body[model.body_parentid]
    # The root stands as high above the floor as the legs are long.
    parent[model.body_parentid == 0] = (scale.thigh + scale.shank) / 2
    parent[0] = 1.0
    scaled.body_pos[:] *= parent[:, None]
    scaled.body_ipos[:] *= body[:, None]
    mass = model.body_mass * body**3
    mass *= 1.0 if scale.mass is None else scale.mass / mass.sum()
    there = model.body_mass > 0
    ratio = np.divide(mass, model.body_mass, out=np.ones_like(mass), where=there)
    scaled.body_mass[:] = mass
    scaled.body_inertia[:] *= (ratio * body**2)[:, None]

    geom, site = body[model.geom_bodyid], body[model.site_bodyid]
    for field, factor in (("geom_pos", geom), ("geom_size", geom), ("geom_aabb", geom)):
        getattr(scaled, field)[:] *= factor[:, None]
    scaled.geom_rbound[:] *= geom
    scaled.site_pos[:] *= site[:, None]
    scaled.jnt_pos[:] *= body[model.jnt_bodyid][:, None]
    _scale_meshes(model, scaled, geom)
    _scale_translations(model, scaled, parent)

    mujoco.mj_setConst(scaled, mujoco.MjData(scaled))
    stretch = scaled.actuator_length0 / model.actuator_length0
    scaled.actuator_lengthrange[:] *= stretch[:, None]
    scaled.tendon_lengthspring[:] *= (scaled.tendon_length0 / model.tendon_length0)[:, None]
    force = (mass.sum() / model.body_mass.sum()) ** _FORCE_EXPONENT
    scaled.actuator_gainprm[:, 2] *= force
    scaled.actuator_biasprm[:, 2] *= force
    return scaled


def _body_factors(model: mujoco.MjModel, scale: BodyScale) -> FloatArray:
    """Factor of each body: that of its segment, or of what it hangs on; parents come first."""
    factors = scale.factors()
    found = np.ones(model.nbody)
    for i in range(1, model.nbody):
        segment = _BEGINS.get(model.body(i).name)
        found[i] = found[model.body_parentid[i]] if segment is None else factors[segment]
    return found


def _scale_meshes(model: mujoco.MjModel, scaled: mujoco.MjModel, geom: FloatArray) -> None:
    is_mesh = model.geom_type == mujoco.mjtGeom.mjGEOM_MESH
    mesh = np.ones(model.nmesh)
    mesh[model.geom_dataid[is_mesh]] = geom[is_mesh]
    if not np.array_equal(mesh[model.geom_dataid[is_mesh]], geom[is_mesh]):
        raise InvalidInputError("Segments that share a mesh must have the same factor.")
    vertex = np.repeat(mesh, model.mesh_vertnum)
    scaled.mesh_vert[:] *= vertex[:, None]
    scaled.mesh_pos[:] *= mesh[:, None]
    scaled.mesh_scale[:] *= mesh[:, None]
    # Boxes that collision looks through first, of meshes and of bodies.
    box = np.ones(model.nbvh)
    for start, number, factor in (
        *zip(model.mesh_bvhadr, model.mesh_bvhnum, mesh, strict=True),
        *zip(model.body_bvhadr, model.body_bvhnum, _of_bodies(model, geom), strict=True),
    ):
        if start >= 0:
            box[start : start + number] = factor
    scaled.bvh_aabb[:] *= box[: len(scaled.bvh_aabb), None]


def _of_bodies(model: mujoco.MjModel, geom: FloatArray) -> FloatArray:
    found = np.ones(model.nbody)
    found[model.geom_bodyid] = geom
    return found


def _scale_translations(model: mujoco.MjModel, scaled: mujoco.MjModel, parent: FloatArray) -> None:
    """Scale joints that measure lengths, and the polynomials that couple them (MuJoCo's)."""
    joint = np.ones(model.njnt)
    slides = model.jnt_type == mujoco.mjtJoint.mjJNT_SLIDE
    joint[slides] = parent[model.jnt_bodyid[slides]]
    scaled.jnt_range[:] *= joint[:, None]
    address = model.jnt_qposadr
    scaled.qpos0[address[slides]] *= joint[slides]
    scaled.qpos_spring[address[slides]] *= joint[slides]
    free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
    places = address[free][:, None] + np.arange(3)
    scaled.qpos0[places] *= parent[model.jnt_bodyid[free]][:, None]
    scaled.qpos_spring[places] *= parent[model.jnt_bodyid[free]][:, None]
    coupled = np.flatnonzero(model.eq_type == mujoco.mjtEq.mjEQ_JOINT)
    first, second = model.eq_obj1id[coupled], model.eq_obj2id[coupled]
    other = np.where(second >= 0, joint[second], 1.0)
    # y = f1 p(x / f2): the coefficient of x^k takes f1 / f2^k.
    scaled.eq_data[coupled, :5] *= joint[first][:, None] / other[:, None] ** np.arange(5)
