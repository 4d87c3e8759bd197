"""Evaluating a policy on a motion library: by skill, by protocol, by split, with intervals.

The clip is the unit: a clip is followed from its start to its end, as in KINESIS, and from further
starts if asked for; shares and intervals are over clips, whose episodes are averaged first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from kinesis_neuro.body.models import CONTROL_RATE, load_body
from kinesis_neuro.errors import IncompatibleError, InvalidInputError, unknown_name
from kinesis_neuro.evaluate import run_episodes
from kinesis_neuro.learn.play import as_policy
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.motion.repertoire import MotionLibrary
from kinesis_neuro.scores import PROTOCOLS, bootstrap_interval, score

METRICS = ("success", "frame_coverage", "mpjpe", "mpjpe_all")
ALL_SKILLS = "all"
_SHOWN = {"success": 100.0, "frame_coverage": 100.0, "mpjpe": 1e3, "mpjpe_all": 1e3}
_UNITS = {"success": "%", "frame_coverage": "%", "mpjpe": "mm", "mpjpe_all": "mm"}


def evaluate_library(
    policy: Policy | str | Path,
    library: str | Path,
    splits: Mapping[str, Iterable[str]] | None = None,
    *,
    n_starts: int = 1,
    duration: float = 10.0,
    seed: int = 0,
    n_threads: int | None = None,
) -> pd.DataFrame:
    """Let a deterministic policy follow the clips of a library.

    Parameters
    ----------
    policy : Policy, str or Path
        A policy, the name of a shipped one, or a folder.
    library : str or Path
        Folder of a motion library on the policy's body.
    splits : mapping of str to iterable of str, optional
        Names of the clips of each split; all clips, as split ``all``, if not given.
    n_starts : int
        Episodes a clip, the first from its first frame, the others from later ones.
    duration : float
        Longest episode [s].
    seed : int
        Of the environment.
    n_threads : int, optional

    Returns
    -------
    DataFrame
        A row an episode and protocol: ``split``, ``skill``, ``motion``, ``protocol``,
        ``start_frame``, ``planned`` [s], ``success``, ``survival_time`` [s], ``frame_coverage``,
        ``mpjpe`` [m], ``mpjpe_all`` [m] (see :func:`kinesis_neuro.scores.score`).

    Raises
    ------
    InvalidInputError
        A clip is unknown, in two splits, or there is none.
    IncompatibleError
        The library is of another body than the policy.
    """
    if n_starts < 1 or not (np.isfinite(duration) and duration > 0):
        raise InvalidInputError(
            f"n_starts and duration must be positive, got {n_starts} and {duration}."
        )
    played = as_policy(policy)
    clips = MotionLibrary(library)
    if clips.body is not load_body(played.about.body):
        raise IncompatibleError(
            f"{library} is on body {clips.body.name!r}, policy {played.about.name!r} on "
            f"{played.about.body!r}. Build the library for that body."
        )
    parts = (
        {ALL_SKILLS: clips.names} if splits is None else {k: tuple(v) for k, v in splits.items()}
    )
    split = {name: part for part, names in parts.items() for name in names}
    if not split or len(split) < sum(map(len, parts.values())):
        raise InvalidInputError("Splits need clips, and each clip belongs to one of them.")
    chosen = clips.subset(split)
    skill = {clip.name: clip.skill for clip in chosen.clips}
    rows = []
    for names, seconds in _similar(chosen, duration):
        traces = run_episodes(
            played,
            [chosen.motion(name) for name in names],
            n_starts=n_starts,
            duration=seconds,
            seed=seed,
            n_threads=n_threads,
            to_the_end=True,
        )
        for protocol in PROTOCOLS.values():
            about = {
                "split": [split[name] for name in traces.motion],
                "skill": [skill[name] for name in traces.motion],
                "motion": traces.motion,
                "protocol": protocol.name,
                "start_frame": traces.start_frame,
                "planned": traces.planned / traces.control_rate,
            }
            rows.append(pd.DataFrame(about | score(traces, protocol)))
    found = pd.concat(rows)
    order = {name: k for k, name in enumerate(split)}
    return found.sort_values(
        ["motion", "start_frame", "protocol"],
        key=lambda column: column.map(order) if column.name == "motion" else column,
    ).reset_index(drop=True)


def _similar(library: MotionLibrary, longest: float) -> list[tuple[list[str], float]]:
    """Clips that last about as long, so that few wait for others, with the longest's duration."""
    groups: dict[int, list[str]] = {}
    seconds: dict[int, float] = {}
    for clip in library.clips:
        lasts = longest if clip.displacement is not None else min(longest, clip.duration)
        group = int(np.floor(np.log2(max(lasts, 1.0 / CONTROL_RATE))))
        groups.setdefault(group, []).append(clip.name)
        seconds[group] = max(seconds.get(group, 0.0), lasts)
    return [(groups[group], seconds[group]) for group in sorted(groups)]


