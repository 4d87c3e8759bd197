"""Filmstrips of a recording: a row of pictures of one gait cycle, or of any span."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body
from kinesis_neuro.emg.events import gait_events
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.plot.style import FORMATS, figure_style, save_figure
from kinesis_neuro.render.backend import REACH, check_suffix, checked_span, draw_with
from kinesis_neuro.render.gl import gl_frames
from kinesis_neuro.render.lines import LineRenderer
from kinesis_neuro.render.poses import ACTIVATION_COLORS, FULL_SCALE, Poses, read_poses

FloatArray = NDArray[np.float64]

_COLUMNS = 8
_PANEL = (0.8, 1.45)  # inch
_GAP = 0.04  # inch between panels
_PANEL_DENSITY = 400  # pixels an inch of a picture


def render_filmstrip(
    recording: xr.Dataset,
    path: str | Path,
    n_frames: int = 8,
    *,
    start: float | None = None,
    stop: float | None = None,
    backend: str = "auto",
    full_scale: float = FULL_SCALE,
    body: Body | None = None,
) -> Path:
    """Draw a row of pictures of the body, muscles coloured by activation.

    Parameters
    ----------
    recording : xarray.Dataset
        Has ``root_position``, ``root_orientation``, ``joint_position`` and ``activation``.
    path : str or Path
        ``.png``, ``.pdf`` or ``.svg``. One that is there is replaced once the new one is complete.
    n_frames, start, stop, backend, full_scale, body
        As for :func:`filmstrip_figure`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidInputError, IncompatibleError, MissingDependencyError
        As :func:`filmstrip_figure`.
    WriteError
        If the file cannot be written; a former one is as it was.
    """
    target = check_suffix(path, FORMATS)
    figure = filmstrip_figure(
        recording, n_frames, start=start, stop=stop, backend=backend, full_scale=full_scale,
        body=body,
    )  # fmt: skip
    return save_figure(figure, target)


def filmstrip_figure(
    recording: xr.Dataset,
    n_frames: int = 8,
    *,
    start: float | None = None,
    stop: float | None = None,
    backend: str = "auto",
    full_scale: float = FULL_SCALE,
    body: Body | None = None,
) -> Figure:
    """Make the figure that :func:`render_filmstrip` writes.

    Parameters
    ----------
    recording : xarray.Dataset
        Has ``root_position``, ``root_orientation``, ``joint_position`` and ``activation``.
    n_frames : int
        Number of pictures.
    start, stop : float, optional
        First and last moment, on the recording's clock [s]. Without them, the gait cycle of the
        right foot in the middle of the recording is shown, or all of it if it has no cycle.
    backend : {"auto", "gl", "lines"}
        MuJoCo's renderer, or bones and muscle paths drawn by matplotlib. ``auto`` takes the first
        where there is an OpenGL that works, and says so where there is none.
    full_scale : float
        Activation that is wholly red.
    body : Body, optional
        By default the one that the recording names.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidInputError
        If an argument is out of range or the recording lacks what is drawn.
    IncompatibleError
        If the recording is of another body.
    MissingDependencyError
        If OpenGL is asked for and there is none.

    Examples
    --------
    >>> import kinesis_neuro as kn  # doctest: +SKIP
    >>> filmstrip_figure(kn.record("walk"))  # doctest: +SKIP
    """
    if n_frames < 1:
        raise InvalidInputError(f"n_frames must be 1 or more, got {n_frames}.")
    poses = read_poses(recording, body)
    times, labels, meaning = _moments(recording, poses, n_frames, start, stop)
    shown = poses.at(times)

    def draw(gl: str | None) -> Figure:
        pictures = None
        if gl is not None:
            size = (round(_PANEL[0] * _PANEL_DENSITY), round(_PANEL[1] * _PANEL_DENSITY))
            pictures = list(gl_frames(shown, size, gl=gl, full_scale=full_scale, reach=REACH))
        return _compose(shown, pictures, labels, meaning, full_scale)

    return draw_with(backend, draw)


def _moments(
    recording: xr.Dataset, poses: Poses, n: int, start: float | None, stop: float | None
) -> tuple[FloatArray, list[str], str]:
    """Choose the times [s] of a filmstrip, what stands below each picture, and below the row."""
    if start is None and stop is None and (cycle := _middle_cycle(recording)) is not None:
        part = np.arange(n) / n  # the end of a cycle looks like its beginning
        labels = [f"{100 * p:.3g} %" for p in part]
        return (
            cycle[0] + part * (cycle[1] - cycle[0]),
            labels,
            "Gait cycle (from right heel strike)",
        )
    first, last = checked_span(poses, start, stop)
    times: FloatArray = np.linspace(first, last, n)
    return times, [f"{t:.2f} s" for t in times], "Time"


def _middle_cycle(recording: xr.Dataset) -> tuple[float, float] | None:
    """Find the middle one of the right foot's gait cycles [s], if there is any."""
    try:
        strikes = gait_events(recording)["heel_strike_right"]
    except InvalidInputError:  # no forces: nothing is wrong with a picture
        return None
    k = (strikes.size - 1) // 2
    return (float(strikes[k]), float(strikes[k + 1])) if strikes.size > 1 else None


def _compose(
    shown: Poses,
    pictures: list[NDArray[np.uint8]] | None,
    labels: list[str],
    meaning: str,
    full_scale: float,
) -> Figure:
    """Put pictures, or drawings where there are none, side by side with their labels."""
    n = shown.time.size
    n_columns, n_rows = min(n, _COLUMNS), -(-n // _COLUMNS)
    foot, side, least = 0.36, 0.62, 2.3  # inch: labels below, scale to the right, words in all
    row, column = _PANEL[1] + 0.2, _PANEL[0] + _GAP
    width, height = max(column * n_columns + side, least), row * n_rows + foot - 0.2
    with figure_style():
        figure = Figure(figsize=(width, height))
        renderer = None if pictures is not None else LineRenderer(shown, full_scale, REACH)
        for k in range(n):
            bottom = height - row * (k // _COLUMNS) - _PANEL[1]
            box = (column * (k % _COLUMNS), bottom, *_PANEL)
            axis = figure.add_axes(
                (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
            )
            if renderer is not None:
                renderer.draw(axis, k)
            elif pictures is not None:
                axis.imshow(pictures[k], aspect="auto", interpolation="antialiased")
                axis.set_axis_off()
            axis.text(0.5, -0.02, labels[k], transform=axis.transAxes, ha="center", va="top")
        middle = max(column * n_columns, least) / 2
        figure.text(middle / width, 0.04 / height, meaning, ha="center", va="bottom")
        tall = min(0.95, 0.7 * _PANEL[1])
        scale = figure.add_axes(
            (
                (width - 0.5) / width,
                (height - _PANEL[1] + 0.2) / height,
                0.07 / width,
                tall / height,
            )
        )
        bar = figure.colorbar(
            ScalarMappable(Normalize(0.0, full_scale), ACTIVATION_COLORS),
            cax=scale,
            extend="neither" if full_scale >= 1 else "max",
            ticks=[0.0, full_scale / 2, full_scale],
        )
        bar.set_label("Activation (0 to 1)")
        bar.outline.set_visible(False)
    return figure
