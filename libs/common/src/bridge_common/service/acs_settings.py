"""Settings of the services that ACS calls: how they authenticate ACS."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from bridge_common.auth.acs_jwt import MAX_AGE_S, JwtMode, JwtVerifier
from bridge_common.service import insecure
from bridge_common.service.secret_files import RELOADED
from bridge_common.service.settings import Secrets, ServiceSettings

ACS_ISSUER: Final = "https://acscallautomation.communication.azure.com"


def lower(value: object) -> object:
    """Convert a value to lower case, for settings with a closed set of values."""
    return value.lower() if isinstance(value, str) else value


class AcsTrustSettings(ServiceSettings):
    media_token_keys: Annotated[Secrets, insecure.KEYS, RELOADED]
    """Keys of the signatures in media URLs: call-control signs with the first, gateways accept all of them."""
    acs_jwt_mode: Annotated[JwtMode, BeforeValidator(lower), insecure.JWT_MODE] = JwtMode.ENFORCE
    acs_jwt_audience: str = Field(default="", validate_default=True)
    """The immutable resource id of the ACS resource."""
    acs_jwt_issuer: str = ACS_ISSUER
    acs_jwks_url: Annotated[str, insecure.URL] = f"{ACS_ISSUER}/calling/keys"
    jwks_max_age_s: int = Field(default=int(MAX_AGE_S), ge=60, le=30 * 24 * 3600)
    """Maximum age of signing keys that the JWKS does not contain any more, or that could not be fetched again."""

    @field_validator("media_token_keys")
    @classmethod
    def _not_empty(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not value:
            raise ValueError("needs at least one key; generate one with `openssl rand -hex 32`")
        return value

    @field_validator("acs_jwt_audience")
    @classmethod
    def _audience(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("acs_jwt_mode") is not JwtMode.OFF:
            raise ValueError("is not set; set it to the immutable resource id of the ACS resource")
        return value

    def acs_tokens(self) -> JwtVerifier:
        """Create the verifier of the tokens on callbacks and media sockets."""
        return JwtVerifier(
            self.acs_jwks_url,
            [self.acs_jwt_issuer],
            self.acs_jwt_audience,
            mode=self.acs_jwt_mode,
            max_age_s=self.jwks_max_age_s,
        )
