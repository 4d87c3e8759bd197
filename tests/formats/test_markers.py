"""TRC and C3D markers: real files against what their makers say, gaps, units, malformed headers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ezc3d
import numpy as np
import pytest

from kinesis_neuro.errors import FileFormatError, InvalidInputError
from kinesis_neuro.formats.markers import MAX_GAP, by_name, read_c3d_markers, read_trc
from kinesis_neuro.motion.joint_centers import markers_to_joints

# Plug-in Gait's markers on a person who stands, facing x, z up [m].
STANDING = {
    "LASI": (0.10, 0.12, 0.98),
    "RASI": (0.10, -0.12, 0.98),
    "LPSI": (-0.10, 0.05, 1.00),
    "RPSI": (-0.10, -0.05, 1.00),
    "LKNE": (0.0, 0.15, 0.50),
    "RKNE": (0.0, -0.15, 0.50),
    "LANK": (-0.02, 0.13, 0.09),
    "RANK": (-0.02, -0.13, 0.09),
    "LTOE": (0.14, 0.10, 0.04),
    "RTOE": (0.14, -0.10, 0.04),
    "C7": (-0.08, 0.0, 1.45),
}
RATE = 100.0


def standing(n: int = 60, scale: float = 1000.0) -> np.ndarray:
    """Millimetres, as most laboratories write them, walking on at 1 m/s."""
    points = np.tile(np.array(list(STANDING.values())), (n, 1, 1))
    points[..., 0] += np.arange(n)[:, None] / RATE
    return scale * points


def write_trc(path: Path, points: np.ndarray, units: str = "mm", rate: float = RATE) -> Path:
    names = list(STANDING)[: points.shape[1]]
    n = len(points)
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame"
        "\tOrigNumFrames",
        f"{rate:g}\t{rate:g}\t{n}\t{len(names)}\t{units}\t{rate:g}\t1\t{n}",
        "Frame#\tTime\t" + "\t\t\t".join(names),
        "\t\t" + "\t".join(f"{a}{k + 1}" for k in range(len(names)) for a in "XYZ"),
    ]
    for k, row in enumerate(points):
        values = ["" if np.isnan(x) else f"{x:.6f}" for x in row.ravel()]
        lines.append("\t".join([str(k + 1), f"{k / max(rate, 1e-9):.6f}", *values]))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_c3d(path: Path, points: np.ndarray, units: str = "mm", rate: float = RATE) -> Path:
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [rate]
    file["parameters"]["POINT"]["UNITS"]["value"] = [units]
    file["parameters"]["POINT"]["LABELS"]["value"] = [f"Bob:{name}" for name in STANDING]
    data = np.ones((4, points.shape[1], len(points)))
    data[:3] = np.moveaxis(points, 0, -1).transpose(1, 0, 2)
    file["data"]["points"] = data
    file.write(str(path))
    return path


@pytest.mark.parametrize("kind", ["trc", "c3d"])
def test_what_was_written_comes_back(tmp_path: Path, kind: str) -> None:
    points = standing()
    if kind == "trc":
        data = read_trc(write_trc(tmp_path / "a.trc", points))
    else:
        data = read_c3d_markers(write_c3d(tmp_path / "a.c3d", points))
    assert data.names == tuple(STANDING)
    assert data.rate == RATE
    np.testing.assert_allclose(data.position, points / 1000, atol=1e-5)
    assert any("z taken for the vertical axis" in note for note in data.notes)


def test_y_up_is_found_and_turned(tmp_path: Path) -> None:
    points = standing()
    turned = points[..., [0, 2, 1]] * [1, 1, -1]
    data = read_trc(write_trc(tmp_path / "a.trc", turned))
    np.testing.assert_allclose(data.position, points / 1000, atol=1e-6)
    stated = read_trc(tmp_path / "a.trc", up="y")
    np.testing.assert_array_equal(stated.position, data.position)
    with pytest.raises(InvalidInputError, match="up must be one of y, z"):
        read_trc(tmp_path / "a.trc", up="x")


@pytest.mark.parametrize(
    ("stated", "scale", "hint"), [("m", 1000.0, "mm"), ("m", 100.0, "cm"), ("mm", 1.0, "")]
)
def test_units_are_told_by_the_size_of_the_body(
    tmp_path: Path, stated: str, scale: float, hint: str
) -> None:
    path = write_trc(tmp_path / "a.trc", standing(scale=scale), units=stated)
    found = rf"not in metres: read it again with units='{hint}'" if hint else "a body of 0.001"
    with pytest.raises(FileFormatError, match=found):
        read_trc(path)
    good = read_trc(path, units=hint or "m")
    np.testing.assert_allclose(good.position, standing(scale=1.0), atol=1e-6)


def test_gaps(tmp_path: Path) -> None:
    points = standing(100)
    hidden = points.copy()
    bridged = round(MAX_GAP * RATE)
    hidden[40 : 40 + bridged, 3] = np.nan
    data = read_trc(write_trc(tmp_path / "a.trc", hidden))
    # The markers move on a straight line, which is what bridges them.
    np.testing.assert_allclose(data.position, points / 1000, atol=1e-6)
    assert any(f"{bridged} hidden samples bridged" in note for note in data.notes)
    hidden[40 : 41 + bridged, 3] = np.nan
    data = read_trc(write_trc(tmp_path / "a.trc", hidden))
    assert any("frames 0 to 39 of 100" in note for note in data.notes) or any(
        f"frames {41 + bridged} to 99 of 100" in note for note in data.notes
    )
    zero = points.copy()
    zero[50, 2] = 0.0  # as some programs write a hidden marker
    data = read_trc(write_trc(tmp_path / "a.trc", zero))
    np.testing.assert_allclose(data.position, points / 1000, atol=1e-6)
    with pytest.raises(FileFormatError, match="no frames in which the markers are seen"):
        read_trc(write_trc(tmp_path / "a.trc", np.full_like(points, np.nan)))


@pytest.mark.parametrize(
    ("line", "change", "found"),
    [
        (2, lambda s: s.replace("100\t100", "0\t0", 1), "frame rate of 0"),
        (2, lambda s: s.replace("100\t100", "10000\t10000", 1), "frame rate of 10000"),
        (2, lambda s: s.replace("100\t100", "fast\tfast", 1), "Expected a TRC file"),
        (2, lambda s: s.replace("mm", "parsec"), "lengths in 'parsec'"),
        (3, lambda s: s.replace("RASI", "LASI"), "LASI more than once"),
        (6, lambda s: s + "\t1.0", "more than 35 values in frame 2"),
        (6, lambda s: s.replace("980.000000", "high", 1), "frame 2 .could not convert"),
    ],
)
def test_malformed_trc(tmp_path: Path, line: int, change: Callable[[str], str], found: str) -> None:
    path = write_trc(tmp_path / "a.trc", standing())
    lines = path.read_text().splitlines()
    changed = change(lines[line])
    assert changed != lines[line]
    lines[line] = changed
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(FileFormatError, match=found):
        read_trc(path)


def test_no_trc_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.trc"
    write_trc(path, standing())
    head = "\n".join(path.read_text().splitlines()[:5]) + "\n"
    for raw in (b"", b"\x00\x01", b"PathFileType\n", head.encode()):
        path.write_bytes(raw)
        with pytest.raises(FileFormatError):
            read_trc(path)


def test_malformed_c3d(tmp_path: Path) -> None:
    path = tmp_path / "a.c3d"
    for raw in (b"", b"\x02\x50" + b"\x00" * 40, b"no c3d at all"):
        path.write_bytes(raw)
        with pytest.raises(FileFormatError):
            read_c3d_markers(path)
    with pytest.raises(FileFormatError, match="lengths in 'parsec'"):
        read_c3d_markers(write_c3d(path, standing(), units="parsec"))
    with pytest.raises(FileFormatError, match="units='mm'"):
        read_c3d_markers(write_c3d(path, standing(), units="m"))


# -- joint centres --------------------------------------------------------------------------------


def test_joint_centres_lie_between_the_markers(tmp_path: Path) -> None:
    joints = markers_to_joints(read_trc(write_trc(tmp_path / "a.trc", standing())))
    place = {name: way[0] for name, way in by_name(joints).items()}
    for side, sign in (("left", 1), ("right", -1)):
        hip, knee, ankle = (place[f"{side}_{j}"] for j in ("hip", "knee", "ankle"))
        # Harrington's regression: 70 to 110 mm to the side, below and behind the ASIS.
        assert 0.06 < sign * hip[1] < 0.11
        assert 0.85 < hip[2] < 0.95 and hip[0] < 0.10
        # Inwards of the lateral markers by half the joint's width.
        assert sign * knee[1] == pytest.approx(0.15 - 0.055, abs=0.01)
        assert sign * ankle[1] == pytest.approx(0.13 - 0.04, abs=0.01)
    mirrored = place["left_hip"] * [1, -1, 1]
    np.testing.assert_allclose(mirrored, place["right_hip"], atol=1e-6)


def test_missing_markers_are_named(tmp_path: Path) -> None:
    data = read_trc(write_trc(tmp_path / "a.trc", standing()))
    kept = [k for k, name in enumerate(data.names) if name != "RKNE"]
    part = replace(data, names=tuple(data.names[k] for k in kept), position=data.position[:, kept])
    with pytest.raises(FileFormatError, match=r"no marker RKNE or R\.Knee or RKNEE among LASI"):
        markers_to_joints(part)


# -- real files -----------------------------------------------------------------------------------


@pytest.mark.data
def test_a_real_trc(data_dir: Path) -> None:
    data = read_trc(data_dir / "rajagopal2016_opensim_core" / "example3DWalking/markers_walk.trc")
    assert any("y taken for the vertical axis" in note for note in data.notes)
    joints = by_name(markers_to_joints(data))
    leg = np.linalg.norm(joints["right_hip"] - joints["right_knee"], axis=1)
    assert 0.35 < np.median(leg) < 0.5
    # Marker on skin over a joint that turns: the thigh hardly changes its length.
    assert leg.std() < 0.015


@pytest.mark.data
@pytest.mark.parametrize("name", ["Gait.c3d", "PiG_Motion3_FF.c3d", "PiG_Motion-FlatFoot-Full.c3d"])
def test_real_c3d(data_dir: Path, name: str) -> None:
    data = read_c3d_markers(data_dir / "btkdata_c3d" / name)
    assert np.isfinite(data.position).all()
    joints = by_name(markers_to_joints(data))
    for side in ("right", "left"):
        thigh = np.linalg.norm(joints[f"{side}_hip"] - joints[f"{side}_knee"], axis=1)
        assert 0.25 < np.median(thigh) < 0.5
        assert (joints[f"{side}_hip"][:, 2] > joints[f"{side}_ankle"][:, 2]).all()
