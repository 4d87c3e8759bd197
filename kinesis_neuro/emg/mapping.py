"""Which muscles of a body an EMG channel sees: a table with weights and sources, yours to change.

The table is ``tables/channels.csv``, written by ``analyses/channel_mapping.py``. An electrode that
lies over several actuators (gluteus maximus) or a source that does not say which muscle it means
(hamstrings) is compared with the mean of them, weighted by peak isometric force. Where a muscle has
two heads of which a surface electrode sees one, the table has only that one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from importlib import resources

import numpy as np
import pandas as pd
import xarray as xr

from kinesis_neuro.errors import InvalidInputError, unknown_name

ChannelMap = Mapping[str, "str | Sequence[str] | Mapping[str, float]"]
"""Channel names and the muscles that they see: a name, names (equal weights), or weights."""

SIDES = ("right", "left")


@functools.cache
def _table() -> pd.DataFrame:
    file = resources.files("kinesis_neuro.emg") / "tables" / "channels.csv"
    with file.open("r") as stream:
        return pd.read_csv(stream)


def channel_table(body: str | None = None) -> pd.DataFrame:
    """Table of channels and the muscles they see.

    Parameters
    ----------
    body : str, optional
        Only the rows for this body.

    Returns
    -------
    DataFrame
        Columns ``channel``, ``muscle`` (without its side), ``weight`` (sums to one over a channel),
        ``bodies`` (names, separated by spaces), ``source``. A copy.

    Raises
    ------
    InvalidInputError
        If there is no such body.

    Examples
    --------
    >>> table = channel_table("legs")
    >>> table.loc[table.channel == "gluteus_maximus", ["muscle", "weight"]].values.tolist()
    [['glmax1', 0.497], ['glmax2', 0.503]]
    """
    table = _table()
    if body is None:
        return table.copy()
    bodies = sorted({name for names in table["bodies"] for name in names.split()})
    if body not in bodies:
        raise unknown_name("body", body, bodies)
    rows = [body in names.split() for names in table["bodies"]]
    return table[rows].reset_index(drop=True)


def channel_names() -> tuple[str, ...]:
    """Names of the vocabulary.

    Examples
    --------
    >>> "gastrocnemius_medialis" in channel_names()
    True
    """
    return tuple(dict.fromkeys(_table()["channel"]))


def muscles_of(
    channel: str, body: str = "legs", side: str = "right", mapping: ChannelMap | None = None
) -> dict[str, float]:
    """Muscles of a body that a channel sees.

    Parameters
    ----------
    channel : str
        A name of the vocabulary, or one that `mapping` defines.
    body : str
        Name of a body.
    side : {"right", "left"}
    mapping : mapping, optional
        Your own channels, which come before the table's. Muscles with or without side.

    Returns
    -------
    dict of str to float
        Actuators with their side, and weights that sum to one; empty where the body has no such
        muscle.

    Raises
    ------
    InvalidInputError
        If the channel, the body or the side is unknown, or weights are not positive.

    Examples
    --------
    >>> muscles_of("biceps_femoris")
    {'bflh_r': 1.0}
    >>> muscles_of("biceps_femoris", mapping={"biceps_femoris": {"bflh": 3, "bfsh": 1}})
    {'bflh_r': 0.75, 'bfsh_r': 0.25}
    >>> muscles_of("peroneus_longus", body="legs26")
    {}
    """
    if side not in SIDES:
        raise InvalidInputError(
            f"Invalid value for 'side'. Allowed values are {', '.join(SIDES)}, but got {side!r}."
        )
    if mapping is not None and channel in mapping:
        weights = _own(channel, mapping[channel])
    else:
        table = channel_table(body)
        if channel not in channel_names():
            raise unknown_name("channel", channel, channel_names())
        rows = table[table["channel"] == channel]
        weights = dict(zip(rows["muscle"], rows["weight"], strict=True))
    total = sum(weights.values())
    return {_with_side(muscle, side): weight / total for muscle, weight in weights.items()}


def _own(channel: str, given: str | Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    """Bring the forms that a user may write to weights."""
    if isinstance(given, str):
        return {given: 1.0}
    weights = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given, 1.0)
    if not weights or not all(np.isfinite(w) and w > 0 for w in weights.values()):
        raise InvalidInputError(
            f"The mapping of channel {channel!r} needs one or more muscles with positive weights, "
            f"but got {given!r}."
        )
    return {str(muscle): float(weight) for muscle, weight in weights.items()}


def _with_side(muscle: str, side: str) -> str:
    """Give a muscle its side; the right arm's muscles of the full body have no suffix."""
    if re.search(r"_[rl]$", muscle):
        return muscle
    arm = muscle[0].isupper() and not re.match(r"(EO|IO)\d|IL_|LT|MF_|QL_|Ps_", muscle)
    if arm and side == "right":
        return muscle
    return f"{muscle}_{side[0]}"


