"""The JSON of a session in the control API."""

from __future__ import annotations

import json

from lab.voice_live.conversation_items import user_audio
from tests.support.voice_live_stage import AGENT, CASCADED, NATIVE, OPENAI, staged


def test_a_record_is_json_and_names_what_was_opened() -> None:
    for mode, kind in ((AGENT, "agent"), (CASCADED, "model"), (NATIVE, "model"), (OPENAI, "openai")):
        record = staged(mode).record
        record.conversation.add(user_audio("u1", "Hello"))
        shown = json.loads(json.dumps(record.to_json()))
        assert shown["mode"] == kind
        assert shown["items"][0]["text"] == "Hello"
        assert (shown["agent"], shown["model"]) == (("clerk", None) if kind == "agent" else (None, mode_model(mode)))


def mode_model(mode: object) -> str:
    return str(getattr(mode, "model", ""))


def test_state_changes_are_kept_with_their_time() -> None:
    record = staged().record
    record.note(12.5, "truncated", item_id="i", audio_end_ms=3)
    assert record.timeline[-1] == {"t": 12.5, "event": "truncated", "item_id": "i", "audio_end_ms": 3}
