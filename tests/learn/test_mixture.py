"""Mixtures: one expert is itself, gradients are finite differences, experts stay frozen."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Categorical as Oracle
from torch.distributions import kl_divergence

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import StepResult
from kinesis_neuro.errors import FileFormatError, IncompatibleError, InvalidInputError
from kinesis_neuro.evaluate import evaluate
from kinesis_neuro.learn import play
from kinesis_neuro.learn.checkpoint import load_policy, save_policy
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig, TrainConfig
from kinesis_neuro.learn.exploration import Categorical
from kinesis_neuro.learn.mixture import MixturePolicy, check_experts
from kinesis_neuro.learn.policy import Policy, PolicyInfo, mlp, untrained_policy
from kinesis_neuro.learn.ppo import PPO
from kinesis_neuro.learn.trainer import Trainer
from kinesis_neuro.motion import collect
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.record import record

WIDTH, N_ACTIONS = 12, 5
GATE = NetworkConfig(actor=(16,), critic=(16,))

load_once = functools.cache(load_motion)


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Motions once, and torch's threads as they were."""
    for user in (play, collect):
        monkeypatch.setattr(user, "load_motion", load_once)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def about(**changes: Any) -> PolicyInfo:
    info = PolicyInfo("test", "legs", {"layout": "a"}, {}, {"all": WIDTH}, ("a",) * N_ACTIONS)
    return dataclasses.replace(info, **changes)


def expert(seed: int, scale: float = 1.0, **network: Any) -> Policy:
    generator = torch.Generator().manual_seed(seed)
    policy = Policy(WIDTH, N_ACTIONS, NetworkConfig(actor=(8,), **network), about(), generator)
    torch.nn.init.normal_(policy.actor[-1].weight, std=scale, generator=generator)
    seen = torch.randn(50, WIDTH, generator=generator) * (1.0 + seed) + seed
    policy.normalizer.update(seen)
    return policy.eval()


def mixture(gate: str, n: int = 3, seed: int = 7, config: NetworkConfig = GATE) -> MixturePolicy:
    generator = torch.Generator().manual_seed(seed)
    experts = [expert(k, squash=k == 1) for k in range(n)]
    made = MixturePolicy(experts, gate, config, about(), generator)
    torch.nn.init.normal_(made.actor[-1].weight, std=0.5, generator=generator)
    return made.eval()


def observations(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.5, 2.0, (n, WIDTH)).astype(np.float32)


def test_the_draw_among_experts_is_torchs_categorical() -> None:
    generator = torch.Generator().manual_seed(0)
    new, old = torch.randn(2, 40, 3, generator=generator, dtype=torch.float64)
    chosen = Categorical().sample(new, generator)
    oracle = Oracle(logits=new)
    torch.testing.assert_close(Categorical().log_prob(new, chosen), oracle.log_prob(chosen))
    torch.testing.assert_close(Categorical().entropy(new), oracle.entropy().mean())
    torch.testing.assert_close(
        Categorical().divergence_from(Categorical(), old, new),
        kl_divergence(Oracle(logits=old), oracle),
    )
    many = Categorical().sample(new[:1].expand(20000, 3), generator)
    share = torch.bincount(many, minlength=3) / 20000
    torch.testing.assert_close(share.double(), oracle.probs[0], atol=0.02, rtol=0.0)


@pytest.mark.parametrize("gate", ["hard", "soft"])
def test_an_ensemble_of_one_is_the_expert_to_the_bit(gate: str) -> None:
    seen = observations(30)
    alone = mixture(gate, n=1)
    np.testing.assert_array_equal(alone.act(seen), expert(0).act(seen))
    x = alone.prepare(torch.from_numpy(seen))
    choice = torch.zeros(30, dtype=torch.int64) if gate == "hard" else alone.mean(x)
    np.testing.assert_array_equal(alone.execute(x, choice).detach().numpy(), x[:, WIDTH:].numpy())


def test_a_hard_gate_does_what_the_likeliest_expert_would() -> None:
    gate, seen = mixture("hard"), observations(60)
    logits = gate.logits(gate.prepare(torch.from_numpy(seen)))
    best = logits.argmax(dim=1).numpy()
    assert len(set(best)) == 3
    acted = gate.act(seen)
    for k, one in enumerate(gate.members):
        np.testing.assert_array_equal(acted[best == k], one.act(seen)[best == k])


def test_a_soft_gate_does_the_weighted_mean() -> None:
    gate, seen = mixture("soft"), observations(60)
    weight = torch.softmax(gate.logits(gate.prepare(torch.from_numpy(seen))), dim=1)
    actions = np.stack([one.act(seen) for one in gate.members], axis=1)
    expected = (weight.detach().numpy()[..., None] * actions).sum(axis=1)
    np.testing.assert_allclose(gate.act(seen), expected, atol=1e-6)
    assert weight.std(dim=0).min() > 0.05


