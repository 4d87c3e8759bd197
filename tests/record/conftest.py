"""A small body whose untrained policy falls, and what it recorded."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import xarray as xr

from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.learn import play
from kinesis_neuro.learn.policy import Policy, untrained_policy
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.record import record


@pytest.fixture(scope="session")
def load_once() -> Callable[..., ReferenceMotion]:
    """To load the motion takes longer than most of what is tested here."""
    return functools.cache(load_motion)


@pytest.fixture(autouse=True, scope="module")
def loaded_once(load_once: Callable[..., ReferenceMotion]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "load_motion", load_once)
        yield


@pytest.fixture(scope="session")
def body() -> Body:
    return load_body("legs26")


@pytest.fixture(scope="session")
def policy() -> Policy:
    return untrained_policy(0, "legs26")


@pytest.fixture(scope="session")
def with_task() -> Callable[..., Policy]:
    """Give the same policy in a task with other options."""

    def make(policy: Policy, **changes: Any) -> Policy:
        about = dataclasses.replace(policy.about, task={**policy.about.task, **changes})
        other = Policy(policy.n_observations, policy.n_actions, policy.config, about)
        other.load_state_dict(policy.state_dict())
        return other.eval()

    return make


@pytest.fixture(scope="session")
def restarted(policy: Policy) -> xr.Dataset:
    """Two seconds over several falls."""
    return record(policy, duration=2.0, seed=1, on_fall="restart")


@pytest.fixture(scope="session")
def falling(policy: Policy, with_task: Callable[..., Policy]) -> xr.Dataset:
    """One long fall, that nothing ends before the half of the body is down."""
    loose = with_task(policy, termination_rule="mean", termination_distance=0.5)
    return record(loose, duration=1.0, seed=0)
