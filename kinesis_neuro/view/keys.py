"""What the keys of the viewer do: a state, and a pure function from a key to the next state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

# GLFW's codes of keys that are no letters. Letters and the digits 0 to 5 switch what MuJoCo's
# viewer itself draws.
SPACE, ENTER, RIGHT, DOWN, UP = 32, 257, 262, 264, 265
FOLLOW, GHOST, PUSH_LEFT, PUSH_RIGHT = ord("6"), ord("7"), ord("8"), ord("9")
PACES = (0.1, 0.25, 0.5, 1.0, 2.0)
"""Seconds of the simulation a second."""


@dataclass(frozen=True)
class ViewState:
    """What the viewer is asked for.

    Attributes
    ----------
    paused : bool
    steps : int
        Control steps to be made although it is paused.
    restart : bool
    push : str
        ``"left"``, ``"right"`` or empty.
    follow, ghost : bool
        Whether the camera goes along, and whether the reference is shown.
    pace : float
        Seconds of the simulation a second.
    """

    paused: bool = False
    steps: int = 0
    restart: bool = False
    push: str = ""
    follow: bool = True
    ghost: bool = True
    pace: float = 1.0

    def done(self) -> ViewState:
        """The state after what was asked for once was done."""
        return replace(self, steps=0, restart=False, push="")


@dataclass(frozen=True)
class Key:
    """A key.

    Attributes
    ----------
    label, does : str
        What is written on it, and what it does, for the screen.
    change : callable
        State before to state after.
    """

    label: str
    does: str
    change: Callable[[ViewState], ViewState]


def _pace(by: int) -> Callable[[ViewState], ViewState]:
    def change(state: ViewState) -> ViewState:
        index = min(range(len(PACES)), key=lambda k: abs(PACES[k] - state.pace)) + by
        return replace(state, pace=PACES[min(max(index, 0), len(PACES) - 1)])

    return change


KEYS = MappingProxyType(
    {
        SPACE: Key("Space", "pause, go on", lambda s: replace(s, paused=not s.paused)),
        RIGHT: Key(
            "Right", "one step, paused", lambda s: replace(s, paused=True, steps=s.steps + 1)
        ),
        UP: Key("Up", "faster", _pace(1)),
        DOWN: Key("Down", "slower", _pace(-1)),
        ENTER: Key("Enter", "start again", lambda s: replace(s, restart=True)),
        FOLLOW: Key("6", "camera goes along", lambda s: replace(s, follow=not s.follow)),
        GHOST: Key("7", "reference", lambda s: replace(s, ghost=not s.ghost)),
        PUSH_LEFT: Key("8", "push to the left", lambda s: replace(s, push="left")),
        PUSH_RIGHT: Key("9", "push to the right", lambda s: replace(s, push="right")),
    }
)
"""The keys, by GLFW's code."""


def press(state: ViewState, key: int) -> ViewState:
    """What a key makes of the state; keys without a meaning change nothing.

    Examples
    --------
    >>> press(ViewState(), SPACE).paused
    True
    >>> press(press(ViewState(), UP), UP).pace
    2.0
    """
    known = KEYS.get(key)
    return state if known is None else known.change(state)


def help_columns() -> tuple[str, str]:
    """The keys and what they do, as two columns of lines for the screen."""
    keys = KEYS.values()
    return "\n".join(key.label for key in keys), "\n".join(key.does for key in keys)
