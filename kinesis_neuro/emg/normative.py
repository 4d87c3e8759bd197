"""Normative EMG: mean and SD over many people, from the tables of Schwartz et al. 2008."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from kinesis_neuro.emg.labels import parse_label
from kinesis_neuro.emg.subject import make_subject
from kinesis_neuro.errors import FileFormatError, InvalidInputError, unknown_name

SCHWARTZ_SPEEDS = {
    "very_slow": ("Very Slow", 0.172),
    "slow": ("Slow", 0.290),
    "free": ("Free", 0.429),
    "fast": ("Fast", 0.560),
    "very_fast": ("Very Fast", 0.694),
}
"""Names of the tables, and dimensionless speeds v / sqrt(g * leg length)."""


def read_schwartz(path: Path, *, speed_name: str = "free", **about: Any) -> xr.Dataset:
    """Read the normative EMG of Schwartz et al. 2008 from your copy of the ``.xls``.

    Mean and SD over children and adolescents, at one of five speeds.
    """
    if speed_name not in SCHWARTZ_SPEEDS:
        raise unknown_name("speed", speed_name, SCHWARTZ_SPEEDS)
    heading, dimensionless = SCHWARTZ_SPEEDS[speed_name]
    if path.suffix.lower() == ".csv":
        table = _schwartz_csv(path, heading)
    else:
        table = _schwartz_sheet(path, heading)
    muscles = list(dict.fromkeys(table["muscle"]))
    names = [parse_label(muscle)[0] for muscle in muscles]
    sizes = table.groupby("muscle", sort=False).size()
    if None in names or sizes.nunique() != 1:
        found = ", ".join(f"{muscle} ({n} rows)" for muscle, n in sizes.items())
        raise FileFormatError(path, found, "five muscles with the same number of rows")
    shape = (len(muscles), -1)
    mean = table["mean"].to_numpy(float).reshape(shape).T
    upper = table["upper"].to_numpy(float).reshape(shape).T
    phase = table["phase"].to_numpy(float).reshape(shape)[0]
    return make_subject(
        mean[None], [str(name) for name in names], ["right"] * len(names),
        phase=phase, sd=upper - mean, dimensionless_speed=dimensionless,
        side_note="pooled over both legs by the source; called right here", **about,
    )  # fmt: skip


def _schwartz_csv(path: Path, heading: str) -> pd.DataFrame:
    expected = "columns muscle, pct_cycle and <Speed>_mean, <Speed>_plus1sd"
    name = heading.replace(" ", "")
    try:
        raw = pd.read_csv(path)
        return pd.DataFrame(
            {"muscle": raw["muscle"], "phase": raw["pct_cycle"] / 100}
            | {"mean": raw[f"{name}_mean"], "upper": raw[f"{name}_plus1sd"]}
        )
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise FileFormatError(path, f"cannot be read ({error})", expected) from error


def _schwartz_sheet(path: Path, heading: str) -> pd.DataFrame:
    expected = "the workbook Original-Schwartz2008.xls with the sheet 'EMG'"
    if not path.is_file():
        raise FileFormatError(path, "no such file", expected)
    try:
        raw = pd.read_excel(path, sheet_name="EMG", header=None, engine="calamine")
    except ImportError as error:
        raise InvalidInputError(
            f"{path}: reading Excel files needs: pip install python-calamine"
        ) from error
    except Exception as error:
        raise FileFormatError(path, f"cannot be read ({error})", expected) from error
    place = [i for i, cell in enumerate(raw.iloc[0]) if cell == heading]
    if not place:
        raise FileFormatError(path, f"no heading {heading!r} in line 1 of 'EMG'", expected)
    body = raw.iloc[2:]
    columns = {"muscle": 0, "phase": 1, "mean": place[0] + 1, "upper": place[0] + 2}
    table = pd.DataFrame({name: body[column] for name, column in columns.items()}).dropna()
    return table[table["muscle"].map(lambda text: parse_label(str(text))[0]).notna()]
