"""Conditions of muscles: no unit is lost, equilibria and endurance are analytic, force MuJoCo's."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest

from kinesis_neuro.body.conditions import (
    PUBLISHED_RATES,
    FatigueRates,
    MuscleCondition,
    advance_compartments,
    available,
    fatigue_rates,
    select_muscles,
    strength,
    weakened,
)
from kinesis_neuro.body.models import Body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.errors import InvalidInputError

DT = 1.0 / 150.0


def isometric(
    demand: np.ndarray, rates: FatigueRates, muscles: MuscleParameters, seconds: float, dt: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compartments (n_steps, n_muscles) under a constant demand, driven by activation dynamics."""
    n = demand.shape[-1]
    active, fatigued, resting = np.zeros(n), np.zeros(n), np.ones(n)
    course = []
    for _ in range(round(seconds / dt)):
        excitation = available(demand, fatigued)
        recruited = dt * (excitation - active) / muscles.time_constant(excitation, active)
        active, fatigued, resting = advance_compartments(
            active, recruited, fatigued, resting, demand, rates, dt
        )
        course.append((active, fatigued, resting))
    active, fatigued, resting = (np.stack(part) for part in zip(*course, strict=True))
    return active, fatigued, resting


@pytest.fixture(scope="module")
def muscles(legs: Body) -> MuscleParameters:
    return MuscleParameters.from_model(legs.model)


def test_no_unit_is_lost_whatever_is_asked(legs: Body, muscles: MuscleParameters) -> None:
    rng = np.random.default_rng(0)
    rates = fatigue_rates(MuscleCondition(fatigue=200.0), legs)
    active = rng.uniform(0, 0.4, (3, 80))
    fatigued = rng.uniform(0, 0.4, (3, 80))
    resting = 1.0 - active - fatigued
    for _ in range(2000):
        demand = rng.uniform(0, 1, (3, 80)) * (rng.random((3, 80)) < 0.8)
        excitation = available(demand, fatigued)
        recruited = DT * (excitation - active) / muscles.time_constant(excitation, active)
        active, fatigued, resting = advance_compartments(
            active, recruited, fatigued, resting, demand, rates, DT
        )
        np.testing.assert_allclose(active + fatigued + resting, 1.0, atol=1e-12)
        for share in (active, fatigued, resting):
            assert share.min() > -1e-12
            assert share.max() < 1.0 + 1e-12
    assert np.ptp(fatigued) > 0.1


def test_equilibrium_under_constant_load_is_the_analytic_one(
    legs: Body, muscles: MuscleParameters
) -> None:
    """All rates of change zero: MF = F/R MA, and C = F MA with C as activation dynamics has it."""
    rates = fatigue_rates(MuscleCondition(fatigue=500.0), legs)
    ratio = rates.fatigue / rates.recovery
    for load in (0.05, 0.5, 1.0):
        active, fatigued, resting = isometric(
            np.full(80, load), rates, muscles, seconds=60.0, dt=DT
        )
        # MA + MF + MR = 1; the time constant of recruitment depends on MA (Millard et al. 2013).
        end = active[-1]
        tau = muscles.time_activation * (0.5 + 1.5 * end)
        below = load / (1.0 + rates.fatigue * tau)
        beyond = 1.0 / (1.0 + ratio + rates.fatigue * tau)
        np.testing.assert_allclose(end, np.minimum(below, beyond), rtol=1e-6)
        np.testing.assert_allclose(fatigued[-1], ratio * end, rtol=1e-6)
        np.testing.assert_allclose(resting[-1], 1.0 - end - fatigued[-1], atol=1e-12)


@pytest.mark.parametrize(("joint", "load"), [("ankle", 0.3), ("knee", 0.6), ("trunk", 0.5)])
def test_a_load_is_held_as_long_as_the_equations_say(
    joint: str, load: float, muscles: MuscleParameters
) -> None:
    """MA = load until MF = 1 - load: endurance = -ln(1 - R (1 - load) / (F load)) / R."""
    fatigue, recovery, rest = PUBLISHED_RATES[joint]
    fatigue, recovery = 10.0 * fatigue, 10.0 * recovery  # minutes in seconds
    rates = FatigueRates(np.full(80, fatigue), np.full(80, recovery), np.full(80, rest))
    expected = -math.log(1.0 - recovery * (1.0 - load) / (fatigue * load)) / recovery
    active, fatigued, _ = isometric(
        np.full(80, load), rates, muscles, seconds=1.3 * expected, dt=DT
    )
    ended = np.argmax(fatigued[:, 0] > 1.0 - load) * DT
    assert ended == pytest.approx(expected, rel=0.02)
    held = active[150 : round(0.9 * expected / DT)]
    np.testing.assert_allclose(held, load, rtol=5e-3)
    assert (active[-1] < 0.97 * load).all()


