"""No service accepts infinite durations, endless files or malformed connection strings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service_settings import INSIGHTS, SERVICES, refusal

DAY_S = 24 * 3600


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in SERVICES.values():
        for name in cls.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)


def _numbers() -> Iterator[tuple[str, str]]:
    """Yield the service and the name of each numeric setting."""
    for service, cls in SERVICES.items():
        for name, field in cls.model_fields.items():
            if field.annotation is float:
                yield service, name.upper()


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e9", f"{DAY_S + 1}"])
@pytest.mark.parametrize(("service", "setting"), list(_numbers()))
def test_no_duration_is_endless(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], service: str, setting: str, value: str
) -> None:
    [reason] = refusal(monkeypatch, capsys, service, **{setting: value})
    assert reason.startswith(f"{setting}: ")


@pytest.mark.parametrize(
    ("service", "setting"),
    [
        ("call-control", "ROUTING_POLICY"),
        ("agent-relay", "AGENT_PROFILES_FILE"),
        ("media-gateway", "APOLOGY_AUDIO"),
        ("media-gateway", "WAIT_AUDIO"),
    ],
)
@pytest.mark.parametrize("what", ["device", "pipe", "folder", "missing", "huge"])
def test_files_are_read_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    service: str,
    setting: str,
    what: str,
) -> None:
    path = Path("/dev/zero") if what == "device" else tmp_path / "file"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "huge":
        with path.open("wb") as file:
            file.truncate(10**12)
    reasons = refusal(monkeypatch, capsys, service, **{setting: str(path)})
    assert reasons[0].startswith(f"{setting}: {path}")
    recordings = what == "folder" and service == "media-gateway"
    assert ("contains no WAV file" if recordings else "cannot be read") in " ".join(reasons)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "value",
    [
        "InstrumentationKey=hidden",
        "InstrumentationKey",
        "hidden",
        f"{INSIGHTS}https://x.example;hidden",
        f"{INSIGHTS}https://x.example;;",
        f"{INSIGHTS}x.example",
        f"{INSIGHTS}https://[x",
        f"{INSIGHTS}https://x.example;Authorization=hidden",
    ],
)
def test_a_malformed_connection_string_is_reported_like_other_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], service: str, value: str
) -> None:
    [reason] = refusal(monkeypatch, capsys, service, APPLICATIONINSIGHTS_CONNECTION_STRING=value)
    assert reason.startswith("APPLICATIONINSIGHTS_CONNECTION_STRING: ")
    assert "hidden" not in reason


@pytest.mark.parametrize("key", ["hidden!!nobase64", "hidde", "aGlkZGVu=hidden"])
def test_an_access_key_is_in_base64(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    given = {"ACS_ENDPOINT": "", "ACS_CONNECTION_STRING": f"endpoint=https://acs.example/;accesskey={key}"}
    [reason] = refusal(monkeypatch, capsys, "call-control", **given)
    assert reason == "ACS_CONNECTION_STRING: accesskey= is not valid base64; copy the whole connection string"
