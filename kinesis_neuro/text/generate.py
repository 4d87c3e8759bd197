"""text_to_motion: a sentence to a reference motion, by joining clips."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kinesis_neuro.body.models import PHYSICS_RATE, Body, load_body
from kinesis_neuro.motion.clips import speed_and_turning
from kinesis_neuro.motion.joined import joined_motion
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.quality import gate
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.repertoire import MotionLibrary
from kinesis_neuro.motion.report import retarget_report
from kinesis_neuro.text.choosing import TURNING, Labelled
from kinesis_neuro.text.matching import Encoder, Match, match_clause
from kinesis_neuro.text.sentence import Clause, read_sentence
from kinesis_neuro.text.sequence import Part, join_clauses
from kinesis_neuro.text.vocabulary import RUN, TURN, Movement, movement_named, movements_of

BUILT_IN = "walk"
"""The gait that there is where no library is given."""


def text_to_motion(
    sentence: str,
    library: str | Path | MotionLibrary | None = None,
    *,
    body: str | Body = "legs",
    matcher: str = "auto",
    encoder: Encoder | None = None,
    say: Callable[[str], None] | None = print,
) -> ReferenceMotion:
    """Make a reference motion of a sentence, from the clips of a library.

    The sentence is divided into clauses. Each is matched to a movement, the part of a clip is
    found that goes at the pace, to the side and for the time that it asks for, and the parts are
    joined where they are most alike. The feet are planted again, and the result passes the gate
    like every other motion. It is what its clips are: no model has generated it.

    Parameters
    ----------
    sentence : str
        English, such as "walk forward slowly, then turn left and run for three seconds".
    library : str, Path or MotionLibrary, optional
        Clips to choose from; the built-in gait if not given, which walks straight on.
    body : str or Body
        Where there is no library; a library has its own.
    matcher : {"auto", "words", "encoder"}
        See :func:`kinesis_neuro.text.matching.match_clause`.
    encoder : callable, optional
        The installed one if not given.
    say : callable or None
        Receives what was understood, a line a clause.

    Returns
    -------
    ReferenceMotion
        Its ``report.notes`` hold what was understood, its ``source`` the clips.

    Raises
    ------
    InvalidInputError
        The sentence is empty, too long or not understood, asks for what the library has not, or
        what comes out does not pass the gate.

    Examples
    --------
    >>> motion = text_to_motion("walk for two seconds")
    'walk for two seconds' -> walk (2 s), words 1.00: walk from 0.00 s for 2.00 s (1.0...
    >>> motion.periodic, round(motion.duration)
    (False, 2)
    """
    return tell(sentence, library, body=body, matcher=matcher, encoder=encoder, say=say)[0]


def tell(
    sentence: str,
    library: str | Path | MotionLibrary | None = None,
    *,
    body: str | Body = "legs",
    matcher: str = "auto",
    encoder: Encoder | None = None,
    say: Callable[[str], None] | None = None,
) -> tuple[ReferenceMotion, tuple[Part, ...]]:
    """Make a motion of a sentence and give what was understood; see :func:`text_to_motion`.

    Returns
    -------
    motion : ReferenceMotion
    parts : tuple of Part
        One a clause.
    """
    clips, movements, held = _clips(library, body)
    labels = set().union(*(m.words for m in movements.values()))
    clauses = read_sentence(sentence, labels)
    matches = [match_clause(clause, held, matcher, encoder) for clause in clauses]
    matches = running_on(matches, clauses, clips)
    poses, seams, parts = join_clauses(clauses, matches, clips)
    for part in parts:
        if say is not None:
            say(str(part))
    used = [next(c.motion for c in clips if c.motion.name == part.clip) for part in parts]
    about: dict[str, Any] = {
        "name": re.sub(r"[^a-z0-9]+", "_", sentence.lower()).strip("_")[:60],
        "source": f"text {sentence!r}, from "
        + "; ".join(_unique(f"{m.name} ({m.source})" for m in used)),
        "licence": ", ".join(_unique(m.licence for m in used)),
    }
    body_of_clips = clips[0].motion.body
    notes = [str(part) for part in parts]
    if not seams:
        cut = _cut(used[0], parts[0])
        report = retarget_report(cut, notes=notes)
        return gate(replace(cut, **about, report=report, library=None))[0], parts
    made = joined_motion(body_of_clips, poses, PHYSICS_RATE, seams, notes=notes, about=about)
    return made, parts


def running_on(
    matches: Sequence[Match], clauses: Sequence[Clause], clips: Sequence[Labelled]
) -> list[Match]:
    """Who runs and then turns goes on running, where there are clips of runs to that side.

    Examples
    --------
    >>> clauses = read_sentence("run, then turn left")
    >>> matches = [match_clause(c, {m: movement_named(m) for m in (RUN, TURN)}) for c in clauses]
    >>> [match.movement.name for match in running_on(matches, clauses, [])]
    ['run', 'turn']
    """
    sides = {
        "left" if turning > 0 else "right"
        for clip in clips
        if clip.movement == RUN and abs(turning := speed_and_turning(clip.motion)[1]) > TURNING
    }
    found: list[Match] = []
    for match, clause in zip(matches, clauses, strict=True):
        runs = bool(found) and found[-1].movement.name == RUN
        if runs and match.movement.name == TURN and clause.side in sides:
            match = replace(match, movement=found[-1].movement)
        found.append(match)
    return found


def _clips(
    library: str | Path | MotionLibrary | None, body: str | Body
) -> tuple[list[Labelled], dict[str, Movement], dict[str, Movement]]:
    """Clips to choose from, the movement of each, and the movements that there are."""
    if library is None:
        plant = load_body(body) if isinstance(body, str) else body
        walk = movement_named("walk")
        gait = load_motion(BUILT_IN, plant)
        return [Labelled(gait, walk.name)], {gait.name: walk}, {walk.name: walk}
    shelf = library if isinstance(library, MotionLibrary) else MotionLibrary(library)
    movements = movements_of(shelf.clips)
    clips = [
        Labelled(motion if motion.rate == PHYSICS_RATE else motion.resample(PHYSICS_RATE), name)
        for motion, name in zip(
            shelf.motions(), (movements[c.name].name for c in shelf.clips), strict=True
        )
    ]
    return clips, movements, {m.name: m for m in movements.values()}


def _cut(clip: ReferenceMotion, part: Part) -> ReferenceMotion:
    """The part of one clip, with the ground forces that were measured with it."""
    stop = part.start + part.seconds
    if clip.periodic:
        clip = clip.loop(int(stop / clip.duration) + 1)
    return clip.slice(part.start, stop)


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))
