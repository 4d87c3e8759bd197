"""Pictures show the recording's poses and activations, with OpenGL and without."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio.v2 as imageio
import imageio_ffmpeg
import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.body.models import load_body
from kinesis_neuro.errors import (
    IncompatibleError,
    InvalidInputError,
    MissingDependencyError,
    WriteError,
)
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import FEET, ReferenceMotion
from kinesis_neuro.render import backend as drawing
from kinesis_neuro.render import film, gl, render_filmstrip, render_video, strip, video
from kinesis_neuro.render.lines import LineRenderer
from kinesis_neuro.render.poses import read_poses
from kinesis_neuro.schema import make_variable

LOOK = {"full_scale": 0.5, "reach": 1.95}
SIZE = (160, 120)


def recording_of(motion: ReferenceMotion, activation: float = 0.2) -> xr.Dataset:
    """What a recording of a body that follows a motion exactly would hold."""
    body = motion.body
    shape = (motion.n_frames, body.n_muscles)
    values = {
        "activation": np.full(shape, activation),
        "root_position": motion.qpos[:, :3],
        "root_orientation": motion.qpos[:, 3:7],
        "joint_position": motion.qpos[:, 7:],
        "time": np.arange(motion.n_frames) / motion.rate,
        "muscle": body.muscles,
        "side": body.side,
        "group": body.group,
        "joint": body.joints,
        "space": list("xyz"),
        "quaternion": list("wxyz"),
        "contact": FEET,
    }
    if motion.contact is not None:
        values["ground_force"] = motion.contact.force
    made = xr.Dataset({name: make_variable(name, value) for name, value in values.items()})
    return made.set_coords(["side", "group"]).assign_attrs(body=body.name, body_hash=body.hash)


@pytest.fixture(scope="module")
def walk() -> ReferenceMotion:
    return load_motion("walk").loop(3)


@pytest.fixture
def recording(walk: ReferenceMotion) -> xr.Dataset:
    return recording_of(walk)


@pytest.fixture
def fresh_gl() -> Iterator[None]:
    """Forget which OpenGL was found, before and after."""
    gl.available_gl.cache_clear()
    yield
    gl.available_gl.cache_clear()


@pytest.fixture
def working_gl() -> str:
    found = gl.available_gl()
    if found is None:
        pytest.skip("no OpenGL that draws without a screen")
    return found


def frames_of(path: Path) -> np.ndarray:
    """All frames of a video."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL)
    return np.frombuffer(done.stdout, dtype=np.uint8).reshape(-1, SIZE[1], SIZE[0], 3)


def redness(picture: np.ndarray) -> float:
    """Part of the pixels in which red stands out."""
    red, green, blue = (picture[..., k].astype(int) for k in range(3))
    return float(((red - np.maximum(green, blue)) > 60).mean())


def test_poses_are_those_of_the_motion(walk: ReferenceMotion, recording: xr.Dataset) -> None:
    poses = read_poses(recording)
    np.testing.assert_array_equal(poses.qpos, walk.qpos)
    np.testing.assert_allclose(poses.heading, [0, -1], atol=0.05)
    some = poses.at(np.array([0.0, 0.0101, 1.0]))
    np.testing.assert_allclose(some.time, [0.0, 2 / 150, 1.0])


def test_dependent_joints_may_be_left_out(walk: ReferenceMotion, recording: xr.Dataset) -> None:
    kept = [walk.body.joints[k - 6] for k in walk.body.coupling.independent_dof[6:]]
    poses = read_poses(recording.sel(joint=kept[::-1]))
    np.testing.assert_allclose(poses.qpos, walk.qpos, atol=1e-12)


def test_muscles_are_matched_by_name(recording: xr.Dataset) -> None:
    recording["activation"][:, 3] = 0.9
    poses = read_poses(recording.isel(muscle=[7, 3, 5]))
    assert poses.activation[0, 3] == 0.9
    assert np.isnan(poses.activation[0, 4])
    colors = poses.colors(0.5)[0]
    rest = poses.body.n_muscles - 3
    assert (colors == colors[4]).all(axis=1).sum() == rest
    assert colors[3, 0] - colors[3, 2] > 0.6  # red


def test_the_camera_minds_where_the_body_faces_and_not_where_it_falls(
    walk: ReferenceMotion,
) -> None:
    fallen = recording_of(walk.turn(np.pi / 2))
    lying = fallen.time > 1
    fallen["root_orientation"][lying] = [np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0]
    fallen["root_position"][lying, 1] += 3.0
    np.testing.assert_allclose(read_poses(fallen).heading, [1, 0], atol=0.1)


def test_paths_are_as_long_as_the_muscles(walk: ReferenceMotion, recording: xr.Dataset) -> None:
    renderer = LineRenderer(read_poses(recording), **LOOK)
    renderer.drawing(40)
    length = [np.linalg.norm(np.diff(path, axis=0), axis=1).sum() for path in renderer._paths()]
    # Arcs around bones are drawn as chords.
    np.testing.assert_allclose(length, walk.frames.muscle_length[40], rtol=0.02)


