"""Curves of the equilibrium muscle of Millard et al. 2013, with OpenSim's default shapes.

Quintic Bezier curves, evaluated once to tables that are interpolated: tendon, active and passive
force-length, force-velocity.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Curve = tuple[FloatArray, FloatArray]

_POINTS = 400


def _corner(x0: float, y0: float, s0: float, x1: float, y1: float, s1: float, c: float) -> Curve:
    """Quintic Bezier curve between two points with slopes (Millard et al. 2013, appendix)."""
    if abs(s0 - s1) > 1e-9:
        corner_x = (y1 - y0 - x1 * s1 + x0 * s0) / (s0 - s1)
    else:
        corner_x = (x0 + x1) / 2
    corner_y = (corner_x - x1) * s1 + y1
    xs, ys = np.array([x0, 0, 0, 0, 0, x1]), np.array([y0, 0, 0, 0, 0, y1])
    xs[1:3], xs[3:5] = x0 + c * (corner_x - x0), x1 + c * (corner_x - x1)
    ys[1:3], ys[3:5] = y0 + c * (corner_y - y0), y1 + c * (corner_y - y1)
    u = np.linspace(0, 1, _POINTS)[:, None]
    k = np.arange(6)
    basis = np.array([1, 5, 10, 10, 5, 1]) * u**k * (1 - u) ** (5 - k)
    return basis @ xs, basis @ ys


def _join(*parts: Curve) -> Curve:
    x = np.concatenate([parts[0][0], *(p[0][1:] for p in parts[1:])])
    y = np.concatenate([parts[0][1], *(p[1][1:] for p in parts[1:])])
    return x, y


def _curviness(value: float) -> float:
    return 0.1 + 0.8 * value


@functools.cache
def tendon_curve(strain: float) -> Curve:
    """Tendon force-length curve: length [slack lengths], force [peak forces]."""
    stiffness, toe_force, c = 1.375 / strain, 2 / 3, _curviness(0.5)
    x_iso = 1 + strain
    x_toe = (toe_force - 1) / stiffness + x_iso
    x_foot = 1 + (x_toe - 1) / 10
    x_mid, y_mid = (toe_force / 2 - 1) / stiffness + x_iso, toe_force / 2
    slope_mid = y_mid / (x_mid - x_foot)
    x_ctrl = x_foot + 0.5 * (x_mid - x_foot)
    y_ctrl = slope_mid * (x_ctrl - x_foot)
    line = np.array([x_toe, x_iso + 2 * strain])
    return _join(
        _corner(1.0, 0.0, 0.0, x_ctrl, y_ctrl, slope_mid, c),
        _corner(x_ctrl, y_ctrl, slope_mid, x_toe, toe_force, stiffness, c),
        (line, toe_force + stiffness * (line - x_toe)),
    )


@functools.cache
def active_curve() -> Curve:
    """Active force-length curve: length [optimal lengths], force [peak forces]."""
    x0, x1, x2, x3, slope, c = 0.4441, 0.73, 1.0, 1.8123, 0.8616, _curviness(1.0)
    delta = 0.05 * x2
    xs = x2 - delta
    y1 = 1 - slope * (xs - x1)
    s01 = 1.25 * y1 / (x1 - x0)
    x01, y01 = x0 + 0.5 * (x1 - x0), 0.5 * y1
    x1s, y1s = x1 + 0.5 * (xs - x1), y1 + 0.5 * (1 - y1)
    x23 = (x2 + delta) + 0.5 * (x3 - (x2 + delta))
    s23 = -1.0 / ((x3 - delta) - (x2 + delta))
    return _join(
        _corner(x0, 0.0, 0.0, x01, y01, s01, c),
        _corner(x01, y01, s01, x1s, y1s, slope, c),
        _corner(x1s, y1s, slope, x2, 1.0, 0.0, c),
        _corner(x2, 1.0, 0.0, x23, 0.5, s23, c),
        _corner(x23, 0.5, s23, x3, 0.0, 0.0, c),
    )


@functools.cache
def passive_curve() -> Curve:
    """Passive force-length curve: length [optimal lengths], force [peak forces]."""
    strain, low, c = 0.7, 0.2, _curviness(0.75)
    high = 2 / strain
    x_iso = 1 + strain
    x_low = 1 + min(0.1 / high, 0.1 * strain)
    y_low = low * (x_low - (1 + 0.5 * (x_low - 1)))
    line = np.array([x_iso, x_iso + 1])
    return _join(
        _corner(1.0, 0.0, 0.0, x_low, y_low, low, c),
        _corner(x_low, y_low, low, x_iso, 1.0, high, c),
        (line, 1 + high * (line - x_iso)),
    )


@functools.cache
def velocity_curve() -> Curve:
    """Force-velocity curve: velocity [MAX_SPEED, lengthening positive], force [isometric]."""
    largest, near_c, iso, near_e = 1.4, 0.25, 5.0, 0.15
    concentric, eccentric = _curviness(0.6), _curviness(0.9)
    y_c, y_e = 0.5 * near_c * 0.1, largest - 0.5 * near_e * 0.1
    return _join(
        _corner(-1.0, 0.0, 0.0, -0.9, y_c, near_c, concentric),
        _corner(-0.9, y_c, near_c, 0.0, 1.0, iso, concentric),
        _corner(0.0, 1.0, iso, 0.9, y_e, near_e, eccentric),
        _corner(0.9, y_e, near_e, 1.0, largest, 0.0, eccentric),
    )
