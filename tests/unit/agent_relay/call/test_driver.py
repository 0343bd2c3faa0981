"""The driver passes events to the conversation, and each command to the module that executes it."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent_relay.call.call_trace import CallTrace
from agent_relay.call.call_voice import CallVoice
from agent_relay.call.downlink_writer import DownlinkWriter
from agent_relay.call.driver import Driver
from agent_relay.call.outbox import Outbox
from agent_relay.core.announcements.announcement import STOP_PAUSE_S
from agent_relay.core.dialog.conversation import Conversation
from agent_relay.core.dialog.conversation_commands import (
    Command,
    MarkGreeted,
    MarkSaid,
    Ready,
    Record,
    RunTool,
)
from agent_relay.core.dialog.history import History
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.keypad_profile import KeypadProfile
from agent_relay.core.protocol.voice_target import Mode
from bridge_common.store.leases import Claim
from bridge_common.wire.call_record import CallRecord, Status, TransferStage
from bridge_common.wire.entries import Audio, Clear, Dtmf, Instruct, Notice, Playing, Say, Turn
from tests.unit.support.talk import GREETING, SECOND, profile_for, updated

PROBE_ANSWER = vl.ErrorEvent("item_retrieve_invalid_item_id", "No item", "item_id", "probe-1")


@dataclass
class Voice:
    """A voice link that records the calls of its methods."""

    session_id: str = ""
    resource: str = "res"
    asked: list[str] = field(default_factory=list)
    frames: int = 0
    heard: list[bytes] = field(default_factory=list)
    caller_speaks: list[bool] = field(default_factory=list)

    def send(self, event: vl.ClientEvent) -> None:
        self.asked.append(str(event["type"]))

    def hear(self, pcm24k: bytes) -> None:
        self.frames += 1
        self.heard.append(pcm24k)

    def ready(self, ready: Ready) -> None:
        self.session_id = ready.session_id
        self.asked.append("ready")

    def start_audio(self) -> None:
        self.asked.append("audio")

    def abandon(self, reason: str, *, retry: bool) -> None:
        self.asked.append(f"abandon: {reason}")

    def give_up(self, reason: str) -> None:
        self.asked.append(f"give up: {reason}")

    def session_alive(self, *, caller_speaks: bool) -> None:
        self.caller_speaks.append(caller_speaks)


class Stage:
    def __init__(self, conversation: Conversation | None = None) -> None:
        self.now = 1.0
        self.voice = Voice()
        self.stored: list[Command] = []
        self.downlink: list[object] = []
        trace = CallTrace(Claim("call_1", 7), "")
        self.conversation = conversation or Conversation(profile_for(), History())
        self.driver = Driver("call_1", self.conversation, trace, clock=lambda: self.now)
        self.driver.connect(
            cast(CallVoice, self.voice),
            cast(Outbox, SimpleNamespace(put=self.stored.append)),
            cast(DownlinkWriter, SimpleNamespace(append=self.downlink.append)),
        )
        self.driver.left_alone(self.now)

    def open(self) -> None:
        self.driver.session_opened(resumes=True)
        self.hear(vl.SessionCreated("sess_1", "", 0), updated("conv_1"), PROBE_ANSWER)

    def hear(self, *events: vl.ServerEvent) -> None:
        for event in events:
            self.driver.voice_event(event)


async def test_caller_audio_follows_what_the_new_session_must_receive_first() -> None:
    history = History()
    history.caller("u1", "Where is it?")
    stage = Stage(Conversation(profile_for(), history, resumed=True))
    assert not stage.driver.caller_frame(b"1")
    stage.open()
    assert stage.voice.asked == [
        "session.update",
        "ready",
        "conversation.item.create",
        "conversation.item.retrieve",
        "audio",
    ]
    assert stage.driver.caller_frame(b"2")
    assert stage.voice.frames == 2, "the first one is kept by the voice link"
    assert stage.stored[0] == Ready("sess_1", "conv_1", 0, "res")
    assert stage.driver.session_seen


async def test_the_agents_speech_goes_to_the_downlink_and_turns_to_the_outbox() -> None:
    stage = Stage()
    stage.open()
    stage.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1"), vl.UserTranscript("u1", "Hello."))
    assert stage.voice.caller_speaks[-3:] == [True, False, False]
    assert stage.stored[-1] == Record(Turn("caller", "u1", "Hello.", 1000))
    stage.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    assert stage.downlink == [Audio("a1", SECOND)]


@pytest.mark.parametrize("key", [True, False])
async def test_a_barge_in_by_voice_or_key_is_counted_from_the_moment_of_its_entry(key: bool) -> None:
    stage = Stage()
    stage.open()
    stage.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    stage.driver.from_caller(Playing("a1"))
    if key:
        stage.driver.from_caller(Dtmf("1"))
    else:
        stage.hear(vl.SpeechStarted("u1"))
    (clear,) = [entry for entry in stage.downlink if isinstance(entry, Clear)]
    assert clear.at_us > 0


async def test_an_announcement_that_clears_the_downlink_is_no_barge_in() -> None:
    stage = Stage()
    stage.open()
    stage.driver.caller_audio()
    stage.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    stage.driver.announcement("1-0", Say("say_1", 0, "Fire.", last=True, interrupt=True))
    (clear,) = [entry for entry in stage.downlink if isinstance(entry, Clear)]
    assert clear.at_us == 0


async def test_answers_of_the_outbox_reach_the_conversation() -> None:
    profile = profile_for(greeting=GREETING, tools=frozenset({"look"}))
    stage = Stage(Conversation(profile, History()))
    stage.open()
    stage.driver.caller_audio()
    assert MarkGreeted() in stage.stored
    stage.driver.greeting_granted(True)
    assert stage.voice.asked[-1] == "response.create"
    stage.hear(vl.ResponseCreated("r1"), vl.FunctionCall("r1", "i1", "c1", "look", "{}"))
    assert stage.stored[-1] == RunTool("c1", "look", "{}")
    stage.driver.tool_answered("c1", "found")
    assert stage.voice.asked[-1] == "conversation.item.create"


async def test_what_is_due_is_done_when_it_is_due() -> None:
    stage = Stage()
    stage.open()
    stage.driver.from_caller(Dtmf("1"))
    typed_at = stage.conversation.next_at()
    assert typed_at is not None
    stage.driver.tick(typed_at - 0.01)
    assert "conversation.item.create" not in stage.voice.asked
    stage.driver.tick(typed_at)
    assert stage.voice.asked[-2:] == ["conversation.item.create", "response.create"]


async def test_an_event_makes_the_driver_ask_again_what_is_due() -> None:
    stage = Stage()
    stage.open()
    stage.driver.caller_audio()
    stage.now = 2.0
    stage.driver.tick(2.0)  # nothing is due: the driver rests for half a second
    stage.driver.announcement("1-0", Say("say_1", 0, "Hello there."))
    stage.driver.tick(2.0 + STOP_PAUSE_S)
    assert stage.voice.asked[-1] == "response.create"


async def test_a_protected_greeting_is_not_disturbed_by_the_callers_audio() -> None:
    stage = Stage(Conversation(dataclasses.replace(profile_for(greeting=GREETING), greeting_protected=True), History()))
    stage.open()
    stage.driver.caller_audio()
    assert stage.driver.caller_frame(b"1")
    assert stage.voice.frames == 1
    stage.driver.greeting_granted(True)
    assert stage.driver.caller_frame(b"2"), "it need not be read again"
    assert stage.voice.frames == 1


async def test_held_announcements_are_left_to_another_relay() -> None:
    stage = Stage()
    stage.open()
    stage.driver.caller_audio()
    stage.driver.hold_announcements(True)
    stage.driver.announcement("1-0", Say("say_1", 0, "Hello.", last=True))
    assert "response.create" not in stage.voice.asked
    stage.driver.hold_announcements(False)
    assert stage.voice.asked[-1] == "response.create"


async def test_a_lost_session_is_written_down_and_another_resource_does_not_know_the_conversation() -> None:
    stage = Stage(Conversation(profile_for(Mode.AGENT), History()))
    stage.open()
    stage.driver.session_lost("1006")
    (notice,) = [c.entry for c in stage.stored if isinstance(c, Record) and isinstance(c.entry, Notice)]
    assert (notice.what, notice.detail) == ("voice_lost", "1006")
    assert stage.driver.conversation_id == "conv_1"
    stage.driver.session_opened(resumes=False)
    assert stage.driver.conversation_id == ""


async def test_phases_are_logged_with_their_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="agent_relay.call.driver")
    stage = Stage()
    stage.open()
    stage.driver.session_lost("1006")
    logged = [_fields(record) for record in caplog.records if record.message == "conversation phase changed"]
    assert [(one["old"], one["new"], one["reason"]) for one in logged] == [
        ("closed", "opening", "connected"),
        ("opening", "ready", "session.updated"),
        ("ready", "closed", "1006"),
    ]


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return cast(dict[str, Any], vars(record)["bridge_fields"])


async def test_errors_of_the_service_are_logged_and_answers_to_probes_are_not(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.open()
    assert not caplog.records
    stage.hear(vl.ErrorEvent("server_error", "try later", "", ""))
    assert [record.message for record in caplog.records] == ["Voice Live reported an error"]


@pytest.mark.parametrize(("ended", "outcomes"), [(True, 1), (False, 0)])
async def test_the_end_of_a_call_ends_its_announcements_and_a_hand_over_does_not(ended: bool, outcomes: int) -> None:
    stage = Stage()
    stage.open()
    stage.driver.caller_audio()
    stage.driver.announcement("1-0", Say("say_1", 0, "One. Two.", last=True))
    stage.driver.end(ended=ended)
    told = [c for c in stage.stored if isinstance(c, Record) and isinstance(c.entry, Notice) and c.entry.what == "say"]
    assert len(told) == outcomes
    assert not stage.driver.ready


async def test_the_record_is_amended_with_what_the_relay_knows() -> None:
    stage = Stage(Conversation(profile_for(), History(), said="say_1:14"))
    stage.open()
    record = stage.driver.amended(CallRecord(call_id="call_1", status=Status.CONNECTED))
    assert (record.greeted, record.conversation_id) == (True, "conv_1")
    assert (record.voice_session_id, record.voice_resource, record.said) == ("sess_1", "res", "say_1:14")


async def test_the_amended_record_has_the_step_of_the_transfer() -> None:
    stage = Stage()
    stage.open()
    stage.driver.instruct(Instruct("act_1", "bridged", '{"name":"sales"}'))
    assert stage.driver.agent_rests
    record = stage.driver.amended(CallRecord(call_id="call_1", status=Status.CONNECTED))
    assert (record.transfer, record.transfer_stage) == ("act_1", TransferStage.BRIDGED)
    assert [action.kind for action in record.actions] == ["transfer"]


async def test_the_caller_is_not_heard_while_people_talk() -> None:
    stage = Stage()
    stage.open()
    stage.driver.instruct(Instruct("act_1", "bridged"))
    assert stage.driver.caller_frame(bytes(960))
    stage.driver.session_lost("1006")
    assert stage.driver.caller_frame(bytes(960)), "the next relay must not send the frame either"
    assert stage.voice.heard == []


async def test_marks_of_announcements_go_to_the_outbox() -> None:
    stage = Stage()
    stage.open()
    stage.driver.caller_audio()
    stage.driver.announcement("1-0", Say("say_1", 0, "One.", last=True))
    stage.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND), vl.ResponseDone("r1", "completed", ""))
    assert any(isinstance(command, MarkSaid) for command in stage.stored)


async def test_the_agent_hears_silence_while_masked_digits_are_typed() -> None:
    profile = dataclasses.replace(profile_for(), dtmf=KeypadProfile(mode="masked"))
    stage = Stage(Conversation(profile, History()))
    stage.open()
    assert stage.driver.masks_keys
    assert stage.driver.caller_frame(b"1")
    stage.driver.from_caller(Dtmf("4"))
    assert stage.driver.caller_frame(b"2"), "it need not be read again"
    stage.now += 2.0
    stage.driver.tick(stage.now)
    stage.driver.caller_frame(b"3")
    assert stage.voice.heard == [b"1", b"\0", b"3"]
