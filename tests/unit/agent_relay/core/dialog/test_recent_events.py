from __future__ import annotations

from agent_relay.core.dialog.recent_events import RecentEvents


def test_an_id_is_new_once() -> None:
    recent = RecentEvents()
    assert [recent.is_new(id_) for id_ in ("a", "a", "b", "a")] == [True, False, True, False]


def test_old_ids_are_forgotten() -> None:
    recent = RecentEvents()
    for number in range(1000):
        assert recent.is_new(str(number))
    assert not recent.is_new("999")
    assert recent.is_new("0")


def test_a_forgotten_id_is_new_again() -> None:
    recent = RecentEvents()
    recent.is_new("a")
    assert [recent.forget("a"), recent.forget("a"), recent.is_new("a")] == [True, False, True]
