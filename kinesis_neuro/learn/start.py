"""What a training run starts from: a new policy, the weights of another, or a gate over experts."""

from __future__ import annotations

from pathlib import Path

import torch

from kinesis_neuro.body.models import Body
from kinesis_neuro.env.blocks import in_order, own_blocks
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.device.imitation import DeviceImitation
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import IncompatibleError
from kinesis_neuro.learn import checkpoint as files
from kinesis_neuro.learn.config import TrainConfig, from_dict, to_dict
from kinesis_neuro.learn.mixture import MixturePolicy, check_experts
from kinesis_neuro.learn.policy import Policy, PolicyInfo
from kinesis_neuro.learn.transfer import widened
from kinesis_neuro.provenance import library_versions


def about_run(config: TrainConfig, env: ImitationEnv | DeviceImitation) -> PolicyInfo:
    """What the policy of a run belongs to."""
    blocks = env.observation_blocks()
    return PolicyInfo(
        name=config.name,
        body=config.body,
        body_fingerprint=dict(env.body.fingerprint),
        task=to_dict(config.task),
        observations={name: values.shape[1] for name, values in blocks.items()},
        actions=env.action_channels,
        motions={m.name: m.hash for m in env.table.motions},
        training={"config": to_dict(config), "versions": library_versions()},
    )


def first_policy(
    config: TrainConfig,
    env: ImitationEnv | DeviceImitation,
    generator: torch.Generator,
    first: str,
) -> Policy:
    """The policy that a run starts with.

    Parameters
    ----------
    config : TrainConfig
    env : ImitationEnv or DeviceImitation
    generator : torch.Generator
        Draws the first weights.
    first : str
        Name or folder of a policy whose weights are taken; empty for none. The task may observe
        more than it does, or lack what only a goal asked for (see
        :mod:`kinesis_neuro.learn.transfer`).

    Raises
    ------
    IncompatibleError
        If that policy acts otherwise than the task or observes what the task does not, or an
        expert observes or acts otherwise.
    """
    about = about_run(config, env)
    if config.experts:
        return _gate(config, about, env.body, generator)
    policy = Policy(env.n_observations, len(env.action_channels), config.network, about, generator)
    if first:
        earlier = files.load_policy(first)
        files.warn_of_other_body(earlier.about, env.body)
        _refuse_other_actions(first, earlier.about, about)
        if isinstance(earlier, MixturePolicy):
            raise IncompatibleError(
                f"Policy {first!r} is a mixture of experts; train on from one of its experts, or "
                "a gate over them (experts)."
            )
        theirs = observed(earlier.about)
        goal = goal_blocks(earlier.about)
        state = widened(earlier.state_dict(), theirs, about.observations, "actor.0.weight", goal)
        # The weights go on, the noise starts anew.
        state |= {k: v.detach() for k, v in policy.noise_parameters().items()}
        files.load_tensors(policy, state, Path(first))
    return policy


def _gate(
    config: TrainConfig, about: PolicyInfo, body: Body, generator: torch.Generator
) -> MixturePolicy:
    experts = [files.load_policy(path) for path in config.experts]
    check_experts(experts)
    for path, expert in zip(config.experts, experts, strict=True):
        files.warn_of_other_body(expert.about, body)
        _refuse_other_task(path, expert.about, about)
    return MixturePolicy(experts, config.gate, config.network, about, generator)


def _refuse_other_task(source: str, theirs: PolicyInfo, mine: PolicyInfo) -> None:
    _refuse_other_actions(source, theirs, mine)
    if observed(theirs) != observed(mine):
        raise IncompatibleError(
            f"Policy {source!r} observes or acts otherwise than this task. "
            "Use the same task options (lookahead, observations, observe_muscles, goal)."
        )


def observed(about: PolicyInfo) -> dict[str, int]:
    """Widths of a policy's observation blocks, in order; files have them sorted by name."""
    return in_order(from_dict(ImitationConfig, dict(about.task)), about.observations)


def goal_blocks(about: PolicyInfo) -> tuple[str, ...]:
    """Names of the blocks that a policy observes for its goal."""
    own = own_blocks(from_dict(ImitationConfig, dict(about.task)))
    return tuple(name for name in about.observations if name not in own)


def _refuse_other_actions(source: str, theirs: PolicyInfo, mine: PolicyInfo) -> None:
    if tuple(theirs.actions) != tuple(mine.actions):
        raise IncompatibleError(
            f"Policy {source!r} observes or acts otherwise than this task: it has "
            f"{len(theirs.actions)} actions, the task {len(mine.actions)}. Use the same "
            "task.actuation and body."
        )
