"""An agent profile (voice, turn detection, greeting and so on), and the session.update for it.

Nested objects have the fields of Voice Live (Voice Live API reference 2026-07-15, session.update). A profile contains
only values that differ from the defaults.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from agent_relay.core.protocol.keypad_profile import KeypadProfile
from agent_relay.core.protocol.mcp_profile import McpServer
from agent_relay.core.protocol.profile_fields import Languages, MostTokens
from agent_relay.core.protocol.target_profile import TargetProfile
from agent_relay.core.protocol.tool_profile import HttpTool
from agent_relay.core.protocol.transfer_profile import TransferProfile
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget
from bridge_common.wire.agent_tools import AGENT_TOOLS

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
Json = dict[str, Any]
"""An object that is sent to Voice Live unchanged."""

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
    """The greeting of an agent: either a fixed text, or instructions for the agent (`say_how`)."""

    text: Text | None = None
    say_how: Text | None = None
    interruptible: bool = True
    """Whether the caller may interrupt the greeting. If False, caller audio is not sent to the agent during the
    greeting (for example a legal notice).
    """

    @model_validator(mode="after")
    def _one_of_both(self) -> Greeting:
        if (self.text is None) == (self.say_how is None):
            raise ValueError(
                "must contain either `text` or `say_how`"
                if self.text is None
                else "contains both `text` and `say_how`; keep one"
            )
        return self


class Silence(_Strict):
    """Settings for a silent caller: the relay asks whether they are still there, and finally hangs up."""

    after_s: Annotated[float, Field(ge=2, le=300)] = 8.0
    """Seconds of silence before each step, from the end of the agent's speech."""
    reprompts: Annotated[int, Field(ge=0, le=10)] = 2
    reprompt_text: Text = "Are you still there?"


class InterimPhrases(_Strict):
    """Phrases in the agent's voice while a tool runs, unless the service itself speaks then."""

    texts: Annotated[tuple[Text, ...], Field(min_length=1, max_length=20)] = (
        "One moment, please.",
        "I am still working on it.",
        "Thank you for waiting, this takes a little longer.",
    )
    """Spoken in turn. They must not promise a result."""
    after_ms: Annotated[int, Field(ge=300, le=10_000)] = 800
    """Silence before the first phrase."""
    again_after_ms: Annotated[int, Field(ge=2_000, le=60_000)] = 8_000
    """Silence before each further phrase."""


