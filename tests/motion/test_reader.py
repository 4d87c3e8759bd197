"""load_motion on files: the recording's own angles, and every convention of writing them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.formats.opensim import Storage
from kinesis_neuro.motion.build import OPENSIM_TO_WORLD
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.skeleton import angle_offsets, skeleton

Write = Callable[..., Path]
Stride = tuple[np.ndarray, dict[str, np.ndarray]]

ANGLES = tuple(
    f"{name}_{side}"
    for name in (
        *("hip_flexion", "hip_adduction", "hip_rotation"),
        *("knee_angle", "ankle_angle", "subtalar_angle"),
    )
    for side in "rl"
)


def joint(motion: ReferenceMotion, name: str) -> np.ndarray:
    return motion.qpos[:, 7 + motion.body.joints.index(name)]


def within_limits(body: Body, name: str, values: np.ndarray) -> np.ndarray:
    return np.clip(values, *body.model.joint(name).range)


# -- the recording --------------------------------------------------------------------------------


@pytest.mark.data
def test_joint_angles_are_the_recordings(recording: ReferenceMotion, recorded: Storage) -> None:
    """Every second sample of 100 Hz is every third frame of 150 Hz: no interpolation between."""
    body = recording.body
    (ratio,) = re.findall(r"translations scaled by ([\d.]+)", " ".join(recording.report.notes))
    offsets = angle_offsets(skeleton("gait2392"), body, float(ratio))
    for name in ANGLES:
        angle = np.deg2rad(recorded.column(name))[::2]
        # gait2392 counts knee flexion negative, MyoLegs positive.
        angle = -angle if name.startswith("knee") else angle
        expected = within_limits(body, name, angle + offsets.get(name[:-2], 0.0))
        n = min(expected.size, recording.qpos[::3].shape[0])
        assert n > 3000
        np.testing.assert_allclose(joint(recording, name)[::3][:n], expected[:n], atol=1e-4)


@pytest.mark.data
def test_pelvis_is_the_recordings(recording: ReferenceMotion, recorded: Storage) -> None:
    """Its orientation is Z (tilt), X (list), Y (rotation) of OpenSim's axes, written out here."""
    tilt, obliquity, rotation = (
        np.deg2rad(recorded.column(f"pelvis_{c}"))[::2] for c in ("tilt", "list", "rotation")
    )
    zero, one = np.zeros_like(tilt), np.ones_like(tilt)

    def stack(*rows: tuple[np.ndarray, ...]) -> np.ndarray:
        return np.moveaxis(np.array(rows), -1, 0)

    (c, s), (d, t), (e, u) = ((np.cos(a), np.sin(a)) for a in (tilt, obliquity, rotation))
    about_z = stack((c, -s, zero), (s, c, zero), (zero, zero, one))
    about_x = stack((one, zero, zero), (zero, d, -t), (zero, t, d))
    about_y = stack((e, zero, u), (zero, one, zero), (-u, zero, e))
    # Columns: the pelvis' forward, up and right in the world.
    expected = OPENSIM_TO_WORLD @ about_z @ about_x @ about_y
    index = recording.body.segments.index("pelvis")
    w, x, y, z = recording.frames.body_orientation[::3, index].T
    forward = np.stack([1 - 2 * (y**2 + z**2), 2 * (x * y + w * z), 2 * (x * z - w * y)], axis=1)
    up = np.stack([2 * (x * y - w * z), 1 - 2 * (x**2 + z**2), 2 * (y * z + w * x)], axis=1)
    # myo-sim's pelvis frame is turned by half a milliradian against OpenSim's.
    n = min(len(forward), len(expected))
    np.testing.assert_allclose(forward[:n], expected[:n, :, 0], atol=2e-3)
    np.testing.assert_allclose(up[:n], expected[:n, :, 1], atol=2e-3)


@pytest.mark.data
def test_treadmill_speed_carries_the_body_forward(write: Write, recorded: Storage) -> None:
    n = 501
    columns = {c: np.deg2rad(recorded.column(c)[:n]) for c in ANGLES}
    columns |= {f"pelvis_t{a}": recorded.column(f"pelvis_t{a}")[:n] for a in "xyz"}
    path = write(recorded.time[:n], columns)
    belt = 1.3
    in_place, moving = load_motion(path), load_motion(path, speed=belt)
    way = moving.qpos[:, :3] - in_place.qpos[:, :3]
    speed = -np.diff(way[:, 1]) * moving.rate
    # The belt's speed times the ratio of leg lengths, which scales the pelvis' own sway as well.
    sway = recorded.column("pelvis_tx")[:n:2]
    scale = np.ptp(in_place.qpos[::3, 1]) / np.ptp(sway)
    assert 0.95 < scale < 1.1
    np.testing.assert_allclose(speed, belt * scale, rtol=1e-6)
    np.testing.assert_allclose(way[:, [0, 2]], 0, atol=1e-12)
    np.testing.assert_array_equal(in_place.qpos[:, 3:], moving.qpos[:, 3:])


