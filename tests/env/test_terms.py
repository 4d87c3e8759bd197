"""The task's terms against plain scalar code, one environment at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kinesis_neuro.env import terms


def quaternions(n: int, seed: int = 0) -> np.ndarray:
    return Rotation.random(n, random_state=seed).as_quat(scalar_first=True)


def test_heading_is_the_turn_about_the_vertical() -> None:
    angle = np.linspace(-3.1, 3.1, 23)
    pure = Rotation.from_rotvec(np.outer(angle, [0, 0, 1])).as_quat(scalar_first=True)
    np.testing.assert_allclose(terms.heading(pure), angle, atol=1e-12)
    # Turning a tilted body about the vertical adds to its heading, whatever the tilt.
    tilted = Rotation.from_rotvec(np.random.default_rng(1).uniform(-0.6, 0.6, (23, 3)))
    turned = Rotation.from_euler("z", 1.0) * tilted
    difference = terms.heading(turned.as_quat(scalar_first=True)) - terms.heading(
        tilted.as_quat(scalar_first=True)
    )
    np.testing.assert_allclose(np.angle(np.exp(1j * (difference - 1.0))), 0, atol=1e-12)
    # A quaternion and its negative are one rotation.
    np.testing.assert_allclose(terms.heading(-pure), terms.heading(pure), atol=1e-12)


def test_local_vectors_are_turned_back_by_the_heading() -> None:
    rng = np.random.default_rng(2)
    angle = rng.uniform(-3, 3, 9)
    for shape in ((9, 3), (9, 4, 3), (9, 2, 5, 3)):
        vectors = rng.normal(size=shape)
        local = terms.to_local(vectors, angle)
        for k in range(9):
            back = Rotation.from_euler("z", -angle[k])
            expected = back.apply(vectors[k].reshape(-1, 3)).reshape(vectors[k].shape)
            np.testing.assert_allclose(local[k], expected, atol=1e-12)


def test_up_vector_is_the_vertical_seen_from_the_root() -> None:
    quaternion = quaternions(20)
    rotation = Rotation.from_quat(quaternion, scalar_first=True)
    expected = rotation.inv().apply([0.0, 0.0, 1.0])
    np.testing.assert_allclose(terms.up_vector(quaternion), expected, atol=1e-12)


def test_exponential_rewards() -> None:
    for squared in (0.0, 1e-4, 0.01, 1.0):
        given = np.array([squared])
        assert terms.position_reward(given)[0] == pytest.approx(math.exp(-200 * squared))
        assert terms.velocity_reward(given)[0] == pytest.approx(math.exp(-5 * squared))


def test_upright_reward_punishes_pitch_and_roll_and_not_heading() -> None:
    for pitch, roll in ((0.0, 0.0), (0.2, 0.0), (0.0, -0.3), (0.5, 0.0)):
        expected = math.exp(-3 * (pitch**2 + roll**2))
        for heading in (0.0, 1.0, -2.5):
            body = Rotation.from_euler("z", heading) * Rotation.from_euler("xy", [pitch, roll])
            got = terms.upright_reward(body.as_quat(scalar_first=True)[None])[0]
            assert got == pytest.approx(expected, rel=1e-9)
    fallen = Rotation.from_euler("x", np.pi).as_quat(scalar_first=True)[None]
    assert terms.upright_reward(fallen)[0] < 1e-9


def test_energy_reward_is_kinesiss() -> None:
    rng = np.random.default_rng(3)
    for excitation in (np.zeros(80), np.ones(80), rng.uniform(size=80)):
        l1 = sum(abs(float(u)) for u in excitation)
        l2 = math.sqrt(sum(float(u) ** 2 for u in excitation))
        expected = math.exp(-0.05 * (l1 + l2))
        assert terms.energy_reward(excitation[None])[0] == pytest.approx(expected, rel=1e-12)


def test_restraint_rewards_small_actions() -> None:
    actions = np.array([[0.0, 0.0], [0.1, -0.1], [0.6, 0.8]])
    expected = [1.0, math.exp(-5 * 0.01), math.exp(-5 * 0.5)]
    np.testing.assert_allclose(terms.restraint_reward(actions), expected, rtol=1e-12)


def test_distances_are_euclidean() -> None:
    rng = np.random.default_rng(4)
    here, there = rng.normal(size=(2, 6, 7, 3))
    got = terms.distances(here, there)
    for k in range(6):
        for b in range(7):
            assert got[k, b] == pytest.approx(math.dist(here[k, b], there[k, b]), rel=1e-12)


def test_rules_of_termination() -> None:
    distance = np.array(
        [
            [0.10, 0.10, 0.10],  # everything near
            [0.00, 0.00, 0.16],  # one body far, the mean near
            [0.15, 0.15, 0.15],  # at the threshold: not beyond it
            [0.60, 0.60, 0.60],  # everything far
            [np.nan, 0.0, 0.0],  # nowhere
            [np.inf, 0.0, 0.0],
        ]
    )
    strict = terms.failed(distance, "any", 0.15)
    np.testing.assert_array_equal(strict, [False, True, False, True, True, True])
    kinesis = terms.failed(distance, "mean", 0.5)
    np.testing.assert_array_equal(kinesis, [False, False, False, True, True, True])


def test_posture_counts_joints_alike() -> None:
    difference = np.array([[0.0, 0.0], [0.2, 0.0], [0.2, 0.2]])
    expected = np.exp(-5.0 * np.array([0.0, 0.02, 0.04]))
    np.testing.assert_allclose(terms.posture_reward(difference), expected)
