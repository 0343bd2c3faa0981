"""The connection string of an ACS resource: `endpoint=https://…/;accesskey=…`.

Parsed here because the SDK turns an http endpoint into https.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bridge_common.base.errors import InputError


@dataclass(frozen=True, slots=True)
class AcsAddress:
    """Endpoint and access key of an ACS resource.

    `endpoint` has no trailing slash: the SDK signs it as given, and the signature must match the Host header.
    """

    endpoint: str
    access_key: str = field(default="", repr=False)
    """Access key; empty: authenticate with a managed identity."""


def parse_connection_string(text: str) -> AcsAddress:
    """Parse a connection string. Raises `InputError`, which does not contain the text: it contains a secret."""
    parts: dict[str, str] = {}
    for part in text.strip().rstrip(";").split(";"):
        name, found, value = part.partition("=")
        if not found:
            raise InputError("is not a connection string; expected endpoint=https://…/;accesskey=…")
        parts[name.strip().lower()] = value.strip()
    if not parts.get("accesskey"):
        raise InputError("accesskey= is missing; copy the whole connection string")
    try:
        base64.b64decode(parts["accesskey"], validate=True)
    except ValueError:
        raise InputError("accesskey= is not valid base64; copy the whole connection string") from None
    return AcsAddress(endpoint_of(parts.get("endpoint", "")), parts["accesskey"])


def endpoint_of(text: str) -> str:
    """Return the endpoint without a trailing slash, and with https if it has no scheme. Raises `InputError`."""
    text = text.strip()
    parts = urlsplit(text if "://" in text else f"https://{text}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise InputError(
            "the endpoint is not valid; expected https://<resource>.communication.azure.com without a path"
        )
    return f"{parts.scheme}://{parts.netloc}"
