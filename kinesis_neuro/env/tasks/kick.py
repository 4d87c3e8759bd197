"""Penalty kick: approach a ball and send it between the posts, past a keeper.

The body imitates a recorded kick (:mod:`kinesis_neuro.env.tasks.kick_table`); the ball is physics.
It is seen relative to the pelvis, as are the goal and the keeper; where the ball is bound for is
rewarded from the kick on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import PHYSICS_RATE
from kinesis_neuro.body.pitch import (
    BALL_RADIUS,
    GOAL_DISTANCE,
    GOAL_WIDTH,
    Pitch,
    keeper_position,
    load_pitch,
)
from kinesis_neuro.env import terms
from kinesis_neuro.env.conditioned import simulation_under
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.simulation import Simulation
from kinesis_neuro.env.streams import Draws
from kinesis_neuro.env.tasks.goal import Goal, Image, Quantity
from kinesis_neuro.env.tasks.keeper import Keepers
from kinesis_neuro.env.tasks.kick_config import KickConfig, check_place
from kinesis_neuro.env.tasks.kick_table import KickTable
from kinesis_neuro.env.tasks.shot import bound_for, crossing, inside
from kinesis_neuro.errors import InvalidInputError

if TYPE_CHECKING:
    from kinesis_neuro.env.config import ImitationConfig
    from kinesis_neuro.env.imitation import ImitationEnv
    from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

_MOVED = 0.5  # a ball faster than this has been kicked [m/s]
_FOOT = 0.15  # from the middles of the foot's segments to its surface [m]
_UPRIGHT = 0.5  # height of the pelvis of a body that stands or kneels [m]
_AFTER_CROSSING = 0.5  # how long an episode goes on then [s]
_LAST_START = 30  # frames before the strike


class Kick(Goal):
    """The balls and keepers of all environments."""

    options = ("ball",)

    def __init__(self, config: KickConfig) -> None:
        self.config = config
        self.asked: tuple[float, float] | None = None

    def ask(self, **wanted: object) -> None:
        """Lay the balls of all episodes to come in one place, as ``ball`` of :class:`KickConfig`.

        Without a place they are scattered again.
        """
        ball = wanted.get("ball")
        if ball is not None:
            check_place(ball)
            x, y = np.asarray(ball, dtype=float)
            self.asked = float(x), float(y)
        else:
            self.asked = None

    # -- made once ----------------------------------------------------------------------------

    def table(
        self, motions: Sequence[ReferenceMotion], config: ImitationConfig, n_envs: int
    ) -> ReferenceTable:
        """The clip for every environment, its last pose held while the ball is on its way."""
        table = super().table(motions, config, n_envs)
        return KickTable.of(table, n_envs, self.config.follow_through)

    def simulation(
        self,
        config: ImitationConfig,
        table: ReferenceTable,
        n_envs: int,
        n_threads: int | None,
        rng: np.random.Generator | Draws,
    ) -> Simulation:
        """The body on a pitch."""
        self.pitch: Pitch = load_pitch(table.body)
        simulation = simulation_under(
            config.condition, table.body, n_envs, n_threads, rng, self.pitch.model
        )
        simulation.refine(self.pitch.fine, self._impact)
        return simulation

    def attach(self, env: ImitationEnv) -> None:
        """Make room for the state of all environments."""
        super().attach(env)
        if not isinstance(env.table, KickTable) or not hasattr(self, "pitch"):
            raise InvalidInputError(
                "A kick has a table and physics of its own: leave out table, and take the backend "
                "'mujoco'."
            )
        self.plan = env.table
        n = env.n_envs
        self.keepers = Keepers(n, self.config.keeper_chances, self.config.keeper_speeds)
        self.place = np.full((n, 2), np.nan)  # where the ball crossed the line
        self.on_target, self.saved, self.kicked = (np.zeros(n, dtype=bool) for _ in range(3))
        self.upright = np.ones(n, dtype=bool)  # until the ball crossed the line
        self.speed = np.zeros(n)
        self.since = np.zeros(n, dtype=np.intp)  # physics steps since then
        self._before = np.zeros((n, 3))
        self._scratch = mujoco.MjData(self.pitch.model)
        feet = ("talus_r", "calcn_r", "toes_r", "talus_l", "calcn_l", "toes_l")
        self._feet = np.array([env.body.segments.index(name) for name in feet])

    def images(self) -> Mapping[str, Image]:
        """Left and right change places, x is lateral."""
        vector = (np.arange(3), np.array([-1.0, 1.0, 1.0]))
        return {
            "ball_position": vector,
            "ball_velocity": vector,
            "goal_position": vector,
            "keeper_position": vector,
        }

    @property
    def ball(self) -> FloatArray:
        """Position of the balls [m], shape (n_envs, 3)."""
        return self.env.simulation.other_qpos[:, :3]

    @property
    def ball_velocity(self) -> FloatArray:
        """Velocity of the balls [m/s], shape (n_envs, 3)."""
        return self.env.simulation.other_qvel[:, :3]

    def _impact(self) -> BoolArray:
        """Balls that something may hit within a step: a foot, the floor, the goal."""
        env, dt = self.env, 1.0 / PHYSICS_RATE
        ball, velocity = self.ball, self.ball_velocity
        sensor = env.simulation.sensor
        shape = (env.n_envs, -1, 3)
        feet = sensor("body_position").reshape(shape)[:, self._feet]
        speed = sensor("body_velocity").reshape(shape)[:, self._feet] - velocity[:, None]
        closing = np.linalg.norm(speed, axis=-1)
        gap = np.linalg.norm(feet - ball[:, None], axis=-1) - BALL_RADIUS - _FOOT
        struck = ((closing > _MOVED) & (gap < 2.0 * dt * closing)).any(axis=1)
        height, vertical = ball[:, 2] - BALL_RADIUS, velocity[:, 2]
        bounces = (np.abs(vertical) > 0.2) & (height < np.maximum(0.003, -1.5 * dt * vertical))
        arrives = np.abs(ball[:, 1] + GOAL_DISTANCE) < 0.5 + 2.0 * dt * np.abs(velocity[:, 1])
        impact: BoolArray = struck | bounces | arrives
        return impact

    # -- episodes -----------------------------------------------------------------------------

    def begin(
        self, which: IntArray, motion: IntArray | None, frame: IntArray | None
    ) -> tuple[IntArray, IntArray]:
        """Lay the balls, draw the keepers, and choose where in the approach to start."""
        rng, n, config = self.env.draws(which), which.size, self.config
        scatter = rng.uniform(-config.scatter, config.scatter, (n, 2))
        offset = np.array(config.ball) + scatter
        self.plan.offset[which] = offset if self.asked is None else self.asked
        self.keepers.draw(which, rng)
        last = self.plan.strike - _LAST_START
        if frame is None:
            first = rng.random(n) < config.first_starts
            begin, end = (round(t * PHYSICS_RATE) for t in config.other_starts)
            upper = np.where(first, round(config.first_within * PHYSICS_RATE), min(end, last))
            frame = rng.integers(np.where(first, 0, begin), upper)
        elif (frame > last).any():
            raise InvalidInputError(
                f"A kick starts at {last / PHYSICS_RATE:.2f} s of its motion at the latest, before "
                f"the foot comes to the ball; got {frame.max() / PHYSICS_RATE:.2f} s."
            )
        return which, frame

    def placed(self, which: IntArray) -> None:
        """Put the balls on the floor and the keepers on the line."""
        n = which.size
        ball = np.zeros((n, 7))
        ball[:, :2], ball[:, 2], ball[:, 3] = self.plan.offset[which], BALL_RADIUS, 1.0
        self.lay(which, ball)
        self.place[which], self.speed[which], self.since[which] = np.nan, 0.0, 0
        self.on_target[which] = self.saved[which] = self.kicked[which] = False
        self.upright[which] = True
        self._set_keepers()

    def lay(self, which: IntArray, pose: FloatArray) -> None:
        """Put balls into poses (n, 7), at rest.

        Raises
        ------
        InvalidInputError
            If a pose is not finite, out of the pitch, under the floor or in the body.
        """
        simulation = self.env.simulation
        x, y, z = pose[:, :3].T
        if not np.isfinite(pose).all():
            raise InvalidInputError("The ball's place must be finite numbers, got NaN or infinity.")
        far = (np.abs(x) > GOAL_WIDTH) | (np.abs(y) > GOAL_DISTANCE) | (z < 0.9 * BALL_RADIUS)
        if far.any():
            k = int(np.flatnonzero(far)[0])
            raise InvalidInputError(
                f"The ball at ({x[k]:.2f}, {y[k]:.2f}, {z[k]:.2f}) m is off the pitch: |x| up to "
                f"{GOAL_WIDTH} m, |y| up to {GOAL_DISTANCE} m, z from {BALL_RADIUS} m."
            )
        for k, env in enumerate(which):
            near = np.linalg.norm(simulation.qpos[env, :2] - pose[k, :2]) < 1.5
            if near and self._in_body(simulation.qpos[env], pose[k]):
                raise InvalidInputError(
                    f"The ball at ({x[k]:.2f}, {y[k]:.2f}, {z[k]:.2f}) m is inside the body. Lay "
                    "it farther away, or start earlier in the motion."
                )
        simulation.other_qpos[which] = pose
        simulation.other_qvel[which] = 0.0

    def _in_body(self, qpos: FloatArray, ball: FloatArray) -> bool:
        """Whether MuJoCo finds the ball in contact with anything but the floor."""
        model, data = self.pitch.model, self._scratch
        data.qpos[:] = np.concatenate([qpos, ball])
        data.qvel[:] = 0.0
        mujoco.mj_fwdPosition(model, data)
        own, floor = model.geom("ball").id, model.geom("floor").id
        pairs = data.contact.geom
        touched = pairs[(pairs == own).any(axis=1)]
        return bool(((touched != own) & (touched != floor)).any())

    def advance(self) -> None:
        """Move the keepers, and see which balls have crossed the line."""
        ball = self.ball
        self.since += ~np.isnan(self.place[:, 0])
        crossed, place = crossing(self._before, ball)
        crossed &= np.isnan(self.place[:, 0])
        self.place[crossed] = place[crossed]
        within = crossed & inside(place)
        self.on_target |= within
        self.saved |= within & self.keepers.saves(place[:, 0], place[:, 1])
        fallen = self.env.simulation.qpos[:, 2] < _UPRIGHT
        self.upright &= ~fallen | ~np.isnan(self.place[:, 0])
        speed = np.linalg.norm(self.ball_velocity, axis=1)
        self.kicked |= speed > _MOVED
        self.speed = np.maximum(self.speed, speed)
        draws = self.env.draws(np.arange(self.env.n_envs))
        self.keepers.move(ball[:, 0], 1.0 / PHYSICS_RATE, draws)
        self._set_keepers()

    def _set_keepers(self) -> None:
        self.env.simulation.mocap_position[:, 0] = keeper_position(self.keepers.position)
        self._before = self.ball.copy()

    # -- control steps ------------------------------------------------------------------------

    def blocks(self) -> dict[str, FloatArray]:
        """Ball, goal and keeper in the root's heading frame; metres, and tens of metres."""
        qpos = self.env.simulation.qpos
        root, angle = qpos[:, :3], terms.heading(qpos[:, 3:7])
        goal = np.broadcast_to([0.0, -GOAL_DISTANCE, 0.0], root.shape)
        keeper = goal + self.keepers.position[:, None] * [1.0, 0.0, 0.0]
        return {
            "ball_position": terms.to_local(self.ball - root, angle),
            "ball_velocity": 0.1 * terms.to_local(self.ball_velocity, angle),
            "goal_position": 0.1 * terms.to_local(goal - root, angle),
            "keeper_position": 0.1 * terms.to_local(keeper - root, angle),
        }

    def reward(self) -> dict[str, FloatArray]:
        """From the kick on: how sure the ball is to go in, and how fast it goes there."""
        config = self.config
        place, towards = bound_for(self.ball, self.ball_velocity)
        # Near the posts a shot is worth less, and beside them still something.
        miss = np.maximum(np.abs(place[:, 0]) / (GOAL_WIDTH / 2) - 0.4, 0.0)
        high = np.maximum(place[:, 1] - 2.0, 0.0)
        fast = np.clip(towards / config.full_speed, 0.0, 1.0)
        bound = fast * np.exp(-4.0 * miss**2 - high**2)
        through = ~np.isnan(self.place[:, 0])
        value = np.where(through, self.on_target.astype(float), bound)
        return {"ball": config.weight * np.where(self.kicked, value, 0.0)}

    def ended(self) -> tuple[BoolArray, BoolArray]:
        """Through after the follow-through, or soon after the ball has crossed the line."""
        env = self.env
        after = env.frame - self.plan.strike
        through = after >= self.config.follow_through * PHYSICS_RATE
        through |= self.since >= _AFTER_CROSSING * PHYSICS_RATE
        return np.zeros(env.n_envs, dtype=bool), through

    def outcome(self) -> dict[str, FloatArray]:
        """Results: did the ball go in, past the keeper, how fast; was the body upright till then.

        ``success`` is a ball that crossed the line between the posts; ``goal`` one that the keeper
        did not meet there either; ``bound_for_goal`` one that has crossed, or will if nothing but
        gravity changes its way.
        """
        place, towards = bound_for(self.ball, self.ball_velocity)
        crossed = ~np.isnan(self.place[:, 0])
        bound = np.where(crossed, self.on_target, (towards > 1.0) & inside(place))
        return {
            "kicked": self.kicked.astype(float),
            "upright": self.upright.astype(float),
            "bound_for_goal": (bound & self.kicked).astype(float),
            "success": self.on_target.astype(float),
            "goal": (self.on_target & ~self.saved).astype(float),
            "ball_speed": np.where(self.kicked, self.speed, np.nan),
            "crossing_lateral": self.place[:, 0].copy(),
            "crossing_height": self.place[:, 1].copy(),
        }

    def units(self) -> Mapping[str, str]:
        """Of speeds and places."""
        return {"ball_speed": "m/s", "crossing_lateral": "m", "crossing_height": "m"}

    def recorded(self) -> dict[str, Quantity]:
        """Ball, goal and keeper, of the state before the physics step that was just made."""
        simulation, n = self.env.simulation, self.env.n_envs
        body = self.env.body.model
        first_q, first_v = 1 + body.nq, 1 + simulation.model.nq + body.nv
        before = simulation.previous
        goal = np.broadcast_to([0.0, -GOAL_DISTANCE, 0.0], (n, 3))
        space = ("space",)
        return {
            "ball_position": Quantity(
                before[:, first_q : first_q + 3].copy(), space, "m", "centre of the ball"
            ),
            "ball_velocity": Quantity(
                before[:, first_v : first_v + 3].copy(), space, "m/s", "velocity of the ball"
            ),
            "goal_position": Quantity(goal.copy(), space, "m", "middle of the goal line"),
            "keeper_position": Quantity(
                simulation.mocap_position[:, 0].copy(), space, "m", "middle of the keeper's box"
            ),
        }

    # -- checkpoints --------------------------------------------------------------------------

    def state_arrays(self) -> dict[str, NDArray]:
        """Everything that the next step depends on, but the physics."""
        keepers = self.keepers
        return {
            "offset": self.plan.offset,
            "keeper": np.stack([keepers.position, keepers.velocity, keepers.top_speed]),
            "behaviour": keepers.behaviour,
            "place": self.place,
            "flags": np.stack([self.on_target, self.saved, self.kicked, self.upright]),
            "speed": self.speed,
            "since": self.since,
            "before": self._before,
        }

    def set_state_arrays(self, arrays: Mapping[str, NDArray]) -> None:
        """Put back what :meth:`state_arrays` gave."""
        keepers = self.keepers
        self.plan.offset[:] = arrays["offset"]
        keepers.position, keepers.velocity, keepers.top_speed = (
            row.copy() for row in arrays["keeper"]
        )
        keepers.behaviour = arrays["behaviour"].copy()
        self.place, self.speed = arrays["place"].copy(), arrays["speed"].copy()
        self.since = arrays["since"].copy()
        self.on_target, self.saved, self.kicked, self.upright = (
            row.astype(bool) for row in arrays["flags"]
        )
        self._before = arrays["before"].copy()
