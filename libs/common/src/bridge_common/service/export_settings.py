"""Checks of the settings of exporters: OTEL_LOGS_EXPORTER and OTEL_METRICS_EXPORTER."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bridge_common.service import insecure


def exporters(*known: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """Return a validator of a list of exporters, which removes `none`."""

    def check(words: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [word for word in words if word.lower() not in (*known, "none")]
        if unknown:
            raise ValueError(f"has unknown exporters: {', '.join(unknown)}; use {', '.join(known)} or none")
        return tuple(word.lower() for word in words if word.lower() != "none")

    return check


def without_destination(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Find exporters whose destination is not set."""
    for signal in ("logs", "metrics"):
        name, endpoint = f"otel_{signal}_exporter", f"otel_exporter_otlp_{signal}_endpoint"
        words = [word.lower() for word in insecure.parts_of(given.get(name, ""))]
        if "otlp" in words and not (given.get("otel_exporter_otlp_endpoint") or given.get(endpoint)):
            yield name, f"is otlp, but there is no endpoint; set OTEL_EXPORTER_OTLP_ENDPOINT or {endpoint.upper()}"
        if "azure_monitor" in words and not given.get("applicationinsights_connection_string"):
            yield name, "is azure_monitor, but there is no resource; set APPLICATIONINSIGHTS_CONNECTION_STRING"
