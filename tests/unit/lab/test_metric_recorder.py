from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.metric_recorder import MetricRecorder, ScrapeTarget, targets_of
from lab.ports import free_port
from lab.stack import Ports, Stack
from lab.stack_process import Process
from tests.support.eventually import eventually


class _Metrics(http.server.BaseHTTPRequestHandler):
    scrapes = 0

    def do_GET(self) -> None:
        type(self).scrapes += 1
        body = f"# TYPE bridge_scrapes_total counter\nbridge_scrapes_total {self.scrapes}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Metrics) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def _values(recorder: MetricRecorder, series: str) -> list[str]:
    lines = recorder.book.text().splitlines()
    return [line.split()[1] for line in lines if line.startswith(f"{series}{{")]


async def test_the_first_scrape_is_complete_when_the_context_begins(port: int) -> None:
    recorder = MetricRecorder(every_s=0.02)
    with recorder.watching(lambda: [ScrapeTarget("agent-relay", "agent-relay-1", port)]):
        assert _values(recorder, "bridge_scrapes_total")
        await eventually(lambda: len(_values(recorder, "up")) > 3)
    values = [float(value) for value in _values(recorder, "bridge_scrapes_total")]
    assert values == sorted(values)
    assert 'pod="agent-relay-1"' in recorder.book.text()


def test_a_process_that_does_not_answer_is_down(port: int) -> None:
    recorder = MetricRecorder()
    recorder.scrape([ScrapeTarget("agent-relay", "a", port), ScrapeTarget("agent-relay", "b", free_port())])
    assert _values(recorder, "up") == ["1", "0"]
    assert len(_values(recorder, "bridge_scrapes_total")) == 1


def test_the_file_is_compressed_if_its_name_says_so(port: int, tmp_path: Path) -> None:
    recorder = MetricRecorder()
    recorder.scrape([ScrapeTarget("agent-relay", "a", port)])
    recorder.write(tmp_path / "new/a.om")
    recorder.write(tmp_path / "a.om.gz")
    assert gzip.decompress((tmp_path / "a.om.gz").read_bytes()) == (tmp_path / "new/a.om").read_bytes()


class _Popen:
    """Stands for a started process."""


def test_targets_are_the_started_processes_of_the_services(tmp_path: Path) -> None:
    stack = Stack(Ports(), tmp_path)
    popen: Any = _Popen()
    names = ("redis", "acs", "voice-live", "call-control", "agent-relay-2", "media-gateway-1")
    stack.processes = [Process(name, 8000 + index, popen) for index, name in enumerate(names)]
    stack.processes.append(Process("media-gateway", 9000, None))  # the ingress of a fleet
    assert targets_of(stack) == [
        ScrapeTarget("call-control", "call-control", 8003),
        ScrapeTarget("agent-relay", "agent-relay-2", 8004),
        ScrapeTarget("media-gateway", "media-gateway-1", 8005),
    ]
