"""Non-negative matrix factorisation of a batch of matrices, or of one matrix from many starts.

Hierarchical alternating least squares (Cichocki & Phan 2009), the algorithm of scikit-learn's
coordinate descent, with all members of the batch in one array and several inner sweeps for each
product with the data (Gillis & Glineur 2012). Arrays, no labels: see `synergy` for those.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import InvalidInputError, MissingDependencyError

FloatArray = NDArray[np.float64]

COARSE_ROWS = 600
"""Rows of the data on which restarts compete before the best of them see all rows."""

POLISHED = 2
"""How many of the restarts go on to all rows."""

TOLERANCE = 1e-4
"""Stop when ten iterations lower the unexplained part by less than this part of itself."""

COARSE_TOLERANCE = 1e-3
"""The same where restarts compete on part of the rows: enough to tell the good from the bad."""

_EVERY = 10
_INNER = 2
_TINY = 1e-12


class Factors(NamedTuple):
    """Factors of x (..., row, muscle): x ~ swap(activation) @ weight.

    ``weight (..., rank, muscle)`` has rows of unit length; ``activation (..., rank, row)`` carries
    the scale; ``vaf (...)`` is ``1 - |x - x_hat|^2 / |x|^2``, uncentred.
    """

    weight: FloatArray
    activation: FloatArray
    vaf: FloatArray


def factorize(
    x: FloatArray,
    rank: int,
    n_restarts: int = 20,
    seed: int | np.random.Generator = 0,
    tolerance: float = TOLERANCE,
    max_iterations: int = 500,
    coarse_rows: int = COARSE_ROWS,
) -> Factors:
    """Find the best factorisation of one non-negative matrix from many random starts.

    All starts compete on evenly spaced rows; the best few go on to all rows, and the best of
    these is returned. With few rows, all starts see all of them.

    Parameters
    ----------
    x : ndarray
        (row, muscle), non-negative, any scale.
    rank : int
        Number of factors, at most the number of muscles.
    n_restarts : int
        Random starts.
    seed : int or Generator
        Where the starts come from.
    tolerance, max_iterations : float, int
        When to stop.
    coarse_rows : int
        Rows that all starts see.

    Returns
    -------
    Factors
        Without a leading dim.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.random((50, 2)) @ np.array([[1.0, 0.5, 0.0], [0.0, 0.2, 1.0]])
    >>> bool(factorize(x, rank=2).vaf > 0.9999)
    True
    """
    rng = np.random.default_rng(seed)
    start = random_weights(x, rank, n_restarts, rng)
    stride = max(1, x.shape[0] // coarse_rows)
    first = tolerance if stride == 1 else max(tolerance, COARSE_TOLERANCE)
    found = alternate(x[::stride], start, first, max_iterations)
    best = np.argsort(-found.vaf, kind="stable")
    if stride > 1:
        found = alternate(x, found.weight[best[:POLISHED]], tolerance, max_iterations)
        best = np.argsort(-found.vaf, kind="stable")
    return Factors(found.weight[best[0]], found.activation[best[0]], found.vaf[best[0]])


def random_weights(x: FloatArray, rank: int, n: int, rng: np.random.Generator) -> FloatArray:
    """Draw starts (n, rank, muscle): half of them rows of the data, half uniform noise.

    Rows of the data lie in the cone that the factors span, so that they converge sooner; the
    noise keeps the starts diverse.
    """
    start = rng.random((n, rank, x.shape[1]))
    active = np.flatnonzero(x.sum(axis=1) > 0)
    rows = x[active[rng.integers(active.size, size=(n, rank))]]
    start[::2] = rows[::2] + 0.01 * x.mean() * start[::2]
    return start / np.linalg.norm(start, axis=-1, keepdims=True)


def alternate(
    x: FloatArray,
    weight: FloatArray,
    tolerance: float = TOLERANCE,
    max_iterations: int = 500,
) -> Factors:
    """Improve a batch of factorisations together, each until it has converged.

    Parameters
    ----------
    x : ndarray
        (row, muscle), one for all, or (batch, row, muscle), one for each.
    weight : ndarray
        (batch, rank, muscle) to start from.
    tolerance, max_iterations : float, int
        When to stop.

    Returns
    -------
    Factors
        With the leading dim of the batch.
    """
    weight = np.array(weight)
    n_batch, rank, _ = weight.shape
    activation = np.maximum(weight @ np.swapaxes(x, -1, -2), 0)  # unit lengths: a projection
    power = np.broadcast_to((x**2).sum(axis=(-1, -2)), (n_batch,))
    going, rows, left = np.arange(n_batch), x, np.ones(n_batch)
    w, a = weight.copy(), activation.copy()  # of those that have not converged
    for iteration in range(max_iterations):
        _sweep(a, w @ np.swapaxes(rows, -1, -2), w @ np.swapaxes(w, -1, -2), _INNER)
        _revive(a, w)
        product = a @ rows
        gram = a @ np.swapaxes(a, -1, -2)
        _sweep(w, product, gram, _INNER)
        length = np.maximum(np.linalg.norm(w, axis=-1, keepdims=True), _TINY)
        w /= length
        a *= length
        if iteration % _EVERY != _EVERY - 1:
            continue
        now = _unexplained(product * length, gram, length, w, power[going])
        running = left - now >= tolerance * np.maximum(now, _TINY)
        left = now
        if not running.all():
            weight[going], activation[going] = w, a
            w, a, left, going = w[running], a[running], left[running], going[running]
            rows = rows[running] if x.ndim > 2 else x
            if going.size == 0:
                break
    weight[going], activation[going] = w, a
    xt = np.swapaxes(x, -1, -2)
    _sweep(activation, weight @ xt, weight @ np.swapaxes(weight, -1, -2), 4 * _INNER)
    product, gram = activation @ x, activation @ np.swapaxes(activation, -1, -2)
    left = _unexplained(product, gram, np.ones((n_batch, rank, 1)), weight, power)
    return Factors(weight, activation, 1 - left)


def project(
    x: FloatArray,
    weight: FloatArray,
    tolerance: float = 1e-6,
    max_sweeps: int = 500,
    ridge: float = 0.0,
) -> FloatArray:
    """Find the non-negative activations (..., rank, row) of fixed weights that explain x best.

    Non-negative least squares by coordinate descent, for all rows and members of a batch at once.

    Parameters
    ----------
    x : ndarray
        (..., row, muscle).
    weight : ndarray
        (..., rank, muscle), any length.
    tolerance, max_sweeps : float, int
        Stop when no activation moves by more than this part of the largest.
    ridge : float
        Penalty on the squares of the activations, for weights that hardly reach these muscles.

    Returns
    -------
    ndarray
        Activations.

    Examples
    --------
    >>> project(np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([[1.0, 0.5], [0.0, 1.0]])).round(3)
    array([[2., 0.],
           [0., 3.]])
    """
    product = weight @ np.swapaxes(x, -1, -2)
    gram = weight @ np.swapaxes(weight, -1, -2) + ridge * np.eye(weight.shape[-2])
    scale = np.maximum(np.einsum("...kk->...k", gram), _TINY)[..., None]
    activation = np.maximum(product / scale, 0)
    for _ in range(0, max_sweeps, _EVERY):
        before = activation.copy()
        _sweep(activation, product, gram, _EVERY)
        if np.abs(activation - before).max() <= tolerance * max(activation.max(), _TINY):
            break
    return activation


def explained(x: FloatArray, estimate: FloatArray) -> dict[str, FloatArray]:
    """VAF (uncentred) and R^2 (centred), over all muscles and for each.

    Parameters
    ----------
    x, estimate : ndarray
        (row, muscle).

    Returns
    -------
    dict
        ``vaf``, ``r_squared`` (scalars), ``muscle_vaf``, ``muscle_r_squared`` (muscle,).
    """
    error = ((x - estimate) ** 2).sum(axis=0)
    power, spread = (x**2).sum(axis=0), ((x - x.mean(axis=0)) ** 2).sum(axis=0)
    return {
        "vaf": np.asarray(1 - error.sum() / power.sum()),
        "r_squared": np.asarray(1 - error.sum() / spread.sum()),
        "muscle_vaf": 1 - error / power,
        "muscle_r_squared": 1 - error / spread,
    }


def scikit_learn_factors(
    x: FloatArray, rank: int, n_restarts: int = 20, seed: int = 0, max_iterations: int = 500
) -> Factors:
    """Factorise with scikit-learn's NMF, one start after the other: slow, and the yardstick.

    Raises
    ------
    MissingDependencyError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.decomposition import NMF
    except ImportError as error:
        raise MissingDependencyError(
            "solver='scikit-learn' needs scikit-learn: pip install scikit-learn."
        ) from error
    best: Factors | None = None
    power = (x**2).sum()
    for k in range(n_restarts):
        model = NMF(rank, init="random", random_state=seed + k, max_iter=max_iterations)
        model.set_params(tol=1e-4)
        activation = model.fit_transform(x).T
        vaf = 1 - model.reconstruction_err_**2 / power
        if best is None or vaf > best.vaf:
            length = np.maximum(np.linalg.norm(model.components_, axis=1, keepdims=True), _TINY)
            best = Factors(model.components_ / length, activation * length, vaf)
    if best is None:
        raise InvalidInputError(f"n_restarts must be 1 or more, got {n_restarts}.")
    return best


