"""A relay takes over a call in the middle of a transfer."""

from __future__ import annotations

import pytest

from agent_relay.core.dialog.audience import CallParties
from agent_relay.core.dialog.conversation import Conversation
from agent_relay.core.dialog.conversation_commands import Command
from agent_relay.core.dialog.history import History, from_transcript
from agent_relay.core.dialog.manners import PendingGoodbye
from agent_relay.core.dialog.transfer_course import Step, TransferState
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.transfer_profile import Confirmation, TransferProfile
from bridge_common.wire.entries import Dtmf, Hold, Instruct, Listen, MediaAttached, Notice, Turn
from tests.unit.support.acting_talk import goodbyes
from tests.unit.support.talk import appended, notices, sent, types
from tests.unit.support.transfers import CALLER, PERSON, requests, screenings, session_ready, taken_over, transfers

PRESS = TransferProfile(confirm=Confirmation(key="1"), return_key="*")
RESTING = (Step.WAITING, Step.SCREENING, Step.BRIDGED)


def ticks(core: Conversation, *times: float) -> list[Command]:
    return [command for now in times for command in core.tick(now)]


@pytest.mark.parametrize("step", RESTING)
def test_nothing_is_said_or_selected_while_the_previous_relay_speaks(step: Step) -> None:
    core = taken_over(transfers(PRESS), TransferState("act_1", step, "sales"))
    assert core.withholds_audio
    assert core.from_caller(MediaAttached(16000), 0.5) + ticks(core, 1.0, 5.0) == []


@pytest.mark.parametrize("alone_first", [False, True])
def test_the_caller_goes_on_waiting_with_the_hold_tone(alone_first: bool) -> None:
    core = taken_over(transfers(), TransferState("act_1", Step.WAITING, "sales"))
    commands: list[Command] = []
    if alone_first:
        core.left_alone(0.5)
        commands += ticks(core, 0.6, 0.7)
    commands += session_ready(core) + ticks(core, 1.1, 1.2, 30.0)
    assert {str(one) for one in appended(commands)} == {str(Listen("caller")), str(Hold(True))}
    assert notices(commands) == ["voice_resumed"]
    assert types(commands) == []


def test_the_person_is_asked_again() -> None:
    core = taken_over(transfers(PRESS), TransferState("act_1", Step.SCREENING, "sales"))
    commands = session_ready(core)
    assert "To take the call, press 1." in requests(commands)
    assert Hold(False) in appended(commands)
    assert screenings(core.from_caller(Dtmf("1", PERSON), 2.0)) == [("act_1", "confirmed")]


def test_people_go_on_talking() -> None:
    core = taken_over(transfers(PRESS), TransferState("act_1", Step.BRIDGED, "sales"))
    core.left_alone(0.5)
    commands = ticks(core, 0.6, 0.7, 20.0)
    assert appended(commands) == [Hold(False), Listen("caller", bridged=True)]
    assert [type(one).__name__ for one in core.from_caller(Dtmf("*", CALLER), 21.0)] == ["RequestAction"]
    commands = session_ready(core, 22.0)
    assert (appended(commands), types(commands)) == ([], [])


def test_words_that_the_previous_relay_left_unanswered_are_not_answered_while_people_talk() -> None:
    history = History()
    history.caller("u1", "Please connect me.")
    core = taken_over(transfers(), TransferState("act_1", Step.BRIDGED, "sales"), history)
    assert "response.create" not in types(session_ready(core) + ticks(core, 2.0, 10.0, 100.0))


@pytest.mark.parametrize("said", [True, False])
def test_the_words_before_the_transfer_are_finished(said: bool) -> None:
    pending = PendingGoodbye("act_1", interruptible=True, said=said, action="transfer", arguments='{"target":"sales"}')
    core = Conversation(
        transfers(),
        History(),
        greeted=True,
        resumed=True,
        media_attached=True,
        pending=pending,
        transfer=TransferState("act_1", Step.CONNECTING, "sales"),
        parties=CallParties(CALLER),
    )
    assert not core.withholds_audio
    commands = session_ready(core) + ticks(core, 2.0, 3.0)
    assert ("I am connecting you" in requests(commands)) is not said
    assert goodbyes(commands) == ([("act_1", "heard")] if said else [])


@pytest.mark.parametrize("what", ["waiting", "screening", "bridged"])
def test_steps_after_the_claim_go_on_from_the_record(what: str) -> None:
    core = taken_over(transfers(), TransferState("act_1", Step.WAITING, "sales"))
    session_ready(core)
    ticks(core, 1.1)
    commands = core.instruct(Instruct("act_1", what, "{}"), 2.0)
    assert notices(commands) == ([] if what == "waiting" else ["transfer"] * (1 + (what == "screening")))


def test_a_return_that_the_previous_relay_did_not_report_is_spoken_about() -> None:
    core = taken_over(transfers(), TransferState("act_1", Step.RETURNED, "sales", reason="busy"))
    commands = session_ready(core) + ticks(core, 1.1)
    assert "Sales was busy." in requests(commands)
    assert types(commands)[-1] == "response.create"
    assert notices(commands) == ["voice_resumed", "transfer"]


def test_a_return_that_it_reported_but_the_agent_did_not_speak_about_is_answered() -> None:
    returned = Notice("transfer", TransferState("act_1", Step.RETURNED, "sales", reason="busy").notice(), 2_000)
    history = from_transcript([Turn("caller", "u1", "Please connect me.", 1_000), returned])
    core = taken_over(transfers(), None, history)
    commands = session_ready(core)
    assert "Sales was busy." in requests(commands), "a new session has the message"
    commands += core.tick(3.0)
    assert types(commands)[-1] == "response.create"


def test_a_return_that_was_spoken_about_is_not_repeated() -> None:
    returned = Notice("transfer", TransferState("act_1", Step.RETURNED, "sales", reason="busy").notice(), 2_000)
    history = from_transcript([returned, Turn("agent", "a1", "They are busy.", 3_000)])
    core = taken_over(transfers(), None, history)
    commands = session_ready(core) + ticks(core, 3.0, 9.0)
    assert "response.create" not in types(commands)


def test_everybody_is_heard_again_if_the_profile_wants_it() -> None:
    core = Conversation(
        transfers(TransferProfile(hears="all")),
        History(),
        greeted=True,
        resumed=True,
        media_attached=True,
        parties=CallParties(CALLER, people=("sales",)),
    )
    assert appended(core.from_caller(MediaAttached(16000), 0.5)) == []
    assert Listen("all") in appended(session_ready(core))


def test_a_call_without_people_needs_no_selection() -> None:
    core = taken_over(transfers(), None)
    core.left_alone(0.5)
    commands = ticks(core, 0.6) + session_ready(core)
    assert [one for one in appended(commands) if isinstance(one, Listen)] == []
    assert sent(core.voice_event(vl.SpeechStarted("u1"), 2.0)) == []
