"""All figures by name, and the function that writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from kinesis_neuro.errors import unknown_name
from kinesis_neuro.figures import draw
from kinesis_neuro.figures.material import DURATION, POLICIES, FigureSkipped, Material
from kinesis_neuro.formats.atomic import atomic_path
from kinesis_neuro.plot.style import save_figure

FIGURES: Mapping[str, Callable[[Material], draw.Drawn]] = MappingProxyType(
    {
        "envelopes": draw.envelopes,
        "correlation_boxes": draw.correlation_boxes,
        "lag_map": draw.lag_map,
        "activity_centres": draw.activity_centres,
        "burst_rasters": draw.burst_rasters,
        "synergies": draw.synergies,
        "cluster_inference": draw.cluster_inference,
        "heat_map": draw.heat_map,
        "body_snapshots": draw.body_snapshots,
    }
)
"""Figures by name; each is made by ``analyses/figure_<name>.py`` too."""

SUFFIXES = (".pdf", ".png")
CAPTIONS = "figures.md"


def make_figures(
    out: str | Path = "figures",
    only: Sequence[str] = (),
    *,
    policies: Sequence[str] = POLICIES,
    recordings: str | Path | None = None,
    duration: float = DURATION,
    seed: int = 0,
    n_null: int = 1000,
    say: Callable[[str], None] = print,
) -> dict[str, list[Path]]:
    """Make figures from recordings of policies, and write each as PDF and PNG with its caption.

    Parameters
    ----------
    out : str or Path
        Folder to write to. ``figures.md`` there has all captions of this call.
    only : sequence of str
        Names of :data:`FIGURES`; all of them if none is given.
    policies : sequence of str
        Shipped policies, or folders of policies. The first is the one that is compared.
    recordings : str or Path, optional
        Folder in which recordings are kept, so that they are made once; ``out/recordings`` by
        default.
    duration : float
        Of each recording [s].
    seed : int
        Of recordings and analyses.
    n_null : int
        Surrogates of the comparison.
    say : callable
        Receives lines of text.

    Returns
    -------
    dict of list of Path
        Files by figure. One that cannot be made from what is at hand is left out, and `say` gets
        the reason.

    Raises
    ------
    InvalidInputError
        If a figure or policy is unknown.
    WriteError
        If a file cannot be written.
    """
    for name in only:
        if name not in FIGURES:
            raise unknown_name("figure", name, FIGURES)
    folder = Path(out)
    kept = Path(recordings) if recordings is not None else folder / "recordings"
    material = Material(policies, kept, duration, seed, n_null, say)
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, list[Path]] = {}
    words = ["# Figures", ""]
    for name in only or FIGURES:
        try:
            figure, caption = FIGURES[name](material)
        except FigureSkipped as reason:
            say(f"{name}: skipped, because {reason}")
            words += [f"## {_title(name)}", "", f"Not made: {reason}", ""]
            continue
        written[name] = [save_figure(figure, folder / f"{name}{end}") for end in SUFFIXES]
        words += [f"## {_title(name)}", "", f"![{_title(name)}]({name}.png)", "", caption, ""]
        say(f"{name}: {', '.join(str(file) for file in written[name])}")
    with atomic_path(folder / CAPTIONS) as part:
        part.write_text("\n".join(words), encoding="utf-8")
    return written


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
