"""Tools with which an agent acts on its call: the same for function tools of the relay and tools of a Foundry agent.

The schemas use only what Foundry accepts: names without digits, no `anyOf`, no optional argument without a default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bridge_common.base.errors import InputError
from bridge_common.wire.action_kinds import (
    MAX_SUMMARY,
    MAX_TEXT,
    MAX_TOPIC,
    participant_fault,
    target_fault,
    text_fault,
    tones_fault,
)
from bridge_common.wire.json_object import decode_object


@dataclass(frozen=True, slots=True)
class AgentTool:
    name: str
    action: str
    """Name of the action, as in `entries.Act`."""
    description: str
    """Description for the model."""
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """JSON Schema of each argument. All are required; one that may be empty may also be missing."""
    accepted: str = "Done."
    """Tool output for the model after the action was accepted."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Maps names of the tool's arguments to those of the action where they differ."""

    def parameters(self, **more: Mapping[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema of all arguments. `more`: additional ones, before those of the tool."""
        properties = {name: dict(schema) for name, schema in {**more, **self.properties}.items()}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def read(self, text: str) -> tuple[str, str]:
        """Convert the arguments of a function call (JSON text) to those of the action. Returns them and, if they are
        not valid, the fault.
        """
        try:
            given = decode_object(text or "{}", "the text of the arguments")
        except InputError as error:
            return "", _sentence(error.message)
        return self.arguments_of(given), self.fault_in(given)

    def arguments_of(self, given: Mapping[str, object]) -> str:
        """Return the action's arguments as canonical JSON text. Values that the tool does not know are dropped, and a
        topic or summary is cut to its limit: models cannot count characters.
        """
        known = {self.arguments.get(name, name): _cut(name, given[name]) for name in self.properties if name in given}
        return json.dumps(known, sort_keys=True, separators=(",", ":"))

    def fault_in(self, given: Mapping[str, object]) -> str:
        """Return every fault in the arguments of a tool call as sentences for the model, "" if they are valid."""
        known = ", ".join(f"`{name}`" for name in self.properties)
        unknown = [f"unknown argument {name[:64]!a}, use {known}" for name in given if name not in self.properties]
        faults = [
            _value_fault(name, schema, _cut(name, given.get(name, ""))) for name, schema in self.properties.items()
        ]
        return " ".join(_sentence(fault) for fault in (*unknown, *faults) if fault)


def _value_fault(name: str, schema: Mapping[str, Any], value: object) -> str:
    if allowed := schema.get("enum"):
        return "" if value in allowed else f"`{name}` must be one of {', '.join(allowed)}"
    check = _CHECKS.get(name)
    if check is not None:
        return check(f"`{name}`", value)
    return text_fault(f"`{name}`", value, least=schema["minLength"], most=schema["maxLength"])


def _cut(name: str, value: object) -> object:
    limit = _CONTEXT.get(name, {}).get("maxLength")
    return value[:limit] if isinstance(value, str) and isinstance(limit, int) else value


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


_CHECKS: Final = {"digits": tones_fault, "target": target_fault, "participant": participant_fault}
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
_TARGET: Final = {
    "type": "string",
    "description": "Name of the person, team or queue, from the instructions. Not a phone number.",
}
_PARTICIPANT: Final = {"type": "string", "description": "`caller`, or the name of a person in the call."}
_CONTEXT: Final = {
    "topic": {
        "type": "string",
        "minLength": 0,
        "maxLength": MAX_TOPIC,
        "description": f"What the call is about, in at most {MAX_TOPIC} characters.",
    },
    "summary": {
        "type": "string",
        "minLength": 0,
        "maxLength": MAX_SUMMARY,
        "description": f"What the caller wants and what was said so far, in at most {MAX_SUMMARY} characters. "
        "The person sees it before answering.",
    },
}

AGENT_TOOLS: Final[Mapping[str, AgentTool]] = {
    tool.name: tool
    for tool in (
        AgentTool(
            "end_call",
            "hang_up",
            "Ends the phone call. Say goodbye in the same turn, before you call it. Use it only when the caller is "
            "done or asks for it, not for pauses, holds or transfers.",
            {"reason": {"type": "string", "enum": ["done", "caller_asked", "abuse", "voicemail"]}},
            accepted="The call ends after your goodbye. If you have not said goodbye yet, do it now in one short "
            "sentence. Say nothing else.",
        ),
        AgentTool(
            "send_dtmf",
            "send_dtmf",
            "Sends key tones to the other side of the call, for example to a phone menu.",
            {
                "digits": {
                    "type": "string",
                    "description": "1 to 18 of 0-9, A-D, * and #",
                    "pattern": "^[0-9A-D*#]{1,18}$",
                }
            },
            accepted="The tones are being sent.",
            arguments={"digits": "tones"},
        ),
        AgentTool(
            "add_note",
            "note",
            "Stores a note with the call, for the people who look at it later. The caller does not hear it.",
            {"text": _TEXT},
            accepted="The note is stored.",
        ),
        AgentTool(
            "set_disposition",
            "disposition",
            "Stores the outcome of the call in a word or a short sentence, for example: appointment made.",
            {"text": _TEXT},
            accepted="The outcome is stored.",
        ),
        AgentTool(
            "transfer_call",
            "transfer",
            "Connects the caller to a person. Tell the caller in the same turn, before you call it. If the person is "
            "not reached, you are told why and continue the conversation.",
            {"target": _TARGET, **_CONTEXT},
            accepted="The person is being called after your words. If you have not told the caller yet, do it now in "
            "one short sentence. Then say nothing until you are told the outcome.",
        ),
        AgentTool(
            "add_participant",
            "add_participant",
            "Calls a person into this call. The caller stays in the call, and so do you.",
            {"target": _TARGET, **_CONTEXT},
            accepted="The person is being called. You are told the outcome.",
        ),
        AgentTool(
            "remove_participant",
            "remove_participant",
            "Removes a person from the call that you have called into it.",
            {"participant": _PARTICIPANT},
            accepted="The person is being removed.",
        ),
        AgentTool(
            "hold_call",
            "hold",
            "Puts the caller or another person on hold, who then hears nobody. Tell them before.",
            {"participant": _PARTICIPANT},
            accepted="The hold begins.",
        ),
        AgentTool(
            "resume_call",
            "resume",
            "Ends the hold of the caller or of another person.",
            {"participant": _PARTICIPANT},
            accepted="The hold ends.",
        ),
        AgentTool(
            "mute_participant",
            "mute",
            "Mutes a person in the call. It cannot be undone.",
            {"participant": _PARTICIPANT},
            accepted="The person is being muted.",
        ),
    )
}
