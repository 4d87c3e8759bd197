"""How well people agree with each other: the ceiling of any comparison with them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.analysis.waveforms import pearson, standardize

FloatArray = NDArray[np.float64]

CEILINGS = ("pairwise", "mean_of_others", "between_cycle")


class Ceilings(NamedTuple):
    """Correlations by channel, (n_channels,); NaN where there are too few people or cycles.

    Attributes
    ----------
    pairwise : ndarray
        One person against another, mean over pairs. Comparable with one simulation against one
        person, which is what KINESIS reports.
    mean_of_others : ndarray
        One person against the mean of the others, mean over people. Comparable with one simulation
        against the mean of all.
    between_cycle : ndarray
        The mean of a person's odd cycles against that of the even ones, mean over people.
    """

    pairwise: FloatArray
    mean_of_others: FloatArray
    between_cycle: FloatArray


def peak_scaled(values: FloatArray) -> FloatArray:
    """Scale curves (..., phase) to a peak of one, so that means over people weigh shapes alike."""
    peak = np.abs(values).max(axis=-1, keepdims=True)
    return values / np.where(peak > 0, peak, 1.0)


def human_ceilings(people: FloatArray, halves: FloatArray | None = None) -> Ceilings:
    """Compute the ceilings.

    Parameters
    ----------
    people : ndarray, shape (n_people, n_channels, n_phase)
        Mean cycle of each person, open grid.
    halves : ndarray, shape (n_people, 2, n_channels, n_phase), optional
        Means of odd and even cycles; NaN for people with fewer than two.

    Returns
    -------
    Ceilings

    Examples
    --------
    >>> wave = np.random.default_rng(0).random((1, 2, 50))
    >>> ceilings = human_ceilings(np.repeat(wave, 3, axis=0))
    >>> ceilings.pairwise.round(6), ceilings.mean_of_others.round(6)
    (array([1., 1.]), array([1., 1.]))
    """
    n, n_channels = people.shape[:2]
    unknown = np.full(n_channels, np.nan)
    pairwise, others, cycles = unknown, unknown, unknown
    if n > 1:
        shapes = standardize(people)
        total = shapes.sum(axis=0)
        # All ordered pairs at once: |sum|^2 holds each pair twice, and each curve with itself.
        pairwise = ((total**2).sum(axis=-1) - (shapes**2).sum(axis=(0, -1))) / (n * (n - 1))
        scaled = peak_scaled(people)
        rest = (scaled.sum(axis=0) - scaled) / (n - 1)
        others = pearson(scaled, rest).mean(axis=0)
    if halves is not None:
        r = pearson(halves[:, 0], halves[:, 1])
        known = np.isfinite(r)
        count = known.sum(axis=0)
        cycles = np.where(known, r, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
    return Ceilings(pairwise, others, cycles)
