"""The motions of a training or an evaluation: names, files and whole libraries, with weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import IncompatibleError, InvalidInputError, unknown_name
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.repertoire import WEIGHTINGS, MotionLibrary, is_library
from kinesis_neuro.motion.splits import read_keys

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MotionSet:
    """Motions on one body, with what is known of each.

    Attributes
    ----------
    motions : tuple of ReferenceMotion
    weight : ndarray, shape (n_motions,)
        Chance to be drawn; sums to one.
    skill : tuple of str
        Label of each; empty for motions that are of no library.
    """

    motions: tuple[ReferenceMotion, ...]
    weight: FloatArray
    skill: tuple[str, ...]


def collect_motions(
    sources: Sequence[str | Path],
    body: Body,
    *,
    keys: str | Path = "",
    weights: Sequence[float] = (),
    weighting: str = "duration",
) -> MotionSet:
    """Load motions, and all clips of motion libraries.

    Parameters
    ----------
    sources : sequence of str or Path
        Each a name or file that :func:`kinesis_neuro.load_motion` knows, or the folder of a
        motion library.
    body : Body
    keys : str or Path, optional
        Key file of the clips that are taken of the libraries; all if not given.
    weights : sequence of float, optional
        Weight of each source. A library shares its own among its clips. Without them motions weigh
        by `weighting` alone.
    weighting : {"duration", "clip", "skill"}
        How motions share: by how long they last; all alike; or all skills alike, and within them
        by duration.

    Returns
    -------
    MotionSet

    Raises
    ------
    InvalidInputError
        A key that no library has, keys without a library, a name of two motions, or weights that
        are none.
    IncompatibleError
        A library is of another body.

    Examples
    --------
    >>> from kinesis_neuro import load_body
    >>> chosen = collect_motions(["walk"], load_body("legs"))
    >>> chosen.motions[0].name, float(chosen.weight[0])
    ('walk', 1.0)
    """
    if weighting not in WEIGHTINGS:
        raise unknown_name("weighting", weighting, WEIGHTINGS)
    libraries = {str(s): _open(s, body) for s in sources if is_library(s)}
    wanted = read_keys(keys) if keys else None
    if wanted is not None:
        _check_keys(keys, wanted, list(libraries.values()))
    motions, skills, parts = [], [], []
    for source in sources:
        library = libraries.get(str(source))
        if library is None:
            found, labels = [load_motion(source, body)], [""]
        else:
            names = library.names
            library = library if wanted is None else library.subset(k for k in wanted if k in names)
            found, labels = library.motions(), [clip.skill for clip in library.clips]
        motions += found
        skills += labels
        parts.append(len(found))
    twice = sorted({m.name for m in motions if [n.name for n in motions].count(m.name) > 1})
    if not motions or twice:
        raise InvalidInputError(
            f"Motions need names of their own, got {', '.join(twice)} more than once."
            if twice
            else "At least one motion is needed, got none."
        )
    share = _share(motions, skills, weighting)
    if len(weights):
        share = _by_source(share, parts, weights)
    return MotionSet(tuple(motions), share / share.sum(), tuple(skills))


def _open(source: str | Path, body: Body) -> MotionLibrary:
    library = MotionLibrary(source)
    if library.body is not body:
        raise IncompatibleError(
            f"The motions of {source} are on body {library.body.name!r}, not on {body.name!r}. "
            "Build a library for this body."
        )
    return library


def _check_keys(
    path: str | Path, wanted: Sequence[str], libraries: Sequence[MotionLibrary]
) -> None:
    if not libraries:
        raise InvalidInputError(f"Keys ({path}) choose among the clips of a library; give one.")
    known = [name for library in libraries for name in library.names]
    if unknown := [key for key in wanted if key not in known]:
        raise unknown_name("clip", ", ".join(unknown), known)


def _share(motions: Sequence[ReferenceMotion], skills: Sequence[str], weighting: str) -> FloatArray:
    duration = np.array([motion.duration for motion in motions])
    if weighting == "clip":
        return np.ones_like(duration)
    if weighting == "skill":
        which = np.unique(np.array(skills), return_inverse=True)[1]
        return duration / np.bincount(which, weights=duration)[which]
    return duration


def _by_source(share: FloatArray, parts: Sequence[int], weights: Sequence[float]) -> FloatArray:
    """Shares within each source, times the source's weight."""
    weight = np.asarray(weights, dtype=float)
    if weight.shape != (len(parts),) or not np.isfinite(weight).all() or weight.min() < 0:
        raise InvalidInputError(
            f"weights must be {len(parts)} numbers that are not negative, got {list(weights)}."
        )
    if not weight.sum() > 0:
        raise InvalidInputError("At least one weight must be positive.")
    source = np.repeat(np.arange(len(parts)), parts)
    within = share / np.bincount(source, weights=share, minlength=len(parts))[source]
    return within * weight[source]
