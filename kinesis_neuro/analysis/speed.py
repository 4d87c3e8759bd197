"""How activity changes with walking speed, in simulations and in people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.analysis.alignment import Waveforms, human_waveforms, simulated_waveforms
from kinesis_neuro.analysis.waveforms import pearson
from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]


def compare_speeds(
    sims: Sequence[xr.Dataset],
    subjects: Sequence[xr.Dataset],
    signal: str = "activation",
    **options: Any,
) -> pd.DataFrame:
    """Compare how muscles change with speed: how much more active, and how their shape changes.

    Activity is the mean over the cycle, as a part of its mean over speeds, so that no amplitude of
    EMG is needed beyond that all speeds of one person have the same scale (Wang et al. 2023, whose
    envelopes are normalised once a person). The change is the slope of a line over speed.

    Parameters
    ----------
    sims : sequence of Dataset
        Recordings at two or more speeds; the speed is the attribute ``speed`` or that of the root.
    subjects : sequence of Dataset
        EMG of one or several people, each at two or more speeds.
    signal : str
    **options
        See :func:`kinesis_neuro.analysis.alignment.simulated_waveforms`.

    Returns
    -------
    DataFrame
        By muscle: ``slope_simulated`` and ``slope_human`` [1 / (m/s)] (mean over people),
        ``slope_human_sd`` over people, ``shape_simulated`` and ``shape_human``: r between the
        slowest and the fastest mean cycle.

    Raises
    ------
    InvalidInputError
        If there are fewer than two speeds of the simulation or of a person, or no common muscles.
    """
    people: dict[str, list[Waveforms]] = {}
    for one in subjects:
        people.setdefault(str(one.attrs.get("person", "person")), []).append(human_waveforms(one))
    for name, many in people.items():
        _require_speeds(name, many)
    every = [one for many in people.values() for one in many]
    common = [c for c in every[0].channels if all(c in one.channels for one in every)]
    sides = every[0].take(common).sides
    runs = [simulated_waveforms(one, "simulation", common, sides, signal, **options)
            for one in sims]  # fmt: skip
    _require_speeds("simulation", runs)
    common = [c for c in common if all(c in one.channels for one in runs)]
    if not common:
        raise InvalidInputError("No common muscles of all people, speeds and the simulation.")
    simulated = _change([one.take(common) for one in runs])
    human = [_change([one.take(common) for one in many]) for many in people.values()]
    slopes, shapes = (np.stack(parts) for parts in zip(*human, strict=True))
    return pd.DataFrame(
        {
            "slope_simulated": simulated[0],
            "slope_human": slopes.mean(axis=0),
            "slope_human_sd": slopes.std(axis=0, ddof=1) if len(slopes) > 1 else np.nan,
            "shape_simulated": simulated[1],
            "shape_human": shapes.mean(axis=0),
        },
        index=pd.Index(common, name="muscle"),
    )


def _require_speeds(name: str, many: list[Waveforms]) -> None:
    speeds = sorted({round(one.speed, 3) for one in many})
    if len(speeds) < 2 or not np.isfinite(speeds).all():
        raise InvalidInputError(
            f"{name} is there at {', '.join(f'{s:g}' for s in speeds)} m/s; two known speeds or "
            "more are needed. State them: dataset.attrs['speed'] = 1.25."
        )


def _change(many: list[Waveforms]) -> tuple[FloatArray, FloatArray]:
    """Slope of relative activity over speed, and r of the slowest with the fastest cycle."""
    speed = np.array([one.speed for one in many])
    activity = np.stack([one.values.mean(axis=-1) for one in many])
    relative = activity / activity.mean(axis=0)
    centered = speed - speed.mean()
    slope = centered @ (relative - relative.mean(axis=0)) / (centered**2).sum()
    return slope, pearson(many[speed.argmin()].values, many[speed.argmax()].values)
