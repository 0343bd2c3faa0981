from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lab.ports import free_port
from lab.wire import WireError, call_json, raw


class _Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # http.server requires this name.
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(400 if b"bad" in body else 201)
        self.end_headers()
        key = self.headers.get("Idempotency-Key", "")
        answer = b'{"got": %s, "key": "%s"}' % (body, key.encode()) if key else b'{"got": %s}' % body
        self.wfile.write(b'{"why": "you asked"}' if b"bad" in body else answer)

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    http = HTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()
    http.server_close()


def test_an_answer_is_decoded(server: str) -> None:
    assert call_json("POST", server, {"a": 1}) == {"got": {"a": 1}}


def test_a_request_can_have_further_headers(server: str) -> None:
    assert call_json("POST", server, {"a": 1}, headers={"Idempotency-Key": "k"}) == {"got": {"a": 1}, "key": "k"}


def test_an_empty_answer_is_an_empty_object(server: str) -> None:
    assert call_json("GET", server) == {}
    assert raw("GET", server) == b""


def test_an_error_contains_the_url_and_the_response(server: str) -> None:
    with pytest.raises(WireError, match=r"400.*you asked"):
        call_json("POST", server, {"bad": True})


def test_a_missing_server_is_an_error() -> None:
    with pytest.raises(WireError, match="refused"):
        call_json("GET", f"http://127.0.0.1:{free_port()}/x")
