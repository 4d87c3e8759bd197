"""Speed and calibration of the analyses; `--quick` makes a tenth of the draws.

Writes nothing: prints a Markdown table, to be kept in `analysis.md` with the machine's name.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy import stats
from scipy.ndimage import gaussian_filter1d

from kinesis_neuro.analysis.bands import bootstrap_band, mixed_model_band
from kinesis_neuro.analysis.circular import kuiper_test, rayleigh_test, watson_williams_test
from kinesis_neuro.analysis.clusters import cluster_permutation_test
from kinesis_neuro.analysis.correlation import correlation_matrix
from kinesis_neuro.analysis.locking import phase_locking
from kinesis_neuro.analysis.nmf import factorize, scikit_learn_factors
from kinesis_neuro.analysis.synergy import extract_synergies
from kinesis_neuro.analysis.synergy_match import cross_reconstruction, match_synergies
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


def within(count: int, n: int, level: float = 0.05) -> str:
    low, high = stats.binom.interval(0.999, n, level)
    return f"{count} of {n} ({low:.0f} to {high:.0f}) {'ok' if low <= count <= high else 'OUTSIDE'}"


def false_positives(n: int) -> None:
    print("\n| test at 0.05 | false positives (99.9 % binomial bounds) |\n|---|---|")
    rng = np.random.default_rng(0)
    draws = xr.DataArray(rng.random((n, 15)), dims=("episode", "cycle"))
    print(
        "| Rayleigh, n = 15 |",
        within(int((rayleigh_test(draws, "cycle").p_value < 0.05).sum()), n),
        "|",
    )
    groups = [
        xr.DataArray(rng.vonmises(0, 3.0, (n, 12)) / (2 * np.pi), dims=("episode", "cycle"))
        for _ in range(3)
    ]
    p = watson_williams_test(*groups, dim="cycle").p_value
    print("| Watson-Williams, 3 x 12, kappa 3 |", within(int((p < 0.05).sum()), n), "|")
    count = sum(float(kuiper_test(x).p_value) < 0.05 for x in rng.random((n, 20)))
    print("| Kuiper, n = 20 |", within(count, n), "|")
    values = np.moveaxis(smooth((n, 20), 5), 1, 0)
    grid = {"phase": np.linspace(0, 1, 101)}
    dims = ("subject", "muscle", "phase")
    a, b = (xr.DataArray(v, grid, dims) for v in (values[:10], values[10:]))
    designs = {
        "one sample, n = 10": {},
        "two samples, 10 and 7": {"b": b[:7]},
        "paired, n = 10": {"b": b, "design": "paired"},
        "regression, n = 10": {"regressor": rng.random(10)},
    }
    for name, arguments in designs.items():
        found = cluster_permutation_test(a, n_permutations=999, **arguments).dataset
        count = int((found.p_value.min("phase") <= 0.05).sum())
        print(f"| clusters, {name} |", within(count, n), "|")
    # Unbalanced cycles: subjects' means differ in precision, which exchange must survive.
    weight = 1 / np.sqrt(rng.integers(1, 12, 20))[:, None, None]
    loose = values * weight
    a, b = (xr.DataArray(v, grid, dims) for v in (loose[:10], loose[10:]))
    found = cluster_permutation_test(a, b, n_permutations=999).dataset
    count = int((found.p_value.min("phase") <= 0.05).sum())
    print("| clusters, two samples, 1 to 11 cycles a subject |", within(count, n), "|")
    phases = 2 * np.pi * (3 * PHASE + rng.random((2, n, 20, 1)))
    signals = np.cos(2 * np.pi * PHASE) + 0.3 * np.cos(phases)
    signals = signals + 0.02 * rng.standard_normal(signals.shape)
    x, y = (xr.DataArray(v, {"phase": PHASE}, ("subject", "cycle", "phase")) for v in signals)
    locking = phase_locking(x, y, n_null=199)
    for key in ("p_value", "residual_p_value"):
        print(f"| phase locking, {key} |", within(int((locking[key] <= 0.05).sum()), n), "|")
    draw = lambda: xr.Dataset({"weights": (("synergy", "muscle"), rng.random((4, 13)) ** 3)})  # noqa: E731
    count = sum(float(match_synergies(draw(), draw(), 99).mean_p_value) <= 0.05 for _ in range(n))
    print("| synergy matching, 4 x 13 |", within(count, n), "|")
    further_false_positives(n)
    for n_subjects in (6, 10, 20):
        curves = np.moveaxis(smooth((n, n_subjects), 6), 1, 0)
        data = xr.DataArray(curves, grid, dims)
        band = bootstrap_band(data, n_bootstrap=1000)
        missed = n - int(((band.low <= 0) & (band.high >= 0)).all("phase").sum())
        print(f"| simultaneous band, n = {n_subjects}, misses |", within(missed, n), "|")
        band = bootstrap_band(data, kind="pointwise", n_bootstrap=1000)
        part = 1 - float(((band.low <= 0) & (band.high >= 0)).mean())
        print(f"| point-wise band, n = {n_subjects}, part of points missed | {part:.3f} |")


def further_false_positives(n: int) -> None:
    """Tests of two samples on the circle, of synergies with their activations, of mixed models."""
    rng = np.random.default_rng(1)
    count = sum(float(kuiper_test(x, y).p_value) < 0.05 for x, y in rng.random((n, 2, 25)))
    print("| Kuiper, two samples of 25 (ties between steps: conservative) |", within(count, n), "|")

    def synergies() -> xr.Dataset:
        centre, width = rng.random(4), rng.uniform(2, 12, 4)
        bursts = np.exp(width * (np.cos(2 * np.pi * (PHASE[:, None] - centre)) - 1))
        return xr.Dataset(
            {
                "weights": (("synergy", "muscle"), rng.random((4, 13)) ** 3),
                "mean_activation": (("phase", "synergy"), bursts),
            },
            {"phase": PHASE},
        )

    def matched() -> xr.Dataset:
        return match_synergies(synergies(), synergies(), 99, criterion="both")

    count = sum(float(matched().mean_p_value) <= 0.05 for _ in range(n))
    print("| synergy matching by weights and activations, 4 x 13 |", within(count, n), "|")
    n_few = n // 4  # each takes a while
    count = 0
    for _ in range(n_few):
        found = synergies()
        data = xr.dot(found.mean_activation, synergies().weights, dim="synergy")
        count += int(float(cross_reconstruction(found, data, 99).p_value) <= 0.05)
    print("| cross-reconstruction, 4 synergies of 13 muscles |", within(count, n_few), "|")
    missed = rejected = 0
    grid = {"phase": np.linspace(0, 1, 6)}
    for _ in range(n_few):
        subject = np.repeat(np.arange(8), rng.integers(2, 7, 8))
        own = rng.standard_normal((8, 6)).cumsum(axis=1)[subject]
        values = own + rng.standard_normal(own.shape)
        data = xr.DataArray(values, grid, ("cycle", "phase")).assign_coords(
            subject=("cycle", subject)
        )
        # A condition of cycles within people, and of nothing.
        band = mixed_model_band(data, rng.integers(0, 2, subject.size), n_simulations=1000)
        rejected += int(band.slope_p[2] < 0.05)
        missed += 1 - int(((band.slope_low <= 0) & (band.slope_high >= 0)).all())
    print("| mixed model, slope at a point, 8 subjects |", within(rejected, n_few), "|")
    print("| mixed model, simultaneous band of the slope, misses |", within(missed, n_few), "|")


def ranks(n: int) -> None:
    print("\n| rule | right rank (3 to 6 of 13 muscles, 20 dB) | independent noise: rank of 9 |")
    print("|---|---|---|")
    right = dict.fromkeys(RULES, 0)
    noise: dict[str, list[int]] = {rule: [] for rule in RULES}
    for seed in range(n):
        rank = 3 + seed % 4
        emg = gait_emg(1, 12, rank, seed=seed, n_channels=13).isel(subject=0)
        found = extract_synergies(emg.envelope, n_restarts=5, seed=seed)
        for rule in RULES:
            right[rule] += int(found[f"chosen_{rule}"]) == rank
        if seed % 4 == 0:
            noisy = unrelated(9, 10, seed)
            chance = extract_synergies(noisy, rule="parallel_analysis", n_restarts=5)
            for rule in RULES:
                noise[rule].append(int(chance[f"chosen_{rule}"]))
        if seed % 10 == 9:  # to look at while it runs
            print(f"{seed + 1} draws: {right}", file=sys.stderr, flush=True)
    for rule in RULES:
        usual = np.median(noise[rule])
        print(f"| {rule} | {right[rule]} of {n} | median {usual:.0f} (0: none up to rank 8) |")


def recovery(n: int) -> None:
    """Cosine of known synergies with those found, without noise and with it."""
    print("\n| zero weights | ranks | noise | VAF, least | lowest cosine >= 0.98 | "
          "mean cosine >= 0.98 | lowest cosine: least, 5 %, median |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for exclusive in (0.0, 0.5, 0.75):
        for ranks_of in ((3, 4), (5, 6)):
            for noise, snr_db in (("none", 200.0), ("20 dB", 20.0)):
                vaf, similarity = [], []
                for seed in range(n // 2):
                    rank = ranks_of[seed % 2]
                    emg = gait_emg(1, 12, rank, snr_db=snr_db, seed=seed, n_channels=13,
                                   exclusive=exclusive).isel(subject=0)  # fmt: skip
                    truth = xr.Dataset({"weights": emg.synergy_weight})
                    found = extract_synergies(emg.envelope, rank, n_restarts=10, normalize="none")
                    vaf.append(float(found.vaf))
                    similarity.append(match_synergies(truth, found, 1).similarity.values)
                lowest = np.array([s.min() for s in similarity])
                good = [np.mean([f(s) >= 0.98 for s in similarity]) for f in (np.min, np.mean)]
                shown = ", ".join(f"{v:.3f}" for v in np.quantile(lowest, [0.0, 0.05, 0.5]))
                print(
                    f"| {exclusive:.0%} | {ranks_of[0]}, {ranks_of[1]} | {noise} | {min(vaf):.4f} "
                    f"| {good[0]:.0%} | {good[1]:.0%} | {shown} |",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the draws")
    parser.add_argument(
        "--only",
        choices=("speed", "false_positives", "further_false_positives", "ranks", "recovery"),
    )
    arguments = parser.parse_args()
    part = 10 if arguments.quick else 1
    print(f"Load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    if arguments.only in (None, "speed"):
        speed()
    if arguments.only in (None, "false_positives"):
        false_positives(1000 // part)
    if arguments.only == "further_false_positives":  # a part of those above
        further_false_positives(1000 // part)
    if arguments.only in (None, "ranks"):
        ranks(200 // part)
    if arguments.only in (None, "recovery"):
        recovery(200 // part)


if __name__ == "__main__":
    main()
