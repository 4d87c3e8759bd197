"""The result of static optimisation as a dataset, in the schema of a recording."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinesis_neuro.motion.reference import FEET, ReferenceMotion

FloatArray = NDArray[np.float64]


def assemble(
    motion: ReferenceMotion,
    *,
    activation: FloatArray,
    force: FloatArray,
    demanded: FloatArray,
    residual: FloatArray,
    ground_force: FloatArray,
    pressure: FloatArray,
    method: str,
) -> xr.Dataset:
    return xr.Dataset(dict(activation=(('time','muscle'),activation), ground_force=(('time','contact','space'),ground_force), demanded=(('time','joint'),demanded[:,6:]), residual=(('time','joint'),residual[:,6:])), coords=dict(muscle=list(motion.body.muscles), joint=[motion.body.joints[j-6] for j in motion.body.coupling.independent_dof[6:]]))
