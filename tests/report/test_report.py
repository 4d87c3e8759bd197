"""A report is one page that needs nothing else and says what the results say."""

from __future__ import annotations

import base64
import hashlib
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import xarray as xr

from kinesis_neuro.cli import main
from kinesis_neuro.emg.datasets import load_subject
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.netcdf import write_netcdf
from kinesis_neuro.report import write_report
from kinesis_neuro.report.citations import CITATIONS
from kinesis_neuro.report.methods import methods
from kinesis_neuro.report.page import render_page
from kinesis_neuro.report.results import Results, compute_results
from kinesis_neuro.report.tables import number, percent, probability, tables
from kinesis_neuro.synthetic import raw_gait_emg


@pytest.fixture(scope="module")
def results(walking: xr.Dataset) -> Results:
    return compute_results(walking, [load_subject("builtin")], n_null=40, seed=7, delay=0.05)


@pytest.fixture(scope="module")
def file(walking: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report as the command writes it."""
    folder = tmp_path_factory.mktemp("report")
    write_netcdf(walking, folder / "walk.nc")
    options = "--n-null 40 --seed 7 --delay 0.05".split()
    main(["report", f"{folder}/walk.nc", "builtin", "--out", f"{folder}/report.html", *options])
    return folder / "report.html"


@pytest.fixture(scope="module")
def page(file: Path) -> str:
    return file.read_text(encoding="utf-8")


class _Cells(HTMLParser):
    """Rows of all tables of a page, and all places that something is loaded from."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.loaded += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag  # well-formed

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_the_page_has_the_numbers_of_the_table(results: Results, page: str) -> None:
    rows = _Cells(page).rows
    table = results.comparison.table
    for name, label in (
        ("soleus", "Soleus"),
        ("rectus_femoris", "Rectus femoris"),
        ("mean", "Mean"),
    ):
        agreement, timing, shape = (row for row in rows if row and row[0] == label)
        row = table.loc[name]
        assert agreement[1] == number(row.r)
        assert agreement[2] == probability(row.p)
        assert number(row.null_95) in agreement
        assert timing[1:3] == [percent(row.best_lag), number(row.r_best)]
        assert shape[1:4] == [number(row.nrmse), number(row.vaf), number(row.cmc)]
    center = 100 * float(results.centers.simulated[0].sel(channel="soleus"))
    assert number(center, 1) in next(r for r in rows if r and r[0] == "Soleus" and len(r) > 8)


def test_the_page_has_synergies_and_every_rule(results: Results, page: str) -> None:
    found = results.synergies
    assert found is not None
    text = unescape(page)
    for vaf in found.human.rank_vaf.values:
        assert f"<td>{number(float(vaf), 3)}</td>" in text
    for rule in ("vaf", "parallel analysis", "r squared knee"):
        assert rule in text
    assert f"Mean cosine {number(float(found.match.mean_similarity))}" in text


def test_every_parameter_of_every_result_is_there(results: Results, page: str) -> None:
    text = unescape(page)
    assert results.synergies is not None
    for one in (results.comparison.dataset, results.synergies.human, results.synergies.match):
        for name, value in one.attrs.items():
            assert f">{name}</th>" in text
            if isinstance(value, int | float):
                assert f"<td>{value}</td>" in text
    for name, value in results.recording.attrs.items():
        assert f">{name}</th>" in text, name
        if not str(value).startswith("{"):
            assert f"<td>{value}</td>" in text, name


def test_the_methods_follow_the_attributes(results: Results, walking: xr.Dataset) -> None:
    words = dict(methods(results)[0])
    assert "40 random phases of the cycle (seed 7)" in words["Comparison"]
    assert "delay of 50 ms" in words["Comparison"]
    assert "MuJoCo 3.0 (Todorov et al. 2012)" in words["Simulation"]
    assert "lasts 8.00 s at 150 Hz, with 0 fall(s)" in words["Simulation"]
    assert "treadmill walking at 1 m/s, 9 channels" in words["EMG"]
    bare = walking.copy()
    bare.attrs = {"body": "legs"}
    other = compute_results(bare, [load_subject("builtin")], n_null=9, seed=1)
    fewer = dict(methods(other)[0])
    assert "9 random phases of the cycle (seed 1)" in fewer["Comparison"]
    assert "No electromechanical delay" in fewer["Comparison"]
    assert fewer["Simulation"] == "The body 'legs' with 8 muscles was simulated."


def test_what_is_cited_is_listed(results: Results) -> None:
    paragraphs, references = methods(results)
    text = " ".join(text for _, text in paragraphs)
    cited = {citation.full for citation in CITATIONS.values() if citation.short in text}
    assert len(cited) >= 6
    assert set(references) == cited | {str(results.subjects[0].attrs["citation"])}


def test_the_page_needs_no_other_file(page: str) -> None:
    loaded = _Cells(page).loaded
    assert loaded
    assert all(x.startswith(("#", "data:")) for x in loaded)
    assert "default-src 'none'" in page
    pictures = [x for x in loaded if x.startswith("data:image/svg+xml;base64,")]
    assert len(pictures) == 6
    for picture in pictures:
        svg = base64.b64decode(picture.split(",", 1)[1])
        assert svg.startswith(b"<?xml")
        assert b"<script" not in svg


def test_names_are_text_not_markup(page: str) -> None:
    assert "synthetic <walk>" not in page
    assert "synthetic &lt;walk&gt; &amp; more" in page


def test_a_part_that_cannot_be_had_leaves_its_reason(page: str) -> None:
    # The recording has no poses: there is nothing to draw a body from.
    assert "The body: not drawn, because A recording to draw needs" in page


def test_several_people_have_a_ceiling_in_the_tables(walking: xr.Dataset) -> None:
    first = load_subject("builtin")
    people = [
        first.assign_attrs(subject=f"p{k}", person=f"p{k}").assign(
            envelope=first.envelope.roll(phase=k, roll_coords=False)
        )
        for k in range(3)
    ]
    several = compute_results(walking, people, n_null=9)
    made = tables(several)[0]
    assert {"low", "high", "person to person"} <= set(made.columns)
    text = render_page(several)
    assert "Who agrees with whom" in text
    assert "3 people" in text


def test_the_same_input_gives_the_same_bytes(results: Results, file: Path, page: str) -> None:
    digest = hashlib.sha256((file.parent / "walk.nc").read_bytes()).hexdigest()
    assert render_page(results, [("walk.nc", digest)]) == page
    assert sorted(x.name for x in file.parent.iterdir()) == ["report.html", "walk.nc"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("missing.nc builtin", "missing.nc"),
        ("walk.mat builtin", "the suffix '.mat'. Expected .nc or .nwb"),
        ("broken.nc builtin", "broken.nc"),
        ("person.nc builtin", "is no recording of muscles"),
        ("walk.nc nobody", "Unknown subject 'nobody'"),
        ("walk.nc builtin --speed 2", "was not measured at 2 m/s"),
        ("walk.nc raw.nc", "holds raw EMG. Choose how envelopes are made"),
        ("walk.nc raw.nc --pipeline magic", "magic"),
        ("walk.nc builtin --signal force", "has no 'force' over muscle"),
        ("walk.nc builtin builtin", "The same person is there more than once"),
        ("walk.nc builtin --delay -1", "delay must not be negative"),
        ("walk.nc builtin --out no/report.html", "there is no folder"),
    ],
)
def test_bad_input_is_one_line_and_no_page(
    arguments: str,
    message: str,
    walking: xr.Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_netcdf(walking, "walk.nc")
    write_netcdf(load_subject("builtin"), "person.nc")
    write_netcdf(raw_gait_emg(duration=4.0), "raw.nc")
    Path("broken.nc").write_bytes(b"CDF")
    before = sorted(x.name for x in tmp_path.iterdir())
    with pytest.raises(SystemExit) as caught:
        main(["report", *arguments.split(), "--n-null", "9"])
    assert message in str(caught.value.code)
    assert "\n" not in str(caught.value.code)
    assert sorted(x.name for x in tmp_path.iterdir()) == before


def test_no_subject_is_an_error(walking: xr.Dataset) -> None:
    with pytest.raises(InvalidInputError, match="one EMG subject or more"):
        write_report(walking, [])
