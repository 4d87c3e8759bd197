"""Trainings of tasks on top of imitation: what ``kinesis-neuro train TASK`` starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.tasks.goal import GoalConfig
from kinesis_neuro.env.tasks.kick_config import KickConfig
from kinesis_neuro.env.tasks.reach import ReachConfig
from kinesis_neuro.env.tasks.steer import SteerConfig
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig


def steer_training() -> TrainConfig:
    """Heading and speed control, from a walker."""
    return _fine_tuning("steer", SteerConfig())


def reach_training() -> TrainConfig:
    """Target reaching, from a walker, or sooner from a body that can be steered."""
    return _fine_tuning("reach", ReachConfig())


def kick_training() -> TrainConfig:
    """Penalty kick, from a walker; what is new is the kick, so it explores more."""
    config = _fine_tuning("kick", KickConfig())
    return replace(
        config,
        task=replace(config.task, termination_distance=0.4),
        network=NetworkConfig(initial_log_std=-1.5),
    )


def _fine_tuning(name: str, goal: GoalConfig) -> TrainConfig:
    """A policy that walks already explores little, and its critic learns first."""
    return TrainConfig(
        name=name,
        # Goals ask for less than keeping up to a hand's breadth.
        task=ImitationConfig(goal=goal, termination_distance=0.25),
        network=NetworkConfig(initial_log_std=-2.0),
        ppo=PPOConfig(
            gamma=0.98,
            learning_rate=1e-4,
            learning_rate_range=(2e-5, 3e-4),
            critic_warmup=10,
        ),
    )


RECIPES: MappingProxyType[str, Callable[[], TrainConfig]] = MappingProxyType(
    {"steer": steer_training, "reach": reach_training, "kick": kick_training}
)
"""Configuration of each task's training, by the goal's kind."""
