"""Faults of Voice Live, and the measurements from traces and timelines."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from lab.chaos import voice_faults
from lab.chaos.call_evidence import CallEvidence, SeenVoiceSession
from lab.chaos.row import Scene
from lab.stack import StackError

FOREVER = float("inf")


def scene(**moments: float) -> Scene:
    return Scene(Mock(), Mock(), moments=moments)  # A fleet and a crowd.


def trace(*sessions: SeenVoiceSession, heard: tuple[tuple[int, int, float], ...] = ()) -> CallEvidence:
    return CallEvidence(1, True, [], heard, sessions)


def test_the_last_caller_who_hears_the_agent_again_counts() -> None:
    soon = trace(SeenVoiceSession(5.2, FOREVER, [(1, 5.5)], []), heard=((1, 1, 5.6),))
    late = trace(SeenVoiceSession(6.2, FOREVER, [(1, 6.5)], []), heard=((1, 0, 5.1), (1, 1, 6.6)))
    examine = voice_faults.resumed_after("drop")
    assert examine(scene(drop=5.0), [soon, late]) == {"resumed_s": pytest.approx(1.6)}
    assert examine(scene(drop=5.0), [soon, trace()]) == {"resumed_s": FOREVER}


def test_the_last_mute_session_that_is_closed_counts() -> None:
    noticed = trace(
        SeenVoiceSession(1.0, 7.2, [], []), SeenVoiceSession(7.3, FOREVER, [(5, 7.5)], []), heard=((1, 5, 7.6),)
    )
    found = voice_faults.noticed_after("mute")(scene(mute=5.0), [noticed])
    assert found == {"resumed_s": pytest.approx(2.6), "noticed_s": pytest.approx(2.2)}
    never = trace(SeenVoiceSession(1.0, FOREVER, [], []))
    assert voice_faults.noticed_after("mute")(scene(mute=5.0), [never])["noticed_s"] == FOREVER


def test_transferred_calls_are_counted() -> None:
    there = scene()
    there.crowd = Mock()
    there.crowd.phones.return_value = [{"timeline": [{"event": "transferred", "t": 1.0}]}, {"timeline": []}]
    assert voice_faults.transferred_calls(there, []) == {"transferred_pct": 50}


def test_transfers_that_nobody_answered_are_counted() -> None:
    there = scene()
    there.crowd = Mock()
    there.crowd.phones.return_value = [{"timeline": [{"event": "transfer_failed", "t": 1.0}]}, {"timeline": []}]
    assert voice_faults.failed_transfers(there, []) == {"rung_in_vain_pct": 50}


def test_nobody_answers_in_another_way_each_time() -> None:
    there = scene()
    there.fleet = fleet = Mock()
    there.crowd = Mock()
    there.crowd.sessions.return_value = []
    for there.turn in range(5):
        voice_faults.gone_and_nobody_answers(there)
    callees = [call.args[3] for call in fleet.request.call_args_list if call.args[2] == "/lab/callee"]
    assert [callee["outcome"] for callee in callees] == ["no_answer", "busy", "declined", "unreachable", "no_answer"]
    assert fleet.inject.call_count == 5


def test_the_quota_is_waited_for_until_no_connection_counts() -> None:
    counted = [20, 3, 0]
    fleet = Mock()
    fleet.request.side_effect = lambda *_: {"counted": counted.pop(0)}
    voice_faults.await_full_quota(fleet, poll_s=0)
    assert counted == []
    counted += [2, 2, 2]
    with pytest.raises(StackError, match="2 connections"):
        voice_faults.await_full_quota(fleet, within_s=0, poll_s=0)


def test_connections_refused_with_429_are_counted() -> None:
    refused = [{"status": 429}, {"status": 503}, {"status": 429}]
    answers = {"/lab/handshakes": {"refused": refused}, "/lab/quota": {"most": 27}}
    there = scene()
    there.fleet = Mock()
    there.fleet.request.side_effect = lambda _, __, path: answers[path]
    assert voice_faults.quota_usage(there, []) == {"refused_429": 2, "most_connections": 27}
