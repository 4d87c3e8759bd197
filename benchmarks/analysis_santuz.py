"""Synergies of the raw recording that ships with musclesyneRgies, beside that package's result.

The filter chain is that package's default (Santuz 2022): mean taken off, high-pass 50 Hz,
rectified, low-pass 20 Hz (Butterworth, fourth order, forth and back), minimum taken off, divided by
the maximum of the whole recording; then each stance and each swing is brought to 100 points, and
cycles are concatenated. The package's own example leaves out the first and the last cycle, whose
filters have not settled, so that three of five remain; its R^2 is about one mean of all muscles;
and it stops multiplicative updates when twenty of them raise R^2 by less than 0.01 %. Each of
these is a row of the table. Give the folder of recordings with `--data` or in KINESIS_NEURO_DATA.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy import signal

from kinesis_neuro.analysis import nmf
from kinesis_neuro.analysis.synergy import extract_synergies
from kinesis_neuro.analysis.synergy_rank import RULES

STORED = "5 synergies, R^2 0.897"
POINTS = 100
MAX_RANK = 10  # of 13 muscles, in the package


def cycles_of(folder: Path, low_pass: float = 20.0, every: int = 1) -> xr.DataArray:
    """Envelopes over (cycle, phase, muscle), of every so many samples."""
    emg = pd.read_csv(folder / "derived_raw_ID0012_TW_01_emg.csv")[::every]
    events = pd.read_csv(folder / "derived_raw_ID0012_TW_01_cycles.csv")
    time = emg.pop("time").to_numpy()
    rate = 1 / np.median(np.diff(time))
    raw = emg.to_numpy() - emg.to_numpy().mean(axis=0)
    high = signal.butter(4, 50, "highpass", fs=rate, output="sos")
    low = signal.butter(4, low_pass, "lowpass", fs=rate, output="sos")
    envelope = signal.sosfiltfilt(low, np.abs(signal.sosfiltfilt(high, raw, axis=0)), axis=0)
    envelope = np.maximum(envelope, envelope[envelope > 0].min())
    envelope -= envelope.min(axis=0)
    envelope /= envelope.max(axis=0)
    edges = events.to_numpy().ravel()[:-1]  # touchdown, lift-off, touchdown, ...
    first = np.searchsorted(time, edges)
    at = [
        np.linspace(a, b - 1, POINTS)  # samples of a phase, from its first to its last
        for a, b in itertools.pairwise(first)
    ]
    index = np.arange(time.size)
    values = np.array([[np.interp(t, index, column) for column in envelope.T] for t in at])
    values = values.reshape(-1, 2, emg.shape[1], POINTS).swapaxes(1, 2)
    coords = {"phase": np.arange(2 * POINTS) / (2 * POINTS), "muscle": emg.columns.to_numpy(str)}
    array = xr.DataArray(
        values.reshape(len(values), emg.shape[1], -1), coords, ("cycle", "muscle", "phase")
    )
    return array.transpose("cycle", "phase", "muscle").assign_attrs(units="1")


def about_one_mean(x: np.ndarray, estimate: np.ndarray) -> float:
    """R^2 about the mean of all muscles together."""
    return 1 - float(((x - estimate) ** 2).sum() / ((x - x.mean()) ** 2).sum())


def explained(cycles: xr.DataArray, ranks: Sequence[int] = (4, 5, 6)) -> str:
    """R^2 about one mean at some ranks, with our solver, as cells of a table."""
    x = cycles.values.reshape(-1, cycles.sizes["muscle"])
    fits = [nmf.factorize(x, k, 20, tolerance=1e-6, max_iterations=2000) for k in ranks]
    return " | ".join(f"{about_one_mean(x, f.activation.T @ f.weight):.3f}" for f in fits)


def multiplicative(x: np.ndarray, rank: int, rng: np.random.Generator, runs: int = 5) -> float:
    """Best R^2 of some runs of Lee & Seung's updates, stopped as the package stops them."""
    x = np.maximum(x, x[x > 0].min())
    best = 0.0
    for _ in range(runs):
        weight = rng.uniform(x.min(), x.max(), (rank, x.shape[1]))
        activation = rng.uniform(x.min(), x.max(), (len(x), rank))
        curve: list[float] = []
        while len(curve) < 1000:
            activation *= (x @ weight.T) / (activation @ (weight @ weight.T))
            weight *= (activation.T @ x) / ((activation.T @ activation) @ weight)
            curve.append(about_one_mean(x, activation @ weight))
            if len(curve) > 20 and curve[-1] - curve[-21] < 1e-4 * curve[-1]:
                break
        best = max(best, curve[-1])
    return best


