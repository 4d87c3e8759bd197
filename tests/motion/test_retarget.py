"""Retargeting by truth: what the body itself did comes back, limits hold, standing feet stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.kinematics import kinematics
from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import FileFormatError, InvalidInputError
from kinesis_neuro.formats.motion_data import MotionData
from kinesis_neuro.motion.feet import contact_ways, detect_stance
from kinesis_neuro.motion.files import motion_from_file, read_motion_file
from kinesis_neuro.motion.ik import IKConfig, SegmentTargets, solve_poses
from kinesis_neuro.motion.planting import plant_feet
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.report import LIMIT_TOLERANCE
from kinesis_neuro.motion.retarget import motion_data, retarget, retarget_assessed
from kinesis_neuro.motion.retarget_config import RetargetConfig

# A joint centre and the segment of the body whose frame lies in it.
JOINTS = {
    f"{word}_{joint}": f"{segment}_{side}"
    for word, side in (("right", "r"), ("left", "l"))
    for joint, segment in (("hip", "femur"), ("knee", "tibia"), ("ankle", "talus"), ("toe", "toes"))
}
SMPL_NAMES = {
    "pelvis": "pelvis",
    **{
        f"{word}_{joint}": f"{segment}_{side}"
        for word, side in (("right", "r"), ("left", "l"))
        for joint, segment in (("hip", "femur"), ("knee", "tibia"), ("ankle", "calcn"))
    },
}
LEGS = tuple(
    f"{joint}_{side}"
    for joint in ("hip_flexion", "hip_adduction", "knee_angle", "ankle_angle")
    for side in "rl"
)


@pytest.fixture(scope="module")
def stride(walk: ReferenceMotion) -> ReferenceMotion:
    """A bit over one cycle, on and on."""
    return walk.loop(2).slice(0.0, 1.3)


def positions(motion: ReferenceMotion, scale: float = 1.0, turn: float = 0.0) -> MotionData:
    """Joint centres alone, of a person of another size who faces another way."""
    frames = motion.frames
    index = [motion.body.segments.index(segment) for segment in JOINTS.values()]
    turned = Rotation.from_euler("z", turn).as_matrix()
    place = scale * frames.body_position[:, index] @ turned.T
    return MotionData(Path("person.bvh"), "joints", tuple(JOINTS), motion.rate, position=place)


def angles(motion: ReferenceMotion, names: tuple[str, ...]) -> np.ndarray:
    return motion.qpos[:, [7 + motion.body.joints.index(name) for name in names]]


# -- the body's own motions -----------------------------------------------------------------------


def wiggled(body: Body, seed: int) -> ReferenceMotion:
    """Smooth random joint angles over the middle of their ranges, and a root that turns."""
    rng = np.random.default_rng(seed)
    time = np.arange(24) / 60.0
    waves = sum(
        rng.normal(size=(body.model.nq, 1)) * np.sin(2 * np.pi * (f * time + rng.random()))
        for f in (0.5, 1.0, 1.5)
    ).T
    qpos = np.tile(body.model.qpos0, (len(time), 1))
    low, high = body.model.jnt_range[1:].T
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    qpos[:, 7:] = middle + 0.4 * half * np.tanh(waves[:, 7:])
    qpos[:, :3] += 0.2 * waves[:, :3]
    yaw = Rotation.from_euler("zyx", 0.4 * waves[:, 3:6])
    qpos[:, 3:7] = yaw.as_quat(scalar_first=True)
    return ReferenceMotion.from_poses(body, qpos, 60.0, name="wiggle")


@pytest.mark.parametrize("seed", range(3))
def test_positions_give_the_motion_back_to_a_millimetre(legs: Body, seed: int) -> None:
    motion = wiggled(legs, seed)
    back = retarget(
        motion_data(motion, orientation=False), legs, RetargetConfig(rate=60.0, on_fault="report")
    )
    away = np.linalg.norm(back.frames.body_position - motion.frames.body_position, axis=-1)
    assert away.max() < 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_frames_give_the_motion_back_to_half_a_degree(legs: Body, seed: int) -> None:
    motion = wiggled(legs, seed)
    back = retarget(motion_data(motion), legs, RetargetConfig(rate=60.0, on_fault="report"))
    first, second = (
        Rotation.from_quat(m.frames.body_orientation.reshape(-1, 4), scalar_first=True)
        for m in (motion, back)
    )
    assert np.rad2deg((first.inv() * second).magnitude()).max() < 0.5
    assert np.rad2deg(np.abs(back.qpos[:, 7:] - motion.qpos[:, 7:])).max() < 0.5
    assert np.abs(back.qpos[:, :3] - motion.qpos[:, :3]).max() < 1e-3


def test_the_gait_comes_back_through_the_default_rates(legs: Body, stride: ReferenceMotion) -> None:
    """Solved at 60 Hz, splines between: the walk at 150 Hz is still there to a millimetre."""
    back = retarget(motion_data(stride, orientation=False), legs, RetargetConfig(on_fault="report"))
    away = np.linalg.norm(back.frames.body_position - stride.frames.body_position, axis=-1)
    assert away.max() < 1e-3
    assert back.rate == 150.0 and back.n_frames == stride.n_frames


# -- other people ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "turn"), [(1.0, 0.0), (1.15, 2.0), (0.8, -1.0)])
def test_a_person_of_another_size_has_the_same_angles(
    legs: Body, stride: ReferenceMotion, scale: float, turn: float
) -> None:
    back, quality = retarget_assessed(
        positions(stride, scale, turn), legs, RetargetConfig(on_fault="report")
    )
    assert quality.passed, quality.faults
    difference = np.rad2deg(angles(back, LEGS) - angles(stride, LEGS))
    # The filter and the feet's locking take their part; an error of axes or sides is far larger.
    assert np.abs(np.median(difference, axis=0)).max() < 4
    assert np.sqrt(np.mean(difference**2)) < 5
    # It goes as far as its legs are long, and in the direction that it was turned to.
    way, given = (m.qpos[-1, :2] - m.qpos[0, :2] for m in (back, stride))
    expected = Rotation.from_euler("z", turn).as_matrix()[:2, :2] @ given
    np.testing.assert_allclose(way, expected, atol=0.06 * np.linalg.norm(given))


def test_smpl_orientations_need_no_model(legs: Body, stride: ReferenceMotion) -> None:
    """Segment rotations alone, as AMASS holds them, on the body's own segment lengths."""
    whole = motion_data(stride)
    index = [whole.index(segment) for segment in SMPL_NAMES.values()]
    data = MotionData(
        Path("walk_poses.npz"),
        "smpl",
        tuple(SMPL_NAMES),
        stride.rate,
        orientation=whole.orientation[:, index],
        root_position=1.1 * stride.qpos[:, :3],
    )
    back, quality = retarget_assessed(data, legs, RetargetConfig(on_fault="report"))
    assert quality.passed, quality.faults
    difference = np.rad2deg(angles(back, LEGS) - angles(stride, LEGS))
    assert np.sqrt(np.mean(difference**2)) < 4


