"""Permutation tests, bands and effect sizes agree with statsmodels and scipy, and hold level."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from scipy.ndimage import gaussian_filter1d
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.multitest import multipletests

from kinesis_neuro.analysis.bands import bootstrap_band, mixed_model_band
from kinesis_neuro.analysis.clusters import cluster_permutation_test
from kinesis_neuro.analysis.stats import adjust_p, effect_size
from kinesis_neuro.errors import InvalidInputError

PHASE = np.linspace(0, 1, 101)


def smooth(shape: tuple[int, ...], seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((*shape, 100))
    values = gaussian_filter1d(noise, 5, axis=-1, mode="wrap") * 4.2
    return np.concatenate([values, values[..., :1]], axis=-1)


def curves(n: int, seed: int, bump: float = 0.0, at: float = 0.5) -> xr.DataArray:
    gap = (PHASE - at + 0.5) % 1 - 0.5
    values = smooth((n,), seed) + bump * np.exp(-((gap / 0.08) ** 2))
    coords = {"subject": [f"s{i}" for i in range(n)], "phase": PHASE}
    return xr.DataArray(values, coords, ("subject", "phase"), attrs={"units": "1"})


def test_t_is_that_of_scipy() -> None:
    a, b = curves(9, 1), curves(9, 2)
    speed = np.random.default_rng(3).random(9)
    few = dict(n_permutations=10, cyclic=False)
    for test, expected in (
        (cluster_permutation_test(a, **few), stats.ttest_1samp(a, 0).statistic),
        (cluster_permutation_test(a, b[:7], **few), stats.ttest_ind(a, b[:7]).statistic),
        (
            cluster_permutation_test(a, b, design="paired", **few),
            stats.ttest_rel(a, b).statistic,
        ),
    ):
        np.testing.assert_allclose(test.dataset.t, expected, rtol=1e-9)
    welch = cluster_permutation_test(a, b[:7], equal_variance=False, **few).dataset.t
    expected = stats.ttest_ind(a, b[:7], equal_var=False).statistic
    np.testing.assert_allclose(welch, expected, rtol=1e-9)
    slope = cluster_permutation_test(a, regressor=speed, **few).dataset.t
    fits = [stats.linregress(speed, y) for y in a.values.T]
    np.testing.assert_allclose(slope, [f.slope / f.stderr for f in fits], rtol=1e-9)


def test_missing_values_are_left_out_point_by_point() -> None:
    a, b = curves(8, 4), curves(7, 5)
    a[2, :40], b[1, 30:60] = np.nan, np.nan
    speed = np.arange(8.0) ** 2
    few = dict(n_permutations=10, cyclic=False)
    t = cluster_permutation_test(a, b, **few).dataset.t
    np.testing.assert_allclose(t, stats.ttest_ind(a, b, nan_policy="omit").statistic, rtol=1e-9)
    one = cluster_permutation_test(a, **few).dataset
    np.testing.assert_allclose(one.t, stats.ttest_1samp(a, 0, nan_policy="omit").statistic)
    np.testing.assert_array_equal(one.n, [7] * 40 + [8] * 61)
    slope = cluster_permutation_test(a, regressor=speed, **few).dataset.t
    known = np.delete(np.arange(8), 2)
    fit = stats.linregress(speed[known], a.values[known, 0])
    assert float(slope[0]) == pytest.approx(fit.slope / fit.stderr)


def test_subjects_without_data_are_listed_and_cycles_may_be_unbalanced() -> None:
    values = curves(6, 6).expand_dims(cycle=4).copy() + 0.0
    values[:, 3] = np.nan
    values[2:, 1] = np.nan
    test = cluster_permutation_test(values, n_permutations=20)
    assert json.loads(test.dataset.attrs["dropped"]) == ["s3"]
    assert (test.dataset.n == 5).all()
    long = values.stack(row=("cycle", "subject")).dropna("row").transpose("row", "phase")
    subject = long.subject.values
    long = xr.DataArray(
        long.values, {"phase": PHASE, "subject": ("cycle", subject)}, ("cycle", "phase")
    )
    again = cluster_permutation_test(long, n_permutations=20)
    np.testing.assert_allclose(again.dataset.t, test.dataset.t)


def test_a_difference_is_found_where_it_is() -> None:
    test = cluster_permutation_test(curves(15, 7, bump=3.0, at=0.4), curves(12, 8))
    best = test.table.loc[test.table.p_value.idxmin()]
    assert best.p_value < 0.01 and best.mass > 0
    assert best.start < 0.4 < best.stop and best.stop - best.start < 0.4
    assert "1 of" in test.summary() or "2 of" in test.summary()
    assert float(test.dataset.p_value.sel(phase=0.4)) == best.p_value
    assert test.dataset.attrs["n_permutations"] == 1001


def test_a_cluster_runs_on_across_heel_strike() -> None:
    a, b = curves(15, 9, bump=4.0, at=0.0), curves(15, 10)
    joined = cluster_permutation_test(a, b, n_permutations=200)
    best = joined.table.loc[joined.table.mass.idxmax()]
    assert best.start > 0.8 and best.stop < 0.2
    assert joined.dataset.sizes["phase"] == 101
    assert float(joined.dataset.t[0]) == float(joined.dataset.t[-1])
    split = cluster_permutation_test(a, b, n_permutations=200, cyclic=False)
    assert len(split.table) == len(joined.table) + 1


def test_muscles_are_tested_each_and_together() -> None:
    a = xr.concat([curves(10, s, bump=3.0 * (s == 12)) for s in (11, 12, 13)], "muscle")
    a = a.assign_coords(muscle=["ta", "sol", "vl"]).transpose("subject", "muscle", "phase")
    test = cluster_permutation_test(a, n_permutations=300)
    assert test.dataset.t.dims == ("muscle", "phase")
    assert test.table.loc[test.table.p_value.idxmin()].muscle == "sol"
    assert (test.table.p_value_all >= test.table.p_value).all()
    alone = cluster_permutation_test(a.sel(muscle="sol"), n_permutations=300)
    np.testing.assert_allclose(alone.dataset.t, test.dataset.t.sel(muscle="sol"))


def test_few_subjects_give_all_sign_flips() -> None:
    test = cluster_permutation_test(curves(5, 14, bump=9.0), n_permutations=1000)
    assert test.dataset.attrs["exact"] == 1 and test.dataset.attrs["n_permutations"] == 32
    assert test.table.p_value.min() == pytest.approx(2 / 32)
    assert test.dataset.attrs["smallest_p"] == pytest.approx(2 / 32)


@pytest.mark.parametrize("design", ["one_sample", "two_sample", "paired", "regression"])
def test_false_positives_stay_at_their_level(design: str) -> None:
    # 150 null draws as 150 muscles that share the permutations: each has its own null.
    n_draws, n = 150, 10
    values = np.moveaxis(smooth((n_draws, 2 * n), 20), 1, 0)
    a, b = (
        xr.DataArray(v, {"phase": PHASE}, ("subject", "muscle", "phase"))
        for v in (values[:n], values[n:])
    )
    arguments = {
        "one_sample": {},
        "two_sample": {"b": b[:7]},
        "paired": {"b": b, "design": "paired"},
        "regression": {"regressor": np.random.default_rng(1).random(n)},
    }[design]
    test = cluster_permutation_test(a, n_permutations=299, **arguments)
    rejected = (test.dataset.p_value.min("phase") <= 0.05).sum()
    low, high = stats.binom.interval(0.999, n_draws, 0.05)
    assert low <= int(rejected) <= high


def test_the_same_seed_gives_the_same_result() -> None:
    first, second = (cluster_permutation_test(curves(12, 15), seed=3) for _ in range(2))
    assert first.table.equals(second.table)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: cluster_permutation_test(a, design="anova"), "Allowed values are one_sample"),
        (lambda a: cluster_permutation_test(a, design="paired"), "takes two inputs|one input"),
        (lambda a: cluster_permutation_test(a[:2]), "needs 3 or more of 'subject'"),
        (lambda a: cluster_permutation_test(a, a[:1]), "two in each of two groups"),
        (lambda a: cluster_permutation_test(a[:0]), "empty"),
        (lambda a: cluster_permutation_test(a * np.nan), "got 0 with any value"),
        (lambda a: cluster_permutation_test(a, a[:4], design="paired"), "differ along 'subject'"),
        (
            lambda a: cluster_permutation_test(a, a.isel(phase=slice(None, None, 2))),
            "along 'phase'",
        ),
        (lambda a: cluster_permutation_test(a, regressor=[1, 2]), "one a subject"),
        (lambda a: cluster_permutation_test(a, regressor=[1] * 6), "constant"),
        (lambda a: cluster_permutation_test(a, a, regressor=[1] * 6), "takes"),
        (lambda a: cluster_permutation_test(a, n_permutations=0), "n_permutations"),
        (lambda a: cluster_permutation_test(a, threshold=-1.0), "threshold"),
        (lambda a: cluster_permutation_test(a, unit="person"), "no 'person'"),
        (lambda a: cluster_permutation_test(a[:, ::-1]), "sortby"),
        (lambda a: bootstrap_band(a[:3]), "4 or more"),
        (lambda a: bootstrap_band(a, level=2.0), "level"),
        (lambda a: bootstrap_band(a[:, ::-1]), "sortby"),
        (lambda a: mixed_model_band(a[:, ::-1].expand_dims("cycle")), "sortby"),
        (lambda a: bootstrap_band(a, kind="wide"), "simultaneous, pointwise"),
        (lambda a: mixed_model_band(a), "no dim 'cycle'"),
        (lambda a: effect_size(a, kind="paired"), "two inputs"),
        (lambda a: adjust_p([1.5]), "between 0 and 1"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        call(curves(6, 16))


def test_adjusted_p_is_that_of_statsmodels() -> None:
    p = np.random.default_rng(0).random(20) ** 3
    for ours, theirs in (("bh", "fdr_bh"), ("by", "fdr_by"), ("holm", "holm")):
        expected = multipletests(p, method=theirs)
        result = adjust_p(xr.DataArray(p.reshape(4, 5), dims=("muscle", "phase")), ours)
        np.testing.assert_allclose(result.p_adjusted.values.ravel(), expected[1])
        np.testing.assert_array_equal(result.rejected.values.ravel(), expected[0])
    missing = adjust_p([0.01, np.nan, 0.02])
    assert missing.n_tests == 2 and np.isnan(missing.p_adjusted[1])


def test_effect_sizes() -> None:
    rng = np.random.default_rng(1)
    a, b = (xr.DataArray(rng.standard_normal((n, 3)), dims=("subject", "muscle")) for n in (8, 6))
    t = stats.ttest_ind(a, b).statistic
    d = effect_size(a, b, kind="cohen")
    np.testing.assert_allclose(d, t * np.sqrt(1 / 8 + 1 / 6))
    np.testing.assert_allclose(effect_size(a, b), d * (1 - 3 / (4 * 12 - 1)), rtol=2e-3)
    dz = effect_size(a[:6], b, kind="paired")
    np.testing.assert_allclose(dz, stats.ttest_rel(a[:6], b).statistic / np.sqrt(6))
    a[0, 0] = np.nan
    expected = stats.ttest_1samp(a, 0, nan_policy="omit").statistic / np.sqrt([7, 8, 8])
    np.testing.assert_allclose(effect_size(a, kind="cohen"), expected)
    assert np.isnan(effect_size(a[:1])).all()
    a[1] = np.nan
    counted = effect_size(a, b).attrs
    assert counted["n_missing"] == 4 and json.loads(counted["dropped"]) == ["1"]


def test_bands_cover_the_true_curve() -> None:
    # Every muscle is a draw of its own.
    n_draws = 120
    values = np.moveaxis(smooth((n_draws, 10), 30), 1, 0)
    data = xr.DataArray(values, {"phase": PHASE}, ("subject", "muscle", "phase"))
    covered = {}
    for kind in ("simultaneous", "pointwise"):
        band = bootstrap_band(data, kind=kind, n_bootstrap=400)
        covered[kind] = ((band.low <= 0) & (band.high >= 0)).values
    whole = covered["simultaneous"].all(axis=-1).sum()
    low, high = stats.binom.interval(0.999, n_draws, 0.95)
    assert low <= whole <= high
    assert covered["pointwise"].mean() == pytest.approx(0.95, abs=0.03)
    assert covered["pointwise"].all(axis=-1).mean() < 0.8
    assert band.attrs["n_units"] == 10


def test_a_band_lists_the_subjects_that_it_leaves_out() -> None:
    data = curves(7, 17)
    data[2, 5] = np.nan
    band = bootstrap_band(data, n_bootstrap=50)
    assert json.loads(band.attrs["dropped"]) == ["s2"] and band.attrs["n_dropped"] == 1


def cycles(seed: int, counts: list[int], effect: float = 0.0) -> tuple[xr.DataArray, np.ndarray]:
    """Unbalanced cycles of subjects with a curve of their own, under two conditions."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(len(counts)), counts)
    phase = np.linspace(0, 1, 11)
    own = smooth((len(counts),), seed)[:, ::10][subject]
    condition = rng.integers(0, 2, subject.size).astype(float)
    noise = 0.5 * rng.standard_normal((subject.size, 11))
    values = own + noise + effect * condition[:, None]
    coords = {"phase": phase, "subject": ("cycle", subject)}
    return xr.DataArray(values, coords, ("cycle", "phase"), attrs={"units": "mV"}), condition


