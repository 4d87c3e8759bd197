"""How well a policy follows text: generated clips by category, and sentences, zero-shot.

    python benchmarks/text.py build --library runs/repertoire --keys runs/repertoire/sentences.txt
    python benchmarks/text.py evaluate POLICY [--library runs/repertoire] [--json FILE]

``build`` makes motions of the sentences, of the library's training clips alone, and keeps them in
``runs/text``; ``evaluate`` lets a policy follow them and the clips that a text-to-motion model
generated (``mdm_*`` of the library, see analyses/repertoire.py), each from its first frame to its
end. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from kinesis_neuro.bench.measuring import machine, write_json
from kinesis_neuro.errors import KinesisError
from kinesis_neuro.evaluate_library import evaluate_library
from kinesis_neuro.learn.checkpoint import load_policy
from kinesis_neuro.motion.clips import Entry, write_library
from kinesis_neuro.motion.feedforward import muscle_activations
from kinesis_neuro.motion.repertoire import MotionLibrary
from kinesis_neuro.motion.splits import read_keys
from kinesis_neuro.text.generate import tell
from kinesis_neuro.text.sequence import Part

SENTENCES = (
    "walk forward",
    "walk forward slowly",
    "walk quickly for five seconds",
    "walk at 1.2 m/s for 4 seconds",
    "walk 5 m",
    "take six steps",
    "walk backwards for four seconds",
    "walk in a circle",
    "turn left",
    "turn right 90 degrees, then walk",
    "walk, then turn around",
    "sneak for three seconds, then walk",
    "run for two seconds",
    "jog slowly",
    "run fast",
    "run, then turn left",
    "walk for three seconds and run for two seconds",
    "walk forward slowly, then turn left and run",
    "hurry forward for two seconds",
    "do a cartwheel",
)
"""Twenty sentences: single movements, quantities, sequences, a word that only the encoder knows,
and something that no clip shows."""
LONGEST = 60.0  # s


def build(library: Path, keys: Path | None, work: Path) -> None:
    """Make motions of the sentences, and write what was understood beside them."""
    work.mkdir(parents=True, exist_ok=True)
    shelf = MotionLibrary(library, None if keys is None else read_keys(keys))
    entries, told = [], []
    for sentence in SENTENCES:
        try:
            motion, parts = tell(sentence, shelf)
        except KinesisError as refusal:
            told.append({"sentence": sentence, "refused": str(refusal)})
            print(f"{sentence}: refused: {refusal}")
            continue
        entries.append(Entry(motion, skill="text", person="text"))
        told.append(
            {"sentence": sentence, "motion": motion.name, "parts": [_about(p) for p in parts]}
        )
        print(f"{sentence}: {motion.duration:.1f} s")
        for part in parts:
            print(f"  {part}")
    write_library(work / "sentences", entries)
    about = {"library": str(library), "keys": None if keys is None else str(keys)}
    write_json({**about, "sentences": told}, work / "sentences.json")
    # Once for all policies that need it.
    muscle_activations(MotionLibrary(work / "sentences").motions())


def _about(part: Part) -> dict[str, Any]:
    return {
        "clause": part.clause.text,
        "movement": part.match.movement.name,
        "by": part.match.by,
        "score": part.match.score,
        "clip": part.clip,
        "start": part.start,
        "seconds": part.seconds,
        "repeats": part.repeats,
        "seam": part.seam,
    }


def evaluate(policy: str, library: Path, work: Path) -> dict[str, Any]:
    """Let a policy follow the generated clips and the sentences."""
    played = load_policy(policy)
    shelf = MotionLibrary(library)
    generated = [name for name in shelf.names if name.startswith("mdm_")]
    tempo = [name for name in generated if name.endswith("_x125")]
    names = [name for name in generated if name not in tempo]
    clips = evaluate_library(played, library, {"generated": names}, duration=LONGEST)
    told = evaluate_library(played, work / "sentences", duration=LONGEST)
    splits = {path.stem: read_keys(path) for path in sorted(library.glob("*.txt"))}
    clips["split"] = [_split(name, splits) for name in clips["motion"]]
    clips["category"] = [name.removeprefix("mdm_").rsplit("_", 1)[0] for name in clips["motion"]]
    return {
        "policy": policy,
        "training": dict(played.about.training),
        "clips": clips.to_dict("records"),
        "sentences": told.to_dict("records"),
        "machine": machine(),
    }


def _split(name: str, splits: dict[str, tuple[str, ...]]) -> str:
    return next((split for split, names in splits.items() if name in names), "")


def clip_table(clips: pd.DataFrame) -> str:
    """Success by category and split, Markdown."""
    lines = [
        "| category | clips | strict success | kinesis success | strict coverage | survival [s] "
        "(strict) | of [s] | MPJPE [mm] |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups = [(name, part) for name, part in clips.groupby("category", sort=True)]
    groups += [(f"all of {name}", part) for name, part in clips.groupby("split", sort=True)]
    for name, part in [*groups, ("all", clips)]:
        strict, loose = (part[part["protocol"] == p] for p in ("strict", "kinesis"))
        lines.append(
            f"| {str(name).replace('_', ' ')} | {len(strict)} | "
            f"{int(strict['success'].sum())} of {len(strict)} | "
            f"{int(loose['success'].sum())} of {len(loose)} | "
            f"{100 * strict['frame_coverage'].mean():.0f} % | "
            f"{strict['survival_time'].mean():.2f} | {strict['planned'].mean():.2f} | "
            f"{1e3 * strict['mpjpe'].mean():.0f} |"
        )
    return "\n".join(lines)


def sentence_table(told: pd.DataFrame, about: list[dict[str, Any]]) -> str:
    """Each sentence with its clips and outcome, Markdown."""
    lines = [
        "| sentence | clips | s | strict | kinesis | MPJPE [mm] |",
        "|---|---|---|---|---|---|",
    ]
    for one in about:
        if "refused" in one:
            lines.append(f"| {one['sentence']} | refused | | | | |")
            continue
        clips = ", ".join(
            f"`{p['clip']}` {p['seconds']:.1f} s"
            + (f" (x{p['repeats']})" if p["repeats"] > 1 else "")
            for p in one["parts"]
        )
        mine = told[told["motion"] == one["motion"]].set_index("protocol")
        cells = [
            "to the end" if row["success"] else f"{row['survival_time']:.1f} s"
            for row in (mine.loc["strict"], mine.loc["kinesis"])
        ]
        lines.append(
            f"| {one['sentence']} | {clips} | {mine['planned'].iloc[0]:.1f} | {cells[0]} | "
            f"{cells[1]} | {1e3 * mine.loc['strict', 'mpjpe']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("step", choices=("build", "evaluate"))
    parser.add_argument("policy", nargs="?", default="walk")
    parser.add_argument("--library", type=Path, default=Path("runs/repertoire"))
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/text"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.step == "build":
        build(given.library, given.keys, given.work)
        return
    result = evaluate(given.policy, given.library, given.work)
    about = json.loads((given.work / "sentences.json").read_text())["sentences"]
    print(clip_table(pd.DataFrame(result["clips"])))
    print()
    print(sentence_table(pd.DataFrame(result["sentences"]), about))
    if given.json is not None:
        write_json(result, given.json)


if __name__ == "__main__":
    main()
