"""Hard-negative mining: experts, each for what the one before it fails at, and a gate over all.

As KINESIS does it: an expert is trained on all clips, the clips that it fails are found, the next
expert is trained on these, and so on; then a gate over the frozen experts is trained on all clips.
Every stage leaves its state on disk, so the one command can be interrupted anywhere and goes on.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kinesis_neuro.errors import IncompatibleError, InvalidInputError, unknown_name
from kinesis_neuro.evaluate_library import evaluate_library, failed_clips
from kinesis_neuro.formats.atomic import atomic_path, recover_directory
from kinesis_neuro.learn import checkpoint as files
from kinesis_neuro.learn.config import TrainConfig, from_dict, to_dict
from kinesis_neuro.learn.mining_config import MiningConfig
from kinesis_neuro.learn.trainer import FREE, train
from kinesis_neuro.motion.repertoire import MotionLibrary, is_library
from kinesis_neuro.motion.splits import read_keys, write_keys
from kinesis_neuro.scores import PROTOCOLS

CONFIG = "mining.json"
OUTCOME = "outcome.json"
EPISODES = "episodes.csv"
MIXTURE = "mixture"
_METRICS = ("success", "frame_coverage", "mpjpe")


def mine(
    config: MiningConfig, *, folder: str | Path | None = None, progress: bool = True
) -> pd.DataFrame:
    """Train experts on what their predecessors fail at, and a gate over them; or go on with it.

    Parameters
    ----------
    config : MiningConfig
    folder : str or Path, optional
        ``runs/<name>`` by default. In it ``expert_1`` and so on and ``mixture``, each a training
        run with its ``checkpoint``, ``outcome.json`` and ``episodes.csv``; ``keys_1.txt`` and so
        on, the clips of each expert.
    progress : bool

    Returns
    -------
    DataFrame
        A row a policy: ``n_clips`` it was trained on, ``n_failed`` of these, and over all clips
        ``success``, ``frame_coverage`` and ``mpjpe`` [m] under the protocol.

    Raises
    ------
    InvalidInputError
        If the motions are not one library, or the protocol is unknown.
    IncompatibleError
        If the folder was mined with another configuration.
    """
    if config.protocol not in PROTOCOLS:
        raise unknown_name("protocol", config.protocol, PROTOCOLS)
    folder = Path(folder or Path("runs") / config.train.name)
    folder.mkdir(parents=True, exist_ok=True)
    library = _library(config.train)
    _check_configuration(config, folder / CONFIG)
    clips = read_keys(config.train.keys) if config.train.keys else library.names
    rows: list[dict[str, Any]] = []
    experts: list[str] = []
    own = tuple(clips)
    for number in range(1, config.n_experts + 1):
        name = f"expert_{number}"
        keys = folder / f"keys_{number}.txt"
        write_keys(keys, own, f"clips of {name}")
        run = dataclasses.replace(config.train, name=name, keys=str(keys))
        if experts and config.warm_start:
            run = dataclasses.replace(run, initial_policy=experts[-1])
        outcome = _stage(config, run, folder / name, clips, own, progress)
        rows.append({"policy": name, **outcome})
        experts.append(str(folder / name / "checkpoint"))
        failed = set(outcome.pop("failed"))
        own = tuple(clip for clip in own if clip in failed)
        if not own:
            break
    if config.gate_steps and len(experts) > 1:
        run = dataclasses.replace(
            config.train,
            name=MIXTURE,
            experts=tuple(experts),
            gate=config.gate,
            initial_policy="",
            network=config.gate_network,
            total_steps=config.gate_steps,
            ppo=config.gate_ppo,
        )
        outcome = _stage(config, run, folder / MIXTURE, clips, tuple(clips), progress)
        rows.append({"policy": MIXTURE, **outcome})
    table = pd.DataFrame(rows).drop(columns="failed").set_index("policy")
    with atomic_path(folder / "table.csv") as part:
        table.to_csv(part)
    return table


def _library(config: TrainConfig) -> MotionLibrary:
    if len(config.motions) != 1 or not is_library(config.motions[0]):
        raise InvalidInputError(
            f"Mining needs one motion library, got {', '.join(config.motions)}. Give the folder "
            "that write_library made as the only motion."
        )
    return MotionLibrary(config.motions[0])


def _check_configuration(config: MiningConfig, path: Path) -> None:
    """Write the configuration at the start, and refuse another one later."""
    if not path.exists():
        with atomic_path(path) as part:
            part.write_text(json.dumps(to_dict(config), indent=1) + "\n")
        return
    theirs = to_dict(from_dict(MiningConfig, files.read_json(path)))
    mine_now = to_dict(config)
    different = [k for k in mine_now if k != "train" and mine_now[k] != theirs[k]]
    different += [
        f"train.{k}"
        for k, v in mine_now["train"].items()
        if k not in FREE and v != theirs["train"][k]
    ]
    if different:
        raise IncompatibleError(
            f"The experts in {path.parent} were mined with another configuration: "
            f"{', '.join(different)} differ. Give train.name another name, or the same options."
        )


def _stage(
    config: MiningConfig,
    run: TrainConfig,
    folder: Path,
    clips: Sequence[str],
    own: Sequence[str],
    progress: bool,
) -> dict[str, Any]:
    """Train and evaluate one policy, unless that is done already."""
    done = folder / OUTCOME
    if done.exists():
        return files.read_json(done)
    left = _minutes_left(run, folder)
    if left is None or left > 0.0:
        train(dataclasses.replace(run, minutes=left or 0.0), folder=folder, progress=progress)
    episodes = evaluate_library(
        folder / "checkpoint",
        run.motions[0],
        {"train": clips},
        n_starts=config.n_starts,
        duration=config.duration,
        seed=run.seed,
        n_threads=run.n_threads or None,
    )
    with atomic_path(folder / EPISODES) as part:
        episodes.to_csv(part, index=False)
    judged = episodes[episodes["protocol"] == config.protocol]
    failed = [clip for clip in failed_clips(episodes, config.protocol) if clip in set(own)]
    outcome = {"n_clips": len(own), "n_failed": len(failed), "failed": failed}
    outcome |= {metric: float(judged[metric].mean()) for metric in _METRICS}
    # Last: what is there marks the stage as done.
    with atomic_path(done) as part:
        part.write_text(json.dumps(outcome, indent=1) + "\n")
    return outcome


def _minutes_left(run: TrainConfig, folder: Path) -> float | None:
    """What an interrupted run has left of its time [min]; None where it has no limit."""
    if not run.minutes:
        return None
    recover_directory(folder / "checkpoint")
    path = folder / "checkpoint" / files.TRAINER
    spent = float(files.read_json(path)["seconds"]) if path.exists() else 0.0
    return max(0.0, run.minutes - spent / 60.0)
