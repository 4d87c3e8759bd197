"""Where episodes start: by weight, and more often in what fails, as often as is said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.env.starts import Starts
from kinesis_neuro.errors import InvalidInputError

N = 20_000


def share(starts: Starts) -> float:
    """Share of draws that are of the second of two motions."""
    motion, _ = starts.draw(N, np.random.default_rng(0))
    return float((motion == 1).mean())


def told(table: ReferenceTable, hard_motions: float) -> Starts:
    """Of the first motion no episode failed lately, of the second every one."""
    starts = Starts(table, 6, 0.0, hard_motions)
    starts.motion_weight = np.array([0.75, 0.25])
    for _ in range(300):
        starts.report_motions(np.array([0, 1, 1]), np.array([False, True, True]))
    return starts


@pytest.mark.parametrize("hard", [0.0, 0.4, 1.0])
def test_motions_that_fail_are_drawn_more_often(plain_table: ReferenceTable, hard: float) -> None:
    starts = told(plain_table, hard)
    np.testing.assert_allclose(starts.motion_failure, [0.0, 1.0], atol=1e-4)
    expected = 0.25 + hard * 0.75
    assert share(starts) == pytest.approx(expected, abs=0.015)


def test_as_long_as_nothing_is_known_the_weights_stand(plain_table: ReferenceTable) -> None:
    starts = Starts(plain_table, 6, 0.0, 1.0)
    starts.motion_weight = np.array([0.6, 0.4])
    assert share(starts) == pytest.approx(0.4, abs=0.015)
    starts.motion_failure[:] = 0.0  # all is well
    assert share(starts) == pytest.approx(0.4, abs=0.015)


def test_failure_is_a_running_average(plain_table: ReferenceTable) -> None:
    """Against one update after the other."""
    rng = np.random.default_rng(1)
    starts, expected = Starts(plain_table, 6, 0.0, 0.5), np.array([0.5, 0.5])
    for _ in range(50):
        motion, failed = rng.integers(0, 2, 1), rng.random(1) < 0.3
        starts.report_motions(motion, failed)
        expected[motion] += 0.05 * (failed - expected[motion])
    np.testing.assert_allclose(starts.motion_failure, expected)


def test_the_task_reports_and_keeps_failures(
    plain_table: ReferenceTable, make_env: Callable[..., ImitationEnv]
) -> None:
    env, other = (
        make_env(
            plain_table, 6, actuation="excitation", hard_motions=0.5, auto_reset=True, seed=seed
        )
        for seed in (0, 1)
    )
    for _ in range(40):
        env.step(np.ones((6, 80)))  # every muscle at once: nobody stands that
    assert (env.starts.motion_failure > 0.55).all()
    other.set_state_arrays({k: v.copy() for k, v in env.state_arrays().items()})
    np.testing.assert_array_equal(other.starts.motion_failure, env.starts.motion_failure)


@pytest.mark.parametrize("name", ["hard_starts", "hard_motions"])
def test_a_share_is_a_share(name: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"{name} must be a share, got 1\.5"):
        ImitationConfig(**{name: 1.5})
