"""From actions to excitations: the four actuations, as pure functions over batches.

Actions lie in [-1, 1], excitations in [0, 1]. ``excitation`` and ``length`` are KINESIS's own;
``tracking`` and ``moment`` add feedback around a reference and its static-optimisation solution.
All arrays have shape (n_envs, n_muscles) unless stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body
from kinesis_neuro.body.muscle import MuscleParameters

FloatArray = NDArray[np.float64]

ACTUATIONS = ("excitation", "length", "tracking", "moment")

# Moments that one unit of action asks for [N m], by the joint's name.
_MOMENT_SCALE = (
    ("hip_rotation", 20.0),
    ("hip_", 50.0),
    ("knee_angle", 50.0),
    ("ankle_angle", 50.0),
    ("subtalar", 15.0),
    ("mtp", 5.0),
)
_TRUNK_MOMENT = 50.0


@dataclass(frozen=True)
class FeedbackGains:
    """Gains of the force feedback around the reference's muscle lengths.

    Attributes
    ----------
    stiffness : float
        Force for each metre of lengthening, in peak forces [1/m].
    damping : float
        Force for each metre a second, in peak forces [s/m].
    """

    stiffness: float = 10.0
    damping: float = 0.5


KINESIS_GAINS = FeedbackGains(stiffness=5.0, damping=0.5)
"""KINESIS's PD on muscle length: kp = 5 Fpeak, kd = 0.1 kp."""


def excitation(action: FloatArray) -> FloatArray:
    """Direct drive, u = (a + 1) / 2.

    Examples
    --------
    >>> excitation(np.array([-1.0, 0.0, 1.0]))
    array([0. , 0.5, 1. ])
    """
    return np.clip(0.5 * (action + 1.0), 0.0, 1.0)


def length_control(
    action: FloatArray,
    length: FloatArray,
    velocity: FloatArray,
    muscles: MuscleParameters,
    gains: FeedbackGains = KINESIS_GAINS,
) -> FloatArray:
    """KINESIS's length PD: the action is a target length within the muscle's range.

    Force asked for is pulled out of the Hill model: u = (F - bias) / gain, both at the current
    length and velocity.
    """
    target = 0.5 * (np.clip(action, -1.0, 1.0) + 1.0) * muscles.length_range[:, 1]
    peak = muscles.peak_force
    wanted = peak * (gains.stiffness * (target - length) - gains.damping * velocity)
    force = np.clip(wanted, -peak, 0.0)
    gain = np.minimum(-1.0, muscles.gain(length, velocity))
    return np.clip((force - muscles.bias(length)) / gain, 0.0, 1.0)


def feedback(
    length: FloatArray,
    velocity: FloatArray,
    reference_length: FloatArray,
    reference_velocity: FloatArray,
    muscles: MuscleParameters,
    gains: FeedbackGains,
) -> FloatArray:
    """Excitation that the force feedback around the reference adds.

    A muscle longer than the reference, or lengthening faster, is excited more.
    """
    stretch = gains.stiffness * (reference_length - length)
    stretch += gains.damping * (reference_velocity - velocity)
    force = muscles.peak_force * np.clip(stretch, -1.0, 1.0)
    return force / np.minimum(-1.0, muscles.gain(length, velocity))


def moment_scale(body: Body) -> FloatArray:
    """Moment that a unit of action asks for at each independent joint [N m], (n_joints,)."""
    scale = []
    for dof in body.coupling.independent_dof[6:]:
        name = body.joints[dof - 6]
        scale.append(next((s for key, s in _MOMENT_SCALE if name.startswith(key)), _TRUNK_MOMENT))
    return np.array(scale)


def moment_matrix(moment_arms: FloatArray, gain: FloatArray, scale: FloatArray) -> FloatArray:
    """Joint moments that a unit of excitation makes, in units of action.

    Parameters
    ----------
    moment_arms : ndarray, shape (n_frames, n_muscles, n_joints)
        On the independent joints [m]: change of muscle length for each unit of the joint.
    gain : ndarray, shape (n_frames, n_muscles)
        Force for each unit of activation [N], negative.
    scale : ndarray, shape (n_joints,)
        Moment for a unit of action [N m].

    Returns
    -------
    ndarray, shape (n_frames, n_joints, n_muscles)
    """
    return np.swapaxes(moment_arms * gain[..., None], 1, 2) / scale[:, None]


