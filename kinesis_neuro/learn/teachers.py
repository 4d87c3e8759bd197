"""Teachers of a student: each says what it would have excited, in the motions that are its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.actuation import BY_JOINT, FEEDFORWARD
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.drive import Drive
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.selection import Selection
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.learn.checkpoint import check_body, load_policy
from kinesis_neuro.learn.config import from_dict
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]


def load_teachers(names: Sequence[str]) -> list[Policy]:
    """Load teachers, and refuse those that do not see the same body in the same way.

    Raises
    ------
    InvalidInputError
        If there is none, or the only one drives muscles alone already.
    IncompatibleError
        If two have other bodies or observations, or another rate or mirror.
    """
    if not names:
        raise InvalidInputError("A student needs at least one teacher, got none.")
    teachers = [load_policy(name) for name in names]
    if len(teachers) == 1 and teacher_task(teachers[0]).actuation == "excitation":
        raise InvalidInputError(
            f"Teacher {names[0]!r} drives muscles alone already; there is nothing to clone."
        )
    first, task = teachers[0].about, teacher_task(teachers[0])
    for teacher in teachers[1:]:
        check_body(teacher.about, dict(first.body_fingerprint), first.body)
        other = teacher_task(teacher)
        same = (
            dict(teacher.about.observations) == dict(first.observations)
            and other.lookahead == task.lookahead
            and other.control_rate == task.control_rate
            and other.mirror == task.mirror
        )
        if not same:
            raise IncompatibleError(
                f"Teachers {first.name!r} and {teacher.about.name!r} observe otherwise. Train them "
                "with the same lookahead, observe_muscles, control_rate and mirror."
            )
    return teachers


def teacher_task(teacher: Policy) -> ImitationConfig:
    """The task that a teacher was trained in."""
    task: ImitationConfig = from_dict(ImitationConfig, dict(teacher.about.task))
    return task


def needed_actuation(teachers: Sequence[Policy]) -> str:
    """The actuation whose table of references serves all teachers."""
    kinds = [teacher_task(teacher).actuation for teacher in teachers]
    by_joint = [kind for kind in kinds if kind in BY_JOINT]
    return next(iter([*by_joint, *(kind for kind in kinds if kind in FEEDFORWARD)]), kinds[0])


def assign(teachers: Sequence[Policy], motions: Sequence[ReferenceMotion]) -> NDArray[np.intp]:
    """Number of the teacher of each motion: the last that was trained on it.

    Experts come in the order of their mining, so the last has specialised most. A single teacher
    teaches everything.

    Raises
    ------
    InvalidInputError
        If none of several teachers was trained on a motion.
    """
    if len(teachers) == 1:
        return np.zeros(len(motions), dtype=np.intp)
    owners = []
    for motion in motions:
        knowing = [k for k, t in enumerate(teachers) if t.about.motions.get(motion.name)]
        if not knowing:
            names = ", ".join(teacher.about.name for teacher in teachers)
            raise InvalidInputError(
                f"None of the teachers {names} was trained on motion {motion.name!r}. Add one that "
                "was, leave the motion out, or give a single teacher for all."
            )
        owners.append(knowing[-1])
    return np.array(owners, dtype=np.intp)


class Panel:
    """Teachers that look at the student's environment.

    Parameters
    ----------
    teachers : sequence of Policy
    env : ImitationEnv
        The student's, whose table holds what the teachers' actuations need.
    """

    def __init__(self, teachers: Sequence[Policy], env: ImitationEnv) -> None:
        self.teachers, self.env = teachers, env
        self.owner = assign(teachers, env.table.motions)
        tasks = [teacher_task(teacher) for teacher in teachers]
        self._drives = [Drive(task, env.table) for task in tasks]
        self._own_sides = [env.observer.for_actions(teacher.about.actions) for teacher in teachers]

    def excitation(self, observation: NDArray[np.float32]) -> FloatArray:
        """Mean excitation that each body's teacher would give over the next control step.

        Parameters
        ----------
        observation : ndarray of float32, shape (n_envs, n_observations)

        Returns
        -------
        ndarray, shape (n_envs, n_muscles)
            In the body's own sides.
        """
        env = self.env
        wanted = np.zeros((env.n_envs, env.body.n_muscles))
        owner = self.owner[env.motion]
        for k, (teacher, drive) in enumerate(zip(self.teachers, self._drives, strict=True)):
            rows = np.flatnonzero(owner == k)
            if not rows.size:
                continue
            motion, frame = env.motion[rows], env.frame[rows]
            where = Selection(env.simulation, rows), motion, frame
            action = np.clip(teacher.act(observation[rows]).astype(np.float64), -1.0, 1.0)
            own = self._own_sides[k].unmirrored(action, motion, frame)
            plan = drive.plan(own, *where)
            wanted[rows] = drive.held(plan, *where, env.config.decimation)
        return wanted

    def label(self, observation: NDArray[np.float32]) -> FloatArray:
        """The same from the side from which the policy sees the body, as it is to be learnt."""
        label = self.excitation(observation)
        mirrored = self.env.mirrored()
        label[mirrored] = label[mirrored][:, self.env.observer.action_order]
        return label
