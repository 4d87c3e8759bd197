"""One walk, disturbed at eight phases in three ways: what the rhythm and the muscles do.

    python benchmarks/phase_response.py [--policy walk-excitation] [--phases 8]

Prints a Markdown table for each perturbation, with one row a phase: the shift of the first, second
and fourth right heel strike after the onset and the lasting one [% of a cycle, positive: early],
and the muscle that changes most within a cycle, with its largest change of activation.
"""

from __future__ import annotations

import argparse

import numpy as np

from kinesis_neuro.analysis.phase_response import measure_phase_response
from kinesis_neuro.experiment import perturb
from kinesis_neuro.perturbation import BeltSpeedChange, Perturbation, Push, SilentMuscle

PERTURBATIONS: tuple[Perturbation, ...] = (
    Push(force=100.0, direction=0.0, duration=0.2),
    Push(force=100.0, direction=np.pi / 2, duration=0.2),
    BeltSpeedChange(change=0.3, duration=0.5, ramp=0.1),
    SilentMuscle("soleus_r", duration=1.0),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="walk-excitation")
    parser.add_argument("--phases", type=int, default=8)
    arguments = parser.parse_args()
    for perturbation in PERTURBATIONS:
        walks = perturb(arguments.policy, perturbation, phases=arguments.phases)
        response = measure_phase_response(walks.control, walks.perturbed, walks.onset)
        print(f"\n{perturbation}: {response.attrs['n_fell']} of {arguments.phases} fell\n")
        print("| onset [%] | strike 1 | 2 | 4 | lasting | most changed muscle | by |")
        print("|---|---|---|---|---|---|---|")
        for i in range(response.sizes["episode"]):
            one = response.isel(episode=i)
            strikes = 100 * one.strike_shift.values
            shown = [strikes[k] if k < strikes.size else np.nan for k in (0, 1, 3)]
            shown.append(100 * float(one.phase_shift))
            peak = one.peak_response
            muscle, change = "fell", ""
            if bool(peak.notnull().any()):
                most = int(np.abs(peak.values).argmax())
                muscle, change = str(peak.muscle[most].item()), f"{float(peak[most]):+.2f}"
            cells = " | ".join("" if np.isnan(v) else f"{v:+.1f}" for v in shown)
            onset = round(100 * float(one.onset_phase)) % 100
            print(f"| {onset} | {cells} | {muscle} | {change} |")


if __name__ == "__main__":
    main()
