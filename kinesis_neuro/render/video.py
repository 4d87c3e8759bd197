"""Frames to a video file: the scale of colours and the clock in their corners, and the encoder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import imageio.v2 as imageio
import imageio_ffmpeg
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from kinesis_neuro.render.ghost import GHOST_COLOR
from kinesis_neuro.render.poses import ACTIVATION_COLORS

_INK = (60, 64, 70)
_GHOST = tuple(round(255 * part) for part in GHOST_COLOR[:3])
_MARGIN = 0.03  # of the frame's height, as all that follows
_BAR = (0.025, 0.22)
_TEXT = 0.037


class Overlay:
    """Scale of activation, and a clock, for frames of one size.

    Parameters
    ----------
    size : tuple of int
        Width and height of the frames [pixels].
    full_scale : float
        Activation that is wholly red.
    ghost : bool
        Whether the frames show the reference, which is then explained.
    """

    def __init__(self, size: tuple[int, int], full_scale: float, ghost: bool = False) -> None:
        self._size, self._ghost = size, ghost
        font = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
        self._font = ImageFont.truetype(font, size=max(8.0, _TEXT * size[1]))
        width, height = (round(part * size[1]) for part in _BAR)
        levels = np.linspace(1.0, 0.0, max(height, 2))[:, None].repeat(max(width, 2), axis=1)
        self._bar = Image.fromarray((255 * ACTIVATION_COLORS(levels)[..., :3]).astype(np.uint8))
        above = "" if full_scale >= 1 else "\N{GREATER-THAN OR EQUAL TO} "
        self._ends = f"{above}{full_scale:g}", "0"

    def put_on(self, frame: NDArray[np.uint8], time: float) -> NDArray[np.uint8]:
        """Draw the scale and a time [s] on a copy of a frame."""
        image = Image.fromarray(frame)
        pen = ImageDraw.Draw(image)
        margin = _MARGIN * self._size[1]
        right = self._size[0] - margin
        left, top = round(right - self._bar.width), round(2.6 * margin)
        pen.text((right, margin), "activation", _INK, self._font, anchor="rt")
        image.paste(self._bar, (left, top))
        beside = left - margin / 3
        pen.text((beside, top), self._ends[0], _INK, self._font, anchor="rt")
        bottom = top + self._bar.height
        pen.text((beside, bottom), self._ends[1], _INK, self._font, anchor="rb")
        pen.text((margin, margin), f"{time:.2f} s", _INK, self._font, anchor="lt")
        if self._ghost:
            below = (margin, margin + 1.5 * self._font.size)
            pen.text(below, "reference", _GHOST, self._font, anchor="lt")
        return np.asarray(image)


def has_ffmpeg() -> bool:
    """Tell whether there is an ffmpeg to write MP4."""
    try:
        imageio_ffmpeg.get_ffmpeg_exe()
    except (RuntimeError, OSError):
        return False
    return True


def encode(
    part: Path, frames: Iterable[NDArray[np.uint8]], size: tuple[int, int], fps: float
) -> None:
    """Write frames to a video file whose suffix chooses the format.

    Parameters
    ----------
    part : Path
        ``.gif`` or ``.mp4``.
    frames : iterable of ndarray of uint8, shape (height, width, 3)
    size : tuple of int
        Width and height [pixels].
    fps : float
        Frames a second [Hz].
    """
    if part.suffix.lower() == ".gif":
        with imageio.get_writer(part, mode="I", duration=1000.0 / fps, loop=0) as gif:
            for frame in frames:
                gif.append_data(frame)  # type: ignore[attr-defined]
        return
    writer = imageio_ffmpeg.write_frames(
        str(part),
        size,
        fps=fps,
        codec="libx264",
        quality=None,
        macro_block_size=2,
        # Constant quality, and the index first, so that it plays while it loads.
        output_params=["-crf", "20", "-movflags", "+faststart"],
        ffmpeg_log_level="error",
    )
    with contextlib.closing(writer):
        writer.send(None)
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
