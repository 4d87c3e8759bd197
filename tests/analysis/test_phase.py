"""Phases and their differences are those that were put in, and locking is told from repetition."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.analysis.locking import phase_locking
from kinesis_neuro.analysis.phase import continuous_relative_phase, gait_phase
from kinesis_neuro.analysis.phase_response import perturbation_response, phase_response
from kinesis_neuro.errors import InvalidInputError

PHASE = np.linspace(0, 1, 101)


def cosine(lag: float = 0.0, closed: bool = True) -> xr.DataArray:
    phase = PHASE if closed else PHASE[:-1]
    return xr.DataArray(np.cos(2 * np.pi * (phase - lag)), {"phase": phase}, ("phase",))


def apart(a: xr.DataArray, b: object) -> float:
    return float(abs((a - b + 0.5) % 1 - 0.5).max())


@pytest.mark.parametrize("method", ["hilbert", "phase_plane"])
def test_the_phase_of_a_cosine(method: str) -> None:
    for closed in (True, False):
        phase = gait_phase(cosine(0.3, closed), method, dim="phase")
        assert phase.sizes["phase"] == 100 and phase.units == "1"
        assert apart(phase, PHASE[:-1] - 0.3) < 1 / 360
        assert float(phase.min()) >= 0 and float(phase.max()) < 1


@pytest.mark.parametrize("method", ["hilbert", "phase_plane"])
def test_the_phase_of_an_oscillation_over_time(method: str) -> None:
    time = 2.0 + np.arange(600) / 100
    x = xr.DataArray(3 + 0.2 * np.cos(2 * np.pi * time), {"time": time}, ("time",))
    phase = gait_phase(x, method, unwrap=True)
    assert apart(phase[5:-5], time[5:-5]) < 0.01
    assert float(phase[-1] - phase[0]) == pytest.approx(5.99, abs=0.02)


def test_phase_from_events() -> None:
    time = np.arange(0, 5, 0.01)
    data = xr.Dataset({"x": ("time", time)}, {"time": time})
    strikes = np.array([0.5, 1.5, 2.7, 3.7])
    events = {"heel_strike_left": strikes}
    phase = gait_phase(data, events=events, side="left")
    assert np.isnan(phase.sel(time=[0.2, 4.0], method="nearest")).all()
    assert float(phase.sel(time=2.1, method="nearest")) == pytest.approx(0.5)
    unwrapped = gait_phase(data, events=events, side="left", unwrap=True)
    assert float(unwrapped.sel(time=2.1, method="nearest")) == pytest.approx(1.5)
    with pytest.raises(InvalidInputError, match="heel strikes of the right foot"):
        gait_phase(data, events=events)
    with pytest.raises(InvalidInputError, match="need ground_force"):
        gait_phase(data)


@pytest.mark.parametrize("lag", [-0.4, -0.1, 0.0, 0.123, 0.49])
@pytest.mark.parametrize("method", ["hilbert", "phase_plane"])
def test_relative_phase_to_one_degree(method: str, lag: float) -> None:
    relative = continuous_relative_phase(cosine(0.2), cosine(0.2 + lag), "phase", method)
    assert apart(relative, lag) < 1 / 360


def strides(
    n_series: int, coupling: float, seed: int, n_cycles: int = 20
) -> tuple[xr.DataArray, xr.DataArray]:
    """Two signals that repeat with the gait, and whose fluctuations share a part."""
    rng = np.random.default_rng(seed)
    shape = (n_series, n_cycles, 1)
    phase = PHASE[:-1]

    def waves(amplitude: np.ndarray, moved: np.ndarray) -> np.ndarray:
        return amplitude * np.cos(2 * np.pi * (3 * phase + moved))

    shared = rng.random(shape)
    both = []
    for _ in range(2):
        moved = np.where(rng.random(shape) < coupling, shared, rng.random(shape))
        mean = np.cos(2 * np.pi * (phase - rng.random()))
        values = mean + waves(0.3 * np.ones(shape), moved)
        values = values + 0.02 * rng.standard_normal(values.shape)
        both.append(xr.DataArray(values, {"phase": phase}, ("subject", "cycle", "phase")))
    return both[0], both[1]


def test_locking_to_the_gait_is_not_locking_to_each_other() -> None:
    locking = phase_locking(*strides(200, coupling=0.0, seed=1), n_null=200)
    assert float(locking.plv.min()) > 0.9  # and yet there is no coupling
    for name in ("p_value", "residual_p_value"):
        rejected = int((locking[name] <= 0.05).sum())
        assert 1 <= rejected <= 22, name  # 0.1 to 99.9 % of a binomial with 200 draws at 0.05
    assert float(locking.residual_plv.mean()) < 0.4


def test_coupling_from_stride_to_stride_is_found() -> None:
    locking = phase_locking(*strides(20, coupling=0.9, seed=2), n_null=200)
    assert float((locking.residual_p_value < 0.05).mean()) > 0.95
    assert float(locking.residual_plv.mean()) > 0.7


def test_the_sign_of_the_mean_phase() -> None:
    a, b = cosine(0.1, closed=False), cosine(0.25, closed=False)
    many = [x.expand_dims(cycle=4) for x in (a, b)]
    locking = phase_locking(*many, n_null=10)
    assert float(locking.mean_phase) == pytest.approx(0.15)
    assert float(locking.p_value) == 1.0
    assert np.isnan(locking.residual_plv)  # nothing is left of strides that are all the same
    flat = phase_locking(many[0], many[1] * 0 + 1, n_null=10)
    assert np.isnan(flat.plv) and flat.n_undefined == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, b: phase_locking(a.isel(cycle=[0, 1]), b.isel(cycle=[0, 1])), "3 or more"),
        (lambda a, b: phase_locking(a.where(a > 0), b), "dropna"),
        (lambda a, b: phase_locking(a, b.isel(cycle=slice(4))), "differ along 'cycle'"),
        (lambda a, b: phase_locking(a, b, n_null=0), "n_null"),
        (lambda a, b: gait_phase(a, "fourier"), "Allowed values are events, hilbert"),
        (lambda a, b: gait_phase(a * 0, "hilbert", dim="phase"), "are constant"),
        (lambda a, b: gait_phase(a.where(a > 0), "hilbert", dim="phase"), "must be finite"),
        (lambda a, b: gait_phase(a), "coordinate 'time'"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        call(*strides(2, 0.0, seed=3, n_cycles=5))


def test_phase_response_of_a_reset_rhythm() -> None:
    control = 0.4 + 1.1 * np.arange(15)
    onset = control[3] + 1.1 * np.linspace(0.05, 0.95, 7)
    expected = 0.2 * np.sin(2 * np.pi * np.linspace(0.05, 0.95, 7))
    runs = [
        np.where(control > t, control - 1.1 * s, control)
        for t, s in zip(onset, expected, strict=True)
    ]
    runs[2] = runs[2][:5]  # fell
    response = phase_response(runs, control, onset)
    expected[2] = np.nan
    np.testing.assert_allclose(response.phase_shift, expected, atol=1e-9)
    np.testing.assert_allclose(response.onset_phase, np.linspace(0.05, 0.95, 7))
    assert response.n_undefined == 1
    with pytest.raises(InvalidInputError, match="one onset for each of 7 runs"):
        phase_response(runs, control, onset[:2])
    with pytest.raises(InvalidInputError, match="two or more distinct"):
        phase_response(runs, [1.0], onset)


def test_the_response_of_muscles_stops_where_a_run_falls() -> None:
    time = np.arange(100) / 100
    control = xr.DataArray(np.zeros((100, 2)), {"time": time, "muscle": ["ta", "sol"]})
    control.attrs["units"] = "1"
    change = perturbation_response((control + 0.1).isel(time=slice(60)), control, onset=0.3)
    assert change.sizes == {"time": 60, "muscle": 2}
    assert float(change.time[30]) == pytest.approx(0.0)
    assert change.units == "1"
    np.testing.assert_allclose(change, 0.1)
