"""False positives of every test, over null draws: are they as many as the level says?

Prints a Markdown table, to be kept in `analysis.md`. Tests that take one sample at a time keep
their draws in `runs/benchmarks`, so that a run can be stopped and taken up again; tests that take
all samples at once are made anew.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable

import numpy as np
import xarray as xr
from draws import Draw, drawn
from scipy import stats
from scipy.ndimage import gaussian_filter1d

from kinesis_neuro.analysis.bands import bootstrap_band, mixed_model_band
from kinesis_neuro.analysis.circular import kuiper_test, rayleigh_test, watson_williams_test
from kinesis_neuro.analysis.clusters import cluster_permutation_test
from kinesis_neuro.analysis.locking import phase_locking
from kinesis_neuro.analysis.stats import adjust_p
from kinesis_neuro.analysis.synergy_match import cross_reconstruction, match_synergies

LEVEL = 0.05
FAR = 1_000_000
PHASE = np.arange(100) / 100
GRID = {"phase": np.linspace(0, 1, 101)}


def smooth(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Noise along a closed cycle."""
    noise = np.random.default_rng(seed).standard_normal((*shape, 100))
    noise = gaussian_filter1d(noise, 5, axis=-1, mode="wrap")
    return np.concatenate([noise, noise[..., :1]], axis=-1)


def report(name: str, count: int, n: int) -> None:
    low, high = stats.binom.interval(0.999, n, LEVEL)
    verdict = "" if low <= count <= high else " **outside**"
    print(f"| {name} | {count} of {n} | {low:.0f} to {high:.0f}{verdict} |", flush=True)


def circular(n: int) -> None:
    rng = np.random.default_rng(0)
    for size in (8, 15, 40):
        draws = xr.DataArray(rng.random((n, size)), dims=("episode", "cycle"))
        p = rayleigh_test(draws, "cycle").p_value
        report(f"Rayleigh, n = {size}", int((p < LEVEL).sum()), n)
    for kappa in (3.0, 10.0):
        groups = [
            xr.DataArray(rng.vonmises(0, kappa, (n, 12)) / (2 * np.pi), dims=("episode", "cycle"))
            for _ in range(3)
        ]
        p = watson_williams_test(*groups, dim="cycle").p_value
        report(f"Watson-Williams, 3 x 12, kappa {kappa:g}", int((p < LEVEL).sum()), n)
    count = sum(float(kuiper_test(x).p_value) < LEVEL for x in rng.random((n, 20)))
    report("Kuiper, n = 20", count, n)
    count = sum(float(kuiper_test(x, y).p_value) < LEVEL for x, y in rng.random((n, 2, 25)))
    report("Kuiper, two samples of 25 (steps tie: conservative)", count, n)


def clusters(n: int) -> None:
    rng = np.random.default_rng(1)
    values = np.moveaxis(smooth((n, 20), 5), 1, 0)
    # Means of 1 to 11 cycles differ in precision, anew in each draw: on average over designs
    # people are exchangeable. See `not_exchangeable` for one design.
    loose = values / np.sqrt(rng.integers(1, 12, (20, n, 1)))
    # A tenth of the subjects lacks a third of the cycle, in other muscles each.
    gone = np.broadcast_to(rng.random((20, n, 1)) < 0.1, values.shape) & (np.arange(101) < 34)
    missing = np.where(gone, np.nan, values)
    for kind, data in (("", values), (", 1 to 11 cycles", loose), (", missing cells", missing)):
        a, b = (
            xr.DataArray(v, GRID, ("subject", "muscle", "phase")) for v in (data[:10], data[10:])
        )
        designs = {
            "one sample, n = 10": {},
            "two samples, 10 and 7": {"b": b[:7]},
            "paired, n = 10": {"b": b, "design": "paired"},
            "regression, n = 10": {"regressor": rng.random(10)},
        }
        for name, arguments in designs.items():
            found = cluster_permutation_test(a, n_permutations=999, **arguments).dataset
            count = int((found.p_value.min("phase") <= LEVEL).sum())
            report(f"clusters, {name}{kind}", count, n)


def not_exchangeable(n: int) -> None:
    """Designs that tie the precision of people's means to what is tested: what exchange presumes.

    These are no errors of a program; they say how much the level suffers.
    """
    values = np.moveaxis(smooth((n, 15), 7), 1, 0)
    dims = ("subject", "muscle", "phase")
    few = np.ones(5)
    many = np.full(10, 11.0)
    for name, cycles in (
        ("10 people of 11 cycles, 5 of one", np.r_[many, few]),
        ("10 people of one cycle, 5 of 11", np.r_[np.ones(10), np.full(5, 11.0)]),
    ):
        data = values / np.sqrt(cycles)[:, None, None]
        a, b = (xr.DataArray(v, GRID, dims) for v in (data[:10], data[10:]))
        for t, equal in (("Student", True), ("Welch", False)):
            found = cluster_permutation_test(a, b, n_permutations=999, equal_variance=equal)
            count = int((found.dataset.p_value.min("phase") <= LEVEL).sum())
            report(f"two samples, {name}, {t}'s t", count, n)
    covariate = np.arange(10.0)
    ends = np.where(np.abs(covariate - 4.5) > 3, 1.0, 11.0)  # two at each end
    for name, cycles in (("at the ends", ends), ("in the middle", 12 - ends)):
        data = xr.DataArray(values[:10] / np.sqrt(cycles)[:, None, None], GRID, dims)
        found = cluster_permutation_test(data, n_permutations=999, regressor=covariate).dataset
        count = int((found.p_value.min("phase") <= LEVEL).sum())
        report(f"regression, n = 10, people of one cycle {name}", count, n)


