"""Shapes, centres, agreement of pairs and shared cycles: what is put in comes out."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.analysis.agreement import PEOPLE, box_statistics, pairwise_agreement
from kinesis_neuro.analysis.channel_cycles import person_cycles, shared_cycles, simulated_cycles
from kinesis_neuro.analysis.compare import compare_emg
from kinesis_neuro.analysis.comparison import EMGComparison
from kinesis_neuro.analysis.shapes import activity_centers, shape_curves
from kinesis_neuro.emg.datasets import load_subject
from kinesis_neuro.emg.mapping import map_muscles
from kinesis_neuro.emg.subject import make_subject
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.synthetic import raw_gait_emg

PHASE = np.arange(100) / 100
CHANNELS = {"soleus": "soleus_r", "tibialis_anterior": "tibant_r"}


def bump(center: float, width: float = 0.1) -> np.ndarray:
    return np.exp((np.cos(2 * np.pi * (PHASE - center)) - 1) / (2 * np.pi * width) ** 2)


def person(name: str, *centers: float) -> xr.Dataset:
    values = np.stack([bump(c) for c in centers], axis=-1)[None]
    return make_subject(
        values, list(CHANNELS), ["right"] * 2, subject=name, phase=PHASE, toe_off_phase=0.6
    )


def simulation(*centers: float, gain: float = 1.0) -> xr.Dataset:
    values = gain * np.stack([bump(c) for c in centers], axis=-1)[None]
    return xr.Dataset(
        {"activation": (("cycle", "phase", "muscle"), values, {"units": "1"})},
        coords={
            "phase": PHASE, "muscle": list(CHANNELS.values()), "side": ("muscle", ["right"] * 2),
        },
        attrs={"body": "legs", "policy": "walk"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def result() -> EMGComparison:
    people = [person("a", 0.98, 0.4), person("b", 0.02, 0.5), person("c", 0.0, 0.6)]
    return compare_emg(
        simulation(0.1, 0.45, gain=0.3), people, baselines={"other": simulation(0.5, 0.5)},
        n_null=50, envelope=None,
    )  # fmt: skip


def test_centres_cross_heel_strike_and_differences_have_a_sign(result: EMGComparison) -> None:
    centers = activity_centers(result.dataset)
    np.testing.assert_allclose(centers.people.sel(channel="soleus"), [0.98, 0.02, 0.0], atol=1e-6)
    assert (float(centers.people_mean[0]) + 0.5) % 1 == pytest.approx(0.5, abs=1e-6)
    # R of three phases, from its definition.
    length = abs(np.exp(2j * np.pi * np.array([0.4, 0.5, 0.6])).mean())
    assert float(centers.people_resultant[1]) == pytest.approx(length, abs=1e-6)
    np.testing.assert_allclose(centers.difference[0], [0.1, -0.05], atol=1e-6)
    assert centers.condition_role.values.tolist() == ["walk", "other"]


def test_curves_are_scaled_by_themselves(result: EMGComparison) -> None:
    curves = shape_curves(result.dataset)
    for name in ("people", "simulated"):
        np.testing.assert_allclose(curves[name].max("phase"), 1.0, atol=1e-12)
        np.testing.assert_allclose(curves[name].min("phase"), 0.0, atol=1e-12)
    assert bool((curves.people_low <= curves.people_mean).all())
    np.testing.assert_array_equal(curves.people_high, curves.people.max("subject"))
    np.testing.assert_allclose(shape_curves(result.dataset, "mean").people.mean("phase"), 1.0)
    np.testing.assert_allclose(curves.role_r.sel(role="walk"), result.table.r.iloc[:-1])
    np.testing.assert_allclose(
        curves.role_r_mean.sel(role="other"), result.table.at["mean", "r:other"]
    )
    with pytest.raises(InvalidInputError, match="Allowed values are range, mean"):
        shape_curves(result.dataset, "peak")


def test_every_pair_is_there_with_its_correlation(result: EMGComparison) -> None:
    agreement = pairwise_agreement(result.dataset)
    pairs = agreement.pairs.set_index(["group", "first", "second", "muscle"]).r
    assert len(pairs) == (3 + 3 + 3) * 3
    expected = np.corrcoef(bump(0.4), bump(0.6))[0, 1]
    assert pairs[PEOPLE, "a", "c", "tibialis_anterior"] == pytest.approx(expected, abs=1e-9)
    expected = np.corrcoef(bump(0.1), bump(0.02))[0, 1]
    assert pairs["walk", "walk", "b", "soleus"] == pytest.approx(expected, abs=1e-9)
    # The mean over pairs is what the table has.
    table = result.table
    means = agreement.pairs.groupby(["group", "muscle"]).r.mean()
    assert means[PEOPLE, "soleus"] == pytest.approx(table.at["soleus", "ceiling_pairwise"])
    assert means["walk", "mean"] == pytest.approx(table.at["mean", "r"])
    assert means["other", "mean"] == pytest.approx(table.at["mean", "r:other"])
    assert agreement.chance["mean"] == table.at["mean", "null_95"]


def test_boxes_are_those_of_matplotlib(result: EMGComparison) -> None:
    from matplotlib.cbook import boxplot_stats

    pairs = pairwise_agreement(result.dataset).pairs
    pairs.loc[pairs.index[::3], "r"] -= 1.0  # outliers
    for (muscle, group), box in box_statistics(pairs).iterrows():
        r = pairs.r[(pairs.muscle == muscle) & (pairs.group == group)]
        expected = boxplot_stats(r.to_numpy())[0]
        for name, key in (
            ("low", "whislo"), ("quartile_1", "q1"), ("median", "med"), ("quartile_3", "q3"),
            ("high", "whishi"),
        ):  # fmt: skip
            assert box[name] == pytest.approx(expected[key]), (muscle, group, name)


def test_every_condition_has_its_lag_curve(result: EMGComparison) -> None:
    data = result.dataset
    own = data.lag_curve_condition.isel(condition=0).transpose("lag", "channel")
    np.testing.assert_allclose(own, data.lag_curve)
    np.testing.assert_allclose(data.best_lag_condition[0], result.table.best_lag.iloc[:-1])
    assert float(data.common_lag_condition[0]) == result.table.at["mean", "best_lag"]


def test_cycles_of_a_person_are_whole_and_not_negative() -> None:
    values = np.stack([bump(0.3), bump(0.6)], axis=-1)[None].repeat(3, axis=0)
    values[0, 10, 0] = -0.01
    values[1, 20, 1] = np.nan
    one = make_subject(values, list(CHANNELS), ["right"] * 2, subject="me", phase=PHASE)
    cycles = person_cycles(one)
    assert cycles.sizes["cycle"] == 2
    assert (cycles.attrs["n_cycles_left_out"], cycles.attrs["n_negative"]) == (1, 1)
    assert float(cycles.min()) == 0.0
    with pytest.raises(InvalidInputError, match="raw EMG"):
        person_cycles(raw_gait_emg(duration=4.0))


def test_cycles_of_a_simulation_are_cut_at_its_own_heel_strikes(walking: xr.Dataset) -> None:
    cycles = simulated_cycles(walking, list(CHANNELS), ["right", "left"])
    mapped = map_muscles(walking.activation, list(CHANNELS), ["right", "left"])
    # The right foot strikes at 0.1 of the period, the left at 0.6.
    period = 1.1
    for k, strike in enumerate((0.1, 0.6)):
        at = (1 + strike + PHASE[::10]) * period
        expected = np.interp(at, walking.time.values, mapped.values[:, k])
        np.testing.assert_allclose(cycles[1, :-1:10, k], expected, atol=0.02)
    assert float(cycles.toe_off_phase) == pytest.approx(0.6, abs=0.02)
    with pytest.raises(InvalidInputError, match="no 'excitation' over time and muscle"):
        simulated_cycles(walking, list(CHANNELS), ["right"] * 2, "excitation")


def test_shared_cycles_have_the_channels_that_all_have(walking: xr.Dataset) -> None:
    lacking = walking.isel(muscle=walking.muscle.values != "recfem_r")
    shared = shared_cycles(load_subject("builtin"), {"whole": walking, "lacking": lacking})
    for one in (shared.human, *shared.simulated.values()):
        assert "rectus_femoris" not in one.channel.values
        assert one.channel.values.tolist() == shared.human.channel.values.tolist()
    assert shared.human.sizes["channel"] == 3
    assert "rectus_femoris (no muscle)" in shared.simulated["lacking"].attrs["left_out"]
