from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.exported import OWNED, notices
from lab.setting_names import OF_SERVICES, misspelled


def test_a_misspelt_setting_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    exported = {"ROUTING_POLCY": "/p.yaml", "MEDIA_FOO": "1", "LOGLEVEL": "DEBUG", "PATH": "/bin", "EDITOR": "vi"}
    [told] = notices(tmp_path, exported)
    assert told.startswith("Unknown settings, ignored: LOGLEVEL (nearest: LOG_LEVEL), MEDIA_FOO")
    assert "ROUTING_POLCY (nearest: ROUTING_POLICY)" in told
    assert "PATH" not in told
    assert "EDITOR" not in told


def test_the_known_names_are_those_of_the_example() -> None:
    example = (Path(__file__).resolve().parents[3] / ".env.example").read_text(encoding="utf-8")
    assert frozenset(re.findall(r"^# ?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE)) == OF_SERVICES
    assert misspelled(dict.fromkeys(OF_SERVICES | OWNED, "1")) == []


@pytest.mark.parametrize(
    "names",
    [
        *("HOME HOSTNAME HOSTTYPE LOGNAME LANG TERM SHELL USER PWD MAIL DISPLAY TMPDIR SSH_CLIENT PORTAGE",),
        *("AZURE_CONFIG_DIR AZURE_STORAGE_ACCOUNT REDIS_PASSWORD REDIS_HOST PYTHONPATH VIRTUAL_ENV PIP_CACHE_DIR",),
        *("CI GITHUB_TOKEN GITHUB_API_URL NODE_ENV HTTP_PROXY HTTPS_PROXY NO_PROXY SSL_CERT_FILE",),
        *("AGENT_TEMPDIRECTORY AGENT_OS AGENT_VERSION BUILD_ID API_URL DATABASE_URL",),
        *("OTEL_EXPORTER_OTLP_PROTOCOL OTEL_SERVICE_NAME",),
    ],
)
def test_variables_of_other_programs_are_not_taken_for_settings(names: str) -> None:
    assert misspelled(dict.fromkeys(names.split(), "1")) == []
