"""Configuration of the imitation task, as a frozen dataclass that goes into JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

from kinesis_neuro.body.actuation import ACTUATIONS, FEEDFORWARD
from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.body.models import CONTROL_RATE, PHYSICS_RATE
from kinesis_neuro.env.tasks import goal_config
from kinesis_neuro.env.tasks.goal import GoalConfig
from kinesis_neuro.errors import InvalidInputError, unknown_name

INITIAL_ACTIVATIONS = ("auto", "reference", "rest")


@dataclass(frozen=True)
class RewardWeights:
    """Weights of the reward's terms and the scales within them; KINESIS's by default.

    Attributes
    ----------
    position, velocity, upright, energy : float
        KINESIS's ``w_pos``, ``w_vel``, ``w_upright``, ``w_energy``, see
        :mod:`kinesis_neuro.env.terms`.
    restraint : float
        Of small actions. Where the reference's own moments are fed forward (``tracking``,
        ``moment``, ``least_effort``), it keeps what a policy adds to them small.
    posture : float
        Of bodies with a trunk: its joints and those of the arms at the reference's angles, which
        are a standing posture where the reference holds none. Legs alone have no such term.
    legs : float
        Of hips, knees and ankles at the reference's angles. Where tracked bodies alone are asked
        for, a knee that the person bends in stance may rest on its stop, which no muscle pays for.
    k_position, k_velocity, k_energy : float
        KINESIS's ``k_pos`` [1/m^2], ``k_vel`` [s^2/m^2], ``k_energy`` [1].
    k_upright, k_posture, k_legs : float
        [1/rad^2]; KINESIS's is 3.
    """

    position: float = 0.6
    velocity: float = 0.2
    upright: float = 0.1
    energy: float = 0.1
    restraint: float = 0.0
    posture: float = 0.2
    legs: float = 0.0
    k_position: float = 200.0
    k_velocity: float = 5.0
    k_upright: float = 3.0
    k_energy: float = 0.05
    k_posture: float = 5.0
    k_legs: float = 100.0


@dataclass(frozen=True)
class ImitationConfig:
    """What defines the imitation task.

    Attributes
    ----------
    actuation : str
        ``excitation``, ``length``, ``tracking``, ``moment`` or ``least_effort``.
    control_rate : float
        Control steps a second [Hz]; divides the physics rate.
    duration : float
        Longest episode [s].
    termination_rule, termination_distance : str, float
        See :func:`kinesis_neuro.env.terms.failed` [m].
    stiffness, damping : float
        Feedback gains of all but the first two, in peak forces [1/m], [s/m].
    lead : int
        Physics steps by which feed-forward and feedback targets run ahead of the body, for the
        delay of activation dynamics.
    action_scale : float
        Excitation for a unit of action in ``tracking``.
    lookahead : tuple of int
        Control steps ahead at which the reference's joints are observed.
    observations : tuple of str
        Blocks that are observed, by name (see :mod:`kinesis_neuro.env.blocks`); ``kinesis`` stands
        for KINESIS's own, and KINESIS's names are known. Ours if empty.
    observe_muscles : bool
        Whether muscle lengths and velocities are observed besides.
    initial_activation : {"auto", "reference", "rest"}
        Activation of the muscles in which episodes start, as a part of the body's state: static
        optimisation's at that frame of the reference, or 0.05 in all. From rest a body sinks for
        the tenth of a second that activation needs, which on one leg may be too long. ``auto`` is
        ``reference`` for the actuations that rest on static optimisation, and ``rest`` for the
        others.
    mirror : bool
        Whether the policy sees the body mirrored while the reference's left foot is ahead.
    hard_starts : float
        Share of episodes that start where episodes have failed early, in proportion to how often;
        the others start anywhere.
    hard_motions : float
        Share of episodes whose motion is drawn in proportion to how often episodes of it fail: the
        continuous alternative to mining (:mod:`kinesis_neuro.mining`).
    reward : RewardWeights
    condition : MuscleCondition
        Of the muscles: fatigue, weakness, silence, delay, noise. Feedback laws and static
        optimisation do not know of it.
    goal : GoalConfig
        What is asked beyond imitation (see :mod:`kinesis_neuro.env.tasks.goal`); nothing if its
        kind is empty.
    """

    actuation: str = "moment"
    control_rate: float = CONTROL_RATE
    duration: float = 10.0
    termination_rule: str = "any"
    termination_distance: float = 0.15
    stiffness: float = 10.0
    damping: float = 0.5
    lead: int = 4
    action_scale: float = 0.25
    lookahead: tuple[int, ...] = (1, 5)
    observations: tuple[str, ...] = ()
    observe_muscles: bool = False
    initial_activation: str = "auto"
    mirror: bool = True
    hard_starts: float = 0.0
    hard_motions: float = 0.0
    reward: RewardWeights = RewardWeights()
    condition: MuscleCondition = field(default_factory=MuscleCondition)
    goal: GoalConfig = field(default_factory=GoalConfig)

    def __post_init__(self) -> None:
        """Refuse values that no environment can be made from."""
        if self.actuation not in ACTUATIONS:
            raise unknown_name("actuation", self.actuation, ACTUATIONS)
        if self.control_rate <= 0 or (PHYSICS_RATE / self.control_rate) % 1:
            raise InvalidInputError(
                f"control_rate must divide the physics rate of {PHYSICS_RATE:g} Hz, "
                f"got {self.control_rate} Hz."
            )
        if self.termination_rule not in ("any", "mean"):
            raise unknown_name("termination rule", self.termination_rule, ("any", "mean"))
        if self.initial_activation not in INITIAL_ACTIVATIONS:
            raise unknown_name("initial activation", self.initial_activation, INITIAL_ACTIVATIONS)
        for name in ("hard_starts", "hard_motions"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidInputError(f"{name} must be a share, got {getattr(self, name)}.")
        if type(self.goal) is not goal_config(self.goal.kind):
            raise InvalidInputError(
                f"A {type(self.goal).__name__} is no goal of the kind {self.goal.kind!r}. "
                "Leave its kind as it is."
            )
        if self.duration < 1.0 / self.control_rate:
            raise InvalidInputError(
                f"duration must be at least one control step of {1 / self.control_rate:.4f} s, "
                f"got {self.duration} s."
            )

    @property
    def starts_activated(self) -> bool:
        """Whether episodes start with static optimisation's activations."""
        if self.initial_activation == "auto":
            return self.actuation in FEEDFORWARD
        return self.initial_activation == "reference"

    @property
    def decimation(self) -> int:
        """Physics steps in a control step."""
        return round(PHYSICS_RATE / self.control_rate)
