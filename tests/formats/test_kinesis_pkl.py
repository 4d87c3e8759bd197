"""KINESIS's pickles: what they hold comes out, and no code in one is run."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from kinesis_neuro.errors import FileFormatError, InvalidInputError
from kinesis_neuro.formats.kinesis_pkl import read_kinesis_pkl, select_clip
from kinesis_neuro.formats.safe_pickle import read_pickle


class Hostile:
    """Makes a folder when it is unpickled by a reader that trusts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


def clip(n: int = 6, **changes: Any) -> dict[str, Any]:
    trans = np.tile([0.0, 0.0, 0.95], (n, 1))
    return {
        "pose_aa": np.zeros((n, 72)),
        "root_trans_offset": torch.tensor(trans),
        "fps": 20.0,
        "gender": "neutral",
        "beta": np.zeros(10),
    } | changes


def dump(path: Path, content: object, **options: Any) -> Path:
    joblib.dump(content, path, **options)
    return path


# -- what they hold -------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3)])
def test_clips_come_out(tmp_path: Path, compress: Any) -> None:
    rng = np.random.default_rng(0)
    poses = 0.3 * rng.normal(size=(8, 72))
    path = dump(tmp_path / "m.pkl", {"a": clip(8, pose_aa=poses), "b": clip()}, compress=compress)
    clips = read_kinesis_pkl(path)
    assert list(clips) == ["a", "b"]
    assert clips["a"].n_frames == 8 and clips["a"].rate == 20.0
    np.testing.assert_allclose(clips["a"].root_position[:, 2], 0.95)
    assert select_clip(clips, "b").n_frames == 6
    with pytest.raises(InvalidInputError, match="Available: a, b"):
        select_clip(clips, None)


@settings(max_examples=30)
@given(
    array=arrays(
        st.sampled_from(["<f8", "<f4", ">f8", "<i8", "|u1", "|b1"]), array_shapes(max_dims=3)
    ),
    fortran=st.booleans(),
)
def test_any_array_of_numbers_comes_back(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, fortran: bool
) -> None:
    array = np.asfortranarray(array) if fortran else array
    folder = tmp_path_factory.mktemp("pkl")
    for path, save in (("joblib", joblib.dump), ("plain", None)):
        file = folder / path
        content = {"x": array, "text": "a", "list": [1, 2.5, None]}
        if save:
            save(content, file)
        else:
            file.write_bytes(pickle.dumps(content))
        read = read_pickle(file)
        np.testing.assert_array_equal(read["x"], array)
        assert read["text"] == "a" and read["list"] == [1, 2.5, None]


def test_tensors_come_back(tmp_path: Path) -> None:
    tensor = torch.arange(24.0).reshape(4, 6)[:, ::2]
    read = read_pickle(dump(tmp_path / "m.pkl", {"t": tensor}))
    np.testing.assert_array_equal(read["t"], tensor.numpy())


# -- hostile files --------------------------------------------------------------------------------


def nested(folder: Path) -> bytes:
    """A tensor's storage that is a pickle of its own, hidden where torch looks for one."""

    class Nested:
        def __reduce__(self) -> tuple:
            inner = io.BytesIO()
            torch.save({"x": Hostile(folder)}, inner)
            return torch.storage._load_from_bytes, (inner.getvalue(),)

    return pickle.dumps(Nested())


@pytest.mark.parametrize("kind", ["plain", "joblib", "object_array", "in_a_clip", "nested"])
def test_code_in_a_file_is_not_run(tmp_path: Path, kind: str) -> None:
    made = tmp_path / "made"
    file = tmp_path / "m.pkl"
    hostile = Hostile(made)
    if kind == "plain":
        file.write_bytes(pickle.dumps(hostile))
    elif kind == "joblib":
        joblib.dump({"a": hostile}, file)
    elif kind == "object_array":
        joblib.dump({"a": np.array([hostile, 1], dtype=object)}, file)
    elif kind == "in_a_clip":
        joblib.dump({"a": clip(fps=hostile)}, file)
    else:
        file.write_bytes(nested(made))
    with pytest.raises(FileFormatError):
        read_kinesis_pkl(file)
    assert not made.exists()
    # The same file does harm to a reader that trusts it, so the test can fail.
    if kind == "plain":
        pickle.loads(file.read_bytes())
        assert made.exists()


@pytest.mark.parametrize(
    "opcodes",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"S'id'\nP1\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    ],
)
def test_every_way_to_name_a_function_is_refused(tmp_path: Path, opcodes: bytes) -> None:
    file = tmp_path / "m.pkl"
    file.write_bytes(opcodes)
    with pytest.raises(FileFormatError):
        read_pickle(file)


@settings(max_examples=60)
@given(data=st.binary(max_size=200))
def test_any_bytes_give_one_error_or_a_value(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.mktemp("pkl") / "m.pkl"
    file.write_bytes(data)
    with pytest.raises(FileFormatError):
        read_kinesis_pkl(file)


# -- malformed clips ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"fps": 0.0}, "frame rate of 0 Hz"),
        ({"fps": 10_000.0}, "frame rate of 10000 Hz"),
        ({"pose_aa": np.zeros((0, 72)), "root_trans_offset": np.zeros((0, 3))}, "0 frames"),
        ({"pose_aa": np.full((6, 72), np.nan)}, "not finite in frame 0"),
        ({"pose_aa": np.zeros((6, 24))}, "22 body joints"),
        ({"pose_aa": np.zeros((5, 72))}, "one row a pose"),
        ({"pose_aa": "text"}, "could not convert"),
        ({"root_trans_offset": np.tile([0, 0, 950.0], (6, 1))}, "units='mm'"),
        ({"root_trans_offset": np.tile([0, 0, 95.0], (6, 1))}, "units='cm'"),
    ],
)
def test_malformed_clips_are_refused(tmp_path: Path, changes: dict[str, Any], found: str) -> None:
    path = dump(tmp_path / "m.pkl", {"a": clip(**changes)})
    with pytest.raises(FileFormatError, match=found):
        read_kinesis_pkl(path)


def test_missing_keys_and_cut_files_are_refused(tmp_path: Path) -> None:
    path = dump(tmp_path / "m.pkl", {"a": {"fps": 20.0}})
    with pytest.raises(FileFormatError, match="no pose_aa, root_trans_offset in clip 'a'"):
        read_kinesis_pkl(path)
    whole = dump(tmp_path / "n.pkl", {"a": clip()}).read_bytes()
    for part in (10, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:part])
        with pytest.raises(FileFormatError):
            read_kinesis_pkl(path)


@pytest.mark.data
def test_real_files(data_dir: Path) -> None:
    files = sorted((data_dir / "kinesis_assets" / "t2m").glob("*.pkl"))
    assert len(files) == 25
    for file in files[::6]:
        (motion,) = read_kinesis_pkl(file).values()
        assert motion.n_frames == 66 and motion.rate == 20.0
        assert 0.8 < np.median(motion.root_position[:, 2]) < 1.1
        # Upright: the pelvis' up, (0, 0, 1) in neutral standing, points up.
        x, y = motion.orientation[:, 0, 1:3].T
        assert (1 - 2 * (x**2 + y**2)).min() > 0.8
