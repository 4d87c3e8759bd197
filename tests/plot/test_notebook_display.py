"""In Jupyter, the very first figure of a session is shown as a picture."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

CODE = """
import xarray as xr
from kinesis_neuro.plot.heatmap import plot_activation_heatmap

curves = xr.DataArray(
    [[0.1, 0.2, 0.1], [0.5, 0.1, 0.5]],
    {"phase": [0.0, 0.5, 1.0], "side": ("muscle", ["right", "right"]),
     "group": ("muscle", ["triceps", "triceps"]), "muscle": ["soleus_r", "gasmed_r"]},
    ("muscle", "phase"), attrs={"units": "1"},
)
plot_activation_heatmap(xr.Dataset({"activation_mean": curves}))
"""


def test_first_figure_is_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPLBACKEND", raising=False)  # as in a notebook that a person opens
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    NotebookClient(notebook, timeout=300).execute()
    [shown] = notebook.cells[0].outputs
    assert "image/png" in shown["data"]
