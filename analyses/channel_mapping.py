"""Write which muscles of the bodies each EMG channel sees, with weights by peak force.

The rules below say which actuators lie under an electrode; the weights are the actuators' peak
isometric forces (proportional to physiological cross-section at one specific tension), taken from
the compiled bodies. Writes ``kinesis_neuro/emg/tables/channels.csv``.

    python analyses/channel_mapping.py
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from kinesis_neuro.body.models import load_body
from kinesis_neuro.body.muscle import MuscleParameters

OUT = Path(__file__).resolve().parents[1] / "kinesis_neuro" / "emg" / "tables" / "channels.csv"

LEGS = ("legs", "legs_abs", "legs_back", "full")
SENIAM = "SENIAM (Hermens et al. 2000)"
LUMPED = "; the body lumps several muscles into this one"

# channel: (patterns of actuators without side, bodies, where the electrode is and who says so)
RULES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("soleus", "soleus", (*LEGS, "legs26"), SENIAM),
    ("gastrocnemius_medialis", "gasmed", LEGS, SENIAM),
    ("gastrocnemius_medialis", "gastroc", ("legs26",), SENIAM + LUMPED),
    ("gastrocnemius_lateralis", "gaslat", LEGS, SENIAM),
    ("gastrocnemius_lateralis", "gastroc", ("legs26",), SENIAM + LUMPED),
    ("gastrocnemius", "gasmed|gaslat", LEGS, "head not stated by the source: both"),
    ("gastrocnemius", "gastroc", ("legs26",), "head not stated by the source: both"),
    ("tibialis_anterior", "tibant", (*LEGS, "legs26"), SENIAM),
    ("peroneus_longus", "perlong", LEGS, SENIAM),
    ("peroneus_brevis", "perbrev", LEGS, SENIAM),
    ("tibialis_posterior", "tibpost", LEGS, "deep: fine wire (Perotto 2011)"),
    ("extensor_digitorum_longus", "edl", (*LEGS, "legs26"), "Perotto 2011"),
    ("flexor_digitorum_longus", "fdl", (*LEGS, "legs26"), "deep: fine wire (Perotto 2011)"),
    ("semimembranosus", "semimem", LEGS, "Perotto 2011"),
    ("semimembranosus", "hamstrings", ("legs26",), "Perotto 2011" + LUMPED),
    ("semitendinosus", "semiten", LEGS, SENIAM),
    ("semitendinosus", "hamstrings", ("legs26",), SENIAM + LUMPED),
    ("biceps_femoris", "bflh", LEGS, f"{SENIAM}: the long head covers the short one there"),
    ("biceps_femoris", "hamstrings", ("legs26",), f"{SENIAM}: the long head" + LUMPED),
    ("biceps_femoris_short", "bfsh", LEGS, "beside the long head's tendon (Perotto 2011)"),
    (
        "biceps_femoris_short",
        "bifemsh",
        ("legs26",),
        "beside the long head's tendon (Perotto 2011)",
    ),
    ("medial_hamstrings", "semimem|semiten", LEGS, "muscle not stated by the source: both"),
    ("medial_hamstrings", "hamstrings", ("legs26",), "muscle not stated by the source" + LUMPED),
    ("hamstrings", "semimem|semiten|bflh", LEGS, "muscle not stated by the source: biarticular"),
    ("hamstrings", "hamstrings", ("legs26",), "muscle not stated by the source: biarticular"),
    ("vastus_lateralis", "vaslat", LEGS, SENIAM),
    ("vastus_lateralis", "vasti", ("legs26",), SENIAM + LUMPED),
    ("vastus_medialis", "vasmed", LEGS, SENIAM),
    ("vastus_medialis", "vasti", ("legs26",), SENIAM + LUMPED),
    ("vastus", "vaslat|vasmed", LEGS, "head not stated by the source: the superficial ones"),
    ("vastus", "vasti", ("legs26",), "head not stated by the source: all"),
    ("rectus_femoris", "recfem", LEGS, SENIAM),
    ("rectus_femoris", "rectfem", ("legs26",), SENIAM),
    ("gluteus_maximus", "glmax[12]", LEGS, f"{SENIAM}: superior and middle fibres"),
    ("gluteus_maximus", "glutmax", ("legs26",), SENIAM),
    ("gluteus_medius", "glmed[12]", LEGS, f"{SENIAM}: maximus covers the posterior fibres"),
    ("gluteus_medius", "abd", ("legs26",), SENIAM + LUMPED),
    ("tensor_fasciae_latae", "tfl", LEGS, SENIAM),
    ("sartorius", "sart", LEGS, "Perotto 2011"),
    ("gracilis", "grac", LEGS, "Perotto 2011"),
    ("adductor_longus", "addlong", LEGS, "Perotto 2011"),
    ("adductor_longus", "add", ("legs26",), "Perotto 2011" + LUMPED),
    ("adductor_magnus", "addmag.*", LEGS, "fine wire (Perotto 2011)"),
    ("iliopsoas", "iliacus|psoas", LEGS, "deep: fine wire (Andersson et al. 1997)"),
    ("iliopsoas", "iliopsoas", ("legs26",), "deep: fine wire (Andersson et al. 1997)"),
    ("erector_spinae", "ercspn", ("legs_abs",), f"{SENIAM}: longissimus at L1"),
    (
        "erector_spinae",
        r"LTpT_(T|R)\d+|IL_R\d+",
        ("legs_back", "full"),
        f"{SENIAM}: longissimus and iliocostalis over L1",
    ),
    ("multifidus", r"MF_m[45].*", ("legs_back", "full"), f"{SENIAM}: at L5"),
    ("rectus_abdominis", "rect_abd", ("legs_back", "full"), "Ng et al. 1998"),
    ("external_oblique", "extobl", ("legs_abs",), "Ng et al. 1998"),
    ("external_oblique", r"EO\d", ("legs_back", "full"), "Ng et al. 1998"),
    ("internal_oblique", "intobl", ("legs_abs",), "Ng et al. 1998"),
    ("internal_oblique", r"IO\d", ("legs_back", "full"), "Ng et al. 1998"),
    ("deltoid_anterior", "DELT1", ("full",), SENIAM),
    ("deltoid_middle", "DELT2", ("full",), SENIAM),
    ("deltoid_posterior", "DELT3", ("full",), SENIAM),
    ("biceps_brachii", "BIClong|BICshort", ("full",), SENIAM),
    ("triceps_brachii", "TRIlong|TRIlat", ("full",), f"{SENIAM}: the medial head is deep"),
    ("brachioradialis", "BRD", ("full",), "Perotto 2011"),
    ("pectoralis_major", r"PECM[12]", ("full",), "Perotto 2011"),
    ("latissimus_dorsi", r"LAT\d", ("full",), "Perotto 2011"),
)


def main() -> None:
    """Look up forces, weigh, write."""
    forces = {}
    for name in ("legs26", *LEGS):
        body = load_body(name)
        peak = MuscleParameters.from_model(body.model).peak_force
        # Both sides have the same parameters; the right arm carries no suffix.
        right = [(m, f) for m, f in zip(body.muscles, peak, strict=True) if not m.endswith("_l")]
        forces[name] = {re.sub(r"_r$", "", muscle): float(force) for muscle, force in right}
    rows = []
    for channel, pattern, bodies, source in RULES:
        found = {}
        for name in bodies:
            seen = {m: f for m, f in forces[name].items() if re.fullmatch(pattern, m)}
            if not seen:
                raise SystemExit(f"no muscle of {name} matches {pattern!r}")
            total = sum(seen.values())
            found[name] = tuple((m, round(f / total, 3)) for m, f in seen.items())
        for weights in dict.fromkeys(found.values()):
            names = " ".join(name for name in bodies if found[name] == weights)
            rows += [(channel, muscle, weight, names, source) for muscle, weight in weights]
    table = pd.DataFrame(rows, columns=["channel", "muscle", "weight", "bodies", "source"])
    OUT.parent.mkdir(exist_ok=True)
    table.to_csv(OUT, index=False)
    print(f"{len(table)} rows, {table['channel'].nunique()} channels")


if __name__ == "__main__":
    main()
