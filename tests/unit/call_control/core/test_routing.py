from __future__ import annotations

from bridge_common.entries import IncomingCall
from call_control.core.routing import Accepted, Rejected, RoutingPolicy

CALL = IncomingCall("call_1", "e", "4:+14255550100", "4:+18005551212", "ctx", "corr", "", 0)


def test_calls_go_to_the_profile() -> None:
    assert RoutingPolicy(profile="front-desk").decide(CALL) == Accepted("front-desk")


def test_refused_callers_by_number_or_raw_id() -> None:
    for refused in ("+14255550100", "4:+14255550100"):
        assert RoutingPolicy(refused_callers=frozenset({refused})).decide(CALL) == Rejected("forbidden")
    assert RoutingPolicy(refused_callers=frozenset({"+1425"})).decide(CALL) == Accepted("default")
