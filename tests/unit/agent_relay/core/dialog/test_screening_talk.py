"""The screening of a person who answers: what they hear, and how they take the call."""

from __future__ import annotations

import pytest

from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.transfer_profile import Confirmation, TransferProfile
from bridge_common.wire.entries import Clear, Dtmf, Hold, Listen
from tests.unit.support.acting_talk import begin, call, finished, wait
from tests.unit.support.talk import SECOND, appended, notices, sent, types
from tests.unit.support.transfers import (
    CALLER,
    PERSON,
    TARGETS,
    answered,
    calling,
    requests,
    screenings,
    speaks,
    step,
    steps,
    transfers,
)

WORDS = TransferProfile(targets=TARGETS, confirm=Confirmation(words=("yes",)))
PRESS = TransferProfile(targets=TARGETS, confirm=Confirmation(key="1"))


def test_without_texts_the_person_takes_the_call_at_once() -> None:
    talk = answered()
    step(talk, "waiting")
    commands = step(talk, "screening", name="sales")
    assert screenings(commands) == [("act_1", "confirmed")]
    assert appended(commands) == [Listen("caller"), Hold(False)]
    assert steps(commands) == ["screening", "confirmed"]


def test_the_introduction_is_heard_before_the_person_takes_the_call() -> None:
    introduced = TransferProfile(targets=TARGETS, introduction="{caller} calls about {topic}.")
    talk = calling(transfers(introduced))
    begin(talk, audible=True)
    talk.hear(
        call("transfer_call", target="sales", topic="an order", summary=""), vl.ResponseDone("r1", "completed", "")
    )
    finished(talk)
    step(talk, "waiting", "fn_c1")
    commands = step(talk, "screening", "fn_c1")
    assert "Ada calls about an order." in requests(commands)
    assert screenings(commands + speaks(talk, "r2", "a2")) == []
    assert screenings(talk.play("a2") + wait(talk, 0.4)) == [("fn_c1", "confirmed")]


def test_an_introduction_that_cannot_be_spoken_does_not_delay_the_call_for_long() -> None:
    talk = answered(transfers(TransferProfile(introduction="A call.")))
    step(talk, "screening")
    talk.core.session_lost("1006", talk.now)
    assert screenings(wait(talk, 7.8)) == []
    assert screenings(wait(talk, 0.4)) == [("act_1", "confirmed")]


def test_a_key_confirms_also_during_the_question_which_then_stops() -> None:
    talk = answered(transfers(PRESS))
    commands = step(talk, "screening")
    assert "To take the call, press 1." in requests(commands)
    assert talk.core.withholds_audio, "the agent needs no audio"
    talk.hear(vl.ResponseCreated("r2"), vl.AudioDelta("r2", "a2", SECOND))
    assert screenings(talk.core.from_caller(Dtmf("2", PERSON), talk.now)) == []
    assert screenings(talk.core.from_caller(Dtmf("1", CALLER), talk.now)) == []
    assert screenings(talk.core.from_caller(Dtmf("1", PERSON), talk.now)) == [("act_1", "confirmed")]
    commands = step(talk, "bridged")
    assert Clear("a2") in appended(commands)
    assert vl.cancel_response("r2") in sent(commands)
    assert appended(talk.hear(vl.AudioDelta("r2", "a2", SECOND))) == []
    assert types(wait(talk, 30.0)) == []


@pytest.mark.parametrize("participant", ["", PERSON.upper()])
def test_a_key_that_call_control_reports_confirms_too(participant: str) -> None:
    talk = answered(transfers(PRESS))
    step(talk, "screening", participant=participant)
    assert screenings(step(talk, "tone", "t1", tone="1", participant=PERSON)) == [("act_1", "confirmed")]


@pytest.mark.parametrize("sender", ["", CALLER, "4:anonymous"])
def test_the_caller_cannot_take_the_call_in_place_of_a_voicemail(sender: str) -> None:
    """ACS may list a caller with a hidden number under another id, and send keys without the id of the sender."""
    talk = answered(transfers(PRESS))
    step(talk, "screening", participant=PERSON)
    assert screenings(talk.core.from_caller(Dtmf("1", sender), talk.now)) == []
    assert screenings(talk.core.from_caller(Dtmf("1", PERSON), talk.now)) == [("act_1", "confirmed")]


