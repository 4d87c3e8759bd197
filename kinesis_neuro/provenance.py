"""Where a result comes from: library versions, hashes of what went in, attributes that say so."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.schema import SCHEMA_VERSION, encode_attr

_LIBRARIES = (
    "gymnasium",
    "h5netcdf",
    "h5py",
    "hdmf",
    "kinesis-neuro",
    "mujoco",
    "myo-sim",
    "numpy",
    "pandas",
    "pynwb",
    "safetensors",
    "scipy",
    "statsmodels",
    "torch",
    "xarray",
)

# Six significant digits, and never finer than 1e-12: below that, what is left of cancelled sums
# (a quaternion component of 6e-17) is noise in all of its digits.
_DIGITS = 6
_SMALLEST_EXPONENT = -12 + _DIGITS - 1
# Where a unit of the sixth digit is rounded up. Not at the half, where numbers typed with seven
# digits often lie and noise would toss a coin for each; nor at any short decimal fraction.
_TIE = 0.51374205891
_POWERS_OF_TEN = np.array([float(f"1e{k}") for k in range(309)])
_NOT_FINITE = 32767


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that shape results, as far as they are installed.

    Nothing is imported: the versions are read from the installed packages' metadata.

    Returns
    -------
    dict
        Version by distribution name.

    Examples
    --------
    >>> library_versions()["numpy"] == np.__version__
    True
    """
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def source_hash() -> str:
    """Hash of this library's own Python source, which a version does not tell of a checkout.

    Returns
    -------
    str
        Twelve hexadecimal digits.

    Examples
    --------
    >>> len(source_hash())
    12
    """
    root, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def hash_arrays(named: Mapping[str, ArrayLike]) -> str:
    """Hash named arrays, texts and numbers, up to the noise of another platform.

    The hash is over names, shapes, kinds of type (float, integer, ...; not their width) and
    values; floats count to six significant digits, and no finer than 1e-12. The order of the
    mapping does not matter, the order within an array does. -0.0 equals 0.0, and NaN equals NaN.

    Equal hashes mean values that are equal to about six digits. The converse has an exception at
    the edges of rounding: noise that moves a value across one changes the hash. Relative noise of
    1e-15 does so for less than one value in 1e9, the rounding of float64 to float32 for one in
    fifty. Short decimal numbers, which people type, are kept away from the edges.

    Parameters
    ----------
    named : mapping of str to array_like
        Arrays, scalars or lists of numbers, booleans or texts.

    Returns
    -------
    str
        SHA-256 in hexadecimal, 64 digits.

    Raises
    ------
    InvalidInputError
        An entry is neither numbers, booleans nor text.

    Examples
    --------
    >>> first = hash_arrays({"mass": [1.0, 0.1 + 0.2], "names": ["tibia", "talus"]})
    >>> first == hash_arrays({"names": ["tibia", "talus"], "mass": [1.0, 0.3]})
    True
    >>> first == hash_arrays({"names": ["talus", "tibia"], "mass": [1.0, 0.3]})
    False
    """
    digest = hashlib.sha256()
    for name in sorted(named):
        array = np.asarray(named[name])
        if array.dtype.kind not in "biufU":
            raise InvalidInputError(
                f"Cannot hash {name!r} of type {array.dtype}. Allowed: numbers, booleans and text."
            )
        # JSON without line breaks, then a line break: no two inputs give the same bytes.
        digest.update(json.dumps([name, array.dtype.kind, array.shape]).encode() + b"\n")
        digest.update(_canonical_bytes(array))
    return digest.hexdigest()


def provenance(
    *,
    body: str,
    body_hash: str,
    motion: str,
    motion_hash: str,
    policy: str,
    policy_hash: str,
    actuation: str,
    seed: int,
    sampling_rate: float,
    physics_rate: float,
    control_rate: float,
    configuration: object = None,
) -> dict[str, str | int | float]:
    """Make the attributes that a recording of a simulation carries.

    Parameters
    ----------
    body, motion, policy, actuation : str
        Names. A recording without a policy names what stood in its place (`static_optimization`).
    body_hash, motion_hash, policy_hash : str
        Hashes of the same (see `hash_arrays`); empty where there is nothing to hash.
    seed : int
        Seed of everything random.
    sampling_rate, physics_rate, control_rate : float
        Rates [Hz] of the time coordinate, of the physics and of the policy.
    configuration : object, optional
        Whatever else was chosen; stored as JSON (see `schema.encode_attr`).

    Returns
    -------
    dict
        All of `schema.RECORDING_ATTRIBUTES`, and `configuration` where given.

    Raises
    ------
    InvalidInputError
        The configuration has no place in JSON.

    Examples
    --------
    >>> attrs = provenance(
    ...     body="legs", body_hash="0a", motion="walk36", motion_hash="1b", policy="walk",
    ...     policy_hash="2c", actuation="moment", seed=0, sampling_rate=150.0, physics_rate=150.0,
    ...     control_rate=30.0,
    ... )
    >>> attrs["simulated"], attrs["policy"]
    (1, 'walk')
    """
    attrs: dict[str, str | int | float] = {
        "schema_version": SCHEMA_VERSION,
        "simulated": 1,
        "body": body,
        "body_hash": body_hash,
        "motion": motion,
        "motion_hash": motion_hash,
        "policy": policy,
        "policy_hash": policy_hash,
        "actuation": actuation,
        "seed": int(seed),
        "sampling_rate": float(sampling_rate),
        "physics_rate": float(physics_rate),
        "control_rate": float(control_rate),
        "versions": encode_attr(library_versions()),
    }
    if configuration is not None:
        attrs["configuration"] = encode_attr(configuration)
    return attrs


def _canonical_bytes(array: np.ndarray) -> bytes:
    """Bytes that depend on neither platform, width of type nor memory order."""
    kind = array.dtype.kind
    if kind == "U":
        return json.dumps(array.ravel().tolist()).encode() + b"\n"
    if kind == "f":
        mantissa, exponent = _rounded(array.astype(np.float64))
        return mantissa.astype("<i4").tobytes() + exponent.astype("<i2").tobytes()
    return array.astype({"b": "u1", "i": "<i8", "u": "<u8"}[kind]).tobytes()


def _rounded(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole mantissas and decimal exponents of values rounded to the digits that count."""
    finite = np.isfinite(values)
    size = np.where(finite, np.abs(values), 0.0)
    with np.errstate(divide="ignore", over="ignore"):  # log10(0); the branch that is not taken
        exponent = np.floor(np.log10(size))
        exponent = np.maximum(exponent, _SMALLEST_EXPONENT).astype(int)
        shift = exponent - (_DIGITS - 1)
        # Powers up to 1e22 are exact, so small shifts either way add no error of their own.
        power = _POWERS_OF_TEN[np.abs(shift)]
        scaled = np.where(shift < 0, size * power, size / power)
    mantissa = np.floor(scaled + (1 - _TIE))
    carried = mantissa >= 10**_DIGITS
    mantissa = np.where(carried, mantissa / 10, mantissa) * np.sign(np.where(finite, values, 0.0))
    exponent = exponent + carried
    # NaN is 0 and infinity +-1 at an exponent that no number has.
    infinite = np.nan_to_num(np.sign(values), nan=0.0)
    return np.where(finite, mantissa, infinite), np.where(finite, exponent, _NOT_FINITE)
