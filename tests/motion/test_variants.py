"""A faster motion is the same motion in less time."""

from __future__ import annotations

import numpy as np
import pytest

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.variants import faster, low_passed


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_speeds_scale_and_poses_do_not(walk: ReferenceMotion, factor: float) -> None:
    quick = faster(walk, factor)
    assert quick.rate == pytest.approx(walk.rate, rel=0.01)
    assert quick.duration == pytest.approx(walk.duration / factor, rel=1e-9)
    assert quick.contact is None
    at = np.arange(quick.n_frames) / quick.n_frames
    same = np.searchsorted(np.arange(walk.n_frames) / walk.n_frames, at)
    np.testing.assert_allclose(quick.qpos[:, 7:], walk.qpos[same % walk.n_frames, 7:], atol=0.1)
    for part in (slice(0, 3), slice(6, None)):
        ratio = np.square(quick.qvel[:, part]).mean() / np.square(walk.qvel[:, part]).mean()
        assert ratio == pytest.approx(factor**2, rel=0.03)


def test_noise_goes_and_movement_stays(walk: ReferenceMotion) -> None:
    time = np.arange(300) / 150.0
    qpos = np.tile(walk.qpos[:1], (300, 1))
    hip = 7 + walk.body.joints.index("hip_flexion_r")
    qpos[:, 0] += 1.2 * time
    qpos[:, hip] += 0.3 * np.sin(2 * np.pi * time)
    noisy = qpos.copy()
    noisy[:, hip] += 0.01 * np.sin(2 * np.pi * 40.0 * time)
    made = [ReferenceMotion.from_poses(walk.body, q, 150.0) for q in (qpos, noisy)]
    clean, smooth = (low_passed(motion, 6.0) for motion in made)
    np.testing.assert_allclose(smooth.qpos[20:-20], clean.qpos[20:-20], atol=2e-4)
    # Steady motion passes, ends included; the swing of 1 Hz keeps its size but for 2 %.
    np.testing.assert_allclose(smooth.qvel[:, 0], 1.2, atol=1e-9)
    assert np.ptp(clean.qpos[:, hip]) == pytest.approx(0.6, rel=0.02)


@pytest.mark.parametrize("frequency", [2.0, 6.0, 12.0])
def test_half_of_the_power_passes_at_the_cut_off(walk: ReferenceMotion, frequency: float) -> None:
    time = np.arange(600) / 150.0
    qpos = np.tile(walk.qpos[:1], (600, 1))
    hip = 7 + walk.body.joints.index("hip_flexion_r")
    qpos[:, hip] = 0.1 * np.sin(2 * np.pi * frequency * time)
    middle = low_passed(ReferenceMotion.from_poses(walk.body, qpos, 150.0), frequency)
    power = np.square(middle.qpos[150:450, hip]).mean() / np.square(qpos[150:450, hip]).mean()
    assert power == pytest.approx(0.5, abs=0.02)


def test_a_periodic_motion_stays_periodic(walk: ReferenceMotion) -> None:
    smooth = low_passed(walk, 3.0)
    twice = low_passed(walk.loop(2), 3.0)
    np.testing.assert_allclose(twice.qpos[: walk.n_frames], smooth.qpos, atol=1e-9)


def test_a_cut_off_that_averages_over_everything_is_refused(walk: ReferenceMotion) -> None:
    with pytest.raises(InvalidInputError, match="positive number of Hz, got 0"):
        low_passed(walk, 0)
    with pytest.raises(InvalidInputError, match="Use a higher one"):
        low_passed(walk.slice(0.0, 0.2), 1.0)


def test_a_tempo_that_no_body_has_is_refused(walk: ReferenceMotion) -> None:
    with pytest.raises(InvalidInputError, match=r"between 0\.5 and 2, got nan"):
        faster(walk, float("nan"))
