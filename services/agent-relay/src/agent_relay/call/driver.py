"""The driver of one call: the only module that accesses its `Conversation`.

Voice link, uplink, outbox and announcement reader report events to the driver. It passes them to the conversation and
executes the commands that the conversation returns: client events and downlink entries at once; commands that wait for
Redis or for a tool go through the outbox. The conversation decides, the driver acts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import msgspec

from agent_relay.call.call_trace import CallTrace
from agent_relay.call.call_voice import CallVoice
from agent_relay.call.downlink_writer import DownlinkWriter
from agent_relay.call.outbox import Outbox
from agent_relay.core.dialog.conversation import Conversation, FromCaller
from agent_relay.core.dialog.conversation_commands import (
    Abandon,
    Append,
    Command,
    GiveUp,
    Overdue,
    PhaseChanged,
    Ready,
    Record,
    Send,
)
from agent_relay.core.dialog.recorded_transfer import with_transfer
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.keepalive import answers_probe
from agent_relay.core.protocol.session_setup import SessionSetup
from agent_relay.core.protocol.voice_events import (
    AudioDelta,
    ErrorEvent,
    ServerEvent,
    SessionUpdated,
    WarningEvent,
)
from bridge_common.base.log import fields
from bridge_common.observability import telemetry
from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.entries import Clear, DownlinkEntry, Dtmf, Instruct, Say, Turn

log = logging.getLogger(__name__)

_CHECK_S: Final = 0.5
"""Longest interval between two checks of the conversation's deadlines."""


