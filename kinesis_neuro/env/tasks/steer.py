"""Heading and speed control: a body that walks where and as fast as it is told, in flight.

The reference is planned (see :mod:`kinesis_neuro.env.tasks.course`), and the policy learns to
follow it with its muscles, over changes of command that it does not foresee. Directions are
measured on the body itself, not on its reference.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.actuation import FEEDFORWARD
from kinesis_neuro.body.models import PHYSICS_RATE
from kinesis_neuro.env import terms
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.tasks.course import FIRST_STEP, CourseTable, Limits, forward, wrap
from kinesis_neuro.env.tasks.goal import Goal, GoalConfig, Image, Quantity
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.gait_family import GaitFamily
from kinesis_neuro.motion.reference import ReferenceMotion

if TYPE_CHECKING:
    from kinesis_neuro.env.imitation import ImitationEnv

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

SETTLED = 2.0
"""A command is judged from this long after it was given on [s]."""

FALLEN = 0.75
"""A pelvis lower than this part of its height in standing has fallen."""

STRIDE_TIME = 1.2
"""Speed and direction of a body are those of its pelvis' way over this time, about a stride [s]."""


@dataclass(frozen=True)
class SteerConfig(GoalConfig):
    """Configuration of heading and speed control.

    Attributes
    ----------
    max_speed : float
        Fastest command [m/s].
    min_speed : float
        Slowest command but standing, in training [m/s].
    max_change : float
        Largest change of heading at a time, in training [rad].
    interval : tuple of float
        Shortest and longest time between changes of command, in training [s].
    stop_share : float
        Share of the commands of training that are to stand.
    acceleration, turn_rate, turn_acceleration, jerk : float
        Bounds of the reference, see :class:`~kinesis_neuro.env.tasks.course.Limits`.
    velocity_weight : float
        Of a reward for the body's own velocity over the last stride.
    """

    kind: str = field(default="steer", init=False)
    max_speed: float = 1.1
    min_speed: float = 0.6
    max_change: float = 1.6
    interval: tuple[float, float] = (1.5, 5.0)
    stop_share: float = 0.2
    acceleration: float = 0.7
    turn_rate: float = 0.6
    turn_acceleration: float = 3.0
    jerk: float = 4.0
    velocity_weight: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be walked."""
        if not 0.0 < self.min_speed <= self.max_speed <= 1.5:
            raise InvalidInputError(
                "Speeds must satisfy 0 < min_speed <= max_speed <= 1.5 m/s, got "
                f"{self.min_speed} and {self.max_speed}."
            )
        if not 0.0 < self.interval[0] <= self.interval[1]:
            raise InvalidInputError(f"interval must be two rising times [s], got {self.interval}.")
        bounds = {name: getattr(self, name) for name in vars(self.limits)}
        if not all(0.0 < value < np.inf for value in bounds.values()):
            raise InvalidInputError(f"Bounds of the reference must be positive, got {bounds}.")

    @property
    def limits(self) -> Limits:
        """Bounds of the reference."""
        return Limits(self.acceleration, self.turn_rate, self.turn_acceleration, self.jerk)

    def played(self) -> GoalConfig:
        """Commands that stay for long enough to be judged, and seldom are to stand."""
        return replace(self, interval=(5.0, 7.0), stop_share=0.1, max_change=0.5 * np.pi)

    def make(self) -> Goal:
        """The goal, for the environments that it will be attached to."""
        return SteerGoal(self)


class SteerGoal(Goal):
    """Commands of speed and heading for a batch of bodies.

    Parameters
    ----------
    config : SteerConfig

    Attributes
    ----------
    speed, heading : ndarray, shape (n_envs,)
        The commands [m/s], [rad]: heading 0 is where an episode starts towards, left is positive.
    random : bool
        Whether commands change at random, as in training.
    schedule : ndarray, shape (n_commands, 3), or None
        Times since the episode's start [s], speeds and headings that all bodies are told.
    """

    options: tuple[str, ...] = ("speed", "heading")

    def __init__(self, config: SteerConfig) -> None:
        self.config = config
        self.random = True
        self.schedule: FloatArray | None = None

    def table(
        self, motions: Sequence[ReferenceMotion], config: ImitationConfig, n_envs: int
    ) -> ReferenceTable:
        """Ways of all environments, over the family of the first motion."""
        solve = config.actuation in FEEDFORWARD or config.starts_activated
        gait = motions[0] if motions[0].rate == PHYSICS_RATE else motions[0].resample(PHYSICS_RATE)
        return CourseTable.of_gait(
            gait,
            GaitFamily.build(gait, solve=solve),
            actuation=config.actuation,
            activated=config.starts_activated,
            n_envs=n_envs,
            ahead=max((*config.lookahead, 1)) * config.decimation + config.lead + 2,
        )

    def attach(self, env: ImitationEnv) -> None:
        """Make room for commands, and for the way of the last stride."""
        super().attach(env)
        assert isinstance(env.table, CourseTable)
        self.course = env.table
        n = env.n_envs
        self.all = np.arange(n)
        self.speed, self.heading = np.zeros(n), np.zeros(n)
        self.next_change, self.changed = np.zeros(n), np.zeros(n)
        self.n_kept = round(STRIDE_TIME * env.config.control_rate) + 1
        self.places = np.zeros((n, self.n_kept, 2))
        self.sums = np.zeros((n, 4))
        self.limits = self.config.limits

    def images(self) -> Mapping[str, Image]:
        """The command's sine changes sign."""
        return {"command": (np.arange(3), np.array([1.0, -1.0, 1.0]))}

    def ask(self, **wanted: object) -> None:
        """Command one speed [m/s] and heading [rad] through all episodes, or none again."""
        self.random, self.schedule = not wanted, None
        if wanted:
            speed, heading = (
                wanted.get("speed", 0.5 * self.config.max_speed),
                wanted.get("heading", 0.0),
            )
            command = self.checked(speed, heading)
            self.schedule = np.array([[0.0, *command]])

    def checked(self, speed: object, heading: object) -> tuple[float, float]:
        """Commands as numbers.

        Raises
        ------
        InvalidInputError
            If one is not finite, or the speed out of range.
        """
        told, largest = np.full(2, np.nan), self.config.max_speed
        with contextlib.suppress(TypeError, ValueError):
            told = np.array([speed, heading], dtype=float)
        if not 0.0 <= told[0] <= largest:
            raise InvalidInputError(
                f"Speed must be between 0 and {largest:g} m/s (how fast this policy learnt to "
                f"walk), got {speed}."
            )
        if not np.isfinite(told[1]):
            raise InvalidInputError(f"Heading must be a number of radians, got {heading}.")
        return float(told[0]), float(wrap(told[1:])[0])

    # -- episodes -----------------------------------------------------------------------------

    def begin(
        self, which: IntArray, motion: IntArray | None, frame: IntArray | None
    ) -> tuple[IntArray, IntArray]:
        """Ways that start at the origin in a phase of the gait, standing or at speed."""
        rng, n = self.env.draws(which), which.size
        phase = (
            rng.integers(np.zeros(n, dtype=int), self.course.n_frames) if frame is None else frame
        )
        self.heading[which] = 0.0
        self.next_change[which] = self.changed[which] = 0.0
        self.sums[which] = 0.0
        if self.schedule is not None:
            self.command()
        elif self.random:
            self.draw(which)
            self.heading[which] *= 0.25
        moving = np.where(rng.random(n) < 0.7, self.speed[which], 0.0)
        phase = np.where(moving > 0.0, phase, FIRST_STEP * self.course.n_frames)
        self.course.begin(which, phase.astype(float), moving)
        for _ in range(self.course.ahead):
            self._write(which)
        return which, np.zeros(n, dtype=np.intp)

    def placed(self, which: IntArray) -> None:
        """The last stride lies behind the body at the speed at which it starts."""
        start = self.env.simulation.qpos[which, :2]
        speed = self.course.state(which, np.zeros(which.size, dtype=np.intp))["speed"]
        back = np.arange(self.n_kept)[::-1] / self.env.config.control_rate
        way = forward(np.zeros(which.size))[:, None] * (speed[:, None] * back)[..., None]
        self.places[which] = start[:, None] - way

    def draw(self, which: IntArray) -> None:
        """New commands of speed and heading at random, and the time of the next ones."""
        config, rng, n = self.config, self.env.draws(which), which.size
        speed = rng.uniform(config.min_speed, config.max_speed, n)
        self.speed[which] = np.where(rng.random(n) < config.stop_share, 0.0, speed)
        change = rng.uniform(-config.max_change, config.max_change, n)
        self.heading[which] = wrap(self.heading[which] + change)
        self.next_change[which] += rng.uniform(config.interval[0], config.interval[1], n)

    def _write(self, which: IntArray) -> None:
        self.course.extend(which, self.speed[which], self.heading[which], self.limits)

    def advance(self) -> None:
        """Write the ways on; once a control step, look where bodies are and change commands."""
        env = self.env
        self._write(self.all)
        if env.frame[0] % env.config.decimation:
            return
        self.places[:, :-1] = self.places[:, 1:]
        self.places[:, -1] = env.simulation.qpos[:, :2]
        self._judge()
        self.command()

    def command(self) -> None:
        """Change commands whose time has come."""
        time, before = self._time(), (self.speed.copy(), self.heading.copy())
        if self.schedule is not None:
            last = np.searchsorted(self.schedule[:, 0], time + 1e-9, side="right") - 1
            told = last >= 0
            self.speed[told], self.heading[told] = self.schedule[last[told], 1:].T
        elif self.random:
            due = np.flatnonzero(time >= self.next_change)
            if due.size:
                self.draw(due)
        anew = (self.speed != before[0]) | (self.heading != before[1])
        self.changed[anew] = time[anew]

    def _time(self) -> FloatArray:
        """Since the episodes' start [s], shape (n_envs,)."""
        time: FloatArray = self.env.frame / PHYSICS_RATE
        return time

    def _judge(self) -> None:
        """Add errors of direction and speed to the episode's, once a command has had its time."""
        speed, direction = self.motion()
        ready = self._time() >= self.changed + SETTLED
        walks = ready & (self.speed > 0.0)
        turn = np.abs(wrap(direction - self.heading))
        late = np.abs(speed - self.speed)
        self.sums += np.stack([walks * turn, walks, ready * late, ready], axis=1)

    # -- control steps ------------------------------------------------------------------------

    def velocity(self) -> FloatArray:
        """Of the bodies over the last stride [m/s], shape (n_envs, 2)."""
        moved: FloatArray = self.places[:, -1] - self.places[:, 0]
        return moved * self.env.config.control_rate / (self.n_kept - 1)

    def motion(self) -> tuple[FloatArray, FloatArray]:
        """Speed [m/s] and direction [rad] of the bodies over the last stride, each (n_envs,)."""
        velocity = self.velocity()
        return np.linalg.norm(velocity, axis=1), np.arctan2(velocity[:, 0], -velocity[:, 1])

    def fallen(self) -> BoolArray:
        """Whose pelvis is too low for legs that stand, shape (n_envs,)."""
        low: BoolArray = self.env.simulation.qpos[:, 2] < FALLEN * self.course.qpos[0, 2]
        return low

    def ended(self) -> tuple[BoolArray, BoolArray]:
        """Who falls has failed."""
        return self.fallen(), np.zeros(self.env.n_envs, dtype=bool)

    def outcome(self) -> dict[str, FloatArray]:
        """Mean errors from 2 s after a change of command on, and who never fell."""
        turn, n_turn, late, n_late = self.sums.T
        # An episode may end before it is judged: it has no error then.
        return {
            "success": np.where(self.fallen(), 0.0, 1.0),
            "heading_error": turn / np.where(n_turn > 0, n_turn, np.nan),
            "speed_error": late / np.where(n_late > 0, n_late, np.nan),
        }

    def units(self) -> Mapping[str, str]:
        """Of the errors."""
        return {"heading_error": "rad", "speed_error": "m/s"}

    def blocks(self) -> dict[str, FloatArray]:
        """Commanded speed, and sine and cosine of the heading's distance."""
        turn = self.heading - terms.heading(self.env.simulation.qpos[:, 3:7])
        return {"command": np.stack([self.speed, np.sin(turn), np.cos(turn)], axis=-1)}

    def reward(self) -> dict[str, FloatArray]:
        """For the body's own velocity, as near to its reference's as that is asked for."""
        if self.config.velocity_weight == 0.0:
            return {}
        state = self.course.state(self.all, self.env.frame)
        wanted = forward(state["yaw"]) * state["speed"][:, None]
        apart = np.square(self.env.simulation.qvel[:, :2] - wanted).sum(axis=1)
        return {"command": self.config.velocity_weight * np.exp(-4.0 * apart)}

    def recorded(self) -> dict[str, Quantity]:
        """The commands, and speed and heading of the reference."""
        state = self.course.state(self.all, self.env.frame - 1)
        return {
            "commanded_speed": Quantity(self.speed.copy(), (), "m/s", "speed that is asked for"),
            "commanded_heading": Quantity(
                self.heading.copy(), (), "rad", "heading that is asked for, left positive"
            ),
            "reference_speed": Quantity(state["speed"], (), "m/s", "speed of the reference"),
            "reference_heading": Quantity(
                wrap(state["yaw"]), (), "rad", "heading of the reference, left positive"
            ),
        }

    # -- checkpoints --------------------------------------------------------------------------

    _STATE: tuple[str, ...] = ("speed", "heading", "next_change", "changed", "places", "sums")

    def state_arrays(self) -> dict[str, NDArray]:
        """Commands, ways and the last stride."""
        arrays = {name: getattr(self, name) for name in self._STATE}
        return arrays | {"way": self.course.way, "written": self.course.written}

    def set_state_arrays(self, arrays: Mapping[str, NDArray]) -> None:
        """Put back what :meth:`state_arrays` gave."""
        for name in self._STATE:
            getattr(self, name)[:] = arrays[name]
        self.course.way[:] = arrays["way"]
        self.course.written[:] = arrays["written"]
