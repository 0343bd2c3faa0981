"""Function tools of an agent profile: their definition for the model, and the HTTP request that a call of a
tool sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, SchemaError
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from agent_relay.core.protocol.keypad_profile import KeypadArgument
from agent_relay.core.protocol.profile_fields import FunctionName, SecretName

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_OURS: Final = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection"})
_NO_ARGUMENTS: Final[dict[str, Any]] = {"type": "object", "properties": {}, "additionalProperties": False}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SecretRef(_Strict):
    """A header value that is not stored in the file: `prefix`, followed by the value of the environment variable
    `secret`.
    """

    secret: SecretName
    prefix: Annotated[str, Field(max_length=64)] = ""


def _header_text(value: object) -> object:
    if not isinstance(value, str | Mapping | SecretRef):
        raise ValueError("must be a string in quotes, or {secret: NAME} with the name of an environment variable")
    return value


HeaderValue = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[SecretRef, Tag("<secret>")],
    Discriminator(lambda value: "<text>" if isinstance(value, str) else "<secret>"),
    BeforeValidator(_header_text),
]
Headers = dict[str, HeaderValue]


class HttpTool(_Strict):
    """A function tool that sends an HTTP request. `{name}` in the path or query of `url` is replaced by the argument of
    that name. The other arguments form the query of a GET or DELETE request, and the JSON body of a POST, PUT or PATCH
    request.
    """

    name: FunctionName
    description: Annotated[str, Field(min_length=1, max_length=1024)]
    parameters: dict[str, Any] = Field(default_factory=lambda: dict(_NO_ARGUMENTS))
    """JSON Schema of the arguments (draft 2020-12)."""
    url: Annotated[str, Field(max_length=2048)]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: Headers = Field(default_factory=dict)
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Time limit of one attempt."""
    retries: Annotated[int, Field(ge=0, le=5)] = 0
    """Maximum number of retries after a lost connection, a timeout, 429 or 5xx. Each attempt has the same
    Idempotency-Key.
    """
    late_after_s: Annotated[float, Field(ge=1, le=60)] | None = 10.0
    """The agent continues after this time and receives the result later; None: it waits for the result."""
    signing_secret: SecretName | None = None
    """Name of the environment variable with the signing key (Standard Webhooks)."""
    max_result_chars: Annotated[int, Field(ge=100, le=20_000)] = 4_000
    keypad: KeypadArgument | None = None
    """An argument that the caller types. It is not in `parameters`."""

    @field_validator("parameters")
    @classmethod
    def _schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("type") != "object":
            raise ValueError("must be a JSON Schema with `type: object`")
        try:
            Draft202012Validator.check_schema(value)
        except SchemaError as error:
            raise ValueError(f"is not a valid JSON Schema: {error.message}") from error
        return value

    @field_validator("headers")
    @classmethod
    def _header_names(cls, value: Headers) -> Headers:
        return checked_headers(value)

    @model_validator(mode="after")
    def _address(self) -> HttpTool:
        parts = urlsplit(self.url)
        if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc or parts.fragment:
            raise ValueError("url must be an http:// or https:// URL with a host, without user name and fragment")
        if _PLACEHOLDER.search(parts.netloc):
            raise ValueError("url must not contain a placeholder in its host")
        known = self.parameters.get("properties", {})
        if missing := sorted(set(self.placeholders) - set(known)):
            raise ValueError(f"url has placeholders that are missing in `parameters`: {', '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _typed_argument(self) -> HttpTool:
        if self.keypad is None:
            return self
        name, faults = self.keypad.argument, []
        if name in self.parameters.get("properties", {}):
            faults.append(f"the keypad argument {name} must not be in `parameters`, which the model sees; remove it")
        if self.method not in ("POST", "PUT", "PATCH"):
            # Servers log addresses.
            faults.append(f"a keypad argument is sent in the body; use POST, PUT or PATCH instead of {self.method}")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def host(self) -> str:
        return (urlsplit(self.url).hostname or "").lower()

    @property
    def placeholders(self) -> tuple[str, ...]:
        return tuple(_PLACEHOLDER.findall(self.url))

    @property
    def secrets(self) -> Iterator[str]:
        """Names of the environment variables that the tool needs."""
        yield from (content.secret for content in self.headers.values() if isinstance(content, SecretRef))
        if self.signing_secret:
            yield self.signing_secret

    def definition(self) -> dict[str, Any]:
        """Return the definition for `session.tools` of Voice Live."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }


def checked_headers(value: Headers) -> Headers:
    """Raises `ValueError`."""
    for name, content in value.items():
        if not _HEADER.fullmatch(name):
            raise ValueError(f"{name!r} is not a valid header name")
        if name.lower() in _OURS:
            raise ValueError(f"header {name!r} is set by agent-relay; remove it")
        if isinstance(content, str) and not (content.isascii() and content.isprintable()):
            raise ValueError(f"the value of header {name!r} must consist of printable ASCII characters")
    return value


def header_value(content: str | SecretRef, secrets: Mapping[str, str]) -> str:
    """Return the value of a header. `secrets`: the environment variables."""
    return content if isinstance(content, str) else content.prefix + secrets.get(content.secret, "")


def host_allowed(host: str, patterns: Iterable[str]) -> bool:
    """Return whether one of the patterns matches. A pattern is a host, or `*.example.com` for all its subdomains."""
    lower = [pattern.lower() for pattern in patterns]
    return host in lower or any(pattern.startswith("*.") and host.endswith(pattern[1:]) for pattern in lower)
