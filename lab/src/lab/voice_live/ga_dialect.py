"""OpenAI Realtime GA, as Azure OpenAI serves it under `/openai/v1/realtime`: conversion of its names and objects.

The simulated service uses Voice Live's beta formats internally; this module converts them at the socket. Source: the
OpenAI API reference (Realtime, client and server events) and Microsoft's guide to the migration from preview to GA.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lab.voice_live.client_events import ClientEvent
from lab.voice_live.server_events import Event, RefusedError, event, new_id

_NAMES = {
    "response.audio.": "response.output_audio.",
    "response.audio_transcript.": "response.output_audio_transcript.",
    "response.text.": "response.output_text.",
    "conversation.item.created": "conversation.item.added",
}
_ASSISTANT_PARTS = {"text": "output_text", "audio": "output_audio"}
_FLAT = {
    "model": "model",
    "instructions": "instructions",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "max_output_tokens": "max_response_output_tokens",
    "audio.input.transcription": "input_audio_transcription",
    "audio.input.turn_detection": "turn_detection",
    "audio.input.noise_reduction": "input_audio_noise_reduction",
    "audio.output.voice": "voice",
    "audio.output.speed": "speed",
    "tracing": "tracing",
    "truncation": "truncation",
    "prompt": "prompt",
    "include": "include",
}
"""Beta key of a session field, by its GA path. Formats and modalities are not included: their values differ as well."""
_PCM: Event = {"type": "audio/pcm", "rate": 24_000}
_FORMATS: dict[str, Event] = {
    "pcm16": _PCM,
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_OBFUSCATED = (".text.delta", ".output_text.delta", "_transcript.delta", "_arguments.delta", "_transcription.delta")


# -- server events
def renamed(sent: Event) -> list[Event]:
    kind = str(sent["type"])
    for beta, ga in _NAMES.items():
        if kind.startswith(beta):
            kind = ga + kind[len(beta) :]
            break
    changed = {**sent, "type": kind}
    if isinstance(item := sent.get("item"), Mapping):
        changed["item"] = _item(item)
    if isinstance(response := sent.get("response"), Mapping) and isinstance(output := response.get("output"), list):
        changed["response"] = {**response, "output": [_item(item) for item in output]}
    if kind == "response.output_item.done":
        return [event("conversation.item.done", previous_item_id=None, item=changed["item"]), changed]
    return [changed]


def with_ga_objects(sent: Event) -> Event:
    sent = _with_ga_keys(sent)
    if isinstance(session := sent.get("session"), Mapping):
        return {**sent, "session": ga_session(session)}
    if isinstance(response := sent.get("response"), Mapping):
        return {**sent, "response": _response(response)}
    return sent


def _with_ga_keys(sent: Event) -> Event:
    """Convert a server event. GA omits `object` of items, sends parts twice, and pads deltas so that their size does
    not reveal their content.
    """
    kind = str(sent["type"])
    changed = dict(sent)
    if isinstance(item := sent.get("item"), Mapping):
        changed["item"] = _without_object(item)
    if kind.startswith("response.content_part."):
        changed["content"] = sent["part"]
    if kind.endswith(_OBFUSCATED):
        changed["obfuscation"] = new_id("x")[2 : 2 + len(str(sent["delta"])) % 16]
    if kind.endswith("input_audio_transcription.completed"):
        changed["usage"] = {"type": "duration", "seconds": 1.0}
    return changed


def _without_object(item: Mapping[str, object]) -> Event:
    return {key: value for key, value in item.items() if key != "object"}


def ga_session(flat: Mapping[str, object]) -> Event:
    modalities = flat.get("modalities")
    session: Event = {
        "type": "realtime",
        "object": "realtime.session",
        "id": flat["id"],
        "output_modalities": ["audio"] if isinstance(modalities, list) and "audio" in modalities else ["text"],
        "expires_at": flat["expires_at"],
    }
    listening: Event = {"format": dict(_FORMATS[str(flat.get("input_audio_format") or "pcm16")])}
    speaking: Event = {"format": dict(_FORMATS[str(flat.get("output_audio_format") or "pcm16")])}
    places = {"": session, "audio.input": listening, "audio.output": speaking}
    for path, key in _FLAT.items():
        place, _, name = path.rpartition(".")
        places[place][name] = flat.get(key)
    return session | {"audio": {"input": listening, "output": speaking}}


def _response(flat: Mapping[str, object]) -> Event:
    own = ("modalities", "voice", "output_audio_format", "temperature")
    modalities = flat.get("modalities")
    spoken = isinstance(modalities, list) and "audio" in modalities
    output = flat.get("output")
    items = [_without_object(item) for item in output] if isinstance(output, list) else []
    audio_format = _FORMATS[str(flat.get("output_audio_format") or "pcm16")]
    usage = flat.get("usage")
    return {
        **{key: value for key, value in flat.items() if key not in own},
        "output": items,
        "usage": _usage(usage) if isinstance(usage, Mapping) else usage,
        "output_modalities": ["audio"] if spoken else ["text"],
        "audio": {"output": {"format": dict(audio_format), "voice": flat.get("voice")}},
    }


def _usage(usage: Mapping[str, object]) -> Event:
    extras = ("cache_write_tokens", "reasoning_tokens")
    return {
        key: {name: count for name, count in value.items() if name not in extras} if isinstance(value, dict) else value
        for key, value in usage.items()
    }


def _item(item: Mapping[str, object]) -> Event:
    content = item.get("content")
    if item.get("role") != "assistant" or not isinstance(content, list):
        return dict(item)
    return {**item, "content": [{**part, "type": _ASSISTANT_PARTS.get(part["type"], part["type"])} for part in content]}


# -- client events
def flat_client_event(given: ClientEvent) -> ClientEvent:
    """Return the event with its session or item in beta form. Raises `RefusedError`."""
    if given.type == "session.update":
        return replace(given, body={**given.body, "session": flat_update(given.body.get("session"))})
    if given.type == "conversation.item.create":
        refuse_beta_content(given.body.get("item"))
    return given


def flat_update(given: object) -> Event:
    """Return the beta form of the session of a GA `session.update`. Raises `RefusedError`."""
    if not isinstance(given, Mapping):
        raise RefusedError("'session' must be an object", "invalid_type", "session")
    if given.get("type") != "realtime":
        raise RefusedError("Missing required parameter: 'session.type'.", "missing_required_parameter", "session.type")
    flat: Event = {}
    for path, value in _leaves(given):
        if path == "output_modalities":
            flat["modalities"] = _flat_modalities(value)
        elif path in ("audio.input.format", "audio.output.format"):
            flat[f"{path.split('.')[1]}_audio_format"] = _flat_format(f"session.{path}", value)
        elif path in _FLAT:
            flat[_FLAT[path]] = value
        elif path != "type":
            raise RefusedError(f"Unknown parameter: 'session.{path}'.", "unknown_parameter", f"session.{path}")
    return flat


def _flat_format(param: str, value: object) -> str:
    """Return the beta name of a GA audio format. `rate` may be omitted."""
    for name, form in _FORMATS.items():
        if isinstance(value, Mapping) and {**form, **value} == form and "type" in value:
            return name
    raise _invalid(param)


def _leaves(given: Mapping[str, object], at: str = "") -> list[tuple[str, object]]:
    """Return the paths and values of a session. Only `audio`, `audio.input` and `audio.output` are flattened."""
    leaves: list[tuple[str, object]] = []
    for key, value in given.items():
        path = f"{at}{key}"
        if path in ("audio", "audio.input", "audio.output") and isinstance(value, Mapping):
            leaves += _leaves(value, f"{path}.")
        else:
            leaves.append((path, value))
    return leaves


def _flat_modalities(value: object) -> list[str]:
    if value == ["audio"]:
        return ["text", "audio"]
    if value == ["text"]:
        return ["text"]
    raise _invalid("session.output_modalities")


def ga_refusal(refused: RefusedError) -> RefusedError:
    """Return the error with the GA path instead of the beta key."""
    param = refused.param or ""
    for path, key in _FLAT.items():
        if param == f"session.{key}" or param.startswith(f"session.{key}."):
            of_client = f"session.{path}{param[len(f'session.{key}') :]}"
            return RefusedError(refused.message.replace(param, of_client), refused.code, of_client)
    return refused


def refuse_beta_content(item: object) -> None:
    """Reject an item with `text` content of the assistant: GA accepts only `output_text`. Raises `RefusedError`."""
    content = item.get("content") if isinstance(item, Mapping) and item.get("role") == "assistant" else None
    for number, part in enumerate(content if isinstance(content, list) else []):
        if isinstance(part, Mapping) and part.get("type") in _ASSISTANT_PARTS:
            raise _invalid(f"item.content[{number}].type")


def _invalid(param: str) -> RefusedError:
    return RefusedError(f"Invalid value: '{param}'.", "invalid_value", param)