def test_people_that_hardly_differ_have_a_model_too() -> None:
    """Gradients alone run into a singular matrix here."""
    rng = np.random.default_rng(23)
    subject = np.repeat(np.arange(8), rng.integers(2, 7, 8))
    own = rng.standard_normal((8, 6)).cumsum(axis=1)[subject, :2]
    values = own + rng.standard_normal((subject.size, 6))[:, :2]
    data = xr.DataArray(values, {"phase": [0.0, 0.2]}, ("cycle", "phase"))
    data = data.assign_coords(subject=("cycle", subject))
    band = mixed_model_band(data, rng.integers(0, 2, subject.size), n_simulations=100)
    assert band.attrs["n_undefined"] == 0
    assert 0 <= float(band.subject_variance[0]) < 0.5


def test_mixed_models_are_those_of_statsmodels() -> None:
    data, condition = cycles(1, [3, 6, 4, 5, 7, 2], effect=0.4)
    data[0, 3] = np.nan
    band = mixed_model_band(data, condition, n_simulations=500)
    assert band.attrs["n_dropped"] == 1 and band.attrs["n_cycles"] == 26
    assert json.loads(band.attrs["dropped"]) == [["0", "0"]]
    x = np.column_stack([np.ones(26), condition[1:]])
    fit = MixedLM(data.values[1:, 4], x, groups=data.subject.values[1:]).fit(reml=True)
    assert float(band.slope[4]) == pytest.approx(fit.fe_params[1], rel=1e-3)
    assert float(band.intercept_error[4]) == pytest.approx(fit.bse_fe[0], rel=0.01)
    assert float(band.slope_error[4]) == pytest.approx(fit.bse_fe[1], rel=0.01)
    assert band.slope.units == "mV" and band.slope_p.units == "1"
    assert ((band.slope_low <= 0.4) & (band.slope_high >= 0.4)).all()
    # Wider than point-wise, narrower than Bonferroni's.
    point, every = stats.t.ppf([0.975, 1 - 0.025 / 11], 5)
    assert point < band.attrs["intercept_quantile"] < every * 1.05
    silent = data.copy()
    silent[:, :2] = 0.0
    quiet = mixed_model_band(silent, condition, n_simulations=500)
    assert quiet.attrs["n_undefined"] == 2 and np.isnan(quiet.slope_p[:2]).all()
    np.testing.assert_allclose(quiet.slope[2:], band.slope[2:], rtol=0.3)
    with pytest.raises(InvalidInputError, match="vary too little"):
        mixed_model_band(silent * 0)
    with pytest.raises(InvalidInputError, match="more cycles than that"):
        mixed_model_band(data.isel(cycle=[1, 4, 10, 14, 20]))
    with pytest.raises(InvalidInputError, match="regressor is constant"):
        mixed_model_band(data, np.ones(27))
