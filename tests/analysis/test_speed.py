"""Change with speed is found, in synthetic and in real people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.analysis.speed import compare_speeds
from kinesis_neuro.emg.datasets import load_subject
from kinesis_neuro.emg.mapping import muscles_of
from kinesis_neuro.errors import InvalidInputError


def as_simulation(person: xr.Dataset, gain: float, speed: float) -> xr.Dataset:
    names = [next(iter(muscles_of(str(c)))) for c in person.channel.values]
    return xr.Dataset(
        {"activation": (("cycle", "phase", "muscle"), gain * person.envelope.values)},
        coords={"phase": person.phase.values, "muscle": names, "side": ("muscle", ["right"] * 9)},
        attrs={"speed": speed, "body": "legs"},
    )


def test_known_slopes_come_back(data_dir: Path) -> None:
    speeds = (0.5, 1.0, 1.5)
    people = [load_subject(f"wang2023/{n:02d}", speed=v) for n in (4, 5) for v in speeds]
    builtin = load_subject("builtin")
    sims = [as_simulation(builtin, 1 + 0.4 * (v - 1.0), v) for v in speeds]
    table = compare_speeds(sims, people)
    np.testing.assert_allclose(table["slope_simulated"], 0.4)
    np.testing.assert_allclose(table["shape_simulated"], 1.0)
    # Muscles work harder at higher speed.
    assert table["slope_human"].mean() > 0.2
    assert (table["shape_human"] < 1).all()


def test_all_measured_speeds_of_all_people(data_dir: Path) -> None:
    known = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    people = [
        load_subject(f"wang2023/{n:02d}", speed=v)
        for n in (4, 5, 6, 7, 8)
        for v in known
        if (n, v) != (6, 1.25)  # left out by the source
    ]
    builtin = load_subject("builtin")
    still = [as_simulation(builtin, 1.0, v) for v in (0.5, 1.5)]
    table = compare_speeds(still, people)
    np.testing.assert_allclose(table["slope_simulated"], 0.0, atol=1e-12)
    # Calf and shin work harder at higher speed in every person; thighs differ between people.
    shank = table.loc[["soleus", "tibialis_anterior"]]
    assert (shank["slope_human"] > 2 * shank["slope_human_sd"]).all()
    assert (table["slope_human"] > 0).all()


def test_one_speed_is_refused() -> None:
    builtin = load_subject("builtin")
    with pytest.raises(InvalidInputError, match="two known speeds or more"):
        compare_speeds([as_simulation(builtin, 1.0, 1.0)], [builtin])
