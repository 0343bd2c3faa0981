from __future__ import annotations

from agent_relay.core.dialog.keypad import MOST_TONES, Keypad


def test_a_hash_ends_an_entry_at_once() -> None:
    keypad = Keypad()
    assert [keypad.press(tone, 1.0) for tone in "12#"] == [None, None, "12#"]
    assert keypad.next_at is None


def test_a_pause_ends_an_entry() -> None:
    keypad = Keypad()
    keypad.press("1", 1.0)
    keypad.press("2", 2.0)
    assert keypad.next_at == 3.5
    assert keypad.due(3.4) is None
    assert keypad.due(3.5) == "12"
    assert keypad.due(9.0) is None


def test_a_stuck_key_does_not_fill_the_memory() -> None:
    keypad = Keypad()
    assert [keypad.press("1", 1.0) for _ in range(MOST_TONES)][-1] == "1" * MOST_TONES
