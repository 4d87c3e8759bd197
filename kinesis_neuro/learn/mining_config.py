"""Configuration of hard-negative mining: what its stages are made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from kinesis_neuro.errors import InvalidInputError, unknown_name
from kinesis_neuro.learn.config import GATES, NetworkConfig, PPOConfig, TrainConfig


def _gate_network() -> NetworkConfig:
    return NetworkConfig(actor=(256, 128), critic=(512, 256, 256), initial_log_std=-2.3)


@dataclass(frozen=True)
class MiningConfig:
    """Everything that the stages are made from.

    Attributes
    ----------
    train : TrainConfig
        Of each expert: ``motions`` is one motion library, ``keys`` the clips that are trained on,
        ``total_steps`` or ``minutes`` what each expert may take. The folder is ``runs/<name>``.
    n_experts : int
        At most; fewer where nothing fails any more.
    warm_start : bool
        Whether an expert starts from the weights of the one before it, as in PHC (Luo et al.
        2023), or anew.
    protocol : {"strict", "kinesis"}
        By which a clip counts as failed.
    n_starts : int
        Episodes a clip in evaluation; one failure is enough.
    duration : float
        Longest episode in evaluation [s].
    gate : {"hard", "soft"}
    gate_network, gate_ppo : NetworkConfig, PPOConfig
        How the gate learns: anew, and so not as an expert that is fine-tuned.
    gate_steps : int
        Control steps for the gate; 0 for none.
    """

    train: TrainConfig = field(default_factory=TrainConfig)
    n_experts: int = 3
    warm_start: bool = True
    protocol: str = "strict"
    n_starts: int = 1
    duration: float = 10.0
    gate: str = "hard"
    gate_network: NetworkConfig = field(default_factory=_gate_network)
    gate_ppo: PPOConfig = field(default_factory=PPOConfig)
    gate_steps: int = 1_000_000

    def __post_init__(self) -> None:
        """Refuse what cannot be mined."""
        if self.gate not in GATES:
            raise unknown_name("gate", self.gate, GATES)
        if self.n_experts < 1 or self.n_starts < 1 or self.gate_steps < 0:
            raise InvalidInputError(
                "n_experts and n_starts must be at least 1 and gate_steps not negative, got "
                f"{self.n_experts}, {self.n_starts}, {self.gate_steps}."
            )
        if self.train.experts:
            raise InvalidInputError("Mining trains experts of its own; leave train.experts empty.")
