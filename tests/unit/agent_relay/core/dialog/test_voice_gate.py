"""Order of the gate's decisions; the tests of transfers and voice agents show their effects."""

from __future__ import annotations

from agent_relay.core.protocol import voice_events as vl
from tests.unit.support.talk import SECOND, appended, sent
from tests.unit.support.transfers import answered, step, transfers


def test_the_greeting_of_a_restored_voice_agent_is_not_heard_while_people_talk() -> None:
    talk = answered(transfers(defined=True, greets_itself=True))
    step(talk, "bridged")
    talk.core.session_lost("1006", talk.now)
    talk.open()
    commands = talk.hear(vl.ResponseCreated("r9"), vl.AudioDelta("r9", "a9", SECOND))
    assert sent(commands) == [vl.cancel_response("r9")]
    assert appended(commands) == []


def test_events_pass_when_nothing_is_withheld() -> None:
    talk = answered()
    assert appended(talk.hear(vl.ResponseCreated("r9"), vl.AudioDelta("r9", "a9", SECOND)))
