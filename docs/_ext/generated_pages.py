"""Pages made while the site is built: notebooks, figures, benchmark tables, one page a module."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.logging import getLogger

import kinesis_neuro
from kinesis_neuro.figures import make_figures
from kinesis_neuro.schema import DIMS, RECORDING, RECORDING_ATTRIBUTES

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "_generated"
LOGGER = getLogger(__name__)

# Part of the library -> heading, in the order in which data flow through it.
PARTS = {
    "body": "Bodies",
    "motion": "Reference motions",
    "text": "Sentences to motions",
    "env": "The imitation task",
    "learn": "Learning",
    "": "Recording, evaluation and files",
    "render": "Films",
    "view": "The viewer",
    "nwb": "NWB",
    "emg": "EMG",
    "analysis": "Analyses",
    "plot": "Plots",
    "figures": "A paper's figures",
    "report": "Reports",
    "formats": "Readers of foreign files",
}

# Pages about concepts in the order in which they are read; others in docs/ follow by name.
CONCEPTS = ("recordings", "nwb", "emg", "comparison", "synergies", "phase", "training")
NO_CONCEPTS = {"index", "start", "notebooks", "gallery", "reference"}


def modules() -> dict[str, list[str]]:
    """Public modules by part; a part that is new has its own name as heading."""
    found: dict[str, list[str]] = {part: [] for part in PARTS}
    for info in pkgutil.walk_packages(kinesis_neuro.__path__, "kinesis_neuro."):
        names = info.name.split(".")[1:]
        if not info.ispkg and not any(name.startswith("_") for name in names):
            found.setdefault(names[0] if len(names) > 1 else "", []).append(info.name)
    return {part: names for part, names in found.items() if names}


def own_members(name: str) -> dict[str, str]:
    """Public functions and classes that a module defines itself, and which of both they are."""
    return {
        member: "class" if inspect.isclass(value) else "function"
        for member, value in vars(importlib.import_module(name)).items()
        if not member.startswith("_")
        and callable(value)
        and (inspect.isclass(value) or inspect.isfunction(inspect.unwrap(value)))  # also cached
        and value.__module__ == name
    }


def own_constants(name: str) -> dict[str, str]:
    """Public constants of a module that have a docstring, with the first line of it."""
    found = ModuleAnalyzer.for_module(name).find_attr_docs()
    return {
        member: lines[0]
        for (owner, member), lines in found.items()
        if not owner and member.isupper() and not member.startswith("_")
    }


def summary(thing: object) -> str:
    """First line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def table(rows: list[tuple[str, str]]) -> str:
    """Make a table of what there is and what it is, in reStructuredText."""
    lines = [".. list-table::", "   :widths: auto", ""]
    return "\n".join(lines + [f"   * - {left}\n     - {right}" for left, right in rows]) + "\n"


