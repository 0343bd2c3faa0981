"""The request for a WebSocket as uvicorn forwards it, and the responses other than 101 (RFC 6455, section 4)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from bridge_common.service.error_body import error_answer
from bridge_common.service.probes import ProbeResponse

Headers = list[tuple[bytes, bytes]]
_VERSION: Final = b"13"


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    method: bytes
    target: bytes
    headers: Headers
    """Names are in lower case."""

    @classmethod
    def parse(cls, head: bytes) -> UpgradeRequest:
        """`head`: as uvicorn writes it, from a request that was valid HTTP."""
        request_line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        method, target, _ = request_line.split(b" ")
        headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
        return cls(method, target, headers)

    def values(self, name: bytes) -> list[bytes]:
        """The values of a header that may be repeated, and may list several values."""
        found = (value for key, value in self.headers if key == name)
        return [part.strip() for value in found for part in value.split(b",")]

    @property
    def key(self) -> bytes:
        """Empty if there is not exactly one."""
        keys = self.values(b"sec-websocket-key")
        return keys[0] if len(keys) == 1 else b""

    def refusal(self) -> tuple[ProbeResponse, Headers] | None:
        """The error response; `None` if this is a valid request for a WebSocket."""
        if self.method != b"GET":
            return _bad_request("a WebSocket must be requested with GET")
        if self.values(b"transfer-encoding") or self.values(b"content-length") not in ([], [b"0"]):
            return _bad_request("a request for a WebSocket must not have a body")
        if self.values(b"sec-websocket-version") != [_VERSION]:
            answer = error_answer(426, "bad_request", "unsupported version of the WebSocket protocol; use 13")
            return answer, [(b"sec-websocket-version", _VERSION)]
        if not _is_key(self.key):
            return _bad_request("`Sec-WebSocket-Key` is missing or not 16 bytes in base64")
        return None


def response(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    """A whole HTTP response, after which the connection is closed."""
    headers = list(headers)
    names = {name.lower() for name, _ in headers}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in headers]
    if b"content-length" not in names:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*lines, b"connection: close", b"", body])


def response_to(answer: ProbeResponse, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    return response(answer.status, [(b"content-type", answer.content_type.encode()), *headers], answer.body)


def _bad_request(message: str) -> tuple[ProbeResponse, Headers]:
    return error_answer(400, "bad_request", message), []


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False
