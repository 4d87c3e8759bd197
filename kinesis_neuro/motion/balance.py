"""Balance: small ways of the pelvis that make a motion one that its feet can produce.

A motion that was measured on a person, put on a body of other masses and solved by inverse
kinematics asks for forces that the feet cannot give: the zero moment point lies centimetres out of
them (:mod:`kinesis_neuro.motion.zero_moment`). OpenSim reduces such residuals by letting the trunk
lean (Delp et al. 2007). Here the pelvis is moved and the feet stay: in the linear inverted pendulum
(Kajita et al. 2003) a centre of mass at height z that is shifted by d moves that point by
d - z d''/g, so that at the frequency of steps a few millimetres of the one are centimetres of the
other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.interpolate import BSpline
from scipy.sparse.linalg import factorized

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.ik import IKConfig, SegmentTargets, solve_poses
from kinesis_neuro.motion.quality import Quality, QualityLimits, assess, gate
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.report import retarget_report
from kinesis_neuro.motion.resampling import poses_between
from kinesis_neuro.motion.zero_moment import GroundDemand, ground_demand, nearest_inside

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class BalanceConfig:
    """How a motion is brought into balance.

    Parameters
    ----------
    shift_weight : float
        Weight of a metre of the pelvis's way against a metre of the zero moment point's distance
        from the feet.
    margin : float
        How far from the edge of the feet the zero moment point shall stay [m].
    knots : float
        Time between two knots of the cubic splines that the way is made of [s].
    rounds : int
        Times that the way is solved for; each starts from the exact demand of the one before.
    solve_rate : float
        Frames a second that inverse kinematics solves for [Hz]; splines lie between.
    ik : IKConfig
    """

    shift_weight: float = 1.0
    margin: float = 0.01
    knots: float = 0.06
    rounds: int = 4
    solve_rate: float = 60.0
    ik: IKConfig = field(default_factory=IKConfig)

    def __post_init__(self) -> None:
        """Refuse what no way can be solved with."""
        for name in ("shift_weight", "knots", "rounds", "solve_rate"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InvalidInputError(f"{name} must be positive, got {getattr(self, name)}.")
        if not (np.isfinite(self.margin) and self.margin >= 0):
            raise InvalidInputError(f"margin must be zero or more metres, got {self.margin}.")


_PASSES = 40
"""Alternating projections between the feet and the ways that splines can take."""


def balanced(motion: ReferenceMotion, config: BalanceConfig | None = None) -> ReferenceMotion:
    """Shift the pelvis so that the feet can give the force that the motion needs.

    Parameters
    ----------
    motion : ReferenceMotion
        Not periodic.
    config : BalanceConfig, optional

    Returns
    -------
    ReferenceMotion
        With the feet where they were, and without measured forces, as they belong to the motion as
        it was measured. The report's notes say how far the pelvis was moved.

    Raises
    ------
    InvalidInputError
        The motion is periodic.

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> walk = load_motion("walk").loop(2).slice(0.0, 2.0)
    >>> steady = balanced(walk)
    >>> before, after = (ground_demand(m).mean_outside() for m in (walk, steady))
    >>> bool(after < before / 5)
    True
    """
    settings = config or BalanceConfig()
    if motion.periodic:
        raise InvalidInputError(f"Motion {motion.name!r} is periodic; loop it and cut a part out.")
    spline = _Spline(np.arange(motion.n_frames) / motion.rate, settings.knots)
    total = np.zeros((spline.n_coefficients, 2))
    moved = motion
    demand = first = ground_demand(motion)
    for _ in range(settings.rounds):
        change = _solve(demand, spline, total, -motion.body.model.opt.gravity[2], settings)
        total += change
        moved = _shifted(moved, spline.way @ change, settings)
        demand = ground_demand(moved)
    way = 1e3 * np.linalg.norm(moved.qpos[:, :2] - motion.qpos[:, :2], axis=1)
    before, after = (1e3 * d.mean_outside() for d in (first, demand))
    note = (
        f"balanced: the zero moment point is {after:.0f} mm out of the feet instead of "
        f"{before:.0f}; the pelvis moved by {np.sqrt((way**2).mean()):.0f} mm (rms), "
        f"{way.max():.0f} at most"
    )
    notes = getattr(motion.report, "notes", ())
    return replace(moved, report=retarget_report(moved, notes=[*notes, note]))


def balanced_or_not(
    motion: ReferenceMotion, limits: QualityLimits | None = None
) -> tuple[ReferenceMotion, Quality]:
    """Bring a motion into balance where that leaves it fit to be trained on, and let it pass.

    Parameters
    ----------
    motion : ReferenceMotion
        Not periodic.
    limits : QualityLimits, optional

    Returns
    -------
    motion : ReferenceMotion
        In balance, or as it was where a motion in balance would not pass the gate.
    quality : Quality

    Raises
    ------
    InvalidInputError
        The motion passes neither way.
    """
    steady = balanced(motion)
    quality = assess(steady, limits)
    return (steady, quality) if quality.passed else gate(motion, limits)


class _Spline:
    """Cubic splines over the time of a motion: their values and second derivatives, sparse.

    Dense, ten minutes of motion would take gigabytes.
    """

    def __init__(self, time: FloatArray, spacing: float) -> None:
        inner = np.linspace(time[0], time[-1], max(4, int(np.ceil(time[-1] / spacing))))
        knots = np.r_[[inner[0]] * 3, inner, [inner[-1]] * 3]
        self.n_coefficients = len(knots) - 4
        self.way = BSpline.design_matrix(time, knots, 3)
        bend = BSpline.design_matrix(time, knots[2:-2], 1)
        self.acceleration = bend @ _derivative(knots[1:-1], 2) @ _derivative(knots, 3)


def _derivative(knots: FloatArray, degree: int) -> sparse.csr_array:
    """Coefficients of a spline's derivative from the spline's own (de Boor 1978)."""
    n = len(knots) - degree - 1
    factor = degree / (knots[degree + 1 : n + degree] - knots[1:n])
    difference = sparse.diags_array([-factor, factor], offsets=[0, 1], shape=(n - 1, n))
    return sparse.csr_array(difference)


def _solve(
    demand: GroundDemand, spline: _Spline, total: FloatArray, gravity: float, config: BalanceConfig
) -> FloatArray:
    """Change (n_coefficients, 2) of the way that brings the zero moment point into the feet.

    In units of moment over body weight, so that frames count by their load. In flight there is no
    such point, and the horizontal acceleration is to vanish.
    """
    load = demand.load[:, None]
    lever = demand.center_of_mass[:, 2:] / gravity
    columns = spline.way.multiply(load) - spline.acceleration.multiply(lever)
    columns = sparse.csr_array(columns)
    needed = lever * demand.force[:, :2] * gravity / demand.weight
    flight = np.where(demand.stands[:, None], 0.0, needed)
    stiffness = config.shift_weight**2 * spline.way.T @ spline.way
    tiny = 1e-9 * sparse.eye_array(spline.n_coefficients)
    solve = factorized(sparse.csc_array(columns.T @ columns + stiffness + tiny))
    feet = np.nan_to_num(_shrunk(demand.corners, config.margin))
    change = np.zeros_like(total)
    for _ in range(_PASSES):
        gone = np.where(load > 0.05, columns @ change / np.maximum(load, 0.05), 0.0)
        wanted = nearest_inside(demand.point + gone, feet) - demand.point
        right = columns.T @ (load * wanted + flight) - stiffness @ total
        change = np.stack([solve(right[:, 0]), solve(right[:, 1])], axis=1)
    return change


def _shrunk(corners: FloatArray, margin: float) -> FloatArray:
    """Polygons with their corners moved inwards, to their centre at most."""
    center = corners.mean(axis=1, keepdims=True)
    spokes = corners - center
    length = np.maximum(np.linalg.norm(spokes, axis=-1, keepdims=True), 1e-6)
    return center + spokes * np.maximum(0.0, 1.0 - margin / length)


def _shifted(motion: ReferenceMotion, way: FloatArray, config: BalanceConfig) -> ReferenceMotion:
    """The motion with its pelvis moved by (n, 2) and its feet in place."""
    body, frames, n = motion.body, motion.frames, motion.n_frames
    where = {s: body.segments.index(s) for s in ("pelvis", *body.contacts)}
    position = {s: frames.body_position[:, k].copy() for s, k in where.items()}
    position["pelvis"][:, :2] += way
    # Not every frame is solved for: between two, a body moves along splines.
    some = np.unique(np.r_[np.arange(0, n, max(1, int(motion.rate // config.solve_rate))), n - 1])
    targets = SegmentTargets(
        {s: place[some] for s, place in position.items()},
        {s: frames.body_orientation[some, k] for s, k in where.items()},
        {s: 1.0 if s == "pelvis" else 3.0 for s in where},
        dict.fromkeys(where, 0.3),
    )
    solved = solve_poses(body, targets, start=motion.qpos[some], config=config.ik)
    return ReferenceMotion.from_poses(
        body,
        poses_between(body, solved, some, n),
        motion.rate,
        name=motion.name,
        events=motion.events,
        source=motion.source,
        licence=motion.licence,
        report=motion.report,
        library=motion.library,
    )
