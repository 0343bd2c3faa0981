"""Settings of one conversation, derived from the agent profile and the connection mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent_relay.core.dialog.debt import Limits
from agent_relay.core.dialog.interim import InterimProfile
from agent_relay.core.dialog.silence_policy import SilenceLimits
from agent_relay.core.protocol.agent_profile import (
    AgentProfile,
    Greeting,
    essentials,
    session_update,
    speaks_interim,
    turn_detection,
)
from agent_relay.core.protocol.keypad_profile import KeypadArgument, KeypadProfile
from agent_relay.core.protocol.spoken_text import Form, forms_for
from agent_relay.core.protocol.transfer_profile import TransferProfile
from agent_relay.core.protocol.voice_target import VoiceTarget

_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class MannersProfile:
    """Fixed phrases of the agent, and the limits for the silence of the caller."""

    goodbye: str = "Goodbye."
    silence: SilenceLimits | None = None
    reprompt: str = "Are you still there?"
    time_left: str = "This call ends in a minute."
    connecting: str = "One moment please, I am connecting you."


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionProfile:
    session: Mapping[str, object]
    essential_session: Mapping[str, object]
    greeting: Greeting | None = None
    fallback: Greeting
    speaks_fixed_text: bool = False
    say_forms: tuple[Form, ...] = (Form.SYSTEM_ITEM,)
    """Forms in which announcements are requested. The first that the service does not reject is used."""
    language: str = ""
    replays: bool = True
    """Whether the history is replayed to a new session, because it cannot resume the conversation."""
    interrupts: bool = True
    """Whether the caller may interrupt the agent."""
    truncates: bool = True
    assistant_part: str = "text"
    """Content type of an assistant message."""
    greeting_delay_s: float | None = None
    """Delay from the media socket to the greeting. None: greet when the first caller audio arrives."""
    greeting_protected: bool = False
    """Whether the caller cannot interrupt the greeting."""
    responds: bool = True
    """Whether the service answers the caller's words without a request."""
    keys_interrupt: bool = True
    """Whether a key press interrupts the agent."""
    dtmf: KeypadProfile = field(default_factory=KeypadProfile)
    keypad_tools: Mapping[str, KeypadArgument] = field(default_factory=dict)
    """The tools with an argument that the caller types, by name."""
    keeps_transcript: bool = True
    """Whether the transcript is readable through the API."""
    limits: Limits = _LIMITS
    tools: frozenset[str] = field(default_factory=frozenset)
    """Names of the function tools that the relay runs."""
    late_after_s: Mapping[str, float] = field(default_factory=dict)
    """For function tools: time after which the agent continues without the result."""
    approved: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """For MCP servers, by label: tools whose calls are approved."""
    actions: frozenset[str] = field(default_factory=frozenset)
    """Names in `AGENT_TOOLS` that the agent may use."""
    transfer: TransferProfile = field(default_factory=TransferProfile)
    defined: bool = False
    """Whether the service configures the session by itself, from the definition of a voice agent."""
    greets_itself: bool = False
    """Whether the service greets the caller by itself, in every session."""
    names_call: bool = False
    """Whether the agent must pass the call reference to its tools, because its platform runs them."""
    end_phrases: tuple[str, ...] = ()
    """Phrases in lower case. The call is hung up after the agent has said one of them."""
    manners: MannersProfile = field(default_factory=MannersProfile)
    interim: InterimProfile = field(default_factory=InterimProfile)


def session_profile_of(
    profile: AgentProfile,
    target: VoiceTarget,
    *,
    greeting_delay_s: float | None = None,
    limits: Limits = _LIMITS,
    keys_interrupt: bool = True,
    keep_transcripts: bool = True,
    tools: frozenset[str] = frozenset(),
    say_forms: tuple[Form, ...] = (),
    mcp: Sequence[Mapping[str, object]] = (),
) -> SessionProfile:
    """Derive the session profile. `say_forms` overrides the forms of the connection mode for announcements. `mcp`: the
    definitions of the MCP servers.
    """
    session = session_update(profile, target)
    if mcp:
        session |= {"tools": [*session.get("tools", ()), *mcp], "tool_choice": "auto"}
    turns = turn_detection(profile, target)
    interrupts = turns.get("interrupt_response") is not False
    return SessionProfile(
        session=session,
        essential_session={"type": session["type"]} if target.spec.defined else essentials(session),
        greeting=profile.greeting,
        fallback=Greeting(text=profile.fallback_text),
        speaks_fixed_text=target.speaks_fixed_text,
        say_forms=say_forms or forms_for(target),
        language=profile.language.partition(",")[0].strip(),
        replays=not target.spec.resumes,
        interrupts=interrupts,
        truncates=turns.get("auto_truncate") is not True,
        assistant_part="output_text" if target.spec.ga else "text",
        greeting_delay_s=greeting_delay_s,
        greeting_protected=profile.greeting is not None and not profile.greeting.interruptible,
        responds=turns.get("create_response") is not False,
        keys_interrupt=keys_interrupt,
        dtmf=profile.dtmf,
        keypad_tools={tool.name: tool.keypad for tool in profile.tools if tool.keypad is not None},
        keeps_transcript=profile.transcript and keep_transcripts,
        limits=limits,
        tools=tools,
        late_after_s={tool.name: tool.late_after_s for tool in profile.tools if tool.late_after_s is not None},
        approved={server.label: frozenset(server.approve) for server in profile.mcp_servers},
        actions=frozenset(profile.actions),
        transfer=profile.transfer,
        defined=target.spec.defined,
        greets_itself=target.greets_itself,
        names_call=bool(profile.actions) and target.spec.runs_tools,
        end_phrases=tuple(phrase.lower() for phrase in profile.end_phrases),
        manners=_manners_of(profile),
        interim=_interim_of(profile, target),
    )


def _interim_of(profile: AgentProfile, target: VoiceTarget) -> InterimProfile:
    own = profile.interim
    if own is None or speaks_interim(profile, target):
        return InterimProfile()
    return InterimProfile(own.texts, own.after_ms / 1000, own.again_after_ms / 1000)


def _manners_of(profile: AgentProfile) -> MannersProfile:
    silence = profile.silence
    limits = None if silence is None else SilenceLimits(silence.after_s, silence.reprompts)
    reprompt = "" if silence is None else silence.reprompt_text
    return MannersProfile(
        profile.goodbye_text, limits, reprompt, profile.time_left_text, profile.transfer.connecting_text
    )