def bands(n: int) -> None:
    for size in (6, 10, 20):
        curves = np.moveaxis(smooth((n, size), 6), 1, 0)
        data = xr.DataArray(curves, GRID, ("subject", "muscle", "phase"))
        band = bootstrap_band(data, n_bootstrap=1000)
        missed = n - int(((band.low <= 0) & (band.high >= 0)).all("phase").sum())
        report(f"simultaneous bootstrap band, n = {size}, misses", missed, n)


def locking(n: int) -> None:
    rng = np.random.default_rng(2)
    phases = 2 * np.pi * (3 * PHASE + rng.random((2, n, 20, 1)))
    signals = np.cos(2 * np.pi * PHASE) + 0.3 * np.cos(phases)
    signals = signals + 0.02 * rng.standard_normal(signals.shape)
    x, y = (xr.DataArray(v, {"phase": PHASE}, ("subject", "cycle", "phase")) for v in signals)
    found = phase_locking(x, y, n_null=199)
    for key, name in (("p_value", "as it is"), ("residual_p_value", "without the mean cycle")):
        report(f"phase locking, {name}", int((found[key] <= LEVEL).sum()), n)


def families(n: int) -> None:
    """Chance of any rejection among 20 true nulls."""
    p = np.random.default_rng(3).random((n, 20))
    for method in ("bh", "holm"):
        count = sum(bool(adjust_p(row, method).rejected.any()) for row in p)
        report(f"any of 20 tests after adjustment, {method}", count, n)


def synergies(rng: np.random.Generator) -> xr.Dataset:
    """Weights and activations of four synergies without any relation to others'."""
    centre, width = rng.random(4), rng.uniform(2, 12, 4)
    bursts = np.exp(width * (np.cos(2 * np.pi * (PHASE[:, None] - centre)) - 1))
    return xr.Dataset(
        {
            "weights": (("synergy", "muscle"), rng.random((4, 13)) ** 3),
            "mean_activation": (("phase", "synergy"), bursts),
        },
        {"phase": PHASE},
    )


def matched(seed: int) -> Draw:
    rng = np.random.default_rng(seed)
    a, b = synergies(rng), synergies(rng)
    other = FAR + seed  # the null must not be drawn from the numbers that made the data
    both = match_synergies(a, b, 99, other, "both")
    weights = match_synergies(a[["weights"]], b[["weights"]], 99, other)
    return {"weights": float(weights.mean_p_value), "both": float(both.mean_p_value)}


def reconstructed(seed: int) -> Draw:
    rng = np.random.default_rng(seed)
    other = synergies(rng)
    data = xr.dot(other.mean_activation, other.weights, dim="synergy")
    return {"p": float(cross_reconstruction(synergies(rng), data, 99, FAR + seed).p_value)}


def mixed(seed: int) -> Draw:
    """A condition of cycles within eight people, and of nothing."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(8), rng.integers(2, 7, 8))
    own = rng.standard_normal((8, 6)).cumsum(axis=1)[subject]
    values = own + rng.standard_normal(own.shape)
    data = xr.DataArray(values, {"phase": np.linspace(0, 1, 6)}, ("cycle", "phase"))
    data = data.assign_coords(subject=("cycle", subject))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a variance of zero between people is no failure
        band = mixed_model_band(data, rng.integers(0, 2, subject.size), n_simulations=1000)
    inside = {k: (band[f"{k}_low"] <= 0) & (band[f"{k}_high"] >= 0) for k in ("slope", "intercept")}
    return {
        "point": float(band.slope_p[2]),
        "slope": bool(inside["slope"].all()),
        "intercept": bool(inside["intercept"].all()),
    }


def one_by_one(n: int) -> None:
    draws = drawn("synergy_matching", n, matched)
    for key, name in (("weights", "weights"), ("both", "weights and activations")):
        count = sum(draw[key] <= LEVEL for draw in draws)
        report(f"synergy matching by {name}, 4 x 13", count, n)
    draws = drawn("cross_reconstruction", n, reconstructed)
    count = sum(draw["p"] <= LEVEL for draw in draws)
    report("cross-reconstruction, 4 synergies of 13 muscles", count, n)
    draws = drawn("mixed_model", n, mixed)
    count = sum(draw["point"] < LEVEL for draw in draws)
    report("mixed model, slope at a point, 8 people", count, n)
    for key in ("slope", "intercept"):
        missed = sum(not draw[key] for draw in draws)
        report(f"mixed model, simultaneous band of the {key}, misses", missed, n)


PARTS: dict[str, Callable[[int], None]] = {
    "circular": circular,
    "clusters": clusters,
    "not_exchangeable": not_exchangeable,
    "bands": bands,
    "locking": locking,
    "families": families,
    "one_by_one": one_by_one,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--only", nargs="*", choices=tuple(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    print("| test at 0.05 | false positives | 99.9 % binomial bounds |\n|---|---|---|")
    for name in arguments.only:
        PARTS[name](arguments.draws)


if __name__ == "__main__":
    main()