@pytest.mark.data
def test_measured_force_is_the_recordings_scaled_to_the_body(
    recording: ReferenceMotion, walk36: Path
) -> None:
    from kinesis_neuro.formats.opensim import read_storage

    plates = read_storage(walk36 / "XLD.mot")
    right = np.stack([plates.column(f"ground_force_v{a}") for a in "xyz"], axis=1)[::2]
    force = recording.contact.force[::3, 0]
    n = min(len(right), len(force))
    ratio = force[:n, 2].sum() / right[:n, 1].sum()
    np.testing.assert_allclose(force[:n], ratio * right[:n] @ OPENSIM_TO_WORLD.T, atol=1e-6)
    total = recording.contact.force[..., 2].sum(axis=1).mean()
    assert total == pytest.approx(recording.body.weight, rel=0.01)


@pytest.mark.data
def test_built_in_gait_is_the_recordings_mean(
    recording: ReferenceMotion, walk: ReferenceMotion
) -> None:
    """Averaged over the recording's own heel strikes, every joint is the built-in one."""
    load = recording.contact.force[:, 0, 2] > 40 * recording.body.weight / 569
    strikes = np.flatnonzero(~load[:-1] & load[1:]) + 1
    length = np.diff(strikes)
    good = np.abs(length / np.median(length) - 1) < 0.1
    assert good.sum() > 35
    phase = np.arange(walk.n_frames) / walk.n_frames
    for name in ANGLES:
        cycles = [
            np.interp(start + phase * n, np.arange(recording.n_frames), joint(recording, name))
            for start, n in zip(strikes[:-1][good], length[good], strict=True)
        ]
        mean = np.mean(cycles, axis=0)
        assert np.sqrt(np.mean((mean - joint(walk, name)) ** 2)) < np.deg2rad(1.0)


# -- one motion, written in different ways --------------------------------------------------------


def test_degrees_and_radians_give_the_same(write: Write, stride: Stride) -> None:
    time, columns = stride
    in_degrees = load_motion(write(time, columns, degrees=True))
    in_radians = load_motion(write(time, columns, degrees=False))
    np.testing.assert_allclose(in_radians.qpos, in_degrees.qpos, atol=1e-9)
    # The header may be replaced by an argument.
    unlabelled = load_motion(write(time, columns, degrees=True, label=None), units="degrees")
    np.testing.assert_array_equal(unlabelled.qpos, in_degrees.qpos)


def test_both_knee_conventions_give_the_same(write: Write, stride: Stride) -> None:
    time, columns = stride
    negative = load_motion(write(time, columns))
    knees = {name: -columns[name] for name in columns if name.startswith("knee_angle")}
    positive = load_motion(write(time, columns | knees))
    np.testing.assert_allclose(positive.qpos, negative.qpos, atol=1e-9)
    assert joint(positive, "knee_angle_r").max() > np.deg2rad(50)
    # legs26 itself counts flexion as its limits say; the body's knee bends backwards there too.
    other = load_motion(write(time, columns | knees), body="legs26")
    heel, knee = (
        other.frames.body_position[:, other.body.segments.index(s)] for s in ("calcn_r", "tibia_r")
    )
    assert (heel[:, 1] - knee[:, 1]).max() > 0.2  # behind is +y


def test_plain_and_full_names_of_coordinates_give_the_same(write: Write, stride: Stride) -> None:
    """OpenSim's states files name /jointset/joint/coordinate/value, and speeds beside them."""
    time, columns = stride
    plain = load_motion(write(time, columns, degrees=False))
    states = {f"/jointset/somewhere/{name}/value": v for name, v in columns.items()}
    states |= {f"/jointset/somewhere/{name}/speed": 7 * v for name, v in columns.items()}
    full = load_motion(write(time, states, degrees=False))
    np.testing.assert_array_equal(full.qpos, plain.qpos)


