"""Faults of the simulated Voice Live, set by `PUT /lab/faults`. Each happens `times` times (null: until cleared)."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr


class InjectedFault(BaseModel):
    model_config = ConfigDict(extra="forbid")
    times: int | None = Field(default=None, ge=1)
    _taken: int = PrivateAttr(default=0)

    def take(self) -> bool:
        """Count an opportunity for the fault and return whether the fault happens."""
        self._taken += 1
        return self.times is None or self._taken <= self.times


F = TypeVar("F", bound=InjectedFault)


def due(fault: F | None) -> F | None:
    """Return the fault if it must happen this time."""
    return fault if fault is not None and fault.take() else None


class HandshakeFault(InjectedFault):
    """Respond to the upgrade with this status."""

    status: int = Field(ge=400, le=599)
    retry_after_s: int | None = Field(default=None, ge=1, le=3600)
    """Value of `Retry-After`; null: no header, as Azure does not document one."""


class RefuseFault(InjectedFault):
    """Accept the socket, send this `error` event and close. Azure does the same if it cannot start an agent."""

    code: str = "agent_initialization_failed"
    message: str = "Failed to initialize the agent"


class DropFault(InjectedFault):
    """Abort the connection without a close frame (1006), `after_s` seconds after `session.created`."""

    after_s: float = Field(default=0.0, ge=0)


class CloseFault(InjectedFault):
    """Close `after_s` seconds after `session.created`; the reason `session_expired` also sends that `error` first."""

    after_s: float = Field(default=0.0, ge=0)
    code: int = Field(default=1001, ge=1000, le=4999)
    reason: str = "session_expired"


class DelayFault(InjectedFault):
    """Delay `session.created` or `session.updated`."""

    delay_s: float = Field(ge=0, le=600)


class LateDeltasFault(InjectedFault):
    """Send `count` additional audio deltas of a response between the barge-in and its `response.done`."""

    count: int = Field(default=3, ge=1, le=100)


class ResponseFault(InjectedFault):
    """End the next response as failed, without any audio.

    An exhausted quota has the code `rate_limit_exceeded` and the wait in `message` ("Please try again in 1.5s.").
    `form`: `done` sends `response.done` with status `failed`; `error` sends an `error` event instead of the response,
    with the `event_id` of the request, if any; `both` sends an `error` event without `event_id`, then `response.done`.
    """

    code: str | None = "message_creation_failed"
    type: str = "server_error"
    message: str = "Failed to create message"
    form: Literal["done", "error", "both"] = "done"


class SlowFault(DelayFault):
    """Start the output of a response `delay_s` later; other events are answered in the meantime. `created`: send
    `response.created` immediately (`early`) or with the output (`late`).
    """

    created: Literal["early", "late"] = "early"


class SilentFault(InjectedFault):
    """Complete a spoken response without audio: `text` part, `transcript` without audio deltas, or `empty` output."""

    form: Literal["text", "transcript", "empty"] = "text"


class RequestErrorFault(InjectedFault):
    """Respond to `response.create` with an `error` event. Its `event_id` is null unless `named` is set."""

    type: str = "server_error"
    code: str | None = None
    message: str = "The server had an error while processing your request. Sorry about that!"
    named: bool = False


class RequestIgnoredFault(InjectedFault):
    """Do not respond to `response.create`."""


class NoWordsFault(InjectedFault):
    """Treat the next speech of the caller as a noise without words (a cough), which gets no response and uses no reply
    of the script.

    `transcription`: `completed` with an empty text, `failed`, or `never` reported. `responds`: only the transcription
    has no words; the response follows as usual.
    """

    transcription: Literal["completed", "failed", "never"] = "completed"
    responds: bool = False


class ProbesFault(InjectedFault):
    """Change the response to `conversation.item.retrieve` of an unknown item.

    `answer`: `ignored` sends nothing; `unnamed` sends an `error` event with a null `event_id`, this `code` and this
    `message` (null: the usual message).
    """

    answer: Literal["ignored", "unnamed"] = "ignored"
    code: str | None = "item_retrieve_invalid_item_id"
    message: str | None = None


class IncompleteFault(InjectedFault):
    """End the next response early, after its first delta."""

    reason: str = "content_filter"


class StallFault(InjectedFault):
    """Stop sending on the socket once a response has sent `after_ms` of audio."""

    after_ms: int = Field(default=500, ge=0)


class PartsFault(InjectedFault):
    """Send a reply as two audio parts of one item, with a pause between them."""

    pause_s: float = Field(default=0.0, ge=0, le=60)


class OddDeltasFault(InjectedFault):
    """Cut the audio of a reply at odd bytes, so that deltas end with half a sample."""


class RepeatedFault(InjectedFault):
    """Send events of these types twice, the second time with another `event_id`."""

    types: list[str] = Field(min_length=1)


class AgentToolFault(InjectedFault):
    """Change the first request of a tool that the agent's platform calls.

    `anonymous`: without the key, then with it, like a connection in its first minute. `twice`: the same request again
    after the answer. `garbled`: with a wrong call reference; `missing`: without one; the model tries again after the
    refusal. `reformatted`: with the reference in lower case and without hyphens. `after_end`: after the session.
    `spoken`: the agent says the call reference instead of calling the tool.
    """

    form: Literal["anonymous", "twice", "garbled", "missing", "reformatted", "after_end", "spoken"]


class McpFault(InjectedFault):
    """Change the next MCP call. `after_response`: the call ends after `response.done`. `function_call`: the client gets
    it as a function call. `silent_approval`: an approved call waits for the next `response.create`. `list_failed`: the
    tools of a server cannot be listed.
    """

    form: Literal["after_response", "function_call", "silent_approval", "list_failed"]


class AgentFunctionFault(InjectedFault):
    """Handle a function call of a Foundry agent in one of the forms that Voice Live may have.

    `stalled`: the client gets neither the call nor `response.done`. `failed`: it gets `response.done` with status
    `failed`. `accepted`: it gets the call, and its output is used as in model mode. `refused`: it gets the call, its
    output is refused, and so is a response without that output.
    """

    form: Literal["stalled", "failed", "accepted", "refused"]


class OddEventsFault(InjectedFault):
    """Send events unknown to all SDKs after `response.created`, and a `warning` after `session.updated`."""


class VoiceLiveFaults(BaseModel):
    model_config = ConfigDict(extra="forbid")
    handshake: HandshakeFault | None = None
    refuse: RefuseFault | None = None
    drop: DropFault | None = None
    close: CloseFault | None = None
    session_created: DelayFault | None = None
    session_updated: DelayFault | None = None
    late_deltas: LateDeltasFault | None = None
    response_failed: ResponseFault | None = None
    response_slow: SlowFault | None = None
    response_silent: SilentFault | None = None
    response_incomplete: IncompleteFault | None = None
    request_error: RequestErrorFault | None = None
    request_ignored: RequestIgnoredFault | None = None
    no_words: NoWordsFault | None = None
    probes: ProbesFault | None = None
    stall: StallFault | None = None
    parts: PartsFault | None = None
    odd_deltas: OddDeltasFault | None = None
    agent_tool: AgentToolFault | None = None
    mcp: McpFault | None = None
    agent_function: AgentFunctionFault | None = None
    repeated: RepeatedFault | None = None
    odd_events: OddEventsFault | None = None
