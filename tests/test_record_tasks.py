"""Recordings of steered bodies: of the schema, with what was asked, and without a jump."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from kinesis_neuro.body.models import load_body
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.tasks.commander import Commander
from kinesis_neuro.env.tasks.goal import GoalConfig
from kinesis_neuro.env.tasks.reach import ReachConfig
from kinesis_neuro.env.tasks.steer import SteerConfig
from kinesis_neuro.evaluate_goal import evaluate_goal
from kinesis_neuro.learn.config import NetworkConfig, TrainConfig
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.learn.start import first_policy
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.nwb import read_nwb, write_nwb
from kinesis_neuro.record import record
from kinesis_neuro.schema import validate


def unskilled(goal: GoalConfig) -> Policy:
    """A policy that has learnt nothing: what it is asked is recorded all the same."""
    task = ImitationConfig(
        actuation="excitation", termination_rule="mean", termination_distance=1e3, goal=goal
    )
    network = NetworkConfig(actor=(8,), critic=(8,), squash=True, initial_mean=-0.9)
    config = TrainConfig(name="unskilled", body="legs26", task=task, network=network)
    env = ImitationEnv([load_motion("walk", load_body("legs26"))], task, n_threads=1)
    policy = first_policy(config, env, torch.Generator().manual_seed(0), "")
    env.close()
    return policy.eval()


@pytest.fixture(scope="module")
def steered() -> xr.Dataset:
    schedule = [(0.0, 0.9, 0.0), (0.2, 0.7, 1.0)]
    return record(
        unskilled(SteerConfig()),
        duration=0.5,
        n_threads=1,
        prepare=lambda env: Commander(env).follow(schedule),
    )


def test_what_was_commanded_is_recorded_when_it_was(steered: xr.Dataset) -> None:
    validate(steered)
    np.testing.assert_allclose(steered.commanded_speed.sel(time=slice(0, 0.19)), 0.9)
    np.testing.assert_allclose(steered.commanded_speed.sel(time=slice(0.21, None)), 0.7)
    np.testing.assert_allclose(steered.commanded_heading.sel(time=slice(0.21, None)), 1.0)
    assert steered.reference_heading.attrs["units"] == "rad"


def test_nothing_jumps_at_a_new_command(steered: xr.Dataset) -> None:
    for name in ("root_position", "reference_position"):
        step = np.abs(steered[name].diff("time")).max()
        assert step < 8.0 / 150  # 8 m/s: a swinging or a falling leg


def test_nwb_keeps_a_targets_recording(tmp_path) -> None:
    target = (0.5, -2.0)
    recording = record(
        unskilled(ReachConfig()),
        duration=0.2,
        n_threads=1,
        prepare=lambda env: env.goal.set_target(target),
    )
    validate(recording)
    np.testing.assert_allclose(recording.target_position[:, :2], np.tile(target, (30, 1)))
    apart = np.linalg.norm(recording.root_position.values[:, :2] - target, axis=1)
    np.testing.assert_allclose(recording.target_distance, apart)
    write_nwb(recording, tmp_path / "reach.nwb")
    kept = read_nwb(tmp_path / "reach.nwb")
    xr.testing.assert_equal(kept.target_position, recording.target_position)


def test_who_has_learnt_nothing_reaches_nothing() -> None:
    result = evaluate_goal(unskilled(ReachConfig()), n_episodes=3, duration=2.0, n_threads=1)
    assert result["success"].values.tolist() == [0.0] * 3
    assert result["fell"].values.tolist() == [1.0] * 3
    assert "time_to_target" not in result.attrs["summary"]
