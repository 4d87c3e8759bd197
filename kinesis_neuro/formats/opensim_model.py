"""OpenSim models (``.osim``): a person's segment lengths and mass, and nothing else.

Reads the joints' places in their parents, in files of OpenSim 4 (offset frames) and 3
(``location_in_parent``), with the translations that a joint has at zero of its coordinates, as the
knees of gait2392 have.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from kinesis_neuro.errors import FileFormatError

FloatArray = NDArray[np.float64]

# Segment -> the bodies whose joints lie at its ends; one name: from the segment's own origin.
_SEGMENTS = {
    "pelvis": ("femur_r", "femur_l"),
    "thigh": ("tibia_r",),
    "shank": ("talus_r",),
    "foot": ("toes_r",),
}
_PLAUSIBLE = (0.02, 1.0)


@dataclass(frozen=True)
class ModelSize:
    """What an OpenSim model says of a person's size.

    Attributes
    ----------
    name : str
        Of the model.
    lengths : dict of str to float
        [m] of ``pelvis`` (hip to hip), ``thigh``, ``shank`` and ``foot`` (heel to toe joint), of
        the right leg.
    mass : float
        Of all bodies [kg].
    """

    name: str
    lengths: dict[str, float]
    mass: float


def read_model_size(path: str | Path) -> ModelSize:
    """Read segment lengths and mass from an OpenSim model.

    Parameters
    ----------
    path : str or Path
        A model with the bodies of gait2392, Rajagopal 2016 and their kin (``femur_r``,
        ``tibia_r``, ``talus_r``, ``toes_r``).

    Returns
    -------
    ModelSize

    Raises
    ------
    FileFormatError
        If the file is no OpenSim model, lacks one of these joints, or a length is no human's.
    """
    path = Path(path)
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise FileFormatError(path, str(error), "an OpenSim model (XML)") from error
    model = root.find("Model")
    if root.tag != "OpenSimDocument" or model is None:
        raise FileFormatError(path, f"the root <{root.tag}>", "<OpenSimDocument> with a <Model>")
    places = _joint_places(model, path)
    lengths = {}
    for segment, bodies in _SEGMENTS.items():
        lost = [body for body in bodies if body not in places]
        if lost:
            raise FileFormatError(path, f"no joint of body {lost[0]}", f"the joint of {lost[0]}")
        ends = [places[body] for body in bodies]
        length = float(np.linalg.norm(ends[0] if len(ends) == 1 else ends[1] - ends[0]))
        if not _PLAUSIBLE[0] < length < _PLAUSIBLE[1]:
            raise FileFormatError(
                path, f"a {segment} of {length:.4g} m", "a length of a person's, in metres"
            )
        lengths[segment] = length
    mass = sum(_numbers(body.findtext("mass", "0"), path)[0] for body in model.iter("Body"))
    if not mass > 0:
        raise FileFormatError(path, f"a mass of {mass} kg", "bodies that have mass")
    return ModelSize(model.get("name", ""), lengths, float(mass))


def _joint_places(model: ElementTree.Element, path: Path) -> dict[str, FloatArray]:
    """Place of each joint in its parent [m], by the body that hangs on it."""
    places = {}
    for joint in model.iter():
        if not joint.tag.endswith("Joint"):
            continue
        frames = {f.get("name"): f for f in joint.iter("PhysicalOffsetFrame")}
        if frames:
            parent = frames.get(_last(joint.findtext("socket_parent_frame", "")))
            child_name = _last(joint.findtext("socket_child_frame", ""))
            child = frames.get(child_name)
            body = child_name if child is None else _last(child.findtext("socket_parent", ""))
            place = np.zeros(3) if parent is None else _vector(parent, "translation", path)
            if child is not None:
                place = place - _vector(child, "translation", path)
        else:
            # OpenSim 3 keeps a joint inside the body that hangs on it.
            body = _owner(model, joint)
            if not body:
                continue
            place = _vector(joint, "location_in_parent", path)
            place = place - _vector(joint, "location", path)
        places[body] = place + _translation(joint, path)
    return places


def _owner(model: ElementTree.Element, joint: ElementTree.Element) -> str:
    for body in model.iter("Body"):
        if any(element is joint for element in body.iter()):
            return body.get("name", "")
    return ""


def _translation(joint: ElementTree.Element, path: Path) -> FloatArray:
    """What a joint's spatial transform adds where all coordinates are zero [m]."""
    total = np.zeros(3)
    for axis in joint.iter("TransformAxis"):
        if axis.get("name", "").startswith("translation"):
            direction = _vector(axis, "axis", path)
            for function in axis:
                if function.tag not in ("coordinates", "axis", "coordinate"):
                    total += direction * _at_zero(function, path)
    return total


def _at_zero(function: ElementTree.Element, path: Path) -> float:
    """Value of one of OpenSim's functions at zero."""
    kind = function.tag
    if kind in ("function", "MultiplierFunction"):
        scale = _numbers(function.findtext("scale", "1"), path)[0]
        inner = [e for e in function if e.tag != "scale"]
        return scale * sum(_at_zero(e, path) for e in inner)
    if kind == "Constant":
        return float(_numbers(function.findtext("value", "0"), path)[0])
    if kind in ("LinearFunction", "PolynomialFunction"):
        return float(_numbers(function.findtext("coefficients", "0"), path)[-1])
    if kind in ("SimmSpline", "NaturalCubicSpline", "PiecewiseLinearFunction"):
        x, y = (_numbers(function.findtext(name, ""), path) for name in ("x", "y"))
        if len(x) != len(y) or len(x) < 2 or (np.diff(x) <= 0).any():
            raise FileFormatError(path, f"a {kind} of {len(x)} x and {len(y)} y", "ascending x")
        if kind == "PiecewiseLinearFunction" or len(x) < 3:
            return float(np.interp(0.0, x, y))
        return float(CubicSpline(x, y, bc_type="natural")(0.0))
    raise FileFormatError(path, f"a translation by <{kind}>", "one of OpenSim's simple functions")


def _vector(element: ElementTree.Element, name: str, path: Path) -> FloatArray:
    values = _numbers(element.findtext(name, "0 0 0"), path)
    if values.shape != (3,):
        raise FileFormatError(path, f"<{name}> of {values.size} numbers", "three")
    return values


def _numbers(text: str, path: Path) -> FloatArray:
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError as error:
        raise FileFormatError(path, f"{text.strip()[:40]!r}", "numbers") from error
    if values.size == 0 or not np.isfinite(values).all():
        raise FileFormatError(path, f"{text.strip()[:40]!r}", "finite numbers")
    return values


def _last(reference: str) -> str:
    return reference.strip().rpartition("/")[2]
