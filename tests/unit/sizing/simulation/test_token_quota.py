"""Tokens of connections. tests/integration compares them with the scripts of Redis."""

from __future__ import annotations

from agent_relay.voice.connection_quota import Urgency
from sizing.simulation.token_quota import BACK_AFTER_S, TokenQuota

RUNNING, NEW, BACKGROUND = Urgency.RUNNING, Urgency.NEW, Urgency.BACKGROUND


def _granted(quota: TokenQuota, urgency: Urgency, times: int, now: float = 0.0) -> list[int]:
    return [one.resource for _ in range(times) if (one := quota.take(now, urgency)).resource is not None]


def test_lower_priorities_leave_tokens_for_higher_ones() -> None:
    quota = TokenQuota(1, 30)
    assert [len(_granted(quota, urgency, 40)) for urgency in (BACKGROUND, NEW, RUNNING)] == [15, 9, 6]


def test_resources_are_used_in_order() -> None:
    assert _granted(TokenQuota(3, 5), NEW, 20) == [0] * 4 + [1] * 4 + [2] * 4


def test_the_resource_of_the_conversation_is_tried_first() -> None:
    quota = TokenQuota(3, 1)
    assert [quota.take(0.0, RUNNING, 2).resource for _ in range(3)] == [2, 0, 1]


def test_tokens_return_and_the_wait_is_until_then() -> None:
    quota = TokenQuota(1, 10)
    for second in range(10):
        assert quota.take(float(second), RUNNING).resource == 0
    assert quota.take(20.0, RUNNING).wait_s == BACK_AFTER_S - 20.0
    assert quota.take(20.0, NEW).wait_s == BACK_AFTER_S + 2 - 20.0, "two more have to return"
    assert quota.free(BACK_AFTER_S + 3, 0, NEW) == 2
    assert quota.in_use(BACK_AFTER_S + 3) == 6
