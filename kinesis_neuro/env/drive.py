"""From a policy's action to the muscles' excitations, along the physics steps of a control step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body import actuation as act
from kinesis_neuro.body.effort import Sharing, moment_control
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.reference_table import Placed, ReferenceTable

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Plan:
    """What stays the same through a control step.

    Attributes
    ----------
    action : ndarray, shape (n_envs, n_actions)
        Clipped, in the body's own sides.
    change : ndarray, shape (n_envs, n_muscles), or None
        Of excitation, that makes the moments which the action asks for (``moment``).
    sharing : Sharing or None
        Of all moments among the muscles (``least_effort``).
    """

    action: FloatArray
    change: FloatArray | None = None
    sharing: Sharing | None = None


class Sensed(Protocol):
    """Whatever has muscle sensors: a simulation, or some of its bodies."""

    def sensor(self, name: str) -> FloatArray:
        """A block of the sensors, shape (n_envs, width)."""
        ...


class Drive:
    """The actuation of a task: actions in, excitations out.

    Parameters
    ----------
    config : ImitationConfig
    table : ReferenceTable

    Notes
    -----
    The methods are told whose muscle sensors are fed back (a simulation, or some of its bodies),
    and where in which motion these are.
    """

    def __init__(self, config: ImitationConfig, table: ReferenceTable) -> None:
        self.config, self.table = config, table
        self.muscles = MuscleParameters.from_model(table.body.model)
        self.gains = act.FeedbackGains(config.stiffness, config.damping)
        self.lead = config.lead

    def plan(
        self, action: FloatArray, simulation: Sensed, motion: IntArray, frame: IntArray
    ) -> Plan:
        """Prepare a control step that begins in these frames."""
        table, kind = self.table, self.config.actuation
        if kind not in act.BY_JOINT:
            return Plan(action)
        assert table.moment_matrix is not None and table.feedforward is not None
        ahead = table.at(motion, frame + self.lead)
        matrix = table.moment_matrix[ahead.rows]
        if kind == "moment":
            change = moment_control(action, matrix, ahead.of(table.feedforward))
            return Plan(action, change=change)
        asked = self._moments(ahead, self._feedback(simulation, motion, frame)) + action
        return Plan(action, sharing=Sharing.solve(asked, matrix))

    def excite(
        self, plan: Plan, simulation: Sensed, motion: IntArray, frame: IntArray
    ) -> FloatArray:
        """Excitations of the physics step in these frames, shape (n_envs, n_muscles)."""
        kind = self.config.actuation
        if kind == "excitation":
            return act.excitation(plan.action)
        if kind == "length":
            sensor = simulation.sensor
            length, velocity = sensor("muscle_length"), sensor("muscle_velocity")
            return act.length_control(plan.action, length, velocity, self.muscles)
        ahead = self.table.at(motion, frame + self.lead)
        return self._around(plan, ahead, self._feedback(simulation, motion, frame))

    def held(
        self,
        plan: Plan,
        simulation: Sensed,
        motion: IntArray,
        frame: IntArray,
        n_steps: int,
    ) -> FloatArray:
        """Mean excitation over the control step that begins here, as far as it is known now.

        The feed-forward runs on through the step; the muscles' distance from the reference is
        taken to stay as it is.
        """
        if self.config.actuation not in act.FEEDFORWARD:
            return self.excite(plan, simulation, motion, frame)
        feedback = self._feedback(simulation, motion, frame)
        total = np.zeros_like(feedback)
        for k in range(n_steps):
            ahead = self.table.at(motion, frame + self.lead + k)
            total += self._around(plan, ahead, feedback)
        return total / n_steps

    def _feedback(self, simulation: Sensed, motion: IntArray, frame: IntArray) -> FloatArray:
        """Excitation that the distance from the reference adds, without bounds."""
        # Sensors are one physics step late; the feedback compares like with like.
        table, sensor = self.table, simulation.sensor
        target = table.at(motion, frame + self.lead - 1)
        length, velocity = sensor("muscle_length"), sensor("muscle_velocity")
        to_be = target.of(table.muscle_length), target.rate_of(table.muscle_velocity)
        force = act.feedback_force(length, velocity, *to_be, self.muscles, self.gains)
        # Sharing turns it into moments at the reference's gains, so it is taken at these: at the
        # present ones, a muscle that shortens fast would count many times what it can do.
        at = to_be if self.config.actuation == "least_effort" else (length, velocity)
        return force / np.minimum(-1.0, self.muscles.gain(*at))

    def _moments(self, ahead: Placed, feedback: FloatArray) -> FloatArray:
        """Moments of feed-forward and feedback together, in units of action."""
        table = self.table
        assert table.moment_matrix is not None and table.feedforward is not None
        wanted = ahead.of(table.feedforward) + feedback
        return (table.moment_matrix[ahead.rows] @ wanted[..., None])[..., 0]

    def _around(self, plan: Plan, ahead: Placed, feedback: FloatArray) -> FloatArray:
        if plan.sharing is not None:
            return plan.sharing.follow(self._moments(ahead, feedback) + plan.action)
        assert self.table.feedforward is not None
        drive = feedback + ahead.of(self.table.feedforward)
        drive += self.config.action_scale * plan.action if plan.change is None else plan.change
        return np.clip(drive, 0.0, 1.0)
