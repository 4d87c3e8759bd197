"""Commands of the command line and their options; what they do is in cli.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from kinesis_neuro.bench.machine_bench import BenchConfig
from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.learn.config import DistillConfig, TrainConfig
from kinesis_neuro.learn.mining_config import MiningConfig
from kinesis_neuro.learn.recipes import kick_training, reach_training, steer_training


@dataclass(frozen=True)
class Demo:
    """Walk 10 s with the shipped policy; write recording, figure and video."""

    out: Path = Path("demo")
    """Folder to write to."""
    policy: str = "walk"
    """Name of a shipped policy, or a policy's folder."""
    duration: float = 10.0
    """Length of the walk [s]."""
    video: bool = True
    """Whether to render a video beside the filmstrip."""


@dataclass(frozen=True)
class Train:
    """Train a policy, or go on with an interrupted run in runs/NAME."""

    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)


@dataclass(frozen=True)
class TrainSteer(Train):
    """Train a policy of heading and speed control; give --initial-policy a walker."""

    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=steer_training)


@dataclass(frozen=True)
class TrainReach(Train):
    """Train a policy of target reaching; give --initial-policy a walker, or one that is steered."""

    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=reach_training)


@dataclass(frozen=True)
class TrainKick(Train):
    """Train a policy of the penalty kick; give --initial-policy a walker."""

    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=kick_training)


@dataclass(frozen=True)
class Mine:
    """Train experts on the clips that their predecessors fail, and a gate; in runs/TRAIN.NAME."""

    config: Annotated[MiningConfig, tyro.conf.arg(name="")] = field(default_factory=MiningConfig)


@dataclass(frozen=True)
class Distill:
    """Clone policies into one that drives muscles alone, in runs/NAME."""

    config: Annotated[DistillConfig, tyro.conf.arg(name="")] = field(default_factory=DistillConfig)


@dataclass(frozen=True)
class Evaluate:
    """Measure how well a policy follows motions, under both protocols, or how it meets its goal.

    A policy of a task is asked for its goal, unless motions are given.
    """

    policy: tyro.conf.Positional[str]
    """Name of a shipped policy, or a policy's folder."""
    motions: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names or files, or one motion library; the first motion that the policy was trained on if
    none are given."""
    keys: tuple[Path, ...] = ()
    """Key files of a library's clips, each a split of its own in the table; all clips if none."""
    failures: Path = Path("failures.txt")
    """Key file to write, of the clips of a library that failed."""
    protocol: str = "strict"
    """By which they failed: 'strict' or 'kinesis'."""
    n_starts: int | None = None
    """Episodes a motion: 100, or 1 a clip of a library, if not given."""
    duration: float = 10.0
    """Of an episode [s]; of a library's clip at most."""
    seed: int = 0


@dataclass(frozen=True)
class Record:
    """Record a policy to a NetCDF file."""

    policy: tyro.conf.Positional[str]
    """Name of a shipped policy, a policy's folder, or 'untrained'."""
    out: tyro.conf.Positional[Path]
    """File to write (.nc)."""
    motion: str = ""
    """Name or file; the first that the policy was trained on if not given."""
    duration: float = 10.0
    """[s]"""
    seed: int = 0
    on_fall: str = "stop"
    """'stop' or 'restart'."""
    condition: MuscleCondition = field(default_factory=MuscleCondition)
    """Of the muscles; the one that the policy was trained with if none is given."""


@dataclass(frozen=True)
class Text:
    """Let a policy follow a sentence, or a text-to-motion model's file, and record it."""

    sentence: tyro.conf.Positional[str]
    """English, such as "walk forward slowly, then turn left"; or a motion file (.npy, .pkl)."""
    out: Path | None = None
    """File to write (.nc); what was understood is shown all the same if not given."""
    policy: str = "walk"
    """Name of a shipped policy, or a policy's folder."""
    library: Path | None = None
    """Motion library to choose clips from; the built-in gait if not given."""
    keys: Path | None = None
    """Key file of the clips that may be used; all if not given."""
    matcher: str = "auto"
    """'words', 'encoder' (extra 'text'), or 'auto': the encoder where words do not do."""
    keep: Path | None = None
    """Folder of a new motion library to write the motion to."""
    seed: int = 0


