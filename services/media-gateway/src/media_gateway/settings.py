"""What media-gateway reads from its environment. The names are the field names in capitals."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from bridge_common.acs_jwt import JwtMode
from bridge_common.audio import PHONE_RATE_HZ, VOICE_RATE_HZ
from bridge_common.settings import CommaSeparated, ServiceSettings

ACS_ISSUER: Final = "https://acscallautomation.communication.azure.com"


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class GatewaySettings(ServiceSettings):
    port: int = Field(default=8081, ge=0, le=65535)

    media_token_keys: CommaSeparated
    """The keys call-control signs media URLs with; any of them verifies."""
    acs_jwt_mode: Annotated[JwtMode, BeforeValidator(_lower)] = JwtMode.ENFORCE
    acs_jwt_audience: str = Field(default="", validate_default=True)
    """The immutable resource id of the ACS resource."""
    acs_jwt_issuer: str = ACS_ISSUER
    acs_jwks_url: str = f"{ACS_ISSUER}/calling/keys"

    acs_audio_format: Annotated[Literal["pcm16k", "pcm24k"], BeforeValidator(_lower)] = "pcm16k"
    """What call-control agreed with ACS. The rate that a socket announces counts more."""
    accept_participants: Annotated[Literal["all", "caller"], BeforeValidator(_lower)] = "all"
    """`caller`: drop frames that carry the raw id of somebody else."""

    gateway_capacity: int = Field(default=100, ge=1, le=10_000)
    """Media sockets at the same time."""
    playout_lead_ms: int = Field(default=200, ge=40, le=5000)
    """How far ahead of real time audio is sent to ACS."""
    playout_frame_ms: int = Field(default=20, ge=10, le=100)
    playout_queue_s: int = Field(default=300, ge=5, le=3600)
    """Audio of one call that may wait; more is refused."""

    @field_validator("media_token_keys")
    @classmethod
    def _some_key(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("one key or more, the same as those of call-control")
        return value

    @field_validator("acs_jwt_audience")
    @classmethod
    def _audience(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("acs_jwt_mode") is not JwtMode.OFF:
            raise ValueError("is not set: the immutable resource id of the ACS resource (or ACS_JWT_MODE=off)")
        return value

    @property
    def agreed_rate_hz(self) -> int:
        return VOICE_RATE_HZ if self.acs_audio_format == "pcm24k" else PHONE_RATE_HZ
