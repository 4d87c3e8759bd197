"""Many small quadratic programmes with bounds at once, by a primal-dual interior-point method.

min 1/2 x'Hx + g'x  subject to  0 <= x <= upper, for a batch of (H, g); upper may be infinite.
Mehrotra's predictor-corrector on the whole batch (Nocedal & Wright 2006, ch. 16.6): some fifteen
steps, each one batched Cholesky-sized solve, whatever the batch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from kinesis_neuro.errors import KinesisError

FloatArray = NDArray[np.float64]


def solve_box_qp(
    hessian: FloatArray,
    gradient: FloatArray,
    upper: FloatArray,
    *,
    tolerance: float = 1e-9,
    max_iterations: int = 60,
) -> FloatArray:
    """Minimise 1/2 x'Hx + g'x over 0 <= x <= upper for a batch.

    Parameters
    ----------
    hessian : ndarray, shape (n_batch, n, n)
        Symmetric positive definite.
    gradient : ndarray, shape (n_batch, n)
    upper : ndarray, shape (n,)
        Upper bounds; ``inf`` where there is none.
    tolerance : float
        Largest complementarity gap and relative residual at the solution.
    max_iterations : int

    Returns
    -------
    ndarray, shape (n_batch, n)

    Raises
    ------
    KinesisError
        If some programme converges neither so nor by an active set.

    Examples
    --------
    >>> x = solve_box_qp(np.eye(2)[None], np.array([[-3.0, 1.0]]), np.ones(2))
    >>> x.round(6)
    array([[1., 0.]])
    """
    n_batch, n = gradient.shape
    bounded = np.isfinite(upper)
    top = np.where(bounded, upper, 1.0)
    x = np.tile(np.where(bounded, 0.5 * top, 1.0), (n_batch, 1))
    scale = 1.0 + np.abs(gradient).max(axis=1, keepdims=True)
    low_dual = np.ones_like(x) * scale
    high_dual = np.where(bounded, low_dual, 0.0)
    count = n + bounded.sum()
    diagonal = np.arange(n)

    for _ in range(max_iterations):
        slack = np.where(bounded, top - x, 1.0)
        stationary = (hessian @ x[..., None])[..., 0] + gradient - low_dual + high_dual
        gap = ((x * low_dual).sum(1) + (slack * high_dual).sum(1)) / count
        error = np.maximum(gap, np.abs(stationary).max(axis=1)) / scale[:, 0]
        if error.max() < tolerance:
            return x
        system = hessian.copy()
        system[:, diagonal, diagonal] += low_dual / x + high_dual / slack

        def direction(
            target: FloatArray, low_extra: FloatArray | float, high_extra: FloatArray | float
        ) -> tuple[FloatArray, FloatArray, FloatArray]:
            """Newton step towards complementarity products equal to the target."""
            low = (target - low_extra) / x - low_dual  # noqa: B023
            high = np.where(bounded, (target - high_extra) / slack - high_dual, 0.0)  # noqa: B023
            right = -stationary + low - high  # noqa: B023
            dx = np.linalg.solve(system, right[..., None])[..., 0]  # noqa: B023
            return dx, low - low_dual / x * dx, high + high_dual / slack * dx  # noqa: B023

        dx, dl, dh = direction(np.zeros((n_batch, 1)), 0.0, 0.0)
        step = np.minimum(
            _longest(x, dx, slack, bounded), _longest_dual(low_dual, dl, high_dual, dh)
        )
        predicted = (
            ((x + step * dx) * (low_dual + step * dl)).sum(1)
            + ((slack - step * dx) * (high_dual + step * dh))[:, bounded].sum(1)
        ) / count
        centre = np.clip(predicted / gap, 0.0, 1.0) ** 3 * gap
        dx, dl, dh = direction(centre[:, None], dx * dl, -dx * dh)
        primal = np.minimum(1.0, 0.995 * _longest(x, dx, slack, bounded))
        dual = np.minimum(1.0, 0.995 * _longest_dual(low_dual, dl, high_dual, dh))
        # Who has converged waits where it is: going on would end in 0 / 0.
        step = np.where(error[:, None] < tolerance, 0.0, np.minimum(primal, dual))
        x = x + step * dx
        low_dual = low_dual + step * dl
        high_dual = high_dual + step * dh
    # One in 50,000 of a gait's stalls where rounding has the last word; it is solved by itself.
    for k in np.flatnonzero(error >= tolerance):
        x[k] = _alone(hessian[k], gradient[k], upper, max_iterations)
    return x


def _alone(
    hessian: FloatArray, gradient: FloatArray, upper: FloatArray, max_iterations: int
) -> FloatArray:
    """One programme, as bounded least squares by an active set (Stark & Parker 1995)."""
    factor = np.linalg.cholesky(hessian)
    wanted = -np.linalg.solve(factor, gradient)
    solved = lsq_linear(
        factor.T, wanted, (np.zeros_like(upper), upper), method="bvls", max_iter=20 * max_iterations
    )
    if not solved.success:
        raise KinesisError(
            f"A quadratic programme did not converge in {max_iterations} iterations, nor by an "
            f"active set ({solved.message})"
        )
    answer: FloatArray = solved.x
    return answer


def _ratio(value: FloatArray, change: FloatArray) -> FloatArray:
    """Longest step that keeps value + step * change >= 0, for each row."""
    shrinking = change < 0
    limit = np.where(shrinking, value / np.where(shrinking, -change, 1.0), np.inf)
    return limit.min(axis=1, keepdims=True)


def _longest(
    x: FloatArray, dx: FloatArray, slack: FloatArray, bounded: NDArray[np.bool_]
) -> FloatArray:
    high = _ratio(slack, np.where(bounded, -dx, 0.0))
    return np.minimum(1.0 / 0.995, np.minimum(_ratio(x, dx), high))


def _longest_dual(low: FloatArray, dl: FloatArray, high: FloatArray, dh: FloatArray) -> FloatArray:
    return np.minimum(1.0 / 0.995, np.minimum(_ratio(low, dl), _ratio(high, dh)))
