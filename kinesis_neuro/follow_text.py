"""A sentence, or a file of a text-to-motion model, followed by a policy, as a recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import xarray as xr

from kinesis_neuro.body.models import load_body
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.filming import longest_recording
from kinesis_neuro.learn.play import as_policy
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.motion.clips import Entry, write_library
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.repertoire import MotionLibrary
from kinesis_neuro.record import record
from kinesis_neuro.schema import encode_attr
from kinesis_neuro.text.generate import text_to_motion


def motion_of(
    told: str,
    library: str | Path | None = None,
    *,
    keys: Iterable[str] | None = None,
    body: str = "legs",
    matcher: str = "auto",
    say: Callable[[str], None] | None = print,
) -> ReferenceMotion:
    """Make a motion of a sentence, or read the file that a text-to-motion model wrote.

    Parameters
    ----------
    told : str
        A sentence; or the path of a motion file (HumanML3D's ``.npy``, SMPL's ``.pkl`` or
        ``.npz``), which is retargeted as it comes.
    library : str or Path, optional
        Of clips, for a sentence; the built-in gait if not given.
    keys : iterable of str, optional
        Names of the clips of the library that may be used; all if not given.
    body : str
        Where there is no library.
    matcher, say
        See :func:`kinesis_neuro.text_to_motion`.

    Examples
    --------
    >>> motion_of("walk for two seconds", say=None).name
    'walk_for_two_seconds'
    """
    path = Path(told) if len(told) < 1000 and "\n" not in told else None
    if path is not None and path.suffix in (".npy", ".pkl", ".npz"):
        return load_motion(path, body)
    shelf = None if library is None else MotionLibrary(library, keys)
    return text_to_motion(told, shelf, body=body, matcher=matcher, say=say)


def follow(
    told: str,
    policy: Policy | str | Path = "walk",
    library: str | Path | None = None,
    *,
    keys: Iterable[str] | None = None,
    matcher: str = "auto",
    seed: int = 0,
    keep: str | Path | None = None,
    say: Callable[[str], None] | None = print,
) -> xr.Dataset:
    """Record a policy that follows a sentence, zero-shot: it was not trained on it.

    Parameters
    ----------
    told, library, keys, matcher, say
        See :func:`motion_of`.
    policy : Policy, str or Path
        A policy, the name of a shipped one, or a folder.
    seed : int
        Of the environment.
    keep : str or Path, optional
        Folder of a new motion library that the motion is written to, to be looked at, rendered or
        trained on.

    Returns
    -------
    xarray.Dataset
        As of :func:`kinesis_neuro.record`, to the motion's end or until the body falls, with
        ``attrs["text"]`` and, as JSON, ``attrs["text_parts"]``: what was understood.

    Raises
    ------
    InvalidInputError
        The sentence is refused, or `keep` is there already.
    IncompatibleError
        The library is of another body than the policy.

    Examples
    --------
    >>> recording = follow("walk for one second", say=None)
    >>> recording.attrs["text"]
    'walk for one second'
    """
    played = as_policy(policy)
    if keep is not None and Path(keep).exists():
        raise InvalidInputError(f"{keep} is there already. Give the name of a new folder.")
    motion = motion_of(told, library, keys=keys, body=played.about.body, matcher=matcher, say=say)
    if motion.body is not load_body(played.about.body):
        raise IncompatibleError(
            f"The clips are on body {motion.body.name!r}, policy {played.about.name!r} drives "
            f"{played.about.body!r}. Build a library for that body."
        )
    if keep is not None:
        write_library(keep, [Entry(motion, skill="text", person="text")])
    recording = record(played, motion, longest_recording(motion), seed, start=0.0)
    notes = getattr(motion.report, "notes", ())
    return recording.assign_attrs(text=told, text_parts=encode_attr(list(notes)))
