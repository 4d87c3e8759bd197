"""Speed, memory and calibration of compare_emg.

python benchmarks/compare.py speed       # 100 cycles x 80 muscles x 5 people, 1,000 surrogates
python benchmarks/compare.py null        # p of the null over 500 draws: Kolmogorov-Smirnov
python benchmarks/compare.py coverage    # of 95 % intervals by number of people
python benchmarks/compare.py fooled      # what random bursts reach
python benchmarks/compare.py criteria    # static optimisation's criterion of effort, and r
python benchmarks/compare.py balance     # ground forces measured, estimated, in balance; and r
python benchmarks/compare.py policies walk=walk mine=runs/s0/checkpoint,runs/s1/checkpoint
                                         # policies against people's EMG: compare_policies.py
"""

from __future__ import annotations

import dataclasses
import resource
import sys
import time

import numpy as np
import pandas as pd
import xarray as xr
from scipy import fft, stats

from kinesis_neuro.analysis import waveforms as wf
from kinesis_neuro.analysis.compare import compare_emg
from kinesis_neuro.analysis.comparison import OVERALL
from kinesis_neuro.analysis.intervals import bca_interval, crossed_interval
from kinesis_neuro.analysis.null import lag_null, p_value
from kinesis_neuro.emg.subject import make_subject
from kinesis_neuro.motion.balance import balanced
from kinesis_neuro.motion.dynamics import EFFORTS, StaticOptimizationConfig
from kinesis_neuro.motion.inverse import static_optimization
from kinesis_neuro.motion.library import load_motion

N_PHASE = 100


