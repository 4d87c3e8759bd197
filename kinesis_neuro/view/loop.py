"""view: a policy or a recording in the viewer, in time, until the window is closed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kinesis_neuro.filming import RECORDINGS, followed
from kinesis_neuro.learn.play import as_motions, as_policy
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.report.inputs import read_recording
from kinesis_neuro.view.keys import ViewState, press
from kinesis_neuro.view.shows import PolicyShow, RecordingShow, Show
from kinesis_neuro.view.window import MuJoCoWindow, Window, check_screen


def view(
    source: str | Path = "walk",
    motion: str | Path | ReferenceMotion | None = None,
    *,
    seed: int = 0,
    window: Window | None = None,
) -> None:
    """Watch a policy follow a motion, or a recording, in MuJoCo's viewer.

    Muscles are coloured by activation, the reference is a ghost, and the keys stand on the screen:
    pause, step, pace, start again, camera, ghost, pushes.

    Parameters
    ----------
    source : str or Path
        A policy's name or folder, or the file of a recording (``.nc`` or ``.nwb``).
    motion : motion, str or Path, optional
        What the policy follows, or the recording followed.
    seed : int
    window : Window, optional
        MuJoCo's viewer if not given.

    Raises
    ------
    MissingDependencyError
        There is no screen.

    Examples
    --------
    >>> view("walk")  # doctest: +SKIP
    """
    if window is None:
        check_screen()  # before the seconds that a policy takes to load
    show: Show
    if Path(source).suffix.lower() in RECORDINGS:
        recording = read_recording(Path(source))
        show = RecordingShow(recording, followed(recording, motion))
    else:
        played = as_policy(source)
        show = PolicyShow(played, as_motions(motion, played)[0], seed)
    run(show, MuJoCoWindow(show.body) if window is None else window)


def run(
    show: Show,
    window: Window,
    *,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show something in a window until that is closed.

    Parameters
    ----------
    show : Show
    window : Window
    clock, sleep : callable
        Tell the time [s], and let it pass.
    """
    state = ViewState()
    due = clock()
    try:
        while window.is_open():
            for key in window.pressed():
                state = press(state, key)
            if state.restart:
                show.restart()
            if state.push:
                show.push(state.push)
            for _ in range(state.steps if state.paused else 1):
                show.advance()
            state = state.done()
            window.draw(show.look(), state)
            # A machine that cannot keep up shows slow motion, and does not hurry afterwards.
            due = max(due + show.step_time / state.pace, clock())
            sleep(max(0.0, due - clock()))
    finally:
        window.close()
