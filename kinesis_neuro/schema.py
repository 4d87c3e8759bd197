"""The vocabulary of every dataset: dims, coordinates, variables, units, attributes, and the check.

No other module knows these names by heart. Dims are singular and fixed (`DIMS`); labels carry the
coordinates that `LABELS` lists; the variables of a recording are in `RECORDING`, and its attributes
in `RECORDING_ATTRIBUTES`. To add a variable to the library, add a line here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from kinesis_neuro.attributes import NAME, NUMERIC_DTYPES, Attribute, attribute_violations
from kinesis_neuro.attributes import encode_attr as encode_attr  # part of the vocabulary's face
from kinesis_neuro.attributes import text_problem as text_problem
from kinesis_neuro.errors import InvalidInputError, unknown_name

SCHEMA_VERSION = "1.0"


class DimSpec(NamedTuple):
    """A dim and the coordinate of the same name that goes with it.

    ``continuous``: finite floats, strictly increasing. ``label``: text, unique. ``index``: whole
    numbers, unique, and the only coordinate that may be left out. Labels have no units.
    """

    kind: Literal["continuous", "label", "index"]
    units: str
    description: str
    coords: tuple[str, ...] = ()
    """Further coordinates along the dim that must be there."""


class LabelSpec(NamedTuple):
    """A text coordinate along another dim than its own; without allowed values, any will do."""

    dim: str
    allowed: tuple[str, ...] = ()


class VariableSpec(NamedTuple):
    """A variable of a recording: dims in order, SI units, and what it is with its sign.

    Joints mix rotations and translations: their units name both, ``joint_unit`` tells which.
    """

    dims: tuple[str, ...]
    units: str
    long_name: str


DIMS: Mapping[str, DimSpec] = MappingProxyType(
    {
        "time": DimSpec("continuous", "s", "a sample"),
        "phase": DimSpec("continuous", "1", "a point of the gait cycle, 0 to 1"),
        "lag": DimSpec("continuous", "s or 1", "a shift of the second signal, later positive"),
        "muscle": DimSpec("label", "", "a muscle of the body", ("side", "group")),
        "joint": DimSpec("label", "", "a scalar joint", ("joint_unit",)),
        "body": DimSpec("label", "", "a rigid segment"),
        "space": DimSpec("label", "", "a direction in the world: x, y, z (up)"),
        "quaternion": DimSpec("label", "", "a component of a unit quaternion: w, x, y, z"),
        "contact": DimSpec("label", "", "a place of the foot that can touch the ground"),
        "channel": DimSpec("label", "", "an EMG channel", ("side",)),
        "action_channel": DimSpec("label", "", "an output of the policy"),
        "subject": DimSpec("label", "", "a person, or a policy from one training seed"),
        "condition": DimSpec("label", "", "a condition of an experiment"),
        "cycle": DimSpec("index", "1", "a gait cycle"),
        "synergy": DimSpec("index", "1", "a muscle synergy"),
        "other": DimSpec("label", "", "the second one of a pair"),
        "rank": DimSpec("index", "1", "a number of synergies"),
        "episode": DimSpec("index", "1", "an episode"),
    }
)

LABELS: Mapping[str, LabelSpec] = MappingProxyType(
    {
        "side": LabelSpec("muscle", ("left", "right", "midline")),  # EMG channels have one too
        "group": LabelSpec("muscle"),
        "joint_unit": LabelSpec("joint", ("rad", "m")),
    }
)

_MUSCLE = ("time", "muscle")
_JOINT = ("time", "joint")
_ROOT = ("time", "space")
_BODY = ("time", "body", "space")
_CONTACT = ("time", "contact", "space")

RECORDING: Mapping[str, VariableSpec] = MappingProxyType(
    {
        "excitation": VariableSpec(_MUSCLE, "1", "neural excitation, 0 to 1"),
        "activation": VariableSpec(_MUSCLE, "1", "muscle activation, 0 to 1"),
        "excitation_demand": VariableSpec(_MUSCLE, "1", "asked of a muscle in a condition"),
        "fatigued": VariableSpec(_MUSCLE, "1", "share of the muscle that is fatigued (3CC-r)"),
        "resting": VariableSpec(_MUSCLE, "1", "share of the muscle that is at rest (3CC-r)"),
        "muscle_force": VariableSpec(_MUSCLE, "N", "musculotendon force, tension positive"),
        "muscle_length": VariableSpec(_MUSCLE, "m", "musculotendon length"),
        "muscle_velocity": VariableSpec(_MUSCLE, "m/s", "lengthening positive"),
        "muscle_power": VariableSpec(_MUSCLE, "W", "power given to the body, shortening positive"),
        "metabolic_rate": VariableSpec(("time",), "W", "metabolic power of all muscles"),
        "root_position": VariableSpec(_ROOT, "m", "position of the pelvis"),
        "root_orientation": VariableSpec(("time", "quaternion"), "1", "of the pelvis"),
        "root_velocity": VariableSpec(_ROOT, "m/s", "velocity of the pelvis"),
        "root_angular_velocity": VariableSpec(_ROOT, "rad/s", "of the pelvis, along world axes"),
        "joint_position": VariableSpec(_JOINT, "rad or m", "angle or displacement of the joint"),
        "joint_velocity": VariableSpec(_JOINT, "rad/s or m/s", "rate of joint_position"),
        "joint_moment": VariableSpec(_JOINT, "N m or N", "of the muscles, along joint_position"),
        "body_position": VariableSpec(_BODY, "m", "position of the segment"),
        "body_orientation": VariableSpec(("time", "body", "quaternion"), "1", "of the segment"),
        "body_velocity": VariableSpec(_BODY, "m/s", "velocity of the segment"),
        "reference_position": VariableSpec(_BODY, "m", "where the reference has the segment"),
        "ground_force": VariableSpec(_CONTACT, "N", "force of the ground on the foot"),
        "center_of_pressure": VariableSpec(_CONTACT, "m", "where ground_force acts; else NaN"),
        "tracking_error": VariableSpec(("time",), "m", "mean distance of tracked segments"),
        "reward": VariableSpec(("time",), "1", "reward of the imitation task"),
        "action": VariableSpec(("time", "action_channel"), "1", "output of the policy, -1 to 1"),
    }
)

RECORDING_ATTRIBUTES: Mapping[str, type] = MappingProxyType(
    {
        "schema_version": str,
        "simulated": int,  # 1; NetCDF has no bool
        "body": str,
        "body_hash": str,
        "motion": str,
        "motion_hash": str,
        "policy": str,
        "policy_hash": str,
        "actuation": str,
        "seed": int,
        "sampling_rate": float,  # Hz, of `time`
        "physics_rate": float,  # Hz
        "control_rate": float,  # Hz
        "versions": str,  # JSON
    }
)

KINDS = ("any", "recording")

# Time may leave start + arange(n) / rate by this part of a sample: rounding, not a gap.
_TIME_TOLERANCE = 1e-3
_INDEX_TYPES = MappingProxyType(
    {
        "continuous": ("f", "floats"),
        "label": ("U", "text (numpy str; use .astype(str))"),
        "index": ("iu", "whole numbers"),
    }
)


def make_variable(name: str, values: ArrayLike) -> tuple[tuple[str, ...], np.ndarray, dict]:
    """Give values the dims, units and description that the schema has for their name.

    Parameters
    ----------
    name : str
        A variable of `RECORDING`, a coordinate of `DIMS`, or one of `LABELS`.
    values : array_like
        The values, with the axes of the schema, in its order.

    Returns
    -------
    tuple
        Dims, values and attributes, as `xarray.Dataset` takes them.

    Raises
    ------
    InvalidInputError
        The schema has no such name, or the values have another number of axes.

    Examples
    --------
    >>> dims, values, attrs = make_variable("metabolic_rate", [310.0, 312.5])
    >>> dims, attrs["units"]
    (('time',), 'W')
    >>> make_variable("side", ["left", "right"])[0]
    ('muscle',)
    """
    dims: tuple[str, ...]
    attrs: dict[str, Attribute]
    if name in RECORDING:
        spec = RECORDING[name]
        dims, attrs = spec.dims, {"units": spec.units, "long_name": spec.long_name}
    elif name in DIMS:
        dims, attrs = (name,), {"units": DIMS[name].units} if DIMS[name].units else {}
    elif name in LABELS:
        dims, attrs = (LABELS[name].dim,), {}
    else:
        raise unknown_name("variable", name, [*RECORDING, *DIMS, *LABELS])
    array = np.asarray(values)
    if array.ndim != len(dims):
        raise InvalidInputError(
            f"Invalid shape for {name!r}: expected {len(dims)} axes ({', '.join(dims)}), "
            f"but got {array.shape}."
        )
    return dims, array, attrs


def validate(dataset: xr.Dataset, kind: str = "recording") -> None:
    """Check a dataset against the schema and report all violations at once.

    Parameters
    ----------
    dataset : xarray.Dataset
        The dataset.
    kind : {"recording", "any"}
        ``any`` checks what holds for every dataset of the library: known dims with their
        coordinates, units, names, types, time. ``recording`` checks besides that the variables of
        `RECORDING` have its dims and units, that the attributes of `RECORDING_ATTRIBUTES` are
        there, and that time is regular. Variables beyond the table are allowed.

    Raises
    ------
    InvalidInputError
        One line for each violation, saying what was found and what is allowed.

    Examples
    --------
    >>> validate(xr.Dataset({"reward": ("step", [0.5])}), kind="any")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.InvalidInputError: The dataset breaks the schema in 2 places:
    - dim 'step' is unknown. Allowed: action_channel, body, channel, ...
    - variable 'reward' has no units. Expected the attribute 'units', SI, '1' if dimensionless.
    """
    if kind not in KINDS:
        raise unknown_name("kind of dataset", kind, KINDS)
    if not isinstance(dataset, xr.Dataset):
        raise InvalidInputError(f"Expected an xarray.Dataset, but got {type(dataset).__name__}.")
    violations = [*_check_dims(dataset), *_check_variables(dataset)]
    if kind == "recording":
        violations += _check_recording(dataset)
    if violations:
        places = "1 place" if len(violations) == 1 else f"{len(violations)} places"
        raise InvalidInputError(
            "\n- ".join([f"The dataset breaks the schema in {places}:", *violations])
        )


def _check_dims(dataset: xr.Dataset) -> Iterator[str]:
    """Every dim is known and has its coordinates."""
    for dim in map(str, dataset.dims):
        if dim not in DIMS:
            yield f"dim {dim!r} is unknown. Allowed: {', '.join(sorted(DIMS))}."
            continue
        spec = DIMS[dim]
        required = spec.coords if spec.kind == "index" else (dim, *spec.coords)
        for coord in required:
            if coord not in dataset.coords or dataset[coord].dims != (dim,):
                yield f"dim {dim!r} has no coordinate {coord!r} along it."
        if dim in dataset.coords and dataset[dim].dims == (dim,):
            yield from _check_index(dataset[dim], spec)
    for name, label in LABELS.items():
        if label.allowed and name in dataset.coords and dataset[name].dtype.kind == "U":
            others = sorted(set(dataset[name].values.ravel().tolist()) - set(label.allowed))
            if others:
                yield (
                    f"coordinate {name!r} holds {', '.join(map(repr, others))}. "
                    f"Allowed: {', '.join(label.allowed)}."
                )


def _check_index(coord: xr.DataArray, spec: DimSpec) -> Iterator[str]:
    """Every coordinate of a dim has the type and the order of its kind."""
    place = f"coordinate {coord.name!r}"
    kinds, wanted = _INDEX_TYPES[spec.kind]
    values = coord.values
    if values.dtype.kind not in kinds:
        yield (
            f"{place} holds {values.dtype}. Allowed: {wanted}. (A variable with the name of its "
            "own dim turns into a coordinate.)"
        )
        return
    if spec.kind == "continuous":
        bad = np.flatnonzero(~np.isfinite(values))
        steps = np.flatnonzero(~(np.diff(values) > 0))
        if bad.size:
            yield f"{place} is {values[bad[0]]} at index {bad[0]}. Allowed: finite values."
        elif steps.size:
            before, after = values[steps[0] : steps[0] + 2]
            yield (
                f"{place} goes from {before} to {after} at index {steps[0] + 1}. "
                "It must increase strictly."
            )
    else:
        unique, counts = np.unique(values, return_counts=True)
        if repeated := unique[counts > 1].tolist():
            yield f"{place} holds {', '.join(map(repr, repeated))} more than once."


def _check_variables(dataset: xr.Dataset) -> Iterator[str]:
    """Names, types, units and attributes are such that every format keeps them."""
    yield from attribute_violations(dataset.attrs, "the dataset")
    if not dataset.data_vars:
        yield "it has no variable. Expected at least one."
    for key, variable in dataset.variables.items():
        name = str(key)
        place = f"{'coordinate' if key in dataset.coords else 'variable'} {key!r}"
        yield from attribute_violations(variable.attrs, place)
        if not isinstance(key, str) or not NAME.fullmatch(name):
            yield f"{place} has a name that files cannot hold. Allowed: letters, digits, '_'."
        elif name in DIMS and variable.dims not in ((name,), ()):
            yield f"{place} has the name of a dim, but lies along {variable.dims}. Rename it."
        if variable.dtype.kind == "U":
            problems = map(text_problem, variable.values.ravel().tolist())
            yield from sorted({f"{place} {problem}" for problem in problems if problem})
        elif variable.dtype not in (*NUMERIC_DTYPES, np.dtype(bool)):
            hint = " Use .astype(str) for text." if variable.dtype.kind in "OT" else ""
            yield f"{place} holds {variable.dtype}. Allowed: numbers, bool and numpy text.{hint}"
        units = variable.attrs.get("units")
        if variable.dtype.kind != "U" and not (isinstance(units, str) and units):
            yield f"{place} has no units. Expected the attribute 'units', SI, '1' if dimensionless."
        elif allowed := DIMS[name].units if name in DIMS else "":
            if units not in allowed.split(" or "):
                yield f"{place} has units {units!r}. Allowed: {allowed}."


def _check_recording(dataset: xr.Dataset) -> Iterator[str]:
    """Variables, attributes and clock are those of a recording."""
    for dim in ("time", "muscle"):
        if dim not in dataset.dims:
            yield f"a recording has the dim {dim!r}, and this dataset has not."
    for name in sorted(RECORDING.keys() & dataset.data_vars.keys()):
        spec, variable = RECORDING[name], dataset[name]
        if variable.dims != spec.dims:
            yield f"variable {name!r} has dims {variable.dims}. Expected {spec.dims}."
        if (units := variable.attrs.get("units", spec.units)) != spec.units:
            yield f"variable {name!r} has units {units!r}. Expected {spec.units!r}."
    for name, wanted in RECORDING_ATTRIBUTES.items():
        found = dataset.attrs.get(name)
        if type(found) is not wanted:
            got = "is missing" if found is None else f"is {type(found).__name__}"
            yield f"attribute {name!r} of the dataset {got}. Expected {wanted.__name__}."
    rate = dataset.attrs.get("sampling_rate")
    if "time" in dataset.coords and dataset["time"].dtype.kind == "f" and type(rate) is float:
        time = dataset["time"].values
        error = np.abs((time - time[:1]) * rate - np.arange(time.size))
        off = np.flatnonzero(error > _TIME_TOLERANCE)
        if off.size:
            yield (
                f"coordinate 'time' leaves start + arange(n) / rate at index {off[0]} "
                f"({time[off[0]]} s; sampling_rate is {rate} Hz). Set the rate of these samples."
            )
