"""Configuration of the penalty kick: where balls lie, who keeps the goal, what is rewarded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from kinesis_neuro.env.tasks.goal import GoalConfig
from kinesis_neuro.env.tasks.keeper import BEHAVIOURS
from kinesis_neuro.errors import InvalidInputError

if TYPE_CHECKING:
    from kinesis_neuro.env.tasks.kick import Kick

FARTHEST = 0.3
"""How far from the place that the clip was made for a ball may be laid [m]."""


@dataclass(frozen=True)
class KickConfig(GoalConfig):
    """Configuration of the penalty kick.

    Attributes
    ----------
    ball : tuple of float
        Where the ball lies, from the place that the clip was made for: to the kicker's left, and
        back towards the kicker [m].
    scatter : float
        Half-width of the even distribution that is added in either direction [m].
    keeper_chances : tuple of float
        Of a keeper that stands, wanders, and blocks.
    keeper_speeds : tuple of float
        Between which its top speed is drawn [m/s].
    first_starts : float
        Share of episodes that start in the clip's first moments.
    first_within : float
        How long these last [s].
    other_starts : tuple of float
        Times of the clip between which the others start [s]; a fifth of a second before the strike
        at the latest.
    follow_through : float
        How long after the strike an episode goes on [s], if the ball does not cross the goal line
        before; then it ends half a second later.
    weight : float
        Of the ball in the reward, for every control step from the kick on, beside an imitation of
        up to one.
    full_speed : float
        Speed of the ball towards the goal from which on more is not rewarded [m/s].
    """

    kind: str = field(default="kick", init=False)
    ball: tuple[float, float] = (0.0, 0.0)
    scatter: float = 0.05
    keeper_chances: tuple[float, float, float] = (0.45, 0.45, 0.1)
    keeper_speeds: tuple[float, float] = (1.0, 5.0)
    first_starts: float = 0.2
    first_within: float = 1.1
    other_starts: tuple[float, float] = (0.0, 3.0)
    follow_through: float = 0.4
    weight: float = 5.0
    full_speed: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what no kick can be made from."""
        check_place(self.ball, self.scatter)
        chances = np.array(self.keeper_chances)
        if chances.size != len(BEHAVIOURS) or not (
            (chances >= 0.0).all() and abs(chances.sum() - 1.0) < 1e-9
        ):
            raise InvalidInputError(
                f"keeper_chances must be {len(BEHAVIOURS)} shares that sum to one "
                f"({', '.join(BEHAVIOURS)}), got {self.keeper_chances}."
            )
        slow, fast = self.keeper_speeds
        if not 0.0 <= slow <= fast < np.inf:
            raise InvalidInputError(
                f"keeper_speeds must be a lower and an upper speed in m/s, got "
                f"{self.keeper_speeds}."
            )
        begin, end = self.other_starts
        if not (0.0 <= begin < end < np.inf and 0.01 <= self.first_within < np.inf):
            raise InvalidInputError(
                "other_starts must be an earlier and a later time in s and first_within a time, "
                f"got {self.other_starts} and {self.first_within}."
            )
        if not 0.1 <= self.follow_through <= 10.0:
            raise InvalidInputError(
                f"follow_through must lie between 0.1 and 10 s, got {self.follow_through} s."
            )

    def played(self) -> KickConfig:
        """From the clip's first moments on, until the ball has had time to come to the goal."""
        return replace(self, first_starts=1.0, follow_through=10.0)

    def make(self) -> Kick:
        """The goal, for the environments that it will be attached to."""
        from kinesis_neuro.env.tasks.kick import Kick

        return Kick(self)


def check_place(ball: object, scatter: float = 0.0) -> None:
    """Refuse places of the ball [m] that are not two numbers, or farther than a plan can be led."""
    place = np.asarray(ball, dtype=float)
    within = place.shape == (2,) and np.abs(place).max() + scatter <= FARTHEST
    if not (within and np.isfinite(place).all() and scatter >= 0.0):
        raise InvalidInputError(
            f"The ball must lie within {FARTHEST} m of the place that the kick was made for, to "
            f"the left and back, got {ball} m with a scatter of {scatter} m."
        )