def test_joint_limits_and_coupled_knees_hold(legs: Body, stride: ReferenceMotion) -> None:
    """Of a person whose knees bend backwards, nothing but what the body can do is left."""
    data = motion_data(stride, orientation=False)
    place = data.position.copy()
    for side in "rl":
        hip, knee, ankle = (data.index(f"{s}_{side}") for s in ("femur", "tibia", "talus"))
        middle = 0.5 * (place[:, hip] + place[:, ankle])
        place[:, knee] = 2 * middle - place[:, knee]
    back = retarget(replace(data, position=place), legs, RetargetConfig(on_fault="report"))
    low, high = legs.model.jnt_range[1:].T
    free = np.setdiff1d(np.arange(len(legs.joints)), legs.coupling.dependent_qpos - 7)
    excess = np.maximum(low - back.qpos[:, 7:], back.qpos[:, 7:] - high)[:, free]
    assert excess.max() <= LIMIT_TOLERANCE
    np.testing.assert_allclose(legs.coupling.complete(back.qpos), back.qpos, atol=1e-12)


def test_every_solution_lies_on_the_couplings_and_in_the_limits(legs: Body) -> None:
    """Targets out of reach in all directions, without what retargeting adds."""
    rng = np.random.default_rng(1)
    target = {s: rng.normal(scale=0.8, size=(8, 3)) for s in ("pelvis", "talus_r", "talus_l")}
    qpos = solve_poses(legs, SegmentTargets(target), config=IKConfig(max_iterations=20))
    low, high = legs.model.jnt_range[1:].T
    free = np.setdiff1d(np.arange(len(legs.joints)), legs.coupling.dependent_qpos - 7)
    assert np.maximum(low - qpos[:, 7:], qpos[:, 7:] - high)[:, free].max() < 1e-6
    np.testing.assert_allclose(legs.coupling.complete(qpos), qpos, atol=1e-12)


def slips(motion: ReferenceMotion) -> np.ndarray:
    """How far each foot segment moves over the floor while it stands [m], not while it lands."""
    stance = detect_stance(motion.body, motion.frames, motion.rate)
    way = contact_ways(motion.body, motion.frames)
    found = []
    for column in range(way.shape[1]):
        for start, stop in stance.intervals(column):
            if stop - start > 36:
                held = way[start + 14 : stop - 8, column, :2]
                found.append(np.linalg.norm(held - held.mean(axis=0), axis=1).max())
    return np.array(found)


