"""A sentence in clauses: what is said of each one's pace, side, time, way and number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.text.vocabulary import (
    BACK,
    FAST,
    FILLERS,
    LEFT,
    MOVEMENTS,
    NEGATIONS,
    NUMBERS,
    RIGHT,
    SLOW,
    STRAIGHT,
)

LONGEST_SENTENCE = 500
"""Characters."""
MOST_CLAUSES = 12
LONGEST_DURATION = 60.0
"""Of a clause [s]."""

_WORDS = "|".join(sorted(NUMBERS, key=len, reverse=True))
_NUMBER = rf"(?P<n>\d+(?:[.,]\d+)?|half an?|{_WORDS})"
_QUANTITY = {
    "duration": rf"{_NUMBER}\s*(?:of\s+)?(?P<u>seconds?|secs?|s|minutes?|mins?)\b",
    "speed": rf"{_NUMBER}\s*(?P<u>m/s|meters? (?:a|per) second|metres? (?:a|per) second)",
    "distance": rf"{_NUMBER}\s*(?:of\s+)?(?P<u>meters?|metres?|m)\b",
    "angle": rf"{_NUMBER}\s*-?\s*(?P<u>degrees?|deg|°)",
    "steps": rf"{_NUMBER}\s*(?P<u>steps|step|paces|strides)\b",
    "times": rf"{_NUMBER}\s*(?P<u>times)\b",
}
_SPLIT = re.compile(r"\bthen\b|\bfollowed by\b|\bafterwards?\b|\bbefore\b|[;.!\n]+(?=\s|$)")
_SOFT = re.compile(r"\band\b|,")
_WORD = re.compile(r"[a-z']+")


@dataclass(frozen=True)
class Clause:
    """One part of a sentence.

    Attributes
    ----------
    text : str
        As it was written, in small letters.
    speed : float, str or None
        [m/s], ``"slow"`` or ``"fast"``.
    side : str or None
        ``"left"`` or ``"right"``.
    straight, backward : bool
        Whether a word says so.
    duration, distance, angle : float or None
        [s], [m], [degrees].
    steps, times : float or None
        Counts.
    words : tuple of str
        The words that name movements, or that are unknown.
    """

    text: str
    speed: float | str | None = None
    side: str | None = None
    straight: bool = False
    backward: bool = False
    duration: float | None = None
    distance: float | None = None
    angle: float | None = None
    steps: float | None = None
    times: float | None = None
    words: tuple[str, ...] = ()

    @property
    def asked(self) -> str:
        """What was understood beside the movement, in words."""
        parts = [f"{self.speed:g} m/s" if isinstance(self.speed, float) else self.speed, self.side]
        parts += ["straight" if self.straight else None]
        units = {"duration": " s", "distance": " m", "angle": " degrees", "steps": " steps"}
        for name, unit in (units | {"times": " times"}).items():
            value = getattr(self, name)
            parts.append(None if value is None else f"{value:g}{unit}")
        return ", ".join(part for part in parts if part)


def read_sentence(sentence: str, known: Iterable[str] = ()) -> tuple[Clause, ...]:
    """Divide a sentence into clauses, and read what each asks for.

    Parts are divided at "then", full stops and semicolons; at "and" and commas where a movement
    follows, and not only a manner or a time.

    Parameters
    ----------
    sentence : str
        English.
    known : iterable of str
        Further words that name movements (labels of a library).

    Returns
    -------
    tuple of Clause

    Raises
    ------
    InvalidInputError
        An empty or a too long sentence, letters that English has not, too many clauses, or
        numbers out of range.

    Examples
    --------
    >>> [clause.text for clause in read_sentence("Walk forward slowly, then turn left and run")]
    ['walk forward slowly', 'turn left', 'run']
    >>> read_sentence("run for three seconds")[0].duration
    3.0
    """
    text = _checked(sentence)
    pieces: list[str] = []
    for hard in _SPLIT.split(text):
        parts = _SOFT.split(hard)
        joined = [parts[0]]
        for part in parts[1:]:
            # "walks, turning left" is one movement.
            meanwhile = part.split()[:1] and part.split()[0].endswith("ing")
            if _moves(part) and _moves(joined[-1]) and not meanwhile:
                joined.append(part)
            else:
                joined[-1] = f"{joined[-1]} {part}"
        pieces += [" ".join(part.split()) for part in joined]
    clauses = [_clause(piece, frozenset(known)) for piece in pieces if _WORD.search(piece)]
    # What names nothing that moves ("for three seconds.") belongs to what went before.
    whole: list[Clause] = []
    for clause in clauses:
        if whole and not clause.words:
            whole[-1] = _clause(f"{whole[-1].text} {clause.text}", frozenset(known))
        else:
            whole.append(clause)
    if not 1 <= len(whole) <= MOST_CLAUSES:
        raise InvalidInputError(
            f"A sentence has 1 to {MOST_CLAUSES} clauses, got {len(whole)} in {sentence[:60]!r}."
        )
    return tuple(whole)


def _checked(sentence: str) -> str:
    if not isinstance(sentence, str) or not sentence.strip():
        raise InvalidInputError(
            "The sentence is empty. Say what the body is to do, for example 'walk forward slowly, "
            "then turn left'."
        )
    if len(sentence) > LONGEST_SENTENCE:
        raise InvalidInputError(
            f"The sentence has {len(sentence)} characters; at most {LONGEST_SENTENCE} are read. "
            "Make several motions of it."
        )
    strange = sorted({c for c in sentence if c.isalpha() and not c.isascii()})
    if strange:
        raise InvalidInputError(
            f"The sentence has letters that English has not ({' '.join(strange[:8])}). Only "
            "English is understood."
        )
    return sentence.lower()


def _moves(part: str) -> bool:
    """Whether a part says what is to be done, and not only how and for how long."""
    return bool(_clause(part, frozenset()).words)


def _clause(text: str, known: frozenset[str]) -> Clause:
    left = text
    found: dict[str, float] = {}
    for name, pattern in _QUANTITY.items():
        match = re.search(rf"(?<![\w.])(?:about |a )?{pattern}", left)
        if match:
            found[name] = _value(match)
            left = left[: match.start()] + " " + left[match.end() :]
    for word, times in (("once", 1.0), ("twice", 2.0)):
        if re.search(rf"\b{word}\b", left):
            found["times"] = times
            left = re.sub(rf"\b{word}\b", " ", left)
    words = _WORD.findall(left)
    there = set(words)
    if denied := sorted(there & NEGATIONS):
        said = ", ".join(denied)
        raise InvalidInputError(
            f"{text!r}: what is not to be done is not understood ({said}). Say what is."
        )
    if there & {"around", "about"} and there & {"turn", "turns", "turning"}:
        found.setdefault("angle", 180.0)
    if there & LEFT and there & RIGHT:
        raise InvalidInputError(
            f"{text!r} asks for left and right at once. Say which comes first, with 'then'."
        )
    speed = found.pop("speed", None)
    manner = "slow" if there & SLOW else "fast" if there & FAST else None
    moving = set().union(*(m.words for m in MOVEMENTS)) | known
    idle = (SLOW | FAST | LEFT | RIGHT | STRAIGHT | FILLERS | set(NUMBERS)) - known
    kept = tuple(w for w in words if w in moving or w not in idle)
    if "steps" in found and not kept:
        kept = ("walk",)
    _check_numbers(text, found | ({} if speed is None else {"speed": speed}))
    return replace(
        Clause(text),
        speed=manner if speed is None else speed,
        side="left" if there & LEFT else "right" if there & RIGHT else None,
        straight=bool(there & STRAIGHT),
        backward=bool(there & BACK),
        words=kept,
        **found,  # type: ignore[arg-type]
    )


def _value(match: re.Match[str]) -> float:
    said = match["n"]
    if said.startswith("half"):
        value = 0.5
    else:
        value = NUMBERS[said] if said in NUMBERS else float(said.replace(",", "."))
    return 60.0 * value if match["u"].startswith("min") else value


def _check_numbers(text: str, found: dict[str, float]) -> None:
    limits = {
        "duration": LONGEST_DURATION,
        "distance": 100.0,
        "angle": 720.0,
        "steps": 100.0,
        "times": 20.0,
        "speed": 10.0,
    }
    for name, value in found.items():
        if not 0 < value <= limits[name]:
            raise InvalidInputError(
                f"{text!r}: a {name} of {value:g} is out of range; at most {limits[name]:g}, and "
                "more than 0."
            )
