"""Fields that the simulated Voice Live accepts, but without any effect. `GET /lab/unsupported` lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.unsupported import PretendedError, Unsupported
from lab.voice_live.server_events import RefusedError


@dataclass(frozen=True)
class Pretended:
    """A field without effect in the simulator. `field`: path in a client event or in the query. `harmless`: values that
    have no effect in Azure either, besides null, false and empty values.
    """

    field: str
    effect: str
    harmless: tuple[object, ...] = ()


IGNORED = (
    Pretended("query.features", "No feature of the query is enabled."),
    Pretended("query.foundry-resource-override", "The simulator has only one resource."),
    Pretended("session.input_audio_noise_reduction", "The caller's audio is not processed."),
    Pretended("session.input_audio_echo_cancellation", "The caller's audio is not processed."),
    Pretended("session.output_audio_timestamp_types", "No `response.audio_timestamp.*` is sent."),
    Pretended("session.animation", "No `response.animation_*` is sent."),
    Pretended("session.avatar", "No `session.avatar.*` and no video is sent."),
    Pretended("session.interim_response", "No filler is spoken during a slow response."),
    Pretended("session.include", "No additional fields are sent."),
    Pretended("session.reasoning_effort", "The script answers without reasoning."),
    Pretended("session.tool_choice", "The script decides which function is called.", ("auto",)),
    Pretended("session.parallel_tool_calls", "A response never calls more than one function."),
    Pretended("session.temperature", "The script always gives the same replies."),
    Pretended("session.speed", "The speed of speech is fixed.", (1, 1.0)),
    Pretended("session.tracing", "Nothing is traced."),
    Pretended("session.truncation", "Conversations grow without a limit.", ("auto",)),
    Pretended("session.prompt", "No stored prompt is looked up."),
    Pretended("session.tools.foundry_agent", "No agent is called as a tool."),
    Pretended("session.modalities.animation", "No animation is sent."),
    Pretended("session.modalities.avatar", "No video is sent."),
    *(
        Pretended(f"session.voice.{key}", "All voices sound the same.")
        for key in ("temperature", "rate", "pitch", "volume", "style", "locale", "prefer_locales")
    ),
    Pretended("session.voice.custom_lexicon_url", "Words are spoken as they are written."),
    Pretended("session.voice.custom_text_normalization_url", "Words are spoken as they are written."),
    *(
        Pretended(f"session.turn_detection.{key}", "Turns are detected by energy alone.")
        for key in (
            "end_of_utterance_detection",
            "remove_filler_words",
            "languages",
            "neg_threshold",
            "window_size",
            "distinct_ci_phones",
            "require_vowel",
            "require_vowel_assistant_speaking",
            "speech_duration_assistant_speaking_ms",
        )
    ),
    Pretended("session.turn_detection.eagerness", "Turns are detected by energy alone.", ("auto",)),
    Pretended("session.turn_detection.idle_timeout_ms", "A silent caller is never addressed."),
    Pretended("session.turn_detection.appended_text_after_truncation", "No text is appended after a truncation."),
    Pretended("response.additional_instructions", "The script decides what the agent says."),
    Pretended("response.tool_choice", "The script decides which function is called.", ("auto",)),
    Pretended("response.tools", "The script decides which function is called."),
    Pretended("response.temperature", "The script always gives the same replies."),
    Pretended("response.reasoning_effort", "The script answers without reasoning."),
    Pretended("response.interim_response", "No filler is spoken during a slow response."),
    Pretended("response.input_items", "The response answers the existing conversation."),
    Pretended("response.append_input_items", "The response answers the existing conversation."),
    Pretended(
        "response.commit", "Every response is part of the conversation unless `conversation` is `none`.", (True,)
    ),
    Pretended("response.invoke_input", "There is no hosted agent to invoke."),
    Pretended("item.content.input_image", "The image is not evaluated."),
)
SIMPLIFIED = {
    "session.instructions": "The script decides what the agent says; only text in quotation marks is spoken.",
    "session.tools.function": "The script decides which function is called, and with which arguments.",
    "session.voice": "All voices sound the same.",
    "session.input_audio_transcription": "The transcription is the `heard` of the script.",
    "session.turn_detection": "Every kind detects turns by energy, with the configured numbers.",
    "usage": "Tokens are estimated from the length of text and audio; input tokens are 0.",
}
"""Fields that strict mode accepts, because every conversation needs them."""

_IGNORED = {each.field: each for each in IGNORED}


def unsupported_fields(*, strict: bool) -> Unsupported:
    return Unsupported({each.field: each.effect for each in IGNORED}, SIMPLIFIED, strict=strict)


def pretended_in_query(query: Mapping[str, str]) -> list[str]:
    return [path for key in query if (path := f"query.{key}") in _IGNORED]


def pretended_in_event(kind: str, body: Mapping[str, object]) -> list[str]:
    if kind == "session.update":
        return list(_without_effect("session", body.get("session")))
    if kind == "response.create":
        found = list(_without_effect("response", body.get("response")))
        return found + list(
            _without_effect("response", {"additional_instructions": body.get("additional_instructions")})
        )
    if kind == "conversation.item.create" and isinstance(item := body.get("item"), Mapping):
        return list(_without_effect("item", {"content": item.get("content")}))
    return []


def _without_effect(at: str, given: object) -> Iterator[str]:
    if not isinstance(given, Mapping):
        return
    for key, value in given.items():
        path = f"{at}.{key}"
        known = _IGNORED.get(path)
        if known is not None:
            if value and not any(type(value) is type(each) and value == each for each in known.harmless):
                yield path
        elif isinstance(value, list):
            yield from _kinds(path, value)
        else:
            yield from _without_effect(path, value)


def _kinds(path: str, parts: list[object]) -> Iterator[str]:
    """Return the types of the parts. `parts`: strings, or objects with a type."""
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else part
        if f"{path}.{kind}" in _IGNORED:
            yield f"{path}.{kind}"


def refusal(error: PretendedError) -> RefusedError:
    text = f"'{error.where}' is not simulated: {error.what} Set LAB_STRICT=false to accept it without effect"
    return RefusedError(text, "lab_not_simulated", error.where)
