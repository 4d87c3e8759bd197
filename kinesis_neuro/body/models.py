"""The bodies: myo-sim's musculoskeletal models on a flat floor, with the sensors the task needs.

Differences from myo-sim's own models are listed in :data:`DIFFERENCES`; nothing else is changed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.anatomy import muscle_group, muscle_side
from kinesis_neuro.body.coupling import Coupling
from kinesis_neuro.body.fingerprint import fingerprint_model
from kinesis_neuro.body.scaling import BodyScale, scale_model
from kinesis_neuro.errors import unknown_name
from kinesis_neuro.provenance import hash_arrays

PHYSICS_RATE = 150.0
"""Physics steps a second [Hz]; KINESIS's rate."""

CONTROL_RATE = 30.0
"""Control steps a second [Hz]; KINESIS's rate."""

DIFFERENCES = (
    "The scene's geoms (a pedestal above a floor at z = -0.4 m) are dropped; one plane at z = 0 "
    "with the same contact parameters takes their place.",
    "The time step is 1/150 s instead of 1/500 s.",
    "Automatic reset of diverged states is disabled, so that divergence can be seen.",
    "Contact pairs between the left and the right leg are dropped: the capsules of shanks and feet "
    "are wider than a person's, and overlap by up to 30 mm where the legs of a recorded gait pass "
    "each other. The legs of legs26 collide as meshes, without pairs: they meet the floor alone.",
    "Sensors are added (frames of the segments, lengths and velocities of the muscles, net contact "
    "wrench of each foot segment); they do not act on the physics.",
    "legs26: the axes of the left hip's adduction and rotation are turned round. myo-sim gives "
    "both hips the right one's axes, so that its left leg abducts no farther than 0.52 rad and "
    "adducts by 0.87 rad, and means the opposite of the right by the same angle.",
    "legs_back is myofullbody without its arms: both subtrees are pruned, with the actuators, "
    "tendons, contact pairs, equalities and sensors that touch them.",
)
"""Every difference from myo-sim's models, in words."""

_MYO_SIM_NAMES = {
    "legs26": "myolegs26",
    "legs": "myolegs",
    "legs_abs": "myolegs_abdomen",
    "legs_back": "myofullbody",
    "full": "myofullbody",
}
BODY_NAMES = tuple(_MYO_SIM_NAMES)

# KINESIS rewards and terminates on these.
_TRACKED = ("pelvis", "tibia_r", "tibia_l", "talus_r", "talus_l", "toes_r", "toes_l")
_SEGMENTS = (
    *("pelvis", "torso", "head", "femur_r", "tibia_r", "talus_r", "calcn_r", "toes_r"),
    *("femur_l", "tibia_l", "talus_l", "calcn_l", "toes_l"),
    *("humerus_r", "ulna_r", "lunate_r", "humerus_l", "ulna_l", "lunate_l"),
)
CONTACT_SEGMENTS = ("calcn_r", "toes_r", "calcn_l", "toes_l")

# The sensor of contact returns: found (1), force (3), torque (3), position (3).
_CONTACT_WIDTH = 10


_READ_ONLY = ("sensors", "fingerprint")


