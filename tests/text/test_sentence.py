"""Sentences into clauses, and clauses to movements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from kinesis_neuro.errors import InvalidInputError, MissingDependencyError
from kinesis_neuro.motion.clips import Clip
from kinesis_neuro.text import matching
from kinesis_neuro.text.matching import match_clause
from kinesis_neuro.text.sentence import LONGEST_SENTENCE, Clause, read_sentence
from kinesis_neuro.text.vocabulary import MOVEMENTS, Movement, movements_of

HELD = {m.name: m for m in MOVEMENTS if m.name in ("walk", "run", "turn", "backward", "circle")}


def one(sentence: str) -> Clause:
    (clause,) = read_sentence(sentence)
    return clause


@pytest.mark.parametrize(
    ("sentence", "clauses"),
    [
        (
            "Walk forward slowly, then turn left and run.",
            ["walk forward slowly", "turn left", "run"],
        ),
        ("walk, slowly, for 3 s", ["walk slowly for 3 s"]),
        ("walk slowly and carefully", ["walk slowly and carefully"]),
        ("a person walks, turning left", ["a person walks turning left"]),
        ("run. For three seconds.", ["run for three seconds"]),
        ("walk and prance", ["walk", "prance"]),
        ("jog; walk; jog", ["jog", "walk", "jog"]),
        ("walk 1.5 m then run", ["walk 1.5 m", "run"]),
    ],
)  # fmt: skip
def test_a_sentence_is_divided(sentence: str, clauses: list[str]) -> None:
    found = [" ".join(c.text.replace(" and ", " ").split()) for c in read_sentence(sentence)]
    assert found == [" ".join(c.replace(" and ", " ").split()) for c in clauses]


@pytest.mark.parametrize(
    ("sentence", "name", "value"),
    [
        ("run for three seconds", "duration", 3.0),
        ("run for 2.5 s", "duration", 2.5),
        ("walk for half a minute", "duration", 30.0),
        ("walk for a minute", "duration", 60.0),
        ("walk 5 m", "distance", 5.0),
        ("walk ten metres", "distance", 10.0),
        ("walk at 1.2 m/s", "speed", 1.2),
        ("run quickly", "speed", "fast"),
        ("walk slowly", "speed", "slow"),
        ("turn right 90 degrees", "angle", 90.0),
        ("turn around", "angle", 180.0),
        ("turn left", "side", "left"),
        ("rotate clockwise", "side", "right"),
        ("take five steps", "steps", 5.0),
        ("walk in a circle twice", "times", 2.0),
        ("step back", "backward", True),
        ("walk straight ahead", "straight", True),
    ],
)
def test_what_a_clause_asks_for(sentence: str, name: str, value: object) -> None:
    assert getattr(one(sentence), name) == value


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("walk " * 2000, f"10000 characters; at most {LONGEST_SENTENCE}"),
        ("gehe langsam vorwärts", "ä.*Only English"),
        ("向前走", "Only English"),
        ("walk left and right at once", "left and right"),
        ("do not walk", r"not understood \(not\)"),
        ("walk for 600 seconds", "at most 60"),
        ("walk 0 m", "more than 0"),
        (". then . then", "1 to 12 clauses, got 0"),
        ("walk then " * 20, "got 20"),
    ],
)
def test_what_is_no_sentence_is_refused_in_words(sentence: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        read_sentence(sentence)


@pytest.mark.parametrize(
    ("sentence", "movement"),
    [
        ("stroll ahead", "walk"),
        ("a person is jogging", "run"),
        ("turn left", "turn"),
        ("walk to the left", "turn"),
        ("run to the left", "run"),
        ("walk in a circle", "circle"),
        ("take a few steps back", "backward"),
        ("go straight on", "walk"),
    ],
)
def test_words_name_movements(sentence: str, movement: str) -> None:
    match = match_clause(one(sentence), HELD, "words")
    assert (match.movement.name, match.score, match.by) == (movement, 1.0, "words")


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("do a cartwheel", "no clip of 'do a cartwheel'.*There are clips of: run forward"),
        ("walk on your hands", "no clip of 'do a cartwheel'"),
        ("climb the stairs", "no clip of 'climb stairs'"),
        ("stand still", "no clip of 'stand still"),
        ("walk to the kitchen", "'kitchen'"),
        ("marche lentement", "'marche', 'lentement'.*Only English"),
        ("forward", "any movement"),
        ("run backwards", "running backwards"),
    ],
)
def test_what_there_is_no_clip_of_is_refused(sentence: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        match_clause(one(sentence), HELD, "words")


def fake_encoder(near: dict[str, str]) -> matching.Encoder:
    """Texts are alike if they are the same, or as a table says, at an angle of 30 degrees."""

    def encode(texts: Sequence[str]) -> np.ndarray:
        names = list(dict.fromkeys([*texts, *near.values()]))
        vectors = np.zeros((len(texts), len(names)))
        for k, text in enumerate(texts):
            vectors[k, names.index(near.get(text, text))] = 0.87 if text in near else 1.0
        return vectors

    return encode


def test_the_encoder_is_asked_about_what_words_do_not_say() -> None:
    encoder = fake_encoder({"hurry along": "run forward", "prance": "dance"})
    match = match_clause(one("hurry along"), HELD, encoder=encoder)
    assert (match.movement.name, match.by, match.unheeded) == ("run", "encoder", ("hurry",))
    assert match.score == pytest.approx(0.87)
    with pytest.raises(InvalidInputError, match="no clip of 'dance'"):
        match_clause(one("prance"), HELD, encoder=encoder)
    with pytest.raises(InvalidInputError, match=r"like no movement.*0\.00"):
        match_clause(one("meditate"), HELD, encoder=encoder)
    # Known words are not asked about.
    assert match_clause(one("walk"), HELD, encoder=encoder).by == "words"


def test_only_the_word_makes_it_go_backwards() -> None:
    encoder = fake_encoder({"wander off": "walk backwards", "wobble back": "walk forward"})
    with pytest.raises(InvalidInputError, match="like no movement"):
        match_clause(one("wander off"), HELD, "encoder", encoder)
    with pytest.raises(InvalidInputError, match="like no movement"):
        match_clause(one("wobble back"), HELD, "encoder", encoder)


def test_without_the_encoder_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "has_encoder", lambda: False)
    matching.sentence_encoder.cache_clear()
    with pytest.raises(InvalidInputError, match="extra 'text'"):
        match_clause(one("prance"), HELD)
    with pytest.raises(MissingDependencyError, match=r"kinesis-neuro\[text\]"):
        match_clause(one("walk"), HELD, "encoder")
    with pytest.raises(InvalidInputError, match="auto, encoder, words"):
        match_clause(one("walk"), HELD, "llm")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("sentence", "movement"),
    [("hurry forward", "run"), ("wander along the beach", "walk"), ("jog fast", "run")],
)
def test_the_sentence_encoder_itself(sentence: str, movement: str) -> None:
    pytest.importorskip(matching.ENCODER_PACKAGE, reason="the extra 'text' is not installed")
    assert match_clause(one(sentence), HELD, "encoder").movement.name == movement


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "sentence",
    [
        "marche lentement",
        "corre hacia la izquierda",
        "lauf schnell",
        "correre in avanti",
        "the weather is nice",
        "eat an apple",
        "sing a song",
        "do a cartwheel",
        "wave hello",
    ],
)
def test_the_sentence_encoder_refuses(sentence: str) -> None:
    pytest.importorskip(matching.ENCODER_PACKAGE, reason="the extra 'text' is not installed")
    with pytest.raises(InvalidInputError, match=r"like no movement|no clip of"):
        match_clause(one(sentence), HELD, "encoder")


def clip(name: str, skill: str) -> Clip:
    return Clip(name, skill, "anna", 0, 300, 150.0, 1.0, 0.0, None, None, "", "", "")


def test_clips_show_what_their_labels_say() -> None:
    clips = [
        clip("a_walk", "walk"),
        clip("b_stealthy_walk", "walk"),
        clip("c", "turning_run"),
        clip("d", "moon_walk"),
    ]
    found = movements_of(clips)
    assert [found[c.name].name for c in clips] == ["walk", "sneak", "run", "moon_walk"]
    held: dict[str, Movement] = {m.name: m for m in found.values()}
    (clause,) = read_sentence("moon walk", {"moon"})
    assert match_clause(clause, held, "words").movement.name == "moon_walk"
