"""Fields of requests that the simulated ACS accepts without acting on them, as the real service would. Pure.

`FIELDS` names what each operation reads. A field that is not among them is ignored, whatever it is: it may be newer
than this simulator.
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
_OUTCOME: Final = ("operationContext", "operationCallbackUri")

FIELDS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(fields)
    for name, fields in {
        "answer": ("incomingCallContext", "callbackUri", "operationContext", *_MEDIA),
        "create": ("targets", "sourceCallerIdNumber", "callbackUri", "operationContext", *_MEDIA),
        "reject": ("incomingCallContext", "callRejectReason"),
        "redirect": ("incomingCallContext", "target"),
        "add_participant": ("participantToAdd", "sourceCallerIdNumber", "invitationTimeoutInSeconds", *_OUTCOME),
        "remove_participant": ("participantToRemove", *_OUTCOME),
        "mute": ("targetParticipants", "operationContext"),
        "transfer": ("targetParticipant", "transferee", *_OUTCOME),
        "start_media_streaming": _OUTCOME,
        "stop_media_streaming": _OUTCOME,
        "send_dtmf_tones": ("tones", "targetParticipant", *_OUTCOME),
        "start_dtmf": ("targetParticipant", "operationContext"),
        "stop_dtmf": ("targetParticipant", "operationContext"),
        "play": ("playSources", *_OUTCOME),
        "hold": ("targetParticipant", "operationContext"),
        "unhold": ("targetParticipant", "operationContext"),
    }.items()
}
"""By operation; the operations that are not here read no body. A dotted name is a field of an object."""

_INSTEAD: Final[Mapping[str, str]] = {
    "answeredBy": "the identity of the simulated resource answers",
    "callIntelligenceOptions": "no Azure AI service is connected: texts are spoken by the simulator's own voice",
    "customCallingContext": "the headers reach nobody",
    "interruptCallMediaOperation": "prompts are queued, none is interrupted",
    "playOptions": "each source is played once",
    "playSourceInfo": "the party on hold hears silence",
    "playTo": "every prompt is heard by the caller",
    "source": "the identity of the simulated resource calls",
    "sourceCallerIdNumber": "no phone shows the number",
    "sourceDisplayName": "no phone shows the name",
    "teamsAppSource": "the identity of the simulated resource calls",
    "transcriptionOptions": "nothing is transcribed",
}
"""What happens instead, by field."""

_WHOLE: Final[Mapping[str, str]] = {
    "add_participant": "the party is listed, but neither speaks nor hears",
    "send_dtmf_tones": "the tones are put on the timeline; nobody hears them",
}
"""Operations of which the part that callers notice is missing."""


def pretended(operation: str, body: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """(what happens instead, where) for everything in the request that has no effect here."""
    if operation in _WHOLE:
        yield _WHOLE[operation], operation
    fields = FIELDS.get(operation, frozenset())
    for name, value in body.items():
        if _is_default(value) or name in fields:
            continue
        inner = {field.partition(".")[2] for field in fields if field.startswith(f"{name}.")}
        if not inner:
            yield _INSTEAD.get(name, "the field is ignored"), f"{operation}.{name}"
        elif isinstance(value, Mapping):
            ignored = [key for key, one in value.items() if key not in inner and not _is_default(one)]
            yield from (("the field is ignored", f"{operation}.{name}.{key}") for key in ignored)


def _is_default(value: object) -> bool:
    """Whether leaving the field out would mean the same."""
    if isinstance(value, Mapping):
        return all(_is_default(one) for one in value.values())
    return value in (None, False, [], "")
