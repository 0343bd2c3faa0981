"""The commands of a conversation are valid for any order of events."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent_relay.core.dialog.conversation import Conversation
from agent_relay.core.dialog.conversation_commands import (
    Abandon,
    Append,
    Command,
    MarkGreeted,
    MarkSaid,
    Ready,
    Record,
    RunTool,
    Send,
    WallClock,
)
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.session_profile import session_profile_of
from agent_relay.core.dialog.voice_session import Phase
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget
from bridge_common.wire.entries import (
    Audio,
    Clear,
    Dtmf,
    ItemEnd,
    MediaAttached,
    MediaDetached,
    Notice,
    Played,
    Playing,
    Say,
    Turn,
)

ITEMS = st.sampled_from(["a1", "a2", "a3"])
RESPONSES = st.sampled_from(["r1", "r2", "r3", "r4", "r5", "r6"])
SAYS = st.sampled_from(["u1", "u2", "u3"])
STATUS = st.sampled_from(["completed", "cancelled", "failed", "incomplete"])
CODES = st.sampled_from(["conversation_already_has_active_response", "invalid_value", "invalid_request_error"])
WORDS = st.sampled_from(["Yes. ", "Dr. ", "and so on ", "No"])
LENGTHS_MS = st.sampled_from([0, 20, 250, 1000])


class AnyOrder(RuleBasedStateMachine):
    """A service, a gateway and a caller that do anything at any time. Every command is checked against the rules."""

    def __init__(self) -> None:
        super().__init__()
        target = VoiceTarget(mode=Mode.MODEL, endpoint="https://res", api_version="2026-07-15", model="m")
        profile = AgentProfile(greeting=Greeting(text="Welcome!"))
        session_profile = session_profile_of(profile, target, tools=frozenset({"known"}))
        self.core = Conversation(session_profile, History())
        self.now = 1.0
        self.active = ""
        self.asked = ""
        self.named: set[str] = set()
        """Responses that this session has begun or ended. A service uses an id for one response only."""
        self.called: set[str] = set()
        self.cleared: set[str] = set()
        self.generated_ms: dict[str, int] = {}
        self.greetings_heard = 0
        self.greeting_response = ""
        self.granted = False
        self.tools: list[str] = []
        self.written: dict[int, int] = {}
        self.pieces = 0
        self.ended = False

    # -- the rules
    def check(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Send():
                    self.check_sent(command.event)
                case Append():
                    self.check_appended(command)
                case MarkGreeted():
                    assert not self.granted, "the greeting is marked once"
                    self.granted = True
                case RunTool():
                    self.tools.append(command.call_id)
                case Record():
                    if isinstance(command.entry, Turn):
                        assert command.entry.heard_ms <= 100_000
                case Ready() | Abandon() | MarkSaid():
                    pass

    def check_sent(self, event: vl.ClientEvent) -> None:
        kind = event["type"]
        if kind == "session.update":
            assert self.core.phase is Phase.OPENING
            return
        assert self.core.phase is Phase.READY, f"{kind} without a session"
        if kind == "response.cancel":
            assert event["response_id"] == self.active, "a cancel for what is not active"
        if kind == "response.create":
            assert not self.active, "a second response"
            assert not self.asked, "a second request"
            self.asked = str(event["event_id"])
        if kind == "conversation.item.truncate":
            item = str(event["item_id"])
            end = event["audio_end_ms"]
            assert isinstance(end, int)
            assert 0 <= end <= self.generated_ms[item], "truncated beyond what was generated"

    def check_appended(self, command: Append) -> None:
        entry = command.entry
        assert not self.ended
        if isinstance(entry, Clear):
            self.cleared.add(entry.item_id)
        if isinstance(entry, Audio | ItemEnd):
            assert entry.item_id not in self.cleared, "audio of a cleared item"

    def hear(self, event: vl.ServerEvent) -> None:
        self.check(self.core.voice_event(event, self.now))

    # -- the service
    @precondition(lambda self: self.core.phase is Phase.CLOSED and not self.ended)
    @rule()
    def connect(self) -> None:
        self.active = self.asked = ""
        self.named.clear()
        self.generated_ms.clear()
        self.check(self.core.connected(self.now))

    @rule()
    def session_created(self) -> None:
        self.hear(vl.SessionCreated("s", "", 0))

    @rule()
    def session_updated(self) -> None:
        self.hear(vl.SessionUpdated("s", "", 0))

    @rule()
    def session_lost(self) -> None:
        self.active = self.asked = ""
        self.check(self.core.session_lost("1006", self.now))

    def begin(self, response: str) -> bool:
        """Begin a response by `response.created`, its first audio or its first function call."""
        if response in self.named:
            return False
        self.named.add(response)
        if self.asked.startswith("greeting"):
            self.greeting_response = response
        self.active, self.asked = response, ""
        return True

    @precondition(lambda self: self.core.phase is Phase.READY and not self.active)
    @rule(response=RESPONSES)
    def response_created(self, response: str) -> None:
        if self.begin(response):
            self.hear(vl.ResponseCreated(response))

    @rule(response=RESPONSES, item=ITEMS, ms=LENGTHS_MS)
    def audio_delta(self, response: str, item: str, ms: int) -> None:
        if self.core.phase is Phase.READY:
            self.generated_ms[item] = self.generated_ms.get(item, 0) + ms
            if ms:
                self.begin(response)
        self.hear(vl.AudioDelta(response, item, bytes(ms * 48)))

    @rule(response=RESPONSES, item=ITEMS)
    def item_done(self, response: str, item: str) -> None:
        self.hear(vl.ItemDone(response, item))

    @rule(response=RESPONSES, item=ITEMS, whole=st.booleans())
    def agent_text(self, response: str, item: str, whole: bool) -> None:
        kind = vl.AgentTranscriptDone if whole else vl.AgentTranscriptDelta
        self.hear(kind(response, item, "some words of the agent"))

    @rule(response=RESPONSES, status=STATUS)
    def response_done(self, response: str, status: str) -> None:
        # A service ends only what it began: other ends are kept from this one's rules by `active`.
        if response == self.active:
            self.active = ""
        if self.core.phase is Phase.READY:
            self.named.add(response)
        reason = "turn_detected" if status == "cancelled" else ""
        self.hear(vl.ResponseDone(response, status, reason))

    @rule(response=RESPONSES, name=st.sampled_from(["known", "unknown"]), call=st.sampled_from(["c1", "c2"]))
    def function_call(self, response: str, name: str, call: str) -> None:
        if call not in self.called and self.core.phase is Phase.READY:
            self.called.add(call)
            self.begin(response)
        self.hear(vl.FunctionCall(response, "f1", call, name, "{}"))

    @rule(code=CODES, about_request=st.booleans())
    def error(self, code: str, about_request: bool) -> None:
        event_id = self.asked if about_request else "truncate-1"
        if about_request and self.core.phase is Phase.READY:
            self.asked = ""
        self.hear(vl.ErrorEvent(code, "", "", event_id or "other"))

    @rule(say=SAYS)
    def speech_started(self, say: str) -> None:
        self.hear(vl.SpeechStarted(say))

    @rule(say=SAYS)
    def speech_stopped(self, say: str) -> None:
        self.hear(vl.SpeechStopped(say))

    @rule(say=SAYS)
    def user_transcript(self, say: str) -> None:
        self.hear(vl.UserTranscript(say, "some words of the caller"))

    # -- the gateway and the caller
    @rule(item=ITEMS, ms=LENGTHS_MS, complete=st.booleans())
    def played(self, item: str, ms: int, complete: bool) -> None:
        self.check(self.core.from_caller(Played(item, ms, complete), self.now))

    @rule(item=ITEMS)
    def playing(self, item: str) -> None:
        self.check(self.core.from_caller(Playing(item), self.now))

    @rule(tone=st.sampled_from(["1", "#"]))
    def dtmf(self, tone: str) -> None:
        self.check(self.core.from_caller(Dtmf(tone), self.now))

    @rule(attached=st.booleans())
    def media(self, attached: bool) -> None:
        entry = MediaAttached(16000) if attached else MediaDetached("gone")
        self.check(self.core.from_caller(entry, self.now))

    @rule()
    def caller_audio(self) -> None:
        self.check(self.core.caller_audio(self.now))

    @precondition(lambda self: self.granted)
    @rule()
    def greeting_granted(self) -> None:
        if self.greetings_heard == 0:
            self.greetings_heard = 1
            self.check(self.core.greeting_granted(True, self.now))

    @precondition(lambda self: self.tools)
    @rule()
    def tool_answered(self) -> None:
        self.check(self.core.tool_answered(self.tools.pop(), "output", self.now))

    # -- announcements
    @rule(number=st.sampled_from([0, 1, 2]), words=WORDS, last=st.booleans(), interrupt=st.booleans())
    def say(self, number: int, words: str, last: bool, interrupt: bool) -> None:
        at = self.written.get(number, 0)
        self.pieces += 1
        self.written[number] = at + len(words)
        piece = Say(f"say_{number}", at, words, last, interrupt and at == 0)
        self.check(self.core.say(f"{self.pieces}-0", piece, self.now))

    @rule(held=st.booleans())
    def hold_announcements(self, held: bool) -> None:
        due = self.core.next_at()
        if due is not None and self.now >= due:
            self.asked = ""
        self.check(self.core.hold_announcements(held, self.now))

    # -- time
    @rule(seconds=st.sampled_from([0.0, 0.02, 0.3, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        due = self.core.next_at()
        if due is not None and self.now >= due:
            if self.asked and self.now >= due:
                # A request that was given up is no longer pending.
                self.asked = ""
            self.check(self.core.tick(self.now))

    @invariant()
    def a_due_time_is_worked_off(self) -> None:
        """After `tick`, only an abandoned session may be due; otherwise the driver would spin."""
        due = self.core.next_at()
        if due is not None and due <= self.now:
            commands = self.core.tick(self.now)
            self.asked = ""
            self.check(commands)
            again = self.core.next_at()
            assert again is None or again > self.now or any(isinstance(c, Abandon) for c in commands)

    def teardown(self) -> None:
        self.ended = True
        self.check(self.core.call_ended(self.now))
        assert self.core.call_ended(self.now) == []


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


def test_monotonic_seconds_become_unix_milliseconds() -> None:
    clock = WallClock(1000.5)
    assert clock.unix_ms(2.25) == 1_002_750
    assert clock.notice("tones", "12", 2.25) == Record(Notice("tones", "12", 1_002_750))
    assert clock.notice("tones", "12", 2.25, private=True).private
