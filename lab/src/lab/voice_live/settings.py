"""Settings of the simulated Voice Live."""

from __future__ import annotations

from dataclasses import dataclass

from lab.environment import Count, NonNegative, Port, Seconds, SimulatorSettings
from lab.identity import DEFAULT_SECRET

DEFAULT_API_KEY = "lab-voice-live-key"


@dataclass(frozen=True)
class VoiceLiveSettings(SimulatorSettings):
    """Settings of the simulated Voice Live. Where Azure does not document its behavior, a setting selects it
    (`agent_error_close_code`, `truncate_any_part`, …).
    """

    host: str = "127.0.0.1"
    port: Port = 8091
    api_key: str = DEFAULT_API_KEY
    lab_identity_secret: str = DEFAULT_SECRET
    """Secret of the simulated managed identity, which signs the bearer tokens."""
    allow_any_bearer: bool = False
    """Accept any bearer token for every audience, for clients that have their own tokens."""

    session_setup_s: Seconds = 0.05
    """Delay from the accepted handshake to `session.created`."""
    reply_delay_s: Seconds = 0.25
    """Delay from `response.created` to the first delta: the latency of the model and of speech synthesis."""
    speed: NonNegative = 8.0
    """Replies are sent this many times faster than real time; 0: as fast as possible."""
    delta_ms: Count = 250
    """Audio in one delta, in milliseconds."""
    marks_chunk_ms: Count = 20
    """Interval and size of the deltas in marks mode. 20: each frame in its own delta; 250: like Voice Live."""
    marks_interrupt_s: Seconds = 0.0
    """Mean time between interruptions of a session in marks mode; 0: no interruptions."""

    agent_tools_url: str = ""
    """Where the agent's platform calls tools: the address of call-control with `/agent`. Empty: tools fail."""
    agent_tools_key: str = ""
    """Key of the project connection, which it sends to the tools."""

    new_connections_per_minute: Count = 0
    """Maximum number of handshakes in a rolling minute; more are answered with 429. 0: no limit. Default of Azure: 30.
    """
    quota_retry_after: bool = False
    """Send `Retry-After` with 429. Azure does not document whether it does."""
    session_max_s: Seconds = 3600.0
    """Maximum duration of a session; it then ends with `session_expired`."""
    lab_strict: bool = False
    """Reject fields that have no effect in the simulator; `GET /lab/unsupported` lists them."""
    accept_session_agent: bool = False
    """Accept `session.agent` in `session.update`, as clients of 2025 send it. Azure rejects it."""
    pre_generated_in_agent_mode: bool = True
    """Accept `pre_generated_assistant_message` in agent mode. Azure does not document whether it does."""
    spaced_arguments: bool = False
    """Send arguments of functions with extra spaces and line breaks, like native models; otherwise as compact JSON."""
    ga_event_names: bool = False
    """Use OpenAI's GA event names (`response.output_audio.delta`) on the Voice Live paths as well."""
    refuse_truncation_at_zero: bool = False
    """Reject `audio_end_ms: 0` with `unsupported_content_type`, like OpenAI if no audio was generated."""
    truncate_any_part: bool = False
    """Accept a `content_index` other than 0 in `conversation.item.truncate`."""
    agent_error_close_code: int = 1008
    """Close code after invalid agent or model parameters. Azure does not document its code."""
