"""Scenarios: the steps of the caller and the replies of the simulated agent, as validated YAML files.

docs/lab.md describes the format; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lab.scenario_outcome import ScenarioOutcome

WITHIN_S: Final = 15.0
PARTY: Final = r"^(\+[1-9][0-9]{6,14}|(4|8|28):.+)$"
"""Format of a party: an E.164 number or a raw id of ACS."""
BUILT_IN: Final[Mapping[str, Path]] = {
    path.stem: path for path in sorted(Path(str(files("lab") / "scenarios")).glob("*.yaml"))
}
"""The scenarios that run by name."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScenarioStep(_Part):
    """One action of the caller. Exactly one of `say`, `play`, `dtmf`, `wait_for`, `pause_ms`, `hang_up` is set.

    `wait_for: agent_starts` with `ms: 800` waits until the caller has heard 800 ms of the agent's speech since the step
    began. `agent_ends` waits for speech, which may have begun before the step, followed by `ms` without any. `silence`
    waits for `ms` without speech. The hold tone is not speech.
    """

    say: str | None = None
    play: str | None = None
    dtmf: str | None = Field(default=None, pattern=r"^[0-9A-D*#]+$")
    wait_for: Literal["agent_starts", "agent_ends", "silence"] | None = None
    pause_ms: int | None = Field(default=None, ge=0)
    hang_up: Literal[True] | None = None
    ms: int = Field(default=0, ge=0)
    within_s: float = Field(default=WITHIN_S, gt=0)

    @model_validator(mode="after")
    def _exactly_one(self) -> ScenarioStep:
        kinds = ("say", "play", "dtmf", "wait_for", "pause_ms", "hang_up")
        chosen = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(chosen) != 1:
            has = " and ".join(chosen) or "none"
            raise ValueError(f"must contain exactly one of {', '.join(kinds)}, got {has}")
        if self.wait_for is None and (self.ms or self.within_s != WITHIN_S):
            raise ValueError(
                f"must not have `ms` or `within_s`, which only `wait_for` supports; remove them from `{chosen[0]}`"
            )
        return self


class CallHeaders(_Part):
    """SIP and VoIP headers of the call, by name."""

    sip: dict[str, str] = {}
    voip: dict[str, str] = {}


class ScenarioCaller(_Part):
    number: str = Field(default="+14255550100", pattern=PARTY)
    to: str = Field(default="+18005551212", pattern=PARTY)
    headers: CallHeaders = CallHeaders()
    on_behalf_of: str | None = Field(default=None, pattern=PARTY)
    """The party that a Teams user calls through the application: `onBehalfOfCallee` of the event."""
    steps: tuple[ScenarioStep, ...] = ()


class ScenarioFunctionCall(_Part):
    name: str
    arguments: dict[str, object] = {}


class ScenarioTool(ScenarioFunctionCall):
    """A tool of a Foundry agent, which the service calls itself. It adds the call reference to the arguments."""

    via: Literal["mcp", "openapi"] = "mcp"


class ScenarioMcpCall(ScenarioFunctionCall):
    """A tool of an MCP server in the session (model mode). `server`: its label."""

    server: str


class Reply(_Part):
    """The agent's reaction to a caller's turn: it speaks `say`, or calls a function and speaks `say` after the result.
    It speaks `say_first` in the same response, before the function call. `tool` is called by the service, not by the
    client; so is `mcp`, and `say` follows when the client requests the next response.

    Replies are used in order, one for each turn: an utterance, keys pressed together, or a late result. `heard` does
    not select a reply. It is the simulated transcription of the turn, and a demo checks it against the caller's words.
    Turns of keys have no transcription. `heard` alone is for words that the agent is not to answer: those with which a
    person takes a transferred call. A client that requests no response to them cancels the one that begins by itself.
    """

    heard: str = ""
    say: str | None = None
    say_first: str | None = None
    call: ScenarioFunctionCall | None = None
    tool: ScenarioTool | None = None
    mcp: ScenarioMcpCall | None = None

    @model_validator(mode="after")
    def _something(self) -> Reply:
        used = [name for name in ("call", "tool", "mcp") if getattr(self, name) is not None]
        if len(used) > 1:
            raise ValueError(f"has {' and '.join(f'`{name}`' for name in used)}; keep one")
        if self.say is None and not used and not self.heard:
            raise ValueError("must contain `say`, `call`, `tool` or `mcp`, or `heard` alone; got none of them")
        if self.say_first is not None and self.call is None:
            raise ValueError("has `say_first`, which only a `call` can follow; use `say`")
        return self


class VoiceAgentDefinition(_Part):
    """The definition of a Foundry voice agent, and how the service behaves where that is not documented.

    `greeting`: spoken by the service at the beginning of each session. `updated`: when `session.updated` is sent: after
    `session.created`, only after a `session.update`, or never. `overrides`: what a `session.update` does.
    """

    greeting: str | None = None
    tools: tuple[dict[str, object], ...] = ()
    audio_format: Literal["pcm16", "g711_ulaw"] = "pcm16"
    disabled: bool = False
    updated: Literal["unasked", "asked", "never"] = "unasked"
    overrides: Literal["applied", "ignored", "refused"] = "applied"


class Agent(_Part):
    """Behavior of the simulated Voice Live: follow a script, echo the caller, or send numbered marks. `definition` is
    that of a voice agent; sessions with other targets ignore it.
    """

    mode: Literal["script", "echo", "marks"] = "script"
    replies: tuple[Reply, ...] = ()
    greeting: str | None = None
    keep_audio: bool = False
    """Keep the audio that the session receives, for `GET /lab/sessions/{id}/heard`."""
    definition: VoiceAgentDefinition = VoiceAgentDefinition()


class OtherCall(_Part):
    """A call of another caller, which is connected before the call of the scenario begins."""

    number: str = Field(default="+14255550199", pattern=r"^\+[1-9][0-9]{6,14}$")
    to: str = Field(default="+18005551212", pattern=PARTY)
    hang_up_after_s: float = Field(default=60.0, gt=0)
    """Seconds from its answer."""


class ScenarioStack(_Part):
    """The stack that `lab demo` starts for the scenario. `model`: model mode with this model, instead of an agent.
    `settings`: of all processes, as if they were exported. `profile`: the agent profile `default`; `profiles`: others,
    by name; `BUSINESS` in them becomes the address of the simulated business. `routing`: the routing policy.
    """

    model: str | None = Field(default=None, min_length=1)
    settings: dict[str, str] = {}
    routing: dict[str, object] = {}
    profile: dict[str, object] = {}
    profiles: dict[str, dict[str, object]] = {}
    faults: dict[Literal["acs", "voice-live", "business"], dict[str, object]] = {}


class Scenario(_Part):
    name: str = Field(pattern=r"^\w[\w .-]{0,99}$")
    caller: ScenarioCaller = ScenarioCaller()
    agent: Agent = Agent()
    people: dict[str, dict[str, object]] = {}
    """Scripts of the people whom the services call, by phone number or raw id (`CalleePlan` of the simulated ACS)."""
    forms: dict[str, object] = {}
    """Behavior of this call where ACS leaves it open (`CallForms` of the simulated ACS)."""
    other_calls: tuple[OtherCall, ...] = ()
    stack: ScenarioStack = ScenarioStack()
    expect: ScenarioOutcome = ScenarioOutcome()
