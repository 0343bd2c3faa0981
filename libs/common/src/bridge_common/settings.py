"""Settings: the environment, read once at start into a frozen object; every mistake named at once, exit 2."""

from __future__ import annotations

import sys
from typing import Annotated, Final, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from bridge_common.errors import InputError
from bridge_common.redis_address import parse_address

SHORTEST_KEY: Final = 16
"""Characters of a secret that signs."""


def comma_separated(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)]
"""A list in one variable: `one,two`."""


def _is_redis_url(value: str) -> str:
    try:
        parse_address(value)
    except InputError as error:
        # pydantic collects `ValueError`s, not ours.
        raise ValueError(error.message) from None
    return value


class ServiceSettings(BaseSettings):
    """What every service reads. A field's environment variable is its name in capitals; empty counts as not set."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    redis_url: Annotated[str, AfterValidator(_is_redis_url)]
    redis_shards: int = Field(default=1, ge=1, le=256)
    redis_cluster: bool = False
    """`redis_url` names one server of a cluster."""
    redis_entra: bool = False
    """Sign in to Redis with Entra tokens of the process's identity."""
    redis_entra_scope: str = "https://redis.azure.com/.default"
    host: str = "0.0.0.0"
    port: int = Field(ge=0, le=65535)
    pending_connections: int = Field(default=256, ge=8, le=100_000)
    """Connections that have not yet sent a whole request head, or as media sockets a valid token."""
    pending_connections_per_source: int = Field(default=64, ge=0, le=100_000)
    """The same for each source address; 0: no limit, for a load balancer that hides the addresses of its peers."""
    http_connections: int = Field(default=512, ge=16, le=100_000)
    """HTTP connections in total (call-control and agent-relay); at the limit the longest idle one is closed."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"
    log_phone_key: SecretStr = Field(default=SecretStr(""))
    """Key of the hashes that stand for phone numbers in the log; empty: random, another one in each process."""
    log_transcripts: bool = False
    """Whether the log may show what was said."""
    otel_exporter_otlp_endpoint: str = Field(default="", pattern=r"^(https?://.+)?$")
    """Where traces go, as OTLP over HTTP; empty: nowhere. The SDK reads the other OTEL_ variables by itself."""
    applicationinsights_connection_string: SecretStr = SecretStr("")
    """Of the Application Insights resource that traces go to; empty: nowhere."""
    drain_timeout_s: float = Field(default=25.0, ge=0)

    @field_validator("redis_cluster")
    @classmethod
    def _fits_cluster(cls, value: bool, info: ValidationInfo) -> bool:
        if value and "redis_url" in info.data:
            address = parse_address(info.data["redis_url"])
            if address.sentinels or address.scheme == "unix":
                raise ValueError("wants one server of the cluster in REDIS_URL: redis:// or rediss://")
            if address.database:
                raise ValueError("has only database 0: REDIS_URL names another one")
        return value

    @field_validator("redis_entra")
    @classmethod
    def _fits_entra(cls, value: bool, info: ValidationInfo) -> bool:
        if value and "redis_url" in info.data:
            address = parse_address(info.data["redis_url"])
            if address.has_password:
                raise ValueError("takes no password in REDIS_URL: the token is the password")
            if not address.is_private:
                raise ValueError("wants TLS, or everybody on the way could read the token: rediss:// in REDIS_URL")
        return value

    @field_validator("log_phone_key")
    @classmethod
    def _phone_key_is_long(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < SHORTEST_KEY:
            raise ValueError(f"has to have {SHORTEST_KEY} characters or more")
        return value

    @field_validator("applicationinsights_connection_string")
    @classmethod
    def _resource_is_named(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and "instrumentationkey=" not in text.lower():
            raise ValueError("is copied whole from the resource: InstrumentationKey=...;IngestionEndpoint=https://...")
        return value


S = TypeVar("S", bound=BaseSettings)


def load_settings(cls: type[S]) -> S:
    """The settings from the environment, or a list of all that is wrong on stderr and exit code 2."""
    try:
        return cls()
    except ValidationError as error:
        _refuse(_name_problems(error))
    except SettingsError as error:
        # A variable that should hold JSON and does not: found before validation, so it stands alone.
        _refuse([str(error)])


def _name_problems(error: ValidationError) -> list[str]:
    """One line for each mistake, without the values: some are secrets."""
    problems: list[str] = []
    for problem in error.errors(include_url=False, include_input=False):
        name = "_".join(str(part) for part in problem["loc"]).upper()
        message = "is not set" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
        problems.append(f"{name}: {message}" if name else message)
    return problems


def _refuse(problems: list[str]) -> NoReturn:
    lines = ["These settings are missing or wrong; set them in the environment (see .env.example):"]
    lines += [f"  {problem}" for problem in problems]
    print("\n".join(lines), file=sys.stderr)  # noqa: T201  # the logger is not set up yet
    raise SystemExit(2)
