"""Tables of a report: which columns, under what heading, in what units and digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from kinesis_neuro.analysis.comparison import OVERALL
from kinesis_neuro.analysis.synergy_rank import RULES
from kinesis_neuro.plot.names import muscle_label
from kinesis_neuro.report.results import Results, SynergyResults, center_table

NONE = "\N{EN DASH}"
"""What stands for a number that is not defined."""

_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes
    ----------
    title, note : str
    columns : list of str
        Headings; the first is that of the rows' names.
    rows : list of list of str
    emphasis : int
        Row that is set apart (a mean), -1: none.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""
    emphasis: int = -1
    lost: list[str] = field(default_factory=list)


def number(value: float, digits: int = 2) -> str:
    """Write a number; a dash where it is not defined.

    Examples
    --------
    >>> number(0.456), number(float("nan")) == NONE, number(-0.001)
    ('0.46', True, '0.00')
    """
    if not np.isfinite(value):
        return NONE
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", _MINUS)


def probability(value: float) -> str:
    """Write a p value.

    Examples
    --------
    >>> probability(0.0004), probability(0.012), probability(0.3)
    ('<0.001', '0.012', '0.30')
    """
    if not np.isfinite(value):
        return NONE
    return "<0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def percent(value: float) -> str:
    """Write a part of the cycle in per cent, with its sign."""
    text = number(100 * value, 1)
    return f"+{text}" if np.isfinite(value) and value > 0 and text != "0.0" else text


_Write = Callable[[float], str]
_AGREEMENT: tuple[tuple[str, str, _Write], ...] = (
    ("r", "r", number),
    ("r_low", "low", number),
    ("r_high", "high", number),
    ("p", "p", probability),
    ("p_fdr", "p, FDR", probability),
    ("null_95", "chance 95 %", number),
    ("ceiling_pairwise", "person to person", number),
    ("r_to_mean", "r to mean of people", number),
    ("ceiling_mean_of_others", "person to mean of others", number),
    ("ceiling_between_cycle", "odd to even cycles", number),
)
_TIMING: tuple[tuple[str, str, _Write], ...] = (
    ("best_lag", "best lag (%)", percent),
    ("r_best", "r there", number),
    ("p_best", "p there", probability),
    ("onset_error", "onset error (%)", percent),
    ("peak_error", "peak error (%)", percent),
    ("offset_error", "offset error (%)", percent),
    ("center_people", "centre, people (%)", lambda x: number(100 * x, 1)),
    ("center_simulated", "centre, simulation (%)", lambda x: number(100 * x, 1)),
    ("center_error", "centre error (%)", percent),
    ("center_resultant", "agreement of people (1)", number),
)
_SHAPE: tuple[tuple[str, str, _Write], ...] = (
    ("nrmse", "nRMSE", number),
    ("vaf", "VAF", number),
    ("cmc", "CMC", number),
    ("r_stance", "r, stance", number),
    ("r_swing", "r, swing", number),
    ("nrmse_stance", "nRMSE, stance", number),
    ("nrmse_swing", "nRMSE, swing", number),
)


def tables(results: Results) -> list[Table]:
    """Make all tables of a report.

    Parameters
    ----------
    results : Results

    Returns
    -------
    list of Table
    """
    table = results.comparison.table.join(center_table(results.centers))
    made = [
        _of_muscles(
            "Agreement", table, _AGREEMENT,
            "Pearson's r at zero lag with its interval; chance is what the simulation reaches in "
            "19 of 20 cases. Hold r against person to person, and r to the mean of people against "
            "person to mean of others.",
        ),
        _of_muscles(
            "Timing", table, _TIMING,
            "In per cent of the gait cycle. A positive lag: people are later; a positive error: "
            "the simulation is. p there is the part of the human muscles that the simulated one "
            "fits as well at their best lags. In the last row the lag is common to all muscles, "
            "and p is against muscles at random phases.",
        ),
        _of_muscles("Shape", table, _SHAPE, "All dimensionless."),
    ]  # fmt: skip
    if results.synergies is not None:
        made += [_ranks(results.synergies), _matches(results.synergies)]
    return made


def _of_muscles(
    title: str, table: pd.DataFrame, columns: tuple[tuple[str, str, _Write], ...], note: str
) -> Table:
    """Columns that have a number somewhere, a row a muscle."""
    there = [(n, h, w) for n, h, w in columns if n in table and table[n].notna().any()]
    lost = [h for n, h, _ in columns if n not in table or not table[n].notna().any()]
    rows = [
        [_muscle(str(muscle)), *(write(float(row[name])) for name, _, write in there)]
        for muscle, row in table.iterrows()
    ]
    if lost:
        note += f" Not defined for these data: {', '.join(lost)}."
    emphasis = len(rows) - 1 if table.index[-1] == OVERALL else -1
    return Table(title, ["muscle", *(h for _, h, _ in there)], rows, note, emphasis, lost)


def _muscle(name: str) -> str:
    return "Mean" if name == OVERALL else muscle_label(name)


def _ranks(found: SynergyResults) -> Table:
    human = found.human
    rules = {int(human[f"chosen_{rule}"]): [] for rule in RULES}  # type: dict[int, list[str]]
    for rule in RULES:
        rules[int(human[f"chosen_{rule}"])].append(rule.replace("_", " "))
    none = f" No number by: {', '.join(rules[0])}." if rules.get(0) else ""
    rows = [
        [str(int(rank)), number(float(vaf), 3), number(float(r2), 3),
         ", ".join(rules.get(int(rank), [])) or ""]
        for rank, vaf, r2 in zip(
            human["rank"].values, human["rank_vaf"].values, human["rank_r_squared"].values,
            strict=True,
        )
    ]  # fmt: skip
    chosen = [int(rank) for rank in human["rank"].values].index(int(human.attrs["n_synergies"]))
    return Table(
        "Number of synergies (person)",
        ["synergies", "VAF", "R\N{SUPERSCRIPT TWO}", "chosen by"],
        rows,
        f"Six rules, which disagree; followed: {str(human.attrs['rule']).replace('_', ' ')}.{none}",
        chosen,
    )


def _matches(found: SynergyResults) -> Table:
    match, human, simulated = found.match, found.human, found.simulated
    rows = []
    for k, partner in enumerate(match["match"].values.tolist()):
        has = partner >= 0
        lag = match.get("activation_lag")
        rows.append(
            [
                str(k + 1),
                str(partner + 1) if has else NONE,
                number(float(match["similarity"][k])),
                probability(float(match["p_value"][k])),
                number(float(match["activation_similarity"][k, partner])) if has else NONE,
                percent(float(lag[k, partner])) if has and lag is not None else NONE,
                _center(human, k),
                _center(simulated, partner) if has else NONE,
            ]
        )
    return Table(
        "Synergies of the person and of the simulation",
        ["person's", "simulation's", "cosine of weights", "p", "r of activations",
         "lag (%)", "centre, person (%)", "centre, simulation (%)"],
        rows,
        f"VAF of the person {number(float(human['vaf']), 3)}, of the simulation "
        f"{number(float(simulated['vaf']), 3)}. Mean cosine "
        f"{number(float(match['mean_similarity']))}, chance {number(float(match['null_high']))} in "
        "one of twenty cases (p = "
        f"{probability(float(match['mean_p_value']))}).",
    )  # fmt: skip


def _center(synergies: xr.Dataset, k: int) -> str:
    if "center_of_activity" not in synergies:
        return NONE
    return number(100 * float(synergies["center_of_activity"][k]), 1)
