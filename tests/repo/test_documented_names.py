"""Log messages and metrics in the documents exist in the code, because operators search for them during an incident."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCUMENTS = ("docs/telemetry.md", "docs/troubleshooting.md")
RUNBOOKS = "docs/operations/alerts.md"  # tests/observability checks its metrics
_MAKERS = {"counter", "Counter", "gauge", "Gauge", "histogram", "Histogram", "CounterMetricFamily"}
_METRIC = re.compile(r"\bbridge_[a-z_]+[a-z]\b")
_LINE = re.compile(r'`"([^"`]+)"`')
_SETTING = re.compile(r"`([A-Z][A-Z0-9]+_[A-Z0-9_]+)(?:=[^`]*)?`")
_OF_LIBRARIES = re.compile(r"^(OTEL_|APPLICATIONINSIGHTS_)")
_ANSWERS = {"no token for …"}
"""Texts that the documents quote from responses of /readyz, not from the log."""
_MODULES = {"bridge_common"}


@pytest.fixture(scope="module")
def metrics(modules: dict[Path, ast.Module]) -> set[str]:
    """Metric names as Prometheus exports them."""
    return {name for tree in modules.values() for name in _metrics_of(tree)}


@pytest.fixture(scope="module")
def lines(modules: dict[Path, ast.Module]) -> set[str]:
    return {line for tree in modules.values() for line in _lines_of(tree)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_metric_in_the_document_exists(document: str, metrics: set[str], root: Path) -> None:
    named = set(_METRIC.findall((root / document).read_text(encoding="utf-8"))) - _MODULES
    assert len(named) > 10
    series = metrics | {f"{name}_{part}" for name in metrics for part in ("bucket", "count", "sum")}
    assert not sorted(named - series)


def test_every_metric_is_in_the_table(metrics: set[str], root: Path) -> None:
    text = (root / "docs/telemetry.md").read_text(encoding="utf-8")
    assert len(metrics) > 30
    assert not sorted(name for name in metrics if f"`{name}`" not in text)


@pytest.mark.parametrize("document", [*DOCUMENTS, RUNBOOKS])
def test_every_log_line_in_the_document_exists(document: str, lines: set[str], root: Path) -> None:
    text = " ".join((root / document).read_text(encoding="utf-8").split())
    quoted = set(_LINE.findall(text)) - _ANSWERS
    assert len(quoted) > 10
    assert not sorted(quoted - lines)


@pytest.mark.parametrize("document", [*DOCUMENTS, RUNBOOKS])
def test_every_setting_in_the_document_exists(document: str, root: Path) -> None:
    example = (root / ".env.example").read_text(encoding="utf-8")
    named = set(_SETTING.findall((root / document).read_text(encoding="utf-8")))
    assert named
    assert not sorted(name for name in named if f"# {name}=" not in example and not _OF_LIBRARIES.match(name))


def test_the_search_finds_names_and_lines() -> None:
    tree = ast.parse(
        'X = counter("bridge_a", "…"); Y = gauge("bridge_b", "…"); log.info("call left"); OutageLogger(log, "it"); '
        'OutageLogger(log, begun="not ready", over="ready again")'
    )
    assert set(_metrics_of(tree)) == {"bridge_a_total", "bridge_b"}
    assert set(_lines_of(tree)) == {"call left", "it fails", "it works again", "not ready", "ready again"}


def _metrics_of(tree: ast.Module) -> Iterator[str]:
    for _, name, texts in _calls(tree):
        if name in _MAKERS and texts and texts[0].startswith("bridge_"):
            counts = name in {"counter", "Counter", "CounterMetricFamily"}
            yield texts[0].removesuffix("_total") + "_total" if counts else texts[0]


def _lines_of(tree: ast.Module) -> Iterator[str]:
    for call, name, texts in _calls(tree):
        if name == "OutageLogger":
            yield from (f"{text} {end}" for text in texts for end in ("fails", "works again"))
            yield from (str(word.value.value) for word in call.keywords if isinstance(word.value, ast.Constant))
        elif (
            isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id in ("log", "foreign_log")
        ):
            yield from texts[:1]


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str, list[str]]]:
    """Return the function calls: (node, name of the function, string arguments)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            yield node, name, texts
