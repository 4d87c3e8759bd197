"""Each figure, and the caption that goes with it, from shared material."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from kinesis_neuro.analysis.agreement import pairwise_agreement
from kinesis_neuro.analysis.bands import FEWEST_SUBJECTS, bootstrap_band
from kinesis_neuro.analysis.channel_cycles import burst_raster
from kinesis_neuro.analysis.clusters import cluster_permutation_test
from kinesis_neuro.analysis.shapes import activity_centers, shape_curves
from kinesis_neuro.analysis.synergy import extract_synergies
from kinesis_neuro.analysis.synergy_match import match_synergies
from kinesis_neuro.emg.cycles import cycle_statistics, segment_cycles
from kinesis_neuro.figures.material import Material
from kinesis_neuro.plot.agreement import plot_agreement
from kinesis_neuro.plot.bursts import plot_bursts
from kinesis_neuro.plot.clusters import plot_clusters
from kinesis_neuro.plot.envelopes import plot_envelopes
from kinesis_neuro.plot.heatmap import plot_activation_heatmap
from kinesis_neuro.plot.lags import plot_lags
from kinesis_neuro.plot.polar import plot_centers
from kinesis_neuro.plot.synergies import plot_synergies

_RULE = "r_squared_knee"


class Drawn(NamedTuple):
    """A figure and its caption."""

    figure: Figure
    caption: str


def envelopes(material: Material) -> Drawn:
    """Simulated activation over people's EMG."""
    data = material.walkers
    n = data.sizes["subject"]
    line = "dark line: their mean; the band spans them" if n > 1 else "dark line"
    among = ", mean over people, and last that of one person with another" if n > 1 else ""
    return Drawn(
        plot_envelopes(shape_curves(data)),
        f"Mean cycles of {_listed(data['condition'].values)} and of the EMG of {_people(data)} "
        f"({line}), each scaled to its range. Simulations passed the low-pass {_envelope(data)}. "
        f"Numbers: Pearson's r at zero lag of each{among}.",
    )


def correlation_boxes(material: Material) -> Drawn:
    """Correlations: people with each other, simulations and baselines with people."""
    material.several_people(3)
    data = material.comparison
    agreement = pairwise_agreement(data)
    first = agreement.groups[1]
    medians = ", ".join(
        f"{group} {agreement.boxes.loc[('mean', group), 'median']:.2f}"
        for group in agreement.groups
    )
    return Drawn(
        plot_agreement(agreement),
        "Pearson's r at zero lag of every pair: people with each other, simulations and baselines "
        f"with people. Medians of the mean over muscles: {medians}. Boxes are quartiles, whiskers "
        "reach Tukey's limits; pairs share people, so that they describe and do not infer. Grey: "
        f"what {first} reaches by chance in 19 of 20 cases ({data.attrs['n_null']} random phases "
        f"of its curves, seed {data.attrs['seed']}).",
    )


def lag_map(material: Material) -> Drawn:
    """Correlation over the lag between simulation and people."""
    data = material.walkers
    best = ", ".join(
        f"{name} {100 * float(lag):+.0f} %"
        for name, lag in zip(data["condition"].values, data["common_lag_condition"], strict=True)
    )
    return Drawn(
        plot_lags(data),
        f"Pearson's r at every cyclic lag with the EMG of {_people(data)}. "
        "A positive lag says that people are later. Circles: best lag of each "
        f"muscle; dashed line and diamond: best lag that all share ({best}). At its best lag any "
        "burst correlates with any other: read this with the null in the table.",
    )


def activity_centres(material: Material) -> Drawn:
    """Centre of activity of each muscle on the circle of the gait cycle."""
    centers = activity_centers(material.walkers)
    return Drawn(
        plot_centers(centers),
        "Centre of activity (direction of the activity-weighted mean phase vector) over the gait "
        f"cycle, clockwise from heel strike at the top, of {_people(material.walkers)} (circles on "
        "the rim) and simulations (on rings within, whose radii mean nothing). The arrow is the "
        "circular mean of people; its length is their mean resultant length.",
    )


def burst_rasters(material: Material) -> Drawn:
    """When muscles are on, cycle by cycle."""
    person = f"EMG, {material.walker.attrs['person']}"
    cycles = material.shared_cycles
    rasters = {
        name: burst_raster(one) for name, one in ({person: cycles.human} | cycles.simulated).items()
    }
    rasters[person].attrs["human"] = 1
    threshold = 100 * rasters[person].attrs["threshold"]
    return Drawn(
        plot_bursts(rasters),
        f"When each muscle exceeds {threshold:.0f} % of its range over all cycles: a row a cycle, "
        "of the person whose gait is built in and of the simulations that imitate it (not "
        "smoothed). Triangles: circular mean of onset and offset of the longest burst, with one "
        "circular SD; a long line says that the longest burst is not the same one in all cycles.",
    )


