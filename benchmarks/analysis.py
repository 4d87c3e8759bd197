"""Speed of the analyses, and what they find of known synergies (`--quick`: a tenth of the draws).

Prints Markdown tables, to be kept in `analysis.md` with the machine's name. Draws are kept in
`runs/benchmarks`, so that a run can be stopped and taken up again. False positives are in
`calibration.py`.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable

import numpy as np
import xarray as xr
from draws import Draw, drawn
from scipy.ndimage import gaussian_filter1d

from kinesis_neuro.analysis.clusters import cluster_permutation_test
from kinesis_neuro.analysis.correlation import correlation_matrix
from kinesis_neuro.analysis.nmf import factorize, scikit_learn_factors
from kinesis_neuro.analysis.synergy import extract_synergies
from kinesis_neuro.analysis.synergy_match import match_synergies
from kinesis_neuro.analysis.synergy_rank import RULES
from kinesis_neuro.synthetic import gait_emg

PHASE = np.arange(100) / 100


def unrelated(n_muscles: int, n_cycles: int, seed: int) -> xr.DataArray:
    """A burst of each muscle at a phase of its own, anew in each cycle."""
    centre = np.random.default_rng(seed).random((n_cycles, 1, n_muscles))
    values = np.exp(1.2 * (np.cos(2 * np.pi * (PHASE[:, None] - centre)) - 1))
    coords = {"phase": PHASE, "muscle": [f"m{i}" for i in range(n_muscles)]}
    return xr.DataArray(values, coords, ("cycle", "phase", "muscle"))


def smooth(shape: tuple[int, ...], seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((*shape, 101))
    return gaussian_filter1d(noise, 5, axis=-1, mode="wrap")


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds; the latter is fair when other jobs run."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def row(task: str, took: tuple[float, float], target: str = "", factor: int = 1) -> None:
    print(
        f"| {task} | {factor * took[0]:.2f} s | {factor * took[1]:.2f} s | {target} |", flush=True
    )


def speed() -> None:
    print("\n| task | wall | CPU | target |\n|---|---|---|---|")
    emg = gait_emg(1, 100, 5, seed=0, n_channels=13).isel(subject=0, phase=slice(-1))
    rows = emg.envelope.values.reshape(-1, 13)
    rows = rows / rows.max(axis=0)
    ours = timed(lambda: [factorize(rows, k, 20) for k in range(1, 9)])
    print(
        f"| rank sweep 1..8, 20 restarts, 10,000 x 13 | {ours[0]:.1f} s | {ours[1]:.1f} s | 10 s |"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn: 500 iterations were not enough
        theirs = timed(lambda: [scikit_learn_factors(rows, k, 1) for k in range(1, 9)])
        best = [factorize(rows, k, 20).vaf - scikit_learn_factors(rows, k, 3).vaf for k in (5, 8)]
    row("the same, scikit-learn's plain loop (one restart, times 20)", theirs, factor=20)
    print(
        f"| VAF less scikit-learn's best of three, rank 5 and 8 | {best[0]:.1e} {best[1]:.1e} | | |"
    )
    a, b = (
        xr.DataArray(smooth((30,), s), {"phase": np.linspace(0, 1, 101)}, ("subject", "phase"))
        for s in (1, 2)
    )
    took = timed(lambda: cluster_permutation_test(a, b))
    row("1,000-permutation cluster test, 2 x 30 x 101", took, "1 s")
    x = xr.DataArray(
        smooth((80,), 3)[:, :100], {"muscle": np.arange(80).astype(str), "phase": PHASE}
    )
    took = timed(lambda: correlation_matrix(x, dim="phase", cyclic=True, max_lag=None))

    def loop() -> None:
        for p in x.values:
            for q in x.values[:8]:
                max(np.corrcoef(p, np.roll(q, -k))[0, 1] for k in range(100))

    plain = timed(loop)
    row("80 x 80 cyclic correlations, all lags", took)
    row("the same, loop over pairs (a tenth, times 10)", plain, factor=10)


def ranks(n: int) -> None:
    """Number of synergies that each rule finds in known mixtures, and in independent bursts."""

    def known(seed: int) -> Draw:
        rank = 3 + seed % 4
        emg = gait_emg(1, 12, rank, seed=seed, n_channels=13).isel(subject=0)
        found = extract_synergies(emg.envelope, n_restarts=5, seed=seed)
        return {"rank": rank, **{rule: int(found[f"chosen_{rule}"]) for rule in RULES}}

    def unknown(seed: int) -> Draw:
        noisy = unrelated(9, 10, seed)
        found = extract_synergies(noisy, rule="parallel_analysis", n_restarts=5, seed=seed)
        return {rule: int(found[f"chosen_{rule}"]) for rule in RULES}

    draws = drawn("ranks", n, known)
    chance = drawn("ranks_of_independent_bursts", n // 4, unknown)
    print(
        f"\n3 to 6 synergies of 13 muscles at 20 dB, {n} draws; {n // 4} of 9 independent bursts.\n"
    )
    print("| rule | right | too few, too many | 3, 4, 5, 6 right | independent: rank (draws) |")
    print("|---|---|---|---|---|")
    for rule in RULES:
        error = np.array([draw[rule] - draw["rank"] for draw in draws])
        of = np.array([draw["rank"] for draw in draws])
        each = ", ".join(f"{(error[of == rank] == 0).mean():.0%}" for rank in (3, 4, 5, 6))
        found, count = np.unique([draw[rule] for draw in chance], return_counts=True)
        shown = ", ".join(f"{k} ({c})" for k, c in zip(found, count, strict=True))
        print(f"| {rule} | {(error == 0).mean():.1%} | {(error < 0).sum()}, {(error > 0).sum()} "
              f"| {each} | {shown} |", flush=True)  # fmt: skip


def recovery(n: int) -> None:
    """Cosine of known synergies with those found, without noise and with it."""
    print("\n| zero weights | ranks | noise | VAF, least | lowest cosine >= 0.98 | "
          "mean cosine >= 0.98 | lowest cosine: least, 5 %, median |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for exclusive in (0.0, 0.5, 0.75):
        for ranks_of in ((3, 4), (5, 6)):
            for noise, snr_db in (("none", 200.0), ("20 dB", 20.0)):

                def fit(seed: int, zeros=exclusive, of=ranks_of, snr=snr_db) -> Draw:
                    rank = of[seed % 2]
                    emg = gait_emg(1, 12, rank, snr_db=snr, seed=seed, n_channels=13,
                                   exclusive=zeros).isel(subject=0)  # fmt: skip
                    truth = xr.Dataset({"weights": emg.synergy_weight})
                    found = extract_synergies(emg.envelope, rank, n_restarts=10, normalize="none")
                    match = match_synergies(truth, found, 1)
                    return {"vaf": float(found.vaf), "cosine": match.similarity.values.tolist()}

                name = f"recovery_{exclusive:.2f}_{ranks_of[0]}{ranks_of[1]}_{noise.split()[0]}"
                draws = drawn(name, n, fit)
                similarity = [np.array(draw["cosine"]) for draw in draws]
                lowest = np.array([s.min() for s in similarity])
                good = [np.mean([f(s) >= 0.98 for s in similarity]) for f in (np.min, np.mean)]
                shown = ", ".join(f"{v:.3f}" for v in np.quantile(lowest, [0.0, 0.05, 0.5]))
                print(
                    f"| {exclusive:.0%} | {ranks_of[0]}, {ranks_of[1]} | {noise} "
                    f"| {min(draw['vaf'] for draw in draws):.4f} "
                    f"| {good[0]:.0%} | {good[1]:.0%} | {shown} |",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the draws")
    parser.add_argument("--draws", type=int, help="so many draws of ranks, or of a row's recovery")
    parser.add_argument("--only", choices=("speed", "ranks", "recovery"))
    arguments = parser.parse_args()
    part = 10 if arguments.quick else 1
    print(f"Load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    if arguments.only in (None, "speed"):
        speed()
    if arguments.only in (None, "ranks"):
        ranks(arguments.draws or 200 // part)
    if arguments.only in (None, "recovery"):
        recovery(arguments.draws or 100 // part)


if __name__ == "__main__":
    main()
