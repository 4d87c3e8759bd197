"""Tables of references and configurations of the imitation task."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.motion.library import load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

Make = Callable[..., ImitationEnv]


def test_table_gathers_the_motions(plain_table: ReferenceTable) -> None:
    walk, clip = plain_table.motions
    n = walk.n_frames
    motion = np.array([0, 0, 0, 0, 1, 1, 1])
    frame = np.array([0, n - 1, n, -1, 0, clip.n_frames - 1, clip.n_frames + 50])
    rows, shift = plain_table.rows(motion, frame)
    last = n + clip.n_frames - 1
    np.testing.assert_array_equal(rows, [0, n - 1, 0, n - 1, n, last, last])
    cycles = np.array([0, 0, 1, -1, 0, 0, 0])
    np.testing.assert_allclose(shift, cycles[:, None] * walk.displacement)
    np.testing.assert_array_equal(plain_table.qpos[n:], clip.qpos)
    np.testing.assert_array_equal(plain_table.position[:n], walk.frames.body_position)


def test_motions_of_other_rates_are_resampled(walk: ReferenceMotion) -> None:
    table = ReferenceTable.build([walk.resample(60.0)], actuation="excitation")
    assert table.qpos.shape[0] == walk.n_frames
    np.testing.assert_allclose(table.qpos, walk.qpos, atol=0.02)


def test_motions_of_different_bodies_are_refused(walk: ReferenceMotion) -> None:
    other = load_motion("walk", body="legs26")
    with pytest.raises(IncompatibleError, match="'legs26', the task on 'legs'"):
        ReferenceTable.build([walk, other], actuation="excitation")
    with pytest.raises(InvalidInputError, match="At least one reference motion"):
        ReferenceTable.build([], actuation="excitation")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"actuation": "torque"}, "Unknown actuation 'torque'"),
        ({"control_rate": 40.0}, "must divide the physics rate of 150 Hz, got 40"),
        ({"control_rate": 0.0}, "must divide"),
        ({"termination_rule": "all"}, "Unknown termination rule 'all'"),
        ({"duration": 0.01}, "at least one control step"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        ImitationConfig(**options)


@pytest.mark.parametrize("rate", [10.0, 15.0, 30.0, 50.0, 75.0, 150.0])
def test_control_rate_sets_the_steps(
    make_env: Make, plain_table: ReferenceTable, rate: float
) -> None:
    env = make_env(plain_table, 1, actuation="excitation", control_rate=rate)
    assert env.config.decimation == round(150 / rate)
    env.step(np.zeros((1, 80)))
    assert env.simulation.time[0] == pytest.approx(1 / rate)


@pytest.mark.parametrize(
    ("actuation", "initial", "activated"),
    [
        ("moment", "auto", True),
        ("moment", "rest", False),
        ("excitation", "auto", False),
        ("excitation", "reference", True),
    ],
)
def test_episodes_start_from_rest_or_with_static_optimisations_activations(
    make_env: Make, table: ReferenceTable, actuation: str, initial: str, activated: bool
) -> None:
    env = make_env(table, n_envs=3, actuation=actuation, initial_activation=initial)
    frame = np.array([5, 60, 120])
    env.reset(np.arange(3), np.zeros(3, dtype=np.intp), frame)
    assert table.feedforward is not None
    expected = table.feedforward[frame] if activated else np.full((3, 80), 0.05)
    np.testing.assert_array_equal(env.simulation.activation, expected)


def test_the_activations_to_start_from_are_computed_where_they_are_needed(
    walk: ReferenceMotion,
) -> None:
    part = walk.slice(0.0, 0.3)
    assert ReferenceTable.build([part], actuation="excitation").feedforward is None
    config = ImitationConfig(actuation="excitation", initial_activation="reference")
    assert ImitationEnv([part], config).table.feedforward is not None
    with pytest.raises(InvalidInputError, match="Unknown initial activation 'warm'"):
        ImitationConfig(initial_activation="warm")
