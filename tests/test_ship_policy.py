"""The chain of runs that led to a policy, with the commands that made them."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.learn.config import DistillConfig, TrainConfig, to_dict
from kinesis_neuro.learn.recipes import kick_training

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "ship_policy.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("ship_policy", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_stage_is_named_once_and_before_what_it_led_to(script: Any, tmp_path: Path) -> None:
    def at(name: str) -> str:
        return str(tmp_path / name / "checkpoint")

    first = TrainConfig(name="expert_1")
    runs = {
        "expert_1": first,
        "expert_2": dataclasses.replace(first, name="expert_2", initial_policy=at("expert_1")),
        "expert_3": dataclasses.replace(first, name="expert_3", initial_policy=at("expert_2")),
        "mixture": TrainConfig(name="mixture", experts=tuple(map(at, ("expert_1", "expert_3")))),
        "student": DistillConfig(name="student", teachers=(at("expert_2"), at("mixture"))),
        "tuned": TrainConfig(name="tuned", initial_policy=at("student")),
    }
    for name, config in runs.items():
        Path(at(name)).mkdir(parents=True)
        about = {"training": {"config": to_dict(config)}}
        (Path(at(name)) / "policy.json").write_text(json.dumps(about))
    chain = [run.name for run, _ in script.stages(tmp_path / "tuned")]
    assert chain == ["expert_1", "expert_2", "expert_3", "mixture", "student", "tuned"]


def test_commands_say_what_differs_from_the_defaults(script: Any) -> None:
    weak = MuscleCondition(strength=(("*_l", 0.5), ("vasti", 0.7)))
    config = TrainConfig(name="weak", task=ImitationConfig(mirror=False, condition=weak))
    assert script.command(json.loads(json.dumps(to_dict(config)))) == (
        "kinesis-neuro train --name weak --task.no-mirror "
        "--task.condition.strength '*_l' 0.5 vasti 0.7"
    )


def test_the_command_of_a_task_names_it(script: Any) -> None:
    config = kick_training()
    kick = dataclasses.replace(config.task.goal, scatter=0.1)
    config = dataclasses.replace(config, task=dataclasses.replace(config.task, goal=kick))
    assert script.command(json.loads(json.dumps(to_dict(config)))) == (
        "kinesis-neuro train kick --task.goal.scatter 0.1"
    )
