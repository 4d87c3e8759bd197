"""Write the table of remote files with their checksums, from copies that are at hand.

Places were looked up in a public index of the repositories; checksums are of the copies that the
data folder holds. Writes ``kinesis_neuro/emg/tables/remote.csv``.

    python analyses/dataset_registry.py DATA_FOLDER
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path

OUT = Path(__file__).resolve().parents[1] / "kinesis_neuro" / "emg" / "tables" / "remote.csv"
RAW = "https://raw.githubusercontent.com"
KINESIS = f"{RAW}/GeStoi/Kinesis_eStoi/24cb46660a880ad587ebe1ee819e4a3e64cf031c/data/emg_assets"
BTK = (
    f"{RAW}/Biomechanical-ToolKit/BTKData/6aee093370ded0b6d649b36f75664c0e7a78d0a2/Input/C3DSamples"
)
SANTUZ = f"{RAW}/alesantuz/musclesyneRgies/0fbf53b01d9386fe489cb9e864c43a242dee70ce"
FALISSE = f"{RAW}/antoinefalisse/3dpredictsim/84eb62fbf098dd629880a716e37bd1291304d88b"


def main(folder: Path) -> None:
    """Hash, write."""
    places = {
        f"kinesis_assets/human_emg/{file.name}": f"{KINESIS}/human_emg/{file.name}"
        for file in sorted((folder / "kinesis_assets" / "human_emg").glob("EMG_subject_*.npy"))
    }
    for name in ("PiG_Motion-FlatFoot-Full.c3d", "PiG_Motion3_FF.c3d"):
        places[f"btkdata_c3d/{name}"] = f"{BTK}/PiG/{name}"
    places["santuz2019_raw/RAW_DATA.RData"] = f"{SANTUZ}/data/RAW_DATA.RData"
    places["falisse2019/ExperimentalData.mat"] = f"{FALISSE}/ExperimentalData/ExperimentalData.mat"
    with OUT.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["file", "url", "sha256"])
        for name, url in places.items():
            digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            writer.writerow([name, url, digest])
    print(f"{len(places)} files")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