class Driver:
    """Drives the conversation of one call. Call `connect` before the first event. `clock` defaults to the time of the
    running event loop.
    """

    def __init__(
        self, call_id: str, conversation: Conversation, trace: CallTrace, clock: Callable[[], float] | None = None
    ) -> None:
        self._call_id = call_id
        self._conversation = conversation
        self._trace = trace
        self._now = clock or asyncio.get_running_loop().time
        self._voice: CallVoice
        self._outbox: Outbox
        self._downlink: DownlinkWriter
        self._session_seen = False
        self._just_ready = False
        self._key_pressed = False
        """True while a key press of the caller is being processed."""
        self._check_at = 0.0
        """When to check the conversation's deadlines next (loop time). 0 after every event that may have changed them.
        """

    def connect(self, voice: CallVoice, outbox: Outbox, downlink: DownlinkWriter) -> None:
        self._voice, self._outbox, self._downlink = voice, outbox, downlink

    # -- state of the conversation
    @property
    def profile(self) -> SessionProfile:
        return self._conversation.profile

    @property
    def ready(self) -> bool:
        return self._conversation.ready

    @property
    def session_seen(self) -> bool:
        """Whether this relay has had a ready voice session in this call."""
        return self._session_seen

    @property
    def refusal(self) -> str:
        return self._conversation.refusal

    @property
    def conversation_id(self) -> str:
        return self._conversation.conversation_id

    @property
    def reference(self) -> str:
        """Reference that identifies the call to the tools of a Foundry agent; "" if it has none."""
        return self._conversation.reference

    @property
    def caller_waits(self) -> bool:
        return self._conversation.caller_waits

    @property
    def typing(self) -> bool:
        return self._conversation.keypad.unsent

    @property
    def masks_keys(self) -> bool:
        """Whether the caller's keys must not stay in Redis after they were read."""
        return self._conversation.profile.dtmf.mode == "masked"

    def quiet(self) -> bool:
        return self._conversation.quiet

    @property
    def agent_rests(self) -> bool:
        return self._conversation.transfers.rests

    def accepts(self, setup: SessionSetup) -> bool:
        return self._conversation.accepts(setup)

    def amended(self, record: CallRecord) -> CallRecord:
        """Return the record with the newer values that this relay has."""
        return replace(
            with_transfer(record, self._conversation.transfers.course.current, int(time.time() * 1000)),
            greeted=record.greeted or self._conversation.greeted,
            conversation_id=self._conversation.conversation_id,
            voice_session_id=self._voice.session_id,
            voice_resource=self._voice.resource,
            call_reference=self._conversation.reference,
            said=self._conversation.said,
        )

    # -- the call
    def left_alone(self, since: float) -> None:
        """Handle that no other relay speaks in the call any more. `since`: loop time."""
        self._conversation.left_alone(since)
        self._check_at = 0.0

    def tick(self, now: float) -> None:
        """Act on the deadlines that have passed. Call it about twenty times a second."""
        if now < self._check_at:
            return
        due = self._conversation.next_at()
        if due is None or now < due:
            self._check_at = now + _CHECK_S if due is None else min(due, now + _CHECK_S)
        else:
            self._do(self._conversation.tick(now))

    def end(self, *, ended: bool) -> None:
        """Record unfinished turns and announcements. `ended`: the call has ended; otherwise another relay
        continues it.
        """
        close = self._conversation.call_ended if ended else self._conversation.call_left
        self._do(close(self._now()))

    # -- the voice link
    def session_opened(self, *, resumes: bool) -> None:
        self._do(self._conversation.connected(self._now(), resumes=resumes))

    def configured_session_opened(self, session: SessionUpdated, refusals: Iterable[str], *, resumes: bool) -> None:
        now = self._now()
        self._do(self._conversation.connected_to_configured(session, refusals, now, resumes=resumes))

    def voice_event(self, event: ServerEvent) -> None:
        if type(event) is WarningEvent or (type(event) is ErrorEvent and not answers_probe(event)):
            where = fields(call_id=self._call_id, code=event.code, error=event.message)
            log.warning("Voice Live reported an error", extra=where)
        commands = self._conversation.voice_event(event, self._now())
        if type(event) is AudioDelta:
            # Most events are audio deltas. They never bring a deadline forward, so the time of the next check is kept.
            self._carry_out(commands)
        else:
            self._do(commands)
        self._voice.session_alive(caller_speaks=self._conversation.caller_speaks)

    def session_lost(self, reason: str) -> None:
        self._do(self._conversation.session_lost(reason, self._now()))

    def agent_left(self) -> bool:
        """Handle a session that the service has closed with 1000. Return whether this ends the call."""
        commands = self._conversation.agent_left(self._now())
        self._do(commands)
        return bool(commands)

    # -- the outbox
    def greeting_granted(self, granted: bool) -> None:
        self._do(self._conversation.greeting_granted(granted, self._now()))

    def tool_answered(self, function_call_id: str, output: str) -> None:
        self._do(self._conversation.tool_answered(function_call_id, output, self._now()))

    # -- announcements
    def announcement(self, entry_id: str, piece: Say) -> None:
        self._do(self._conversation.say(entry_id, piece, self._now()))

    def instruct(self, entry: Instruct) -> None:
        self._do(self._conversation.instruct(entry, self._now()))

    def hold_announcements(self, held: bool) -> None:
        self._do(self._conversation.hold_announcements(held, self._now()))

    # -- the uplink
    def caller_frame(self, pcm24k: bytes) -> bool:
        """Forward a caller frame to the voice session. Return False if no session is ready, so that the frame is
        buffered. A conversation of people without the agent is never sent.
        """
        if not self._conversation.withholds_audio:
            self._voice.hear(bytes(len(pcm24k)) if self._conversation.keypad.mutes_caller else pcm24k)
        return self._conversation.ready or self._conversation.transfers.withholds_audio

    def caller_audio(self) -> None:
        self._do(self._conversation.caller_audio(self._now()))

    def attached(self) -> None:
        """Handle the media socket that was already attached when the call was claimed."""
        self._do(self._conversation.attached(self._now()))

    def media_replaced(self, lost_at: float) -> None:
        """Handle a new media socket. `lost_at`: when the previous one was last alive (loop time), 0 if it never was."""
        now = self._now()
        self._do(self._conversation.media_replaced(lost_at or now, now))

    def from_caller(self, entry: FromCaller) -> None:
        self._key_pressed = type(entry) is Dtmf
        self._do(self._conversation.from_caller(entry, self._now()))
        self._key_pressed = False

    # -- commands
    def _do(self, commands: Iterable[Command]) -> None:
        self._check_at = 0.0
        self._carry_out(commands)

    def _carry_out(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Append():
                    self._append(command.entry)
                case Send():
                    self._voice.send(command.event)
                case Abandon():
                    self._voice.abandon(command.reason, retry=command.retry)
                case GiveUp():
                    self._voice.give_up(command.reason)
                case Overdue():
                    self._trace.overdue(command)
                case PhaseChanged():
                    phases = fields(call_id=self._call_id, old=command.old, new=command.new, reason=command.reason)
                    log.debug("conversation phase changed", extra=phases)
                case Ready():
                    self._on_ready(command)
                case Record(entry=Turn() as turn):
                    self._trace.turn(turn)
                    self._outbox.put(command)
                case _:
                    self._outbox.put(command)
        if self._just_ready:
            # Start caller audio only after all events that the session must receive first.
            self._just_ready = False
            self._voice.start_audio()

    def _append(self, entry: DownlinkEntry) -> None:
        if type(entry) is Clear and (self._conversation.caller_speaks or self._key_pressed):
            entry = Clear(entry.item_id, telemetry.now_us())
            self._trace.barge_in(entry.item_id)
        self._downlink.append(entry)

    def _on_ready(self, ready: Ready) -> None:
        self._just_ready = self._session_seen = True
        self._voice.ready(ready)
        self._outbox.put(msgspec.structs.replace(ready, resource=self._voice.resource))