def synergies(material: Material) -> Drawn:
    """Muscle synergies of a person and of simulations."""
    cycles = material.shared_cycles.human
    human = extract_synergies(cycles, rule=_RULE, seed=material.seed)
    n = human.sizes["synergy"]
    others: dict[str, tuple[xr.Dataset, xr.Dataset]] = {}
    for name, own in material.shared_cycles.simulated.items():
        found = extract_synergies(own, n, seed=material.seed)
        match = match_synergies(human, found, n_null=material.n_null, seed=material.seed)
        others[name] = (found, match)
    means = ", ".join(
        f"{name} {float(match.mean_similarity):.2f} (chance {float(match.null_high):.2f} in one of "
        f"twenty cases, p = {float(match.mean_p_value):.2g})"
        for name, (_, match) in others.items()
    )
    person = str(material.walker.attrs["person"])
    return Drawn(
        plot_synergies(human, others, f"EMG, {person}", float(cycles["toe_off_phase"])),
        f"{n} synergies (by the rule {human.attrs['rule']}) of {cycles.sizes['cycle']} cycle(s) of "
        f"{person}, and as many of each simulation, assigned by the cosine of their weights; p is "
        f"against weights with permuted muscles that are assigned anew. Mean cosine: {means}.",
    )


def cluster_inference(material: Material) -> Drawn:
    """Where the curves of people and of the simulation differ."""
    material.several_people(FEWEST_SUBJECTS)
    curves = shape_curves(material.walkers, "mean")
    name = material.names[0]
    own = curves["role_mean"].sel(role=name, drop=True)
    test = cluster_permutation_test(
        curves["people"] - own, design="one_sample", cyclic=True, seed=material.seed
    )
    band = bootstrap_band(curves["people"], kind="pointwise", seed=material.seed)
    attrs = test.dataset.attrs
    smallest = float(attrs["smallest_p"])
    n = curves.sizes["subject"]
    reach = (
        f" With {n} people no p can be below {smallest:.2g}, so that the figure shows where they "
        "differ most and proves nothing at 0.05."
        if smallest >= 0.05
        else ""
    )
    return Drawn(
        plot_clusters(test, band, {name: own}, f"{n} people", "Activity (mean = 1)"),
        f"Mean cycles of {n} people and of {name}, each divided by its mean (above), and t of "
        "their difference (below, logarithmic beyond the threshold). Bands: "
        f"{100 * band.attrs['level']:.0f} % at each point, {band.attrs['n_bootstrap']} wild "
        f"bootstraps of people. Clusters beyond |t| = {attrs['threshold']:.2f} (dashed) have p "
        f"among the largest of all muscles over {attrs['n_permutations']} sign flips of people"
        f"{' (all there are)' if attrs['exact'] else ''}.{reach}",
    )


def heat_map(material: Material) -> Drawn:
    """Activation of all muscles of a leg over the gait cycle."""
    needed = ["activation", "ground_force"]
    statistics = {
        name: cycle_statistics(segment_cycles(material.recording(name)[needed]))
        for name in material.names
    }
    cycles = ", ".join(f"{one.attrs['n_cycles']} of {name}" for name, one in statistics.items())
    muscles = int((next(iter(statistics.values()))["side"] == "right").sum())
    return Drawn(
        plot_activation_heatmap(statistics),
        f"Mean activation of the {muscles} muscles of the right leg over the gait cycle "
        f"(cycles: {cycles}), by anatomical group.",
    )


def body_snapshots(material: Material) -> Drawn:
    """Pictures of the body over the gait cycle."""
    from kinesis_neuro.render import filmstrip_figure

    name = material.names[-1]
    return Drawn(
        filmstrip_figure(material.recording(name)),
        f"The body over one gait cycle of {name}; muscles are coloured by their activation.",
    )


def _people(data: xr.Dataset) -> str:
    names = [str(name) for name in data["subject"].values]
    speeds = np.unique(data["speed_human"].values.round(2))
    at = f" at {speeds[0]:g} m/s" if len(speeds) == 1 and np.isfinite(speeds[0]) else ""
    return (f"{len(names)} people ({', '.join(names)})" if len(names) > 1 else names[0]) + at


def _envelope(data: xr.Dataset) -> str:
    try:
        step = json.loads(data.attrs["envelope"])["parameters"]
    except (ValueError, KeyError):
        return "of none"
    way = "zero-phase" if step.get("zero_phase", True) else "one pass"
    return f"of {step['frequency']:g} Hz, order {step.get('order', 4)}, {way}"


def _listed(names: np.ndarray) -> str:
    *others, last = map(str, names)
    return f"{', '.join(others)} and {last}" if others else last
