"""Executes the commands of the call machine: requests to ACS, changes of the lease table and the streams."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from bridge_common.base.ids import request_id_of
from bridge_common.base.log import fields
from bridge_common.observability import tracing
from bridge_common.store.announcement_store import AnnouncementStore
from bridge_common.store.call_store import CallStore
from bridge_common.store.fleet import Fleet
from bridge_common.store.leases import Leases
from bridge_common.wire import media_token
from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.entries import Instruct
from call_control.acs_client import AcsClient, AcsError
from call_control.call_telemetry import report_command
from call_control.core.machine.action_book import find_action
from call_control.core.machine.call_commands import (
    AcsCommand,
    AddParticipant,
    Answer,
    AtOnce,
    CancelAdd,
    End,
    FindRelay,
    HangUp,
    HoldParticipant,
    InstructRelay,
    Leave,
    ListParticipants,
    LookUp,
    MuteParticipant,
    Offer,
    Redirect,
    Reject,
    RemoveParticipant,
    SendDtmf,
    StartDtmf,
    StartMediaStreaming,
    StopMediaStreaming,
    ToAcs,
    Transfer,
    UnholdParticipant,
    Withdraw,
)
from call_control.core.machine.call_events import CommandDone, CommandFailed
from call_control.core.machine.call_machine import still_wanted
from call_control.core.transfer_context import context_of
from call_control.routing.rule_places import RulePlaces

log = logging.getLogger(__name__)

_RELAY = "agent-relay"
_TOKEN_MARGIN_S = 300
"""A media URL remains valid for this time after the maximum length of a call."""


@dataclass(frozen=True, slots=True)
class CallUrls:
    """The URLs of one call for ACS, from the settings and never from the Host header of a request."""

    base_url: str
    media_base_url: str
    token_keys: Sequence[str] = field(repr=False)
    longest_call_s: float

    def callback(self, call_id: str) -> str:
        return f"{self.base_url}/api/callbacks/{call_id}"

    def media(self, call_id: str, answered_s: float) -> str:
        """Return the media URL, the same for all attempts to answer: a repeated request must have the same content."""
        token = media_token.mint(self.token_keys, call_id, int(answered_s + self.longest_call_s + _TOKEN_MARGIN_S))
        return f"{self.media_base_url}/ws/{call_id}/{token}"


@dataclass(frozen=True, slots=True)
class Effects:
    acs: AcsClient
    leases: Leases
    store: CallStore
    fleet: Fleet
    urls: CallUrls
    announcements: AnnouncementStore
    places: RulePlaces

    async def run(self, record: CallRecord, commands: Sequence[AtOnce]) -> list[CommandDone | CommandFailed]:
        """Execute the commands in order and return their results.

        Commands are idempotent. Raises `OutsideError` if Redis does not answer.
        """
        return [await self._run(record, command) for command in commands]

    async def _run(self, record: CallRecord, command: AtOnce) -> CommandDone | CommandFailed:
        if not still_wanted(record, command):
            return CommandFailed(command.seq, "overtaken")
        if isinstance(command, AcsCommand):
            return await self._ask(record, command)
        if isinstance(command, FindRelay):
            return CommandDone(command.seq, state=await self._find_relay(record.call_id))
        await self._local(record, command)
        return CommandDone(command.seq)

    async def _find_relay(self, call_id: str) -> str:
        if await self.leases.claimed(call_id):
            return FindRelay.CLAIMED
        relays = [member for member in (await self.fleet.live()).values() if member.kind == _RELAY]
        rooms = [member.capacity - member.active for member in relays if not member.draining]
        return FindRelay.FULL if rooms and max(rooms) <= 0 else FindRelay.UNCLAIMED

    async def _local(self, record: CallRecord, command: Offer | Withdraw | InstructRelay | End) -> None:
        call_id = record.call_id
        if isinstance(command, InstructRelay):
            await self.announcements.instruct(call_id, Instruct(command.instruction_id, command.what, command.detail))
            return
        if isinstance(command, Withdraw):
            await self.leases.end(call_id)
            if command.rule:
                await self.places.leave(call_id, command.rule)
            return
        if isinstance(command, End):
            await self.leases.end(call_id)
            if record.slot:
                await self.places.leave(call_id, record.slot)
            await self.store.end_streams(call_id, command.reason, apologize=command.apologize)
            return
        if not await self.leases.offer(call_id):
            # The call ended after the record was loaded.
            await self.leases.end(call_id)

    async def _ask(self, record: CallRecord, command: ToAcs) -> CommandDone | CommandFailed:
        name, began_ms = type(command).__name__, tracing.now_ms()
        try:
            done = await self._request(record, command)
        except AcsError as error:
            report_command(record, name, began_ms, error.refusal.value, failure=error.message)
            # An invitation that was answered, or has ended, is gone before it is canceled.
            normal = isinstance(command, CancelAdd) and error.gone
            log.log(
                logging.INFO if normal else logging.WARNING,
                "ACS command failed",
                extra=fields(call_id=record.call_id, command=name, refusal=error.refusal.value, reason=error.message),
            )
            code = error.refusal.value if error.refusal.value != "refused" else error.acs_code
            return CommandFailed(command.seq, code, gone=error.gone)
        report_command(record, name, began_ms, "done")
        return done

    async def _request(self, record: CallRecord, command: ToAcs) -> CommandDone:
        acs, context, connection_id = self.acs, record.incoming_call_context, record.connection_id
        request_id = request_id_of(record.call_id, command.seq)
        match command:
            case Answer():
                answered = await acs.answer(
                    context,
                    callback_url=self.urls.callback(record.call_id),
                    media_url=self.urls.media(record.call_id, record.answered_ms / 1000),
                    operation_context=command.operation_context,
                    request_id=request_id,
                )
                return CommandDone(command.seq, answered.connection_id, answered.state)
            case LookUp():
                found = await acs.look_up(connection_id)
                return CommandDone(command.seq, found.connection_id, found.state)
            case AddParticipant():
                invitation_id = await acs.add_participant(
                    connection_id,
                    command.target,
                    callee=record.callee,
                    ring_s=command.ring_s,
                    context=context_of(record, find_action(record, command.action_id)),
                    operation_context=command.operation_context,
                    request_id=request_id,
                )
                return CommandDone(command.seq, invitation_id=invitation_id)
            case ListParticipants():
                return CommandDone(command.seq, roster=await acs.participants(connection_id))
            case Reject():
                await acs.reject(context, command.reason, request_id=request_id)
            case Redirect():
                await acs.redirect(context, command.target, request_id=request_id)
            case HangUp():
                await acs.hang_up(connection_id, request_id=request_id)
            case Transfer():
                await acs.transfer(
                    connection_id,
                    command.target,
                    callee=record.callee,
                    transferee=command.transferee,
                    context=context_of(record, find_action(record, command.action_id)),
                    operation_context=command.operation_context,
                    request_id=request_id,
                )
            case SendDtmf():
                await acs.send_dtmf(
                    connection_id,
                    command.tones,
                    record.caller,
                    operation_context=command.operation_context,
                    request_id=request_id,
                )
            case StartMediaStreaming():
                await acs.start_media_streaming(connection_id, operation_context=command.operation_context)
            case StopMediaStreaming():
                await acs.stop_media_streaming(connection_id, operation_context=command.operation_context)
            case _:
                await self._change_participant(record, command)
        return CommandDone(command.seq)

    async def _change_participant(
        self,
        record: CallRecord,
        command: (
            CancelAdd | RemoveParticipant | HoldParticipant | UnholdParticipant | MuteParticipant | Leave | StartDtmf
        ),
    ) -> None:
        acs, connection_id, operation = self.acs, record.connection_id, command.operation_context
        request_id = request_id_of(record.call_id, command.seq)
        match command:
            case CancelAdd(invitation_id=invitation_id):
                await acs.cancel_add(connection_id, invitation_id, operation_context=operation, request_id=request_id)
            case RemoveParticipant(raw_id=raw_id):
                await acs.remove_participant(connection_id, raw_id, operation_context=operation, request_id=request_id)
            case HoldParticipant(raw_id=raw_id):
                await acs.hold(connection_id, raw_id, operation_context=operation)
            case UnholdParticipant(raw_id=raw_id):
                await acs.unhold(connection_id, raw_id, operation_context=operation)
            case MuteParticipant(raw_id=raw_id):
                await acs.mute(connection_id, raw_id, operation_context=operation, request_id=request_id)
            case StartDtmf(raw_id=raw_id):
                await acs.start_dtmf(connection_id, raw_id, operation_context=operation)
            case Leave():
                await acs.leave(connection_id)
            case _:
                assert_never(command)
