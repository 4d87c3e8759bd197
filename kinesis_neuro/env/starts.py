"""Where episodes start: anywhere in the motions, and more often in and where they have failed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.streams import Draws
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
        Share of draws of frames in proportion to early failure from them.
    hard_motions : float
        Share of draws of motions in proportion to their failure, at any frame of theirs.

    Attributes
    ----------
    motion_weight : ndarray, shape (n_motions,)
        Weights of the motions in the even draw; by duration at first.
    failure : ndarray, shape (n_bins,)
        Running share of episodes from each bin that failed early.
    motion_failure : ndarray, shape (n_motions,)
        Running share of episodes of each motion that failed.
    deferred : bool
        Whether reports wait until :meth:`settle`. Episodes of a whole rollout are then drawn with
        what was known before it, in whatever order and in however many processes they end.
    """

    def __init__(
        self, table: ReferenceTable, room: int, hard_share: float, hard_motions: float = 0.0
    ) -> None:
        self.table, self.hard_share, self.hard_motions = table, hard_share, hard_motions
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
        self.motion_failure = np.full(n_bins.size, 0.5)
        self.deferred = False
        self._waiting = self._nothing()

    def _nothing(self) -> dict[str, NDArray[np.float64]]:
        return {
            "failure": np.zeros((2, self.failure.size)),
            "motion_failure": np.zeros((2, self.motion_failure.size)),
        }

    def draw(
        self, n: int, rng: np.random.Generator | Draws, motion: IntArray | None = None
    ) -> tuple[IntArray, IntArray]:
        """Motions and frames of n episodes; of given motions, any frame is as likely."""
        table = self.table
        chosen = motion is not None
        if motion is None:
            motion = rng.choice(table.length.size, size=n, p=self._motion_chance())
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

    def _motion_chance(self) -> NDArray[np.float64]:
        """Chance of each motion: its weight, and for a share of draws its weight times failure."""
        hard = self.motion_weight * self.motion_failure
        if self.hard_motions == 0.0 or hard.sum() == 0.0:
            return self.motion_weight
        return (
            1.0 - self.hard_motions
        ) * self.motion_weight + self.hard_motions * hard / hard.sum()

    def report_motions(self, motion: IntArray, failed: NDArray[np.bool_]) -> None:
        """Take in which of the episodes that ended had failed at all."""
        self._take("motion_failure", motion, failed)

    def report(self, motion: IntArray, frame: IntArray, failed: NDArray[np.bool_]) -> None:
        """Take in which of the episodes that ended had failed early."""
        bins = self._first_bin[motion] + frame // BIN
        # Episodes that were started by hand may lie beyond the last bin of their motion.
        last = self._motion_of.size - 1
        known = (bins <= last) & (self._motion_of[np.minimum(bins, last)] == motion)
        self._take("failure", bins[known], failed[known])

    def _take(self, name: str, where: IntArray, failed: NDArray[np.bool_]) -> None:
        counted = self._waiting[name]
        counted[0] += np.bincount(where, minlength=counted.shape[1])
        counted[1] += np.bincount(where, weights=failed, minlength=counted.shape[1])
        if not self.deferred:
            self.settle()

    def tally(self) -> dict[str, NDArray[np.float64]]:
        """Numbers of episodes and of failures that wait, (2, n) by name; they wait no longer."""
        waiting, self._waiting = self._waiting, self._nothing()
        return waiting

    def add(self, tally: dict[str, NDArray[np.float64]]) -> None:
        """Let episodes wait here that were tallied elsewhere."""
        for name, counted in tally.items():
            self._waiting[name] += counted

    def settle(self) -> None:
        """Count the episodes in that wait."""
        tally = self.tally()
        self.failure = _moved(self.failure, *tally["failure"])
        self.motion_failure = _moved(self.motion_failure, *tally["motion_failure"])


def _moved(
    average: NDArray[np.float64], count: NDArray[np.float64], failures: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Running averages after episodes, some of which failed, have been counted in."""
    share = failures / np.maximum(count, 1)
    keep = (1.0 - _MEMORY) ** count
    moved: NDArray[np.float64] = keep * average + (1.0 - keep) * share
    return moved
