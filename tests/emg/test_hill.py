"""The inverse Hill muscle undoes the muscle that it is the inverse of."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.emg import hill, hill_curves
from kinesis_neuro.errors import InvalidInputError

RATE = 300.0


def test_curves_pass_through_their_points() -> None:
    for strain in (0.04, 0.049, 0.1):
        x, y = hill_curves.tendon_curve(strain)
        assert np.interp(1.0, x, y) == 0.0
        assert np.interp(1 + strain, x, y) == pytest.approx(1.0, abs=1e-6)
    for length, force in ((0.4441, 0.0), (1.0, 1.0), (1.8123, 0.0)):
        assert np.interp(length, *hill_curves.active_curve()) == pytest.approx(force, abs=1e-6)
    for length, force in ((1.0, 0.0), (1.7, 1.0)):
        assert np.interp(length, *hill_curves.passive_curve()) == pytest.approx(force, abs=1e-6)
    for velocity, force in ((-1.0, 0.0), (0.0, 1.0), (1.0, 1.4)):
        assert np.interp(velocity, *hill_curves.velocity_curve()) == pytest.approx(force, abs=1e-6)
    for curve in (
        hill_curves.tendon_curve(0.04),
        hill_curves.passive_curve(),
        hill_curves.velocity_curve(),
    ):
        assert (np.diff(curve[0]) > 0).all() and (np.diff(curve[1]) >= 0).all()
    assert (np.diff(hill_curves.active_curve()[0]) > 0).all()


def forward(excitation: np.ndarray, fiber: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Force and path of a soleus whose fibre follows a given course."""
    row = hill.hill_parameters().loc["soleus"]
    fine = np.zeros_like(excitation)
    for k in range(1, excitation.size):
        a, u = fine[k - 1], excitation[k - 1]
        scale = 0.5 + 1.5 * a
        tau = hill.TIME_ACTIVATION * scale if u > a else hill.TIME_DEACTIVATION / scale
        fine[k] = a + (u - a) / (tau * RATE)
    length = fiber * row["optimal_fiber_length"]
    velocity = np.gradient(fiber, 1 / RATE) / hill.MAX_SPEED
    along = np.sqrt(length**2 - (row["optimal_fiber_length"] * np.sin(row["pennation"])) ** 2)
    force = (
        (
            fine
            * np.interp(fiber, *hill_curves.active_curve())
            * np.interp(velocity, *hill_curves.velocity_curve())
            + np.interp(fiber, *hill_curves.passive_curve())
        )
        * along
        / length
    )
    x, y = hill_curves.tendon_curve(0.10)  # the Achilles tendon's
    path = along + row["tendon_slack_length"] * np.interp(force, y, x)
    return force * row["peak_force"], path, fine


def test_excitation_comes_back() -> None:
    time = np.arange(600) / RATE
    excitation = 0.3 + 0.25 * np.sin(2 * np.pi * 1.5 * time)
    fiber = 0.95 + 0.12 * np.sin(2 * np.pi * 1.0 * time + 1.0)
    force, path, activation = forward(excitation, fiber)
    recording = xr.Dataset(
        {
            "muscle_force": (("time", "muscle"), force[:, None]),
            "muscle_length": (("time", "muscle"), path[:, None]),
        },
        coords={"time": time, "muscle": ["soleus_l"], "side": ("muscle", ["left"])},
        attrs={"sampling_rate": RATE},
    )
    inner = slice(60, -60)
    # Without the low-pass the inverse is exact; with it, fast changes are a little blunted.
    for cutoff, tolerance in ((None, 0.01), (hill.CUTOFF, 0.03)):
        solved = hill.equivalent_excitation(recording, cutoff=cutoff)
        error = solved.equivalent_activation.values[inner, 0] - activation[inner]
        assert np.abs(error).max() < tolerance
        error = solved.equivalent_excitation.values[inner, 0] - excitation[inner]
        assert np.abs(error).max() < 0.06 and np.abs(error).mean() < 0.02
    assert solved.side.item() == "left" and float(solved.clipped[0]) < 0.05
    # EMG leads force: the excitation is earlier than the force that it makes.
    lead = np.corrcoef(excitation[inner], force[inner])[0, 1]
    assert lead < np.corrcoef(activation[inner], force[inner])[0, 1]


