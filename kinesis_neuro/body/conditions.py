"""Conditions of the muscles: fatigue, weakness, silenced muscles, delay and noise, as functions.

A condition stands between what is asked of the muscles and what they do. :class:`MuscleCondition`
says which; the functions here are what it rests on, vectorised over environments and muscles.
Applied at every physics step by :class:`kinesis_neuro.env.conditioned.ConditionedSimulation`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import mujoco
import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.body.models import Body
from kinesis_neuro.body.muscle import MuscleParameters
from kinesis_neuro.errors import InvalidInputError, unknown_name

FloatArray = NDArray[np.float64]

REST = 0.01
"""A demand up to this is rest. Published recovery at rest is that at no load at all (Rakshit et al.
2021); a policy's demand seldom is exactly zero."""

PUBLISHED_RATES = {
    "ankle": (0.00589, 0.00058, 15.0),
    "knee": (0.01500, 0.00149, 15.0),
    "trunk": (0.00755, 0.00075, 15.0),
    "shoulder": (0.01820, 0.00168, 15.0),
    "elbow": (0.00912, 0.00094, 15.0),
    "hand": (0.00980, 0.00064, 30.0),
    "general": (0.00970, 0.00091, 15.0),
}
"""Fatigue F and recovery R [1/s] (Frey-Law, Looft & Heitsman 2012, table 1), and the multiplier r
of recovery at rest (Looft, Herkert & Frey-Law 2018; Looft & Frey-Law 2020), by joint. No rates
are published for the hip: its muscles have the general ones."""

_JOINT_OF = {
    **dict.fromkeys(("hamstrings", "knee_flexors", "rectus_femoris", "vasti"), "knee"),
    **dict.fromkeys(
        ("gastrocnemii", "soleus", "deep_plantarflexors", "peroneals", "dorsiflexors"), "ankle"
    ),
    **dict.fromkeys(("abdominals", "erector_spinae", "quadratus_lumborum"), "trunk"),
    **dict.fromkeys(("wrist", "fingers", "thumb"), "hand"),
    "shoulder": "shoulder",
    "elbow": "elbow",
}


