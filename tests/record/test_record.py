"""Recordings: complete, repeatable to the bit, of the task that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.record import record
from kinesis_neuro.schema import RECORDING, validate

RATE, CONTROL_RATE, DECIMATION = 150.0, 30.0, 5


def test_it_is_a_recording(
    load_once: Callable[..., ReferenceMotion], restarted: xr.Dataset, body: Body
) -> None:
    validate(restarted)
    # Healthy muscles have no states beyond activation.
    of_conditions = {"excitation_demand", "fatigued", "resting"}
    assert set(RECORDING) - set(restarted.data_vars) == of_conditions
    assert restarted.sizes["time"] == 300
    np.testing.assert_array_equal(restarted.time, np.arange(300) / RATE)
    attrs = restarted.attrs
    assert (attrs["body"], attrs["body_hash"]) == ("legs26", body.hash)
    assert (attrs["motion"], attrs["motion_hash"]) == ("walk", load_once("walk", body).hash)
    assert (attrs["policy"], attrs["actuation"], attrs["seed"]) == ("untrained", "excitation", 1)
    assert (attrs["sampling_rate"], attrs["physics_rate"], attrs["control_rate"]) == (
        RATE,
        RATE,
        CONTROL_RATE,
    )
    # A foot in the air has no centre of pressure; everything else is there always.
    gaps = {name for name, v in restarted.items() if v.dtype.kind == "f" and v.isnull().any()}
    assert gaps == {"center_of_pressure"}
    in_the_air = restarted.ground_force.sel(space="z") <= 0
    assert (restarted.center_of_pressure.isnull().all("space") == in_the_air).all()


def test_the_same_seed_gives_the_same_bits(policy: Policy, restarted: xr.Dataset) -> None:
    again = record(policy, duration=2.0, seed=1, on_fall="restart", n_threads=2)
    xr.testing.assert_identical(again, restarted)
    for name in restarted.variables:
        assert again[name].values.tobytes() == restarted[name].values.tobytes()
    other = record(policy, duration=0.5, seed=2)
    assert other.reference_phase[0] != restarted.reference_phase[0]


def test_an_untrained_policy_is_drawn_from_the_seed() -> None:
    one, again, other = (record("untrained", duration=0.2, seed=s, start=0.3) for s in (0, 0, 1))
    xr.testing.assert_identical(one, again)
    assert one.attrs["policy_hash"] != other.attrs["policy_hash"]
    assert not np.array_equal(one.action[0], other.action[0])
    assert one.attrs["body"] == "legs"


def test_values_of_the_control_rate_are_held(restarted: xr.Dataset) -> None:
    for name in ("action", "reward", "excitation", "episode_index"):
        held = restarted[name].values.reshape(60, DECIMATION, -1)
        np.testing.assert_array_equal(held, np.repeat(held[:, :1], DECIMATION, axis=1))
        assert np.ptp(held[:, 0], axis=0).max() > 0


def test_actions_are_those_of_the_muscles_that_they_are_named_after(
    restarted: xr.Dataset, falling: xr.Dataset
) -> None:
    for dataset in (restarted, falling):
        assert dataset.action_channel.values.tolist() == dataset.muscle.values.tolist()
        np.testing.assert_allclose(0.5 * (dataset.action + 1.0), dataset.excitation, atol=1e-7)


def test_the_reference_is_followed_in_time(
    load_once: Callable[..., ReferenceMotion], restarted: xr.Dataset, body: Body
) -> None:
    walk = load_once("walk", body)
    frame = restarted.reference_phase.values * walk.n_frames
    np.testing.assert_allclose(frame, np.round(frame), atol=1e-9)
    same = np.diff(restarted.episode_index) == 0
    ahead = np.diff(np.round(frame))[same] % walk.n_frames
    np.testing.assert_array_equal(ahead, 1)
    inside = walk.frames.body_position[np.round(frame).astype(int)]
    # Cycles are alike, but for the way that was walked.
    way = restarted.reference_position.values - inside
    np.testing.assert_allclose(way - way[:, :1], 0.0, atol=1e-9)
    assert abs(way[..., 2]).max() < 1e-9


def test_error_is_the_mean_distance_of_what_is_tracked(restarted: xr.Dataset, body: Body) -> None:
    tracked = list(body.tracked_bodies)
    apart = (restarted.body_position - restarted.reference_position).sel(body=tracked)
    distance = np.sqrt((apart**2).sum("space"))
    np.testing.assert_allclose(restarted.tracking_error, distance.mean("body"), atol=1e-12)


def test_episodes_start_on_the_reference_and_end_with_a_fall(
    restarted: xr.Dataset, body: Body
) -> None:
    index = restarted.episode_index.values
    first = np.flatnonzero(np.diff(index, prepend=-1))
    assert len(first) > 3
    np.testing.assert_array_equal(np.unique(np.diff(index)), [0, 1])
    assert restarted.attrs["n_falls"] in (index[-1], index[-1] + 1)
    np.testing.assert_allclose(restarted.tracking_error[first], 0.0, atol=1e-9)
    tracked = list(body.tracked_bodies)
    apart = (restarted.body_position - restarted.reference_position).sel(body=tracked)
    largest = np.sqrt((apart**2).sum("space")).max("body").values
    # Control steps end the episode; within them, and before, all is well.
    last = first[1:] - 1
    assert (largest[last] > 0.15).all()
    ends = np.arange(DECIMATION - 1, len(index), DECIMATION)
    assert (largest[np.setdiff1d(ends, [*last, len(index) - 1])] <= 0.15).all()
    # Drawn anew each time: few of them alike, by chance.
    assert len(set(restarted.reference_phase.values[first])) > 0.8 * len(first)


def test_it_stops_with_the_fall(policy: Policy, restarted: xr.Dataset) -> None:
    stopped = record(policy, duration=2.0, seed=1)
    n = stopped.sizes["time"]
    assert stopped.attrs["n_falls"] == 1
    assert stopped.attrs["n_diverged"] == 0
    assert n == int((restarted.episode_index == 0).sum())
    xr.testing.assert_equal(
        stopped.drop_vars("time"), restarted.isel(time=slice(n)).drop_vars("time")
    )
    validate(stopped)


def test_at_the_control_rate_every_fifth_sample_is_kept(
    policy: Policy, restarted: xr.Dataset
) -> None:
    slow = record(policy, duration=2.0, seed=1, rate="control", on_fall="restart")
    validate(slow)
    assert slow.attrs == restarted.attrs | {"sampling_rate": CONTROL_RATE}
    xr.testing.assert_equal(slow, restarted.isel(time=slice(None, None, DECIMATION)))


def test_start_and_motion_can_be_chosen(
    load_once: Callable[..., ReferenceMotion], policy: Policy, body: Body
) -> None:
    walk = load_once("walk", body)
    dataset = record(policy, walk.loop(2), duration=0.1, start=1.5)
    assert float(dataset.reference_phase[0]) == pytest.approx(225 / (2 * walk.n_frames))
    clip = walk.loop(2).slice(0.0, 1.0)
    assert record(policy, clip, duration=0.1).attrs["motion_hash"] == clip.hash
    assert record(policy, "walk", duration=0.1).attrs["motion"] == "walk"


def test_the_body_can_be_prepared(policy: Policy) -> None:
    def lift(env: Any) -> None:
        env.wrench = lambda env: np.array([[0.0, 0.0, 2.0 * env.body.weight, 0.0, 0.0, 0.0]])

    plain = record(policy, duration=0.1, start=0.2)
    lifted = record(policy, duration=0.1, start=0.2, prepare=lift)
    n = min(plain.sizes["time"], lifted.sizes["time"])
    rise = (lifted.root_position - plain.root_position).sel(space="z")
    assert float(rise[n - 1]) > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": "fast"}, "'rate'. Allowed values are physics, control, but got 'fast'"),
        ({"on_fall": "cry"}, "'on_fall'. Allowed values are stop, restart, but got 'cry'"),
        ({"duration": 0.0}, "positive number of seconds, got 0.0"),
        ({"duration": -1.0}, "positive number of seconds, got -1.0"),
        ({"duration": float("nan")}, "got nan"),
        ({"duration": float("inf")}, "got inf"),
        ({"duration": 0.01}, "control step"),
        ({"start": -0.1}, "start must lie between 0 and 1.1"),
        ({"start": 9.0}, "got 9.0"),
        ({"motion": "run"}, "Unknown motion 'run'"),
        ({"motion": []}, "At least one motion"),
    ],
)
def test_impossible_recordings_are_refused(
    policy: Policy, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        record(policy, **options)
    assert message in str(caught.value)


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"Unknown policy 'wlak'\. Available"):
        record("wlak")


def test_a_motion_must_be_long_enough_and_on_the_body(
    load_once: Callable[..., ReferenceMotion], policy: Policy, body: Body
) -> None:
    clip = load_once("walk", body).slice(0.0, 0.5)
    with pytest.raises(
        InvalidInputError, match=r"lasts 0\.51 s, too short for a recording of 1\.00"
    ):
        record(policy, clip, duration=1.0)
    with pytest.raises(IncompatibleError, match="Load it with its own body"):
        record(policy, load_once("walk", "legs"))
