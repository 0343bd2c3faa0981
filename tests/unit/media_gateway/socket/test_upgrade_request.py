"""The WebSocket handshake request, as uvicorn forwards it."""

from __future__ import annotations

import json

import pytest
from starlette.responses import Response

from bridge_common.service.http_responses import NO_SUCH_PATH
from media_gateway.socket.upgrade_request import UpgradeRequest, encode_response

HEAD = (
    b"GET /ws/a?b=c HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def test_a_request_is_taken_apart() -> None:
    request = UpgradeRequest.parse(HEAD.replace(b"host: x", b"host: x: y\r\nx-list: a, b\r\nx-list: c\r\nx-none: "))
    assert (request.method, request.target, request.key) == (b"GET", b"/ws/a?b=c", KEY)
    assert request.values(b"host") == [b"x: y"]
    assert request.values(b"x-list") == [b"a", b"b", b"c"]
    assert request.values(b"x-none") == [b""]
    assert request.refusal() is None


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"GET ", b"POST ", 400),
        (b": 13", b": 8", 426),
        (b"sec-websocket-version: 13\r\n", b"", 426),
        (b"sec-websocket-key: " + KEY + b"\r\n", b"", 400),
        (KEY, KEY + b"\r\nsec-websocket-key: " + KEY, 400),
        (KEY, b"c2hvcnQ=", 400),
        (KEY, b"no base64!", 400),
        (KEY, b"\xff" * 24, 400),
        (b"host: x", b"content-length: 5", 400),
        (b"host: x", b"transfer-encoding: chunked", 400),
    ],
)
def test_what_is_no_valid_request_is_refused(old: bytes, new: bytes, status: int) -> None:
    refusal = UpgradeRequest.parse(HEAD.replace(old, new)).refusal()
    assert refusal is not None
    assert refusal.status_code == status
    assert json.loads(bytes(refusal.body))["error"]["code"] == "bad_request"
    assert refusal.headers.get("sec-websocket-version") == ("13" if status == 426 else None)


def test_an_empty_body_is_no_body() -> None:
    assert UpgradeRequest.parse(HEAD.replace(b"host: x", b"content-length: 0")).refusal() is None


def test_a_response_is_whole_and_the_last_of_its_connection() -> None:
    denial = Response(b"pay", 402)
    denial.raw_headers = [(b"x-price", b"1")]
    whole = encode_response(denial)
    assert whole == b"HTTP/1.1 402 Payment Required\r\nx-price: 1\r\ncontent-length: 3\r\nconnection: close\r\n\r\npay"
    denial.raw_headers = [(b"content-length", b"3")]
    assert encode_response(denial).count(b"content-length") == 1
    head, _, body = encode_response(NO_SUCH_PATH).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert b"\r\ncontent-type: application/problem+json\r\n" in head
    assert body == NO_SUCH_PATH.body