def test_starting_time_does_not_matter(write: Write, stride: Stride) -> None:
    time, columns = stride
    early, late = (load_motion(write(time + t, columns), speed=1.2) for t in (0.0, 7.5))
    assert late.n_frames == early.n_frames
    np.testing.assert_allclose(late.qpos, early.qpos, atol=1e-8)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.1])
def test_whole_clip_is_kept(write: Write, seconds: float) -> None:
    """Binary fractions of decimal times must not cost the last frame."""
    for start in (0.0, 0.1, 0.7, 1.3):
        time = start + np.arange(round(seconds * 100) + 1) / 100
        motion = load_motion(write(time, {"pelvis_ty": np.full(time.size, 0.9)}))
        assert motion.duration == pytest.approx(seconds, abs=1e-9)


def test_any_subset_of_coordinates_is_read(write: Write, stride: Stride) -> None:
    time, columns = stride
    some = {name: columns[name] for name in ("pelvis_ty", "knee_angle_r", "hip_flexion_l")}
    motion = load_motion(write(time, some))
    whole = load_motion(write(time, columns))
    for name in ("knee_angle_r", "hip_flexion_l"):
        np.testing.assert_allclose(joint(motion, name), joint(whole, name), atol=1e-9)
    for name in ("knee_angle_l", "hip_adduction_r"):
        assert not joint(motion, name).any()
    assert any("absent, held at zero: pelvis_tilt" in note for note in motion.report.notes)


def test_coordinates_without_a_joint_are_noted(write: Write, stride: Stride) -> None:
    time, columns = stride
    arms = {"arm_flex_r": 0.3 * np.sin(time), "lumbar_extension": columns["lumbar_extension"]}
    motion = load_motion(write(time, columns | arms))
    note = next(n for n in motion.report.notes if n.startswith("no such joint in 'legs', dropped"))
    assert "arm_flex_r" in note and "lumbar_extension" in note


def test_recorded_toes_are_kept_and_missing_ones_fitted(write: Write, stride: Stride) -> None:
    time, columns = stride
    fitted = load_motion(write(time, columns))
    assert any(n.startswith("toes (mtp_angle) set by floor") for n in fitted.report.notes)
    bend = 0.3 * np.sin(2 * np.pi * time / time[-1]) ** 2
    toes = {"mtp_angle_r": bend, "mtp_angle_l": 0.5 * bend}
    kept = load_motion(write(time, columns | toes))
    at = np.arange(kept.n_frames) / kept.rate
    np.testing.assert_allclose(joint(kept, "mtp_angle_r"), np.interp(at, time, bend), atol=2e-3)
    np.testing.assert_allclose(
        joint(kept, "mtp_angle_l"), np.interp(at, time, 0.5 * bend), atol=2e-3
    )


def test_toes_of_one_side_alone_are_kept(write: Write, stride: Stride) -> None:
    time, columns = stride
    bend = 0.3 * np.sin(2 * np.pi * time / time[-1]) ** 2
    rest = {name: v for name, v in columns.items() if not name.startswith("mtp")}
    kept = load_motion(write(time, rest | {"mtp_angle_l": bend}))
    at = np.arange(kept.n_frames) / kept.rate
    np.testing.assert_allclose(joint(kept, "mtp_angle_l"), np.interp(at, time, bend), atol=2e-3)


def test_fitted_toes_do_not_sink(walk: ReferenceMotion) -> None:
    """Straight toes reach centimetres into the floor at push-off."""
    from kinesis_neuro.body.kinematics import foot_clearance, kinematics

    straight = walk.qpos.copy()
    for side in "rl":
        straight[:, 7 + walk.body.joints.index(f"mtp_angle_{side}")] = 0.0
    sunk = foot_clearance(walk.body, kinematics(walk.body, straight))
    fitted = foot_clearance(walk.body, walk.frames)
    assert sunk[:, 1::2].min() < -0.02
    assert fitted[:, 1::2].min() > -0.02


def test_leg_length_ratio_scales_the_way_only(write: Write, stride: Stride) -> None:
    time, columns = stride
    path = write(time, columns)
    short, long = (load_motion(path, speed=1.0, leg_length_ratio=r) for r in (0.8, 1.2))
    np.testing.assert_array_equal(short.qpos[:, 3:], long.qpos[:, 3:])
    ways = [m.qpos[-1, 1] - m.qpos[0, 1] for m in (short, long)]
    assert ways[1] / ways[0] == pytest.approx(1.5, rel=1e-9)