@dataclass(frozen=True, eq=False)
class Body:
    """A compiled model with the names and addresses that the library uses.

    Attributes
    ----------
    name : str
        One of :data:`BODY_NAMES`.
    model : mujoco.MjModel
        The compiled model. Treat it as read-only: it is shared by all who load the body.
    muscles, side, group : tuple of str
        One entry an actuator; side is ``left``, ``right`` or ``midline``.
    joints : tuple of str
        The scalar joints, in order of ``qpos[7:]``.
    segments : tuple of str
        Bodies whose frames are sensed (position, orientation, velocity).
    tracked_bodies : tuple of str
        The segments that imitation is measured on.
    contacts : tuple of str
        Foot segments with a contact sensor.
    coupling : Coupling
        The dependent joints.
    sensors : mapping of str to slice
        Where ``muscle_length``, ``muscle_velocity``, ``body_position``, ``body_orientation``,
        ``body_velocity``, ``contact`` lie in ``sensordata``.
    fingerprint : mapping of str to str
        Hash of the layout and of each parameter of the compiled model.
    hash : str
        Hash over the fingerprint.
    scale : BodyScale or None
        How it was scaled to a person.
    """

    name: str
    model: mujoco.MjModel
    muscles: tuple[str, ...]
    side: tuple[str, ...]
    group: tuple[str, ...]
    joints: tuple[str, ...]
    segments: tuple[str, ...]
    tracked_bodies: tuple[str, ...]
    contacts: tuple[str, ...]
    coupling: Coupling
    sensors: MappingProxyType[str, slice]
    fingerprint: MappingProxyType[str, str]
    hash: str
    scale: BodyScale | None = None

    def __getstate__(self) -> dict[str, Any]:
        """To other processes goes what can be pickled: of read-only mappings, their content."""
        return vars(self) | {name: dict(getattr(self, name)) for name in _READ_ONLY}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        vars(self).update({name: MappingProxyType(state[name]) for name in _READ_ONLY})

    @property
    def n_muscles(self) -> int:
        """Number of muscles."""
        return len(self.muscles)

    @functools.cached_property
    def tracked_index(self) -> NDArray[np.intp]:
        """Positions of ``tracked_bodies`` among ``segments``."""
        return np.array([self.segments.index(name) for name in self.tracked_bodies])

    @functools.cached_property
    def segment_ids(self) -> NDArray[np.intp]:
        """MuJoCo's body ids of ``segments``."""
        return np.array([self.model.body(name).id for name in self.segments])

    @functools.cached_property
    def mass(self) -> float:
        """Total mass [kg]."""
        return float(self.model.body_mass.sum())

    @property
    def scale_attributes(self) -> dict[str, str]:
        """What a recording says about the scale; nothing of an unscaled body."""
        return {} if self.scale is None else {"body_scale": self.scale.to_json()}

    @property
    def weight(self) -> float:
        """Body weight [N]."""
        return self.mass * float(np.linalg.norm(self.model.opt.gravity))

    def joint_addresses(self, names: tuple[str, ...]) -> tuple[NDArray, NDArray]:
        """Addresses of scalar joints in ``qpos`` and in ``qvel``."""
        ids = [self.model.joint(name).id for name in names]
        return self.model.jnt_qposadr[ids].copy(), self.model.jnt_dofadr[ids].copy()

    def __repr__(self) -> str:
        """Name, size and hash."""
        return f"Body({self.name!r}, {self.n_muscles} muscles, {self.hash[:12]})"


@functools.cache
def load_body(name: str = "legs", scale: BodyScale | None = None) -> Body:
    """Load one of the bodies.

    Parameters
    ----------
    name : {"legs26", "legs", "legs_abs", "legs_back", "full"}
        26, 80, 86, 290 and 416 muscles.
    scale : BodyScale, optional
        Scales it to a person. Its hash and fingerprint tell it from the unscaled body, so that a
        policy of the one warns on the other.

    Returns
    -------
    Body
        Cached: the same object for the same arguments.

    Raises
    ------
    InvalidInputError
        If there is no such body.

    Examples
    --------
    >>> body = load_body("legs")
    >>> body.n_muscles, body.model.nq
    (80, 35)
    """
    if name not in BODY_NAMES:
        raise unknown_name("body", name, BODY_NAMES)
    spec = body_spec(name)
    segments = _segments(spec)
    widths = _sensor_widths(spec, segments)
    model = compiled(spec)
    model = model if scale is None else scale_model(model, scale)
    fingerprint = MappingProxyType(fingerprint_model(model))
    return Body(
        name=name,
        model=model,
        muscles=(muscles := tuple(model.actuator(i).name for i in range(model.nu))),
        side=tuple(muscle_side(m) for m in muscles),
        group=tuple(muscle_group(m) for m in muscles),
        joints=tuple(model.joint(j).name for j in range(1, model.njnt)),
        segments=segments,
        tracked_bodies=_TRACKED,
        contacts=CONTACT_SEGMENTS,
        coupling=Coupling.from_model(model),
        sensors=MappingProxyType(_sensor_slices(model, widths)),
        fingerprint=fingerprint,
        hash=hash_arrays(fingerprint),
        scale=scale,
    )


def body_spec(name: str) -> mujoco.MjSpec:
    """A body with its floor and sensors before it is compiled, to be put among other things.

    What is added after it leaves its coordinates, muscles and sensors where they are.
    """
    with _quiet():
        spec = _bare_spec(name)
        _add_sensors(spec, _segments(spec))
    return spec


