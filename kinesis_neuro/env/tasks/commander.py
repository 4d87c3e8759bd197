"""Commander: speed and heading for bodies that walk, live or from a schedule.

What a keyboard, a script or a schedule calls. A command changes what the reference goes towards;
neither body nor reference jumps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.tasks.steer import SteerGoal
from kinesis_neuro.errors import IncompatibleError, InvalidInputError

Command = tuple[float, float, float]


class Commander:
    """Commands the bodies of an environment.

    Parameters
    ----------
    env : ImitationEnv
        Of a policy that can be steered; its commands stop changing at random.

    Raises
    ------
    IncompatibleError
        If the environment has no commands.

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> from kinesis_neuro.env.config import ImitationConfig
    >>> from kinesis_neuro.env.tasks.steer import SteerConfig
    >>> task = ImitationConfig(actuation="excitation", goal=SteerConfig())
    >>> env = ImitationEnv([load_motion("walk")], task)
    >>> commander = Commander(env)
    >>> commander.set(0.8, heading=0.5)
    >>> commander.turn(-0.2)
    >>> commander.speed, round(commander.heading, 3)
    (0.8, 0.3)
    """

    def __init__(self, env: ImitationEnv) -> None:
        if type(env.goal) is not SteerGoal:
            raise IncompatibleError(
                f"The task has the goal {env.config.goal.kind or 'none'!r} and takes no commands "
                "of speed and heading. Use a policy that was trained with 'train steer', such as "
                "the shipped 'steer'."
            )
        self.goal: SteerGoal = env.goal
        self.env = env
        self.goal.random = False

    @property
    def speed(self) -> float:
        """Commanded speed of the first body [m/s]."""
        return float(self.goal.speed[0])

    @property
    def heading(self) -> float:
        """Commanded heading of the first body [rad]."""
        return float(self.goal.heading[0])

    def set(self, speed: float, heading: float) -> None:
        """Command all bodies.

        Parameters
        ----------
        speed : float
            From 0 (stand) to the task's `max_speed` [m/s].
        heading : float
            [rad], 0 where the episode started towards, left positive.

        Raises
        ------
        InvalidInputError
            If a value is not finite, or the speed out of range.
        """
        speed, heading = self.goal.checked(speed, heading)
        self.goal.schedule = None
        self.goal.speed[:] = speed
        self.goal.heading[:] = heading

    def turn(self, angle: float) -> None:
        """Change the commanded heading by an angle [rad]."""
        self.set(self.speed, self.heading + angle)

    def accelerate(self, change: float) -> None:
        """Change the commanded speed [m/s], within its range."""
        self.set(float(np.clip(self.speed + change, 0.0, self.goal.config.max_speed)), self.heading)

    def follow(self, schedule: Sequence[Command]) -> None:
        """Command by time, from now on.

        Parameters
        ----------
        schedule : sequence of (time, speed, heading)
            Times since the episode's start [s], rising; speeds [m/s]; headings [rad].

        Raises
        ------
        InvalidInputError
            If times do not rise, or a command is none.
        """
        if not schedule:
            raise InvalidInputError("A schedule needs at least one command, got none.")
        times = np.array([entry[0] for entry in schedule], dtype=float)
        if not np.isfinite(times).all() or times[0] < 0.0 or (np.diff(times) <= 0.0).any():
            raise InvalidInputError(f"Times of a schedule must rise from 0 or later, got {times}.")
        commands = [(float(t), *self.goal.checked(v, h)) for t, v, h in schedule]
        self.goal.schedule = np.array(commands)
        self.goal.command()
