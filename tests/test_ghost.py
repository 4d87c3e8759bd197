"""The ghost: the reference that a recording followed, where it was, and seen in the picture."""

from __future__ import annotations

import logging
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest
import xarray as xr

from kinesis_neuro import filming
from kinesis_neuro.body.kinematics import kinematics
from kinesis_neuro.body.models import load_body
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.netcdf import write_netcdf
from kinesis_neuro.record import record
from kinesis_neuro.render import gl
from kinesis_neuro.render.ghost import reference_poses
from kinesis_neuro.render.lines import line_frames
from kinesis_neuro.render.poses import read_poses

LOOK = {"full_scale": 0.5, "reach": 1.95}
SIZE = (160, 120)


@pytest.fixture(scope="module")
def recording() -> xr.Dataset:
    """More than a cycle, so that the reference is repeated in it."""
    return record("walk", duration=1.5, seed=0)


def blueness(picture: np.ndarray) -> np.ndarray:
    """Pixels in which blue stands out from red."""
    red, blue = picture[..., 0].astype(int), picture[..., 2].astype(int)
    return blue - red > 45


def test_the_ghost_has_every_segment_where_the_reference_had_it(recording: xr.Dataset) -> None:
    qpos = reference_poses(recording, load_motion("walk"))
    body = load_body("legs")
    there = recording.reference_position.sel(body=list(body.segments)).transpose(
        "time", "body", ...
    )
    found = kinematics(body, qpos).body_position
    np.testing.assert_allclose(found, there, atol=1e-9)


def test_another_motion_is_no_ghost(recording: xr.Dataset) -> None:
    with pytest.raises(IncompatibleError, match="'walk', which is not the motion"):
        reference_poses(recording, load_motion("walk").turn(1.0))
    with pytest.raises(InvalidInputError, match="lacks reference_phase"):
        reference_poses(recording.drop_vars("reference_phase"), load_motion("walk"))


@pytest.mark.parametrize("backend", ["gl", "lines"])
def test_the_ghost_is_seen(recording: xr.Dataset, backend: str) -> None:
    # The walk faces -y; the body is put ahead of its reference.
    place = recording.root_position.values.copy()
    place[:, 1] -= 0.4
    ahead = recording.assign(root_position=recording.root_position.copy(data=place))
    name = gl.available_gl() if backend == "gl" else None
    if backend == "gl" and name is None:
        pytest.skip("no OpenGL that draws without a screen")

    def draw(reference: object) -> np.ndarray:
        poses = read_poses(ahead, reference=reference).at(np.array([0.5]))
        if name is None:
            return next(iter(line_frames(poses, SIZE, **LOOK)))
        return next(iter(gl.gl_frames(poses, SIZE, gl=name, **LOOK)))

    alone, both = draw(None), draw(load_motion("walk"))
    assert blueness(alone).mean() < 0.001
    assert blueness(both).mean() > 0.01
    # Its trunk lies behind the body's: to the left of a body that walks to the right.
    trunk = np.flatnonzero(blueness(both)[:50].any(axis=0))
    assert trunk.max() < SIZE[0] / 2 - 10


def test_a_film_of_a_file_finds_its_reference(
    recording: xr.Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = filming.followed(recording)
    assert found is not None and found.hash == load_motion("walk").hash
    with caplog.at_level(logging.WARNING):
        assert filming.followed(recording.assign_attrs(motion="a_dream")) is None
    assert "No ghost: the motion 'a_dream' is not at hand" in caplog.text
    with pytest.raises(IncompatibleError, match="not the motion"):
        filming.followed(recording, load_motion("walk").turn(1.0))
    write_netcdf(recording.isel(time=slice(0, 30)), tmp_path / "walk.nc")
    out = filming.film(
        tmp_path / "walk.nc",
        tmp_path / "walk.gif",
        motion="walk",
        fps=15,
        size=SIZE,
        backend="lines",
    )
    assert len(imageio.mimread(out)) == 3
