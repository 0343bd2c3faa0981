"""Limits that apply to a call, and the routing of a call above them."""

from __future__ import annotations

import pytest

from bridge_common.wire.entries import IncomingCall
from call_control.core.policy.ring_limits import OVER_LIMIT, Limit, RingLimits
from call_control.core.policy.routing import Redirected, Rejected, Routed

TARGET = "4:+18005550000"
CALL = IncomingCall("call_1", "e", "4:+14255550100", "4:+18005551212", "c", "r", "s", 1)


@pytest.mark.parametrize("caller", ["4:+14255550100", "8:acs:resource_user", "8:orgid:somebody", "28:orgid:app"])
def test_a_caller_with_an_id_counts_against_an_own_limit_and_the_total(caller: str) -> None:
    assert RingLimits(10, 60).of(caller) == {Limit.CALLER: 10, Limit.TOTAL: 60}
    assert list(RingLimits(10, 60).of(caller)) == [Limit.CALLER, Limit.TOTAL], "the narrowest first"


@pytest.mark.parametrize("caller", ["", "4:anonymous", "4:"])
@pytest.mark.parametrize(("total", "share"), [(60, 30), (61, 30), (1, 1)])
def test_callers_without_a_number_share_half_of_the_total(caller: str, total: int, share: int) -> None:
    assert RingLimits(10, total).of(caller) == {Limit.ANONYMOUS: share, Limit.TOTAL: total}


def test_zero_is_no_limit() -> None:
    assert RingLimits(0, 0).of(CALL.caller) == RingLimits(10, 0).of("") == {}
    assert RingLimits(0, 60).of(CALL.caller) == {Limit.TOTAL: 60}
    assert RingLimits(10, 0).of(CALL.caller) == {Limit.CALLER: 10}


@pytest.mark.parametrize("reason", ["busy", "forbidden", "none"])
def test_a_call_above_the_limit_is_rejected(reason: str) -> None:
    routed = RingLimits(treatment=reason).turn_away(CALL, Limit.CALLER, TARGET)  # type: ignore[arg-type]
    assert routed == Routed(
        Rejected(reason, OVER_LIMIT),
        "CALLS_PER_CALLER_PER_MIN",
        f"above the limit of calls per minute (caller): reject {reason}",
    )


@pytest.mark.parametrize("limit", [Limit.ANONYMOUS, Limit.TOTAL])
def test_a_call_above_the_limit_is_redirected_if_so_configured(limit: Limit) -> None:
    limits = RingLimits(treatment="redirect")
    routed = limits.turn_away(CALL, limit, TARGET)
    assert (routed.decision, routed.rule) == (Redirected(TARGET), "CALLS_PER_MIN")
    assert limits.turn_away(CALL, limit, "").decision == Rejected("busy", OVER_LIMIT)
    assert limits.turn_away(CALL, limit, CALL.callee).decision == Rejected("busy"), "it would ring here again"
