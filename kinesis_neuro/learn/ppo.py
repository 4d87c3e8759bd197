"""PPO: rollouts into a buffer, generalised advantages, clipped updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import KinesisError
from kinesis_neuro.learn.config import PPOConfig
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.learn.rollout import Fragment, RolloutStatistics, Summary, roll, statistics
from kinesis_neuro.learn.symmetry import Symmetry
from kinesis_neuro.learn.team import Team


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
    team : Team, optional
        Learners with whom the batch is shared; a batch here then holds this one's environments.
    """

    def __init__(
        self,
        policy: Policy,
        critic: nn.Module,
        config: PPOConfig,
        seed: int,
        symmetry: Symmetry | None = None,
        team: Team | None = None,
    ) -> None:
        self.policy, self.critic, self.config = policy, critic, config
        self.symmetry, self.team = symmetry, team or Team()
        self.device = policy.normalizer.mean.device
        self.generator = torch.Generator().manual_seed(seed)
        self.learning_rate = config.learning_rate
        actor_parameters = [*policy.actor.parameters(), *policy.noise_parameters().values()]
        self.actor_optimizer = torch.optim.Adam(actor_parameters, lr=config.learning_rate)
        self.critic_optimizer = torch.optim.Adam(
            critic.parameters(), lr=config.critic_learning_rate
        )
        self.iteration = 0

    def _value(self, observation: Tensor) -> Tensor:
        policy = self.policy
        return self.critic(policy.for_critic(policy.prepare(observation)))[:, 0]

    def white(self, n_envs: int) -> Tensor:
        """Random numbers for the exploration of a whole rollout, (horizon, n_envs, n)."""
        noise, shape = self.policy.noise(), (n_envs, self.policy.n_outputs)
        steps = range(self.config.horizon)
        return torch.stack([noise.white(shape, self.generator) for _ in steps])

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
        fragment = roll(self.policy, env, observation, self.white(len(observation)))
        return *self.digest(fragment), fragment.observation[-1]

    def _here(self, values: np.ndarray | Tensor) -> Tensor:
        """On the learner's device; without a copy where they are there already."""
        return torch.as_tensor(values, device=self.device)

    @torch.no_grad()
    def digest(self, fragment: Fragment) -> tuple[Batch, RolloutStatistics]:
        """What can be learnt from a rollout: values, and rewards with what comes after them."""
        policy, gamma = self.policy, self.config.gamma
        if self.symmetry is not None:
            self.symmetry.take(policy.normalizer)
        seen, mean, choice, beside = (
            self._here(part)
            for part in (fragment.observation, fragment.mean, fragment.choice, fragment.beside)
        )
        # What else the policy computes on was computed on the way.
        x = torch.cat([policy.normalizer(seen[:-1]), beside], dim=-1)
        value = self.critic(policy.for_critic(x))[..., 0]
        reward = self._here(fragment.reward.copy())
        if len(fragment.final):
            # The time limit is no fault of the state: go on with the critic's estimate.
            onward = self._value(self._here(fragment.final))
            reward[self._here(fragment.truncated)] += gamma * onward
        valid = self._here(~fragment.diverged)
        batch = Batch(
            observation=x,
            mean=mean,
            action=choice,
            log_prob=policy.noise().log_prob(mean, choice),
            value=value,
            # As good as expected: what broke the physics is nobody's merit or fault.
            reward=torch.where(valid, reward, value),
            done=self._here(fragment.terminated | fragment.truncated),
            valid=valid,
            last_value=self._value(seen[-1]),
        )
        # Statistics follow after the batch, so that its own numbers stay consistent.
        policy.normalizer.merge(self.team.moments(seen[:-1].flatten(0, 1)))
        return batch, statistics(self.team.together(Summary.of(fragment, batch.reward)))

    def _rows(self, valid: Tensor) -> Tensor:
        """Number in this learner's batch of each sound sample of the whole batch; -1: another's."""
        masks = self.team.together(valid.cpu())
        rows = torch.full((valid.shape[0], sum(mask.shape[1] for mask in masks)), -1)
        first = sum(mask.shape[1] for mask in masks[: self.team.rank])
        own = torch.arange(valid.numel()).reshape(valid.shape)
        rows[:, first : first + valid.shape[1]] = own
        return rows[torch.cat(masks, dim=1)]

    def update(self, batch: Batch) -> dict[str, float]:
        """Improve policy and critic on a batch; returns means of what was measured."""
        config, policy = self.config, self.policy
        advantage, target = advantages(batch, config.gamma, config.lam)
        columns = (batch.observation, batch.mean, batch.action, batch.log_prob, advantage, target)
        flat = [column.flatten(0, 1) for column in columns]
        rows = self._rows(batch.valid)
        n = rows.numel()
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
                part = rows[order[start : start + size]]
                part = part[part >= 0]
                x, old_mean, action, old_log_prob, gain, wanted = (t[part] for t in flat)
                value_loss = self._critic_step(x, wanted, size)
                policy_loss, kl = torch.zeros((2,), device=self.device)
                if learn_actor:
                    policy_loss, kl = self._actor_step(
                        x, old_mean, old_noise, action, old_log_prob, gain, size
                    )
                losses = self.team.total(torch.stack([value_loss, policy_loss, kl])).tolist()
                measured.append((losses[0], losses[1], losses[2]))
                kl_sum, n_batches = kl_sum + losses[2], n_batches + 1
            if learn_actor:
                self._adapt(kl_sum / n_batches)
        self.iteration += 1
        value_loss_mean, policy_loss_mean, kl_mean = np.mean(measured, axis=0)
        return {
            "value_loss": float(value_loss_mean),
            "policy_loss": float(policy_loss_mean),
            "kl": float(kl_mean),
            "learning_rate": self.learning_rate,
            "noise": float(policy.noise().detach().spread(batch.mean)),
        }

    def _critic_step(self, x: Tensor, wanted: Tensor, size: int) -> Tensor:
        """One step on a minibatch of so many samples, of which these are this learner's."""
        value = self.critic(self.policy.for_critic(x))[:, 0]
        loss = 0.5 * (value - wanted).square().sum() / size
        self.critic_optimizer.zero_grad()
        loss.backward()
        self._descend(self.critic_optimizer, self.critic)
        return loss.detach()

    def _actor_step(
        self,
        x: Tensor,
        old_mean: Tensor,
        old_noise: Any,
        action: Tensor,
        old_log_prob: Tensor,
        gain: Tensor,
        size: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The same for the actor; this learner's part of the loss and of the divergence."""
        config, policy = self.config, self.policy
        size = size or len(x)
        share = len(x) / size
        gain = self._standardized(gain, size)
        mean, noise = policy.mean(x), policy.noise()
        ratio = torch.exp(noise.log_prob(mean, action) - old_log_prob)
        clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
        loss = -torch.minimum(ratio * gain, clipped * gain).sum() / size
        total = loss
        if share > 0.0:
            # Means over this learner's samples, by how many they are.
            total = total - config.entropy_weight * share * noise.entropy(mean)
            if self.symmetry is not None:
                weight = config.symmetry_weight * share
                total = total + weight * self.symmetry.loss(policy, x, mean)
        self.actor_optimizer.zero_grad()
        total.backward()
        self._descend(self.actor_optimizer, policy.actor)
        with torch.no_grad():
            kl = policy.noise().divergence_from(old_noise, old_mean, mean)
        return loss.detach(), kl.sum() / size

    def _standardized(self, gain: Tensor, size: int) -> Tensor:
        """Advantages with mean 0 and standard deviation 1 over the whole minibatch."""
        mean = self.team.total(gain.sum()) / size
        variance = self.team.total((gain - mean).square().sum()) / max(size - 1, 1)
        return (gain - mean) / (variance.sqrt() + 1e-6)

    def _descend(self, optimizer: torch.optim.Adam, clipped: nn.Module) -> None:
        """A step along the gradients of all learners."""
        self.team.add_gradients(p for group in optimizer.param_groups for p in group["params"])
        nn.utils.clip_grad_norm_(clipped.parameters(), self.config.max_gradient_norm)
        optimizer.step()

    def _adapt(self, kl: float) -> None:
        """Keep the divergence of an epoch within its range by the learning rate."""
        low, high = self.config.learning_rate_range
        if kl > self.config.target_kl[1]:
            self.learning_rate = max(low, self.learning_rate / 1.5)
        elif kl < self.config.target_kl[0]:
            self.learning_rate = min(high, self.learning_rate * 1.5)
        for group in self.actor_optimizer.param_groups:
            group["lr"] = self.learning_rate
