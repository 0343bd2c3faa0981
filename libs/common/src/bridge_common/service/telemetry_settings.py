"""The connection string of an Application Insights resource, checked: the SDK's own check is a traceback."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_INSTRUMENTATION_KEY: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ENDPOINTS: Final = ("ingestionendpoint", "liveendpoint")
_FORM: Final = "is copied whole from the resource: InstrumentationKey=...;IngestionEndpoint=https://..."


def check_connection_string(text: str) -> None:
    """Raises `ValueError`, which pydantic collects, without the text: it holds a secret."""
    pairs = [part.split("=") for part in text.split(";")]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(_FORM)
    values = {name.lower(): value for name, value in pairs}
    if not _INSTRUMENTATION_KEY.fullmatch(values.get("instrumentationkey", "")):
        raise ValueError(f"{_FORM}; the key is a UUID in lower case")
    if values.get("authorization", "ikey").lower() != "ikey":
        raise ValueError("Authorization can only be ikey")
    if not all(_is_address(values[name]) for name in _ENDPOINTS if values.get(name)):
        raise ValueError(f"{_FORM}; each endpoint begins with https:// and names a host")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        return False
