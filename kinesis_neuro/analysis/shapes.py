"""What a comparison has as shapes: mean cycles scaled to their range, and centres of activity."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.analysis._inputs import choice
from kinesis_neuro.analysis.bursts import center_of_activity
from kinesis_neuro.analysis.circular import circular_dispersion
from kinesis_neuro.analysis.waveforms import unit_range
from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]

SCALES = ("range", "mean")


def shape_curves(comparison: xr.Dataset, scale: str = "range") -> xr.Dataset:
    """Scale the mean cycles of a comparison, and give the band in which people lie.

    EMG has no amplitude that a model could be held to, so that each curve is scaled by itself: to
    its range 0..1, as nRMSE does, or to a mean of one, which pins no point of it and is the one for
    statistics along the curve. The band is the range over people; with one person there is none.

    Parameters
    ----------
    comparison : xarray.Dataset
        As ``EMGComparison.dataset``.
    scale : {"range", "mean"}
        What each curve is scaled to.

    Returns
    -------
    xarray.Dataset
        ``people (subject, channel, phase)``, ``people_mean``, ``people_low``, ``people_high
        (channel, phase)``; ``simulated (condition, channel, phase)``, and ``role_mean (role,
        channel, phase)`` over the conditions of each role; ``role_r (role, channel)``, mean over
        pairs, and ``role_r_mean (role)`` over channels too; ``ceiling (channel)``, the pairwise
        one; ``toe_off_phase``; all [1].

    Raises
    ------
    InvalidInputError
        If the dataset is no comparison, or the scale is unknown.
    """
    require_comparison(comparison)
    choice("scale", scale, SCALES)
    people, runs = (
        _scaled(comparison[name].transpose(..., "channel", "phase").values, scale)
        for name in ("waveform_human", "waveform_simulated")
    )
    labels = role_labels(comparison)
    roles = list(dict.fromkeys(labels))
    member = np.array(labels) == np.array(roles)[:, None]
    weight = member / member.sum(axis=1, keepdims=True)
    r = comparison["r_pair"].transpose("condition", "subject", "channel").values.mean(axis=1)
    curve = ("channel", "phase")
    return xr.Dataset(
        {
            "people": (("subject", *curve), people),
            "people_mean": (curve, people.mean(axis=0)),
            "people_low": (curve, people.min(axis=0)),
            "people_high": (curve, people.max(axis=0)),
            "simulated": (("condition", *curve), runs),
            "role_mean": (("role", *curve), np.einsum("rc,cmp->rmp", weight, runs)),
            "role_r": (("role", "channel"), weight @ r),
            "role_r_mean": ("role", (weight @ r).mean(axis=1)),
            "ceiling": ("channel", comparison["ceiling_pairwise"].values),
            "toe_off_phase": ((), float(comparison["toe_off_phase"])),
        },
        coords={
            "subject": comparison["subject"].values,
            "channel": comparison["channel"].values,
            "phase": ("phase", comparison["phase"].values, {"units": "1"}),
            "condition": comparison["condition"].values,
            "condition_role": ("condition", np.array(labels)),
            "role": np.array(roles),
        },
        attrs={"signal": comparison.attrs["signal"], "scale": scale},
    )


def activity_centers(comparison: xr.Dataset) -> xr.Dataset:
    """Centres of activity of people and simulations, with the mean direction of people.

    Parameters
    ----------
    comparison : xarray.Dataset
        As ``EMGComparison.dataset``.

    Returns
    -------
    xarray.Dataset
        ``people (subject, channel)`` and ``simulated (condition, channel)`` [cycles];
        ``people_mean`` [cycles] and ``people_resultant`` [1] (1: all people alike) over channel;
        ``difference (condition, channel)`` [cycles] in [-0.5, 0.5), positive where the simulation
        is later than the mean of people; ``toe_off_phase``.

    Raises
    ------
    InvalidInputError
        If the dataset is no comparison.
    """
    require_comparison(comparison)

    def centers(name: str) -> xr.DataArray:
        # What a low-pass leaves below zero is no activity.
        return center_of_activity(comparison[name].clip(min=0))

    people, simulated = centers("waveform_human"), centers("waveform_simulated")
    spread = circular_dispersion(people, "subject")
    result = xr.Dataset(
        {
            "people": people,
            "simulated": simulated,
            "people_mean": spread["mean"],
            "people_resultant": spread["resultant_length"],
            "difference": (simulated - spread["mean"] + 0.5) % 1.0 - 0.5,
            "toe_off_phase": comparison["toe_off_phase"],
        }
    ).drop_vars(["side", "role"], errors="ignore")
    result = result.assign_coords(condition_role=("condition", np.array(role_labels(comparison))))
    for variable in result.data_vars.values():
        variable.attrs = {"units": "1"}
    result.attrs = {"signal": comparison.attrs["signal"]}
    return result


def role_labels(comparison: xr.Dataset) -> list[str]:
    """Name of what each condition stands for: a baseline's, or that of a single simulation.

    Several simulations (training seeds) are ``simulation``.
    """
    roles = comparison["role"].values.astype(str).tolist()
    if roles.count("simulation") == 1:
        own = str(comparison["condition"].values[roles.index("simulation")])
        return [own if role == "simulation" else role for role in roles]
    return roles


def require_comparison(comparison: xr.Dataset) -> None:
    """Raise unless a dataset is that of a comparison."""
    if "waveform_human" not in comparison or "waveform_simulated" not in comparison:
        raise InvalidInputError("This dataset is no comparison. Give EMGComparison.dataset.")


def _scaled(values: FloatArray, scale: str) -> FloatArray:
    if scale == "mean":
        mean = values.mean(axis=-1, keepdims=True)
        return values / np.where(mean > 0, mean, 1.0)
    return np.nan_to_num(unit_range(values))  # a flat curve has no range: it stays at its foot
