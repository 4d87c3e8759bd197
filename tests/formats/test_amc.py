"""ASF/AMC: a skeleton of our own comes back from its definition; CMU's kick is a person's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.amc import read_amc

INCH = 0.0254
# name, parent, direction (y up), length, axis of its own [degrees], degrees of freedom
BONES = (
    ("lhipjoint", "root", (0.6, -0.8, 0.0), 2.0, (0, 0, 0), ""),
    ("lfemur", "lhipjoint", (0.0, -1.0, 0.0), 7.0, (10, -20, 30), "rx ry rz"),
    ("ltibia", "lfemur", (0.0, -1.0, 0.0), 7.5, (-40, 5, 15), "rx"),
    ("lowerback", "root", (0.0, 1.0, 0.0), 2.0, (0, 0, 0), "rx ry rz"),
)
LENGTH = 0.45


def write(folder: Path, frames: list[dict[str, list[float]]]) -> tuple[Path, Path]:
    lines = [":version 1.10", ":name X", ":units", "  mass 1.0", f"  length {LENGTH}"]
    lines += ["  angle deg", ":documentation", "  of our own", ":root"]
    lines += ["  order TX TY TZ RX RY RZ", "  axis XYZ", "  position 0 0 0"]
    lines += ["  orientation 0 0 0", ":bonedata"]
    for k, (name, _, direction, length, axis, dof) in enumerate(BONES):
        lines += ["  begin", f"    id {k + 1}", f"    name {name}"]
        lines += [f"    direction {' '.join(map(str, direction))}", f"    length {length}"]
        lines += [f"    axis {' '.join(map(str, axis))}  XYZ"]
        if dof:
            limits = [" (-180 180)"] * len(dof.split())
            lines += [f"    dof {dof}", f"    limits{limits[0]}", *limits[1:]]
        lines += ["  end"]
    lines += [":hierarchy", "  begin"]
    # Children before parents, which the format allows.
    lines += [f"    {parent} {name}" for name, parent, *_ in reversed(BONES)]
    lines += ["  end"]
    asf, amc = folder / "a.asf", folder / "a.amc"
    asf.write_text("\n".join(lines) + "\n")
    rows = ["#!OML:ASF X", ":FULLY-SPECIFIED", ":DEGREES"]
    for k, frame in enumerate(frames):
        rows.append(str(k + 1))
        rows += [f"{name} {' '.join(f'{x:.8f}' for x in values)}" for name, values in frame.items()]
    amc.write_text("\n".join(rows) + "\n")
    return asf, amc


def standing(n: int = 5) -> list[dict[str, list[float]]]:
    zero = {"lfemur": [0.0] * 3, "ltibia": [0.0], "lowerback": [0.0] * 3}
    return [{"root": [0.0, 17.0, 0.0, 0.0, 0.0, 0.0], **zero} for _ in range(n)]


@pytest.fixture
def good(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path, standing())


def turn(angles: tuple[float, ...] | list[float], axes: str = "xyz") -> np.ndarray:
    """Acclaim's order: about x first, then y, then z, each about fixed axes."""
    total = np.eye(3)
    for axis, angle in zip(axes, angles, strict=True):
        total = Rotation.from_euler(axis, angle, degrees=True).as_matrix() @ total
    return total


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_positions_are_those_of_the_format(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(3):
        angles = {"lfemur": 3, "ltibia": 1, "lowerback": 3}
        frame = {name: list(rng.uniform(-40, 40, n)) for name, n in angles.items()}
        root = [*rng.uniform(-5, 5, 3), *rng.uniform(-40, 40, 3)]
        frames.append({"root": root, **frame})
    asf, amc = write(tmp_path_factory.mktemp("amc"), frames)
    data = read_amc(amc, asf, rate=60.0)
    assert data.rate == 60.0
    for k, frame in enumerate(frames):
        world = {"root": turn(frame["root"][3:])}
        place = {"root": np.array(frame["root"][:3])}
        for name, parent, direction, length, axis, dof in BONES:
            own = turn(axis)
            moved = turn(frame[name], dof.replace("r", "").replace(" ", "")) if dof else np.eye(3)
            world[name] = world[parent] @ own @ moved @ own.T
            place[name] = place[parent] + world[name] @ (length * np.array(direction))
        for name, y_up in place.items():
            x, y, z = INCH / LENGTH * y_up
            np.testing.assert_allclose(data.position[k, data.index(name)], [x, -z, y], atol=1e-7)


@pytest.mark.parametrize(
    ("which", "old", "new", "found"),
    [
        ("asf", ":bonedata", ":bones", "no section :bonedata"),
        ("asf", ":hierarchy", ":tree", "no section :hierarchy"),
        ("asf", "direction 0.6 -0.8 0.0", "direction 0.6 x 0.0", "cannot be read"),
        ("asf", "    root lhipjoint", "    ltibia lhipjoint", "among its own parents"),
        ("asf", "    root lowerback\n", "", "'lowerback' without a parent"),
        ("asf", "    root lowerback", "    nobody lowerback", "unknown bone 'nobody'"),
        ("asf", "    lfemur ltibia", "    lfemur shin", "cannot be read"),
        ("asf", "order TX TY TZ RX RY RZ", "order TX TY RX RY RZ", "of the root"),
        ("asf", f"length {LENGTH}", "length 0", "cannot be read"),
        ("amc", "ltibia 0.00000000\n", "", "0 values for 'ltibia' in frame 0"),
        ("amc", "ltibia 0.00000000\n", "ltibia 0 0\n", "2 values for 'ltibia'.*must not change"),
        ("amc", "ltibia 0.00000000\n", "ltibia none\n", "could not convert"),
        ("amc", "ltibia 0.00000000\n", "rtibia 0\n", "'rtibia' in line"),
        ("amc", "ltibia 0.00000000\n", "ltibia nan\n", "not finite in frame 0"),
    ],
)
def test_broken_files_are_refused(
    good: tuple[Path, Path], which: str, old: str, new: str, found: str
) -> None:
    file = good[("asf", "amc").index(which)]
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(FileFormatError, match=found):
        read_amc(good[1], good[0])


def test_no_frames_and_no_files(good: tuple[Path, Path], tmp_path: Path) -> None:
    asf, amc = good
    amc.write_text(":FULLY-SPECIFIED\n:DEGREES\n")
    with pytest.raises(FileFormatError, match="0 frames"):
        read_amc(amc, asf)
    write(tmp_path, standing(2))
    with pytest.raises(FileFormatError, match="2 frames"):
        read_amc(amc, asf)
    with pytest.raises(FileFormatError, match="no such file"):
        read_amc(amc, tmp_path / "b.asf")
    asf.write_bytes(b"")
    with pytest.raises(FileFormatError, match="an empty file"):
        read_amc(amc, asf)


@pytest.mark.parametrize("rate", [0.0, 10_000.0, np.nan])
def test_rates_no_camera_has(good: tuple[Path, Path], rate: float) -> None:
    with pytest.raises(FileFormatError, match="frame rate"):
        read_amc(good[1], good[0], rate=rate)


@pytest.mark.parametrize("wrong", ["m", "cm", "ft"])
def test_other_units_are_told_by_the_size_of_the_body(good: tuple[Path, Path], wrong: str) -> None:
    with pytest.raises(FileFormatError, match=r"a body of .* m"):
        read_amc(good[1], good[0], units=wrong)


@pytest.fixture
def kick(data_dir: Path) -> Callable[..., object]:
    folder = data_dir / "cmu_kick_fairmotion"
    return lambda **options: read_amc(folder / "11_01.amc", folder / "11.asf", **options)


@pytest.mark.data
def test_the_kick_is_a_persons(kick: Callable[..., object]) -> None:
    data = kick()
    thigh, shank = (
        np.linalg.norm(data.position[:, data.index(a)] - data.position[:, data.index(b)], axis=1)
        for a, b in (("rfemur", "rhipjoint"), ("rtibia", "rfemur"))
    )
    assert np.ptp(thigh) < 1e-9 and np.ptp(shank) < 1e-9
    assert 0.35 < thigh[0] < 0.5 and 0.35 < shank[0] < 0.5
    # It stands on its feet: the lower of them stays near one height, and below all else.
    feet = data.position[:, [data.index("rfoot"), data.index("lfoot")], 2].min(axis=1)
    assert np.ptp(feet) < 0.15
    assert (data.position[:, data.index("head"), 2] - feet > 1.2).all()
    # A kick: a foot that is faster than anyone walks.
    speed = np.linalg.norm(np.diff(data.position[:, data.index("rfoot")], axis=0), axis=1)
    other = np.linalg.norm(np.diff(data.position[:, data.index("lfoot")], axis=0), axis=1)
    assert max(speed.max(), other.max()) * data.rate > 6
    with pytest.raises(FileFormatError, match="a body of"):
        kick(units="mm")