def moment_control(
    action: FloatArray,
    matrix: NDArray[np.floating],
    feedforward: FloatArray,
    *,
    regularization: float = 0.02,
    n_iterations: int = 12,
) -> FloatArray:
    """Change of excitations that makes the asked moments with least effort, within bounds.

    Minimises ||W du - a||^2 / eps + ||du||^2 with 0 <= u_ff + du <= 1. Without the bounds this is
    du = W' (W W' + eps I)^-1 a; but where the feed-forward leaves a muscle silent, the linear map
    would lose what it wants to take away, and with it half of the authority. The dual is convex and
    piecewise quadratic with one unknown a joint; damped semismooth Newton steps solve it, four for
    most actions, up to a dozen for large ones.

    Parameters
    ----------
    action : ndarray, shape (n, n_joints)
        In units of the moment scale.
    matrix : ndarray, shape (n, n_joints, n_muscles)
        See :func:`moment_matrix`.
    feedforward : ndarray, shape (n, n_muscles)
        In [0, 1].
    regularization : float
        eps [1].
    n_iterations : int
        Newton steps at most.

    Returns
    -------
    ndarray, shape (n, n_muscles)

    Examples
    --------
    Two antagonists, the second silent: extension comes from the second alone, and flexion from
    the first being excited less and the second not at all.

    >>> w = np.array([[[1.0, -1.0]]])
    >>> moment_control(np.array([[-0.3]]), w, np.array([[0.2, 0.0]])).round(2)
    array([[-0.15,  0.15]])
    """
    problem = _Dual(
        matrix, np.swapaxes(matrix, 1, 2), feedforward[..., None], action[..., None], regularization
    )
    point = problem.at(np.zeros_like(problem.target))
    change, rows = point.change, np.arange(action.shape[0])
    for _ in range(n_iterations):
        # Most rows are done after three or four steps; only the others go on.
        on = np.abs(point.slope[..., 0]).max(axis=1) > _TOLERANCE
        if not on.all():
            rows, problem, point = rows[on], problem.part(on), point.part(on)
        if rows.size == 0:
            break
        point = _newton_step(problem, point)
        change[rows] = point.change
    return change[..., 0]


_TOLERANCE = 1e-4
_HALVINGS = 8
_DESCENT = 1e-4  # share of the expected descent that a step must bring (Armijo's rule)


@dataclass(frozen=True, eq=False)
class _Point:
    """The dual at one place a row: its value, its slope, and the excitations it stands for."""

    place: FloatArray
    change: FloatArray
    value: FloatArray
    slope: FloatArray

    def part(self, rows: NDArray[Any]) -> _Point:
        return _Point(self.place[rows], self.change[rows], self.value[rows], self.slope[rows])


@dataclass(frozen=True, eq=False)
class _Dual:
    """The convex dual of the bounded problem, smooth but for kinks in its slope."""

    matrix: NDArray[np.floating]
    transposed: NDArray[np.floating]
    wanted: FloatArray
    target: FloatArray
    regularization: float

    def part(self, rows: NDArray[Any]) -> _Dual:
        return _Dual(
            self.matrix[rows],
            self.transposed[rows],
            self.wanted[rows],
            self.target[rows],
            self.regularization,
        )

    def at(self, place: FloatArray) -> _Point:
        free = self.wanted + self.transposed @ place
        excitation = np.clip(free, 0.0, 1.0)
        change = excitation - self.wanted
        slope = self.matrix @ change + self.regularization * place - self.target
        value = (excitation * (free - 0.5 * excitation) - self.wanted * free).sum(axis=(1, 2))
        value += (place * (0.5 * self.regularization * place - self.target)).sum(axis=(1, 2))
        return _Point(place, change, value, slope)


def _newton_step(problem: _Dual, point: _Point) -> _Point:
    """One damped semismooth Newton step of every row."""
    inside = (point.change > -problem.wanted) & (point.change < 1.0 - problem.wanted)
    curvature = (problem.matrix * np.swapaxes(inside, 1, 2)) @ problem.transposed
    diagonal = np.arange(curvature.shape[1])
    curvature[:, diagonal, diagonal] += problem.regularization
    step = np.linalg.solve(curvature, point.slope)
    descent = _DESCENT * (step * point.slope).sum(axis=(1, 2))
    new = problem.at(point.place - step)
    # Where a muscle wakes up on the way the full step overshoots: halve it there.
    for _ in range(_HALVINGS):
        worse = new.value > point.value - descent + 1e-12
        if not worse.any():
            break
        step[worse] *= 0.5
        descent[worse] *= 0.5
        again = problem.part(worse).at(point.place[worse] - step[worse])
        for array, values in zip(vars(new).values(), vars(again).values(), strict=True):
            array[worse] = values
    return new


def action_channels(body: Body, actuation: str) -> tuple[str, ...]:
    """Names of the entries of an action: muscles, or the independent joints for ``moment``."""
    if actuation == "moment":
        return tuple(body.joints[dof - 6] for dof in body.coupling.independent_dof[6:])
    return body.muscles
