"""A person's size from an OpenSim model: of both generations of the format, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinesis_neuro.body.models import load_body
from kinesis_neuro.body.scaling import scale_from_opensim, segment_lengths
from kinesis_neuro.errors import FileFormatError
from kinesis_neuro.formats.opensim_model import read_model_size

SPLINE = "<SimmSpline><x>-1 0 1</x><y>-0.41 -0.4 -0.41</y></SimmSpline>"


def joint_of_4(child: str, parent: str, place: str, spline: str = "") -> str:
    axis = (
        f'<SpatialTransform><TransformAxis name="translation2"><axis>0 1 0</axis>{spline}'
        "</TransformAxis></SpatialTransform>"
    )
    return f"""<CustomJoint name="j_{child}">
      <socket_parent_frame>{parent}_offset</socket_parent_frame>
      <socket_child_frame>{child}_offset</socket_child_frame>
      <frames><PhysicalOffsetFrame name="{parent}_offset">
        <socket_parent>/bodyset/{parent}</socket_parent><translation>{place}</translation>
      </PhysicalOffsetFrame><PhysicalOffsetFrame name="{child}_offset">
        <socket_parent>/bodyset/{child}</socket_parent><translation>0 0 0</translation>
      </PhysicalOffsetFrame></frames>{axis if spline else ""}</CustomJoint>"""


def joint_of_3(place: str, spline: str = "") -> str:
    axis = (
        '<SpatialTransform><TransformAxis name="translation2"><axis>0 1 0</axis>'
        f"<function>{spline}</function></TransformAxis></SpatialTransform>"
    )
    return f"""<Joint><CustomJoint name="j"><location_in_parent>{place}</location_in_parent>
      <location>0 0 0</location>{axis if spline else ""}</CustomJoint></Joint>"""


TREE = (
    ("femur_r", "pelvis", "0 -0.07 0.08", ""),
    ("femur_l", "pelvis", "0 -0.07 -0.08", ""),
    ("tibia_r", "femur_r", "0 0 0", SPLINE),
    ("talus_r", "tibia_r", "0 -0.43 0", ""),
    ("toes_r", "calcn_r", "0.18 0 0", ""),
)
EXPECTED = {"pelvis": 0.16, "thigh": 0.40, "shank": 0.43, "foot": 0.18}


def written(path: Path, version: int) -> Path:
    if version == 4:
        bodies = "".join(f'<Body name="{c}"><mass>10</mass></Body>' for c, *_ in TREE)
        joints = "".join(joint_of_4(*row) for row in TREE)
    else:
        bodies = "".join(
            f'<Body name="{child}"><mass>10</mass>{joint_of_3(place, spline)}</Body>'
            for child, _, place, spline in TREE
        )
        joints = ""
    text = f'<OpenSimDocument><Model name="small">{bodies}{joints}</Model></OpenSimDocument>'
    path.write_text(text)
    return path


@pytest.mark.parametrize("version", [3, 4])
def test_lengths_and_mass_come_back(tmp_path: Path, version: int) -> None:
    size = read_model_size(written(tmp_path / "small.osim", version))
    assert size.name == "small" and size.mass == 50.0
    assert size.lengths == pytest.approx(EXPECTED)
    body = load_body("legs")
    scale = scale_from_opensim(body.model, tmp_path / "small.osim")
    scaled = segment_lengths(load_body("legs", scale=scale).model)
    assert scaled == pytest.approx(EXPECTED, rel=1e-6)
    assert load_body("legs", scale=scale).mass == pytest.approx(50.0)


@pytest.mark.data
def test_gait2392(data_dir: Path) -> None:
    """The file supplied as scaled has the generic model's lengths and mass (Delp et al. 1990)."""
    size = read_model_size(data_dir / "wang2023_subject06" / "gait2392_scaled.osim")
    generic = {"pelvis": 0.167, "thigh": 0.396, "shank": 0.43, "foot": 0.179}
    assert size.lengths == pytest.approx(generic, abs=1.5e-3)
    assert size.mass == pytest.approx(75.16, abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("OpenSimDocument", "Mujoco"), "<OpenSimDocument>"),
        (("</Model>", ""), "an OpenSim model"),
        (('"talus_r"', '"talus"'), "the joint of talus_r"),
        (("0 -0.43 0", "0 -430 0"), "in metres"),
        (("0 -0.43 0", "0 nan 0"), "finite numbers"),
        (("0 -0.43 0", "0 -0.43"), "three"),
        (("<x>-1 0 1</x>", "<x>1 0 -1</x>"), "ascending x"),
        (("<mass>10</mass>", "<mass>0</mass>"), "bodies that have mass"),
        (("SimmSpline", "Sine"), "simple functions"),
    ],
)
def test_what_is_no_such_model_is_named(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = written(tmp_path / "model.osim", 3)
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(FileFormatError, match=message) as caught:
        read_model_size(path)
    assert "model.osim" in str(caught.value)
    with pytest.raises(FileFormatError, match="an OpenSim model"):
        read_model_size(tmp_path / "missing.osim")