@pytest.mark.parametrize("gate", ["hard", "soft"])
def test_a_row_does_not_see_its_batch(gate: str) -> None:
    policy, seen = mixture(gate), observations(40)
    together = policy.act(seen)
    for n in (1, 7, 9):
        np.testing.assert_array_equal(policy.act(seen[:n]), together[:n])


@pytest.mark.parametrize("gate", ["hard", "soft"])
def test_gradients_of_the_gate_are_finite_differences(gate: str) -> None:
    """Of the objective that PPO climbs: log-probabilities of draws, weighted by advantages."""
    policy = mixture(gate).double()
    generator = torch.Generator().manual_seed(1)
    x = policy.prepare(torch.from_numpy(observations(20)).double())
    gain = torch.randn(20, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        choice = policy.noise().sample(policy.mean(x).float(), generator)
        choice = choice if gate == "hard" else choice.double()

    def objective() -> torch.Tensor:
        return (policy.noise().log_prob(policy.mean(x), choice) * gain).sum()

    objective().backward()
    learnt = [*policy.actor.parameters(), *policy.noise_parameters().values()]
    assert len(learnt) == (4 if gate == "hard" else 5)
    step = 1e-6
    for parameter in learnt:
        flat, gradient = parameter.data.view(-1), parameter.grad
        assert gradient is not None
        for i in range(0, flat.numel(), max(1, flat.numel() // 7)):
            before, values = flat[i].item(), []
            for sign in (1.0, -1.0):
                flat[i] = before + sign * step
                values.append(objective().item())
            flat[i] = before
            slope = (values[0] - values[1]) / (2 * step)
            assert gradient.view(-1)[i].item() == pytest.approx(slope, rel=1e-5, abs=1e-6)
    assert all(p.grad is None for one in policy.members for p in one.parameters())


class Choice:
    """The right expert depends on the sign of the first observation."""

    n_diverged = 0

    def __init__(self, experts: list[Policy], n_envs: int = 32) -> None:
        self.experts, self.n, self.rng = experts, n_envs, np.random.default_rng(0)
        self.observation = self.draw()

    def draw(self) -> np.ndarray:
        return self.rng.normal(0.5, 2.0, (self.n, WIDTH)).astype(np.float32)

    def step(self, action: np.ndarray) -> StepResult:
        right = (self.observation[:, 0] > 0).astype(int)
        wanted = np.stack([one.act(self.observation) for one in self.experts])
        distance = np.abs(action - wanted[right, np.arange(self.n)]).mean(axis=1)
        none = np.zeros(self.n, dtype=bool)
        self.observation = self.draw()
        return StepResult(
            self.observation,
            -distance,
            none,
            none,
            none,
            self.observation[:0],
            distance[:, None],
            np.zeros(self.n),
        )


@pytest.mark.parametrize("gate", ["hard", "soft"])
def test_the_gate_learns_which_expert_is_right_and_the_experts_stay(gate: str) -> None:
    torch.manual_seed(0)
    experts = [expert(0), expert(3)]
    generator = torch.Generator().manual_seed(7)
    policy = MixturePolicy(experts, gate, GATE, about(), generator)
    before = {k: v.clone() for k, v in policy.state_dict().items()}
    critic = mlp(WIDTH, (16,), 1, 1.0, generator)
    config = PPOConfig(
        horizon=16,
        minibatch=128,
        gamma=0.0,
        lam=0.0,
        learning_rate=3e-3,
        learning_rate_range=(1e-3, 1e-2),
    )
    ppo, env = PPO(policy, critic, config, 0), Choice(experts)
    observation = env.observation
    for _ in range(25):
        batch, _, observation = ppo.rollout(env, observation)
        ppo.update(batch)
    seen = observations(400, seed=9)
    weight = torch.softmax(policy.logits(policy.prepare(torch.from_numpy(seen))), dim=1)
    right = weight.detach().numpy()[np.arange(400), (seen[:, 0] > 0).astype(int)]
    # An even gate gives a half to each.
    assert right.mean() > 0.62
    after = policy.state_dict()
    frozen = [k for k in after if k.startswith("experts.")]
    assert frozen
    assert all(torch.equal(after[k], before[k]) for k in frozen)
    assert not torch.equal(after["actor.0.weight"], before["actor.0.weight"])


def spoilt(**changes: Any) -> Policy:
    policy = expert(1)
    policy.about = about(name="other", **changes)
    return policy


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"body_fingerprint": {"layout": "b"}}, "other bodies"),
        ({"observations": {"some": WIDTH}}, "other observations"),
        ({"actions": ("b",) * N_ACTIONS}, "other actions"),
        ({"task": {"lookahead": [1, 9]}}, "other task.lookahead"),
        ({"task": {"actuation": "length", "mirror": False}}, "task.actuation, task.mirror"),
    ],
)
def test_experts_that_do_not_belong_together_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(IncompatibleError, match=message):
        MixturePolicy([expert(0), spoilt(**changes)], "hard", GATE, about())


