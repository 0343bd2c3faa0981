"""A pending response is heard, canceled or handed to human agents within its time limit, for any behavior of the
service.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from agent_relay.core.dialog.conversation import Conversation
from agent_relay.core.dialog.conversation_commands import (
    Abandon,
    Append,
    Command,
    GiveUp,
    MarkGreeted,
    Overdue,
    Record,
    Send,
)
from agent_relay.core.dialog.history import History
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.voice_target import Mode
from bridge_common.wire.audio import VOICE_RATE_HZ, bytes_of_ms
from bridge_common.wire.entries import (
    Audio,
    Clear,
    Dtmf,
    MediaAttached,
    MediaDetached,
    Notice,
    Played,
    Playing,
)
from tests.unit.support.talk import GREETING, profile_for

SECOND: Final = bytes(bytes_of_ms(1000, VOICE_RATE_HZ))
PLAN: Final = profile_for(Mode.MODEL, GREETING)
LIMITS: Final = PLAN.limits
BOUND_S: Final = 2 * (LIMITS.start_s + LIMITS.patience_s) + LIMITS.patience_s + LIMITS.fallback_s + 10
"""The sum of two attempts, the waits for a rate limit, the fallback text, and ten seconds for sessions, keys and
playout.
"""

RESPONSES: Final = (
    "spoken", "spoken late", "spoken very late", "silent", "written", "failed", "incomplete", "quota", "quota 3 s",
    "never ends", "stops", "refused", "error without id", "no answer", "session drops", "late created",
)  # fmt: skip
PAUSES_S: Final = (0.3, 1.0, 3.0, 8.0, 40.0, 200.0)
CALLERS: Final = ("words", "words, no transcript", "words, late transcript", "cough", "failed cough", "key", "#")
NETWORK: Final = ("nothing", "nothing", "nothing", "media lost", "session drops")


class World:
    """A caller, a gateway and a service around one conversation, in virtual time. The service answers all probes."""

    def __init__(self, responses: list[str]) -> None:
        self.core = Conversation(PLAN, History())
        self.now = 0.0
        self.responses = itertools.cycle(responses)
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = itertools.count(1)
        self.session = 0
        self.active = ""
        self.unplayed: list[str] = []
        self.plays_until = 0.0
        self.media = True
        self.owed_since: float | None = None
        self.asks = self.forgiven = self.moves = self.quotas = 0
        self.given_up = self.speaks = False
        self.overdue: list[Overdue] = []

    # -- time
    def at(self, delay_s: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.agenda, (self.now + delay_s, next(self.numbers), action))

    def of_session(self, delay_s: float, action: Callable[[], None]) -> None:
        session = self.session
        self.at(delay_s, lambda: action() if session == self.session else None)

    def run(self, until: float) -> None:
        for _ in range(20_000):
            due = self.core.next_at()
            next_at = min(due if due is not None else until, self.agenda[0][0] if self.agenda else until, until)
            self.now = max(self.now, next_at)
            if self.given_up or (self.now >= until and not (self.agenda and self.agenda[0][0] <= until)):
                return
            if self.agenda and self.agenda[0][0] <= self.now:
                heapq.heappop(self.agenda)[2]()
            else:
                self.do(self.core.tick(self.now))
            self.check()
        raise AssertionError("the conversation never comes to rest")

    def check(self) -> None:
        if self.owed_since is not None and not self.given_up:
            assert self.now - self.owed_since <= BOUND_S, f"nothing heard for {self.now - self.owed_since:.0f} s"
            assert self.asks <= 2 + self.forgiven, "asked for more than once again"
            assert self.moves <= 1, "more than one session for a debt"

    def owe(self) -> None:
        self.owed_since = self.now
        self.asks = self.forgiven = self.moves = self.quotas = 0

    def nothing_owed(self) -> None:
        self.owed_since = None
        self.quotas = 0

    # -- commands of the conversation
    def do(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Send():
                    self.sent(command.event)
                case Append(entry=Audio() as audio):
                    self.queue(audio)
                case Append(entry=Clear()):
                    self.clear()
                case MarkGreeted():
                    self.at(0.01, lambda: self.do(self.core.greeting_granted(True, self.now)))
                    self.owe()
                case Abandon():
                    assert not self.quotas, "a session is opened for a quota"
                    self.moves += 1
                    self.drop()
                case GiveUp():
                    self.given_up = True
                case Record(entry=Notice(what="tones")):
                    self.owe()
                case Overdue(outcome="resumed"):
                    self.owe()
                case Overdue():
                    self.overdue.append(command)
                case _:
                    pass

    def sent(self, event: vl.ClientEvent) -> None:
        kind, event_id = event["type"], str(event.get("event_id"))
        if kind == "session.update":
            self.of_session(0.1, lambda: self.hear(vl.SessionUpdated("s", "", 0)))
        elif kind == "conversation.item.retrieve":
            self.of_session(0.05, lambda: self.hear(vl.ErrorEvent("item_retrieve_invalid_item_id", "", "", event_id)))
        elif kind == "response.cancel":
            if self.active == event["response_id"]:
                self.of_session(0.05, lambda: self.done(str(event["response_id"]), "cancelled", "client_cancelled"))
        elif kind == "response.create":
            if not event_id.startswith("fallback"):
                self.asks += 1
            self.of_session(0.05, lambda: self.respond(event_id))

    # -- the service
    def connect(self) -> None:
        self.session += 1
        self.speaks = False
        self.active = ""
        self.do(self.core.connected(self.now))
        self.of_session(0.1, lambda: self.hear(vl.SessionCreated("s", "", 0)))

    def drop(self) -> None:
        self.session += 1
        self.active = ""
        self.do(self.core.session_lost("1006", self.now))
        self.at(0.3, self.connect)

    def hear(self, event: vl.ServerEvent) -> None:
        self.do(self.core.voice_event(event, self.now))

    def respond(self, event_id: str = "") -> None:
        """Begin the response to a request, or ("") one without a request to the caller, unless they speak again."""
        if not event_id and self.speaks:
            return
        if self.active:
            self.forgiven += 1
            self.hear(vl.ErrorEvent("conversation_already_has_active_response", "", "", event_id or "x"))
            return
        kind, response = next(self.responses), f"r{next(self.numbers)}"
        item = f"i{response}"
        if kind == "no answer":
            return
        if kind in ("refused", "error without id"):
            code = "invalid_value" if kind == "refused" else "server_error"
            if event_id:
                self.hear(vl.ErrorEvent(code, "no", "", event_id if kind == "refused" else "", code))
                self.forgiven += event_id.startswith("greeting") and kind == "refused"  # its other form is tried
            return
        if kind == "session drops":
            self.drop()
            return
        self.active = response
        if kind == "late created":
            self.of_session(20.0, lambda: self.hear(vl.ResponseCreated(response)))
        else:
            self.hear(vl.ResponseCreated(response))
        delay_s = {"spoken late": 22.0, "spoken very late": 59.0, "late created": 21.0}.get(kind, 0.3)
        if kind.startswith("spoken") or kind in ("late created", "stops"):
            self.of_session(delay_s, lambda: self.hear(vl.AudioDelta(response, item, SECOND)))
        if kind == "written":
            self.of_session(delay_s, lambda: self.hear(vl.AgentTextDone(response, item, "We open at nine.")))
        if kind in ("never ends", "stops"):
            return
        status = {"failed": "failed", "quota": "failed", "quota 3 s": "failed", "incomplete": "incomplete"}
        self.of_session(delay_s + 0.1, lambda: self.done(response, status.get(kind, "completed"), "", kind))

    def done(self, response: str, status: str, reason: str, kind: str = "") -> None:
        if self.active != response:
            return
        self.active = ""
        message = "Please try again in 3s." if kind == "quota 3 s" else ""
        if kind.startswith("quota"):
            reason = "rate_limit_exceeded"
            self.quotas += 1
            self.forgiven += 1
        self.hear(vl.ResponseDone(response, status, reason, message))

    # -- the gateway
    def queue(self, audio: Audio) -> None:
        if audio.item_id not in self.unplayed and self.media:
            self.unplayed.append(audio.item_id)
            starts_s = max(self.plays_until - self.now, 0.05)
            self.plays_until = self.now + starts_s + 1.0
            self.at(starts_s, lambda: self.play(audio.item_id))

    def play(self, item_id: str) -> None:
        if item_id in self.unplayed:
            self.nothing_owed()
            self.do(self.core.from_caller(Playing(item_id), self.now))
            self.at(1.0, lambda: self.played(item_id))

    def played(self, item_id: str) -> None:
        if item_id in self.unplayed:
            self.unplayed.remove(item_id)
            self.do(self.core.from_caller(Played(item_id, 1000, True), self.now))

    def clear(self) -> None:
        unplayed, self.unplayed = self.unplayed, []
        self.plays_until = self.now
        for item_id in unplayed:
            self.at(0.02, partial(self.never_played, item_id))

    def never_played(self, item_id: str) -> None:
        self.do(self.core.from_caller(Played(item_id, 0, False), self.now))

    def lose_media(self) -> None:
        self.media, self.unplayed, self.plays_until = False, [], self.now
        since = self.owed_since
        self.nothing_owed()
        self.do(self.core.from_caller(MediaDetached("gone"), self.now))

        def attach() -> None:
            self.media = True
            if since is not None:
                self.owed_since = self.now
            self.do(self.core.from_caller(MediaAttached(16_000), self.now))

        self.at(2.0, attach)

    # -- the caller
    def speak(self, kind: str) -> None:
        item = f"u{next(self.numbers)}"
        self.speaks = True
        self.nothing_owed()
        self.hear(vl.SpeechStarted(item))
        if self.active:
            self.done(self.active, "cancelled", "turn_detected")

        def stop() -> None:
            self.speaks = False
            self.hear(vl.SpeechStopped(item))
            if kind.startswith("words"):
                self.owe()
                self.of_session(0.2, self.respond)
            text = vl.UserTranscript(item, "Where is my order?" if kind.startswith("words") else "")
            told: vl.ServerEvent = vl.UserTranscriptFailed(item, "") if kind == "failed cough" else text
            if kind != "words, no transcript":
                self.of_session(9.0 if "late" in kind else 0.1, lambda: self.hear(told))

        self.of_session(0.5, stop)

    def press(self, tone: str) -> None:
        self.do(self.core.from_caller(Dtmf(tone), self.now))

    def act(self, caller: str, network: str) -> None:
        if network == "media lost" and self.media:
            self.lose_media()
        elif network == "session drops":
            self.drop()
        if not self.speaks:
            self.press("1" if caller == "key" else "#") if caller in ("key", "#") else self.speak(caller)


@settings(max_examples=400, deadline=None)
@given(
    responses=st.lists(st.sampled_from(RESPONSES), min_size=1, max_size=12),
    acts=st.lists(
        st.tuples(st.sampled_from(CALLERS), st.sampled_from(NETWORK), st.sampled_from(PAUSES_S)),
        max_size=8,
    ),
)
def test_what_is_owed_is_heard_taken_back_or_handed_over(
    responses: list[str], acts: list[tuple[str, str, float]]
) -> None:
    world = World(responses)
    world.do(world.core.from_caller(MediaAttached(16_000), 0.0))
    world.do(world.core.caller_audio(0.0))
    world.connect()
    world.run(5.0)
    for caller, network, after_s in acts:
        if world.given_up:
            break
        world.act(caller, network)
        world.run(world.now + after_s)
    world.run(world.now + BOUND_S + 30)
    assert world.given_up or world.owed_since is None
    if world.given_up:
        assert world.overdue, "the reason is reported to operators"
