"""The reference bridge signs requests as the simulated ACS requires; the benchmark itself tests its calls."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bench.reference_bridge import ANSWER, Settings, create_app, signed_headers
from lab.acs.settings import LAB_ACCESS_KEY
from lab.acs.signing import SignedRequest, refusal

ENVIRONMENT = {
    "BASE_URL": "http://127.0.0.1:1",
    "ACS_ENDPOINT": "http://127.0.0.1:2",
    "ACS_ACCESS_KEY": LAB_ACCESS_KEY,
    "VOICE_LIVE_URL": "ws://127.0.0.1:3/voice-live/realtime",
    "VOICE_LIVE_API_KEY": "k",
}


def test_its_requests_are_authentic() -> None:
    settings = Settings.from_env(ENVIRONMENT)
    headers = {name.lower(): value for name, value in signed_headers(settings, ANSWER, b"{}").items()}
    request = SignedRequest("POST", ANSWER, headers | {"host": "127.0.0.1:2"}, b"{}")
    assert refusal(request, LAB_ACCESS_KEY, datetime.now(UTC)) is None


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(KeyError, match="VOICE_LIVE_URL"):
        Settings.from_env({name: value for name, value in ENVIRONMENT.items() if name != "VOICE_LIVE_URL"})


def test_it_has_the_routes_of_a_bridge() -> None:
    routes = {getattr(route, "path", "") for route in create_app(Settings.from_env(ENVIRONMENT)).routes}
    assert routes == {"/api/incomingCall", "/callbacks", "/healthz", "/ws"}
