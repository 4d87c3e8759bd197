"""The built-in gait walks like a person: forward, upright, on both legs, carrying its weight."""

from __future__ import annotations

import numpy as np
import pytest

from kinesis_neuro.body.kinematics import contact_points, foot_clearance, rotate
from kinesis_neuro.body.models import BODY_NAMES, load_body
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.library import gait_table, load_motion
from kinesis_neuro.motion.reference import ReferenceMotion


def joint(motion: ReferenceMotion, name: str) -> np.ndarray:
    return motion.qpos[:, 7 + motion.body.joints.index(name)]


@pytest.mark.parametrize("name", BODY_NAMES)
def test_walks_forward_at_the_scaled_speed(name: str) -> None:
    motion = load_motion("walk", body=name)
    note = next(n for n in motion.report.notes if n.startswith("translations scaled by"))
    ratio = float(note.split()[3].rstrip(","))
    velocity = motion.displacement / motion.duration
    # The body faces -y. A cycle's time is rounded to whole frames, hence half a percent.
    np.testing.assert_allclose(velocity, [0, -1.0 * ratio, 0], atol=0.005)
    assert 0.9 < ratio < 1.1
    assert motion.rate == 150.0 and motion.periodic


def test_pelvis_moves_like_in_the_table(walk: ReferenceMotion) -> None:
    """Against the table, read anew: height and sway are scaled by leg length, and nothing else."""
    table, about = gait_table("walk")
    at = np.arange(walk.n_frames) / walk.n_frames
    note = next(n for n in walk.report.notes if n.startswith("translations scaled by"))
    ratio = float(note.split()[3].rstrip(","))
    expected = {}
    for axis in "xyz":
        series = table[f"pelvis_t{axis}_mean"].to_numpy()
        expected[axis] = ratio * np.interp(at, table["phase"], series)
    forward = ratio * about["speed"] * at * about["cycle_duration"]
    way = np.stack([-expected["z"], -expected["x"] - forward, expected["y"]], axis=1)
    # Closing the mean cycle moves it by half its gap; the height follows the standing foot.
    difference = walk.qpos[:, :3] - way
    assert np.abs(difference[:, :2]).max() < 0.01 and np.abs(difference[:, 2]).max() < 0.02


def test_stays_upright(walk: ReferenceMotion) -> None:
    up = rotate(walk.qpos[:, 3:7], np.array([0.0, 0.0, 1.0]))
    assert up[:, 2].min() > np.cos(np.deg2rad(12))
    pelvis, head = (
        walk.frames.body_position[:, walk.body.segments.index(s)] for s in ("pelvis", "head")
    )
    assert (head[:, 2] - pelvis[:, 2]).min() > 0.4


def test_joints_move_as_in_any_gait(walk: ReferenceMotion) -> None:
    """Knee 60 to 75 degrees in swing, near straight in stance; hip and ankle in textbook ranges."""
    n = walk.n_frames
    for side in "rl":
        knee, hip, ankle = (
            np.rad2deg(joint(walk, f"{j}_{side}"))
            for j in ("knee_angle", "hip_flexion", "ankle_angle")
        )
        strike = round(
            walk.events[f"heel_strike_{'right' if side == 'r' else 'left'}"][0] * walk.rate
        )
        assert 55 < knee.max() < 80 and knee.min() > 0
        # Largest flexion in initial swing, at 65 to 80 % of the leg's own cycle.
        assert 0.62 < ((knee.argmax() - strike) % n) / n < 0.8
        assert 15 < hip.max() < 40 and -25 < hip.min() < 0
        assert hip[strike % n] > 15 and ankle.min() < -5 and ankle.max() > 5
    low, high = walk.body.model.jnt_range[1:].T
    free = walk.body.coupling.independent_dof[6:] - 6
    inside = (walk.qpos[:, 7:] >= low - 1e-9) & (walk.qpos[:, 7:] <= high + 1e-9)
    assert inside[:, free].all()


def test_left_follows_right_by_half_a_cycle(walk: ReferenceMotion) -> None:
    half = walk.n_frames // 2
    for name, least in (("hip_flexion", 0.95), ("knee_angle", 0.95), ("ankle_angle", 0.85)):
        right, left = joint(walk, f"{name}_r"), joint(walk, f"{name}_l")
        assert np.corrcoef(right, np.roll(left, half))[0, 1] > least
    strikes = walk.events
    between = strikes["heel_strike_left"][0] - strikes["heel_strike_right"][0]
    assert between / walk.duration == pytest.approx(0.5, abs=0.02)


def test_ground_carries_the_weight_and_nothing_sideways(walk: ReferenceMotion) -> None:
    mean = walk.contact.force.sum(axis=1).mean(axis=0) / walk.body.weight
    # Over a whole cycle momentum returns to where it was: mean force is the weight.
    assert mean[2] == pytest.approx(1.0, abs=0.01)
    assert np.abs(mean[:2]).max() < 0.03
    for foot in (0, 1):
        share = (walk.contact.force[:, foot, 2] > 40).mean()
        assert 0.58 < share < 0.70  # stance at 1 m/s
    # Two double supports a cycle.
    both = (walk.contact.force[..., 2] > 40).all(axis=1)
    assert (np.diff(both.astype(int), append=both[0]) == 1).sum() == 2