@pytest.mark.parametrize("rate", [60.0, 100.0, 150.0, 300.0])
def test_rate_is_what_was_asked(write: Write, stride: Stride, rate: float) -> None:
    time, columns = stride
    motion = load_motion(write(time, columns), rate=rate)
    assert motion.rate == rate and motion.duration == pytest.approx(time[-1], abs=1 / rate)
    reference = load_motion(write(time, columns), rate=300.0)
    step = round(300 / rate)
    np.testing.assert_allclose(
        joint(motion, "knee_angle_r"), joint(reference, "knee_angle_r")[::step], atol=1e-9
    )


# -- skeletons ------------------------------------------------------------------------------------


def lean(line: np.ndarray) -> np.ndarray:
    """Angle of a segment's line in the sagittal plane, positive where its end lies forward."""
    return np.arctan2(-line[:, 1], -line[:, 2])


@pytest.mark.parametrize("model", ["gait2392", "rajagopal2016"])
def test_thigh_and_shank_lie_as_in_the_model_of_the_recording(write: Write, model: str) -> None:
    """In the plane of walking the lines of the segments are those of the source's own skeleton."""
    time = np.arange(0, 1.001, 0.01)
    swing = np.sin(2 * np.pi * time)
    columns = {
        "pelvis_ty": np.full(time.size, 0.95),
        "pelvis_tilt": 0.1 * swing,
        "hip_flexion_r": 0.2 + 0.4 * swing,
        "knee_angle_r": -0.35 - 0.2 * swing,
        "ankle_angle_r": 0.1 * swing,
    }
    motion = load_motion(write(time, columns), skeleton=model)
    source, body = skeleton(model), motion.body
    at = np.arange(motion.n_frames) / motion.rate
    tilt, hip, knee, ankle = (
        np.interp(at, time, columns[c])
        for c in ("pelvis_tilt", "hip_flexion_r", "knee_angle_r", "ankle_angle_r")
    )
    place = {s: motion.frames.body_position[:, body.segments.index(s)] for s in body.segments}

    def own(point: tuple[float, float, float]) -> float:
        return np.arctan2(point[0], -point[1])

    thigh = lean(place["tibia_r"] - place["femur_r"])
    shank = lean(place["talus_r"] - place["tibia_r"])
    # The body's knee centre wanders by millimetres with flexion: within a degree and a half.
    tolerance = np.deg2rad(1.5)
    np.testing.assert_allclose(thigh, tilt + hip + own(source.knee), atol=tolerance)
    np.testing.assert_allclose(shank, tilt + hip + knee + own(source.ankle), atol=tolerance)
    # The foot keeps its orientation: sole angle is the sum of all.
    w, x, y, z = motion.frames.body_orientation[:, body.segments.index("calcn_r")].T
    forward = np.stack([1 - 2 * (y**2 + z**2), 2 * (x * y + w * z), 2 * (x * z - w * y)], axis=1)
    pitch = np.arctan2(forward[:, 2], -forward[:, 1])
    np.testing.assert_allclose(pitch, tilt + hip + knee + ankle, atol=tolerance)


def test_ankles_stand_as_far_apart_as_in_the_model_of_the_recording(write: Write) -> None:
    """gait2392's hips are wider than MyoLegs': legs that hang straight there hang straight here."""
    time = np.arange(0, 0.5, 0.01)
    straight = {f"hip_adduction_{s}": np.zeros(time.size) for s in "rl"}
    path = write(time, straight | {"pelvis_ty": np.full(time.size, 0.95)})
    for name, apart in (("gait2392", 2 * 0.0835), (None, 2 * 0.07726)):
        motion = load_motion(path, skeleton=name, leg_length_ratio=1.0)
        right, left = (
            motion.frames.body_position[:, motion.body.segments.index(f"talus_{s}"), 0]
            for s in "rl"
        )
        np.testing.assert_allclose(left - right, apart, atol=4e-3)


def test_without_a_skeleton_angles_are_copied(write: Write, stride: Stride) -> None:
    time, columns = stride
    motion = load_motion(write(time, columns))
    at = np.arange(motion.n_frames) / motion.rate
    for name in ("hip_flexion_r", "ankle_angle_l", "subtalar_angle_r"):
        np.testing.assert_allclose(
            joint(motion, name), np.interp(at, time, columns[name]), atol=5e-3
        )


def test_body_may_be_given_loaded(write: Write, stride: Stride) -> None:
    body = load_body("legs")
    assert load_motion(write(*stride), body=body).body is body
