"""DeepMimic, AMASS and HumanML3D: values that are known come out, malformed files are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.deepmimic import read_deepmimic
from kinesis_neuro.formats.humanml3d import read_humanml3d
from kinesis_neuro.formats.motion_data import MotionData, checked
from kinesis_neuro.formats.smpl import BODY_PARENTS, read_smpl

# Axes of SMPL (x left, y up, z forward) and of DeepMimic (x forward, y up, z right) in the world
# of the bodies (left is +x, forward is -y, up is +z).
SMPL_AXES = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
DEEPMIMIC_AXES = np.array([[0, 0, -1.0], [-1, 0, 0], [0, 1, 0]])


def matrix(quaternion: np.ndarray) -> np.ndarray:
    return Rotation.from_quat(quaternion, scalar_first=True).as_matrix()


# -- DeepMimic ------------------------------------------------------------------------------------


def frame(root: np.ndarray, hip: Rotation, knee: float, dt: float = 1 / 30) -> list[float]:
    one = [1.0, 0, 0, 0]
    quaternion = list(hip.as_quat(scalar_first=True))
    legs = [*quaternion, knee, *one]
    return [dt, *root, *one, *one, *one, *legs, *one, 0.0, *one, 0.0, *one, *one, 0.0]


def write_deepmimic(path: Path, frames: list[list[float]]) -> Path:
    path.write_text(json.dumps({"Loop": "none", "Frames": frames}))
    return path


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), knee=st.floats(-2.5, 0.0))
def test_deepmimic_turns_segments_as_it_says(
    tmp_path_factory: pytest.TempPathFactory, seed: int, knee: float
) -> None:
    hip = Rotation.random(rng=np.random.default_rng(seed))
    root = np.array([1.0, 0.9, 0.5])
    path = tmp_path_factory.mktemp("dm") / "a.txt"
    data = read_deepmimic(write_deepmimic(path, [frame(root, hip, knee)] * 4))
    thigh = matrix(data.orientation[0, data.index("right_hip")])
    shank = matrix(data.orientation[0, data.index("right_knee")])
    # A vector of the neutral thigh, in the humanoid's own axes, turned there and then mapped.
    turned = hip.as_matrix()
    bent = turned @ Rotation.from_euler("z", knee).as_matrix()
    np.testing.assert_allclose(thigh @ DEEPMIMIC_AXES, DEEPMIMIC_AXES @ turned, atol=1e-6)
    np.testing.assert_allclose(shank @ DEEPMIMIC_AXES, DEEPMIMIC_AXES @ bent, atol=1e-6)
    np.testing.assert_allclose(data.root_position[0], [-0.5, -1.0, 0.9], atol=1e-12)
    assert data.rate == pytest.approx(30)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda f: [], "no frames"),
        (lambda f: f[:2], "2 frames"),
        (lambda f: [*f[:3], f[3][:-4]], "40 values in frame 3"),
        (lambda f: [[np.nan, *x[1:]] for x in f], "not finite|frame time"),
        (lambda f: [[0.0, *x[1:]] for x in f], "frame time of 0"),
        (lambda f: [[1e-4, *x[1:]] for x in f], "frame rate of 10000"),
        (lambda f: [*f[:2], [0.1, *f[2][1:]], *f[3:]], "different durations"),
        (lambda f: [[*x[:4], 0.1, 0, 0, 0, *x[8:]] for x in f], "quaternion of length 0.1"),
        (lambda f: [[x[0], 0, 90.0, 0, *x[4:]] for x in f], "units='cm'"),
        (lambda f: [[x[0], 0, 900.0, 0, *x[4:]] for x in f], "units='mm'"),
        (lambda f: [[*x[:10], "a", *x[11:]] for x in f], "no numbers"),
    ],
)
def test_malformed_deepmimic(tmp_path: Path, change: Any, found: str) -> None:
    frames = [frame(np.array([0, 0.9, 0]), Rotation.identity(), -0.1) for _ in range(6)]
    path = write_deepmimic(tmp_path / "a.txt", change(frames))
    with pytest.raises(FileFormatError, match=found):
        read_deepmimic(path)


def test_no_json(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text in ("", "{", "[1, 2]", '{"Frames": 3}', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(FileFormatError):
            read_deepmimic(path)


@pytest.mark.data
def test_real_deepmimic(data_dir: Path) -> None:
    """Speeds that the data's own README states."""
    for clip, speed in (("walk", 0.98), ("jog", 2.80), ("run", 3.56), ("stealthy_walk", 0.42)):
        data = read_deepmimic(data_dir / "deepmimic" / f"humanoid3d_{clip}.txt")
        way = np.linalg.norm(data.root_position[-1, :2] - data.root_position[0, :2])
        assert way / data.duration == pytest.approx(speed, abs=0.03)


# -- AMASS ----------------------------------------------------------------------------------------


def smpl_arrays(n: int = 5, width: int = 156) -> dict[str, Any]:
    poses = np.zeros((n, width))
    poses[:, 0] = np.pi / 2  # y up to z up: AMASS's world
    return {
        "poses": poses,
        "trans": np.tile([0, 0, 0.95], (n, 1)),
        "mocap_framerate": np.array(120.0),
        "betas": np.zeros(16),
        "gender": np.array("female"),
    }


