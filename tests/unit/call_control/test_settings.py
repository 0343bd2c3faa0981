"""Settings from the environment, and the errors for invalid ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from bridge_common.auth.acs_jwt import JwtMode
from bridge_common.service.settings import load_settings, revealed
from call_control.core.connection_string import AcsAddress
from call_control.core.policy.parties import PartyPattern
from call_control.core.policy.policy_text import PolicyError
from call_control.core.policy.ring_limits import RingLimits
from call_control.core.policy.routing import Routing
from call_control.kubernetes.pod_api import ApiServer
from call_control.settings import CallControlSettings, load_policy

GOOD = {
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "BASE_URL": "https://calls.example.com/",
    "MEDIA_TOKEN_KEYS": "0123456789abcdef,fedcba9876543210",
    "ACS_CONNECTION_STRING": "endpoint=http://127.0.0.1:8090/;accesskey=a2V5",
    "ACS_JWT_AUDIENCE": "89e8cb59-b991-48b0-b154-1db84f16a077",
    "EVENT_GRID_SECRETS": "event-grid-secret-of-the-tests",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in CallControlSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_defaults(environment: pytest.MonkeyPatch) -> None:
    settings = load_settings(CallControlSettings)
    assert settings.port == 8080
    assert settings.base_url == "https://calls.example.com"
    assert settings.media_base_url == "wss://calls.example.com"
    assert settings.acs_address == AcsAddress("http://127.0.0.1:8090", "a2V5")
    assert settings.acs_jwt_mode is JwtMode.ENFORCE
    assert settings.acs_jwks_url == "https://acscallautomation.communication.azure.com/calling/keys"
    assert (settings.acs_audio_format, settings.acs_audio_channels) == ("pcm16k", "unmixed")
    assert not settings.call_policy.answer_at_once
    assert settings.call_policy.voice_ms == 8_000
    assert settings.routing == Routing("default")
    assert settings.call_policy.ring_ms == 60_000
    assert settings.ring_limits == RingLimits(10, 0, "busy")
    assert "a2V5" not in repr(settings)


def test_deletion_costs_need_a_service_account(
    environment: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_settings(CallControlSettings).api_server is None
    (tmp_path / "token").write_text("token")
    environment.setenv("POD_DELETION_COST", "TRUE")
    environment.setenv("KUBERNETES_SERVICE_ACCOUNT", str(tmp_path))
    with pytest.raises(SystemExit):
        load_settings(CallControlSettings)
    said = capsys.readouterr().err
    assert "KUBERNETES_SERVICE_HOST: is not set; POD_DELETION_COST=true works in a pod of Kubernetes only" in said
    assert f"KUBERNETES_SERVICE_ACCOUNT: {tmp_path} has no readable ca.crt, namespace" in said
    for name in ("ca.crt", "namespace"):
        (tmp_path / name).write_text("x")
    environment.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    environment.setenv("KUBERNETES_SERVICE_PORT", "6443")
    assert load_settings(CallControlSettings).api_server == ApiServer("10.0.0.1", 6443, tmp_path)


def test_settings_of_a_deployment(environment: pytest.MonkeyPatch) -> None:
    for name, value in {
        "BASE_URL": "http://127.0.0.1:8080",
        "ANSWER_WHEN": "AT_ONCE",
        "ANSWER_DEADLINE_S": "2.5",
        "REDIRECT_TARGET": "+18005550000",
        "ALLOWED_TARGETS": "+1800*, 8:acs:r_v",
        "MAX_CALL_S": "60",
        "ACS_AUDIO_FORMAT": "PCM24K",
        "ACS_JWT_MODE": "Log",
        "EVENT_GRID_SECRETS": "the-new-secret-of-the-tests, the-old-secret-of-the-tests",
        "ALLOW_INSECURE": "unchecked-tokens",
        "REFUSED_CALLERS": "+14255550100,8:acs:r_u",
        "DEFAULT_PROFILE": "front-desk",
        "RING_TIME_S": "45",
        "CALLS_PER_CALLER_PER_MIN": "3",
        "CALLS_PER_MIN": "24",
        "CALLS_OVER_LIMIT": "Redirect",
    }.items():
        environment.setenv(name, value)
    settings = load_settings(CallControlSettings)
    assert settings.media_base_url == "ws://127.0.0.1:8080"
    rules = settings.call_policy
    assert (rules.answer_at_once, rules.voice_ms, rules.longest_call_ms) == (True, 2500, 60_000)
    assert rules.redirect_target == "4:+18005550000"
    assert rules.ring_ms == 45_000
    assert settings.ring_limits == RingLimits(3, 24, "redirect")
    assert settings.acs_audio_format == "pcm24k"
    assert revealed(settings.event_grid_secrets) == ("the-new-secret-of-the-tests", "the-old-secret-of-the-tests")
    assert settings.routing == Routing(
        "front-desk",
        frozenset({"+14255550100", "8:acs:r_u"}),
        redirect_target="4:+18005550000",
        allowed_targets=(PartyPattern("+1800*"), PartyPattern("8:acs:r_v")),
    )


def test_a_managed_identity_needs_only_the_endpoint(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("ACS_CONNECTION_STRING")
    environment.setenv("ACS_ENDPOINT", "r.communication.azure.com/")
    assert load_settings(CallControlSettings).acs_address == AcsAddress("https://r.communication.azure.com")


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("BASE_URL", "calls.example.com", "http://<host> or https://<host>"),
        ("MEDIA_BASE_URL", "https://media.example.com", "ws://<host> or wss://<host>"),
        ("MEDIA_TOKEN_KEYS", "short", "16 characters"),
        ("ACS_CONNECTION_STRING", "geheim", "endpoint=https"),
        ("ACS_ENDPOINT", "https://r/path", "without a path"),
        ("ACS_AUDIO_FORMAT", "mp3", "pcm16k"),
        ("ACS_JWT_AUDIENCE", "", "immutable resource id"),
        ("ANSWER_WHEN", "never", "ready"),
        ("ALLOWED_TARGETS", "+1800*,people", "pattern"),
        ("ALLOWED_TARGETS", "anonymous", "cannot be a target"),
        ("RECORD_RETENTION_S", "59", "60"),
        ("TRANSCRIPT_RETENTION_S", "-1", "0"),
        ("ANSWER_DEADLINE_S", "60", "25"),
        ("REDIRECT_TARGET", "1800", "neither"),
        ("ROUTING_KEY", "geheim", "16 characters"),
        ("ROUTING_POLICY", "/nowhere.yaml", "cannot be read"),
        ("EVENT_GRID_AUDIENCE", "api://x", "EVENT_GRID_TENANT_ID"),
        ("EVENT_GRID_TENANT_ID", "t", "EVENT_GRID_AUDIENCE"),
        ("CALLS_OVER_LIMIT", "queue", "redirect"),
        ("CALLS_PER_MIN", "-1", "must be between 0 and 1000000"),
        ("ALLOW_INSECURE", "everything", "allowed are open-webhook"),
    ],
)
def test_bad_values_are_named(
    environment: pytest.MonkeyPatch, name: str, value: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        load_settings(CallControlSettings)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert "geheim" not in said


def test_a_routing_policy_with_its_key(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "routing.yaml"
    path.write_text("rules: [{name: some, percent: 25, agent: x}, {name: rest, reject: busy}]")
    environment.setenv("ROUTING_POLICY", str(path))
    environment.setenv("ROUTING_KEY", "0123456789abcdef")
    routing = load_settings(CallControlSettings).routing
    assert routing.key == b"0123456789abcdef"
    assert routing.policy is not None
    assert routing.policy.shares == ("some",)


def test_a_share_without_a_key_is_refused(
    environment: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "routing.yaml"
    path.write_text("rules: [{name: some, percent: 25, agent: x}, {name: rest, reject: busy}]")
    environment.setenv("ROUTING_POLICY", str(path))
    with pytest.raises(SystemExit) as caught:
        load_settings(CallControlSettings)
    assert caught.value.code == 2
    assert "percent and agents need ROUTING_KEY (rule some)" in capsys.readouterr().err


def test_every_mistake_of_a_policy_has_its_own_line(
    environment: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "routing.yaml"
    path.write_text("rules: [{name: a, hours: 9-5, agent: x}, {name: b}]")
    environment.setenv("ROUTING_POLICY", str(path))
    environment.setenv("REDIRECT_TARGET", "nobody")
    with pytest.raises(SystemExit) as caught:
        load_settings(CallControlSettings)
    assert caught.value.code == 2
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    for start in (
        *("REDIRECT_TARGET:", f"ROUTING_POLICY: {path}:", "rules[0] (a).hours[0]:", "rules[0] (a).time_zone:"),
        "rules[1] (b): must have exactly one",
    ):
        assert any(line.startswith(start) for line in lines), start


def test_everything_that_is_missing_is_named_at_once(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in GOOD:
        environment.delenv(name)
    environment.setenv("REDIRECT_TARGET", "nobody")
    with pytest.raises(SystemExit):
        load_settings(CallControlSettings)
    said = capsys.readouterr().err
    for name in (*GOOD, "REDIRECT_TARGET"):
        assert f"  {name}: " in said


def test_settings_do_not_change(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError):
        load_settings(CallControlSettings).port = 1


def test_a_policy_file(tmp_path: Path) -> None:
    path = tmp_path / "routing.yaml"
    path.write_text("rules: [{name: all-calls, agent: front-desk}]")
    assert [rule.agent for rule in load_policy(path).rules] == ["front-desk"]


def test_a_policy_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(PolicyError, match="cannot be read"):
            load_policy(path)
