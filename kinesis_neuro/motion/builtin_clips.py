"""Built-in clips: motions that are no cycle, as tables of poses of the body ``legs``."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.errors import IncompatibleError
from kinesis_neuro.motion.reference import ReferenceMotion

BUILT_IN_CLIPS = ("kick",)
_ROOT = ("root_x", "root_y", "root_z", "root_qw", "root_qx", "root_qy", "root_qz")


def clip_table(name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Poses of a built-in clip, and its description with source and licence.

    Returns
    -------
    table : DataFrame
        One row a frame: ``time`` [s], the root's position [m] and quaternion, independent joints
        [rad].
    description : dict

    Examples
    --------
    >>> table, description = clip_table("kick")
    >>> description["rate"], description["body"]
    (150.0, 'legs')
    """
    folder = resources.files("kinesis_neuro.motion") / "gaits"
    with (folder / f"{name}.csv").open("r") as file:
        table = pd.read_csv(file)
    return table, json.loads((folder / f"{name}.json").read_text())


def built_in_clip(name: str, body: Body) -> ReferenceMotion:
    """A built-in clip on a body whose legs are those that it was made for.

    Joints that the table does not hold (of a trunk, of arms) stand as in the body's own posture.

    Raises
    ------
    IncompatibleError
        If the body's legs differ: another model's, or a person's.
    """
    table, about = clip_table(name)
    joints = [column for column in table if column not in ("time", *_ROOT)]
    made_for = load_body(about["body"])
    if body.scale is not None or not _same_legs(body, made_for):
        raise IncompatibleError(
            f"The built-in {name!r} is a table of poses for the legs of {made_for.name!r}, and "
            f"{body.name!r} has others. Retarget the recording on it: {about['source']}."
        )
    qpos = np.tile(body.model.qpos0, (len(table), 1))
    qpos[:, :7] = table[list(_ROOT)]
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    for joint in joints:
        qpos[:, 7 + body.joints.index(joint)] = table[joint]
    return ReferenceMotion.from_poses(
        body,
        qpos,
        about["rate"],
        name=name,
        source=about["source"],
        licence=about["licence"],
    )


def _same_legs(body: Body, other: Body) -> bool:
    """Whether segments of the legs lie alike in their parents, whatever stands on them."""
    legs = [s for s in other.segments if s.endswith(("_r", "_l"))]
    if not set(other.joints) <= set(body.joints) or not set(legs) <= set(body.segments):
        return False
    mine, theirs = (np.array([b.model.body(s).pos for s in legs]) for b in (body, other))
    return np.allclose(mine, theirs, atol=1e-6)
