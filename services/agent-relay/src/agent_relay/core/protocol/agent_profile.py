"""How an agent sounds, listens and greets: one profile of the YAML file, and the session.update made from it.

Names of fields and values of nested objects are Voice Live's own (Voice Live API reference 2026-07-15, session.update);
a profile says only what it wants to be different.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from agent_relay.core.protocol.voice_target import Mode, VoiceTarget

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
Dtmf = Literal["ignore", "agent", "transcript"]
"""Where the keys go that the caller presses: nowhere; to the agent, while the transcript only counts them; to both."""
Json = dict[str, Any]
"""An object of Voice Live's, passed through as it stands."""

DEFAULT_VOICE: Final[Json] = {"type": "azure-standard", "name": "en-US-Ava:DragonHDLatestNeural", "temperature": 0.8}
_TURNS: Final[Json] = {
    "type": "azure_semantic_vad_multilingual",
    "threshold": 0.5,
    "silence_duration_ms": 500,
    "remove_filler_words": True,
    "create_response": True,
    "interrupt_response": True,
    "auto_truncate": False,
}
_NOISE_REDUCTIONS_OF_OPENAI: Final = ("near_field", "far_field")
_TURNS_AZURE_OPENAI: Final[Json] = {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Greeting(_Strict):
    """Either the words themselves or how the agent should find them."""

    text: Text | None = None
    say_how: Text | None = None
    interruptible: bool = True
    """False: caller audio is not sent to the agent during the greeting (a legal announcement)."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Greeting:
        if (self.text is None) == (self.say_how is None):
            raise ValueError("a greeting has either `text` or `say_how`")
        return self


class AgentProfile(_Strict):
    voice: Json | None = None
    """None: a voice that goes with the model."""
    language: str = Field(default="en-US", max_length=100)
    """Of the transcription: one, or several with commas."""
    instructions: Text | None = None
    """Model modes only; an agent has its own."""
    greeting: Greeting | None = Greeting(say_how="Use one short sentence and ask how you can help.")
    """None: the caller speaks first."""
    fallback_text: Text = "Sorry, something went wrong. Could you say that again?"
    """Spoken when the agent could not answer twice."""
    turn_detection: Json = Field(default_factory=dict)
    """Merged over a phone line's own."""
    noise_reduction: Json | None = Field(default_factory=lambda: {"type": "azure_deep_noise_suppression"})
    echo_cancellation: Json | None = Field(default_factory=lambda: {"type": "server_echo_cancellation"})
    transcription: Json = Field(default_factory=dict)
    """Merged over `model` and `language`."""
    temperature: float | None = Field(default=None, ge=0.0, le=1.2)
    interim_response: Json | None = None
    max_response_output_tokens: Annotated[int, Field(ge=1, le=4096)] | Literal["inf"] | None = None
    dtmf: Dtmf = "agent"
    transcript: bool = True
    """False: nobody can read what is said, and what a relay has to know of it is deleted when the call ends."""


def session_update(profile: AgentProfile, target: VoiceTarget) -> Json:
    """The `session` object for a phone line: 24 kHz PCM both ways, and only what this way to connect accepts."""
    if target.way.ga:
        return _ga_session(profile, target)
    if target.mode is Mode.AZURE_OPENAI:
        return _azure_openai_session(profile)
    session: Json = {
        "modalities": ["text", "audio"],
        "voice": profile.voice or _voice_of(target.model),
        "input_audio_format": "pcm16",
        "input_audio_sampling_rate": 24_000,
        "output_audio_format": "pcm16",
        "turn_detection": turn_detection(profile, target),
        "input_audio_noise_reduction": profile.noise_reduction,
        "input_audio_echo_cancellation": profile.echo_cancellation,
        "input_audio_transcription": _transcription(profile, target.model),
    }
    if profile.interim_response is not None:
        session["interim_response"] = profile.interim_response
    if not target.way.agent:
        session |= _of_the_model(profile)
    return session


def turn_detection(profile: AgentProfile, target: VoiceTarget) -> Json:
    """Sent whole: Voice Live takes its defaults again for every key that is left out."""
    own = _TURNS if target.way.azure_voices else _TURNS_AZURE_OPENAI
    if profile.turn_detection.get("type", own["type"]) != own["type"]:
        # Another type knows other keys; of ours only those that every type has may stay.
        own = {"create_response": True, "interrupt_response": True}
    return own | profile.turn_detection


def essentials(session: Json) -> Json:
    """What no call can do without, for a service that refuses the whole."""
    if "audio" in session:
        audio = {way: {"format": settings["format"]} for way, settings in session["audio"].items()}
        return {"type": session["type"], "output_modalities": session["output_modalities"], "audio": audio}
    kept = ("modalities", "input_audio_format", "input_audio_sampling_rate", "output_audio_format")
    return {name: session[name] for name in kept if name in session}


def _of_the_model(profile: AgentProfile) -> Json:
    wanted = {
        "instructions": profile.instructions,
        "temperature": profile.temperature,
        "max_response_output_tokens": profile.max_response_output_tokens,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _ga_session(profile: AgentProfile, target: VoiceTarget) -> Json:
    """OpenAI Realtime GA, without a temperature (`session.update` of the OpenAI API reference)."""
    pcm = {"type": "audio/pcm", "rate": 24_000}
    listening: Json = {
        "format": pcm,
        "turn_detection": turn_detection(profile, target),
        "transcription": {"model": "whisper-1"} | profile.transcription,
    }
    if (profile.noise_reduction or {}).get("type") in _NOISE_REDUCTIONS_OF_OPENAI:
        listening["noise_reduction"] = profile.noise_reduction
    session: Json = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {"input": listening, "output": {"format": pcm, "voice": _openai_voice(profile)}},
    }
    if profile.instructions is not None:
        session["instructions"] = profile.instructions
    if profile.max_response_output_tokens is not None:
        session["max_output_tokens"] = profile.max_response_output_tokens
    return session


def _openai_voice(profile: AgentProfile) -> str:
    voice = profile.voice or {}
    name: str = voice.get("name", "alloy")
    return name if voice.get("type", "openai") == "openai" else "alloy"


def _azure_openai_session(profile: AgentProfile) -> Json:
    return {
        "modalities": ["text", "audio"],
        "voice": _openai_voice(profile),
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "turn_detection": turn_detection(profile, _AZURE_OPENAI),
        "input_audio_transcription": {"model": "whisper-1"} | profile.transcription,
        **_of_the_model(profile),
    }


def _voice_of(model: str) -> Json:
    return {"type": "azure-realtime-native", "name": "ava"} if model.startswith("azure-realtime") else DEFAULT_VOICE


def _transcription(profile: AgentProfile, model: str) -> Json:
    if model.startswith("gpt-realtime"):
        return {"model": "whisper-1"} | profile.transcription
    return {"model": "azure-speech", "language": profile.language} | profile.transcription


_AZURE_OPENAI: Final = VoiceTarget(mode=Mode.AZURE_OPENAI, endpoint="", api_version="")