def test_steps_of_force_are_not_answered_with_full_excitation() -> None:
    """Force that jumps thirty times a second around a constant: the answer is the constant's."""
    time = np.arange(300) / 150
    jumps = np.where(np.arange(300) // 5 % 2, 1.2, 0.8)[:, None]
    still = xr.Dataset(
        {
            "muscle_force": (("time", "muscle"), np.full((300, 1), 1000.0)),
            "muscle_length": (("time", "muscle"), np.full((300, 1), 0.32)),
        },
        coords={"time": time, "muscle": ["soleus_r"]},
        attrs={"sampling_rate": 150.0},
    )
    jumping = still.assign(muscle_force=still.muscle_force * jumps)
    inner = slice(50, -50)
    wanted = hill.equivalent_excitation(still).equivalent_excitation[inner]
    smooth = hill.equivalent_excitation(jumping).equivalent_excitation[inner]
    raw = hill.equivalent_excitation(jumping, cutoff=None).equivalent_excitation[inner]
    assert abs(float(smooth.mean() - wanted.mean())) < 0.02
    assert float(raw.max()) > 3 * float(smooth.max())
    with pytest.raises(InvalidInputError, match="half the rate of 150 Hz"):
        hill.equivalent_excitation(still, cutoff=80.0)


def test_only_the_achilles_tendon_is_that_compliant() -> None:
    """The same pull at the same path: a compliant tendon leaves the fibre shorter."""
    names = ["soleus_r", "tibant_r"]
    pull = hill.hill_parameters().loc[["soleus", "tibant"], "peak_force"].to_numpy() / 2
    slack = hill.hill_parameters().loc[["soleus", "tibant"], "tendon_slack_length"].to_numpy()
    path = slack + hill.hill_parameters().loc[["soleus", "tibant"], "optimal_fiber_length"]
    recording = xr.Dataset(
        {
            "muscle_force": (("time", "muscle"), np.tile(pull, (4, 1))),
            "muscle_length": (("time", "muscle"), np.tile(path, (4, 1))),
        },
        coords={"time": np.arange(4) / RATE, "muscle": names},
        attrs={"sampling_rate": RATE},
    )
    default = hill.equivalent_excitation(recording)
    assert default.attrs["tendon_strain"].tolist() == [0.10, 0.04]
    for strain, index in ((0.10, 0), (0.04, 1)):
        same = hill.equivalent_excitation(recording, tendon_strain=strain)
        np.testing.assert_array_equal(same.fiber_length[:, index], default.fiber_length[:, index])
    stiff = hill.equivalent_excitation(recording, tendon_strain=0.04)
    assert (stiff.fiber_length[:, 0] > default.fiber_length[:, 0]).all()


def test_bad_input_is_named() -> None:
    time = np.arange(4) / 150
    good = xr.Dataset(
        {name: (("time", "muscle"), np.ones((4, 1))) for name in ("muscle_force", "muscle_length")},
        coords={"time": time, "muscle": ["soleus_r"]},
        attrs={"sampling_rate": 150.0},
    )
    with pytest.raises(InvalidInputError, match="needs muscle_length over time and muscle"):
        hill.equivalent_excitation(good.drop_vars("muscle_length"))
    with pytest.raises(InvalidInputError, match="'sampling_rate'"):
        hill.equivalent_excitation(good.assign_attrs(sampling_rate=0.0))
    with pytest.raises(InvalidInputError, match="No muscle architecture for vasti_r"):
        hill.equivalent_excitation(good.assign_coords(muscle=["vasti_r"]), ["vasti_r"])
    with pytest.raises(InvalidInputError, match="tendon_strain must lie between"):
        hill.equivalent_excitation(good, tendon_strain=0.5)
