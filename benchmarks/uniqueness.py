"""Why five and six synergies are not always found as they were made: is there one answer to find?

A factorisation is unique when each synergy is somewhere alone, in a sample and in a muscle
(separability: Donoho & Stodden 2003), or nearly so. Printed for draws of `synthetic.gait_emg`: how
far that holds of the truth (the least share of a synergy in the sample, and in the muscle, that is
most its own), the lowest cosine of the weights found with the true ones by several solvers, and its
range over restarts that explain the data equally well.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import NMF

from kinesis_neuro.analysis import nmf
from kinesis_neuro.synthetic import gait_emg

SLACK = 0.02
"""Fits that leave at most this part more unexplained than the best count as equal."""


def lowest_cosine(weight: np.ndarray, truth: np.ndarray) -> float:
    """Cosine of the worst recovered synergy, after the best assignment; rows have unit length."""
    cosine = truth @ (weight / np.linalg.norm(weight, axis=1, keepdims=True)).T
    return float(cosine[linear_sum_assignment(-cosine)].min())


def purity(factor: np.ndarray) -> float:
    """Least over synergies (rows) of the share that each has where it is most alone."""
    return float((factor / factor.sum(axis=0)).max(axis=1).min())


def scikit_learn(x: np.ndarray, rank: int, solver: str, init: str) -> np.ndarray:
    model = NMF(rank, solver=solver, init=init, tol=1e-7, max_iter=1500, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # multiplicative updates do not converge in 1,500 steps
        return model.fit(x).components_


def compared(seed: int, rank: int, snr_db: float, exclusive: float) -> list[str]:
    """One row of the table."""
    emg = gait_emg(1, 12, rank, snr_db=snr_db, seed=seed, n_channels=13, exclusive=exclusive)
    emg = emg.isel(subject=0, phase=slice(-1))
    weight, activation = emg.synergy_weight.values, emg.synergy_activation.values
    length = np.linalg.norm(weight, axis=1, keepdims=True)
    truth = weight / length
    x = emg.envelope.values.reshape(-1, weight.shape[1])
    default = nmf.factorize(x, rank, 10)
    many = nmf.factorize(x, rank, 100)
    start = nmf.random_weights(x, rank, 12, np.random.default_rng(0))
    fits = nmf.alternate(x, start, 1e-7, 1500)
    left = 1 - fits.vaf
    equal = np.flatnonzero(left <= (1 + SLACK) * left.min() + 1e-6)
    cosine = np.array([lowest_cosine(w, truth) for w in fits.weight])
    volume = np.array([np.linalg.slogdet(w @ w.T)[1] for w in fits.weight])
    values = [
        lowest_cosine(default.weight, truth),
        lowest_cosine(many.weight, truth),
        cosine[fits.vaf.argmax()],
        lowest_cosine(scikit_learn(x, rank, "cd", "nndsvd"), truth),
        lowest_cosine(scikit_learn(x, rank, "mu", "nndsvda"), truth),
        cosine[equal[volume[equal].argmax()]],
    ]
    shown = [f"{v:.3f}" for v in values]
    spread = f"{cosine[equal].min():.3f} to {cosine[equal].max():.3f} ({equal.size})"
    pure = f"{purity(length * activation):.2f}, {purity(truth):.2f}"
    return [str(seed), str(rank), pure, f"{fits.vaf.max():.4f}", *shown, spread]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=16)
    seeds = range(parser.parse_args().seeds)
    for exclusive in (0.0, 0.75):
        for snr_db in (200.0, 20.0):
            noise = "no noise" if snr_db > 100 else f"{snr_db:g} dB"
            print(f"\n{exclusive:.0%} of the small weights zero, {noise}\n")
            print("| seed | rank | alone: sample, muscle | VAF | 10 restarts | 100 | 12 to 1e-7 | "
                  "cd, nndsvd | mu, nndsvda | largest volume | range of equal fits |")  # fmt: skip
            print("|---" * 11 + "|")
            rows = []
            for seed in seeds:
                rows.append(compared(seed, 3 + seed % 4, snr_db, exclusive))
                print("| " + " | ".join(rows[-1]) + " |", flush=True)
            for few, ranks in (("3, 4", "34"), ("5, 6", "56")):
                some = [row for row in rows if row[1] in ranks]
                found = np.array([[float(v) for v in row[4:10]] for row in some])
                parts = " | ".join(f"{(c >= 0.98).sum()} of {len(c)}" for c in found.T)
                print(f"| all | {few} | at least 0.98: | | {parts} | |", flush=True)


if __name__ == "__main__":
    main()