def compiled(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Compile a spec that holds a body."""
    with _quiet():
        return spec.compile()


def _segments(spec: mujoco.MjSpec) -> tuple[str, ...]:
    return tuple(s for s in _SEGMENTS if spec.body(s) is not None)


def _bare_spec(name: str) -> mujoco.MjSpec:
    """myo-sim's model without its scene, on our floor."""
    # Imported here: it loads the composer, which only this function needs.
    import myo_sim

    spec = myo_sim.load_spec(_MYO_SIM_NAMES[name])
    for geom in list(spec.worldbody.geoms):
        spec.delete(geom)
    if name == "legs_back":
        for side in ("r", "l"):
            spec.delete(spec.body(f"myoarm_{side}_root"))
    if name == "legs26":
        for joint in ("hip_adduction_l", "hip_rotation_l"):
            spec.joint(joint).axis = -spec.joint(joint).axis
    _drop_leg_pairs(spec)
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0, 0, 1],
        contype=1,
        conaffinity=1,
        rgba=[0.93, 0.93, 0.93, 1],
    )
    spec.option.timestep = 1.0 / PHYSICS_RATE
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    return spec


_LEG_SEGMENTS = ("femur", "tibia", "talus", "calcn", "toes")


def _drop_leg_pairs(spec: mujoco.MjSpec) -> None:
    """Delete the contact pairs of one leg with the other."""
    side_of = {}
    for side in "rl":
        for segment in _LEG_SEGMENTS:
            for geom in spec.body(f"{segment}_{side}").geoms:
                side_of[geom.name] = side
                # As in the larger bodies: what has no pair meets the floor alone.
                geom.conaffinity = 0
    for pair in list(spec.pairs):
        sides = {side_of.get(pair.geomname1), side_of.get(pair.geomname2)}
        if sides == {"r", "l"}:
            spec.delete(pair)


def _add_sensors(spec: mujoco.MjSpec, segments: tuple[str, ...]) -> None:
    """Append the library's sensors."""
    first = {
        "muscle_length": mujoco.mjtSensor.mjSENS_ACTUATORPOS,
        "muscle_velocity": mujoco.mjtSensor.mjSENS_ACTUATORVEL,
    }
    frames = {
        "body_position": mujoco.mjtSensor.mjSENS_FRAMEPOS,
        "body_orientation": mujoco.mjtSensor.mjSENS_FRAMEQUAT,
        "body_velocity": mujoco.mjtSensor.mjSENS_FRAMELINVEL,
    }
    muscles = [actuator.name for actuator in spec.actuators]
    for kind, sensor_type in first.items():
        for muscle in muscles:
            spec.add_sensor(
                name=f"{kind}:{muscle}",
                type=sensor_type,
                objtype=mujoco.mjtObj.mjOBJ_ACTUATOR,
                objname=muscle,
            )
    for kind, sensor_type in frames.items():
        for segment in segments:
            spec.add_sensor(
                name=f"{kind}:{segment}",
                type=sensor_type,
                objtype=mujoco.mjtObj.mjOBJ_XBODY,
                objname=segment,
            )
    data = mujoco.mjtConDataField
    wanted = (
        *(data.mjCONDATA_FOUND, data.mjCONDATA_FORCE),
        *(data.mjCONDATA_TORQUE, data.mjCONDATA_POS),
    )
    fields = sum(1 << int(field) for field in wanted)
    net_force = 3  # reduction: the resultant wrench at the force-weighted centroid, world axes
    for segment in CONTACT_SEGMENTS:
        sensor = spec.add_sensor(
            name=f"contact:{segment}",
            type=mujoco.mjtSensor.mjSENS_CONTACT,
            objtype=mujoco.mjtObj.mjOBJ_BODY,
            objname=segment,
            reftype=mujoco.mjtObj.mjOBJ_GEOM,
            refname="floor",
        )
        sensor.intprm[:3] = [fields, net_force, 1]


def _sensor_widths(spec: mujoco.MjSpec, segments: tuple[str, ...]) -> dict[str, int]:
    """Width of each block of the library's sensors, in order."""
    n_muscles = len(spec.actuators)
    return {
        "muscle_length": n_muscles,
        "muscle_velocity": n_muscles,
        "body_position": 3 * len(segments),
        "body_orientation": 4 * len(segments),
        "body_velocity": 3 * len(segments),
        "contact": _CONTACT_WIDTH * len(CONTACT_SEGMENTS),
    }


def _sensor_slices(model: mujoco.MjModel, widths: dict[str, int]) -> dict[str, slice]:
    start = model.nsensordata - sum(widths.values())
    slices = {}
    for kind, width in widths.items():
        slices[kind] = slice(start, start + width)
        start += width
    return slices


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the warning, printed by MuJoCo's C code, of myo-sim's own attachments."""
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attaching a spec with an empty prefix")
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