def knee(curve: np.ndarray, limit: float = 1e-4) -> int:
    """First rank from which a line describes the rest of the curve (the package's rule)."""
    for first in range(len(curve) - 2):
        rank, rest = np.arange(first, len(curve)), curve[first:]
        if np.mean((np.polyval(np.polyfit(rank, rest, 1), rank) - rest) ** 2) <= limit:
            return first + 1
    return len(curve) - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("KINESIS_NEURO_DATA"))
    folder = parser.parse_args().data
    if folder is None:
        parser.error("give --data, or set KINESIS_NEURO_DATA")
    cycles = cycles_of(Path(folder) / "santuz2019_raw")
    print(f"{cycles.sizes['cycle']} cycles, {cycles.sizes['muscle']} muscles. Stored: {STORED}.\n")
    ranks = range(1, MAX_RANK + 1)
    print("| cycles | solver | R^2 about | R^2 at 5 | knee | R^2 at ranks 1 to 10 |")
    print("|---|---|---|---|---|---|")
    inner = cycles.isel(cycle=slice(1, -1))
    for name, used in (
        ("five, concatenated", cycles),
        ("three inner, concatenated", inner),
        ("five, averaged", cycles.mean("cycle")),
        ("three inner, averaged", inner.mean("cycle")),
    ):
        x = used.values.reshape(-1, used.sizes["muscle"])
        fits = [nmf.factorize(x, k, 20, tolerance=1e-6, max_iterations=2000) for k in ranks]
        estimates = [f.activation.T @ f.weight for f in fits]
        rng = np.random.default_rng(0)
        for solver, about, curve in (
            ("ours", "each muscle's", [float(nmf.explained(x, e)["r_squared"]) for e in estimates]),
            ("ours", "one mean", [about_one_mean(x, e) for e in estimates]),
            ("multiplicative", "one mean", [multiplicative(x, k, rng) for k in ranks]),
        ):
            values = np.array(curve)
            shown = " ".join(f"{v:.3f}" for v in values)
            print(f"| {name} | {solver} | {about} | {values[4]:.3f} | {knee(values)} | {shown} |")
    print("\n| low-pass [Hz] | R^2 at 5 about one mean, five cycles | three inner |")
    print("|---|---|---|")
    for low_pass in (20.0, 15.0, 12.0, 10.0):
        smooth = cycles_of(Path(folder) / "santuz2019_raw", low_pass)
        both = []
        for used in (smooth, smooth.isel(cycle=slice(1, -1))):
            both.append(explained(used, (5,)))
        print(f"| {low_pass:g} | {both[0]} | {both[1]} |")
    print("\n| cycles, concatenated | R^2 at 4 | at 5 | at 6, about one mean |\n|---|---|---|---|")
    for first, last in itertools.combinations(range(cycles.sizes["cycle"] + 1), 2):
        print(f"| {first + 1} to {last} | {explained(cycles.isel(cycle=slice(first, last)))} |")
    fewer = cycles_of(Path(folder) / "santuz2019_raw", every=2)
    print(f"| 1 to 5, every other sample left out | {explained(fewer)} |\n")
    for name, used, average in (("five", cycles, False), ("three inner", inner, False)):
        found = extract_synergies(used, average=average, normalize="none", max_rank=MAX_RANK)
        print(f"{name}, rules: " + ", ".join(f"{r} {int(found[f'chosen_{r}'])}" for r in RULES))


if __name__ == "__main__":
    main()
