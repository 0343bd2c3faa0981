"""What is read out of traces and timelines after a fault; the faults themselves are for the end-to-end tests."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from lab.chaos import faults
from lab.chaos.call_trace import CallTrace, VoiceSession
from lab.chaos.row import Scene

FOREVER = float("inf")


def scene(**moments: float) -> Scene:
    return Scene(Mock(), Mock(), moments=moments)


def trace(*sessions: VoiceSession, heard: tuple[tuple[int, int, float], ...] = ()) -> CallTrace:
    return CallTrace(1, True, [], heard, sessions)


def test_a_zombie_lives_until_its_session_is_closed() -> None:
    taken_over = trace(VoiceSession(0.0, 10.4, [], []), VoiceSession(6.0, FOREVER, [], []))
    alone = trace(VoiceSession(0.0, FOREVER, [], []))
    assert faults.zombie_life(scene(thawed=10.0), [taken_over, alone]) == {"zombie_s": pytest.approx(0.4)}
    assert faults.zombie_life(scene(thawed=10.0), [alone]) == {"zombie_s": 0.0}


def test_the_last_call_that_is_spoken_to_again_counts() -> None:
    soon = trace(VoiceSession(5.2, FOREVER, [(1, 5.5)], []), heard=((1, 1, 5.6),))
    late = trace(VoiceSession(6.2, FOREVER, [(1, 6.5)], []), heard=((1, 0, 5.1), (1, 1, 6.6)))
    examine = faults.resumed_after("drop")
    assert examine(scene(drop=5.0), [soon, late]) == {"resumed_s": pytest.approx(1.6)}
    assert examine(scene(drop=5.0), [soon, trace()]) == {"resumed_s": FOREVER}


def test_answers_are_counted_and_timed_from_the_delivery_that_was_taken() -> None:
    def phone(*rows: tuple[str, float]) -> dict[str, object]:
        return {"timeline": [{"event": event, "t": t} for event, t in rows]}

    there = scene()
    there.crowd = Mock()
    there.crowd.phones.return_value = [
        phone(
            ("incoming_call_sent", 1.0),
            ("incoming_call_refused", 1.1),
            ("incoming_call_sent", 11.0),
            ("answered", 12.0),
        ),
        phone(("incoming_call_sent", 1.0), ("answered", 1.5), ("incoming_call_sent", 2.0)),
    ]
    assert faults.answers(there, []) == {"answered_once_pct": 100, "answered_s": pytest.approx(1.0)}
    there.crowd.phones.return_value.append(phone(("incoming_call_sent", 1.0)))
    assert faults.answers(there, []) == {"answered_once_pct": pytest.approx(200 / 3), "answered_s": FOREVER}


def test_a_silence_counts_from_the_fault_to_the_end_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = {"a": [(1.0, 2.5), (9.5, 12.0)], "b": [(10.0, 30.0)]}
    monkeypatch.setattr(faults, "call_json", lambda _, url: {"silences": spans[url.split("/")[-2]]})
    there = scene(drop=10.0)
    there.crowd = Mock(placed={1: "a", 2: "b"})
    there.crowd.phone.side_effect = lambda lab_id: {
        "timeline": [{"event": "ended", "t": 11.0}] if lab_id == "b" else []
    }
    assert faults.silences(there, []) == {"silence_s": pytest.approx(2.5)}
    both = faults.with_silences(lambda *_: {"x": 1.0})
    assert both(there, []) == {"x": 1.0, "silence_s": pytest.approx(2.5)}


def test_calls_that_people_have_are_counted() -> None:
    there = scene()
    there.crowd = Mock()
    there.crowd.phones.return_value = [{"timeline": [{"event": "transferred", "t": 1.0}]}, {"timeline": []}]
    assert faults.handed_to_people(there, []) == {"transferred_pct": 50}


def test_how_soon_the_last_silent_session_was_given_up_counts() -> None:
    noticed = trace(VoiceSession(1.0, 7.2, [], []), VoiceSession(7.3, FOREVER, [(5, 7.5)], []), heard=((1, 5, 7.6),))
    found = faults.noticed_after("mute")(scene(mute=5.0), [noticed])
    assert found == {"resumed_s": pytest.approx(2.6), "noticed_s": pytest.approx(2.2)}
    never = trace(VoiceSession(1.0, FOREVER, [], []))
    assert faults.noticed_after("mute")(scene(mute=5.0), [never])["noticed_s"] == FOREVER
