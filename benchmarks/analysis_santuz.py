"""Synergies of the raw recording that ships with musclesyneRgies, beside that package's result.

The filter chain is that package's default (Santuz 2022): high-pass 50 Hz, rectified, low-pass 20 Hz
(Butterworth, fourth order, zero phase), minimum taken off, divided by the maximum, cycles of 100
points of stance and 100 of swing, concatenated. Give the folder of recordings with `--data` or in
KINESIS_NEURO_DATA.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy import signal

from kinesis_neuro.analysis.synergy import extract_synergies
from kinesis_neuro.analysis.synergy_rank import RULES

STORED = "5 synergies, R^2 0.897"


def cycles_of(folder: Path) -> xr.DataArray:
    emg = pd.read_csv(folder / "derived_raw_ID0012_TW_01_emg.csv")
    events = pd.read_csv(folder / "derived_raw_ID0012_TW_01_cycles.csv")
    time = emg.pop("time").to_numpy()
    rate = 1 / np.median(np.diff(time))
    raw = emg.to_numpy() - emg.to_numpy().mean(axis=0)
    high = signal.butter(4, 50, "highpass", fs=rate, output="sos")
    low = signal.butter(4, 20, "lowpass", fs=rate, output="sos")
    envelope = signal.sosfiltfilt(low, np.abs(signal.sosfiltfilt(high, raw, axis=0)), axis=0)
    envelope = np.maximum(envelope, 0)
    envelope -= envelope.min(axis=0)
    envelope /= envelope.max(axis=0)
    down, off = events["touchdown_s"].to_numpy(), events["liftoff_s"].to_numpy()
    at = [
        np.r_[np.linspace(a, b, 100, endpoint=False), np.linspace(b, c, 100, endpoint=False)]
        for a, b, c in zip(down[:-1], off[:-1], down[1:], strict=True)
        if c <= time[-1]
    ]
    values = [[np.interp(t, time, column) for column in envelope.T] for t in at]
    coords = {"phase": np.arange(200) / 200, "muscle": emg.columns.to_numpy().astype(str)}
    array = xr.DataArray(np.array(values), coords, ("cycle", "muscle", "phase"))
    return array.transpose("cycle", "phase", "muscle").assign_attrs(units="1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("KINESIS_NEURO_DATA"))
    folder = parser.parse_args().data
    if folder is None:
        parser.error("give --data, or set KINESIS_NEURO_DATA")
    cycles = cycles_of(Path(folder) / "santuz2019_raw")
    print(f"{cycles.sizes['cycle']} cycles, {cycles.sizes['muscle']} muscles. Stored: {STORED}.\n")
    for average in (False, True):
        found = extract_synergies(cycles, average=average, normalize="none", max_rank=10)
        x = cycles.mean("cycle") if average else cycles
        # R^2 about one mean of all muscles, where ours takes off each muscle's own.
        error = (1 - found.rank_vaf) * float((x**2).sum())
        about_one = 1 - error / float(((x - x.mean()) ** 2).sum())
        name = "averaged" if average else "concatenated"
        print(f"{name}: " + ", ".join(f"{r} {int(found[f'chosen_{r}'])}" for r in RULES))
        table = pd.DataFrame(
            {
                "VAF": found.rank_vaf.to_series(),
                "R^2 about each muscle's mean": found.rank_r_squared.to_series(),
                "R^2 about the mean of all": about_one.to_series(),
            }
        )
        print(table.round(3).to_string(), "\n")


if __name__ == "__main__":
    main()
