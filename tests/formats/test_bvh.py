"""BVH: files written by a writer of our own come back; broken ones are refused with their place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.bvh import read_bvh

NAMES = ("Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "Spine", "Head")
PARENTS = (-1, 0, 1, 2, 0, 4)
OFFSETS = np.array(
    [[0, 0, 0], [0.1, 0, 0], [0, -0.45, 0], [0, -0.42, 0], [0, 0.2, 0], [0, 0.5, 0.0]]
)


def turn(axis: str, degrees: float) -> np.ndarray:
    """Rotation about a coordinate axis, written out."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return {
        "X": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "Y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "Z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def expected(order: str, root: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Joint positions of one frame, y up, from the definition of the format."""
    world, position = [], []
    for joint, parent in enumerate(PARENTS):
        local = np.eye(3)
        for axis, angle in zip(order, angles[joint], strict=True):
            local = local @ turn(axis, angle)
        if parent < 0:
            world.append(local)
            position.append(root)
        else:
            position.append(position[parent] + world[parent] @ OFFSETS[joint])
            world.append(world[parent] @ local)
    return np.array(position)


def write(path: Path, order: str, root: np.ndarray, angles: np.ndarray, scale: float = 1.0) -> Path:
    rotation = " ".join(f"{axis}rotation" for axis in order)
    lines = ["HIERARCHY"]

    def joint(k: int, depth: int) -> None:
        kind = "ROOT" if k == 0 else "JOINT"
        moves = "Xposition Yposition Zposition " if k == 0 else ""
        lines.append(f"{'  ' * depth}{kind} {NAMES[k]}")
        lines.append("{")
        lines.append(f"OFFSET {' '.join(f'{scale * x:.9f}' for x in OFFSETS[k])}")
        lines.append(f"CHANNELS {6 if k == 0 else 3} {moves}{rotation}")
        children = [c for c, p in enumerate(PARENTS) if p == k]
        for child in children:
            joint(child, depth + 1)
        if not children:
            lines.extend(["End Site", "{", f"OFFSET 0 {-0.08 * scale} 0", "}"])
        lines.append("}")

    joint(0, 0)
    lines += ["MOTION", f"Frames: {len(root)}", "Frame Time: 0.0083333"]
    for way, pose in zip(root, angles, strict=True):
        # Depth first, which is the order of NAMES.
        lines.append(" ".join(f"{x:.9f}" for x in [*(scale * way), *pose.ravel()]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def good(tmp_path: Path) -> Callable[..., Path]:
    def make(scale: float = 1.0) -> Path:
        root = np.tile([0.0, 0.9, 0.0], (5, 1))
        return write(tmp_path / "a.bvh", "ZXY", root, np.zeros((5, 6, 3)), scale)

    return make


@settings(max_examples=25)
@given(
    order=st.permutations("XYZ").map("".join),
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(3, 6),
)
def test_positions_are_those_of_the_format(
    tmp_path_factory: pytest.TempPathFactory, order: str, seed: int, n: int
) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, 3))
    angles = rng.uniform(-50, 50, (n, len(NAMES), 3))
    path = write(tmp_path_factory.mktemp("bvh") / "a.bvh", order, root, angles)
    data = read_bvh(path)
    assert data.rate == pytest.approx(120, rel=1e-4)
    for frame in range(n):
        y_up = expected(order, root[frame], angles[frame])
        z_up = np.stack([y_up[:, 0], -y_up[:, 2], y_up[:, 1]], axis=1)
        index = [data.index(name) for name in NAMES]
        np.testing.assert_allclose(data.position[frame, index], z_up, atol=1e-6)


def test_centimetres_given_as_metres_are_told(good: Callable[..., Path]) -> None:
    with pytest.raises(FileFormatError, match=r"a body of .* m.*units='cm'"):
        read_bvh(good(scale=100.0))
    data = read_bvh(good(scale=100.0), units="cm")
    np.testing.assert_allclose(data.position, read_bvh(good()).position, atol=1e-9)


def test_millimetres_given_as_metres_are_told(good: Callable[..., Path]) -> None:
    with pytest.raises(FileFormatError, match="units='mm'"):
        read_bvh(good(scale=1000.0))


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("MOTION", "NOTHING", "no sections"),
        ("Frames: 5", "Frames: 0", "5 rows.*the 0 frames"),
        ("Frames: 5", "Frames: 7", "5 rows.*the 7 frames"),
        ("Frame Time: 0.0083333", "Frame Time: 0", "frame time of 0"),
        ("Frame Time: 0.0083333", "Frame Time: 0.0001", "frame rate of 10000 Hz"),
        ("Frame Time: 0.0083333", "Frame Time: 1e9", "frame rate of 1e-09 Hz"),
        ("CHANNELS 3 Zrotation", "CHANNELS 4 Zrotation", "CHANNELS 4"),
        ("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 1 Zrotation", "values in frame 0"),
        ("OFFSET 0.100000000 0.000000000", "OFFSET zero 0.000000000", "'zero.*line"),
        ("JOINT LeftLeg", "JOINT LeftUpLeg", "LeftUpLeg more than once"),
        ("ROOT Hips", "JOINT Hips", "outside a joint"),
    ],
)
def test_broken_files_are_refused(
    good: Callable[..., Path], old: str, new: str, found: str
) -> None:
    path = good()
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(FileFormatError, match=found):
        read_bvh(path)


def test_values_that_are_not_finite_are_refused(good: Callable[..., Path]) -> None:
    path = good()
    lines = path.read_text().splitlines()
    lines[-2] = lines[-2].replace("0.900000000", "nan", 1)
    path.write_text("\n".join(lines))
    with pytest.raises(FileFormatError, match="not finite in frame 3"):
        read_bvh(path)


def test_changing_skeleton_is_refused(good: Callable[..., Path]) -> None:
    path = good()
    lines = path.read_text().splitlines()
    lines[-1] += " 0.0 0.0 0.0"
    path.write_text("\n".join(lines))
    with pytest.raises(FileFormatError, match=r"24 values in frame 4.*must not change"):
        read_bvh(path)


@pytest.mark.parametrize("raw", [b"", b"   \n", b"\x00\x01\x02", b"HIERARCHY\nMOTION\n"])
def test_no_bvh_at_all(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.bvh"
    path.write_bytes(raw)
    with pytest.raises(FileFormatError):
        read_bvh(path)
