"""What the simulated ACS accepts without acting on it as the real service would. Pure.

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

_NO_AI: Final = "no Azure AI service is connected; texts are spoken by the simulator's own voice"
PRETENDED: Final[Mapping[str, str]] = {
    "Authorization: Bearer": "any token is accepted",
    "answer.answeredBy": "the identity of the simulated resource answers",
    "answer.callIntelligenceOptions": _NO_AI,
    "answer.transcriptionOptions": "nothing is transcribed",
    "create.callIntelligenceOptions": _NO_AI,
    "create.source": "the identity of the simulated resource calls",
    "create.sourceDisplayName": "no phone shows the name",
    "create.teamsAppSource": "the identity of the simulated resource calls",
    "create.transcriptionOptions": "nothing is transcribed",
    "redirect.customCallingContext": "the headers reach nobody",
    "hang_up": "with more than two parties the call ends for everyone",
    "transfer.customCallingContext": "the headers reach nobody",
    "transfer.sourceCallerIdNumber": "no phone shows the number",
    "transfer.transferee": "with more than two parties the application's leg ends as well",
    "add_participant": "the party is listed, but neither speaks nor hears",
    "add_participant.customCallingContext": "the headers reach nobody",
    "add_participant.sourceDisplayName": "no phone shows the name",
    "send_dtmf_tones": "the tones are put on the timeline; nobody hears them",
    "start_dtmf.targetParticipant": "the caller's keys are reported, whoever is the target",
    "play.interruptCallMediaOperation": "prompts are queued, none is interrupted",
    "play.playOptions": "each source is played once",
    "play.playSources.playSourceCacheId": "nothing is cached",
    "play.playSources.text": "the text is spoken by the simulator's own voice",
    "play.playTo": "every prompt is heard by the caller",
    "hold.playSourceInfo": "the party on hold hears silence",
}
"""What happens instead of the real thing, by operation and field."""

_WHOLE: Final = frozenset({"add_participant", "send_dtmf_tones"})
"""Operations that are never more than pretended."""


def pretended(operation: str, body: Mapping[str, object]) -> Iterator[str]:
    """Where the request asks for something that has no effect here, as far as its body alone shows it."""
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
    """Whether leaving the field out would mean the same."""
    if isinstance(value, Mapping):
        return all(_is_default(one) for one in value.values())
    return value in (None, False, [], "")