def random_bursts(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Envelopes (..., N_PHASE) of one burst at a random phase, 5 to 15 % of the cycle wide (SD)."""
    phase = np.arange(N_PHASE) / N_PHASE
    center, width = rng.random((*shape, 1)), rng.uniform(0.05, 0.15, (*shape, 1))
    return np.exp((np.cos(2 * np.pi * (phase - center)) - 1) / (2 * np.pi * width) ** 2)


def speed() -> None:
    """Time and peak memory at the size that the project promises."""
    rng = np.random.default_rng(0)
    names = [f"m{i}" for i in range(80)]
    mapping = {name: f"{name}_r" for name in names}
    curves = random_bursts(rng, 6, 80)
    noisy = curves[:, None] + 0.05 * rng.random((6, 100, 80, N_PHASE))
    phase = np.arange(N_PHASE) / N_PHASE
    people = [
        make_subject(one.transpose(0, 2, 1), names, ["right"] * 80, subject=str(k), phase=phase)
        for k, one in enumerate(noisy[1:])
    ]
    sim = xr.Dataset(
        {"activation": (("cycle", "phase", "muscle"), noisy[0].transpose(0, 2, 1))},
        coords={
            "phase": phase,
            "muscle": list(mapping.values()),
            "side": ("muscle", ["right"] * 80),
        },
    )
    compare_emg(sim, people, mapping=mapping, n_null=10, envelope=None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    compare_emg(sim, people, mapping=mapping, n_null=1000, envelope=None)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"100 cycles x 80 muscles x 5 people, 1,000 surrogates: {wall:.2f} s wall, {cpu:.2f} s CPU"
    )
    print(f"peak memory {peak / 1024:.0f} MB, {(peak - before) / 1024:.0f} MB above what was held")


def null(n_draws: int = 500, n_null: int = 999) -> None:
    """Uniformity of p for one muscle, one person, nothing in common."""
    rng = np.random.default_rng(1)
    a, b = random_bursts(rng, n_draws), random_bursts(rng, n_draws)
    cross = np.conj(fft.rfft(wf.standardize(a))) * fft.rfft(wf.standardize(b))
    curve = fft.irfft(cross, N_PHASE, axis=-1)
    allowed = np.ones(N_PHASE, dtype=bool)
    drawn = lag_null(cross, N_PHASE, allowed, n_null, rng)
    for name, p in (
        ("cyclic shifts, zero lag", p_value(curve[:, 0], drawn.zero)),
        ("random phases, zero lag", p_value(curve[:, 0], drawn.zero_phase)),
        ("random phases, best lag", p_value(curve.max(axis=-1), drawn.best_phase)),
    ):
        test = stats.kstest(p, "uniform")
        below = (p <= 0.05).mean()
        print(f"{name}: KS p = {test.pvalue:.3f}, p <= 0.05 in {below:.1%} of {n_draws} draws")


def coverage(n_draws: int = 4000, rho: float = 0.4) -> None:
    """How often the interval holds the true mean of Fisher's z."""
    rng = np.random.default_rng(2)
    truth = np.arctanh(rho)
    print("people  seeds  t (crossed)  BCa    percentile bootstrap")
    for n_seeds in (1, 3):
        for n in (3, 4, 5, 8, 12, 20):
            person = rng.normal(0, 0.25, (n_draws, 1, n))
            seed = rng.normal(0, 0.15 if n_seeds > 1 else 0.0, (n_draws, n_seeds, 1))
            z = truth + person + seed + rng.normal(0, 0.1, (n_draws, n_seeds, n))
            interval = crossed_interval(np.tanh(z.transpose(1, 2, 0)))
            ours = ((interval.low <= rho) & (rho <= interval.high)).mean()
            text = f"{n:6d} {n_seeds:6d} {ours:12.1%}"
            if n_seeds == 1:
                few = z[:300, 0]
                bca = [bca_interval(np.tanh(row), n_resamples=1000) for row in few]
                held = np.mean([i.low <= rho <= i.high for i in bca])
                index = rng.integers(0, n, (1000, n))
                means = few[:, index].mean(axis=-1)
                low, high = np.quantile(means, [0.025, 0.975], axis=-1)
                text += f" {held:7.1%} {((low <= truth) & (truth <= high)).mean():10.1%}"
            print(text)


def fooled(n_pairs: int = 2000) -> None:
    """What two random bursts reach."""
    rng = np.random.default_rng(3)
    a, b = (wf.spectrum(random_bursts(rng, n_pairs)) for _ in range(2))
    curve = wf.lag_curve(np.conj(a) * b, N_PHASE)
    print(f"zero lag: mean r {curve[:, 0].mean():.2f}, SD {curve[:, 0].std():.2f}")
    print(f"best lag: mean r {curve.max(axis=-1).mean():.2f}")


def unseen_r(solved: xr.Dataset, unseen: list[xr.Dataset]) -> tuple[pd.Series, pd.Series]:
    """r by muscle and overall of static optimisation with people, without delay and with."""
    from compare_policies import DELAY

    now, late = (
        compare_emg(solved, unseen, signal="equivalent_excitation", delay=d, n_null=10).table.r
        for d in (0.0, DELAY)
    )
    return now, late


def criteria() -> None:
    """What muscles share by in static optimisation, and what it does to r with unseen people."""
    from compare_policies import people

    motion = load_motion("walk")
    unseen = people()["04, 05, 07, 08 (unseen)"]
    for effort in EFFORTS:
        solved = static_optimization(motion, config=StaticOptimizationConfig(effort=effort))
        report(effort, solved, *unseen_r(solved, unseen))


def balance() -> None:
    """Ground forces measured, estimated, and estimated in balance: r with unseen people."""
    from compare_policies import people

    unseen = people()["04, 05, 07, 08 (unseen)"]
    walk = load_motion("walk").loop(8).slice(0.0, 9.0)
    without = dataclasses.replace(walk, contact=None)
    kinds = {"measured": walk, "estimated": without, "estimated, balanced": balanced(walk)}
    for kind, motion in kinds.items():
        solved = static_optimization(motion)
        report(kind, solved, *unseen_r(solved, unseen))


def report(name: str, solved: xr.Dataset, now: pd.Series, late: pd.Series) -> None:
    """A line for one way to solve."""
    print(
        f"{name}: mean activation {float(solved.activation.mean()):.3f}, "
        f"r {now[OVERALL]:.2f} and {late[OVERALL]:.2f} with a delay, "
        f"rectus femoris {now['rectus_femoris']:.2f} and {late['rectus_femoris']:.2f}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["policies"]:
        from compare_policies import main

        main(sys.argv[2:])
        sys.exit()
    chosen = sys.argv[1:] or ["speed", "null", "coverage", "fooled"]
    for name in chosen:
        {
            "speed": speed,
            "null": null,
            "coverage": coverage,
            "fooled": fooled,
            "criteria": criteria,
            "balance": balance,
        }[name]()
