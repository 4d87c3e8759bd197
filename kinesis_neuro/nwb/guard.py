"""A file for HDF5 to write to, which never lets it see that the disk is full.

HDF5 cannot close a file that it failed to write to: it tries again at every later occasion, and in
the end takes the whole process with it. So the first failure is kept back here, whatever HDF5
still writes stays in memory, and it closes the file in peace. Then the failure is raised.
"""

from __future__ import annotations

import io
from pathlib import Path
from types import TracebackType
from typing import Self


class GuardedFile(io.RawIOBase):
    """A new file, for reading and writing, as `h5py.File` takes it.

    Parameters
    ----------
    path : Path
        The file; one that is there is emptied.

    Attributes
    ----------
    failure : OSError or None
        The first failure to write. What was written since is in memory only.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._place = 0
        self._size = 0
        self._kept: list[tuple[int, bytes]] = []
        self.failure: OSError | None = None

    def check(self) -> None:
        """Raise the failure, if there was one."""
        if self.failure is not None:
            raise self.failure

    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]
        """Write all of the data at the current place, to the disk or else to memory."""
        view = memoryview(data)
        if self.failure is None:
            try:
                self._file.seek(self._place)
                left = view
                while left:
                    left = left[self._file.write(left) :]
            except OSError as error:
                self.failure = error
        if self.failure is not None:
            self._kept.append((self._place, bytes(view)))
        self._place += len(view)
        self._size = max(self._size, self._place)
        return len(view)

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Read what was written last; zeros where nothing was."""
        buffer[:] = bytes(len(buffer))
        self._file.seek(self._place)
        self._file.readinto(buffer)
        start, stop = self._place, self._place + len(buffer)
        for place, data in self._kept:
            first, last = max(start, place), min(stop, place + len(data))
            if first < last:
                buffer[first - start : last - start] = data[first - place : last - place]
        self._place = stop
        return len(buffer)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the length of the file."""
        self._size = self._place if size is None else size
        if self.failure is None:
            try:
                self._file.truncate(self._size)
            except OSError as error:
                self.failure = error
        return self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = origin + offset
        return self._place

    def tell(self) -> int:
        """Tell the place."""
        return self._place

    def readable(self) -> bool:
        """Say that the file can be read."""
        return True

    def writable(self) -> bool:
        """Say that the file can be written."""
        return True

    def seekable(self) -> bool:
        """Say that there are places to go to."""
        return True

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
