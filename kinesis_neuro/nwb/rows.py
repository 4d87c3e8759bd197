"""Attributes and small arrays as text in a table, and back, exactly.

NWB tables must not hold dictionaries as text: their entries belong in rows of their own. So an
attribute that is JSON (versions, configuration) is unpacked into one row for each leaf.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kinesis_neuro.attributes import Attribute, encode_attr
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.nwb.layout import dtype_name, named_dtype

# What the nwbinspector takes for a dictionary in a table.
_DICTIONARY = re.compile(r"{.+:.+}")
_BRACE = r"\u007b"  # how JSON may write an opening brace inside text


class AttributeRow(NamedTuple):
    """A row of the table of attributes.

    ``owner`` is the name of a variable, ``(dataset)`` or ``(file)``; ``key`` is empty, or the path
    to a leaf of a JSON attribute, itself JSON (``["numpy"]``). ``type`` is ``str``, ``int``,
    ``float``, ``json`` (a leaf), ``escaped`` (JSON text without opening braces), or the type of
    an array, whose value is a JSON list.
    """

    owner: str
    attribute: str
    key: str
    type: str
    value: str


def attribute_rows(owner: str, attrs: Mapping[str, Attribute]) -> Iterator[AttributeRow]:
    """Turn attributes into rows.

    Parameters
    ----------
    owner : str
        Whose they are.
    attrs : mapping
        Attributes that the schema allows.

    Yields
    ------
    AttributeRow
        One row for each attribute, more where it is JSON.

    Examples
    --------
    >>> for row in attribute_rows("(dataset)", {"seed": 0, "versions": '{"numpy": "2.4.6"}'}):
    ...     print(*row[1:], sep=" | ")
    seed |  | int | 0
    versions | ["numpy"] | json | "2.4.6"
    """
    for name, value in attrs.items():
        if isinstance(value, str):
            yield from (AttributeRow(owner, name, *cells) for cells in _text_cells(value))
        elif isinstance(value, np.ndarray):
            cells = (dtype_name(value.dtype), array_text(value))
            yield AttributeRow(owner, name, "", *cells)
        else:
            yield AttributeRow(owner, name, "", type(value).__name__, repr(value))


def attributes(rows: Iterable[AttributeRow]) -> dict[str, dict[str, Attribute]]:
    """Turn rows into attributes again, by owner.

    Raises
    ------
    InvalidInputError
        A row says what no writer of ours would.

    Examples
    --------
    >>> rows = attribute_rows("activation", {"units": "1", "range": np.array([0.0, 1.0])})
    >>> attributes(rows)
    {'activation': {'units': '1', 'range': array([0., 1.])}}
    """
    found: dict[str, dict[str, Attribute]] = {}
    trees: dict[tuple[str, str], object] = {}
    for row in rows:
        place = found.setdefault(row.owner, {})
        try:
            if row.type == "json":
                path = json.loads(row.key)
                tree = _grown(trees.get((row.owner, row.attribute)), path, json.loads(row.value))
                trees[row.owner, row.attribute] = tree
                place[row.attribute] = ""  # keeps its turn
            else:
                place[row.attribute] = _value(row.type, row.value)
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            raise InvalidInputError(
                f"Attribute {row.attribute!r} of {row.owner} is {row.value[:40]!r} with type "
                f"{row.type!r} and key {row.key!r}, which cannot be read ({error})."
            ) from error
    for (owner, name), tree in trees.items():
        found[owner][name] = encode_attr(tree)
    return found


def array_text(values: np.ndarray) -> str:
    """Write an array as JSON; NaN and infinity by their JavaScript names.

    Examples
    --------
    >>> array_text(np.array(["x", "y"])), array_text(np.array(0.5, dtype="f4"))
    ('["x", "y"]', '0.5')
    """
    return _json(values.tolist()).replace("{", _BRACE)


def text_array(text: str, dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """Read an array that `array_text` wrote.

    Examples
    --------
    >>> text_array("[0.5, NaN]", np.dtype("f4"), (2,))
    array([0.5, nan], dtype=float32)
    """
    return np.array(json.loads(text), dtype=dtype).reshape(tuple(shape))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text_cells(text: str) -> list[tuple[str, str, str]]:
    """Key, type and value of the rows of one text."""
    if not _DICTIONARY.search(text):
        return [("", "str", text)]
    try:
        cells = [(_json(list(path)), "json", _json(leaf)) for path, leaf in _leaves(text)]
        plain = not any(_DICTIONARY.search(cell) for row in cells for cell in row)
        tree: object = None
        for key, _, value in cells:
            tree = _grown(tree, json.loads(key), json.loads(value))
        if plain and encode_attr(tree) == text:
            return cells
    except (ValueError, RecursionError):
        pass  # no JSON, or not as encode_attr writes it: it must come back to the letter
    return [("", "escaped", _json(text).replace("{", _BRACE))]


def _leaves(text: str) -> Iterator[tuple[tuple[str | int, ...], object]]:
    def walk(
        node: object, path: tuple[str | int, ...]
    ) -> Iterator[tuple[tuple[str | int, ...], object]]:
        if isinstance(node, dict) and node:
            for key, item in node.items():
                yield from walk(item, (*path, key))
        elif isinstance(node, list) and any(isinstance(item, dict | list) for item in node):
            for i, item in enumerate(node):
                yield from walk(item, (*path, i))
        else:
            yield path, node

    return walk(json.loads(text), ())


def _grown(node: object, path: Sequence[str | int], leaf: object) -> object:
    """Add a leaf to a tree of dicts and lists."""
    if not path:
        return leaf
    step, *rest = path
    if isinstance(step, str):
        branches = {} if node is None else node
        if not isinstance(branches, dict):
            raise TypeError(f"{step!r} leads into a {type(branches).__name__}")
        branches[step] = _grown(branches.get(step), rest, leaf)
        return branches
    items = [] if node is None else node
    if not isinstance(items, list):
        raise TypeError(f"{step!r} leads into a {type(items).__name__}")
    if step == len(items):
        items.append(None)
    items[step] = _grown(items[step], rest, leaf)
    return items


def _value(kind: str, text: str) -> Attribute:
    if kind == "str":
        return text
    if kind == "int":
        return int(text)
    if kind == "float":
        return float(text)
    if kind == "escaped":
        value = json.loads(text)
        if not isinstance(value, str):
            raise TypeError("expected text")
        return value
    dtype = named_dtype(kind)
    return np.array(json.loads(text), dtype=dtype)
