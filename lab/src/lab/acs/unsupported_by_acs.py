"""Operations and fields that the simulated ACS accepts, but without any effect. No I/O.

`FIELDS` lists the fields that each operation evaluates. All other fields are ignored: they may be newer than the
simulator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

_MEDIA: Final = tuple(
    f"mediaStreamingOptions.{name}"
    for name in (
        *("transportUrl", "transportType", "contentType", "audioChannelType", "startMediaStreaming"),
        *("enableBidirectional", "audioFormat", "enableDtmfTones"),
    )
)
_CALLING: Final = ("sourceCallerIdNumber", "sourceDisplayName", "customCallingContext")
_OUTCOME: Final = ("operationContext", "operationCallbackUri")

FIELDS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(fields)
    for name, fields in {
        "answer": ("incomingCallContext", "callbackUri", "operationContext", *_MEDIA),
        "create": (
            "targets",
            "sourceCallerIdNumber",
            "teamsAppSource.appId",
            "callbackUri",
            "operationContext",
            *_MEDIA,
        ),
        "reject": ("incomingCallContext", "callRejectReason"),
        "redirect": ("incomingCallContext", "target"),
        "add_participant": ("participantToAdd", "invitationTimeoutInSeconds", *_CALLING, *_OUTCOME),
        "cancel_add": ("invitationId", *_OUTCOME),
        "move_here": ("targetParticipants", "fromCall", *_OUTCOME),
        "remove_participant": ("participantToRemove", *_OUTCOME),
        "mute": ("targetParticipants", "operationContext"),
        "transfer": ("targetParticipant", "transferee", *_CALLING, *_OUTCOME),
        "start_media_streaming": _OUTCOME,
        "stop_media_streaming": _OUTCOME,
        "send_dtmf_tones": ("tones", "targetParticipant", *_OUTCOME),
        "start_dtmf": ("targetParticipant", "operationContext"),
        "stop_dtmf": ("targetParticipant", "operationContext"),
        "play": ("playSources", "playTo", "interruptCallMediaOperation", *_OUTCOME),
        "hold": ("targetParticipant", "playSourceInfo", *_OUTCOME),
        "unhold": ("targetParticipant", *_OUTCOME),
    }.items()
}
"""Field names by operation; operations that are not listed have no body. A dotted name is a field of an object."""

_NO_AI: Final = "no Azure AI service is connected; texts are spoken with the voice of the simulator"
PRETENDED: Final[Mapping[str, str]] = {
    "Authorization: Bearer": "any token is accepted",
    "answer.answeredBy": "the call is answered with the identity of the simulated resource",
    "answer.callIntelligenceOptions": _NO_AI,
    "answer.transcriptionOptions": "nothing is transcribed",
    "create.callIntelligenceOptions": _NO_AI,
    "create.source": "the call is placed with the identity of the simulated resource",
    "create.sourceDisplayName": "no phone shows the name",
    "create.transcriptionOptions": "nothing is transcribed",
    "redirect.customCallingContext": "the headers are dropped",
    "send_dtmf_tones": "the tones are only added to the timeline",
    "play.playOptions": "each source is played once",
    "play.playSources.playSourceCacheId": "nothing is cached",
    "play.playSources.text": "the text is spoken with the voice of the simulator",
}
"""Behavior of the simulator by operation and field."""

_WHOLE: Final = frozenset({"send_dtmf_tones"})
"""Operations that are simulated incompletely, with any fields."""


def pretended(operation: str, body: Mapping[str, object]) -> Iterator[str]:
    """Yield the features of the request that have no effect in the simulator, as far as its body shows them."""
    if operation in _WHOLE:
        yield operation
    fields = FIELDS.get(operation, frozenset())
    for name, value in body.items():
        if _is_default(value) or name in fields:
            continue
        inner = {field.partition(".")[2] for field in fields if field.startswith(f"{name}.")}
        if not inner:
            yield f"{operation}.{name}"
        elif isinstance(value, Mapping):
            ignored = [key for key, one in value.items() if key not in inner and not _is_default(one)]
            yield from (f"{operation}.{name}.{key}" for key in ignored)


def _is_default(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(_is_default(one) for one in value.values())
    return value in (None, False, [], "")