def test_standing_feet_stand(legs: Body, stride: ReferenceMotion) -> None:
    """A person whose legs are longer slides on the body's feet, unless these are locked."""
    data = positions(stride, 1.15)
    # A way that does not fit the legs: the feet slide by a fifth of it.
    pelvis = 0.5 * (data.position[:, 0] + data.position[:, 4])
    drift = np.zeros_like(data.position)
    drift[..., :2] = 0.08 * (pelvis[:, None, :2] - pelvis[0, :2])
    settings = RetargetConfig(on_fault="report")
    locked = retarget(replace(data, position=data.position + drift), legs, settings)
    assert slips(locked).size >= 3
    assert slips(locked).max() < 0.009
    report = locked.report
    assert report.penetration.worst < 0.012
    assert report.floating.fraction(locked.n_frames) < 0.05


def test_planting_stops_feet_that_slide(legs: Body, stride: ReferenceMotion) -> None:
    """Joint angles on a treadmill whose speed was said wrong: 15 cm/s."""
    time = np.arange(stride.n_frames) / stride.rate
    qpos = stride.qpos.copy()
    qpos[:, 1] -= 0.15 * time
    sliding = ReferenceMotion.from_poses(legs, qpos, stride.rate, name="sliding")
    assert slips(sliding).max() > 0.02
    planted, quality = plant_feet(sliding, RetargetConfig(on_fault="report"))
    assert slips(planted).max() < 0.009
    assert quality.position_error < 0.03
    assert planted.contact is None and planted.name == "sliding"
    with pytest.raises(InvalidInputError, match="is periodic"):
        plant_feet(ReferenceMotion.from_poses(legs, qpos, 150.0, displacement=np.ones(3)))


# -- bad input ------------------------------------------------------------------------------------


def test_missing_joints_are_named(legs: Body, stride: ReferenceMotion) -> None:
    data = positions(stride)
    left_out = [k for k, name in enumerate(data.names) if name != "right_knee"]
    part = replace(
        data,
        names=tuple(data.names[k] for k in left_out),
        position=data.position[:, left_out],
    )
    with pytest.raises(FileFormatError, match=r"no joint that is known as knee_r among right_hip"):
        retarget(part, legs)
    whole = motion_data(stride)
    short = MotionData(
        Path("a.npz"),
        "smpl",
        ("pelvis", "right_hip"),
        60.0,
        orientation=whole.orientation[:, :2],
        root_position=stride.qpos[:, :3],
    )
    with pytest.raises(FileFormatError, match="no segment that is known as femur_l"):
        retarget(short, legs)


def test_lengths_no_person_has_are_refused(legs: Body, stride: ReferenceMotion) -> None:
    with pytest.raises(FileFormatError, match="times as long as the body's"):
        retarget(positions(stride, 2.2), legs)


def test_files_by_suffix(tmp_path: Path, legs: Body, stride: ReferenceMotion) -> None:
    file = tmp_path / "walk.npy"
    with pytest.raises(InvalidInputError, match=r"Unknown options for a \.npy file: up"):
        np.save(file, np.zeros((5, 22, 3)))
        read_motion_file(file, up="z")
    with pytest.raises(InvalidInputError, match=r"Give skeleton='FILE\.asf'"):
        read_motion_file(tmp_path / "a.amc")
    with pytest.raises(InvalidInputError, match="refuse, repair, report, got 'ignore'"):
        motion_from_file(file, legs, on_fault="ignore")


@pytest.mark.data
def test_real_clips_pass_the_gate(data_dir: Path, legs: Body) -> None:
    """One of each format that is retargeted; speeds are those of the data's own README."""
    walk = motion_from_file(data_dir / "deepmimic" / "humanoid3d_walk.txt", legs)
    speed = np.linalg.norm(walk.qpos[-1, :2] - walk.qpos[0, :2]) / walk.duration
    assert speed == pytest.approx(0.98, abs=0.08)
    folder = data_dir / "kinesis_assets" / "t2m"
    back, quality = retarget_assessed(
        read_motion_file(folder / "mdm_backward_0.pkl"), legs, RetargetConfig(on_fault="repair")
    )
    assert quality.passed
    # The body walks against the direction that its pelvis faces.
    frames = kinematics(legs, back.qpos)
    pelvis = Rotation.from_quat(frames.body_orientation[:, 0], scalar_first=True)
    neutral = kinematics(legs, legs.model.qpos0[None]).body_orientation[0, 0]
    turn = pelvis * Rotation.from_quat(neutral, scalar_first=True).inv()
    ahead = turn.apply([0.0, -1.0, 0.0])
    assert np.median(np.sum(ahead[:, :2] * back.qvel[:, :2], axis=1)) < -0.1
