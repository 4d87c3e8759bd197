"""Static optimisation is computed once, kept whole or not at all, and never taken for another's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kinesis_neuro.body.models import load_body
from kinesis_neuro.body.scaling import BodyScale
from kinesis_neuro.errors import InvalidInputError, KinesisError
from kinesis_neuro.motion import feedforward
from kinesis_neuro.motion.clips import Entry, write_library
from kinesis_neuro.motion.feedforward import activation_key, muscle_activations
from kinesis_neuro.motion.inverse import static_optimization
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import GroundContact, ReferenceMotion
from kinesis_neuro.motion.repertoire import MotionLibrary


@pytest.fixture(scope="module")
def motions() -> list[ReferenceMotion]:
    """Parts of the walk: with ground forces, without, and on a scaled body."""
    once = load_motion("walk", "legs26").loop(2)
    scaled = load_motion("walk", load_body("legs26", BodyScale(thigh=1.1)))
    parts = [once.slice(0.0, 0.2), once.slice(0.3, 0.5)]
    without = ReferenceMotion.from_poses(once.body, once.qpos[:30], once.rate, name="without")
    return [*parts, without, scaled.loop(2).slice(0.1, 0.3)]


@pytest.fixture(scope="module")
def solved(motions: list[ReferenceMotion]) -> list[np.ndarray]:
    return [static_optimization(motion).activation.values for motion in motions]


@pytest.fixture
def unsolvable(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From here on, whatever is not kept cannot be had."""

    def forbid() -> None:
        def refuse(*args: object, **options: object) -> None:
            raise AssertionError("solved again")

        monkeypatch.setattr(feedforward, "static_optimization", refuse)
        monkeypatch.setattr(feedforward, "_solve_in_parallel", refuse)

    return forbid


def test_other_processes_give_the_same_solution(
    motions: list[ReferenceMotion], solved: list[np.ndarray], tmp_path: Path
) -> None:
    for got, wanted in zip(
        muscle_activations(motions, cache=tmp_path, n_processes=2), solved, strict=True
    ):
        # Not to the bit: a worker's linear algebra has one thread, and adds in another order.
        np.testing.assert_allclose(got, wanted, atol=1e-7)
    assert len(list(tmp_path.glob("*.npz"))) == 4


def test_what_is_kept_is_not_solved_again(
    motions: list[ReferenceMotion],
    solved: list[np.ndarray],
    tmp_path: Path,
    unsolvable: Callable[[], None],
) -> None:
    muscle_activations(motions[:2], cache=tmp_path, n_processes=1)
    unsolvable()
    got = muscle_activations([motions[1], motions[0], motions[1]], cache=tmp_path)
    for one, wanted in zip(got, (solved[1], solved[0], solved[1]), strict=True):
        np.testing.assert_array_equal(one, wanted)
    with pytest.raises(AssertionError, match="solved again"):
        muscle_activations(motions[2:3], cache=tmp_path)


def test_the_key_covers_all_that_the_solution_depends_on(
    motions: list[ReferenceMotion], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = motions[0]
    assert first.contact is not None
    keys = {activation_key(motion) for motion in motions}
    changed = ReferenceMotion.from_poses(first.body, first.qpos, first.rate)
    keys.add(activation_key(changed))  # no ground forces
    force = GroundContact(1.01 * first.contact.force, first.contact.center_of_pressure)
    keys.add(
        activation_key(
            ReferenceMotion.from_poses(first.body, first.qpos, first.rate, contact=force)
        )
    )
    keys.add(activation_key(first.turn(0.3)))
    monkeypatch.setattr(feedforward, "_solver_hash", lambda: "another solver")
    keys.add(activation_key(first))
    assert len(keys) == 8


def test_a_broken_file_is_told_and_solved_again(
    motions: list[ReferenceMotion], solved: list[np.ndarray], tmp_path: Path
) -> None:
    motion = motions[0]
    muscle_activations([motion], cache=tmp_path)
    (file,) = tmp_path.glob("*.npz")
    whole = file.read_bytes()
    other = tmp_path / f"{activation_key(motions[1])}.npz"

    def values(change: float) -> None:
        feedforward.write_activation(file, activation_key(motion), solved[0])
        with np.load(file) as content:
            arrays = dict(content)
        arrays["activation"] = arrays["activation"] + change
        np.savez(file, **arrays)

    for spoil in (
        lambda: file.write_bytes(whole[: len(whole) // 2]),
        lambda: file.write_bytes(b""),
        lambda: values(0.01),
        lambda: values(np.nan),
    ):
        spoil()
        with pytest.warns(UserWarning, match="is not what was kept there"):
            (got,) = muscle_activations([motion], cache=tmp_path)
        np.testing.assert_array_equal(got, solved[0])
        assert file.read_bytes() == whole
    # Another motion's file under this name.
    other.write_bytes(whole)
    with pytest.warns(UserWarning, match="its hash differs"):
        (got,) = muscle_activations([motions[1]], cache=tmp_path)
    np.testing.assert_array_equal(got, solved[1])


def test_where_it_is_kept(
    motions: list[ReferenceMotion], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(feedforward.VARIABLE, raising=False)
    muscle_activations(motions[:1])  # of no library: nowhere
    write_library(tmp_path / "lib", [Entry(motions[0], "walk", "anna")])
    (clip,) = MotionLibrary(tmp_path / "lib").motions()
    muscle_activations([clip])
    assert len(list((tmp_path / "lib" / "static_optimization").glob("*.npz"))) == 1
    monkeypatch.setenv(feedforward.VARIABLE, str(tmp_path / "cache"))
    muscle_activations([clip])
    assert len(list((tmp_path / "cache" / "static_optimization").glob("*.npz"))) == 1


def test_a_folder_that_cannot_be_written_to(
    motions: list[ReferenceMotion], solved: list[np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(UserWarning, match="cannot be kept"):
        (got,) = muscle_activations(motions[:1], cache=tmp_path / "file" / "deeper")
    np.testing.assert_array_equal(got, solved[0])


def test_what_a_process_cannot_solve_is_said(motions: list[ReferenceMotion]) -> None:
    with pytest.raises(InvalidInputError, match="n_processes must be at least 1"):
        muscle_activations(motions[:1], n_processes=0)
    odd = dataclasses.replace(motions[0].body, hash="0" * 64)
    strange = [dataclasses.replace(motion, body=odd) for motion in motions[:2]]
    with pytest.raises(KinesisError, match="body 'legs26' is not the same in both processes"):
        muscle_activations(strange, n_processes=2)


def test_what_is_solved_outlives_a_failure(
    motions: list[ReferenceMotion], solved: list[np.ndarray], tmp_path: Path
) -> None:
    odd = dataclasses.replace(motions[0].body, hash="0" * 64)
    mixed = [motions[0], dataclasses.replace(motions[1], body=odd)]
    with pytest.raises(KinesisError, match="not the same in both processes"):
        muscle_activations(mixed, cache=tmp_path, n_processes=2)
    (kept,) = muscle_activations(motions[:1], cache=tmp_path, n_processes=1)
    np.testing.assert_allclose(kept, solved[0], atol=1e-7)
    assert len(list(tmp_path.glob("*.npz"))) == 1
