"""Builds the events of one response, from `response.created` to `response.done`.

Recorded order: created, output_item.added, item.created, content_part.added, deltas (transcript before its audio),
audio.done, audio_transcript.done, content_part.done, output_item.done, done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from lab.scenario import ScenarioMcpCall
from lab.voice_live.conversation_items import ConversationItem
from lab.voice_live.server_events import Event, event, item_event, new_id

AUDIO_TOKENS_PER_S = 20
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class Ending:
    """The final status of a response and its `status_details`."""

    status: str
    details: Event | None = None


COMPLETED = Ending("completed")


def cancelled(reason: str) -> Ending:
    """Return the ending of a cancelled response. `reason`: `turn_detected` or `client_cancelled`."""
    return Ending("cancelled", {"type": "cancelled", "reason": reason})


def incomplete(reason: str) -> Ending:
    """Return the ending of an incomplete response. `reason`: `max_output_tokens` or `content_filter`."""
    return Ending("incomplete", {"type": "incomplete", "reason": reason})


def failed(code: str | None, message: str, kind: str = "server_error") -> Ending:
    error: Event = {"type": kind, "code": code, "message": message}
    return Ending("failed", {"type": "failed", "error": error})


@dataclass(frozen=True)
class ResponseForm:
    """Settings of a response, from the session and `response.create`."""

    conversation_id: str | None
    modalities: tuple[str, ...]
    voice: object
    output_audio_format: str
    temperature: object = None
    max_output_tokens: int | str = "inf"
    metadata: object = None
    cascaded: bool = False
    """True for a text model with Azure speech. Its ids, first status and nulls differ from those of native models."""
    openai: bool = False
    phase: str | None = None

    @property
    def spoken(self) -> bool:
        return "audio" in self.modalities


@dataclass
class Response:
    """One response. It has one output item, which may have several audio parts, or a message and a function call."""

    form: ResponseForm
    id: str = field(default_factory=lambda: new_id("resp"))
    status: str = "in_progress"
    item: ConversationItem | None = None
    first_delta_at: float | None = None
    last_delta: str = ""
    audio_bytes: int = 0
    silent: str = ""
    """Form of a response without audio (`SilentFault.form`); empty if it has audio."""
    works_s: float = 0.0
    """Additional delay before the output starts."""
    hidden: bool = False
    """True if `response.created` has not been sent yet."""
    _details: Event | None = None
    _audio_ms: float = 0.0
    _earlier_parts: list[tuple[Event, float]] = field(default_factory=list)
    """The complete parts, each with the duration of its audio in milliseconds."""
    _text: str = ""
    """The text of the current part."""
    _earlier_items: list[ConversationItem] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return self.status != "in_progress"

    @property
    def spoken(self) -> bool:
        """Whether the message is an audio part with a transcript, not a text part."""
        return self.form.spoken and self.silent != "text"

    def created(self) -> Event:
        return event("response.created", response=self._to_wire())

    def open_message(self, previous_item_id: str | None) -> Iterator[Event]:
        part: Event = {"type": "audio", "transcript": ""} if self.spoken else {"type": "text", "text": ""}
        kind, status = ("msg", "incomplete") if self.form.cascaded else ("item", "in_progress")
        item = ConversationItem(new_id(kind), "message", "assistant", status, phase=self.form.phase)
        yield from self._open(item, previous_item_id)
        yield self._part_event("response.content_part.added", part=part)

    def open_call(self, name: str, previous_item_id: str | None) -> Iterator[Event]:
        item = ConversationItem(
            new_id("item"), "function_call", None, "in_progress", name=name, call_id=new_id("call"), arguments=""
        )
        yield from self._open(item, previous_item_id)

    def open_mcp(self, kind: str, call: ScenarioMcpCall, previous: str | None) -> Iterator[Event]:
        """`kind`: `mcp_call` or `mcp_approval_request`, which contains the arguments at once."""
        arguments = arguments_of(call)
        asks = kind == "mcp_approval_request"
        item = ConversationItem(
            new_id("mcpr" if asks else "mcp"),
            kind,
            name=call.name,
            label=call.server,
            arguments=arguments if asks else "",
        )
        yield from self._open(item, previous)
        if not asks:
            self.item = replace(item, arguments=arguments)
            where: Event = {"response_id": self.id, "item_id": item.id, "output_index": self._index}
            yield event("response.mcp_call_arguments.delta", **where, delta=arguments)
            yield event("response.mcp_call_arguments.done", **where, arguments=arguments)
            yield event("response.mcp_call.in_progress", item_id=item.id, output_index=self._index)

    def end_mcp(self, *, ok: bool, output: str) -> list[Event]:
        """Return the events at the end of the call, which may follow the end of the response."""
        item = self.item = replace(self._opened(), output=output)
        wire = item.to_wire()
        if not ok:
            wire |= {"output": None, "error": {"type": "tool_execution_error", "message": output}}
        where: Event = {"item_id": item.id, "output_index": self._index}
        return [
            event(f"response.mcp_call.{'completed' if ok else 'failed'}", **where),
            event("response.output_item.done", response_id=self.id, output_index=self._index, item=wire),
        ]

    def _open(self, item: ConversationItem, previous_item_id: str | None) -> Iterator[Event]:
        if self.item is not None:
            self._earlier_items.append(self.item)
        self.item = item
        yield event("response.output_item.added", response_id=self.id, output_index=self._index, item=item.to_wire())
        if self.form.conversation_id is not None:
            yield item_event("created", previous_item_id, item.to_wire())

    @property
    def _index(self) -> int:
        return len(self._earlier_items)

    def close_message(self) -> list[Event]:
        """A function call follows in the same response: `open_call`."""
        return self._close_item("completed")

    def text_delta(self, text: str) -> Event:
        """Add words to the transcript of a spoken response, otherwise to the text."""
        item = self._opened()
        self._text += text
        self.item = replace(item, text=item.text + text)
        return self._part_event(f"response.{'audio_transcript' if self.spoken else 'text'}.delta", delta=text)

    def audio_delta(self, encoded: str, raw_bytes: int, ms: float, now: float) -> Event:
        """Return the event of one audio delta. `encoded`: base64 in the output format; `ms`: playing time."""
        if self.first_delta_at is None:
            self.first_delta_at = now
        self.last_delta = encoded
        self.audio_bytes += raw_bytes
        self._audio_ms += ms
        self.item = replace(self._opened(), audio_ms=int(self._audio_ms))
        return self._part_event("response.audio.delta", delta=encoded)

    def next_part(self) -> list[Event]:
        closing = self._close_part()
        self._text = ""
        part: Event = {"type": "audio", "transcript": ""}
        return [*closing, self._part_event("response.content_part.added", part=part)]

    def _close_part(self) -> list[Event]:
        part: Event = {"type": "audio", "transcript": self._text.strip()}
        closing = [
            self._part_event("response.audio.done"),
            self._part_event("response.audio_transcript.done", transcript=self._text.strip()),
            self._part_event("response.content_part.done", part=part),
        ]
        before_ms = sum(ms for _, ms in self._earlier_parts)
        self._earlier_parts.append((part, self._audio_ms - before_ms))
        return closing

    def repeated_delta(self) -> Event:
        return self._part_event("response.audio.delta", delta=self.last_delta)

    def arguments_delta(self, text: str) -> Event:
        item = self._opened()
        self.item = replace(item, arguments=(item.arguments or "") + text)
        where: Event = {
            "response_id": self.id,
            "item_id": item.id,
            "output_index": self._index,
            "call_id": item.call_id,
        }
        return event("response.function_call_arguments.delta", **where, delta=text)

    def finish(self, ending: Ending) -> list[Event]:
        """Return the events from the last delta to `response.done`. Call it once."""
        self.status, self._details = ending.status, ending.details
        done = "completed" if self.status == "completed" else "incomplete"
        closing = self._close_item(done) if self.item is not None else []
        return [*closing, event("response.done", response=self._to_wire())]

    def _close_item(self, done: str) -> list[Event]:
        item = self._opened()
        if item.type == "mcp_call":
            return []  # `end_mcp`
        if item.type == "mcp_approval_request":
            closing = []
        elif item.type == "function_call":
            self.item = replace(item, status=done)
            where: Event = {
                "response_id": self.id,
                "item_id": item.id,
                "output_index": self._index,
                "call_id": item.call_id,
            }
            kind = "response.function_call_arguments.done"
            closing = [event(kind, **where, name=item.name, arguments=item.arguments)] if done == "completed" else []
        elif self.spoken:
            closing = self._close_part()
            parts_ms = tuple(int(ms) for _, ms in self._earlier_parts) if len(self._earlier_parts) > 1 else ()
            content = tuple(part for part, _ in self._earlier_parts)
            self.item = replace(item, status=done, content=content, parts_ms=parts_ms)
        else:
            self.item = replace(item, status=done, content=({"type": "text", "text": item.text},))
            # Voice Live omits the text of a native model in the part; clients read it from text.done.
            kept = item.text if self.form.cascaded or self.form.openai else ""
            closing = [
                self._part_event("response.text.done", text=item.text),
                self._part_event("response.content_part.done", part={"type": "text", "text": kept}),
            ]
        wire = self._opened().to_wire()
        return [*closing, event("response.output_item.done", response_id=self.id, output_index=self._index, item=wire)]

    def _opened(self) -> ConversationItem:
        if self.item is None:
            raise RuntimeError("the response has no item; call `open_message` or `open_call` first")
        return self.item

    def _part_event(self, kind: str, **parts: object) -> Event:
        where: Event = {"response_id": self.id, "item_id": self._opened().id, "output_index": self._index}
        return event(kind, **where, content_index=len(self._earlier_parts), **parts)

    def _to_wire(self) -> Event:
        over, form = self.over, self.form
        no_limit = None if form.cascaded else "inf"
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": self._details,
            "output": [item.to_wire() for item in self._items] if over else [],
            "usage": self._usage() if over else None,
            "conversation_id": "" if form.cascaded and form.conversation_id is not None else form.conversation_id,
            "modalities": list(form.modalities),
            "voice": dict(form.voice) if isinstance(form.voice, Mapping) else form.voice,
            "output_audio_format": form.output_audio_format,
            "temperature": form.temperature,
            "max_output_tokens": form.max_output_tokens if form.max_output_tokens != "inf" else no_limit,
            "metadata": form.metadata,
        }

    @property
    def _items(self) -> list[ConversationItem]:
        return [*self._earlier_items, *([self.item] if self.item else [])]

    def _usage(self) -> Event:
        words = "".join(item.text + (item.arguments or "") for item in self._items)
        text, audio = len(words) // CHARACTERS_PER_TOKEN, int(self._audio_ms * AUDIO_TOKENS_PER_S / 1000)
        kinds: Event = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
        cached: Event = {"cached_tokens": 0, "cache_write_tokens": 0, **kinds, "cached_tokens_details": kinds}
        return {
            "total_tokens": text + audio,
            "input_tokens": 0,
            "output_tokens": text + audio,
            "input_token_details": cached,
            "output_token_details": {"text_tokens": text, "audio_tokens": audio, "reasoning_tokens": 0},
        }


def arguments_of(call: ScenarioMcpCall) -> str:
    return json.dumps(call.arguments, separators=(",", ":"))
