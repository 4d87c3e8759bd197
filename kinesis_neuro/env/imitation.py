"""The imitation environment: n bodies that follow references, stepped together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.actuation import action_channels
from kinesis_neuro.body.models import PHYSICS_RATE, Body
from kinesis_neuro.env import terms
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.device.features import check_backend, warp_simulation
from kinesis_neuro.env.drive import Drive
from kinesis_neuro.env.lanes import Stepper
from kinesis_neuro.env.observation import Observer, tracked_bodies
from kinesis_neuro.env.posture import Posture
from kinesis_neuro.env.reference_table import Placed, ReferenceTable
from kinesis_neuro.env.selection import Selection
from kinesis_neuro.env.starts import EARLY, Starts
from kinesis_neuro.env.streams import Draws, Streams
from kinesis_neuro.env.tasks.goal import Goal
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]
Wrench = Callable[["ImitationEnv"], "FloatArray | None"]


@dataclass(frozen=True, eq=False)
class StepResult:
    """What one control step of all environments gave.

    Attributes
    ----------
    observation : ndarray of float32, shape (n_envs, n_observations)
        Of the state after the step; of the new episode where one ended and was reset.
    reward : ndarray, shape (n_envs,)
    terminated : ndarray of bool, shape (n_envs,)
        The body lost its reference, or its physics diverged.
    truncated : ndarray of bool, shape (n_envs,)
        Time ran out, or the motion ended.
    diverged : ndarray of bool, shape (n_envs,)
    final_observation : ndarray of float32, shape (n_done, n_observations)
        Last observation of the episodes that ended, in order of their environments.
    distance : ndarray, shape (n_envs, n_tracked)
        Distance of the tracked bodies from their reference [m].
    episode_time : ndarray, shape (n_envs,)
        Time since the episode's start, before any reset [s].
    outcome : dict of str to ndarray, shape (n_done,)
        What the goal says of the episodes that ended, in order of their environments.
    """

    observation: NDArray[np.float32]
    reward: FloatArray
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    diverged: NDArray[np.bool_]
    final_observation: NDArray[np.float32]
    distance: FloatArray
    episode_time: FloatArray
    outcome: dict[str, FloatArray] = field(default_factory=dict)


class ImitationEnv:
    """A batch of bodies that imitate reference motions.

    Parameters
    ----------
    motions : sequence of ReferenceMotion
        All on one body.
    config : ImitationConfig
    n_envs : int
    n_threads : int, optional
        Physics threads.
    seed : int
        Of the generator that draws motions, starting frames and the noise of muscles.
    auto_reset : bool
        Whether an episode that ends is followed by a new one at once.
    table : ReferenceTable, optional
        Of the motions, where it has been built already.
    streams : Streams, optional
        Random numbers that each environment has to itself, in place of one generator for all.
    backend : {"mujoco", "warp"}
        Whose physics: MuJoCo's on processors, or MuJoCo Warp's on a device, with everything else
        on a processor.
    device : str
        Of MuJoCo Warp: ``cpu``, ``cuda`` or ``cuda:1``.
    """

    def __init__(
        self,
        motions: Sequence[ReferenceMotion],
        config: ImitationConfig | None = None,
        *,
        n_envs: int = 1,
        n_threads: int | None = None,
        seed: int = 0,
        auto_reset: bool = True,
        table: ReferenceTable | None = None,
        streams: Streams | None = None,
        backend: str = "mujoco",
        device: str = "cpu",
    ) -> None:
        check_backend(backend, device if backend == "warp" else "cpu")
        self.config = config or ImitationConfig()
        self.goal = self.config.goal.make()
        self.table = table or self.goal.table(motions, self.config, n_envs)
        self.body: Body = self.table.body
        self.n_envs = n_envs
        self.rng = np.random.default_rng(seed)
        self.streams = streams
        draws = self.draws(np.arange(n_envs))
        self.simulation = (
            warp_simulation(self.config, self.body, n_envs, device)
            if backend == "warp"
            else self.goal.simulation(self.config, self.table, n_envs, n_threads, draws)
        )
        # A goal may look at all bodies at once; without one, each is by itself.
        self._separable = type(self.goal) is Goal
        self._stepper = Stepper(self, self._separable)
        self.drive = Drive(self.config, self.table)
        self.action_channels = action_channels(self.body, self.config.actuation)
        self.auto_reset = auto_reset
        self.max_steps = round(self.config.duration * self.config.control_rate)
        self._postures = Posture.of(self.body, self.config.reward)
        self.observer = Observer(self.table, self.config, self.action_channels, self.goal)
        hard = self.config.hard_starts, self.config.hard_motions
        self.starts = Starts(self.table, self.config.decimation + 1, *hard)
        n = n_envs
        self.motion = np.zeros(n, dtype=np.intp)
        self.frame = np.zeros(n, dtype=np.intp)
        self.start_frame = np.zeros(n, dtype=np.intp)
        self.steps = np.zeros(n, dtype=np.intp)
        self.n_diverged = 0
        self.reward_parts: dict[str, FloatArray] = {}
        self.excitation = np.zeros((n, self.body.n_muscles))
        self.mean_excitation = np.zeros((n, self.body.n_muscles))
        self.wrench: Wrench | None = None
        self.on_physics_step: Callable[[ImitationEnv], None] | None = None
        self.goal.attach(self)
        self.n_observations = self.reset().shape[1]

    def draws(self, which: NDArray[np.intp]) -> np.random.Generator | Draws:
        """What these environments draw random numbers with."""
        return self.rng if self.streams is None else self.streams.of(which)

    # -- episodes -----------------------------------------------------------------------------

    def reset(
        self,
        which: NDArray[np.intp] | None = None,
        motion: NDArray[np.intp] | None = None,
        frame: NDArray[np.intp] | None = None,
    ) -> NDArray[np.float32]:
        """Start episodes in states of the reference (reference state initialisation).

        Parameters
        ----------
        which : ndarray of int, optional
            Environments; all by default.
        motion, frame : ndarray of int, optional
            Motions and physics frames to start at; drawn by :class:`Starts` where not given.

        Returns
        -------
        ndarray of float32, shape (n_envs, n_observations)
        """
        self._restart(np.arange(self.n_envs) if which is None else which, motion, frame)
        return self.observe()

    def _restart(
        self,
        which: NDArray[np.intp],
        motion: NDArray[np.intp] | None = None,
        frame: NDArray[np.intp] | None = None,
    ) -> None:
        table = self.table
        if frame is not None and motion is None:
            raise InvalidInputError("Frames to start at need the motions that they belong to.")
        motion, frame = self.goal.begin(which, motion, frame)
        self.start_frame[which] = frame
        self.motion[which], self.frame[which], self.steps[which] = motion, frame, 0
        place = table.at(motion, frame)
        activation = (
            np.full((which.size, self.body.n_muscles), 0.05)
            if table.feedforward is None or not self.config.starts_activated
            else place.of(table.feedforward)
        )
        simulation = self.simulation
        simulation.reset(which, place.qpos(), place.qvel(), activation)
        self._set_sensors(which, place)
        self.goal.placed(which)
        self.excitation[which] = simulation.activation[which]

    def _set_sensors(self, which: NDArray[np.intp], place: Placed) -> None:
        """The reference's own kinematics, one physics step back as sensors always are."""
        table, sensors, n = self.table, self.simulation.sensors, which.size
        velocity = place.velocity()
        blocks = {
            "muscle_length": place.of(table.muscle_length),
            "muscle_velocity": place.rate_of(table.muscle_velocity),
            "body_position": (place.position() - velocity / PHYSICS_RATE).reshape(n, -1),
            "body_orientation": place.orientation().reshape(n, -1),
            "body_velocity": velocity.reshape(n, -1),
            "contact": np.zeros((n, 1)),
        }
        for name, values in blocks.items():
            where = self.body.sensors[name]
            sensors[which, where] = values

    # -- stepping -----------------------------------------------------------------------------

    def own_sides(self, action: NDArray[np.floating]) -> FloatArray:
        """Actions clipped, and in the body's own sides."""
        clipped = np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0)
        return self.observer.unmirrored(clipped, self.motion, self.frame)

    def step(self, action: NDArray[np.floating]) -> StepResult:
        """Advance all environments by one control step.

        Parameters
        ----------
        action : ndarray, shape (n_envs, n_actions)
            In [-1, 1]; what lies outside is clipped.
        """
        config, table = self.config, self.table
        action = self.own_sides(action)
        diverged, seen = self._stepper.advance(action)
        self.steps += 1
        self.n_diverged += int(diverged.sum())

        position, velocity, reference, reference_velocity = self.tracked()
        distance = terms.distances(position, reference)
        reward = self._reward(distance, velocity - reference_velocity, action)
        terminated = diverged | terms.failed(
            distance, config.termination_rule, config.termination_distance
        )
        reward[diverged] = 0.0
        failed, through = self.goal.ended()
        terminated |= failed
        ended = ~table.periodic[self.motion] & (
            self.frame + config.decimation >= table.length[self.motion]
        )
        truncated = ~terminated & ((self.steps >= self.max_steps) | ended | through)
        episode_time = self.steps / config.control_rate
        done = np.flatnonzero(terminated | truncated)
        # Goals may have changed with what was reached; then nobody has looked yet.
        observation = self.observe() if seen is None else seen
        # What a diverged state looks like is of no use to anybody.
        observation[diverged] = 0.0
        distance[diverged] = config.termination_distance
        final = observation[done]
        outcome = {name: values[done] for name, values in self.goal.outcome().items()}
        early = terminated[done] & (episode_time[done] < EARLY)
        self.starts.report(self.motion[done], self.start_frame[done], early)
        self.starts.report_motions(self.motion[done], terminated[done])
        if done.size and self.auto_reset:
            self._restart(done)
            observation[done] = self.observe(done)
        return StepResult(
            observation,
            reward,
            terminated,
            truncated,
            diverged,
            final,
            distance,
            episode_time,
            outcome,
        )

    def _reward(
        self, distance: FloatArray, velocity_difference: FloatArray, action: FloatArray
    ) -> FloatArray:
        weights, qpos = self.config.reward, self.simulation.qpos
        squared = np.square(distance).mean(axis=1)
        speed = np.square(velocity_difference).sum(axis=-1).mean(axis=1)
        upright = terms.upright_reward(qpos[:, 3:7], weights.k_upright)
        energy = terms.energy_reward(self.mean_excitation, weights.k_energy)
        parts = {
            "position": weights.position * terms.position_reward(squared, weights.k_position),
            "velocity": weights.velocity * terms.velocity_reward(speed, weights.k_velocity),
            "upright": weights.upright * upright,
            "energy": weights.energy * energy,
        }
        if weights.restraint:
            parts["restraint"] = weights.restraint * terms.restraint_reward(action)
        if self._postures:
            apart = qpos - self.table.at(self.motion, self.frame).of(self.table.qpos)
            for one in self._postures:
                near = terms.posture_reward(apart[:, one.columns], one.scale)
                parts[one.name] = one.weight * near
        parts |= self.goal.reward()
        self.reward_parts = parts
        return np.sum(list(parts.values()), axis=0)

    # -- observing ----------------------------------------------------------------------------

    def tracked(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """See :func:`kinesis_neuro.env.observation.tracked_bodies`."""
        return tracked_bodies(self.simulation, self.table, self.motion, self.frame)

    def observation_blocks(self) -> dict[str, FloatArray]:
        """Observation as named blocks, each (n_envs, width), not mirrored."""
        return self.observer.blocks(self.simulation, self.motion, self.frame)

    def observe(self, which: NDArray[np.intp] | None = None) -> NDArray[np.float32]:
        """Observations of all environments, or of some, shape (n_envs, n_observations)."""
        if which is None or not self._separable:
            seen = self.observer.observe(self.simulation, self.motion, self.frame)
            return seen if which is None else seen[which]
        some = Selection(self.simulation, which)
        return self.observer.observe(some, self.motion[which], self.frame[which])

    def mirrored(self) -> NDArray[np.bool_]:
        """Environments that are shown to the policy from the other side now."""
        return self.observer.mirrored(self.motion, self.frame)

    # -- checkpoints --------------------------------------------------------------------------

    _STATE = ("motion", "frame", "start_frame", "steps", "excitation")

    def state_arrays(self) -> dict[str, NDArray]:
        """Everything that the next step depends on, but the generator, as arrays."""
        arrays = {name: getattr(self, name) for name in self._STATE}
        counted = {
            "n_diverged": np.array([self.n_diverged]),
            "failure": self.starts.failure,
            "motion_failure": self.starts.motion_failure,
        }
        asked = {f"goal.{name}": values for name, values in self.goal.state_arrays().items()}
        streams = {} if self.streams is None else self.streams.state_arrays()
        return arrays | self.simulation.state_arrays() | counted | asked | streams

    def set_state_arrays(self, arrays: dict[str, NDArray]) -> None:
        """Put back what :meth:`state_arrays` gave."""
        for name in self._STATE:
            getattr(self, name)[:] = arrays[name]
        self.n_diverged = int(arrays["n_diverged"][0])
        self.starts.failure = arrays["failure"].copy()
        if "motion_failure" in arrays:  # later than the first checkpoints
            self.starts.motion_failure = arrays["motion_failure"].copy()
        self.simulation.set_state_arrays(arrays)
        asked = {k.removeprefix("goal."): v for k, v in arrays.items() if k.startswith("goal.")}
        self.goal.set_state_arrays(asked)
        if self.streams is not None and "drawn" in arrays:  # later than the first checkpoints
            self.streams.set_state_arrays(arrays)

    def close(self) -> None:
        """Stop the physics threads."""
        self._stepper.close()
        self.simulation.close()
