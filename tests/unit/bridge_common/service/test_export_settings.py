"""Exporters that are unknown, or without a destination, are reported at the start."""

from __future__ import annotations

import pytest

from tests.support.service_settings import INSIGHTS, SERVICES, refusal, start

ENDPOINT = "https://collector.example:4318"


@pytest.mark.parametrize("service", SERVICES)
def test_by_default_nothing_is_exported(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = start(monkeypatch, service)
    assert (settings.otel_logs_exporter, settings.otel_metrics_exporter) == ((), ())


def test_exporters_are_read_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = start(
        monkeypatch,
        "agent-relay",
        OTEL_LOGS_EXPORTER="OTLP, Azure_Monitor",
        OTEL_METRICS_EXPORTER="None",
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=f"{ENDPOINT}/v1/logs",
        APPLICATIONINSIGHTS_CONNECTION_STRING=f"{INSIGHTS}https://x.applicationinsights.azure.com/",
    )
    assert (settings.otel_logs_exporter, settings.otel_metrics_exporter) == (("otlp", "azure_monitor"), ())


def test_all_faults_are_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    faults = refusal(
        monkeypatch,
        capsys,
        "agent-relay",
        OTEL_LOGS_EXPORTER="otlp,azure_monitor",
        OTEL_METRICS_EXPORTER="prometheus,otlp",
    )
    no_endpoint = "is otlp, but there is no endpoint; set OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP"
    assert sorted(faults) == [
        "OTEL_LOGS_EXPORTER: is azure_monitor, but there is no resource; set APPLICATIONINSIGHTS_CONNECTION_STRING",
        f"OTEL_LOGS_EXPORTER: {no_endpoint}_LOGS_ENDPOINT",
        "OTEL_METRICS_EXPORTER: has unknown exporters: prometheus; use otlp or none",
        f"OTEL_METRICS_EXPORTER: {no_endpoint}_METRICS_ENDPOINT",
    ]


@pytest.mark.parametrize("signal", ["LOGS", "METRICS"])
def test_one_endpoint_is_enough(signal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start(
        monkeypatch,
        "agent-relay",
        **{f"OTEL_{signal}_EXPORTER": "otlp", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT": f"{ENDPOINT}/v1/x"},
    )
