"""Secrets that are read again: what is adopted, and what stays in force after a mistake."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent_relay.settings import RelaySettings
from bridge_common.observability.telemetry import REGISTRY
from bridge_common.service.secret_files import reloaded_names
from bridge_common.service.secret_reloader import LiveSecrets
from bridge_common.service.settings import ServiceSettings
from call_control.settings import CallControlSettings
from media_gateway.settings import GatewaySettings
from tests.support.eventually import eventually
from tests.support.mounted_secrets import MountedSecrets
from tests.support.service_settings import GOOD, start

OLD, NEW = "an-old-key-of-the-tests", "a-new-key-of-the-tests"
KEYS = {
    "API_KEYS": OLD,
    "media-token-keys": OLD,
    "event-grid-secrets": OLD,
    "AGENT_TOOLS_KEYS": OLD,
    "REDIS_URL": GOOD["call-control"]["REDIS_URL"],
}


@pytest.fixture
def mount(tmp_path: Path) -> MountedSecrets:
    return MountedSecrets(tmp_path / "secrets")


def _live(mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str], **more: str) -> LiveSecrets:
    mount.write(files)
    return LiveSecrets(start(monkeypatch, "call-control", SECRETS_DIR=str(mount.folder), **more))


def _reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.__dict__["bridge_fields"]["reason"] for record in caplog.records if record.levelname == "ERROR"]


def _successful() -> float | None:
    return REGISTRY.get_sample_value("bridge_secrets_last_reload_successful")


def test_the_reloaded_secrets_are_those_that_the_documents_name() -> None:
    services: tuple[type[ServiceSettings], ...] = (CallControlSettings, GatewaySettings, RelaySettings)
    assert {service: reloaded_names(service.model_fields) for service in services} == {
        CallControlSettings: {"api_keys", "media_token_keys", "event_grid_secrets", "agent_tools_keys"},
        GatewaySettings: {"media_token_keys"},
        RelaySettings: {"azure_voice_live_api_key", "azure_voice_live_further_api_keys"},
    }


async def test_a_changed_file_is_in_force_and_logged_with_the_number_of_keys(
    mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    secrets = _live(mount, monkeypatch, KEYS)
    keys = {name: secrets.keys(name) for name in ("api_keys", "media_token_keys")}
    await secrets.look()
    mount.change(api_keys=f"{NEW},{OLD}", media_token_keys=NEW)
    await secrets.look()
    await secrets.look()
    assert {name: list(one) for name, one in keys.items()} == {"api_keys": [NEW, OLD], "media_token_keys": [NEW]}
    assert (len(keys["api_keys"]), keys["api_keys"][0], keys["api_keys"][1:]) == (2, NEW, (OLD,))
    [line] = [record for record in caplog.records if record.getMessage() == "secrets reloaded"]
    assert line.__dict__["bridge_fields"] == {"changed": "API_KEYS=2, MEDIA_TOKEN_KEYS=1"}
    assert NEW not in caplog.text
    assert _successful() == 1


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("short", "a key has fewer than 16 characters"),
        ("lab-media-token-key-for-one-machine-only", "a key is published in this project"),
        ("", "is empty"),
        (",", "contains no key"),
        ("one-key-of-the-tests\nanother-key-of-the-tests", "contains a line break"),
    ],
)
async def test_a_mistake_is_logged_once_and_the_keys_stay_in_force(
    mount: MountedSecrets,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    content: str,
    fault: str,
) -> None:
    secrets = _live(mount, monkeypatch, KEYS)
    mount.change(media_token_keys=content)
    await secrets.look()
    await secrets.look()
    [reason] = _reasons(caplog)
    assert reason.startswith(f"MEDIA_TOKEN_KEYS ({mount.folder}/media-token-keys): {fault}")
    assert list(secrets.keys("media_token_keys")) == [OLD]
    assert _successful() == 0
    mount.change(media_token_keys=NEW)
    await secrets.look()
    assert list(secrets.keys("media_token_keys")) == [NEW]
    assert _successful() == 1


async def test_a_mistake_does_not_delay_the_other_secrets(
    mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = _live(mount, monkeypatch, KEYS)
    mount.change(media_token_keys="short", api_keys=NEW)
    await secrets.look()
    assert list(secrets.keys("api_keys")) == [NEW]
    assert len(_reasons(caplog)) == 1


async def test_a_removed_file_leaves_its_secret_in_force(
    mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = _live(mount, monkeypatch, KEYS)
    await secrets.look()
    mount.remove("API_KEYS", "REDIS_URL")
    await secrets.look()
    assert _reasons(caplog) == ["API_KEYS: the file is missing; the secret stays in force"]
    assert list(secrets.keys("api_keys")) == [OLD]


async def test_a_folder_that_cannot_be_read_leaves_all_secrets_in_force(
    mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = _live(mount, monkeypatch, KEYS)
    await secrets.look()
    mount.folder.rename(mount.folder.with_name("elsewhere"))
    await secrets.look()
    [reason] = _reasons(caplog)
    assert reason.startswith(f"SECRETS_DIR: {mount.folder} cannot be read: No such file or directory")
    assert list(secrets.keys("api_keys")) == [OLD]


async def test_a_file_that_appears_later_is_adopted(mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = _live(mount, monkeypatch, {}, API_KEYS="key-of-the-environment")
    await secrets.look()
    assert list(secrets.keys("api_keys")) == ["key-of-the-environment"]
    mount.write({"api-keys": NEW})
    await secrets.look()
    assert list(secrets.keys("api_keys")) == [NEW]


async def test_allowed_insecure_keys_are_allowed_again(mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = _live(mount, monkeypatch, KEYS, ALLOW_INSECURE="known-keys")
    mount.change(api_keys="lab-operator-key")
    await secrets.look()
    assert list(secrets.keys("api_keys")) == ["lab-operator-key"]


async def test_a_changed_secret_that_needs_a_restart_is_logged_once(
    mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = _live(mount, monkeypatch, KEYS)
    await secrets.look()
    assert caplog.records == []
    mount.change(redis_url="rediss://:new@cache.example:10000/0")
    await secrets.look()
    await secrets.look()
    [line] = caplog.records
    assert line.getMessage() == "changed secrets are read at the next start; restart the service"
    assert line.__dict__["bridge_fields"] == {"names": "REDIS_URL"}
    assert _successful() == 1


async def test_keys_of_voice_live_must_fit_the_endpoints(
    mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mount.write({"azure-voice-live-api-key": "one", "azure-voice-live-further-api-keys": "two"})
    further = "https://second.services.ai.azure.com"
    secrets = LiveSecrets(
        start(
            monkeypatch,
            "agent-relay",
            SECRETS_DIR=str(mount.folder),
            AZURE_VOICE_LIVE_FURTHER_ENDPOINTS=further,
        )
    )
    mount.change(azure_voice_live_api_key="new", azure_voice_live_further_api_keys="three,four")
    await secrets.look()
    [reason] = _reasons(caplog)
    assert "contains 2 keys, expected 1" in reason
    assert secrets.text("azure_voice_live_api_key") == "new"
    assert list(secrets.keys("azure_voice_live_further_api_keys")) == ["two"]


async def test_without_a_folder_nothing_is_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = LiveSecrets(start(monkeypatch, "call-control", API_KEYS=OLD))
    await secrets.run()
    assert list(secrets.keys("api_keys")) == [OLD]
    assert _successful() == 1


async def test_the_folder_is_polled(mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch) -> None:
    mount.write(KEYS)
    secrets = LiveSecrets(start(monkeypatch, "call-control", SECRETS_DIR=str(mount.folder)), every_s=0.01)
    polling = asyncio.create_task(secrets.run())
    mount.change(api_keys=NEW)
    await eventually(lambda: list(secrets.keys("api_keys")) == [NEW], within_s=10, what="the new key")
    polling.cancel()
    await asyncio.wait({polling})
