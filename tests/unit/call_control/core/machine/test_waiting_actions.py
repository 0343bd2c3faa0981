"""A ringing call that waits: for a place in its rule, for a relay, for a voice session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.wire.call_record import Status
from bridge_common.wire.entries import HangUp, VoiceLost, VoiceReady
from call_control.core.machine import call_commands
from call_control.core.machine.call_commands import Redirect, Reject, SetTimer, Withdraw
from call_control.core.machine.call_events import PlaceFree
from call_control.core.machine.transition import CallPolicy, armed
from call_control.core.policy.routing import MOST_RING_MS, Accepted, Redirected, Rejected, Routed
from tests.unit.support.call_life import CALL, RULES, Life

SALES = Routed(Accepted("sales"), "sales", "agent sales", max_calls=2, wait_s=10)
QUEUED = replace(SALES, queued=True)
DESK = Routed(Accepted("desk"), "desk", "agent desk", after="sales")
HUMANS = Routed(Redirected("4:+18005550000"), "rest", "redirect", after="sales")
BUSY = Routed(Rejected("busy"), "rest", "reject busy", after="sales")


def life_of(routed: Routed, rules: CallPolicy = RULES) -> Life:
    life = Life(rules)
    life.on(routed)
    return life


def timers(life: Life) -> set[str]:
    return {name for name in SetTimer.ALL if armed(life.record, name) is not None}


def test_with_a_place_the_call_is_offered_and_rings_until_its_wait_is_over() -> None:
    life = life_of(SALES)
    assert (life.record.route, life.record.slot, life.record.profile) == ("sales", "sales", "sales")
    assert [call_commands.Offer.__name__] == [item.kind for item in life.record.pending if item.kind == "Offer"]
    assert timers(life) == {SetTimer.WAIT}, "a full fleet does not end the wait"
    life.done(call_commands.Offer)
    assert life.on(VoiceReady(CALL, 5)) == ["SetTimer connect", "Answer"]
    assert timers(life) == {SetTimer.CONNECT}


def test_a_queued_call_is_offered_when_it_has_a_place() -> None:
    life = life_of(QUEUED)
    assert timers(life) == {SetTimer.WAIT, SetTimer.PLACE}
    assert life.due(SetTimer.PLACE) == ["SetTimer place"]
    assert life.on(PlaceFree()) == ["Offer"]
    assert life.on(PlaceFree()) == [], "a repeated entry offers nothing again"
    assert timers(life) == {SetTimer.WAIT}


def test_without_wait_the_deadlines_of_the_settings_apply() -> None:
    life = life_of(replace(SALES, wait_s=0))
    assert timers(life) == {SetTimer.VOICE, SetTimer.CLAIM}


@pytest.mark.parametrize(("waited_ms", "voice_ms", "left_ms"), [(10_000, 25_000, 19_000), (21_000, 25_000, 8_000)])
def test_a_call_that_has_waited_is_diverted_before_the_phone_stops_ringing(
    waited_ms: int, voice_ms: int, left_ms: int
) -> None:
    life = life_of(replace(SALES, wait_s=20), replace(RULES, voice_ms=voice_ms))
    life.now_ms = life.record.created_ms + waited_ms
    life.on(DESK)
    timer = armed(life.record, SetTimer.VOICE)
    assert timer is not None
    assert timer.due_ms == life.now_ms + left_ms


def test_a_call_that_has_not_waited_has_the_whole_deadline() -> None:
    life = life_of(replace(SALES, wait_s=0), replace(RULES, voice_ms=25_000))
    timer = armed(life.record, SetTimer.VOICE)
    assert timer is not None
    assert timer.due_ms == life.now_ms + 25_000


def test_answer_at_once_does_not_wait_for_the_voice_session() -> None:
    life = Life(CallPolicy(answer_at_once=True))
    assert life.on(SALES) == ["Offer", "SetTimer voice", "SetTimer connect", "Answer"]
    queued = Life(CallPolicy(answer_at_once=True))
    queued.on(QUEUED)
    assert queued.on(PlaceFree()) == ["Offer", "SetTimer voice", "SetTimer connect", "Answer"]
    assert queued.at(Status.ANSWERING)
    assert SetTimer.WAIT not in timers(queued)


@pytest.mark.parametrize("first", [SALES, QUEUED])
def test_a_wait_that_is_over_leads_to_the_next_rule_and_frees_the_place(first: Routed) -> None:
    life = life_of(first)
    assert life.on(DESK) == ["Withdraw", "Offer", "SetTimer voice", "SetTimer claim"]
    withdrawn = life.issued(Withdraw)
    assert isinstance(withdrawn, Withdraw)
    assert withdrawn.rule == "sales"
    assert (life.record.route, life.record.slot, life.record.profile) == ("desk", "", "desk")
    assert life.on(DESK) == [], "a second replica with the same entry changes nothing"


def test_the_next_rule_may_redirect_or_reject() -> None:
    life = life_of(SALES)
    assert life.on(HUMANS) == ["Withdraw", "SetTimer ending", "End", "Redirect"]
    redirected = life.issued(Redirect)
    assert isinstance(redirected, Redirect)
    assert (redirected.target, life.record.end_reason) == ("4:+18005550000", "redirected")
    life = life_of(QUEUED)
    assert life.on(BUSY) == ["Withdraw", "SetTimer ending", "End", "Reject"]
    rejected = life.issued(Reject)
    assert isinstance(rejected, Reject)
    assert (rejected.reason, life.record.end_reason) == ("busy", "rejected")


def test_a_route_for_a_rule_that_the_call_has_left_is_ignored() -> None:
    life = life_of(SALES)
    life.on(replace(SALES, rule="gold", after="sales"))
    assert (life.record.route, life.record.slot) == ("gold", "gold")
    assert life.on(HUMANS) == []
    assert life.at(Status.RINGING)
    life.on(VoiceReady(CALL, 5))
    assert life.on(replace(HUMANS, after="gold")) == []


def test_without_a_next_rule_the_call_is_diverted() -> None:
    life = life_of(replace(SALES, max_calls=0))
    assert life.due(SetTimer.WAIT) == ["SetTimer ending", "End", "Redirect"]
    assert life.record.end_reason == "no_capacity"


def test_a_lost_voice_session_is_tried_again_within_the_wait() -> None:
    life = life_of(SALES)
    assert life.on(VoiceLost(CALL, 5, "quota")) == ["Withdraw", "SetTimer place"]
    withdrawn = life.issued(Withdraw)
    assert isinstance(withdrawn, Withdraw)
    assert withdrawn.rule == "", "the call keeps its place"
    assert life.record.slot == "sales"
    assert life.on(PlaceFree()) == ["Offer"]
    assert timers(life) == {SetTimer.WAIT}


def test_a_voice_session_that_is_being_reported_is_awaited() -> None:
    life = life_of(SALES)
    life.record = replace(life.record, voice_epoch=7)
    assert life.due(SetTimer.WAIT) == ["SetTimer voice"]
    assert life.on(VoiceReady(CALL, 7)) == ["SetTimer connect", "Answer"]


def test_a_hang_up_while_the_call_waits_leaves_no_timer() -> None:
    life = life_of(QUEUED)
    assert life.on(HangUp(CALL, "operator", "")) == ["SetTimer ending", "End", "Reject"]
    assert timers(life) == {SetTimer.ENDING}


def test_all_waits_together_end_before_the_phone_stops_ringing() -> None:
    assert SALES.wait_ms(0, 0) == 10_000
    assert SALES.wait_ms(0, MOST_RING_MS - 4_000) == 4_000
    assert SALES.wait_ms(0, MOST_RING_MS - 100) == 0
    assert replace(SALES, wait_s=0).wait_ms(0, 0) == 0
    life = Life()
    life.now_ms = MOST_RING_MS
    life.on(SALES)
    assert timers(life) == {SetTimer.VOICE, SetTimer.CLAIM}
