"""Mixture of experts: frozen policies and a learnt gate, hard (one expert at a time) or soft.

KINESIS's own is hard: the gate draws one expert in every control step, and learns by PPO which.
The soft gate averages the experts' actions with weights that add up to one, and explores around
that mean. Both act without a draw once trained: the likeliest expert, or the mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinesis_neuro.errors import IncompatibleError, InvalidInputError, unknown_name
from kinesis_neuro.learn.config import GATES, NetworkConfig
from kinesis_neuro.learn.exploration import Categorical, Gaussian, independent
from kinesis_neuro.learn.policy import Policy, PolicyInfo

# What must be alike in the tasks of policies for one body state to mean the same to them all.
_SHARED_TASK = (
    *("actuation", "control_rate", "stiffness", "damping", "lead", "action_scale"),
    *("lookahead", "observe_muscles", "mirror"),
)


class MixturePolicy(Policy):
    """A gate over frozen experts.

    Parameters
    ----------
    experts : sequence of Policy
        Of one body, with the same observations and actions; they are frozen.
    gate : {"hard", "soft"}
    config : NetworkConfig
        Of the gate (``actor``), and of the noise of a soft one.
    about : PolicyInfo
    generator : torch.Generator, optional
        Draws the gate's first weights.

    Raises
    ------
    IncompatibleError
        If the experts do not belong together.
    """

    def __init__(
        self,
        experts: Sequence[Policy],
        gate: str,
        config: NetworkConfig,
        about: PolicyInfo,
        generator: torch.Generator | None = None,
    ) -> None:
        check_experts(experts)
        if gate not in GATES:
            raise unknown_name("gate", gate, GATES)
        if config.squash or config.exploration != "independent":
            raise InvalidInputError(
                "A gate's network has neither squash nor Lattice: its outputs are weights of "
                "experts. Leave network.squash and network.exploration at their defaults."
            )
        first = experts[0]
        super().__init__(first.n_observations, len(experts), config, about, generator)
        self.gate, self.n_actions = gate, first.n_actions
        self.normalizer.load_state_dict(first.normalizer.state_dict())
        self.experts = nn.ModuleList(experts).requires_grad_(False)
        del self.log_std
        if gate == "soft":
            self.log_std = nn.Parameter(torch.full((self.n_actions,), config.initial_log_std))

    def prepare(self, observation: Tensor) -> Tensor:
        """Normalised observations, and behind them what each expert would do."""
        with torch.no_grad():
            proposals = [
                expert.mean(expert.prepare(observation)).clamp(-1.0, 1.0) for expert in self.members
            ]
        return torch.cat([self.normalizer(observation), *proposals], dim=-1)

    @property
    def members(self) -> list[Policy]:
        """The experts, in order."""
        return [expert for expert in self.experts if isinstance(expert, Policy)]

    def _proposals(self, prepared: Tensor) -> Tensor:
        """What each expert would do, (..., n_experts, n_actions)."""
        return prepared[..., self.n_observations :].unflatten(-1, (-1, self.n_actions))

    def for_critic(self, prepared: Tensor) -> Tensor:
        """The observations."""
        return prepared[..., : self.n_observations]

    def logits(self, prepared: Tensor) -> Tensor:
        """Logits of the experts, (..., n_experts)."""
        return self.actor(self.for_critic(prepared))

    def mean(self, prepared: Tensor) -> Tensor:
        """Of a hard gate the logits; of a soft one the weighted mean of the experts' actions."""
        logits = self.logits(prepared)
        if self.gate == "hard":
            return logits
        return _blend(torch.softmax(logits, dim=-1), self._proposals(prepared))

    def execute(self, prepared: Tensor, choice: Tensor) -> Tensor:
        """Actions of the experts that were drawn, or the drawn action of a soft gate."""
        if self.gate == "soft":
            return choice
        return _chosen(self._proposals(prepared), choice)

    def noise(self) -> Gaussian | Categorical:
        """The draw of an expert, or the noise around a soft gate's mean."""
        return independent(self.log_std) if self.gate == "soft" else Categorical()

    @property
    def n_outputs(self) -> int:
        """The number of experts, or of a soft gate the number of actions."""
        return len(self.experts) if self.gate == "hard" else self.n_actions

    def noise_parameters(self) -> dict[str, nn.Parameter]:
        """The deviations of a soft gate; the experts' own are frozen with them."""
        return {"log_std": self.log_std} if self.gate == "soft" else {}

    @torch.no_grad()
    def act(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Deterministic actions; see :meth:`Policy.act`."""
        proposals = torch.stack(
            [torch.from_numpy(expert.act(observation)) for expert in self.members], dim=-2
        )
        logits = self._by_rows(observation)
        if self.gate == "hard":
            return _chosen(proposals, logits.argmax(dim=-1)).numpy()
        return _blend(torch.softmax(logits, dim=-1), proposals).numpy()


def _blend(weight: Tensor, proposals: Tensor) -> Tensor:
    return (weight[..., None] * proposals).sum(dim=-2)


def _chosen(proposals: Tensor, number: Tensor) -> Tensor:
    where = number[..., None, None].expand(*number.shape, 1, proposals.shape[-1])
    return proposals.gather(-2, where)[..., 0, :]


def check_experts(experts: Sequence[Policy]) -> None:
    """Refuse experts that do not see the same body in the same way, or act on it differently.

    Raises
    ------
    InvalidInputError
        If there is none.
    IncompatibleError
        If bodies, observations, actions or tasks differ, or an expert is a mixture itself.
    """
    if not experts:
        raise InvalidInputError("A mixture needs at least one expert, got none.")
    first = experts[0].about
    for expert in experts:
        about = expert.about
        if isinstance(expert, MixturePolicy):
            raise IncompatibleError(
                f"Expert {about.name!r} is a mixture itself; give its experts instead."
            )
        pairs = {
            "bodies": (first.body_fingerprint.get("layout"), about.body_fingerprint.get("layout")),
            "observations": (list(first.observations.items()), list(about.observations.items())),
            "actions": (first.actions, about.actions),
        }
        different = [name for name, (mine, theirs) in pairs.items() if mine != theirs]
        options = [k for k in _SHARED_TASK if _plain(first, k) != _plain(about, k)]
        if different or options:
            raise IncompatibleError(
                f"Experts {first.name!r} and {about.name!r} do not belong together: other "
                f"{', '.join([*different, *(f'task.{k}' for k in options)])}. "
                "Train them on one body with the same task options."
            )


def _plain(about: PolicyInfo, option: str) -> object:
    value = about.task.get(option)
    return tuple(value) if isinstance(value, list) else value
