"""Streams of environments: the published generator, and numbers that nobody else can change."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kinesis_neuro.env.streams import Streams, philox

ALL = np.arange(50)

# Of the authors' Random123 library: counter, key, answer.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_gives_the_known_answers(counter: str, key: str, answer: str) -> None:
    first, second = words(key)
    given = np.array(words(counter), dtype=np.uint64)
    assert philox(given, (first, second)).tolist() == words(answer)


def test_what_one_draws_does_not_depend_on_the_others() -> None:
    together, apart, rng = Streams(3, 8), [Streams(3, 3), Streams(3, 5, first=3)], np.random
    choose = rng.default_rng(0)
    for _ in range(20):
        which = np.flatnonzero(choose.random(8) < 0.5)
        expected = np.concatenate(
            [
                apart[0].uniform(which[which < 3], 3),
                apart[1].uniform(which[which >= 3] - 3, 3),
            ]
        )
        np.testing.assert_array_equal(together.uniform(which, 3), expected)


def test_the_state_is_how_often_each_has_drawn() -> None:
    one, other = Streams(1, 4), Streams(1, 4)
    one.uniform(np.array([0, 2, 2]), 2)
    one.uniform(np.array([2, 3]), 5)
    other.drawn[:] = one.drawn
    np.testing.assert_array_equal(one.uniform(ALL[:4], 4), other.uniform(ALL[:4], 4))


@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_are_spread_as_they_should_be(seed: int) -> None:
    streams = Streams(seed, 50)
    uniform = streams.of(ALL).random((50, 200))
    normal = streams.of(ALL).standard_normal((50, 200))
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-3
    assert stats.kstest(normal.ravel(), "norm").pvalue > 1e-3
    # Neither neighbours in a stream nor neighbouring streams know of each other.
    for values in (uniform, normal):
        for axis in (0, 1):
            ahead, behind = np.moveaxis(values, axis, 0)[1:], np.moveaxis(values, axis, 0)[:-1]
            assert stats.pearsonr(ahead.ravel(), behind.ravel()).pvalue > 1e-3
    assert not np.isin(Streams(seed + 2, 50).uniform(ALL, 200), uniform).any()


def test_draws_are_those_of_a_generator() -> None:
    draws, many = Streams(5, 50).of(ALL), 400
    low, high = np.tile([0, 3], 25), np.tile([4, 5], 25)
    whole = np.stack([draws.integers(low, high) for _ in range(many)])
    for first, (start, end) in enumerate([(0, 4), (3, 5)]):
        values, count = np.unique(whole[:, first::2], return_counts=True)
        assert values.tolist() == list(range(start, end))
        assert stats.chisquare(count).pvalue > 1e-3
    spread = draws.uniform([-2.0, 1.0], [-1.0, 5.0], (50, 2))
    assert ((spread >= [-2.0, 1.0]) & (spread < [-1.0, 5.0])).all() and np.ptp(spread[:, 1]) > 3.0
    chance = np.array([0.5, 0.0, 0.2, 0.3])
    chosen = np.concatenate([draws.choice(4, size=50, p=chance) for _ in range(many)])
    count = np.bincount(chosen, minlength=4)
    assert count[1] == 0
    assert stats.chisquare(count[[0, 2, 3]], chance[[0, 2, 3]] * chosen.size).pvalue > 1e-3


def test_others_cannot_draw() -> None:
    with pytest.raises(ValueError, match="50 environments cannot draw 3 rows"):
        Streams(0, 50).of(ALL).random(3)
