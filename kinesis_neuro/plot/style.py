"""How figures look, and how they are written: one theme, colours that all can tell, open fonts."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from cycler import cycler
from matplotlib.figure import Figure

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.formats.atomic import atomic_path

WIDTH = 7.2
"""Width of a figure over two columns [inch] (183 mm)."""

COLORS = ("#0173b2", "#de8f05", "#029e73", "#cc78bc", "#ca9161", "#949494")
"""Colours in order of use: seaborn's "colorblind" palette, without those that come out alike."""

STANCE_COLOR = "#ececec"
SEQUENTIAL = "mako_r"
"""Colour map of activation: even in lightness, so that it also reads in grey."""

DIVERGING = "vlag"
"""Colour map of correlations: blue below zero, red above, white at zero."""

FORMATS = (".pdf", ".svg", ".png")
RESOLUTION = 300
"""Pixels an inch of what is not vector."""

_RC = {
    # Text as TrueType in PDF and as outlines in SVG: both look the same where a font is missing.
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    # Identifiers from the content, so that the same figure gives the same bytes.
    "svg.hashsalt": "kinesis_neuro",
    # The one family that comes with matplotlib: a figure looks alike on every machine.
    "font.family": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "lines.linewidth": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,
    "savefig.dpi": RESOLUTION,
}


def _let_notebooks_show() -> None:
    """Have IPython show figures of its inline backend from the first on.

    By itself it begins after the first cell that loads pyplot's backend, and our figures are none
    of pyplot's: the first would be shown as a line of text.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or "inline" not in mpl.get_backend():
        return
    formats = shell.display_formatter.formatters.values()
    if not any(Figure in one.type_printers for one in formats):
        shell.run_line_magic("matplotlib", "inline")


@contextlib.contextmanager
def figure_style() -> Iterator[None]:
    """Apply the library's theme to figures that are made inside, and to nothing else.

    Examples
    --------
    >>> with figure_style():
    ...     size = mpl.rcParams["font.size"]
    >>> size
    7.0
    """
    _let_notebooks_show()
    cycle = {"axes.prop_cycle": cycler(color=COLORS)}
    theme = sns.axes_style("ticks") | sns.plotting_context("paper") | _RC | cycle
    with mpl.rc_context(theme):
        yield


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure, complete or not at all; the suffix chooses the format.

    The same figure gives the same bytes: no date goes into the file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or Path
        ``.pdf`` and ``.svg`` are vector, with fonts embedded; ``.png`` has 300 pixels an inch.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidInputError
        If the suffix is none of these.
    WriteError
        If the file cannot be written.

    Examples
    --------
    >>> save_figure(Figure(), "figure.doc")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.InvalidInputError: figure.doc: ... Available: .pdf, .png, .svg.
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise InvalidInputError(
            f"{target}: no figure format {target.suffix!r}. Available: "
            f"{', '.join(sorted(FORMATS))}."
        )
    undated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    with figure_style(), atomic_path(target) as part:
        figure.savefig(part, metadata=undated.get(target.suffix.lower()))
    return target


def figure_svg(figure: Figure) -> bytes:
    """Give a figure as SVG, to be put into a page; the same figure gives the same bytes.

    Examples
    --------
    >>> b"<svg" in figure_svg(Figure())
    True
    """
    stream = io.BytesIO()
    with figure_style():
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def axis_label(name: str, units: str) -> str:
    """Words for a variable and its units.

    Examples
    --------
    >>> axis_label("activation", "1"), axis_label("muscle_force", "N")
    ('Activation (0 to 1)', 'Muscle force (N)')
    """
    # These two are bounded by definition, which says more than that they have no unit.
    shown = "0 to 1" if name in ("activation", "excitation") else units
    return f"{name.replace('_', ' ').capitalize()} ({shown})"
