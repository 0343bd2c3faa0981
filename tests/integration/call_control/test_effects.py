"""Commands with real Redis, also at moments at which they could leave data behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.base.errors import AuthError
from bridge_common.base.ids import request_id_of
from bridge_common.redis.clients import RedisClients
from bridge_common.store.announcement_store import AnnouncementStore
from bridge_common.store.call_store import CallStore
from bridge_common.store.fleet import Fleet
from bridge_common.store.leases import Leases
from bridge_common.wire import media_token
from bridge_common.wire.call_record import CallAction, CallRecord, Participant, Status, TransferStage
from bridge_common.wire.keys import Keys
from call_control.acs_client import AcsClient, AcsError, AcsRefusal, Connection
from call_control.core.machine.call_commands import (
    AddParticipant,
    Answer,
    AtOnce,
    CancelAdd,
    End,
    FindRelay,
    HangUp,
    HoldParticipant,
    Leave,
    ListParticipants,
    MuteParticipant,
    Offer,
    Reject,
    RemoveParticipant,
    SetTimer,
    StartDtmf,
    Transfer,
    UnholdParticipant,
    to_pending,
)
from call_control.core.machine.call_events import CommandDone, CommandFailed, RosterEntry
from call_control.core.transfer_context import TransferContext
from call_control.effects import CallUrls, Effects
from call_control.routing.rule_places import RulePlaces

CALL = "call_0123456789abcdef01234567"
URLS = CallUrls("http://control.test", "ws://media.test", ("media-token-key-of-the-tests",), 60)
BILLING = "4:+14255550177"
ID = request_id_of(CALL, 5)
TALKING = CallRecord(call_id=CALL, status=Status.CONNECTED, connection_id="c", callee="4:+18005551212")
RINGING = CallRecord(call_id=CALL, status=Status.RINGING, incoming_call_context="ctx")


class RefusingAcs(AcsClient):
    """Rejects every request with the same error; records the requests."""

    def __init__(self, error: AcsError) -> None:
        self._error = error
        self.requests: list[str] = []

    async def _refuse(self, what: str) -> Connection:
        self.requests.append(what)
        raise self._error

    async def cancel_add(
        self, connection_id: str, invitation_id: str, *, operation_context: str, request_id: str
    ) -> None:
        await self._refuse("cancel")

    async def remove_participant(
        self, connection_id: str, raw_id: str, *, operation_context: str, request_id: str
    ) -> None:
        await self._refuse("remove")

    async def answer(
        self, context: str, *, callback_url: str, media_url: str, operation_context: str, request_id: str
    ) -> Connection:
        return await self._refuse("answer")

    async def reject(self, context: str, reason: str, *, request_id: str) -> None:
        await self._refuse("reject")

    async def redirect(self, context: str, target: str, *, request_id: str) -> None:
        await self._refuse("redirect")

    async def hang_up(self, connection_id: str, *, request_id: str) -> None:
        await self._refuse("hang up")

    async def transfer(
        self,
        connection_id: str,
        target: str,
        *,
        callee: str,
        transferee: str = "",
        context: TransferContext,
        operation_context: str,
        request_id: str,
    ) -> None:
        await self._refuse("transfer")

    async def start_media_streaming(self, connection_id: str, *, operation_context: str) -> None:
        await self._refuse("start")

    async def stop_media_streaming(self, connection_id: str, *, operation_context: str) -> None:
        await self._refuse("stop")

    async def send_dtmf(
        self, connection_id: str, tones: str, target: str, *, operation_context: str, request_id: str
    ) -> None:
        await self._refuse("send tones")

    async def look_up(self, connection_id: str) -> Connection:
        return await self._refuse("look up")


class AcceptingAcs(AcsClient):
    """Accepts every request for people in the call; records the requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[object, ...]] = []

    async def transfer(
        self,
        connection_id: str,
        target: str,
        *,
        callee: str,
        transferee: str = "",
        context: TransferContext,
        operation_context: str,
        request_id: str,
    ) -> None:
        self.requests.append(("transfer", target, callee, transferee, context.topic, operation_context, request_id))

    async def add_participant(
        self,
        connection_id: str,
        target: str,
        *,
        callee: str,
        ring_s: int,
        context: TransferContext,
        operation_context: str,
        request_id: str,
    ) -> str:
        self.requests.append(("add", target, callee, ring_s, context.topic, operation_context, request_id))
        return "invitation-1"

    async def cancel_add(
        self, connection_id: str, invitation_id: str, *, operation_context: str, request_id: str
    ) -> None:
        self.requests.append(("cancel", connection_id, invitation_id, operation_context, request_id))

    async def remove_participant(
        self, connection_id: str, raw_id: str, *, operation_context: str, request_id: str
    ) -> None:
        self.requests.append(("remove", connection_id, raw_id, operation_context, request_id))

    async def participants(self, connection_id: str) -> tuple[RosterEntry, ...]:
        self.requests.append(("list", connection_id))
        return (RosterEntry("8:acs:us", False, False), RosterEntry(BILLING, True, False))

    async def hold(self, connection_id: str, raw_id: str, *, operation_context: str) -> None:
        self.requests.append(("hold", connection_id, raw_id, operation_context))

    async def unhold(self, connection_id: str, raw_id: str, *, operation_context: str) -> None:
        self.requests.append(("unhold", connection_id, raw_id, operation_context))

    async def mute(self, connection_id: str, raw_id: str, *, operation_context: str, request_id: str) -> None:
        self.requests.append(("mute", connection_id, raw_id, operation_context, request_id))

    async def leave(self, connection_id: str) -> None:
        self.requests.append(("leave", connection_id))

    async def start_dtmf(self, connection_id: str, raw_id: str, *, operation_context: str) -> None:
        self.requests.append(("dtmf", connection_id, raw_id, operation_context))


