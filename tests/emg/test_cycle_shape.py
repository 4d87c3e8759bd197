"""Events from kinematics agree with those from force; odd cycles go; stance and swing part."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.emg.cycle_shape import reject_by_shape, split_stance_swing
from kinesis_neuro.emg.events_kinematic import kinematic_events
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.synthetic import gait_emg

BODIES = ["pelvis", "calcn_r", "toes_r", "calcn_l", "toes_l"]


def walker(speed: float, heading: float = 0.7) -> xr.Dataset:
    """Feet that swing around a pelvis: farthest in front at whole seconds (right)."""
    time = np.arange(600) / 100
    swing = 0.3 * np.cos(2 * np.pi * time)
    along = np.stack([0 * swing, swing, swing + 0.15, -swing, -swing + 0.15], axis=1)
    along = along + speed * time[:, None]
    position = along[..., None] * np.array([np.cos(heading), np.sin(heading), 0.0])
    return xr.Dataset(
        {"body_position": (("time", "body", "space"), position)},
        coords={"time": time, "body": BODIES, "space": ["x", "y", "z"]},
    )


@pytest.mark.parametrize("speed", [0.0, 1.2])
def test_events_over_ground_and_on_a_treadmill(speed: float) -> None:
    events = kinematic_events(walker(speed))
    np.testing.assert_allclose(events["heel_strike_right"], [1, 2, 3, 4, 5], atol=0.011)
    np.testing.assert_allclose(events["heel_strike_left"], np.arange(6) + 0.5, atol=0.011)
    np.testing.assert_allclose(events["toe_off_right"], np.arange(6) + 0.5, atol=0.011)


def test_kinematic_events_say_what_is_missing() -> None:
    with pytest.raises(InvalidInputError, match=r"need the bodies toes_l"):
        kinematic_events(walker(1.0).isel(body=slice(0, 4)))
    with pytest.raises(InvalidInputError, match=r"less than a cycle"):
        kinematic_events(walker(1.0).isel(time=slice(0, 20)))
    with pytest.raises(InvalidInputError, match=r"need body_position"):
        kinematic_events(walker(1.0).drop_vars("body_position"))


def test_odd_cycles_go_with_their_reason() -> None:
    cycles = gait_emg(1, 10, 4).isel(subject=0)[["envelope"]]
    cycles["envelope"][[2, 7]] = cycles.envelope[[2, 7]].values[:, ::-1]
    kept = reject_by_shape(cycles, min_r=0.8)
    assert kept.cycle.values.tolist() == [0, 1, 3, 4, 5, 6, 8, 9]
    tally = json.loads(kept.attrs["cycle_rejection"])
    assert tally["rejected"] == {"shape": 2} and tally["rejected_shape_cycle"] == [2, 7]
    with pytest.raises(InvalidInputError, match=r"No cycle has a mean r of 2"):
        reject_by_shape(cycles, min_r=2.0)


def test_toe_offs_come_to_one_phase() -> None:
    phase = np.linspace(0, 1, 101)
    off = np.array([0.55, 0.6, 0.65])
    stance = (phase[None] < off[:, None]).astype(float)
    cycles = xr.Dataset(
        {"envelope": (("cycle", "phase"), stance)},
        coords={"phase": phase, "toe_off_phase": ("cycle", off)},
    )
    split = split_stance_swing(cycles)
    assert (split.envelope.sel(phase=slice(0, 0.57)) == 1).all()
    assert (split.envelope.sel(phase=slice(0.63, 1)) == 0).all()
    np.testing.assert_array_equal(split.original_toe_off_phase, off)
    with pytest.raises(InvalidInputError, match=r"must be known"):
        split_stance_swing(cycles.drop_vars("toe_off_phase"))
