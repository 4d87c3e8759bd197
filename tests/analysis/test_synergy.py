"""Synergies that were put in come out, as many as were put in, and bad activity is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from scipy import optimize

from kinesis_neuro.analysis import nmf
from kinesis_neuro.analysis.synergy import extract_synergies, reconstruct
from kinesis_neuro.analysis.synergy_match import (
    cluster_synergies,
    cross_reconstruction,
    match_synergies,
    principal_angles,
)
from kinesis_neuro.analysis.synergy_rank import RULES, RankOptions, allowed_place
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.synthetic import gait_emg

N_PHASE = 50
PHASE = np.arange(N_PHASE) / N_PHASE
QUICK = RankOptions(restarts=2, rows=200)


def synergies_of(rank: int, n_muscles: int, rng: np.random.Generator) -> tuple:
    """Weights and activations (phase, synergy) that differ from one another."""
    while True:
        weight = rng.gamma(0.6, size=(rank, n_muscles))
        weight /= np.linalg.norm(weight, axis=1, keepdims=True)
        if (weight @ weight.T - np.eye(rank)).max() < 0.6:
            break
    centre = (np.arange(rank) + rng.uniform(-0.2, 0.2, rank)) / rank
    width = rng.uniform(4, 12, rank)
    return weight, np.exp(width * (np.cos(2 * np.pi * (PHASE[:, None] - centre)) - 1))


def cycles_of(
    weight: np.ndarray, activation: np.ndarray, n_cycles: int, snr_db: float, seed: int
) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    level = rng.uniform(0.8, 1.2, (n_cycles, 1, len(weight)))
    clean = (activation * level) @ weight
    noise = np.sqrt((clean**2).mean(axis=(0, 1)) * 10 ** (-snr_db / 10))  # of each muscle
    values = np.maximum(clean + noise * rng.standard_normal(clean.shape), 0)
    coords = {"phase": PHASE, "muscle": [f"m{i}" for i in range(weight.shape[1])]}
    return xr.DataArray(
        values, coords, ("cycle", "phase", "muscle"), name="envelope", attrs={"units": "mV"}
    )


def draw(rank: int, seed: int, snr_db: float = 20, n_cycles: int = 10) -> tuple:
    weight, activation = synergies_of(rank, 12, np.random.default_rng(seed))
    return cycles_of(weight, activation, n_cycles, snr_db, seed + 1000), weight, activation


def unrelated(seed: int, n_cycles: int = 8, n_muscles: int = 9) -> xr.DataArray:
    """Bursts of each muscle at a phase of its own, anew in each cycle."""
    rng = np.random.default_rng(seed)
    centre = rng.random((n_cycles, 1, n_muscles))
    values = np.exp(1.2 * (np.cos(2 * np.pi * (PHASE[:, None] - centre)) - 1))
    coords = {"phase": PHASE, "muscle": [f"m{i}" for i in range(n_muscles)]}
    return xr.DataArray(values, coords, ("cycle", "phase", "muscle"), attrs={"units": "1"})


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("seed", [1, 4, 9])
def test_known_synergies_at_20_db(seed: int, average: bool) -> None:
    emg = gait_emg(1, 12, n_synergies=3 + seed % 4, seed=seed, n_channels=13).isel(subject=0)
    found = extract_synergies(
        emg.envelope, emg.sizes["synergy"], average=average, normalize="none", n_restarts=8
    )
    truth = xr.Dataset(
        {
            "weights": emg.synergy_weight,
            "mean_activation": emg.synergy_activation.transpose("phase", "synergy"),
        }
    ).isel(phase=slice(-1))
    matched = match_synergies(truth, found, n_null=200)
    assert (matched.similarity >= 0.98).all()
    assert (matched.shared == 1).all()
    index = (np.arange(emg.sizes["synergy"]), matched.match.values)
    assert (matched.activation_similarity.values[index] > 0.98).all()
    np.testing.assert_allclose(matched.activation_lag.values[index], 0, atol=0.015)
    assert float(principal_angles(truth, found).max()) < 0.2


@pytest.mark.parametrize("seed", [2, 3, 7, 10])
def test_five_and_six_synergies_at_20_db_where_the_truth_is_the_only_one(seed: int) -> None:
    emg = gait_emg(1, 12, 3 + seed % 4, seed=seed, n_channels=13, exclusive=0.75).isel(subject=0)
    found = extract_synergies(emg.envelope, emg.sizes["synergy"], normalize="none", n_restarts=8)
    truth = xr.Dataset({"weights": emg.synergy_weight})
    assert (match_synergies(truth, found, n_null=10).similarity >= 0.98).all()


def test_a_mixture_without_zeros_has_other_factorisations_that_are_as_exact() -> None:
    """Why the truth is not always found: nothing in the data tells it from the others."""
    emg = gait_emg(1, 12, 6, snr_db=200, seed=7, n_channels=13).isel(subject=0)
    found = extract_synergies(emg.envelope, 6, normalize="none", n_restarts=8)
    assert float(found.vaf) > 0.9999
    truth = xr.Dataset({"weights": emg.synergy_weight})
    assert float(match_synergies(truth, found, n_null=10).similarity.min()) < 0.99


def test_labels_units_and_conventions() -> None:
    data, _, _ = draw(3, seed=2)
    data = data.assign_coords(side=("muscle", ["right"] * 12))
    found = extract_synergies(data.to_dataset(), 3, n_restarts=4)
    assert found.weights.dims == ("synergy", "muscle")
    assert found.synergy_activation.dims == ("cycle", "phase", "synergy")
    assert "side" in found.coords
    np.testing.assert_allclose((found.weights**2).sum("muscle"), 1)
    assert (np.diff(found.center_of_activity) > 0).all()
    assert found.muscle_scale.units == "mV"
    np.testing.assert_allclose(found.muscle_scale, data.max(["cycle", "phase"]))
    assert float(found.r_squared) < float(found.vaf) < 1
    rebuilt = reconstruct(found)
    assert rebuilt.units == "mV"
    x, y = data / found.muscle_scale, rebuilt / found.muscle_scale
    error = float(((x - y) ** 2).sum())
    assert float(found.vaf) == pytest.approx(1 - error / float((x**2).sum()), abs=1e-9)
    centred = x - x.mean(["cycle", "phase"])
    assert float(found.r_squared) == pytest.approx(1 - error / float((centred**2).sum()), abs=1e-9)


def test_the_same_seed_gives_the_same_result() -> None:
    data, _, _ = draw(3, seed=3, n_cycles=4)
    first, second = (extract_synergies(data, 3, seed=4, n_restarts=3) for _ in range(2))
    xr.testing.assert_identical(first, second)


def test_a_closed_grid_counts_its_first_point_once() -> None:
    data, _, _ = draw(3, seed=4, n_cycles=3)
    closed = xr.concat([data, data.isel(phase=0).assign_coords(phase=1.0)], "phase")
    first, second = (extract_synergies(d, 3, n_restarts=3) for d in (data, closed))
    assert second.sizes["phase"] == N_PHASE
    np.testing.assert_allclose(first.weights, second.weights)


def test_rules_find_the_rank_and_disagree_where_they_should() -> None:
    chosen = {rule: [] for rule in RULES}
    ranks = [3, 5, 4]
    for seed, rank in enumerate(ranks):
        data, _, _ = draw(rank, seed=seed + 20)
        found = extract_synergies(data, max_rank=7, n_restarts=4, options=QUICK)
        for rule in RULES:
            chosen[rule].append(int(found[f"chosen_{rule}"]))
        assert found.attrs["n_synergies"] == chosen["cross_validation"][-1]
    assert chosen["cross_validation"] == ranks
    # Parallel analysis adds one in five percent of draws, by its very level.
    for rule in ("parallel_analysis", "muscle_cross_validation"):
        assert np.equal(chosen[rule], ranks).sum() >= 2
    assert chosen["vaf"] != ranks
    assert found.rank_vaf.dims == ("rank",) and (np.diff(found.rank_vaf) > 0).all()
    assert found.rank_muscle_vaf.dims == ("rank", "muscle")
    assert found.rank_parallel_gain.dims == found.rank_cross_validation.dims == ("rank",)


@pytest.mark.parametrize(("surrogates", "level"), [(20, 0.05), (19, 0.05), (99, 0.05), (30, 0.1)])
def test_a_gain_passes_its_surrogates_by_chance_as_often_as_it_says(
    surrogates: int, level: float
) -> None:
    place = allowed_place(RankOptions(surrogates=surrogates, surrogate_quantile=1 - level))
    gain = np.random.default_rng(0).random((20_000, surrogates + 1))
    passed = (gain[:, 0] > np.sort(gain[:, 1:], axis=1)[:, -place]).mean()
    assert passed == pytest.approx(place / (surrogates + 1), abs=0.008)
    assert level - 1 / (surrogates + 1) < place / (surrogates + 1) <= level + 1e-9


def test_vaf_finds_synergies_in_independent_noise_and_the_others_do_not() -> None:
    found = extract_synergies(
        unrelated(0), rule="parallel_analysis", max_rank=6, n_restarts=4, options=QUICK
    )
    assert float(found.rank_vaf[4]) > 0.9
    assert 2 <= int(found.chosen_vaf) <= 5
    assert int(found.chosen_parallel_analysis) == 1
    assert int(found.chosen_cross_validation) == 1
    assert int(found.chosen_muscle_cross_validation) <= 2


def test_what_cannot_be_evaluated_is_listed() -> None:
    data, _, _ = draw(3, seed=5, n_cycles=2)
    one = data.isel(cycle=[0])
    found = extract_synergies(one, rule="vaf", max_rank=4, n_restarts=3, options=QUICK)
    assert int(found.chosen_cross_validation) == 0
    assert "one cycle" in json.loads(found.attrs["not_evaluated"])["cross_validation"]
    for rule in ("cross_validation", "muscle_cross_validation"):
        with pytest.raises(InvalidInputError, match="holds out cycles, and the data have one"):
            extract_synergies(one, rule=rule)
    strict = RankOptions(vaf_threshold=0.99999, restarts=2, rows=100)
    with pytest.raises(InvalidInputError, match="threshold is not reached up to rank 2"):
        extract_synergies(data, rule="vaf", max_rank=2, n_restarts=2, options=strict)


def test_activity_over_time() -> None:
    data, weight, _ = draw(3, seed=6)
    rows = data.values.reshape(-1, 12)
    time = xr.DataArray(rows, {"time": np.arange(len(rows)) / 50.0}, ("time", "channel"))
    found = extract_synergies(time, 3, normalize="none", n_restarts=4)
    assert found.synergy_activation.dims == ("time", "synergy")
    cosine = found.weights.values @ weight.T
    assert cosine[optimize.linear_sum_assignment(-cosine)].min() > 0.98


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d - 1.0, "not negative; .* values of m0"),
        (lambda d: d.where(d.muscle != "m3"), r"finite activity; 100 values of m3 .*dropna"),
        (lambda d: xr.where(d.muscle == "m2", 0.5, d), "constant: m2"),
        (lambda d: d.isel(phase=slice(None, None, -1)), "sortby"),
        (lambda d: d.isel(phase=slice(25)), "exactly one"),
        (lambda d: d.expand_dims(subject=["s"]), "lie along subject"),
        (lambda d: d.isel(muscle=0), "neither a dim 'muscle'"),
        (lambda d: d.isel(cycle=slice(0)), "empty"),
    ],
)
def test_bad_activity_is_named(change, message: str) -> None:
    data, _, _ = draw(3, seed=7, n_cycles=2)
    with pytest.raises(InvalidInputError, match=message):
        extract_synergies(change(data), 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_synergies": 13}, "between 1 and the number of muscles, 12; got 13"),
        ({"n_synergies": 0}, "between 1"),
        ({"max_rank": 13}, "max_rank must lie"),
        ({"rule": "kaiser"}, "Allowed values are cross_validation"),
        ({"normalize": "mvc"}, "Allowed values are max, sd, none"),
        ({"n_restarts": 0}, "n_restarts"),
        ({"variable": "emg"}, "Available: envelope"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    data, _, _ = draw(3, seed=7, n_cycles=2)
    with pytest.raises(InvalidInputError, match=message):
        extract_synergies(data.to_dataset(), **arguments)
    with pytest.raises(InvalidInputError, match="folds, muscle_folds"):
        RankOptions(folds=1)


def test_chance_matches_are_not_shared() -> None:
    p, shared = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        a, b = (
            xr.Dataset({"weights": (("synergy", "muscle"), rng.random((4, 12)) ** 3)})
            for _ in range(2)
        )
        matched = match_synergies(a, b, n_null=100)
        p.append(float(matched.mean_p_value))
        shared.append(float(matched.shared.mean()))
        assert float(matched.null_mean) > 0.5  # chance is far from zero
    assert np.mean(np.array(p) < 0.05) <= 0.2
    assert np.mean(shared) < 0.15


def test_match_of_unequal_numbers_lists_what_is_left() -> None:
    weight, _ = synergies_of(4, 12, np.random.default_rng(1))
    whole = xr.Dataset({"weights": (("synergy", "muscle"), weight)})
    part = whole.isel(synergy=[2, 0])
    np.testing.assert_array_equal(match_synergies(part, whole).match, [2, 0])
    assert match_synergies(part, whole).unmatched_other == "1, 3"
    np.testing.assert_array_equal(match_synergies(whole, part).match, [1, -1, 0, -1])
    assert np.isnan(match_synergies(whole, part).p_value.values[[1, 3]]).all()
    with pytest.raises(InvalidInputError, match="12 and 11"):
        match_synergies(whole, whole.isel(muscle=slice(11)))
    with pytest.raises(InvalidInputError, match="criterion='weights'"):
        match_synergies(whole, whole, criterion="both")


def test_matching_by_weights_and_activations() -> None:
    """Weights that say nothing are told apart by when they are active, and the null knows it."""
    weight, activation = synergies_of(4, 12, np.random.default_rng(2))

    def synergies(order: list[int], later: int, weight: np.ndarray = weight) -> xr.Dataset:
        curves = np.roll(activation[:, order], later, axis=0)
        return xr.Dataset(
            {
                "weights": (("synergy", "muscle"), weight[order]),
                "mean_activation": (("phase", "synergy"), curves),
            },
            {"phase": PHASE},
        )

    order = [2, 0, 3, 1]
    alike = np.ones((4, 12)) + 0.01 * weight
    a, b = synergies([0, 1, 2, 3], 0, alike), synergies(order, 0, alike[:, ::-1])
    matched = match_synergies(a, b, n_null=200, criterion="both")
    np.testing.assert_array_equal(matched.match, np.argsort(order))
    assert float(matched.mean_p_value) < 0.05
    late = match_synergies(synergies([0, 1, 2, 3], 0), synergies(order, 5), criterion="both")
    index = (np.arange(4), late.match.values)
    np.testing.assert_allclose(late.activation_lag.values[index], 0.1, atol=1e-6)
    np.testing.assert_allclose(late.activation_peak_similarity.values[index], 1, atol=1e-6)


def test_cross_reconstruction_finds_what_is_not_shared() -> None:
    data, weight, activation = draw(4, seed=8)
    fewer = cycles_of(weight[:3], activation[:, :3], 6, 20, seed=9)
    full, part = (extract_synergies(d, k, n_restarts=5) for d, k in ((data, 4), (fewer, 3)))
    assert float(cross_reconstruction(full, fewer).vaf) > 0.95
    back = cross_reconstruction(part, data)
    assert float(back.vaf) < 0.95
    assert float(back.p_value) < 0.05
    other, _, _ = draw(4, seed=77)
    chance = cross_reconstruction(full, other)
    assert float(chance.vaf) < float(chance.null_high) + 0.1
    renamed = other.assign_coords(muscle=[f"x{i}" for i in range(12)])
    with pytest.raises(InvalidInputError, match="Only in the first: m0"):
        cross_reconstruction(full, renamed)


def test_clusters_across_subjects() -> None:
    weight, _ = synergies_of(3, 12, np.random.default_rng(3))
    rng = np.random.default_rng(4)
    results = {}
    for k in range(5):
        noisy = np.abs(weight + 0.05 * rng.standard_normal(weight.shape))
        results[f"s{k}"] = xr.Dataset({"weights": (("synergy", "muscle"), noisy)})
    results["s4"] = results["s4"].isel(synergy=[2, 1])
    groups = cluster_synergies(results)
    assert groups.sizes["other"] == 3
    for k in range(1, 4):
        np.testing.assert_array_equal(groups.cluster[k], groups.cluster[0])
    np.testing.assert_array_equal(groups.cluster[4], [*groups.cluster.values[0, [2, 1]], -1])
    cosine = groups.center.values @ weight.T
    np.testing.assert_allclose(cosine.max(axis=1), 1, atol=0.02)
    np.testing.assert_array_equal(groups.n_subjects, [5, 5, 4])
    with pytest.raises(InvalidInputError, match="two or more subjects"):
        cluster_synergies({"s0": results["s0"]})


def test_projection_is_non_negative_least_squares() -> None:
    rng = np.random.default_rng(5)
    x, weight = rng.random((30, 8)), rng.random((4, 8))
    expected = np.array([optimize.nnls(weight.T, row)[0] for row in x]).T
    np.testing.assert_allclose(nmf.project(x, weight, 1e-9, 5000), expected, atol=1e-5)


def test_as_good_as_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    data, _, _ = draw(4, seed=10, n_cycles=4)
    for rank in (2, 4):
        ours = extract_synergies(data, rank, n_restarts=5)
        theirs = extract_synergies(data, rank, n_restarts=3, solver="scikit-learn")
        assert float(ours.vaf) == pytest.approx(float(theirs.vaf), abs=1e-4)
        matched = match_synergies(ours, theirs, n_null=10)
        assert (matched.similarity > 0.999).all()


def test_every_fit_of_a_batch_stands_alone() -> None:
    rng = np.random.default_rng(6)
    x = rng.random((3, 40, 6))
    start = rng.random((3, 2, 6))
    together = nmf.alternate(x, start, tolerance=0.0, max_iterations=20)
    for k in range(3):
        alone = nmf.alternate(x[k], start[k : k + 1], tolerance=0.0, max_iterations=20)
        np.testing.assert_allclose(alone.vaf[0], together.vaf[k], rtol=1e-9)
        estimate = alone.activation[0].T @ alone.weight[0]
        assert alone.vaf[0] == pytest.approx(1 - ((x[k] - estimate) ** 2).sum() / (x[k] ** 2).sum())
