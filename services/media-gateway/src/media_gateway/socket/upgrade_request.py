"""A WebSocket handshake request as uvicorn forwards it, and the responses other than 101 (RFC 6455, section 4)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from bridge_common.service.http_responses import error_response

Headers = list[tuple[bytes, bytes]]
_VERSION: Final = b"13"


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    method: bytes
    target: bytes
    headers: Headers
    """Names (lower case) and values."""

    @classmethod
    def parse(cls, head: bytes) -> UpgradeRequest:
        """Parse a request. `head`: as uvicorn writes it, from a valid HTTP request."""
        request_line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        method, target, _ = request_line.split(b" ")
        headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
        return cls(method, target, headers)

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a header that may be repeated and may list several values."""
        found = (value for key, value in self.headers if key == name)
        return [part.strip() for value in found for part in value.split(b",")]

    @property
    def key(self) -> bytes:
        """Value of Sec-WebSocket-Key; empty if there is not exactly one."""
        keys = self.values(b"sec-websocket-key")
        return keys[0] if len(keys) == 1 else b""

    def refusal(self) -> Response | None:
        """Return the error response, or None if this is a valid WebSocket request."""
        if self.method != b"GET":
            return _bad_request("a WebSocket must be requested with GET")
        if self.values(b"transfer-encoding") or self.values(b"content-length") not in ([], [b"0"]):
            return _bad_request("a request for a WebSocket must not have a body")
        if self.values(b"sec-websocket-version") != [_VERSION]:
            message = "unsupported version of the WebSocket protocol; use 13"
            return error_response(426, "bad_request", message, {"sec-websocket-version": "13"})
        if not _is_key(self.key):
            return _bad_request("`Sec-WebSocket-Key` is missing, or is not 16 bytes in base64")
        return None


def encode_response(response: Response) -> bytes:
    """Encode an HTTP response after which the connection is closed."""
    status, body = response.status_code, bytes(response.body)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    if b"content-length" not in {name.lower() for name, _ in response.raw_headers}:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*lines, b"connection: close", b"", body])


def _bad_request(message: str) -> Response:
    return error_response(400, "bad_request", message)


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False
