"""Events and cycles are found where they were put, and nowhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.emg.cycles import cycle_statistics, segment_cycles
from kinesis_neuro.emg.events import gait_events
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.schema import make_variable, validate

RATE = 150.0
PERIOD, STANCE, START = 180, 112, 36  # samples
LAG = 90  # samples by which the left foot is late
LOAD = 700.0  # N
MUSCLES = ("soleus_r", "soleus_l", "erector")
SIDES = ("right", "left", "midline")


def square_gait(n_periods: int = 6, lag: int = LAG) -> xr.Dataset:
    """Feet that load and unload at once, and muscles whose activation is the time."""
    sample = np.arange(n_periods * PERIOD)
    time = sample / RATE
    force = np.zeros((time.size, 2, 3))
    for foot, start in enumerate((START, START + lag)):
        force[:, foot, 2] = LOAD * ((sample - start) % PERIOD < STANCE)
    ramp = np.tile(time[:, None], (1, len(MUSCLES)))
    variables = {
        "activation": make_variable("activation", ramp),
        "muscle_force": make_variable("muscle_force", 2 * ramp),
        "ground_force": make_variable("ground_force", force),
        "reward": make_variable("reward", np.ones(time.size)),
    }
    coords = {
        "time": make_variable("time", time),
        "muscle": make_variable("muscle", MUSCLES),
        "side": make_variable("side", SIDES),
        "group": make_variable("group", ["soleus", "soleus", "erector_spinae"]),
        "contact": make_variable("contact", ["right", "left"]),
        "space": make_variable("space", ["x", "y", "z"]),
    }
    return xr.Dataset(variables, coords, attrs={"policy": "none"})


def times_of(first: int, level: float, n_periods: int = 6) -> np.ndarray:
    """When a step that begins or ends at a sample, and each period later, passes a level."""
    sample = first % PERIOD + np.arange(n_periods) * PERIOD
    return (sample - 1 + level) / RATE


@pytest.fixture
def gait() -> xr.Dataset:
    return square_gait()


def test_events_of_a_square_wave_are_exact(gait: xr.Dataset) -> None:
    events = gait_events(gait)
    for side, start in (("right", START), ("left", START + LAG)):
        strike, off = events[f"heel_strike_{side}"], events[f"toe_off_{side}"]
        np.testing.assert_allclose(strike, times_of(start, 20 / LOAD))
        np.testing.assert_allclose(off, times_of(start + STANCE, 1 - 10 / LOAD))


@pytest.mark.parametrize("lag", [18, 67, 90, 111])
def test_a_lag_between_the_feet_is_recovered(lag: int) -> None:
    cycles = segment_cycles(square_gait(lag=lag))
    late = cycles.contralateral_cycle_start - cycles.cycle_start
    np.testing.assert_allclose(late, lag / RATE)
    # The two levels of the hysteresis are passed within one sample.
    np.testing.assert_allclose(cycles.toe_off_phase, STANCE / PERIOD, atol=1 / PERIOD)
    np.testing.assert_allclose(cycles.contralateral_toe_off_phase, STANCE / PERIOD, atol=1 / PERIOD)


def test_a_foot_that_bounces_or_scuffs_makes_no_events(gait: xr.Dataset) -> None:
    clean = gait_events(gait)
    vertical = gait.ground_force.values[:, :, 2]
    vertical[START + PERIOD + 4 : START + PERIOD + 7, 0] = 0.0  # just after landing
    vertical[START + STANCE + 30 : START + STANCE + 40, 0] = 300.0  # in mid-swing
    for name, times in gait_events(gait).items():
        np.testing.assert_allclose(times, clean[name], err_msg=name)
    assert len(gait_events(gait, min_duration=0.0)["heel_strike_right"]) == 6 + 2


def test_load_that_hovers_at_the_threshold_counts_once(gait: xr.Dataset) -> None:
    rng = np.random.default_rng(0)
    clean = gait_events(gait)["heel_strike_right"]
    loaded = gait.ground_force.values[:, 0, 2] > 0
    gait.ground_force[loaded, 0, 2] = 20.0 + rng.uniform(-9, 9, loaded.sum())
    gait.ground_force[np.flatnonzero(loaded[1:] & ~loaded[:-1]) + 1, 0, 2] = 25.0
    found = gait_events(gait, min_duration=0.0)["heel_strike_right"]
    np.testing.assert_allclose(found, clean, atol=1 / RATE)


def test_parts_of_a_foot_are_summed(gait: xr.Dataset) -> None:
    parts = gait.drop_vars("contact").isel(contact=[0, 0, 1, 1])
    parts["ground_force"] = parts.ground_force / 2
    parts = parts.assign_coords(contact=["calcn_r", "toes_r", "calcn_l", "toes_l"])
    for name, times in gait_events(parts).items():
        np.testing.assert_allclose(times, gait_events(gait)[name])
    parts = parts.assign_coords(contact=["calcn_r", "toes_r", "calcn_l", "hand"])
    with pytest.raises(InvalidInputError, match="'hand' has no side"):
        gait_events(parts)


@pytest.mark.parametrize("align", ["left", "right"])
def test_a_ramp_comes_back_as_the_times_of_the_grid(gait: xr.Dataset, align: str) -> None:
    cycles = segment_cycles(gait, n_phase=21, align=align)
    at = cycles.cycle_start + cycles.phase * cycles.cycle_duration
    assert cycles.activation.dims == ("cycle", "phase", "muscle")
    np.testing.assert_allclose(cycles.activation, at.values[..., None] * np.ones(3), atol=1e-9)
    first = times_of(START + (LAG if align == "left" else 0), 20 / LOAD)[0]
    assert cycles.cycle_start[0] == pytest.approx(first)
    assert cycles.attrs["reference_side"] == align
    assert "contralateral_cycle_start" not in cycles.coords


def test_ipsilateral_cuts_each_muscle_at_its_own_foot(gait: xr.Dataset) -> None:
    cycles = segment_cycles(gait)
    own = cycles.cycle_start + cycles.phase * cycles.cycle_duration
    other = cycles.contralateral_cycle_start + cycles.phase * cycles.contralateral_cycle_duration
    for muscle, at in zip(MUSCLES, (own, other, own), strict=True):
        np.testing.assert_allclose(cycles.activation.sel(muscle=muscle), at, atol=1e-9)
    assert ((cycles.contralateral_cycle_start - cycles.cycle_start) > 0).all()


def test_result_keeps_labels_units_and_provenance(gait: xr.Dataset) -> None:
    cycles = segment_cycles(gait)
    validate(cycles, kind="any")
    assert set(cycles.data_vars) == {"activation", "muscle_force"}
    assert cycles.muscle_force.attrs["units"] == "N"
    assert cycles.side.values.tolist() == list(SIDES)
    assert cycles.attrs["policy"] == "none"
    assert (cycles.phase[0], cycles.phase[-1], cycles.sizes["phase"]) == (0, 1, 101)


def test_a_lazy_recording_gives_the_same_cycles(gait: xr.Dataset) -> None:
    lazy = gait.chunk({"time": 100})
    cycles = segment_cycles(gait)
    xr.testing.assert_identical(segment_cycles(lazy).compute(), cycles)
    later = cycles.chunk({"cycle": 2})
    xr.testing.assert_allclose(cycle_statistics(later).compute(), cycle_statistics(cycles))


def test_left_muscles_alone_need_the_left_foot_alone(gait: xr.Dataset) -> None:
    cycles = segment_cycles(
        gait.sel(muscle=["soleus_l"]), {"heel_strike_left": [3.0, 1.0, 2.0, 4.1]}, n_phase=3
    )
    assert cycles.attrs["reference_side"] == "left"
    np.testing.assert_allclose(cycles.activation[:, 1, 0], [1.5, 2.5, 3.55])
    assert np.isnan(cycles.toe_off_phase).all()


def test_channels_of_emg_are_cut_alike(gait: xr.Dataset) -> None:
    emg = xr.Dataset(
        {"envelope": (("time", "channel"), gait.activation.values, {"units": "1"})},
        coords={
            "time": gait.time.variable,
            "channel": ["soleus", "tibialis", "back"],
            "side": ("channel", list(SIDES)),
        },
    )
    cycles = segment_cycles(emg, gait_events(gait))
    assert cycles.envelope.dims == ("cycle", "phase", "channel")
    np.testing.assert_allclose(cycles.envelope, segment_cycles(gait).activation)


def test_odd_cycles_are_left_out_and_accounted_for(gait: xr.Dataset) -> None:
    right = np.array([0.5, 1.5, 2.5, 3.2, 4.2, 5.2, 6.2])  # one is 0.7 s long
    left = np.array([1.0, 2.0, 3.0, 3.7, 4.7])
    alone = segment_cycles(gait, {"heel_strike_right": right}, align="right")
    account = json.loads(alone.attrs["cycle_rejection"])
    assert (account["found"], account["kept"]) == (6, 5)
    assert account["rejected"] == {"duration": 1}
    assert account["rejected_start"] == [2.5]
    np.testing.assert_allclose(alone.cycle_duration, 1.0)

    both = segment_cycles(gait, {"heel_strike_right": right, "heel_strike_left": left})
    account = json.loads(both.attrs["cycle_rejection"])
    assert account["rejected"] == {"duration": 1, "no contralateral cycle": 2}
    np.testing.assert_allclose(both.cycle_start, [0.5, 1.5, 3.2])
    np.testing.assert_allclose(both.contralateral_cycle_start, [1.0, 2.0, 3.7])

    left[3] = 4.1  # the left foot's cycles from 3.0 and 4.1 are off now
    both = segment_cycles(
        gait, {"heel_strike_right": right, "heel_strike_left": left}, tolerance=0.05
    )
    account = json.loads(both.attrs["cycle_rejection"])
    assert account["rejected"]["contralateral duration"] == 1


def test_events_outside_the_recording_start_no_cycle(gait: xr.Dataset) -> None:
    cycles = segment_cycles(gait, {"heel_strike_right": [-1.0, 0.5, 1.5, 2.5, 99.0]}, align="right")
    np.testing.assert_allclose(cycles.cycle_start, [0.5, 1.5])


def test_statistics_are_those_of_numpy(gait: xr.Dataset) -> None:
    cycles = segment_cycles(gait, n_phase=11)
    statistics = cycle_statistics(cycles)
    validate(statistics, kind="any")
    values = cycles.activation.values
    np.testing.assert_allclose(statistics.activation_mean, values.mean(0))
    np.testing.assert_allclose(statistics.activation_sd, values.std(0, ddof=1))
    assert statistics.muscle_force_sd.attrs["units"] == "N"
    assert statistics.attrs["n_cycles"] == cycles.sizes["cycle"]
    assert statistics.toe_off_phase == pytest.approx(float(cycles.toe_off_phase.mean()))
    single = cycle_statistics(cycles.isel(cycle=[0]))
    assert np.isnan(single.activation_sd).all()
    with pytest.raises(InvalidInputError, match="segment_cycles"):
        cycle_statistics(gait)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: segment_cycles(g, align="both"), "ipsilateral, left, right"),
        (lambda g: segment_cycles(g, n_phase=1), "n_phase must be 2"),
        (lambda g: segment_cycles(g, tolerance=0.0), "tolerance"),
        (lambda g: segment_cycles(g, {"heel_strike": [1, 2]}), "Unknown events 'heel_strike'"),
        (lambda g: segment_cycles(g, {"heel_strike_left": [1, np.nan]}), "finite"),
        (lambda g: segment_cycles(g, {"heel_strike_right": [1, 2]}), "0 heel strikes of the left"),
        (lambda g: segment_cycles(g * 0), "No gait cycle was found: 0 heel strikes"),
        (lambda g: segment_cycles(g[["ground_force"]]), "nothing to cut"),
        (lambda g: segment_cycles(g[["activation"]]), "need ground_force"),
        (lambda g: segment_cycles(g.drop_vars("side")), "no coordinate 'side'"),
        (
            lambda g: segment_cycles(g, {"heel_strike_right": [1, 1.5, 3]}, align="right"),
            "All 2 gait cycles were rejected: 2 for duration",
        ),
        (lambda g: gait_events(g, release=50.0), "0 < release <= threshold"),
        (lambda g: gait_events(g, min_duration=-1), "min_duration"),
        (lambda g: gait_events(g.where(g.time != g.time[7])), "sample 7 is not"),
    ],
)
def test_bad_input_is_named(gait: xr.Dataset, change: Callable, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        with xr.set_options(keep_attrs=True):
            change(gait)


def test_whoever_has_only_emg_loads_no_physics() -> None:
    code = "import sys, kinesis_neuro.emg.cycles; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"mujoco", "torch", "kinesis_neuro.body", "kinesis_neuro.motion"}
