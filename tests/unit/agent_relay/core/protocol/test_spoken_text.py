from __future__ import annotations

import pytest

from agent_relay.core.protocol.spoken_text import Form, forms_for, spoken
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget

ALL = (Form.PRE_GENERATED, Form.INSTRUCTIONS, Form.SYSTEM_ITEM)


@pytest.mark.parametrize(
    ("mode", "version", "forms"),
    [
        (Mode.AGENT, "2026-07-15", (Form.PRE_GENERATED, Form.SYSTEM_ITEM)),
        (Mode.CLASSIC_AGENT, "2026-01-01-preview", (Form.PRE_GENERATED, Form.SYSTEM_ITEM)),
        (Mode.CLASSIC_AGENT, "2025-10-01", (Form.SYSTEM_ITEM,)),
        (Mode.MODEL, "2026-07-15", ALL),
        (Mode.MODEL, "2025-10-01", ALL[1:]),
        (Mode.AZURE_OPENAI, "2024-10-01-preview", ALL[1:]),
    ],
)
def test_the_forms_of_each_mode(mode: Mode, version: str, forms: tuple[Form, ...]) -> None:
    assert forms_for(VoiceTarget(mode=mode, endpoint="https://res", api_version=version)) == forms


def test_the_events_of_each_form() -> None:
    before, request = spoken(Form.PRE_GENERATED, "Good morning.")
    message = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Good morning."}]}
    assert (before, request) == (
        [],
        {"type": "response.create", "response": {"pre_generated_assistant_message": message}},
    )
    before, request = spoken(Form.INSTRUCTIONS, "Good morning.")
    assert before == []
    assert '"Good morning."' in str(request["response"])
    [item], request = spoken(Form.SYSTEM_ITEM, "Good morning.")
    assert '"Good morning."' in str(item["item"])
    assert request == {"type": "response.create"}