@pytest.fixture
def leases(clients: RedisClients, keys: Keys) -> Leases:
    return Leases(clients.control, keys, "relay")


@pytest.fixture
def effects(clients: RedisClients, keys: Keys, leases: Leases) -> Effects:
    acs = RefusingAcs(AcsError("no", AcsRefusal.GONE, acs_code="8522"))
    store = CallStore(clients.control, keys)
    return Effects(
        acs,
        leases,
        store,
        Fleet(clients.control, "c", "call-control"),
        URLS,
        AnnouncementStore(clients.control, keys),
        RulePlaces(clients.control, store),
    )


async def test_an_offer_is_taken_back_when_the_call_ended_meanwhile(effects: Effects, leases: Leases) -> None:
    """Another replica ends the call after the record was loaded and before the offer."""
    await effects.store.create(replace(RINGING, status=Status.ENDED))
    assert await effects.run(RINGING, [Offer(seq=1, cause="1-0")]) == [CommandDone(1)]
    assert await leases.claim(5) == []


async def test_an_offer_makes_the_call_claimable(effects: Effects, leases: Leases) -> None:
    await effects.store.create(RINGING)
    for _ in range(2):
        assert await effects.run(RINGING, [Offer(seq=1, cause="1-0")]) == [CommandDone(1)]
    assert [claim.call_id for claim in await leases.claim(5)] == [CALL]


async def test_find_relay_reports_claimed_full_or_unclaimed(
    effects: Effects, leases: Leases, clients: RedisClients
) -> None:
    find = FindRelay(seq=1, cause="1-0")
    relays = [Fleet(clients.control, f"relay-{number}", "agent-relay") for number in range(2)]
    await effects.store.create(RINGING)
    await effects.run(RINGING, [Offer(seq=1, cause="1-0")])
    assert await effects.run(RINGING, [find]) == [CommandDone(1, state=FindRelay.UNCLAIMED)], "one may start"
    await relays[0].beat(capacity=4, active=4)
    await effects.fleet.beat(capacity=256)
    assert await effects.run(RINGING, [find]) == [CommandDone(1, state=FindRelay.FULL)]
    await relays[1].beat(capacity=4, active=3, draining=True)
    assert await effects.run(RINGING, [find]) == [CommandDone(1, state=FindRelay.FULL)], "a draining relay claims none"
    await relays[1].beat(capacity=4, active=3)
    assert await effects.run(RINGING, [find]) == [CommandDone(1, state=FindRelay.UNCLAIMED)]
    assert len(await leases.claim(1)) == 1
    await relays[1].beat(capacity=4, active=4)
    assert await effects.run(RINGING, [find]) == [CommandDone(1, state=FindRelay.CLAIMED)]