def mapping_matrix(
    muscles: Sequence[str],
    channels: Sequence[str],
    sides: Sequence[str],
    body: str = "legs",
    mapping: ChannelMap | None = None,
) -> np.ndarray:
    """Weights that turn muscles into channels.

    Parameters
    ----------
    muscles : sequence of str
        Actuators that there are.
    channels, sides : sequence of str
        Channels wanted, and the side of each.
    body : str
    mapping : mapping, optional
        See :func:`muscles_of`.

    Returns
    -------
    ndarray, shape (n_channels, n_muscles)
        Rows sum to one; a row of zeros where the body has, or `muscles` hold, no such muscle.

    Raises
    ------
    InvalidInputError
        If a channel is unknown, or only some of its muscles are there, or one that you name is not.

    Examples
    --------
    >>> mapping_matrix(["soleus_r", "soleus_l"], ["soleus"], ["left"])
    array([[0., 1.]])
    """
    column = {muscle: i for i, muscle in enumerate(muscles)}
    matrix = np.zeros((len(channels), len(muscles)))
    for row, (channel, side) in enumerate(zip(channels, sides, strict=True)):
        seen = muscles_of(channel, body, side, mapping)
        own = mapping is not None and channel in mapping
        if not own and not any(muscle in column for muscle in seen):
            continue
        for muscle, weight in seen.items():
            if muscle not in column:
                raise InvalidInputError(
                    f"Channel {channel!r} ({side}) sees muscle {muscle!r} of body {body!r}, which "
                    f"this dataset has not. It has {', '.join(list(muscles)[:6])}, ... "
                    "State the right body, or give mapping={channel: muscle}."
                )
            matrix[row, column[muscle]] = weight
    return matrix


def map_muscles(
    values: xr.DataArray,
    channels: Sequence[str],
    side: str | Sequence[str] = "right",
    body: str = "legs",
    mapping: ChannelMap | None = None,
) -> xr.DataArray:
    """Turn what muscles do into what EMG channels would see of it.

    Parameters
    ----------
    values : DataArray
        Over ``muscle`` and any other dims.
    channels : sequence of str
        Channels wanted.
    side : str or sequence of str
        Side of all, or of each.
    body : str
        The body whose muscles these are.
    mapping : mapping, optional
        See :func:`muscles_of`.

    Returns
    -------
    DataArray
        Over ``channel`` in place of ``muscle``, with the coordinate ``side``; channels that the
        body has no muscle for are left out.

    Raises
    ------
    InvalidInputError
        If there is no dim ``muscle``, or a name is unknown.

    Examples
    --------
    >>> activation = xr.DataArray([[0.2, 0.4]], dims=("time", "muscle"),
    ...                           coords={"muscle": ["gasmed_r", "gaslat_r"]})
    >>> map_muscles(activation, ["gastrocnemius"]).values.round(3)
    array([[0.274]])
    """
    if "muscle" not in values.dims:
        raise InvalidInputError(
            f"map_muscles needs values over 'muscle', got {', '.join(map(str, values.dims))}."
        )
    sides = [side] * len(channels) if isinstance(side, str) else list(side)
    muscles = [str(name) for name in values["muscle"].values]
    matrix = mapping_matrix(muscles, channels, sides, body, mapping)
    there = matrix.sum(axis=1) > 0
    dims = ["channel" if dim == "muscle" else dim for dim in values.dims]
    axis = values.dims.index("muscle")
    mapped = np.moveaxis(np.moveaxis(values.values, axis, -1) @ matrix[there].T, -1, axis)
    coords = {n: c for n, c in values.coords.items() if "muscle" not in c.dims}
    kept = [i for i, is_there in enumerate(there) if is_there]
    return xr.DataArray(
        mapped,
        dims=dims,
        coords=coords
        | {
            "channel": ("channel", np.array([channels[i] for i in kept], dtype=str)),
            "side": ("channel", np.array([sides[i] for i in kept], dtype=str)),
        },
        name=values.name,
        attrs=values.attrs,
    )