def skill_table(episodes: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Means by split, skill and protocol, with 95 % intervals over clips.

    Parameters
    ----------
    episodes : DataFrame
        Of :func:`evaluate_library`.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        Indexed by ``split``, ``skill`` (with ``all``), ``protocol``; ``n_clips``, and of each
        metric the mean, ``_low`` and ``_high``: Wilson's interval of the share of clips for
        ``success`` (Wilson 1927), of the others the percentile bootstrap. Other clips of the same
        people are what the intervals speak of, not other people. A single clip has none.
    """
    clip = ["split", "skill", "motion", "protocol"]
    by_clip = episodes.groupby(clip, sort=False)[list(METRICS)].mean().reset_index()
    both = pd.concat([by_clip, by_clip.assign(skill=ALL_SKILLS)])
    rows = []
    for key, part in both.groupby(["split", "skill", "protocol"], sort=False):
        rng = np.random.default_rng(seed)
        n = len(part)
        row = dict(zip(("split", "skill", "protocol"), key, strict=True)) | {"n_clips": n}
        for metric in METRICS:
            values = part[metric].to_numpy()
            if n < 2:
                low = high = np.nan
            elif metric == "success":
                low, high = proportion_confint(values.sum(), n, method="wilson")
            else:
                low, high = bootstrap_interval(values, rng)
            row |= {metric: values.mean(), f"{metric}_low": low, f"{metric}_high": high}
        rows.append(row)
    return pd.DataFrame(rows).set_index(["split", "skill", "protocol"])


def failed_clips(episodes: pd.DataFrame, protocol: str = "strict") -> tuple[str, ...]:
    """Clips of which an episode failed, in order: what the next expert is to be trained on.

    Examples
    --------
    >>> table = pd.DataFrame(
    ...     {"motion": ["a", "b"], "protocol": ["strict"] * 2, "success": [1.0, 0.0]}
    ... )
    >>> failed_clips(table)
    ('b',)
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    failed = episodes[(episodes["protocol"] == protocol) & (episodes["success"] < 1.0)]
    return tuple(dict.fromkeys(failed["motion"]))


def table_text(table: pd.DataFrame) -> str:
    """The table of :func:`skill_table` as text."""
    lines = [
        f"{'split':<12}{'skill':<17}{'protocol':<10}{'clips':>6}  "
        + "".join(f"{f'{m} [{_UNITS[m]}]':<25}" for m in METRICS).rstrip()
    ]
    for (split, skill, protocol), row in table.iterrows():
        cells = []
        for metric, scale in _SHOWN.items():
            low, high = scale * row[f"{metric}_low"], scale * row[f"{metric}_high"]
            interval = f" ({low:.1f} to {high:.1f})" if np.isfinite(low) else ""
            cells.append(f"{scale * row[metric]:.1f}{interval}".ljust(25))
        clips = int(row["n_clips"])
        lines.append(f"{split:<12}{skill:<17}{protocol:<10}{clips:>6}  {''.join(cells)}".rstrip())
    return "\n".join(lines)
