"""MotionLibrary: many clips of one body in one memory-mapped file, with an index and splits.

A library is a folder: ``poses.npy`` (all frames of all clips, mapped and not read), ``index.json``
(what each clip is, where it lies, its hash) and, where clips have them, ``contact.npy`` (measured
ground forces). Index and data are checked against each other; a clip whose hash differs is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.errors import FileFormatError, IncompatibleError, InvalidInputError, unknown_name
from kinesis_neuro.formats.atomic import atomic_directory, recover_directory
from kinesis_neuro.motion.reference import GroundContact, ReferenceMotion

FloatArray = NDArray[np.float64]

VERSION = 1
_EXPECTED = "a motion library: a folder with poses.npy and index.json"


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
        np.save(part / "poses.npy", np.concatenate([entry.motion.qpos for entry in entries]))
        if forces:
            stacked = [np.concatenate([c.force, c.center_of_pressure], axis=-1) for c in forces]
            np.save(part / "contact.npy", np.concatenate(stacked))
        (part / "index.json").write_text(json.dumps(index, indent=1))


class MotionLibrary:
    """Clips of one body, or some of them.

    Parameters
    ----------
    path : str or Path
        The folder that `write_library` made.
    keys : iterable of str, optional
        Names of the clips to take, in this order; all if not given.

    Raises
    ------
    FileFormatError
        No library, or index and data disagree.
    IncompatibleError
        The library belongs to another layout of its body.
    InvalidInputError
        A key is not in the library.
    """

    def __init__(self, path: str | Path, keys: Iterable[str] | None = None) -> None:
        self.path = Path(path)
        recover_directory(self.path)
        index, self._poses, self._contact = _open(self.path)
        self.body: Body = load_body(index["body"])
        layout = self.body.fingerprint["layout"]
        if index["body_layout"] != layout:
            raise IncompatibleError(
                f"{self.path} was made for another layout of body {self.body.name!r}. Build the "
                "library again with this version."
            )
        self.clips = _clips(self.path, index, len(self._poses), self._contact)
        if keys is not None:
            by_name = {clip.name: clip for clip in self.clips}
            wanted = list(keys)
            missing = [key for key in wanted if key not in by_name]
            if missing:
                raise unknown_name("clip", ", ".join(missing), by_name)
            self.clips = tuple(by_name[key] for key in wanted)

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.clips)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the clips."""
        return tuple(clip.name for clip in self.clips)

    @property
    def table(self) -> pd.DataFrame:
        """The index, one row a clip, with its duration [s]."""
        frame = pd.DataFrame([asdict(clip) for clip in self.clips])
        frame["duration"] = [clip.duration for clip in self.clips]
        return frame

    def motion(self, clip: str | int) -> ReferenceMotion:
        """Take one clip out, by name or number, and check it against its hash.

        Raises
        ------
        FileFormatError
            The poses are not those that the index was written with.
        """
        if isinstance(clip, str):
            if clip not in self.names:
                raise unknown_name("clip", clip, self.names)
            clip = self.names.index(clip)
        about = self.clips[clip]
        part = slice(about.start, about.start + about.n_frames)
        contact = None
        if about.contact_start is not None and self._contact is not None:
            rows = slice(about.contact_start, about.contact_start + about.n_frames)
            values = np.array(self._contact[rows])
            contact = GroundContact(values[..., :3], values[..., 3:])
        way = None if about.displacement is None else np.array(about.displacement)
        motion = ReferenceMotion.from_poses(
            self.body,
            np.array(self._poses[part]),
            about.rate,
            name=about.name,
            displacement=way,
            contact=contact,
            source=about.source,
            licence=about.licence,
        )
        if motion.hash != about.hash:
            raise FileFormatError(
                self.path / "poses.npy",
                f"other poses of {about.name!r} than the index was written with",
                f"poses with hash {about.hash[:12]}: build the library again",
            )
        return motion

    def subset(self, keys: Iterable[str]) -> MotionLibrary:
        """The same library with some of its clips."""
        return MotionLibrary(self.path, keys)

    def weights(self, by: str = "duration") -> FloatArray:
        """Weights (n_clips,) to sample with, summing to one.

        Parameters
        ----------
        by : {"duration", "clip", "skill"}
            By how long a clip lasts; equal for all clips; or equal for all skills, within them by
            duration.
        """
        duration = np.array([clip.duration for clip in self.clips])
        if by == "duration":
            weight = duration
        elif by == "clip":
            weight = np.ones_like(duration)
        elif by == "skill":
            skills = np.array([clip.skill for clip in self.clips])
            total = {skill: duration[skills == skill].sum() for skill in set(skills)}
            weight = duration / np.array([total[skill] for skill in skills])
        else:
            raise unknown_name("weighting", by, ("duration", "clip", "skill"))
        return weight / weight.sum()

    def sample(
        self, n: int, rng: np.random.Generator, weights: FloatArray | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Draw clips by weight, and a frame of each at random.

        Parameters
        ----------
        n : int
        rng : numpy.random.Generator
        weights : ndarray, shape (n_clips,), optional
            Not negative, in any scale; by duration if not given.

        Returns
        -------
        clip, frame : ndarray of int, shape (n,)
        """
        chance = self.weights() if weights is None else np.asarray(weights, dtype=float)
        if (
            chance.shape != (len(self),)
            or not np.isfinite(chance).all()
            or chance.min() < 0
            or chance.sum() <= 0
        ):
            raise InvalidInputError(
                f"weights must be {len(self)} numbers, not negative and not all zero."
            )
        drawn = rng.choice(len(self), size=n, p=chance / chance.sum())
        frames = np.array([clip.n_frames for clip in self.clips])[drawn]
        return drawn, np.floor(rng.random(n) * frames).astype(np.intp)


def _open(path: Path) -> tuple[dict, NDArray, NDArray | None]:
    try:
        index = json.loads((path / "index.json").read_text())
        poses = np.load(path / "poses.npy", mmap_mode="r", allow_pickle=False)
        contact = path / "contact.npy"
        forces = np.load(contact, mmap_mode="r", allow_pickle=False) if contact.exists() else None
    except (OSError, ValueError, EOFError) as error:
        raise FileFormatError(path, f"cannot be opened ({error})", _EXPECTED) from error
    keys = {"version", "body", "body_layout", "nq", "clips"}
    if not isinstance(index, dict) or not keys <= set(index) or index["version"] != VERSION:
        raise FileFormatError(path / "index.json", "another layout of the index", _EXPECTED)
    if poses.ndim != 2 or poses.shape[1] != index["nq"] or poses.dtype != np.float64:
        raise FileFormatError(
            path / "poses.npy",
            f"{poses.dtype} of shape {poses.shape}",
            f"float64 of shape (frames, {index['nq']})",
        )
    return index, poses, forces


def _clips(path: Path, index: dict, n_poses: int, contact: NDArray | None) -> tuple[Clip, ...]:
    file = path / "index.json"
    try:
        clips = tuple(
            Clip(**{**clip, "displacement": clip["displacement"] and tuple(clip["displacement"])})
            for clip in index["clips"]
        )
    except (TypeError, KeyError) as error:
        raise FileFormatError(file, f"a clip that cannot be read ({error})", _EXPECTED) from error
    end = 0
    for clip in clips:
        if clip.start != end or clip.n_frames < 3:
            raise FileFormatError(
                file, f"clip {clip.name!r} at frame {clip.start}", f"clips side by side, at {end}"
            )
        end += clip.n_frames
    if end != n_poses:
        raise FileFormatError(
            path / "poses.npy", f"{n_poses} frames", f"the {end} frames of the index"
        )
    forces = sum(clip.n_frames for clip in clips if clip.contact_start is not None)
    if forces != (0 if contact is None else len(contact)):
        raise FileFormatError(
            path / "contact.npy",
            f"{0 if contact is None else len(contact)} frames",
            f"the {forces} frames of the index",
        )
    if len({clip.name for clip in clips}) < len(clips):
        raise FileFormatError(file, "a name of a clip twice", "one clip a name")
    return clips
