"""HTTP client for the control APIs of the simulators and the operator API."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from lab.stack import API_KEY

Json = dict[str, Any]


class WireError(RuntimeError):
    """There was no response, or it had an error status. The message contains the response."""


def call_json(
    method: str,
    url: str,
    body: object = None,
    *,
    timeout_s: float = 30.0,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Send a request and return the decoded JSON response. Raises `WireError` without a response or for a status other
    than 2xx.
    """
    content = raw(method, url, body, timeout_s=timeout_s, headers=headers)
    return json.loads(content) if content else {}


def rows(response: Any) -> list[Json]:
    """Return the rows of a list, or of the first list in an object."""
    if isinstance(response, dict):
        response = next((value for value in response.values() if isinstance(value, list)), [])
    return [row for row in response if isinstance(row, dict)]


def raw(
    method: str,
    url: str,
    body: object = None,
    *,
    timeout_s: float = 30.0,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    data = json.dumps(body).encode() if body is not None else None
    all_headers = {"Content-Type": "application/json", "X-Api-Key": API_KEY, **(headers or {})}
    request = urllib.request.Request(url, data=data, headers=all_headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as reply:
            content: bytes = reply.read()
            return content
    except urllib.error.HTTPError as error:
        raise WireError(f"{method} {url}: {error.code} {error.read(500).decode(errors='replace')}") from error
    except OSError as error:
        raise WireError(f"{method} {url}: {error}") from error
