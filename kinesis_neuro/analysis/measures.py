"""Every measure of a comparison, computed from mean cycles at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import fft

from kinesis_neuro.analysis import waveforms as wf
from kinesis_neuro.analysis.alignment import N_PHASE, Waveforms
from kinesis_neuro.analysis.ceiling import human_ceilings, peak_scaled
from kinesis_neuro.analysis.intervals import crossed_interval
from kinesis_neuro.analysis.null import (
    best_lag_matrix,
    false_discovery,
    lag_null,
    p_among_others,
    p_value,
    specificity,
)

FloatArray = NDArray[np.float64]


def unique_names(names: list[str]) -> list[str]:
    """Number names that are there more than once.

    Examples
    --------
    >>> unique_names(["walk", "walk", "run"])
    ['walk #1', 'walk #2', 'run']
    """
    return [
        n if names.count(n) == 1 else f"{n} #{names[:i].count(n) + 1}" for i, n in enumerate(names)
    ]


def compute_measures(
    humans: list[Waveforms],
    runs: dict[str, list[Waveforms]],
    settings: dict[str, Any],
    mvc: bool,
) -> xr.Dataset:
    """Compute all measures from mean cycles; (condition, subject, channel, phase) throughout.

    Parameters
    ----------
    humans : list of Waveforms
        People.
    runs : dict of str to list of Waveforms
        By role: ``simulation`` first, then baselines; the same channels in the same order.
    settings : dict
        Attributes of the result; ``n_null``, ``seed``, ``max_lag``, ``confidence`` and ``signal``
        are used here.
    mvc : bool
        Whether the EMG is scaled to maximum voluntary contraction.

    Returns
    -------
    xarray.Dataset
        What :class:`~kinesis_neuro.analysis.comparison.EMGComparison` holds.
    """
    everyone = [one for many in runs.values() for one in many]
    roles = np.array([role for role, many in runs.items() for _ in many])
    n_sim = len(runs["simulation"])
    s, h = (np.stack([one.values for one in group]) for group in (everyone, humans))
    # A flat curve has no shape: nothing of it is explained, which is r = 0.
    spectra = np.nan_to_num(fft.rfft(wf.standardize(s))), np.nan_to_num(fft.rfft(wf.standardize(h)))
    cross = np.conj(spectra[0])[:, None] * spectra[1]
    curve_pair = fft.irfft(cross, N_PHASE, axis=-1)
    r_pair = curve_pair[..., 0]
    lag = wf.lags(N_PHASE)
    allowed = np.abs(lag) <= settings["max_lag"] + 1e-9
    curve_condition = curve_pair.mean(axis=1)
    curve = curve_condition[:n_sim].mean(axis=0)
    rng = np.random.default_rng(settings["seed"])
    null = lag_null(cross[:n_sim].mean(axis=(0, 1)), N_PHASE, allowed, settings["n_null"], rng)
    matrix = np.einsum(
        "sip,njp->ij",
        np.nan_to_num(wf.standardize(s[:n_sim])) / n_sim,
        np.nan_to_num(wf.standardize(h)) / len(h),
    )
    best_matrix = best_lag_matrix(
        spectra[0][:n_sim].mean(axis=0), spectra[1].mean(axis=0), N_PHASE, allowed
    )
    specific = specificity(matrix, settings["n_null"], rng)

    best = np.where(allowed, curve, -np.inf).argmax(axis=-1)
    best_r = curve.max(axis=-1, where=allowed, initial=-1.0)
    common = int(np.where(allowed, curve.mean(axis=0), -np.inf).argmax())
    every_best = np.where(allowed, curve_condition, -np.inf).argmax(axis=-1)
    every_common = np.where(allowed, curve_condition.mean(axis=1), -np.inf).argmax(axis=-1)
    interval = crossed_interval(r_pair[:n_sim], settings["confidence"])
    overall = crossed_interval(r_pair[:n_sim].mean(axis=-1), settings["confidence"])
    ceiling = human_ceilings(h, np.stack([one.halves for one in humans]))
    to_mean = np.nan_to_num(wf.pearson(s[:n_sim], peak_scaled(h).mean(axis=0))).mean(axis=0)
    r = r_pair[:n_sim].mean(axis=(0, 1))
    p, p_best = p_value(r, null.zero), p_among_others(best_matrix)
    by_channel: dict[str, FloatArray] = {
        "r": r, "r_low": interval.low, "r_high": interval.high,
        "p": p, "p_fdr": false_discovery(p),
        "null_mean": null.zero.mean(axis=0), "null_95": np.quantile(null.zero, 0.95, axis=0),
        "best_lag": lag[best], "r_best": best_r,
        "p_best": p_best, "p_best_phase": p_value(best_r, null.best_phase),
        "null_best_mean": _mean_of_others(best_matrix),
        "null_best_95": np.quantile(null.best_phase, 0.95, axis=0),
        "ceiling_pairwise": ceiling.pairwise,
        "ceiling_mean_of_others": ceiling.mean_of_others,
        "ceiling_between_cycle": ceiling.between_cycle,
        "r_to_mean": to_mean,
        "r_of_ceiling_pairwise": r / _positive(ceiling.pairwise),
        "r_of_ceiling_mean": to_mean / _positive(ceiling.mean_of_others),
        **_shape_measures(s[:n_sim], h, _toe_off(runs["simulation"], humans)),
    }  # fmt: skip
    if mvc and settings["signal"] in ("activation", "excitation", "equivalent_excitation"):
        by_channel["amplitude_ratio"] = s[:n_sim].max(-1).mean(0) / h.max(-1).mean(0)
    mean_null, mean_phase = null.zero.mean(axis=1), null.common
    overall_values: dict[str, float] = {
        "r": float(r.mean()), "r_low": float(overall.low), "r_high": float(overall.high),
        "p": float(p_value(r.mean(), mean_null)), "p_fdr": np.nan,
        "null_mean": float(mean_null.mean()), "null_95": float(np.quantile(mean_null, 0.95)),
        "best_lag": float(lag[common]), "r_best": float(curve.mean(axis=0)[common]),
        "p_best": float(p_value(curve.mean(axis=0)[common], mean_phase)), "p_best_phase": np.nan,
        "null_best_mean": float(mean_phase.mean()),
        "null_best_95": float(np.quantile(mean_phase, 0.95)),
        "specificity": specific.advantage, "specificity_p": specific.p,
        "specificity_wins": specific.wins,
        "specificity_null_95": float(np.quantile(specific.null, 0.95)),
    }  # fmt: skip
    for name, values in by_channel.items():
        known = values[np.isfinite(values)]
        overall_values.setdefault(name, float(known.mean()) if known.size else np.nan)
    order = np.argsort(lag)
    unit = {"units": "1"}
    names = list(humans[0].channels)
    return xr.Dataset(
        {name: ("channel", values, unit) for name, values in by_channel.items()}
        | {f"overall_{name}": ((), value, unit) for name, value in overall_values.items()}
        | {
            "r_pair": (("condition", "subject", "channel"), r_pair, unit),
            "r_best_condition": (
                ("condition", "channel"),
                curve_condition.max(axis=-1, where=allowed, initial=-1.0),
                unit,
            ),
            "waveform_simulated": (("condition", "channel", "phase"), s, unit),
            "waveform_human": (("subject", "channel", "phase"), h, unit),
            "lag_curve": (("lag", "channel"), curve[:, order].T, unit),
            "lag_curve_condition": (
                ("condition", "channel", "lag"), curve_condition[..., order], unit
            ),
            "best_lag_condition": (("condition", "channel"), lag[every_best], unit),
            "common_lag_condition": ("condition", lag[every_common], unit),
            "specificity": (("channel", "other"), matrix, unit),
            "n_cycles_simulated": ("condition", np.array([w.n_cycles for w in everyone]), unit),
            "n_cycles_human": ("subject", np.array([w.n_cycles for w in humans]), unit),
            "speed_simulated": (
                "condition", np.array([w.speed for w in everyone]), {"units": "m/s"}
            ),
            "speed_human": ("subject", np.array([w.speed for w in humans]), {"units": "m/s"}),
            "toe_off_phase": ((), _toe_off(runs["simulation"], humans), unit),
        },
        coords={
            "channel": ("channel", np.array(names)),
            "side": ("channel", np.array(humans[0].sides)),
            "other": ("other", np.array(names)),
            "subject": ("subject", np.array([one.name for one in humans])),
            "condition": ("condition", np.array(unique_names([one.name for one in everyone]))),
            "role": ("condition", roles),
            "phase": ("phase", np.arange(N_PHASE) / N_PHASE, unit),
            "lag": ("lag", lag[order], unit),
        },
        attrs={"kind": "EMG comparison", **settings},
    )  # fmt: skip


def _mean_of_others(matrix: FloatArray) -> FloatArray:
    """Mean of each row without its diagonal; NaN for a single channel."""
    n = len(matrix)
    total = matrix.sum(axis=1) - np.diag(matrix)
    return total / (n - 1) if n > 1 else np.full(n, np.nan)


def _positive(values: FloatArray) -> FloatArray:
    return np.where(values > 0, values, np.nan)


def _toe_off(sims: list[Waveforms], humans: list[Waveforms]) -> float:
    """Mean phase of toe-off of the simulations, else of the people; NaN if neither is known."""
    for group in (sims, humans):
        known = np.array([one.toe_off for one in group])
        if np.isfinite(known).any():
            return float(np.nanmean(known))
    return float("nan")


def _shape_measures(s: FloatArray, h: FloatArray, toe_off: float) -> dict[str, FloatArray]:
    """Measures of each channel, means over pairs."""
    a, b = s[:, None], h[None]

    def over_pairs(values: FloatArray) -> FloatArray:
        known = np.isfinite(values)
        total = np.where(known, values, 0.0).sum(axis=(0, 1))
        return total / _positive(known.sum(axis=(0, 1)).astype(float))

    measures = {
        "nrmse": over_pairs(wf.nrmse(a, b)),
        "vaf": over_pairs(wf.variance_accounted_for(a, b)),
        "cmc": over_pairs(wf.multiple_correlation(a, b)),
    }
    split = round(toe_off * N_PHASE) if np.isfinite(toe_off) else 0
    for name, part in (("stance", slice(0, split)), ("swing", slice(split, None))):
        usable = 3 <= split <= N_PHASE - 3
        nothing = np.full(s.shape[1], np.nan)
        measures[f"r_{name}"] = (
            over_pairs(wf.pearson(a[..., part], b[..., part])) if usable else nothing
        )
        measures[f"nrmse_{name}"] = (
            over_pairs(wf.nrmse(a[..., part], b[..., part])) if usable else nothing
        )
    bursts = wf.main_burst(a), wf.main_burst(b)
    for name in ("onset", "offset", "peak"):
        difference = wf.phase_difference(*(getattr(burst, name) for burst in bursts))
        measures[f"{name}_error"] = over_pairs(difference)
    return measures
