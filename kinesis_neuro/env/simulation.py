"""Batched physics: many states of one body stepped at once, in MuJoCo's threads.

Every step starts the solver from the acceleration of the step before, recomputed from the
velocities that are carried anyway; so a state, its predecessor's velocity and a control determine
the next state, whatever the batch or the number of threads.
"""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Callable

import mujoco
import numpy as np
from mujoco import rollout
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body

FloatArray = NDArray[np.float64]

SPEED_LIMIT = 1e3
"""A state with a faster coordinate than this has diverged [rad/s, m/s]."""

_LANES = 4
_SMALLEST_LANE = 16


def default_threads() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Simulation:
    """States of n bodies, stepped together.

    Parameters
    ----------
    body : Body
    n_envs : int
        Number of bodies.
    n_threads : int, optional
        Physics threads; all processors by default.
    model : mujoco.MjModel, optional
        A variant of the body's model, of the same layout, which may hold further things after the
        body; the body's own if not given.

    Attributes
    ----------
    excitation : ndarray, shape (n_envs, n_muscles)
        What the muscles were given in the last step.
    state : ndarray, shape (n_envs, 1 + nq + nv + na)
        Time, positions, velocities, activations; of the body and of all else in the model.
    previous : ndarray, shape (n_envs, 1 + nq + nv + na)
        The state before the last step.
    sensors : ndarray, shape (n_envs, n_sensors)
        Of the state *before* the last step, as MuJoCo evaluates them.
    mocap_position : ndarray, shape (n_envs, n_mocap, 3)
        Where the things are that are moved from outside [m].
    """

    fatigued: FloatArray  # of muscles that tire alone

    def __init__(
        self,
        body: Body,
        n_envs: int,
        n_threads: int | None = None,
        *,
        model: mujoco.MjModel | None = None,
    ) -> None:
        model = body.model if model is None else model
        self.body, self.model = body, model
        self.n_envs = n_envs
        self.n_threads = min(n_threads or default_threads(), n_envs)
        self._take_threads()
        self.state = np.zeros((n_envs, 1 + model.nq + model.nv + model.na))
        self.previous = self.state.copy()
        self.sensors = np.zeros((n_envs, model.nsensordata))
        self.excitation = np.zeros((n_envs, model.nu))
        self._next = np.zeros((n_envs, 1, self.state.shape[1]))
        self._sensed = np.zeros((n_envs, 1, model.nsensordata))
        self._acceleration = np.zeros((n_envs, model.nv))
        self.mocap_position = np.tile(model.body_pos[model.body_mocapid >= 0], (n_envs, 1, 1))
        wrench = mujoco.mjtState.mjSTATE_XFRC_APPLIED
        self._spec = int(mujoco.mjtState.mjSTATE_CTRL)
        if model.nmocap:
            self._spec |= int(mujoco.mjtState.mjSTATE_MOCAP_POS)
        self._spec_with_wrench = self._spec | int(wrench)
        width = model.nu + 3 * model.nmocap
        self._control = np.zeros((n_envs, 1, width))
        self._control_with_wrench = np.zeros((n_envs, 1, width + 6 * model.nbody))
        q, v, a = 1, 1 + model.nq, 1 + model.nq + model.nv
        self._where = {
            "qpos": slice(q, q + body.model.nq),
            "qvel": slice(v, v + body.model.nv),
            "act": slice(a, None),
        }
        self._other = {"qpos": slice(q + body.model.nq, v), "qvel": slice(v + body.model.nv, a)}
        self._speeds = slice(v, a)
        self._fine: mujoco.MjModel | None = None
        self._needs_fine: Callable[[], NDArray[np.bool_]] | None = None

    def refine(self, model: mujoco.MjModel, needed: Callable[[], NDArray[np.bool_]]) -> None:
        """Step bodies in smaller steps whenever that is needed.

        Parameters
        ----------
        model : mujoco.MjModel
            Like the simulation's own, with a time step that divides its own.
        needed : callable
            Asked before every step; which bodies need it, shape (n_envs,).
        """
        # Muscles may be weaker than the body's own.
        self._fine = copy.copy(model)
        self._fine.actuator_gainprm[:] = self.model.actuator_gainprm
        self._needs_fine = needed

    def _take_threads(self) -> None:
        self._models = [self.model] * self.n_envs
        self._data = [mujoco.MjData(self.model) for _ in range(self.n_threads)]
        self._pool = rollout.Rollout(nthread=self.n_threads if self.n_threads > 1 else 0)
        # Few, large chunks: handing out work costs more than an uneven end.
        self._chunk = max(1, self.n_envs // (self.n_threads * 4))

    def lanes(self) -> list[tuple[slice, Simulation]]:
        """Neighbouring bodies as simulations on the same arrays, each with threads of its own.

        They may be stepped at the same time: while one is between two steps, in Python and on one
        processor, the others' physics goes on. Beyond a few, lanes would wait for each other in
        Python; so then each has several threads, twice as many together as there are processors,
        for those whose lane is not in its physics.
        """
        n = min(self.n_threads, _LANES, self.n_envs // _SMALLEST_LANE)
        if n < 2:
            return []
        edges = [self.n_envs * k // n for k in range(n + 1)]
        each = 1 if n == self.n_threads else -(-2 * self.n_threads // n)
        return [
            (slice(first, last), self._lane(slice(first, last), each))
            for first, last in itertools.pairwise(edges)
        ]

    def _lane(self, rows: slice, n_threads: int) -> Simulation:
        lane = copy.copy(self)
        lane.n_envs, lane.n_threads = rows.stop - rows.start, n_threads
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(lane, name, value[rows])
        lane._take_threads()
        return lane

    @property
    def time(self) -> FloatArray:
        """Time of each body [s], shape (n_envs,)."""
        return self.state[:, 0]

    @property
    def qpos(self) -> FloatArray:
        """Positions, shape (n_envs, nq)."""
        return self.state[:, self._where["qpos"]]

    @property
    def qvel(self) -> FloatArray:
        """Velocities, shape (n_envs, nv)."""
        return self.state[:, self._where["qvel"]]

    @property
    def other_qpos(self) -> FloatArray:
        """Positions of what else is in the model, shape (n_envs, n)."""
        return self.state[:, self._other["qpos"]]

    @property
    def other_qvel(self) -> FloatArray:
        """Velocities of what else is in the model, shape (n_envs, n)."""
        return self.state[:, self._other["qvel"]]

    def parts(self, state: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The body's positions, velocities and activations in states (n, width)."""
        qpos, qvel, activation = (state[:, self._where[k]] for k in ("qpos", "qvel", "act"))
        return qpos, qvel, activation

    @property
    def activation(self) -> FloatArray:
        """Muscle activations [1], shape (n_envs, n_muscles)."""
        return self.state[:, self._where["act"]]

    def sensor(self, name: str) -> FloatArray:
        """A block of the sensors, shape (n_envs, width); see :class:`Body`."""
        return self.sensors[:, self.body.sensors[name]]

    def reset(
        self,
        which: NDArray[np.intp],
        qpos: FloatArray,
        qvel: FloatArray,
        activation: FloatArray,
    ) -> None:
        """Put bodies into states; their sensors must be set by the caller."""
        self.state[which, 0] = 0.0
        self.state[which, self._where["qpos"]] = qpos
        self.state[which, self._where["qvel"]] = qvel
        self.state[which, self._where["act"]] = activation
        self._acceleration[which] = 0.0

    def step(self, excitation: FloatArray, wrench: FloatArray | None = None) -> NDArray[np.bool_]:
        """Advance all bodies by one physics step.

        Parameters
        ----------
        excitation : ndarray, shape (n_envs, n_muscles)
            In [0, 1].
        wrench : ndarray, shape (n_envs, 6), optional
            Force [N] and torque [N m] on the pelvis, in world axes.

        Returns
        -------
        ndarray of bool, shape (n_envs,)
            Bodies whose physics has diverged: non-finite or huge values, or another time than
            expected. Their states are put back to where they were before the step.
        """
        model = self.model
        self.excitation = excitation
        self._roll(excitation, wrench)
        new = self._next[:, 0]
        speed = new[:, self._speeds]
        # One sum finds what is not finite; comparisons with NaN are false.
        largest = np.abs(speed).max(axis=1)
        sound = (largest < SPEED_LIMIT) & np.isfinite(new.sum(axis=1))
        sound &= np.abs(new[:, 0] - self.state[:, 0] - model.opt.timestep) < 1e-9
        np.subtract(speed, self.state[:, self._speeds], out=self._acceleration)
        self._acceleration /= model.opt.timestep
        self.sensors[:] = self._sensed[:, 0]
        self.previous[:] = self.state
        if sound.all():
            self.state[:] = new
        else:
            self.state[sound] = new[sound]
            self._acceleration[~sound] = 0.0
        return ~sound

    def _roll(self, excitation: FloatArray, wrench: FloatArray | None) -> None:
        """Compute next states and sensors, whatever they turn out to be."""
        model = self.model
        if wrench is None:
            spec, control = self._spec, self._control
        else:
            spec, control = self._spec_with_wrench, self._control_with_wrench
            first = model.nu + 6 * model.body("pelvis").id
            control[:, 0, first : first + 6] = wrench
        control[:, 0, : model.nu] = excitation
        if model.nmocap:
            control[:, 0, -3 * model.nmocap :] = self.mocap_position.reshape(self.n_envs, -1)
        fine = np.zeros(0, bool) if self._needs_fine is None else self._needs_fine()
        if fine.any():
            self._advance_part(np.flatnonzero(~fine), model, spec, control)
            self._advance_part(np.flatnonzero(fine), self._fine, spec, control)
        else:
            self._pool.rollout(
                self._models,
                self._data,
                self.state,
                control,
                control_spec=spec,
                skip_checks=True,
                nstep=1,
                initial_warmstart=self._acceleration,
                state=self._next,
                sensordata=self._sensed,
                chunk_size=self._chunk,
            )

    def _advance_part(
        self,
        which: NDArray[np.intp],
        model: mujoco.MjModel | None,
        spec: int,
        control: FloatArray,
    ) -> None:
        """Advance some bodies by one physics step, in as many steps as a model's own make it."""
        if not which.size or model is None:
            return
        n_steps = round(self.model.opt.timestep / model.opt.timestep)
        state = np.empty((which.size, n_steps, self.state.shape[1]))
        sensed = np.empty((which.size, n_steps, self.sensors.shape[1]))
        self._pool.rollout(
            [model] * which.size,
            self._data,
            self.state[which],
            np.repeat(control[which], n_steps, axis=1),
            control_spec=spec,
            skip_checks=True,
            nstep=n_steps,
            initial_warmstart=self._acceleration[which],
            state=state,
            sensordata=sensed,
            chunk_size=self._chunk,
        )
        # Sensors of the first are those of the state before the step.
        self._next[which, 0], self._sensed[which, 0] = state[:, -1], sensed[:, 0]

    def muscle_states(self) -> dict[str, FloatArray]:
        """States of the muscles beyond activation, before the last step; here there are none."""
        return {}

    def state_arrays(self) -> dict[str, FloatArray]:
        """Everything that the next step depends on."""
        return {
            "state": self.state,
            "sensors": self.sensors,
            "acceleration": self._acceleration,
            "mocap_position": self.mocap_position,
        }

    def set_state_arrays(self, arrays: dict[str, FloatArray]) -> None:
        """Put back what :meth:`state_arrays` gave."""
        self.state[:] = arrays["state"]
        self.sensors[:] = arrays["sensors"]
        self._acceleration[:] = arrays["acceleration"]
        if self.model.nmocap:
            self.mocap_position[:] = arrays["mocap_position"]

    def close(self) -> None:
        """Stop the threads."""
        self._pool.close()
