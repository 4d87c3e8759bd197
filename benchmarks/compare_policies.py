"""Policies, of one or several training seeds, against people's EMG: the table, in Markdown.

python benchmarks/compare.py policies walk=walk excitation=runs/exc-s0/checkpoint,runs/exc-s1/...

Every argument is ``name=policy[,policy...]``: a name for the row, and one policy a training seed.
People of wang2023 need the folder that ``KINESIS_NEURO_DATA`` names; without it, the built-in
person is compared alone.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd
import xarray as xr

from kinesis_neuro.analysis.compare import compare_emg
from kinesis_neuro.analysis.comparison import OVERALL
from kinesis_neuro.emg.datasets import load_subject
from kinesis_neuro.errors import InvalidInputError, KinesisError
from kinesis_neuro.motion.inverse import static_optimization
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.record import record

SIGNALS = ("activation", "equivalent_excitation")
DELAY = 0.06
"""From EMG to force [s]: stated beforehand, never fitted."""
SPEED = 1.0
"""Of the built-in gait, and of the people compared [m/s]."""
_NUMBERS = (4, 5, 6, 7, 8)
_WALKER = 6
"""The person whose gait is built in, whom every policy has seen move."""


def parse_groups(arguments: Sequence[str]) -> dict[str, list[str]]:
    """Read ``name=policy,policy`` into policies by name; a bare policy names itself.

    >>> parse_groups(["walk", "three=a,b,c"])
    {'walk': ['walk'], 'three': ['a', 'b', 'c']}
    """
    groups: dict[str, list[str]] = {}
    for argument in arguments:
        name, given, policies = argument.partition("=")
        found = [one for one in (policies if given else name).split(",") if one]
        if not name or not found or name in groups:
            raise InvalidInputError(
                f"Got {argument!r}. Give each row once, as name=policy or "
                "name=policy,policy,policy."
            )
        groups[name] = found
    return groups


def people() -> dict[str, list[xr.Dataset]]:
    """Groups of people at one speed; the walker is never pooled with himself."""
    groups = {"built-in (06)": [load_subject("builtin")]}
    try:
        known = {n: load_subject(f"wang2023/{n:02d}", speed=SPEED) for n in _NUMBERS}
    except KinesisError as error:
        print(f"People of wang2023 are left out: {error}\n")
        return groups
    unseen = [one for n, one in known.items() if n != _WALKER]
    return groups | {"04 to 08": list(known.values()), "04, 05, 07, 08 (unseen)": unseen}


def walk_again(policies: Sequence[str], duration: float) -> list[xr.Dataset]:
    """Record each policy on the built-in gait; one that falls starts again."""
    return [record(one, "walk", duration, seed=0, on_fall="restart") for one in policies]


def compare_groups(
    groups: dict[str, list[xr.Dataset]],
    subjects: dict[str, list[xr.Dataset]],
    n_null: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare recordings with people, by signal and delay.

    Parameters
    ----------
    groups : dict
        Recordings by row, one a training seed.
    subjects : dict
        People by column.
    n_null : int
        Surrogates.
    seed : int
        Of the surrogates.

    Returns
    -------
    DataFrame
        A row each of people, signal and what was compared: mean r over seeds, people and muscles
        at zero lag with its 95 % interval and its null's 95th percentile, the same at the delay,
        and the pairwise ceiling.
    """
    rows: list[dict[str, Any]] = []
    for who, those in subjects.items():
        for signal in SIGNALS:
            for name, recordings in groups.items():
                row: dict[str, Any] = {"people": who, "signal": signal, "compared": name}
                row["seeds"] = len(recordings)
                row["falls"] = sum(int(one.attrs.get("n_falls", 0)) for one in recordings)
                for label, delay in (("r", 0.0), ("delayed", DELAY)):
                    table = compare_emg(
                        recordings, those, signal, n_null=n_null, seed=seed, delay=delay
                    ).table.loc[OVERALL]
                    row |= {label: table["r"], f"{label}_null": table["null_95"]}
                    row |= {f"{label}_low": table["r_low"], f"{label}_high": table["r_high"]}
                    row["ceiling"] = table["ceiling_pairwise"]
                rows.append(row)
    return pd.DataFrame(rows)


def person_to_person(subjects: dict[str, list[xr.Dataset]], seen: xr.Dataset) -> str:
    """Say what other people reach against the built-in person, who has no ceiling alone."""
    others = subjects.get("04, 05, 07, 08 (unseen)")
    if others is None:
        return ""
    table = compare_emg(
        seen, subjects["built-in (06)"], baselines={"people": others}, n_null=10
    ).table
    return f"The unseen people against the built-in one: r = {table.at[OVERALL, 'r:people']:.2f}."


def markdown(table: pd.DataFrame) -> str:
    """Write the table in Markdown.

    >>> row = {"people": "one", "signal": "activation", "compared": "walk", "seeds": 1, "falls": 0}
    >>> both = {"r": 0.5, "r_low": float("nan"), "r_high": float("nan"), "r_null": 0.2}
    >>> late = {f"delayed{k[1:]}": v for k, v in both.items()}
    >>> print(markdown(pd.DataFrame([row | both | late | {"ceiling": 0.77}])).splitlines()[-1])
    | one | activation | walk | 1 | 0 | 0.50 | 0.20 | 0.50 | 0.20 | 0.77 |
    """
    late = f"{1000 * DELAY:.0f} ms"
    heading = ["people", "signal", "compared", "seeds", "falls", "r at 0 ms (95 %)", "null 95 %"]
    heading += [f"r at {late} (95 %)", "null 95 %", "person to person"]
    lines = [heading, ["---"] * len(heading)]
    for row in table.to_dict("records"):
        cells = [str(row[key]) for key in ("people", "signal", "compared", "seeds", "falls")]
        cells[1] = cells[1].replace("_", " ")
        for label in ("r", "delayed"):
            low, high = row[f"{label}_low"], row[f"{label}_high"]
            interval = f" ({low:.2f} to {high:.2f})" if pd.notna(low) else ""
            cells += [f"{row[label]:.2f}{interval}", f"{row[f'{label}_null']:.2f}"]
        lines.append([*cells, f"{row['ceiling']:.2f}" if pd.notna(row["ceiling"]) else "-"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str]) -> None:
    """Record, compare, print."""
    parser = argparse.ArgumentParser(prog="compare.py policies", description=__doc__)
    parser.add_argument("rows", nargs="*", default=["walk", "walk-excitation"])
    parser.add_argument("--duration", type=float, default=20.0, help="of each recording [s]")
    parser.add_argument("--surrogates", type=int, default=1000)
    given = parser.parse_args(arguments)
    groups = {n: walk_again(p, given.duration) for n, p in parse_groups(given.rows).items()}
    groups["untrained"] = walk_again(["untrained"], given.duration)
    solved = static_optimization(load_motion("walk"))
    groups["static optimisation"] = [solved]
    subjects = people()
    with warnings.catch_warnings():
        # One line a row: what would be warned of (an untrained body's speed) has its own column.
        warnings.simplefilter("ignore")
        table = compare_groups(groups, subjects, given.surrogates)
        print(markdown(table))
        print(f"\n{person_to_person(subjects, solved)}")
    print(
        "Means over seeds, people and muscles. Intervals treat seeds and people as random; with "
        "one seed they hold for that seed only."
    )
