"""Subjects load from every format that is at hand, and broken files say what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kinesis_neuro.emg.datasets import REGISTRY, list_subjects, load_subject
from kinesis_neuro.emg.readers import WANG_CHANNELS
from kinesis_neuro.emg.remote import find_file
from kinesis_neuro.emg.subject import check_channels, make_subject, subject_cycles, subject_events
from kinesis_neuro.errors import FileFormatError, InvalidInputError
from kinesis_neuro.schema import validate

ALL = [(row.subject, row.speed) for row in list_subjects().itertuples()]


@pytest.mark.parametrize("name", ["builtin", *REGISTRY])
def test_every_subject_of_the_registry_loads(name: str, data_dir: Path) -> None:
    speed = next(s for n, s in ALL if n == name)
    subject = load_subject(name, speed=None if np.isnan(speed) else speed)
    validate(subject, kind="any")
    for attribute in ("subject", "person", "condition", "source", "licence", "citation"):
        assert isinstance(subject.attrs[attribute], str) and subject.attrs[attribute]
    assert isinstance(json.loads(subject.attrs["processing"]), list)
    assert set(subject.side.values) <= {"right", "left"}


def test_builtin_is_subject_06_of_the_published_cycles(data_dir: Path) -> None:
    """The README of the recording: r >= 0.978 for every muscle after a shift of 2 %."""
    own = load_subject("builtin").envelope[0]
    published = load_subject("wang2023/06", speed=1.0).envelope[0]
    theirs = np.roll(published.values, 1, axis=0)  # 1..100 per cent -> 0..99
    shifts = [np.roll(theirs, k, axis=0) for k in range(-4, 5)]
    r = [min(np.corrcoef(own.values[:-1, c], s[:, c])[0, 1] for c in range(9)) for s in shifts]
    assert max(r) >= 0.978
    assert own.channel.values.tolist() == list(WANG_CHANNELS)


def test_cycles_of_the_recording_agree_with_the_builtin_table(data_dir: Path) -> None:
    cycles = subject_cycles(load_subject("wang2023/06/walk36"))
    mean = cycles.envelope.mean("cycle").values
    builtin = load_subject("builtin").envelope[0].values
    r = [np.corrcoef(mean[:, c], builtin[:, c])[0, 1] for c in range(9)]
    assert min(r) > 0.99
    assert 40 <= cycles.sizes["cycle"] <= 50


def test_events_of_c3d_and_r_are_on_the_clock_of_the_signal(data_dir: Path) -> None:
    for name in ("btk/flatfoot", "santuz2019/ID0012"):
        subject = load_subject(name)
        events = subject_events(subject)
        assert events is not None
        strikes = events["heel_strike_right"]
        assert strikes.size >= 3
        assert (strikes >= subject.time.values[0]).all()
        assert (strikes <= subject.time.values[-1]).all()
        assert 0.9 < np.diff(strikes).mean() < 1.3
    assert np.isclose(subject.attrs["sampling_rate"], 1000.0)


def test_plates_of_c3d_push_up(data_dir: Path) -> None:
    subject = load_subject("btk/gait", plates={0: "right", 1: "left"})
    vertical = subject.ground_force.sel(space="z")
    assert 400 < vertical.max() < 2000
    assert vertical.mean() > 0


def test_falisse_keeps_missing_channels_as_nan(data_dir: Path) -> None:
    subject = load_subject("falisse2019/subject1")
    missing = np.isnan(subject.envelope.values).all(axis=1).sum(axis=1)
    assert sorted(missing)[-5:] >= [10, 10, 10, 10, 10]
    assert (missing == 0).sum() >= 1


def test_speeds_are_chosen_or_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"several speeds: 0.25, 0.5, 0.75, 1, 1.25, 1.5"):
        load_subject("wang2023/04")
    with pytest.raises(InvalidInputError, match=r"not measured at 2 m/s. Available: 0.25, 0.5"):
        load_subject("wang2023/04", speed=2.0)
    with pytest.raises(InvalidInputError, match=r"'wang2023/06' was not measured at 1.25 m/s"):
        load_subject("wang2023/06", speed=1.25)
    with pytest.raises(InvalidInputError, match=r"Unknown subject 'wang2023/99'. Available: btk/"):
        load_subject("wang2023/99")


def test_a_missing_file_says_where_it_may_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINESIS_NEURO_DATA", str(tmp_path))
    monkeypatch.setenv("KINESIS_NEURO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InvalidInputError, match="not in the registry of downloads"):
        load_subject("wang2023/06/walk36")
    with pytest.raises(InvalidInputError, match="It can be downloaded from https://raw"):
        find_file("santuz2019_raw/RAW_DATA.RData", download=False)
    where = list_subjects().set_index("subject")["where"]
    assert where["santuz2019/ID0012"] == "download"
    assert where["btk/1123"] == "your copy"
    assert where["builtin"] == "built in"


def test_a_download_is_checked_and_being_offline_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pooch

    monkeypatch.setenv("KINESIS_NEURO_DATA", str(tmp_path))
    monkeypatch.setenv("KINESIS_NEURO_CACHE", str(tmp_path / "cache"))

    def offline(*args: object, **kwargs: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(pooch, "retrieve", offline)
    with pytest.raises(InvalidInputError, match=r"could not be downloaded \(ConnectionError\)"):
        find_file("santuz2019_raw/RAW_DATA.RData")

    def tampered(*args: object, **kwargs: object) -> None:
        raise ValueError("SHA256 hash does not match")

    monkeypatch.setattr(pooch, "retrieve", tampered)
    with pytest.raises(FileFormatError, match="another checksum than expected"):
        find_file("santuz2019_raw/RAW_DATA.RData")


def test_tables_need_a_rate_and_understand_labels(tmp_path: Path) -> None:
    file = tmp_path / "emg.csv"
    file.write_text("SOL_R,R_TA\n" + "0.1,0.2\n" * 20)
    with pytest.raises(InvalidInputError, match=r"its rate is not known. Give rate="):
        load_subject(file)
    subject = load_subject(file, speed=1.3, rate=500.0, units="mV", subject="me")
    assert subject.channel.values.tolist() == ["soleus", "tibialis_anterior"]
    assert subject.emg.attrs["units"] == "V"
    assert subject.emg[0, 0] == pytest.approx(1e-4)
    assert subject.attrs["speed"] == 1.3
    timed = tmp_path / "timed.tsv"
    rows = "".join(f"{i / 1000:.3f}\t{i % 7}\n" for i in range(50))
    timed.write_text("time\tx\n" + rows)
    own = load_subject(timed, channels={"x": "soleus_l"})
    assert own.attrs["sampling_rate"] == 1000.0 and own.side.item() == "left"
    with pytest.raises(InvalidInputError, match="rate=500 Hz was given, but its times have 1000"):
        load_subject(timed, channels={"x": "soleus_l"}, rate=500.0)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "an empty file"),
        ("a.csv", "1,2\n3,4\n", "numbers in line 1"),
        ("a.csv", "time,soleus_r\n0,0.1\n0.1\n", "line 3 has 1 values for 2 names"),
        ("a.csv", "time,soleus_r\n0,0.1\n0.1,x\n", "'x' in line 3, column 'soleus_r'"),
        ("a.csv", "time,soleus_r\n0,1\n0,1\n", "times that do not increase strictly"),
        ("a.csv", "time,soleus_r\n0,1\n1,1\n9,1\n", "regular sampling"),
        ("a.xyz", "x", "the suffix '.xyz'"),
        ("a.c3d", "no c3d at all", "bytes b'no' at the start"),
        ("a.mat", "no matlab", "cannot be read"),
        ("a.RData", "no R", "cannot be read"),
        ("a.npy", "no numpy", "cannot be read"),
        ("a.xls", "no excel", "cannot be read"),
        ("sub-1_emg.edf", "no edf", "cannot be read"),
        ("a.edf", "no bids", "the name 'a.edf'"),
    ],
)
def test_broken_files_say_what_is_wrong(tmp_path: Path, name: str, text: str, message: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(FileFormatError, match=message) as caught:
        load_subject(file)
    assert str(file) in str(caught.value) and "Expected" in str(caught.value)


def test_broken_npy_and_truncated_c3d(tmp_path: Path, data_dir: Path) -> None:
    np.save(tmp_path / "short.npy", np.zeros((50, 10)))
    with pytest.raises(FileFormatError, match=r"shape \(50, 10\)"):
        load_subject(tmp_path / "short.npy")
    np.save(tmp_path / "zeros.npy", np.zeros((100, 10)))
    with pytest.raises(FileFormatError, match="per cent of the gait cycle, 1 to 100"):
        load_subject(tmp_path / "zeros.npy")
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_subject(tmp_path / "object.npy")


def test_labels_that_mean_nothing_are_asked_about(tmp_path: Path) -> None:
    file = tmp_path / "emg.csv"
    file.write_text("EMG1,EMG2\n" + "0.1,0.2\n" * 5)
    with pytest.raises(InvalidInputError, match=r"No column of emg.csv is understood"):
        load_subject(file, rate=100.0)
    with pytest.raises(InvalidInputError, match="does not say on which side EMG1"):
        load_subject(file, rate=100.0, channels={"EMG1": "soleus"})
    with pytest.raises(InvalidInputError, match="has no column 'EMG9'"):
        load_subject(file, rate=100.0, channels={"EMG9": "soleus_r"})
    with pytest.raises(InvalidInputError, match="Unknown channel 'solas_r'"):
        load_subject(file, rate=100.0, channels={"EMG1": "solas_r"})


def test_bad_channels_are_found() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((500, 4))
    values[:, 1] = np.clip(values[:, 1], -0.5, 0.5)
    values[:, 2] = 0.0
    values[7, 3] = np.nan
    names = ["soleus", "gracilis", "sartorius", "rectus_femoris"]
    subject = make_subject(
        values, names, ["right"] * 4, subject="x", units="V", time=np.arange(500) / 1000, rate=1e3
    )
    problems = check_channels(subject)
    assert sorted(problems) == ["gracilis", "rectus_femoris", "sartorius"]
    assert problems["gracilis"].startswith("clipped") and problems["sartorius"].startswith("flat")
    with pytest.raises(InvalidInputError, match="raw EMG, which has no shape"):
        subject_cycles(subject)


def test_lengths_that_disagree_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"shape \(1, 2, 1\) for 3 samples"):
        make_subject([[[0.1], [0.2]]], ["soleus"], ["right"], subject="x", phase=[0, 0.3, 0.6])
