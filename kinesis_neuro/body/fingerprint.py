"""What tells two bodies apart: hashes of layout and of each physical parameter."""

from __future__ import annotations

import mujoco
import numpy as np

from kinesis_neuro.provenance import hash_arrays

# Arrays that change what is drawn or sensed but not what moves.
_NOT_PHYSICS = (
    *("mesh_", "tex", "mat_", "skin", "vis", "cam_", "light_", "bvh", "oct", "sensor_", "key_"),
    *("name_", "names", "paths", "geom_rgba", "site_rgba", "tendon_rgba", "geom_matid", "text_"),
    *("site_matid", "tendon_matid", "geom_aabb", "geom_group", "site_group", "B_", "D_", "M_"),
    *("map", "stat", "numeric_", "geom_dataid", "buffer"),
)


def fingerprint_model(model: mujoco.MjModel) -> dict[str, str]:
    """Hash of the layout (names) and of each physical parameter."""
    names = {
        "joints": [model.joint(j).name for j in range(model.njnt)],
        "muscles": [model.actuator(a).name for a in range(model.nu)],
        "bodies": [model.body(b).name for b in range(model.nbody)],
    }
    fingerprint = {
        "layout": hash_arrays({kind: "\n".join(values) for kind, values in names.items()})
    }
    for field in sorted(dir(model)):
        # Of a mesh only its shape counts, which may collide.
        skip = field.startswith(("_", *_NOT_PHYSICS)) and field != "mesh_vert"
        value = None if skip else getattr(model, field)
        if isinstance(value, np.ndarray) and value.size and value.dtype.kind in "fiub":
            fingerprint[field] = hash_arrays({field: value})
    options = {k: getattr(model.opt, k) for k in dir(model.opt) if not k.startswith("_")}
    fingerprint["options"] = hash_arrays(
        {k: np.asarray(v) for k, v in options.items() if not callable(v)}
    )
    return fingerprint
