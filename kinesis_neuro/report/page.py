"""write_report: a self-contained HTML page about a recording and EMG subjects."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jinja2 import Environment, PackageLoader, StrictUndefined

from kinesis_neuro.analysis.comparison import OVERALL
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.formats.atomic import atomic_path
from kinesis_neuro.provenance import library_versions
from kinesis_neuro.report.inputs import read_people, read_recording
from kinesis_neuro.report.methods import methods
from kinesis_neuro.report.pictures import pictures
from kinesis_neuro.report.results import Results, compute_results
from kinesis_neuro.report.tables import NONE, number, probability, tables


def write_report(
    recording: xr.Dataset | str | Path,
    subjects: str | Path | xr.Dataset | Sequence[str | Path | xr.Dataset],
    out: str | Path = "report.html",
    *,
    speed: float | None = None,
    signal: str = "activation",
    delay: float = 0.0,
    pipeline: str | None = None,
    n_null: int = 1000,
    seed: int = 0,
) -> Path:
    """Write one HTML page with figures, tables, methods and provenance; it needs no other file.

    The same input gives the same bytes.

    Parameters
    ----------
    recording : Dataset, str or Path
        A recording, or the file (``.nc`` or ``.nwb``) that holds it.
    subjects : Dataset, str or Path, or a sequence of these
        EMG subjects: names or files, see :func:`~kinesis_neuro.emg.datasets.load_subject`. With
        several, people have a ceiling among themselves; bursts and synergies are of the first.
    out : str or Path
        The page to write.
    speed : float, optional
        Chooses among the speeds of named subjects [m/s].
    signal : str
        What of the muscles is compared, see :func:`~kinesis_neuro.analysis.compare.compare_emg`.
    delay : float
        Stated electromechanical delay [s].
    pipeline : str, optional
        Makes envelopes of raw EMG, see :func:`~kinesis_neuro.emg.filters.apply_pipeline`.
    n_null : int
        Surrogates.
    seed : int

    Returns
    -------
    Path
        The file.

    Raises
    ------
    KinesisError
        If a file cannot be read, the two cannot be compared, or the page cannot be written; a
        former page is as it was.

    Examples
    --------
    >>> write_report("walk.mat", "builtin")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: walk.mat: the suffix '.mat'. Expected .nc or .nwb, ...
    """
    given = [subjects] if isinstance(subjects, str | Path | xr.Dataset) else list(subjects)
    if not given:
        raise InvalidInputError(
            "A report needs one EMG subject or more. Name one, such as builtin."
        )
    sim = recording if isinstance(recording, xr.Dataset) else read_recording(Path(recording))
    people = read_people(given, speed, pipeline)
    target = Path(out)
    with atomic_path(target) as part:  # first of all: a folder that is not there is found at once
        results = compute_results(sim, people, signal, delay, n_null, seed)
        part.write_text(render_page(results, _hashes(recording, given)), encoding="utf-8")
    return target


def render_page(results: Results, files: Sequence[tuple[str, str]] = ()) -> str:
    """Make the page's text.

    Parameters
    ----------
    results : Results
    files : sequence of (name, SHA-256)
        What the results were computed from.

    Returns
    -------
    str
        HTML.
    """
    paragraphs, references = methods(results)
    data = results.comparison.dataset
    own = str(data["condition"].values[0])
    people = list(map(str, data["subject"].values))
    csv = results.comparison.table.to_csv().encode()
    environment = Environment(
        loader=PackageLoader("kinesis_neuro.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        title=f"{own} and {people[0] if len(people) == 1 else f'{len(people)} people'}",
        simulation=own,
        people=people,
        facts=_facts(results),
        summary=results.comparison.summary().split("\n"),
        notes=results.notes,
        pictures=pictures(results),
        tables=tables(results),
        csv=base64.b64encode(csv).decode(),
        paragraphs=paragraphs,
        references=references,
        parameters=_parameters(results),
        provenance=_provenance(results),
        files=list(files),
        versions=sorted(library_versions().items()),
    )


def _hashes(
    recording: xr.Dataset | str | Path, subjects: Sequence[str | Path | xr.Dataset]
) -> list[tuple[str, str]]:
    """SHA-256 of the files that were given."""
    paths = [Path(x) for x in (recording, *subjects) if not isinstance(x, xr.Dataset)]
    return [(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in paths if p.is_file()]


def _facts(results: Results) -> list[tuple[str, str]]:
    """The few numbers that come first."""
    mean = results.comparison.table.loc[OVERALL]
    data = results.comparison.dataset
    interval = (
        f" ({number(mean['r_low'])} to {number(mean['r_high'])})"
        if np.isfinite(mean["r_low"])
        else ""
    )
    facts = [
        ("r at zero lag, mean over muscles", f"{number(mean['r'])}{interval}"),
        ("chance, 95 %", f"{number(mean['null_95'])} (p {probability(mean['p'])})"),
        (
            "r at best common lag",
            f"{number(mean['r_best'])} at {100 * mean['best_lag']:+.0f} %".replace(
                "-", "\N{MINUS SIGN}"
            ),
        ),
        _ceiling(mean),
        ("speed, simulation", _speed(float(data["speed_simulated"][0]))),
        (
            "speed, people",
            ", ".join(dict.fromkeys(map(_speed, data["speed_human"].values.tolist()))),
        ),
    ]
    if "tracking_error" in results.recording:
        error = 1000 * float(results.recording["tracking_error"].mean())
        facts.append(("tracking error, mean", f"{error:.0f} mm"))
    return facts


def _ceiling(mean: pd.Series) -> tuple[str, str]:
    """Give what the simulation is held against: other people, or the same person's other cycles."""
    if np.isfinite(mean["ceiling_pairwise"]):
        return "one person to another", number(mean["ceiling_pairwise"])
    return "odd to even cycles of the person", number(mean["ceiling_between_cycle"])


