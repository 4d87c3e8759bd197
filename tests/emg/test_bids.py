"""EMG-BIDS: a recording that is written here comes back; broken sidecars are named."""

from __future__ import annotations

import json
from pathlib import Path

import edfio
import numpy as np
import pytest

from kinesis_neuro.emg.datasets import load_subject
from kinesis_neuro.emg.subject import subject_events
from kinesis_neuro.errors import FileFormatError

STEM = "sub-01_task-walk"
CHANNELS = (
    "name\ttype\tunits\ttarget_muscle\tstatus\n"
    "E1\tEMG\tuV\tright soleus\tgood\n"
    "E2\tEMG\tuV\tright tibialis anterior\tgood\n"
    "E3\tEMG\tuV\tright gracilis\tbad\n"
    "TRG\tTRIG\tn/a\tn/a\tgood\n"
)


def write_bids(folder: Path, suffix: str = ".edf") -> Path:
    rng = np.random.default_rng(0)
    signals = [
        edfio.EdfSignal(rng.normal(0, 50, 2000), 1000, label=name, physical_dimension="uV")
        for name in ("E1", "E2", "E3", "TRG")
    ]
    place = folder / "sub-01" / "emg"
    place.mkdir(parents=True)
    file = place / f"{STEM}_emg{suffix}"
    if suffix == ".edf":
        edfio.Edf(signals).write(file)
    else:
        bdf = [
            edfio.BdfSignal(s.data, 1000, label=s.label, physical_dimension="uV") for s in signals
        ]
        edfio.Bdf(bdf).write(file)
    (place / f"{STEM}_channels.tsv").write_text(CHANNELS)
    (place / f"{STEM}_events.tsv").write_text(
        "onset\tduration\ttrial_type\n0.2\t0\tright_heel_strike\n1.3\t0\tRight foot strike\n"
        "0.9\t0\tright toe off\n1.0\t0\tsound\n"
    )
    # The JSON lies at the root, where BIDS' inheritance finds it.
    (folder / "task-walk_emg.json").write_text(json.dumps({"SamplingFrequency": 1000}))
    (folder / "dataset_description.json").write_text("{}")
    return file


@pytest.mark.parametrize("suffix", [".edf", ".bdf"])
def test_a_recording_comes_back(tmp_path: Path, suffix: str) -> None:
    subject = load_subject(write_bids(tmp_path, suffix), subject="01")
    assert subject.channel.values.tolist() == ["soleus", "tibialis_anterior"]
    assert subject.emg.attrs["units"] == "V"
    assert subject.emg.std().item() == pytest.approx(50e-6, rel=0.05)
    assert subject.attrs["channels_left_out"] == "E3"
    events = subject_events(subject)
    assert events is not None
    np.testing.assert_allclose(events["heel_strike_right"], [0.2, 1.3])
    np.testing.assert_allclose(events["toe_off_right"], [0.9])


@pytest.mark.parametrize(
    ("sidecar", "text", "message"),
    [
        ("channels.tsv", None, "no sub-01_task-walk_channels.tsv beside it or above"),
        ("channels.tsv", "name\ttype\nE1\tEMG\n", "a column 'units'"),
        ("channels.tsv", "name\ttype\tunits\nZZ\tEMG\tuV\n", "EMG channels ZZ in channels.tsv"),
        ("channels.tsv", "name\ttype\tunits\nE1\tEMG\n", "line 2 has 2 cells for 3 columns"),
        ("emg.json", "{", "no JSON"),
        ("emg.json", "[]", "JSON of type list"),
        ("emg.json", '{"SamplingFrequency": 500}', "SamplingFrequency of the JSON, 500 Hz"),
    ],
)
def test_broken_sidecars_are_named(
    tmp_path: Path, sidecar: str, text: str | None, message: str
) -> None:
    file = write_bids(tmp_path)
    place = file.parent / f"{STEM}_{sidecar}"
    if text is None:
        place.unlink()
    else:
        place.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        load_subject(file)
