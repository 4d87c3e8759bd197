"""The motions of a task as flat tables: one row a physics frame, gathered by index.

Everything that depends on the reference alone is computed once here (positions, muscle lengths,
feed-forward, moment matrices), so that a step of any number of environments is a gather.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from kinesis_neuro.body.actuation import BY_JOINT, FEEDFORWARD, moment_matrix, moment_scale
from kinesis_neuro.body.models import PHYSICS_RATE, Body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.env.terms import heading
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.motion.dynamics import moment_arms
from kinesis_neuro.motion.feedforward import muscle_activations
from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]
Segments = slice | NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class ReferenceTable:
    """Rows of all motions, one after the other.

    Attributes
    ----------
    start, length : ndarray of int, shape (n_motions,)
        First row and number of rows of each motion.
    displacement : ndarray, shape (n_motions, 3)
        Way of one cycle [m]; zero for motions that end.
    periodic : ndarray of bool, shape (n_motions,)
    qpos, qvel : ndarray, shape (n_rows, nq), (n_rows, nv)
    position, velocity : ndarray, shape (n_rows, n_segments, 3)
        Of the sensed segments [m], [m/s].
    muscle_length, muscle_velocity : ndarray, shape (n_rows, n_muscles)
    feedforward : ndarray, shape (n_rows, n_muscles), or None
        Excitation from static optimisation, smoothed [1].
    moment_matrix : ndarray of float32, shape (n_rows, n_joints, n_muscles), or None
        Moments for each unit of excitation, in units of action.
    """

    body: Body
    motions: tuple[ReferenceMotion, ...]
    start: NDArray[np.intp]
    length: NDArray[np.intp]
    displacement: FloatArray
    periodic: NDArray[np.bool_]
    qpos: FloatArray
    qvel: FloatArray
    position: FloatArray
    velocity: FloatArray
    orientation: FloatArray
    muscle_length: FloatArray
    muscle_velocity: FloatArray
    feedforward: FloatArray | None
    moment_matrix: NDArray[np.float32] | None

    @classmethod
    def build(
        cls,
        motions: Sequence[ReferenceMotion],
        *,
        actuation: str,
        activated: bool = False,
        smoothing: float = 2.0,
        activations: Sequence[FloatArray] | None = None,
    ) -> ReferenceTable:
        """Tabulate motions for an actuation.

        Parameters
        ----------
        motions : sequence of ReferenceMotion
            On one body; resampled to the physics rate where they have another.
        actuation : str
            Those of :data:`~kinesis_neuro.body.actuation.FEEDFORWARD` need static optimisation,
            which is computed here, or taken from where
            :func:`kinesis_neuro.motion.feedforward.muscle_activations` keeps it.
        activated : bool
            Whether it is computed for other actuations too, for activations to start from.
        smoothing : float
            Standard deviation of the Gaussian on the feed-forward [frames].
        activations : sequence of ndarray, optional
            Static optimisation's of each motion, where they are known already.
        """
        if not motions:
            raise InvalidInputError("At least one reference motion is needed, got none.")
        body = motions[0].body
        for motion in motions:
            if motion.body is not body:
                raise IncompatibleError(
                    f"Motion {motion.name!r} is on body {motion.body.name!r}, the task on "
                    f"{body.name!r}. Load all motions on one body."
                )
        motions = tuple(m if m.rate == PHYSICS_RATE else m.resample(PHYSICS_RATE) for m in motions)
        length = np.array([m.n_frames for m in motions])
        feedforward = matrices = None
        if activated or actuation in FEEDFORWARD:
            activations = activations or muscle_activations(motions)
            feedforward = np.concatenate(
                [_smoothed(a, m, smoothing) for a, m in zip(activations, motions, strict=True)]
            )
        if actuation in BY_JOINT:
            matrices = np.concatenate([_moment_matrices(m) for m in motions])
        frames = [m.frames for m in motions]
        return cls(
            body=body,
            motions=motions,
            start=np.concatenate([[0], np.cumsum(length)[:-1]]).astype(np.intp),
            length=length.astype(np.intp),
            displacement=np.stack(
                [np.zeros(3) if m.displacement is None else m.displacement for m in motions]
            ),
            periodic=np.array([m.periodic for m in motions]),
            qpos=np.concatenate([m.qpos for m in motions]),
            qvel=np.concatenate([m.qvel for m in motions]),
            position=np.concatenate([f.body_position for f in frames]),
            velocity=np.concatenate([f.body_velocity for f in frames]),
            orientation=np.concatenate([f.body_orientation for f in frames]),
            muscle_length=np.concatenate([f.muscle_length for f in frames]),
            muscle_velocity=np.concatenate([f.muscle_velocity for f in frames]),
            feedforward=feedforward,
            moment_matrix=matrices,
        )

    def rows(
        self, motion: NDArray[np.intp], frame: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], FloatArray]:
        """Rows of frames of motions, and how far their cycle has moved.

        Frames beyond an end wrap around in a periodic motion and stay at that end in another.

        Returns
        -------
        rows : ndarray of int, shape (n,)
        shift : ndarray, shape (n, 3)
            To be added to positions [m].
        """
        length = self.length[motion]
        cycle, inside = np.divmod(frame, length)
        periodic = self.periodic[motion]
        inside = np.where(periodic, inside, np.clip(frame, 0, length - 1))
        shift = np.where(periodic, cycle, 0)[:, None] * self.displacement[motion]
        return self.start[motion] + inside, shift

    def at(self, motion: NDArray[np.intp], frame: NDArray[np.intp]) -> Placed:
        """The reference in frames of motions, where it is in the world."""
        rows, shift = self.rows(motion, frame)
        return Placed(self, rows, shift)

    def phase(self, motion: NDArray[np.intp], frame: NDArray[np.intp]) -> FloatArray:
        """Phase of the motion, 0 to 1, shape (n,)."""
        length = self.length[motion]
        return (frame % length) / length


@dataclass(frozen=True, eq=False)
class Placed:
    """Moments of the reference, one an environment, where they are in the world.

    Attributes
    ----------
    table : ReferenceTable
    rows : ndarray of int, shape (n,)
    shift : ndarray, shape (n, 3)
        How far the row's poses are moved [m].
    """

    table: ReferenceTable
    rows: NDArray[np.intp]
    shift: FloatArray

    def of(self, values: FloatArray) -> FloatArray:
        """What is the same wherever the body is (angles, muscles), of an array of the table."""
        return values[self.rows]

    def rate_of(self, values: FloatArray) -> FloatArray:
        """The same for an array of velocities."""
        return values[self.rows]

    def qpos(self) -> FloatArray:
        """Poses, shape (n, nq)."""
        qpos = self.table.qpos[self.rows].copy()
        qpos[:, :3] += self.shift
        return qpos

    def qvel(self) -> FloatArray:
        """Velocities of the poses, shape (n, nv)."""
        return self.table.qvel[self.rows]

    def heading(self) -> FloatArray:
        """Angle of the root about the vertical [rad], shape (n,)."""
        return heading(self.table.qpos[self.rows][:, 3:7])

    def position(self, segments: Segments = slice(None)) -> FloatArray:
        """Of segments [m], shape (n, n_segments, 3)."""
        return self.table.position[self.rows][:, segments] + self.shift[:, None]

    def velocity(self, segments: Segments = slice(None)) -> FloatArray:
        """Of segments [m/s], shape (n, n_segments, 3)."""
        return self.table.velocity[self.rows][:, segments]

    def orientation(self) -> FloatArray:
        """Of all segments, shape (n, n_segments, 4)."""
        return self.table.orientation[self.rows]


def _smoothed(activation: FloatArray, motion: ReferenceMotion, smoothing: float) -> FloatArray:
    mode = "wrap" if motion.periodic else "nearest"
    return np.clip(gaussian_filter1d(activation, smoothing, axis=0, mode=mode), 0.0, 1.0)


def _moment_matrices(motion: ReferenceMotion) -> NDArray[np.float32]:
    muscles = MuscleParameters.from_model(motion.body.model)
    frames = motion.frames
    gain = muscles.gain(frames.muscle_length, frames.muscle_velocity)
    arms = moment_arms(motion)[:, :, 6:]
    return moment_matrix(arms, gain, moment_scale(motion.body)).astype(np.float32)
