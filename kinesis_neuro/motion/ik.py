"""Inverse kinematics of a whole clip on a body, frame by frame with `mink`.

Each frame is a sequence of quadratic programs (Gauss-Newton steps) that start from the frame
before. Joint limits are inequalities and the polynomials of the knees equalities of each, so that
every step stays on the body's own poses.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import InvalidInputError, MissingDependencyError, unknown_name

if TYPE_CHECKING:
    import mink

FloatArray = NDArray[np.float64]

SOLVER = "daqp"
"""The solver of quadratic programs that `mink` installs with itself."""


@dataclass(frozen=True, eq=False)
class SegmentTargets:
    """Where segments of a body should be over n frames.

    Attributes
    ----------
    position : mapping of str to ndarray, shape (n, 3)
        Origin of the segment's frame [m].
    orientation : mapping of str to ndarray, shape (n, 4)
        Frame of the segment as a unit quaternion (w, x, y, z).
    position_weight, orientation_weight : mapping of str to ndarray, shape (n,), or float
        Weight of an error of 1 m or 1 rad; 1 and 0.1 where absent.
    """

    position: Mapping[str, FloatArray]
    orientation: Mapping[str, FloatArray] = field(default_factory=dict)
    position_weight: Mapping[str, FloatArray | float] = field(default_factory=dict)
    orientation_weight: Mapping[str, FloatArray | float] = field(default_factory=dict)

    @property
    def segments(self) -> tuple[str, ...]:
        """Segments with a target of either kind."""
        return tuple(dict.fromkeys([*self.position, *self.orientation]))

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(next(iter({**self.orientation, **self.position}.values())))


@dataclass(frozen=True)
class IKConfig:
    """How the poses are solved for.

    Parameters
    ----------
    max_iterations, first_iterations : int
        Steps a frame at most, and for the first frame, which starts from standing.
    tolerance : float
        A step smaller than this in every coordinate ends a frame [rad, m]; what is left after it
        is of the order of its square.
    posture_weight : float
        Weight of a change of a joint from the frame before [1/rad]; it decides only what the
        targets leave open.
    damping : float
        Levenberg-Marquardt damping of a step.
    """

    max_iterations: int = 12
    first_iterations: int = 100
    tolerance: float = 1e-3
    posture_weight: float = 2e-3
    damping: float = 1e-7


def solve_poses(
    body: Body,
    targets: SegmentTargets,
    start: FloatArray | None = None,
    config: IKConfig | None = None,
) -> FloatArray:
    """Find the poses that come closest to the targets, within joint limits and couplings.

    Parameters
    ----------
    body : Body
    targets : SegmentTargets
    start : ndarray, shape (nq,) or (n, nq), optional
        Pose to start the first frame from, or a first solution of every frame.
    config : IKConfig, optional

    Returns
    -------
    ndarray, shape (n, nq)

    Raises
    ------
    InvalidInputError
        A target is no segment of the body, or not finite.
    MissingDependencyError
        `mink` is not installed.
    """
    settings = config or IKConfig()
    _check(body, targets)
    solver = _FrameSolver(body, targets, settings)
    n = targets.n_frames
    qpos = np.empty((n, body.model.nq))
    guess = _standing(body, targets) if start is None else np.array(np.atleast_2d(start)[0])
    every = start is not None and np.ndim(start) == 2 and len(start) == n
    for frame in range(n):
        if every:
            guess = np.asarray(start)[frame]
        limit = settings.max_iterations if every or frame else settings.first_iterations
        guess = qpos[frame] = solver.solve(frame, guess, limit)
    return body.coupling.complete(qpos)


def _check(body: Body, targets: SegmentTargets) -> None:
    for kind in (targets.position, targets.orientation):
        for segment, array in kind.items():
            if segment not in body.segments:
                raise unknown_name("segment", segment, body.segments)
            if not np.isfinite(array).all():
                raise InvalidInputError(f"The target of {segment!r} must be finite in all frames.")


def _standing(body: Body, targets: SegmentTargets) -> FloatArray:
    """Neutral pose, moved and turned about the vertical to where the first frame is."""
    qpos = body.coupling.complete(body.model.qpos0)
    if "pelvis" in targets.orientation:
        data = mujoco.MjData(body.model)
        data.qpos = qpos
        mujoco.mj_kinematics(body.model, data)
        neutral, turned = np.empty(4), np.empty(4)
        mujoco.mju_negQuat(neutral, data.xquat[body.model.body("pelvis").id])
        mujoco.mju_mulQuat(turned, targets.orientation["pelvis"][0], neutral)
        mujoco.mju_mulQuat(qpos[3:7], turned, qpos[3:7].copy())
    elif {"femur_r", "femur_l"} <= set(targets.position):
        left = targets.position["femur_l"][0] - targets.position["femur_r"][0]
        yaw = np.arctan2(left[1], left[0])  # the neutral body's left is +x
        turn = np.array([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)])
        mujoco.mju_mulQuat(qpos[3:7], turn, qpos[3:7].copy())
    if targets.position:
        anchor = "pelvis" if "pelvis" in targets.position else next(iter(targets.position))
        qpos[:3] = targets.position[anchor][0]
    return qpos


class _FrameSolver:
    """Tasks of mink for one body, set to one frame after the other."""

    def __init__(self, body: Body, targets: SegmentTargets, settings: IKConfig) -> None:
        try:
            import mink
        except ImportError as error:
            raise MissingDependencyError("Retargeting needs: pip install mink") from error
        self.mink, self.body, self.targets, self.settings = mink, body, targets, settings
        model = copy.deepcopy(body.model)
        # Dependent joints follow their master's limits; their own ranges say nothing more.
        dependent = np.isin(model.jnt_qposadr, body.coupling.dependent_qpos)
        model.jnt_limited[dependent] = 0
        self.configuration = mink.Configuration(model)
        self.limits = [mink.ConfigurationLimit(model, gain=1.0)]
        self.low, self.high = model.jnt_range[1:].T
        self.free = ~dependent[1:]
        self.posture = mink.PostureTask(model, cost=self._posture_cost(model.nv))
        self.tasks = {
            segment: mink.FrameTask(segment, "body", position_cost=0.0, orientation_cost=0.0)
            for segment in targets.segments
        }
        self.coupling = _coupling_task(body) if body.coupling.dependent_dof.size else None

    def _posture_cost(self, nv: int) -> FloatArray:
        cost = np.full(nv, self.settings.posture_weight)
        cost[:6] = 0.0
        cost[self.body.coupling.dependent_dof] = 0.0
        return cost

    def solve(self, frame: int, guess: FloatArray, max_iterations: int) -> FloatArray:
        """Pose of one frame, from a guess."""
        configuration, coupling = self.configuration, self.body.coupling
        qpos = guess.copy()
        joints = np.clip(qpos[7:], self.low, self.high)
        qpos[7:] = np.where(self.free, joints, qpos[7:])
        configuration.update(coupling.complete(qpos))
        self.posture.set_target(configuration.q)
        self._aim(frame)
        tasks = [*self.tasks.values(), self.posture]
        constraints = None if self.coupling is None else [self.coupling]
        for _ in range(max_iterations):
            velocity = self.mink.solve_ik(
                configuration,
                tasks,
                1.0,
                SOLVER,
                damping=self.settings.damping,
                limits=self.limits,
                constraints=constraints,
            )
            configuration.integrate_inplace(velocity, 1.0)
            # The equalities are linear in a step; their remainder is set to zero at once.
            configuration.update(coupling.complete(configuration.q))
            if np.abs(velocity).max() < self.settings.tolerance:
                break
        return np.array(configuration.q)

    def _aim(self, frame: int) -> None:
        targets, mink = self.targets, self.mink
        for segment, task in self.tasks.items():
            place = targets.position.get(segment)
            turn = targets.orientation.get(segment)
            at = np.zeros(3) if place is None else place[frame]
            along = np.array([1.0, 0, 0, 0]) if turn is None else turn[frame]
            task.set_target(
                mink.SE3.from_rotation_and_translation(mink.SO3(np.array(along)), np.array(at))
            )
            weight = _weight(targets.position_weight, segment, frame, 1.0)
            task.set_position_cost(0.0 if place is None else weight)
            weight = _weight(targets.orientation_weight, segment, frame, 0.1)
            task.set_orientation_cost(0.0 if turn is None else weight)


def _weight(
    weights: Mapping[str, FloatArray | float], segment: str, frame: int, default: float
) -> float:
    weight = weights.get(segment, default)
    return float(weight if np.ndim(weight) == 0 else np.asarray(weight)[frame])


def _coupling_task(body: Body) -> mink.Task:
    """Equality constraint that holds the dependent coordinates on their polynomials."""
    import mink

    coupling, model = body.coupling, body.model
    rows = np.arange(coupling.dependent_dof.size)
    follows = coupling.master_dof >= 0

    class CouplingTask(mink.Task):
        """Distance of the dependent coordinates from their polynomials, and its derivative."""

        def compute_error(self, configuration: mink.Configuration) -> FloatArray:
            q = configuration.q
            return (q - coupling.complete(q))[coupling.dependent_qpos]

        def compute_jacobian(self, configuration: mink.Configuration) -> FloatArray:
            jacobian = np.zeros((rows.size, model.nv))
            jacobian[rows, coupling.dependent_dof] = 1.0
            slopes = coupling.slopes(configuration.q)
            jacobian[rows[follows], coupling.master_dof[follows]] -= slopes[follows]
            return jacobian

    return CouplingTask(cost=np.ones(rows.size))