def test_force_brakes_and_then_propels(walk: ReferenceMotion) -> None:
    """Early in stance the ground pushes backwards (+y), late forwards (-y)."""
    n = walk.n_frames
    for foot, side in enumerate(("right", "left")):
        strike = round(walk.events[f"heel_strike_{side}"][0] * walk.rate)
        stance = np.roll(walk.contact.force[:, foot, 1], -strike)[: int(0.6 * n)]
        third = len(stance) // 3
        assert stance[:third].mean() > 0.02 * walk.body.weight
        assert stance[-third:].mean() < -0.02 * walk.body.weight


def test_acceleration_of_the_mass_is_the_force(walk: ReferenceMotion) -> None:
    """Newton on the whole body: vertical force follows the pelvis' vertical acceleration."""
    height = walk.loop(3).qpos[:, 2]
    acceleration = np.gradient(np.gradient(height, 1 / walk.rate), 1 / walk.rate)
    n = walk.n_frames
    expected = walk.body.mass * (acceleration[n : 2 * n] + 9.81)
    measured = walk.contact.force[..., 2].sum(axis=1)
    assert np.corrcoef(expected, measured)[0, 1] > 0.8


def test_center_of_pressure_lies_under_the_loaded_foot(walk: ReferenceMotion) -> None:
    body = walk.body
    for foot, side in enumerate("rl"):
        soles = []
        for segment in (f"calcn_{side}", f"toes_{side}"):
            i = body.segments.index(segment)
            points, _ = contact_points(body, segment)
            turned = rotate(walk.frames.body_orientation[:, i, None], points[None])
            soles.append(walk.frames.body_position[:, i, None] + turned)
        sole = np.concatenate(soles, axis=1)[..., :2]
        loaded = walk.contact.force[:, foot, 2] > 50
        pressure = walk.contact.center_of_pressure[:, foot]
        np.testing.assert_array_equal(pressure[:, 2], 0.0)
        outside = np.maximum(sole.min(axis=1) - pressure[:, :2], pressure[:, :2] - sole.max(axis=1))
        # Points are the capsules' axes: the sole reaches 2 cm farther.
        assert (outside[loaded].max(axis=1) < 0.02).mean() > 0.95
        assert outside[loaded].max() < 0.05


def test_rolls_from_heel_to_toe(walk: ReferenceMotion) -> None:
    """The centre of pressure travels forward under the foot, by most of its length."""
    heel = walk.frames.body_position[:, walk.body.segments.index("calcn_r"), 1]
    ahead = heel - walk.contact.center_of_pressure[:, 0, 1]  # forward is -y
    stance = np.flatnonzero(walk.contact.force[:, 0, 2] > 100)
    early, late = ahead[stance[:10]].mean(), ahead[stance[-10:]].mean()
    assert late - early > 0.1


def test_feet_touch_the_floor_and_do_not_dig(walk: ReferenceMotion) -> None:
    clearance = foot_clearance(walk.body, walk.frames)
    assert clearance.min() > -0.02
    assert np.abs(clearance.min(axis=1)).max() < 0.02
    # The unloaded foot in mid-swing is off the floor, the loaded one on it.
    for foot, columns in enumerate(((0, 1), (2, 3))):
        lowest = clearance[:, columns].min(axis=1)
        load = walk.contact.force[:, foot, 2]
        assert lowest[load > 0.5 * walk.body.weight].max() < 0.01
        swing = load < 5
        assert np.median(lowest[swing]) > 0.01
    assert walk.report.floating.frames.size == 0


@pytest.mark.parametrize("name", ["legs26", "legs", "legs_back"])
def test_feet_stay_on_their_own_sides(name: str) -> None:
    """The right is -x: ankles pass each other at some 5 to 15 cm, and never cross."""
    motion = load_motion("walk", body=name)
    right, left = (
        motion.frames.body_position[:, motion.body.segments.index(f"talus_{s}"), 0] for s in "rl"
    )
    assert (left - right).min() > 0.04 and (left - right).max() < 0.3
    # Over a cycle the legs stand to both sides of the pelvis alike.
    middle = motion.frames.body_position[:, motion.body.segments.index("pelvis"), 0].mean()
    assert 0.5 * (left + right).mean() == pytest.approx(middle, abs=0.02)


def test_table_is_a_table_of_figures_with_its_source() -> None:
    table, about = gait_table("walk")
    assert len(table) == 101
    np.testing.assert_allclose(table["phase"], np.linspace(0, 1, 101))
    assert np.isfinite(table.to_numpy()).all()
    assert (table[[c for c in table if c.endswith("_sd")]] >= 0).all(axis=None)
    assert about["speed"] == 1.0 and about["licence"] == "Apache-2.0"
    assert "Wang" in about["source"] and "10.5281/zenodo.6457662" in about["source"]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"Unknown gait 'run'\. Available: walk"):
        gait_table("run")
    with pytest.raises(InvalidInputError, match=r"Unknown motion 'wakl'\. Available: .*walk"):
        load_motion("wakl")
    with pytest.raises(InvalidInputError, match="Unknown body 'leg'"):
        load_motion("walk", body="leg")
    with pytest.raises(InvalidInputError, match="takes no reader options, got speed"):
        load_motion("walk", speed=1.0)


def test_is_the_same_on_every_body_where_they_share_joints(walk: ReferenceMotion) -> None:
    for name in ("legs_abs", "legs_back"):
        other = load_motion("walk", body=load_body(name))
        for shared in set(walk.body.joints) & set(other.body.joints):
            np.testing.assert_allclose(joint(other, shared), joint(walk, shared), atol=1e-9)
    trunk = load_motion("walk", body="legs_abs")
    assert np.ptp(joint(trunk, "flex_extension")) > np.deg2rad(0.5)
