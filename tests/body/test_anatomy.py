"""Side and group of muscles: right for those one knows, refused for those nobody knows."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from kinesis_neuro.body.anatomy import GROUPS, muscle_group, muscle_side
from kinesis_neuro.body.models import BODY_NAMES, load_body
from kinesis_neuro.errors import InvalidInputError


@pytest.mark.parametrize(
    ("muscle", "group", "side"),
    [
        ("soleus_r", "soleus", "right"),
        ("gasmed_l", "gastrocnemii", "left"),
        ("vaslat_r", "vasti", "right"),
        ("recfem_l", "rectus_femoris", "left"),
        ("bflh_r", "hamstrings", "right"),
        ("bfsh_r", "knee_flexors", "right"),
        ("tibant_l", "dorsiflexors", "left"),
        ("glmax1_r", "hip_extensors", "right"),
        ("psoas_l", "hip_flexors", "left"),
        ("addlong_r", "hip_adductors", "right"),
        ("ercspn_l", "erector_spinae", "left"),
        ("DELT1", "shoulder", "right"),
        ("TRIlong_l", "elbow", "left"),
    ],
)
def test_known_muscles(muscle: str, group: str, side: str) -> None:
    assert (muscle_group(muscle), muscle_side(muscle)) == (group, side)


@pytest.mark.parametrize("name", BODY_NAMES)
def test_every_actuator_has_a_group(name: str) -> None:
    body = load_body(name)
    assert set(body.group) <= set(GROUPS)
    assert set(body.side) <= {"left", "right", "midline"}


def test_unknown_muscle_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="'heart' belongs to no known group: hip_flexors"):
        muscle_group("heart")


def test_groups_pull_where_their_names_say() -> None:
    """Moment arms of myo-sim's own tendons: d length / d angle < 0 drives the angle."""
    body = load_body("legs")
    data = mujoco.MjData(body.model)
    data.qpos = body.coupling.complete(body.model.qpos0)
    for side in "rl":
        for joint in (f"hip_flexion_{side}", f"knee_angle_{side}"):
            data.qpos[7 + body.joints.index(joint)] = 0.3
    data.qpos = body.coupling.complete(data.qpos)
    mujoco.mj_forward(body.model, data)
    arms = np.zeros((body.model.nu, body.model.nv))
    mujoco.mju_sparse2dense(
        arms, data.actuator_moment, data.moment_rownnz, data.moment_rowadr, data.moment_colind
    )
    tangent = body.coupling.tangent(data.qpos[None])[0]
    arms = arms @ tangent
    axes = [body.joints[dof - 6] for dof in body.coupling.independent_dof[6:]]
    for group, joint, drives in (
        ("hip_flexors", "hip_flexion", +1),
        ("hip_extensors", "hip_flexion", -1),
        ("hamstrings", "hip_flexion", -1),
        ("hamstrings", "knee_angle", +1),
        ("knee_flexors", "knee_angle", +1),
        ("vasti", "knee_angle", -1),
        ("rectus_femoris", "knee_angle", -1),
        ("rectus_femoris", "hip_flexion", +1),
        ("hip_adductors", "hip_adduction", +1),
        ("hip_abductors", "hip_adduction", -1),
        ("soleus", "ankle_angle", -1),
        ("gastrocnemii", "ankle_angle", -1),
        ("gastrocnemii", "knee_angle", +1),
        ("deep_plantarflexors", "ankle_angle", -1),
        ("peroneals", "subtalar_angle", -1),
        ("dorsiflexors", "ankle_angle", +1),
    ):
        for side in ("right", "left"):
            members = [
                i
                for i, (g, s) in enumerate(zip(body.group, body.side, strict=True))
                if (g, s) == (group, side)
            ]
            arm = arms[members, 6 + axes.index(f"{joint}_{side[0]}")]
            # Single members may run on the other side of an axis; the group as a whole does not.
            strength = body.model.actuator_gainprm[members, 2]
            assert -drives * (arm * strength).sum() > 0, (group, joint, side)
