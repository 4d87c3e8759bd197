"""Files of every kind are what NWB's own tools ask for."""

from __future__ import annotations

import re
from pathlib import Path

import nwbinspector
import pynwb
import xarray as xr

from kinesis_neuro.nwb import write_nwb

ROOT = Path(__file__).resolve().parents[2]
SUGGESTIONS = ROOT / "docs" / "nwb.md"


def serious_and_suggested(path: Path) -> tuple[list, set[str]]:
    messages = list(nwbinspector.inspect_nwbfile(nwbfile_path=str(path)))
    serious = [m for m in messages if m.importance.name != "BEST_PRACTICE_SUGGESTION"]
    return serious, {m.check_function_name for m in messages}


def test_no_critical_message_and_no_violation(dataset: xr.Dataset, path: Path) -> None:
    write_nwb(dataset, path)
    assert not pynwb.validate(path=str(path))
    serious, suggested = serious_and_suggested(path)
    assert not serious
    # Each suggestion that is not followed has its reason in the documentation.
    assert suggested <= set(re.findall(r"`(check_\w+)`", SUGGESTIONS.read_text()))


def test_metadata_answer_what_the_inspector_asks_for(make: dict, path: Path) -> None:
    metadata = {
        "session_start_time": "2024-05-17T09:30:00+02:00",
        "experimenter": "Bernstein, Nikolai",
        "institution": "Central Institute of Labour",
        "subject": {"age": "P30Y", "sex": "M"},
    }
    write_nwb(make["irregular"](), path, metadata=metadata)
    assert serious_and_suggested(path) == ([], {"check_processing_module_name"})