def test_direction_of_walking_does_not_change_the_picture(walk: ReferenceMotion) -> None:
    straight, turned = (
        LineRenderer(read_poses(recording_of(motion)), **LOOK).drawing(25)
        for motion in (walk, walk.turn(2.0))
    )
    for kind in ("outlines", "paths"):
        for a, b in zip(getattr(straight, kind), getattr(turned, kind), strict=True):
            np.testing.assert_allclose(np.sort(a, axis=0), np.sort(b, axis=0), atol=1e-9)
    np.testing.assert_array_equal(straight.path_layer, turned.path_layer)


def test_the_right_leg_is_the_near_one(walk: ReferenceMotion, recording: xr.Dataset) -> None:
    layer = LineRenderer(read_poses(recording), **LOOK).drawing(0).path_layer
    assert layer[walk.body.muscles.index("soleus_r")] == 2
    assert layer[walk.body.muscles.index("soleus_l")] == 0


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_filmstrip_without_gl(recording: xr.Dataset, tmp_path: Path, suffix: str) -> None:
    path = render_filmstrip(recording, tmp_path / f"walk{suffix}", n_frames=3, backend="lines")
    assert path.stat().st_size > 10_000
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_filmstrip_with_gl_leaves_the_body_alone(
    recording: xr.Dataset, tmp_path: Path, working_gl: str
) -> None:
    body = load_body("legs")
    before = body.hash, body.model.tendon_rgba.copy(), body.model.geom_rgba.copy()
    path = render_filmstrip(recording, tmp_path / "walk.png", n_frames=2, backend="gl")
    picture = imageio.imread(path)[..., :3]
    assert picture.shape[0] > 400
    assert np.median(picture) > 240  # a light background
    assert load_body("legs").hash == before[0]
    np.testing.assert_array_equal(body.model.tendon_rgba, before[1])
    np.testing.assert_array_equal(body.model.geom_rgba, before[2])


@pytest.mark.parametrize("backend", ["gl", "lines"])
def test_active_muscles_are_red(walk: ReferenceMotion, backend: str) -> None:
    def draw(activation: float) -> np.ndarray:
        poses = read_poses(recording_of(walk, activation)).at(np.array([0.5, 1.0]))
        if backend == "lines":
            return np.stack(list(film.line_frames(poses, SIZE, **LOOK)))
        name = gl.available_gl()
        if name is None:
            pytest.skip("no OpenGL that draws without a screen")
        return np.stack(list(gl.gl_frames(poses, SIZE, gl=name, **LOOK)))

    rest, active = draw(0.0), draw(1.0)
    assert rest.shape == (2, SIZE[1], SIZE[0], 3)
    assert redness(rest) == 0.0
    assert redness(active) > 0.004
    # The walker fills the middle, and the sides are bare.
    assert (active[:, :, :10] > 150).all()
    rows = np.flatnonzero((active < 200).any(axis=(0, 2, 3)))
    assert rows[-1] - rows[0] > 0.8 * SIZE[1]


@pytest.mark.parametrize("backend", ["gl", "lines"])
@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_video_has_the_frames_it_should(
    recording: xr.Dataset, tmp_path: Path, backend: str, suffix: str
) -> None:
    if backend == "gl" and gl.available_gl() is None:
        pytest.skip("no OpenGL that draws without a screen")
    path = render_video(
        recording, tmp_path / f"walk{suffix}", fps=10, size=SIZE, start=0.5, stop=1, backend=backend
    )
    frames = frames_of(path)
    assert len(frames) == 6
    assert np.abs(frames[0].astype(int) - frames[3]).max() > 50
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_slow_motion_has_more_frames(recording: xr.Dataset, tmp_path: Path) -> None:
    path = render_video(
        recording, tmp_path / "a.gif", fps=10, size=SIZE, stop=0.5, speed=0.5, backend="lines"
    )
    assert len(frames_of(path)) == 11


def test_a_filmstrip_shows_the_middle_cycle(recording: xr.Dataset) -> None:
    poses = read_poses(recording)
    times, labels, meaning = strip._moments(recording, poses, 4, None, None)
    assert labels == ["0 %", "25 %", "50 %", "75 %"]
    assert "right heel strike" in meaning
    assert times[0] > 0.5
    np.testing.assert_allclose(np.diff(times), np.diff(times)[0])
    bare = recording.drop_vars("ground_force")
    times, labels, meaning = strip._moments(bare, poses, 4, None, None)
    assert (times[0], times[-1]) == (poses.time[0], poses.time[-1])
    assert (labels[0], meaning) == ("0.00 s", "Time")


