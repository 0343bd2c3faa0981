from __future__ import annotations

from agent_relay.core.protocol import voice_events as vl


def test_messages_have_the_content_type_of_their_role() -> None:
    kinds = {role: _content_type(vl.create_message(role, "x")) for role in ("user", "assistant", "system")}
    assert kinds == {"user": "input_text", "assistant": "text", "system": "input_text"}


def _content_type(event: vl.ClientEvent) -> str:
    item = event["item"]
    assert isinstance(item, dict)
    return str(item["content"][0]["type"])
