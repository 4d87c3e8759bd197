"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# A loaded machine is slow, not wrong; and a submission must not fail by the luck of a draw.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
# No test opens a window.
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of recordings that are not part of the repository."""
    folder = Path(os.environ.get("KINESIS_NEURO_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(
            f"no folder of recordings at {folder}: set KINESIS_NEURO_DATA, "
            "or put it beside the checkout as shared/data"
        )
    return folder