@pytest.mark.parametrize("width", [66, 72, 156, 165])
def test_smpl_standing_is_neutral(tmp_path: Path, width: int) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **smpl_arrays(width=width))
    data = read_smpl(path)
    assert data.position is None
    np.testing.assert_allclose(
        matrix(data.orientation.reshape(-1, 4)), np.tile(np.eye(3), (110, 1, 1)), atol=1e-7
    )


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_smpl_chain_and_own_model(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """With a made-up model, joints lie where the chain of rotations puts them."""
    rng = np.random.default_rng(seed)
    arrays = smpl_arrays()
    arrays["poses"][:, :66] = rng.normal(size=(5, 66))
    folder = tmp_path_factory.mktemp("smpl")
    np.savez(folder / "a.npz", **arrays)
    joints = np.cumsum(rng.uniform(0.02, 0.08, (24, 3)), axis=0)
    np.savez(
        folder / "model.npz",
        v_template=joints,
        shapedirs=np.zeros((24, 3, 16)),
        J_regressor=np.eye(24),
    )
    data = read_smpl(folder / "a.npz", model=folder / "model.npz")
    local = Rotation.from_rotvec(arrays["poses"][0, :66].reshape(22, 3)).as_matrix()
    world: list[np.ndarray] = []
    place: list[np.ndarray] = []
    for k, parent in enumerate(BODY_PARENTS):
        if parent < 0:
            world.append(local[k])
            place.append(arrays["trans"][0] + joints[0])
        else:
            world.append(world[parent] @ local[k])
            place.append(place[parent] + world[parent] @ (joints[k] - joints[parent]))
        np.testing.assert_allclose(matrix(data.orientation[0, k]) @ SMPL_AXES, world[k], atol=1e-6)
    np.testing.assert_allclose(data.position[0], place, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"mocap_framerate": np.array(0.0)}, "frame rate of 0"),
        ({"mocap_framerate": np.array(10_000.0)}, "frame rate of 10000"),
        ({"poses": np.zeros((0, 156)), "trans": np.zeros((0, 3))}, "0 frames"),
        ({"poses": np.zeros((5, 30))}, "22 body joints"),
        ({"poses": np.zeros((4, 156))}, "one row a pose"),
        ({"poses": np.full((5, 156), np.inf)}, "not finite"),
        ({"trans": np.full((5, 3), np.nan)}, "trans not finite"),
        ({"trans": np.tile([0, 0, 950.0], (5, 1))}, "units='mm'"),
        ({"trans": np.zeros((5, 2))}, "one row a pose"),
    ],
)
def test_malformed_smpl(tmp_path: Path, changes: dict[str, Any], found: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **(smpl_arrays() | changes))
    with pytest.raises(FileFormatError, match=found):
        read_smpl(path)


@pytest.mark.parametrize("missing", ["poses", "trans", "mocap_framerate"])
def test_smpl_without_a_key(tmp_path: Path, missing: str) -> None:
    arrays = smpl_arrays()
    del arrays[missing]
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(FileFormatError):
        read_smpl(path)


def test_smpl_objects_are_not_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **(smpl_arrays() | {"poses": np.array([{}, 1], dtype=object)}))
    with pytest.raises(FileFormatError, match="keys"):
        read_smpl(path)


# -- HumanML3D ------------------------------------------------------------------------------------


def standing(n: int = 6) -> np.ndarray:
    """22 joints with y up, a plausible person."""
    heights = [0.95, 0.87, 0.87, 1.05, 0.47, 0.47, 1.15, 0.08, 0.08, 1.2, 0.02, 0.02, 1.45]
    heights += [1.38, 1.38, 1.55, 1.4, 1.4, 1.15, 1.15, 0.9, 0.9]
    side = [0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 2, -2, 2, -2, 2, -2]
    joints = np.stack([0.09 * np.array(side), heights, np.zeros(22)], axis=1)
    joints[10:12, 2] = 0.12
    return np.tile(joints, (n, 1, 1))


def test_humanml3d_both_layouts(tmp_path: Path) -> None:
    joints = standing()
    np.save(tmp_path / "a.npy", joints)
    np.save(tmp_path / "b.npy", np.moveaxis(joints, 0, -1))
    first, second = read_humanml3d(tmp_path / "a.npy"), read_humanml3d(tmp_path / "b.npy")
    np.testing.assert_array_equal(first.position, second.position)
    np.testing.assert_allclose(first.position[0, :, 2], joints[0, :, 1])
    assert first.rate == 20.0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda x: x[:0], "0 frames"),
        (lambda x: x[:, :21], "shape"),
        (lambda x: x * 1000, "units='mm'"),
        (lambda x: x * 100, "units='cm'"),
        (lambda x: np.where(np.arange(6)[:, None, None] == 2, np.nan, x), "not finite in frame 2"),
        (lambda x: x.astype(object), "Object arrays|pickle"),
        (lambda x: x * np.linspace(1, 1.6, 6)[:, None, None], "a skeleton that changes"),
    ],
)
def test_malformed_humanml3d(tmp_path: Path, change: Any, found: str) -> None:
    np.save(tmp_path / "a.npy", change(standing()), allow_pickle=True)
    with pytest.raises(FileFormatError, match=found):
        read_humanml3d(tmp_path / "a.npy")


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, 10_000.0])
def test_humanml3d_rate(tmp_path: Path, rate: float) -> None:
    np.save(tmp_path / "a.npy", standing())
    with pytest.raises(FileFormatError, match="frame rate"):
        read_humanml3d(tmp_path / "a.npy", rate=rate)


def test_quaternions_of_another_length_are_refused() -> None:
    turns = np.tile([1.0, 0, 0, 0], (4, 2, 1))
    turns[2, 1] *= 0.5
    with pytest.raises(FileFormatError, match=r"length 0.5 for 'b' in frame 2"):
        checked(MotionData(Path("x"), "body", ("a", "b"), 30.0, orientation=turns))
