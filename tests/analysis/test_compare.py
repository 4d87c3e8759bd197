"""compare_emg finds what was put in, and says so against chance and ceiling."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from kinesis_neuro.analysis.alignment import ComparisonWarning
from kinesis_neuro.analysis.compare import compare_emg
from kinesis_neuro.analysis.comparison import EMGComparison
from kinesis_neuro.analysis.kinesis_protocol import (
    PUBLISHED,
    Conventions,
    cycle_starts,
    kinesis_table,
    read_kinesis_controls,
)
from kinesis_neuro.analysis.mixed import fit_mixed_model
from kinesis_neuro.emg.datasets import load_subject
from kinesis_neuro.emg.subject import make_subject
from kinesis_neuro.errors import FileFormatError, InvalidInputError
from kinesis_neuro.plot.compare import plot_comparison
from kinesis_neuro.schema import validate
from kinesis_neuro.synthetic import gait_emg

MUSCLES = {
    "soleus": "soleus_r",
    "gastrocnemius_medialis": "gasmed_r",
    "gastrocnemius_lateralis": "gaslat_r",
    "tibialis_anterior": "tibant_r",
    "semimembranosus": "semimem_r",
    "biceps_femoris": "bflh_r",
    "vastus_lateralis": "vaslat_r",
    "rectus_femoris": "recfem_r",
    "vastus_medialis": "vasmed_r",
}


def people_of(emg: xr.Dataset, **attributes: object) -> list[xr.Dataset]:
    return [
        make_subject(
            emg.envelope.sel(subject=name).values, emg.channel.values, emg.side.values,
            subject=str(name), phase=emg.phase.values, **attributes,
        )
        for name in emg.subject.values
    ]  # fmt: skip


def simulation_of(emg: xr.Dataset, index: int = 0, **attributes: object) -> xr.Dataset:
    """One synthetic person as a simulation: channels become muscles."""
    one = emg.envelope.isel(subject=index)
    return xr.Dataset(
        {"activation": (("cycle", "phase", "muscle"), one.values.copy(), {"units": "1"})},
        coords={
            "phase": ("phase", emg.phase.values, {"units": "1"}),
            "muscle": [MUSCLES[c] for c in emg.channel.values],
            "side": ("muscle", emg.side.values),
        },
        attrs={"body": "legs", "policy": "synthetic"} | attributes,
    )


def compare(sim: object, people: object, **options: object) -> EMGComparison:
    return compare_emg(sim, people, **({"n_null": 200, "envelope": None} | options))


def test_identical_people_have_a_ceiling_of_one_and_a_perfect_simulation_reaches_it() -> None:
    emg = gait_emg(4, 6, 4, snr_db=300, jitter=0.0)
    table = compare(simulation_of(emg), people_of(emg)).table
    for column in ("r", "ceiling_pairwise", "ceiling_mean_of_others", "ceiling_between_cycle"):
        np.testing.assert_allclose(table[column], 1.0, atol=1e-6, err_msg=column)
    np.testing.assert_allclose(table["cmc"], 1.0, atol=1e-6)
    np.testing.assert_allclose(table[["nrmse", "peak_error", "onset_error"]], 0.0, atol=1e-6)


@pytest.mark.parametrize("lag", [-0.2, -0.03, 0.0, 0.05, 0.11, 0.3])
def test_a_known_lag_is_recovered_to_one_percent_of_the_cycle(lag: float) -> None:
    truth = gait_emg(5, 10, 4, snr_db=10, seed=3)
    late = gait_emg(5, 10, 4, lag=lag, snr_db=10, seed=3)
    table = compare(simulation_of(truth), people_of(late)).table
    np.testing.assert_allclose(table["best_lag"], lag, atol=0.0101)
    np.testing.assert_allclose(table["peak_error"].iloc[-1], -lag, atol=0.03)


def test_a_stated_delay_moves_the_simulation_earlier() -> None:
    truth, late = gait_emg(3, 5, 4, seed=1), gait_emg(3, 5, 4, lag=-0.1, seed=1)
    sim = simulation_of(truth).assign_coords(cycle_duration=("cycle", np.full(5, 1.2)))
    before = compare(sim, people_of(late)).table.loc["mean"]
    after = compare(sim, people_of(late), delay=0.12).table.loc["mean"]
    assert before["best_lag"] == pytest.approx(-0.1)
    assert after["best_lag"] == pytest.approx(0.0)
    assert after["r"] == pytest.approx(before["r_best"], abs=0.01)
    with pytest.raises(InvalidInputError, match="needs the duration of a cycle"):
        compare(simulation_of(truth), people_of(late), delay=0.06)


def test_the_null_is_calibrated() -> None:
    """P is uniform where simulation and people have nothing in common (500 p values)."""
    p = []
    for seed in range(56):
        sim = gait_emg(1, 1, 9, snr_db=60, jitter=0.0, seed=1000 + seed)
        rng = np.random.default_rng(seed)
        turns = rng.integers(0, 100, 9)
        values = sim.envelope.values[0, 0, :-1]
        moved = np.stack([np.roll(values[:, c], turns[c]) for c in range(9)], axis=1)
        people = [
            make_subject(moved[None], sim.channel.values, sim.side.values, subject="a",
                         phase=np.arange(100) / 100)
        ]  # fmt: skip
        # Each channel against another one's shape, at a random phase.
        order = np.roll(np.arange(9), 1)
        shuffled = sim.assign(envelope=sim.envelope.copy(data=sim.envelope.values[..., order]))
        p.append(compare(simulation_of(shuffled), people, n_null=199, seed=seed).dataset.p.values)
    assert stats.kstest(np.concatenate(p)[:500], "uniform").pvalue > 0.01


def test_chance_is_reported_with_the_same_freedom_of_lag() -> None:
    one, other = gait_emg(1, 3, 4, seed=1), gait_emg(4, 3, 4, seed=99)
    table = compare(simulation_of(one), people_of(other), n_null=500).table
    assert table["null_best_mean"].iloc[:-1].min() > 0.4  # Pearson r is easy to fool
    assert abs(table.at["mean", "null_mean"]) < 0.1
    narrow = compare(simulation_of(one), people_of(other), n_null=500, max_lag=0.05).table
    assert 0.05 < table.at["mean", "null_best_mean"] < 0.7
    assert narrow.at["mean", "null_best_mean"] < table.at["mean", "null_best_mean"]
    assert (narrow["best_lag"].abs() <= 0.05 + 1e-9).all()


def test_specificity_tells_muscles_apart() -> None:
    emg = gait_emg(4, 5, 9, seed=2, subject_sd=0.1)
    data = compare(simulation_of(emg), people_of(emg)).dataset
    assert data.overall_specificity > 0.4 and data.overall_specificity_p < 0.01
    assert data.specificity.dims == ("channel", "other")
    alike = emg.assign(envelope=emg.envelope.isel(channel=[0] * 9).assign_coords(
        channel=emg.channel.values))  # fmt: skip
    same = compare(simulation_of(alike), people_of(alike)).dataset
    assert abs(same.overall_specificity) < 1e-9 and same.overall_specificity_p > 0.5


def test_seeds_and_people_make_the_interval() -> None:
    emg = gait_emg(5, 4, 4, seed=5, subject_sd=0.5)
    sims = [simulation_of(gait_emg(1, 4, 4, seed=5 + k, subject_sd=0.5)) for k in range(3)]
    several = compare(sims, people_of(emg))
    alone = compare(sims[0], people_of(emg)[0])
    row = several.table.loc["mean"]
    assert row["r_low"] < row["r"] < row["r_high"]
    assert np.isnan(alone.table.at["mean", "r_low"])
    assert "no interval" in alone.summary()
    model = several.mixed_model()
    assert model.attrs["variance_seed"] >= 0 and (model["low"] < model["high"]).all()
    with pytest.raises(InvalidInputError, match="two people and two muscles"):
        alone.mixed_model()


def test_the_mixed_model_recovers_variances() -> None:
    rng = np.random.default_rng(0)
    z = (
        rng.normal(0, 0.3, (40, 1, 1)) + rng.normal(0, 0.2, (1, 60, 1))
        + rng.normal(0, 0.1, (40, 60, 5)) + np.linspace(0, 1, 5)
    )  # fmt: skip
    r = xr.DataArray(np.tanh(z), dims=("condition", "subject", "channel"),
                     coords={"channel": list("abcde")})  # fmt: skip
    found = fit_mixed_model(r).attrs
    assert found["variance_seed"] == pytest.approx(0.09, rel=0.4)
    assert found["variance_subject"] == pytest.approx(0.04, rel=0.4)
    assert found["variance_rest"] == pytest.approx(0.01, rel=0.1)


def test_the_result_does_not_change_and_survives_a_file(tmp_path: Path) -> None:
    emg = gait_emg(3, 4, 4)
    result = compare(simulation_of(emg), people_of(emg), baselines={"human": people_of(emg)})
    validate(result.dataset, kind="any")
    result.dataset["r"][:] = 0.0
    table = result.table
    table.loc[:] = 0.0
    assert result.table.at["mean", "r"] > 0.5
    with pytest.raises(AttributeError, match="does not change"):
        result.table = None  # type: ignore[misc]
    result.to_netcdf(tmp_path / "comparison.nc")
    assert EMGComparison.from_netcdf(tmp_path / "comparison.nc") == result
    assert "<table" in result._repr_html_() and "Mean r at zero lag" in repr(result)
    assert {"r:human", "r_best:human"} <= set(result.table)
    with pytest.raises(InvalidInputError, match="is no comparison"):
        EMGComparison(emg)


def test_the_same_seed_gives_the_same_result() -> None:
    emg = gait_emg(3, 4, 4)
    first, again = (compare(simulation_of(emg), people_of(emg), seed=7) for _ in range(2))
    assert first == again
    assert compare(simulation_of(emg), people_of(emg), seed=8) != first


def test_lazy_inputs_give_the_same_result() -> None:
    emg = gait_emg(3, 4, 3, n_channels=4, seed=2)
    sim, people = simulation_of(emg), people_of(gait_emg(3, 4, 3, n_channels=4, seed=3))
    expected = compare(sim, people, n_null=50).dataset
    lazy = compare(sim.chunk({"cycle": 1}), [p.chunk({"phase": 30}) for p in people], n_null=50)
    xr.testing.assert_identical(lazy.dataset, expected)


def test_amplitudes_are_compared_only_at_mvc_scale() -> None:
    emg = gait_emg(2, 3, 4)
    with pytest.raises(InvalidInputError, match="scaled to maximum voluntary"):
        compare(simulation_of(emg), people_of(emg)).amplitude_ratio()
    scaled = people_of(emg, normalisation="mvc")
    ratio = compare(simulation_of(emg), scaled).amplitude_ratio()
    np.testing.assert_allclose(ratio, 1.0, atol=0.05)


def test_bad_input_is_named() -> None:
    emg = gait_emg(2, 3, 4)
    sim, people = simulation_of(emg), people_of(emg)
    with pytest.raises(InvalidInputError, match="same person is there more than once"):
        compare(sim, [people[0], people[0]])
    with pytest.raises(InvalidInputError, match=r"Not all people have the channels gracilis"):
        compare(sim, people, channels=["gracilis"])
    with pytest.raises(InvalidInputError, match=r"No common muscles"):
        compare(sim.assign_attrs(body="legs26"), [_renamed(people[0], "peroneus_longus")])
    with pytest.raises(InvalidInputError, match="looks like an EMG subject"):
        compare(people[0], people)
    with pytest.raises(InvalidInputError, match=r"has no 'muscle_force'"):
        compare(sim, people, signal="muscle_force")
    with pytest.raises(InvalidInputError, match=r"max_lag must lie in \(0, 0.5\]"):
        compare(sim, people, max_lag=0.7)
    with pytest.raises(InvalidInputError, match=r"Unknown protocol 'x'. Available: default, kin"):
        compare(sim, people, protocol="x")
    left = people[1].assign_coords(side=("channel", ["left"] * 9))
    with pytest.raises(InvalidInputError, match=r"on the left side of 'synthetic/02'|on the right"):
        compare(sim, [people[0], left])
    with pytest.raises(InvalidInputError, match="sim must be one Dataset or several"):
        compare([], people)


def _renamed(person: xr.Dataset, name: str) -> xr.Dataset:
    return person.isel(channel=[0]).assign_coords(channel=[name])


def test_what_a_reader_should_know_is_warned_of() -> None:
    emg = gait_emg(2, 3, 4)
    people = people_of(emg, speed=1.0)
    with pytest.warns(ComparisonWarning, match=r"walks at 2.00 m/s, but people .* at 1.00 m/s"):
        compare(simulation_of(emg, speed=2.0), people)
    broken = people[0].copy(deep=True)
    broken["envelope"][:, :, 2] = np.nan
    with pytest.warns(ComparisonWarning, match=r"gastrocnemius_lateralis .not recorded"):
        table = compare(simulation_of(emg), broken).table
    assert "gastrocnemius_lateralis" not in table.index
    still = simulation_of(emg)
    still["activation"][:, :, 0] = 0.2
    with pytest.warns(ComparisonWarning, match=r"Flat over the whole cycle.*soleus of"):
        assert compare(still, people).table.at["soleus", "r"] == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_cycle = people_of(gait_emg(1, 1, 4))
        assert np.isnan(compare(simulation_of(emg), one_cycle).table["ceiling_between_cycle"]).all()


@pytest.mark.parametrize(
    ("speed", "numbers", "ours", "human"),
    [(1.25, (4, 5, 7, 8), 0.30, 0.74), (1.0, (4, 5, 6, 7, 8), 0.32, 0.77)],
)
def test_kinesis_recipe_is_reproduced(
    data_dir: Path, speed: float, numbers: tuple[int, ...], ours: float, human: float
) -> None:
    controls = read_kinesis_controls(data_dir / "kinesis_assets" / "kinesis_controls")
    people = [load_subject(f"wang2023/{n:02d}", speed=speed) for n in numbers]
    row = compare_emg(controls, people, protocol="kinesis", n_null=100).table.loc["mean"]
    assert round(row["r"], 2) == ours
    assert round(row["ceiling_pairwise"], 2) == human
    table = kinesis_table(controls, people)
    assert round(table.at["published", "r"], 2) == ours
    # What the conventions are worth: the published ones are the kindest.
    assert table["r"].idxmax() == "published"


def test_kinesis_cycles_start_where_the_recipe_says() -> None:
    code = np.array([2, 0, 0, 2, 1, 1, 2, 0, 0, -1, 1, 2, 2, 0])
    assert cycle_starts(code, PUBLISHED).tolist() == [1, 7, 13]
    assert cycle_starts(code, Conventions(start="heel_strike")).tolist() == [0, 6, 11]
    assert cycle_starts(code, Conventions(leg="right")).tolist() == [4, 10]


def test_broken_controls_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"muscle_controls.npy: no such file"):
        read_kinesis_controls(tmp_path)


def test_a_figure_is_drawn() -> None:
    emg = gait_emg(3, 4, 4)
    figure = compare(simulation_of(emg), people_of(emg), baselines={"x": people_of(emg)}).plot()
    assert sum(axes.has_data() for axes in figure.axes) >= 9 + 2
    with pytest.raises(InvalidInputError, match=r"is no comparison"):
        plot_comparison(emg)
