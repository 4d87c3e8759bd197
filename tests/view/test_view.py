"""The viewer's logic without a window: keys, shows, the loop, and what is put on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mujoco
import numpy as np
import pytest

from kinesis_neuro.body.models import load_body
from kinesis_neuro.errors import InvalidInputError, MissingDependencyError
from kinesis_neuro.learn.checkpoint import load_policy
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.netcdf import write_netcdf
from kinesis_neuro.record import record
from kinesis_neuro.view import view, window
from kinesis_neuro.view.keys import (
    DOWN,
    ENTER,
    FOLLOW,
    GHOST,
    KEYS,
    PUSH_LEFT,
    PUSH_RIGHT,
    RIGHT,
    SPACE,
    UP,
    ViewState,
    help_columns,
    press,
)
from kinesis_neuro.view.loop import run
from kinesis_neuro.view.shows import Look, PolicyShow


class FakeWindow:
    """Is open for some pictures; keys are pressed before pictures of given numbers."""

    def __init__(self, n_pictures: int, keys: dict[int, list[int]] | None = None) -> None:
        self.n, self.keys = n_pictures, keys or {}
        self.seen: list[tuple[Look, ViewState]] = []
        self.closed = False

    def is_open(self) -> bool:
        return len(self.seen) < self.n

    def pressed(self) -> list[int]:
        return self.keys.get(len(self.seen), [])

    def draw(self, look: Look, state: ViewState) -> None:
        self.seen.append((look, state))

    def close(self) -> None:
        self.closed = True

    @property
    def times(self) -> np.ndarray:
        return np.array([look.time for look, _ in self.seen])


class Clock:
    """Time that passes only by sleeping, and a little by looking."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def show() -> Iterator[PolicyShow]:
    made = PolicyShow(load_policy("walk"), load_motion("walk"), seed=0)
    yield made
    made.close()


def watch(show: PolicyShow, n: int, keys: dict[int, list[int]] | None = None) -> FakeWindow:
    seen, clock = FakeWindow(n, keys), Clock()
    run(show, seen, clock=clock, sleep=clock.sleep)
    assert seen.closed
    return seen


@pytest.mark.parametrize(
    ("keys", "name", "value"),
    [
        ([SPACE], "paused", True),
        ([SPACE, SPACE], "paused", False),
        ([RIGHT, RIGHT], "steps", 2),
        ([UP], "pace", 2.0),
        ([DOWN, DOWN], "pace", 0.25),
        ([DOWN] * 9, "pace", 0.1),
        ([ENTER], "restart", True),
        ([FOLLOW], "follow", False),
        ([GHOST], "ghost", False),
        ([PUSH_LEFT], "push", "left"),
        ([PUSH_RIGHT], "push", "right"),
        ([ord("W"), 0], "paused", False),
    ],
)
def test_keys(keys: list[int], name: str, value: object) -> None:
    state = ViewState()
    for key in keys:
        state = press(state, key)
    assert getattr(state, name) == value


def test_what_is_asked_for_once_is_done_once() -> None:
    state = ViewState()
    for key in (RIGHT, ENTER, PUSH_LEFT, GHOST):
        state = press(state, key)
    assert state.done() == ViewState(paused=True, ghost=False)


def test_every_key_is_on_the_screen() -> None:
    keys, meanings = help_columns()
    assert len(keys.split("\n")) == len(meanings.split("\n")) == len(KEYS)
    state = ViewState(paused=True, pace=0.5)
    look = Look(1.5, np.zeros(35), np.zeros(35), np.zeros(80), "fell after 1.0 s")
    (_, _, *left), (_, _, right, _) = window.words(look, state)
    assert left == [keys, meanings]
    for part in ("1.50 s, paused", "0.5 x", "blue: reference", "fell after 1.0 s"):
        assert part in right
    assert "reference" not in window.words(look, ViewState(ghost=False))[1][2]


def test_it_walks_in_time_and_the_ghost_with_it(show: PolicyShow) -> None:
    seen = watch(show, 30)
    np.testing.assert_allclose(np.diff(seen.times), show.step_time)
    body, ghost = (
        np.array([getattr(look, n)[:3] for look, _ in seen.seen]) for n in ("qpos", "ghost")
    )
    assert np.linalg.norm(body - ghost, axis=1).max() < 0.1
    assert np.linalg.norm(body[-1] - body[0]) > 0.7
    assert seen.seen[-1][0].activation.max() > 0.1


def test_pause_step_and_start_again(show: PolicyShow) -> None:
    seen = watch(show, 12, {3: [SPACE], 6: [RIGHT], 9: [ENTER]})
    steps = np.rint(seen.times / show.step_time).astype(int)
    np.testing.assert_array_equal(steps, [1, 2, 3, 3, 3, 3, 4, 4, 4, 0, 0, 0])


@pytest.mark.parametrize(("key", "sign"), [(PUSH_LEFT, 1.0), (PUSH_RIGHT, -1.0)])
def test_a_push_goes_where_it_says(show: PolicyShow, key: int, sign: float) -> None:
    show._env.rng = np.random.default_rng(0)
    show.restart()
    alone = watch(show, 10)
    show._env.rng = np.random.default_rng(0)
    show.restart()
    pushed = watch(show, 10, {1: [key]})
    # The walk faces -y, so that its left is +x.
    aside = pushed.seen[-1][0].qpos[0] - alone.seen[-1][0].qpos[0]
    assert sign * aside > 0.01
    with pytest.raises(InvalidInputError, match="left or to the right"):
        show.push("up")


def test_half_the_pace_takes_twice_the_time(show: PolicyShow) -> None:
    seen, clock = FakeWindow(11, {0: [DOWN]}), Clock()
    run(show, seen, clock=clock, sleep=clock.sleep)
    assert clock.now == pytest.approx(11 * show.step_time / 0.5)


def test_a_recording_is_played_back(tmp_path: Path) -> None:
    recording = record("walk", duration=0.5, seed=1)
    write_netcdf(recording, tmp_path / "walk.nc")
    seen = FakeWindow(20)
    view(tmp_path / "walk.nc", window=seen)
    # It ends, and starts again.
    assert (np.diff(seen.times) < 0).sum() == 1
    look = seen.seen[2][0]
    sample = recording.sel(time=recording.time[0] + look.time, method="nearest")
    np.testing.assert_allclose(look.qpos[:3], sample.root_position)
    apart = look.ghost[:3] - look.qpos[:3]
    assert 0 < np.linalg.norm(apart) < 0.1


def test_muscles_are_coloured_in_a_copy_of_the_model() -> None:
    body = load_body("legs")
    before = body.model.tendon_rgba.copy(), body.model.geom_rgba.copy()
    model = window.viewer_model(body)
    tendons = body.model.actuator_trnid[:, 0]
    activation = np.zeros(body.n_muscles)
    activation[3] = 1.0
    window.color_muscles(model, tendons, activation)
    red = model.tendon_rgba[tendons, 0] - model.tendon_rgba[tendons, 2]
    assert np.argmax(red) == 3
    assert red[3] > 0.5 > red[4]
    np.testing.assert_array_equal(body.model.tendon_rgba, before[0])
    np.testing.assert_array_equal(body.model.geom_rgba, before[1])
    floor = body.model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    assert (model.geom_rgba[floor, 3] == 1.0).all()


def test_without_a_screen_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import glfw

    monkeypatch.setattr(glfw, "init", lambda: False)
    with pytest.raises(MissingDependencyError, match="kinesis-neuro render"):
        view("walk")
