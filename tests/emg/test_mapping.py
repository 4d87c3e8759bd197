"""Channels see the muscles that lie under them, on every body."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from kinesis_neuro.body.models import BODY_NAMES, load_body
from kinesis_neuro.emg.mapping import (
    channel_names,
    channel_table,
    map_muscles,
    mapping_matrix,
    muscles_of,
)
from kinesis_neuro.errors import InvalidInputError

WANG = (
    *("soleus", "gastrocnemius_medialis", "gastrocnemius_lateralis", "tibialis_anterior"),
    *("semimembranosus", "biceps_femoris", "vastus_lateralis", "rectus_femoris"),
    "vastus_medialis",
)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("body", BODY_NAMES)
def test_every_row_names_muscles_that_the_body_has(body: str, side: str) -> None:
    there = set(load_body(body).muscles)
    for channel in channel_names():
        seen = muscles_of(channel, body, side)
        assert set(seen) <= there, channel
        assert not seen or sum(seen.values()) == pytest.approx(1.0)
        assert {load_body(body).side[load_body(body).muscles.index(m)] for m in seen} <= {side}


@pytest.mark.parametrize("body", BODY_NAMES)
def test_the_nine_muscles_of_wang_are_on_every_body(body: str) -> None:
    assert all(muscles_of(channel, body) for channel in WANG)


def test_no_wrong_head_of_a_muscle() -> None:
    assert muscles_of("biceps_femoris") == {"bflh_r": 1.0}
    assert muscles_of("biceps_femoris_short") == {"bfsh_r": 1.0}
    assert "vasint" not in set(channel_table("legs").query("channel == 'vastus'")["muscle"])


def test_every_row_has_its_source() -> None:
    table = channel_table()
    assert table["source"].str.len().min() > 3
    for _, rows in table.groupby(["channel", "bodies"]):
        assert rows["weight"].sum() == pytest.approx(1.0, abs=0.01)


def test_weights_are_means_over_muscles() -> None:
    values = xr.DataArray(
        np.arange(12.0).reshape(2, 3, 2),
        dims=("cycle", "muscle", "phase"),
        coords={"muscle": ["glmax1_l", "glmax2_l", "soleus_l"]},
    )
    mapped = map_muscles(values, ["soleus", "gluteus_maximus"], side="left")
    assert mapped.dims == ("cycle", "channel", "phase")
    np.testing.assert_array_equal(mapped.sel(channel="soleus"), values[:, 2])
    mean = 0.497 * values[:, 0].values + 0.503 * values[:, 1].values
    np.testing.assert_allclose(mapped.sel(channel="gluteus_maximus"), mean)
    assert mapped.side.values.tolist() == ["left", "left"]


def test_channels_without_a_muscle_are_left_out() -> None:
    values = xr.DataArray([[1.0]], dims=("time", "muscle"), coords={"muscle": ["soleus_r"]})
    mapped = map_muscles(values, ["peroneus_longus", "soleus"], body="legs26")
    assert mapped.channel.values.tolist() == ["soleus"]


def test_users_override_the_table() -> None:
    own = {"my_channel": "soleus", "soleus": ["gasmed", "gaslat"]}
    assert muscles_of("my_channel", mapping=own) == {"soleus_r": 1.0}
    assert muscles_of("soleus", mapping=own) == {"gasmed_r": 0.5, "gaslat_r": 0.5}
    assert muscles_of("x", mapping={"x": "soleus_l"}) == {"soleus_l": 1.0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: muscles_of("soleas"), "Unknown channel 'soleas'. Available: adductor_longus"),
        (lambda: muscles_of("soleus", body="leg"), "Unknown body 'leg'. Available: full"),
        (lambda: muscles_of("soleus", side="r"), "Allowed values are right, left, but got 'r'"),
        (lambda: muscles_of("x", mapping={"x": {"soleus": -1}}), "positive weights"),
        (
            lambda: mapping_matrix(["glmax1_r"], ["gluteus_maximus"], ["right"]),
            "sees muscle 'glmax2_r'",
        ),
    ],
)
def test_errors_say_what_is_allowed(call, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        call()