class AgentProfile(_Strict):
    target: TargetProfile | None = None
    """None: that of the settings."""
    warm_sessions: Annotated[int, Field(ge=0, le=100)] | None = None
    """Voice sessions that wait for calls. None: RELAY_WARM_SESSIONS for the profile `default`, none for others."""
    voice: Json | None = None
    """The voice of the agent; None: the default voice of the model."""
    language: Languages = "en-US"
    """Languages of the transcription, separated by commas."""
    instructions: Text | None = None
    """System prompt, in model modes only; agents have their own instructions."""
    greeting: Greeting | None = Greeting(say_how="Use one short sentence and ask how you can help.")
    """The greeting; None: the caller speaks first."""
    fallback_text: Text = "Sorry, something went wrong. Could you say that again?"
    """Text that is spoken after two responses of the agent have failed."""
    turn_detection: Json = Field(default_factory=dict)
    """Voice Live's object for turn detection. It overrides fields of the defaults for phone calls."""
    noise_reduction: Json | None = Field(default_factory=lambda: {"type": "azure_deep_noise_suppression"})
    echo_cancellation: Json | None = Field(default_factory=lambda: {"type": "server_echo_cancellation"})
    transcription: Json = Field(default_factory=dict)
    """Voice Live's object for transcription. It overrides or extends `model` and `language`."""
    temperature: float | None = Field(default=None, ge=0.0, le=1.2)
    interim_response: Json | None = None
    interim: InterimPhrases | None = InterimPhrases()
    """None: the caller hears only the hold tone while a tool runs."""
    max_response_output_tokens: MostTokens | None = None
    dtmf: KeypadProfile = Field(default_factory=KeypadProfile)
    """Use of the caller's keys: the mode, or an object with `mode` and the limits of an entry."""
    actions: tuple[Annotated[str, Field(max_length=64)], ...] = ()
    """Names of the actions in `AGENT_TOOLS` that the agent may request for its call."""
    transfer: TransferProfile = Field(default_factory=TransferProfile)
    tools: tuple[HttpTool, ...] = ()
    """Function tools that the relay runs, for models and voice agents. Other agents have their own."""
    mcp_servers: Annotated[tuple[McpServer, ...], Field(max_length=16)] = ()
    """Servers whose tools Voice Live calls; with a model of Voice Live only."""
    end_phrases: tuple[Text, ...] = ()
    """Phrases of the agent. The call is hung up after the agent has said one of them."""
    goodbye_text: Text = "Goodbye."
    """Text that is spoken before a hang-up if the agent has not said goodbye."""
    time_left_text: Text = "This call ends in a minute."
    """Text that is spoken `MAX_CALL_WARNING_S` seconds before a call reaches its maximum duration."""
    silence: Silence | None = None
    """The reaction to a silent caller; None: the relay waits without a limit."""
    transcript: bool = True
    """Whether the API returns the transcript. If False, the data that relays need of it is deleted when the
    call ends.
    """

    @field_validator("actions")
    @classmethod
    def _known_actions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in value if name not in AGENT_TOOLS]:
            raise ValueError(f"unknown actions: {', '.join(unknown)}; known actions are {', '.join(AGENT_TOOLS)}")
        return value

    @model_validator(mode="after")
    def _tool_names(self) -> AgentProfile:
        names = [*self.actions, *(tool.name for tool in self.tools)]
        names += [name for server in self.mcp_servers for name in server.allowed_tools or ()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names of actions and tools must be unique; used twice: {', '.join(twice)}")
        labels = [server.label for server in self.mcp_servers]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"labels of MCP servers must be unique; used twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _no_unheard_greeting(self) -> AgentProfile:
        target = self.target
        if self.warm_sessions and target is not None and target.voice_agent is not None and target.greets is not False:
            raise ValueError(
                "`warm_sessions` must be 0 with a voice agent, because nobody would hear its greeting; if its "
                "definition has no greeting, set `greets: false` in `target`"
            )
        return self

    @model_validator(mode="after")
    def _masked_keys(self) -> AgentProfile:
        keyed = [tool.name for tool in self.tools if tool.keypad is not None]
        if keyed and self.dtmf.mode != "masked":
            raise ValueError(
                f"`keypad` of {', '.join(keyed)} needs `dtmf: masked`, got {self.dtmf.mode}; otherwise the agent would "
                "receive the digits"
            )
        return self

    @model_validator(mode="after")
    def _usable_transfer(self) -> AgentProfile:
        end_key = "none" if self.dtmf.mode == "ignore" else self.dtmf.end_key
        if fault := self.transfer.fault_beside(self.actions, end_key):
            raise ValueError(fault)
        return self

    @property
    def version(self) -> str:
        """A hash of the content; fields with default values do not count."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def functions(self) -> list[Json]:
        """Return the function tools for the model: the allowed actions and the profile's own tools."""
        actions = [
            {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters()}
            for tool in (self.transfer.bound(AGENT_TOOLS[name]) for name in self.actions)
        ]
        return [*actions, *(tool.definition() for tool in self.tools)]


def session_update(profile: AgentProfile, target: VoiceTarget) -> Json:
    """Return the `session` object: PCM at 24 kHz in both directions, and only fields that the target accepts."""
    if target.spec.defined:
        return _overrides(profile, target)
    if target.spec.ga:
        return _ga_session(profile, target)
    if target.mode is Mode.AZURE_OPENAI:
        return _azure_openai_session(profile, target)
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
    if not target.spec.agent:
        session |= _model_settings(profile)
    return session


def speaks_interim(profile: AgentProfile, target: VoiceTarget) -> bool:
    """Return whether the service speaks while a tool runs. Models that generate audio themselves never do."""
    triggers = (profile.interim_response or {}).get("triggers", ())
    return "tool" in triggers and target.spec.azure_voices and not _is_native(target.model)


def turn_detection(profile: AgentProfile, target: VoiceTarget) -> Json:
    """Return the complete turn-detection object. Voice Live resets missing fields to its defaults."""
    own = _TURNS if target.spec.azure_voices else _TURNS_AZURE_OPENAI
    if target.spec.defined or profile.turn_detection.get("type", own["type"]) != own["type"]:
        # Other types have other fields; these two are common to all. They are also assumed for a definition.
        own = {"create_response": True, "interrupt_response": True}
    return own | profile.turn_detection


def essentials(session: Json) -> Json:
    """Return the part of a session that every call needs, for a service that rejects the complete session."""
    if "audio" in session:
        audio = {direction: {"format": settings["format"]} for direction, settings in session["audio"].items()}
        return {"type": session["type"], "output_modalities": session["output_modalities"], "audio": audio}
    kept = ("modalities", "input_audio_format", "input_audio_sampling_rate", "output_audio_format")
    return {name: session[name] for name in kept if name in session}


def _model_settings(profile: AgentProfile) -> Json:
    wanted = {
        "instructions": profile.instructions,
        "temperature": profile.temperature,
        "max_response_output_tokens": profile.max_response_output_tokens,
    }
    found: Json = {name: value for name, value in wanted.items() if value is not None}
    if functions := profile.functions():
        found |= {"tools": functions, "tool_choice": "auto"}
    return found


def _ga_session(profile: AgentProfile, target: VoiceTarget) -> Json:
    """Return the `session` object for OpenAI Realtime GA, which has no temperature."""
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
    if functions := profile.functions():
        session |= {"tools": functions, "tool_choice": "auto"}
    return session


def _overrides(profile: AgentProfile, target: VoiceTarget) -> Json:
    """Return the `session` object for a voice agent: only values that differ from the defaults of a profile, because
    all others are part of the agent's definition.
    """
    defaults = AgentProfile()
    listening: Json = {}
    if profile.turn_detection:
        listening["turn_detection"] = turn_detection(profile, target)
    if profile.noise_reduction != defaults.noise_reduction:
        listening["noise_reduction"] = profile.noise_reduction
    if profile.echo_cancellation != defaults.echo_cancellation:
        listening["echo_cancellation"] = profile.echo_cancellation
    if profile.transcription:
        listening["transcription"] = profile.transcription
    voice = dict(profile.voice or {})
    speaking = {new: voice.pop(old) for old, new in (("name", "voice"), ("type", "voice_type")) if old in voice} | voice
    audio = {name: fields for name, fields in (("input", listening), ("output", speaking)) if fields}
    tools = profile.functions() if target.sends_tools else []
    optional = {"audio": audio, "interim_response": profile.interim_response, "tools": tools}
    return {"type": "realtime"} | {name: value for name, value in optional.items() if value}


def _openai_voice(profile: AgentProfile) -> str:
    voice = profile.voice or {}
    name: str = voice.get("name", "alloy")
    return name if voice.get("type", "openai") == "openai" else "alloy"


def _azure_openai_session(profile: AgentProfile, target: VoiceTarget) -> Json:
    return {
        "modalities": ["text", "audio"],
        "voice": _openai_voice(profile),
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "turn_detection": turn_detection(profile, target),
        "input_audio_transcription": {"model": "whisper-1"} | profile.transcription,
        **_model_settings(profile),
    }


def _is_native(model: str) -> bool:
    return model.startswith(("gpt-realtime", "azure-realtime"))


def _voice_of(model: str) -> Json:
    return {"type": "azure-realtime-native", "name": "ava"} if model.startswith("azure-realtime") else DEFAULT_VOICE


def _transcription(profile: AgentProfile, model: str) -> Json:
    if model.startswith("gpt-realtime"):
        return {"model": "whisper-1"} | profile.transcription
    return {"model": "azure-speech", "language": profile.language} | profile.transcription
