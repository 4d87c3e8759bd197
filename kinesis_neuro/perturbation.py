"""Perturbations of a simulated body: a push, a muscle silenced, a change of the belt's speed.

Each acts from a physics step of its own in every environment. Forward is -y, where bodies face.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import PHYSICS_RATE
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import InvalidInputError, unknown_name

FloatArray = NDArray[np.float64]


def physics_step(env: ImitationEnv) -> NDArray[np.intp]:
    """Number of the physics step of each episode that comes next, shape (n_envs,)."""
    return env.frame - env.start_frame


def chain(env: ImitationEnv, function: object) -> None:
    """Call a function of the environment after every physics step, and what hung there before."""
    inner = env.on_physics_step

    def both(env: ImitationEnv) -> None:
        if inner is not None:
            inner(env)
        function(env)  # type: ignore[operator]

    env.on_physics_step = both


@dataclass(frozen=True)
class Push:
    """A horizontal force on the pelvis.

    Attributes
    ----------
    force : float
        [N]
    direction : float
        Towards where, about the vertical [rad]: 0 forward, pi/2 to the left.
    duration : float
        [s]
    """

    force: float = 100.0
    direction: float = 0.0
    duration: float = 0.2

    def check(self, env: ImitationEnv) -> None:
        """Raise if it cannot be done to the body."""
        _positive(self.duration, "duration")
        _finite(self.force, "force")
        _finite(self.direction, "direction")

    def attach(self, env: ImitationEnv, onset: NDArray[np.intp]) -> None:
        """Act from physics step `onset` (n_envs,) of each environment; -1: never."""
        wrench = np.zeros((onset.size, 6))
        wrench[:, 0] = self.force * np.sin(self.direction)
        wrench[:, 1] = -self.force * np.cos(self.direction)
        push_at(env, wrench, onset, round(self.duration * PHYSICS_RATE))


@dataclass(frozen=True)
class SilentMuscle:
    """A muscle without drive, as after a nerve block: its activation is 0, passive force stays.

    Attributes
    ----------
    muscle : str
        Name.
    duration : float, optional
        [s]; to the end if not given.
    """

    muscle: str
    duration: float | None = None

    def check(self, env: ImitationEnv) -> None:
        """Raise if it cannot be done to the body."""
        if self.muscle not in env.body.muscles:
            raise unknown_name("muscle", self.muscle, env.body.muscles)
        if self.duration is not None:
            _positive(self.duration, "duration")

    def attach(self, env: ImitationEnv, onset: NDArray[np.intp]) -> None:
        """Act from physics step `onset` (n_envs,) of each environment; -1: never."""
        index = env.body.muscles.index(self.muscle)
        last = np.inf if self.duration is None else onset + round(self.duration * PHYSICS_RATE)

        def silence(env: ImitationEnv) -> None:
            # What a step starts with is what pulls in it; excitation stays what was asked for.
            now = physics_step(env)
            acting = (onset >= 0) & (now >= onset) & (now < last)
            env.simulation.activation[acting, index] = 0.0

        chain(env, silence)


@dataclass(frozen=True)
class BeltSpeedChange:
    """A treadmill's belt that runs faster (or slower) for a while.

    The simulation's floor is the belt, so that the change is seen from the belt: while it speeds
    up, everything that rides on it is accelerated forward by as much (a step of the velocity of
    the free joint moves all parts alike, which is exact). The reference goes on along the belt, so
    that the walker is not asked to win back the place in the room that it lost.

    Attributes
    ----------
    change : float
        Of the belt's speed, backward positive [m/s].
    duration : float, optional
        From the beginning of the change to the beginning of the way back [s]; for good if not
        given.
    ramp : float
        How long the belt takes to change its speed [s].
    """

    change: float = 0.3
    duration: float | None = 0.5
    ramp: float = 0.1

    def check(self, env: ImitationEnv) -> None:
        """Raise if it cannot be done to the body."""
        _finite(self.change, "change")
        _positive(self.ramp, "ramp")
        if self.duration is not None and not self.duration >= self.ramp:
            raise InvalidInputError(
                f"The belt changes its speed within the ramp of {self.ramp} s; duration must not "
                f"be shorter, got {self.duration}."
            )

    def attach(self, env: ImitationEnv, onset: NDArray[np.intp]) -> None:
        """Act from physics step `onset` (n_envs,) of each environment; -1: never."""
        n_ramp = max(1, round(self.ramp * PHYSICS_RATE))
        step = self.change / n_ramp
        back = np.inf if self.duration is None else onset + round(self.duration * PHYSICS_RATE)

        def ride(env: ImitationEnv) -> None:
            now = physics_step(env)
            up = (now >= onset) & (now < onset + n_ramp)
            down = (now >= back) & (now < back + n_ramp)
            speed = np.where(onset >= 0, step * (up.astype(float) - down), 0.0)
            env.simulation.qvel[:, 1] -= speed

        chain(env, ride)


Perturbation = Push | SilentMuscle | BeltSpeedChange


def describe(perturbation: Perturbation) -> dict[str, str | float | None]:
    """Kind and parameters, for JSON."""
    return {"kind": type(perturbation).__name__, **asdict(perturbation)}


def push_at(env: ImitationEnv, wrench: FloatArray, onset: NDArray[np.intp], n_steps: int) -> None:
    """Apply a wrench (n_envs, 6) to each pelvis for some physics steps from `onset` on."""

    def acting(env: ImitationEnv) -> FloatArray:
        now = physics_step(env)
        on = (onset >= 0) & (now >= onset) & (now < onset + n_steps)
        return np.where(on[:, None], wrench, 0.0)

    env.wrench = acting


def _positive(value: float, name: str) -> None:
    if not (np.isfinite(value) and value > 0):
        raise InvalidInputError(f"{name} must be positive, got {value}.")


def _finite(value: float, name: str) -> None:
    if not np.isfinite(value):
        raise InvalidInputError(f"{name} must be finite, got {value}.")
