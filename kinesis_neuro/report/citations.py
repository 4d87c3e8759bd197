"""References of the methods that a report names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import NamedTuple

from kinesis_neuro.errors import unknown_name


class Citation(NamedTuple):
    """How a work is named in a sentence, and in a list of references."""

    short: str
    full: str


CITATIONS: Mapping[str, Citation] = MappingProxyType(
    {
        key: Citation(**entry)
        for key, entry in json.loads(
            (resources.files("kinesis_neuro.report") / "citations.json").read_text("utf-8")
        ).items()
    }
)
"""References by key."""

RULE_CITATIONS: Mapping[str, str] = MappingProxyType(
    {
        "vaf": "vaf",
        "muscle_vaf": "vaf",
        "r_squared_knee": "cheung",
        "cross_validation": "owen",
        "muscle_cross_validation": "owen",
        "parallel_analysis": "horn",
    }
)
"""What a rule for the number of synergies rests on."""


class Bibliography:
    """Collects what was cited, in the order of the alphabet.

    Examples
    --------
    >>> works = Bibliography()
    >>> works.cite("mujoco", "myosuite")
    '(Todorov et al. 2012; Caggiano et al. 2022)'
    >>> [full[:8] for full in works.references]
    ['Caggiano', 'Todorov,']
    """

    def __init__(self) -> None:
        self._full: set[str] = set()

    def cite(self, *keys: str) -> str:
        """Name works in brackets, and keep them for the list."""
        for key in keys:
            if key not in CITATIONS:
                raise unknown_name("citation", key, CITATIONS)
            self._full.add(CITATIONS[key].full)
        return f"({'; '.join(CITATIONS[key].short for key in keys)})"

    def add(self, full: str) -> None:
        """Keep a reference that a dataset brings along."""
        self._full.add(full)

    @property
    def references(self) -> list[str]:
        """All that were cited."""
        return sorted(self._full)
