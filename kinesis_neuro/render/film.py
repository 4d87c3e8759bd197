"""Videos of a recording: the body, the reference as a ghost, a clock and the scale of colours."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.formats.atomic import atomic_path
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.render.backend import REACH, Look, check_suffix, checked_span, draw_with
from kinesis_neuro.render.gl import gl_frames
from kinesis_neuro.render.lines import line_frames
from kinesis_neuro.render.poses import FULL_SCALE, read_poses
from kinesis_neuro.render.video import Overlay, encode, has_ffmpeg

VIDEO_FORMATS = (".gif", ".mp4")

logger = logging.getLogger(__name__)


def render_video(
    recording: xr.Dataset,
    path: str | Path,
    fps: float = 30.0,
    *,
    size: tuple[int, int] = (480, 360),
    start: float | None = None,
    stop: float | None = None,
    speed: float = 1.0,
    backend: str = "auto",
    full_scale: float = FULL_SCALE,
    body: Body | None = None,
    reference: ReferenceMotion | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Film the body from the side, muscles coloured by activation; the camera goes along.

    Parameters
    ----------
    recording : xarray.Dataset
        Has ``root_position``, ``root_orientation``, ``joint_position`` and ``activation``.
    path : str or Path
        ``.mp4`` or ``.gif``. One that is there is replaced once the new one is complete.
    fps : float
        Frames a second [Hz].
    size : tuple of int
        Width and height [pixels], even numbers.
    start, stop : float, optional
        First and last moment, on the recording's clock [s]; by default all of it.
    speed : float
        Seconds of the recording for each second of the video.
    backend : {"auto", "gl", "lines"}
        As for :func:`render_filmstrip`.
    full_scale : float
        Activation that is wholly red.
    body : Body, optional
        By default the one that the recording names.
    reference : ReferenceMotion, optional
        The motion that the recording followed, shown as a ghost.
    progress : callable, optional
        Told after each frame how many are drawn, and of how many.

    Returns
    -------
    Path
        The file; a ``.gif`` beside `path` where there is no ffmpeg to write MP4.

    Raises
    ------
    InvalidInputError
        If an argument is out of range or the recording lacks what is drawn.
    IncompatibleError
        If the recording is of another body, or followed another motion.
    MissingDependencyError
        If OpenGL is asked for and there is none.
    WriteError
        If the file cannot be written; a former one is as it was.

    Examples
    --------
    >>> import kinesis_neuro as kn  # doctest: +SKIP
    >>> render_video(kn.record("walk"), "walk.mp4")  # doctest: +SKIP
    """
    if not (fps > 0 and speed > 0):
        raise InvalidInputError(f"fps and speed must be positive, got {fps} and {speed}.")
    if len(size) != 2 or min(size) < 16 or any(part % 2 for part in size):
        raise InvalidInputError(f"size must be two even numbers of 16 or more, got {size}.")
    target = check_suffix(path, VIDEO_FORMATS)
    if target.suffix.lower() == ".mp4" and not has_ffmpeg():
        target = target.with_suffix(".gif")
        logger.warning("No ffmpeg was found to write MP4: writing %s instead.", target)
    poses = read_poses(recording, body, reference)
    first, last = checked_span(poses, start, stop)
    n_frames = int((last - first) / speed * fps + 1e-6) + 1
    shown = poses.at(np.asarray(first + np.arange(n_frames) * speed / fps, dtype=float))
    overlay = Overlay(size, full_scale, poses.ghost is not None)

    def write(gl: str | None) -> Path:
        look = Look(full_scale=full_scale, reach=REACH)
        drawn = (
            line_frames(shown, size, **look)
            if gl is None
            else gl_frames(shown, size, gl=gl, **look)
        )
        with contextlib.closing(drawn) as frames, atomic_path(target) as part:
            pictures = map(overlay.put_on, frames, shown.time.tolist())
            encode(part, _counted(pictures, n_frames, progress), size, fps)
        return target

    return draw_with(backend, write)


def _counted(
    pictures: Iterable[NDArray[np.uint8]], n: int, progress: Callable[[int, int], None] | None
) -> Iterator[NDArray[np.uint8]]:
    for k, picture in enumerate(pictures, 1):
        yield picture
        if progress is not None:
            progress(k, n)
