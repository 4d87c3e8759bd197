"""Solve static optimisation for `feedforward`, in a process of its own.

Each line of the standard input names a job (``PATH.job.npz``); the activations go to ``PATH.npy``,
and ``done``, or what went wrong, to the standard output.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from kinesis_neuro.body.models import load_body
from kinesis_neuro.body.scaling import BodyScale
from kinesis_neuro.errors import IncompatibleError
from kinesis_neuro.motion.inverse import static_optimization
from kinesis_neuro.motion.reference import GroundContact, ReferenceMotion


def read_job(path: Path) -> ReferenceMotion:
    """The motion of a job, on its body."""
    with np.load(path, allow_pickle=False) as file:
        job = {name: file[name] for name in file.files}
    scale = BodyScale.from_json(str(job["scale"])) if str(job["scale"]) else None
    body = load_body(str(job["body"]), scale)
    if body.hash != str(job["body_hash"]):
        raise IncompatibleError(
            f"body {body.name!r} is not the same in both processes: static optimisation of a "
            "changed model must be computed with n_processes=1"
        )
    contact = GroundContact(job["force"], job["pressure"]) if "force" in job else None
    return ReferenceMotion(
        body,
        path.stem,
        float(job["rate"]),
        job["qpos"],
        job["qvel"],
        displacement=job.get("displacement"),
        contact=contact,
    )


def main() -> None:
    """Solve what is asked for until the input ends."""
    for line in sys.stdin:
        path = Path(line.strip())
        try:
            motion = read_job(path.with_name(f"{path.name}.job.npz"))
            np.save(path.with_name(f"{path.name}.npy"), static_optimization(motion).activation)
            answer = "done"
        except Exception as error:  # the other side raises it
            answer = " ".join(f"{type(error).__name__}: {error}".split())
        print(answer, flush=True)


if __name__ == "__main__":
    main()
