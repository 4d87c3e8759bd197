"""Each notebook lies there twice, as a script to review and as a file to open; both are the same.

That they run is checked by building the site, which runs each of them once.
"""

from __future__ import annotations

import json
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))


def cells(notebook: dict) -> list[tuple[str, str]]:
    return [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]


def test_there_are_pairs_and_nothing_else() -> None:
    names = {script.stem for script in SCRIPTS}
    assert names == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert len(names) == 4


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_and_notebook_are_the_same(script: Path) -> None:
    stored = json.loads(script.with_suffix(".ipynb").read_text())
    assert cells(stored) == cells(jupytext.read(script)), f"run jupytext --to ipynb {script}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_no_output_is_stored(script: Path) -> None:
    stored = json.loads(script.with_suffix(".ipynb").read_text())
    code = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert code
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
