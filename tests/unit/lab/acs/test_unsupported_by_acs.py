from __future__ import annotations

from lab.acs.rest import OPERATIONS
from lab.acs.unsupported_by_acs import FIELDS, PRETENDED, pretended

_NO_BODY = {"list_participants", "get_participant", "terminate", "get_call", "hang_up", "cancel_media"}
_REFUSED = {"connect", "recognize", "start_transcription", "start_recording"}


def _where(operation: str, body: dict[str, object]) -> list[str]:
    return list(pretended(operation, body))


def test_the_fields_of_every_operation_with_a_body_are_known() -> None:
    assert {one.name for one in OPERATIONS} - _NO_BODY - _REFUSED == set(FIELDS)


def test_unsupported_fields_belong_to_existing_operations() -> None:
    operations = {where.partition(".")[0] for where in PRETENDED} - {"Authorization: Bearer"}
    assert operations <= {one.name for one in OPERATIONS} - _REFUSED
    read = {f"{operation}.{field}" for operation, fields in FIELDS.items() for field in fields}
    assert read & set(PRETENDED) == set(), "a field is either evaluated or without effect"


def test_evaluated_fields_are_supported() -> None:
    streaming = {"transportUrl": "wss://a", "startMediaStreaming": True, "audioFormat": "pcm24KMono"}
    body: dict[str, object] = {
        "incomingCallContext": "c",
        "callbackUri": "https://a",
        "mediaStreamingOptions": streaming,
    }
    assert _where("answer", body) == []


def test_all_other_fields_are_reported() -> None:
    body: dict[str, object] = {
        "incomingCallContext": "c",
        "callIntelligenceOptions": {"cognitiveServicesEndpoint": "https://ai"},
        "mediaStreamingOptions": {"transportUrl": "wss://a", "enableMarks": True},
        "somethingNew": 1,
    }
    assert _where("answer", body) == [
        *("answer.callIntelligenceOptions", "answer.mediaStreamingOptions.enableMarks", "answer.somethingNew")
    ]


def test_default_values_are_not_reported() -> None:
    body: dict[str, object] = {
        "playSources": [{}], "playTo": [], "interruptCallMediaOperation": False, "playOptions": {"loop": False},
    }  # fmt: skip
    assert _where("play", body) == []
    assert _where("play", body | {"playOptions": {"loop": True}}) == ["play.playOptions"]


def test_incompletely_simulated_operations_are_reported() -> None:
    assert _where("send_dtmf_tones", {"tones": ["one"]}) == ["send_dtmf_tones"]
