"""Protocol trace of a voice session: one log line for each event, if the log level is DEBUG. Never contains audio."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from agent_relay.core.protocol.voice_events import AudioDelta, ClientEvent, Other, ServerEvent
from bridge_common.base.log import fields, words

log = logging.getLogger(__name__)

_WORDS: Final = frozenset({"text", "arguments", "output"})
_SHOWN_OF_CLIENT: Final = ("event_id", "item_id", "response_id", "audio_end_ms", "previous_item_id")
"""The fields of client events that are logged. Others may contain instructions or words of the caller."""


def traced(
    call_id: str, on_event: Callable[[ServerEvent], None], *, shows_words: bool = True
) -> Callable[[ServerEvent], None]:
    """Wrap `on_event` so that each event is logged first. Return it unchanged, without overhead, if the log level is
    not DEBUG now.
    """
    if not log.isEnabledFor(logging.DEBUG):
        return on_event

    def logged(event: ServerEvent) -> None:
        log.debug("event received from Voice Live", extra=fields(call_id=call_id, **_shown(event, shows_words)))
        on_event(event)

    return logged


def trace_sent(call_id: str, event: ClientEvent) -> None:
    if log.isEnabledFor(logging.DEBUG):
        shown: dict[str, object] = {name: event[name] for name in _SHOWN_OF_CLIENT if name in event}
        item = event.get("item")
        if isinstance(item, Mapping):
            shown |= {f"item_{name}": item[name] for name in ("type", "role", "name", "call_id") if name in item}
        log.debug("event sent to Voice Live", extra=fields(call_id=call_id, event=event["type"], **shown))


def _shown(event: ServerEvent, shows_words: bool) -> dict[str, object]:
    name = event.type if isinstance(event, Other) else type(event).__name__
    shown: dict[str, object] = {"event": name}
    for field in type(event).__struct_fields__:
        value = getattr(event, field)
        if isinstance(event, AudioDelta) and field == "pcm":
            shown["pcm_bytes"] = len(value)
        elif field in _WORDS:
            shown[field] = words(value, shown=shows_words)
        elif field == "call_id":
            shown["function_call_id"] = value
        elif field != "type":
            shown[field] = value
    return shown
