"""Settings: the environment, read once at start into a frozen object; every mistake named at once, exit 2."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, NoReturn, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from bridge_common.base.errors import InputError
from bridge_common.redis.address import RedisAddress, parse_address
from bridge_common.service import insecure
from bridge_common.service.setting_errors import in_words
from bridge_common.service.telemetry_settings import check_connection_string


def comma_separated(value: object) -> object:
    return tuple(insecure.parts_of(value)) if isinstance(value, str) else value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)]
"""A list in one variable: `one,two`."""
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(comma_separated)]
"""The same of secrets; `revealed` gives their texts."""


def revealed(secrets: Iterable[SecretStr]) -> tuple[str, ...]:
    return tuple(secret.get_secret_value() for secret in secrets)


def _is_redis_url(value: SecretStr) -> SecretStr:
    try:
        parse_address(value.get_secret_value())
    except InputError as error:
        # pydantic collects `ValueError`s, not ours.
        raise ValueError(error.message) from None
    return value


class ServiceSettings(BaseSettings):
    """Settings of every service. A field's environment variable is its name in capitals; empty counts as not set."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    allow_insecure: Annotated[CommaSeparated, AfterValidator(insecure.check_words)] = ()
    """The insecure settings that this start may have: words of `Insecure`."""
    redis_url: Annotated[SecretStr, AfterValidator(_is_redis_url), insecure.REDIS_URL]
    """Secret, because there may be a password in it."""
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
    """HTTP connections in total, without media sockets; at the limit the longest idle one is closed."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"
    log_phone_key: Annotated[SecretStr, insecure.KEYS] = SecretStr("")
    """Key of the hashes that stand for phone numbers in the log; empty: random, another one in each process."""
    log_transcripts: bool = False
    """Whether the log may show what was said."""
    otel_exporter_otlp_endpoint: Annotated[str, insecure.TELEMETRY_URL] = Field(default="", pattern=r"^(https?://.+)?$")
    """Where traces go, as OTLP over HTTP; empty: nowhere. The SDK reads the other OTEL_ variables by itself."""
    otel_exporter_otlp_traces_endpoint: Annotated[str, insecure.TELEMETRY_URL] = Field(
        default="", pattern=r"^(https?://.+)?$"
    )
    """The same for traces alone, with the whole path; it counts before the general one."""
    applicationinsights_connection_string: Annotated[SecretStr, insecure.TELEMETRY_URL] = SecretStr("")
    """Application Insights resource for traces; empty: no export."""
    drain_timeout_s: float = Field(default=25.0, ge=0, le=24 * 3600)

    @field_validator("redis_cluster")
    @classmethod
    def _fits_cluster(cls, value: bool, info: ValidationInfo) -> bool:
        if value and "redis_url" in info.data:
            address = parse_address(info.data["redis_url"].get_secret_value())
            if address.sentinels or address.scheme == "unix":
                raise ValueError("wants one server of the cluster in REDIS_URL: redis:// or rediss://")
            if address.database:
                raise ValueError("has only database 0: REDIS_URL names another one")
        return value

    @field_validator("redis_entra")
    @classmethod
    def _fits_entra(cls, value: bool, info: ValidationInfo) -> bool:
        if value and "redis_url" in info.data:
            address = parse_address(info.data["redis_url"].get_secret_value())
            if address.has_password:
                raise ValueError("takes no password in REDIS_URL: the token is the password")
            if not address.is_private:
                raise ValueError("wants TLS, or everybody on the way could read the token: rediss:// in REDIS_URL")
        return value

    @field_validator("applicationinsights_connection_string")
    @classmethod
    def _resource_is_named(cls, value: SecretStr) -> SecretStr:
        if text := value.get_secret_value():
            check_connection_string(text)
        return value

    @property
    def redis_address(self) -> RedisAddress:
        return parse_address(self.redis_url.get_secret_value())

    @classmethod
    def mistakes(cls, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Mistakes that no single field can find, as (setting or "", message); `given`: the texts of what is set."""
        allowed = insecure.parts_of(given.get("allow_insecure", ""))
        yield from ((name, str(fault)) for name, fault in cls.faults(given) if fault.word not in allowed)

    @classmethod
    def faults(cls, given: Mapping[str, str]) -> Iterator[tuple[str, insecure.InsecureSetting]]:
        """All insecure settings, allowed or not."""
        for name, check in cls.checks().items():
            yield from ((name, fault) for fault in check.faults(given.get(name, "")))

    @classmethod
    def checks(cls) -> dict[str, insecure.SettingCheck]:
        """How settings are checked, by their names."""
        return {
            name: check
            for name, field in cls.model_fields.items()
            for check in field.metadata
            if isinstance(check, insecure.SettingCheck)
        }

    @model_validator(mode="wrap")
    @classmethod
    def _name_every_mistake(cls, values: Any, check_fields: ModelWrapValidatorHandler[Self]) -> Self:
        """Reports the mistakes of single fields and all others at once."""
        given = {name: text for name, value in values.items() if (text := _text_of(value))}
        problems = [_problem(name, message) for name, message in cls.mistakes(given)]
        try:
            settings = check_fields(values)
        except ValidationError as error:
            problems = [_repeat(dict(problem)) for problem in error.errors(include_url=False)] + problems
            raise ValidationError.from_exception_data(cls.__name__, problems, hide_input=True) from None
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems, hide_input=True)
        return settings


def _text_of(value: object) -> str:
    """A setting as the environment would hold it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple | list):
        return ",".join(_text_of(part) for part in value)
    return "" if value is None else str(value)


def _problem(name: str, message: str) -> InitErrorDetails:
    return InitErrorDetails(
        type=PydanticCustomError("setting", "{text}", {"text": message}), loc=(name,) if name else (), input=""
    )


def _repeat(problem: dict[str, Any]) -> InitErrorDetails:
    return InitErrorDetails(
        type=problem["type"], loc=problem["loc"], input=problem["input"], ctx=problem.get("ctx") or {}
    )


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
        message = in_words(dict(problem))
        problems.append(f"{name}: {message}" if name else message)
    return problems


def _refuse(problems: list[str]) -> NoReturn:
    lines = ["These settings are missing, invalid or insecure; set them in the environment (see .env.example):"]
    lines += [f"  {problem}" for problem in problems]
    print("\n".join(lines), file=sys.stderr)  # noqa: T201  # the logger is not set up yet
    raise SystemExit(2)
