"""Tasks on top of imitation: what each of them asks is one file here, found by its kind."""

from __future__ import annotations

import importlib
from types import MappingProxyType

from kinesis_neuro.env.tasks.goal import GoalConfig
from kinesis_neuro.errors import unknown_name

# Module and class of each kind of goal; a new task is a line here and its file.
_CONFIGS = MappingProxyType(
    {
        "": ("goal", "GoalConfig"),
        "kick": ("kick_config", "KickConfig"),
        "steer": ("steer", "SteerConfig"),
        "reach": ("reach", "ReachConfig"),
    }
)


def goal_config(kind: str) -> type[GoalConfig]:
    """Class of the configuration of a kind of goal.

    Parameters
    ----------
    kind : str
        Empty for imitation alone.

    Raises
    ------
    InvalidInputError
        If there is no such kind.

    Examples
    --------
    >>> goal_config("")().kind
    ''
    """
    if kind not in _CONFIGS:
        raise unknown_name("goal", kind, [name for name in _CONFIGS if name])
    module, name = _CONFIGS[kind]
    found: type[GoalConfig] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return found
