"""A faster motion is the same motion in less time."""

from __future__ import annotations

import numpy as np
import pytest

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.motion.reference import ReferenceMotion
from kinesis_neuro.motion.variants import faster


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_speeds_scale_and_poses_do_not(walk: ReferenceMotion, factor: float) -> None:
    quick = faster(walk, factor)
    assert quick.rate == pytest.approx(walk.rate, rel=0.01)
    assert quick.duration == pytest.approx(walk.duration / factor, rel=1e-9)
    assert quick.contact is None
    at = np.arange(quick.n_frames) / quick.n_frames
    same = np.searchsorted(np.arange(walk.n_frames) / walk.n_frames, at)
    np.testing.assert_allclose(quick.qpos[:, 7:], walk.qpos[same % walk.n_frames, 7:], atol=0.1)
    for part in (slice(0, 3), slice(6, None)):
        ratio = np.square(quick.qvel[:, part]).mean() / np.square(walk.qvel[:, part]).mean()
        assert ratio == pytest.approx(factor**2, rel=0.03)


def test_a_tempo_that_no_body_has_is_refused(walk: ReferenceMotion) -> None:
    with pytest.raises(InvalidInputError, match=r"between 0\.5 and 2, got nan"):
        faster(walk, float("nan"))
