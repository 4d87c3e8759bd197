"""The mirror image of an observation is the observation of the mirrored body."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kinesis_neuro.body.kinematics import kinematics
from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.env.mirror import Mirror, pairing
from kinesis_neuro.env.reference_table import ReferenceTable
from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.reference import GroundContact, ReferenceMotion

Make = Callable[..., ImitationEnv]


def reflect(motion: ReferenceMotion) -> ReferenceMotion:
    """The motion seen in a mirror at x = 0, on the same body: right is left."""
    body = motion.body
    swap = {"_r": "_l", "_l": "_r"}
    joints = [
        body.joints.index(n[:-2] + swap[n[-2:]] if n[-2:] in swap else n) for n in body.joints
    ]
    qpos = motion.qpos.copy()
    qpos[:, 0] *= -1
    qpos[:, 5:7] *= -1  # turns about y and z change sign
    qpos[:, 7:] = qpos[:, 7:][:, joints]
    sign = np.array([-1.0, 1.0, 1.0])
    contact = GroundContact(
        motion.contact.force[:, ::-1] * sign, motion.contact.center_of_pressure[:, ::-1] * sign
    )
    return ReferenceMotion.from_poses(
        body, qpos, motion.rate, displacement=motion.displacement * sign, contact=contact
    )


@pytest.fixture(scope="module")
def image(walk: ReferenceMotion) -> ReferenceTable:
    return ReferenceTable.build([reflect(walk)], actuation="moment")


@pytest.mark.parametrize("observations", [(), ("kinesis", "muscle_force")])
def test_mirrored_observation_is_that_of_the_mirrored_body(
    make_env: Make,
    table: ReferenceTable,
    image: ReferenceTable,
    observations: tuple[str, ...],
) -> None:
    shown = {"observations": observations, "observe_muscles": True}
    env, other = (
        make_env(t, 10, mirror=False, termination_distance=10.0, **shown) for t in (table, image)
    )
    frame = np.arange(10) * 15
    for e in (env, other):
        e.reset(np.arange(10), motion=np.zeros(10, dtype=int), frame=frame)
    joints = [env.body.joints[d - 6] for d in env.body.coupling.independent_dof[6:]]
    mirror = Mirror(env.body, joints, env.action_channels)
    widths = {name: block.shape[1] for name, block in env.observation_blocks().items()}
    order, signs = mirror.observation(widths)
    # Twice mirrored is not mirrored.
    np.testing.assert_array_equal(order[order], np.arange(order.size))
    np.testing.assert_array_equal(signs[order] * signs, 1.0)
    action_order, action_signs = mirror.action
    action = np.random.default_rng(30).uniform(-0.3, 0.3, (10, 14))
    for _ in range(2):
        expected = other.observe()
        got = env.observe()[:, order] * signs
        # myo-sim's two sides differ by fractions of a millimetre; contact amplifies it.
        assert np.quantile(np.abs(got - expected), 0.99) < 0.02
        env.step(action)
        other.step(action[:, action_order] * action_signs)
    # Without the mirror they are as different as left and right.
    assert np.quantile(np.abs(env.observe() - other.observe()), 0.99) > 0.3


def test_policy_sees_one_side_only(make_env: Make, table: ReferenceTable) -> None:
    """With the mirror on, half a cycle later looks nearly the same as now."""
    n = table.motions[0].n_frames
    frames = np.stack([np.arange(10) * 17, np.arange(10) * 17 + n // 2], axis=1).ravel()
    apart = {}
    for on in (True, False):
        env = make_env(table, 20, mirror=on)
        env.reset(np.arange(20), motion=np.zeros(20, dtype=int), frame=frames)
        assert env.mirrored().any() == on
        seen = env.observe()
        apart[on] = np.abs(seen[::2] - seen[1::2]).mean()
        if on:
            # Exactly one of each pair is seen from the other side.
            assert (env.mirrored()[::2] != env.mirrored()[1::2]).mean() > 0.8
    assert apart[True] < 0.5 * apart[False]


def test_names_pair_up(legs: Body) -> None:
    pairs = pairing(legs.muscles)
    for i, j in enumerate(pairs):
        assert legs.side[i] != legs.side[j] and legs.group[i] == legs.group[j]
    with pytest.raises(InvalidInputError, match="do not pair up"):
        pairing(["a_r", "a", "a_l"])


@pytest.mark.parametrize("name", ["legs_back", "full"])
def test_trunk_and_arms_are_mirrored_too(name: str) -> None:
    """Joints at the other side's angles put all segments and muscles where a mirror shows them."""
    body = load_body(name)
    model, dofs = body.model, body.coupling.independent_dof[6:]
    joints = [body.joints[dof - 6] for dof in dofs]
    mirror = Mirror(body, joints, body.muscles)
    low, high = model.jnt_range[dofs - 5].T
    rng = np.random.default_rng(0)
    qpos = np.tile(model.qpos0, (2, 1))
    qpos[:, :3] = 0.0
    qpos[0, dofs + 1] = rng.uniform(0.8 * low + 0.2 * high, 0.2 * low + 0.8 * high)
    order, signs = mirror.joints
    qpos[1, dofs + 1] = qpos[0, dofs + 1][order] * signs
    found = kinematics(body, body.coupling.complete(qpos))
    position = found.body_position[0, pairing(body.segments)]
    image = found.body_position[1]
    np.testing.assert_allclose(position * [-1.0, 1.0, 1.0], image, atol=2e-3)
    assert np.abs(position - image).max() > 0.05
    length = found.muscle_length[0, pairing(body.muscles)]
    # In myo-sim the path of one muscle of the back differs between the sides.
    alike = [i for i, muscle in enumerate(body.muscles) if not muscle.startswith("LTpT_T12")]
    np.testing.assert_allclose(length[alike], found.muscle_length[1, alike], atol=2e-4)
