"""How the site is built: sphinx-build -W docs docs/_build/html."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Figures are to stand in the pages, whatever backend the shell that builds them asks for.
os.environ.pop("MPLBACKEND", None)
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import kinesis_neuro

project = "kinesis-neuro"
author = "the kinesis-neuro developers"
copyright = "the kinesis-neuro developers, Apache-2.0"
version = release = kinesis_neuro.__version__

extensions = [
    "generated_pages",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
]
exclude_patterns = ["_build", "_ext", "_generated/tables", "_generated/figures"]  # included

# Building runs the notebooks, which is the test that they run.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]

# The docstrings say what arguments are, with shapes and units, so signatures need not.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# References between pages and to the library's own names must resolve; other libraries' names are
# not looked up, as the site builds offline.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!kinesis_neuro).*"),
]

html_theme = "pydata_sphinx_theme"
html_title = "kinesis-neuro"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = html_copy_source = False
html_sidebars = {page: [] for page in ("index", "start", "gallery")}  # nothing lies below these
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
