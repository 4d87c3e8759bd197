"""Weights go over to a policy that observes more, block by block, and it acts as before."""

from __future__ import annotations

import pytest
import torch

from kinesis_neuro.env.blocks import in_order
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.errors import IncompatibleError
from kinesis_neuro.learn.config import NetworkConfig
from kinesis_neuro.learn.policy import Policy, PolicyInfo
from kinesis_neuro.learn.transfer import shared_columns, widened

THEIRS = {"a": 3, "b": 2, "c": 4}
MINE = {"c": 4, "goal": 3, "a": 3, "b": 2, "target": 2}


def policy(widths: dict[str, int], seed: int) -> Policy:
    about = PolicyInfo("p", "legs", {}, {}, widths, ("x", "y"))
    generator = torch.Generator().manual_seed(seed)
    config = NetworkConfig(actor=(7, 5), critic=(4,))
    return Policy(sum(widths.values()), 2, config, about, generator).eval()


def test_it_acts_as_before_whatever_is_new() -> None:
    first, second = policy(THEIRS, 0), policy(MINE, 1)
    first.normalizer.update(5.0 + 2.0 * torch.randn(100, 9))
    second.load_state_dict(widened(first.state_dict(), THEIRS, MINE, "actor.0.weight"))
    seen = {name: 5.0 + torch.randn(6, width) for name, width in MINE.items()}
    old = torch.cat([seen[name] for name in THEIRS], dim=1).numpy()
    new = torch.cat([seen[name] for name in MINE], dim=1).numpy()
    torch.testing.assert_close(
        torch.from_numpy(first.act(old)), torch.from_numpy(second.act(new)), rtol=0, atol=1e-6
    )
    new[:, 4:7] = 100.0  # the goal
    torch.testing.assert_close(
        torch.from_numpy(first.act(old)), torch.from_numpy(second.act(new)), rtol=0, atol=1e-6
    )


def test_new_blocks_have_a_neutral_normaliser() -> None:
    first = policy(THEIRS, 0)
    first.normalizer.update(5.0 + 2.0 * torch.randn(100, 9))
    state = widened(first.state_dict(), THEIRS, MINE, "actor.0.weight")
    assert state["normalizer.mean"][4:7].tolist() == [0.0] * 3
    assert state["normalizer.variance"][-2:].tolist() == [1.0] * 2
    assert (state["normalizer.mean"][7:12] > 3.0).all()


def test_the_new_weights_learn() -> None:
    second = policy(MINE, 1)
    second.load_state_dict(widened(policy(THEIRS, 0).state_dict(), THEIRS, MINE, "actor.0.weight"))
    second.mean(second.prepare(torch.ones(1, 14))).sum().backward()
    gradient = second.actor[0].weight.grad
    assert gradient is not None and (gradient[:, 4:7] != 0).any()


def test_what_was_observed_must_still_be() -> None:
    with pytest.raises(IncompatibleError, match="lacks its blocks b"):
        shared_columns(THEIRS, {"a": 3, "c": 4})
    with pytest.raises(IncompatibleError, match="lacks its blocks a"):
        shared_columns(THEIRS, {**MINE, "a": 4})


def test_a_goal_may_be_dropped_and_stays_at_its_mean() -> None:
    first, second = policy(MINE, 0), policy(THEIRS, 1)
    first.normalizer.update(5.0 + 2.0 * torch.randn(100, 14))
    goal = ("goal", "target")
    state = widened(first.state_dict(), MINE, THEIRS, "actor.0.weight", goal)
    second.load_state_dict(state)
    seen = {name: 5.0 + torch.randn(6, width) for name, width in MINE.items()}
    seen["goal"][:], seen["target"][:] = (
        first.normalizer.mean[start : start + seen[name].shape[1]]
        for name, start in (("goal", 4), ("target", 12))
    )
    before = first.act(torch.cat([seen[name] for name in MINE], dim=1).numpy())
    after = second.act(torch.cat([seen[name] for name in THEIRS], dim=1).numpy())
    torch.testing.assert_close(torch.from_numpy(before), torch.from_numpy(after), rtol=0, atol=1e-6)
    with pytest.raises(IncompatibleError, match="lacks its blocks a"):
        widened(first.state_dict(), MINE, {"b": 2, "c": 4}, "actor.0.weight", goal)


def test_sorted_names_come_back_in_their_order() -> None:
    config = ImitationConfig(lookahead=(1, 5))
    names = ["contact", "reference_joint_velocity_5", "root_height", "zeal", "command"]
    ordered = in_order(config, dict.fromkeys(sorted(names), 1))
    assert list(ordered) == ["root_height", "contact", names[1], "command", "zeal"]
