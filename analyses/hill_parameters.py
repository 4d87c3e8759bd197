"""Write the muscles' architecture for equivalent excitation, from the model MyoLegs was made from.

Reads the OpenSim model of Rajagopal et al. 2016 (``Rajagopal2015.osim``, part of OpenSim's models
and of the package nimblephysics; its values are those of the paper's supplement), whose muscles
have the names of myo-sim's legs. Writes ``kinesis_neuro/emg/tables/hill.csv``.

    python analyses/hill_parameters.py Rajagopal2015.osim
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from xml.etree import ElementTree

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
    for muscle in ElementTree.parse(model).getroot().iter():
        name = muscle.get("name", "")
        if not muscle.tag.endswith("Muscle") or not name.endswith("_r"):
            continue
        values = [float(muscle.findtext(tag, "nan")) for tag in FIELDS.values()]
        rows.append([name.removesuffix("_r"), *(f"{value:.6g}" for value in values)])
    with OUT.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["muscle", *FIELDS])
        writer.writerows(sorted(rows))
    print(f"{len(rows)} muscles")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
