"""The package imports lightly, the README tells the truth, and no file knows this machine."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import gymnasium
import pytest

import kinesis_neuro

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
HEAVY = {"torch", "mujoco", "myo_sim", "pynwb", "matplotlib", "pandas", "scipy", "xarray"}


def commands(text: str) -> list[str]:
    return re.findall(r"^```bash\n(.*?)\n```$", text, flags=re.MULTILINE | re.DOTALL)


def imported_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import kinesis_neuro",
        "import kinesis_neuro; dir(kinesis_neuro); kinesis_neuro.__version__.split()",
        "import gymnasium, kinesis_neuro; gymnasium.spec('kinesis_neuro/Imitation-v0')",
    ],
)
def test_import_loads_neither_physics_nor_learning(statement: str) -> None:
    # Time goes into loading: no clock is needed, and none would hold on a busy machine.
    assert not imported_by(statement) & HEAVY


def test_the_table_of_names_and_the_type_checker_see_the_same() -> None:
    tree = ast.parse((ROOT / "kinesis_neuro" / "__init__.py").read_text())
    checked = next(n for n in tree.body if isinstance(n, ast.If) and "TYPE" in ast.dump(n.test))
    imports = [n for n in checked.body if isinstance(n, ast.ImportFrom) and not n.level]
    seen = {alias.asname: node.module for node in imports for alias in node.names}
    assert seen == kinesis_neuro._MODULE_OF


@pytest.mark.parametrize("name", sorted(kinesis_neuro._MODULE_OF))
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(kinesis_neuro, name)
    assert callable(value)
    assert name in dir(kinesis_neuro)


def test_synthetic_data_need_no_import_of_their_own() -> None:
    code = "import kinesis_neuro as kn; assert 'synthetic' in dir(kn); print(kn.synthetic.gait_emg)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert b"function gait_emg" in done.stdout


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'recrod'"):
        _ = kinesis_neuro.recrod


def test_a_module_does_not_hide_the_function_of_its_name() -> None:
    # What the import system does after `from kinesis_neuro.record import ...`.
    kinesis_neuro.record = ModuleType("kinesis_neuro.record")
    assert not isinstance(vars(kinesis_neuro).get("record"), ModuleType)


def test_gymnasium_knows_the_task() -> None:
    spec = gymnasium.spec("kinesis_neuro/Imitation-v0")
    assert isinstance(spec.entry_point, str)
    assert isinstance(spec.vector_entry_point, str)


def test_readme_has_two_commands_and_ci_runs_the_second() -> None:
    demo, tests = commands(README)
    assert demo.endswith("kinesis-neuro demo")
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    assert ci[-1] == tests
    assert [line for line in ci if line and not line.startswith("#")][:-1] == [
        "set -euo pipefail",
        'cd "$(dirname "$0")/.."',
    ]


def tracked_texts() -> list[tuple[str, str]]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not in a git checkout: what belongs to the repository is unknown")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    texts = []
    for name in filter(None, listed.stdout.split("\0")):
        try:
            texts.append((name, Path(ROOT, name).read_text(encoding="utf-8")))
        except (UnicodeDecodeError, FileNotFoundError):  # binary; deleted, but not yet committed
            continue
    return texts


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?<![\w.$}~*-])/(?:work|tmp|root|home|opt|mnt|Users)/\w",
        r"(?:pypi|pythonhosted|anaconda|download\.pytorch)\.org",
    ],
    ids=["machine paths", "registry hosts"],
)
def test_no_tracked_file_names(pattern: str) -> None:
    found = [
        f"{name}: {match.group()}"
        for name, text in tracked_texts()
        for match in re.finditer(pattern, text)
    ]
    assert not found
