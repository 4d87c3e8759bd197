"""The example manifests: what they are, and that their command lines are ours."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kinesis_neuro import cli
from kinesis_neuro.commands import Train
from kinesis_neuro.learn.config import TrainConfig

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples" / "cluster"
SCRIPTS = sorted(EXAMPLES.glob("*.sbatch"))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The configuration that a command line stands for; nothing is run."""

    def parse(words: list[str]) -> TrainConfig:
        commands: list[Any] = []
        monkeypatch.setattr(cli, "run", commands.append)
        cli.main(words)
        assert isinstance(commands[0], Train)
        return commands[0].config

    return parse


def command(script: str) -> list[str]:
    """Words after the name of our program, of the one line that has it."""
    lines = script.replace("\\\n", " ").splitlines()
    found = [re.split(r"kinesis-neuro (?=train)|-m kinesis_neuro\.cli ", x) for x in lines]
    (words,) = (parts[1] for parts in found if len(parts) == 2)
    return shlex.split(words)


def asked(script: str, option: str) -> int:
    match = re.search(rf"--{option}=(\d+)", script)
    assert match is not None
    return int(match[1])


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_shell_and_their_commands_are_ours(path: Path, parsed: Any) -> None:
    subprocess.run(["bash", "-n", str(path)], check=True)
    script = path.read_text()
    config = parsed(command(script))
    processors = asked(script, "nodes") * asked(script, "cpus-per-task")
    learners = asked(script, "nproc-per-node") if "torchrun" in script else 0
    if learners:
        learners *= asked(script, "nodes")
        assert config.workers == 0
        assert learners * config.n_threads == processors
        assert config.n_envs % learners == 0
    else:
        assert config.workers == processors - 1
        assert config.n_envs % config.workers == 0


def test_there_are_scripts_for_both() -> None:
    assert [path.stem for path in SCRIPTS] == ["slurm_learners", "slurm_workers"]


def test_the_manifest_has_room_for_its_workers(parsed: Any) -> None:
    job = yaml.safe_load((EXAMPLES / "kuberay.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    config = parsed(command(job["spec"]["entrypoint"]))
    cluster = job["spec"]["rayClusterSpec"]
    assert f"ray=={cluster['rayVersion']}\n" in (ROOT / "constraints.txt").read_text()
    (group,) = cluster["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    assert (
        container["image"] == cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["image"]
    )
    processors = group["replicas"] * int(container["resources"]["requests"]["cpu"])
    assert config.workers == processors
    assert config.address == "auto"
    assert config.n_envs % config.workers == 0
