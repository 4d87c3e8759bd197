"""A kick's recording: of the same schema, with ball, goal and keeper, and kept in files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.tasks.kick_config import KickConfig
from kinesis_neuro.evaluate_goal import evaluate_goal
from kinesis_neuro.learn.config import NetworkConfig, TrainConfig
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.learn.start import first_policy
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.netcdf import read_netcdf, write_netcdf
from kinesis_neuro.record import record
from kinesis_neuro.schema import validate

EXTRA = ("ball_position", "ball_velocity", "goal_position", "keeper_position")


@pytest.fixture(scope="module")
def unskilled() -> Policy:
    """A policy that drives muscles alone and has learnt nothing: it needs no preparation."""
    task = ImitationConfig(
        actuation="excitation", termination_rule="mean", termination_distance=1e3, goal=KickConfig()
    )
    config = TrainConfig(
        name="unskilled",
        motions=("kick",),
        task=task,
        network=NetworkConfig(actor=(8,), critic=(8,), squash=True, initial_mean=-0.9),
    )
    env = ImitationEnv([load_motion("kick")], task, n_threads=1)
    policy = first_policy(config, env, torch.Generator().manual_seed(0), "")
    env.close()
    return policy.eval()


@pytest.fixture(scope="module")
def recording(unskilled: Policy) -> xr.Dataset:
    return record(unskilled, duration=0.4, seed=5, n_threads=1)


def test_it_is_of_the_schema_with_ball_goal_and_keeper(recording):
    validate(recording)
    for name in EXTRA:
        assert recording[name].dims == ("time", "space")
        assert np.isfinite(recording[name]).all()
    assert recording["ball_velocity"].attrs["units"] == "m/s"
    assert recording.sizes["joint"] == len(load_motion("kick").body.joints)
    # The ball lies where the seed laid it, and the goal is ten metres on.
    ball, goal = recording["ball_position"][0].values, recording["goal_position"][0].values
    assert np.abs(ball[:2]).max() <= 0.05
    np.testing.assert_allclose(goal, [0.0, -10.0, 0.0])


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_ball(unskilled, recording):
    again = record(unskilled, duration=0.4, seed=5, n_threads=1)
    xr.testing.assert_identical(recording, again)
    other = record(unskilled, duration=0.1, seed=6, n_threads=1)
    assert not np.allclose(other["ball_position"][0], recording["ball_position"][0])


def test_files_keep_it(recording, tmp_path):
    write_netcdf(recording, tmp_path / "kick.nc")
    xr.testing.assert_identical(read_netcdf(tmp_path / "kick.nc"), recording)


def test_whoever_has_learnt_nothing_does_not_kick(unskilled):
    result = evaluate_goal(unskilled, n_episodes=4, duration=1.0, n_threads=1)
    assert result["success"].values.tolist() == [0.0] * 4
    assert result["kicked"].sum() == 0
    np.testing.assert_allclose(result["duration"], 1.0)
