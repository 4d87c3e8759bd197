"""What films and filmstrips share: the choice of a renderer, the view, and checks of arguments."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, TypeVar

from kinesis_neuro.errors import InvalidInputError, MissingDependencyError, unknown_name
from kinesis_neuro.render.gl import available_gl
from kinesis_neuro.render.poses import Poses

Drawn = TypeVar("Drawn")

BACKENDS = ("auto", "gl", "lines")
REACH = 1.95
"""Height of the view [m]."""

logger = logging.getLogger(__name__)


class Look(TypedDict):
    """Arguments that both renderers take."""

    full_scale: float
    reach: float


def draw_with(backend: str, write: Callable[[str | None], Drawn]) -> Drawn:
    """Call what draws with the OpenGL to use, or with None where there is none or it gives up."""
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    gl = None if backend == "lines" else available_gl()
    if gl is None and backend == "gl":
        raise MissingDependencyError(
            "No OpenGL was found that draws without a screen. Install one (on Debian and Ubuntu: "
            "libegl1 with libgl1-mesa-dri, or libosmesa6), or use backend='lines'."
        )
    if gl is not None:
        try:
            return write(gl)
        except MissingDependencyError as error:
            if backend == "gl":
                raise
            logger.warning("%s. Drawing muscle paths with matplotlib instead.", error)
    elif backend == "auto":
        logger.warning("No OpenGL was found: drawing muscle paths with matplotlib instead.")
    return write(None)


def check_suffix(path: str | Path, allowed: tuple[str, ...]) -> Path:
    """Refuse a file whose suffix is not one of those allowed."""
    target = Path(path)
    if target.suffix.lower() not in allowed:
        raise InvalidInputError(
            f"{target}: cannot write {target.suffix!r}. Available: {', '.join(sorted(allowed))}."
        )
    return target


def checked_span(poses: Poses, start: float | None, stop: float | None) -> tuple[float, float]:
    """Check the moments [s] to begin and end at; by default the recording's own."""
    first, last = float(poses.time[0]), float(poses.time[-1])
    begin, end = first if start is None else start, last if stop is None else stop
    if not first <= begin <= end <= last:
        raise InvalidInputError(
            f"start and stop must obey {first:g} <= start <= stop <= {last:g} s, "
            f"got {begin:g} and {end:g}."
        )
    return begin, end
