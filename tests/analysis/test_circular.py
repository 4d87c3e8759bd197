"""Statistics on the circle agree with scipy, and their tests hold their level."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from kinesis_neuro.analysis.circular import (
    circular_dispersion,
    circular_mean,
    kuiper_test,
    rayleigh_test,
    watson_williams_test,
    wrap_phase,
)
from kinesis_neuro.errors import InvalidInputError


def von_mises(shape: tuple[int, ...], kappa: float, mean: float = 0.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.vonmises(0.0, kappa, shape) / (2 * np.pi) + mean) % 1


def test_mean_and_spread_agree_with_scipy() -> None:
    phase = von_mises((200,), 2.0, mean=0.97)
    spread = circular_dispersion(phase)
    assert float(circular_mean(phase)) == pytest.approx(stats.circmean(phase, high=1))
    assert float(spread.variance) == pytest.approx(stats.circvar(phase, high=1))
    assert float(spread.standard_deviation) == pytest.approx(stats.circstd(phase, high=1))
    angles = xr.DataArray(2 * np.pi * phase, dims="cycle", attrs={"units": "rad"})
    assert float(circular_mean(angles)) == pytest.approx(stats.circmean(angles.values))
    assert circular_mean(angles).units == "rad"


def test_missing_phases_are_counted_not_averaged() -> None:
    phase = xr.DataArray([[0.1, np.nan, 0.3], [np.nan] * 3], dims=("muscle", "cycle"))
    np.testing.assert_allclose(circular_mean(phase, "cycle"), [0.2, np.nan])
    np.testing.assert_array_equal(circular_dispersion(phase, "cycle").n, [2, 0])
    assert np.isnan(rayleigh_test(phase, "cycle").p_value[1])


def test_opposite_phases_have_no_mean() -> None:
    assert np.isnan(circular_mean([0.0, 0.5]))
    assert float(circular_mean([0.0, 0.5], weights=[3.0, 1.0])) == pytest.approx(0.0)
    with pytest.raises(InvalidInputError, match="not negative"):
        circular_mean([0.1, 0.2], weights=[-1.0, 1.0])


def test_differences_wrap_to_half_a_cycle() -> None:
    x = xr.DataArray(np.linspace(-3, 3, 61))
    assert float(abs(wrap_phase(x)).max()) <= 0.5
    np.testing.assert_allclose(np.exp(2j * np.pi * wrap_phase(x)), np.exp(2j * np.pi * x))


def within_binomial(rejected: np.ndarray, level: float = 0.05) -> bool:
    low, high = stats.binom.interval(0.999, rejected.size, level)
    return bool(low <= rejected.sum() <= high)


def test_rayleigh_holds_its_level_and_has_power() -> None:
    draws = xr.DataArray(np.random.default_rng(1).random((1000, 15)), dims=("episode", "cycle"))
    assert within_binomial(rayleigh_test(draws, "cycle").p_value.values < 0.05)
    assert float(rayleigh_test(von_mises((15,), 2.0)).p_value) < 0.01


def test_watson_williams_holds_its_level_and_has_power() -> None:
    dims = ("episode", "cycle")
    a, b, c = (xr.DataArray(von_mises((1000, 12), 3.0, seed=s), dims=dims) for s in (1, 2, 3))
    assert within_binomial(watson_williams_test(a, b, c, dim="cycle").p_value.values < 0.05)
    late = watson_williams_test(a[0], (b[0] + 0.25) % 1)
    assert float(late.p_value) < 0.01
    assert int(late.trusted) == 1
    assert int(watson_williams_test(*np.random.default_rng(0).random((2, 30))).trusted) == 0


def test_watson_williams_is_the_anova_when_angles_are_close() -> None:
    rng = np.random.default_rng(4)
    a, b = 0.3 + 0.01 * rng.standard_normal((2, 25))
    test = watson_williams_test(a, b)
    anova = stats.f_oneway(a, b)
    assert float(test.statistic) == pytest.approx(anova.statistic, rel=0.01, abs=1e-3)


def test_kuiper_holds_its_level_wherever_the_circle_starts() -> None:
    rng = np.random.default_rng(2)
    rejected = np.array([float(kuiper_test(x).p_value) < 0.05 for x in rng.random((400, 20))])
    assert within_binomial(rejected)
    # Ties between steps make the two-sample statistic a little conservative.
    pairs = rng.random((400, 2, 25))
    assert np.mean([float(kuiper_test(*p).p_value) < 0.05 for p in pairs]) < 0.08
    x, y = von_mises((30,), 1.0, 0.2), von_mises((25,), 4.0, 0.6, seed=5)
    for moved in (0.0, 0.37):
        assert float(kuiper_test(x + moved).statistic) == pytest.approx(
            float(kuiper_test(x).statistic)
        )
        assert float(kuiper_test(x + moved, y + moved).statistic) == pytest.approx(
            float(kuiper_test(x, y).statistic)
        )
    assert float(kuiper_test(x, y).p_value) < 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: circular_mean([]), "empty"),
        (lambda: circular_mean([np.inf]), "finite"),
        (lambda: circular_mean(["early"]), "Phases are numbers"),
        (lambda: circular_mean(xr.DataArray([0.1], dims="cycle"), "time"), "Available: cycle"),
        (lambda: watson_williams_test([0.1, 0.2]), "two or more groups"),
        (lambda: watson_williams_test([0.1, 0.2], [0.1]), "two or more phases"),
        (lambda: kuiper_test([0.1]), "two or more"),
        (
            lambda: watson_williams_test(
                [0.1, 0.2], xr.DataArray([0.1, 0.2], attrs={"units": "rad"})
            ),
            "same units",
        ),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        call()
