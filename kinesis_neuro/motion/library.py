"""load_motion: a built-in gait or a file, on any of the bodies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.data_folder import data_folder
from kinesis_neuro.errors import FileFormatError, IncompatibleError, InvalidInputError, unknown_name
from kinesis_neuro.formats.opensim import Storage, read_storage
from kinesis_neuro.motion.build import OPENSIM_COORDINATES, Coordinates, build_motion
from kinesis_neuro.motion.builtin_clips import BUILT_IN_CLIPS, built_in_clip
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.repertoire import MotionLibrary, is_library

FloatArray = NDArray[np.float64]

GAITS = ("walk",)
BUILT_IN = (*GAITS, *BUILT_IN_CLIPS)
_GAITS = "kinesis_neuro.motion"
_AXES = ("x", "y", "z")
DEFAULT_FORCE_PREFIXES = ("ground_force_", "l_ground_force_")
"""Prefixes of the right and left plate's columns, as in gait2392's examples."""


@dataclass(frozen=True)
class RecordedMotion:
    """A recording in the data folder, with what its files do not say of themselves."""

    file: str
    forces: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


RECORDED: Mapping[str, RecordedMotion] = MappingProxyType(
    {
        "wang2023/walk36": RecordedMotion(
            "wang2023_subject06/walk36/ik.sto",
            forces="wang2023_subject06/walk36/XLD.mot",
            options={
                "speed": 1.0,
                "skeleton": "gait2392",
                "source": "Wang, Basu, Durandau & Sartori 2023, subject 06 "
                "(doi 10.5281/zenodo.6457662)",
                "licence": "Apache-2.0",
            },
        ),
    }
)
"""Recordings that are found through ``KINESIS_NEURO_DATA``."""


def load_motion(
    source: str | Path, /, body: str | Body = "legs", **options: Any
) -> ReferenceMotion:
    """Load a reference motion on a body.

    Parameters
    ----------
    source : str or Path
        ``"walk"``, the built-in mean cycle of one adult at 1.0 m/s; ``"kick"``, one football kick;
        the name of a recording in
        the data folder (:data:`RECORDED`); ``LIBRARY/CLIP``, a clip of a motion library; an
        OpenSim ``.mot`` or ``.sto`` file of coordinates; or
        a motion of another skeleton, which is retargeted (``.bvh``, ``.amc``, AMASS ``.npz``,
        KINESIS ``.pkl``, DeepMimic ``.txt``, ``.trc``, ``.c3d``, HumanML3D ``.npy``).
    body : str or Body
        Name of a body, see :func:`kinesis_neuro.load_body`.
    **options
        For OpenSim files: ``units`` ("degrees" or "radians", for files that do not say),
        ``speed`` (of a treadmill's belt [m/s]), ``forces`` (file of ground forces),
        ``force_prefixes``,
        ``subject_mass`` [kg], ``skeleton`` ("gait2392" or "rajagopal2016"),
        ``leg_length_ratio``, ``name``, ``rate`` [Hz]. For others see
        :func:`kinesis_neuro.motion.files.motion_from_file`.

    Returns
    -------
    ReferenceMotion

    Raises
    ------
    InvalidInputError
        If the name is neither built in nor a file, or an option is unknown.
    FileFormatError
        If the file cannot be read as OpenSim storage.

    Examples
    --------
    >>> walk = load_motion("walk")
    >>> walk.periodic, walk.rate
    (True, 150.0)
    """
    plant = load_body(body) if isinstance(body, str) else body
    if isinstance(source, str) and source in BUILT_IN:
        return _built_in(source, plant, **options)
    if isinstance(source, str) and source in RECORDED:
        entry = RECORDED[source]
        folder = data_folder()
        given = {"name": source, **entry.options, **options}
        if entry.forces:
            given.setdefault("forces", folder / entry.forces)
        return _from_file(folder / entry.file, plant, **given)
    path = Path(source)
    if is_library(path.parent) and not path.exists():
        return _from_library(path, plant, **options)
    if is_library(path):
        names = MotionLibrary(path).names
        raise InvalidInputError(
            f"{path} is a library of {len(names)} motions. Name one of them: {path / names[0]}"
        )
    if not path.exists() and not path.suffix:
        raise unknown_name("motion", str(source), [*BUILT_IN, *RECORDED])
    if path.suffix.lower() not in (".mot", ".sto") and path.exists():
        # Imported here: inverse kinematics is needed for none of the others.
        from kinesis_neuro.motion.files import motion_from_file

        return motion_from_file(path, plant, **options)
    return _from_file(path, plant, **options)


def _from_library(path: Path, body: Body, **options: Any) -> ReferenceMotion:
    if options:
        raise InvalidInputError(
            f"A motion of a library takes no reader options, got {', '.join(options)}."
        )
    library = MotionLibrary(path.parent)
    if library.body is not body:
        raise IncompatibleError(
            f"The motions of {path.parent} are on body {library.body.name!r}, not on {body.name!r}."
        )
    return library.motion(path.name)


def gait_table(name: str = "walk") -> tuple[pd.DataFrame, dict[str, Any]]:
    """Mean and SD cycle of a built-in gait, and its description with source and licence.

    Returns
    -------
    table : DataFrame
        101 rows over phase 0..1; columns ``<name>_mean`` and ``<name>_sd`` in rad, m, N, N m.
    description : dict

    Examples
    --------
    >>> table, description = gait_table("walk")
    >>> len(table), description["speed"]
    (101, 1.0)
    """
    if name not in GAITS:
        raise unknown_name("gait", name, GAITS)
    folder = resources.files(_GAITS) / "gaits"
    with (folder / f"{name}.csv").open("r") as file:
        table = pd.read_csv(file)
    return table, json.loads((folder / f"{name}.json").read_text())


def _built_in(name: str, body: Body, **options: Any) -> ReferenceMotion:
    if options:
        raise InvalidInputError(
            f"The built-in motion {name!r} takes no reader options, got {', '.join(options)}."
        )
    if name in BUILT_IN_CLIPS:
        return built_in_clip(name, body)
    table, about = gait_table(name)
    phase = table["phase"].to_numpy()
    mean = {c.removesuffix("_mean"): table[c].to_numpy() for c in table if c.endswith("_mean")}
    # Centres of pressure jump from toe-off to the next heel strike: they are closed already.
    closed = {
        k: v if k.startswith("center_of_pressure") else _close(v, phase) for k, v in mean.items()
    }
    pelvis = np.stack([closed[f"pelvis_t{a}"] for a in _AXES], axis=-1)
    force = _stack(closed, "ground_force")
    # The table holds centres of pressure relative to the pelvis.
    pressure = _stack(closed, "center_of_pressure") + pelvis[:, None]
    period, left = about["cycle_duration"], about["left_heel_strike_phase"]
    return build_motion(
        Coordinates(
            time=phase * period,
            values={k: v for k, v in closed.items() if k in OPENSIM_COORDINATES},
            cyclic=True,
            forces=force,
            pressure=pressure,
        ),
        body,
        name=name,
        speed=about["speed"],
        skeleton=about["skeleton"],
        events={
            "heel_strike_right": np.zeros(1),
            "heel_strike_left": np.array([left * period]),
        },
        source=about["source"],
        licence=about["licence"],
    )


def _close(values: FloatArray, phase: FloatArray) -> FloatArray:
    """Spread the gap between the end and the start of a mean cycle over the cycle."""
    return values - (values[-1] - values[0]) * (phase - 0.5)


def _stack(columns: dict[str, FloatArray], kind: str) -> FloatArray:
    """Right and left vectors (n, 2, 3) of a kind of the gait table."""
    sides = [np.stack([columns[f"{kind}_{s}_{a}"] for a in _AXES], axis=-1) for s in ("r", "l")]
    return np.stack(sides, axis=1)


def _from_file(
    path: Path,
    body: Body,
    *,
    units: str | None = None,
    forces: str | Path | None = None,
    force_prefixes: tuple[str, str] = DEFAULT_FORCE_PREFIXES,
    name: str | None = None,
    **options: Any,
) -> ReferenceMotion:
    allowed = ("degrees", "radians")
    if units is not None and units not in allowed:
        raise InvalidInputError(f"units must be one of {', '.join(allowed)}, got {units!r}.")
    known = ("speed", "leg_length_ratio", "subject_mass", "skeleton", "rate", "source", "licence")
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InvalidInputError(
            f"Unknown options for an OpenSim file: {', '.join(unknown)}. "
            f"Available: forces, force_prefixes, name, units, {', '.join(known)}."
        )
    storage = read_storage(path, require_units=units is None)
    stated = storage.in_degrees
    if units is not None and stated is not None and stated != (units == "degrees"):
        raise InvalidInputError(
            f"{path}: the header says inDegrees={'yes' if stated else 'no'}, but units={units!r} "
            "was given. Drop the argument, or correct the header."
        )
    in_degrees = stated if stated is not None else units == "degrees"
    values: dict[str, FloatArray] = {}
    for column in storage.columns:
        coordinate = _coordinate_name(column)
        if coordinate is None:
            continue
        series = storage.column(column)
        translation = coordinate.startswith("pelvis_t") and coordinate[-1] in "xyz"
        values[coordinate] = np.deg2rad(series) if in_degrees and not translation else series
    _refuse_wrong_units(path, values, bool(in_degrees))
    if units is None and in_degrees:
        _refuse_radians_as_degrees(path, values)
    force = pressure = None
    if forces is not None:
        plates = read_storage(forces)
        force, pressure = (
            np.stack([_plate(plates, p + kind, storage.time) for p in force_prefixes], axis=1)
            for kind in ("v", "p")
        )
    coordinates = Coordinates(storage.time, values, forces=force, pressure=pressure)
    return build_motion(coordinates, body, name=name or path.stem, **options)


def _coordinate_name(column: str) -> str | None:
    """OpenSim's coordinate of a column: plain, or ``/jointset/hip_r/hip_flexion_r/value``."""
    if "/" not in column:
        return column
    parts = column.strip("/").split("/")
    return parts[-2] if parts[0] == "jointset" and parts[-1] == "value" else None


def _refuse_wrong_units(path: Path, values: dict[str, FloatArray], in_degrees: bool) -> None:
    # The patella's angle follows the knee's and is not used; files hold it in either unit.
    angles = [
        v
        for k, v in values.items()
        if k.startswith(("hip_", "knee_angle", "ankle_")) and not k.endswith("_beta")
    ]
    largest = max((float(np.abs(v).max()) for v in angles), default=0.0)
    if largest > np.pi:
        raise FileFormatError(
            path,
            f"leg angles up to {np.rad2deg(largest):.0f} degrees after reading them as "
            f"{'degrees' if in_degrees else 'radians'}",
            "angles within +-180 degrees: is the inDegrees line right",
        )
    height = float(np.median(values["pelvis_ty"])) if "pelvis_ty" in values else 1.0
    if height > 10.0:
        raise FileFormatError(
            path, f"a pelvis {height:.0f} m high", "pelvis_ty in metres (not mm or cm)"
        )


# No leg turns farther than this, in radians; nobody walks with knees that turn by less.
_LARGEST_ANGLE, _SMALLEST_STEP = 2.4, 0.5


def _refuse_radians_as_degrees(path: Path, values: dict[str, FloatArray]) -> None:
    """Numbers under the word degrees that make steps as radians, and a statue as degrees."""
    legs = {
        k: np.rad2deg(v)
        for k, v in values.items()
        if k.startswith(("hip_", "knee_angle")) and not k.endswith("_beta")
    }
    largest = max((float(np.abs(v).max()) for v in legs.values()), default=np.inf)
    step = max((float(np.ptp(v)) for k, v in legs.items() if k.startswith("knee")), default=0.0)
    if largest < _LARGEST_ANGLE and step > _SMALLEST_STEP:
        raise FileFormatError(
            path,
            f"leg angles of at most {largest:.2f} under inDegrees=yes, which look like radians",
            "degrees: correct the header, or give units='degrees' if the legs hardly move",
        )


def _plate(plates: Storage, prefix: str, time: FloatArray) -> FloatArray:
    """One plate's vector (n, 3) at the times of the kinematics."""
    return np.stack(
        [np.interp(time, plates.time, plates.column(f"{prefix}{axis}")) for axis in _AXES], axis=-1
    )
