"""A real Prometheus runs every query of the dashboards on the recordings."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from lab.ports import free_port
from observability.recording import decode, paths, text_of
from observability.write_dashboards import files
from tests.observability.promtool import metrics_in
from tests.observability.test_metric_names import panel_expressions

_RECORDINGS: Final = ("conversations", "voice-denied", "long-drain")
"""Together they contain the series of the dashboards. More would only take longer."""
_VARIABLES: Final = {"$__rate_interval": "20s", "$__range": "10m", "$pod": ".*"}
_READY_S: Final = 30.0

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus is not installed (Debian and Ubuntu: package `prometheus`)",
)


@dataclass(frozen=True)
class Server:
    url: str
    spans: dict[str, tuple[float, float]]
    """Begin and end of each recording, in Unix seconds."""
    names: dict[str, set[str]]
    """The metrics in each recording."""

    def query(self, expression: str, name: str) -> tuple[str, list[Any]]:
        """Return the error and the series of a query over the time of a recording."""
        began, ended = self.spans[name]
        form = {"query": expression, "start": began, "end": ended, "step": 10}
        url = f"{self.url}/api/v1/query_range?{urllib.parse.urlencode(form)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as reply:
                answer = json.loads(reply.read())
        except urllib.error.HTTPError as error:
            return error.read().decode(), []
        return answer.get("error", ""), answer["data"]["result"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("prometheus")
    spans, names = {}, {}
    for name in _RECORDINGS:
        text = text_of(name)
        (folder / f"{name}.om").write_text(text)
        times = [float(at) for at in re.findall(r"^up\{.* (\S+)$", text, re.MULTILINE)]
        spans[name], names[name] = (min(times), max(times)), decode(text).names()
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", f"{folder}/{name}.om", f"{folder}/blocks"]
        subprocess.run(command, check=True, capture_output=True)
    (folder / "empty.yaml").write_text("")
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/empty.yaml",
                f"--storage.tsdb.path={folder}/blocks",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_ready(f"http://127.0.0.1:{port}/-/ready", process, folder / "log")
        yield Server(f"http://127.0.0.1:{port}", spans, names)
    finally:
        process.terminate()
        process.wait(20)


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def test_the_dashboards_are_current() -> None:
    for path, content in files().items():
        assert path.read_text(encoding="utf-8") == content, f"{path.name} is outdated: run `make observability`"


def test_panels_have_their_own_ids_and_do_not_overlap() -> None:
    for path in files():
        panels = json.loads(path.read_text(encoding="utf-8"))["panels"]
        ids = [panel["id"] for panel in panels]
        assert len(ids) == len(set(ids))
        cells = [
            (x, y)
            for panel in panels
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells)), path.name
        assert max(x for x, _ in cells) < 24


@needs_prometheus
@pytest.mark.timeout(180)
def test_every_query_of_the_dashboards_runs_and_returns_its_series(server: Server, root: Path) -> None:
    """No query has an error. A query whose metrics are in a recording returns series from one of them."""
    broken, empty = [], []
    for panel, written in panel_expressions(root).items():
        expression = written
        for variable, value in _VARIABLES.items():
            expression = expression.replace(variable, value)
        recorded = [name for name in _RECORDINGS if metrics_in(expression) <= server.names[name]]
        found = []
        for name in recorded or _RECORDINGS[:1]:
            error, series = server.query(expression, name)
            broken += [f"{panel}: {error}"] if error else []
            found += series
        if recorded and not found:
            empty.append(f"{panel}: {expression}")
    assert not broken
    assert not empty


@needs_prometheus
def test_a_query_with_a_mistake_has_an_error(server: Server) -> None:
    error, _ = server.query("sum by (pod (bridge_active_calls)", "conversations")
    assert "parse error" in error


def test_the_recordings_are_complete() -> None:
    for name in paths():
        assert text_of(name).endswith("# EOF\n"), name