def test_a_key_without_a_sender_counts_only_if_acs_reports_no_keys_of_the_person() -> None:
    talk = answered(transfers(PRESS))
    step(talk, "tones_refused", "act_0")
    step(talk, "screening", participant=PERSON)
    assert screenings(talk.core.from_caller(Dtmf("1"), talk.now)) == [], "that was another transfer"
    step(talk, "tones_refused")
    assert screenings(talk.core.from_caller(Dtmf("1", CALLER), talk.now)) == []
    assert screenings(talk.core.from_caller(Dtmf("1"), talk.now)) == [("act_1", "confirmed")]


def test_a_voicemail_does_not_confirm() -> None:
    talk = answered(transfers(PRESS))
    step(talk, "screening")
    speaks(talk, "r2", "a2")
    talk.play("a2")
    commands = wait(talk, 7.6)
    assert requests(commands).count("To take the call, press 1.") == 0
    commands = wait(talk, 0.4)
    assert requests(commands).count("To take the call, press 1.") == 1, "the question is repeated once"
    speaks(talk, "r3", "a3")
    talk.play("a3")
    assert screenings(wait(talk, 6.2)) == []
    commands = wait(talk, 0.6)
    assert screenings(commands) == [("act_1", "unconfirmed")]
    assert steps(commands) == ["unconfirmed"]
    assert screenings(talk.core.from_caller(Dtmf("1", PERSON), talk.now)) == [], "too late"
    commands = step(talk, "returned", name="sales", reason="not_confirmed")
    assert "voicemail" in requests(commands)


def test_a_word_confirms_and_is_not_recorded() -> None:
    talk = answered(transfers(WORDS))
    commands = step(talk, "screening")
    assert Listen("others") in appended(commands), "the word of the caller does not count"
    withheld = [talk.core.withholds_audio]  # their words would interrupt the question
    speaks(talk, "r2", "a2")
    talk.play("a2")
    wait(talk, 0.4)
    withheld.append(talk.core.withholds_audio)
    commands = talk.hear(vl.SpeechStarted("u5"), vl.SpeechStopped("u5"), vl.UserTranscript("u5", "Yesterday?"))
    assert screenings(commands) == []
    commands += talk.hear(vl.ResponseCreated("r9"), vl.AudioDelta("r9", "a9", SECOND))
    assert vl.cancel_response("r9") in sent(commands)
    commands = talk.hear(vl.ResponseDone("r9", "cancelled", ""), vl.UserTranscript("u6", "Oh. Yes, please!"))
    assert screenings(commands) == [("act_1", "confirmed")]
    assert notices(commands) == ["transfer"]
    assert [*withheld, talk.core.withholds_audio] == [True, False, True]
    assert Listen("caller", bridged=True) in appended(step(talk, "bridged"))


def test_a_response_that_the_service_begins_instead_of_the_question_is_canceled() -> None:
    """The service begins a response just before it receives the request, which it then rejects."""
    talk = answered(transfers(WORDS))
    commands = step(talk, "screening")
    [asked] = [event for event in sent(commands) if event["type"] == "response.create"]
    talk.hear(vl.ResponseCreated("r9"), vl.AudioDelta("r9", "a9", SECOND))
    busy = vl.ErrorEvent("conversation_already_has_active_response", "busy", "", str(asked["event_id"]))
    commands = talk.hear(busy)
    assert Clear("a9") in appended(commands)
    assert vl.cancel_response("r9") in sent(commands)
    commands += talk.hear(vl.ResponseDone("r9", "cancelled", ""))
    assert "To take the call, say yes." in requests(commands), "the question follows"


def test_the_outcome_is_reported_again_because_redis_may_have_lost_it() -> None:
    talk = answered()
    step(talk, "screening")
    assert screenings(wait(talk, 20.0)) == [("act_1", "confirmed")] * 6
    step(talk, "bridged")
    assert screenings(wait(talk, 20.0)) == []


def test_an_introduction_that_the_service_refuses_to_speak_does_not_delay_the_call() -> None:
    talk = answered(transfers(TransferProfile(introduction="A call.")))
    commands = step(talk, "screening")
    for _ in range(8):
        asked = [event for event in sent(commands) if event["type"] == "response.create"]
        if not asked:
            break
        commands = talk.hear(vl.ErrorEvent("invalid_value", "no", "", str(asked[-1]["event_id"]), "invalid"))
    assert screenings(commands) == [("act_1", "confirmed")]
