"""The figures command: every figure from recordings, shared, with its caption, or a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import xarray as xr

from kinesis_neuro.cli import main
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.figures import FIGURES, make_figures
from kinesis_neuro.figures.catalogue import CAPTIONS
from kinesis_neuro.figures.material import FigureSkipped, Material
from kinesis_neuro.netcdf import read_netcdf

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ready(walking: xr.Dataset) -> Material:
    """Material whose recordings need no physics."""
    material = Material(["walk", "walk-excitation"], n_null=20)
    material._recordings = {"walk": walking, "walk-excitation": walking, "untrained": walking}
    material.solved = walking
    return material


def test_every_figure_has_its_script() -> None:
    scripts = {file.stem.removeprefix("figure_") for file in ROOT.glob("analyses/figure_*.py")}
    assert scripts == set(FIGURES)
    for name in FIGURES:
        text = (ROOT / "analyses" / f"figure_{name}.py").read_text()
        assert f'main("{name}")' in text


def test_figures_are_made_once_and_captioned(ready: Material) -> None:
    figure, caption = FIGURES["heat_map"](ready)
    assert [a.get_title(loc="left") for a in figure.axes[:2]] == ["walk", "walk-excitation"]
    assert "4 muscles of the right leg" in caption
    assert ready.comparison is ready.comparison
    assert ready.comparison.condition.values[0] == "walk"


def test_without_people_figures_say_what_they_lack(
    ready: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINESIS_NEURO_DATA", "")
    from kinesis_neuro.emg.datasets import load_subject

    ready.people = [load_subject("builtin")]
    ready.walker = load_subject("builtin")
    for name in ("correlation_boxes", "cluster_inference"):
        with pytest.raises(FigureSkipped, match="KINESIS_NEURO_DATA"):
            FIGURES[name](ready)
    for name in ("envelopes", "lag_map", "activity_centres", "burst_rasters"):
        caption = FIGURES[name](ready).caption
        assert caption.endswith(".")
    caption = FIGURES["envelopes"](ready).caption
    assert "builtin" in caption
    assert "one person with another" not in caption


def test_unknown_names_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        InvalidInputError, match=r"Unknown figure 'pie'\. Available: activity_centres"
    ):
        make_figures(tmp_path / "out", ["pie"])
    with pytest.raises(SystemExit, match="Unknown policy 'nobody'"):
        main(["figures", "--out", str(tmp_path), "--policies", "nobody", "--only", "heat_map"])
    with pytest.raises(InvalidInputError, match="of different names"):
        Material(["walk", "elsewhere/walk"])
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_writes_every_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "figures"
    main(["figures", "--out", str(out), "--duration", "6", "--policies", "walk"])
    said = capsys.readouterr().out
    skipped = set(re.findall(r"(\w+): skipped, because", said))
    assert skipped <= {"correlation_boxes", "cluster_inference"}
    made = set(FIGURES) - skipped
    assert {f.name for f in out.glob("*.pdf")} == {f"{name}.pdf" for name in made}
    assert {f.name for f in out.glob("*.png")} == {f"{name}.png" for name in made}
    words = (out / CAPTIONS).read_text()
    for name in made:
        assert f"({name}.png)" in words
    kept = {f.name: f.stat().st_mtime_ns for f in (out / "recordings").iterdir()}
    assert read_netcdf(out / "recordings" / "walk.nc").attrs["policy"] == "walk"
    # A second call takes the recordings that are there, and gives the same bytes.
    before = (out / "heat_map.pdf").read_bytes()
    options = "--duration 6 --policies walk --only heat_map".split()
    main(["figures", "--out", str(out), *options])
    assert "Recording" not in capsys.readouterr().out
    assert {f.name: f.stat().st_mtime_ns for f in (out / "recordings").iterdir()} == kept
    assert (out / "heat_map.pdf").read_bytes() == before
