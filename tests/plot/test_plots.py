"""Figures show the numbers that they are handed, under names that are right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from kinesis_neuro.errors import InvalidInputError, WriteError
from kinesis_neuro.plot.activation import plot_activation
from kinesis_neuro.plot.heatmap import plot_activation_heatmap
from kinesis_neuro.plot.names import MAIN_MUSCLES, muscle_label
from kinesis_neuro.plot.style import save_figure

MUSCLES = {"soleus": "soleus", "tibant": "dorsiflexors", "psoas": "hip_flexors", "odd_1": "other"}


@pytest.fixture
def statistics() -> xr.Dataset:
    """Four muscles a side; the left ones are twice the right ones."""
    phase = np.linspace(0, 1, 101)
    right = 0.1 + 0.05 * np.arange(4) * np.sin(np.pi * phase)[:, None] ** 2
    mean = np.concatenate([right, 2 * right], axis=1)
    attrs = {"units": "1"}
    return xr.Dataset(
        {
            "activation_mean": (("phase", "muscle"), mean, attrs),
            "activation_sd": (("phase", "muscle"), 0.1 * mean, attrs),
        },
        coords={
            "phase": phase,
            "muscle": [f"{name}_{side}" for side in "rl" for name in MUSCLES],
            "side": ("muscle", ["right"] * 4 + ["left"] * 4),
            "group": ("muscle", [*MUSCLES.values()] * 2),
            "toe_off_phase": 0.6,
            "contralateral_toe_off_phase": 0.7,
        },
        attrs={"align": "ipsilateral", "reference_side": "right", "n_cycles": 7},
    )


def shown(figure: Figure) -> dict[str, np.ndarray]:
    """Curves by the titles of their panels."""
    return {
        axis.get_title(loc="left"): axis.lines[0].get_ydata()
        for axis in figure.axes
        if axis.get_visible() and axis.lines
    }


@pytest.mark.parametrize("side", ["right", "left"])
def test_panels_show_the_muscles_of_their_side(statistics: xr.Dataset, side: str) -> None:
    curves = shown(plot_activation(statistics, side=side))
    assert list(curves) == ["Psoas", "Tibialis anterior", "Soleus"]  # hip to ankle
    for name, title in (("psoas", "Psoas"), ("soleus", "Soleus")):
        expected = statistics.activation_mean.sel(muscle=f"{name}_{side[0]}")
        np.testing.assert_array_equal(curves[title], expected)


@pytest.mark.parametrize(
    ("side", "align", "toe_off"),
    [("right", "ipsilateral", 60), ("left", "ipsilateral", 70), ("right", "right", 60)],
)
def test_stance_is_shaded_up_to_toe_off(
    statistics: xr.Dataset, side: str, align: str, toe_off: float
) -> None:
    figure = plot_activation(statistics.assign_attrs(align=align), side=side)
    assert figure.axes[0].patches[0].get_width() == pytest.approx(toe_off)
    assert f"from {side} heel strike" in figure.get_supxlabel()


def test_stance_of_the_other_foot_is_not_shaded(statistics: xr.Dataset) -> None:
    right = statistics.drop_vars("contralateral_toe_off_phase").assign_attrs(align="right")
    figure = plot_activation(right, side="left")
    assert not figure.axes[0].patches
    assert "from right heel strike" in figure.get_supxlabel()


def test_band_is_one_standard_deviation(statistics: xr.Dataset) -> None:
    axis = plot_activation(statistics, muscles=["soleus"]).axes[0]
    vertices = axis.collections[0].get_paths()[0].vertices
    mean = statistics.activation_mean.sel(muscle="soleus_r").values
    assert vertices[:, 1].max() == pytest.approx(1.1 * mean.max())


def test_several_datasets_share_the_panels(statistics: xr.Dataset) -> None:
    other = statistics.sel(muscle=["soleus_r"])
    figure = plot_activation({"policy": statistics, "person": other}, share_y=False)
    drawn = {axis.get_title(loc="left"): len(axis.lines) for axis in figure.axes}
    assert drawn["Soleus"] == 2
    assert drawn["Psoas"] == 1
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["policy, 7 cycles", "person, 7 cycles", "± 1 SD", "stance"]


def test_channels_are_drawn_like_muscles(statistics: xr.Dataset) -> None:
    emg = statistics.rename(muscle="channel", activation_mean="envelope_mean")
    emg = emg.drop_vars("activation_sd").sel(channel=["soleus_r", "odd_1_r"])
    names = ["tibialis_anterior", "gluteus_maximus"]
    curves = shown(plot_activation(emg.assign_coords(channel=names), variable="envelope"))
    assert list(curves) == ["Gluteus maximus", "Tibialis anterior"]


def test_muscles_that_stand_for_no_leg_are_all_drawn(statistics: xr.Dataset) -> None:
    curves = shown(plot_activation(statistics.sel(muscle=["odd_1_r"])))
    assert list(curves) == ["odd_1"]


def test_heat_map_has_the_groups_in_order(statistics: xr.Dataset) -> None:
    figure = plot_activation_heatmap(statistics, side="left")
    axis = figure.axes[0]
    rows = [label.get_text() for label in axis.get_yticklabels()]
    assert rows == ["Psoas", "Soleus", "Tibialis anterior", "odd_1"]
    values = axis.collections[0].get_array()
    expected = statistics.activation_mean.sel(muscle=["psoas_l", "soleus_l", "tibant_l", "odd_1_l"])
    np.testing.assert_array_equal(values, expected.T)
    groups = [text.get_text() for text in axis.texts]
    assert groups == ["toe-off", "hip flexors", "soleus", "dorsiflexors", "other"]


def test_heat_map_of_very_many_muscles_names_groups_alone(statistics: xr.Dataset) -> None:
    many = statistics.isel(muscle=np.zeros(150, dtype=int))
    many = many.assign_coords(muscle=[f"MF_{k}_r" for k in range(150)])
    figure = plot_activation_heatmap(many)
    assert not figure.axes[0].get_yticklabels()
    assert figure.get_size_inches()[1] < 10


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda s: plot_activation(s, variable="excitation"), "Expected 'excitation_mean'"),
        (lambda s: plot_activation(s.expand_dims(subject=["a"])), "select or average"),
        (lambda s: plot_activation(s, side="both"), "Unknown side 'both'. Available: left"),
        (lambda s: plot_activation(s, side="midline"), "no muscle on the side 'midline'"),
        (lambda s: plot_activation(s, muscles=["solues"]), "Unknown muscle on the right side"),
        (lambda s: plot_activation({}), "empty"),
        (lambda s: plot_activation(dict.fromkeys("abcdefg", s)), "At most 6"),
        (lambda s: plot_activation_heatmap(s.drop_vars("group")), "'group'"),
    ],
)
def test_bad_input_is_named(statistics: xr.Dataset, draw: Callable, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        draw(statistics)


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
def test_files_are_the_same_each_time_and_hold_their_fonts(
    statistics: xr.Dataset, tmp_path: Path, suffix: str
) -> None:
    first, second = (
        save_figure(plot_activation_heatmap(statistics), tmp_path / f"{k}{suffix}").read_bytes()
        for k in "ab"
    )
    assert first == second
    if suffix == ".pdf":
        assert b"FontFile2" in first and b"/Type3" not in first
    if suffix == ".svg":
        assert b"<text" not in first


def test_a_figure_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"\.docx"):
        save_figure(Figure(), tmp_path / "figure.docx")
    with pytest.raises(WriteError):
        save_figure(Figure(), tmp_path / "nowhere" / "figure.png")
    assert not list(tmp_path.iterdir())


def test_the_theme_stays_inside(statistics: xr.Dataset) -> None:
    before = mpl.rcParams.copy()
    plot_activation(statistics)
    assert mpl.rcParams == before


def test_every_main_muscle_has_a_name() -> None:
    for names in MAIN_MUSCLES:
        assert all(muscle_label(name)[0].isupper() for name in names)


def test_plotting_loads_no_physics() -> None:
    code = "import sys, kinesis_neuro.plot.activation; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"mujoco", "torch"}