def test_impossible_mixtures_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least one expert"):
        check_experts([])
    with pytest.raises(InvalidInputError, match=r"Unknown gate 'half'\. Available: hard, soft"):
        MixturePolicy([expert(0)], "half", GATE, about())
    with pytest.raises(InvalidInputError, match="neither squash nor Lattice"):
        MixturePolicy([expert(0)], "hard", NetworkConfig(squash=True), about())
    with pytest.raises(IncompatibleError, match="is a mixture itself"):
        check_experts([mixture("hard")])
    with pytest.raises(InvalidInputError, match="give experts or initial_policy"):
        TrainConfig(experts=("a",), initial_policy="b")


@pytest.mark.parametrize("gate", ["hard", "soft"])
def test_a_mixture_survives_its_files(gate: str, tmp_path: Path) -> None:
    policy, seen = mixture(gate), observations(20)
    save_policy(policy, tmp_path / "mixture")
    loaded = load_policy(tmp_path / "mixture")
    assert isinstance(loaded, MixturePolicy)
    assert loaded.gate == gate
    np.testing.assert_array_equal(loaded.act(seen), policy.act(seen))
    assert all(not p.requires_grad for one in loaded.members for p in one.parameters())
    text = (tmp_path / "mixture" / "policy.json").read_text()
    (tmp_path / "mixture" / "policy.json").write_text(text.replace(f'"{gate}"', '"half"'))
    with pytest.raises(FileFormatError, match="Unknown gate 'half'"):
        load_policy(tmp_path / "mixture")


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("experts")
    for seed in range(2):
        save_policy(untrained_policy(seed, "legs26"), folder / f"expert_{seed}")
    return str(folder / "expert_0"), str(folder / "expert_1")


@pytest.fixture
def config(experts: tuple[str, str]) -> TrainConfig:
    return TrainConfig(
        name="gate",
        body="legs26",
        task=ImitationConfig(actuation="excitation"),
        network=GATE,
        ppo=PPOConfig(horizon=4, minibatch=8, epochs=2),
        experts=experts,
        n_envs=4,
        n_threads=1,
        seed=3,
    )


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[Callable[..., Trainer]]:
    made: list[Trainer] = []

    def make(config: TrainConfig, name: str) -> Trainer:
        made.append(Trainer(config, tmp_path / name))
        (tmp_path / name).mkdir(exist_ok=True)
        return made[-1]

    yield make
    for one in made:
        one.env.close()


@pytest.mark.parametrize("gate", ["hard", "soft"])
def test_a_gate_is_trained_interrupted_recorded_and_evaluated(
    gate: str,
    config: TrainConfig,
    experts: tuple[str, str],
    trainer: Callable[..., Trainer],
    tmp_path: Path,
) -> None:
    config = dataclasses.replace(config, gate=gate)
    whole, part = trainer(config, "whole"), trainer(config, "part")
    for _ in range(3):
        whole.iterate()
    part.iterate()
    part.save()
    # The experts' own folders are no longer needed.
    gone = dataclasses.replace(config)
    resumed = trainer(gone, "part")
    for _ in range(2):
        resumed.iterate()
    for name, value in whole.policy.state_dict().items():
        assert torch.equal(resumed.policy.state_dict()[name], value), name
    first = load_policy(experts[0])
    for name, value in first.state_dict().items():
        assert torch.equal(whole.policy.state_dict()[f"experts.0.{name}"], value)
    whole.save()
    trained = load_policy(tmp_path / "whole" / "checkpoint")
    recording = record(trained, duration=0.2, seed=0, on_fall="restart")
    assert recording.attrs["policy"] == "gate"
    assert recording.sizes["time"] == 30
    scores = evaluate(trained, n_starts=3, duration=0.3)
    assert np.isfinite(scores.mpjpe).all()


def test_a_gate_in_another_task_than_its_experts_is_refused(
    config: TrainConfig, trainer: Callable[..., Trainer]
) -> None:
    other = dataclasses.replace(
        config, task=ImitationConfig(actuation="excitation", observe_muscles=True)
    )
    with pytest.raises(IncompatibleError, match="observes or acts otherwise"):
        trainer(other, "other")
