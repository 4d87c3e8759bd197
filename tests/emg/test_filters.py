"""Filters do what their names say, on record, and refuse what they cannot do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kinesis_neuro.emg.filters import (
    PIPELINES,
    Step,
    apply_pipeline,
    envelope_filter,
    filter_cyclic,
    run_steps,
)
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.schema import validate
from kinesis_neuro.synthetic import raw_gait_emg

RATE = 1000.0


def gain_at(step: Step, frequency: float) -> float:
    time = np.arange(8000) / RATE
    wave = np.sin(2 * np.pi * frequency * time)
    out = run_steps(wave[:, None], RATE, [step])[2000:6000, 0]
    return float(np.sqrt(2) * out.std())


@pytest.mark.parametrize(
    ("step", "frequency", "gain"),
    [
        (Step("lowpass", {"frequency": 6.0, "order": 2}), 6.0, 0.5),  # forwards and backwards
        (Step("lowpass", {"frequency": 6.0, "order": 2, "zero_phase": False}), 6.0, 0.707),
        (Step("lowpass", {"frequency": 6.0}), 1.0, 1.0),
        (Step("highpass", {"frequency": 50.0}), 50.0, 0.5),
        (Step("highpass", {"frequency": 50.0}), 5.0, 0.0),
        (Step("bandpass", {"low": 20.0, "high": 200.0}), 80.0, 1.0),
        (Step("notch", {"frequency": 50.0}), 50.0, 0.0),
        (Step("notch", {"frequency": 50.0}), 80.0, 1.0),
    ],
)
def test_gains(step: Step, frequency: float, gain: float) -> None:
    assert gain_at(step, frequency) == pytest.approx(gain, abs=0.02)


def test_zero_phase_does_not_move_a_bump() -> None:
    time = np.arange(4000) / RATE
    bump = np.exp(-0.5 * ((time - 2.0) / 0.1) ** 2)[:, None]
    smooth = run_steps(bump, RATE, [Step("lowpass", {"frequency": 6.0, "order": 2})])
    assert abs(int(smooth.argmax()) - 2000) <= 1
    late = run_steps(bump, RATE, [Step("lowpass", {"frequency": 3.0, "zero_phase": False})])
    assert late.argmax() > 2040


def test_a_cyclic_filter_equals_a_long_periodic_one() -> None:
    rng = np.random.default_rng(0)
    period = np.cumsum(rng.standard_normal((2, 100)), axis=-1)
    period -= np.linspace(0, 1, 100) * (period[:, -1:] - period[:, :1])
    for zero_phase in (True, False):
        step = Step("lowpass", {"frequency": 6.0, "order": 2, "zero_phase": zero_phase})
        tiled = np.tile(period, 21).T
        long = run_steps(tiled, 100.0, [step])[1000:1100].T
        found = filter_cyclic(period, 1.0, step)
        assert np.abs(found - long).max() < 0.02 * np.ptp(period)


@pytest.mark.parametrize("name", list(PIPELINES))
def test_published_pipelines_recover_the_envelope(name: str) -> None:
    raw = raw_gait_emg(duration=12.0, seed=1)
    result = apply_pipeline(raw, name)
    validate(result, kind="any")
    truth = run_steps(raw.true_envelope.values, RATE, [Step("lowpass", {"frequency": 6.0})])
    for channel in range(3):
        found = result.envelope.values[1000:-1000, channel]
        lags = [np.corrcoef(found[k:], truth[1000 : -1000 - k, channel])[0, 1]
                for k in range(0, 160, 20)]  # fmt: skip
        assert max(lags) > 0.85, name
    steps = json.loads(result.attrs["processing"])
    assert [s["step"] for s in steps] == [s.operation for s in PIPELINES[name]]
    assert all(s["rate"] == RATE for s in steps)
    assert envelope_filter(result) is not None
    assert "emg" not in result and result.envelope.attrs["units"] == "1"


def test_mains_hum_is_taken_out() -> None:
    raw = raw_gait_emg(duration=6.0, seed=2, hum=1.0)
    clean = run_steps(raw.emg.values, RATE, [Step("notch", {"frequency": 50.0})])
    spectrum = np.abs(np.fft.rfft(clean, axis=0)) ** 2
    before = np.abs(np.fft.rfft(raw.emg.values, axis=0)) ** 2
    assert spectrum[300].sum() < 1e-3 * before[300].sum()


def test_mvc_scales_to_the_values_given() -> None:
    raw = raw_gait_emg(duration=4.0, n_channels=4)
    steps = (Step("rectify"), Step("lowpass", {"frequency": 6.0}), Step("normalize", {"by": "mvc"}))
    mvc = {str(c): 2e-4 for c in raw.channel.values}
    result = apply_pipeline(raw, steps, mvc=mvc)
    assert result.attrs["normalisation"] == "mvc"
    plain = run_steps(raw.emg.values, RATE, steps[:2])
    np.testing.assert_allclose(result.envelope, plain / 2e-4)
    with pytest.raises(InvalidInputError, match="needs a positive value of each channel"):
        apply_pipeline(raw, steps)
    with pytest.raises(InvalidInputError, match=r"mvc has no value for gastrocnemius_lateralis"):
        apply_pipeline(raw, steps, mvc={"soleus": 1.0})


def test_bad_input_is_named() -> None:
    raw = raw_gait_emg(duration=4.0, n_channels=4)
    with pytest.raises(InvalidInputError, match=r"Unknown pipeline 'x'. Available: pycgm2, san"):
        apply_pipeline(raw, "x")
    with pytest.raises(InvalidInputError, match=r"Unknown step 'smooth'. Available: bandpass"):
        apply_pipeline(raw, [Step("smooth")])
    with pytest.raises(
        InvalidInputError, match=r"needs more than 400 samples a second.*has 300 Hz"
    ):
        slow = raw.assign_attrs(sampling_rate=300.0)
        apply_pipeline(slow, [Step("bandpass", {"low": 20.0, "high": 200.0})])
    with pytest.raises(InvalidInputError, match=r"no attribute 'sampling_rate'"):
        apply_pipeline(raw.assign_attrs(sampling_rate=0), "winter")
    with pytest.raises(InvalidInputError, match=r"needs more than 9 samples|more than 15 samples"):
        apply_pipeline(raw.isel(time=slice(0, 5)), [Step("lowpass", {"frequency": 6.0})])
    broken = raw.copy(deep=True)
    broken["emg"][5, 0] = np.nan
    with pytest.raises(InvalidInputError, match=r"not finite: soleus"):
        apply_pipeline(broken, "winter")
    with pytest.raises(InvalidInputError, match="Step 'rectify'"):
        apply_pipeline(raw, [Step("rectify", {"wrong": 1})])
