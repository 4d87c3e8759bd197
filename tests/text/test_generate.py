"""Sentences to motions: joined where they are alike, as long, as far and as turned as asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kinesis_neuro.errors import FileFormatError, IncompatibleError, InvalidInputError
from kinesis_neuro.follow_text import follow, motion_of
from kinesis_neuro.motion.clips import Entry, write_library
from kinesis_neuro.motion.joined import seam_weight
from kinesis_neuro.motion.joining import Seam, between, features, find_seam, heading, join, lengthen
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.quality import assess
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.repertoire import MotionLibrary
from kinesis_neuro.text.generate import tell, text_to_motion


@pytest.fixture(scope="module")
def walk() -> ReferenceMotion:
    return load_motion("walk").loop(6)


def curved(walk: ReferenceMotion, rate: float, name: str) -> ReferenceMotion:
    """The walk on a curve: its steps turned about the vertical as it goes on [rad/s]."""
    angle = rate * np.arange(walk.n_frames) / walk.rate
    way = np.diff(walk.qpos[:, :2], axis=0)
    c, s = np.cos(angle[:-1]), np.sin(angle[:-1])
    steps = np.stack([c * way[:, 0] - s * way[:, 1], s * way[:, 0] + c * way[:, 1]], axis=1)
    qpos = walk.qpos.copy()
    qpos[1:, :2] = qpos[0, :2] + np.cumsum(steps, axis=0)
    w, x, y, z = walk.qpos[:, 3:7].T
    c, s = np.cos(angle / 2), np.sin(angle / 2)
    qpos[:, 3:7] = np.stack([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w], axis=1)
    return ReferenceMotion.from_poses(walk.body, qpos, walk.rate, name=name)


@pytest.fixture(scope="module")
def shelf(walk: ReferenceMotion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of a walk, the same walk a fifth slower, and two curves."""
    folder = tmp_path_factory.mktemp("text") / "library"
    straight = walk.slice(0.0, 5.5)
    slow = replace(straight, rate=120.0, qvel=0.8 * straight.qvel).resample(150.0)
    entries = [
        Entry(replace(straight, name="straight", source="a"), "walk", "anna"),
        Entry(replace(slow, name="slow", source="b"), "walk", "anna"),
        Entry(curved(straight, 0.35, "to_left"), "turn", "anna"),
        Entry(curved(straight, -0.35, "to_right"), "turn", "anna"),
    ]
    write_library(folder, entries)
    return folder


def test_features_do_not_see_where_and_where_to(walk: ReferenceMotion) -> None:
    moved = walk.turn(1.0)
    np.testing.assert_allclose(features(moved), features(walk), atol=1e-9)


