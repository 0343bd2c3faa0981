"""The protocol of one session: client events in, server events out. No I/O and no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lab.scenario import VoiceAgentDefinition
from lab.unsupported import PretendedError, Unsupported
from lab.voice_live import server_events, voice_agent
from lab.voice_live.agent_script import SayStep, heard_in_turn
from lab.voice_live.answering import Answering
from lab.voice_live.caller_audio import CallerAudio
from lab.voice_live.client_events import ClientEvent, response_options
from lab.voice_live.conversation_items import ConversationItem, decode_item, user_audio
from lab.voice_live.handshake import AgentMode, VoiceAgentMode
from lab.voice_live.injected_faults import NoWordsFault, VoiceLiveFaults, due
from lab.voice_live.record import SessionRecord
from lab.voice_live.server_events import Event, RefusedError, event
from lab.voice_live.session_config import updated_session
from lab.voice_live.simulated_response import cancelled
from lab.voice_live.turn_detection import DetectedSpeechStart, DetectedSpeechStop
from lab.voice_live.unsupported_by_voice_live import pretended_in_event, refusal, unsupported_fields


@dataclass
class Dialogue:
    record: SessionRecord
    answering: Answering
    faults: Callable[[], VoiceLiveFaults] = VoiceLiveFaults
    accept_session_agent: bool = False
    unsupported: Unsupported = field(default_factory=lambda: unsupported_fields(strict=False))
    caller: CallerAudio = field(default_factory=CallerAudio)
    _turn_item_id: str = ""
    _greets: bool = False

    @property
    def _definition(self) -> VoiceAgentDefinition | None:
        voice_agent_mode = isinstance(self.record.mode, VoiceAgentMode)
        return self.answering.agent.definition if voice_agent_mode else None

    def open(self, now: float) -> list[Event]:
        definition = self._definition
        self.caller.kept = self.record.heard if self.answering.agent.keep_audio else None
        if definition is not None:
            self.record.session = voice_agent.defined(self.record.session, definition)
            self._greets = definition.greeting is not None
        self.caller.configure(self.record.session)
        self.record.note(now, "session_created")
        created = event("session.created", session=self.record.session)
        if definition is None:
            return [created]
        opened = [{**created, "conversation_id": self.record.conversation.id}]
        if definition.updated == "unasked":
            self.record.note(now, "session_updated")
            opened.append(event("session.updated", session=self.record.session))
        return opened if definition.updated == "asked" else opened + self._greet(definition, now)

    def _greet(self, definition: VoiceAgentDefinition, now: float) -> list[Event]:
        """Begin the greeting of a voice agent's definition, once."""
        greets, self._greets = self._greets, False
        if not greets or definition.greeting is None:
            return []
        return self.answering.begin({}, now, self.faults(), SayStep(definition.greeting))

    def receive(self, given: ClientEvent, now: float) -> list[Event]:
        """Handle a client event and return the server events to send immediately. Raises `RefusedError`; the state is
        then unchanged.
        """
        answer = _ANSWERS.get(given.type)
        if answer is None:
            raise RefusedError(f"Unsupported event type: {given.type!r}", "invalid_value", "type")
        fields = pretended_in_event(given.type, given.body)
        self.record.pretended.update(fields)
        try:
            self.unsupported.used(*fields)
        except PretendedError as error:
            raise refusal(error) from error
        return list(answer(self, given.body, now))

    def begin_turn(self, at_ms: int, now: float) -> list[Event]:
        """Begin a turn of the caller without turn detection. The first event is `speech_started`."""
        return self._speech_started(DetectedSpeechStart(at_ms), now)

    def end_turn(self, at_ms: int, now: float) -> list[Event]:
        self.record.note(now, "speech_stopped", audio_end_ms=at_ms, item_id=self._turn_item_id)
        stopped = server_events.speech_stopped(at_ms, self._turn_item_id)
        turn = self._caller_turn(self._turn_item_id, self.caller.turn_start_ms, at_ms, now)
        return [stopped, *turn, *self.answering.take_deferred()]

    # Session

    def _update_session(self, body: Mapping[str, object], now: float) -> Iterable[Event]:
        record, definition = self.record, self._definition
        if definition is not None and definition.overrides != "applied":
            return self._without_overrides(definition, body, now)
        updated = updated_session(
            record.session,
            body.get("session"),
            record.mode,
            spoken=self.answering.latest_spoken is not None,
            accept_agent=self.accept_session_agent,
        )
        if isinstance(record.mode, AgentMode) and isinstance(agent := updated.get("agent"), Mapping):
            updated["agent"] = {**agent, "thread_id": record.conversation.id}
        record.session = updated
        self.caller.configure(updated)
        record.heard_rate_hz = self.caller.rate_hz
        record.note(now, "session_updated")
        if definition is None:
            return [event("session.updated", session=updated)]
        return [*self._updated(definition), *self._greet(definition, now)]

    def _updated(self, definition: VoiceAgentDefinition) -> list[Event]:
        return [] if definition.updated == "never" else [event("session.updated", session=self.record.session)]

    def _without_overrides(
        self, definition: VoiceAgentDefinition, body: Mapping[str, object], now: float
    ) -> list[Event]:
        answers = self._updated(definition)
        if definition.overrides == "refused":
            event_id = body.get("event_id")
            refused = RefusedError("This session does not accept session.update", "session_update_not_supported")
            answers = [server_events.error(refused, event_id if isinstance(event_id, str) else None)]
        self.record.note(now, f"overrides_{definition.overrides}")
        return [*answers, *self._greet(definition, now)]

    # The caller's audio

    def _append(self, body: Mapping[str, object], now: float) -> Iterable[Event]:
        counters = self.record.counters
        counters["appends"] += 1
        if counters["appends"] == 1:
            self.record.note(now, "first_audio_in")
        answers: list[Event] = []
        for edge in self.caller.append(body.get("audio")):
            if isinstance(edge, DetectedSpeechStart):
                answers += self._speech_started(edge, now)
            else:
                answers += self._speech_stopped(edge, now)
        return answers

    def _speech_started(self, edge: DetectedSpeechStart, now: float) -> list[Event]:
        self._turn_item_id = server_events.new_id("item")
        self.caller.turn_start_ms = edge.audio_start_ms
        self.record.note(now, "speech_started", audio_start_ms=edge.audio_start_ms, item_id=self._turn_item_id)
        answers = [server_events.speech_started(edge.audio_start_ms, self._turn_item_id)]
        if not self._turn_switch("interrupt_response"):
            return answers
        if (active := self.answering.active) is not None:
            self.record.counters["barge_ins"] += 1
            late = self.faults().late_deltas
            if late is not None and active.last_delta and late.take():
                answers += [active.repeated_delta() for _ in range(late.count)]
            answers += self.answering.end(active, cancelled("turn_detected"), now)
        return answers + self._auto_truncate(now)

    def _auto_truncate(self, now: float) -> list[Event]:
        """Truncate the agent's item as if the client had played it in real time since the first delta."""
        heard = self.answering.latest_spoken
        if (
            heard is None
            or heard.item is None
            or heard.first_delta_at is None
            or not self._turn_switch("auto_truncate")
        ):
            return []
        played_ms = int((now - heard.first_delta_at) * 1000)
        known = self.record.conversation.find(heard.item.id)
        if known is None or played_ms >= known.audio_ms:
            return []
        return self._truncated(known.id, 0, played_ms, now)

    def _turn_switch(self, name: str) -> bool:
        rules = self.record.session.get("turn_detection")
        return isinstance(rules, Mapping) and bool(rules.get(name))

    def _speech_stopped(self, edge: DetectedSpeechStop, now: float) -> list[Event]:
        self.record.note(now, "speech_stopped", audio_end_ms=edge.audio_end_ms, item_id=self._turn_item_id)
        stopped = server_events.speech_stopped(edge.audio_end_ms, self._turn_item_id)
        no_words = due(self.faults().no_words)
        if no_words is not None and not no_words.responds:
            return [stopped, *self._noise(no_words, edge.audio_end_ms, now)]
        item_id, start_ms = self._turn_item_id, self.caller.turn_start_ms
        answers = [stopped, *self._caller_turn(item_id, start_ms, edge.audio_end_ms, now, no_words)]
        if not self._turn_switch("create_response"):
            return answers + self.answering.take_deferred()
        try:
            return answers + self.answering.begin({}, now, self.faults())
        except RefusedError as refused:  # A response that must not be interrupted is still active.
            return [*answers, *self.answering.take_deferred(), server_events.error(refused)]

    def _caller_turn(
        self, item_id: str, start_ms: int, end_ms: int, now: float, no_words: NoWordsFault | None = None
    ) -> list[Event]:
        record = self.record
        heard = heard_in_turn(self.answering.agent, record.conversation.user_turns)
        record.user_turns.append({"item_id": item_id, "text": heard, "start_ms": start_ms, "end_ms": end_ms})
        transcript = self._transcription(item_id, heard, no_words)
        if not record.mode.native:
            return self._committed(user_audio(item_id, heard, transcribed=True), now, transcript)
        # A native model begins its response before the transcription is complete.
        self.answering.deferred = transcript
        return self._committed(user_audio(item_id, heard), now)

    def _transcription(self, item_id: str, text: str, no_words: NoWordsFault | None) -> list[Event]:
        if not self._transcribes() or (no_words is not None and no_words.transcription == "never"):
            return []
        if no_words is not None and no_words.transcription == "failed":
            return [server_events.transcription_failed(item_id)]
        language = None if self.record.mode.native else self._language()
        return server_events.transcription(item_id, "" if no_words is not None else text, language)

    def _transcribes(self) -> bool:
        return self.record.session.get("input_audio_transcription") is not None

    def _language(self) -> str:
        settings = self.record.session.get("input_audio_transcription")
        given = settings.get("language") if isinstance(settings, Mapping) else None
        return str(given or "en-US").split(",")[0]

    def _committed(self, item: ConversationItem, now: float, transcript: Iterable[Event] = ()) -> list[Event]:
        """Return the events of a committed turn. A cascaded pipeline creates the item after the transcription; only a
        native one reports the item as done.
        """
        mode = self.record.mode
        previous = self.record.conversation.add(item)
        self.caller.uncommitted_ms = 0.0
        self.record.note(now, "committed", item_id=item.id)
        kinds = ("created", "done") if mode.native and (mode.ga or not mode.openai) else ("created",)
        item_events = [server_events.item_event(kind, previous, item.to_wire()) for kind in kinds]
        return [server_events.committed(previous, item.id), *transcript, *item_events]

    def _noise(self, fault: NoWordsFault, end_ms: int, now: float) -> list[Event]:
        item_id = self._turn_item_id
        self.record.note(now, "no_words", audio_end_ms=end_ms, item_id=item_id)
        native = self.record.mode.native
        transcript = self._transcription(item_id, "", fault)
        item = user_audio(item_id, noise=True, transcribed=not native)
        if native:
            return [*self._committed(item, now), *transcript]
        return self._committed(item, now, transcript)

    def _commit(self, _body: Mapping[str, object], now: float) -> Iterable[Event]:
        start_ms = self.caller.commit()
        answers = self._caller_turn(server_events.new_id("item"), start_ms, int(self.caller.heard_ms), now)
        return answers + self.answering.take_deferred()

    def _clear(self, _body: Mapping[str, object], now: float) -> Iterable[Event]:
        self.caller.clear()
        self.record.note(now, "cleared")
        return [event("input_audio_buffer.cleared")]

    # The conversation

    def _create_item(self, body: Mapping[str, object], now: float) -> Iterable[Event]:
        item = decode_item(body.get("item"))
        if item.type == "function_call_output":
            self.answering.refuse_output(self.faults())
        previous = self.record.conversation.add(item, body.get("previous_item_id"))
        self.record.note(now, "item_created", item_id=item.id, item=item.type, role=item.role)
        mode = self.record.mode
        if not mode.native:
            previous = str(body.get("previous_item_id") or "")
        kinds = ("created", "done") if mode.ga else ("created",)
        return [server_events.item_event(kind, previous, item.to_wire()) for kind in kinds]

    def _retrieve_item(self, body: Mapping[str, object], _now: float) -> Iterable[Event]:
        item = self.record.conversation.find(body.get("item_id"))
        if item is None:
            return self._unknown_item(f"No item {body.get('item_id')!r}")
        return [event("conversation.item.retrieved", item=item.to_wire())]

    def _unknown_item(self, message: str) -> list[Event]:
        fault = due(self.faults().probes)
        if fault is None:
            raise RefusedError(message, "item_retrieve_invalid_item_id", "item_id")
        if fault.answer == "ignored":
            return []
        raise RefusedError(fault.message or message, fault.code, "item_id", named=False)

    def _delete_item(self, body: Mapping[str, object], now: float) -> Iterable[Event]:
        self.record.conversation.delete(body.get("item_id"))
        self.record.note(now, "item_deleted", item_id=body.get("item_id"))
        return [event("conversation.item.deleted", item_id=body.get("item_id"))]

    def _truncate_item(self, body: Mapping[str, object], now: float) -> Iterable[Event]:
        return self._truncated(body.get("item_id"), body.get("content_index", 0), body.get("audio_end_ms"), now)

    def _truncated(self, item_id: object, content_index: object, audio_end_ms: object, now: float) -> list[Event]:
        left = self.record.conversation.truncate(item_id, content_index, audio_end_ms)
        self.record.truncations.append({"item_id": left.id, "audio_end_ms": left.audio_ms})
        self.record.note(now, "truncated", item_id=left.id, audio_end_ms=left.audio_ms)
        return [server_events.truncated(left.id, left.audio_ms)]

    # Responses

    def _create_response(self, body: Mapping[str, object], now: float) -> Iterable[Event]:
        faults = self.faults()
        if due(faults.request_ignored) is not None:
            self.record.note(now, "request_ignored", event_id=body.get("event_id"))
            return []
        if (error := due(faults.request_error)) is not None:
            raise RefusedError(error.message, error.code, kind=error.type, named=error.named)
        return self.answering.begin(response_options(body), now, faults)

    def _cancel_response(self, body: Mapping[str, object], now: float) -> Iterable[Event]:
        return self.answering.cancel(body.get("response_id"), now)


_ANSWERS: Mapping[str, Callable[[Dialogue, Mapping[str, object], float], Iterable[Event]]] = {
    "session.update": Dialogue._update_session,
    "input_audio_buffer.append": Dialogue._append,
    "input_audio_buffer.commit": Dialogue._commit,
    "input_audio_buffer.clear": Dialogue._clear,
    "conversation.item.create": Dialogue._create_item,
    "conversation.item.retrieve": Dialogue._retrieve_item,
    "conversation.item.truncate": Dialogue._truncate_item,
    "conversation.item.delete": Dialogue._delete_item,
    "response.create": Dialogue._create_response,
    "response.cancel": Dialogue._cancel_response,
}
CLIENT_EVENTS = frozenset(_ANSWERS)
