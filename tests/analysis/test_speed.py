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


def test_one_speed_is_refused() -> None:
    builtin = load_subject("builtin")
    with pytest.raises(InvalidInputError, match="two known speeds or more"):
        compare_speeds([as_simulation(builtin, 1.0, 1.0)], [builtin])
