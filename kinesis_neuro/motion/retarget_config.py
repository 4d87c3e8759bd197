"""How a motion is put on a body: rates, smoothing, feet, and what happens to a bad one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kinesis_neuro.body.models import PHYSICS_RATE
from kinesis_neuro.motion.ik import IKConfig
from kinesis_neuro.motion.quality import QualityLimits


@dataclass(frozen=True)
class RetargetConfig:
    """How a motion is put on a body.

    Parameters
    ----------
    solve_rate : float
        Frames a second that are solved for [Hz]; splines lie between.
    rate : float
        Frames a second of the result [Hz].
    cutoff : float or None
        Of the low-pass filter (Butterworth of fourth order, forwards and backwards) over the
        poses [Hz]; none for a motion of the body's own skeleton.
    lock_feet : bool
        Whether standing feet are held in place and on the floor.
    ik : IKConfig
    limits : QualityLimits
    on_fault : {"refuse", "repair", "report"}
        What happens to a motion that does not pass the gate; ``report`` returns it all the same,
        to be looked at.
    """

    solve_rate: float = 60.0
    rate: float = PHYSICS_RATE
    cutoff: float | None = 8.0
    lock_feet: bool = True
    ik: IKConfig = field(default_factory=IKConfig)
    limits: QualityLimits = field(default_factory=QualityLimits)
    on_fault: Literal["refuse", "repair", "report"] = "refuse"
