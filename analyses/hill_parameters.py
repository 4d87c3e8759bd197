"""Write the muscles' architecture for equivalent excitation: myo-sim's, and pennation beside it.

Peak force, optimal fibre and tendon slack length are those that myo-sim's legs work with. For most
muscles they are those of Rajagopal et al. 2016; for the hamstrings, the calf and the quadriceps
myo-sim changed them, with its paths, and with the published lengths on those paths
semimembranosus would shrink to a third of its optimal length. Pennation, which myo-sim has not, and
all of a muscle whose tendon has no length in myo-sim (glmax3), come from the OpenSim model of
Rajagopal et al. 2016 (``Rajagopal2015.osim``, part of OpenSim's models and of the package
nimblephysics), whose muscles have the same names. Writes ``kinesis_neuro/emg/tables/hill.csv``.

    python analyses/hill_parameters.py Rajagopal2015.osim
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from xml.etree import ElementTree

from kinesis_neuro.body.models import load_body
from kinesis_neuro.body.muscle import MuscleParameters

OUT = Path(__file__).resolve().parents[1] / "kinesis_neuro" / "emg" / "tables" / "hill.csv"
FIELDS = {
    "peak_force": "max_isometric_force",
    "optimal_fiber_length": "optimal_fiber_length",
    "tendon_slack_length": "tendon_slack_length",
    "pennation": "pennation_angle_at_optimal",
}


def main(model: Path) -> None:
    """Read, write."""
    rows = []
    body = load_body("legs")
    own = MuscleParameters.from_model(body.model)
    for muscle in ElementTree.parse(model).getroot().iter():
        name = muscle.get("name", "")
        if not muscle.tag.endswith("Muscle") or not name.endswith("_r"):
            continue
        values = [float(muscle.findtext(tag, "nan")) for tag in FIELDS.values()]
        i = body.muscles.index(name)
        if own.tendon_slack_length[i] > 0:
            values[:3] = own.peak_force[i], own.optimal_length[i], own.tendon_slack_length[i]
        rows.append([name.removesuffix("_r"), *(f"{value:.6g}" for value in values)])
    with OUT.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["muscle", *FIELDS])
        writer.writerows(sorted(rows))
    print(f"{len(rows)} muscles")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
