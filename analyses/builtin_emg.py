"""Compute the built-in EMG subject: mean and SD envelopes of the adult whose gait is built in.

Reads subject 06 of Wang et al. 2023 (``wang2023_subject06/walk36``), cuts at the same heel strikes
and leaves out the same cycles as ``builtin_gait.py``, and writes
``kinesis_neuro/emg/tables/builtin.csv`` and ``builtin.json``.

    python analyses/builtin_emg.py DATA_FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from builtin_gait import DURATION_TOLERANCE, N_PHASE, SPEED, heel_strikes

from kinesis_neuro.emg.labels import name_channels
from kinesis_neuro.formats.opensim import read_storage

OUT = Path(__file__).resolve().parents[1] / "kinesis_neuro" / "emg" / "tables"


def main(folder: Path) -> None:
    """Read, cut into cycles, average, write."""
    walk = folder / "wang2023_subject06" / "walk36"
    emg, forces = read_storage(walk / "emgFilt.sto"), read_storage(walk / "XLD.mot")
    index, names, _ = name_channels(emg.columns)
    strikes = heel_strikes(forces.time, forces.column("ground_force_vy"))
    durations = np.diff(strikes)
    good = np.abs(durations / np.median(durations) - 1) < DURATION_TOLERANCE
    phase = np.linspace(0, 1, N_PHASE)
    at = strikes[:-1][good, None] + phase * durations[good, None]
    columns = {"phase": phase}
    for i, name in zip(index, names, strict=True):
        cycles = np.interp(at, emg.time, emg.data[:, i])
        columns[f"{name}_mean"] = cycles.mean(axis=0)
        columns[f"{name}_sd"] = cycles.std(axis=0, ddof=1)
    load = forces.column("ground_force_vy")
    offs = forces.time[1:][(load[:-1] > 40.0) & (load[1:] <= 40.0)]
    stance = (offs[:, None] - strikes[:-1][good]) / durations[good]
    lines = [",".join(columns)]
    lines += [
        ",".join(f"{value:.6g}" for value in row) for row in np.stack(list(columns.values()), 1)
    ]
    (OUT / "builtin.csv").write_text("\n".join(lines) + "\n")
    about = {
        "n_cycles": int(good.sum()),
        "n_rejected": int((~good).sum()),
        "cycle_duration": round(float(durations[good].mean()), 6),
        "toe_off_phase": round(float(np.median(stance[(stance > 0.4) & (stance < 0.8)])), 4),
        "speed": SPEED,
        "source": "Wang, Basu, Durandau & Sartori 2023, subject 06, walk36 (doi "
        "10.5281/zenodo.6457662), from CEINMS-RT/LowerLimbModel at 4056e1c6",
        "licence": "Apache-2.0",
        "script": "analyses/builtin_emg.py",
    }
    (OUT / "builtin.json").write_text(json.dumps(about, indent=2) + "\n")
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
