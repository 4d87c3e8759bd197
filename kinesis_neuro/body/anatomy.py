"""Side and anatomical group of the muscles, from their names.

Groups follow the main action in standing posture (Gray's Anatomy; Rajagopal et al. 2016 for the
leg, Bruno et al. 2015 for the trunk, Saul et al. 2015 for the arm).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kinesis_neuro.errors import InvalidInputError

# First match wins; names are matched without their side.
_GROUPS: tuple[tuple[str, str], ...] = (
    (r"iliacus|psoas|iliopsoas", "hip_flexors"),
    (r"Ps_.*", "hip_flexors"),
    (r"sart|tfl", "hip_flexors"),
    (r"glmax\d|glutmax", "hip_extensors"),
    (r"glmed\d|glmin\d|abd|piri", "hip_abductors"),
    (r"add.*|grac", "hip_adductors"),
    (r"bflh|semimem|semiten|hamstrings", "hamstrings"),
    (r"bfsh|bifemsh", "knee_flexors"),
    (r"recfem|rectfem", "rectus_femoris"),
    (r"vas.*", "vasti"),
    (r"gas.*", "gastrocnemii"),
    (r"soleus", "soleus"),
    (r"tibpost|fdl|fhl", "deep_plantarflexors"),
    (r"per.*", "peroneals"),
    (r"tibant|edl|ehl", "dorsiflexors"),
    (r"rect_abd|EO\d|IO\d|intobl|extobl", "abdominals"),
    (r"IL_.*|LT.*|MF_.*|ercspn", "erector_spinae"),
    (r"QL_.*", "quadratus_lumborum"),
    (r"DELT\d|SUPSP|INFSP|SUBSC|TMIN|TMAJ|PECM\d|LAT\d|CORB", "shoulder"),
    (r"TRI.*|ANC|SUP|BIC.*|BRA|BRD|PT|PQ", "elbow"),
    (r"ECR.|ECU|FCR|FCU|PL", "wrist"),
    (r"FD[SP]\d|ED[CM]\d?|EIP|RI\d|LU_RB\d|UI_UB\d", "fingers"),
    (r"EP[LB]|FPL|APL|OP", "thumb"),
)
GROUPS = tuple(dict.fromkeys(group for _, group in _GROUPS))
"""All group names."""

# Independent joints of trunk, shoulders, elbows and wrists; fingers weigh nothing in a posture.
_UPPER_JOINTS = re.compile(
    r"(flex_extension|lat_bending|axial_rotation|elv_angle|shoulder_elv|shoulder_rot"
    r"|elbow_flexion|pro_sup|deviation|flexion)(_[rl])?"
)
_LEG_JOINTS = re.compile(r"(hip_(flexion|adduction|rotation)|knee_angle|ankle_angle)_[rl]")
_ARM_GROUPS = ("shoulder", "elbow", "wrist", "fingers", "thumb")


def _base(muscle: str) -> str:
    return re.sub(r"_[rl]$", "", muscle)


def muscle_group(muscle: str) -> str:
    """Anatomical group of a muscle.

    Parameters
    ----------
    muscle : str
        Name of an actuator of any body.

    Raises
    ------
    InvalidInputError
        If the name matches no known muscle: it is never put anywhere silently.

    Examples
    --------
    >>> muscle_group("soleus_r"), muscle_group("glmed2_l"), muscle_group("DELT1")
    ('soleus', 'hip_abductors', 'shoulder')
    """
    for pattern, group in _GROUPS:
        if re.fullmatch(pattern, _base(muscle)):
            return group
    raise InvalidInputError(f"Muscle {muscle!r} belongs to no known group: {', '.join(GROUPS)}.")


def muscle_side(muscle: str) -> str:
    """Side of a muscle: ``left``, ``right`` or ``midline``.

    The right arm of myo-sim's full body carries no suffix, so its muscles are told by group.

    Examples
    --------
    >>> muscle_side("soleus_l"), muscle_side("DELT1"), muscle_side("DELT1_l")
    ('left', 'right', 'left')
    """
    if muscle.endswith("_l"):
        return "left"
    if muscle.endswith("_r") or muscle_group(muscle) in _ARM_GROUPS:
        return "right"
    return "midline"


def upper_joints(joints: Sequence[str]) -> tuple[str, ...]:
    """Joints that trunk and arms hold a posture with.

    Examples
    --------
    >>> upper_joints(["hip_flexion_r", "lat_bending", "elbow_flexion_l", "mcp2_flexion_l"])
    ('lat_bending', 'elbow_flexion_l')
    """
    return tuple(name for name in joints if _UPPER_JOINTS.fullmatch(name))


def leg_joints(joints: Sequence[str]) -> tuple[str, ...]:
    """Joints of hips, knees and ankles, which motion capture measures well.

    Examples
    --------
    >>> leg_joints(["hip_flexion_r", "knee_angle_l", "knee_angle_rotation2_l", "subtalar_angle_r"])
    ('hip_flexion_r', 'knee_angle_l')
    """
    return tuple(name for name in joints if _LEG_JOINTS.fullmatch(name))
