"""ReferenceMotion: a course of poses on one body, with what the imitation task needs of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from kinesis_neuro.body.kinematics import Kinematics, kinematics
from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.provenance import hash_arrays

FloatArray = NDArray[np.float64]

FEET = ("right", "left")
"""Order of the feet in measured ground forces."""


@dataclass(frozen=True, eq=False)
class GroundContact:
    """Measured ground reaction, in the motion's world frame.

    Attributes
    ----------
    force : ndarray, shape (n, 2, 3)
        Force on the right and the left foot [N], scaled to the body's mass.
    center_of_pressure : ndarray, shape (n, 2, 3)
        Where it acts [m]; meaningful where the foot is loaded.
    """

    force: FloatArray
    center_of_pressure: FloatArray


@dataclass(frozen=True, eq=False)
class ReferenceMotion:
    """Poses and velocities of a body over time.

    Attributes
    ----------
    body : Body
        The body that the motion is mapped on.
    name : str
        What it is called in recordings.
    rate : float
        Frames a second [Hz].
    qpos : ndarray, shape (n, nq)
        Root position [m], root quaternion (w, x, y, z), joint positions [rad, m]; dependent joints
        satisfy their polynomials.
    qvel : ndarray, shape (n, nv)
        Velocities as MuJoCo defines them [m/s, rad/s].
    displacement : ndarray, shape (3,), or None
        Way of one cycle [m], for a periodic motion: frame n is frame 0 moved by it.
    contact : GroundContact or None
        Measured ground forces, where the recording has them.
    events : mapping of str to ndarray
        Times [s] of ``heel_strike_right`` and the like.
    source, licence : str
        Where it comes from, and on what terms.
    report : object or None
        The retarget report of the reader that made it.
    library : Path or None
        Folder of the motion library that it was taken from; what is computed from it once is kept
        there.
    """

    body: Body
    name: str
    rate: float
    qpos: FloatArray
    qvel: FloatArray
    displacement: FloatArray | None = None
    contact: GroundContact | None = None
    events: Mapping[str, FloatArray] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    report: object | None = None
    library: Path | None = None

    @classmethod
    def from_poses(
        cls,
        body: Body,
        qpos: FloatArray,
        rate: float,
        *,
        name: str = "motion",
        displacement: FloatArray | None = None,
        **rest: object,
    ) -> ReferenceMotion:
        """Make a motion from poses; velocities are their central differences.

        Parameters
        ----------
        body : Body
        qpos : ndarray, shape (n, nq)
            Poses; the dependent joints are set here.
        rate : float
            Frames a second [Hz].
        name : str
        displacement : ndarray, shape (3,), optional
            Way of one cycle [m], if the motion is periodic.

        Raises
        ------
        InvalidInputError
            If the poses are not finite, too few, or of another body.
        """
        qpos = np.asarray(qpos, dtype=float)
        if qpos.ndim != 2 or qpos.shape[1] != body.model.nq:
            raise InvalidInputError(
                f"Poses of {body.name!r} have shape (frames, {body.model.nq}), got {qpos.shape}."
            )
        if qpos.shape[0] < 3:
            raise InvalidInputError(f"A motion needs at least 3 frames, got {qpos.shape[0]}.")
        if not np.isfinite(qpos).all():
            frame = int(np.flatnonzero(~np.isfinite(qpos).all(axis=1))[0])
            raise InvalidInputError(f"Poses must be finite; frame {frame} is not.")
        qpos = body.coupling.complete(qpos)
        qvel = _velocities(body, qpos, rate, displacement)
        return cls(body, name, rate, qpos, qvel, displacement=displacement, **rest)  # type: ignore[arg-type]

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.qpos.shape[0]

    @property
    def periodic(self) -> bool:
        """Whether it can be looped."""
        return self.displacement is not None

    @property
    def duration(self) -> float:
        """Duration [s]: of the whole cycle if periodic, else from the first to the last frame."""
        return (self.n_frames - (0 if self.periodic else 1)) / self.rate

    @functools.cached_property
    def frames(self) -> Kinematics:
        """Segments and muscles along the motion."""
        return kinematics(self.body, self.qpos, self.qvel)

    @functools.cached_property
    def hash(self) -> str:
        """Content hash over poses, rate and displacement."""
        way = np.zeros(0) if self.displacement is None else self.displacement
        return hash_arrays({"qpos": self.qpos, "rate": np.array(self.rate), "way": way})

    def slice(self, start: float, stop: float) -> ReferenceMotion:
        """The part between two times [s] of a motion that is not looped.

        Raises
        ------
        InvalidInputError
            If less than three frames are left.
        """
        first, last = round(start * self.rate), round(stop * self.rate) + 1
        if not 0 <= first < last <= self.n_frames or last - first < 3:
            raise InvalidInputError(
                f"Cannot take {start} to {stop} s of {self.name!r}, which lasts from 0 to "
                f"{(self.n_frames - 1) / self.rate:.3f} s at {self.rate:g} Hz."
            )
        take = slice(first, last)
        contact = self.contact
        return replace(
            self,
            qpos=self.qpos[take],
            qvel=self.qvel[take],
            displacement=None,
            contact=contact
            and GroundContact(contact.force[take], contact.center_of_pressure[take]),
            events={
                k: v[(v >= start) & (v <= stop)] - first / self.rate for k, v in self.events.items()
            },
        )

    def loop(self, n_cycles: int) -> ReferenceMotion:
        """Repeat a periodic motion, each cycle moved on by the displacement.

        Examples
        --------
        >>> from kinesis_neuro import load_motion
        >>> walk = load_motion("walk")
        >>> walk.loop(3).n_frames == 3 * walk.n_frames
        True
        """
        if self.displacement is None:
            raise InvalidInputError(f"Motion {self.name!r} is not periodic and cannot be looped.")
        shift = np.repeat(np.arange(n_cycles), self.n_frames)[:, None] * self.displacement
        qpos = np.tile(self.qpos, (n_cycles, 1))
        qpos[:, :3] += shift
        contact = None
        if self.contact is not None:
            contact = GroundContact(
                np.tile(self.contact.force, (n_cycles, 1, 1)),
                np.tile(self.contact.center_of_pressure, (n_cycles, 1, 1)) + shift[:, None],
            )
        starts = np.arange(n_cycles)[:, None] * self.duration
        return replace(
            self,
            qpos=qpos,
            qvel=np.tile(self.qvel, (n_cycles, 1)),
            displacement=self.displacement * n_cycles,
            contact=contact,
            events={k: (starts + v).ravel() for k, v in self.events.items()},
        )

    def turn(self, angle: float) -> ReferenceMotion:
        """Rotate the whole motion about the vertical through the origin by an angle [rad]."""
        turn = Rotation.from_euler("z", angle)
        qpos, qvel = self.qpos.copy(), self.qvel.copy()
        qpos[:, :3] = turn.apply(qpos[:, :3])
        # Linear root velocity is global, angular is in the root's own frame.
        qvel[:, :3] = turn.apply(qvel[:, :3])
        root = turn * Rotation.from_quat(qpos[:, 3:7], scalar_first=True)
        qpos[:, 3:7] = root.as_quat(scalar_first=True)
        contact = self.contact and GroundContact(
            *(
                turn.apply(part.reshape(-1, 3)).reshape(part.shape)
                for part in (self.contact.force, self.contact.center_of_pressure)
            )
        )
        way = None if self.displacement is None else turn.apply(self.displacement)
        return replace(self, qpos=qpos, qvel=qvel, displacement=way, contact=contact)

    def resample(self, rate: float) -> ReferenceMotion:
        """Interpolate to another rate [Hz]: linearly, and by slerp for the root's rotation.

        A periodic motion keeps its number of cycles: its rate is the nearest one with a whole
        number of frames.
        """
        if not np.isfinite(rate) or rate <= 0:
            raise InvalidInputError(f"The rate must be a positive number of Hz, got {rate}.")
        old = np.arange(self.n_frames + 1 if self.periodic else self.n_frames) / self.rate
        qpos, contact = self.qpos, self.contact
        parts = [] if contact is None else [contact.force, contact.center_of_pressure]
        if self.displacement is not None:
            closing = qpos[:1].copy()
            closing[:, :3] += self.displacement
            qpos = np.concatenate([qpos, closing])
            ends = [part[:1] + k * self.displacement for k, part in enumerate(parts)]
            parts = [np.concatenate(pair) for pair in zip(parts, ends, strict=True)]
            n_new = max(3, round(self.duration * rate))
            rate = n_new / self.duration
        else:
            n_new = int(np.floor(self.duration * rate + 1e-9)) + 1
        new = np.minimum(np.arange(n_new) / rate, old[-1])
        sampled = _interpolate(old, qpos, new)
        rotation = Rotation.from_quat(qpos[:, 3:7], scalar_first=True)
        sampled[:, 3:7] = Slerp(old, rotation)(new).as_quat(scalar_first=True)
        contact = GroundContact(*(_interpolate(old, p, new) for p in parts)) if parts else None
        return self.from_poses(
            self.body,
            sampled,
            rate,
            name=self.name,
            displacement=self.displacement,
            contact=contact,
            events=self.events,
            source=self.source,
            licence=self.licence,
            report=self.report,
            library=self.library,
        )

    def __repr__(self) -> str:
        """Name, body, length and rate."""
        kind = "periodic" if self.periodic else "single"
        return (
            f"ReferenceMotion({self.name!r} on {self.body.name!r}, {self.duration:.2f} s, "
            f"{self.rate:g} Hz, {kind})"
        )


def _interpolate(old: FloatArray, values: FloatArray, new: FloatArray) -> FloatArray:
    """Linear interpolation along the first axis of an array of any shape."""
    left = np.clip(np.searchsorted(old, new, side="right") - 1, 0, old.size - 2)
    weight = ((new - old[left]) / (old[left + 1] - old[left])).reshape(-1, *[1] * (values.ndim - 1))
    return values[left] * (1 - weight) + values[left + 1] * weight


def _velocities(
    body: Body, qpos: FloatArray, rate: float, displacement: FloatArray | None
) -> FloatArray:
    """Central differences, one-sided at the ends of a motion that is not periodic."""
    before, after = qpos.copy(), qpos.copy()
    before[1:], after[:-1] = qpos[:-1], qpos[1:]
    span = np.full((qpos.shape[0], 1), 2.0 / rate)
    if displacement is None:
        span[[0, -1]] = 1.0 / rate
    else:
        before[0], after[-1] = qpos[-1], qpos[0]
        before[0, :3] -= displacement
        after[-1, :3] += displacement
    qvel = np.empty((qpos.shape[0], body.model.nv))
    qvel[:, :3] = (after[:, :3] - before[:, :3]) / span
    back = Rotation.from_quat(before[:, 3:7], scalar_first=True)
    ahead = Rotation.from_quat(after[:, 3:7], scalar_first=True)
    qvel[:, 3:6] = (back.inv() * ahead).as_rotvec() / span
    qvel[:, 6:] = (after[:, 7:] - before[:, 7:]) / span
    return body.coupling.complete_velocity(qpos, qvel)
