"""Where episodes start: anywhere in the motions, and more often where they have failed early."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.errors import InvalidInputError

IntArray = NDArray[np.intp]

BIN = 8
"""Physics frames that share one estimate of failure (50 ms)."""

EARLY = 2.0
"""A failure within this time counts against the start [s]."""

_MEMORY = 0.05


class Starts:
    """Draws motions and starting frames.

    Parameters
    ----------
    table : ReferenceTable
    room : int
        Frames that must be left at the end of a motion that is not periodic.
    hard_share : float
        Share of draws in proportion to failure.

    Attributes
    ----------
    motion_weight : ndarray, shape (n_motions,)
        Weights of the motions in the even draw; by duration at first.
    failure : ndarray, shape (n_bins,)
        Running share of episodes from each bin that failed early.
    """

    def __init__(self, table: ReferenceTable, room: int, hard_share: float) -> None:
        self.table, self.hard_share = table, hard_share
        self.motion_weight = table.length / table.length.sum()
        self._room = np.where(table.periodic, 0, room)
        for motion, left in zip(table.motions, table.length - self._room, strict=True):
            if left < 1:
                raise InvalidInputError(
                    f"Motion {motion.name!r} has {motion.n_frames} frames, too few for an episode, "
                    f"which needs {room + 1}."
                )
        n_bins = -(-(table.length - self._room) // BIN)
        self._first_bin = np.concatenate([[0], np.cumsum(n_bins)[:-1]])
        self._motion_of = np.repeat(np.arange(n_bins.size), n_bins)
        self._bins_of_its_motion = n_bins[self._motion_of]
        self.failure = np.full(n_bins.sum(), 0.5)

    def draw(
        self, n: int, rng: np.random.Generator, motion: IntArray | None = None
    ) -> tuple[IntArray, IntArray]:
        """Motions and frames of n episodes; of given motions, any frame is as likely."""
        table = self.table
        chosen = motion is not None
        if motion is None:
            motion = rng.choice(table.length.size, size=n, p=self.motion_weight)
        frame = rng.integers(0, (table.length - self._room)[motion])
        if self.hard_share > 0.0 and not chosen:
            hard = rng.random(n) < self.hard_share
            share = self.motion_weight[self._motion_of] / self._bins_of_its_motion
            weight = self.failure * share
            bins = rng.choice(weight.size, size=n, p=weight / weight.sum())
            hard_motion = self._motion_of[bins]
            first = (bins - self._first_bin[hard_motion]) * BIN
            last = np.minimum(first + BIN, (table.length - self._room)[hard_motion])
            motion = np.where(hard, hard_motion, motion)
            frame = np.where(hard, rng.integers(first, last), frame)
        return motion, frame

    def report(self, motion: IntArray, frame: IntArray, failed: NDArray[np.bool_]) -> None:
        """Take in which of the episodes that ended had failed early."""
        bins = self._first_bin[motion] + frame // BIN
        # Episodes that were started by hand may lie beyond the last bin of their motion.
        last = self._motion_of.size - 1
        known = (bins <= last) & (self._motion_of[np.minimum(bins, last)] == motion)
        bins, failed = bins[known], failed[known]
        count = np.bincount(bins, minlength=self.failure.size)
        failures = np.bincount(bins, weights=failed, minlength=self.failure.size)
        share = failures / np.maximum(count, 1)
        keep = (1.0 - _MEMORY) ** count
        self.failure = keep * self.failure + (1.0 - keep) * share
