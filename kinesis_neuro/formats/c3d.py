"""C3D files: analog channels, events, force plates and markers of a motion laboratory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import FileFormatError, MissingDependencyError

FloatArray = NDArray[np.float64]

_EXPECTED = "a C3D file"


@dataclass(frozen=True, eq=False)
class C3D:
    """What a C3D file holds.

    Attributes
    ----------
    path : Path
    start : float
        Time of the first frame on the file's clock [s]; events are on the same clock.
    rate : float
        Analog samples a second [Hz].
    labels, units : tuple of str
        Of the analog channels.
    analog : ndarray, shape (n_samples, n_channels)
        In the units of the file.
    events : mapping of str to ndarray
        Times [s] by "<context> <label>" in lower case, such as "right foot strike".
    plate_force : ndarray, shape (n_samples, n_plates, 3)
        Force of the ground on the foot, laboratory axes [N]; empty without plates.
    point_rate : float
        Marker frames a second [Hz].
    points : mapping of str to ndarray
        Markers, (n_frames, 3), in the units of `point_units`.
    point_units : str
    """

    path: Path
    start: float
    rate: float
    labels: tuple[str, ...]
    units: tuple[str, ...]
    analog: FloatArray
    events: Mapping[str, FloatArray]
    plate_force: FloatArray
    point_rate: float
    points: Mapping[str, FloatArray]
    point_units: str


def read_c3d(path: str | Path) -> C3D:
    """Read a C3D file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    C3D

    Raises
    ------
    FileFormatError
        The file cannot be opened or parsed, or holds values that are not finite.
    MissingDependencyError
        `ezc3d` is not installed.

    Examples
    --------
    >>> read_c3d("walk.c3d")
    Traceback (most recent call last):
        ...
    kinesis_neuro.errors.FileFormatError: walk.c3d: no such file. Expected a C3D file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(path, "a folder" if path.is_dir() else "no such file", _EXPECTED)
    try:
        import ezc3d
    except ImportError as error:
        raise MissingDependencyError(
            "Reading C3D needs the package ezc3d: pip install ezc3d"
        ) from error
    with path.open("rb") as stream:
        head = stream.read(2)
    # The parser asks for memory by whatever it finds in a header that is none.
    if len(head) < 2 or head[1] != 0x50:
        raise FileFormatError(path, f"bytes {head!r} at the start", f"{_EXPECTED} (key 0x50)")
    try:
        raw = ezc3d.c3d(str(path), extract_forceplat_data=True)
        return _parse(path, raw)
    except FileFormatError:
        raise
    except Exception as error:  # the C++ parser raises whatever broken bytes lead it to
        raise FileFormatError(path, f"cannot be parsed ({error})", _EXPECTED) from error


def _parse(path: Path, raw: Any) -> C3D:
    parameters = raw["parameters"]
    analog = np.asarray(raw["data"]["analogs"][0], dtype=float).T
    labels = _texts(parameters, "ANALOG", "LABELS", analog.shape[1])
    units = _texts(parameters, "ANALOG", "UNITS", analog.shape[1])
    header = raw["header"]
    point_rate = float(header["points"]["frame_rate"])
    rate = float(header["analogs"]["frame_rate"]) if analog.size else 0.0
    if point_rate <= 0 or (analog.size and rate <= 0):
        raise FileFormatError(path, f"rates of {point_rate} and {rate} Hz", "positive rates")
    if not np.isfinite(analog).all():
        column = int(np.flatnonzero(~np.isfinite(analog).all(axis=0))[0])
        raise FileFormatError(path, f"values of {labels[column]!r} that are not finite", "numbers")
    points = np.asarray(raw["data"]["points"], dtype=float)[:3].transpose(1, 2, 0)
    names = _texts(parameters, "POINT", "LABELS", points.shape[0])
    return C3D(
        path=path,
        start=int(header["points"]["first_frame"]) / point_rate,
        rate=rate,
        labels=labels,
        units=units,
        analog=analog,
        events=_events(parameters),
        plate_force=_plates(raw, analog.shape[0]),
        point_rate=point_rate,
        points=dict(zip(names, points, strict=True)),
        point_units=(_value(parameters, "POINT", "UNITS") or ["mm"])[0],
    )


def _value(parameters: Any, group: str, name: str) -> Any:
    if group not in parameters or name not in parameters[group]:
        return []
    return parameters[group][name]["value"]


def _texts(parameters: Any, group: str, name: str, n: int) -> tuple[str, ...]:
    """Texts of a parameter, as many as there are channels; long lists go on in NAME2, NAME3."""
    found = [str(text).strip() for text in _value(parameters, group, name)]
    for more in range(2, 10):
        found += [str(text).strip() for text in _value(parameters, group, f"{name}{more}")]
    return tuple([*found, *[""] * n][:n])


def _events(parameters: Any) -> dict[str, FloatArray]:
    times = np.asarray(_value(parameters, "EVENT", "TIMES"), dtype=float)
    if times.ndim == 1 and times.size % 2 == 0:  # some files keep pairs without their shape
        times = times.reshape(-1, 2).T
    if times.ndim != 2 or times.shape[0] < 2:
        return {}
    seconds = 60 * times[0] + times[1]  # minutes and seconds stand apart
    labels = _texts(parameters, "EVENT", "LABELS", seconds.size)
    contexts = _texts(parameters, "EVENT", "CONTEXTS", seconds.size)
    names = np.array([f"{c} {t}".strip().lower() for c, t in zip(contexts, labels, strict=True)])
    return {str(name): np.sort(seconds[names == name]) for name in np.unique(names)}


def _plates(raw: Any, n_samples: int) -> FloatArray:
    """Turn the forces of the plates so that they push feet up."""
    plates = raw["data"].get("platform", [])
    forces = [np.asarray(plate["force"], dtype=float).T for plate in plates]
    if not forces or any(f.shape != (n_samples, 3) for f in forces):
        return np.zeros((n_samples, 0, 3))
    force = np.nan_to_num(np.stack(forces, axis=1))
    # Plates report what the foot does to them or what they do to the foot, by their maker's taste.
    down = force[..., 2].sum(axis=0) < 0
    return force * np.where(down, -1.0, 1.0)[:, None]
