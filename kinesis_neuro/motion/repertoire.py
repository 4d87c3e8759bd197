"""MotionLibrary: the clips of a library on disk, mapped into memory, checked, drawn by weight.

Index and data are checked against each other when a library is opened; a clip whose poses or ground
forces have another hash than the index says is refused when it is taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.errors import FileFormatError, IncompatibleError, InvalidInputError, unknown_name
from kinesis_neuro.formats.atomic import recover_directory
from kinesis_neuro.motion.clips import CONTACT, INDEX, POSES, VERSION, Clip, contact_hash
from kinesis_neuro.motion.reference import GroundContact, ReferenceMotion

FloatArray = NDArray[np.float64]

WEIGHTINGS = ("duration", "clip", "skill")
_EXPECTED = "a motion library: a folder with poses.npy and index.json"


def is_library(path: str | Path) -> bool:
    """Whether a folder is a motion library, to look at its names alone."""
    recover_directory(path)
    return (Path(path) / INDEX).is_file()


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
            Poses or ground forces are not those that the index was written with.
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
            library=self.path,
        )
        said = "" if contact is None else contact_hash(contact)
        for file, found, wanted in (
            (POSES, motion.hash, about.hash),
            (CONTACT, said, about.contact_hash),
        ):
            if found != wanted:
                raise FileFormatError(
                    self.path / file,
                    f"other values of {about.name!r} than the index was written with",
                    f"values with hash {wanted[:12]}: build the library again",
                )
        return motion

    def motions(self) -> list[ReferenceMotion]:
        """All clips, in order."""
        return [self.motion(k) for k in range(len(self))]

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
            raise unknown_name("weighting", by, WEIGHTINGS)
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
        index = json.loads((path / INDEX).read_text())
        poses = np.load(path / POSES, mmap_mode="r", allow_pickle=False)
        contact = path / CONTACT
        forces = np.load(contact, mmap_mode="r", allow_pickle=False) if contact.exists() else None
    except (OSError, ValueError, EOFError) as error:
        raise FileFormatError(path, f"cannot be opened ({error})", _EXPECTED) from error
    keys = {"version", "body", "body_layout", "nq", "clips"}
    if not isinstance(index, dict) or not keys <= set(index) or index["version"] != VERSION:
        raise FileFormatError(path / INDEX, "another layout of the index", _EXPECTED)
    if poses.ndim != 2 or poses.shape[1] != index["nq"] or poses.dtype != np.float64:
        raise FileFormatError(
            path / POSES,
            f"{poses.dtype} of shape {poses.shape}",
            f"float64 of shape (frames, {index['nq']})",
        )
    if forces is not None and (forces.shape[1:] != (2, 6) or forces.dtype != np.float64):
        raise FileFormatError(
            path / CONTACT,
            f"{forces.dtype} of shape {forces.shape}",
            "float64 of shape (frames, 2, 6): force and centre of pressure of both feet",
        )
    return index, poses, forces


def _clips(path: Path, index: dict, n_poses: int, contact: NDArray | None) -> tuple[Clip, ...]:
    file = path / INDEX
    try:
        clips = tuple(
            Clip(**{**clip, "displacement": clip["displacement"] and tuple(clip["displacement"])})
            for clip in index["clips"]
        )
        places = [
            (c.start, c.n_frames, -1 if c.contact_start is None else c.contact_start) for c in clips
        ]
        if not all(isinstance(number, int) for place in places for number in place):
            raise TypeError("a frame number is no whole number")
    except (TypeError, KeyError) as error:
        raise FileFormatError(file, f"a clip that cannot be read ({error})", _EXPECTED) from error
    if len({clip.name for clip in clips}) < len(clips):
        raise FileFormatError(file, "a name of a clip twice", "one clip a name")
    end = forces = 0
    for clip, (start, n_frames, contact_start) in zip(clips, places, strict=True):
        if start != end or n_frames < 3:
            raise FileFormatError(
                file, f"clip {clip.name!r} at frame {start}", f"clips side by side, at {end}"
            )
        if contact_start not in (-1, forces):
            raise FileFormatError(
                file,
                f"ground forces of {clip.name!r} at frame {contact_start}",
                f"ground forces side by side, at {forces}",
            )
        end += n_frames
        forces += 0 if contact_start < 0 else n_frames
    for name, said, found in (
        (POSES, end, n_poses),
        (CONTACT, forces, 0 if contact is None else len(contact)),
    ):
        if said != found:
            raise FileFormatError(path / name, f"{found} frames", f"the {said} frames of the index")
    return clips
