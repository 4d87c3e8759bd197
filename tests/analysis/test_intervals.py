"""Intervals cover at their stated rate, nulls are uniform, ceilings are what they are called."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import fft, stats

from kinesis_neuro.analysis import waveforms as wf
from kinesis_neuro.analysis.ceiling import human_ceilings
from kinesis_neuro.analysis.intervals import bca_interval, crossed_interval
from kinesis_neuro.analysis.null import lag_null, p_value
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.synthetic import gait_emg


@pytest.mark.parametrize(("n_seeds", "n_people"), [(1, 3), (1, 5), (1, 9), (3, 4), (3, 8), (4, 1)])
def test_intervals_cover(n_seeds: int, n_people: int) -> None:
    rng = np.random.default_rng(n_seeds + 10 * n_people)
    n = 3000
    person = rng.normal(0, 0.25 if n_people > 1 else 0.0, (1, n_people, n))
    seed = rng.normal(0, 0.15 if n_seeds > 1 else 0.0, (n_seeds, 1, n))
    z = np.arctanh(0.4) + person + seed + rng.normal(0, 0.1, (n_seeds, n_people, n))
    interval = crossed_interval(np.tanh(z))
    covered = ((interval.low <= 0.4) & (interval.high >= 0.4)).mean()
    assert 0.93 <= covered <= 0.99


def test_one_of_each_has_no_interval() -> None:
    interval = crossed_interval(np.array([[0.5]]))
    assert interval.mean == pytest.approx(0.5) and np.isnan(interval.low)
    with pytest.raises(InvalidInputError, match=r"confidence must lie between 0 and 1"):
        crossed_interval(np.array([[0.5, 0.6]]), confidence=95)
    with pytest.raises(InvalidInputError, match=r"three people or more"):
        bca_interval(np.array([0.1, 0.2]))


def test_cyclic_shifts_are_uniform_for_bursts() -> None:
    rng = np.random.default_rng(5)
    phase = np.arange(100) / 100
    center, width = rng.random((2, 500, 1)), rng.uniform(0.05, 0.15, (2, 500, 1))
    a, b = np.exp((np.cos(2 * np.pi * (phase - center)) - 1) / (2 * np.pi * width) ** 2)
    cross = np.conj(fft.rfft(wf.standardize(a))) * fft.rfft(wf.standardize(b))
    curve = fft.irfft(cross, 100, axis=-1)
    null = lag_null(cross, 100, np.ones(100, dtype=bool), 299, rng)
    p = p_value(curve[:, 0], null.zero)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_ceilings_are_the_means_that_they_are_called() -> None:
    people = gait_emg(4, 6, 4, subject_sd=0.5).true_envelope.values[:, :-1].swapaxes(1, 2)
    ceilings = human_ceilings(people)
    pairs = [
        [np.corrcoef(people[i, c], people[j, c])[0, 1] for i in range(4) for j in range(i)]
        for c in range(9)
    ]
    np.testing.assert_allclose(ceilings.pairwise, np.mean(pairs, axis=1))
    assert (ceilings.mean_of_others >= ceilings.pairwise - 0.05).all()
    assert np.isnan(ceilings.between_cycle).all()
    assert np.isnan(human_ceilings(people[:1]).pairwise).all()


def test_measures_of_known_curves() -> None:
    phase = np.arange(100) / 100
    a = 1 + np.sin(2 * np.pi * phase)
    assert wf.pearson(a, 3 * a + 1) == pytest.approx(1.0)
    assert wf.variance_accounted_for(a, 3 * a) == pytest.approx(1.0)
    assert wf.nrmse(a, 5 * a + 2) == pytest.approx(0.0)
    assert wf.multiple_correlation(a, 2 - a) == pytest.approx(0.0)
    late = np.roll(a, 7)
    curve = wf.lag_curve(np.conj(wf.spectrum(a)) * wf.spectrum(late), 100)
    assert wf.lags(100)[curve.argmax()] == pytest.approx(0.07)
    np.testing.assert_allclose(wf.shift_cyclic(a, 0.07), late, atol=1e-12)
    assert np.isnan(wf.pearson(a, np.ones(100)))
    burst, moved = wf.main_burst(a), wf.main_burst(late)
    for one, other in zip(burst, moved, strict=True):
        assert wf.phase_difference(other, one) == pytest.approx(0.07)
    with pytest.raises(InvalidInputError, match=r"Lengths disagree: 3 values for 2 phases"):
        wf.resample_cyclic([1, 2, 3], [0, 0.5])
    with pytest.raises(InvalidInputError, match=r"span one cycle at most"):
        wf.resample_cyclic([1, 2, 3], [0, 0.5, 1.5])


def test_resampling_goes_around_the_end() -> None:
    grid = np.arange(1, 101) / 100  # 1 to 100 per cent, as KINESIS has it
    wave = np.sin(2 * np.pi * np.arange(100) / 100)
    found = wf.resample_cyclic(np.sin(2 * np.pi * grid), grid)
    np.testing.assert_allclose(found, wave, atol=1e-12)


def test_the_humans_side_needs_no_body() -> None:
    code = (
        "import sys, kinesis_neuro.analysis.compare, kinesis_neuro.analysis.speed, "
        "kinesis_neuro.emg.datasets, kinesis_neuro.emg.hill, kinesis_neuro.plot.compare\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('torch', 'mujoco') or m.startswith("
        "('kinesis_neuro.body', 'kinesis_neuro.motion', 'kinesis_neuro.env', "
        "'kinesis_neuro.learn'))]\nassert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=500)
