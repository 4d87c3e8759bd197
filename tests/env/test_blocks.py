"""Observations by name: MuJoCo's own frames, KINESIS's names and widths, what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.conditions import MuscleCondition
from kinesis_neuro.env import terms
from kinesis_neuro.env.blocks import ALIASES, DEFAULT, KINESIS, block_names
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.errors import InvalidInputError

Make = Callable[..., ImitationEnv]


def walked(env: ImitationEnv, n_steps: int = 3) -> ImitationEnv:
    env.reset()
    rng = np.random.default_rng(0)
    for _ in range(n_steps):
        env.step(rng.uniform(-1.0, 0.5, (env.n_envs, 80)))
    return env


def test_kinesiss_own_have_its_widths(make_env: Make, plain_table: ReferenceTable) -> None:
    env = make_env(plain_table, 3, actuation="excitation", mirror=False, observations=("kinesis",))
    n, tracked = len(env.body.segments), len(env.body.tracked_bodies)
    # As its code counts them: all bodies less the root's own position, tracked bodies of the task.
    widths = {
        "root_height": 1,
        "root_tilt": 4,
        "local_body_pos": 3 * n - 3,
        "local_body_rot": 6 * n,
        "local_body_vel": 3 * n,
        "contact": 4,
        "position_difference": 3 * tracked,
        "velocity_difference": 3 * tracked,
        "reference_position": 3 * tracked,
    }
    blocks = env.observation_blocks()
    assert {name: values.shape[1] for name, values in blocks.items()} == widths
    assert env.n_observations == sum(widths.values())
    assert list(blocks) == [ALIASES.get(name, name) for name in KINESIS]


def test_segments_are_seen_in_the_heading_frame(
    make_env: Make, plain_table: ReferenceTable
) -> None:
    env = walked(
        make_env(
            plain_table,
            4,
            actuation="excitation",
            mirror=False,
            termination_distance=10.0,
            observations=("local_body_pos", "local_body_rot", "local_body_vel", "root_tilt"),
        )
    )
    blocks = env.observation_blocks()
    simulation, segments = env.simulation, env.body.segments
    angle = terms.heading(simulation.qpos[:, 3:7])
    for i in range(4):
        turn = Rotation.from_euler("z", -angle[i])
        position = simulation.sensor("body_position")[i].reshape(-1, 3)
        root = segments.index("pelvis")
        expected = turn.apply(np.delete(position - position[root], root, axis=0))
        np.testing.assert_allclose(blocks["local_body_pos"][i], expected.ravel(), atol=1e-12)
        quaternion = simulation.sensor("body_orientation")[i].reshape(-1, 4)
        axes = (turn * Rotation.from_quat(quaternion, scalar_first=True)).as_matrix()
        expected = np.concatenate([axes[:, :, 0], axes[:, :, 2]], axis=1)
        np.testing.assert_allclose(blocks["local_body_rot"][i], expected.ravel(), atol=1e-9)
        velocity = simulation.sensor("body_velocity")[i].reshape(-1, 3)
        np.testing.assert_allclose(
            blocks["local_body_vel"][i], turn.apply(velocity).ravel(), atol=1e-12
        )
    tilt = np.arctan2(blocks["root_tilt"][:, 1::2], blocks["root_tilt"][:, ::2])
    np.testing.assert_allclose(
        np.exp(-3.0 * np.square(tilt).sum(axis=1)),
        terms.upright_reward(simulation.qpos[:, 3:7]),
        rtol=1e-12,
    )


def test_force_is_observed_in_peak_forces(make_env: Make, plain_table: ReferenceTable) -> None:
    env = walked(
        make_env(
            plain_table,
            2,
            actuation="excitation",
            mirror=False,
            observations=("muscle_force", "muscle_len"),
        )
    )
    sensor, muscles = env.simulation.sensor, env.observer.muscles
    length, velocity = sensor("muscle_length"), sensor("muscle_velocity")
    force = muscles.force(env.simulation.activation, length, velocity)
    blocks = env.observation_blocks()
    np.testing.assert_allclose(blocks["muscle_force"] * muscles.peak_force, force)
    np.testing.assert_array_equal(blocks["muscle_length"], muscles.normalized_length(length))


def test_a_policy_may_know_how_tired_its_muscles_are(
    make_env: Make, plain_table: ReferenceTable
) -> None:
    options = {"actuation": "excitation", "mirror": False, "observations": ("kinesis", "fatigued")}
    tiring = MuscleCondition(fatigue=100.0, initial_fatigue=0.1)
    env = walked(make_env(plain_table, 2, condition=tiring, **options))
    fatigued = env.observation_blocks()["fatigued"]
    assert fatigued.max() > 0.1
    np.testing.assert_array_equal(env.observe()[:, -80:], fatigued.astype(np.float32))
    with pytest.raises(InvalidInputError, match="needs muscles that tire"):
        make_env(plain_table, 2, **options)


def test_ours_are_the_default() -> None:
    assert block_names(ImitationConfig()) == DEFAULT
    with_muscles = block_names(ImitationConfig(observe_muscles=True))
    assert with_muscles == (*DEFAULT, "muscle_length", "muscle_velocity")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("heart_rate",), r"Unknown observation 'heart_rate'\. Available: .*kinesis"),
        (("local_body_ang_vel",), "joint_velocity hold the same"),
        (("kinesis", "contact"), "given twice: contact"),
    ],
)
def test_unknown_observations_are_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        block_names(ImitationConfig(observations=names))
