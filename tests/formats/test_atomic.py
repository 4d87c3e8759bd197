"""Writing without halves: errors, full disks and kills leave the former or the new file."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kinesis_neuro.errors import WriteError
from kinesis_neuro.formats.atomic import atomic_directory, atomic_path, recover_directory

OLD = {"a.txt": "old", "sub/b.txt": "old"}
NEW = {"a.txt": "new", "sub/b.txt": "new", "c.txt": "new"}


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def failing(number: int) -> Any:
    def fail(*args: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_file_is_written_and_replaced(tmp_path: Path) -> None:
    target = tmp_path / "result.npz"
    for text in ("one", "two"):
        with atomic_path(target) as part:
            assert part.parent == tmp_path
            assert part.suffix == ".npz"
            assert not part.exists()
            part.write_text(text)
        assert content(tmp_path) == {"result.npz": text}


def test_block_that_fails_leaves_the_former_file(tmp_path: Path) -> None:
    target = tmp_path / "result.csv"
    target.write_text("former")
    with pytest.raises(KeyboardInterrupt), atomic_path(target) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert content(tmp_path) == {"result.csv": "former"}


def test_overwrite_refused_before_and_after_the_block(tmp_path: Path) -> None:
    target = tmp_path / "result.csv"
    with (
        pytest.raises(WriteError, match="exists already"),
        atomic_path(target, overwrite=False) as part,
    ):
        part.write_text("mine")
        target.write_text("another process")
    assert content(tmp_path) == {"result.csv": "another process"}
    with pytest.raises(WriteError, match="overwrite=True"), atomic_path(target, overwrite=False):
        pytest.fail("the block ran")


def test_symbolic_link_is_followed(tmp_path: Path) -> None:
    real = tmp_path / "real.txt"
    real.write_text("former")
    (tmp_path / "link.txt").symlink_to(real)
    with atomic_path(tmp_path / "link.txt") as part:
        part.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert real.read_text() == "new"


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("former")
    with pytest.raises(WriteError, match="Make it first"), atomic_path(tmp_path / "no" / "f"):
        pass
    with pytest.raises(WriteError, match="Make it first"), atomic_directory(tmp_path / "no" / "f"):
        pass
    with pytest.raises(WriteError, match="is a folder"), atomic_path(tmp_path / "folder"):
        pass
    with pytest.raises(WriteError, match="is a file"), atomic_directory(tmp_path / "file"):
        pass
    with pytest.raises(WriteError, match="nothing was written"), atomic_path(tmp_path / "file"):
        pass
    with pytest.raises(WriteError, match="nothing was written"), atomic_directory(tmp_path / "new"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize(
    ("call", "number", "advice"),
    [
        ("fsync", errno.ENOSPC, "Free some space"),
        ("fsync", errno.EDQUOT, "quota"),
        ("replace", errno.EACCES, "that you may write to"),
        ("replace", errno.EIO, "Input/output error"),
    ],
)
def test_system_error_leaves_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, advice: str
) -> None:
    target = tmp_path / "result.csv"
    target.write_text("former")
    monkeypatch.setattr(os, call, failing(number))
    with pytest.raises(WriteError, match=advice) as caught, atomic_path(target) as part:
        part.write_text("new")
    assert isinstance(caught.value.__cause__, OSError)
    assert content(tmp_path) == {"result.csv": "former"}


def test_disk_full_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "run", OLD)
    (tmp_path / "f").write_text("former")
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    with pytest.raises(WriteError, match="Free some space"), atomic_path(tmp_path / "f") as part:
        with part.open("wb") as stream:
            os.write(stream.fileno(), b"new")
    with pytest.raises(WriteError, match="Free some space"):
        with atomic_directory(tmp_path / "run") as folder:
            fill(folder, NEW)
            with (folder / "more").open("wb") as stream:
                os.write(stream.fileno(), b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f", "run"]
    assert content(tmp_path / "run") == OLD
    assert (tmp_path / "f").read_text() == "former"


def test_folder_is_written_and_replaced(tmp_path: Path) -> None:
    target = tmp_path / "run"
    for files in (OLD, NEW):
        with atomic_directory(target) as part:
            fill(part, files)
        assert content(target) == files
        assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert recover_directory(target) is False


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_block_that_fails_leaves_the_former_folder(
    tmp_path: Path, error: type[BaseException]
) -> None:
    fill(tmp_path / "run", OLD)
    with pytest.raises(error), atomic_directory(tmp_path / "run") as part:
        fill(part, NEW)
        raise error
    assert content(tmp_path) == {f"run/{name}": text for name, text in OLD.items()}


@pytest.mark.parametrize("existed", [True, False])
def test_swap_that_fails_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existed: bool
) -> None:
    target = tmp_path / "run"
    if existed:
        fill(target, OLD)
    rename = os.rename

    def fail_into_place(source: Path, destination: Path) -> None:
        if Path(source).suffix == ".part":
            raise OSError(errno.EIO, "Input/output error")
        rename(source, destination)

    monkeypatch.setattr(os, "rename", fail_into_place)
    with pytest.raises(WriteError, match="Input/output"), atomic_directory(target) as part:
        fill(part, NEW)
    assert content(tmp_path) == ({f"run/{n}": t for n, t in OLD.items()} if existed else {})


@pytest.mark.parametrize("readers", [1, 99])
def test_reader_that_recovers_during_the_swap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readers: int
) -> None:
    target = tmp_path / "run"
    fill(target, OLD)
    rename = os.rename
    recovered: list[bool] = []

    def rename_with_readers(source: Path, destination: Path) -> None:
        rename(source, destination)
        if Path(destination).suffix == ".former" and len(recovered) < readers:
            recovered.append(recover_directory(target))

    monkeypatch.setattr(os, "rename", rename_with_readers)
    if readers == 1:
        with atomic_directory(target) as part:
            fill(part, NEW)
    else:
        with pytest.raises(WriteError, match="another process"), atomic_directory(target) as part:
            fill(part, NEW)
    assert recovered and all(recovered)
    assert content(tmp_path) == {
        f"run/{name}": text for name, text in (NEW if readers == 1 else OLD).items()
    }


def test_recovery_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "run"
    former = tmp_path / ".run.former"
    fill(former, OLD)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing(errno.EROFS))
        with pytest.raises(WriteError, match="Rename it by hand") as caught:
            recover_directory(target)
    assert str(former) in str(caught.value)

    rename = os.rename

    def writer_was_faster(source: Path, destination: Path) -> None:
        fill(target, NEW)
        rename(source, destination)

    monkeypatch.setattr(os, "rename", writer_was_faster)
    assert recover_directory(target) is False
    assert content(target) == NEW


# Kills the process at the n-th call of one function of os, before or after the call.
KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from kinesis_neuro.formats.atomic import atomic_directory

target, call, n, when = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
original = getattr(os, call)
count = 0

def kill(*args, **options):
    global count
    count += 1
    if count == n and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*args, **options)
    if count == n:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

with atomic_directory(target) as part:
    setattr(os, call, kill)
    (part / "sub").mkdir()
    for name in ("a.txt", "sub/b.txt", "c.txt"):
        (part / name).write_text("new")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
@pytest.mark.parametrize(
    ("call", "n", "when", "expected"),
    [
        ("fsync", 2, "before", OLD),
        ("rename", 1, "before", OLD),  # discarding a former folder that is not there
        ("rename", 2, "before", OLD),
        ("rename", 2, "after", OLD),  # between the two renames of the swap
        ("rename", 3, "before", OLD),
        ("rename", 3, "after", NEW),
        ("rename", 4, "before", NEW),
        ("rename", 4, "after", NEW),
        ("unlink", 1, "after", NEW),  # the former folder is half deleted
    ],
)
def test_kill_leaves_one_whole_folder(
    tmp_path: Path, call: str, n: int, when: str, expected: dict[str, str]
) -> None:
    target = tmp_path / "run"
    fill(target, OLD)
    arguments = [sys.executable, "-c", KILLED_WRITER, str(target), call, str(n), when]
    killed = subprocess.run(
        arguments, cwd=Path(__file__).parents[2], capture_output=True, timeout=60, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    missing = not target.exists()
    assert recover_directory(target) is missing
    assert content(target) == expected

    # The next write works, whatever was left beside, and leaves nothing to recover.
    with atomic_directory(target) as part:
        fill(part, {"a.txt": "newer"})
    assert content(target) == {"a.txt": "newer"}
    target.rename(tmp_path / "elsewhere")
    assert recover_directory(target) is False
