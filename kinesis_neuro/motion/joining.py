"""Where two motions are most alike, and one faded into the other there.

Frames are compared by the places and velocities of the tracked bodies, seen from where the pelvis
is and faces, and by which parts of the feet stand (after Kovar, Gleicher & Pighin 2002, "Motion
graphs"). The second motion is turned and moved to where the first one is, and over the fade the
root and the joints go from one to the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.feet import detect_stance
from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]

FADE = 0.3
"""Time in which one motion goes over into the other [s]."""
LONGEST_FADE, ACCELERATION = 0.6, 3.0
"""A change of speed takes longer: at most so long [s], so that the pelvis is accelerated so much
[m/s^2]."""
VELOCITY_TIME = 0.12
"""A difference of velocity counts as the way that it makes in this time [s]."""
STANCE_DISTANCE = 0.05
"""A part of a foot that stands in one motion and not in the other counts as so far apart [m]."""
SHORTEST_CYCLE = 0.7
"""Shortest part of a motion that is repeated [s]: a stride at a run."""
_STEP = 5  # frames; every fifth is compared, 30 a second


@dataclass(frozen=True)
class Seam:
    """Where two motions meet.

    Attributes
    ----------
    leave, enter : int
        First frames of the fade, in the first and in the second motion.
    distance : float
        How far apart the tracked bodies are over the fade [m], root mean square, with what the
        other differences count.
    """

    leave: int
    enter: int
    distance: float


def heading(qpos: FloatArray) -> FloatArray:
    """Angle (n,) of the pelvis about the vertical [rad], unwrapped.

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> walk = load_motion("walk")
    >>> turned = heading(walk.turn(0.5).qpos) - heading(walk.qpos)
    >>> bool(np.allclose(turned, 0.5))
    True
    """
    w, x, y, z = qpos[:, 3:7].T
    return np.unwrap(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def travel(motion: ReferenceMotion) -> FloatArray:
    """Mean velocity of the pelvis over the floor, seen from where it faces, shape (2,) [m/s].

    Parameters
    ----------
    motion : ReferenceMotion

    Examples
    --------
    >>> from kinesis_neuro import load_motion
    >>> bool(np.allclose(travel(load_motion("walk").turn(1.0)), [0.0, -1.0], atol=0.05))
    True
    """
    angle = -heading(motion.qpos)
    x, y = motion.qvel[:, :2].T
    turned = np.stack(
        [np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y]
    )
    return np.asarray(turned.mean(axis=1))


def features(motion: ReferenceMotion) -> FloatArray:
    """What frames are compared by, shape (n, n_features), [m].

    The root mean square difference of two rows is a distance in metres.

    Parameters
    ----------
    motion : ReferenceMotion
    """
    body, frames = motion.body, motion.frames
    tracked = body.tracked_index
    back = Rotation.from_euler("z", -heading(motion.qpos)[:, None])
    place = frames.body_position[:, tracked].copy()
    place[..., :2] -= motion.qpos[:, None, :2]
    speed = VELOCITY_TIME * frames.body_velocity[:, tracked]
    turned = [back.apply(vectors[:, k]) for vectors in (place, speed) for k in range(len(tracked))]
    stance = STANCE_DISTANCE * detect_stance(body, frames, motion.rate).contact
    parts = np.concatenate([*turned, stance], axis=1)
    # Of n vectors that are d apart each, the rows are d apart.
    return np.asarray(parts / np.sqrt(len(tracked)))


def find_seam(
    first: FloatArray,
    second: FloatArray,
    fade: int,
    leave: tuple[int, int],
    enter: tuple[int, int],
    least: int | None = None,
) -> Seam | None:
    """Find the frames at which one motion is most like another over a fade.

    Parameters
    ----------
    first, second : ndarray, shape (n, n_features), (m, n_features)
        Of :func:`features`.
    fade : int
        Frames.
    leave, enter : tuple of int
        First and last frame at which the fade may begin, in either motion.
    least : int, optional
        Least number of frames from `enter` to `leave`, for a motion that is joined to itself.

    Returns
    -------
    Seam or None
        None if the windows hold no whole fade.
    """
    rows = np.arange(max(leave[0], 0), min(leave[1], len(first) - fade) + 1, _STEP)
    columns = np.arange(max(enter[0], 0), min(enter[1], len(second) - fade) + 1, _STEP)
    if rows.size == 0 or columns.size == 0:
        return None
    shifts = np.linspace(0, fade - 1, 4).astype(int)
    squared = np.mean(
        [cdist(first[rows + s], second[columns + s], "sqeuclidean") for s in shifts], axis=0
    )
    if least is not None:
        squared[rows[:, None] - columns[None] < least] = np.inf
    k = int(np.argmin(squared))
    row, column = divmod(k, columns.size)
    if not np.isfinite(squared[row, column]):
        return None
    distance = float(np.sqrt(squared[row, column]))
    return Seam(int(rows[row]), int(columns[column]), distance)


def fade_frames(change_of_speed: float, rate: float) -> int:
    """Frames that a fade takes between motions whose speeds [m/s] differ by so much.

    Examples
    --------
    >>> fade_frames(0.1, 150.0), fade_frames(1.5, 150.0), fade_frames(9.0, 150.0)
    (45, 75, 90)
    """
    seconds = np.clip(abs(change_of_speed) / ACCELERATION, FADE, LONGEST_FADE)
    return round(float(seconds) * rate)


def join(first: FloatArray, second: FloatArray, seam: Seam, fade: int) -> FloatArray:
    """Put poses one after the other, the second moved and turned to where the first are.

    Parameters
    ----------
    first, second : ndarray, shape (n, nq), (m, nq)
    seam : Seam
    fade : int
        Frames; both motions hold as many from the seam on.

    Returns
    -------
    ndarray, shape (leave + m - enter, nq)

    Raises
    ------
    InvalidInputError
        One of them ends within the fade.
    """
    last = seam.leave + fade, seam.enter + fade
    if fade < 2 or last[0] > len(first) or last[1] > len(second):
        raise InvalidInputError(
            f"A fade of {fade} frames from frames {seam.leave} and {seam.enter} does not fit into "
            f"motions of {len(first)} and {len(second)} frames."
        )
    middle = fade // 2
    here, there = first[seam.leave + middle], second[seam.enter + middle]
    moved = second[seam.enter :].copy()
    angle = heading(here[None])[0] - heading(there[None])[0]
    turn = Rotation.from_euler("z", angle)
    moved[:, :2] -= there[:2]
    moved[:, :3] = turn.apply(moved[:, :3])
    moved[:, :2] += here[:2]
    root = turn * Rotation.from_quat(moved[:, 3:7], scalar_first=True)
    moved[:, 3:7] = root.as_quat(scalar_first=True)
    part = np.linspace(0.0, 1.0, fade)
    weight = part**2 * (3 - 2 * part)
    old, new = first[seam.leave : last[0]], moved[:fade]
    faded = between(old, new, weight)
    return np.concatenate([first[: seam.leave], faded, moved[fade:]])


def between(old: FloatArray, new: FloatArray, weight: FloatArray) -> FloatArray:
    """Poses on the way from old (weight 0) to new (weight 1), the root's rotation by slerp.

    Parameters
    ----------
    old, new : ndarray, shape (n, nq)
    weight : ndarray, shape (n,)
    """
    part = weight[:, None]
    mixed = (1 - part) * old + part * new
    a, b = (Rotation.from_quat(q[:, 3:7], scalar_first=True) for q in (old, new))
    mixed[:, 3:7] = (a * Rotation.from_rotvec(part * (a.inv() * b).as_rotvec())).as_quat(
        scalar_first=True
    )
    return mixed


def lengthen(
    motion: ReferenceMotion, n_frames: int, limit: float
) -> tuple[FloatArray, tuple[int, ...]] | None:
    """Poses of a motion that goes on for longer, by repeating the part after which it is alike.

    Parameters
    ----------
    motion : ReferenceMotion
    n_frames : int
        At least as many are made.
    limit : float
        Largest distance at the seam [m].

    Returns
    -------
    poses : ndarray, shape (at least n_frames, nq)
    seams : tuple of int
        Middles of the fades; none in a motion that is long enough, or periodic.

    None if no part of it can be repeated.
    """
    qpos = motion.qpos
    if len(qpos) >= n_frames:
        return qpos, ()
    if motion.periodic:
        cycles = -(-n_frames // len(qpos))
        return motion.loop(cycles).qpos, ()
    fade = fade_frames(0.0, motion.rate)
    looks = features(motion)
    least = round(SHORTEST_CYCLE * motion.rate)
    whole = (0, len(qpos))
    seam = find_seam(looks, looks, fade, whole, whole, least)
    if seam is None or seam.distance > limit:
        return None
    poses, seams = qpos, []
    while len(poses) < n_frames:
        # The end of what is there is the end of the motion, as often as it was repeated.
        leave = len(poses) - (len(qpos) - seam.leave)
        poses = join(poses, qpos, Seam(leave, seam.enter, seam.distance), fade)
        seams.append(leave + fade // 2)
    return poses, tuple(seams)
