"""A conversation in a test, driven step by step, and readers of the commands that each step brought."""

from __future__ import annotations

from collections.abc import Sequence

from agent_relay.core.dialog.audience import UNKNOWN_PARTIES, CallParties
from agent_relay.core.dialog.conversation import Conversation
from agent_relay.core.dialog.conversation_commands import Append, Command, Overdue, Record, Send
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.session_profile import SessionProfile, session_profile_of
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget
from bridge_common.wire.audio import bytes_of_ms
from bridge_common.wire.entries import Notice, Played, Playing, TranscriptEntry

SECOND = bytes(bytes_of_ms(1000, 24_000))
GREETING = Greeting(text="Welcome!")
PROBE = "conversation.item.retrieve"


def profile_for(
    mode: Mode = Mode.MODEL, greeting: Greeting | None = None, tools: frozenset[str] = frozenset()
) -> SessionProfile:
    target = VoiceTarget(mode=mode, endpoint="https://res", api_version="2026-07-15", model="gpt-4.1")
    return session_profile_of(AgentProfile(greeting=greeting), target, tools=tools)


def updated(conversation_id: str = "") -> vl.SessionUpdated:
    return vl.SessionUpdated("sess_1", conversation_id, 0)


class Talk:
    """A conversation and the commands that each step of it brought."""

    def __init__(
        self,
        profile: SessionProfile,
        *,
        greeted: bool = False,
        resumed: bool = False,
        history: History | None = None,
        said: str = "",
        transcript: Sequence[TranscriptEntry] = (),
        alone: bool = True,
        reference: str = "",
        parties: CallParties = UNKNOWN_PARTIES,
    ) -> None:
        self.core = Conversation(
            profile,
            history or History(),
            greeted=greeted,
            resumed=resumed,
            said=said,
            transcript=transcript,
            reference=reference,
            parties=parties,
        )
        if alone:
            self.core.left_alone(0.0)
        self.now = 1.0

    def open(self, conversation_id: str = "", *, answers_probes: bool = True) -> list[Command]:
        self.core.connected(self.now)
        self.hear(vl.SessionCreated("sess_1", "", 0))
        commands = self.hear(updated(conversation_id))
        return commands + (self.answer_probe() if answers_probes else [])

    def answer_probe(self) -> list[Command]:
        return self.hear(vl.ErrorEvent("item_retrieve_invalid_item_id", "No item", "item_id", "probe-1"))

    def hear(self, *events: vl.ServerEvent) -> list[Command]:
        return [command for event in events for command in self.core.voice_event(event, self.now)]

    def turn(self, text: str = "Where is my order?", item: str = "u1") -> list[Command]:
        started, stopped = vl.SpeechStarted(item), vl.SpeechStopped(item)
        return self.hear(started, stopped, vl.UserTranscript(item, text))

    def play(self, item: str, ms: int = 1000) -> list[Command]:
        """The caller hears an item to its end."""
        first = self.core.from_caller(Playing(item), self.now)
        self.now += ms / 1000
        return first + self.core.from_caller(Played(item, ms, True), self.now)

    def reply(self, item: str = "a1", response: str = "r1", status: str = "completed") -> list[Command]:
        return self.hear(
            vl.ResponseCreated(response),
            vl.AgentTranscriptDone(response, item, "It is on its way."),
            vl.AudioDelta(response, item, SECOND),
            vl.ResponseDone(response, status, ""),
        )


def sent(commands: list[Command]) -> list[vl.ClientEvent]:
    """All but probes."""
    return [c.event for c in commands if isinstance(c, Send) and c.event["type"] != PROBE]


def probes(commands: list[Command]) -> list[vl.ClientEvent]:
    return [c.event for c in commands if isinstance(c, Send) and c.event["type"] == PROBE]


def types(commands: list[Command]) -> list[object]:
    return [event["type"] for event in sent(commands)]


def notices(commands: list[Command]) -> list[str]:
    return [c.entry.what for c in commands if isinstance(c, Record) and isinstance(c.entry, Notice)]


def appended(commands: list[Command]) -> list[object]:
    return [c.entry for c in commands if isinstance(c, Append)]


def outcomes(commands: list[Command]) -> list[tuple[str, str]]:
    """Kind and outcome of each speech that is overdue."""
    return [(c.kind, c.outcome) for c in commands if isinstance(c, Overdue)]
