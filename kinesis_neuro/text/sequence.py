"""Clauses to poses: for each the part of a clip that suits it and joins best, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import PHYSICS_RATE
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.joining import (
    LONGEST_FADE,
    Seam,
    fade_frames,
    features,
    find_seam,
    join,
    lengthen,
    travel,
)
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.text.choosing import Labelled, Option, options_for
from kinesis_neuro.text.matching import Match
from kinesis_neuro.text.sentence import Clause

FloatArray = NDArray[np.float64]

WINDOW = 0.5
"""A seam may lie so much earlier or later than a clause's time says [s]."""
LARGEST_SEAM = 0.3
"""Parts that are farther apart where they are most alike are not joined [m]."""
LEAST_SHARE = 0.6
"""Least share of its time for which a clause is shown, where its clip cannot be repeated."""
_LOOKED_AT = 3  # of the best parts, to find the one that joins best
_SEAM_SCALE = 0.1  # m; what weighs as much as a cost of 1


@dataclass(frozen=True, eq=False)
class Part:
    """What became of a clause.

    Attributes
    ----------
    clause : Clause
    match : Match
    clip : str
        Name.
    start : float
        Time of the clip from which on it is shown [s].
    seconds, asked : float
        How long it is shown, and how long it should be [s].
    repeats : int
        How often it was repeated for that.
    speed, turning : float
        [m/s], [rad/s]
    seam : float or None
        How far apart it and the part before are where they are joined [m].
    """

    clause: Clause
    match: Match
    clip: str
    start: float
    seconds: float
    asked: float
    repeats: int
    speed: float
    turning: float
    seam: float | None

    def __str__(self) -> str:
        """The part in one line."""
        asked = f" ({self.clause.asked})" if self.clause.asked else ""
        again = f", {self.repeats} times over" if self.repeats > 1 else ""
        cut = self.asked - self.seconds > WINDOW
        short = f" of {self.asked:.2f} s" if cut else ""
        seam = "" if self.seam is None else f"; joined {100 * self.seam:.0f} cm apart"
        ignored = ", ".join(repr(word) for word in self.match.unheeded)
        return (
            f"{self.clause.text!r} -> {self.match.movement.name}{asked}, "
            f"{self.match.by} {self.match.score:.2f}: {self.clip} from {self.start:.2f} s for "
            f"{self.seconds:.2f} s{short}{again} ({self.speed:.2f} m/s, "
            f"{self.turning:+.2f} rad/s){seam}" + (f"; not heeded: {ignored}" if ignored else "")
        )


@dataclass(frozen=True, eq=False)
class _Piece:
    """An option with poses for all of its time, and where it would be joined."""

    option: Option
    motion: ReferenceMotion
    looks: FloatArray
    repeated: tuple[int, ...]
    seam: Seam | None
    fade: int

    @property
    def cost(self) -> float:
        return self.option.cost + (0.0 if self.seam is None else self.seam.distance / _SEAM_SCALE)


@dataclass(frozen=True, eq=False)
class _Track:
    """What is there so far, and the frames of it at which the last clause begins and ends."""

    poses: FloatArray
    piece: _Piece
    offset: int
    begin: int
    end: int
    seams: tuple[int, ...]


