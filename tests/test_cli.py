"""The command line: help for each command, one line for each error, files where they were asked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from kinesis_neuro.analysis.compare import compare_emg
from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.cli import main
from kinesis_neuro.emg.datasets import load_subject
from kinesis_neuro.learn.checkpoint import load_policy, save_policy
from kinesis_neuro.learn.policy import untrained_policy
from kinesis_neuro.motion.inverse import static_optimization
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.netcdf import read_netcdf, write_netcdf
from kinesis_neuro.record import record

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Folder of a policy, seen from the folder that the commands run in."""
    monkeypatch.chdir(tmp_path)
    save_policy(untrained_policy(0, "legs26"), tmp_path / "policy")
    return "policy"


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, without the frames and line breaks of a box."""
    captured = capsys.readouterr()
    return re.sub(r"[\s│╭╮╰╯─]+", " ", captured.out + captured.err)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["demo", "train", "evaluate", "record", "Muscle-driven bodies"]),
        (["demo"], ["--out", "--policy", "--duration", "--video", "shipped"]),
        (["train"], ["--total-steps", "--task.actuation", "--ppo.gamma", "--network.actor"]),
        (["evaluate"], ["--n-starts", "--duration", "--seed", "both protocols"]),
        (["record"], ["--motion", "--on-fall", "--condition.fatigue", "NetCDF"]),
        (["text"], ["--library", "--policy", "--keep", "--matcher", "turn left"]),
        (["view"], ["--motion", "keys stand on the screen"]),
        (["render"], ["--ghost", "--fps", "--backend", "headless"]),
        (["compare"], ["--signal", "--delay", "--speed", "in words"]),
        (["report"], ["--signal", "--delay", "--out", "HTML"]),
        (["mine"], ["--n-experts", "--train.motions", "--train.keys", "--gate-steps"]),
    ],
)
def test_every_command_has_help(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--help"])
    assert caught.value.code == 0
    shown = said(capsys)
    assert "usage: kinesis-neuro" in shown
    for word in words:
        assert word in shown


def test_the_program_runs_and_an_error_is_one_line(tmp_path: Path) -> None:
    """As a process of its own: what a user sees, and what a script can ask for."""
    done = subprocess.run(
        [sys.executable, "-m", "kinesis_neuro.cli", "evaluate", "nobody"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    line, end = done.stderr.split("\n", 1)
    assert line.startswith("kinesis-neuro: Unknown policy 'nobody'. Available:")
    assert end == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("evaluate nobody", "Unknown policy 'nobody'"),
        ("evaluate policy run", "Unknown motion 'run'. Available: kick, walk"),
        ("evaluate policy --n-starts 0", "must be positive"),
        ("evaluate policy missing.mot", "missing.mot"),
        ("record policy missing/walk.nc --duration 0.1", "there is no folder"),
        ("record policy walk.nc --duration -1", "positive number of seconds, got -1.0"),
        ("record policy walk.nc --on-fall cry", "Allowed values are stop, restart"),
        ("record empty walk.nc", "policy.json: no such file"),
        ("train --body leg", "Unknown body 'leg'. Available: full, legs"),
        ("train --motions run", "Unknown motion 'run'"),
        ("mine", "needs one motion library, got walk"),
        ("record policy walk.nc --condition.deactivated nobody", "Unknown muscle 'nobody'"),
        ("demo --policy nobody", "Unknown policy 'nobody'"),
    ],
)
def test_an_error_of_the_library_is_one_line(
    arguments: str, message: str, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    # Python prints such a code on standard error, and exits with status 1.
    assert isinstance(caught.value.code, str)
    assert caught.value.code.startswith("kinesis-neuro: ")
    assert message in caught.value.code
    assert "\n" not in caught.value.code
    assert "Traceback" not in said(capsys)
    assert not Path("walk.nc").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "mine, distill, evaluate, record"),
        ("walk", "walk"),
        ("evaluate", "Name of a shipped policy"),
        ("evaluate policy --n-starts many", "many"),
        ("record policy", "File to write"),
        ("train --task.actuation force", "Unknown actuation 'force'"),
        ("train --task.gravity 1", "--task.gravity"),
        ("train --n-envs 0", "n_envs must be at least 1, got 0"),
        ("train --motion-weights 1 2", "2 entries for 1 motions"),
        ("record policy walk.nc --condition.noise -1", "noise must be zero or positive"),
    ],
)
def test_wrong_arguments_are_explained(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code not in (0, None)
    shown = said(capsys) + str(caught.value.code)
    assert message in shown
    assert "Traceback" not in shown


def test_evaluate_prints_both_protocols(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", policy, "walk", "--n-starts", "3", "--duration", "0.5", "--seed", "4"])
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines[0].split()) == ["kinesis", "metric", "strict"]
    names = {line.split()[0]: line for line in lines[1:]}
    assert set(names) == {"success", "survival_time", "frame_coverage", "mpjpe", "mpjpe_all"}
    assert "0.0 (0.0 to 0.0)" in names["success"]


def test_record_writes_what_the_function_gives(
    policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["record", policy, "walk.nc", "--duration", "0.3", "--seed", "2", "--on-fall", "restart"])
    expected = record(load_policy(policy), duration=0.3, seed=2, on_fall="restart")
    xr.testing.assert_identical(read_netcdf("walk.nc"), expected)
    assert capsys.readouterr().out == "Wrote 45 samples to walk.nc\n"


def test_untrained_is_a_policy_to_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main(["record", "untrained", "walk.nc", "--duration", "0.1"])
    assert read_netcdf("walk.nc").attrs["policy"] == "untrained"


def test_train_goes_on_with_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    options = (
        "train --name tiny --body legs26 --task.actuation excitation --network.actor 8 "
        "--network.critic 8 --ppo.horizon 4 --ppo.minibatch 8 --n-envs 2 --n-threads 1"
    ).split()
    try:
        for steps in (16, 24):
            main([*options, "--total-steps", str(steps)])
    finally:
        torch.set_num_threads(threads)
    assert "Policy and log are in runs/tiny" in said(capsys)
    assert len(Path("runs/tiny/log.jsonl").read_text().splitlines()) == 3
    trained = load_policy("runs/tiny/checkpoint")
    assert trained.config.actor == (8,)
    assert np.isfinite(trained.act(np.zeros((1, trained.n_observations), np.float32))).all()
    with pytest.raises(SystemExit, match=r"another configuration: n_envs differ"):
        main([*options, "--n-envs", "4"])


def test_record_under_a_condition(policy: str) -> None:
    options = "--condition.fatigue 5 --condition.strength vasti 0.5 *_l 0.9".split()
    main(["record", policy, "weak.nc", "--duration", "0.2", *options])
    condition = MuscleCondition(fatigue=5.0, strength=(("vasti", 0.5), ("*_l", 0.9)))
    expected = record(load_policy(policy), duration=0.2, condition=condition)
    xr.testing.assert_identical(read_netcdf("weak.nc"), expected)
    assert "fatigued" in expected


def test_compare_prints_the_table_and_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recording = static_optimization(load_motion("walk"))
    write_netcdf(recording, tmp_path / "so.nc")
    main(["compare", "so.nc", "builtin", "--delay", "0.06", "--n-null", "50"])
    shown = said(capsys)
    result = compare_emg(recording, load_subject("builtin"), delay=0.06, n_null=50)
    assert f"mean {result.table.loc['mean', 'r']:.2f}" in shown
    words = re.sub(r"[\s│╭╮╰╯─]+", " ", result.summary())
    assert words.strip() in shown
    with pytest.raises(SystemExit, match=r"Expected \.nc or \.nwb"):
        main(["compare", "so.csv", "builtin"])
