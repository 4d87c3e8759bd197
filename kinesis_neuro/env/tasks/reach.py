"""Target reaching: walk to a point up to 5 m away in any direction, and stand there.

On top of heading and speed control: a simple law (:func:`way_to`) turns the place of the target,
measured from the body itself, into commands; the policy, which sees the target too, learns to
follow. What is planned is the reference; what is learnt is to drive muscles so that the body gets
there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.env import terms
from kinesis_neuro.env.tasks.course import forward, wrap
from kinesis_neuro.env.tasks.goal import Goal, GoalConfig, Image, Quantity
from kinesis_neuro.env.tasks.steer import SteerConfig, SteerGoal
from kinesis_neuro.errors import InvalidInputError

if TYPE_CHECKING:
    from kinesis_neuro.env.imitation import ImitationEnv

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class ReachConfig(SteerConfig):
    """Configuration of target reaching.

    Attributes
    ----------
    arena : float
        Largest distance of a target from where the body starts [m].
    nearest : float
        Smallest distance of a target that is drawn [m].
    radius : float
        The body is there while its pelvis is within this distance of the target [m].
    hold : float
        Success: it stays there for so long [s].
    walking_speed : float
        [m/s]
    patience : float
        Longest time from one target to the next, in training [s]; a new one comes earlier where
        one was reached.
    one_target : bool
        Whether an episode ends when its first target was reached.
    progress_weight, there_weight : float
        Of rewards for getting nearer, in (m/s), and for being there.
    """

    kind: str = field(default="reach", init=False)
    arena: float = 5.0
    nearest: float = 0.5
    radius: float = 0.3
    hold: float = 1.0
    walking_speed: float = 0.9
    patience: float = 15.0
    one_target: bool = False
    progress_weight: float = 0.05
    there_weight: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be reached."""
        super().__post_init__()
        if not 0.0 < self.radius <= self.nearest <= self.arena:
            raise InvalidInputError(
                "Distances must satisfy 0 < radius <= nearest <= arena, got "
                f"{self.radius}, {self.nearest} and {self.arena} m."
            )
        if not 0.0 < self.walking_speed <= self.max_speed:
            raise InvalidInputError(
                f"walking_speed must be above 0 and at most max_speed of {self.max_speed} m/s, "
                f"got {self.walking_speed}."
            )

    def played(self) -> GoalConfig:
        """One target an episode, which ends when it is reached."""
        return replace(self, one_target=True)

    def make(self) -> Goal:
        """The goal, for the environments that it will be attached to."""
        return ReachGoal(self)


def way_to(
    target: FloatArray,
    yaw: FloatArray,
    speed: FloatArray,
    arrived: BoolArray,
    config: ReachConfig,
) -> tuple[FloatArray, FloatArray]:
    """Speeds and headings that lead to targets.

    The heading points at the target, but where that lies within the circle that the body turns
    in: there it goes on straight until it can turn. It is slower in turns, and brakes as late as
    it can: what is slower than `min_speed` is passed through only.

    Parameters
    ----------
    target : ndarray, shape (n, 2)
        From where the way is, along world axes [m].
    yaw, speed : ndarray, shape (n,)
        Heading [rad] and speed [m/s] of the way there.
    arrived : ndarray of bool, shape (n,)
        Who has arrived stands.
    config : ReachConfig

    Returns
    -------
    speed, heading : ndarray, shape (n,)

    Examples
    --------
    >>> ahead, left = np.array([[0.0, -3.0]]), np.array([[5.0, 0.0]])
    >>> way = np.zeros(1), np.array([0.9]), np.zeros(1, dtype=bool)
    >>> way_to(ahead, *way, ReachConfig())
    (array([0.9]), array([0.]))
    >>> [round(float(value[0]), 2) for value in way_to(left, *way, ReachConfig())]
    [0.6, 1.57]
    """
    distance = np.linalg.norm(target, axis=1)
    bearing = np.arctan2(target[:, 0], -target[:, 1])
    turn = wrap(bearing - yaw)
    slow = config.min_speed
    wanted = slow + (config.walking_speed - slow) * np.clip(np.cos(turn), 0.0, 1.0) ** 2
    aside = distance * np.abs(np.sin(turn))
    near = (distance**2 < 2.0 * ROOM * slow / config.turn_rate * aside) & (aside > OFF)
    wanted = np.where(near, slow, wanted)
    # A target that is passed on the side is not what one stops at.
    stop = (distance <= config.limits.stopping_distance(speed) + SHORT) & ~near
    return np.where(stop | arrived, 0.0, wanted), np.where(near | arrived, yaw, bearing)


