"""What a policy plays when it is told nothing."""

from __future__ import annotations

import dataclasses

import pytest

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.learn.checkpoint import load_policy
from kinesis_neuro.learn.play import as_motions


def test_the_first_motion_that_it_was_trained_on() -> None:
    policy = load_policy("walk")
    (motion,) = as_motions(None, policy)
    assert motion.name == "walk"
    assert motion.hash == policy.about.motions["walk"]


def test_a_policy_of_a_library_asks_for_a_motion() -> None:
    policy = load_policy("walk")
    policy.about = dataclasses.replace(
        policy.about, name="many", motions={"clip_1": "0", "clip_2": "1"}
    )
    with pytest.raises(InvalidInputError, match=r"'many' .* not here \('clip_1', of 2 in all\)"):
        as_motions(None, policy)
