"""Log lines in the data model of OpenTelemetry. tests/integration/bridge_common/service/test_exports.py sends them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.resources import Resource

from bridge_common.base.log import fields
from bridge_common.service.log_export import ExportedLog

log = logging.getLogger("test.exported")


@pytest.fixture
def exporter() -> InMemoryLogRecordExporter:
    return InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the library leaves it bare


@pytest.fixture
def handler(exporter: InMemoryLogRecordExporter) -> Iterator[ExportedLog]:
    handler = ExportedLog([exporter], Resource({"service.name": "media-gateway"}))
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def test_only_message_and_fields_are_exported(handler: ExportedLog, exporter: InMemoryLogRecordExporter) -> None:
    log.warning("media socket %s", "closed", extra={**fields(call_id="call_1", code=1000, on=["a"]), "other": "x"})
    handler.stop()
    [sent] = exporter.get_finished_logs()
    record = sent.log_record
    assert (record.body, record.severity_number) == ("media socket closed", SeverityNumber.WARN)
    assert dict(record.attributes or {}) == {"call_id": "call_1", "code": 1000, "on": "['a']"}


def test_an_exception_has_its_traceback(handler: ExportedLog, exporter: InMemoryLogRecordExporter) -> None:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        log.exception("drain failed")
    handler.stop()
    [sent] = exporter.get_finished_logs()
    attributes = dict(sent.log_record.attributes or {})
    assert attributes.pop("exception.type") == "ZeroDivisionError"
    assert str(attributes.pop("exception.stacktrace")).startswith("Traceback")
    assert attributes == {}


@pytest.mark.parametrize("name", ["opentelemetry.exporter", "urllib3.connectionpool", "azure.core"])
def test_lines_of_exporters_are_not_exported(
    name: str, handler: ExportedLog, exporter: InMemoryLogRecordExporter
) -> None:
    logging.getLogger(name).warning("connection refused")
    handler.stop()
    assert exporter.get_finished_logs() == ()


def test_after_the_end_nothing_is_exported(handler: ExportedLog, exporter: InMemoryLogRecordExporter) -> None:
    handler.stop()
    log.warning("late")
    assert exporter.get_finished_logs() == ()
