"""The methods of a report, in words that are made from the attributes of its results.

Nothing here knows what was done: every number and name is read from an attribute of a recording, a
subject or a result, and a sentence whose attribute is missing is left out.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from kinesis_neuro.report.citations import RULE_CITATIONS, Bibliography
from kinesis_neuro.report.results import Results

Paragraph = tuple[str, str]
"""A heading and a text."""


def methods(results: Results) -> tuple[list[Paragraph], list[str]]:
    """Write the methods.

    Parameters
    ----------
    results : Results

    Returns
    -------
    paragraphs : list of (heading, text)
    references : list of str
        What the paragraphs cite, and what the subjects ask to be cited.
    """
    works = Bibliography()
    paragraphs = [
        ("Simulation", _simulation(results.recording, works)),
        ("EMG", " ".join(_subject(one, works) for one in results.subjects)),
        ("Comparison", _comparison(results.comparison.dataset, works)),
        ("Timing", _timing(results, works)),
    ]
    if results.synergies is not None:
        paragraphs.append(("Synergies", _synergies(results, works)))
    return [(heading, text) for heading, text in paragraphs if text], works.references


def _simulation(recording: xr.Dataset, works: Bibliography) -> str:
    attrs = recording.attrs
    versions = json.loads(attrs.get("versions", "{}"))
    engine = []
    if "mujoco" in versions:
        engine.append(f"MuJoCo {versions['mujoco']} {works.cite('mujoco')}")
    if "myo-sim" in versions:
        engine.append(f"myo-sim {versions['myo-sim']} {works.cite('myosuite')}")
    sentences = []
    if "body" in attrs:
        sentences.append(
            f"The body {attrs['body']!r} with {recording.sizes['muscle']} muscles"
            + (f" was simulated with {', '.join(engine)}" if engine else " was simulated")
            + (f", driven by the policy {attrs['policy']!r}" if "policy" in attrs else "")
            + (f" through {attrs['actuation']!r} actuation" if "actuation" in attrs else "")
            + (f" along the motion {attrs['motion']!r}." if "motion" in attrs else ".")
        )
    rates = [
        f"{name} {float(attrs[f'{name}_rate']):g} Hz"
        for name in ("physics", "control")
        if f"{name}_rate" in attrs
    ]
    if rates:
        sentences.append(f"Rates: {', '.join(rates)}.")
    if "time" in recording.dims and "sampling_rate" in attrs:
        n, rate = recording.sizes["time"], float(attrs["sampling_rate"])
        falls = f", with {attrs['n_falls']} fall(s)" if "n_falls" in attrs else ""
        seed = f" (seed {attrs['seed']})" if "seed" in attrs else ""
        sentences.append(f"The recording{seed} lasts {n / rate:.2f} s at {rate:g} Hz{falls}.")
    return " ".join(sentences)


def _subject(subject: xr.Dataset, works: Bibliography) -> str:
    attrs = subject.attrs
    if attrs.get("citation", "not stated") != "not stated":
        works.add(str(attrs["citation"]))
    speed = float(attrs.get("speed", np.nan))
    at = f" at {speed:g} m/s" if np.isfinite(speed) else " at a speed that is not stated"
    steps = [_step(step) for step in json.loads(attrs.get("processing", "[]"))]
    done = f"processed by {', '.join(steps)}" if steps else "as the source processed it"
    scaled = f"; {attrs['normalisation']}" if "normalisation" in attrs else ""
    return (
        f"{attrs.get('subject', 'The subject')}: {attrs.get('condition', 'walking')}{at}, "
        f"{subject.sizes['channel']} channels, {done}{scaled} (source: "
        f"{attrs.get('source', 'not stated')}; licence: {attrs.get('licence', 'not stated')})."
    )


def _step(step: dict[str, Any]) -> str:
    """Write a step of processing with its parameters.

    >>> _step({"step": "lowpass", "frequency": 6.0, "order": 2})
    'lowpass (frequency 6.0, order 2)'
    """
    rest = ", ".join(f"{k} {v}" for k, v in step.items() if k not in ("step", "operation"))
    name = str(step.get("step", step.get("operation", "a step")))
    return f"{name} ({rest})" if rest else name


def _comparison(data: xr.Dataset, works: Bibliography) -> str:
    attrs = data.attrs
    signal = str(attrs["signal"]).replace("_", " ")
    how = ""
    if attrs["signal"] == "equivalent_excitation":
        how = f" (an elastic tendon in series {works.cite('millard', 'rajagopal')})"
    if attrs["protocol"] == "kinesis":
        return (
            f"{signal.capitalize()} and EMG were compared by KINESIS's recipe "
            f"{works.cite('kinesis')}, with {attrs['n_null']} surrogates (seed {attrs['seed']})."
        )
    smooth = "none" if attrs["envelope"] == "none" else _low_pass(json.loads(attrs["envelope"]))
    mapping = json.loads(attrs["mapping"])
    single = data.sizes["subject"] == 1
    sentences = [
        f"The {signal} of the simulated muscles{how} was compared with EMG over mean gait cycles "
        f"of {data.sizes['phase']} points from the heel strike of each muscle's own side (leg: "
        f"{attrs['leg']}; cycles found by: {attrs['cycles']}; "
        + "; ".join(
            f"{int(n)} cycle(s) of {name}"
            for dim, what in (("condition", "simulated"), ("subject", "human"))
            for name, n in zip(data[dim].values, data[f"n_cycles_{what}"].values, strict=True)
        )
        + f"), after a low-pass of the simulation: {smooth}. {_delay(float(attrs['delay']))} "
        "Nothing was fitted.",
        f"Channels of one's own: {mapping}."
        if mapping
        else "Channels were mapped to muscles by "
        "the library's table (surface electrodes; heads weighted by peak force).",
        "r is Pearson's correlation, the mean over all pairs of a simulation and a person. Its "
        f"null puts the simulated curve at {attrs['n_null']} random phases of the cycle (seed "
        f"{attrs['seed']}); that of the best common lag (up to {float(attrs['max_lag']):g} cycles) "
        "gives each muscle a random phase of its own and then the same freedom of lag. p values "
        f"are never zero {works.cite('never_zero')}; p_fdr is adjusted over muscles "
        f"{works.cite('false_discovery')}.",
        (
            "With one simulation and one person there is no interval."
            if not np.isfinite(float(data["overall_r_low"]))
            else f"Intervals ({float(attrs['confidence']):.0%}) are Student's t on Fisher's z over "
            f"people and training seeds {works.cite('satterthwaite')}."
        ),
        f"nRMSE compares curves scaled to their own range, VAF allows the best gain "
        f"{works.cite('vaf')}, CMC is the coefficient of multiple correlation "
        f"{works.cite('kadaba')}.",
    ]
    if single:
        sentences.append("With one person there is no ceiling between people.")
    sentences.append(f"Scaling of the EMG: {attrs['normalisation']}.")
    return " ".join(sentences)


def _delay(delay: float) -> str:
    if delay == 0:
        return "No electromechanical delay was allowed for (0 ms)."
    return f"It was moved earlier by a stated electromechanical delay of {1000 * delay:g} ms."


def _low_pass(step: dict[str, Any]) -> str:
    parameters = step["parameters"]
    way = "zero-phase" if parameters.get("zero_phase", True) else "in one pass"
    order = parameters.get("order", 4)
    return f"{float(parameters['frequency']):g} Hz, order {order}, {way}"


def _timing(results: Results, works: Bibliography) -> str:
    text = (
        "The centre of activity is the direction of the activity-weighted mean phase vector "
        f"{works.cite('center')}; means over people are circular {works.cite('circular')}."
    )
    if results.rasters is None:
        return text
    (name, first), *others = results.rasters.items()
    cycles = ", ".join(
        f"{one.sizes['cycle']} cycle(s) of {label} ({one.attrs['signal']})"
        for label, one in [(name, first), *others]
    )
    return (
        f"{text} A muscle is on above {100 * float(first.attrs['threshold']):g} % of its range "
        f"over all cycles ({cycles}); onset and offset are those of the longest run on the circle."
    )


def _synergies(results: Results, works: Bibliography) -> str:
    found = results.synergies
    assert found is not None
    human, simulated, match = (x.attrs for x in (found.human, found.simulated, found.match))
    rule = str(human["rule"])
    options = json.loads(human["rank_options"])
    cycles = found.human.sizes.get("cycle", 1)
    return (
        f"Synergies are non-negative factors {works.cite('nmf', 'hals')} of {cycles} human "
        f"{human['cycles']} cycle(s), each muscle divided by its {human['normalize']} "
        f"({human['n_restarts']} restarts, {human['solver']} solver, seed {human['seed']}). The "
        f"rule {rule!r} {works.cite(RULE_CITATIONS[rule])} chose {human['n_synergies']} for the "
        f"person (its parameters: {', '.join(f'{k} {v:g}' for k, v in options.items())}); the "
        f"simulation was given {simulated['n_synergies']}. VAF is uncentred {works.cite('vaf')}, "
        "R\N{SUPERSCRIPT TWO} centred. They were assigned one to one by the criterion "
        f"{match['criterion']!r} (cosine of the weights) against {match['n_null']} draws with "
        f"permuted muscles that are assigned anew (seed {match['seed']}); shared at p < "
        f"{float(match['level']):g}."
    )
