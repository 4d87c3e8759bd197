"""Who was recorded, when and by what: session and subject of an NWB file, with honest values.

Where a dataset does not say, and the caller neither, the file says that it is not known. A
simulation is nobody's recording, and the file says that too.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import xarray as xr
from pynwb import NWBFile
from pynwb.file import Subject

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.provenance import library_versions

SESSION_KEYS = (
    "session_description",
    "identifier",
    "session_start_time",
    "session_id",
    "experimenter",
    "experiment_description",
    "institution",
    "lab",
    "keywords",
    "notes",
    "protocol",
    "data_collection",
    "related_publications",
)
SUBJECT_KEYS = (
    "subject_id",
    "species",
    "sex",
    "age",
    "date_of_birth",
    "description",
    "weight",
    "strain",
    "genotype",
)

UNKNOWN_DATE = datetime(1970, 1, 1, tzinfo=UTC)
"""Start of a recording whose date is not known; the inspector suggests to look, rightly."""

UNKNOWN_AGE = "P0Y/"
"""Zero years or older: nothing is known, in the form that the inspector asks for."""

_DOI = re.compile(r"10\.\d{4,9}/[^\s\"'<>;,]*[^\s\"'<>;,.)\]]")
_SEXES = ("M", "F", "O", "U")


def make_file(dataset: xr.Dataset, metadata: Mapping[str, Any] | None) -> NWBFile:
    """Make an NWB file object, still without data, from attributes and metadata.

    Parameters
    ----------
    dataset : xarray.Dataset
        Its attributes say what it is.
    metadata : mapping, optional
        Values that win over those of the dataset: any of `SESSION_KEYS`, and ``subject``, a
        mapping with any of `SUBJECT_KEYS`.

    Returns
    -------
    pynwb.NWBFile

    Raises
    ------
    InvalidInputError
        A key is unknown, or pynwb refuses a value.
    """
    given = dict(metadata or {})
    about = dict(given.pop("subject", None) or {})
    _check_keys(given, SESSION_KEYS, "metadata", "subject, ")
    _check_keys(about, SUBJECT_KEYS, "metadata['subject']")
    simulated = bool(dataset.attrs.get("simulated"))
    session = (_simulation if simulated else _recording)(dataset.attrs)
    subject = (_nobody if simulated else _somebody)(dataset)
    session |= given
    session["session_start_time"] = _as_time(session["session_start_time"], "session_start_time")
    if "date_of_birth" in about:
        about["date_of_birth"] = _as_time(about["date_of_birth"], "date_of_birth")
        subject.pop("age")  # the one follows from the other
    try:
        return NWBFile(
            **{"identifier": str(uuid.uuid4()), "was_generated_by": _software(dataset)} | session,
            subject=Subject(**subject | about),
        )
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"pynwb refuses the metadata: {error}") from error


def plain_id(text: str) -> str:
    """Make an identifier that DANDI takes: letters, digits and hyphens.

    Examples
    --------
    >>> plain_id("wang2023/06")
    'wang2023-06'
    """
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "unknown"


def _simulation(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "session_description": "Simulation, no recording of a living subject: "
        f"policy {_said(attrs, 'policy')} moves the body {_said(attrs, 'body')} after the motion "
        f"{_said(attrs, 'motion')}, seed {attrs.get('seed', 'unknown')}.",
        "experiment_description": "A muscle-driven musculoskeletal model in a physics simulation "
        "(MuJoCo). session_start_time is when this file was written: a simulation has no date.",
        "session_start_time": datetime.now(UTC),
        "keywords": ["simulation", "musculoskeletal model", "muscle activation", "motor control"],
    }


def _recording(attrs: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        key: f"{key}: {attrs[key]}{unit}"
        for key, unit in (("subject", ""), ("condition", ""), ("speed", " m/s"))
        if key in attrs
    }
    dated = "session_start_time" in attrs
    session = {
        "session_description": f"Muscle activity; {', '.join(known.values()) or 'no details'}.",
        "experiment_description": "Electromyography in movement, converted from a dataset of "
        "kinesis-neuro." + ("" if dated else " The date of the recording is not known."),
        "session_start_time": attrs.get("session_start_time", UNKNOWN_DATE),
        "keywords": ["electromyography", "muscle activation", "motor control"],
    }
    notes = [f"{key}: {attrs[key]}" for key in ("source", "licence", "citation") if key in attrs]
    if notes:
        session["notes"] = "\n".join(notes)
    text = " ".join(str(value) for value in attrs.values() if isinstance(value, str))
    if publications := sorted({f"https://doi.org/{doi}" for doi in _DOI.findall(text)}):
        session["related_publications"] = publications
    return session


def _nobody(dataset: xr.Dataset) -> dict[str, Any]:
    attrs = dataset.attrs
    parts = [str(attrs[key]) for key in ("body", "policy") if attrs.get(key)]
    seed = [f"seed{attrs['seed']}"] if "seed" in attrs else []
    return {
        "subject_id": plain_id("-".join(["simulated", *parts, *seed])),
        "species": "Homo sapiens",
        "sex": "U",
        "age": UNKNOWN_AGE,
        "description": "Simulated, not a living being: a musculoskeletal model of Homo sapiens "
        f"(body {_said(attrs, 'body')}). It has neither age nor sex.",
    }


def _somebody(dataset: xr.Dataset) -> dict[str, Any]:
    attrs = dataset.attrs
    several = "subject" in dataset.dims
    name = "several" if several else str(attrs.get("subject", "unknown"))
    sex = str(attrs.get("sex", "U"))[:1].upper()
    age = attrs.get("age")
    if isinstance(age, int | float) and age > 0:
        age = f"P{age:g}Y"
    gaps = [
        said
        for said, missing in (
            ("Age is not known.", not isinstance(age, str)),
            ("Sex is not known.", sex not in _SEXES or sex == "U"),
        )
        if missing
    ]
    who = "Several people, see the table of subjects." if several else f"Human subject {name}."
    if name == "unknown":
        who = "The dataset does not say who was recorded."
    return {
        "subject_id": plain_id(name),
        "species": str(attrs.get("species", "Homo sapiens")),
        "sex": sex if sex in _SEXES else "U",
        "age": age if isinstance(age, str) else UNKNOWN_AGE,
        "description": " ".join([who, *gaps]),
    }


def _software(dataset: xr.Dataset) -> list[list[str]]:
    """List name and version of the software that made the data, or else this file."""
    try:
        versions = json.loads(dataset.attrs["versions"])
        return [[str(name), str(version)] for name, version in versions.items()]
    except (KeyError, ValueError, TypeError, AttributeError):
        return [[name, version] for name, version in library_versions().items()]


def _said(attrs: Mapping[str, Any], key: str) -> str:
    return repr(attrs[key]) if attrs.get(key) else "(not stated)"


def _as_time(value: object, key: str) -> datetime:
    """Turn ISO text into a time; one without a zone is taken as UTC."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        time = None
    if not isinstance(time, datetime):
        raise InvalidInputError(
            f"Invalid value for {key!r}. Expected a datetime or ISO 8601 text such as "
            f"'2023-05-17T09:30:00+02:00', but got {value!r}."
        )
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _check_keys(given: Mapping, allowed: tuple[str, ...], place: str, more: str = "") -> None:
    if unknown := sorted(map(str, set(given) - set(allowed))):
        raise InvalidInputError(
            f"Unknown keys in {place}: {', '.join(unknown)}. "
            f"Available: {more}{', '.join(sorted(allowed))}."
        )
