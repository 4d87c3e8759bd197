"""PPO against its definitions: returns by explicit loops, densities by torch's own."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from kinesis_neuro.env.imitation import StepResult
from kinesis_neuro.errors import KinesisError
from kinesis_neuro.learn.config import NetworkConfig, PPOConfig
from kinesis_neuro.learn.exploration import Gaussian
from kinesis_neuro.learn.policy import Policy, PolicyInfo, mlp
from kinesis_neuro.learn.ppo import PPO, Batch, advantages

N_ENVS, N_OBSERVATIONS, N_ACTIONS = 6, 4, 3


def make_policy(seed: int = 0, **network: Any) -> Policy:
    about = PolicyInfo("test", "legs", {}, {}, {"all": N_OBSERVATIONS}, ("a",) * N_ACTIONS)
    config = NetworkConfig(actor=(16,), critic=(16,), **network)
    generator = torch.Generator().manual_seed(seed)
    return Policy(N_OBSERVATIONS, N_ACTIONS, config, about, generator)


def make_ppo(seed: int = 0, **options: Any) -> PPO:
    generator = torch.Generator().manual_seed(seed + 1)
    critic = mlp(N_OBSERVATIONS, (16,), 1, 1.0, generator)
    config = PPOConfig(**{"horizon": 8, "minibatch": 16, "epochs": 2} | options)
    return PPO(make_policy(seed), critic, config, seed)


def weights(ppo: PPO) -> dict[str, Tensor]:
    parts = {"policy": ppo.policy, "critic": ppo.critic}
    return {f"{k}.{n}": v.clone() for k, m in parts.items() for n, v in m.state_dict().items()}


class Task:
    """Match a linear function of the observation; episodes end as the script says."""

    def __init__(
        self, script: dict[int, dict[str, list[int]]] | None = None, seed: int = 0
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.script = script or {}
        self.goal = np.array([[0.5, -0.5, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0], [0.3, 0.0, 0.0, 0.3]])
        self.at, self.n_diverged = 0, 0
        self.steps = np.zeros(N_ENVS)
        self.results: list[StepResult] = []
        self.observation = self.draw(N_ENVS)

    def draw(self, n: int) -> np.ndarray:
        return self.rng.uniform(-1, 1, (n, N_OBSERVATIONS)).astype(np.float32)

    def step(self, action: np.ndarray) -> StepResult:
        distance = np.linalg.norm(action - self.observation @ self.goal.T, axis=1, keepdims=True)
        flags = {name: np.zeros(N_ENVS, dtype=bool) for name in ("terminated", "truncated")}
        flags["diverged"] = np.zeros(N_ENVS, dtype=bool)
        for name, which in self.script.get(self.at, {}).items():
            flags[name][which] = True
        flags["terminated"] |= flags["diverged"]
        self.n_diverged += int(flags["diverged"].sum())
        self.at += 1
        self.steps += 1
        done = flags["terminated"] | flags["truncated"]
        time = self.steps / 30.0
        self.steps = np.where(done, 0.0, self.steps)
        self.observation = self.draw(N_ENVS)
        # The worst that could come from physics that diverged.
        reward = np.where(flags["diverged"], np.nan, 1.0 - distance[:, 0] ** 2)
        final = self.draw(int(done.sum()))
        self.results.append(
            StepResult(
                self.observation,
                reward,
                **flags,
                final_observation=final,
                distance=distance,
                episode_time=time,
            )
        )
        return self.results[-1]


def random_batch(horizon: int = 12, seed: int = 0, **changes: Tensor) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(horizon, N_ENVS, *shape, generator=generator)

    batch = Batch(
        observation=draw(N_OBSERVATIONS),
        mean=0.1 * draw(N_ACTIONS),
        action=draw(N_ACTIONS),
        log_prob=draw() - 3.0,
        value=draw(),
        reward=draw(),
        done=draw() > 0.8,
        valid=torch.ones(horizon, N_ENVS, dtype=torch.bool),
        last_value=draw()[0],
    )
    return dataclasses.replace(batch, **changes)


@pytest.mark.parametrize("lam", [0.0, 0.9, 1.0])
def test_advantages_are_the_sums_of_their_definition(lam: float) -> None:
    gamma, batch = 0.95, random_batch()
    assert batch.done.any()
    horizon = batch.reward.shape[0]
    expected = torch.zeros_like(batch.reward)
    for n in range(N_ENVS):
        for t in range(horizon):
            # Sum of discounted temporal differences until the episode or the batch ends.
            for k in range(t, horizon):
                following = batch.value[k + 1, n] if k + 1 < horizon else batch.last_value[n]
                following = 0.0 if batch.done[k, n] else following
                delta = batch.reward[k, n] + gamma * following - batch.value[k, n]
                expected[t, n] += (gamma * lam) ** (k - t) * delta
                if batch.done[k, n]:
                    break
    advantage, target = advantages(batch, gamma, lam)
    torch.testing.assert_close(advantage, expected)
    torch.testing.assert_close(target, expected + batch.value)


def test_with_lambda_one_the_targets_are_returns() -> None:
    batch = random_batch(last_value=torch.zeros(N_ENVS))
    _, target = advantages(batch, 1.0, 1.0)
    n, total = 0, 0.0
    for t in range(batch.reward.shape[0]):
        total += float(batch.reward[t, n])
        if batch.done[t, n]:
            break
    assert float(target[0, n]) == pytest.approx(total, abs=1e-5)


def test_time_that_runs_out_is_bootstrapped_and_a_fall_is_not() -> None:
    # Both kinds of end in one step: their final observations must not be mixed up.
    script = {2: {"terminated": [0, 4], "truncated": [1, 5]}, 5: {"truncated": [3]}}
    task, ppo = Task(script), make_ppo()
    policy, gamma = ppo.policy, ppo.config.gamma
    batch, seen, _ = ppo.rollout(task, task.observation)
    for t, result in enumerate(task.results):
        expected = result.reward.astype(np.float32)
        ended = np.flatnonzero(result.terminated | result.truncated)
        for row, n in enumerate(ended):
            if result.truncated[n]:
                last = torch.from_numpy(result.final_observation[row : row + 1])
                # The policy had no statistics yet: its observations were as they came.
                value = ppo.critic((last / (1 + 1e-6) ** 0.5).clamp(-10, 10))
                expected[n] += gamma * value.item()
        np.testing.assert_allclose(batch.reward[t].numpy(), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(batch.done[t].numpy(), result.terminated | result.truncated)
    assert seen.n_episodes == 5
    assert seen.survival == pytest.approx(np.mean([3, 3, 3, 3, 6]) / 30.0)
    assert policy.normalizer.count.item() == N_ENVS * ppo.config.horizon


def test_a_rollout_holds_what_happened() -> None:
    task, ppo = Task({3: {"diverged": [2]}}), make_ppo()
    first = task.observation
    batch, seen, last = ppo.rollout(task, first)
    np.testing.assert_array_equal(last, task.observation)
    assert seen.n_diverged == 1
    assert (~batch.valid).nonzero().tolist() == [[3, 2]]
    assert batch.done[3, 2]
    torch.testing.assert_close(batch.observation[0], torch.from_numpy(first), rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(batch.value, ppo.critic(batch.observation)[..., 0])
        torch.testing.assert_close(batch.mean, ppo.policy.mean(batch.observation))
        spread = ((batch.action - batch.mean) / torch.exp(ppo.policy.log_std)).flatten()
    assert float(spread.std()) == pytest.approx(1.0, abs=0.2)
    torch.testing.assert_close(
        batch.log_prob, ppo.policy.noise().log_prob(batch.mean, batch.action)
    )


def test_what_diverged_is_not_learnt() -> None:
    """Whatever stands in a diverged transition, the weights come out the same."""
    # The transition after each diverged one starts anew; the one before it does not end.
    valid = torch.ones(12, N_ENVS, dtype=torch.bool)
    valid[0, 1] = valid[0, 3] = False
    done = random_batch().done | ~valid
    clean = random_batch(valid=valid, done=done)
    poisoned = random_batch(valid=valid, done=done)
    for name in ("observation", "mean", "action", "log_prob", "value", "reward"):
        getattr(poisoned, name)[~valid] = float("nan")
    learnt = []
    for batch in (clean, poisoned):
        ppo = make_ppo()
        ppo.update(batch)
        learnt.append(weights(ppo))
    assert all(torch.equal(v, learnt[1][k]) for k, v in learnt[0].items())
    assert not all(torch.equal(v, learnt[0][k]) for k, v in weights(make_ppo()).items())


def test_what_diverged_does_not_reach_the_steps_before_it() -> None:
    """The step before is worth what the critic says of the state that diverged, no less."""
    task, ppo = Task({0: {"diverged": [3]}, 5: {"diverged": [1, 4]}}), make_ppo()
    batch, seen, _ = ppo.rollout(task, task.observation)
    advantage, target = advantages(batch, 0.9, 0.8)
    assert torch.isfinite(advantage[batch.valid]).all()
    assert torch.isfinite(target[batch.valid]).all()
    assert np.isfinite(seen.reward)
    for n in (1, 4):
        last = batch.reward[4, n] + 0.9 * batch.value[5, n] - batch.value[4, n]
        torch.testing.assert_close(advantage[4, n], last)
        before = batch.reward[3, n] + 0.9 * batch.value[4, n] - batch.value[3, n]
        torch.testing.assert_close(advantage[3, n], before + 0.9 * 0.8 * last)


def test_a_batch_of_which_all_diverged_is_an_error() -> None:
    ppo = make_ppo()
    before = weights(ppo)
    nothing = torch.zeros(12, N_ENVS, dtype=torch.bool)
    with pytest.raises(KinesisError, match="nothing to learn from"):
        ppo.update(random_batch(valid=nothing, done=~nothing))
    assert all(torch.equal(v, before[k]) for k, v in weights(ppo).items())


def test_density_and_entropy_are_those_of_a_gaussian() -> None:
    policy = make_policy()
    with torch.no_grad():
        policy.log_std.copy_(torch.tensor([-2.0, 0.3, -0.7]))
    generator = torch.Generator().manual_seed(0)
    mean, action = torch.randn(2, 50, N_ACTIONS, generator=generator)
    expected = Independent(Normal(mean, policy.log_std.exp()), 1)
    torch.testing.assert_close(policy.noise().log_prob(mean, action), expected.log_prob(action))
    torch.testing.assert_close(policy.noise().entropy(), expected.entropy()[0])


def test_reported_divergence_is_that_of_the_new_policy_from_the_old() -> None:
    # Steps so small that the means before and after them are alike.
    ppo = make_ppo(learning_rate=1e-9, learning_rate_range=(1e-9, 1e-9))
    batch = random_batch()
    flat = [t.flatten(0, 1) for t in (batch.observation, batch.mean, batch.action, batch.log_prob)]
    x, old_mean, action, old_log_prob = flat
    old_std = torch.tensor([0.2, 0.4, 0.3])
    gain, old = torch.randn(len(x)), Gaussian(old_std)
    _, kl = ppo._actor_step(x, old_mean, old, action, old_log_prob, gain)
    with torch.no_grad():
        new = Normal(ppo.policy.mean(x), ppo.policy.log_std.exp())
        expected = torch.distributions.kl_divergence(Normal(old_mean, old_std), new).sum(-1).mean()
    torch.testing.assert_close(kl, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("kl", "end"), [(0.0, 1e-3), (0.029, 1e-3), (0.045, 5e-4), (0.061, 1e-4), (1e6, 1e-4)]
)
def test_learning_rate_keeps_divergence_in_range(kl: float, end: float) -> None:
    ppo = make_ppo()
    for _ in range(10):
        before = ppo.learning_rate
        ppo._adapt(kl)
        assert before / 1.5 <= ppo.learning_rate * (1 + 1e-9)
        assert ppo.learning_rate <= before * 1.5 * (1 + 1e-9)
        assert [g["lr"] for g in ppo.actor_optimizer.param_groups] == [ppo.learning_rate]
    assert ppo.learning_rate == pytest.approx(end)
    assert [g["lr"] for g in ppo.critic_optimizer.param_groups] == [ppo.config.critic_learning_rate]


def test_a_large_step_makes_the_next_one_smaller() -> None:
    ppo = make_ppo(learning_rate=1e-3, epochs=8)
    ppo.update(random_batch())
    assert ppo.learning_rate < 1e-3


def test_while_the_critic_warms_up_the_actor_rests() -> None:
    ppo = make_ppo(critic_warmup=1)
    before = weights(ppo)
    ppo.update(random_batch())
    after = weights(ppo)
    changed = {k.split(".")[0] for k, v in after.items() if not torch.equal(v, before[k])}
    assert changed == {"critic"}
    ppo.update(random_batch())
    assert not torch.equal(weights(ppo)["policy.log_std"], after["policy.log_std"])


def test_advantage_moves_the_mean_towards_what_paid() -> None:
    ppo = make_ppo(epochs=1, minibatch=10_000, learning_rate=1e-3)
    policy, batch = ppo.policy, random_batch(horizon=40)
    with torch.no_grad():
        mean = policy.mean(batch.observation)
        noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(1))
        action = mean + policy.log_std.exp() * noise
    batch = dataclasses.replace(
        batch,
        mean=mean,
        action=action,
        log_prob=policy.noise().log_prob(mean, action).detach(),
        reward=noise[..., 0],
        value=torch.zeros_like(batch.value),
        done=torch.ones_like(batch.done),
    )
    ppo.update(batch)
    with torch.no_grad():
        moved = (policy.mean(batch.observation) - mean).mean(dim=(0, 1))
    assert moved[0] > 1e-4


def test_a_trivial_task_is_learnt_and_the_same_seed_learns_the_same() -> None:
    def learn() -> tuple[list[float], dict[str, Tensor]]:
        ppo = make_ppo(horizon=32, minibatch=48, epochs=4, gamma=0.0, learning_rate=1e-3)
        task = Task()
        observation, rewards = task.observation, []
        for _ in range(40):
            batch, seen, observation = ppo.rollout(task, observation)
            ppo.update(batch)
            rewards.append(seen.reward)
        return rewards, weights(ppo)

    rewards, learnt = learn()
    # What is left to lose: 1 at the start is the square of the goal plus the noise's.
    start, end = np.mean(rewards[:3]), np.mean(rewards[-3:])
    assert 1.0 - end < 0.5 * (1.0 - start)
    again = learn()
    assert rewards == again[0]
    assert all(torch.equal(v, again[1][k]) for k, v in learnt.items())
