"""The pitch: a football, a goal and a keeper's box around a body, in one compiled model.

The body is the library's own; the ball is a free body appended after it, so that the body's
coordinates, muscles and sensors keep their places. The keeper is moved from outside (a mocap body)
and is as immovable to the ball as a wall.

Notes
-----
Numbers and where they are from. *Laws*: IFAB, Laws of the Game, laws 1 and 2. *MyoChallenge*: the
football task of MyoChallenge 2025 (MyoSuite, Apache-2.0, ``soccer_v0.py`` and ``leg_soccer``).

========================  ==================================  ===================================
quantity                  here                                source; MyoChallenge has
========================  ==================================  ===================================
ball's radius, mass       0.11 m, 0.43 kg                     Laws (size 5); 0.117 m, 0.45 kg
ball's inertia            2/3 m r^2, a thin shell             solid sphere
goal                      7.32 m between posts, 2.44 m high   Laws; 6.6 m, 2.2 m
ball to goal              10 m                                MyoChallenge (Laws: 11 m)
keeper                    0.5 m wide, 1.45 m high             MyoChallenge (0.5 m wide capsules)
========================  ==================================  ===================================
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import PHYSICS_RATE, Body, body_spec, compiled
from kinesis_neuro.errors import IncompatibleError

FloatArray = NDArray[np.float64]

BALL_RADIUS = 0.11
"""[m]"""
BALL_MASS = 0.43
"""[kg]"""
GOAL_WIDTH, GOAL_HEIGHT = 7.32, 2.44
"""Between the posts, and under the bar [m]."""
GOAL_DISTANCE = 10.0
"""From the place of the ball, the origin, to the goal line, which lies at negative y [m]."""
POST_RADIUS = 0.06
"""Half of the 12 cm that posts and bar may be wide [m]."""
KEEPER_SIZE = (0.5, 0.3, 1.45)
"""Width along the goal line, depth and height of the keeper's box [m]."""
KEEPER_REACH = 3.3
"""How far to either side the keeper's middle may go [m]; MyoChallenge's bound."""

# Contacts of the ball. A kick lasts 10 ms, one or two physics steps, in which no bounce can be
# told; so impacts are stepped four times as finely, and only what rests or rolls in whole steps,
# with a contact that does not bounce.
N_FINE = 4
"""Steps of an impact in a physics step."""
CONTACT = (0.02, 0.16)
"""MuJoCo's ``solref`` of the ball in an impact: time constant [s], damping ratio. It gives back
0.57 to 0.68 of the closing speed, by where in a step the contact begins, over 2 to 20 m/s, in
9 ms, with the ball 5 cm deep at 20 m/s. Feet on balls give back 0.46 to 0.68 (Andersen, Doerge
and Thomsen 1999), and artificial turf 0.55 to 0.71 (FIFA's limits for balls dropped from 2 m)."""
RESTING = (0.02, 1.0)
"""The same where the ball rests, rolls or flies."""
FRICTION = (0.7, 0.005)
"""Sliding [1], MyoChallenge's; about the contact's normal [m]."""
ROLLING = 0.2
"""Rate at which rolling loses its speed [1/s]. From 3.7 m/s, off FIFA's test ramp, a ball so slows
by 0.7 m/s^2 at first, as on turf, where it may roll 4 to 10 m. A torque against its spin does it,
as MuJoCo's own rolling friction trades against sliding, and makes balls slip as they roll."""

_BALL = 2
"""Collision bit of what meets the ball alone."""
_WHITE, _NET, _KEEPER = (0.95, 0.95, 0.95, 1.0), (0.6, 0.65, 0.7, 0.25), (0.85, 0.45, 0.1, 1.0)


@dataclass(frozen=True, eq=False)
class Pitch:
    """A body on a pitch.

    Attributes
    ----------
    body : Body
    model, fine : mujoco.MjModel
        Of the body, the ball and the goal, in physics steps, and in steps for impacts; read-only,
        as they are shared.
    ball_qpos, ball_qvel : slice
        Of the ball: position and quaternion; linear and angular velocity.
    """

    body: Body
    model: mujoco.MjModel
    fine: mujoco.MjModel
    ball_qpos: slice
    ball_qvel: slice


@functools.cache
def load_pitch(body: Body) -> Pitch:
    """Put a body on a pitch, cached.

    Raises
    ------
    IncompatibleError
        If the body is scaled to a person.

    Examples
    --------
    >>> from kinesis_neuro import load_body
    >>> pitch = load_pitch(load_body("legs"))
    >>> pitch.model.nq - pitch.body.model.nq, float(pitch.model.body("ball").mass[0])
    (7, 0.43)
    """
    if body.scale is not None:
        raise IncompatibleError(
            f"A pitch is made for the bodies as they come, and {body.name!r} is scaled to a "
            "person. Use load_body without a scale."
        )
    spec = body_spec(body.name)
    add_ball(spec)
    _add_goal(spec)
    model = _with_rolling_resistance(compiled(spec))
    nq, nv = body.model.nq, body.model.nv
    return Pitch(body, model, impact_model(model), slice(nq, nq + 7), slice(nv, nv + 6))


