"""The roles of calls that act: what the agent or an operator requests, and the agent profile and script for it.

Each acting call has its own profile, called number and agent, so that a voice session identifies its call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lab.scenario import Agent, Reply, ScenarioFunctionCall, ScenarioTool
from lab.voice_live.handshake import CASCADED_MODELS
from lab.wire import Json

COPIES: Final = 2
"""Number of calls that can have the same role at the same time."""
GOODBYE: Final = (  # one sentence: an announcement is spoken sentence by sentence
    "It was a pleasure to help you with all of this today, and I wish you a very pleasant evening, goodbye."
)
SHORT_GOODBYE: Final = "Goodbye."
ANNOUNCEMENT: Final = "The train to the harbour leaves a quarter of an hour later today, from the second platform."
TONES: Final = "12345678#"
NOTE: Final = "wants a call on Monday"
DISPOSITION: Final = "call back"
LEAD: Final = "tones"
"""The fault is timed by the first request of this role."""
_FIRST_NUMBER: Final = 18_005_560_000
_MODELS: Final = sorted(CASCADED_MODELS)


@dataclass(frozen=True, slots=True)
class WantedAction:
    action: str
    arguments: Json
    by: str = "agent"

    def matches(self, entry: Json) -> bool:
        """Whether an entry of `GET /api/calls/{call_id}/actions` is this action."""
        return (entry["action"], entry["arguments"], entry["by"]) == (self.action, self.arguments, self.by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """`reply`: the script of the agent, which acts when the caller speaks; without it an operator requests `actions`.
    `announcement`: text that an operator lets the agent speak. `books`: the agent books with an HTTP tool.
    """

    name: str
    actions: tuple[WantedAction, ...] = ()
    reply: Reply | None = None
    announcement: str = ""
    books: bool = False

    @property
    def ends(self) -> bool:
        """Whether the call is to be hung up."""
        return any(action.action == "hang_up" for action in self.actions)

    @property
    def text(self) -> str:
        """Text that the caller must hear: the goodbye or the announcement; "" if there is none. The rest of a short
        goodbye that was cut is not repeated (`agent_relay.core.dialog.agent_speech.CUT_MS`).
        """
        short = self.reply is not None and self.reply.say == SHORT_GOODBYE
        return GOODBYE if self.ends and not short else self.announcement

    @property
    def tones(self) -> str:
        return "".join(str(one.arguments["tones"]) for one in self.actions if one.action == "send_dtmf")

    @property
    def in_model_mode(self) -> bool:
        return self.reply is not None and self.reply.call is not None

    @property
    def by_operator(self) -> bool:
        return self.reply is None


def _hang_up(by: str = "agent") -> WantedAction:
    return WantedAction("hang_up", {"reason": "done"} if by == "agent" else {}, by)


def _tones(by: str = "agent") -> WantedAction:
    return WantedAction("send_dtmf", {"tones": TONES}, by)


def _calls(
    name: str, arguments: Mapping[str, object], *, say: str | None = None, say_first: str | None = None
) -> Reply:
    return Reply(
        heard="Please.", call=ScenarioFunctionCall(name=name, arguments=dict(arguments)), say=say, say_first=say_first
    )


def _uses(name: str, arguments: Mapping[str, object], say: str) -> Reply:
    return Reply(heard="Please.", tool=ScenarioTool(name=name, arguments=dict(arguments), via="mcp"), say=say)


ROLES: Final = (
    Role(name="tones", actions=(_tones(),), reply=_calls("send_dtmf", {"digits": TONES}, say="They are sent.")),
    Role(
        name="goodbye-before",
        actions=(_hang_up(),),
        reply=_calls("end_call", {"reason": "done"}, say_first=GOODBYE, say=GOODBYE),
    ),
    Role(name="goodbye-after", actions=(_hang_up(),), reply=_calls("end_call", {"reason": "done"}, say=GOODBYE)),
    Role(
        name="goodbye-short",
        actions=(_hang_up(),),
        reply=_calls("end_call", {"reason": "done"}, say_first=SHORT_GOODBYE, say=SHORT_GOODBYE),
    ),
    Role(name="goodbye-operator", actions=(_hang_up("operator"),)),
    Role(name="goodbye-mcp", actions=(_hang_up(),), reply=_uses("end_call", {"reason": "done"}, GOODBYE)),
    Role(name="tones-operator", actions=(_tones("operator"),)),
    Role(name="tones-mcp", actions=(_tones(),), reply=_uses("send_dtmf", {"digits": TONES}, "They are sent.")),
    Role(
        name="note",
        actions=(WantedAction("note", {"text": NOTE}),),
        reply=_calls("add_note", {"text": NOTE}, say="It is noted."),
    ),
    Role(
        name="note-operator",
        actions=(
            WantedAction("note", {"text": NOTE}, "operator"),
            WantedAction("disposition", {"text": DISPOSITION}, "operator"),
        ),
    ),
    Role(name="booking", books=True, reply=_calls("book", {"day": "Monday"}, say="It is booked.")),
    Role(name="announcement", announcement=ANNOUNCEMENT),
)


@dataclass(frozen=True, slots=True)
class Part:
    """A role in one call. `copy` counts from 0."""

    role: Role
    copy: int = 0

    @property
    def name(self) -> str:
        """Name of the agent profile."""
        return f"{self.role.name}-{'ab'[self.copy]}"

    @property
    def agent(self) -> str:
        """Name of the agent or model at the simulated Voice Live. Only models have function tools."""
        if not self.role.in_model_mode:
            return self.name
        ours = [role for role in ROLES if role.in_model_mode]
        return _MODELS[COPIES * ours.index(self.role) + self.copy]

    @property
    def called(self) -> str:
        return f"+{_FIRST_NUMBER + COPIES * ROLES.index(self.role) + self.copy}"

    @property
    def script(self) -> Agent:
        return Agent(replies=(self.role.reply,) if self.role.reply else ())

    @property
    def profile(self) -> dict[str, Any]:
        model = self.role.in_model_mode
        fields: dict[str, Any] = {
            "target": {"model": self.agent} if model else {"agent": self.agent, "project": "lab-project"},
            "greeting": {"text": "Hello."},
            "goodbye_text": GOODBYE,
            "actions": ["end_call", "send_dtmf", "add_note", "set_disposition"],
        }
        return {**fields, "tools": [_BOOK]} if self.role.books else fields


_BOOK: Final = {
    "name": "book",
    "description": "Books an appointment.",
    "parameters": {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]},
    "url": "BUSINESS/appointments",
    "timeout_s": 4,
    "retries": 2,
}
PARTS: Final = tuple(Part(role, copy) for copy in range(COPIES) for role in ROLES)
PROFILES: Final = json.dumps({part.name: part.profile for part in PARTS})
"""Content of AGENT_PROFILES_FILE (JSON is YAML)."""
ROUTING: Final = json.dumps(
    {
        "rules": [
            *({"name": part.name, "called": part.called, "agent": part.name} for part in PARTS),
            {"name": "others", "agent": "default"},
        ]
    }
)
"""Content of ROUTING_POLICY."""


def cast(calls: int, turn: int) -> Iterator[Part]:
    """Yield the parts of one repetition, at most `COPIES` of each role. The roles that are cast more often than others
    change with `turn`; the lead is always cast.
    """
    others = [role for role in ROLES if role.name != LEAD]
    lead = next(role for role in ROLES if role.name == LEAD)
    shift = turn * 4 % len(others)
    order = [lead, *others[shift:], *others[:shift]]
    for number in range(min(calls, len(PARTS))):
        copy, role = divmod(number, len(order))
        yield Part(order[role], copy)
