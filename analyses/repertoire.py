"""Build the repertoire: clips of several people and skills in one motion library, with splits.

Reads the folder of recordings, puts every clip on the body, lets it through the gate (whole, its
longest good part, or not at all), and writes the library with its key files and ``report.csv``.
The library is derived from recordings, so it goes to ``runs/``, which is not committed; the table
of figures by clip goes to ``docs/``. Clips that are done lie beside the library, so that the
program can be interrupted, and goes on; ``--again PATTERN`` builds clips of these names anew.

    python analyses/repertoire.py [--out runs/repertoire] [--body legs] [--again PATTERN]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from repertoire_clips import HELD_OUT, Planned, planned
from repertoire_ways import WAYS, way_motion

from kinesis_neuro.body.models import load_body
from kinesis_neuro.data_folder import data_folder
from kinesis_neuro.errors import KinesisError
from kinesis_neuro.formats.atomic import atomic_path
from kinesis_neuro.motion.balance import balanced_or_not
from kinesis_neuro.motion.clips import Entry, speed_and_turning, write_library
from kinesis_neuro.motion.feedforward import muscle_activations
from kinesis_neuro.motion.files import read_motion_file
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.planting import JUDGED, plant_feet
from kinesis_neuro.motion.quality import Quality, gate
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.repertoire import MotionLibrary, is_library
from kinesis_neuro.motion.retarget import retarget_assessed
from kinesis_neuro.motion.retarget_config import RetargetConfig
from kinesis_neuro.motion.splits import check_splits, split_by_person, write_keys
from kinesis_neuro.motion.variants import faster, low_passed
from kinesis_neuro.motion.zero_moment import ground_demand

REPAIR = RetargetConfig(on_fault="repair")
WALKING, RUNNING = 6.0, 10.0
"""Cut-off of the poses [Hz]."""


def build(plan: Planned, folder: Path, body_name: str) -> tuple[Entry, dict[str, float]]:
    """One clip on the body, past the gate and in balance, and its figures."""
    body = load_body(body_name)
    path = folder / plan.file
    about = {"name": plan.name, "source": plan.source, "licence": plan.licence}
    if plan.file == "":
        motion, quality = gate(way_motion(body, plan.name), REPAIR.limits)
    elif path.suffix in (".mot", ".sto", ""):
        source = path if path.suffix else plan.file
        motion = load_motion(source, body, **plan.options, **(about if path.suffix else {}))
        if plan.part is not None:
            motion = motion.slice(*plan.part)
        try:
            motion, quality = gate(motion, REPAIR.limits)
        except KinesisError:
            motion, quality = plant_feet(motion, REPAIR)
    else:
        data = read_motion_file(path, **plan.options)
        motion, quality = retarget_assessed(data, body, REPAIR, **about)
    if motion.contact is None and plan.file:
        motion, quality = smoothed(motion, quality, RUNNING if "run" in plan.skill else WALKING)
    if plan.tempo != 1.0:
        motion = faster(motion, plan.tempo)
    motion, quality, weighed = steadied(motion, quality)
    motion = replace(motion, name=plan.name)
    return Entry(motion, plan.skill, plan.person, summary(quality)), figures(quality) | weighed


def smoothed(
    motion: ReferenceMotion, quality: Quality, cutoff: float
) -> tuple[ReferenceMotion, Quality]:
    """Without the jerks of sampling and planting, where the clip stays as good as it was.

    Retargeted clips have joint accelerations twice those of what people do, and the muscles would
    have to follow them.
    """
    try:
        smooth, found = gate(low_passed(motion, cutoff), REPAIR.limits)
    except KinesisError:
        return motion, quality
    if smooth.n_frames < motion.n_frames:
        return motion, quality
    return smooth, replace(found, position_error=quality.position_error)


def steadied(
    motion: ReferenceMotion, quality: Quality
) -> tuple[ReferenceMotion, Quality, dict[str, float]]:
    """With the pelvis where the feet can carry it, where the clip stays as good as it was.

    A recording that brings its own ground forces stays as it was measured.
    """
    before = after = ground_demand(motion).mean_outside()
    way = 0.0
    if motion.contact is None:
        steady, found = balanced_or_not(motion, REPAIR.limits)
        where = [motion.body.segments.index(s) for s in JUDGED]
        gone = steady.frames.body_position[:, where] - motion.frames.body_position[:, where]
        error = quality.position_error
        if error is not None:  # at most: the ways may also bring them nearer
            error += float(np.linalg.norm(gone, axis=-1).mean())
        if error is None or error <= REPAIR.limits.position_error:
            after = ground_demand(steady).mean_outside()
            way = float(np.linalg.norm(steady.qpos[:, :2] - motion.qpos[:, :2], axis=1).max())
            motion, quality = steady, replace(found, position_error=error)
    weighed = {"outside_mm": before, "outside_after_mm": after, "pelvis_moved_mm": way}
    return motion, quality, {name: 1e3 * value for name, value in weighed.items()}


def summary(quality: Quality) -> str:
    """Shares of frames with each finding, in one line."""
    return ", ".join(f"{name} {value:.3g}" for name, value in figures(quality).items())


def figures(quality: Quality) -> dict[str, float]:
    """What the table says of a clip's quality."""
    report = quality.report
    found = {
        name: finding.fraction(report.n_frames)
        for name, finding in (
            ("joint_limits", report.joint_limits),
            ("penetration", report.penetration),
            ("floating", quality.floating),
            ("skating", report.skating),
            ("tendon_jumps", quality.tendon_jumps),
        )
    }
    if quality.position_error is not None:
        found["position_error_mm"] = 1e3 * quality.position_error
    return found