def test_rest_recovers_faster_by_the_multiplier(legs: Body) -> None:
    rates = fatigue_rates(MuscleCondition(fatigue=1.0), legs)
    fatigued, none = np.full(80, 0.5), np.zeros(80)
    change = []
    for demand in (0.0, 0.02):
        _, after, _ = advance_compartments(
            none, none, fatigued, 1.0 - fatigued, np.full(80, demand), rates, DT
        )
        change.append(after - fatigued)
    np.testing.assert_allclose(change[0], rates.rest * change[1], rtol=1e-9)
    np.testing.assert_allclose(change[1], -rates.recovery * 0.5 * DT, rtol=1e-9)


def test_rates_go_by_joint_and_by_muscle(legs: Body) -> None:
    own = (("gas*", 0.1, 0.2, 3.0), ("gasmed_l", 0.4, 0.5, 6.0))
    rates = fatigue_rates(MuscleCondition(fatigue=2.0, fatigue_rates=own), legs)
    index = legs.muscles.index
    for name, (fatigue, recovery, rest) in {
        "soleus_r": PUBLISHED_RATES["ankle"],
        "vasmed_l": PUBLISHED_RATES["knee"],
        "psoas_r": PUBLISHED_RATES["general"],
        "gaslat_r": (0.1, 0.2, 3.0),
        "gasmed_l": (0.4, 0.5, 6.0),
    }.items():
        assert rates.fatigue[index(name)] == pytest.approx(2.0 * fatigue)
        assert rates.recovery[index(name)] == pytest.approx(2.0 * recovery)
        assert rates.rest[index(name)] == pytest.approx(rest)


def test_weakness_is_mujocos_force_with_less_gain(legs: Body) -> None:
    condition = MuscleCondition(strength=(("*", 0.9), ("vasti", 0.25), ("soleus_r", 0.0)))
    left = strength(condition, legs)
    assert left[legs.muscles.index("vaslat_l")] == 0.25
    assert left[legs.muscles.index("soleus_r")] == 0.0
    before = legs.model.actuator_gainprm.copy()
    weak = weakened(legs, left)
    np.testing.assert_array_equal(legs.model.actuator_gainprm, before)
    rng = np.random.default_rng(1)
    forces = []
    for model in (legs.model, weak):
        data = mujoco.MjData(model)
        rng = np.random.default_rng(1)
        data.qpos = legs.coupling.complete(model.qpos0)
        data.qvel = rng.normal(size=model.nv)
        data.act = rng.uniform(size=80)
        mujoco.mj_forward(model, data)
        muscles = MuscleParameters.from_model(model)
        np.testing.assert_allclose(
            muscles.force(data.act, data.actuator_length, data.actuator_velocity),
            -data.actuator_force,
            atol=1e-9,
        )
        forces.append((data.actuator_force.copy(), muscles.bias(data.actuator_length)))
    (full, passive), (less, same) = forces
    np.testing.assert_array_equal(passive, same)
    np.testing.assert_allclose(less - passive, left * (full - passive), atol=1e-9)


def test_patterns_mean_names_and_groups(legs: Body) -> None:
    assert select_muscles(legs, "vasti").sum() == 6
    assert select_muscles(legs, "*_l").sum() == 40
    assert [
        m for m, c in zip(legs.muscles, select_muscles(legs, "soleus_r"), strict=True) if c
    ] == ["soleus_r"]
    with pytest.raises(InvalidInputError, match=r"Unknown muscle 'biceps'. Available: .*vasti"):
        select_muscles(legs, "biceps")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fatigue": -1.0}, "fatigue must be zero or positive"),
        ({"noise": math.nan}, "noise must be zero or positive, got nan"),
        ({"delay": math.inf}, "delay must be zero or positive"),
        ({"initial_fatigue": 1.5}, "between 0 and 1, got 1.5"),
        ({"strength": (("vasti", 1.2),)}, "strength of 'vasti' must lie between 0 and 1"),
        ({"fatigue_rates": (("vasti", 0.1, -0.1, 1.0),)}, "none of them negative"),
    ],
)
def test_impossible_conditions_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        MuscleCondition(**options)