async def test_end_is_idempotent(effects: Effects, leases: Leases, clients: RedisClients, keys: Keys) -> None:
    await effects.store.create(RINGING)
    await effects.run(RINGING, [Offer(seq=1, cause="1-0")])
    ended = replace(RINGING, status=Status.ENDED)
    for _ in range(2):
        assert await effects.run(ended, [End(seq=2, cause="1-0", reason="r")]) == [CommandDone(2)]
    assert await leases.claim(5) == []
    assert await clients.control.xlen(keys.uplink(CALL)) == 2  # Opened, Ended


@pytest.mark.parametrize(
    ("status", "command"),
    [
        (Status.ENDING, Answer(seq=1, cause="1-0")),
        (Status.ENDED, Answer(seq=1, cause="1-0")),
        (Status.ANSWERING, Reject(seq=1, cause="1-0", reason="busy")),
        (Status.ENDED, Offer(seq=1, cause="1-0")),
        (Status.ENDING, Transfer(seq=1, cause="1-0", target="4:+1")),
        (Status.ANSWERING, FindRelay(seq=1, cause="1-0")),
    ],
)
async def test_commands_of_an_earlier_status_are_not_sent(effects: Effects, status: Status, command: AtOnce) -> None:
    assert await effects.run(replace(RINGING, status=status), [command]) == [CommandFailed(1, "overtaken")]
    assert isinstance(effects.acs, RefusingAcs)
    assert effects.acs.requests == []


@pytest.mark.parametrize(
    ("error", "code", "gone"),
    [
        (AcsError("m", AcsRefusal.STALE_CONTEXT, acs_code="400"), "stale_context", True),
        (AcsError("m", AcsRefusal.GONE, acs_code="8522"), "gone", True),
        (AcsError("m", AcsRefusal.REFUSED, acs_code="8501"), "8501", False),
        (AcsError("m", AcsRefusal.UNAVAILABLE), "unavailable", False),
    ],
)
async def test_refusals_become_results(effects: Effects, error: AcsError, code: str, gone: bool) -> None:
    refusing = replace(effects, acs=RefusingAcs(error))
    command = HangUp(seq=3, cause="1-0")
    assert await refusing.run(replace(RINGING, status=Status.ENDING), [command]) == [CommandFailed(3, code, gone)]


@pytest.mark.parametrize(
    ("command", "request_"),
    [
        (CancelAdd(seq=5, cause="1-0", invitation_id="i"), ("cancel", "c", "i", "CancelAdd-5", ID)),
        (RemoveParticipant(seq=5, cause="1-0", raw_id=BILLING), ("remove", "c", BILLING, "RemoveParticipant-5", ID)),
        (HoldParticipant(seq=5, cause="1-0", raw_id=BILLING), ("hold", "c", BILLING, "HoldParticipant-5")),
        (UnholdParticipant(seq=5, cause="1-0", raw_id=BILLING), ("unhold", "c", BILLING, "UnholdParticipant-5")),
        (MuteParticipant(seq=5, cause="1-0", raw_id=BILLING), ("mute", "c", BILLING, "MuteParticipant-5", ID)),
        (StartDtmf(seq=5, cause="1-0", raw_id=BILLING), ("dtmf", "c", BILLING, "StartDtmf-5")),
        (Leave(seq=5, cause="1-0"), ("leave", "c")),
    ],
)
async def test_commands_for_people_become_requests(
    effects: Effects, command: AtOnce, request_: tuple[object, ...]
) -> None:
    acs = AcceptingAcs()
    operation = getattr(command, "operation_context", "")
    action = CallAction("act-1", "hold", "{}", "operator", 1, "running", operation=operation)
    leaving = SetTimer(seq=1, cause="1-0", name=SetTimer.TRANSFER, due_ms=1, operation=operation)
    record = replace(TALKING, actions=(action,), pending=(to_pending(leaving),), transfer_stage=TransferStage.SCREENING)
    assert await replace(effects, acs=acs).run(record, [command]) == [CommandDone(5)]
    assert acs.requests == [request_]