@dataclass(frozen=True)
class MuscleCondition:
    """How muscles differ from rested, healthy ones; by default not at all.

    Muscles are named by a pattern such as ``soleus_r``, ``gas*`` or ``*_l``, or by an anatomical
    group such as ``vasti``.

    Attributes
    ----------
    fatigue : float
        Pace of the three-compartment model 3CC-r (Xia & Frey-Law 2008; Looft, Herkert & Frey-Law
        2018): 0 is none, 1 as published (minutes), 10 ten times faster.
    fatigue_rates : tuple of (str, float, float, float)
        Muscles with their own F [1/s], R [1/s] and r [1], in place of
        :data:`PUBLISHED_RATES`; later entries win.
    initial_fatigue : float
        Share of every muscle that is fatigued when an episode starts, 0 to 1.
    strength : tuple of (str, float)
        Muscles and what is left of their peak force, 0 to 1; passive forces stay.
    deactivated : tuple of str
        Muscles that are silent.
    delay : float
        Time from demand to excitation [s], rounded to physics steps.
    noise : float
        Standard deviation of the excitation in units of the excitation itself (signal-dependent
        noise; Harris & Wolpert 1998), drawn at every physics step.

    Examples
    --------
    >>> MuscleCondition().is_none
    True
    >>> MuscleCondition(strength=(("vasti", 0.5),), delay=0.02).is_none
    False
    """

    fatigue: float = 0.0
    fatigue_rates: tuple[tuple[str, float, float, float], ...] = ()
    initial_fatigue: float = 0.0
    strength: tuple[tuple[str, float], ...] = ()
    deactivated: tuple[str, ...] = ()
    delay: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no muscle can be in."""
        for name in ("fatigue", "delay", "noise"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0):
                raise InvalidInputError(f"{name} must be zero or positive, got {value}.")
        if not 0.0 <= self.initial_fatigue <= 1.0:
            raise InvalidInputError(
                f"initial_fatigue must lie between 0 and 1, got {self.initial_fatigue}."
            )
        for muscles, *rates in self.fatigue_rates:
            if len(rates) != 3 or not all(np.isfinite(r) and r >= 0.0 for r in rates):
                raise InvalidInputError(
                    f"fatigue_rates of {muscles!r} must be F, R [1/s] and r [1], none of them "
                    f"negative, got {rates}."
                )
        for muscles, left in self.strength:
            if not 0.0 <= left <= 1.0:
                raise InvalidInputError(
                    f"strength of {muscles!r} must lie between 0 and 1 of its peak force, "
                    f"got {left}."
                )

    @property
    def is_none(self) -> bool:
        """Whether the muscles are as the model has them."""
        return self == MuscleCondition(fatigue_rates=self.fatigue_rates)

    @property
    def tires(self) -> bool:
        """Whether compartments are followed."""
        return self.fatigue > 0.0 or self.initial_fatigue > 0.0


def select_muscles(body: Body, pattern: str) -> NDArray[np.bool_]:
    """Muscles that a pattern or the name of a group means, shape (n_muscles,).

    Raises
    ------
    InvalidInputError
        If it means none: the message lists groups and muscles.

    Examples
    --------
    >>> from kinesis_neuro import load_body
    >>> int(select_muscles(load_body("legs"), "gas*_r").sum())
    2
    """
    both = zip(body.muscles, body.group, strict=True)
    chosen = np.array([fnmatchcase(name, pattern) or group == pattern for name, group in both])
    if not chosen.any():
        raise unknown_name("muscle", pattern, [*sorted(set(body.group)), *body.muscles])
    return chosen


@dataclass(frozen=True, eq=False)
class FatigueRates:
    """Rates of the compartments, each (n_muscles,): F and R [1/s], r [1]."""

    fatigue: FloatArray
    recovery: FloatArray
    rest: FloatArray


def fatigue_rates(condition: MuscleCondition, body: Body) -> FatigueRates:
    """Rates of every muscle of a body under a condition.

    Examples
    --------
    >>> from kinesis_neuro import load_body
    >>> legs = load_body("legs")
    >>> rates = fatigue_rates(MuscleCondition(fatigue=10.0), legs)
    >>> float(rates.fatigue[legs.muscles.index("soleus_r")].round(4))
    0.0589
    """
    joints = [_JOINT_OF.get(group, "general") for group in body.group]
    table = np.array([PUBLISHED_RATES[joint] for joint in joints])
    for pattern, *rates in condition.fatigue_rates:
        table[select_muscles(body, pattern)] = rates
    return FatigueRates(
        condition.fatigue * table[:, 0], condition.fatigue * table[:, 1], table[:, 2]
    )


def advance_compartments(
    active: FloatArray,
    recruited: FloatArray,
    fatigued: FloatArray,
    resting: FloatArray,
    demand: FloatArray,
    rates: FatigueRates,
    timestep: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """One step of 3CC-r: units tire while active, recover while fatigued, and none is lost.

    dMA/dt = C - F MA, dMF/dt = F MA - R' MF, dMR/dt = -C + R' MF, with R' = r R at rest and R
    under load. C, the recruitment, is activation dynamics itself: with an excitation that does not
    exceed MA + MR (:func:`available`) MuJoCo's muscle moves the active share towards the demand
    as fast as its time constants say, and towards MA + MR where the demand is beyond it.

    Parameters
    ----------
    active : ndarray, shape (n_envs, n_muscles)
        Active share before the step [1].
    recruited : ndarray, shape (n_envs, n_muscles)
        C times the time step: the change of activation in the step.
    fatigued, resting : ndarray, shape (n_envs, n_muscles)
        Before the step [1].
    demand : ndarray, shape (n_envs, n_muscles)
        Target load: excitation that is asked for [1].
    rates : FatigueRates
    timestep : float
        [s]

    Returns
    -------
    active, fatigued, resting : ndarray, shape (n_envs, n_muscles)
        Their sum is what it was.

    Examples
    --------
    >>> rates = FatigueRates(np.array([0.1]), np.array([0.01]), np.array([15.0]))
    >>> one = np.ones((1, 1))
    >>> after = advance_compartments(0.5 * one, 0 * one, 0.2 * one, 0.3 * one, one, rates, 1.0)
    >>> [round(float(share[0, 0]), 3) for share in after]
    [0.45, 0.248, 0.302]
    """
    tired = rates.fatigue * active * timestep
    rate = np.where(demand <= REST, rates.rest * rates.recovery, rates.recovery)
    recovered = rate * fatigued * timestep
    # The explicit step of fast activation may overshoot: more than all units cannot be active.
    left = resting - recruited + recovered
    excess = np.minimum(left, 0.0)
    return active + recruited - tired + excess, fatigued + tired - recovered, left - excess


def available(demand: FloatArray, fatigued: FloatArray) -> FloatArray:
    """Excitation that a partly fatigued muscle can follow: at most MA + MR = 1 - MF."""
    return np.minimum(demand, 1.0 - fatigued)


def strength(condition: MuscleCondition, body: Body) -> FloatArray:
    """What is left of every muscle's peak force [1], shape (n_muscles,)."""
    left = np.ones(body.n_muscles)
    for pattern, share in condition.strength:
        left[select_muscles(body, pattern)] = share
    return left


def weakened(
    body: Body, left: Sequence[float] | FloatArray, model: mujoco.MjModel | None = None
) -> mujoco.MjModel:
    """Model of a body whose muscles have lost active force.

    Parameters
    ----------
    body : Body
    left : array_like, shape (n_muscles,)
        Share of peak force.
    model : mujoco.MjModel, optional
        Of the body among other things; the body's own if not given.

    Returns
    -------
    mujoco.MjModel
        A copy; the body's own is shared and stays as it is.
    """
    model = copy.copy(body.model if model is None else model)
    peak = MuscleParameters.from_model(model).peak_force
    # A negative entry would ask MuJoCo to derive the force: it is written out.
    model.actuator_gainprm[:, 2] = peak * np.asarray(left)
    return model
