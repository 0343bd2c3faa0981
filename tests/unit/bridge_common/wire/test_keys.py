"""Format of the Redis keys."""

from __future__ import annotations

import time

import pytest

from bridge_common.base.ids import call_id_of
from bridge_common.wire.keys import ENDED_TTL_S, FINAL_EPOCH, FLEET, LIVE_TTL_S, Keys


def tag_of(key: str) -> str:
    """The hash tag of a key: the part in the first braces."""
    return key[key.index("{") : key.index("}") + 1]


@pytest.mark.parametrize("shards", [1, 16, 256])
def test_all_keys_of_a_call_lie_in_one_slot(shards: int) -> None:
    keys = Keys(shards)
    for n in range(50):
        call_id = call_id_of(str(n))
        tag = keys.tag(call_id)
        assert tag in keys.all_tags()
        of_call = [keys.record, keys.uplink, keys.downlink, keys.transcript]
        of_shard = [keys.leases, keys.owners, keys.inbox, keys.wake, keys.timers, keys.calls]
        spelled = [spell(call_id) for spell in of_call] + [spell(tag) for spell in of_shard]
        spelled.append(keys.seen(tag, "{s99}evil"))
        assert {tag_of(key) for key in spelled} == {tag}
        assert len(set(spelled)) == len(spelled)


def test_the_tags_of_the_shards_differ() -> None:
    assert len(set(Keys(256).all_tags())) == 256
    assert Keys(2).all_tags() == ["{s00}", "{s01}"]


def test_no_two_calls_share_a_key() -> None:
    keys = Keys()
    first, second = call_id_of("a"), call_id_of("b")
    assert keys.uplink(first) != keys.uplink(second)
    assert keys.record(first) == "{s00}:call:" + first
    assert FLEET not in (keys.record(first), keys.inbox("{s00}"))


def test_the_final_epoch_is_above_every_real_one_and_fits_an_entry_id() -> None:
    assert time.time() * 1000 * 1000 < FINAL_EPOCH < 2**64


def test_an_ended_call_is_forgotten_sooner_than_a_live_one() -> None:
    assert ENDED_TTL_S < LIVE_TTL_S