@dataclass(frozen=True)
class View:
    """Watch a policy or a recording in MuJoCo's viewer; the keys stand on the screen."""

    source: tyro.conf.Positional[str] = "walk"
    """A policy's name or folder, or the file of a recording (.nc or .nwb)."""
    motion: str = ""
    """What the policy follows, or the recording followed."""
    seed: int = 0


@dataclass(frozen=True)
class Render:
    """Film a recording or a policy (.mp4 or .gif), with the reference as a ghost; headless."""

    source: tyro.conf.Positional[str]
    """File of a recording (.nc or .nwb), or a policy's name or folder."""
    out: tyro.conf.Positional[Path]
    """File to write (.mp4 or .gif)."""
    motion: str = ""
    """What the policy follows, or the recording followed; found by its name if not given."""
    duration: float = 10.0
    """Of a policy's recording [s]."""
    seed: int = 0
    ghost: bool = True
    """Whether the reference is shown."""
    fps: float = 30.0
    """Frames a second."""
    size: tuple[int, int] = (480, 360)
    """Width and height [pixels]."""
    speed: float = 1.0
    """Seconds of the recording for each second of the video."""
    backend: str = "auto"
    """'auto', 'gl' (MuJoCo's renderer) or 'lines' (matplotlib)."""


@dataclass(frozen=True)
class Export:
    """Convert a recording: NetCDF (.nc) to NWB (.nwb), or back."""

    recording: tyro.conf.Positional[Path]
    """File to read (.nc or .nwb)."""
    out: tyro.conf.Positional[Path]
    """File to write; its suffix chooses the format."""


@dataclass(frozen=True)
class Figures:
    """Make a paper's figures (PDF and PNG, with captions) from recordings of policies."""

    out: Path = Path("figures")
    """Folder to write to."""
    only: tuple[str, ...] = ()
    """Names of figures; all of them if none is given."""
    policies: tuple[str, ...] = ("walk", "walk-excitation")
    """Names of shipped policies, or policies' folders."""
    recordings: Path | None = None
    """Folder in which recordings are kept; OUT/recordings if not given."""
    duration: float = 15.0
    """Of each recording [s]."""
    seed: int = 0


@dataclass(frozen=True)
class Compare:
    """Compare a recording's muscles with people's EMG: a table, and the result in words."""

    recording: tyro.conf.Positional[Path]
    """File of a recording (.nc or .nwb)."""
    subjects: tyro.conf.Positional[tuple[str, ...]]
    """Names (see kn.list_subjects()) or files of EMG subjects; several people have a ceiling."""
    speed: float | None = None
    """Chooses among the speeds of named subjects [m/s]."""
    signal: str = "activation"
    """'activation', 'excitation', 'equivalent_excitation' or 'muscle_force'."""
    delay: float = 0.0
    """Stated electromechanical delay [s]."""
    pipeline: str | None = None
    """Makes envelopes of raw EMG: 'winter', 'santuz2018' or 'pycgm2'."""
    n_null: int = 1000
    """Surrogates."""
    seed: int = 0


@dataclass(frozen=True)
class Report(Compare):
    """Write one HTML page about a recording and EMG subjects: figures, tables, methods."""

    out: Path = Path("report.html")
    """Page to write."""


@dataclass(frozen=True)
class Bench:
    """Measure this machine: steps a second by body and backend, and hours of a training."""

    config: Annotated[BenchConfig, tyro.conf.arg(name="")] = field(default_factory=BenchConfig)


Command = (
    Bench
    | Demo
    | Train
    | Mine
    | Distill
    | Evaluate
    | Record
    | Text
    | View
    | Render
    | Export
    | Figures
    | Compare
)


TRAININGS = {"steer": TrainSteer, "reach": TrainReach, "kick": TrainKick}
"""Commands ``train TASK``, by task."""
