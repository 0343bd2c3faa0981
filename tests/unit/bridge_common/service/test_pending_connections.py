"""Pending connections: the oldest is dropped, an attacker displaces only its own, and no entry leaks."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from bridge_common.observability.telemetry import PENDING_CONNECTIONS, REGISTRY
from bridge_common.service.pending_connections import PendingConnections, source_of


def dropped(why: str) -> float:
    return REGISTRY.get_sample_value("bridge_connections_dropped_total", {"reason": why}) or 0.0


def test_at_the_limit_the_oldest_makes_room() -> None:
    pending, gone = PendingConnections(2), list[str]()
    before = dropped("total")
    for name in ("a", "b", "c"):
        pending.enter(name, "10.0.0.1", partial(gone.append, name))
    assert gone == ["a"]
    assert len(pending) == 2
    assert dropped("total") == before + 1


def test_an_admitted_connection_is_never_dropped() -> None:
    pending, gone = PendingConnections(2), list[str]()
    for name in ("a", "b", "c", "d"):
        pending.enter(name, "10.0.0.1", partial(gone.append, name))
        if name == "a":
            pending.leave(name)
            pending.leave(name)
    assert gone == ["b"]


def test_a_source_at_its_limit_makes_room_of_its_own() -> None:
    pending, gone = PendingConnections(100, 2), list[str]()
    before = dropped("source")
    for name, source in (("genuine", "10.0.0.1"), ("x", "10.0.0.2"), ("y", "10.0.0.2"), ("z", "10.0.0.2")):
        pending.enter(name, source, partial(gone.append, name))
    assert gone == ["x"]
    assert dropped("source") == before + 1


def test_a_connection_may_leave_while_it_is_dropped() -> None:
    """Dropping a connection may call `leave` synchronously."""
    pending = PendingConnections(1)
    pending.enter("a", "s", lambda: pending.leave("a"))
    pending.enter("b", "s", lambda: pending.leave("b"))
    assert len(pending) == 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.booleans()), max_size=60))
def test_the_limits_hold_whatever_comes(steps: list[tuple[int, int, bool]]) -> None:
    pending, there = PendingConnections(5, 3), dict[int, int]()
    for number, source, leaves in steps:
        if leaves or number in there:
            pending.leave(number)
            there.pop(number, None)
            continue
        there[number] = source
        pending.enter(number, str(source), partial(there.__delitem__, number))
        assert len(there) == len(pending) <= 5
        assert all(list(there.values()).count(one) <= 3 for one in there.values())
    for number in list(there):
        pending.leave(number)
    assert len(pending) == 0
    assert not pending._by_source
    assert not steps or PENDING_CONNECTIONS._value.get() == 0


def test_an_ipv6_host_is_one_source_whatever_address_of_its_network_it_uses() -> None:
    assert source_of(("192.0.2.7", 4000)) == "192.0.2.7"
    assert source_of(("::ffff:192.0.2.7", 4000, 0, 0)) == "192.0.2.7"
    assert source_of(("2001:db8:1:2:aaaa::1", 1, 0, 0)) == source_of(("2001:db8:1:2::9", 2, 0, 0))
    assert source_of(("2001:db8:1:2::1", 1, 0, 0)) != source_of(("2001:db8:1:3::1", 1, 0, 0))
    assert source_of(("fe80::1%eth0", 1, 0, 3)) == source_of(("fe80::2%eth0", 1, 0, 3))
    assert source_of("") == source_of(None) == ""