async def test_a_person_is_invited_with_the_context_of_the_action(effects: Effects) -> None:
    acs = AcceptingAcs()
    command = AddParticipant(seq=5, cause="1-0", target=BILLING, ring_s=20, action_id="act-1")
    action = CallAction("act-1", "transfer", '{"topic":"refund"}', "agent", 1, "running", operation="AddParticipant-5")
    record = replace(TALKING, actions=(action,), participants=(Participant(BILLING, action_id="act-1"),))
    assert await replace(effects, acs=acs).run(record, [command]) == [CommandDone(5, invitation_id="invitation-1")]
    assert acs.requests == [("add", BILLING, "4:+18005551212", 20, "refund", "AddParticipant-5", ID)]
    given_up = replace(record, participants=(Participant(BILLING, state="failed", action_id="act-1"),))
    assert await replace(effects, acs=acs).run(given_up, [command]) == [CommandFailed(5, "overtaken")]
    assert len(acs.requests) == 1


async def test_the_caller_is_transferred_with_the_context_of_the_action(effects: Effects) -> None:
    acs = AcceptingAcs()
    command = Transfer(seq=5, cause="1-0", target=BILLING, transferee="4:+1", action_id="act-1")
    timer = SetTimer(seq=1, cause="1-0", name=SetTimer.TRANSFER, due_ms=1, operation="Transfer-5")
    action = CallAction("act-1", "transfer", '{"topic":"refund"}', "agent", 1, "running", operation="Transfer-5")
    record = replace(TALKING, actions=(action,), pending=(to_pending(timer),))
    assert await replace(effects, acs=acs).run(record, [command]) == [CommandDone(5)]
    assert acs.requests == [("transfer", BILLING, "4:+18005551212", "4:+1", "refund", "Transfer-5", ID)]


async def test_the_participants_are_the_result_of_the_request(effects: Effects) -> None:
    roster = (RosterEntry("8:acs:us"), RosterEntry(BILLING, on_hold=True))
    running = replace(effects, acs=AcceptingAcs())
    assert await running.run(TALKING, [ListParticipants(seq=5, cause="1-0")]) == [CommandDone(5, roster=roster)]


def test_the_media_url_is_valid_for_the_call_and_constant() -> None:
    url = URLS.media(CALL, 1000.9)
    assert url == URLS.media(CALL, 1000.9)
    prefix, _, token = url.rpartition("/")
    assert prefix == f"ws://media.test/ws/{CALL}"
    media_token.check(URLS.token_keys, CALL, token, 1000 + 60 + 299)
    with pytest.raises(AuthError):
        media_token.check(URLS.token_keys, CALL, token, 1000 + 60 + 301)


@pytest.mark.parametrize(
    ("command", "code", "refusal", "warns"),
    [
        (CancelAdd(seq=5, cause="1-0", invitation_id="i"), "8522", AcsRefusal.GONE, False),
        (CancelAdd(seq=5, cause="1-0", invitation_id="i"), "8501", AcsRefusal.REFUSED, True),
        (RemoveParticipant(seq=5, cause="1-0", raw_id=BILLING), "8522", AcsRefusal.GONE, True),
    ],
)
async def test_an_invitation_that_is_gone_before_it_is_canceled_is_no_warning(
    effects: Effects, command: AtOnce, code: str, refusal: AcsRefusal, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = replace(effects, acs=RefusingAcs(AcsError("no", refusal, acs_code=code)))
    caplog.set_level("INFO")
    await refusing.run(TALKING, [command])
    [line] = [record for record in caplog.records if record.message == "ACS command failed"]
    assert (line.levelname == "WARNING") is warns
