"""What a task asks beyond imitation: the hooks that the environment calls, all of them optional.

A task is a pair of classes in one file: a frozen configuration, which goes into a policy's JSON,
and the :class:`Goal` that it makes, which holds the state of all environments. The environment
imitates as ever; the goal adds named blocks to the observation, parts to the reward, ends of
episodes, variables to recordings and results to episodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.env.conditioned import simulation_under
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.streams import Draws

if TYPE_CHECKING:
    from kinesis_neuro.env.config import ImitationConfig
    from kinesis_neuro.env.imitation import ImitationEnv
    from kinesis_neuro.env.simulation import Simulation
    from kinesis_neuro.motion.reference import ReferenceMotion

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]
Image = tuple[IntArray, FloatArray]


@dataclass(frozen=True)
class GoalConfig:
    """Configuration of a goal; of none, as it is here.

    Attributes
    ----------
    kind : str
        Name of the goal; a class attribute in all but name, so that JSON holds it.
    """

    kind: str = field(default="", init=False)

    def played(self) -> GoalConfig:
        """What recordings and evaluations ask, where that is not what training asks."""
        return self

    def make(self) -> Goal:
        """The goal, for the environments that it will be attached to."""
        return Goal()


@dataclass(frozen=True, eq=False)
class Quantity:
    """A variable that a goal adds to recordings, at one moment.

    Attributes
    ----------
    values : ndarray, shape (n_envs, ...)
    dims : tuple of str
        Of the schema, after ``time``.
    units, long_name : str
    """

    values: FloatArray
    dims: tuple[str, ...]
    units: str
    long_name: str


class Goal:
    """What a task asks of a batch of bodies. Without a goal every hook does nothing.

    Attributes
    ----------
    env : ImitationEnv
        Whose goal it is, from :meth:`attach` on.
    """

    env: ImitationEnv

    # -- made once ----------------------------------------------------------------------------

    def table(
        self, motions: Sequence[ReferenceMotion], config: ImitationConfig, n_envs: int
    ) -> ReferenceTable:
        """The reference of all environments."""
        return ReferenceTable.build(
            motions, actuation=config.actuation, activated=config.starts_activated
        )

    def simulation(
        self,
        config: ImitationConfig,
        table: ReferenceTable,
        n_envs: int,
        n_threads: int | None,
        rng: np.random.Generator | Draws,
    ) -> Simulation:
        """The physics; a task with further objects gives its own."""
        return simulation_under(config.condition, table.body, n_envs, n_threads, rng)

    def attach(self, env: ImitationEnv) -> None:
        """Make room for the state of all environments; called before the first reset."""
        self.env = env

    def images(self) -> Mapping[str, Image]:
        """Permutation and signs that mirror each block of :meth:`blocks`."""
        return {}

    options: tuple[str, ...] = ()
    """What :meth:`ask` knows."""

    def ask(self, **wanted: object) -> None:
        """Ask the same of all episodes to come; without anything, at random again."""

    # -- episodes -----------------------------------------------------------------------------

    def begin(
        self, which: IntArray, motion: IntArray | None, frame: IntArray | None
    ) -> tuple[IntArray, IntArray]:
        """Set goals for new episodes; motions and frames to start at, drawn where not given.

        What is random is drawn with ``env.draws(which)``, one row an environment, so that no
        environment's numbers depend on which others begin.
        """
        if frame is None:
            motion, frame = self.env.starts.draw(which.size, self.env.draws(which), motion)
        assert motion is not None
        return motion, frame

    def placed(self, which: IntArray) -> None:
        """Bodies were put where their episodes start: put what else there is."""

    def advance(self) -> None:
        """A physics step was made; ``env.frame`` is that of the new state."""

    # -- control steps ------------------------------------------------------------------------

    def blocks(self) -> dict[str, FloatArray]:
        """Further blocks of the observation, each (n_envs, width), in the root's heading frame."""
        return {}

    def reward(self) -> dict[str, FloatArray]:
        """Further parts of the reward, weighted, each (n_envs,)."""
        return {}

    def ended(self) -> tuple[BoolArray, BoolArray]:
        """Which episodes the goal ends: by failing, and by being through, each (n_envs,)."""
        none = np.zeros(self.env.n_envs, dtype=bool)
        return none, none.copy()

    def outcome(self) -> dict[str, FloatArray]:
        """Results of each environment's episode so far, each (n_envs,): success and the like."""
        return {}

    def units(self) -> Mapping[str, str]:
        """Units of the results that have one; the others are shares and numbers."""
        return {}

    def recorded(self) -> dict[str, Quantity]:
        """Variables of recordings, of the state before the physics step that was just made."""
        return {}

    # -- checkpoints --------------------------------------------------------------------------

    def state_arrays(self) -> dict[str, NDArray]:
        """Everything that the next step depends on, as arrays."""
        return {}

    def set_state_arrays(self, arrays: Mapping[str, NDArray]) -> None:
        """Put back what :meth:`state_arrays` gave."""
