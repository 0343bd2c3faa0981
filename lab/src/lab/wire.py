"""Plain HTTP to the simulators' control APIs and to the operator API: what the demo and the load tool use."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from lab.stack import API_KEY

Json = dict[str, Any]


class WireError(RuntimeError):
    """Somebody on the wire refused; the message holds what they said."""


def call_json(method: str, url: str, body: object = None, *, timeout_s: float = 30.0) -> Any:
    """The decoded JSON answer. Raises `WireError` for any status but 2xx and when nobody answers."""
    content = raw(method, url, body, timeout_s=timeout_s)
    return json.loads(content) if content else {}


def raw(method: str, url: str, body: object = None, *, timeout_s: float = 30.0) -> bytes:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json", "X-Api-Key": API_KEY}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as reply:
            content: bytes = reply.read()
            return content
    except urllib.error.HTTPError as error:
        raise WireError(f"{method} {url}: {error.code} {error.read(500).decode(errors='replace')}") from error
    except OSError as error:
        raise WireError(f"{method} {url}: {error}") from error
