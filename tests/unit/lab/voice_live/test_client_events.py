"""Client events: any input is either decoded or rejected with `RefusedError`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.voice_live.client_events import ClientEvent, decode_client_event, plain_append, response_options
from lab.voice_live.dialogue import CLIENT_EVENTS
from lab.voice_live.server_events import RefusedError
from tests.support.nightly import examples
from tests.support.voice_live_stage import staged


def test_type_may_be_anywhere_and_the_id_is_optional() -> None:
    assert decode_client_event('{"audio": "AAAA", "type": "x"}') == ClientEvent(
        "x", None, {"audio": "AAAA", "type": "x"}
    )
    assert decode_client_event(b'{"type": "x", "event_id": "e1"}').event_id == "e1"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"x"', "{}", '{"type": 7}', '{"type": null}', b"\xff\xfe", "[" * 100_000]
)
def test_invalid_events_are_refused(text: str | bytes) -> None:
    with pytest.raises(RefusedError):
        decode_client_event(text)


def test_plain_appends_are_read_without_json_and_nothing_else_is() -> None:
    append = {"type": "input_audio_buffer.append", "audio": "AAAA"}
    assert plain_append(json.dumps(append).encode()) == b"AAAA"
    assert plain_append(json.dumps(append, separators=(",", ":")).encode()) == b"AAAA"
    for other in (append | {"event_id": "e"}, append | {"audio": 'A"A'}, {"type": "x"}):
        text = json.dumps(other).encode()
        assert plain_append(text) is None or json.loads(text) == append


def test_response_options_are_checked() -> None:
    assert response_options({}) == response_options({"response": None}) == {}
    assert response_options({"response": {"max_output_tokens": 5}}) == {"max_output_tokens": 5}
    with pytest.raises(RefusedError, match=r"'response\.typo'"):
        response_options({"response": {"typo": 1}})
    wrong: list[object] = ["text", [], ["video"], [{}]]
    for modalities in wrong:
        with pytest.raises(RefusedError, match="modalities"):
            response_options({"response": {"modalities": modalities}})
    with pytest.raises(RefusedError, match="object"):
        response_options({"response": []})


KEYS = st.sampled_from(
    [
        "session",
        "audio",
        "item",
        "item_id",
        "previous_item_id",
        "content_index",
        "audio_end_ms",
        "response",
        "response_id",
        "type",
        "role",
        "content",
        "text",
        "turn_detection",
        "voice",
        "modalities",
        "call_id",
        "output",
        "conversation",
        "pre_generated_assistant_message",
        "instructions",
        "output_audio_format",
        "max_output_tokens",
    ]
)
WORDS = st.sampled_from(["AAAA", "message", "user", "assistant", "text", "server_vad", "root", "inf", "auto", "none"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)
TYPES = st.sampled_from([*sorted(CLIENT_EVENTS), "input_text.delta", "nonsense"])


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(st.tuples(TYPES, st.dictionaries(KEYS, JSON, max_size=4)), max_size=6))
def test_a_dialogue_survives_any_sequence_of_events(sent: list[tuple[str, dict[str, object]]]) -> None:
    dialogue = staged()
    for kind, body in sent:
        try:
            answers = dialogue.receive(decode_client_event(json.dumps(body | {"type": kind})), 1.0)
        except RefusedError:
            continue
        json.dumps(answers)
    assert dialogue.receive(decode_client_event('{"type": "input_audio_buffer.clear"}'), 2.0)