def built_once(plan: Planned, folder: Path, body: str, part: Path) -> dict[str, Any]:
    """Row of the table for a clip, which is built into a library of its own."""
    begun = time.process_time()
    row: dict[str, Any] = {
        name: getattr(plan, name) for name in ("name", "skill", "person", "source", "licence")
    }
    try:
        entry, found = build(plan, folder, body)
    except KinesisError as error:
        row |= {"kept": False, "why": str(error)}
    else:
        motion = entry.motion
        write_library(part, [entry])
        speed, turning = speed_and_turning(motion)
        spent = 1e3 * (time.process_time() - begun) / motion.n_frames
        row |= {"kept": True, "seconds": motion.duration, "speed": speed, "turning_rate": turning}
        row |= found | {"cpu_ms_per_frame": spent}
    with atomic_path(part.with_suffix(".json")) as file:
        file.write_text(json.dumps(row))
    return row


def page(table: pd.DataFrame, n_planned: int) -> str:
    """The clips as a page: how good they are beside MuscleMimic's marks, and one by one."""
    kept = table[table["kept"]]
    solved = kept[kept["position_error_mm"].notna()]
    frames = kept["seconds"] / kept["seconds"].sum()
    jumping = (kept["tendon_jumps"] > 0).mean()
    lines = [
        "# Clips of the repertoire",
        "",
        "Written by `analyses/repertoire.py`; [Motions](motions.md) says what the figures are.",
        "",
        "| | here | MuscleMimic's mark |",
        "|---|---|---|",
        f"| frames with a joint beyond its limits | {100 * frames @ kept['joint_limits']:.2f} % "
        "| 0.27 % |",
        f"| motions in which a muscle's path jumps | {100 * jumping:.1f} % | 3.2 % |",
        "| hips, knees and ankles from their targets | "
        f"{np.average(solved['position_error_mm'], weights=solved['seconds']):.1f} mm | 25 mm |",
        f"| CPU time a frame of the result, at 150 Hz | {kept['cpu_ms_per_frame'].median():.1f} ms "
        "| 250 ms |",
        "",
        f"Put on the body, clips need forces that the feet cannot give: the zero moment point lies "
        f"{frames @ kept['outside_mm']:.0f} mm out of them on average. With the pelvis moved by up "
        f"to {kept['pelvis_moved_mm'].median():.0f} mm (median of the clips), it lies "
        f"{frames @ kept['outside_after_mm']:.0f} mm out of them.",
        "",
        f"Of {n_planned} planned clips {len(table)} are built, and {len(kept)} passed the gate, "
        f"whole or in part: {kept['seconds'].sum():.0f} s.",
        "",
        "| split | skill | clips | seconds | speeds [m/s] |",
        "|---|---|---|---|---|",
    ]
    for (split, skill), part in kept.groupby(["split", "skill"]):
        low, high = part["speed"].min(), part["speed"].max()
        lines.append(
            f"| {split} | {skill} | {len(part)} | {part['seconds'].sum():.1f} "
            f"| {low:.1f} to {high:.1f} |"
        )
    lines += [
        "",
        "| clip | skill | split | s | m/s | rad/s | floating | skating | mm | out of the feet, "
        "before and after, mm | pelvis, mm | source | licence |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in kept.to_dict("records"):
        error = row["position_error_mm"]
        lines.append(
            f"| {row['name']} | {row['skill']} | {row['split']} | {row['seconds']:.1f} "
            f"| {row['speed']:.2f} | {row['turning_rate']:+.2f} | {100 * row['floating']:.1f} % "
            f"| {100 * row['skating']:.1f} % | {'' if np.isnan(error) else f'{error:.0f}'} "
            f"| {row['outside_mm']:.0f}, {row['outside_after_mm']:.0f} "
            f"| {row['pelvis_moved_mm']:.0f} | {row['source']} | {row['licence']} |"
        )
    refused = table[~table["kept"]]
    if len(refused):
        lines += ["", "Refused:", ""]
        lines += [f"- `{row['name']}`: {row['why']}" for row in refused.to_dict("records")]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Build, split, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/repertoire"))
    parser.add_argument("--body", default="legs")
    parser.add_argument("--again", default="", help="pattern of names of clips to build anew")
    parser.add_argument("--built", action="store_true", help="write what is built so far, no more")
    parser.add_argument("--table", type=Path, help="page for the table of clips (.md)")
    parser.add_argument("--solve", action="store_true", help="static optimisation of every clip")
    given = parser.parse_args()
    folder = data_folder()
    parts = given.out.with_name(given.out.name + ".parts")
    parts.mkdir(parents=True, exist_ok=True)
    rows, entries = [], []
    plans = list(planned(folder))
    for plan in plans:
        part = parts / plan.name
        said = part.with_suffix(".json")
        if said.exists() and not fnmatch.fnmatch(plan.name, given.again):
            row = json.loads(said.read_text())
        elif given.built:
            continue
        else:
            row = built_once(plan, folder, given.body, part)
            print(
                {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True
            )
        rows.append(row)
        if row["kept"] and is_library(part):
            library = MotionLibrary(part)
            quality = library.clips[0].quality
            entries.append(Entry(library.motion(0), plan.skill, plan.person, quality))
    write_library(given.out, entries)
    library = MotionLibrary(given.out)
    library.motions()
    people = {clip.person for clip in library.clips}
    held = {split: [p for p in names if p in people] for split, names in HELD_OUT.items()}
    splits = split_by_person(library.clips, held)
    check_splits(library.clips, splits)
    split_of = {name: split for split, names in splits.items() for name in names}
    for split, names in splits.items():
        if names:
            write_keys(given.out / f"{split}.txt", names, f"{len(names)} clips for {split}")
    skill = {clip.name: clip.skill for clip in library.clips}
    train = splits["train"]
    walking = [name for name in train if "run" not in skill[name]]
    further = {
        "walking": (walking, "that walk"),
        "recorded": ([name for name in walking if name not in WAYS], "that walk and are no ways"),
        "sentences": ([name for name in train if name not in WAYS], "that are no ways"),
    }
    for key, (chosen, which) in further.items():
        if chosen:
            about = f"{len(chosen)} clips for training {which}"
            write_keys(given.out / f"{key}.txt", chosen, about)
    table = pd.DataFrame(rows)
    table.insert(3, "split", table["name"].map(split_of))
    with atomic_path(given.out / "report.csv") as file:
        table.round(4).to_csv(file, index=False)
    if given.table is not None:
        with atomic_path(given.table) as file:
            file.write_text(page(table, len(plans)))
    kept = table[table["kept"]]
    print(kept.groupby(["split", "skill"])[["seconds"]].agg(["count", "sum"]).round(1))
    print(f"{len(kept)} of {len(table)} clips, {kept['seconds'].sum():.0f} s, in {given.out}")
    if given.solve:
        muscle_activations(library.motions())


if __name__ == "__main__":
    main()