def impact_model(model: mujoco.MjModel) -> mujoco.MjModel:
    """The same model in steps, and with the contact of the ball, for impacts."""
    fine = copy.copy(model)
    fine.opt.timestep = model.opt.timestep / N_FINE
    fine.geom_solref[model.geom("ball").id] = CONTACT
    return fine


def ball_on_floor() -> mujoco.MjModel:
    """The ball alone on the floor, with the body's time step: to look at its physics."""
    spec = mujoco.MjSpec()
    spec.option.timestep = 1.0 / PHYSICS_RATE
    spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], contype=1, conaffinity=1
    )
    add_ball(spec)
    return _with_rolling_resistance(compiled(spec))


def _with_rolling_resistance(model: mujoco.MjModel) -> mujoco.MjModel:
    """Damp the ball's rotation, so that it loses speed at the rate :data:`ROLLING` as it rolls."""
    first = model.joint("ball").dofadr[0] + 3
    rolling = 5.0 / 3.0 * BALL_MASS * BALL_RADIUS**2  # of a shell, about the point that it rolls on
    model.dof_damping[first : first + 3] = ROLLING * rolling
    return model


def add_ball(spec: mujoco.MjSpec) -> None:
    """Add a football on the floor at the origin, as a free body."""
    inertia = 2.0 / 3.0 * BALL_MASS * BALL_RADIUS**2
    ball = spec.worldbody.add_body(
        name="ball",
        pos=[0.0, 0.0, BALL_RADIUS],
        mass=BALL_MASS,
        inertia=[inertia] * 3,
        ipos=[0.0, 0.0, 0.0],
        explicitinertial=True,
    )
    ball.add_freejoint(name="ball")
    ball.add_geom(
        name="ball",
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[BALL_RADIUS, 0, 0],
        mass=0.0,
        contype=_BALL,
        conaffinity=1 | _BALL,
        condim=4,
        priority=1,
        friction=[*FRICTION, 0.0],
        solref=list(RESTING),
        solimp=[0.95, 0.95, 0.001, 0.5, 2],
        rgba=[1.0, 0.95, 0.3, 1.0],
    )


def _add_goal(spec: mujoco.MjSpec) -> None:
    world, half = spec.worldbody, GOAL_WIDTH / 2 + POST_RADIUS
    solid = {"contype": _BALL, "conaffinity": _BALL, "rgba": list(_WHITE)}
    frame = {
        "post_right": (-half, 0.0, -half, GOAL_HEIGHT + 2 * POST_RADIUS),
        "post_left": (half, 0.0, half, GOAL_HEIGHT + 2 * POST_RADIUS),
        "bar": (-half, GOAL_HEIGHT + POST_RADIUS, half, GOAL_HEIGHT + POST_RADIUS),
    }
    for name, (x0, z0, x1, z1) in frame.items():
        world.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            size=[POST_RADIUS, 0, 0],
            fromto=[x0, -GOAL_DISTANCE, z0, x1, -GOAL_DISTANCE, z1],
            **solid,
        )
    seen = {"contype": 0, "conaffinity": 0}
    world.add_geom(
        name="net",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[GOAL_WIDTH / 2, 0.01, GOAL_HEIGHT / 2],
        pos=[0.0, -GOAL_DISTANCE - 2.0, GOAL_HEIGHT / 2],
        rgba=list(_NET),
        **seen,
    )
    world.add_geom(
        name="goal_line",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[GOAL_WIDTH / 2, 0.06, 0.002],
        pos=[0.0, -GOAL_DISTANCE, 0.0],
        rgba=list(_WHITE),
        **seen,
    )
    keeper = world.add_body(name="keeper", mocap=True, pos=keeper_position(np.zeros(1))[0])
    width, depth, height = KEEPER_SIZE
    keeper.add_geom(
        name="keeper",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[width / 2, depth / 2, height / 2],
        **(solid | {"rgba": list(_KEEPER)}),
    )


def keeper_position(lateral: FloatArray) -> FloatArray:
    """Middle of the keeper's box (n, 3) at places along the goal line (n,) [m].

    Its front lies a ball's radius behind the goal line, so that a ball's centre has crossed the
    line before the keeper can touch it: whether a shot was on target does not hang on the keeper.
    """
    y = -GOAL_DISTANCE - BALL_RADIUS - KEEPER_SIZE[1] / 2
    middle = np.broadcast_to([0.0, y, KEEPER_SIZE[2] / 2], (lateral.size, 3)).copy()
    middle[:, 0] = lateral
    return middle
