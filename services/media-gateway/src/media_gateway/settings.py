"""Settings of media-gateway. Their environment variables are the field names in capitals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from bridge_common.base.errors import InputError
from bridge_common.service.acs_settings import AcsTrustSettings, lower
from bridge_common.wire.audio import PHONE_RATE_HZ, VOICE_RATE_HZ
from media_gateway.recordings import APOLOGY, load_recordings


class GatewaySettings(AcsTrustSettings):
    port: int = Field(default=8081, ge=0, le=65535)

    acs_audio_format: Annotated[Literal["pcm16k", "pcm24k"], BeforeValidator(lower)] = "pcm16k"
    """Audio format that call-control negotiated with ACS. The rate that ACS announces on a socket takes precedence."""
    acs_audio_channels: Annotated[Literal["mixed", "unmixed"], BeforeValidator(lower)] = "unmixed"
    """Channels that call-control negotiated with ACS. `mixed`: frames contain the audio of all participants."""

    gateway_capacity: int = Field(default=200, ge=1, le=10_000)
    """Maximum concurrent media sockets."""
    playout_lead_ms: int = Field(default=200, ge=40, le=5000)
    """How far ahead of real time audio is sent to ACS."""
    playout_message_ms: int = Field(default=100, ge=20, le=200)
    """Audio in one message to ACS. Longer messages need less CPU and do not change the latency of a clear."""
    playout_queue_s: int = Field(default=300, ge=5, le=3600)
    """Maximum queued audio of one call; more is dropped."""

    apology_audio: str = ""
    """WAV file that is played to a caller whose voice session cannot be restored, or a folder with a file for each
    agent profile; empty: the built-in one, `none`: no apology.
    """

    wait_audio: str = ""
    """WAV file that asks the caller to wait while the agent works, or a folder with a file for each agent profile;
    empty: the built-in one, `none`: only the tone.
    """

    @field_validator("apology_audio", "wait_audio")
    @classmethod
    def _recording(cls, value: str) -> str:
        try:
            load_recordings(value, APOLOGY)
        except InputError as error:
            raise ValueError(error.message) from error
        return value

    @property
    def agreed_rate_hz(self) -> int:
        return VOICE_RATE_HZ if self.acs_audio_format == "pcm24k" else PHONE_RATE_HZ
