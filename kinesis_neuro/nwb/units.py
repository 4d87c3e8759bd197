"""Names of units in the library and in NWB, both ways."""

from __future__ import annotations

import math

_NWB = {
    "m": "meters",
    "s": "seconds",
    "V": "volts",
    "N": "newtons",
    "W": "watts",
    "Hz": "hertz",
    "rad": "radians",
    "m/s": "meters/second",
    "rad/s": "radians/second",
    "N m": "newton meters",
    "arbitrary": "a.u.",
}
_SCALED = {
    "mV": ("volts", 1e-3),
    "uV": ("volts", 1e-6),
    "\u00b5V": ("volts", 1e-6),  # micro sign
    "\u03bcV": ("volts", 1e-6),  # Greek mu
    "mm": ("meters", 1e-3),
    "cm": ("meters", 1e-2),
    "deg": ("radians", math.pi / 180),
}
_OTHER_NAMES = {
    "volt": "V",
    "v": "V",
    "meter": "m",
    "metre": "m",
    "metres": "m",
    "newton": "N",
    "radian": "rad",
    "second": "s",
    "n.a.": "1",
    "dimensionless": "1",
    "unknown": "arbitrary",
}


def nwb_unit(units: str) -> tuple[str, float]:
    """Name a unit as NWB does, with the factor that leads there.

    Examples
    --------
    >>> nwb_unit("N"), nwb_unit("uV"), nwb_unit("1")
    (('newtons', 1.0), ('volts', 1e-06), ('1', 1.0))
    """
    return _SCALED.get(units, (_NWB.get(units, units), 1.0))


def library_unit(unit: str) -> str:
    """Name a unit of another NWB file as this library does.

    Examples
    --------
    >>> library_unit("volts"), library_unit("Volts"), library_unit("lux")
    ('V', 'V', 'lux')
    """
    names = {name: units for units, name in _NWB.items()} | _OTHER_NAMES
    return names.get(unit.lower(), unit or "arbitrary")
