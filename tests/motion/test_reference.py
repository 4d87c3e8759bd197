"""ReferenceMotion: cutting, repeating, turning, resampling change nothing they should not."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.reference import GroundContact, ReferenceMotion


def same_rotation(a: np.ndarray, b: np.ndarray) -> float:
    """Largest angle [rad] between two courses of quaternions, whatever their signs."""
    first, second = (Rotation.from_quat(q, scalar_first=True) for q in (a, b))
    return float((first.inv() * second).magnitude().max())


def drifting(legs: Body, n: int = 40, rate: float = 150.0) -> ReferenceMotion:
    """A motion that is not periodic: the body turns, rises and bends at once."""
    time = np.arange(n) / rate
    qpos = np.tile(legs.model.qpos0, (n, 1))
    qpos[:, :3] += np.stack([time, -2 * time, 0.1 * np.sin(3 * time)], axis=1)
    turn = Rotation.from_rotvec(time[:, None] * np.array([0.3, -0.5, 2.0]))
    qpos[:, 3:7] = turn.as_quat(scalar_first=True)
    for joint, speed in (("knee_angle_r", 1.5), ("hip_flexion_l", -1.0)):
        qpos[:, 7 + legs.joints.index(joint)] = 0.5 + speed * time
    ramp = np.ones((n, 2, 3)) * time[:, None, None]
    return ReferenceMotion.from_poses(
        legs,
        qpos,
        rate,
        name="drift",
        contact=GroundContact(ramp, ramp),
        events={"step": np.array([0.05, 0.2])},
    )


# -- velocities -----------------------------------------------------------------------------------


def test_velocities_are_mujocos_differences(walk: ReferenceMotion) -> None:
    """Frame by frame against mj_differentiatePos, across the seam of the cycle too."""
    around = walk.loop(3)
    model, n = walk.body.model, walk.n_frames
    independent = walk.body.coupling.independent_dof
    expected = np.empty(model.nv)
    for k in range(n, 2 * n):
        before, after = around.qpos[k - 1], around.qpos[k + 1]
        mujoco.mj_differentiatePos(model, expected, 2 / walk.rate, before, after)
        # MuJoCo gives the root's turning speed in the frame of the pose that it starts from; the
        # axis of a small turn is the same in the frame halfway.
        difference = walk.qvel[k - n] - expected
        assert np.abs(difference[independent]).max() < 1e-9


def test_velocities_of_dependent_joints_follow_their_polynomials(walk: ReferenceMotion) -> None:
    plain = np.empty(walk.body.model.nv)
    dependent = walk.body.coupling.dependent_dof
    for k in (10, 80, 150):
        before, after = walk.qpos[k - 1], walk.qpos[k + 1]
        mujoco.mj_differentiatePos(walk.body.model, plain, 2 / walk.rate, before, after)
        # Equal up to the curvature of the polynomials within two frames.
        np.testing.assert_allclose(walk.qvel[k, dependent], plain[dependent], atol=2e-2)


def test_ends_have_one_sided_velocities(legs: Body) -> None:
    motion = drifting(legs)
    for k, (a, b) in ((0, (0, 1)), (-1, (-2, -1))):
        expected = np.empty(legs.model.nv)
        mujoco.mj_differentiatePos(
            legs.model, expected, 1 / motion.rate, motion.qpos[a], motion.qpos[b]
        )
        independent = legs.coupling.independent_dof
        np.testing.assert_allclose(motion.qvel[k, independent], expected[independent], atol=1e-9)


def test_integrating_the_velocities_gives_the_motion(walk: ReferenceMotion) -> None:
    pose = walk.qpos[0].copy()
    for k in range(walk.n_frames):
        ahead = 0.5 * (walk.qvel[k] + walk.qvel[(k + 1) % walk.n_frames])
        mujoco.mj_integratePos(walk.body.model, pose, ahead, 1 / walk.rate)
    end = walk.qpos[0].copy()
    end[:3] += walk.displacement
    assert np.abs(pose[:3] - end[:3]).max() < 1e-3
    assert same_rotation(pose[None, 3:7], end[None, 3:7]) < 5e-3
    np.testing.assert_allclose(pose[7:], end[7:], atol=5e-3)


# -- loop -----------------------------------------------------------------------------------------


def test_loop_goes_on_where_the_cycle_ended(walk: ReferenceMotion) -> None:
    twice, n = walk.loop(2), walk.n_frames
    assert twice.n_frames == 2 * n and twice.duration == pytest.approx(2 * walk.duration)
    np.testing.assert_array_equal(twice.displacement, 2 * walk.displacement)
    np.testing.assert_allclose(twice.qpos[n, :3], walk.qpos[0, :3] + walk.displacement)
    np.testing.assert_array_equal(twice.qpos[n:, 3:], walk.qpos[:, 3:])
    # No seam: the step across it is no larger than those within, in position and in velocity.
    position, velocity = np.abs(np.diff(twice.qpos, axis=0)), np.abs(np.diff(twice.qvel, axis=0))
    for steps in (position, velocity):
        assert (steps[n - 1] <= 1.5 * np.delete(steps, n - 1, axis=0).max(axis=0) + 1e-12).all()


def test_loop_carries_contact_and_events(walk: ReferenceMotion) -> None:
    twice, n = walk.loop(2), walk.n_frames
    np.testing.assert_array_equal(twice.contact.force[n:], walk.contact.force)
    np.testing.assert_allclose(
        twice.contact.center_of_pressure[n:], walk.contact.center_of_pressure + walk.displacement
    )
    for name, times in walk.events.items():
        np.testing.assert_allclose(twice.events[name], [*times, *(times + walk.duration)])


def test_looping_equals_computing_anew(walk: ReferenceMotion) -> None:
    twice = walk.loop(2)
    anew = ReferenceMotion.from_poses(
        walk.body, twice.qpos, walk.rate, displacement=twice.displacement
    )
    np.testing.assert_allclose(anew.qvel, twice.qvel, atol=1e-9)


def test_what_is_not_periodic_cannot_be_looped(legs: Body) -> None:
    with pytest.raises(InvalidInputError, match="'drift' is not periodic"):
        drifting(legs).loop(2)


# -- slice ----------------------------------------------------------------------------------------


def test_slice_takes_the_frames_between(legs: Body) -> None:
    motion = drifting(legs)
    part = motion.slice(0.1, 0.2)
    np.testing.assert_array_equal(part.qpos, motion.qpos[15:31])
    np.testing.assert_array_equal(part.qvel, motion.qvel[15:31])
    np.testing.assert_array_equal(part.contact.force, motion.contact.force[15:31])
    np.testing.assert_allclose(part.events["step"], [0.1])
    assert part.duration == pytest.approx(0.1)
    whole = motion.slice(0, motion.duration)
    np.testing.assert_array_equal(whole.qpos, motion.qpos)


def test_slice_of_a_loop_is_not_periodic(walk: ReferenceMotion) -> None:
    part = walk.loop(2).slice(1.0, 1.5)
    assert not part.periodic and part.duration == pytest.approx(0.5)


@pytest.mark.parametrize("span", [(-0.1, 0.1), (0.2, 0.1), (0.0, 0.4), (0.1, 0.1)])
def test_slice_refuses_what_is_not_there(legs: Body, span: tuple[float, float]) -> None:
    with pytest.raises(InvalidInputError, match=r"Cannot take .* of 'drift'.*0\.260 s at 150 Hz"):
        drifting(legs).slice(*span)


# -- turn -----------------------------------------------------------------------------------------


def test_full_turn_is_the_identity(walk: ReferenceMotion) -> None:
    turned = walk.turn(2 * np.pi)
    np.testing.assert_allclose(turned.qpos[:, :3], walk.qpos[:, :3], atol=1e-12)
    assert same_rotation(turned.qpos[:, 3:7], walk.qpos[:, 3:7]) < 1e-7
    np.testing.assert_array_equal(turned.qpos[:, 7:], walk.qpos[:, 7:])
    np.testing.assert_allclose(turned.qvel, walk.qvel, atol=1e-12)
    np.testing.assert_allclose(turned.contact.force, walk.contact.force, atol=1e-9)


def test_turns_add_up(walk: ReferenceMotion) -> None:
    once, twice = walk.turn(1.0), walk.turn(0.3).turn(0.7)
    np.testing.assert_allclose(twice.qpos[:, :3], once.qpos[:, :3], atol=1e-12)
    assert same_rotation(twice.qpos[:, 3:7], once.qpos[:, 3:7]) < 1e-7
    np.testing.assert_allclose(twice.displacement, once.displacement, atol=1e-12)


def test_turning_turns_everything_and_bends_nothing(walk: ReferenceMotion) -> None:
    angle = 0.8
    turned, turn = walk.turn(angle), Rotation.from_euler("z", angle)
    for name in ("body_position", "body_velocity"):
        before, after = getattr(walk.frames, name), getattr(turned.frames, name)
        expected = turn.apply(before.reshape(-1, 3)).reshape(before.shape)
        np.testing.assert_allclose(after, expected, atol=1e-9)
    for name in ("muscle_length", "muscle_velocity"):
        np.testing.assert_allclose(
            getattr(turned.frames, name), getattr(walk.frames, name), atol=1e-9
        )
    np.testing.assert_allclose(turned.displacement, turn.apply(walk.displacement))
    # Velocities are those of the turned poses.
    anew = ReferenceMotion.from_poses(
        walk.body, turned.qpos, walk.rate, displacement=turned.displacement
    )
    np.testing.assert_allclose(anew.qvel, turned.qvel, atol=1e-9)
    # The force still acts in the same place of the foot.
    foot = walk.body.segments.index("calcn_r")
    lever = walk.contact.center_of_pressure[:, 0] - walk.frames.body_position[:, foot]
    lever_after = turned.contact.center_of_pressure[:, 0] - turned.frames.body_position[:, foot]
    np.testing.assert_allclose(lever_after, turn.apply(lever), atol=1e-12)
    np.testing.assert_allclose(turned.contact.force[:, 0], turn.apply(walk.contact.force[:, 0]))


# -- resample -------------------------------------------------------------------------------------


def test_resampling_to_the_same_rate_changes_nothing(walk: ReferenceMotion, legs: Body) -> None:
    for motion in (walk, drifting(legs)):
        again = motion.resample(motion.rate)
        assert again.n_frames == motion.n_frames and again.rate == pytest.approx(motion.rate)
        np.testing.assert_allclose(again.qpos, motion.qpos, atol=1e-12)
        np.testing.assert_allclose(again.qvel, motion.qvel, atol=1e-9)
        np.testing.assert_allclose(again.contact.force, motion.contact.force, atol=1e-9)


@pytest.mark.parametrize("rate", [60.0, 100.0, 300.0, 1000.0])
def test_resampling_keeps_the_cycle(walk: ReferenceMotion, rate: float) -> None:
    other = walk.resample(rate)
    assert other.rate == pytest.approx(rate, rel=0.02)
    assert other.duration == pytest.approx(walk.duration, abs=1e-12)
    np.testing.assert_array_equal(other.displacement, walk.displacement)
    np.testing.assert_allclose(np.linalg.norm(other.qpos[:, 3:7], axis=1), 1.0, atol=1e-12)
    completed = walk.body.coupling.complete(other.qpos)
    np.testing.assert_array_equal(completed, other.qpos)
    # The mean force is the body's weight at any rate.
    lifted = other.contact.force[..., 2].sum(axis=1).mean()
    assert lifted == pytest.approx(walk.contact.force[..., 2].sum(axis=1).mean(), rel=2e-3)
    # Centres of pressure travel on with the cycle.
    travelled = other.loop(2).contact.center_of_pressure
    np.testing.assert_allclose(
        travelled[other.n_frames], travelled[0] + walk.displacement, atol=1e-12
    )


def test_resampling_halfway_is_halfway(legs: Body) -> None:
    """Linear in positions, and along the shortest turn for the root."""
    motion = drifting(legs)
    finer = motion.resample(300.0)
    assert finer.duration == pytest.approx(motion.duration, abs=1e-9)
    np.testing.assert_allclose(finer.qpos[::2], motion.qpos, atol=1e-12)
    middle = 0.5 * (motion.qpos[1:] + motion.qpos[:-1])
    free = [0, 1, 2, *(legs.coupling.independent_dof[6:] + 1)]
    np.testing.assert_allclose(finer.qpos[1::2][:, free], middle[:, free], atol=1e-12)
    a, b = (
        Rotation.from_quat(q[:, 3:7], scalar_first=True)
        for q in (motion.qpos[:-1], motion.qpos[1:])
    )
    halfway = a * Rotation.from_rotvec(0.5 * (a.inv() * b).as_rotvec())
    assert same_rotation(finer.qpos[1::2, 3:7], halfway.as_quat(scalar_first=True)) < 1e-7


def test_resampling_takes_the_short_way_between_opposite_quaternions(legs: Body) -> None:
    """q and -q are one rotation: between them nothing turns."""
    qpos = np.tile(legs.model.qpos0, (4, 1))
    qpos[1::2, 3:7] *= -1
    motion = ReferenceMotion.from_poses(legs, qpos, 150.0)
    assert np.abs(motion.qvel).max() < 1e-12
    finer = motion.resample(600.0)
    assert same_rotation(finer.qpos[:, 3:7], np.tile(qpos[0, 3:7], (finer.n_frames, 1))) < 1e-7


@pytest.mark.parametrize("rate", [0.0, -150.0, np.nan, np.inf])
def test_resampling_refuses_what_is_no_rate(walk: ReferenceMotion, rate: float) -> None:
    with pytest.raises(InvalidInputError, match="positive number of Hz"):
        walk.resample(rate)


# -- making ---------------------------------------------------------------------------------------


def test_poses_are_completed(legs: Body) -> None:
    qpos = np.tile(legs.model.qpos0, (5, 1))
    qpos[:, 7 + legs.joints.index("knee_angle_r")] = 1.0
    motion = ReferenceMotion.from_poses(legs, qpos, 150.0)
    np.testing.assert_array_equal(motion.qpos, legs.coupling.complete(qpos))
    assert np.abs(motion.qpos - qpos).max() > 1e-3


def test_bad_poses_are_refused(legs: Body) -> None:
    good = np.tile(legs.model.qpos0, (5, 1))
    with pytest.raises(InvalidInputError, match=r"shape \(frames, 35\), got \(5, 34\)"):
        ReferenceMotion.from_poses(legs, good[:, :-1], 150.0)
    with pytest.raises(InvalidInputError, match="at least 3 frames, got 2"):
        ReferenceMotion.from_poses(legs, good[:2], 150.0)
    spoilt = good.copy()
    spoilt[3, 9] = np.nan
    with pytest.raises(InvalidInputError, match="frame 3 is not"):
        ReferenceMotion.from_poses(legs, spoilt, 150.0)


def test_hash_is_the_contents(walk: ReferenceMotion) -> None:
    assert walk.hash == walk.turn(0.0).hash
    assert len({walk.hash, walk.turn(0.1).hash, walk.loop(2).hash, walk.resample(60).hash}) == 4
