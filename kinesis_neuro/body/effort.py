"""Least effort: which excitations, within their bounds, make the joint moments that are asked for.

Many muscles cross few joints. Two answers: the smallest *change* of given excitations (`moment`),
and the smallest excitations at all (`least_effort`), as static optimisation has it, solved along a
movement instead of after it. Arrays have shape (n, ...): environments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

REGULARIZATION = 0.02
"""eps of the moment's price, in squared units of action [1]."""


def moment_control(
    action: FloatArray,
    matrix: NDArray[np.floating],
    feedforward: FloatArray,
    *,
    regularization: float = REGULARIZATION,
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


@dataclass(frozen=True, eq=False)
class Sharing:
    """Excitations of least effort at one moment of time, and how they follow small changes.

    Attributes
    ----------
    excitation : ndarray, shape (n, n_muscles)
    asked : ndarray, shape (n, n_joints)
        The moments that they were solved for, in units of action.
    response : ndarray, shape (n, n_muscles, n_joints)
        Change of excitation for each unit of moment more, among the muscles that are neither
        silent nor saturated.
    """

    excitation: FloatArray
    asked: FloatArray
    response: FloatArray

    @classmethod
    def solve(
        cls,
        asked: FloatArray,
        matrix: NDArray[np.floating],
        regularization: float = REGULARIZATION,
    ) -> Sharing:
        """Share moments among muscles by the least sum of squared excitations, within bounds.

        Parameters
        ----------
        asked : ndarray, shape (n, n_joints)
            In units of the moment scale.
        matrix : ndarray, shape (n, n_joints, n_muscles)
            See :func:`kinesis_neuro.body.actuation.moment_matrix`.
        regularization : float
            eps [1].

        Examples
        --------
        Of two antagonists, only the one that is needed works.

        >>> w = np.array([[[1.0, -1.0]]])
        >>> Sharing.solve(np.array([[-0.3]]), w).excitation.round(2)
        array([[0.  , 0.29]])
        """
        none = np.zeros((matrix.shape[0], matrix.shape[2]))
        excitation = moment_control(asked, matrix, none, regularization=regularization)
        # A solver's zero is not always zero, and a clipped one never moves.
        works = (excitation > 1e-9) & (excitation < 1.0)
        free = matrix * works[:, None]
        curvature = free @ np.swapaxes(matrix, 1, 2)
        diagonal = np.arange(curvature.shape[1])
        curvature[:, diagonal, diagonal] += regularization
        response = np.swapaxes(np.linalg.solve(curvature, free), 1, 2)
        return cls(excitation, asked, response)

    def follow(self, asked: FloatArray) -> FloatArray:
        """Excitations for moments a little later, by the first-order change from the solution."""
        change = self.response @ (asked - self.asked)[..., None]
        return np.clip(self.excitation + change[..., 0], 0.0, 1.0)


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
