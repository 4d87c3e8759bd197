"""Compute the built-in gait: mean and SD cycle of one adult walking at 1.0 m/s.

Reads the recording of subject 06 of Wang et al. 2023 (``wang2023_subject06/walk36``) and writes
``kinesis_neuro/motion/gaits/walk.csv`` and ``walk.json``, a table of figures with its source.

    python analyses/builtin_gait.py DATA_FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from kinesis_neuro.formats.opensim import read_storage

OUT = Path(__file__).resolve().parents[1] / "kinesis_neuro" / "motion" / "gaits"
N_PHASE = 101
CONTACT_THRESHOLD = 40.0  # [N], as the recording's own README uses
DURATION_TOLERANCE = 0.10  # cycles farther than 10 % from the median are double contacts
SPEED = 1.0  # [m/s]


def heel_strikes(time: np.ndarray, force: np.ndarray) -> np.ndarray:
    """Times of upward crossings of the threshold, interpolated."""
    above = force > CONTACT_THRESHOLD
    k = np.flatnonzero(~above[:-1] & above[1:])
    part = (CONTACT_THRESHOLD - force[k]) / (force[k + 1] - force[k])
    return time[k] + part * (time[k + 1] - time[k])


def main(folder: Path) -> None:
    """Read, cut into cycles, average, write."""
    walk = folder / "wang2023_subject06" / "walk36"
    ik, forces, moments = (read_storage(walk / f) for f in ("ik.sto", "XLD.mot", "id.sto"))
    time = ik.time
    columns: dict[str, np.ndarray] = {}
    for name in ik.columns:
        values = ik.column(name)
        columns[name] = (
            values if name.startswith("pelvis_t") and name[-1] in "xyz" else np.deg2rad(values)
        )
    pelvis = np.stack([columns[f"pelvis_t{axis}"] for axis in "xyz"], axis=-1)
    for side, prefix in (("r", ""), ("l", "l_")):
        force = np.stack([forces.column(f"{prefix}ground_force_v{a}") for a in "xyz"], axis=-1)
        pressure = np.stack([forces.column(f"{prefix}ground_force_p{a}") for a in "xyz"], axis=-1)
        loaded = force[:, 1] > CONTACT_THRESHOLD
        for i, axis in enumerate("xyz"):
            columns[f"ground_force_{side}_{axis}"] = force[:, i]
            columns[f"center_of_pressure_{side}_{axis}"] = np.where(
                loaded, pressure[:, i] - pelvis[:, i], np.nan
            )
    for name in moments.columns:
        if name.endswith(("_r_moment", "_l_moment")):
            columns[name] = moments.column(name)

    strikes = heel_strikes(forces.time, forces.column("ground_force_vy"))
    left = heel_strikes(forces.time, forces.column("l_ground_force_vy"))
    durations = np.diff(strikes)
    median = np.median(durations)
    good = np.flatnonzero(np.abs(durations / median - 1) < DURATION_TOLERANCE)
    phase = np.linspace(0, 1, N_PHASE)
    at = strikes[good, None] + phase * durations[good, None]
    table = {"phase": phase}
    for name, values in columns.items():
        cycles = np.interp(at, time, values)
        if name.startswith("center_of_pressure"):
            # The mean over the cycles in which the foot is loaded; between them, while the foot
            # swings, a line from the last place to the next first one.
            seldom = np.isfinite(cycles).mean(axis=0) < 0.5
            mean, sd = _nan_moments(np.where(seldom, np.nan, cycles))
            mean, sd = (_fill_around(values, phase) for values in (mean, sd))
        else:
            mean, sd = cycles.mean(axis=0), cycles.std(axis=0, ddof=1)
        table[f"{name}_mean"], table[f"{name}_sd"] = mean, sd

    # The model file's masses are gait2392's generic 75 kg; the plates carry 58 kg.
    vertical = forces.column("ground_force_vy") + forces.column("l_ground_force_vy")
    whole = (forces.time >= strikes[0]) & (forces.time < strikes[-1])
    offset = (left[:, None] - strikes[good]) / durations[good]
    inside = offset[(offset > 0) & (offset < 1)]
    OUT.mkdir(exist_ok=True)
    pd.DataFrame(table).to_csv(OUT / "walk.csv", index=False, float_format="%.6g")
    meta = {
        "name": "walk",
        "description": "Mean and SD gait cycle of one adult on a treadmill, right heel strike to "
        "right heel strike, in OpenSim's coordinates and axes (x forward, y up, z right).",
        "units": "rad, m, N, N m; center_of_pressure is relative to the pelvis' origin",
        "speed": SPEED,
        "cycle_duration": round(float(durations[good].mean()), 6),
        "cycle_duration_sd": round(float(durations[good].std(ddof=1)), 6),
        "n_cycles": int(good.size),
        "n_rejected": int(durations.size - good.size),
        "left_heel_strike_phase": round(float(np.median(inside)), 4),
        "subject_weight": round(float(vertical[whole].mean()), 2),
        "skeleton": "gait2392",
        "source": "Wang, Basu, Durandau & Sartori 2023, subject 06, walk36 (doi "
        "10.5281/zenodo.6457662), from CEINMS-RT/LowerLimbModel at 4056e1c6",
        "licence": "Apache-2.0",
        "script": "analyses/builtin_gait.py",
    }
    (OUT / "walk.json").write_text(json.dumps(meta, indent=2) + "\n")
    print(json.dumps(meta, indent=2))


def _nan_moments(cycles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and SD over the finite entries of each column, NaN where there are none."""
    finite = np.isfinite(cycles)
    n = finite.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(finite, cycles, 0).sum(axis=0) / np.where(n > 0, n, np.nan)
        square = np.where(finite, cycles - mean, 0) ** 2
        return mean, np.sqrt(square.sum(axis=0) / np.where(n > 1, n - 1, np.nan))


def _fill_around(values: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Fill NaN by linear interpolation around the cycle; the last point is the first."""
    known = np.isfinite(values[:-1])
    open_phase = phase[:-1]
    return np.interp(phase, open_phase[known], values[:-1][known], period=1.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
