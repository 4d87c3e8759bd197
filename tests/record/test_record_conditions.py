"""Recordings of muscles that are tired, weak, late or silent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.body.models import Body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.netcdf import read_netcdf, write_netcdf
from kinesis_neuro.nwb import read_nwb, write_nwb
from kinesis_neuro.record import record
from kinesis_neuro.schema import validate


@pytest.fixture(scope="module")
def tired(policy: Policy) -> xr.Dataset:
    condition = MuscleCondition(
        fatigue=100.0, initial_fatigue=0.1, strength=(("vasti", 0.5),), delay=0.02, noise=0.1
    )
    return record(policy, duration=0.5, seed=1, on_fall="restart", condition=condition)


def test_fatigue_is_recorded_with_the_state_that_it_belongs_to(tired: xr.Dataset) -> None:
    validate(tired)
    total = tired.activation + tired.fatigued + tired.resting
    np.testing.assert_allclose(total, 1.0, atol=1e-12)
    assert tired.fatigued.min() >= 0.1 - 1e-3
    assert float(tired.fatigued.max()) > 0.12
    # What was asked for is not what arrived: late, noisy, and capped.
    assert not np.array_equal(tired.excitation_demand, tired.excitation)
    assert json.loads(str(tired.attrs["condition"]))["strength"] == [["vasti", 0.5]]


def test_force_of_weak_muscles_is_recorded_as_it_was(tired: xr.Dataset, body: Body) -> None:
    muscles = MuscleParameters.from_model(body.model)
    length, velocity = tired.muscle_length.values, tired.muscle_velocity.values
    gain = -muscles.gain(length, velocity) * tired.activation.values
    left = np.where(tired.group == "vasti", 0.5, 1.0)
    expected = left * gain - muscles.bias(length)
    np.testing.assert_allclose(tired.muscle_force, expected, atol=1e-9)


def test_states_of_muscles_survive_files(tired: xr.Dataset, tmp_path: Path) -> None:
    write_netcdf(tired, tmp_path / "tired.nc")
    xr.testing.assert_identical(read_netcdf(tmp_path / "tired.nc"), tired)
    write_nwb(tired, tmp_path / "tired.nwb")
    xr.testing.assert_identical(read_nwb(tmp_path / "tired.nwb"), tired)


def test_a_neutral_condition_records_the_same(policy: Policy) -> None:
    plain = record(policy, duration=0.2, seed=1)
    neutral = record(policy, duration=0.2, seed=1, condition=MuscleCondition())
    xr.testing.assert_identical(neutral, plain)
    assert "condition" not in plain.attrs
    full = record(policy, duration=0.2, seed=1, condition=MuscleCondition(strength=(("*", 1.0),)))
    for name in plain.data_vars:
        np.testing.assert_array_equal(full[name], plain[name])


def test_a_condition_that_was_trained_with_is_kept(
    with_task: Callable[..., Policy], policy: Policy
) -> None:
    trained = with_task(policy, condition={"deactivated": ["soleus_r"]})
    recording = record(trained, duration=0.1, seed=1)
    assert float(recording.excitation.sel(muscle="soleus_r").max()) == 0.0
    healthy = record(trained, duration=0.1, seed=1, condition=MuscleCondition())
    assert float(healthy.excitation.sel(muscle="soleus_r").max()) > 0.0