def join_clauses(
    clauses: Sequence[Clause], matches: Sequence[Match], clips: Sequence[Labelled]
) -> tuple[FloatArray, tuple[int, ...], tuple[Part, ...]]:
    """Find a part of a clip for each clause, and join them.

    Parameters
    ----------
    clauses : sequence of Clause
    matches : sequence of Match
        The movement of each.
    clips : sequence of Labelled
        All at the physics rate.

    Returns
    -------
    poses : ndarray, shape (n, nq)
        At the physics rate.
    seams : tuple of int
        Frames in the middle of the fades.
    parts : tuple of Part

    Raises
    ------
    InvalidInputError
        No clip suits a clause, or none that does can be joined to what goes before.
    """
    track: _Track | None = None
    tracks: list[_Track] = []
    for k, (clause, match) in enumerate(zip(clauses, matches, strict=True)):
        spare = (WINDOW + LONGEST_FADE) * (k < len(clauses) - 1)
        spare += (WINDOW + LONGEST_FADE / 2) * (k > 0)
        options = options_for(clause, match.movement.name, clips, spare)[:_LOOKED_AT]
        pieces = [piece for o in options if (piece := _piece(o, spare, track)) is not None]
        if not pieces:
            seconds = max(option.seconds for option in options)
            before = ""
            if track is not None:
                name = track.piece.motion.name
                before = f", or they are nowhere nearer than {LARGEST_SEAM:g} m to {name}"
            raise InvalidInputError(
                f"{clause.text!r}: the clips that suit it "
                f"({', '.join(o.motion.name for o in options)}) last less than {seconds:.1f} s and "
                f"no part of them can be repeated{before}. Ask for less, or give more clips."
            )
        track = _after(track, min(pieces, key=lambda piece: piece.cost))
        tracks.append(track)
    assert track is not None
    ends = [later.begin for later in tracks[1:]] + [min(track.end, len(track.poses) - 1)]
    parts = tuple(
        _part(clause, match, each, end)
        for clause, match, each, end in zip(clauses, matches, tracks, ends, strict=True)
    )
    seams = tuple(frame for frame in track.seams if frame <= ends[-1])
    return track.poses[: ends[-1] + 1], seams, parts


def _piece(option: Option, spare: float, track: _Track | None) -> _Piece | None:
    """Poses for the time that an option is shown, and the best seam; None if there is none."""
    clip = option.motion
    wanted = round((option.seconds + spare) * PHYSICS_RATE) + 1
    last = min(max(option.last, option.first + wanted - 1), clip.n_frames - 1)
    whole = option.first == 0 and last == clip.n_frames - 1
    cut = clip if whole else clip.slice(option.first / clip.rate, last / clip.rate)
    longer = lengthen(cut, wanted, LARGEST_SEAM / 2)
    least = round((LEAST_SHARE * option.seconds + spare) * PHYSICS_RATE)
    if longer is None and cut.n_frames < least:
        return None
    poses, repeated = (cut.qpos, ()) if longer is None else longer
    motion = ReferenceMotion.from_poses(clip.body, poses, PHYSICS_RATE, name=clip.name)
    looks = features(motion)
    if track is None:
        return _Piece(option, motion, looks, repeated, None, 0)
    before = track.piece
    change = float(np.linalg.norm(travel(motion) - travel(before.motion)))
    fade = fade_frames(change, PHYSICS_RATE)
    window = round(WINDOW * PHYSICS_RATE)
    # A clause is there for a while before the next one begins.
    earliest = max(track.end - window, (track.begin + track.end) // 2)
    seam = find_seam(
        before.looks,
        looks,
        fade,
        (earliest - track.offset, track.end + window - track.offset),
        (0, window),
    )
    if seam is None or seam.distance > LARGEST_SEAM:
        return None
    return _Piece(option, motion, looks, repeated, seam, fade)


def _after(track: _Track | None, piece: _Piece) -> _Track:
    """Put a piece behind what is there."""
    frames = round(piece.option.seconds * PHYSICS_RATE)
    if track is None or piece.seam is None:
        last = min(frames, piece.motion.n_frames - 1)
        return _Track(piece.motion.qpos, piece, 0, 0, last, piece.repeated)
    leave = piece.seam.leave + track.offset
    poses = join(track.poses, piece.motion.qpos, Seam(leave, piece.seam.enter, 0.0), piece.fade)
    begin = leave + piece.fade // 2
    end = min(begin + frames, len(poses) - 1)
    offset = leave - piece.seam.enter
    kept = [frame for frame in track.seams if frame < leave]
    own = [frame + offset for frame in piece.repeated if frame + offset > begin]
    return _Track(poses, piece, offset, begin, end, (*kept, begin, *own))


def _part(clause: Clause, match: Match, track: _Track, end: int) -> Part:
    piece = track.piece
    option = piece.option
    start = option.first + track.begin - track.offset
    return Part(
        clause,
        match,
        option.motion.name,
        (start % option.motion.n_frames) / PHYSICS_RATE,
        (end - track.begin) / PHYSICS_RATE,
        option.seconds,
        1 + sum(frame + track.offset < end for frame in piece.repeated),
        option.speed,
        option.turning,
        None if piece.seam is None else piece.seam.distance,
    )
