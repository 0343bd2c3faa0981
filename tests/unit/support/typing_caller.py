"""A caller who types digits for a tool, in a whole conversation with virtual time, and readers of its commands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, cast

from agent_relay.core.dialog.conversation_commands import Command, Record, RunTool
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.keypad_profile import KeypadArgument, KeypadProfile
from bridge_common.wire.entries import Dtmf, Notice, Played, Playing
from tests.unit.support.talk import SECOND, Talk, profile_for, sent

CARD: Final = "4111111111111111"
PAY: Final = KeypadArgument(argument="card_number", min_digits=13, max_digits=16, wait_s=10)
PIN: Final = KeypadArgument(argument="pin", min_digits=4, max_digits=4)
ASK: Final = PAY.ask_text


def profile(**changes: object) -> SessionProfile:
    base = replace(
        profile_for(tools=frozenset({"pay", "check_pin"})),
        dtmf=KeypadProfile(mode="masked"),
        keypad_tools={"pay": PAY, "check_pin": PIN},
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields of the profile


class Line(Talk):
    """A call with a masked keypad. Collects all commands, for the digits must be in none of them but `RunTool`."""

    def __init__(self, **changes: object) -> None:
        self.history = History()
        super().__init__(profile(**changes), history=self.history)
        self.commands: list[Command] = self.open()
        self.commands += self.core.attached(self.now)
        self.commands += self.core.caller_audio(self.now)
        self.commands += self.turn("I want to pay.")

    def agent(self, *events: vl.ServerEvent) -> list[Command]:
        return self.note(self.hear(*events))

    def asks(self, text: str = "Please type your card number.", response: str = "r0") -> list[Command]:
        """Let the agent speak, and the caller hear it to its end."""
        item = f"item {response}"
        commands = self.agent(
            vl.ResponseCreated(response),
            vl.AudioDelta(response, item, SECOND),
            vl.AgentTranscriptDone(response, item, text),
            vl.ItemDone(response, item),
            vl.ResponseDone(response, "completed", ""),
        )
        return commands + self.heard(item)

    def heard(self, item: str) -> list[Command]:
        commands = self.note(self.core.from_caller(Playing(item), self.now))
        self.now += 1.0
        return commands + self.note(self.core.from_caller(Played(item, 1000, True), self.now))

    def calls(self, name: str = "pay", response: str = "r1", call_id: str = "c1", **arguments: object) -> list[Command]:
        """Let the agent call a function without speech."""
        call = vl.FunctionCall(response, f"item {call_id}", call_id, name, json.dumps(arguments))
        return self.agent(vl.ResponseCreated(response), call, vl.ResponseDone(response, "completed", ""))

    def types(self, keys: str, every_s: float = 0.2) -> list[Command]:
        commands: list[Command] = []
        for key in keys:
            commands += self.note(self.core.from_caller(Dtmf(key), self.now))
            commands += self.wait(every_s)
        return commands

    def wait(self, seconds: float) -> list[Command]:
        commands: list[Command] = []
        end = self.now + seconds
        while self.now < end:
            self.now = round(self.now + 0.05, 2)
            commands += self.core.tick(self.now)
        return self.note(commands)

    def answer(self, output: str, call_id: str = "c1") -> list[Command]:
        return self.note(self.core.tool_answered(call_id, output, self.now))

    def note(self, commands: Sequence[Command]) -> list[Command]:
        self.commands += commands
        return list(commands)

    @property
    def shown(self) -> str:
        """Everything that leaves the relay, except for the request of the tool."""
        return str([command for command in self.commands if not isinstance(command, RunTool)])


def ran(commands: Sequence[Command]) -> list[tuple[str, str | None]]:
    runs = [command for command in commands if isinstance(command, RunTool)]
    return [(run.name, run.typed.digits if run.typed else None) for run in runs]


def errors(commands: Sequence[Command]) -> list[str]:
    """Faults that the agent receives as the result of its function."""
    items = [cast(Any, event["item"]) for event in sent(list(commands)) if "item" in event]
    found = [json.loads(item["output"]) for item in items if item["type"] == "function_call_output"]
    return [str(output["error"]) for output in found]


def messages(commands: Sequence[Command], role: str = "user") -> list[str]:
    items = [cast(Any, event["item"]) for event in sent(list(commands)) if "item" in event]
    return [item["content"][0]["text"] for item in items if item.get("role") == role]


def asked(commands: Sequence[Command]) -> bool:
    """Whether the relay has the text spoken that asks for the digits."""
    return ASK in str(sent(list(commands)))


def recorded(commands: Sequence[Command]) -> list[tuple[str, str]]:
    entries = [c.entry for c in commands if isinstance(c, Record) and isinstance(c.entry, Notice)]
    return [(entry.what, entry.detail) for entry in entries if entry.what in ("tones", "keys", "tool_begun")]
