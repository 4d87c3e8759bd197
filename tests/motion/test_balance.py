"""Zero moment points by mechanics, polygons by brute force, and motions that come into balance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.spatial import ConvexHull

from kinesis_neuro.body.kinematics import foot_clearance
from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.balance import BalanceConfig, _shifted, _Spline, balanced, balanced_or_not
from kinesis_neuro.motion.quality import QualityLimits
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.report import RetargetReport
from kinesis_neuro.motion.zero_moment import ground_demand, nearest_inside

RATE = 150.0


def standing(body: Body, seconds: float) -> NDArray:
    """Poses of the body standing on both feet, knees a little bent."""
    pose = body.coupling.complete(body.model.qpos0)
    for side in "rl":
        for joint, angle in (("hip_flexion", 0.3), ("knee_angle", 0.6), ("ankle_angle", 0.3)):
            pose[7 + body.joints.index(f"{joint}_{side}")] = angle
    pose = body.coupling.complete(pose)
    still = ReferenceMotion.from_poses(body, np.tile(pose, (3, 1)), RATE)
    pose[2] -= foot_clearance(body, still.frames).min() + 0.001
    return np.tile(pose, (round(seconds * RATE), 1))


def test_a_body_that_sways_as_a_whole_is_an_inverted_pendulum(walk: ReferenceMotion) -> None:
    """Without rotation, the zero moment point is d - z d''/g, for any body."""
    qpos = standing(walk.body, 3.0)
    time, turn = np.arange(len(qpos)) / RATE, 2 * np.pi * 0.7
    d = 0.02 * np.sin(turn * time)
    qpos[:, 0] += d
    demand = ground_demand(ReferenceMotion.from_poses(walk.body, qpos, RATE))
    height = demand.center_of_mass[:, 2]
    expected = demand.center_of_mass[:, 0] + height * turn**2 * d / 9.81
    inner = slice(15, -15)  # one-sided differences at the ends
    np.testing.assert_allclose(demand.point[inner, 0], expected[inner], atol=1e-3)
    np.testing.assert_allclose(demand.point[inner, 1], demand.center_of_mass[inner, 1], atol=5e-4)
    np.testing.assert_allclose(demand.force[inner, 2], walk.body.weight, rtol=1e-3)


def test_demands_turn_with_the_motion(walk: ReferenceMotion) -> None:
    """Whichever way the root's own axes point, in which MuJoCo gives its moment."""
    angle = 2.0
    turned = ground_demand(walk.turn(angle))
    straight = ground_demand(walk)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(turned.point, straight.point @ turn.T, atol=1e-6)
    np.testing.assert_allclose(turned.force[:, :2], straight.force[:, :2] @ turn.T, atol=1e-6)
    np.testing.assert_allclose(turned.outside(), straight.outside(), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 9))
def test_nearest_points_of_polygons(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    cloud = rng.normal(size=(n, 2))
    hull = cloud[ConvexHull(cloud).vertices]
    point = 2.0 * rng.normal(size=(1, 2))
    padded = np.concatenate([hull, hull[-1:]])[None]
    (found,) = nearest_inside(point, padded)
    # None of many points of the polygon is nearer, and the one found is one of it.
    some = rng.dirichlet(np.full(len(hull), 0.3), size=2000) @ hull
    reach = np.linalg.norm(found - point[0])
    assert reach <= np.linalg.norm(some - point[0], axis=1).min() + 1e-9
    equations = ConvexHull(hull).equations
    assert (equations[:, :2] @ found + equations[:, 2]).max() < 1e-9


def test_points_of_a_line_and_of_nothing() -> None:
    corners = np.array([[[0.0, 0.0], [2.0, 0.0], [2.0, 0.0]], [[np.nan] * 2] * 3])
    found = nearest_inside(np.array([[1.0, 1.0], [1.0, 1.0]]), corners)
    np.testing.assert_allclose(found[0], [1.0, 0.0])
    assert np.isnan(found[1]).all()


def test_swaying_comes_into_balance_and_feet_stay(walk: ReferenceMotion) -> None:
    qpos = standing(walk.body, 2.0)
    still = ReferenceMotion.from_poses(walk.body, qpos, RATE)
    time = np.arange(len(qpos)) / RATE
    # The pelvis shakes over feet that stand: 12 mm at 2.5 Hz need 30 cm of centre of pressure.
    way = np.stack([np.zeros_like(time), 0.012 * np.sin(2 * np.pi * 2.5 * time)], axis=1)
    shaken = _shifted(still, way, BalanceConfig())
    steady = balanced(shaken)
    before, after = (ground_demand(m).mean_outside() for m in (shaken, steady))
    assert before > 0.05
    assert after < before / 10
    feet = [walk.body.segments.index(s) for s in walk.body.contacts]
    moved = steady.frames.body_position[:, feet] - shaken.frames.body_position[:, feet]
    assert np.linalg.norm(moved, axis=-1).max() < 0.003
    assert isinstance(steady.report, RetargetReport)
    assert "zero moment point" in steady.report.notes[-1]


def test_what_is_in_balance_stays(walk: ReferenceMotion) -> None:
    still = ReferenceMotion.from_poses(walk.body, standing(walk.body, 1.0), RATE)
    assert ground_demand(still).mean_outside() == 0.0
    np.testing.assert_allclose(balanced(still).qpos, still.qpos, atol=1e-3)


def test_periodic_motions_are_refused(walk: ReferenceMotion) -> None:
    with pytest.raises(InvalidInputError, match="periodic"):
        balanced(walk)


@pytest.mark.parametrize(
    "wrong", [{"knots": 0.0}, {"rounds": 0}, {"shift_weight": float("nan")}, {"margin": -0.01}]
)
def test_settings_that_solve_nothing_are_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(InvalidInputError, match=name):
        BalanceConfig(**wrong)  # type: ignore[arg-type]


def test_sparse_splines_are_scipys() -> None:
    time = np.linspace(0.0, 1.3, 196)
    spline = _Spline(time, 0.06)
    weights = np.random.default_rng(0).normal(size=spline.n_coefficients)
    inner = np.linspace(0.0, 1.3, spline.n_coefficients - 2)
    dense = BSpline(np.r_[[0.0] * 3, inner, [1.3] * 3], weights, 3)
    np.testing.assert_allclose(spline.way @ weights, dense(time), atol=1e-12)
    np.testing.assert_allclose(spline.acceleration @ weights, dense(time, 2), rtol=1e-9, atol=1e-8)


def test_a_motion_that_balance_would_spoil_stays(walk: ReferenceMotion) -> None:
    strict = QualityLimits(skating=-1.0)
    looped = walk.loop(2).slice(0.0, 1.5)
    with pytest.raises(InvalidInputError, match="skating"):
        balanced_or_not(looped, strict)
    steady, quality = balanced_or_not(looped)
    assert quality.passed
    assert ground_demand(steady).mean_outside() < 0.01