def test_a_motion_is_joined_to_itself_without_a_trace(walk: ReferenceMotion) -> None:
    """Cut a cycle out: what is left is the same walk, whose displacement is a cycle shorter."""
    cycle = load_motion("walk").n_frames
    looks = features(walk)
    window = (cycle - 40, cycle + 40)
    seam = find_seam(looks, looks, 45, (2 * cycle - 40, 2 * cycle + 40), window, cycle // 2)
    assert seam is not None
    assert seam.leave - seam.enter == pytest.approx(cycle, abs=5)
    whole = Seam(2 * cycle, cycle, 0.0)
    joined = join(walk.qpos, walk.turn(0.7).qpos, whole, 45)
    np.testing.assert_allclose(joined[:, :3], _longer(walk, joined), atol=1e-9)
    np.testing.assert_allclose(
        np.diff(heading(joined)).max(), np.diff(heading(walk.qpos)).max(), atol=1e-9
    )


def _longer(walk: ReferenceMotion, joined: np.ndarray) -> np.ndarray:
    return load_motion("walk").loop(7).qpos[: len(joined), :3]


def test_lengthening_keeps_the_pace(walk: ReferenceMotion) -> None:
    clip = walk.slice(0.3, 2.4)
    found = lengthen(clip, 900, 0.1)
    assert found is not None
    poses, seams = found
    assert len(poses) >= 900
    assert len(seams) >= 2
    speed = np.linalg.norm(poses[-1, :2] - poses[0, :2]) / (len(poses) / 150)
    assert speed == pytest.approx(1.0, abs=0.05)
    # Something that is nowhere alike again cannot be repeated.
    assert lengthen(walk.slice(0.0, 0.5), 900, 0.1) is None


def test_between_ends_at_both_poses(walk: ReferenceMotion) -> None:
    other = walk.turn(0.4).qpos
    zero, one = np.zeros(walk.n_frames), np.ones(walk.n_frames)
    for weight, ends in ((zero, walk.qpos), (one, other)):
        mixed = between(walk.qpos, other, weight)
        np.testing.assert_allclose(heading(mixed), heading(ends), atol=1e-9)
    half = heading(between(walk.qpos, other, 0.5 * one))
    np.testing.assert_allclose(half, heading(walk.qpos) + 0.2, atol=1e-6)


def test_planting_is_near_the_seams_only() -> None:
    weight = seam_weight(1000, [200, 700], 150.0)
    assert weight[[200, 700]].min() > 0.99
    assert weight[[0, 450, 999]].max() < 1e-6


def test_the_built_in_gait_walks_and_nothing_else() -> None:
    said: list[str] = []
    motion = text_to_motion("walk for 2.5 seconds", say=said.append)
    assert motion.duration == pytest.approx(2.5, abs=0.01)
    assert motion.contact is not None  # the forces that were measured with it
    assert len(said) == 1
    assert "walk (2.5 s), words 1.00: walk from 0.00 s for 2.50 s" in said[0]
    assert said[0] in motion.report.notes
    for sentence in ("turn left", "run", "walk backwards", "walk slowly then sit down"):
        with pytest.raises(InvalidInputError, match="There are clips of: walk forward"):
            text_to_motion(sentence, say=None)


def test_clauses_become_parts_with_their_times_and_sides(shelf: Path) -> None:
    told = "walk fast for 3 s, then turn left 45 degrees and walk slowly for 2 s"
    motion, parts = tell(told, shelf)
    assert [part.clip for part in parts] == ["straight", "to_left", "slow"]
    assert parts[0].seconds == pytest.approx(3.0, abs=0.6)
    assert parts[2].seconds == pytest.approx(2.0, abs=0.1)
    assert sum(part.seconds for part in parts) == pytest.approx(motion.duration, abs=0.05)
    turned = np.rad2deg(heading(motion.qpos)[-1] - heading(motion.qpos)[0])
    assert turned == pytest.approx(45.0, abs=12.0)
    assert parts[1].seam is not None and parts[1].seam < 0.15
    assert assess(motion).passed
    step = np.linalg.norm(np.diff(motion.qpos[:, :2], axis=0), axis=1)
    assert step.max() < 0.02  # no jump
    assert "straight (a)" in motion.source and "slow (b)" in motion.source


def test_the_same_sentence_gives_the_same_motion(shelf: Path) -> None:
    first, second = (tell("turn right then walk", shelf)[0] for _ in range(2))
    assert first.hash == second.hash
    assert heading(first.qpos)[-1] - heading(first.qpos)[0] < -1.0


def test_a_distance_is_walked(shelf: Path) -> None:
    motion, _ = tell("walk 7 m", shelf)
    way = np.linalg.norm(motion.qpos[-1, :2] - motion.qpos[0, :2])
    assert way == pytest.approx(7.0, rel=0.05)


def test_speeds_that_no_clip_has_are_refused(shelf: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"speeds are 0\.8 to 1\.0 m/s"):
        tell("walk at 3 m/s", shelf)
    chosen = MotionLibrary(shelf, ["straight", "to_left"])
    with pytest.raises(InvalidInputError, match=r"turns right\. They turn: left"):
        tell("turn right", chosen)


def test_a_policy_follows_and_the_recording_says_what(tmp_path: Path) -> None:
    recording = follow("walk for one second", keep=tmp_path / "kept", say=None)
    assert recording.attrs["text"] == "walk for one second"
    assert "walk from 0.00 s" in recording.attrs["text_parts"]
    assert recording.attrs["n_falls"] == 0
    kept = load_motion(tmp_path / "kept" / "walk_for_one_second")
    assert kept.hash == recording.attrs["motion_hash"]
    with pytest.raises(InvalidInputError, match="there already"):
        follow("walk", keep=tmp_path / "kept", say=None)
    with pytest.raises(IncompatibleError, match="drives 'legs'"):
        follow("walk", library=_of_another_body(tmp_path), say=None)


def _of_another_body(tmp_path: Path) -> Path:
    other = load_motion("walk", "legs26").loop(4).slice(0.0, 4.0)
    write_library(tmp_path / "other", [Entry(replace(other, name="walk"), "walk", "anna")])
    return tmp_path / "other"


def test_a_file_of_joint_positions_is_no_sentence(tmp_path: Path) -> None:
    np.save(tmp_path / "mdm.npy", np.zeros((20, 21, 3)))
    with pytest.raises(FileFormatError, match=r"mdm.npy.*shape \(20, 21, 3\)"):
        motion_of(str(tmp_path / "mdm.npy"))


@pytest.mark.data
def test_a_generated_clip_is_followed_as_it_comes(data_dir: Path) -> None:
    clips = data_dir / "kinesis_assets" / "t2m"
    if not clips.is_dir():
        pytest.skip("no clips of a text-to-motion model in the folder of recordings")
    motion = motion_of(str(clips / "mdm_walk_forward_0.pkl"))
    assert motion.duration > 3.0
