"""Figures of analyses draw what the results say: their data are read back from the artists."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch

from kinesis_neuro.analysis.agreement import PEOPLE, pairwise_agreement
from kinesis_neuro.analysis.bands import bootstrap_band
from kinesis_neuro.analysis.channel_cycles import burst_raster
from kinesis_neuro.analysis.clusters import cluster_permutation_test
from kinesis_neuro.analysis.compare import compare_emg
from kinesis_neuro.analysis.shapes import activity_centers, shape_curves
from kinesis_neuro.analysis.synergy import extract_synergies
from kinesis_neuro.analysis.synergy_match import match_synergies
from kinesis_neuro.emg.subject import make_subject
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.plot.agreement import plot_agreement
from kinesis_neuro.plot.axes import PEOPLE_COLOR, role_colors
from kinesis_neuro.plot.bursts import plot_bursts
from kinesis_neuro.plot.clusters import plot_clusters
from kinesis_neuro.plot.compare import plot_comparison
from kinesis_neuro.plot.envelopes import plot_envelopes
from kinesis_neuro.plot.heatmap import plot_activation_heatmap
from kinesis_neuro.plot.lags import plot_lags
from kinesis_neuro.plot.polar import plot_centers
from kinesis_neuro.plot.style import COLORS, figure_svg, save_figure
from kinesis_neuro.plot.synergies import plot_synergies
from kinesis_neuro.synthetic import gait_emg

MUSCLES = {
    "soleus": "soleus_r",
    "tibialis_anterior": "tibant_r",
    "rectus_femoris": "recfem_r",
    "biceps_femoris": "bflh_r",
}


@pytest.fixture(scope="module")
def emg() -> xr.Dataset:
    made = gait_emg(6, 5, 4, snr_db=15, seed=1)
    return made.sel(channel=[c for c in made.channel.values if c in MUSCLES])


@pytest.fixture(scope="module")
def comparison(emg: xr.Dataset) -> xr.Dataset:
    people = [
        make_subject(
            emg.envelope.sel(subject=name).values, emg.channel.values, emg.side.values,
            subject=str(name), phase=emg.phase.values, toe_off_phase=0.6,
        )
        for name in emg.subject.values[1:]
    ]  # fmt: skip

    def simulation(shift: int) -> xr.Dataset:
        values = np.roll(emg.envelope.isel(subject=0).values[:, :-1], shift, axis=1)
        return xr.Dataset(
            {"activation": (("cycle", "phase", "muscle"), values, {"units": "1"})},
            coords={
                "phase": emg.phase.values[:-1],
                "muscle": [MUSCLES[c] for c in emg.channel.values],
                "side": ("muscle", emg.side.values),
            },
            attrs={"body": "legs", "policy": "walk"},
        )

    result = compare_emg(
        simulation(0), people, baselines={"late": simulation(10)}, n_null=50, envelope=None
    )
    return result.dataset


def curve(figure: Figure, panel: int, color: str) -> np.ndarray:
    """The curve of a colour in a panel."""
    lines = [x for x in figure.axes[panel].lines if to_hex(x.get_color()) == to_hex(color)]
    return max((np.asarray(x.get_ydata(), dtype=float) for x in lines), key=len)


def test_envelopes_are_the_curves_with_the_range_of_people(comparison: xr.Dataset) -> None:
    curves = shape_curves(comparison)
    figure = plot_envelopes(curves)
    for k in range(curves.sizes["channel"]):
        one = curves.isel(channel=k)
        np.testing.assert_array_equal(curve(figure, k, PEOPLE_COLOR)[:-1], one.people_mean)
        for role, color in role_colors(["walk", "late"]).items():
            drawn = curve(figure, k, color)
            np.testing.assert_array_equal(drawn[:-1], one.role_mean.sel(role=role))
            assert drawn[0] == drawn[-1]  # the cycle is closed
        band = figure.axes[k].collections[0].get_paths()[0].vertices[:, 1]
        assert band.max() == pytest.approx(float(one.people_high.max()))
        words = {text.get_text().replace("\N{MINUS SIGN}", "-") for text in figure.axes[k].texts}
        assert f"{float(one.ceiling):.2f}" in words
        assert {f"{float(r):.2f}" for r in one.role_r} <= words


def test_boxes_hold_every_pair_and_the_quartiles(comparison: xr.Dataset) -> None:
    agreement = pairwise_agreement(comparison)
    figure = plot_agreement(agreement)
    assert agreement.groups == [PEOPLE, "walk", "late"]
    whole = agreement.pairs[agreement.pairs.muscle == "mean"]
    left = figure.axes[0]
    points = np.concatenate([x.get_ydata() for x in left.lines if x.get_marker() in list("osD")])
    np.testing.assert_allclose(np.sort(points), np.sort(whole.r))
    medians = agreement.boxes.xs("mean")["median"]
    drawn = [x.get_ydata()[0] for x in left.lines if x.get_linewidth() == 1.6]
    np.testing.assert_allclose(drawn, medians)
    assert [t.get_text() for t in left.get_xticklabels()] == agreement.groups


def test_a_lag_map_has_r_at_every_lag_and_marks_the_best(comparison: xr.Dataset) -> None:
    figure = plot_lags(comparison)
    for axis, condition in zip(figure.axes, comparison.condition.values, strict=False):
        one = comparison.sel(condition=condition)
        image = np.asarray(axis.images[0].get_array())
        np.testing.assert_allclose(image[:-1, :-1], one.lag_curve_condition)
        np.testing.assert_allclose(image[-1, :-1], one.lag_curve_condition.mean("channel"))
        marks = next(x for x in axis.lines if x.get_marker() == "o")
        np.testing.assert_allclose(marks.get_xdata(), 100 * one.best_lag_condition)
        # A mark lies on the highest value of its row.
        columns = np.abs(100 * one.lag.values[:, None] - marks.get_xdata()).argmin(axis=0)
        np.testing.assert_array_equal(columns, image[:-1, :-1].argmax(axis=1))
    late = comparison.sel(condition="late")
    own = comparison.isel(condition=0)
    moved = (late.common_lag_condition - own.common_lag_condition + 0.5) % 1 - 0.5
    assert float(moved) == pytest.approx(-0.1, abs=0.011)
    with pytest.raises(InvalidInputError, match="Unknown condition 'run'"):
        plot_lags(comparison, ["run"])


def test_polar_plots_have_phases_as_angles(comparison: xr.Dataset) -> None:
    centers = activity_centers(comparison)
    figure = plot_centers(centers)
    for k in range(centers.sizes["channel"]):
        axis = figure.axes[k]
        people = next(x for x in axis.lines if x.get_marker() == "o")
        np.testing.assert_allclose(people.get_xdata(), 2 * np.pi * centers.people.isel(channel=k))
        angles = [x.get_xdata()[0] for x in axis.lines if x.get_marker() in list("sD")]
        np.testing.assert_allclose(angles, 2 * np.pi * centers.simulated.isel(channel=k))
        assert axis.get_theta_direction() == -1  # clockwise
        assert axis.get_theta_offset() == pytest.approx(np.pi / 2)  # from the top


def test_a_raster_has_a_bar_for_every_run_of_samples() -> None:
    phase = np.linspace(0, 1, 101)
    rows = [(phase > 0.2) & (phase < 0.4), (phase > 0.9) | (phase < 0.1)]
    cycles = xr.DataArray(
        np.array(rows, dtype=float)[..., None], {"phase": phase, "channel": ["soleus"]},
        ("cycle", "phase", "channel"), attrs={"units": "1"},
    )  # fmt: skip
    raster = burst_raster(cycles)
    figure = plot_bursts({"EMG": raster.assign_attrs(human=1), "walk": raster})
    patches = [next(p for p in a.patches if isinstance(p, PathPatch)) for a in figure.axes]
    bars = [polygon[:, 0] for polygon in patches[1].get_path().to_polygons()]
    spans = sorted((round(x.min(), 6), round(x.max(), 6)) for x in bars)
    # The second cycle's burst runs on across heel strike: two bars.
    assert spans == [(0, 10), (21, 40), (91, 100)]
    assert [to_hex(patch.get_facecolor()) for patch in patches] == [PEOPLE_COLOR, COLORS[0]]
    with pytest.raises(InvalidInputError, match="other muscles"):
        plot_bursts({"a": raster, "b": raster.assign_coords(channel=["vastus_medialis"])})


def test_matched_synergies_share_a_row(emg: xr.Dataset) -> None:
    cycles = [emg.envelope.isel(subject=k).clip(min=0) for k in (0, 1)]
    human, other = (
        extract_synergies(x, k, n_restarts=3) for x, k in zip(cycles, (2, 3), strict=True)
    )
    match = match_synergies(human, other, n_null=20)
    figure = plot_synergies(human, {"walk": (other, match)})
    weights, activations = figure.axes[::2], figure.axes[1::2]
    assert len(weights) == 3  # two matched rows, and the one that is left
    for k, axis in enumerate(weights[:2]):
        partner = int(match.match[k])
        bars = {to_hex(c[0].get_facecolor()): [b.get_height() for b in c] for c in axis.containers}
        np.testing.assert_allclose(bars[PEOPLE_COLOR], human.weights[k])
        np.testing.assert_allclose(bars[COLORS[0]], other.weights[partner])
        assert f"cos = {float(match.weight_similarity[k, partner]):.2f}" in axis.texts[0].get_text()
        lines = {to_hex(x.get_color()): x.get_ydata() for x in activations[k].lines}
        mean = human.mean_activation[:, k].values
        np.testing.assert_allclose(lines[PEOPLE_COLOR][: mean.size], mean / mean.max())
    assert [t.get_text() for t in weights[2].texts] == ["no match"]
    left = ({0, 1, 2} - set(match.match.values.tolist())).pop()
    np.testing.assert_allclose(
        [b.get_height() for b in weights[2].containers[0]], other.weights[left]
    )


def test_clusters_are_shaded_where_they_are(comparison: xr.Dataset) -> None:
    curves = shape_curves(comparison, "mean")
    own = curves.role_mean.sel(role="late", drop=True)
    test = cluster_permutation_test(curves.people - own, design="one_sample", cyclic=True)
    band = bootstrap_band(curves.people, kind="pointwise", n_bootstrap=200)
    figure = plot_clusters(test, band, {"late": own})
    axes = [
        (above, below) for above, below in zip(figure.axes[::2], figure.axes[1::2], strict=True)
    ]
    for name, (above, below) in zip(curves.channel.values, axes, strict=True):
        found = test.table[test.table.channel == name]
        spans = sorted(p.get_x() for p in below.patches)
        starts = [100 * c for c in found.start]
        starts += [0.0 for _, c in found.iterrows() if c.start > c.stop]
        np.testing.assert_allclose(spans, sorted(starts))
        t = test.dataset.t.sel(channel=name).values
        np.testing.assert_array_equal(max((x.get_ydata() for x in below.lines), key=len)[:-1], t)
        lines = {to_hex(x.get_color()): x.get_ydata() for x in above.lines}
        np.testing.assert_array_equal(lines[COLORS[0]][:-1], own.sel(channel=name))
        np.testing.assert_array_equal(lines[PEOPLE_COLOR][:-1], band["mean"].sel(channel=name))
        assert {t.get_text() for t in below.texts} == {f"{p:.2f}" for p in found.p_value_all}


def test_the_figure_of_a_comparison_has_its_table(comparison: xr.Dataset) -> None:
    figure = plot_comparison(comparison)
    n = comparison.sizes["channel"]
    correlations = next(a for a in figure.axes if a.get_xlabel() == "Pearson r at zero lag")
    dots = next(x for x in correlations.lines if x.get_label() == "simulation")
    np.testing.assert_allclose(dots.get_xdata(), [*comparison.r, float(comparison.overall_r)])
    late = next(x for x in correlations.lines if x.get_label() == "late")
    r = comparison.r_pair.sel(condition="late").mean("subject").values
    np.testing.assert_allclose(late.get_xdata(), [*r, r.mean()])
    assert len(dots.get_xdata()) == n + 1


def test_heat_maps_side_by_side_share_one_scale() -> None:
    phase = np.linspace(0, 1, 11)
    values = np.outer(phase, [0.2, 0.4])
    statistics = xr.Dataset(
        {"activation_mean": (("phase", "muscle"), values, {"units": "1"})},
        coords={
            "phase": phase, "muscle": ["soleus_r", "psoas_r"], "side": ("muscle", ["right"] * 2),
            "group": ("muscle", ["soleus", "hip_flexors"]),
        },
    )  # fmt: skip
    figure = plot_activation_heatmap({"a": statistics, "b": 2 * statistics})
    first, second = (axis.collections[0] for axis in figure.axes[:2])
    assert first.get_clim() == second.get_clim() == (0.0, 0.8)
    np.testing.assert_allclose(second.get_array(), 2 * np.asarray(first.get_array()))
    assert [axis.get_title(loc="left") for axis in figure.axes[:2]] == ["a", "b"]
    with pytest.raises(InvalidInputError, match="'b' has other muscles"):
        plot_activation_heatmap({"a": statistics, "b": statistics.isel(muscle=[0])})


@pytest.mark.parametrize(
    "draw",
    [plot_envelopes, plot_lags, plot_centers, plot_comparison, lambda x: plot_bursts({"x": x})],
)
def test_what_is_no_result_is_refused(draw: Callable) -> None:
    with pytest.raises(InvalidInputError, match="Give"):
        draw(xr.Dataset())


def test_letters_are_letters_in_a_pdf(comparison: xr.Dataset, tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = save_figure(plot_lags(comparison), tmp_path / "lags.pdf")
    content = file.read_bytes()
    assert b"/FontFile2" in content  # TrueType, embedded
    assert b"/Type3" not in content
    assert figure_svg(plot_lags(comparison)) == figure_svg(plot_lags(comparison))


def test_colours_run_out_with_an_error() -> None:
    with pytest.raises(InvalidInputError, match="At most 6 groups"):
        role_colors("abcdefg")
