from __future__ import annotations

from agent_relay.core.recent import Recent


def test_an_id_is_new_once() -> None:
    recent = Recent()
    assert [recent.is_new(id_) for id_ in ("a", "a", "b", "a")] == [True, False, True, False]


def test_old_ids_are_forgotten() -> None:
    recent = Recent()
    for number in range(1000):
        assert recent.is_new(str(number))
    assert not recent.is_new("999")
    assert recent.is_new("0")
