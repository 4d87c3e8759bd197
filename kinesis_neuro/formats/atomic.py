"""Writing files and folders so that a crash leaves the former or the new one, never half of it.

A killed write may leave a hidden sibling ``.<name>.<token>.part`` behind. Nothing reads it, and it
may be deleted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from kinesis_neuro.errors import WriteError

_ADVICE = {
    errno.ENOSPC: "Free some space and write again.",
    errno.EDQUOT: "Free some of your quota and write again.",
    errno.EACCES: "Choose a folder that you may write to.",
    errno.EPERM: "Choose a folder that you may write to.",
    errno.EROFS: "Choose a folder that you may write to.",
}
# A reader that undoes a swap just as a writer is in it makes the writer start over; once is rare.
_SWAP_ATTEMPTS = 5


@contextlib.contextmanager
def atomic_path(path: str | Path, *, overwrite: bool = True) -> Iterator[Path]:
    r"""Write a file beside its place and move it there when it is complete.

    Parameters
    ----------
    path : str or Path
        The file to write. A symbolic link is followed.
    overwrite : bool
        Whether a file that is there already may be replaced.

    Yields
    ------
    Path
        A path to write to, in the same folder and with the same suffix (many writers choose the
        format by it). It does not exist yet.

    Raises
    ------
    WriteError
        The operating system refused (no space, no such folder, no permission), the target exists
        and `overwrite` is false, or nothing was written. The former file is as it was. Any other
        exception of the block passes through, with the same guarantee.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "result.csv"
    ...     with atomic_path(file) as part:
    ...         _ = part.write_text("muscle,r\n")
    ...     print([f.name for f in Path(folder).iterdir()])
    ['result.csv']
    """
    with _reporting(path):
        target = _resolve(path)
        part = _part(target, target.suffix)
        _refuse_existing(target, overwrite)
        try:
            yield part
            if not part.is_file():
                raise WriteError(f"{target}: nothing was written to {part.name}.")
            _sync(part)
            # Once more: writing may have taken an hour.
            _refuse_existing(target, overwrite)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
        _sync_entries(target.parent)


@contextlib.contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Write a folder of files beside its place and swap it with the former one when complete.

    No portable call swaps two folders, so the former one is renamed away and the new one renamed
    into its place. A kill in between leaves the former folder, complete, under a hidden name:
    readers call `recover_directory` first. One writer at a time. A reader that opens several
    files while a live writer swaps may get some of each: compare a hash or a step in them.

    Parameters
    ----------
    path : str or Path
        The folder to write; one that is there already is replaced as a whole.

    Yields
    ------
    Path
        An empty folder to write to, beside the target.

    Raises
    ------
    WriteError
        The operating system refused, the target is a file, or nothing was written. The former
        folder is as it was. Any other exception of the block passes through, with the same
        guarantee.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for step in (1, 2):
    ...         with atomic_directory(Path(folder) / "checkpoint") as part:
    ...             _ = (part / f"step_{step}.json").write_text("{}")
    ...     print([str(f.relative_to(folder)) for f in Path(folder).glob("*/*")])
    ['checkpoint/step_2.json']
    """
    with _reporting(path):
        target = _resolve(path)
        if target.exists() and not target.is_dir():
            raise WriteError(
                f"{target} is a file; a folder cannot replace it. Choose another path."
            )
        recover_directory(target)
        part = _part(target)
        try:
            part.mkdir()
            yield part
            # An empty folder would also break recovery: a rename may replace an empty folder.
            if not any(part.iterdir()):
                raise WriteError(f"{target}: nothing was written to {part.name}.")
            _sync_tree(part)
            _swap(part, target)
        finally:
            recover_directory(target)
            shutil.rmtree(part, ignore_errors=True)
        _sync_entries(target.parent)
        _discard_former(target)


def recover_directory(path: str | Path) -> bool:
    """Undo a swap of `atomic_directory` that was cut short.

    It costs one look at the disk when there is nothing to do, is safe to call at any time, also
    while a live process writes, and deletes nothing.

    Parameters
    ----------
    path : str or Path
        The folder that is about to be read.

    Returns
    -------
    bool
        Whether the former folder was put back.

    Raises
    ------
    WriteError
        The former folder is complete but could not be put back; the message says where it is.

    Examples
    --------
    >>> recover_directory("no_such_checkpoint")
    False
    """
    target = Path(os.path.realpath(path))
    former = _former(target)
    if target.exists() or not former.exists():
        return False
    try:
        os.rename(former, target)
    except OSError as error:
        if target.exists():  # a live writer has finished its swap meanwhile
            return False
        raise WriteError(
            f"{target}: writing it was cut short. The former folder is complete in {former}, but "
            f"could not be put back ({error}). Rename it by hand."
        ) from error
    return True


def _swap(part: Path, target: Path) -> None:
    """Put a complete folder in the place of another; after a failure, recovery is due."""
    for _ in range(_SWAP_ATTEMPTS):
        if target.exists():
            _discard_former(target)  # left over by a kill at the end of an earlier write
            os.rename(target, _former(target))
        try:
            os.rename(part, target)
        except OSError:
            if not target.exists():
                raise
        else:
            return
    raise WriteError(f"{target}: another process keeps changing this folder. Write elsewhere.")


def _discard_former(target: Path) -> None:
    """Delete the former folder, while there is another one in its place.

    It is renamed first: a kill while it is being deleted must not leave a half-empty folder under
    the name from which recovery takes a complete one.
    """
    trash = _part(target)
    with contextlib.suppress(OSError):
        os.rename(_former(target), trash)
        shutil.rmtree(trash)


def _resolve(path: str | Path) -> Path:
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise WriteError(f"{target}: there is no folder {target.parent}. Make it first.")
    return target


def _refuse_existing(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise WriteError(f"{target} is a folder; a file cannot replace it. Choose another path.")
    if target.exists() and not overwrite:
        raise WriteError(f"{target} exists already. Pass overwrite=True or choose another path.")


def _part(target: Path, suffix: str = "") -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.part{suffix}")


def _former(target: Path) -> Path:
    return target.with_name(f".{target.name}.former")


@contextlib.contextmanager
def _reporting(path: str | Path) -> Iterator[None]:
    """Turn what the operating system says into a WriteError with advice."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "")
        raise WriteError(
            f"{path} could not be written: {error}. What was there before is as it was. {advice}"
        ) from error


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync(Path(parent, name))
        _sync_entries(Path(parent))


def _sync(file: Path) -> None:
    """Force a file's bytes to disk, so that the rename cannot overtake them."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def _sync_entries(folder: Path) -> None:
    """Force the names in a folder to disk, as far as the system allows.

    Some file systems, and Windows, cannot. Then only a power cut, not a kill, can undo a rename,
    and the files are whole before and after it: no reason to report a failure.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
