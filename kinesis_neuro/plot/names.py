"""What muscles are called in figures, which stand for a leg, and in what order groups appear."""

from __future__ import annotations

import re

_PARTS = {
    "abd": "Hip abductors",
    "add": "Hip adductors",
    "addbrev": "Adductor brevis",
    "addlong": "Adductor longus",
    "addmagDist": "Adductor magnus, distal",
    "addmagIsch": "Adductor magnus, ischial",
    "addmagMid": "Adductor magnus, middle",
    "addmagProx": "Adductor magnus, proximal",
    "bflh": "Biceps femoris, long head",
    "bfsh": "Biceps femoris, short head",
    "bifemsh": "Biceps femoris, short head",
    "edl": "Extensor digitorum longus",
    "ehl": "Extensor hallucis longus",
    "ercspn": "Erector spinae",
    "extobl": "External oblique",
    "fdl": "Flexor digitorum longus",
    "fhl": "Flexor hallucis longus",
    "gaslat": "Gastrocnemius lateralis",
    "gasmed": "Gastrocnemius medialis",
    "gastroc": "Gastrocnemius",
    "glmax1": "Gluteus maximus, superior",
    "glmax2": "Gluteus maximus, middle",
    "glmax3": "Gluteus maximus, inferior",
    "glmed1": "Gluteus medius, anterior",
    "glmed2": "Gluteus medius, middle",
    "glmed3": "Gluteus medius, posterior",
    "glmin1": "Gluteus minimus, anterior",
    "glmin2": "Gluteus minimus, middle",
    "glmin3": "Gluteus minimus, posterior",
    "glutmax": "Gluteus maximus",
    "grac": "Gracilis",
    "hamstrings": "Hamstrings",
    "iliacus": "Iliacus",
    "iliopsoas": "Iliopsoas",
    "intobl": "Internal oblique",
    "perbrev": "Peroneus brevis",
    "perlong": "Peroneus longus",
    "piri": "Piriformis",
    "psoas": "Psoas",
    "recfem": "Rectus femoris",
    "rect_abd": "Rectus abdominis",
    "rectfem": "Rectus femoris",
    "sart": "Sartorius",
    "semimem": "Semimembranosus",
    "semiten": "Semitendinosus",
    "soleus": "Soleus",
    "tfl": "Tensor fasciae latae",
    "tibant": "Tibialis anterior",
    "tibpost": "Tibialis posterior",
    "vasint": "Vastus intermedius",
    "vaslat": "Vastus lateralis",
    "vasmed": "Vastus medialis",
    "vasti": "Vasti",
}

# One panel each, hip to ankle: first what the bodies call it, then the vocabulary of EMG.
MAIN_MUSCLES = (
    ("glmax2", "glutmax", "gluteus_maximus"),
    ("glmed2", "abd", "gluteus_medius"),
    ("psoas", "iliopsoas"),
    ("addlong", "add", "adductor_longus"),
    ("recfem", "rectfem", "rectus_femoris"),
    ("vaslat", "vasti", "vastus_lateralis"),
    ("bflh", "hamstrings", "biceps_femoris"),
    ("semiten", "bifemsh", "semitendinosus"),
    ("tibant", "tibialis_anterior"),
    ("gasmed", "gastroc", "gastrocnemius_medialis"),
    ("soleus",),
    ("perlong", "fdl", "peroneus_longus"),
)
"""Muscles that stand for a leg, as alternatives of which a dataset has one at most."""

GROUP_ORDER = (
    *("hip_extensors", "hip_abductors", "hip_adductors", "hip_flexors"),
    *("hamstrings", "knee_flexors", "rectus_femoris", "vasti"),
    *("gastrocnemii", "soleus", "deep_plantarflexors", "peroneals", "dorsiflexors"),
    *("erector_spinae", "quadratus_lumborum", "abdominals"),
    *("shoulder", "elbow", "wrist", "fingers", "thumb"),
)
"""From the hip down, then the trunk and the arms."""


def base_name(muscle: str) -> str:
    """Take the side off a muscle's name.

    Examples
    --------
    >>> base_name("soleus_r")
    'soleus'
    """
    return re.sub(r"_[rl]$", "", muscle)


def muscle_label(muscle: str) -> str:
    """Write a muscle or channel out, without its side.

    Names that the table has not are shown as they are.

    Examples
    --------
    >>> muscle_label("tibant_l"), muscle_label("gluteus_medius"), muscle_label("MF_m1t_1_r")
    ('Tibialis anterior', 'Gluteus medius', 'MF_m1t_1')
    """
    base = base_name(muscle)
    if base in _PARTS:
        return _PARTS[base]
    words = re.fullmatch(r"[a-z]+(_[a-z]+)*", base)
    return base.replace("_", " ").capitalize() if words else base
