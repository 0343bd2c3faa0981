"""The reconnect budget of a call, and the log lines of its failures."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from agent_relay.call.reconnects import PATIENCE_S, RESTING_STEPS, SETTLED_S, Reconnects
from agent_relay.core.protocol.session_refusal import AGAIN_S, ATTEMPTS, refused_session
from agent_relay.voice.voice_resources import NoConnectionError
from bridge_common.base.errors import BridgeError, OutsideError
from bridge_common.base.retry import Backoff

BUDGET_S = 20.0
DROPPED = OutsideError("dropped", retry=True)


@dataclass
class Sessions:
    """Sessions that all end `lasts_s` after they were ready. From `refused_from` on, no session is opened."""

    lasts_s: float
    refused_from: int = 1000
    now: float = 100.0
    count: int = 0

    def until_given_up(self, most: int = 100) -> None:
        reconnects = Reconnects("call_1", Backoff(first_s=0.0, most_s=0.0, budget_s=BUDGET_S), promised=True)
        while self.count < most:
            if self.count < self.refused_from:
                reconnects.ready(self.now)
            self.now += self.lasts_s
            self.count += 1
            reconnects.ended(self.now)
            if reconnects.delay_after(DROPPED, self.now) is None:
                return


def test_a_resource_that_flaps_does_not_renew_the_budget() -> None:
    sessions = Sessions(lasts_s=SETTLED_S - 1.0)
    sessions.until_given_up()
    assert sessions.count == 1 + BUDGET_S / sessions.lasts_s, "the budget counts from the first loss"


def test_a_session_that_lasted_renews_the_budget() -> None:
    sessions = Sessions(lasts_s=SETTLED_S + 1.0)
    sessions.until_given_up()
    assert sessions.count == 100


@pytest.mark.parametrize(("sessions", "lost"), [(0, 0), (1, 1)])
def test_attempts_in_a_row_are_two_lines_in_the_log(sessions: int, lost: int, caplog: pytest.LogCaptureFixture) -> None:
    """While a call rings, an exhausted quota is tried several times a second."""
    caplog.set_level("INFO", logger="agent_relay.call.reconnects")
    attempts = Sessions(lasts_s=1.0, refused_from=sessions)
    attempts.until_given_up()
    assert attempts.count > 15
    messages = [record.message for record in caplog.records]
    assert messages == ["voice session lost"] * lost + ["failed to open voice session"] * 2


@pytest.mark.parametrize(
    ("failure", "promised", "delay_s"),
    [
        (DROPPED, False, 0.0),
        (OutsideError("not found", retry=False), False, None),
        (OutsideError("not found", retry=False), True, 0.0),
        (NoConnectionError("quota", PATIENCE_S), False, PATIENCE_S),
        (NoConnectionError("quota", PATIENCE_S + 0.1), False, None),
        (NoConnectionError("quota", PATIENCE_S + 0.1), True, PATIENCE_S + 0.1),
    ],
)
def test_a_ringing_call_is_given_up_sooner_than_a_promised_one(
    failure: BridgeError, promised: bool, delay_s: float | None
) -> None:
    reconnects = Reconnects("call_1", Backoff(first_s=0.0, most_s=0.0, budget_s=BUDGET_S), promised=promised)
    reconnects.ended(1.0)
    assert reconnects.delay_after(failure, 1.0) == delay_s


def test_refused_settings_are_tried_again_until_a_session_is_ready() -> None:
    reconnects = Reconnects("call_1", Backoff(first_s=0.0, most_s=0.0, budget_s=BUDGET_S), promised=True)
    refused = refused_session("agent_initialization_failed: no such agent")
    delays = [reconnects.delay_after(refused, 1.0) for _ in range(ATTEMPTS)]
    assert delays == [AGAIN_S] * (ATTEMPTS - 1) + [None]
    reconnects.ready(2.0)
    assert reconnects.delay_after(refused, 2.0) == AGAIN_S


def test_a_call_without_need_for_the_agent_never_gives_up() -> None:
    reconnects = Reconnects("call_1", Backoff(first_s=0.0, most_s=0.5, budget_s=BUDGET_S), promised=True)
    delays = set[float | None]()
    for now in range(0, 600, 10):
        reconnects.ended(float(now))
        delays.add(reconnects.delay_after(DROPPED, float(now), patient=True))
    assert delays == {0.0, RESTING_STEPS * 0.5}
    reconnects.ended(601.0)
    assert reconnects.delay_after(DROPPED, 601.0) is None, "the caller is back"