def titled(title: str, *parts: str) -> str:
    """Make a page in reStructuredText."""
    return "\n\n".join((f"{title}\n{'=' * len(title)}", *parts)) + "\n"


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """Make a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)) + "\n"


def schema_tables() -> dict[str, str]:
    """Dims, variables and attributes of recordings, as the schema has them."""
    coded = "`{}`".format
    dims = [
        [coded(name), spec.description, spec.units, ", ".join(map(coded, spec.coords))]
        for name, spec in DIMS.items()
    ]
    variables = [
        [coded(name), ", ".join(spec.dims), spec.units, spec.long_name]
        for name, spec in RECORDING.items()
    ]
    attributes = [[coded(name), kind.__name__] for name, kind in RECORDING_ATTRIBUTES.items()]
    return {
        "dims": markdown_table(["dim", "a step along it is", "units", "coordinates"], dims),
        "variables": markdown_table(["variable", "dims", "units", "what it is"], variables),
        "attributes": markdown_table(["attribute", "type"], attributes),
    }


def module_page(name: str) -> str:
    """What a module holds, at a glance, then all of it."""
    module = importlib.import_module(name)
    members, constants = own_members(name), own_constants(name)
    about = {member: summary(getattr(module, member)) for member in members} | constants
    parts = [f".. automodule:: {name}\n   :no-members:"]
    if about:
        parts.append(table([(f":py:obj:`{m} <{name}.{m}>`", text) for m, text in about.items()]))
    parts += [f".. auto{kind}:: {name}.{member}" for member, kind in members.items()]
    parts += [f".. autodata:: {name}.{member}\n   :no-value:" for member in constants]
    return titled(name.removeprefix("kinesis_neuro."), *parts)


def part_page(part: str, names: list[str]) -> str:
    """Modules of a part, with what each of them holds."""
    package = f".. automodule:: kinesis_neuro.{part}\n   :no-members:" if part else ""
    about = [(f":doc:`{name}`", summary(importlib.import_module(name))) for name in names]
    toctree = "\n".join([".. toctree::", "   :hidden:", "", *(f"   {name}" for name in names)])
    return titled(PARTS.get(part, part.capitalize()), package, table(about), toctree)


def names_page() -> str:
    """Public names, each with a link to where it is described."""
    names = sorted(kinesis_neuro._MODULE_OF, key=str.lower)
    rows = [
        (f":py:obj:`{name} <kinesis_neuro.{name}>`", summary(getattr(kinesis_neuro, name)))
        for name in names
    ]
    about = "What ``import kinesis_neuro as kn`` gives. Scripts may rely on these names."
    return titled("Public names", about, table(rows))


def resolve_by_value(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.TextElement
) -> nodes.reference | None:
    """Link a name such as `kinesis_neuro.record` to where what it stands for is defined."""
    if node.get("refdomain") != "py":
        return None
    module, _, name = node["reftarget"].rpartition(".")
    try:
        value = getattr(importlib.import_module(module), name)
        target = f"{value.__module__}.{value.__qualname__}"
    except (ImportError, AttributeError, ValueError):
        return None
    domain = env.domains.python_domain
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, shown)


@functools.cache
def described() -> dict[str, str]:
    """Where what the library defines is described, by name, for names that only one thing has."""
    found: dict[str, set[str]] = {}
    for module in (module for names in modules().values() for module in names):
        for member in own_members(module):
            found.setdefault(member, set()).add(f"{module}.{member}")
    # `record` in a text is the function; `mean` would be anything.
    telling = {name for name in found if "_" in name or not name.islower()}
    telling |= set(kinesis_neuro._MODULE_OF)
    telling -= {*RECORDING, "p_value"}  # which are variables in the text
    return {name: min(found[name]) for name in telling if len(found[name]) == 1}


def link_code(app: Sphinx, document: nodes.document) -> None:
    """Link functions that a page names in code, such as `kn.record(...)`, to their description.

    So pages stay plain Markdown, which can be read outside of the site too.
    """
    page = app.env.current_document.docname
    if page.startswith(f"{FOLDER}/api"):
        return
    for code in list(document.findall(nodes.literal)):
        name = re.fullmatch(r"(?:kn\.)?(\w+)(?:\(.*\))?", code.astext())
        target = described().get(name[1]) if name else None
        if target is None or not isinstance(code.parent, nodes.paragraph | nodes.strong):
            continue
        link = pending_xref(
            "", refdomain="py", reftype="obj", reftarget=target, refdoc=page, refexplicit=True
        )
        code.replace_self(link)
        link += code


def concepts_page() -> str:
    """List the pages about concepts."""
    there = {page.stem for page in (ROOT / "docs").glob("*.md")} - NO_CONCEPTS
    names = [*CONCEPTS, *sorted(there - set(CONCEPTS))]
    listed = "\n".join(f"   /{name}" for name in names)
    return titled("Concepts", f".. toctree::\n   :maxdepth: 1\n\n{listed}")


def make_pages(app: Sphinx) -> None:
    """Write all of them into the folder that git ignores."""
    folder = Path(app.srcdir) / FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # what is gone from the library goes from the site
    pages: dict[str, str] = {"names.rst": names_page(), "concepts.rst": concepts_page()}
    parts = modules()
    for part, names in parts.items():
        pages[f"api/part_{part or 'top'}.rst"] = part_page(part, names)
        pages |= {f"api/{name}.rst": module_page(name) for name in names}
    listed = "\n".join(f"   api/part_{part or 'top'}" for part in parts)
    pages["modules.rst"] = titled("Modules", f".. toctree::\n   :maxdepth: 2\n\n{listed}")
    tables = sorted((ROOT / "benchmarks").glob("*.md"), key=lambda p: (p.stem != "README", p.stem))
    pages["benchmarks.md"] = "# Benchmark tables\n\n" + "\n".join(
        f"```{{include}} ../../benchmarks/{page.name}\n:heading-offset: 1\n```\n" for page in tables
    )
    pages |= {f"tables/{name}.md": text for name, text in schema_tables().items()}
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        pages[f"notebooks/{notebook.name}"] = notebook.read_text()
    if app.config.nb_execution_mode == "off":  # a quick look at the text
        pages["figures/figures.md"] = "# Figures\n\nNot made.\n"
    else:
        make_figures(folder / "figures", duration=10.0, n_null=500, say=LOGGER.info)
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Make pages before Sphinx looks which there are; help it with the public names."""
    app.connect("builder-inited", make_pages)
    app.connect("missing-reference", resolve_by_value)
    app.connect("doctree-read", link_code)
    return {"parallel_read_safe": True}
