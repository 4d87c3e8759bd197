"""What chance would do: cyclic shifts and phase-randomised surrogates, with the same freedom.

Cyclic shifts keep the shape of a curve; they are the null at zero lag, and of a lag that all
muscles share. At the best lag of a single muscle they can do nothing, as the lag undoes them.
Random phases do not keep the shape: two muscles with one burst each reach r = 0.9 at their best
lag, and random phases do not, so that a p against them says little about muscles
(docs/comparison.md). What does is how well a simulated muscle fits the other human muscles.

The nulls act on the lag curve averaged over all pairs of simulations and people, muscle by muscle,
so that a surrogate is the same for all people: it destroys what links simulation and people, and
keeps what links people to each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]

_CHUNK = 2_000_000  # values of surrogate lag curves that are held at a time


class LagNull(NamedTuple):
    """Surrogates of the correlation, each (n_null, n_channels).

    Attributes
    ----------
    zero : ndarray
        At zero lag, the simulated curve shifted by a random part of the cycle.
    zero_phase : ndarray
        At zero lag, the simulated curve with random phases.
    best_phase : ndarray
        At the best lag allowed, with random phases.
    common : ndarray, shape (n_null,)
        Mean over channels at the best common lag, each channel shifted by a random part of the
        cycle of its own.
    """

    zero: FloatArray
    zero_phase: FloatArray
    best_phase: FloatArray
    common: FloatArray


def lag_null(
    cross: NDArray[np.complex128],
    n_phase: int,
    allowed: NDArray[np.bool_],
    n_null: int,
    rng: np.random.Generator,
) -> LagNull:
    """Draw surrogates from mean cross-spectra.

    Parameters
    ----------
    cross : ndarray, shape (n_channels, n_frequencies)
        Mean over pairs of conj(A) B of standardised curves.
    n_phase : int
        Points of the cycle.
    allowed : ndarray of bool, shape (n_phase,)
        Lags that the best lag may take.
    n_null : int
    rng : numpy.random.Generator

    Returns
    -------
    LagNull
    """
    if n_null < 1:
        raise InvalidInputError(f"n_null must be 1 or more, got {n_null}.")
    n_channels, n_frequencies = cross.shape
    curve = fft.irfft(cross, n_phase, axis=-1)
    shift = rng.integers(0, n_phase, (n_null, n_channels))
    zero = curve[np.arange(n_channels), shift]
    zero_phase, best = np.empty((n_null, n_channels)), np.empty((n_null, n_channels))
    common = np.empty(n_null)
    step = max(1, _CHUNK // (n_channels * n_phase))
    wave = 2j * np.pi / n_phase * np.arange(n_frequencies)
    for start in range(0, n_null, step):  # memory, not speed
        block = slice(start, min(start + step, n_null))
        moved = np.exp((wave * shift[block, :, None]).astype(np.complex64))
        together = np.einsum("cf,kcf->kf", cross / n_channels, moved)
        common[block] = fft.irfft(together, n_phase, axis=-1)[:, allowed].max(axis=-1)
        angle = rng.random((block.stop - start, n_channels, n_frequencies), dtype=np.float32)
        turned = cross.astype(np.complex64) * np.exp(np.complex64(2j * np.pi) * angle)
        surrogate = fft.irfft(turned, n_phase, axis=-1)
        zero_phase[block] = surrogate[..., 0]
        best[block] = surrogate[..., allowed].max(axis=-1)
    return LagNull(zero, zero_phase, best, common)


def best_lag_matrix(
    simulated: NDArray[np.complex128],
    human: NDArray[np.complex128],
    n_phase: int,
    allowed: NDArray[np.bool_],
) -> FloatArray:
    """Correlation at the best lag allowed of every simulated with every human muscle.

    Parameters
    ----------
    simulated, human : ndarray, shape (n_channels, n_frequencies)
        Mean spectra of standardised curves.
    n_phase : int
    allowed : ndarray of bool, shape (n_phase,)

    Returns
    -------
    ndarray, shape (n_channels, n_channels)
    """
    rows = [  # a row at a time: 80 x 80 muscles with all lags would be 5 MB, 400 x 400 not
        fft.irfft(np.conj(one) * human, n_phase, axis=-1)[:, allowed].max(axis=-1)
        for one in simulated
    ]
    return np.stack(rows)


def p_among_others(matrix: FloatArray) -> FloatArray:
    """How many of the human muscles a simulated one fits as well as its own, by rank.

    Examples
    --------
    >>> p_among_others(np.array([[0.9, 0.5], [0.8, 0.7]]))
    array([0.5, 1. ])
    """
    return (matrix >= np.diag(matrix)[:, None] - 1e-9).mean(axis=1)


def p_value(observed: FloatArray, null: FloatArray) -> FloatArray:
    """One-sided p: how often chance does as well, never zero (Phipson & Smyth 2010).

    Parameters
    ----------
    observed : ndarray, shape (...)
    null : ndarray, shape (n_null, ...)

    Examples
    --------
    >>> p_value(np.float64(2.0), np.array([0.0, 1.0, 3.0]))
    np.float64(0.5)
    """
    # A surrogate that is the observation itself must count, whatever its last digit.
    as_well = null >= observed - 1e-9
    p = (1 + as_well.sum(axis=0)) / (1 + len(null))
    return np.where(np.isnan(observed), np.nan, p)[()]


def false_discovery(p: FloatArray) -> FloatArray:
    """P values adjusted for the false discovery rate (Benjamini & Hochberg 1995); NaN stays NaN.

    Examples
    --------
    >>> false_discovery(np.array([0.01, 0.04, np.nan]))
    array([0.02, 0.04,  nan])
    """
    from statsmodels.stats.multitest import multipletests

    adjusted = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if known.any():
        adjusted[known] = multipletests(p[known], method="fdr_bh")[1]
    return adjusted


class Specificity(NamedTuple):
    """Whether a simulated muscle is more like its own human muscle than like others.

    Attributes
    ----------
    advantage : float
        Mean r on the diagonal minus mean r off it.
    p : float
        Against permutations of the human muscles.
    null : ndarray, shape (n_null,)
        Advantage of the permutations.
    wins : float
        Part of the simulated muscles whose best human muscle is their own.
    """

    advantage: float
    p: float
    null: FloatArray
    wins: float


def specificity(matrix: FloatArray, n_null: int, rng: np.random.Generator) -> Specificity:
    """Test whether the diagonal of r(simulated i, human j) wins.

    Parameters
    ----------
    matrix : ndarray, shape (n_channels, n_channels)
    n_null : int
    rng : numpy.random.Generator

    Examples
    --------
    >>> specificity(np.eye(6), 200, np.random.default_rng(0)).wins
    1.0
    """
    n = len(matrix)
    if n < 2:
        return Specificity(np.nan, np.nan, np.full(n_null, np.nan), np.nan)
    order = np.argsort(rng.random((n_null, n)), axis=-1)
    total = matrix.sum()

    def advantage(on: FloatArray) -> FloatArray:
        return on / n - (total - on) / (n * n - n)

    observed = advantage(np.trace(matrix))
    null = advantage(matrix[np.arange(n), order].sum(axis=-1))
    wins = float((matrix.argmax(axis=1) == np.arange(n)).mean())
    return Specificity(float(observed), float(p_value(observed, null)), null, wins)
