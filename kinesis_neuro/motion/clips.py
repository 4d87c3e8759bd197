"""Clips of a motion library, and writing one: many clips of one body in one memory-mapped file.

A library is a folder: ``poses.npy`` (all frames of all clips, mapped and not read), ``index.json``
(what each clip is, where it lies, its hash) and, where clips have them, ``contact.npy`` (measured
ground forces). `repertoire` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.formats.atomic import atomic_directory
from kinesis_neuro.motion.reference import GroundContact, ReferenceMotion
from kinesis_neuro.provenance import hash_arrays

VERSION = 1
POSES, CONTACT, INDEX = "poses.npy", "contact.npy", "index.json"


@dataclass(frozen=True)
class Clip:
    """What the index says of one clip.

    Attributes
    ----------
    name, skill : str
        Unique name, and label such as ``walk``, ``run``, ``turn``.
    person : str
        Who or what it was recorded from; splits hold whole persons out.
    start, n_frames : int
        Where it lies among the poses.
    rate, speed, turning_rate : float
        Frames a second [Hz], mean speed of the pelvis [m/s], mean rate of its heading [rad/s],
        to the left positive.
    displacement : tuple of float or None
        Way of one cycle [m], if it is periodic.
    contact_start : int or None
        Where its ground forces lie, if it has any.
    source, licence, hash : str
        As of the motion.
    quality : str
        The retarget report in one line.
    contact_hash : str
        Of its ground forces; empty if it has none.
    """

    name: str
    skill: str
    person: str
    start: int
    n_frames: int
    rate: float
    speed: float
    turning_rate: float
    displacement: tuple[float, float, float] | None
    contact_start: int | None
    source: str
    licence: str
    hash: str
    quality: str = ""
    contact_hash: str = ""

    @property
    def duration(self) -> float:
        """Duration [s]."""
        return (self.n_frames - (self.displacement is None)) / self.rate


@dataclass(frozen=True)
class Entry:
    """A motion that is to be put in a library, with what it does not know of itself."""

    motion: ReferenceMotion
    skill: str
    person: str
    quality: str = ""


def speed_and_turning(motion: ReferenceMotion) -> tuple[float, float]:
    """Mean speed of the pelvis over the floor [m/s] and mean turning rate [rad/s].

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> speed, turning = speed_and_turning(load_motion("walk"))
    >>> round(speed, 1), round(abs(turning), 1)
    (1.0, 0.0)
    """
    w, x, y, z = motion.qpos[:, 3:7].T
    heading = np.unwrap(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))
    seconds = (motion.n_frames - 1) / motion.rate
    speed = float(np.linalg.norm(motion.qvel[:, :2], axis=1).mean())
    return speed, float(heading[-1] - heading[0]) / seconds


def contact_hash(contact: GroundContact) -> str:
    """Hash of ground forces and of the places where they act."""
    return hash_arrays({"force": contact.force, "pressure": contact.center_of_pressure})


def write_library(path: str | Path, entries: Sequence[Entry]) -> None:
    """Write motions of one body to a library, in place of one that is there.

    Parameters
    ----------
    path : str or Path
        The folder.
    entries : sequence of Entry

    Raises
    ------
    InvalidInputError
        No motions, a name twice, or motions of different bodies.
    WriteError
        The operating system refused; a former library is as it was.
    """
    names = [entry.motion.name for entry in entries]
    if not entries or len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InvalidInputError(
            f"A library needs motions with names of their own, got {', '.join(twice) or 'none'}."
        )
    body = entries[0].motion.body
    others = sorted({entry.motion.body.name for entry in entries} - {body.name})
    if others:
        raise InvalidInputError(
            f"A library holds motions of one body, got {body.name} and {', '.join(others)}."
        )
    clips, start, contact_start = [], 0, 0
    for entry in entries:
        motion = entry.motion
        speed, turning = speed_and_turning(motion)
        way = motion.displacement
        clips.append(
            Clip(
                motion.name,
                entry.skill,
                entry.person,
                start,
                motion.n_frames,
                motion.rate,
                speed,
                turning,
                None if way is None else (float(way[0]), float(way[1]), float(way[2])),
                None if motion.contact is None else contact_start,
                motion.source,
                motion.licence,
                motion.hash,
                entry.quality,
                "" if motion.contact is None else contact_hash(motion.contact),
            )
        )
        start += motion.n_frames
        contact_start += 0 if motion.contact is None else motion.n_frames
    index = {
        "version": VERSION,
        "body": body.name,
        "body_layout": body.fingerprint["layout"],
        "nq": body.model.nq,
        "clips": [asdict(clip) for clip in clips],
    }
    forces = [e.motion.contact for e in entries if e.motion.contact is not None]
    with atomic_directory(path) as part:
        np.save(part / POSES, np.concatenate([entry.motion.qpos for entry in entries]))
        if forces:
            stacked = [np.concatenate([c.force, c.center_of_pressure], axis=-1) for c in forces]
            np.save(part / CONTACT, np.concatenate(stacked))
        (part / INDEX).write_text(json.dumps(index, indent=1))
