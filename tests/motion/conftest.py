"""The built-in gait, the recording behind it, and files written from either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from kinesis_neuro.body.kinematics import foot_clearance, kinematics
from kinesis_neuro.body.models import Body, load_body
from kinesis_neuro.formats.opensim import Storage, read_storage
from kinesis_neuro.motion.library import gait_table, load_motion
from kinesis_neuro.motion.reference import ReferenceMotion

Columns = Mapping[str, np.ndarray]


@pytest.fixture(scope="session")
def legs() -> Body:
    return load_body("legs")


@pytest.fixture(scope="session")
def walk() -> ReferenceMotion:
    return load_motion("walk")


@pytest.fixture(scope="session")
def walk36(data_dir: Path) -> Path:
    return data_dir / "wang2023_subject06" / "walk36"


@pytest.fixture(scope="session")
def recorded(walk36: Path) -> Storage:
    """The recording's own kinematics: degrees, 100 Hz, 61 s."""
    return read_storage(walk36 / "ik.sto")


@pytest.fixture(scope="session")
def recording(walk36: Path) -> ReferenceMotion:
    return load_motion(walk36 / "ik.sto", speed=1.0, forces=walk36 / "XLD.mot", skeleton="gait2392")


@pytest.fixture(scope="session")
def stride() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Time [s] and coordinates [rad, m] of the mean cycle, as a file would hold them."""
    table, about = gait_table("walk")
    skipped = ("force", "pressure", "moment")
    columns = {
        name.removesuffix("_mean"): table[name].to_numpy()
        for name in table
        if name.endswith("_mean") and not any(word in name for word in skipped)
    }
    return table["phase"].to_numpy() * about["cycle_duration"], columns


def is_translation(name: str) -> bool:
    return name in ("pelvis_tx", "pelvis_ty", "pelvis_tz")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write coordinates [rad, m] as a storage file, in degrees if asked."""

    def write_file(
        time: np.ndarray,
        columns: Columns,
        *,
        degrees: bool = True,
        label: str | None = "",
        name: str = "clip.mot",
    ) -> Path:
        values = {
            key: np.rad2deg(v) if degrees and not is_translation(key) else v
            for key, v in columns.items()
        }
        lines = ["Coordinates", f"nRows={len(time)}"]
        if label is not None:
            lines.append(f"inDegrees={label or ('yes' if degrees else 'no')}")
        lines += ["endheader", "\t".join(["time", *values])]
        rows = np.column_stack([time, *values.values()])
        lines += ["\t".join(f"{x:.12g}" for x in row) for row in rows]
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write_file


@pytest.fixture(scope="session")
def standing_pose(legs: Body) -> np.ndarray:
    """Both soles flat on the floor, a millimetre deep as under the body's own weight."""
    qpos = legs.coupling.complete(legs.model.qpos0)
    qpos[2] -= foot_clearance(legs, kinematics(legs, qpos[None])).min() + 0.001
    return qpos
