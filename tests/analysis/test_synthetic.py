"""The ground truth is what it says it is."""

from __future__ import annotations

import numpy as np
import pytest

from kinesis_neuro.emg.events import gait_events
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.schema import validate
from kinesis_neuro.synthetic import gait_emg, raw_gait_emg


def test_the_truth_is_the_product_of_the_synergies() -> None:
    emg = gait_emg(3, 4, 4, subject_sd=0.3)
    validate(emg, kind="any")
    product = np.einsum("nsp,nsc->npc", emg.synergy_activation.values, emg.synergy_weight.values)
    np.testing.assert_allclose(emg.true_envelope, product)
    np.testing.assert_allclose(product[:, 0], product[:, -1])


def test_the_same_seed_gives_the_same_bytes_and_another_lag_moves_it() -> None:
    first, again = gait_emg(2, 3, 3, seed=4), gait_emg(2, 3, 3, seed=4)
    assert first.identical(again)
    late = gait_emg(2, 3, 3, seed=4, lag=0.1)
    moved = np.roll(first.true_envelope.values[:, :-1], 10, axis=1)
    np.testing.assert_allclose(late.true_envelope.values[:, :-1], moved, atol=1e-12)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_noise_has_its_power(snr_db: float) -> None:
    emg = gait_emg(2, 200, 3, snr_db=snr_db, jitter=0.0)
    truth = emg.true_envelope.values[:, None]
    loud = truth > np.quantile(truth, 0.9)  # far from zero, where nothing is cut off
    error = emg.envelope.values - truth
    power = truth.var(axis=2, keepdims=True) * 10 ** (-snr_db / 10)
    ratio = (error**2 / power)[np.broadcast_to(loud, error.shape)].mean()
    assert ratio == pytest.approx(1.0, abs=0.15)
    assert emg.envelope.values.min() >= 0.0


def test_small_weights_may_be_zero() -> None:
    weight = gait_emg(1, 1, 4, n_channels=13, exclusive=0.5, seed=2).synergy_weight.values[0]
    assert 0.3 < (weight == 0).mean() < 0.5
    assert (weight.max(axis=0) >= 0.6).all()
    assert (gait_emg(1, 1, 4).synergy_weight.values > 0).all()


def test_jitter_has_its_size() -> None:
    emg = gait_emg(1, 500, 3, jitter=0.02)
    assert emg.cycle_shift.values.std() == pytest.approx(0.02, rel=0.1)


def test_raw_emg_follows_its_envelope_and_has_events() -> None:
    emg = raw_gait_emg(duration=20.0, n_channels=3, n_synergies=3)
    validate(emg, kind="any")
    strikes = gait_events(emg)["heel_strike_right"]
    np.testing.assert_allclose(np.diff(strikes), 1.1, rtol=0.1)
    power = (emg.emg.values**2).reshape(200, -1, 3).mean(axis=1)
    truth = (emg.true_envelope.values**2).reshape(200, -1, 3).mean(axis=1)
    for column in range(3):
        assert np.corrcoef(power[:, column], truth[:, column])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_subjects": 0}, "n_subjects must be 1 or more"),
        ({"n_synergies": 10}, "10 synergies cannot be told apart on 9 channels"),
        ({"exclusive": 1.5}, "exclusive must lie between 0 and 1"),
        ({"jitter": -1.0}, "jitter and subject_sd not negative"),
    ],
)
def test_nonsense_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        gait_emg(**arguments)


def test_a_rate_too_low_for_emg_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="rate of 400 Hz or more"):
        raw_gait_emg(rate=100.0)
