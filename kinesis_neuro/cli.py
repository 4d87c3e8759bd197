"""The command line, ``kinesis-neuro COMMAND``. Thin: no logic."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from kinesis_neuro.bench.machine_bench import BenchConfig
from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.errors import InvalidInputError, KinesisError
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


def run(command: Command) -> None:
    """Carry a command out."""
    if isinstance(command, Bench):
        from kinesis_neuro.bench.machine_bench import print_bench

        print_bench(command.config)
    elif isinstance(command, Demo):
        from kinesis_neuro.demo import demo

        demo(command.out, policy=command.policy, duration=command.duration, video=command.video)
    elif isinstance(command, Train):
        from kinesis_neuro.learn.trainer import train

        train(command.config)
        print(f"Policy and log are in {Path('runs') / command.config.name}")
    elif isinstance(command, Mine):
        from kinesis_neuro.mining import mine

        print(mine(command.config).to_string(float_format="{:.3f}".format))
        print(f"Policies and table are in {Path('runs') / command.config.train.name}")
    elif isinstance(command, Distill):
        from kinesis_neuro.learn.distill import distill

        distill(command.config)
        print(f"Policy and log are in {Path('runs') / command.config.name}")
    elif isinstance(command, Evaluate):
        from kinesis_neuro.motion.repertoire import is_library

        if any(is_library(motion) for motion in command.motions):
            _evaluate_library(command)
        else:
            _evaluate(command)
    elif isinstance(command, Figures):
        from kinesis_neuro.figures import make_figures

        make_figures(
            command.out,
            command.only,
            policies=command.policies,
            recordings=command.recordings,
            duration=command.duration,
            seed=command.seed,
        )
    elif isinstance(command, Report):
        from kinesis_neuro.report import write_report

        page = write_report(
            command.recording,
            command.subjects,
            command.out,
            speed=command.speed,
            signal=command.signal,
            delay=command.delay,
            pipeline=command.pipeline,
            n_null=command.n_null,
            seed=command.seed,
        )
        print(f"Wrote {page}")
    elif isinstance(command, Compare):
        _compare(command)
    elif isinstance(command, Text):
        _text(command)
    elif isinstance(command, View):
        from kinesis_neuro.view import view

        view(command.source, command.motion or None, seed=command.seed)
    elif isinstance(command, Render):
        from kinesis_neuro.filming import film

        options = {name: getattr(command, name) for name in ("fps", "size", "speed", "backend")}
        made = film(
            command.source,
            command.out,
            motion=command.motion or None,
            duration=command.duration,
            seed=command.seed,
            ghost=command.ghost,
            **options,
        )
        print(f"Wrote {made}")
    elif isinstance(command, Export):
        from kinesis_neuro.nwb import convert

        convert(command.recording, command.out)
        print(f"Wrote {command.out}")
    else:
        from kinesis_neuro.netcdf import write_netcdf
        from kinesis_neuro.record import record

        recording = record(
            command.policy,
            command.motion or None,
            command.duration,
            command.seed,
            on_fall=command.on_fall,
            condition=None if command.condition.is_none else command.condition,
        )
        write_netcdf(recording, command.out)
        print(f"Wrote {recording.sizes['time']} samples to {command.out}")


def _text(command: Text) -> None:
    from kinesis_neuro.follow_text import follow, motion_of
    from kinesis_neuro.motion.splits import read_keys
    from kinesis_neuro.netcdf import write_netcdf

    keys = None if command.keys is None else read_keys(command.keys)
    if command.out is None and command.keep is None:
        print(motion_of(command.sentence, command.library, keys=keys, matcher=command.matcher))
        return
    recording = follow(
        command.sentence,
        command.policy,
        command.library,
        keys=keys,
        matcher=command.matcher,
        seed=command.seed,
        keep=command.keep,
    )
    fell = "fell" if recording.attrs["n_falls"] else "came to the end"
    seconds = recording.sizes["time"] / recording.attrs["sampling_rate"]
    print(f"Policy {command.policy!r} {fell} after {seconds:.2f} s")
    if command.out is not None:
        write_netcdf(recording, command.out)
        print(f"Wrote {command.out}")


def _compare(command: Compare) -> None:
    from kinesis_neuro.analysis.compare import compare_emg
    from kinesis_neuro.report.inputs import read_people, read_recording

    result = compare_emg(
        read_recording(command.recording),
        read_people(command.subjects, command.speed, command.pipeline),
        signal=command.signal,
        delay=command.delay,
        n_null=command.n_null,
        seed=command.seed,
    )
    columns = ["r", "r_low", "r_high", "null_95", "p_fdr", "ceiling_pairwise", "r_best", "best_lag"]
    print(result.table[columns].to_string(float_format="{:.2f}".format))
    print()
    print(result.summary())


def _evaluate(command: Evaluate) -> None:
    from kinesis_neuro.evaluate import evaluate
    from kinesis_neuro.evaluate_goal import evaluate_goal, goal_table, has_goal
    from kinesis_neuro.learn.play import as_policy
    from kinesis_neuro.scores import summary_table

    if command.keys:
        raise InvalidInputError("Keys choose among the clips of a motion library; give its folder.")
    policy = as_policy(command.policy)
    if has_goal(policy) and not command.motions:
        found = evaluate_goal(
            policy,
            n_episodes=100 if command.n_starts is None else command.n_starts,
            duration=command.duration,
            seed=command.seed,
        )
        print(goal_table(json.loads(found.attrs["summary"])))
        return
    result = evaluate(
        command.policy,
        list(command.motions) or None,
        n_starts=100 if command.n_starts is None else command.n_starts,
        duration=command.duration,
        seed=command.seed,
    )
    print(summary_table(json.loads(result.attrs["summary"])))


def _evaluate_library(command: Evaluate) -> None:
    from kinesis_neuro.evaluate_library import (
        evaluate_library,
        failed_clips,
        skill_table,
        table_text,
    )
    from kinesis_neuro.motion.splits import read_keys, write_keys

    if len(command.motions) > 1:
        raise InvalidInputError("A motion library is evaluated by itself; give its folder alone.")
    episodes = evaluate_library(
        command.policy,
        command.motions[0],
        {path.stem: read_keys(path) for path in command.keys} or None,
        n_starts=1 if command.n_starts is None else command.n_starts,
        duration=command.duration,
        seed=command.seed,
    )
    print(table_text(skill_table(episodes, command.seed)))
    failed = failed_clips(episodes, command.protocol)
    write_keys(command.failures, failed, f"failed by {command.policy}, {command.protocol}")
    print(
        f"{len(failed)} clips failed under {command.protocol}; their keys are in {command.failures}"
    )


TRAININGS = {"steer": TrainSteer, "reach": TrainReach, "kick": TrainKick}
"""Commands ``train TASK``, by task."""


def _joined(arguments: list[str]) -> list[str]:
    """``train reach`` as the one word ``train-reach``, under which it is listed."""
    if arguments[:1] == ["train"] and arguments[1:2] and arguments[1] in TRAININGS:
        return [f"train-{arguments[1]}", *arguments[2:]]
    return arguments


def main(arguments: list[str] | None = None) -> None:
    """Entry point; errors of the library are printed as one line, without a traceback."""
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            {
                "bench": Bench,
                "demo": Demo,
                "train": Train,
                **{f"train-{task}": command for task, command in TRAININGS.items()},
                "mine": Mine,
                "distill": Distill,
                "evaluate": Evaluate,
                "record": Record,
                "text": Text,
                "view": View,
                "render": Render,
                "export": Export,
                "figures": Figures,
                "compare": Compare,
                "report": Report,
            },
            prog="kinesis-neuro",
            description="Muscle-driven bodies that learn to move like people.",
            args=_joined(sys.argv[1:] if arguments is None else arguments),
        )
        run(command)
    except KinesisError as error:
        sys.exit(f"kinesis-neuro: {error}")


if __name__ == "__main__":
    main()
