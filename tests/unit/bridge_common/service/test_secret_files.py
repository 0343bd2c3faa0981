"""Secrets from the files of a folder, as Kubernetes, the Secrets Store CSI driver and people write them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from bridge_common.service.secret_files import MOST_BYTES, environment, read_secret_files
from call_control.settings import CallControlSettings
from tests.support.mounted_secrets import MountedSecrets
from tests.support.service_settings import refusal, start

KEY = "0123456789abcdef-operator"


@pytest.fixture
def mount(tmp_path: Path) -> MountedSecrets:
    return MountedSecrets(tmp_path / "secrets")


@pytest.mark.parametrize("name", ["API_KEYS", "api_keys", "api-keys", "Api-Keys", "API-KEYS"])
def test_a_file_is_named_like_the_variable_in_any_case_and_with_hyphens(
    mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    mount.write({name: KEY})
    settings = start(monkeypatch, "call-control", SECRETS_DIR=str(mount.folder))
    assert isinstance(settings, CallControlSettings)
    assert [key.get_secret_value() for key in settings.api_keys] == [KEY]


@pytest.mark.parametrize("content", [f"{KEY}\n", f"{KEY}\r\n", f"  {KEY}  ", f"\ufeff{KEY}\n"])
def test_line_ends_and_spaces_around_a_secret_are_removed(mount: MountedSecrets, content: str) -> None:
    mount.write({"API_KEYS": content.encode()})
    assert read_secret_files(mount.folder).texts == {"api_keys": KEY}


def test_a_file_takes_precedence_over_the_variable(mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch) -> None:
    mount.write({"API_KEYS": f"{KEY},another-key-of-operators", "redis-url": "rediss://:new@cache.example:10000/0"})
    settings = start(monkeypatch, "call-control", SECRETS_DIR=str(mount.folder), API_KEYS="key-of-the-environment")
    assert isinstance(settings, CallControlSettings)
    assert len(settings.api_keys) == 2
    assert settings.redis_url.get_secret_value() == "rediss://:new@cache.example:10000/0"


def test_only_secrets_are_read_from_files(mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch) -> None:
    mount.write({"host": "db.example", "port": "5432", "tls.crt": b"\xff\xfe", "API_KEYS": KEY})
    settings = start(monkeypatch, "call-control", SECRETS_DIR=str(mount.folder))
    assert (settings.host, settings.port) == ("0.0.0.0", 8080)


def test_every_faulty_file_is_reported_at_once_with_its_path_and_without_its_content(
    mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mount.write(
        {
            "API_KEYS": "hidden",
            "media-token-keys": "",
            "EVENT_GRID_SECRETS": b"\xffhidden",
            "ACS_CONNECTION_STRING": "endpoint=hidden",
            "LOG_PHONE_KEY": "hidden-first-line\nhidden-second-line",
            "ROUTING_KEY": "x" * (MOST_BYTES + 1),
            "agent-tools-keys": "hidden-hidden-hidden",
            "AGENT_TOOLS_KEYS": "hidden-hidden-hidden",
        }
    )
    lines = refusal(monkeypatch, capsys, "call-control", SECRETS_DIR=str(mount.folder), PORT="many")
    folder = mount.folder
    faults = dict(line.split(": ", 1) for line in lines)
    assert faults == {
        f"API_KEYS ({folder}/API_KEYS)": faults[f"API_KEYS ({folder}/API_KEYS)"],
        f"MEDIA_TOKEN_KEYS ({folder}/media-token-keys)": "is empty; write the secret into the file, or remove the file",
        f"EVENT_GRID_SECRETS ({folder}/EVENT_GRID_SECRETS)": "is not valid UTF-8; write the secret as text",
        f"ACS_CONNECTION_STRING ({folder}/ACS_CONNECTION_STRING)": faults[
            f"ACS_CONNECTION_STRING ({folder}/ACS_CONNECTION_STRING)"
        ],
        f"LOG_PHONE_KEY ({folder}/LOG_PHONE_KEY)": (
            "contains a line break or another control character; separate keys with commas"
        ),
        f"ROUTING_KEY ({folder}/ROUTING_KEY)": f"cannot be read: it has more than {MOST_BYTES} bytes",
        f"AGENT_TOOLS_KEYS ({folder}/AGENT_TOOLS_KEYS)": (
            "the files AGENT_TOOLS_KEYS and agent-tools-keys have the same secret; remove one"
        ),
        "PORT": "must be an integer",
    }
    assert "fewer than 16 characters" in faults[f"API_KEYS ({folder}/API_KEYS)"]
    assert "hidden" not in " ".join(lines)


def test_a_folder_that_does_not_exist_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [line] = refusal(monkeypatch, capsys, "media-gateway", SECRETS_DIR=str(tmp_path / "none"))
    assert line == (
        f"SECRETS_DIR: {tmp_path}/none cannot be read: No such file or directory; mount the folder or unset it"
    )


def test_pipes_folders_and_broken_links_are_faults(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "API_KEYS")
    (tmp_path / "MEDIA_TOKEN_KEYS").mkdir()
    (tmp_path / "ROUTING_KEY").symlink_to("nowhere")
    assert read_secret_files(tmp_path).faults == {
        "api_keys": "cannot be read: it is not a regular file",
        "media_token_keys": "cannot be read: Is a directory",
        "routing_key": "cannot be read: No such file or directory",
    }


def test_a_folder_without_links_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "API_KEYS").write_text(KEY)
    (tmp_path / ".hidden").write_text("x")
    assert read_secret_files(tmp_path).texts == {"api_keys": KEY}


def test_all_files_are_of_one_time_while_the_folder_is_replaced(mount: MountedSecrets) -> None:
    names = [f"SECRET_{number}" for number in range(12)]
    mount.write(dict.fromkeys(names, "0"))
    ended = threading.Event()

    def replace() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            mount.write(dict.fromkeys(names, str(number)))
            ended.wait(0.02)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        seen = [read_secret_files(mount.folder)]
        while len({files.texts.get("secret_0") for files in seen}) < 10:
            seen.append(read_secret_files(mount.folder))
    finally:
        ended.set()
        thread.join()
    mixed = [files for files in seen if files.faults or len(set(files.texts.values())) != 1]
    assert mixed == []


def test_profiles_find_their_secrets_in_files_before_the_environment(
    mount: MountedSecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "of-the-environment")
    monkeypatch.setenv("OTHER_TOKEN", "other")
    mount.write({"shop-token": "of-the-file"})
    found = environment(mount.folder)
    assert (found["SHOP_TOKEN"], found["OTHER_TOKEN"]) == ("of-the-file", "other")
    assert environment(None)["SHOP_TOKEN"] == "of-the-environment"
