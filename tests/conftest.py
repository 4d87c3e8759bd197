"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# A loaded machine is slow, not wrong; and a submission must not fail by the luck of a draw.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
# No test opens a window.
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Trainers set torch's threads for the whole process; the next test gets back what was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of recordings that are not part of the repository."""
    folder = Path(os.environ.get("KINESIS_NEURO_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(
            f"no folder of recordings at {folder}: set KINESIS_NEURO_DATA, "
            "or put it beside the checkout as shared/data"
        )
    return folder


@pytest.fixture(scope="session")
def walking() -> xr.Dataset:
    """A recording that needs no physics: the muscles of four channels, and forces of two feet.

    A cycle lasts 1.1 s; the right foot strikes at 0.1 of it and stands for 0.6, the left half a
    cycle later.
    """
    from kinesis_neuro.emg.mapping import muscles_of

    channels = ("soleus", "tibialis_anterior", "biceps_femoris", "rectus_femoris")
    rate, period = 150.0, 1.1
    time = np.arange(round(8 * rate)) / rate
    muscles = [
        m for c in channels for side in ("right", "left") for m in muscles_of(c, "legs", side)
    ]
    phase = (time / period) % 1.0
    center = 0.37 * np.arange(len(muscles)) % 1.0
    activation = 0.05 + 0.6 * np.exp(3 * (np.cos(2 * np.pi * (phase[:, None] - center)) - 1))
    force = np.zeros((time.size, 2, 3))
    for foot, strike in enumerate((0.1, 0.6)):
        force[:, foot, 2] = 700.0 * ((phase - strike) % 1.0 < 0.6)
    sides = ["left" if m.endswith("_l") else "right" for m in muscles]
    return xr.Dataset(
        {
            "activation": (("time", "muscle"), activation, {"units": "1"}),
            "ground_force": (("time", "contact", "space"), force, {"units": "N"}),
        },
        coords={
            "time": ("time", time, {"units": "s"}),
            "muscle": muscles,
            "side": ("muscle", sides),
            "group": ("muscle", ["leg"] * len(muscles)),
            "contact": ["right", "left"],
            "space": ["x", "y", "z"],
        },
        attrs={
            "body": "legs", "policy": "synthetic <walk> & more", "motion": "walk",
            "actuation": "none", "sampling_rate": rate, "physics_rate": rate, "seed": 3,
            "n_falls": 0, "speed": 1.0, "versions": '{"mujoco": "3.0", "numpy": "2.0"}',
        },
    )  # fmt: skip
