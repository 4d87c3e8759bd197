"""Bodies and poses that the tests of the plant share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kinesis_neuro.body.models import Body, load_body


@pytest.fixture(scope="session")
def legs() -> Body:
    return load_body("legs")


@pytest.fixture(scope="session")
def random_poses() -> Callable[[Body, int], np.ndarray]:
    """Poses anywhere, facing anywhere, joints within their limits, knees completed."""

    def draw(body: Body, n: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        model = body.model
        qpos = np.tile(model.qpos0, (n, 1))
        qpos[:, :3] = rng.normal(size=(n, 3))
        quaternion = rng.normal(size=(n, 4))
        qpos[:, 3:7] = quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)
        low, high = model.jnt_range[1:].T
        qpos[:, 7:] = rng.uniform(low, high, (n, low.size))
        return body.coupling.complete(qpos)

    return draw
