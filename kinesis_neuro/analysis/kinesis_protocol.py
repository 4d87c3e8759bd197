"""What KINESIS's notebook does to compare its controls with human EMG, conventions included.

The recipe (amathislab/Kinesis, notebooks/emg_comparison.ipynb at 94856d35): samples at 30 Hz; a
cycle starts at the first frame in which only the left foot is on the ground, after one in which
only the right foot was; cycles farther than two SD from the mean length are dropped; each is
stretched to 100 points, first sample to last; the mean control of nine muscles of the LEFT leg,
biceps femoris by its short head, is correlated with the mean EMG envelope of the RIGHT leg, point
by point. Each convention has its right counterpart here, so that what it costs can be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.analysis.ceiling import human_ceilings
from kinesis_neuro.analysis.waveforms import pearson
from kinesis_neuro.emg.mapping import mapping_matrix
from kinesis_neuro.emg.readers import WANG_CHANNELS
from kinesis_neuro.errors import FileFormatError, InvalidInputError
from kinesis_neuro.formats.arrays import read_npy

FloatArray = NDArray[np.float64]

RATE = 30.0
N_POINTS = 100
CONTACT_CODES = {"none": -1, "left": 0, "right": 1, "both": 2}
_LOADED = 1.0  # [N]; KINESIS's touch sensors report any load


@dataclass(frozen=True)
class Conventions:
    """How cycles are cut and what is compared.

    Attributes
    ----------
    leg : {"left", "right"}
        Leg of the simulation; the EMG is the right leg's.
    start : {"single_support", "heel_strike"}
        First frame on this leg alone, or first frame with this foot on the ground.
    biceps : {"short", "long"}
        Head of biceps femoris.
    """

    leg: str = "left"
    start: str = "single_support"
    biceps: str = "short"


PUBLISHED = Conventions()
VARIANTS = {
    "published": PUBLISHED,
    "heel strike": Conventions(start="heel_strike"),
    "right leg": Conventions(leg="right"),
    "long head": Conventions(biceps="long"),
    "all three": Conventions("right", "heel_strike", "long"),
}
"""The published recipe, each convention put right alone, and all of them."""


def read_kinesis_controls(folder: str | Path) -> xr.Dataset:
    """Read the published controls of KINESIS.

    Parameters
    ----------
    folder : str or Path
        Holds ``gait.npy``, ``muscle_controls.npy`` and ``muscle_names.npy``.

    Returns
    -------
    xarray.Dataset
        ``excitation (time, muscle)`` [1] at 30 Hz and ``gait (time)`` [1], the code of contact
        (:data:`CONTACT_CODES`); the first sample, which holds no data, is left out.

    Raises
    ------
    FileFormatError
        If a file is missing or broken.
    """
    folder = Path(folder)
    controls = read_npy(folder / "muscle_controls.npy", (None, 80))[1:]
    gait = read_npy(folder / "gait.npy", (None,))[1:]
    file = folder / "muscle_names.npy"
    try:
        names = np.load(file, allow_pickle=False).astype(str)
    except Exception as error:
        raise FileFormatError(file, f"cannot be read ({error})", "80 names of muscles") from error
    if len(gait) != len(controls) or names.shape != (80,):
        found = f"{len(gait)} codes of contact for {len(controls)} controls"
        raise FileFormatError(folder, found, "one for each")
    sides = np.where(np.char.endswith(names, "_l"), "left", "right")
    return xr.Dataset(
        {
            "excitation": (("time", "muscle"), controls, {"units": "1"}),
            "gait": ("time", gait, {"units": "1"}),
        },
        coords={
            "time": ("time", np.arange(len(gait)) / RATE, {"units": "s"}),
            "muscle": ("muscle", names),
            "side": ("muscle", sides),
            "group": ("muscle", np.full(80, "not stated")),
        },
        attrs={
            "body": "legs",
            "policy": "KINESIS (published controls)",
            "sampling_rate": RATE,
            "source": "Simos, Chiappa & Mathis 2025, KINESIS",
        },
    )


def contact_code(recording: xr.Dataset) -> NDArray[np.int64]:
    """Code of contact of each sample, from ``gait`` or from simulated ground forces."""
    if "gait" in recording:
        return recording["gait"].values.astype(int)
    if "ground_force" not in recording:
        raise InvalidInputError(
            "KINESIS's recipe needs to know which foot is on the ground: ground_force (time, "
            "contact, space), or codes of contact 'gait' (time)."
        )
    force = recording["ground_force"].sel(space="z")
    right, left = (force.sel(contact=side).values > _LOADED for side in ("right", "left"))
    return np.select([right & left, right, left], [2, 1, 0], -1)


def cycle_starts(code: NDArray[np.int64], conventions: Conventions = PUBLISHED) -> NDArray[np.intp]:
    """First samples of the cycles.

    Examples
    --------
    >>> cycle_starts(np.array([2, 0, 0, 2, 1, 1, 2, 0, 0, 1, 0]))
    array([ 1,  7, 10])
    """
    own = CONTACT_CODES[conventions.leg]
    other = 1 - own
    # What counts is the last single support: double support and flight in between change nothing.
    single = np.flatnonzero((code == own) | (code == other))
    if not single.size:
        return single
    last = code[single]
    changed = np.r_[True, last[1:] != last[:-1]]
    starts = single[changed & (last == own)]
    if conventions.start == "single_support":
        return starts
    # Back to where this foot came down: the end of the last sample without it.
    without = ~((code == own) | (code == 2))
    before = np.maximum.accumulate(np.where(without, np.arange(code.size), -1))
    return before[starts] + 1


def kinesis_cycle(
    recording: xr.Dataset, conventions: Conventions = PUBLISHED, signal: str = "excitation"
) -> tuple[FloatArray, int]:
    """Mean cycle of the nine muscles by the recipe.

    Parameters
    ----------
    recording : xarray.Dataset
        Published controls, or a recording, which is sampled at 30 Hz.
    conventions : Conventions
    signal : str

    Returns
    -------
    mean : ndarray, shape (9, 100)
        Channels in the order of ``WANG_CHANNELS``.
    n_cycles : int

    Raises
    ------
    InvalidInputError
        If fewer than two cycles are found.
    """
    if signal not in recording or "muscle" not in recording[signal].dims:
        raise InvalidInputError(f"The recording has no {signal!r} over muscle.")
    rate = float(recording.attrs.get("sampling_rate", 0.0))
    stride = rate / RATE
    if stride < 1 or abs(stride - round(stride)) > 1e-6:
        raise InvalidInputError(
            f"KINESIS's recipe samples at {RATE:g} Hz, which {rate:g} Hz is no multiple of."
        )
    recording = recording.isel(time=slice(None, None, round(stride)))
    head = "biceps_femoris_short" if conventions.biceps == "short" else "biceps_femoris"
    channels = [head if c == "biceps_femoris" else c for c in WANG_CHANNELS]
    weights = mapping_matrix(
        list(map(str, recording["muscle"].values)), channels, [conventions.leg] * 9,
        str(recording.attrs.get("body", "legs")),
    )  # fmt: skip
    values = recording[signal].transpose("time", "muscle").values @ weights.T
    starts = cycle_starts(contact_code(recording), conventions)
    length = np.diff(starts)
    if length.size < 2:
        raise InvalidInputError(f"Only {length.size} cycles were found. Record longer.")
    usual = np.abs(length - length.mean()) < 2 * length.std()
    begin, last = starts[:-1][usual], length[usual] - 1
    at = begin[:, None] + np.linspace(0, 1, N_POINTS) * last[:, None]
    left = np.minimum(at.astype(int), len(values) - 2)
    part = (at - left)[..., None]
    cycles = values[left] * (1 - part) + values[left + 1] * part
    return cycles.mean(axis=0).T, int(usual.sum())


def human_points(subjects: Sequence[xr.Dataset]) -> FloatArray:
    """Mean cycles of people as the recipe takes them: 100 points as they stand in the files.

    Returns
    -------
    ndarray, shape (n_subjects, 9, 100)
    """
    curves = []
    for subject in subjects:
        name = subject.attrs.get("subject", "subject")
        missing = [c for c in WANG_CHANNELS if c not in subject["channel"].values]
        cycles = subject.get("envelope")
        if missing or cycles is None or "phase" not in cycles.dims:
            raise InvalidInputError(
                f"KINESIS's recipe compares mean cycles of nine muscles; {name!r} lacks "
                f"{', '.join(missing) or 'cycles'}. Use protocol=None for other subjects."
            )
        mean = cycles.mean("cycle").sel(channel=list(WANG_CHANNELS))
        values = mean.transpose("channel", "phase").values
        if values.shape[1] != N_POINTS:
            old = np.linspace(0, 1, values.shape[1])
            new = np.linspace(0, 1, N_POINTS)
            values = np.array([np.interp(new, old, row) for row in values])  # nine rows
        curves.append(values)
    return np.stack(curves)


def kinesis_table(
    recording: xr.Dataset, subjects: Sequence[xr.Dataset], signal: str = "excitation"
) -> pd.DataFrame:
    """Mean r by the published recipe and beside it with each convention put right.

    Parameters
    ----------
    recording : xarray.Dataset
    subjects : sequence of xarray.Dataset
    signal : str

    Returns
    -------
    DataFrame
        One row a variant: ``r`` (mean over people and muscles), ``human`` (pairwise, the same in
        all rows), ``n_cycles``, and r of each muscle.
    """
    people = human_points(subjects)
    human = float(human_ceilings(people).pairwise.mean())
    rows = {}
    for name, conventions in VARIANTS.items():
        mean, n_cycles = kinesis_cycle(recording, conventions, signal)
        r = pearson(mean[None], people).mean(axis=0)
        rows[name] = {"r": r.mean(), "human": human, "n_cycles": n_cycles} | dict(
            zip(WANG_CHANNELS, r, strict=True)
        )
    return pd.DataFrame.from_dict(rows, orient="index")
