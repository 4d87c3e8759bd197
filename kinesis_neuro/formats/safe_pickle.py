"""Motion files that are pickles by nature, read without running what is in them.

KINESIS and PHC store their motions with joblib: pickles in which NumPy arrays lie as raw bytes,
beside tensors of torch. A pickle may name any function of any module and call it. Here a name
that is not on a short list is refused before anything is called, and what is on the list is
replaced by code of this module that accepts numbers alone: an array of Python objects, which is a
pickle in the pickle, is refused as well, and torch's storages are loaded with ``weights_only``.
"""

from __future__ import annotations

import gzip
import io
import pickle
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import FileFormatError

_EXPECTED = "a joblib pickle of dicts, numbers, texts, NumPy arrays and torch tensors"
MAX_BYTES = 2 << 30
"""Size of a decompressed file beyond which it is not read."""


class _Refused(pickle.UnpicklingError):
    """The file asks for something that is not on the list."""


def _safe_dtype(*arguments: Any) -> np.dtype:
    dtype = np.dtype(*arguments)
    if dtype.hasobject:
        raise _Refused("an array of Python objects")
    return dtype


class _Ndarray:
    """Stands for numpy.ndarray where it is named as a class, and cannot be called."""


class _PlainArray:
    """Stands for an array that NumPy pickled by itself, until its state is set."""

    def __init__(self, *_: Any) -> None:
        self.value: NDArray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, np.dtype) or dtype.hasobject or not isinstance(raw, bytes):
            raise _Refused("an array of Python objects")
        flat = np.frombuffer(raw, dtype=dtype)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


class _JoblibArray:
    """Stands for joblib's NumpyArrayWrapper: what follows it in the file are an array's bytes."""

    def __setstate__(self, state: dict) -> None:
        self.shape = tuple(int(n) for n in state["shape"])
        self.order, self.dtype = state["order"], state["dtype"]
        self.padded = state.get("numpy_array_alignment_bytes") is not None
        if not isinstance(self.dtype, np.dtype) or self.dtype.hasobject:
            raise _Refused("an array of Python objects")

    def read(self, file: IO[bytes]) -> NDArray:
        if self.padded:
            file.read(file.read(1)[0])
        size = int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize
        raw = file.read(size) if 0 <= size <= MAX_BYTES else b""
        if len(raw) != size:
            raise _Refused("an array that is cut off")
        return np.frombuffer(raw, dtype=self.dtype).reshape(self.shape, order=self.order)


def _scalar(dtype: np.dtype, raw: bytes) -> Any:
    return np.frombuffer(raw, dtype=_safe_dtype(dtype))[0]


def _load_storage(raw: bytes) -> Any:
    import torch

    return torch.load(io.BytesIO(raw), weights_only=True)


def _tensor(storage: Any, offset: int, size: tuple, stride: tuple, *_: Any) -> NDArray:
    import torch

    if not isinstance(storage, torch.storage.TypedStorage | torch.UntypedStorage):
        raise _Refused("a tensor without a storage of torch")
    rebuilt = torch._utils._rebuild_tensor(storage, offset, size, stride)
    return np.array(rebuilt.detach().cpu().numpy())


_NUMPY_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")
_ALLOWED: dict[tuple[str, str], Any] = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _JoblibArray,
    ("numpy", "ndarray"): _Ndarray,
    ("numpy", "dtype"): _safe_dtype,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch.storage", "_load_from_bytes"): _load_storage,
    **{(core, "_reconstruct"): _PlainArray for core in _NUMPY_CORES},
    **{(core, "scalar"): _scalar for core in _NUMPY_CORES},
}


# The interpreter written in Python, since that in C cannot be told to read bytes between opcodes.
class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.raw_file = file

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise _Refused(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("it refers to objects outside the file")

    def get_extension(self, code: int) -> Any:
        raise _Refused("it uses an extension registry")

    def load_build(self) -> None:
        target = self.stack[-2]  # type: ignore[attr-defined]
        # Only these two take a state; every other class would have its attributes overwritten.
        if isinstance(target, np.dtype):
            state = self.stack[-1]  # type: ignore[attr-defined]
            if not (isinstance(state, tuple) and all(_is_plain(x) for x in state)):
                raise _Refused("a structured data type")
        elif not isinstance(target, _JoblibArray | _PlainArray):
            raise _Refused(f"a state for {type(target).__name__}")
        super().load_build()  # type: ignore[misc]
        if isinstance(target, _JoblibArray):
            self.stack[-1] = target.read(self.raw_file)  # type: ignore[attr-defined]
        elif isinstance(target, _PlainArray):
            # The placeholder may be in the memo already; `_resolved` finds those.
            pass

    dispatch[pickle.BUILD[0]] = load_build


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, int | str)


def _resolved(value: Any) -> Any:
    """Arrays for their placeholders, in what was read."""
    if isinstance(value, dict):
        return {_resolved(k): _resolved(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_resolved(v) for v in value)
    return value.value if isinstance(value, _PlainArray) else value


def read_pickle(path: str | Path) -> Any:
    """Read a joblib or plain pickle of numbers and texts; whatever else it asks for is refused.

    Parameters
    ----------
    path : str or Path
        Plain, or compressed with zlib or gzip as joblib does.

    Returns
    -------
    object
        Dicts, lists, texts, numbers and arrays; tensors of torch as arrays.

    Raises
    ------
    FileFormatError
        The file asks for a function or class that is not on the list (which is then not called),
        holds arrays of Python objects, or is damaged.

    Examples
    --------
    >>> import os, pickle, tempfile
    >>> class Hostile:
    ...     def __reduce__(self):
    ...         return os.getcwd, ()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "motion.pkl"
    ...     _ = file.write_bytes(pickle.dumps({"walk": Hostile()}))
    ...     read_pickle(file)
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: ...motion.pkl: it asks for posix.getcwd...
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(path, "a folder" if path.is_dir() else "no such file", _EXPECTED)
    try:
        raw = _decompressed(path.read_bytes())
        return _resolved(_Unpickler(io.BytesIO(raw)).load())
    except _Refused as error:
        raise FileFormatError(path, str(error), f"{_EXPECTED}, and nothing was run") from error
    except RecursionError as error:
        raise FileFormatError(path, "nested without end", _EXPECTED) from error
    except Exception as error:  # damaged bytes lead the interpreter anywhere
        raise FileFormatError(path, f"cannot be read ({error})", _EXPECTED) from error


def _decompressed(raw: bytes) -> bytes:
    if raw[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            content = file.read(MAX_BYTES + 1)
    elif raw[:1] == b"\x78":
        content = zlib.decompressobj().decompress(raw, MAX_BYTES + 1)
    else:
        return raw
    if len(content) > MAX_BYTES:
        raise _Refused(f"more than {MAX_BYTES >> 30} GB when decompressed")
    return content
