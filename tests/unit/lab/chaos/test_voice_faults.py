"""How soon a call is spoken to again, read out of traces and timelines."""

from __future__ import annotations

import time
from unittest.mock import Mock

import pytest

from lab.chaos import voice_faults
from lab.chaos.call_evidence import CallEvidence, VoiceSession
from lab.chaos.row import Scene
from lab.stack import StackError

FOREVER = float("inf")


def scene(**moments: float) -> Scene:
    return Scene(Mock(), Mock(), moments=moments)


def trace(*sessions: VoiceSession, heard: tuple[tuple[int, int, float], ...] = ()) -> CallEvidence:
    return CallEvidence(1, True, [], heard, sessions)


def test_the_last_call_that_is_spoken_to_again_counts() -> None:
    soon = trace(VoiceSession(5.2, FOREVER, [(1, 5.5)], []), heard=((1, 1, 5.6),))
    late = trace(VoiceSession(6.2, FOREVER, [(1, 6.5)], []), heard=((1, 0, 5.1), (1, 1, 6.6)))
    examine = voice_faults.resumed_after("drop")
    assert examine(scene(drop=5.0), [soon, late]) == {"resumed_s": pytest.approx(1.6)}
    assert examine(scene(drop=5.0), [soon, trace()]) == {"resumed_s": FOREVER}


def test_how_soon_the_last_silent_session_was_given_up_counts() -> None:
    noticed = trace(VoiceSession(1.0, 7.2, [], []), VoiceSession(7.3, FOREVER, [(5, 7.5)], []), heard=((1, 5, 7.6),))
    found = voice_faults.noticed_after("mute")(scene(mute=5.0), [noticed])
    assert found == {"resumed_s": pytest.approx(2.6), "noticed_s": pytest.approx(2.2)}
    never = trace(VoiceSession(1.0, FOREVER, [], []))
    assert voice_faults.noticed_after("mute")(scene(mute=5.0), [never])["noticed_s"] == FOREVER


def test_calls_that_people_have_are_counted() -> None:
    there = scene()
    there.crowd = Mock()
    there.crowd.phones.return_value = [{"timeline": [{"event": "transferred", "t": 1.0}]}, {"timeline": []}]
    assert voice_faults.handed_to_people(there, []) == {"transferred_pct": 50}


def test_people_who_did_not_take_the_call_are_counted() -> None:
    there = scene()
    there.crowd = Mock()
    there.crowd.phones.return_value = [{"timeline": [{"event": "transfer_failed", "t": 1.0}]}, {"timeline": []}]
    assert voice_faults.rung_in_vain(there, []) == {"rung_in_vain_pct": 50}


def test_nobody_answers_in_another_way_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    put = Mock(return_value={})
    monkeypatch.setattr(voice_faults, "call_json", put)
    there = scene()
    there.crowd = Mock()
    there.crowd.sessions.return_value = []
    for there.turn in range(5):
        voice_faults.gone_and_nobody_answers(there)
    callees = [call.args[2] for call in put.call_args_list if "outcome" in call.args[2]]
    assert [callee["outcome"] for callee in callees] == ["no_answer", "busy", "declined", "unreachable", "no_answer"]


def test_the_quota_is_waited_for_until_nothing_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = [20, 3, 0]
    monkeypatch.setattr(voice_faults, "call_json", lambda *_: {"counted": counted.pop(0)})
    monkeypatch.setattr(time, "sleep", lambda _: None)
    voice_faults.await_full_quota(Mock())
    assert counted == []
    monkeypatch.setattr(voice_faults, "QUOTA_FULL_S", 0.0)
    counted += [2, 2, 2]
    with pytest.raises(StackError, match="2 connections"):
        voice_faults.await_full_quota(Mock())


def test_refusals_for_the_number_of_connections_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = [{"status": 429}, {"status": 503}, {"status": 429}]
    answers = {"handshakes": {"refused": refused}, "quota": {"most": 27}}
    monkeypatch.setattr(voice_faults, "call_json", lambda _, url: answers[url.rpartition("/")[2]])
    there = scene()
    there.fleet = Mock()
    there.fleet.url.return_value = "http://lab"
    assert voice_faults.quota_kept(there, []) == {"refused_429": 2, "most_connections": 27}
