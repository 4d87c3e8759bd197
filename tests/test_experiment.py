"""Perturbed walks are the control up to the onset, and what is done to them is what was asked."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from kinesis_neuro.analysis.phase_response import measure_phase_response
from kinesis_neuro.body.models import load_body
from kinesis_neuro.errors import InvalidInputError, KinesisError
from kinesis_neuro.experiment import PerturbedWalks, perturb, push_test
from kinesis_neuro.learn.checkpoint import load_policy
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.perturbation import BeltSpeedChange, Push, SilentMuscle
from kinesis_neuro.schema import validate

PHASES = [0.0, 0.4]
RATE = 150.0


@pytest.fixture(scope="module")
def motion() -> ReferenceMotion:
    return load_motion("walk", load_body("legs"))


@pytest.fixture(scope="module")
def belt(motion: ReferenceMotion) -> PerturbedWalks:
    change = BeltSpeedChange(0.3, duration=0.4, ramp=0.1)
    return perturb("walk-excitation", change, motion, phases=PHASES, after=2.5)


def test_recordings_are_the_control_until_the_onset(belt: PerturbedWalks) -> None:
    validate(belt.control, kind="recording")
    assert "perturbation" not in belt.control.attrs
    for run, onset in zip(belt.perturbed, belt.onset, strict=True):
        validate(run, kind="recording")
        first = round(onset * RATE)
        for name in ("root_position", "activation", "muscle_force", "ground_force", "action"):
            before, control = (x[name].isel(time=slice(first)) for x in (run, belt.control))
            np.testing.assert_array_equal(before, control)
        assert run.attrs["n_falls"] == 0 and run.sizes == belt.control.sizes
        about = json.loads(run.attrs["perturbation"])
        assert about["kind"] == "BeltSpeedChange" and about["onset"] == onset
    np.testing.assert_allclose(np.diff(belt.onset), 0.4 * belt_period(belt), atol=1 / RATE)
    assert not np.array_equal(belt.perturbed[0].activation, belt.control.activation)


def belt_period(walks: PerturbedWalks) -> float:
    phase = walks.control.reference_phase.values
    return float(np.diff(np.flatnonzero(np.diff(phase) < 0))[0] / RATE)


def test_everything_that_rides_on_the_belt_gains_its_speed(belt: PerturbedWalks) -> None:
    # After one physics step nothing else has had time to answer: all parts move alike.
    first = round(belt.onset[1] * RATE)
    run = belt.perturbed[1]
    gained = (run.root_velocity - belt.control.root_velocity).isel(time=first).sel(space="y")
    assert float(gained) == pytest.approx(-0.3 / 15)
    bodies = (run.body_velocity - belt.control.body_velocity).isel(time=first).sel(space="y")
    np.testing.assert_allclose(bodies, -0.3 / 15, atol=1e-9)


def test_what_recordings_say_about_the_phase(belt: PerturbedWalks) -> None:
    response = measure_phase_response(belt.control, belt.perturbed, belt.onset, settle=1)
    np.testing.assert_allclose(
        (response.onset_phase - belt.reference_phase + 0.5) % 1 - 0.5, 0, atol=0.05
    )
    assert (response.fell == 0).all() and (response.n_strikes > 0).all()
    # The reference's clock leads: what is left after some steps is next to nothing.
    assert float(abs(response.phase_shift).max()) < 0.03
    assert response.muscle_response.dims == ("episode", "time", "muscle")
    assert response.muscle_response.units == "1" and "side" in response.coords
    assert float(abs(response.peak_response).max()) > 0.01
    again = measure_phase_response(belt.control, [belt.control], belt.onset[:1])
    assert float(abs(again.muscle_response).max()) == 0


def test_a_silent_muscle_has_passive_force_alone(motion: ReferenceMotion) -> None:
    silent = SilentMuscle("soleus_r", duration=0.3)
    walks = perturb("walk-excitation", silent, motion, phases=[0.4], after=0.0)
    run, first = walks.perturbed[0], round(walks.onset[0] * RATE)
    active = run.activation.sel(muscle="soleus_r").values
    assert (active[first : first + 45] == 0).all()
    assert active[first - 1] > 0 and active[first + 60] > 0
    assert (run.excitation.sel(muscle="soleus_r").values[first : first + 45] > 0).any()
    others = run.activation.drop_sel(muscle="soleus_r").isel(time=first)
    np.testing.assert_array_equal(
        others, walks.control.activation.drop_sel(muscle="soleus_r").isel(time=first)
    )


def test_a_push_gives_its_momentum(motion: ReferenceMotion) -> None:
    push = Push(force=150.0, direction=np.pi / 2, duration=1 / RATE)
    walks = perturb("walk-excitation", push, motion, phases=[0.3], after=0.0)
    first = round(walks.onset[0] * RATE)
    body = load_body("legs")
    mass = body.model.body_mass
    gained = walks.perturbed[0].body_velocity - walks.control.body_velocity
    segment = [body.segments.index(name) for name in gained.body.values]
    assert np.array_equal(segment, np.arange(len(segment)))
    pelvis = gained.isel(time=first + 1).sel(body="pelvis")
    # To the left, which is +x; by no more than if the pelvis were alone, no less than with all.
    alone = 150.0 / RATE / mass[body.model.body("pelvis").id]
    assert 150.0 / RATE / mass.sum() < float(pelvis.sel(space="x")) < alone
    assert abs(float(pelvis.sel(space="y"))) < 0.3 * float(pelvis.sel(space="x"))


def test_a_fall_ends_a_recording(motion: ReferenceMotion) -> None:
    shove = Push(force=1500.0, direction=0.0, duration=0.3)
    walks = perturb("walk-excitation", shove, motion, phases=[0.2], after=1.5)
    run = walks.perturbed[0]
    assert run.attrs["n_falls"] == 1 and run.sizes["time"] < walks.control.sizes["time"]
    assert walks.control.attrs["n_falls"] == 0
    response = measure_phase_response(walks.control, walks.perturbed, walks.onset, settle=0)
    assert response.n_fell == 1 and int(response.fell[0]) == 1
    assert np.isnan(response.muscle_response[0, -1]).all()


def test_a_push_in_many_directions(motion: ReferenceMotion) -> None:
    result = push_test("walk-excitation", motion, n_trials=4, force=1500.0, recovery=0.6)
    assert result.attrs["fall_rate"] > 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phases": 0}, "phases must be how many"),
        ({"phases": [0.2, 1.0]}, "phases must be how many"),
        ({"after": -1.0}, "after must not be negative"),
        ({"perturbation": SilentMuscle("soleus")}, "Unknown muscle 'soleus'"),
        ({"perturbation": Push(duration=0.0)}, "duration must be positive"),
        ({"perturbation": Push(force=np.nan)}, "force must be finite"),
        ({"perturbation": BeltSpeedChange(duration=0.05)}, "must not be shorter"),
        ({"perturbation": BeltSpeedChange(ramp=0.0)}, "ramp must be positive"),
    ],
)
def test_bad_protocols_are_named(change: dict, message: str, motion: ReferenceMotion) -> None:
    arguments = {"perturbation": Push(), "motion": motion} | change
    with pytest.raises(KinesisError, match=message):
        perturb(load_policy("walk-excitation"), **arguments)


def test_a_motion_that_ends_has_no_phase(motion: ReferenceMotion) -> None:
    once = dataclasses.replace(motion, displacement=None)
    with pytest.raises(InvalidInputError, match="is not periodic"):
        perturb("walk-excitation", Push(), once)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: measure_phase_response(w.control, [], []), "no perturbed recording"),
        (lambda w: measure_phase_response(w.control, w.perturbed, [2.0]), "one onset for each"),
        (lambda w: measure_phase_response(w.control, w.perturbed, [2.0, 99.0]), "must lie between"),
        (lambda w: measure_phase_response(w.control, w.perturbed, w.onset, "both"), "Allowed"),
        (
            lambda w: measure_phase_response(
                w.control, [x.isel(muscle=slice(5)) for x in w.perturbed], w.onset
            ),
            "differ along 'muscle'",
        ),
    ],
)
def test_bad_recordings_are_named(call: object, message: str, belt: PerturbedWalks) -> None:
    with pytest.raises(InvalidInputError, match=message):
        call(belt)