def _speed(value: float) -> str:
    return f"{value:.2f} m/s" if np.isfinite(value) else NONE


def _parameters(results: Results) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every attribute of every result."""
    parts: list[tuple[str, xr.Dataset]] = [("Comparison", results.comparison.dataset)]
    if results.rasters is not None:
        parts += [(f"Bursts of {label}", one) for label, one in results.rasters.items()]
    if results.synergies is not None:
        found = results.synergies
        parts += [
            ("Synergies of the person", found.human),
            ("Synergies of the simulation", found.simulated),
            ("Matching of synergies", found.match),
        ]
    return [(title, _rows(one.attrs)) for title, one in parts if one.attrs]


def _provenance(results: Results) -> list[tuple[str, list[tuple[str, str]]]]:
    parts = [("Recording", _rows(results.recording.attrs))]
    for one in results.subjects:
        parts.append((f"Subject {one.attrs.get('subject', '')}", _rows(one.attrs)))
    return parts


def _rows(attrs: dict[Any, Any]) -> list[tuple[str, str]]:
    return [(str(name), _plain(value)) for name, value in attrs.items()]


def _plain(value: object) -> str:
    """Write an attribute; what is JSON inside, as words."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        try:
            return _words(json.loads(value))
        except ValueError:
            return value
    missing = value == "" or (isinstance(value, float) and np.isnan(value))
    return "none" if missing else str(value)


def _words(value: object) -> str:
    """Write what JSON held, on one line.

    >>> _words({"frequency": 6.0, "steps": ["demean", "rectify"], "more": {}})
    'frequency: 6.0; steps: demean, rectify; more: none'
    """
    if isinstance(value, dict):
        inner = [f"{k}: {f'({_words(v)})' if isinstance(v, dict) and v else _words(v)}"
                 for k, v in value.items()]  # fmt: skip
        return "; ".join(inner) or "none"
    if isinstance(value, list):
        return ", ".join(map(_words, value)) or "none"
    return "none" if value is None else str(value)
