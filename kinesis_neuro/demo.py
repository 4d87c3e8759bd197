"""The demo: ten seconds of walking, its numbers, a recording, a figure and a film."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from kinesis_neuro.errors import KinesisError


def tracking_metrics(recording: xr.Dataset) -> dict[str, float]:
    """What a recording says about the walk.

    Returns
    -------
    dict
        ``duration`` [s], ``distance`` of the pelvis over ground [m], ``speed`` [m/s], ``mpjpe``
        [m], ``largest_error`` [m], ``falls``, ``vertical_force`` in body weights,
        ``mean_activation``, ``metabolic_rate`` [W/kg].
    """
    from kinesis_neuro.body.models import load_body

    body = load_body(recording.attrs["body"])
    root = recording.root_position.values
    duration = recording.sizes["time"] / recording.attrs["sampling_rate"]
    distance = float(np.linalg.norm(root[-1, :2] - root[0, :2]))
    vertical = recording.ground_force.sel(space="z").sum("contact").mean().item()
    return {
        "duration": duration,
        "distance": distance,
        "speed": distance / duration,
        "mpjpe": recording.tracking_error.mean().item(),
        "largest_error": recording.tracking_error.max().item(),
        "falls": float(recording.attrs["n_falls"]),
        "vertical_force": vertical / body.weight,
        "mean_activation": recording.activation.mean().item(),
        "metabolic_rate": recording.metabolic_rate.mean().item() / body.mass,
    }


def demo(
    out: str | Path = "demo",
    *,
    policy: str = "walk",
    duration: float = 10.0,
    video: bool = True,
    say: Callable[[str], None] = print,
) -> dict[str, Path]:
    """Walk with a shipped policy and show what its muscles did.

    Parameters
    ----------
    out : str or Path
        Folder to write to.
    policy : str
        Name of a shipped policy, or a policy's folder.
    duration : float
        Length of the walk [s].
    video : bool
        Whether to render a video beside the filmstrip.
    say : callable
        Receives lines of text.

    Returns
    -------
    dict of Path
        The files by kind: ``recording``, ``nwb``, ``activation``, ``heatmap``, ``filmstrip``,
        ``video``.
    """
    from kinesis_neuro.emg.cycles import cycle_statistics, segment_cycles
    from kinesis_neuro.netcdf import write_netcdf
    from kinesis_neuro.nwb import write_nwb
    from kinesis_neuro.plot.activation import plot_activation
    from kinesis_neuro.plot.heatmap import plot_activation_heatmap
    from kinesis_neuro.plot.style import save_figure
    from kinesis_neuro.record import record
    from kinesis_neuro.render import render_filmstrip, render_video

    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    say(f"Walking {duration:g} s with policy {policy!r} ...")
    recording = record(policy, duration=duration)
    for line in describe(tracking_metrics(recording)):
        say(line)
    files = {"recording": folder / "recording.nc", "nwb": folder / "recording.nwb"}
    write_netcdf(recording, files["recording"])
    write_nwb(recording, files["nwb"], overwrite=True)

    statistics = cycle_statistics(segment_cycles(recording[["activation", "ground_force"]]))
    files["activation"] = save_figure(plot_activation(statistics), folder / "activation.pdf")
    save_figure(plot_activation(statistics), folder / "activation.png")
    files["heatmap"] = save_figure(plot_activation_heatmap(statistics), folder / "heatmap.png")
    files["filmstrip"] = render_filmstrip(recording, folder / "filmstrip.png")
    if video:
        try:
            files["video"] = render_video(recording, folder / "walk.mp4")
        except KinesisError as error:
            # The filmstrip is there; a machine without OpenGL still gets the rest.
            say(f"No video: {error}")
    say("Wrote " + ", ".join(str(path) for path in files.values()))
    return files


def describe(metrics: dict[str, float]) -> list[str]:
    """The metrics in words, one a line.

    Examples
    --------
    >>> m = dict(duration=10.0, distance=10.1, speed=1.01, mpjpe=0.02, largest_error=0.04,
    ...     falls=0.0, vertical_force=1.001, mean_activation=0.08, metabolic_rate=4.1)
    >>> describe(m)[0]
    'walked        10.10 m in 10.00 s (1.01 m/s), falls: 0'
    """
    return [
        f"walked        {metrics['distance']:.2f} m in {metrics['duration']:.2f} s "
        f"({metrics['speed']:.2f} m/s), falls: {metrics['falls']:.0f}",
        f"error         {1e3 * metrics['mpjpe']:.1f} mm mean over the tracked bodies (MPJPE), "
        f"{1e3 * metrics['largest_error']:.1f} mm at worst",
        f"ground force  {metrics['vertical_force']:.3f} of body weight, vertical, on average",
        f"muscles       mean activation {metrics['mean_activation']:.3f}, "
        f"metabolic power {metrics['metabolic_rate']:.1f} W/kg",
    ]