def _sweep(factor: FloatArray, product: FloatArray, gram: FloatArray, times: int) -> None:
    """Update one factor (..., rank, n) in place: minimise over one of its rows after another."""
    scale = np.maximum(np.einsum("...kk->...k", gram), _TINY)[..., None]
    rank = np.arange(factor.shape[-2])
    target, others = product / scale, gram / scale
    others[..., rank, rank] = 0.0
    for _ in range(times):
        for k in rank:
            # Without the row itself: what the others explain of its best value alone.
            row = (others[..., k : k + 1, :] @ factor)[..., 0, :]
            np.subtract(target[..., k, :], row, out=row)
            np.maximum(row, 0.0, out=factor[..., k, :])


def _revive(activation: FloatArray, weight: FloatArray) -> None:
    """Give factors that have died out a small even activation, so that they can grow again."""
    dead = ~(activation.max(axis=-1) > 0)
    if dead.any():
        level = activation.mean(axis=(-1, -2)) * 0.01 + _TINY
        activation[dead] = np.broadcast_to(level[:, None], dead.shape)[dead][:, None]


def _unexplained(
    product: FloatArray,
    gram: FloatArray,
    length: FloatArray,
    weight: FloatArray,
    power: FloatArray,
) -> FloatArray:
    """Part of the power that is left, from the small products alone."""
    gram = gram * length * np.swapaxes(length, -1, -2)
    explained = 2 * (product * weight).sum(axis=(-1, -2))
    squared = (gram * (weight @ np.swapaxes(weight, -1, -2))).sum(axis=(-1, -2))
    return np.maximum(1 - (explained - squared) / np.maximum(power, _TINY), 0)