def test_a_driver_that_aborts_kills_nobody(
    recording: xr.Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fresh_gl: None,
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import os; os.abort()")
    monkeypatch.setattr(gl, "_WORKER", worker)
    assert gl.available_gl() is None
    with caplog.at_level(logging.WARNING):
        path = render_filmstrip(recording, tmp_path / "walk.png", n_frames=1)
    assert path.exists()
    assert [record.getMessage() for record in caplog.records] == [
        "No OpenGL was found: drawing muscle paths with matplotlib instead."
    ]
    with pytest.raises(MissingDependencyError, match="backend='lines'"):
        render_filmstrip(recording, path, backend="gl")


def test_a_renderer_that_dies_half_way_is_replaced(
    recording: xr.Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = tmp_path / "worker.py"
    frame = SIZE[0] * SIZE[1] * 3
    worker.write_text(
        f"import sys; sys.stdout.buffer.write(bytes({2 * frame})); sys.exit('lost the device')"
    )
    monkeypatch.setattr(gl, "_WORKER", worker)
    monkeypatch.setattr(drawing, "available_gl", lambda: "egl")
    old = tmp_path / "walk.gif"
    old.write_bytes(b"old")
    options = {"fps": 10, "size": SIZE, "stop": 0.4}
    with pytest.raises(MissingDependencyError, match="frame 2 of 5: lost the device"):
        render_video(recording, old, backend="gl", **options)
    assert old.read_bytes() == b"old"
    with caplog.at_level(logging.WARNING):
        render_video(recording, old, **options)
    assert "lost the device" in caplog.text
    assert len(frames_of(old)) == 5
    assert {file.name for file in tmp_path.iterdir()} == {"walk.gif", "worker.py"}


@pytest.mark.parametrize("value", ["disable", "0"])
def test_gl_can_be_switched_off(
    monkeypatch: pytest.MonkeyPatch, fresh_gl: None, value: str
) -> None:
    monkeypatch.setenv("MUJOCO_GL", value)
    assert gl.available_gl() is None


def test_without_ffmpeg_a_gif_is_written(
    recording: xr.Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def absent() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(video.imageio_ffmpeg, "get_ffmpeg_exe", absent)
    with caplog.at_level(logging.WARNING):
        path = render_video(
            recording, tmp_path / "walk.mp4", fps=10, size=SIZE, stop=0.2, backend="lines"
        )
    assert path == tmp_path / "walk.gif"
    assert "No ffmpeg" in caplog.text


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda r, p: render_filmstrip(r, p / "a.doc"), InvalidInputError, ".pdf, .png, .svg"),
        (lambda r, p: render_video(r, p / "a.avi"), InvalidInputError, ".gif, .mp4"),
        (lambda r, p: render_filmstrip(r, p / "a.png", 0), InvalidInputError, "n_frames"),
        (lambda r, p: render_filmstrip(r, p / "a.png", stop=99), InvalidInputError, "stop must"),
        (lambda r, p: render_video(r, p / "a.mp4", fps=0), InvalidInputError, "positive"),
        (lambda r, p: render_video(r, p / "a.mp4", size=(33, 20)), InvalidInputError, "even"),
        (
            lambda r, p: render_filmstrip(r, p / "a.png", backend="povray"),
            InvalidInputError,
            "Available: auto, gl, lines",
        ),
        (
            lambda r, p: render_filmstrip(r.drop_vars("activation"), p / "a.png"),
            InvalidInputError,
            "lacks activation",
        ),
        (
            lambda r, p: render_filmstrip(r.isel(joint=slice(1, None)), p / "a.png"),
            IncompatibleError,
            "lacks joints of the body 'legs': hip_flexion_r",
        ),
        (
            lambda r, p: render_filmstrip(r.assign_attrs(body="legs26"), p / "a.png"),
            IncompatibleError,
            "'legs26' has no joint",
        ),
        (
            lambda r, p: render_filmstrip(r.where(r.time != r.time[5]), p / "a.png"),
            InvalidInputError,
            "sample 5",
        ),
        (
            lambda r, p: render_filmstrip(r, p / "no" / "a.png", 1, backend="lines"),
            WriteError,
            "no folder",
        ),
    ],
)
def test_bad_input_is_named(
    recording: xr.Dataset, tmp_path: Path, draw: Callable, error: type, message: str
) -> None:
    recording.attrs.pop("body_hash")
    with pytest.raises(error, match=message), xr.set_options(keep_attrs=True):
        draw(recording, tmp_path)
    assert not list(tmp_path.iterdir())


def test_another_version_of_the_body_is_said(recording: xr.Dataset) -> None:
    with pytest.warns(UserWarning, match="other parameters of the body 'legs'"):
        read_poses(recording.assign_attrs(body_hash="0" * 64))


def test_progress_is_told(recording: xr.Dataset, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    render_video(
        recording, tmp_path / "a.gif", fps=10, size=SIZE, stop=0.2, backend="lines",
        progress=lambda done, n: told.append((done, n)),
    )  # fmt: skip
    assert told == [(1, 3), (2, 3), (3, 3)]
