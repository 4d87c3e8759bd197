"""Muscles in a condition, stepped: neutral is none to the bit; late, silent and tired ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.body.models import Body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.env.conditioned import ConditionedSimulation
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.simulation import Simulation
from kinesis_neuro.motion.reference import ReferenceMotion

N = 3


def make(legs: Body, walk: ReferenceMotion, condition: MuscleCondition | None) -> Simulation:
    if condition is None:
        simulation = Simulation(legs, N, 1)
    else:
        rng = np.random.default_rng(0)
        simulation = ConditionedSimulation(legs, N, 1, condition=condition, rng=rng)
    rows = [5, 60, 110]
    simulation.reset(np.arange(N), walk.qpos[rows], walk.qvel[rows], np.full((N, 80), 0.05))
    return simulation


@pytest.fixture(scope="module")
def demands() -> np.ndarray:
    """Bursts and pauses, (n_steps, N, 80)."""
    rng = np.random.default_rng(3)
    return rng.uniform(size=(40, N, 80)) * (rng.random((40, N, 80)) < 0.6)


@pytest.mark.parametrize(
    "condition",
    [
        MuscleCondition(),
        MuscleCondition(strength=(("*", 1.0),)),
        # Fatigue that never comes: the compartments are followed all the same.
        MuscleCondition(fatigue=1.0, fatigue_rates=(("*", 0.0, 0.0, 1.0),)),
    ],
)
def test_a_neutral_condition_is_none_to_the_bit(
    condition: MuscleCondition, legs: Body, walk: ReferenceMotion, demands: np.ndarray
) -> None:
    plain, conditioned = make(legs, walk, None), make(legs, walk, condition)
    # Activation overshoots 1 where it rises from rest in one explicit step; fatigue forbids that.
    gentle = 0.5 * demands
    for demand in gentle:
        plain.step(demand)
        conditioned.step(demand)
        np.testing.assert_array_equal(conditioned.state, plain.state)
        np.testing.assert_array_equal(conditioned.sensors, plain.sensors)
        np.testing.assert_array_equal(conditioned.excitation, demand)
    for simulation in (plain, conditioned):
        simulation.close()


def test_a_delay_shifts_what_arrives(
    legs: Body, walk: ReferenceMotion, demands: np.ndarray
) -> None:
    simulation = make(legs, walk, MuscleCondition(delay=0.021))  # three steps
    for k, demand in enumerate(demands[:10]):
        simulation.step(demand)
        expected = demands[k - 3] if k >= 3 else np.full((N, 80), 0.05)
        np.testing.assert_array_equal(simulation.excitation, expected)
        np.testing.assert_array_equal(simulation.muscle_states()["excitation_demand"], demand)
    simulation.close()


def test_what_is_on_its_way_is_part_of_the_state(
    legs: Body, walk: ReferenceMotion, demands: np.ndarray
) -> None:
    condition = MuscleCondition(delay=0.02, fatigue=50.0, initial_fatigue=0.2)
    first, second = make(legs, walk, condition), make(legs, walk, condition)
    for demand in demands[:10]:
        first.step(demand)
    second.set_state_arrays({k: v.copy() for k, v in first.state_arrays().items()})
    for demand in demands[10:20]:
        first.step(demand)
        second.step(demand)
        np.testing.assert_array_equal(first.state, second.state)
    for name, values in first.muscle_states().items():
        np.testing.assert_array_equal(values, second.muscle_states()[name])
    for simulation in (first, second):
        simulation.close()


def test_a_silent_muscle_has_no_active_force(
    legs: Body, walk: ReferenceMotion, demands: np.ndarray
) -> None:
    simulation = make(legs, walk, MuscleCondition(deactivated=("vasti", "soleus_r"), delay=0.02))
    silent = [i for i, g in enumerate(legs.group) if g == "vasti"]
    silent.append(legs.muscles.index("soleus_r"))
    muscles = MuscleParameters.from_model(legs.model)
    for demand in demands:
        simulation.step(demand)
        active = muscles.force(
            simulation.previous[:, -80:],
            simulation.sensor("muscle_length"),
            simulation.sensor("muscle_velocity"),
        ) + muscles.bias(simulation.sensor("muscle_length"))
        assert (active[:, silent] == 0.0).all()
        assert (simulation.excitation[:, silent] == 0.0).all()
    assert np.delete(active, silent, axis=1).max() > 10.0
    simulation.close()


def test_noise_grows_with_the_signal(legs: Body, walk: ReferenceMotion) -> None:
    simulation = make(legs, walk, MuscleCondition(noise=0.1))
    demand = np.tile(np.linspace(0.0, 0.5, 80), (N, 1))
    seen = []
    for _ in range(200):
        simulation.reset(
            np.arange(N), walk.qpos[[5, 60, 110]], walk.qvel[[5, 60, 110]], np.full((N, 80), 0.05)
        )
        simulation.step(demand)
        seen.append(simulation.excitation.copy())
    spread, mean = np.std(seen, axis=(0, 1)), np.mean(seen, axis=(0, 1))
    assert spread[0] == 0.0
    np.testing.assert_allclose(spread[1:] / demand[0, 1:], 0.1, rtol=0.2)
    np.testing.assert_allclose(mean, demand[0], atol=0.02)
    again = make(legs, walk, MuscleCondition(noise=0.1))
    again.step(demand)
    np.testing.assert_array_equal(again.excitation, seen[0])
    for made in (simulation, again):
        made.close()


def test_tired_muscles_are_active_and_resting_and_fatigued_in_one(
    legs: Body, walk: ReferenceMotion
) -> None:
    condition = MuscleCondition(fatigue=300.0, initial_fatigue=0.3)
    simulation = make(legs, walk, condition)
    for _ in range(60):
        simulation.step(np.ones((N, 80)))
        states = simulation.muscle_states()
        active = simulation.previous[:, -80:]
        total = active + states["fatigued"] + states["resting"]
        np.testing.assert_allclose(total, 1.0, atol=1e-12)
    assert states["fatigued"].min() > 0.35
    assert (active <= 1.0 - states["fatigued"] + 1e-12).all()
    simulation.close()


def test_weak_muscles_lift_less(legs: Body, walk: ReferenceMotion) -> None:
    """The physics itself has the weaker gain: half the activation does what half the gain does."""
    weak = make(legs, walk, MuscleCondition(strength=(("*", 0.5),)))
    plain = make(legs, walk, None)
    plain.activation[:] = 0.2
    weak.activation[:] = 0.4
    plain.step(np.zeros((N, 80)))
    weak.step(np.zeros((N, 80)))
    np.testing.assert_allclose(weak.qvel, plain.qvel, atol=1e-9)
    for simulation in (weak, plain):
        simulation.close()


def test_the_task_hands_the_condition_on(
    plain_table: ReferenceTable, make_env: Callable[..., ImitationEnv]
) -> None:
    env = make_env(
        plain_table,
        4,
        actuation="excitation",
        condition=MuscleCondition(deactivated=("soleus",), delay=0.01),
    )
    env.reset()
    soleus = [i for i, g in enumerate(env.body.group) if g == "soleus"]
    assert (env.simulation.activation[:, soleus] == 0.0).all()
    for _ in range(3):
        env.step(np.ones((4, 80)))
    assert (env.excitation[:, soleus] == 0.0).all()
    assert (np.delete(env.excitation, soleus, axis=1) == 1.0).all()
    assert env.mean_excitation[:, soleus].max() == 0.0
