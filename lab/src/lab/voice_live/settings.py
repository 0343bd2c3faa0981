"""What the simulated Voice Live resource is set to; read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.environment import read_settings
from lab.identity import DEFAULT_SECRET

DEFAULT_API_KEY = "lab-voice-live-key"


@dataclass(frozen=True)
class VoiceLiveSettings:
    """Each field is set by the environment variable of the same name in capitals, e.g. `REPLY_DELAY_S`.

    What Azure has not documented (`agent_error_close_code`, `truncate_any_part`, …) is a setting too.
    """

    host: str = "127.0.0.1"
    port: int = 8091
    api_key: str = DEFAULT_API_KEY
    lab_identity_secret: str = DEFAULT_SECRET
    allow_any_bearer: bool = False
    """Take any bearer token as one for every audience: for clients that bring a token of their own."""

    session_setup_s: float = 0.05
    """From the accepted handshake to `session.created`."""
    reply_delay_s: float = 0.25
    """From `response.created` to its first delta: stands for the model and the first chunk of speech."""
    speed: float = 8.0
    """How many times faster than real time replies are sent; 0 sends as fast as possible."""
    delta_ms: int = 250
    marks_chunk_ms: int = 20
    """Pace and size of the deltas in marks mode: 20 for every frame by itself, 250 as Voice Live batches."""
    marks_interrupt_s: float = 0.0
    """Mean seconds between the interruptions of a session in marks mode; 0: nobody interrupts."""

    new_connections_per_minute: int = 0
    """HTTP 429 beyond this many handshakes in a rolling minute; 0 does not count. Azure's own default is 30."""
    quota_retry_after: bool = False
    """Tell with `Retry-After` when a connection will be allowed again. Whether Azure does is not documented."""
    session_max_s: float = 3600.0
    accept_session_agent: bool = False
    """Take `session.agent` in `session.update` without an error, as clients of 2025 send it. Azure refuses it."""
    pre_generated_in_agent_mode: bool = True
    ga_event_names: bool = False
    """Send the names of OpenAI's GA (`response.output_audio.delta`) on Voice Live's paths too."""
    refuse_truncation_at_zero: bool = False
    """Answer `audio_end_ms: 0` with `unsupported_content_type`, as OpenAI does where no audio was generated."""
    truncate_any_part: bool = False
    """Accept a `content_index` other than 0 in `conversation.item.truncate`."""
    agent_error_close_code: int = 1008

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> VoiceLiveSettings:
        """Raises `ValueError` that names every variable with a value of the wrong type."""
        return read_settings(cls, environment)
