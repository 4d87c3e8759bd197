"""What laboratories call EMG channels, in the library's vocabulary."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kinesis_neuro.emg.mapping import channel_names
from kinesis_neuro.errors import InvalidInputError

# Words and short forms whose meaning does not depend on the laboratory.
_ALIASES: Mapping[str, str] = {
    "soleus": "soleus|sol|soleus muscle",
    "gastrocnemius_medialis": "med gas|gas med|medial gastrocnemius|gastrocnemius medial|gasmed",
    "gastrocnemius_lateralis": "lat gas|gas lat|lateral gastrocnemius|gastrocnemius lateral|gaslat",
    "gastrocnemius": "gastrocnemius|gastroc",
    "tibialis_anterior": "tib ant|ta|anterior tibialis|tibant|tibialis",
    "semimembranosus": "semimem|sm",
    "semitendinosus": "semiten|st",
    "medial_hamstrings": "medial hamstrings|hamstrings medialis|hamstrings medial",
    "biceps_femoris": "biceps femoris|bifemlh|bf|bflh|biceps femoris caput longu"
    "|biceps femoris caput longus|lateral hamstrings|hamstrings lateralis",
    "biceps_femoris_short": "bifemsh|bfsh|biceps femoris caput brevis",
    "hamstrings": "hamstrings",
    "vastus_lateralis": "vas lat|vl|vastus lateral|vaslat",
    "vastus_medialis": "vas med|vm|vastus medial|vasmed|vastus medius",
    "vastus": "vastus|vasti",
    "rectus_femoris": "rect fem|rf|recfem|rectus",
    "gluteus_maximus": "glut max|gmax|glmax",
    "gluteus_medius": "glut med|gmed|gluteus medialis",
    "tensor_fasciae_latae": "tfl|tensor fascia latae|tensor fasciae latae",
    "peroneus_longus": "per long|pl|perlong|peroneus",
    "peroneus_brevis": "per brev|pb|perbrev",
    "adductor_longus": "add long|al|addlong",
    "gracilis": "grac",
    "sartorius": "sart",
    "erector_spinae": "es|erector spinae longissimus",
}
_BY_WORD = {word: channel for channel, words in _ALIASES.items() for word in words.split("|")} | {
    name.replace("_", " "): name for name in channel_names()
}

_SIDE_WORDS = {"right": "right", "r": "right", "left": "left", "l": "left"}


def parse_label(label: str) -> tuple[str | None, str | None]:
    """Find the channel and the side that a label names.

    Parameters
    ----------
    label : str
        In words or as a common short form, with or without side, as in ``med_gas_r``, ``R_TA``,
        ``Right Rectus Femoris``.

    Returns
    -------
    channel : str or None
        A name of the vocabulary, or None where the label is not understood. Short forms that mean
        different muscles in different laboratories (GM) are not.
    side : {"right", "left"} or None
        None where the label has none.

    Examples
    --------
    >>> parse_label("med_gas_r"), parse_label("R_TA"), parse_label("GM")
    (('gastrocnemius_medialis', 'right'), ('tibialis_anterior', 'right'), (None, None))
    """
    words = [w for w in re.split(r"[\s_\-./:]+", label.strip().lower()) if w and w != "emg"]
    side = None
    for place in (0, -1):
        if len(words) > 1 and words[place] in _SIDE_WORDS and side is None:
            side = _SIDE_WORDS[words.pop(place)]
    return _BY_WORD.get(" ".join(words)), side


def name_channels(
    labels: Sequence[str],
    channels: Mapping[str, str | None] | None = None,
    side: str | None = None,
    where: str = "the file",
) -> tuple[list[int], list[str], list[str]]:
    """Choose and name the EMG channels among the columns of a file.

    Parameters
    ----------
    labels : sequence of str
        Names of the columns.
    channels : mapping, optional
        What labels mean, such as ``{"EMG1": "soleus_r", "EMG2": None}``; None leaves one out. Where
        it is given, only labels in it are taken. By default those are that :func:`parse_label`
        understands.
    side : {"right", "left"}, optional
        Side of channels whose label has none.
    where : str
        Name of the file, for messages.

    Returns
    -------
    index, names, sides : list
        Columns taken, their channel names and sides. A muscle that is there on both sides gets the
        suffixes ``_r`` and ``_l``, as names must differ.

    Raises
    ------
    InvalidInputError
        If no label is understood, a side is missing, or two columns are the same channel.

    Examples
    --------
    >>> name_channels(["time", "soleus_r", "tib_ant_r"])
    ([1, 2], ['soleus', 'tibialis_anterior'], ['right', 'right'])
    """
    if channels is not None and (unknown := sorted(set(channels) - set(labels))):
        raise InvalidInputError(
            f"{where} has no column {', '.join(map(repr, unknown))}. It has {', '.join(labels)}."
        )
    taken: list[tuple[int, str, str | None]] = []
    for i, label in enumerate(labels):
        if channels is not None:
            meant = channels.get(label)
            if meant is None:
                continue
            channel, own = parse_label(meant)
            if channel is None:
                raise InvalidInputError(
                    f"Unknown channel {meant!r} for column {label!r} of {where}. Available, with "
                    f"_r or _l for the side: {', '.join(channel_names())}."
                )
            taken.append((i, channel, own or parse_label(label)[1] or side))
        else:
            channel, own = parse_label(label)
            if channel is not None:
                taken.append((i, channel, own or side))
    if not taken:
        raise InvalidInputError(
            f"No column of {where} is understood as an EMG channel: {', '.join(labels)}. Say what "
            "they are: channels={'" + (labels[0] if labels else "label") + "': 'soleus_r', ...}."
        )
    without = [labels[i] for i, _, s in taken if s is None]
    if without:
        raise InvalidInputError(
            f"{where} does not say on which side {', '.join(without)} were recorded. "
            "Give side='right' or side='left'."
        )
    both = {c for _, c, s in taken if s == "right"} & {c for _, c, s in taken if s == "left"}
    names = [f"{c}_{s[0]}" if c in both and s else c for _, c, s in taken]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(
            f"More than one column of {where} is {', '.join(twice)}. "
            "Choose with channels={label: name}."
        )
    return [i for i, _, _ in taken], names, [str(s) for _, _, s in taken]
