"""Settings: environment and secret files are read at startup into a frozen object. All errors are reported together."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, Self, TypeVar
from urllib.parse import urlsplit

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
from bridge_common.base.fault_texts import in_words, matching
from bridge_common.redis.address import RedisAddress, parse_address
from bridge_common.service import insecure
from bridge_common.service.export_settings import exporters, without_destination
from bridge_common.service.secret_files import SecretFiles, read_secret_files, secret_names

_INSTRUMENTATION_KEY: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ENDPOINTS: Final = ("ingestionendpoint", "liveendpoint")
_FORM: Final = "copy the whole text from the resource: InstrumentationKey=...;IngestionEndpoint=https://..."


def comma_separated(value: object) -> object:
    return tuple(insecure.parts_of(value)) if isinstance(value, str) else value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)]
"""A list in one variable: `one,two`."""
_HTTP_URL: Final = AfterValidator(matching(r"(https?://.+)?", "must be a URL that begins with http:// or https://"))
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(comma_separated)]
"""The same for secrets; `revealed` returns their texts."""


def revealed(secrets: Iterable[SecretStr]) -> tuple[str, ...]:
    return tuple(secret.get_secret_value() for secret in secrets)


def _is_redis_url(value: SecretStr) -> SecretStr:
    try:
        parse_address(value.get_secret_value())
    except InputError as error:
        # pydantic collects `ValueError`s only.
        raise ValueError(error.message) from None
    return value


def check_connection_string(text: str) -> None:
    """Check the connection string of an Application Insights resource, because the SDK fails on an invalid one without
    a useful message.

    Raises `ValueError`, which pydantic collects, without the text: it contains a secret.
    """
    pairs = [part.split("=") for part in text.split(";")]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"is not a valid connection string; {_FORM}")
    values = {name.lower(): value for name, value in pairs}
    if not _INSTRUMENTATION_KEY.fullmatch(values.get("instrumentationkey", "")):
        raise ValueError(f"has no instrumentation key (a UUID in lower case); {_FORM}")
    if values.get("authorization", "ikey").lower() != "ikey":
        raise ValueError("has an unsupported Authorization; remove it or set it to ikey")
    if not all(_is_address(values[name]) for name in _ENDPOINTS if values.get(name)):
        raise ValueError(f"has an invalid endpoint; {_FORM}")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        return False


class ServiceSettings(BaseSettings):
    """Settings of all services. The environment variable of a field is its name in capitals; an empty variable counts
    as not set.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    allow_insecure: Annotated[CommaSeparated, AfterValidator(insecure.check_words)] = ()
    """Allowed insecure settings: words of `Insecure`."""
    secrets_dir: Path | None = None
    """Folder with one file for each secret, which takes precedence over the variable."""
    redis_url: Annotated[SecretStr, AfterValidator(_is_redis_url), insecure.REDIS_URL]
    """URL of Redis. Secret, because it may contain a password."""
    redis_shards: int = Field(default=1, ge=1, le=256)
    redis_cluster: bool = False
    """Whether `redis_url` contains the address of one server of a cluster."""
    redis_entra: bool = False
    """Whether to authenticate to Redis with Entra tokens of the process's identity."""
    redis_entra_scope: str = "https://redis.azure.com/.default"
    host: str = "0.0.0.0"
    port: int = Field(ge=0, le=65535)
    pending_connections: int = Field(default=256, ge=8, le=100_000)
    """Limit for connections that have not sent a complete request head yet or, as media sockets, a valid token."""
    pending_connections_per_source: int = Field(default=64, ge=0, le=100_000)
    """The same limit per source address; 0: no limit, for a load balancer that hides the addresses of its peers."""
    http_connections: int = Field(default=512, ge=16, le=100_000)
    """Limit for HTTP connections in total, without media sockets; when it is reached, the longest idle one is closed.
    """
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"
    log_phone_key: Annotated[SecretStr, insecure.KEYS] = SecretStr("")
    """Key of the hashes that replace phone numbers in the log; empty: a random key for each process."""
    log_transcripts: bool = False
    """Whether the log may contain transcripts."""
    otel_exporter_otlp_endpoint: Annotated[str, _HTTP_URL, insecure.TELEMETRY_URL] = ""
    """Endpoint for traces, as OTLP over HTTP; empty: none. The SDK reads the other OTEL_ variables itself."""
    otel_exporter_otlp_traces_endpoint: Annotated[str, _HTTP_URL, insecure.TELEMETRY_URL] = ""
    """Endpoint for traces only, with the whole path; it takes precedence over the general endpoint."""
    otel_exporter_otlp_logs_endpoint: Annotated[str, _HTTP_URL, insecure.TELEMETRY_URL] = ""
    otel_exporter_otlp_metrics_endpoint: Annotated[str, _HTTP_URL, insecure.TELEMETRY_URL] = ""
    """The same for logs and for metrics."""
    otel_logs_exporter: Annotated[CommaSeparated, AfterValidator(exporters("otlp", "azure_monitor"))] = ()
    otel_metrics_exporter: Annotated[CommaSeparated, AfterValidator(exporters("otlp"))] = ()
    """Where logs and metrics are exported to; empty, or `none`: nowhere."""
    applicationinsights_connection_string: Annotated[SecretStr, insecure.TELEMETRY_URL] = SecretStr("")
    """Application Insights resource for traces, and for logs if `otel_logs_exporter` contains `azure_monitor`; empty:
    no export.
    """
    revision: str = ""
    """Revision of the source code, for the metric `bridge_build_info`. The images set it when they are built."""
    drain_timeout_s: float = Field(default=25.0, ge=0, le=24 * 3600)
    unready_after_s: float = Field(default=15.0, ge=2, le=3600)
    """How long Redis may store no heartbeat of a process, or reject its commands, until /readyz is 503."""

    @field_validator("redis_cluster")
    @classmethod
    def _fits_cluster(cls, value: bool, info: ValidationInfo) -> bool:
        if value and "redis_url" in info.data:
            address = parse_address(info.data["redis_url"].get_secret_value())
            if address.sentinels or address.scheme == "unix":
                raise ValueError("supports neither sentinels nor a Unix socket in REDIS_URL; use redis:// or rediss://")
            if address.database:
                raise ValueError("supports only database 0; remove the database from REDIS_URL")
        return value

    @field_validator("redis_entra")
    @classmethod
    def _fits_entra(cls, value: bool, info: ValidationInfo) -> bool:
        if value and "redis_url" in info.data:
            address = parse_address(info.data["redis_url"].get_secret_value())
            if address.has_password:
                raise ValueError("cannot be combined with a password in REDIS_URL; the token replaces it, so remove it")
            if not address.is_private:
                raise ValueError("needs TLS, because the token would be sent unencrypted; use rediss:// in REDIS_URL")
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

    def texts(self) -> dict[str, str]:
        """Return all settings that are not empty, as they are written in the environment."""
        return _texts({name: getattr(self, name) for name in type(self).model_fields})

    @classmethod
    def mistakes(cls, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Find errors that involve several fields. Yields (setting or "", message). `given`: texts of the settings."""
        yield from without_destination(given)
        allowed = insecure.parts_of(given.get("allow_insecure", ""))
        yield from ((name, str(fault)) for name, fault in cls.faults(given) if fault.word not in allowed)

    @classmethod
    def faults(cls, given: Mapping[str, str]) -> Iterator[tuple[str, insecure.InsecureSetting]]:
        """Find all insecure settings, allowed or not. Yields (setting, fault)."""
        for name, check in cls.checks().items():
            yield from ((name, fault) for fault in check.faults(given.get(name, "")))

    @classmethod
    def checks(cls) -> dict[str, insecure.SettingCheck]:
        """Return the checks by the names of the settings."""
        return {
            name: check
            for name, field in cls.model_fields.items()
            for check in field.metadata
            if isinstance(check, insecure.SettingCheck)
        }

    @model_validator(mode="wrap")
    @classmethod
    def _name_every_mistake(cls, values: Any, check_fields: ModelWrapValidatorHandler[Self]) -> Self:
        """Validate all settings, and report the errors of files, of single fields and all others together."""
        files = read_secret_files(values.get("secrets_dir"))
        names = secret_names(cls.model_fields)
        values = {**values, **{name: text for name, text in files.texts.items() if name in names}}
        faults = {name: fault for name, fault in files.faults.items() if name in {*names, "secrets_dir"}}
        problems = [_problem(name, fault) for name, fault in faults.items()]
        problems += [_problem(name, message) for name, message in cls.mistakes(_texts(values)) if name not in faults]
        try:
            settings = check_fields(values)
        except ValidationError as error:
            found = [problem for problem in error.errors(include_url=False) if not faults.keys() & {*problem["loc"]}]
            problems = [_repeat(dict(problem)) for problem in found] + problems
            raise ValidationError.from_exception_data(cls.__name__, problems, hide_input=True) from None
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems, hide_input=True)
        return settings


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: text for name, value in values.items() if (text := _text_of(value))}


def _text_of(value: object) -> str:
    """Return a setting as it is written in the environment."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple | list):
        return ",".join(_text_of(part) for part in value)
    return "" if value is None else str(value)


def _problem(name: str, message: str) -> InitErrorDetails:
    # A message may repeat a value with bytes that are not UTF-8, which pydantic cannot encode.
    message = message.encode(errors="replace").decode()
    return InitErrorDetails(
        type=PydanticCustomError("setting", "{text}", {"text": message}), loc=(name,) if name else (), input=""
    )


def _repeat(problem: dict[str, Any]) -> InitErrorDetails:
    return InitErrorDetails(
        type=problem["type"], loc=problem["loc"], input=problem["input"], ctx=problem.get("ctx") or {}
    )


S = TypeVar("S", bound=BaseSettings)


def load_settings(cls: type[S]) -> S:
    """Load the settings from the environment. If some are invalid, print all errors and exit with code 2."""
    try:
        return cls()
    except ValidationError as error:
        _refuse(_name_problems(error, cls, read_secret_files(os.environ.get("SECRETS_DIR"))))
    except SettingsError as error:
        # A variable with invalid JSON; raised before validation, so there are no other errors to report.
        _refuse([str(error)])


def _name_problems(error: ValidationError, cls: type[BaseSettings], files: SecretFiles) -> list[str]:
    """Return one line per error, with the file of a secret, without the values: some are secrets."""
    secrets = secret_names(cls.model_fields)
    problems: list[str] = []
    for problem in error.errors(include_url=False, include_input=False):
        name = "_".join(str(part) for part in problem["loc"])
        message = in_words(dict(problem), None, cls)
        label = files.label(name) if name in secrets else name.upper()
        problems.append(f"{label}: {message}" if name else message)
    return problems


def _refuse(problems: list[str]) -> NoReturn:
    lines = ["These settings are missing, invalid or insecure; set them in the environment (see .env.example):"]
    lines += [f"  {problem}" for problem in problems]
    print("\n".join(lines), file=sys.stderr)  # noqa: T201  # the logger is not set up yet
    raise SystemExit(2)
