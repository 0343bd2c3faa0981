"""Conversations in which the agent acts on its call."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

from agent_relay.core.dialog.conversation_commands import Command, ReportGoodbye, RequestAction
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.protocol import voice_events as vl
from bridge_common.wire.entries import Played, Playing
from tests.unit.support.talk import SECOND, Talk, profile_for, sent

END = "end_call"


def profile(**changes: object) -> SessionProfile:
    base = replace(profile_for(), actions=frozenset({END, "send_dtmf", "add_note"}))
    return replace(base, **changes)  # type: ignore[arg-type]  # fields of the profile


def talking(**changes: object) -> Talk:
    talk = Talk(profile(**changes))
    talk.open()
    talk.core.attached(talk.now)
    talk.core.caller_audio(talk.now)
    talk.turn()
    return talk


def call(name: str = END, response: str = "r1", call_id: str = "c1", **arguments: object) -> vl.FunctionCall:
    return vl.FunctionCall(response, f"item {call_id}", call_id, name, json.dumps(arguments))


def begin(talk: Talk, *, audible: bool, item: str = "a1", response: str = "r1") -> None:
    talk.hear(vl.ResponseCreated(response))
    if audible:
        talk.hear(vl.AudioDelta(response, item, SECOND), vl.AgentTranscriptDone(response, item, "Goodbye!"))


def heard(talk: Talk, item: str = "a1", *, complete: bool = True) -> list[Command]:
    first = talk.core.from_caller(Playing(item), talk.now)
    talk.now += 1.0
    return first + talk.core.from_caller(Played(item, 1000, complete), talk.now)


def finished(talk: Talk, item: str = "a1") -> list[Command]:
    """The item is heard to its end, and nothing follows for a moment."""
    return heard(talk, item) + wait(talk, 0.4)


def requested(commands: list[Command]) -> list[tuple[str, str, str]]:
    return [(one.action_id, one.action, one.by) for one in commands if isinstance(one, RequestAction)]


def goodbyes(commands: list[Command]) -> list[tuple[str, str]]:
    return [(one.action_id, one.outcome) for one in commands if isinstance(one, ReportGoodbye)]


def outputs(commands: list[Command]) -> list[dict[str, object]]:
    items = [cast(Any, event["item"]) for event in sent(commands) if event["type"] == "conversation.item.create"]
    return [json.loads(item["output"]) for item in items if item["type"] == "function_call_output"]


def wait(talk: Talk, seconds: float) -> list[Command]:
    """Let time pass in the steps of a relay."""
    commands: list[Command] = []
    end = talk.now + seconds
    while talk.now < end:
        talk.now = round(talk.now + 0.05, 2)
        commands += talk.core.tick(talk.now)
    return commands
