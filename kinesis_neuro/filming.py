"""Filming a recording or a policy: its reference found, progress shown, a video written."""

from __future__ import annotations

import logging
from pathlib import Path

import xarray as xr
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kinesis_neuro.body.models import load_body
from kinesis_neuro.errors import KinesisError
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.render.ghost import reference_poses

RECORDINGS = (".nc", ".nwb")

logger = logging.getLogger(__name__)


def film(
    source: str | Path,
    out: str | Path,
    *,
    motion: str | Path | ReferenceMotion | None = None,
    duration: float = 10.0,
    seed: int = 0,
    ghost: bool = True,
    fps: float = 30.0,
    size: tuple[int, int] = (480, 360),
    speed: float = 1.0,
    backend: str = "auto",
) -> Path:
    """Film a recording, or a policy that is recorded for it.

    Parameters
    ----------
    source : str or Path
        File of a recording (``.nc`` or ``.nwb``), or a policy's name or folder.
    out : str or Path
        ``.mp4`` or ``.gif``.
    motion : motion, str or Path, optional
        What a policy follows; the first that it was trained on if not given. Of a recording, the
        motion that it followed, where its name alone does not lead to it.
    duration : float
        Of a policy's recording [s]; less where the motion ends.
    seed : int
        Of a policy's recording.
    ghost : bool
        Whether the reference is shown as a ghost.
    fps, size, speed, backend
        See :func:`kinesis_neuro.render.render_video`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    KinesisError
        The recording, the policy or the motion cannot be read, or the video cannot be made.

    Examples
    --------
    >>> film("walk", "walk.mp4", duration=2.0)  # doctest: +SKIP
    """
    from kinesis_neuro.render import render_video

    if Path(source).suffix.lower() in RECORDINGS:
        from kinesis_neuro.report.inputs import read_recording

        recording = read_recording(Path(source))
        reference = followed(recording, motion) if ghost else None
    else:
        recording, shown = _recorded(source, motion, duration, seed)
        reference = shown if ghost else None
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    ) as bar:
        task = bar.add_task("frames", total=None)
        return render_video(
            recording,
            out,
            fps,
            size=size,
            speed=speed,
            backend=backend,
            reference=reference,
            progress=lambda done, n: bar.update(task, completed=done, total=n),
        )


def followed(
    recording: xr.Dataset, motion: str | Path | ReferenceMotion | None = None
) -> ReferenceMotion | None:
    """Find the motion that a recording followed.

    Parameters
    ----------
    recording : xarray.Dataset
    motion : motion, str or Path, optional
        Where to find it; by default what the recording calls it.

    Returns
    -------
    ReferenceMotion or None
        None, with a warning, if the recording's name for it leads nowhere. A motion that is given
        and is not the one is an error.
    """
    body = load_body(recording.attrs.get("body", "legs"))
    if motion is not None:
        found = motion if isinstance(motion, ReferenceMotion) else load_motion(motion, body)
        reference_poses(recording, found)
        return found
    name = recording.attrs.get("motion", "")
    try:
        found = load_motion(name, body)
        reference_poses(recording, found)
    except KinesisError as error:
        logger.warning("No ghost: the motion %r is not at hand (%s). Give it.", name, error)
        return None
    return found


def _recorded(
    policy: str | Path, motion: str | Path | ReferenceMotion | None, duration: float, seed: int
) -> tuple[xr.Dataset, ReferenceMotion]:
    from kinesis_neuro.learn.play import as_motions, as_policy
    from kinesis_neuro.record import record

    played = as_policy(policy)
    reference = as_motions(motion, played)[0]
    start = None if reference.periodic else 0.0
    seconds = duration if reference.periodic else min(duration, longest_recording(reference))
    return record(played, reference, seconds, seed, start=start), reference


def longest_recording(motion: ReferenceMotion, control_rate: float = 30.0) -> float:
    """Longest time [s] over which a motion that ends can be recorded from its start.

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> clip = load_motion("walk").loop(4).slice(0.0, 3.0)
    >>> round(longest_recording(clip), 3)
    2.967
    """
    return int(motion.duration * control_rate - 1.0 + 1e-6) / control_rate
