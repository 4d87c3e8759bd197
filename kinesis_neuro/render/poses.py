"""What a picture shows: poses, activations and the camera, read from a recording."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.errors import IncompatibleError, InvalidInputError
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.render.ghost import reference_poses

FloatArray = NDArray[np.float64]

ACTIVATION_COLORS = LinearSegmentedColormap.from_list(
    "activation", ["#8ea3b8", "#a98f9f", "#c9616a", "#d21f1f", "#b00000"]
)
"""Blue-grey at rest, red when active."""

FULL_SCALE = 0.5
"""Activation that is wholly red: walking seldom takes a muscle beyond it."""

_NEEDED = ("root_position", "root_orientation", "joint_position", "activation")
_FORWARD = (0.0, -1.0, 0.0)  # where the bodies face in their own frame
_CAMERA_HEIGHT = 0.84  # m; the middle of a standing body. Fixed, so that a fall is seen to be one


@dataclass(frozen=True, eq=False)
class Poses:
    """Frames to draw.

    Attributes
    ----------
    body : Body
    time : ndarray, shape (n,)
        On the recording's clock [s].
    qpos : ndarray, shape (n, nq)
    activation : ndarray, shape (n, n_muscles)
        In the body's order; NaN where the recording has no such muscle.
    heading : ndarray, shape (2,)
        Unit vector over x and y: where the body faces on the whole.
    ghost : ndarray, shape (n, nq), or None
        Poses of the reference that was followed, if it is to be shown.
    """

    body: Body
    time: FloatArray
    qpos: FloatArray
    activation: FloatArray
    heading: FloatArray
    ghost: FloatArray | None = None

    def at(self, times: FloatArray) -> Poses:
        """Take the frames nearest to some times [s]."""
        after = np.clip(np.searchsorted(self.time, times), 1, self.time.size - 1)
        index = after - (times - self.time[after - 1] < self.time[after] - times)
        return replace(
            self,
            time=self.time[index],
            qpos=self.qpos[index],
            activation=self.activation[index],
            ghost=None if self.ghost is None else self.ghost[index],
        )

    @property
    def looks_at(self) -> FloatArray:
        """Points (n, 3) that the camera follows: the pelvis, at a fixed height [m]."""
        point = self.qpos[:, :3].copy()
        point[:, 2] = _CAMERA_HEIGHT
        return point

    @property
    def azimuth(self) -> float:
        """Direction in which MuJoCo's camera looks [degrees]: to the walker's left."""
        return float(np.rad2deg(np.arctan2(self.heading[0], -self.heading[1])))

    def colors(self, full_scale: float) -> NDArray[np.float32]:
        """Colours (n, n_muscles, 4) of the muscles; those without a record look at rest."""
        part = np.clip(np.nan_to_num(self.activation) / full_scale, 0.0, 1.0)
        return ACTIVATION_COLORS(part).astype(np.float32)

    @property
    def tendons(self) -> NDArray[np.intp]:
        """MuJoCo's tendon of each muscle."""
        return self.body.model.actuator_trnid[:, 0].astype(np.intp)


def read_poses(
    recording: xr.Dataset, body: Body | None = None, reference: ReferenceMotion | None = None
) -> Poses:
    """Rebuild what the body did in a recording.

    Parameters
    ----------
    recording : xarray.Dataset
        Has ``root_position``, ``root_orientation``, ``joint_position`` and ``activation``.
    body : Body, optional
        The body; by default the one that the attribute ``body`` names.
    reference : ReferenceMotion, optional
        The motion that was followed, to be shown as a ghost.

    Raises
    ------
    InvalidInputError
        If a variable is missing, there are fewer than two samples, or a value is not finite.
    IncompatibleError
        If the recording has joints or muscles that the body has not, or lacks joints; or if it
        followed another motion.

    Warns
    -----
    UserWarning
        If the recording was made with other parameters of the body.
    """
    missing = [name for name in _NEEDED if name not in recording]
    if missing:
        raise InvalidInputError(
            f"A recording to draw needs {', '.join(_NEEDED)}; this one lacks {', '.join(missing)}."
        )
    if recording.sizes["time"] < 2:
        raise InvalidInputError("A recording to draw needs two samples or more.")
    if body is None:
        if "body" not in recording.attrs:
            raise InvalidInputError(
                "The recording does not name its body. Set the attribute 'body', or give body=."
            )
        body = load_body(recording.attrs["body"])
    if recording.attrs.get("body_hash", body.hash) != body.hash:
        warnings.warn(
            f"The recording was made with other parameters of the body {body.name!r} "
            f"({str(recording.attrs['body_hash'])[:12]}, not {body.hash[:12]}); it is drawn with "
            "those that are installed.",
            stacklevel=3,
        )
    qpos = _poses(recording, body)
    names = _known(recording, "muscle", body.muscles, body)
    activation = np.full((qpos.shape[0], body.n_muscles), np.nan)
    activation[:, [body.muscles.index(name) for name in names]] = recording["activation"].transpose(
        "time", "muscle"
    )
    time = recording["time"].values.astype(float)
    ghost = None if reference is None else reference_poses(recording, reference)
    return Poses(body, time, qpos, activation, _heading(qpos), ghost)


def _poses(recording: xr.Dataset, body: Body) -> FloatArray:
    names = _known(recording, "joint", body.joints, body)
    qpos = np.tile(body.model.qpos0, (recording.sizes["time"], 1))
    qpos[:, :3] = recording["root_position"].transpose("time", "space")
    qpos[:, 3:7] = recording["root_orientation"].transpose("time", "quaternion")
    address, _ = body.joint_addresses(tuple(names))
    qpos[:, address] = recording["joint_position"].transpose("time", "joint")
    if not np.isfinite(qpos).all():
        sample = int(np.flatnonzero(~np.isfinite(qpos).all(axis=1))[0])
        raise InvalidInputError(f"Poses must be finite; sample {sample} of the recording is not.")
    absent = np.setdiff1d(np.arange(7, body.model.nq), address)
    if others := np.setdiff1d(absent, body.coupling.dependent_qpos).tolist():
        lacking = [body.joints[k] for k in np.array(others) - 7]
        raise IncompatibleError(
            f"The recording lacks joints of the body {body.name!r}: {', '.join(lacking)}."
        )
    # Recorded dependent joints are drawn as they were; only those left out are worked out.
    qpos[:, absent] = body.coupling.complete(qpos)[:, absent]
    return qpos


def _known(recording: xr.Dataset, dim: str, names: tuple[str, ...], body: Body) -> list[str]:
    """List a dim's labels, all of which the body must have."""
    found = [str(name) for name in recording[dim].values]
    if unknown := sorted(set(found) - set(names)):
        raise IncompatibleError(
            f"The body {body.name!r} has no {dim} {', '.join(unknown[:5])}"
            f"{' ...' if len(unknown) > 5 else ''}. Is it the body of the recording?"
        )
    return found


def _heading(qpos: FloatArray) -> FloatArray:
    """Find where the pelvis faces on the whole, as long as it is upright.

    The way that it takes would not do: a body that falls goes anywhere.
    """
    rotation = Rotation.from_quat(qpos[:, 3:7], scalar_first=True)
    upright = np.clip(rotation.apply([0.0, 0.0, 1.0])[:, 2:], 0.0, None)
    facing = np.asarray((rotation.apply(_FORWARD)[:, :2] * upright).mean(axis=0), dtype=float)
    length = float(np.linalg.norm(facing))
    return facing / length if length > 0 else np.array(_FORWARD[:2])