ROOM = 1.6
"""Radius of the circle that is kept clear for a turn, in that of the tightest turn."""

OFF = 0.15
"""A way that leads past a target at less than this distance leads there [m]."""

SHORT = 0.05
"""A way may end this short of the target [m]."""

ARRIVED, LEFT = 0.22, 0.28
"""Who stands within the first distance of the target has arrived; beyond the second, not [m]."""


class ReachGoal(SteerGoal):
    """Targets for a batch of bodies.

    Parameters
    ----------
    config : ReachConfig

    Attributes
    ----------
    target : ndarray, shape (n_envs, 2)
        [m], in the world.
    """

    config: ReachConfig
    options = ("target",)

    def __init__(self, config: ReachConfig) -> None:
        super().__init__(config)

    def attach(self, env: ImitationEnv) -> None:
        """Make room for targets and for how long bodies have been there."""
        super().attach(env)
        n = env.n_envs
        self.target = np.zeros((n, 2))
        self.arrived = np.zeros(n, dtype=bool)
        self.held, self.since, self.reached_at = np.zeros(n), np.zeros(n), np.full(n, np.nan)
        self.last_distance = np.zeros(n)
        self.n_targets, self.n_reached = np.zeros(n), np.zeros(n)

    def images(self) -> Mapping[str, Image]:
        """The target's direction to the side changes sign."""
        return {**super().images(), "target": (np.arange(4), np.array([-1.0, 1.0, 1.0, 1.0]))}

    # -- episodes -----------------------------------------------------------------------------

    def begin(
        self, which: IntArray, motion: IntArray | None, frame: IntArray | None
    ) -> tuple[IntArray, IntArray]:
        """Ways that start at the origin, and targets around it."""
        self.n_targets[which] = self.n_reached[which] = self.since[which] = 0.0
        self.reached_at[which] = np.nan
        if self.random:
            self._draw_targets(which, np.zeros((which.size, 2)))
        begun = super().begin(which, motion, frame)
        return begun

    def draw(self, which: IntArray) -> None:
        """Speeds with which episodes start."""
        self.speed[which] = self.config.walking_speed
        self.heading[which] = 0.0

    def placed(self, which: IntArray) -> None:
        """How far the targets are."""
        super().placed(which)
        self.last_distance[which] = self.distance()[which]
        self.held[which] = 0.0

    def ask(self, **wanted: object) -> None:
        """Give all episodes one target, or random ones again."""
        if "target" in wanted:
            self.set_target(wanted["target"])
        self.random = not wanted

    def set_target(self, target: object, which: IntArray | None = None) -> None:
        """Give bodies a target, in flight or before an episode.

        Parameters
        ----------
        target : array, shape (2,) or (n, 2)
            x and y in the world, in which episodes start at the origin, facing -y [m].
        which : ndarray of int, optional
            Environments; all by default.

        Raises
        ------
        InvalidInputError
            If it is not finite, or out of the arena.
        """
        which = self.all if which is None else which
        wanted = np.full((which.size, 2), np.nan)
        with contextlib.suppress(TypeError, ValueError):
            wanted = np.broadcast_to(np.asarray(target, dtype=float), wanted.shape)
        if not np.isfinite(wanted).all():
            raise InvalidInputError(f"A target is two numbers, x and y [m], got {target}.")
        far = np.linalg.norm(wanted, axis=1).max(initial=0.0)
        if far > self.config.arena + 1e-9:
            raise InvalidInputError(
                f"Target {np.asarray(target).tolist()} lies {far:.2f} m from the start, out of "
                f"the arena of {self.config.arena:g} m. Give a nearer one."
            )
        self.random = False
        self._give(which, wanted)

    def _give(self, which: IntArray, target: FloatArray) -> None:
        self.target[which] = target
        self.arrived[which] = False
        self.held[which] = self.since[which] = 0.0
        self.reached_at[which] = np.nan
        self.n_targets[which] += 1.0

    def _draw_targets(self, which: IntArray, around: FloatArray) -> None:
        """Targets at any distance in any direction."""
        config, rng = self.config, self.env.draws(which)
        distance = rng.uniform(config.nearest, config.arena, which.size)
        offset = forward(rng.uniform(-np.pi, np.pi, which.size)) * distance[:, None]
        self._give(which, around + offset)

    def command(self) -> None:
        """Lead bodies to their targets; give new ones to those that have held theirs."""
        env, config = self.env, self.config
        place = env.simulation.qpos[:, :2]
        to_target = self.target - place
        distance = np.linalg.norm(to_target, axis=1)
        dt = 1.0 / env.config.control_rate
        self.since += dt
        self.held = np.where(distance < config.radius, self.held + dt, 0.0)
        now = (self.held >= config.hold - 1e-9) & np.isnan(self.reached_at)
        self.reached_at[now] = self.since[now]
        self.n_reached[now] += 1.0
        # What is commanded holds from where the way is written to; the body will be as far from
        # its way there as it is now.
        now = self.course.state(self.all, env.frame)
        then = self.course.state(self.all, self.course.written)
        planned = np.stack([then["x"] - now["x"], then["y"] - now["y"]], axis=-1)
        stands = (now["speed"] == 0.0) & (then["speed"] == 0.0) & (distance < ARRIVED)
        self.arrived = (self.arrived | stands) & (distance < LEFT)
        self.speed, self.heading = way_to(
            to_target - planned, then["yaw"], then["speed"], self.arrived, config
        )
        if self.random and not config.one_target:
            through = (self.held > config.hold + 1.0) | (self.since > config.patience)
            new = np.flatnonzero(through)
            if new.size:
                self._draw_targets(new, place[new])
                self.last_distance[new] = self.distance()[new]

    # -- control steps ------------------------------------------------------------------------

    def distance(self) -> FloatArray:
        """Of the pelvis from the target [m], shape (n_envs,)."""
        apart: FloatArray = np.linalg.norm(self.target - self.env.simulation.qpos[:, :2], axis=1)
        return apart

    def blocks(self) -> dict[str, FloatArray]:
        """Commands, and the target: direction from the root, nearness, and whether it is there."""
        qpos = self.env.simulation.qpos
        apart = np.zeros((self.env.n_envs, 1, 3))
        apart[:, 0, :2] = self.target - qpos[:, :2]
        local = terms.to_local(apart, terms.heading(qpos[:, 3:7]))[:, 0, :2]
        distance = np.linalg.norm(local, axis=1)
        direction = local / np.maximum(distance, self.config.radius)[:, None]
        near = np.exp(-distance)
        there = distance < self.config.radius
        return {**super().blocks(), "target": np.column_stack([direction, near, there])}

    def reward(self) -> dict[str, FloatArray]:
        """For getting nearer, and for being there, beside imitation and its price on energy."""
        distance, config = self.distance(), self.config
        speed = (self.last_distance - distance) * self.env.config.control_rate
        self.last_distance = distance
        there = (distance < config.radius).astype(float)
        return {
            **super().reward(),
            "progress": config.progress_weight * np.clip(speed, -1.5, 1.5),
            "there": config.there_weight * there,
        }

    def outcome(self) -> dict[str, FloatArray]:
        """Targets reached, of those given, and how long the last one took."""
        return {
            "success": self.n_reached / np.maximum(self.n_targets, 1.0),
            "time_to_target": self.reached_at.copy(),
            "final_distance": self.distance(),
            "fell": self.fallen().astype(float),
        }

    def units(self) -> Mapping[str, str]:
        """Of the results that have one."""
        return {"time_to_target": "s", "final_distance": "m"}

    def ended(self) -> tuple[BoolArray, BoolArray]:
        """Who falls has failed; who stood at its only target is through."""
        through = ~np.isnan(self.reached_at) & self.config.one_target
        return self.fallen(), through

    def recorded(self) -> dict[str, Quantity]:
        """The target, how far it is, and the commands that lead there."""
        before = self.env.simulation.previous[:, 1:3]
        target = np.column_stack([self.target, np.zeros(self.env.n_envs)])
        distance = np.linalg.norm(self.target - before, axis=1)
        return {
            **super().recorded(),
            "target_position": Quantity(target, ("space",), "m", "where the body is to stand"),
            "target_distance": Quantity(distance, (), "m", "of the pelvis from the target"),
        }

    # -- checkpoints --------------------------------------------------------------------------

    _STATE = (
        *SteerGoal._STATE,
        *("target", "arrived", "held", "since", "reached_at", "last_distance"),
        *("n_targets", "n_reached"),
    )
