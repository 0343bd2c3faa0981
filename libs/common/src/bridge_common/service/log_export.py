"""Exports the log through the OpenTelemetry SDK: OTLP over HTTP, Azure Monitor, or both.

A handler of our own, because that of the SDK is deprecated, its successor is a beta version, and both export all
attributes of a record. This one exports what the line on stderr contains, so the same data is left out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.resources import Resource

from bridge_common.base.log import fields_of

_SEVERITY: Final = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}
_OF_EXPORTERS: Final = ("opentelemetry", "azure", "urllib3", "requests")
"""Loggers whose lines are not exported: a collector that fails would cause another line to export."""
_STOP_S: Final = 3.0


class ExportedLog(logging.Handler):
    """A handler that exports each line. The SDK sends them in a thread of its own, and drops what cannot be sent."""

    def __init__(self, exporters: Sequence[LogRecordExporter], resource: Resource) -> None:
        super().__init__()
        self._provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        for exporter in exporters:
            self._provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in _OF_EXPORTERS:
            return
        attributes = {name: _value(value) for name, value in fields_of(record).items()}
        if record.exc_info and record.exc_info[0] is not None:
            attributes["exception.type"] = record.exc_info[0].__name__
            attributes["exception.stacktrace"] = self._formatter.formatException(record.exc_info)
        exported = LogRecord(
            timestamp=int(record.created * 1e9),
            observed_timestamp=time.time_ns(),
            severity_text=record.levelname,
            severity_number=_SEVERITY.get(record.levelno, SeverityNumber.UNSPECIFIED),
            body=record.getMessage(),
            attributes=attributes,
        )
        self._provider.get_logger(record.name).emit(exported)

    def stop(self) -> None:
        """Send the remaining lines, within a few seconds, and export no more."""
        logging.getLogger().removeHandler(self)
        stopping = threading.Thread(target=self._provider.shutdown, name="last log lines", daemon=True)
        stopping.start()
        stopping.join(_STOP_S)


def export_logs(resource: Resource, *, otlp: bool, connection_string: str) -> ExportedLog:
    """Export the log of this process. `otlp`: to the endpoint in the environment. `connection_string`: of an
    Application Insights resource; empty: not there.
    """
    exporters: list[LogRecordExporter] = [OTLPLogExporter()] if otlp else []
    if connection_string:
        from azure.monitor.opentelemetry.exporter import AzureMonitorLogExporter

        exporters.append(AzureMonitorLogExporter(connection_string=connection_string, disable_offline_storage=True))
    handler = ExportedLog(exporters, resource)
    logging.getLogger().addHandler(handler)
    return handler


def _value(value: object) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)
