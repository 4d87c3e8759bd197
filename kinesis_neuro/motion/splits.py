"""Training, validation and test clips, by key files that hold whole persons out.

A key file is a text of names, one a line (lines with # are remarks), or a JSON list; KINESIS's
split lists, written as either, can be given as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kinesis_neuro.errors import FileFormatError, InvalidInputError
from kinesis_neuro.formats.atomic import atomic_path
from kinesis_neuro.motion.clips import Clip

SPLITS = ("train", "validation", "test")
_EXPECTED = "a key file: one name of a clip a line, or a JSON list of names"


def read_keys(path: str | Path) -> tuple[str, ...]:
    """Read a key file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    tuple of str

    Raises
    ------
    FileFormatError
        No such file, no names, or a name twice.

    Examples
    --------
    >>> read_keys("train.txt")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: train.txt: no such file. Expected a key file: ...
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(path, "a folder" if path.is_dir() else "no such file", _EXPECTED)
    try:
        text = path.read_text(encoding="utf-8")
        if text.lstrip().startswith("["):
            keys = json.loads(text)
        else:
            lines = (line.split("#")[0].strip() for line in text.splitlines())
            keys = [line for line in lines if line]
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FileFormatError(path, f"cannot be read ({error})", _EXPECTED) from error
    if not keys or not all(isinstance(key, str) for key in keys):
        found = "entries that are no text" if keys else "no names"
        raise FileFormatError(path, found, _EXPECTED)
    if len(set(keys)) < len(keys):
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise FileFormatError(path, f"{', '.join(twice)} more than once", _EXPECTED)
    return tuple(keys)


def write_keys(path: str | Path, keys: Iterable[str], remark: str = "") -> None:
    """Write a key file of one name a line, with a remark in its first."""
    lines = [f"# {remark}"] if remark else []
    with atomic_path(path) as part:
        part.write_text("\n".join([*lines, *keys]) + "\n", encoding="utf-8")


def split_by_person(
    clips: Sequence[Clip], held_out: Mapping[str, Iterable[str]]
) -> dict[str, tuple[str, ...]]:
    """Divide clips so that a person's are all in one split.

    Parameters
    ----------
    clips : sequence of Clip
    held_out : mapping
        Persons of ``validation`` and of ``test``; all others are for training.

    Returns
    -------
    dict of str to tuple of str
        Names of the clips of each of :data:`SPLITS`.

    Raises
    ------
    InvalidInputError
        A person is unknown, or in two splits.
    """
    persons = {clip.person for clip in clips}
    place: dict[str, str] = {}
    for split, names in held_out.items():
        if split not in SPLITS[1:]:
            raise InvalidInputError(f"Hold out for {' or '.join(SPLITS[1:])}, got {split!r}.")
        for person in names:
            if person not in persons:
                raise InvalidInputError(
                    f"Unknown person {person!r}. Available: {', '.join(sorted(persons))}."
                )
            if person in place:
                raise InvalidInputError(f"Person {person!r} is held out twice.")
            place[person] = split
    return {
        split: tuple(clip.name for clip in clips if place.get(clip.person, "train") == split)
        for split in SPLITS
    }


def check_splits(clips: Sequence[Clip], splits: Mapping[str, Sequence[str]]) -> None:
    """Refuse splits that share a clip or a person.

    Raises
    ------
    InvalidInputError
        Two splits share a person, so that one tests on people that the other trains on.
    """
    person = {clip.name: clip.person for clip in clips}
    where: dict[str, str] = {}
    for split, names in splits.items():
        for name in names:
            if name not in person:
                raise InvalidInputError(f"Unknown clip {name!r} in split {split!r}.")
            if where.setdefault(person[name], split) != split:
                raise InvalidInputError(
                    f"Person {person[name]!r} is in {where[person[name]]!r} and in {split!r}: "
                    "hold whole persons out."
                )
