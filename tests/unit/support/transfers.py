"""Conversations whose caller is transferred to a person."""

from __future__ import annotations

import json
from dataclasses import replace

from agent_relay.core.dialog.audience import CallParties
from agent_relay.core.dialog.conversation import Conversation
from agent_relay.core.dialog.conversation_commands import Command, Record, ReportScreening
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.transfer_course import TransferState
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.transfer_profile import TransferProfile
from bridge_common.wire.entries import Instruct, Notice
from tests.unit.support.acting_talk import profile, wait
from tests.unit.support.talk import SECOND, Talk, sent, updated

CALLER = "4:+14255550100"
PERSON = "4:+14255550199"
TARGETS = {"sales": "Orders and prices", "support": "Broken devices"}
TOOLS = frozenset({"transfer_call", "end_call", "add_note", "hold_call", "resume_call"})


def transfers(transfer: TransferProfile | None = None, **changes: object) -> SessionProfile:
    changed = profile(actions=TOOLS, transfer=transfer or TransferProfile(targets=TARGETS), **changes)
    return replace(changed, manners=replace(changed.manners, connecting=changed.transfer.connecting_text))


def calling(given: SessionProfile, people: tuple[str, ...] = ()) -> Talk:
    """A call in which the caller has asked something."""
    talk = Talk(given, parties=CallParties(CALLER, "Ada", people))
    talk.open()
    talk.core.attached(talk.now)
    talk.core.caller_audio(talk.now)
    talk.turn()
    return talk


def answered(given: SessionProfile | None = None, people: tuple[str, ...] = ()) -> Talk:
    """The same, and the agent has answered."""
    talk = calling(given or transfers(), people)
    talk.reply()
    talk.play("a1")
    return talk


def taken_over(given: SessionProfile, pending: TransferState | None, history: History | None = None) -> Conversation:
    """A relay that claims a call from another one, before it has a voice session."""
    return Conversation(
        given,
        history or History(),
        greeted=True,
        resumed=True,
        media_attached=True,
        transfer=pending,
        parties=CallParties(CALLER, "Ada"),
    )


def session_ready(core: Conversation, now: float = 1.0) -> list[Command]:
    core.connected(now)
    core.voice_event(vl.SessionCreated("s", "", 0), now)
    return core.attached(now) + core.caller_audio(now) + core.voice_event(updated(), now)


def step(talk: Talk, what: str, action_id: str = "act_1", **detail: object) -> list[Command]:
    """call-control reports a step. The relay has some time to act."""
    commands = talk.core.instruct(Instruct(action_id, what, json.dumps(detail)), talk.now)
    return commands + wait(talk, 0.1)


def speaks(talk: Talk, response: str, item: str, seconds: int = 1) -> list[Command]:
    """The service speaks the requested text."""
    deltas = [vl.AudioDelta(response, item, SECOND)] * seconds
    return talk.hear(vl.ResponseCreated(response), *deltas, vl.ResponseDone(response, "completed", ""))


def screenings(commands: list[Command]) -> list[tuple[str, str]]:
    return [(one.action_id, one.outcome) for one in commands if isinstance(one, ReportScreening)]


def steps(commands: list[Command]) -> list[str]:
    """The steps in the transcript."""
    entries = [one.entry for one in commands if isinstance(one, Record)]
    return [json.loads(e.detail)["step"] for e in entries if isinstance(e, Notice) and e.what == "transfer"]


def requests(commands: list[Command]) -> str:
    """Everything that was sent to the service, as text."""
    return json.dumps(sent(commands))
