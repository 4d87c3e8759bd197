"""The command line, ``kinesis-neuro COMMAND``. Thin: no logic."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tyro

from kinesis_neuro.commands import (
    TRAININGS,
    Bench,
    Command,
    Compare,
    Demo,
    Distill,
    Evaluate,
    Export,
    Figures,
    Mine,
    Record,
    Render,
    Report,
    Text,
    Train,
    View,
)
from kinesis_neuro.errors import InvalidInputError, KinesisError


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
