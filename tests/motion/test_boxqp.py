"""Batched quadratic programmes have SciPy's solutions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import lsq_linear, nnls

from kinesis_neuro.errors import KinesisError
from kinesis_neuro.motion import boxqp
from kinesis_neuro.motion.boxqp import solve_box_qp


def least_squares(
    rng: np.random.Generator, n_batch: int, n_rows: int, n: int, ridge: float
) -> tuple[np.ndarray, np.ndarray]:
    """Matrices and right sides of problems whose solutions meet their bounds."""
    matrix = rng.normal(size=(n_batch, n_rows, n))
    target = matrix @ rng.normal(0.5, 1.0, size=(n_batch, n, 1))
    # Rows of ridge make programmes with more unknowns than equations definite, as muscles are.
    tail = np.tile(ridge * np.eye(n), (n_batch, 1, 1))
    return np.concatenate([matrix, tail], 1), np.concatenate(
        [target[..., 0], np.zeros((n_batch, n))], 1
    )


def solve(matrix: np.ndarray, right: np.ndarray, upper: np.ndarray, **options: float) -> np.ndarray:
    transposed = np.swapaxes(matrix, 1, 2)
    gradient = -(transposed @ right[..., None])[..., 0]
    return solve_box_qp(transposed @ matrix, gradient, upper, **options)


@pytest.mark.parametrize(("n_rows", "n"), [(12, 5), (10, 30), (20, 80)])
def test_box_is_lsq_linears(n_rows: int, n: int) -> None:
    rng = np.random.default_rng(n)
    matrix, right = least_squares(rng, 12, n_rows, n, ridge=0.2)
    upper = rng.uniform(0.2, 1.0, n)
    solution = solve(matrix, right, upper, tolerance=1e-11)
    roughly = solve(matrix, right, upper)
    for k in range(12):
        expected = lsq_linear(matrix[k], right[k], (0, upper), method="bvls", tol=1e-14).x
        np.testing.assert_allclose(solution[k], expected, atol=1e-6)
        # A gap of 1e-9 leaves variables farther off where their multiplier is near zero.
        np.testing.assert_allclose(roughly[k], expected, atol=1e-4)
    low, high = solution < 1e-6, solution > upper - 1e-6
    assert low.any() and high.any() and (~low & ~high).any()


def test_infinite_bounds_are_nnls() -> None:
    rng = np.random.default_rng(1)
    matrix, right = least_squares(rng, 12, 20, 15, ridge=0.1)
    solution = solve(matrix, right, np.full(15, np.inf), tolerance=1e-11)
    for k in range(12):
        np.testing.assert_allclose(solution[k], nnls(matrix[k], right[k])[0], atol=1e-6)


def test_no_member_of_a_batch_spoils_another() -> None:
    """Converged ones wait for the slowest, and must not be driven into 0 / 0 meanwhile."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        matrix, right = least_squares(rng, 12, 20, 16, ridge=0.1)
        upper = np.where(np.arange(16) % 2, np.inf, 0.4)
        assert np.isfinite(solve(matrix, 3 * right, upper)).all()


def test_bounds_may_be_mixed() -> None:
    """As muscles (0..1) and contact forces (0..inf) are."""
    rng = np.random.default_rng(8)
    matrix, right = least_squares(rng, 12, 20, 16, ridge=0.1)
    upper = np.where(np.arange(16) % 2, np.inf, 0.4)
    solution = solve(matrix, 3 * right, upper, tolerance=1e-11)
    for k in range(12):
        expected = lsq_linear(matrix[k], 3 * right[k], (0, upper), method="bvls", tol=1e-14).x
        np.testing.assert_allclose(solution[k], expected, atol=1e-6)


def test_solution_does_not_depend_on_the_rest_of_the_batch() -> None:
    rng = np.random.default_rng(3)
    matrix, right = least_squares(rng, 20, 10, 12, ridge=0.2)
    right[::2] *= 100.0  # of another size, and with another number of steps to go
    together = solve(matrix, right, np.ones(12))
    for k in range(20):
        alone = solve(matrix[k : k + 1], right[k : k + 1], np.ones(12))
        np.testing.assert_allclose(together[k], alone[0], atol=1e-5)


def test_optimality_conditions_hold() -> None:
    """Inside the box the gradient is zero; at a bound it points out of it."""
    rng = np.random.default_rng(4)
    root = rng.normal(size=(30, 6, 6))
    hessian = root @ np.swapaxes(root, 1, 2) + 0.1 * np.eye(6)
    gradient = rng.normal(scale=5.0, size=(30, 6))
    x = solve_box_qp(hessian, gradient, np.ones(6))
    assert (x > 0).all() and (x < 1).all()  # an interior-point method stays inside
    slope = (hessian @ x[..., None])[..., 0] + gradient
    scale = 1 + np.abs(gradient).max(axis=1, keepdims=True)
    at_low, at_high = x < 1e-5, x > 1 - 1e-5
    assert (slope[at_low] > -1e-4).all() and (slope[at_high] < 1e-4).all()
    assert (np.abs(slope) / scale)[~at_low & ~at_high].max() < 1e-3


def test_unbounded_minimum_inside_is_found() -> None:
    middle = np.array([[0.3, 0.7]])
    x = solve_box_qp(np.diag([4.0, 1.0])[None], -middle * [4.0, 1.0], np.ones(2))
    np.testing.assert_allclose(x, middle, atol=1e-8)


def test_programmes_that_stall_are_solved_by_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(5)
    root = rng.normal(size=(20, 6, 6))
    hessian = root @ np.swapaxes(root, 1, 2) + 0.1 * np.eye(6)
    gradient = rng.normal(scale=5.0, size=(20, 6))
    upper = np.array([1.0, 1.0, 0.5, np.inf, np.inf, 2.0])
    alone = solve_box_qp(hessian, gradient, upper, max_iterations=2)
    np.testing.assert_allclose(alone, solve_box_qp(hessian, gradient, upper), atol=1e-6)

    def give_up(*args: object, **options: object) -> SimpleNamespace:
        return SimpleNamespace(success=False, message="tired", x=None)

    monkeypatch.setattr(boxqp, "lsq_linear", give_up)
    with pytest.raises(KinesisError, match=r"did not converge in 2 iterations, .*tired"):
        solve_box_qp(hessian, gradient, upper, max_iterations=2)
