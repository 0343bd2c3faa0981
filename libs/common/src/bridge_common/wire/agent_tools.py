"""Tools with which an agent acts on its call: the same for function tools of the relay and tools of a Foundry agent.

The schemas use only what Foundry accepts: names without digits, no `anyOf`, no optional argument without a default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bridge_common.wire.action_kinds import fault_of


@dataclass(frozen=True, slots=True)
class AgentTool:
    name: str
    action: str
    """Name of the action, as in `entries.Act`."""
    description: str
    """Description for the model."""
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """JSON Schema of each argument. All are required."""
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
            given = json.loads(text or "{}")
        except ValueError:
            return "", "The arguments are not valid JSON."
        if not isinstance(given, dict):
            return "", "The arguments are not a JSON object."
        arguments = self.arguments_of(given)
        fault = fault_of(self.action, arguments)
        return arguments, f"{fault}." if fault else ""

    def arguments_of(self, given: Mapping[str, object]) -> str:
        """Return the action's arguments as canonical JSON text. Values that the tool does not know are dropped."""
        known = {self.arguments.get(name, name): given[name] for name in self.properties if name in given}
        return json.dumps(known, sort_keys=True, separators=(",", ":"))


_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 1000}

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
    )
}
