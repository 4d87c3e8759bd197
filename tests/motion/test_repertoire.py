"""The library gives back what was written, maps and does not read, and refuses what disagrees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.errors import (
    FileFormatError,
    IncompatibleError,
    InvalidInputError,
    KinesisError,
)
from kinesis_neuro.motion.clips import Entry, write_library
from kinesis_neuro.motion.collect import collect_motions
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import GroundContact, ReferenceMotion
from kinesis_neuro.motion.repertoire import MotionLibrary, is_library
from kinesis_neuro.motion.splits import check_splits, read_keys, split_by_person, write_keys


def wiggle(body: Body, name: str, n: int, *, contact: bool = False) -> ReferenceMotion:
    """A short motion of its own."""
    rng = np.random.default_rng(sum(map(ord, name)))
    qpos = np.tile(body.coupling.complete(body.model.qpos0), (n, 1))
    qpos[:, :3] += np.cumsum(0.01 * rng.random((n, 3)), axis=0)
    forces = None
    if contact:
        forces = GroundContact(rng.random((n, 2, 3)), rng.random((n, 2, 3)))
        forces.center_of_pressure[0] = np.nan  # as of a foot in the air
    return ReferenceMotion.from_poses(
        body, qpos, 150.0, name=name, contact=forces, source=f"by {name}", licence="MIT"
    )


@pytest.fixture(scope="module")
def entries(legs: Body, walk: ReferenceMotion) -> list[Entry]:
    return [
        Entry(wiggle(legs, "a", 40), "run", "anna"),
        Entry(wiggle(legs, "b", 20, contact=True), "run", "anna", "fine"),
        Entry(walk, "walk", "bert"),
        Entry(wiggle(legs, "c", 60, contact=True), "turn", "carl"),
    ]


@pytest.fixture
def folder(entries: list[Entry], tmp_path: Path) -> Path:
    write_library(tmp_path / "lib", entries)
    return tmp_path / "lib"


def test_what_was_written_comes_back(folder: Path, entries: list[Entry]) -> None:
    library = MotionLibrary(folder)
    assert library.names == ("a", "b", "walk", "c")
    for entry, got, clip in zip(entries, library.motions(), library.clips, strict=True):
        motion = entry.motion
        np.testing.assert_array_equal(got.qpos, motion.qpos)
        np.testing.assert_allclose(got.qvel, motion.qvel, atol=1e-12)
        assert got.hash == motion.hash and got.periodic == motion.periodic
        assert (got.name, got.source, got.licence) == (motion.name, motion.source, motion.licence)
        assert (clip.skill, clip.person, clip.quality) == (entry.skill, entry.person, entry.quality)
        assert clip.duration == pytest.approx(motion.duration)
        assert got.library == folder
        if motion.contact is None:
            assert got.contact is None
        else:
            np.testing.assert_array_equal(got.contact.force, motion.contact.force)
            np.testing.assert_array_equal(
                got.contact.center_of_pressure, motion.contact.center_of_pressure
            )
    assert library.table["duration"].sum() == pytest.approx(sum(e.motion.duration for e in entries))


def test_poses_are_mapped_and_not_read(folder: Path) -> None:
    library = MotionLibrary(folder)
    assert isinstance(library._poses, np.memmap)
    assert library._poses.mode == "r"


def test_clips_are_found_by_their_path(folder: Path, legs: Body) -> None:
    assert is_library(folder) and not is_library(folder.parent)
    assert load_motion(folder / "b", legs).name == "b"
    assert load_motion(str(folder / "walk"), "legs").periodic
    with pytest.raises(InvalidInputError, match=r"library of 4 motions. Name one of them: .*a"):
        load_motion(folder)
    with pytest.raises(InvalidInputError, match=r"Unknown clip 'd'. Available: a, b, c, walk"):
        load_motion(folder / "d")
    with pytest.raises(InvalidInputError, match="takes no reader options, got units"):
        load_motion(folder / "a", units="m")
    with pytest.raises(IncompatibleError, match="'legs', not on 'legs26'"):
        load_motion(folder / "a", "legs26")


def test_weights(folder: Path, entries: list[Entry]) -> None:
    library = MotionLibrary(folder)
    duration = np.array([entry.motion.duration for entry in entries])
    np.testing.assert_allclose(library.weights(), duration / duration.sum())
    np.testing.assert_allclose(library.weights("clip"), 0.25)
    by_skill = library.weights("skill")
    np.testing.assert_allclose(by_skill[:2].sum(), 1 / 3)
    np.testing.assert_allclose(by_skill[:2] / by_skill[:2].sum(), duration[:2] / duration[:2].sum())
    with pytest.raises(InvalidInputError, match="Available: clip, duration, skill"):
        library.weights("speed")


def test_draws_follow_the_weights(folder: Path, entries: list[Entry]) -> None:
    library = MotionLibrary(folder)
    weights = np.array([1.0, 0.0, 2.0, 5.0])
    clip, frame = library.sample(20_000, np.random.default_rng(0), weights)
    share = np.bincount(clip, minlength=4) / clip.size
    # Five standard deviations of a share of 20,000 draws.
    np.testing.assert_allclose(share, weights / 8, atol=5 * 0.5 / np.sqrt(20_000))
    assert share[1] == 0
    for k, entry in enumerate(entries):
        drawn = frame[clip == k]
        assert (drawn < entry.motion.n_frames).all() and (drawn >= 0).all()
    assert set(frame[clip == 0]) == set(range(40))
    again = library.sample(20_000, np.random.default_rng(0), weights)
    np.testing.assert_array_equal(again[0], clip)
    for wrong in ([1.0], [1, 1, 1, -1], [0, 0, 0, 0], [1, 1, 1, np.nan]):
        with pytest.raises(InvalidInputError, match="weights must be 4 numbers"):
            library.sample(3, np.random.default_rng(0), np.array(wrong))


# -- what disagrees -------------------------------------------------------------------------------


def edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text())
        change(index)
        (folder / "index.json").write_text(json.dumps(index))

    return apply


def replace_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        array = np.load(folder / name)
        np.save(folder / name, change(array))

    return apply


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (replace_array("poses.npy", lambda x: x[:-1]), "frames. Expected the .* of the index"),
        (replace_array("poses.npy", lambda x: x[:, :-1]), "float64 of shape"),
        (replace_array("poses.npy", lambda x: x.astype(np.float32)), "float32 of shape"),
        (replace_array("contact.npy", lambda x: x[1:]), "251 frames. Expected the 252 frames"),
        (replace_array("contact.npy", lambda x: x[..., :3]), "force and centre of pressure"),
        (lambda f: (f / "contact.npy").unlink(), "0 frames. Expected the 252 frames"),
        (lambda f: (f / "poses.npy").unlink(), "cannot be opened"),
        (lambda f: (f / "index.json").write_text("{"), "cannot be opened"),
        (lambda f: (f / "index.json").write_text("[]"), "another layout of the index"),
        (lambda f: (f / "poses.npy").write_bytes(b"\x93NUMPY"), "cannot be opened"),
        (edit(lambda i: i.update(version=99)), "another layout of the index"),
        (edit(lambda i: i.pop("nq")), "another layout of the index"),
        (edit(lambda i: i["clips"][1].update(start=41)), "'b' at frame 41. Expected .* at 40"),
        (edit(lambda i: i["clips"].pop()), "frames. Expected the"),
        (edit(lambda i: i["clips"][0].pop("rate")), "a clip that cannot be read"),
        (edit(lambda i: i["clips"][0].update(color="red")), "a clip that cannot be read"),
        (edit(lambda i: i["clips"][0].update(n_frames="40")), "a clip that cannot be read"),
        (edit(lambda i: i["clips"][1].update(contact_start=3)), "ground forces of 'b' at frame 3"),
        (edit(lambda i: i["clips"][1].update(name="a")), "a name of a clip twice"),
    ],
)
def test_index_and_data_that_disagree_are_refused(
    folder: Path, spoil: Callable[[Path], object], found: str
) -> None:
    spoil(folder)
    with pytest.raises(FileFormatError, match=found):
        MotionLibrary(folder)


def change_value(array: np.ndarray) -> np.ndarray:
    array.flat[-5] += 0.01
    return array


@pytest.mark.parametrize(
    "spoil",
    [
        replace_array("poses.npy", change_value),
        replace_array("contact.npy", change_value),
        edit(lambda i: i["clips"][3].update(rate=100.0)),
        edit(lambda i: i["clips"][3].update(hash="0" * 64)),
    ],
)
def test_a_clip_of_another_hash_is_refused(folder: Path, spoil: Callable[[Path], None]) -> None:
    spoil(folder)
    library = MotionLibrary(folder)
    assert library.motion("a").n_frames == 40
    with pytest.raises(FileFormatError, match="other values of 'c' than the index"):
        library.motion("c")


def test_another_body_is_refused(folder: Path) -> None:
    edit(lambda i: i.update(body_layout="other"))(folder)
    with pytest.raises(IncompatibleError, match="another layout of body 'legs'"):
        MotionLibrary(folder)


def test_what_is_no_library(tmp_path: Path, legs: Body) -> None:
    with pytest.raises(InvalidInputError, match="names of their own, got none"):
        write_library(tmp_path / "lib", [])
    one = Entry(wiggle(legs, "a", 5), "walk", "anna")
    with pytest.raises(InvalidInputError, match="got a"):
        write_library(tmp_path / "lib", [one, one])
    other = Entry(wiggle(load_body("legs26"), "b", 5), "walk", "anna")
    with pytest.raises(InvalidInputError, match="one body, got legs and legs26"):
        write_library(tmp_path / "lib", [one, other])
    assert not (tmp_path / "lib").exists()
    with pytest.raises(FileFormatError, match="cannot be opened"):
        MotionLibrary(tmp_path / "lib")


# -- splits and keys ------------------------------------------------------------------------------


def test_whole_persons_are_held_out(folder: Path) -> None:
    clips = MotionLibrary(folder).clips
    splits = split_by_person(clips, {"validation": ["bert"], "test": ["anna"]})
    assert splits == {"train": ("c",), "validation": ("walk",), "test": ("a", "b")}
    check_splits(clips, splits)
    with pytest.raises(InvalidInputError, match="'anna' is in 'train' and in 'test'"):
        check_splits(clips, {"train": ["a"], "test": ["b"]})
    with pytest.raises(InvalidInputError, match="Unknown clip 'z'"):
        check_splits(clips, {"train": ["z"]})
    with pytest.raises(InvalidInputError, match="Unknown person 'dora'"):
        split_by_person(clips, {"test": ["dora"]})
    with pytest.raises(InvalidInputError, match="held out twice"):
        split_by_person(clips, {"test": ["anna"], "validation": ["anna"]})
    with pytest.raises(InvalidInputError, match="validation or test, got 'train'"):
        split_by_person(clips, {"train": ["anna"]})


def test_key_files(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    write_keys(file, ["walk", "a"], "two of them")
    assert read_keys(file) == ("walk", "a")
    assert MotionLibrary(folder, read_keys(file)).names == ("walk", "a")
    file.write_text('["a", "0-KIT_3_walk_forwards04_poses"]')  # as KINESIS's lists, dumped
    assert read_keys(file) == ("a", "0-KIT_3_walk_forwards04_poses")
    with pytest.raises(InvalidInputError, match="Unknown clip '0-KIT"):
        MotionLibrary(folder).subset(read_keys(file))
    for content, found in (
        ("# nothing\n", "no names"),
        ("a\nb\na\n", "a more than once"),
        ('["a", 1]', "no text"),
        ('["a"', "cannot be read"),
    ):
        file.write_text(content)
        with pytest.raises(FileFormatError, match=found):
            read_keys(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_keys(file)
    with pytest.raises(FileFormatError, match="a folder"):
        read_keys(tmp_path)


# -- motions of a training ------------------------------------------------------------------------


def test_names_and_libraries_together(folder: Path, tmp_path: Path, legs: Body) -> None:
    write_keys(tmp_path / "train.txt", ["c", "a"])
    chosen = collect_motions(["walk", folder], legs, keys=tmp_path / "train.txt")
    assert [m.name for m in chosen.motions] == ["walk", "c", "a"]
    assert chosen.skill == ("", "turn", "run")
    duration = np.array([m.duration for m in chosen.motions])
    np.testing.assert_allclose(chosen.weight, duration / duration.sum())
    weighed = collect_motions(
        ["walk", folder], legs, keys=tmp_path / "train.txt", weights=(3, 1), weighting="clip"
    )
    np.testing.assert_allclose(weighed.weight, [0.75, 0.125, 0.125])
    alike = collect_motions([folder], legs, weighting="skill")
    np.testing.assert_allclose(alike.weight, MotionLibrary(folder).weights("skill"))


@pytest.mark.parametrize(
    ("sources", "options", "found"),
    [
        (["walk"], {"weighting": "speed"}, "Available: clip, duration, skill"),
        (["walk"], {"keys": "{keys}"}, "choose among the clips of a library"),
        (["{lib}"], {"keys": "{bad}"}, "Unknown clip 'z'"),
        (["{lib}", "walk"], {}, "got walk more than once"),
        (["{lib}"], {"weights": (1, 2)}, "1 numbers that are not negative"),
        (["{lib}"], {"weights": (np.nan,)}, "not negative"),
        (["{lib}"], {"weights": (0,)}, "must be positive"),
        ([], {}, "At least one motion is needed"),
    ],
)
def test_motions_that_cannot_be_collected(
    folder: Path, tmp_path: Path, legs: Body, sources: list, options: dict, found: str
) -> None:
    write_keys(tmp_path / "keys.txt", ["a"])
    write_keys(tmp_path / "bad.txt", ["z"])
    places = {"lib": folder, "keys": tmp_path / "keys.txt", "bad": tmp_path / "bad.txt"}
    sources = [source.format(**places) for source in sources]
    options = {k: v.format(**places) if isinstance(v, str) else v for k, v in options.items()}
    with pytest.raises(KinesisError, match=found):
        collect_motions(sources, legs, **options)


def test_a_library_of_another_body_is_refused(folder: Path) -> None:
    with pytest.raises(IncompatibleError, match="Build a library for this body"):
        collect_motions([folder], load_body("legs26"))
