"""PPO: rollouts into a buffer, generalised advantages, clipped updates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import KinesisError
from kinesis_neuro.learn.aside import threads_for
from kinesis_neuro.learn.config import PPOConfig
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.learn.symmetry import Symmetry


@dataclass
class Batch:
    """A rollout of all environments, time first.

    Attributes
    ----------
    observation : Tensor, shape (horizon, n_envs, n_observations)
        As the policy prepared it.
    mean : Tensor, shape (horizon, n_envs, n_actions or n_experts)
    action, log_prob, value, reward : Tensor, shape (horizon, n_envs[, n_actions])
        The action is the draw itself: of a hard gate, the number of an expert.
    done : Tensor of bool
        The episode ended with this step.
    valid : Tensor of bool
        The physics was sound: what diverged is never learnt from.
    last_value : Tensor, shape (n_envs,)
    """

    observation: Tensor
    mean: Tensor
    action: Tensor
    log_prob: Tensor
    value: Tensor
    reward: Tensor
    done: Tensor
    valid: Tensor
    last_value: Tensor


@dataclass(frozen=True)
class RolloutStatistics:
    """What the rollout showed: episodes that ended in it, and means over its steps."""

    survival: float
    n_episodes: int
    n_diverged: int
    reward: float
    error: float
    outcome: dict[str, float]


def advantages(batch: Batch, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates and value targets (Schulman et al. 2016).

    Rewards of truncated steps already hold the discounted value of the state that followed.

    Returns
    -------
    advantage, target : Tensor, shape (horizon, n_envs)
    """
    alive = (~batch.done).float()
    following = torch.cat([batch.value[1:], batch.last_value[None]])
    delta = batch.reward + gamma * alive * following - batch.value
    advantage = torch.zeros_like(delta)
    running = torch.zeros_like(batch.last_value)
    for t in range(delta.shape[0] - 1, -1, -1):
        running = delta[t] + gamma * lam * alive[t] * running
        advantage[t] = running
    return advantage, advantage + batch.value


