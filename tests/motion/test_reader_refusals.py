"""Files that load_motion refuses: what they say against, where, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kinesis_neuro.errors import FileFormatError, InvalidInputError, KinesisError
from kinesis_neuro.motion.build import OPENSIM_COORDINATES
from kinesis_neuro.motion.library import load_motion

Write = Callable[..., Path]
Stride = tuple[np.ndarray, dict[str, np.ndarray]]


def test_unlabelled_units_are_refused(write: Write, stride: Stride) -> None:
    with pytest.raises(FileFormatError, match="does not say whether angles are in degrees"):
        load_motion(write(*stride, label=None))


def test_the_patellas_angle_is_not_judged(write: Write, stride: Stride) -> None:
    """OpenSim writes it in degrees among radians; it follows the knee's and is not used."""
    time, columns = stride
    plain = load_motion(write(time, columns, degrees=False))
    beta = {f"knee_angle_{side}_beta": np.rad2deg(columns[f"knee_angle_{side}"]) for side in "rl"}
    motion = load_motion(write(time, {**columns, **beta}, degrees=False))
    np.testing.assert_array_equal(motion.qpos, plain.qpos)


def test_units_against_the_header_are_refused(write: Write, stride: Stride) -> None:
    path = write(*stride, degrees=True)
    with pytest.raises(InvalidInputError, match=r"inDegrees=yes, but units='radians'"):
        load_motion(path, units="radians")
    with pytest.raises(InvalidInputError, match=r"one of degrees, radians, got 'gon'"):
        load_motion(path, units="gon")


def test_degrees_labelled_as_radians_are_found(write: Write, stride: Stride) -> None:
    with pytest.raises(FileFormatError, match="is the inDegrees line right"):
        load_motion(write(*stride, degrees=True, label="no"))


def test_radians_labelled_as_degrees_are_found(write: Write, stride: Stride) -> None:
    path = write(*stride, degrees=False, label="yes")
    with pytest.raises(FileFormatError, match="inDegrees=yes, which look like radians"):
        load_motion(path)
    # Who says so twice is believed: the legs of somebody who stands may move by a degree.
    motion = load_motion(path, units="degrees")
    assert np.ptp(motion.qpos[:, 7 + motion.body.joints.index("knee_angle_r")]) < 0.05


@pytest.mark.parametrize("factor", [1000.0, 100.0])
def test_pelvis_in_other_units_than_metres_is_found(
    write: Write, stride: Stride, factor: float
) -> None:
    time, columns = stride
    scaled = {f"pelvis_t{a}": factor * columns[f"pelvis_t{a}"] for a in "xyz"}
    with pytest.raises(FileFormatError, match="pelvis_ty in metres"):
        load_motion(write(time, columns | scaled))


@pytest.mark.parametrize("factor", [0.0, -1.0])
def test_pelvis_below_the_ground_is_found(write: Write, stride: Stride, factor: float) -> None:
    time, columns = stride
    with pytest.raises(KinesisError, match="pelvis_ty"):
        load_motion(write(time, columns | {"pelvis_ty": factor * columns["pelvis_ty"]}))


def test_unknown_coordinate_is_refused_with_those_known(write: Write, stride: Stride) -> None:
    time, columns = stride
    with pytest.raises(InvalidInputError) as error:
        load_motion(write(time, columns | {"tail_flexion": time}))
    assert "Unknown coordinates: tail_flexion." in str(error.value)
    assert all(name in str(error.value) for name in OPENSIM_COORDINATES)


def test_pelvis_height_is_needed(write: Write, stride: Stride) -> None:
    time, columns = stride
    rest = {name: v for name, v in columns.items() if name != "pelvis_ty"}
    with pytest.raises(InvalidInputError, match="at least 'pelvis_ty'"):
        load_motion(write(time, rest))


@pytest.mark.parametrize("seconds", [0.005, 0.025])
def test_clip_shorter_than_a_control_step_is_refused(write: Write, seconds: float) -> None:
    time = np.linspace(0, seconds, 4)
    with pytest.raises(KinesisError, match="shorter than one control step"):
        load_motion(write(time, {"pelvis_ty": np.full(4, 0.9)}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spede": 1.0}, "Unknown options for an OpenSim file: spede"),
        ({"skeleton": "hill"}, "Unknown skeleton 'hill'"),
        ({"rate": 0.0}, "shorter|rate"),
        ({"speed": np.nan}, "finite"),
    ],
)
def test_bad_options_are_refused(
    write: Write, stride: Stride, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_motion(write(*stride), **options)


@pytest.mark.parametrize(
    "options", [{"rate": np.nan}, {"leg_length_ratio": -1.0}, {"leg_length_ratio": 0.0}]
)
def test_numbers_that_mean_nothing_are_refused(
    write: Write, stride: Stride, options: dict[str, float]
) -> None:
    with pytest.raises(KinesisError):
        load_motion(write(*stride), **options)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda text: b"", id="empty"),
        pytest.param(lambda text: b" \n\n ", id="blank"),
        pytest.param(lambda text: text[: len(text) // 2], id="cut in the middle"),
        pytest.param(lambda text: text[:-200], id="cut near the end"),
        pytest.param(lambda text: text[:40], id="header only"),
        pytest.param(lambda text: bytes(range(256)) * 20, id="binary"),
        pytest.param(lambda text: text.replace(b"\n", b"\n\x00", 20), id="zero bytes"),
        pytest.param(lambda text: text.replace(b"0.9", b"NaN", 1), id="NaN"),
        pytest.param(lambda text: text.replace(b"0.9", b"inf", 1), id="infinite"),
        pytest.param(lambda text: text.replace(b"0.9", b"x.9", 1), id="not a number"),
        pytest.param(lambda text: text.replace(b"knee_angle_r", b"hip_flexion_r"), id="twice"),
        pytest.param(lambda text: b"PK\x03\x04" + text, id="a zip archive"),
        pytest.param(lambda text: b"<OpenSimDocument/>", id="xml"),
    ],
)
def test_bad_files_give_one_clear_error(
    write: Write, stride: Stride, spoil: Callable[[bytes], bytes]
) -> None:
    path = write(*stride)
    text = path.read_bytes()
    load_motion(path)  # it was good before
    path.write_bytes(spoil(text))
    with pytest.raises(KinesisError, match=r"clip\.mot"):
        load_motion(path)


def test_missing_files_folders_and_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        load_motion(tmp_path / "none.mot")
    (tmp_path / "folder.sto").mkdir()
    with pytest.raises(FileFormatError, match="a folder"):
        load_motion(tmp_path / "folder.sto")
    (tmp_path / "motion.csv").write_text("time,knee\n0,1\n")
    with pytest.raises(FileFormatError, match=r"'\.csv'.*\.mot or \.sto"):
        load_motion(tmp_path / "motion.csv")


def test_bad_file_of_forces_is_refused_by_its_own_name(write: Write, stride: Stride) -> None:
    path = write(*stride)
    with pytest.raises(FileFormatError, match=r"grf\.mot: no such file"):
        load_motion(path, forces=path.parent / "grf.mot")
    with pytest.raises(InvalidInputError, match="ground_force_vx"):
        load_motion(path, forces=write(*stride, name="grf.mot"))
