"""A real Prometheus runs every query of the dashboards on the recordings."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from lab.ports import free_port
from observability.recording import paths, text_of
from observability.write_dashboards import files
from tests.observability.promtool import metrics_in
from tests.observability.test_metric_names import panel_expressions

_RECORDINGS: Final = ("conversations", "voice-denied", "voice-quota-used", "tokens-refused", "wrong-targets")
"""Together they contain the series of the dashboards. More would only take longer."""
_BEGAN: Final = 1_800_000_000
_APART_S: Final = 600
"""All recordings are in one block of two hours. One after the other: they have the same pods."""
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


@contextmanager
def running_server(folder: Path, wanted: set[str]) -> Iterator[Server]:
    """Start a Prometheus with the `wanted` metrics of the recordings, as if they had been made one after the other."""
    spans, names, lines = {}, {}, []
    for number, name in enumerate(_RECORDINGS):
        samples = [line.rpartition(" ") for line in text_of(name).splitlines() if line.partition("{")[0] in wanted]
        times = [float(at) for _, _, at in samples]
        later = _BEGAN + number * _APART_S - min(times)
        spans[name] = (min(times) + later, max(times) + later)
        names[name] = {sample.partition("{")[0] for sample, _, _ in samples}
        lines += [f"{sample} {at + later:.3f}" for (sample, _, _), at in zip(samples, times, strict=True)]
    (folder / "recordings.om").write_text("\n".join([*lines, "# EOF\n"]))
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", f"{folder}/recordings.om", f"{folder}/blocks"]
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
def test_every_query_of_the_dashboards_runs_and_returns_its_series(tmp_path: Path, root: Path) -> None:
    """No query has an error. Each returns series from one of the recordings that contain its metrics."""
    broken, empty = [], []
    expressions = panel_expressions(root)
    with running_server(tmp_path, {name for text in expressions.values() for name in metrics_in(text)}) as server:
        for panel, written in expressions.items():
            expression = written
            for variable, value in _VARIABLES.items():
                expression = expression.replace(variable, value)
            found = []
            for name in _RECORDINGS:
                if metrics_in(expression) <= server.names[name]:
                    error, series = server.query(expression, name)
                    broken += [f"{panel}: {error}"] if error else []
                    found += series
            if not found:
                empty.append(f"{panel}: {expression}")
        error, _ = server.query("sum by (pod (bridge_active_calls)", _RECORDINGS[0])
    assert not broken
    assert not empty
    assert "parse error" in error


def test_the_recordings_are_complete() -> None:
    for name in paths():
        assert text_of(name).endswith("# EOF\n"), name
