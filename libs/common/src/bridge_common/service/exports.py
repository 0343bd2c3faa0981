"""Starts the exports of log and metrics that the settings enable, and stops them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from bridge_common.service.settings import ServiceSettings

_stops: Final[list[Callable[[], None]]] = []


def start_exports(service: str, instance: str, settings: ServiceSettings) -> None:
    """Start the exports of OTEL_LOGS_EXPORTER and OTEL_METRICS_EXPORTER.

    The libraries are imported only here, so that a process without exports stays small. Raises `SystemExit` if they are
    not installed.
    """
    logs, metrics = settings.otel_logs_exporter, settings.otel_metrics_exporter
    try:
        if logs or metrics:
            from opentelemetry.sdk.resources import Resource

            name = os.environ.get("OTEL_SERVICE_NAME") or service
            resource = Resource.create({"service.name": name, "service.instance.id": instance})
        if logs:
            from bridge_common.service.log_export import export_logs

            insights = settings.applicationinsights_connection_string.get_secret_value()
            connection_string = insights if "azure_monitor" in logs else ""
            _stops.append(export_logs(resource, otlp="otlp" in logs, connection_string=connection_string).stop)
        if metrics:
            from bridge_common.observability.metric_export import export_metrics

            _stops.append(export_metrics(resource).stop)
    except ImportError as error:
        raise SystemExit(
            f"the export of logs or metrics is enabled, but {error.name} is not installed; install "
            "bridge-common[telemetry,azure-monitor]"
        ) from error


def stop_exports() -> None:
    """Flush, within a few seconds."""
    while _stops:
        _stops.pop()()