class PPO:
    """The learner: policy, critic and their optimisers.

    Parameters
    ----------
    policy : Policy
    critic : nn.Module
    config : PPOConfig
    seed : int
        Of exploration noise and of the order of minibatches.
    symmetry : Symmetry, optional
        Mirrors states and actions, for the symmetry loss.
    """

    def __init__(
        self,
        policy: Policy,
        critic: nn.Module,
        config: PPOConfig,
        seed: int,
        symmetry: Symmetry | None = None,
    ) -> None:
        self.policy, self.critic, self.config = policy, critic, config
        self.symmetry = symmetry
        self.generator = torch.Generator().manual_seed(seed)
        self.learning_rate = config.learning_rate
        actor_parameters = [*policy.actor.parameters(), *policy.noise_parameters().values()]
        self.actor_optimizer = torch.optim.Adam(actor_parameters, lr=config.learning_rate)
        self.critic_optimizer = torch.optim.Adam(
            critic.parameters(), lr=config.critic_learning_rate
        )
        self.iteration = 0

    def _value(self, observation: Tensor) -> Tensor:
        return self._prepared_value(self.policy.prepare(observation))

    @torch.no_grad()
    def _prepared_value(self, x: Tensor) -> Tensor:
        return self.critic(self.policy.for_critic(x))[:, 0]

    def rollout(
        self, env: ImitationEnv, observation: np.ndarray
    ) -> tuple[Batch, RolloutStatistics, np.ndarray]:
        """Run the exploring policy for a horizon in all environments.

        Parameters
        ----------
        env : ImitationEnv
        observation : ndarray, shape (n_envs, n_observations)
            From the last rollout, or from a reset.
        """
        with threads_for(len(observation)), ThreadPoolExecutor(1) as aside:
            return self._roll(env, observation, aside)

    @torch.no_grad()
    def _roll(
        self, env: ImitationEnv, observation: np.ndarray, aside: ThreadPoolExecutor
    ) -> tuple[Batch, RolloutStatistics, np.ndarray]:
        config, policy = self.config, self.policy
        steps: list[tuple[Tensor, ...]] = []
        survival: list[np.ndarray] = []
        outcomes: list[dict[str, np.ndarray]] = []
        errors, diverged_before = [], env.n_diverged
        noise = policy.noise()
        if self.symmetry is not None:
            self.symmetry.take(policy.normalizer)
        raw = []
        for _ in range(config.horizon):
            seen = torch.from_numpy(observation)
            raw.append(seen)
            x = policy.prepare(seen)
            mean = policy.mean(x)
            choice = noise.sample(mean, self.generator)
            # The critic has time until the bodies have moved.
            judged = aside.submit(self._prepared_value, x)
            result = env.step(policy.execute(x, choice).numpy())
            value = judged.result()
            reward = torch.from_numpy(result.reward.astype(np.float32))
            ended = result.terminated | result.truncated
            if result.truncated.any():
                # The time limit is no fault of the state: go on with the critic's estimate.
                last = torch.from_numpy(result.final_observation[result.truncated[ended]])
                onward = self._value(last)
                reward[torch.from_numpy(result.truncated)] += config.gamma * onward
            done, valid = torch.from_numpy(ended), torch.from_numpy(~result.diverged)
            # As good as expected: what broke the physics is nobody's merit or fault.
            reward = torch.where(valid, reward, value)
            steps.append(
                (x, mean, choice, noise.log_prob(mean, choice), value, reward, done, valid)
            )
            survival.append(result.episode_time[ended])
            outcomes.append(result.outcome)
            errors.append(result.distance.mean())
            observation = result.observation
        x, mean, action, log_prob, value, reward, done, valid = (
            torch.stack(column) for column in zip(*steps, strict=True)
        )
        last_value = self._value(torch.from_numpy(observation))
        batch = Batch(x, mean, action, log_prob, value, reward, done, valid, last_value)
        # Statistics follow after the batch, so that its own numbers stay consistent.
        policy.normalizer.update(torch.cat(raw))
        ended_times = np.concatenate(survival)
        statistics = RolloutStatistics(
            survival=float(ended_times.mean()) if ended_times.size else float("nan"),
            n_episodes=int(ended_times.size),
            n_diverged=env.n_diverged - diverged_before,
            reward=float(batch.reward.mean()),
            error=float(np.mean(errors)),
            outcome=_means(outcomes),
        )
        return batch, statistics, observation

    def update(self, batch: Batch) -> dict[str, float]:
        """Improve policy and critic on a batch; returns means of what was measured."""
        config, policy = self.config, self.policy
        advantage, target = advantages(batch, config.gamma, config.lam)
        keep = batch.valid.flatten()
        flat = [
            t.flatten(0, 1)[keep]
            for t in (
                batch.observation,
                batch.mean,
                batch.action,
                batch.log_prob,
                advantage,
                target,
            )
        ]
        n = flat[0].shape[0]
        if n == 0:
            raise KinesisError(
                "The physics of every environment diverged in every step; there is nothing to "
                "learn from. Check the body, the motions and the gains."
            )
        size = min(config.minibatch, n)
        old_noise = policy.noise().detach()
        measured: list[tuple[float, float, float]] = []
        learn_actor = self.iteration >= config.critic_warmup
        for _ in range(config.epochs):
            order = torch.randperm(n, generator=self.generator)
            kl_sum, n_batches = 0.0, 0
            for start in range(0, n - size + 1, size):
                part = order[start : start + size]
                x, old_mean, action, old_log_prob, gain, wanted = (t[part] for t in flat)
                value = self.critic(policy.for_critic(x))[:, 0]
                value_loss = 0.5 * (value - wanted).square().mean()
                self.critic_optimizer.zero_grad()
                value_loss.backward()
                nn.utils.clip_grad_norm_(self.critic.parameters(), config.max_gradient_norm)
                self.critic_optimizer.step()
                policy_loss, kl = torch.zeros(()), torch.zeros(())
                if learn_actor:
                    policy_loss, kl = self._actor_step(
                        x, old_mean, old_noise, action, old_log_prob, gain
                    )
                measured.append((value_loss.item(), policy_loss.item(), kl.item()))
                kl_sum, n_batches = kl_sum + kl.item(), n_batches + 1
            if learn_actor:
                self._adapt(kl_sum / n_batches)
        self.iteration += 1
        value_loss, policy_loss, kl = np.mean(measured, axis=0)
        return {
            "value_loss": float(value_loss),
            "policy_loss": float(policy_loss),
            "kl": float(kl),
            "learning_rate": self.learning_rate,
            "noise": float(policy.noise().detach().spread(batch.mean)),
        }

    def _actor_step(
        self,
        x: Tensor,
        old_mean: Tensor,
        old_noise: Any,
        action: Tensor,
        old_log_prob: Tensor,
        gain: Tensor,
    ) -> tuple[Tensor, Tensor]:
        config, policy = self.config, self.policy
        gain = (gain - gain.mean()) / (gain.std() + 1e-6)
        mean, noise = policy.mean(x), policy.noise()
        ratio = torch.exp(noise.log_prob(mean, action) - old_log_prob)
        clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
        loss = -torch.minimum(ratio * gain, clipped * gain).mean()
        total = loss - config.entropy_weight * noise.entropy(mean)
        if self.symmetry is not None:
            total = total + config.symmetry_weight * self.symmetry.loss(policy, x, mean)
        self.actor_optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(policy.actor.parameters(), config.max_gradient_norm)
        self.actor_optimizer.step()
        with torch.no_grad():
            kl = policy.noise().divergence_from(old_noise, old_mean, mean)
        return loss.detach(), kl.mean()

    def _adapt(self, kl: float) -> None:
        """Keep the divergence of an epoch within its range by the learning rate."""
        low, high = self.config.learning_rate_range
        if kl > self.config.target_kl[1]:
            self.learning_rate = max(low, self.learning_rate / 1.5)
        elif kl < self.config.target_kl[0]:
            self.learning_rate = min(high, self.learning_rate * 1.5)
        for group in self.actor_optimizer.param_groups:
            group["lr"] = self.learning_rate


def _means(outcomes: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """Mean of each result over the episodes that ended; NaN where none did."""
    gathered = {name: np.concatenate([o[name] for o in outcomes]) for name in outcomes[0]}
    return {k: float(v.mean()) if v.size else float("nan") for k, v in gathered.items()}
