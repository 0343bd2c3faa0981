"""A phone rings for 30 s, also that of a Teams resource account: until then, the call is answered or diverted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.wire.call_record import Status
from call_control.core.machine.call_commands import SetTimer
from call_control.core.machine.transition import CallPolicy, armed
from call_control.core.policy.routing import MOST_RING_MS, Accepted, Routed
from call_control.core.policy.routing_policy import MOST_WAIT_S
from call_control.settings import CallControlSettings
from tests.unit.support.call_life import Life

RING_MS = 30_000
ACCOUNT = "28:orgid:cc123456-5678-9012-3456-789012345678"
ANSWER_DEADLINE_S: float = CallControlSettings.model_fields["answer_deadline_s"].default


def rule(number: int, wait_s: float, after: str = "") -> Routed:
    return Routed(Accepted("desk"), f"rule {number}", "agent desk", wait_s=wait_s, after=after)


@pytest.mark.parametrize("waits_s", [[0], [MOST_WAIT_S, 0], [1, MOST_WAIT_S, 0], [MOST_WAIT_S, MOST_WAIT_S, 0]])
def test_the_last_chance_of_an_answer_is_within_the_ring_time(waits_s: list[float]) -> None:
    """Each rule but the last one waits in vain for its agent; the last one waits as long as the settings allow."""
    life = Life(CallPolicy(voice_ms=round(ANSWER_DEADLINE_S * 1000), redirect_target="4:+18005550000"))
    life.record = replace(life.record, callee=ACCOUNT, created_ms=life.now_ms)
    rang_ms, after = life.now_ms, ""
    for number, wait_s in enumerate(waits_s):
        life.on(rule(number, wait_s, after))
        wait = armed(life.record, SetTimer.WAIT)
        life.now_ms, after = wait.due_ms if wait is not None else life.now_ms, f"rule {number}"
    assert life.at(Status.RINGING)
    life.due(SetTimer.VOICE)
    assert life.now_ms - rang_ms < RING_MS
    assert not life.at(Status.RINGING), "the call is diverted, or connected to human agents"


def test_a_late_voice_session_is_awaited_within_the_ring_time() -> None:
    assert MOST_RING_MS + 1000 * ANSWER_DEADLINE_S < RING_MS
