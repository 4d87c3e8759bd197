"""The words that are understood: movements, how and where to, numbers, and words without weight.

A movement has words, by which it is known without any model, and phrases, to which a sentence
encoder compares what has no such words. Movements that a library rarely holds stand here as well:
what is understood to be a cartwheel is not taken for the walk that it resembles most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kinesis_neuro.motion.clips import Clip


@dataclass(frozen=True)
class Movement:
    """A kind of movement.

    Attributes
    ----------
    name : str
    phrases : tuple of str
        What it is called in sentences; the first is the one that is shown.
    words : frozenset of str
        Each means this movement, unless a more particular one is named as well.
    skills : tuple of str
        Labels of clips that show it.
    """

    name: str
    phrases: tuple[str, ...]
    words: frozenset[str]
    skills: tuple[str, ...] = ()


def _movement(name: str, phrases: str, words: str, skills: str = "") -> Movement:
    return Movement(
        name, tuple(phrases.split(", ")), frozenset(words.split()), tuple(skills.split())
    )


WALK, RUN, TURN, BACKWARD = "walk", "run", "turn", "backward"

MOVEMENTS = (
    # The more particular first: in "walk in a circle" it is the circle that counts.
    _movement(
        "acrobatics",
        "do a cartwheel, do a somersault, do a handstand, walk on your hands",
        "cartwheel cartwheels somersault somersaults handstand handstands flip flips backflip "
        "hands",
    ),
    _movement("crawl", "crawl on hands and knees", "crawl crawls crawling"),
    _movement("jump", "jump, leap up", "jump jumps jumping leap leaps leaping", "jump"),
    _movement("hop", "hop on one leg, skip", "hop hops hopping skip skips skipping", "hop"),
    _movement("kick", "kick a ball", "kick kicks kicking ball", "kick"),
    _movement("sit", "sit down on a chair", "sit sits sitting chair"),
    _movement("lie", "lie down, fall down", "lie lies lying fall falls falling"),
    _movement(
        "climb", "climb stairs, go up a ladder", "climb climbs climbing stairs ladder uphill"
    ),
    _movement("dance", "dance, waltz", "dance dances dancing waltz"),
    _movement("swim", "swim", "swim swims swimming"),
    _movement("ride", "ride a bicycle", "ride rides riding bicycle bike"),
    _movement(
        "arms",
        "wave a hand, throw a ball, punch, clap",
        "wave waves waving throw throws throwing punch punches clap claps hand arm arms",
    ),
    _movement(
        "squat",
        "squat, kneel down, crouch, bend down",
        "squat squats squatting kneel crouch crouches crouching bend bends bow",
    ),
    _movement(
        "sidestep",
        "step sideways, side shuffle",
        "sideways sidestep sidesteps sidestepping shuffle shuffles",
        "sidestep",
    ),
    _movement("stand", 
        "stand still, wait without moving",
        "stand stands standing wait waits still stop stops", "stand"),
    _movement(
        "sway",
        "walk with a swaying upper body",
        "sway sways swaying trunk",
        "trunk_sway_walk",
    ),
    _movement(
        "sneak",
        "sneak stealthily, walk on tiptoe",
        "sneak sneaks sneaking stealthy stealthily tiptoe tiptoes creep creeps creeping",
        "sneak",
    ),
    _movement(
        "circle",
        "walk in a circle, walk around in circles",
        "circle circles circling loop loops",
        "circle",
    ),
    _movement(
        BACKWARD,
        "walk backwards, step back",
        "backward backwards back reverse retreat retreats",
        "backward",
    ),
    _movement(
        RUN,
        "run forward, jog, sprint",
        "run runs running jog jogs jogging sprint sprints sprinting race rush rushes rushing dash",
        "run turning_run",
    ),
    _movement(
        TURN,
        "turn left, turn right, turn around",
        "turn turns turning rotate rotates rotating veer veers swerve pivot turnaround",
        "turn turning_walk",
    ),
    _movement(
        WALK,
        "walk forward, a person walks straight ahead, stroll along",
        "walk walks walking stroll strolls strolling go goes going move moves moving march marches "
        "pace paces wander amble step steps stride strides stepping proceed",
        "walk",
    ),
)  # fmt: skip
"""All movements that are told apart."""

SLOW = frozenset(
    "slow slowly slower leisurely gently gingerly lazily calmly carefully cautiously".split()
)
FAST = frozenset(
    "fast faster quick quickly quicker brisk briskly rapid rapidly swift swiftly speedily".split()
)
LEFT = frozenset("left leftward leftwards counterclockwise anticlockwise".split())
RIGHT = frozenset("right rightward rightwards clockwise".split())
STRAIGHT = frozenset("forward forwards ahead straight onward onwards".split())
BACK = frozenset("backward backwards back reverse retreat retreats".split())

NEGATIONS = frozenset(
    "not no never without don't doesn't won't cannot can't instead except".split()
)
"""Words that turn a clause into its contrary, which nothing here understands."""

_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
NUMBERS = {word: float(k) for k, word in enumerate(_NUMBERS.split())} | {
    "a": 1.0,
    "an": 1.0,
    "half": 0.5,
    "thirty": 30.0,
    "forty": 40.0,
    "fifty": 50.0,
    "sixty": 60.0,
    "ninety": 90.0,
    "couple": 2.0,
    "few": 3.0,
    "several": 4.0,
}
"""Words for numbers; "a few" is three and "several" is four."""

FILLERS = frozenset(
    "a an the and to for in of at on with by from into along around about while then it its he she "
    "they you your his her their this that person man woman human someone somebody body please now "
    "first next finally again very quite rather really bit little more just should must will "
    "can do does make makes making take takes taking start starts starting begin begins keep "
    "keeps continue continues keeping continuing until so after before be is are down up away "
    "over out direction way pace speed towards toward side time full complete slight slightly "
    "sharp sharply".split()
)
"""Words that change nothing."""


def movement_named(name: str) -> Movement:
    """One of the movements, by name."""
    return next(movement for movement in MOVEMENTS if movement.name == name)


def movements_of(clips: Iterable[Clip]) -> dict[str, Movement]:
    """Movement of each clip, by its label.

    A label that is not known makes a movement of its own, whose words are the label's. A walk
    whose name says that it is a stealthy one is one.

    Parameters
    ----------
    clips : iterable of Clip

    Returns
    -------
    dict of str to Movement
        By name of the clip.
    """
    return {clip.name: _of_clip(clip) for clip in clips}


def _of_clip(clip: Clip) -> Movement:
    known = next((m for m in MOVEMENTS if clip.skill in m.skills), None)
    if known is None:
        words = [w for w in re.split(r"[^a-z]+", clip.skill.lower()) if w]
        return Movement(clip.skill, (" ".join(words),), frozenset(words), (clip.skill,))
    if known.name == WALK:
        named = set(re.split(r"[^a-z]+", clip.name.lower()))
        sneak = movement_named("sneak")
        return sneak if named & sneak.words else known
    return known
